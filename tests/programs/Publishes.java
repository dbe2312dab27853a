import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.stream.Collectors;

/** Java cannot change its environment: what it reads, and what the programs that its threads start are given. */
public class Publishes {
    interface Change {
        void make(Map<String, String> environment);
    }

    static String child(Change change) throws Exception {
        ProcessBuilder builder = new ProcessBuilder("/usr/bin/env");
        if (change != null)
            change.make(builder.environment());
        Process process = builder.redirectErrorStream(true).start();
        String text = new String(process.getInputStream().readAllBytes());
        process.waitFor();
        return text.lines().filter(line -> line.startsWith("JOB_")).sorted().collect(Collectors.joining(" "));
    }

    static String look(String place) throws Exception {
        String[][] facts = {
            {"get", String.valueOf(System.getenv("JOB_NAME"))},
            {"all", System.getenv().entrySet().stream().map(Object::toString).filter(entry -> entry.startsWith("JOB_"))
                .sorted().collect(Collectors.joining(" "))},
            {"untouched", child(null)},
            {"copied", child(environment -> {})},
            {"more", child(environment -> environment.put("JOB_OTHER", "other"))},
            {"own", child(environment -> environment.put("JOB_NAME", place))},
            {"less", child(environment -> environment.remove("JOB_NAME"))},
            {"empty", child(Map::clear)},
            {"only", child(environment -> {
                environment.clear();
                environment.put("JOB_ONLY", "only");
            })},
            {"exec", new String(Runtime.getRuntime().exec("/usr/bin/printenv JOB_NAME").getInputStream().readAllBytes()).trim()},
            {"exec_given", new String(Runtime.getRuntime().exec("/usr/bin/printenv", new String[] {"JOB_NAME=" + place})
                .getInputStream().readAllBytes()).lines().filter(line -> line.startsWith("JOB_")).collect(Collectors.joining(" "))},
        };
        StringBuilder text = new StringBuilder();
        for (String[] fact : facts)
            text.append(place).append('_').append(fact[0]).append('=').append(fact[1]).append('\n');
        return text.toString();
    }

    public static void main(String[] arguments) throws Exception {
        System.out.print(look("main"));
        ExecutorService pool = Executors.newFixedThreadPool(2);
        Callable<String> one = () -> look("one"), two = () -> look("two");
        for (var result : pool.invokeAll(java.util.List.of(one, two)))
            System.out.print(result.get());
        pool.shutdown();
    }
}
