/* Random programs of threads that write and read the environment, beside a model of what each of them should see.
 *
 *   random_environments [--expect=bare|scoped|private] [--rules] [--seed=S] [--count=N] [--verbose]
 *   random_environments --model [--expect=...] [--rules] <SCRIPT
 *
 * --expect says which rules the model follows, --rules that the rules file of tests/environment.bash is in force.
 * Program i of a run has the seed S + i, so --seed=S --count=1 repeats one. Each runs in a process of its own, forked for
 * it, and ends at its first difference. That program is then made as short as it can be, and printed as a script for
 * env_actors. With --model nothing is run: the model's answers to a script are printed as env_actors prints its own.
 */
#include "environment_actors.h"
#include "environment_model.h"
#include <inttypes.h>
#include <sys/random.h>

#define STEPS_MAX 256
#define ALL_NAMES " AA BB CC DD SHARED_V SCOPED_V PRIVATE_V WATCHED_V TZ LANG"

struct program {
    int count;
    char steps[STEPS_MAX][LINE_MAX_LENGTH];
};

static struct {
    enum model_mode expect;
    bool has_rules, is_verbose, is_model;
    uint64_t seed, count;
} options = {.count = 1000};

/* ---- chance ---- */

static uint64_t random_state;

static unsigned pick(unsigned count) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % count);
}

static const char *pick_name(void) {
    unsigned n = pick(100);
    return n < 45 ? "AA" : n < 70 ? "BB" : model_names[2 + pick(MODEL_NAMES - 2)];
}

static const char *pick_value(void) {
    static const char *const values[] = {"1", "2", "3", "4", ""};
    return values[pick(sizeof values / sizeof *values)];
}

/* ---- drawing a program ---- */

static bool has_entered(const struct model_thread *thread, int scope) {
    int depth = thread->depth;
    while (depth > 0 && thread->entered[depth - 1] != scope)
        depth--;
    return depth > 0;
}

/* May the step be done at this point of a program? */
static bool is_possible(const struct model *plan, const char *line) {
    struct words words;
    split(&words, line);
    const char *verb = word_at(&words, 1), *argument = word_at(&words, 2);
    const struct model_thread *thread = &plan->threads[words.word[0][0] - 'a'];
    const struct model_thread *other = &plan->threads[(argument[0] - 'a') & (MODEL_THREADS - 1)];
    if (!thread->is_live)
        return false;
    if (starts_with(verb, "start"))
        return !other->has_been;
    if (strcmp(verb, "return") == 0 || strcmp(verb, "exit") == 0)
        return live_count(plan) > 1;
    if (strcmp(verb, "join") == 0)
        return other->is_joinable && !other->is_live;
    if (strcmp(verb, "tryjoin") == 0 || strcmp(verb, "timedjoin") == 0)
        return other->is_joinable && other != thread;
    /* Within a scope of raceshim.h the child's `environ` keeps what is to be restored. */
    if (strcmp(verb, "fork-set") == 0)
        return thread->depth == 0 && !thread->started_inside;
    /* What was jumped out of is told by the frame that leaves, and the child has its own. */
    if (strcmp(verb, "fork-leave") == 0)
        return thread->depth > 0 && thread->entered[thread->depth - 1] == argument[0] - '0' &&
               !thread->is_jumped[thread->depth - 1];
    if (strcmp(verb, "enter") == 0 || strcmp(verb, "jump") == 0)
        return thread->depth < 4 && thread->depth == argument[0] - '0';
    if (strcmp(verb, "leave") == 0 && argument[1] != '\0')
        return other->is_live && other != thread && has_entered(other, argument[1] - '0');
    return true;
}

static void draw_write(char *line, size_t size, char actor) {
    static const char *const verbs[] = {"set", "set", "set", "put", "put", "default", "unset"};
    unsigned verb = pick(7);
    if (pick(40) == 0)
        snprintf(line, size, "%c clear", actor);
    else if (verb == 6)
        snprintf(line, size, "%c unset %s", actor, pick_name());
    else
        snprintf(line, size, "%c %s %s %s", actor, verbs[verb], pick_name(), pick_value());
}

