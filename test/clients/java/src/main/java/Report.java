import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * Steps of a client program: each is one JSON line on standard output. A failed step ends nothing; a later step that needs its
 * result fails as not reached.
 */
final class Report {
  // As docs/how-to/migrate-a-program.md calls them.
  static final String URL = System.getenv("BASE_URL");
  static final String KEY = System.getenv("API_KEY");
  static final String HTTPS = System.getenv("HTTPS_URL");
  // What the scripted model server offers: one call and an answer, and words: five, two with 17 s between them, 21 with 1 s.
  static final String CALLING = "scripted:weather";
  static final String WORDS = "scripted:words:5";
  static final String SILENT = "scripted:words:2x17000";
  static final String DRIPPING = "scripted:words:21x1000";
  static final String FUNCTION = "get_current_weather";
  static final String OUTPUT = "mild";
  static final String ANSWER = "The current weather in San Francisco, CA: mild";
  static final Map<String, Object> PARAMETERS =
      Map.of(
          "type", "object",
          "properties", Map.of("location", Map.of("type", "string")),
          "required", List.of("location"));

  private static final ObjectMapper JSON = new ObjectMapper();

  private Report() {}

  private static void write(String step, Boolean ok, String detail) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("step", step);
    line.put("ok", ok);
    line.put("detail", detail);
    System.out.println(JSON.valueToTree(line));
  }

  /** Runs the work and prints how it went; null when it failed. */
  static <T> T step(String name, Callable<T> work) {
    try {
      T result = work.call();
      write(name, true, "");
      return result;
    } catch (Throwable error) {
      write(name, false, error.getClass().getSimpleName() + ": " + error.getMessage());
      return null;
    }
  }

  static <T> T needed(T result, String step) {
    return Objects.requireNonNull(result, "not reached: step " + step + " failed");
  }

  /** What a model of words says. */
  static String said(int count) {
    return IntStream.rangeClosed(1, count).mapToObj(number -> "word" + number).collect(Collectors.joining(" "));
  }

  static Void same(Object actual, Object expected) {
    if (Objects.equals(actual, expected)) return null;
    throw new AssertionError(actual + " is not " + expected);
  }

  /** Reads a run until it waits or has ended. */
  static <R> R follow(R run, Function<R, String> status, Function<R, R> read) throws InterruptedException {
    R seen = run;
    while (List.of("queued", "in_progress", "cancelling").contains(status.apply(seen))) {
      Thread.sleep(100);
      seen = read.apply(seen);
    }
    return seen;
  }
}
