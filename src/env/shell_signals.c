#include "env/shell_signals.h"

#include "base/short_lock.h"
#include "base/sys.h"

/* As the kernel has it; what libc put there for a handler goes back as it came. */
struct action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static const int signals[] = {SIGINT, SIGQUIT};
#define SIGNALS (sizeof signals / sizeof *signals)

static struct short_lock lock; /* of what follows */
static unsigned users;
static struct action saved[SIGNALS];

static void set_action(int sig, const struct action *set, struct action *get) {
    sys_call6(SYS_rt_sigaction, sig, (long)set, (long)get, SYS_SIGSET_BYTES, 0, 0);
}

void shell_signals_begin(sigset_t *defaults) {
    static const struct action ignore = {.handler = SIG_IGN};
    struct sys_sigset mask;
    sigemptyset(defaults);
    short_lock_take(&lock, &mask);
    for (size_t i = 0; users == 0 && i < SIGNALS; i++)
        set_action(signals[i], &ignore, &saved[i]);
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
            set_action(signals[i], &saved[i], NULL);
    short_lock_give(&lock, &mask);
}

void shell_signals_after_fork(void) {
    short_lock_give_quiet(&lock);
    users = 0;
}