static void draw_observation(char *line, size_t size, char actor) {
    static const char *const cheap[] = {"get", "get", "get-secure", "get-in-handler", "direct"};
    static const char *const dear[] = {"spawn",     "popen",      "system",
                                       "fork-exec", "vfork-exec", "fork"};
    unsigned which = pick(12);
    if (which == 0)
        snprintf(line, size, "%c %s" ALL_NAMES, actor, dear[pick(6)]);
    else if (which == 1)
        snprintf(line, size, "%c fork-set %s %s", actor, pick_name(), pick_value());
    else if (which == 2)
        snprintf(line, size, "%c fork-leave %u" ALL_NAMES, actor, pick(4));
    else
        snprintf(line, size, "%c %s" ALL_NAMES, actor, cheap[pick(5)]);
}

/* Wrong ones, too: of another thread, or in the wrong order. */
static void draw_scope(char *line, size_t size, char actor, char other) {
    unsigned kind = pick(10);
    if (kind < 4)
        snprintf(line, size, "%c %s %u", actor, kind == 0 ? "jump" : "enter", pick(4));
    else if (kind == 4)
        snprintf(line, size, "%c leave %c%u", actor, other, pick(4));
    else
        snprintf(line, size, "%c leave %u", actor, pick(4));
}

/* A step that may not be possible. */
static void draw_step(char *line, size_t size, int threads) {
    static const char *const starts[] = {"start", "start", "start-detached", "start-c11"};
    static const char *const joins[] = {"join", "join", "join", "tryjoin", "timedjoin"};
    char actor = (char)('a' + pick((unsigned)threads));
    char other = (char)('a' + pick((unsigned)threads));
    unsigned kind = pick(100);
    if (kind < 14)
        snprintf(line, size, "%c %s %c", actor, starts[pick(4)], other);
    else if (kind < 18)
        snprintf(line, size, "%c %s", actor, pick(2) ? "return" : "exit");
    else if (kind < 30)
        snprintf(line, size, "%c %s %c", actor, joins[pick(5)], other);
    else if (kind < 37)
        draw_scope(line, size, actor, other);
    else if (kind < 73)
        draw_write(line, size, actor);
    else
        draw_observation(line, size, actor);
}

static void add_step(struct program *program, struct model *plan, const char *line) {
    char text[ANSWER_MAX_LENGTH];
    if (program->count == STEPS_MAX)
        return;
    snprintf(program->steps[program->count++], LINE_MAX_LENGTH, "%s", line);
    model_step(plan, line, text, sizeof text);
}

static void everybody_reads(struct program *program, struct model *plan) {
    char line[LINE_MAX_LENGTH];
    for (int t = 0; t < MODEL_THREADS; t++)
        if (plan->threads[t].is_live) {
            snprintf(line, sizeof line, "%c get" ALL_NAMES, 'a' + t);
            add_step(program, plan, line);
        }
}

static void begin_plan(struct model *plan) {
    model_begin(plan, MODEL_SCOPED, false);
}

static void draw_program(struct program *program, uint64_t seed) {
    struct model plan;
    char line[LINE_MAX_LENGTH];
    random_state = seed;
    program->count = 0;
    begin_plan(&plan);
    int threads = 2 + (int)pick(7), steps = 10 + (int)pick(30);
    for (int i = 0; i < steps; i++) {
        do
            draw_step(line, sizeof line, threads);
        while (!is_possible(&plan, line));
        add_step(program, &plan, line);
        if (pick(4) == 0)
            everybody_reads(program, &plan);
    }
    everybody_reads(program, &plan);
}

/* ---- running it ---- */

static void begin_process(void) {
    memset(stage, 0, sizeof *stage);
    stage->controller = getpid();
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        stage->pid = getpid();
        /* The model knows of no other names. */
        clearenv();
        act(&stage->actors[0]);
    }
    while (atomic_load(&stage->actors[0].state) == ABSENT)
        await_change(&stage->actors[0], ABSENT);
}

static void end_process(void) {
    kill(stage->pid, SIGKILL);
    waitpid(stage->pid, NULL, 0);
}

static struct { uint64_t programs, steps, contentions, differences; } totals;

