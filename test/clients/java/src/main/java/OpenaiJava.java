import com.openai.client.OpenAIClient;
import com.openai.client.okhttp.OpenAIOkHttpClient;
import com.openai.core.JsonValue;
import com.openai.core.http.StreamResponse;
import com.openai.errors.BadRequestException;
import com.openai.models.FunctionDefinition;
import com.openai.models.FunctionParameters;
import com.openai.models.beta.assistants.Assistant;
import com.openai.models.beta.assistants.AssistantCreateParams;
import com.openai.models.beta.assistants.AssistantStreamEvent;
import com.openai.models.beta.assistants.CodeInterpreterTool;
import com.openai.models.beta.threads.ThreadCreateAndRunParams;
import com.openai.models.beta.threads.messages.Message;
import com.openai.models.beta.threads.messages.MessageCreateParams;
import com.openai.models.beta.threads.messages.MessageListParams;
import com.openai.models.beta.threads.runs.Run;
import com.openai.models.beta.threads.runs.RunCancelParams;
import com.openai.models.beta.threads.runs.RunCreateParams;
import com.openai.models.beta.threads.runs.RunRetrieveParams;
import com.openai.models.beta.threads.runs.RunSubmitToolOutputsParams;
import com.openai.services.blocking.beta.ThreadService;
import java.util.List;

/** openai-java, the official client. */
@SuppressWarnings("deprecation")
final class OpenaiJava {
  private static final OpenAIClient CLIENT =
      OpenAIOkHttpClient.builder()
          .baseUrl(Report.URL)
          .apiKey(Report.KEY)
          .maxRetries(0)
          .build();
  private static final ThreadService THREADS = CLIENT.beta().threads();

  private static Run follow(Run run) throws InterruptedException {
    return Report.follow(
        run,
        seen -> seen.status().asString(),
        seen ->
            THREADS
                .runs()
                .retrieve(RunRetrieveParams.builder().threadId(seen.threadId()).runId(seen.id()).build()));
  }

  private static String say(String thread, String content) {
    MessageCreateParams message =
        MessageCreateParams.builder()
            .threadId(thread)
            .role(MessageCreateParams.Role.USER)
            .content(content)
            .build();
    return THREADS.messages().create(message).id();
  }

  private static Run start(Assistant assistant) throws InterruptedException {
    String thread = THREADS.create().id();
    say(thread, "Weather?");
    RunCreateParams run =
        RunCreateParams.builder()
            .threadId(thread)
            .assistantId(Report.needed(assistant, "assistant").id())
            .build();
    return follow(THREADS.runs().create(run));
  }

  private static Assistant assistantOf(String model) {
    return CLIENT.beta().assistants().create(AssistantCreateParams.builder().model(model).build());
  }

  private static Void streamed(String model, String expected) {
    StringBuilder text = new StringBuilder();
    String[] last = {""};
    ThreadCreateAndRunParams params =
        ThreadCreateAndRunParams.builder().assistantId(assistantOf(model).id()).build();
    try (StreamResponse<AssistantStreamEvent> stream = THREADS.createAndRunStreaming(params)) {
      stream
          .stream()
          .forEach(
              event -> {
                last[0] = event.isThreadRunCompleted() ? "completed" : "";
                event
                    .threadMessageDelta()
                    .flatMap(delta -> delta.data().delta().content())
                    .ifPresent(
                        parts ->
                            parts.forEach(
                                part -> text.append(part.asText().text().orElseThrow().value().orElse(""))));
              });
    }
    return Report.same(List.of(text.toString(), last[0]), List.of(expected, "completed"));
  }

  private static Void submit(Run run) throws InterruptedException {
    RunSubmitToolOutputsParams.Builder outputs =
        RunSubmitToolOutputsParams.builder().threadId(run.threadId()).runId(run.id());
    run.requiredAction()
        .orElseThrow()
        .submitToolOutputs()
        .toolCalls()
        .forEach(
            call ->
                outputs.addToolOutput(
                    RunSubmitToolOutputsParams.ToolOutput.builder()
                        .toolCallId(call.id())
                        .output(Report.OUTPUT)
                        .build()));
    Run done = follow(THREADS.runs().submitToolOutputs(outputs.build()));
    return Report.same(done.status().asString(), "completed");
  }

  private static String textOf(Message message) {
    return message.content().get(0).asText().text().value();
  }

  private static Void pages() {
    String thread = THREADS.create().id();
    List<String> said = List.of("one", "two", "three");
    said.forEach(content -> say(thread, content));
    MessageListParams params =
        MessageListParams.builder()
            .threadId(thread)
            .limit(1)
            .order(MessageListParams.Order.ASC)
            .build();
    List<String> read =
        THREADS.messages().list(params).autoPager().stream().map(OpenaiJava::textOf).toList();
    return Report.same(read, said);
  }

  private static Void refused() {
    CodeInterpreterTool tool = CodeInterpreterTool.builder().build();
    try {
      CLIENT
          .beta()
          .assistants()
          .create(AssistantCreateParams.builder().model(Report.CALLING).addTool(tool).build());
    } catch (BadRequestException error) {
      return Report.same(error.code().orElse(""), "unsupported_parameter");
    }
    throw new AssertionError("not refused");
  }

  public static void main(String[] args) {
    FunctionParameters.Builder parameters = FunctionParameters.builder();
    Report.PARAMETERS.forEach(
        (name, value) -> parameters.putAdditionalProperty(name, JsonValue.from(value)));
    FunctionDefinition function =
        FunctionDefinition.builder().name(Report.FUNCTION).parameters(parameters.build()).build();
    Assistant assistant =
        Report.step(
            "assistant",
            () ->
                CLIENT
                    .beta()
                    .assistants()
                    .create(
                        AssistantCreateParams.builder()
                            .model(Report.CALLING)
                            .addFunctionTool(function)
                            .build()));
    Run run =
        Report.step(
            "run",
            () -> {
              Run waiting = start(assistant);
              Report.same(waiting.status().asString(), "requires_action");
              return waiting;
            });
    Report.step("submit", () -> submit(Report.needed(run, "run")));
    Report.step(
        "message",
        () -> {
          MessageListParams params =
              MessageListParams.builder().threadId(Report.needed(run, "run").threadId()).build();
          return Report.same(textOf(THREADS.messages().list(params).data().get(0)), Report.ANSWER);
        });
    Report.step("stream", () -> streamed(Report.WORDS, Report.said(5)));
    Report.step("silence", () -> streamed(Report.SILENT, Report.said(2)));
    Report.step("dripping", () -> streamed(Report.DRIPPING, Report.said(21)));
    Report.step("paging", OpenaiJava::pages);
    Report.step(
        "cancel",
        () -> {
          Run waiting = start(assistant);
          RunCancelParams params =
              RunCancelParams.builder().threadId(waiting.threadId()).runId(waiting.id()).build();
          return Report.same(follow(THREADS.runs().cancel(params)).status().asString(), "cancelled");
        });
    Report.step("error", OpenaiJava::refused);
    // The client's threads would keep the process alive.
    CLIENT.close();
    System.exit(0);
  }
}
