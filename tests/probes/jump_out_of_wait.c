/* A signal handler leaves a wait for a lock by siglongjmp. The process does not wait any more, so
 * whoever then waits for it is in no cycle.
 *
 *   jump_out_of_wait FILE OTHER-FILE
 *
 * The process holds FILE and gives up to wait for OTHER-FILE, which its child holds; then the child
 * waits for FILE.
 */
#include "outsider.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/time.h>

/* Ticks of the timer until the jump, so that the wait has begun. */
#define TICKS 20

static sigjmp_buf landing;
static volatile sig_atomic_t ticks;

static void tick(int signal) {
    (void)signal;
    if (++ticks == TICKS)
        siglongjmp(landing, 1);
}

static void be_child(const char *path, const char *other_path, const int *from, const int *to) {
    int other = open_file(other_path), fd = open_file(path);
    must(try_lock(other, FIRST, LENGTH) == 0, "the child's lock");
    tell(to[1]);
    wait_told(from[0]);
    tell(to[1]);
    char result = (char)lock_bytes(fd, F_SETLKW, F_WRLCK, FIRST, LENGTH);
    must(write(to[1], &result, 1) == 1, "write");
    _exit(0);
}

static char state_of(pid_t child) {
    char path[64], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    FILE *stat = fopen(path, "re");
    must(stat != NULL && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1, path);
    fclose(stat);
    return state;
}

/* It either sleeps in its wait or was refused, and then says so. */
static void await_child(pid_t child, int from_child) {
    struct pollfd answer = {.fd = from_child, .events = POLLIN};
    while (state_of(child) != 'S' && poll(&answer, 1, 0) == 0)
        sched_yield();
}

static void jump_out(int other) {
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
    must(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
    if (sigsetjmp(landing, 1) == 0) {
        setitimer(ITIMER_REAL, &often, NULL);
        fact("wait", "%s", error_name(lock_bytes(other, F_SETLKW, F_WRLCK, FIRST, LENGTH)));
    }
    setitimer(ITIMER_REAL, &never, NULL);
    fact("jumped", "%s", ticks == TICKS ? "yes" : "no");
}

int main(int argc, char **argv) {
    int to_child[2], from_child[2];
    char result = -1;
    if (argc != 3)
        return 2;
    int fd = open_file(argv[1]), other = open_file(argv[2]);
    must(pipe(to_child) == 0 && pipe(from_child) == 0, "pipe");
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0)
        be_child(argv[1], argv[2], to_child, from_child);
    wait_told(from_child[0]);
    must(try_lock(fd, FIRST, LENGTH) == 0, "the lock");
    jump_out(other);
    tell(to_child[1]);
    wait_told(from_child[0]);
    await_child(child, from_child[0]);
    fact("unlock", "%s", error_name(unlock(fd, FIRST, LENGTH)));
    must(read(from_child[0], &result, 1) == 1, "read");
    fact("child", "%s", error_name(result));
    wait_for(child);
    fact_outsider("left", other);
    return 0;
}
