/* Which calls act on a cancellation that is pending when they begin, and whether they then have
 * done their work.
 *
 *   cancellation_points FILE
 */
#include "outsider.h"
#include <pthread.h>

static const char *path;
static int fd, returned;

static int call_close(void) {
    return close(fd);
}

static int call_setlk(void) {
    return try_lock(fd, FIRST, LENGTH);
}

static int call_setlkw(void) {
    return lock_bytes(fd, F_SETLKW, F_WRLCK, FIRST, LENGTH);
}

static int call_getlk(void) {
    return lock_bytes(fd, F_GETLK, F_WRLCK, FIRST, LENGTH);
}

static int call_ofd_setlkw(void) {
    return lock_bytes(fd, F_OFD_SETLKW, F_WRLCK, FIRST, LENGTH);
}

static int call_lockf(void) {
    return lockf(fd, F_LOCK, LENGTH);
}

static int call_lockf_try(void) {
    return lockf(fd, F_TLOCK, LENGTH);
}

static int call_dup2(void) {
    return dup2(fd, 200);
}

static int call_dup(void) {
    return dup(fd);
}

static int call_getfd(void) {
    return fcntl(fd, F_GETFD);
}

static int call_close_range(void) {
    return close_range((unsigned)fd, (unsigned)fd, 0);
}

static int call_fclose(void) {
    return fclose(fdopen(fd, "r+"));
}

static int call_system(void) {
    return system("exit 0");
}

static int call_pclose(void) {
    return pclose(popen("exit 0", "r"));
}

static const struct {
    const char *key;
    int (*call)(void);
} calls[] = {
    {"close", call_close},
    {"F_SETLK", call_setlk},
    {"F_SETLKW", call_setlkw},
    {"F_GETLK", call_getlk},
    {"F_OFD_SETLKW", call_ofd_setlkw},
    {"lockf", call_lockf},
    {"lockf_try", call_lockf_try},
    {"dup", call_dup},
    {"dup2", call_dup2},
    {"F_GETFD", call_getfd},
    {"close_range", call_close_range},
    {"fclose", call_fclose},
    {"system", call_system},
    {"pclose", call_pclose},
};

static void *call_cancelled(void *number) {
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    calls[(long)number].call();
    returned = 1;
    return NULL;
}

static void try_call(long number, const char *when) {
    pthread_t thread;
    char key[64];
    returned = 0;
    must(pthread_create(&thread, NULL, call_cancelled, (void *)number) == 0, "pthread_create");
    pthread_join(thread, NULL);
    snprintf(key, sizeof key, "%s%s", calls[number].key, when);
    fact(key, "%s %s %s", returned ? "returned" : "cancelled",
         fcntl(fd, F_GETFD) == -1 ? "closed" : "open",
         fcntl(fd, F_GETFD) == -1 ? "" : lock_type_name(outsider_look(fd, FIRST, LENGTH).type));
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    path = argv[1];
    for (long i = 0; i < (long)(sizeof calls / sizeof calls[0]); i++) {
        fd = open_file(path);
        try_call(i, "");
        closefrom(3);
        fd = open_file(path);
        must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
        try_call(i, "_when_locked");
        closefrom(3);
    }
    fd = open_file(path);
    fact_outsider("left", fd);
    return 0;
}
