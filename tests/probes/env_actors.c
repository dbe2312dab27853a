/* Threads that read and write the environment and start programs, one step at a time, as the lines on stdin tell them.
 *
 *   env_actors <SCRIPT
 *
 * A line is a step, see environment_actors.h; it is printed with its answer: "b get X: X=1". Blank lines and those that
 * begin with # are skipped. The threads are this process's own, the one who reads the script is its child.
 */
#include "environment_actors.h"

static void print(const char *line, const char *what) {
    char text[LINE_MAX_LENGTH + ANSWER_MAX_LENGTH + 8];
    int length = snprintf(text, sizeof text, "%s: %s\n", line, what);
    must(write(STDOUT_FILENO, text, (size_t)length) == length, "write");
}

static void end_process(void) {
    for (int i = 0; i < ACTORS; i++)
        if (atomic_load(&stage->actors[i].state) == READY) {
            snprintf(stage->actors[i].line, LINE_MAX_LENGTH, "%c end-process", 'a' + i);
            set_state(&stage->actors[i], BUSY);
            return;
        }
}

static void follow_script(void) {
    char line[LINE_MAX_LENGTH];
    while (atomic_load(&stage->actors[0].state) == ABSENT)
        await_change(&stage->actors[0], ABSENT);
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '\0' || line[0] == '#')
            continue;
        const char *said = direct_step(line);
        print(line, said == NULL ? "no answer" : said);
    }
    end_process();
}

int main(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], PRINT_ENVIRONMENT) == 0) {
        print_environment(argv + 2);
        return 0;
    }
    prepare_stage();
    stage->pid = getpid();
    pid_t controller = fork();
    must(controller != -1, "fork");
    if (controller == 0) {
        follow_script();
        _exit(0);
    }
    stage->controller = controller;
    act(&stage->actors[0]);
}
