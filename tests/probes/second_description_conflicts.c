/* One description of a file holds a lock, a second one of the same file asks for it.
 *
 *   second_description_conflicts reopen|thread|hardlink|symlink|procfd|renamed FILE
 */
#include "lock_probe.h"
#include <pthread.h>

static int open_again(const char *how, int fd, const char *path) {
    char other[4200];
    if (strcmp(how, "procfd") == 0) {
        snprintf(other, sizeof other, "/proc/self/fd/%d", fd);
        return open_file(other);
    }
    snprintf(other, sizeof other, "%s.other", path);
    if (strcmp(how, "hardlink") == 0)
        must(link(path, other) == 0, "link");
    else if (strcmp(how, "symlink") == 0)
        must(symlink(path, other) == 0, "symlink");
    else if (strcmp(how, "renamed") == 0)
        must(rename(path, other) == 0, "rename");
    else
        return open_file(path);
    return open_file(other);
}

static void ask(int second) {
    fact_holder("holder", second, getpid());
    fact("second", "%s", error_name(try_lock(second, FIRST, LENGTH)));
}

static void *ask_in_thread(void *second) {
    ask(*(int *)second);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    int first = open_file(argv[2]);
    fact("first", "%s", error_name(try_lock(first, FIRST, LENGTH)));
    int second = open_again(argv[1], first, argv[2]);
    if (strcmp(argv[1], "thread") == 0) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, ask_in_thread, &second) == 0, "pthread_create");
        pthread_join(thread, NULL);
    } else {
        ask(second);
    }
    return 0;
}
