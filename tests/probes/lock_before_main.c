/* Locks files before main and after it: while the program is being relocated (an IFUNC resolver),
 * before any constructor (DT_PREINIT_ARRAY), in constructors, destructors, exit handlers and the
 * destructor of a thread's key. Files are in the current directory.
 */
#include "outsider.h"
#include <pthread.h>

struct result {
    const char *when;
    const char *step; /* which failed; NULL: none */
    int error;
    int fd;
};

static struct result results[8];
static int count;

/* No stdio and no malloc: some of this is too early for them. */
static void use_locks(const char *when, const char *path) {
    struct result *result = &results[count++];
    const char *step = NULL;
    int error = 0;
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    if ((error = try_lock(fd, FIRST, LENGTH)) != 0)
        step = "lock";
    int copy = dup(fd);
    if (step == NULL && (error = try_lock(copy, 20, LENGTH)) != 0)
        step = "lock through a copy";
    if (close(copy) != 0)
        step = "close";
    if (step == NULL && (error = unlock(fd, 20, LENGTH)) != 0)
        step = "unlock";
    if (step == NULL && (error = try_lock(fd, FIRST, LENGTH)) != 0)
        step = "lock again";
    *result = (struct result){when, step, error, fd};
}

static int answer(void) {
    return 42;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
static int (*resolve(void))(void) {
    use_locks("ifunc", "ifunc.lock");
    return answer;
}
#pragma GCC diagnostic pop
int resolved(void) __attribute__((ifunc("resolve")));

static void before_constructors(int argc, char **argv, char **envp) {
    (void)argc, (void)argv, (void)envp;
    use_locks("preinit", "preinit.lock");
}
__attribute__((section(".preinit_array"),
               used)) static void (*const preinit)(int, char **, char **) = before_constructors;

__attribute__((constructor(101))) static void construct(void) {
    use_locks("constructor", "constructor.lock");
}

static void say(const struct result *result) {
    char key[64];
    fact(result->when, "%s", result->step ? result->step : "ok");
    if (result->step)
        fact("error", "%s", error_name(result->error));
    snprintf(key, sizeof key, "%s_held", result->when);
    fact_outsider(key, result->fd);
    close(result->fd);
}

static void use_and_say(const char *when, const char *path) {
    use_locks(when, path);
    say(&results[count - 1]);
}

__attribute__((destructor)) static void destruct(void) {
    use_and_say("destructor", "destructor.lock");
}

static void at_exit(void) {
    use_and_say("exit_handler", "exit_handler.lock");
}

static void at_thread_end(void *key) {
    (void)key;
    use_and_say("key_destructor", "key_destructor.lock");
}

static void *thread(void *key) {
    pthread_setspecific(*(pthread_key_t *)key, key);
    return NULL;
}

int main(void) {
    pthread_key_t key;
    pthread_t id;
    fact("resolved", "%d", resolved());
    for (int i = 0; i < count; i++)
        say(&results[i]);
    atexit(at_exit);
    must(pthread_key_create(&key, at_thread_end) == 0, "pthread_key_create");
    must(pthread_create(&id, NULL, thread, &key) == 0, "pthread_create");
    pthread_join(id, NULL);
    return 0;
}
