/* Takes every signal that can be taken and tells which, until SIGTERM: what a program sees of the
 * signals that are sent to its wrapper.
 *
 * Facts: pid; ready=yes when signals are taken; then per signal got=N and, if it was queued,
 * value=N.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("pid=%d\n", (int)getpid());
    puts("ready=yes");
    for (;;) {
        siginfo_t info;
        int sig = sigwaitinfo(&all, &info);
        if (sig < 0)
            continue;
        printf("got=%d\n", sig);
        if (info.si_code == SI_QUEUE)
            printf("value=%d\n", info.si_value.sival_int);
        if (sig == SIGTERM)
            return 0;
    }
}
