/* A job queue that keeps its state in the file that it locks. It locks the file, looks up by fopen and fclose which job
 * is next, and runs it: closing the stream drops the lock, so whoever is started meanwhile takes the same job.
 *
 *     reads_its_own_lock_file FILE [NEXT-COMMAND]     NEXT-COMMAND runs while this process works
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only a real frame of its own can be seen on a stack. */
#define STEP __attribute__((noinline)) static

STEP void take_queue(const char *path) {
    struct flock whole = {.l_type = F_WRLCK};
    int lock = open(path, O_RDWR);
    if (lock < 0)
        exit(2);
    if (fcntl(lock, F_SETLK, &whole) != 0) {
        printf("busy: %s\n", strerror(errno));
        exit(0);
    }
}

STEP void read_state(const char *path, char job[64]) {
    FILE *state = fopen(path, "r");
    if (!state || !fgets(job, 64, state))
        exit(2);
    fclose(state);
}

int main(int argc, char **argv) {
    char job[64];
    if (argc < 2)
        return 2;
    take_queue(argv[1]);
    read_state(argv[1], job);
    printf("runs %s", job);
    fflush(stdout);
    if (argc > 2 && system(argv[2]) != 0)
        return 2;
    return 0;
}
