#include "env/shell_signals.h"

#include "base/short_lock.h"
#include "base/sys.h"

static const int signals[] = {SIGINT, SIGQUIT};
#define SIGNALS (sizeof signals / sizeof *signals)

static struct short_lock lock; /* of what follows */
static unsigned users;
static struct sys_action
    saved[SIGNALS]; /* what libc put there for a handler goes back as it came */

void shell_signals_begin(sigset_t *defaults) {
    static const struct sys_action ignore = {.handler = SIG_IGN};
    struct sys_sigset mask;
    sigemptyset(defaults);
    short_lock_take(&lock, &mask);
    for (size_t i = 0; users == 0 && i < SIGNALS; i++)
        sys_sigaction(signals[i], &ignore, &saved[i]);
    users++;
    for (size_t i = 0; i < SIGNALS; i++)
        if (saved[i].handler != SIG_IGN)
            sigaddset(defaults, signals[i]);
    short_lock_give(&lock, &mask);
}

void shell_signals_end(void) {
    struct sys_sigset mask;
    short_lock_take(&lock, &mask);
    if (users > 0 && --users == 0)
        for (size_t i = 0; i < SIGNALS; i++)
            sys_sigaction(signals[i], &saved[i], NULL);
    short_lock_give(&lock, &mask);
}

void shell_signals_after_fork(void) {
    short_lock_give_quiet(&lock);
    users = 0;
}
