/* Starts locks_until_killed again and again, and kills it at a random instant: then nothing is locked, though a child
 * with copies of its descriptors lives on, and the next run gets all its locks at once.
 *
 *   kills_at_random [--seed=S] [--count=N] FILE COMMAND...
 *
 * COMMAND is locks_until_killed, or what starts it in its own place; FILE and a word are appended. Round i has
 * the seed S + i, so --seed=S --count=1 repeats one as far as an instant can be repeated.
 */
#include "lock_probe.h"
#include <inttypes.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#define WORDS_MAX 64
#define OWN_BYTES 100 /* of FILE, that are the killed process's alone */

static uint64_t seed;
static uint64_t late;
static const char *path;
static char *words[WORDS_MAX];
static int word_count;

#define must_in_round(succeeded, what)                                                             \
    do {                                                                                           \
        if (!(succeeded))                                                                          \
            fact("round", "--seed=%" PRIu64 " --count=1", seed);                                   \
        must(succeeded, what);                                                                     \
    } while (0)

static pid_t start(const char *how) {
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0) {
        setpgid(0, 0);
        words[word_count] = (char *)path;
        words[word_count + 1] = (char *)how;
        execvp(words[0], words);
        _exit(127);
    }
    setpgid(child, child);
    return child;
}

/* As often within the first 16 microseconds as between 67 and 134 milliseconds: each stage of a run has its share,
 * from the exec on. */
static void let_some_time_pass(void) {
    uint64_t random = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    random = (random ^ random >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    random ^= random >> 27;
    long span = 1L << (14 + random % 14);
    struct timespec time = {.tv_nsec = (long)(random >> 8) & (span - 1)};
    nanosleep(&time, NULL);
}

/* An outsider's question. */
static int is_free(const char *name, off_t length) {
    int fd = open_file(name);
    struct flock lock = {.l_type = F_WRLCK, .l_len = length};
    must(fcntl(fd, F_OFD_GETLK, &lock) == 0, "F_OFD_GETLK");
    int answer = lock.l_type == F_UNLCK && flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return answer;
}

/* A child that was forked in the same instant lets go of its copies as soon as it runs. */
static void await_free_bytes(void) {
    long give_up = milliseconds() + DEADLINE_MS;
    late += !is_free(path, OWN_BYTES);
    while (!is_free(path, OWN_BYTES)) {
        must_in_round(milliseconds() < give_up, "the locks to be gone with their owner");
        sched_yield();
    }
}

static void must_be_free(const char *suffix) {
    char name[4096];
    char inode[32];
    char line[256];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", path, suffix);
    must_in_round(is_free(name, 0), name);
    must(stat(name, &st) == 0, name);
    snprintf(inode, sizeof inode, ":%lu ", (unsigned long)st.st_ino);
    FILE *locks = fopen("/proc/locks", "re");
    must(locks != NULL, "/proc/locks");
    while (fgets(line, sizeof line, locks) != NULL)
        must_in_round(strstr(line, inode) == NULL, line);
    fclose(locks);
}

static void kill_one(void) {
    int status;
    pid_t victim = start("until-killed");
    let_some_time_pass();
    kill(victim, SIGKILL);
    must(waitpid(victim, &status, 0) == victim, "waitpid");
    must_in_round(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a death by SIGKILL");
    await_free_bytes();
    kill(-victim, SIGKILL);
    while (wait(NULL) != -1 || errno == EINTR)
        ;
    must_be_free("");
    must_be_free(".ofd");
    must_be_free(".flock");
}

static void run_once(void) {
    int status;
    pid_t next = start("once");
    must(waitpid(next, &status, 0) == next, "waitpid");
    must_in_round(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the next run");
}

int main(int argc, char **argv) {
    uint64_t count = 1;
    int at = 1;
    must(getrandom(&seed, 4, 0) == 4, "getrandom");
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strncmp(argv[at], "--seed=", 7) == 0)
            seed = strtoull(argv[at] + 7, NULL, 10);
        else if (strncmp(argv[at], "--count=", 8) == 0)
            count = strtoull(argv[at] + 8, NULL, 10);
    }
    must(at + 1 < argc && argc - at < WORDS_MAX - 2, "FILE COMMAND");
    path = argv[at++];
    for (; at < argc; at++)
        words[word_count++] = argv[at];
    fact("seed", "%" PRIu64, seed);
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "the children of the killed");
    for (uint64_t i = 0; i < count; i++, seed++) {
        kill_one();
        run_once();
    }
    fact("killed", "%" PRIu64, count);
    fact("late", "%" PRIu64, late);
    return 0;
}