/* Runs the steps that are possible. Returns the index of the first with another answer than the model's, or -1. */
static int run_program(const struct program *program, bool is_printed) {
    struct model plan, model;
    char expected[ANSWER_MAX_LENGTH], unused[ANSWER_MAX_LENGTH];
    int different = -1;
    begin_plan(&plan);
    model_begin(&model, options.expect, options.has_rules);
    begin_process();
    for (int i = 0; i < program->count && different == -1; i++) {
        const char *line = program->steps[i];
        if (!is_possible(&plan, line))
            continue;
        model_step(&plan, line, unused, sizeof unused);
        model_step(&model, line, expected, sizeof expected);
        const char *said = direct_step(line);
        if (said == NULL || strcmp(said, expected) != 0)
            different = i;
        if (is_printed)
            printf("%s: %s\n", line, said == NULL ? "no answer" : said);
        if (is_printed && different == i)
            printf("# expected: %s\n", expected);
        totals.steps++;
    }
    end_process();
    totals.contentions += (uint64_t)model.contentions;
    return different;
}

/* Leaves out what is not needed for the difference. */
static void shorten(struct program *program, int different) {
    static struct program shorter;
    program->count = different + 1;
    for (int i = program->count - 2; i >= 0; i--) {
        shorter = *program;
        shorter.count--;
        memmove(shorter.steps[i], shorter.steps[i + 1],
                (size_t)(shorter.count - i) * sizeof *shorter.steps);
        int again = run_program(&shorter, false);
        if (again == -1)
            continue;
        *program = shorter;
        program->count = again + 1;
        if (i > program->count - 1)
            i = program->count - 1;
    }
}

static void run_seed(uint64_t seed) {
    static struct program program;
    draw_program(&program, seed);
    int different = run_program(&program, options.is_verbose);
    totals.programs++;
    if (different == -1)
        return;
    totals.differences++;
    /* One explained is enough to begin with. */
    if (totals.differences > 3)
        return;
    shorten(&program, different);
    printf("# --seed=%" PRIu64 " --count=1\n", seed);
    if (run_program(&program, true) == -1)
        printf("# not every time\n");
    fflush(stdout);
}

static int answer_as_model(void) {
    static struct model model;
    char line[LINE_MAX_LENGTH], text[ANSWER_MAX_LENGTH];
    model_begin(&model, options.expect, options.has_rules);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        model_step(&model, line, text, sizeof text);
        printf("%s: %s\n", line, text);
    }
    return 0;
}

static void read_options(int argc, char **argv) {
    must(getrandom(&options.seed, sizeof options.seed, 0) == sizeof options.seed, "getrandom");
    options.seed >>= 16;
    for (int i = 1; i < argc; i++) {
        if (sscanf(argv[i], "--seed=%" SCNu64, &options.seed) == 1 ||
            sscanf(argv[i], "--count=%" SCNu64, &options.count) == 1)
            continue;
        if (strcmp(argv[i], "--expect=bare") == 0)
            options.expect = MODEL_BARE;
        else if (strcmp(argv[i], "--expect=scoped") == 0)
            options.expect = MODEL_SCOPED;
        else if (strcmp(argv[i], "--expect=private") == 0)
            options.expect = MODEL_PRIVATE;
        else if (strcmp(argv[i], "--rules") == 0)
            options.has_rules = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            options.is_verbose = true;
        else if (strcmp(argv[i], "--model") == 0)
            options.is_model = true;
        else
            must(0, argv[i]);
    }
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], PRINT_ENVIRONMENT) == 0) {
        print_environment(argv + 2);
        return 0;
    }
    read_options(argc, argv);
    if (options.is_model)
        return answer_as_model();
    prepare_stage();
    /* What pthread_exit loads, once for all the children. */
    dlopen("libgcc_s.so.1", RTLD_NOW);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fact("seed", "%" PRIu64, options.seed);
    for (uint64_t i = 0; i < options.count; i++)
        run_seed(options.seed + i);
    fact("programs", "%" PRIu64, totals.programs);
    fact("steps", "%" PRIu64, totals.steps);
    fact("contentions", "%" PRIu64, totals.contentions);
    fact("differences", "%" PRIu64, totals.differences);
    return totals.differences != 0;
}
