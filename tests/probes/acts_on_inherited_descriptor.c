/* A program that was started with a descriptor, and does with it what it is told, in this order.
 *
 *   acts_on_inherited_descriptor FD FILE ACTION...
 *
 * Actions: lock, unlock, close; lock-next (the ten bytes behind); holder (F_GETLK); second (a lock
 * through another description of FILE), close-second; witness:KEY, witness-next:KEY, kind:KEY (ask
 * the outsider); exec (this program again, with the actions that are left); ready:N (write my pid
 * to descriptor N), pause.
 */
#include "lock_probe.h"

static int fd, second = -1;
static const char *file;

static int takes_key(const char *action, const char *name, const char **key) {
    size_t length = strlen(name);
    if (strncmp(action, name, length) != 0 || action[length] != ':')
        return 0;
    *key = action + length + 1;
    return 1;
}

static int act_with_key(const char *action) {
    const char *key;
    pid_t me = getpid();
    if (takes_key(action, "witness", &key))
        fact_witness(key, file);
    else if (takes_key(action, "witness-next", &key))
        fact_witness_at(key, file, FIRST + LENGTH, LENGTH);
    else if (takes_key(action, "kind", &key))
        fact_kind(key, file);
    else if (takes_key(action, "ready", &key))
        must(write(atoi(key), &me, sizeof me) == sizeof me, "ready");
    else
        return 0;
    return 1;
}

/* Not for ever, in case nobody is left to end it. */
static void pause_for_a_while(void) {
    alarm(3 * DEADLINE_MS / 1000);
    pause();
}

static void act(const char *action) {
    if (strcmp(action, "lock") == 0)
        fact("lock", "%s", error_name(try_lock(fd, FIRST, LENGTH)));
    else if (strcmp(action, "lock-next") == 0)
        fact("lock_next", "%s", error_name(try_lock(fd, FIRST + LENGTH, LENGTH)));
    else if (strcmp(action, "unlock") == 0)
        fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    else if (strcmp(action, "close") == 0)
        fact("close", "%s", close(fd) == 0 ? "ok" : error_name(errno));
    else if (strcmp(action, "holder") == 0)
        fact_holder("holder", fd, getppid());
    else if (strcmp(action, "second") == 0)
        fact("second", "%s", error_name(try_lock(second = open_file(file), FIRST, LENGTH)));
    else if (strcmp(action, "close-second") == 0)
        fact("close_second", "%s", close(second) == 0 ? "ok" : error_name(errno));
    else if (strcmp(action, "pause") == 0)
        pause_for_a_while();
    else if (!act_with_key(action))
        must(0, action);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    fd = atoi(argv[1]);
    file = argv[2];
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "exec") == 0) {
            argv[i] = argv[2];
            argv[i - 1] = argv[1];
            argv[i - 2] = argv[0];
            execv(argv[0], argv + i - 2);
            must(0, "exec");
        }
        act(argv[i]);
    }
    return 0;
}
