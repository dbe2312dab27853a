#define _GNU_SOURCE
#include "witness.h"

#include "command.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In memory that both processes share. */
struct witness_page {
    _Atomic uint32_t asked;
    _Atomic uint32_t answered; /* the question that `sent` answers */
    uint32_t sent[NSIG];
};

static void wake(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_while(_Atomic uint32_t *word, uint32_t value, const struct timespec *most) {
    syscall(SYS_futex, word, FUTEX_WAIT, value, most, NULL, 0);
}

static int take_pending(siginfo_t *info) {
    static const struct timespec at_once = {0};
    sigset_t all;
    int sig;
    sigfillset(&all);
    do
        sig = sigtimedwait(&all, info, &at_once);
    while (sig < 0 && errno == EINTR);
    return sig > 0 ? sig : 0;
}

static _Noreturn void bear_witness(struct witness_page *page) {
    for (uint32_t asked = 0;;) {
        siginfo_t info;
        int sig;
        while (atomic_load(&page->asked) == asked)
            wait_while(&page->asked, asked, NULL);
        asked = atomic_load(&page->asked);
        memset(page->sent, 0, sizeof page->sent);
        while ((sig = take_pending(&info)) > 0)
            page->sent[sig]++;
        atomic_store(&page->answered, asked);
        wake(&page->answered);
    }
}

void witness_begin(struct witness *witness) {
    pid_t parent = getpid();
    struct witness_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    *witness = (struct witness){0};
    if (page == MAP_FAILED)
        return;
    pid_t pid = fork();
    if (pid == 0) {
        die_with(parent);
        closefrom(0);
        prctl(PR_SET_NAME, "shim-witness");
        bear_witness(page);
    }
    if (pid < 0)
        munmap(page, sizeof *page);
    else
        *witness = (struct witness){.pid = pid, .page = page};
}

void witness_end(struct witness *witness) {
    if (witness->pid > 0) {
        kill(witness->pid, SIGKILL);
        while (waitpid(witness->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (witness->page)
        munmap(witness->page, sizeof *witness->page);
    *witness = (struct witness){0};
}

/* One that does not answer was stopped or killed, and another takes its place. */
static void ask(struct witness *witness) {
    static const struct timespec a_tenth = {.tv_nsec = 100000000};
    if (witness->pid <= 0)
        return;
    uint32_t question = atomic_fetch_add(&witness->page->asked, 1) + 1;
    uint32_t answered;
    wake(&witness->page->asked);
    for (int tries = 0; (answered = atomic_load(&witness->page->answered)) != question; tries++) {
        if (tries == 10) {
            witness_end(witness);
            witness_begin(witness);
            return;
        }
        wait_while(&witness->page->answered, answered, &a_tenth);
    }
    for (int sig = 1; sig < NSIG; sig++)
        witness->sent[sig] += witness->page->sent[sig];
}

static bool is_queued(int sig) {
    return sig >= SIGRTMIN;
}

/* Of SIGCONT and the signals that stop, each takes away those of the other sort that are pending. */
static void forget_opposites(struct witness *witness, int sig, const sigset_t *pending) {
    static const int stopping[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++) {
        int other = sig == SIGCONT ? stopping[i] : sig == stopping[i] ? SIGCONT : 0;
        if (other && !sigismember(pending, other))
            witness->sent[other] = 0;
    }
}

/* A signal that does not queue may have come to the witness once more before we took ours. If ours is pending again,
 * that is the second one; if it is not, both became one here. */
static bool take_late_one(struct witness *witness, int sig, const sigset_t *pending) {
    if (witness->sent[sig] == 0 || (!is_queued(sig) && sigismember(pending, sig)))
        return false;
    witness->sent[sig] = is_queued(sig) ? witness->sent[sig] - 1 : 0;
    return true;
}

int witness_take(struct witness *witness, siginfo_t *info, bool *was_group) {
    sigset_t pending;
    ask(witness);
    int sig = take_pending(info);
    if (sig == 0)
        return 0;
    *was_group = witness->sent[sig] > 0;
    witness->sent[sig] -= *was_group;
    ask(witness);
    sigpending(&pending);
    if (!*was_group || !is_queued(sig))
        *was_group |= take_late_one(witness, sig, &pending);
    forget_opposites(witness, sig, &pending);
    return sig;
}

void witness_spent(struct witness *witness, int sig) {
    ask(witness);
    witness->sent[sig] = 0;
}
