/* A signal handler that reads the environment, and may change it, while the main line does the same.
 *
 *   environment_in_handlers reads|writes|jumps SIGNALS
 *
 * With `jumps` it leaves the handler by siglongjmp, out of whatever was interrupted. Prints how often one of two
 * variables that stay was not found, by the handler and by the main line, and how many entries are there twice at the end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

static volatile int handled, missed_here, missed_in_handler;
static bool writes, jumps;
static sigjmp_buf out;

static int missing(void) {
    return !getenv("FIRST") || !getenv("STAYS") || getenv("NO_SUCH_NAME");
}

static void handle(int signal) {
    (void)signal;
    int saved = errno, found = 0;
    missed_in_handler += missing();
    for (char **entry = environ; entry && *entry; entry++)
        found += strcmp(*entry, "FIRST=stays") == 0 || strcmp(*entry, "STAYS=stays") == 0;
    missed_in_handler += found < 2;
    if (writes) {
        setenv("HANDLER", handled % 2 ? "one" : "two", 1);
        unsetenv("COMES_3");
    }
    handled++;
    errno = saved;
    if (jumps)
        siglongjmp(out, 1);
}

static void change(int i) {
    char name[32];
    snprintf(name, sizeof name, "COMES_%d", i % 9);
    setenv(name, "and goes", 1);
    snprintf(name, sizeof name, "COMES_%d", (i + 4) % 9);
    unsetenv(name);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    int signals = atoi(argv[2]);
    writes = strcmp(argv[1], "writes") == 0;
    jumps = strcmp(argv[1], "jumps") == 0;
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setenv("FIRST", "stays", 1);
    for (int i = 0; i < 9; i++)
        change(i);
    setenv("STAYS", "stays", 1);
    volatile int round = 0;
    sigsetjmp(out, 1);
    for (; handled < signals; round++) {
        struct itimerval once = {{0, 0}, {0, 1 + round % 50}};
        setitimer(ITIMER_REAL, &once, NULL);
        for (int i = 0, before = handled; i < 1000 && handled == before; i++) {
            change(i);
            missed_here += missing();
        }
    }
    int twice = 0;
    for (char **entry = environ; *entry; entry++)
        for (char **other = entry + 1; *other; other++)
            twice += *entry == *other;
    printf("missed=%d\nmissed_in_handler=%d\ntwice=%d\n", missed_here, missed_in_handler, twice);
    return 0;
}
