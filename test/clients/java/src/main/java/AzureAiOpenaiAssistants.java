import com.azure.ai.openai.assistants.AssistantsClient;
import com.azure.ai.openai.assistants.AssistantsClientBuilder;
import com.azure.ai.openai.assistants.models.Assistant;
import com.azure.ai.openai.assistants.models.AssistantCreationOptions;
import com.azure.ai.openai.assistants.models.AssistantThread;
import com.azure.ai.openai.assistants.models.AssistantThreadCreationOptions;
import com.azure.ai.openai.assistants.models.CodeInterpreterToolDefinition;
import com.azure.ai.openai.assistants.models.CreateRunOptions;
import com.azure.ai.openai.assistants.models.FunctionDefinition;
import com.azure.ai.openai.assistants.models.FunctionToolDefinition;
import com.azure.ai.openai.assistants.models.ListSortOrder;
import com.azure.ai.openai.assistants.models.MessageDeltaTextContentObject;
import com.azure.ai.openai.assistants.models.MessageRole;
import com.azure.ai.openai.assistants.models.MessageTextContent;
import com.azure.ai.openai.assistants.models.PageableList;
import com.azure.ai.openai.assistants.models.StreamMessageUpdate;
import com.azure.ai.openai.assistants.models.StreamUpdate;
import com.azure.ai.openai.assistants.models.SubmitToolOutputsAction;
import com.azure.ai.openai.assistants.models.ThreadMessage;
import com.azure.ai.openai.assistants.models.ThreadMessageOptions;
import com.azure.ai.openai.assistants.models.ThreadRun;
import com.azure.ai.openai.assistants.models.ToolDefinition;
import com.azure.ai.openai.assistants.models.ToolOutput;
import com.azure.core.credential.AzureKeyCredential;
import com.azure.core.exception.HttpResponseException;
import com.azure.core.util.BinaryData;
import java.util.ArrayList;
import java.util.List;

/**
 * azure-ai-openai-assistants. It sends its key by https only, so it goes through the TLS proxy; it asks for Azure's paths.
 */
final class AzureAiOpenaiAssistants {
  private static final AssistantsClient CLIENT =
      new AssistantsClientBuilder()
          .endpoint(Report.HTTPS)
          .credential(new AzureKeyCredential(Report.KEY))
          .buildClient();

  private static ThreadRun follow(ThreadRun run) throws InterruptedException {
    return Report.follow(
        run,
        seen -> seen.getStatus().toString(),
        seen -> CLIENT.getRun(seen.getThreadId(), seen.getId()));
  }

  private static Assistant assistantOf(String model, ToolDefinition... tools) {
    return CLIENT.createAssistant(new AssistantCreationOptions(model).setTools(List.of(tools)));
  }

  private static String threadWith(String... contents) {
    AssistantThread thread = CLIENT.createThread(new AssistantThreadCreationOptions());
    for (String content : contents)
      CLIENT.createMessage(thread.getId(), new ThreadMessageOptions(MessageRole.USER, content));
    return thread.getId();
  }

  private static ThreadRun start(Assistant assistant) throws InterruptedException {
    String id = Report.needed(assistant, "assistant").getId();
    return follow(CLIENT.createRun(threadWith("Weather?"), new CreateRunOptions(id)));
  }

  private static Void streamed(String model, String expected) {
    StringBuilder text = new StringBuilder();
    String last = "";
    for (StreamUpdate update : CLIENT.createRunStream(threadWith(), assistantOf(model).getId())) {
      last = String.valueOf(update.getKind());
      if (update instanceof StreamMessageUpdate message)
        message
            .getMessage()
            .getDelta()
            .getContent()
            .forEach(part -> text.append(((MessageDeltaTextContentObject) part).getText().getValue()));
    }
    return Report.same(List.of(text.toString(), last), List.of(expected, "thread.run.completed"));
  }

  private static Void submit(ThreadRun run) throws InterruptedException {
    List<ToolOutput> outputs =
        ((SubmitToolOutputsAction) run.getRequiredAction())
            .getSubmitToolOutputs().getToolCalls().stream()
                .map(call -> new ToolOutput().setToolCallId(call.getId()).setOutput(Report.OUTPUT))
                .toList();
    ThreadRun done = follow(CLIENT.submitToolOutputsToRun(run.getThreadId(), run.getId(), outputs));
    return Report.same(done.getStatus().toString(), "completed");
  }

  private static String textOf(ThreadMessage message) {
    return ((MessageTextContent) message.getContent().get(0)).getText().getValue();
  }

  private static Void pages() {
    String thread = threadWith("one", "two", "three");
    List<String> texts = new ArrayList<>();
    String after = null;
    boolean more = true;
    while (more) {
      PageableList<ThreadMessage> page =
          CLIENT.listMessages(thread, 1, ListSortOrder.ASCENDING, after, null);
      page.getData().forEach(message -> texts.add(textOf(message)));
      after = page.getLastId();
      more = page.isHasMore();
    }
    return Report.same(texts, List.of("one", "two", "three"));
  }

  private static Void refused() {
    try {
      assistantOf(Report.CALLING, new CodeInterpreterToolDefinition());
    } catch (HttpResponseException error) {
      String text = String.valueOf(error.getMessage());
      return Report.same(
          List.of(error.getResponse().getStatusCode(), text.contains("unsupported_parameter")),
          List.of(400, true));
    }
    throw new AssertionError("not refused");
  }

  public static void main(String[] args) {
    FunctionDefinition function =
        new FunctionDefinition(Report.FUNCTION, BinaryData.fromObject(Report.PARAMETERS));
    Assistant assistant =
        Report.step("assistant", () -> assistantOf(Report.CALLING, new FunctionToolDefinition(function)));
    ThreadRun run =
        Report.step(
            "run",
            () -> {
              ThreadRun waiting = start(assistant);
              Report.same(waiting.getStatus().toString(), "requires_action");
              return waiting;
            });
    Report.step("submit", () -> submit(Report.needed(run, "run")));
    Report.step(
        "message",
        () -> {
          String thread = Report.needed(run, "run").getThreadId();
          return Report.same(textOf(CLIENT.listMessages(thread).getData().get(0)), Report.ANSWER);
        });
    Report.step("stream", () -> streamed(Report.WORDS, Report.said(5)));
    Report.step("silence", () -> streamed(Report.SILENT, Report.said(2)));
    Report.step("dripping", () -> streamed(Report.DRIPPING, Report.said(21)));
    Report.step("paging", AzureAiOpenaiAssistants::pages);
    Report.step(
        "cancel",
        () -> {
          ThreadRun waiting = start(assistant);
          ThreadRun cancelled = follow(CLIENT.cancelRun(waiting.getThreadId(), waiting.getId()));
          return Report.same(cancelled.getStatus().toString(), "cancelled");
        });
    Report.step("error", AzureAiOpenaiAssistants::refused);
    // The client's threads would keep the process alive.
    System.exit(0);
  }
}
