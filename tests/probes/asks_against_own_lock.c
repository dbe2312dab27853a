/* Asks through a second description for bytes which it has locked through the first one.
 *
 *   asks_against_own_lock FILE [TIMES [END]]
 *
 * END: return (the default), _exit, quick_exit, kill (by SIGKILL), exec (of itself, which asks once
 * more). Prints what became of the requests, and whether it is alone: no thread, no child.
 */
#include "lock_probe.h"
#include <dirent.h>
#include <signal.h>

static int count_threads(void) {
    int count = 0;
    struct dirent *entry;
    DIR *tasks = opendir("/proc/self/task");
    while (tasks && (entry = readdir(tasks)) != NULL)
        count += entry->d_name[0] != '.';
    if (tasks)
        closedir(tasks);
    return count;
}

static void end(const char *how, char **argv) {
    if (strcmp(how, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(how, "_exit") == 0)
        _exit(0);
    if (strcmp(how, "quick_exit") == 0)
        quick_exit(0);
    if (strcmp(how, "exec") == 0)
        execl("/proc/self/exe", argv[0], argv[1], NULL);
}

int main(int argc, char **argv) {
    int granted = 0, refused = 0;
    if (argc < 2)
        return 2;
    long times = argc > 2 ? atol(argv[2]) : 1;
    int first = open_file(argv[1]), second = open_file(argv[1]);
    fact("first", "%s", error_name(try_lock(first, FIRST, LENGTH)));
    for (long i = 0; i < times; i++) {
        int error = try_lock(second, FIRST, LENGTH);
        granted += error == 0;
        refused += error == EAGAIN;
        /* The next instruction of the program must not find an event half written. */
        if (argc > 3 && i == times - 1)
            end(argv[3], argv);
    }
    fact("granted", "%d", granted);
    fact("refused", "%d", refused);
    fact("threads", "%d", count_threads());
    fact("child", "%s", waitpid(-1, NULL, 0) == -1 && errno == ECHILD ? "none" : "one");
    return 0;
}
