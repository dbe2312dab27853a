/* An outsider: another process, never under the shim, which says who holds the bytes of a file.
 *
 *   witness FILE START LEN TYPE   prints held=free|read|write as met by a request of TYPE (read,
 * write) witness serve SOCKET          answers "QUESTION START LEN FILE" on SOCKET until stdin ends
 *
 * Questions: look (what a writer meets), kind (POSIX, OFDLCK or none), waiters (how many), take
 * (wait for the bytes, release them; how many milliseconds it took, or "never"). F_GETLK and
 * /proc/locks must agree, or the answer says that they do not.
 */
#include "lock_probe.h"
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>

struct question {
    char verb[16];
    long long start, length;
    char path[4096];
};

struct listed {
    char kind[16]; /* of the last lock that covers one of the bytes */
    int holders, waiters;
};

/* MAJOR:MINOR:INODE as the kernel writes it. It is not always what stat says (overlay, btrfs): the
 * name that it gives to a flock of ours is. That conflicts with no record lock. */
static void kernel_name_of(int fd, char *name, size_t size) {
    char path[64], line[256];
    struct stat st;
    must(fstat(fd, &st) == 0, "fstat");
    snprintf(name, size, "%02x:%02x:%llu", (unsigned)(st.st_dev >> 8) & 0xfff,
             (unsigned)st.st_dev & 0xff, (unsigned long long)st.st_ino);
    if (flock(fd, LOCK_SH | LOCK_NB) == -1)
        return;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *info = fopen(path, "re");
    must(info != NULL, path);
    while (fgets(line, sizeof line, info) != NULL)
        if (sscanf(line, "lock: %*d: FLOCK %*s %*s %*d %63s", name) == 1)
            break;
    fclose(info);
    flock(fd, LOCK_UN);
}

static int covers(const char *first, const char *last, const struct question *q) {
    long long from = atoll(first);
    long long to = strcmp(last, "EOF") == 0 ? INT64_MAX : atoll(last);
    long long end = q->length == 0 ? INT64_MAX : q->start + q->length - 1;
    return from <= end && to >= q->start;
}

static struct listed look_in_proc(int fd, const struct question *q) {
    struct listed result = {.kind = "none"};
    char wanted[64], line[512], kind[16], name[64], first[32], last[32];
    kernel_name_of(fd, wanted, sizeof wanted);
    FILE *locks = fopen("/proc/locks", "re");
    must(locks != NULL, "/proc/locks");
    while (fgets(line, sizeof line, locks) != NULL) {
        int waits = strstr(line, "->") != NULL;
        const char *rest = strchr(line, ':') + 1;
        if (waits)
            rest = strstr(line, "->") + 2;
        if (sscanf(rest, " %15s %*s %*s %*d %63s %31s %31s", kind, name, first, last) != 4 ||
            strcmp(name, wanted) != 0 || strcmp(kind, "FLOCK") == 0)
            continue;
        result.waiters += waits;
        if (waits || !covers(first, last, q))
            continue;
        result.holders++;
        memcpy(result.kind, kind, sizeof kind);
    }
    fclose(locks);
    return result;
}

static void look(int fd, const struct question *q, short type, char *answer, size_t size) {
    struct listed listed = look_in_proc(fd, q);
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = q->start, .l_len = q->length};
    must(fcntl(fd, F_GETLK, &lock) == 0, "F_GETLK");
    /* A reader does not meet the readers that are listed. */
    int agree = (lock.l_type != F_UNLCK) == (listed.holders > 0) ||
                (type == F_RDLCK && lock.l_type == F_UNLCK);
    snprintf(answer, size, "%s%s", lock_type_name(lock.l_type),
             agree ? "" : ", but /proc/locks does not agree");
}

static void ignore(int signal) {
    (void)signal;
}

static void take(int fd, const struct question *q, char *answer, size_t size) {
    long began = milliseconds();
    alarm(DEADLINE_MS / 1000);
    int error = lock_bytes(fd, F_SETLKW, F_WRLCK, q->start, q->length);
    alarm(0);
    if (error == 0)
        snprintf(answer, size, "%ld", milliseconds() - began);
    else
        snprintf(answer, size, "never");
}

static int open_any(const char *path) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    return fd != -1 ? fd : open(path, O_RDONLY | O_CLOEXEC); /* a directory */
}

static void answer_to(const struct question *q, char *answer, size_t size) {
    int fd = open_any(q->path);
    if (fd == -1)
        snprintf(answer, size, "no such file");
    else if (strcmp(q->verb, "kind") == 0)
        snprintf(answer, size, "%s", look_in_proc(fd, q).kind);
    else if (strcmp(q->verb, "waiters") == 0)
        snprintf(answer, size, "%d", look_in_proc(fd, q).waiters);
    else if (strcmp(q->verb, "take") == 0)
        take(fd, q, answer, size);
    else
        look(fd, q, F_WRLCK, answer, size);
    close(fd);
}

static void serve_one(int listener) {
    char text[4300], answer[128] = "a question that nobody understands";
    size_t filled = 0;
    ssize_t got;
    struct question q = {.length = 0};
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    must(fd != -1, "accept");
    while (filled + 1 < sizeof text && (filled == 0 || text[filled - 1] != '\n') &&
           (got = read(fd, text + filled, sizeof text - filled - 1)) > 0)
        filled += (size_t)got;
    text[filled] = '\0';
    if (sscanf(text, "%15s %lld %lld %4095[^\n]", q.verb, &q.start, &q.length, q.path) == 4)
        answer_to(&q, answer, sizeof answer);
    /* Whoever asked may have been killed. */
    ssize_t sent = send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    (void)sent;
    close(fd);
}

static int serve(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(listener != -1 && strlen(name) < sizeof address.sun_path, "socket");
    memcpy(address.sun_path, name, strlen(name) + 1);
    unlink(name);
    must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(listener, 64) == 0, "listen");
    for (;;) {
        struct pollfd watched[2] = {{.fd = listener, .events = POLLIN}, {.fd = STDIN_FILENO}};
        if (poll(watched, 2, -1) == -1)
            continue;
        if (watched[0].revents != 0)
            serve_one(listener);
        else if (watched[1].revents != 0)
            return 0;
    }
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = ignore}; /* no SA_RESTART: ends the wait in take */
    struct question q = {.verb = "look"};
    char answer[128];
    sigaction(SIGALRM, &action, NULL);
    if (argc == 3 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2]);
    if (argc != 5 || strlen(argv[1]) >= sizeof q.path) {
        fprintf(stderr, "usage: witness FILE START LEN read|write\n       witness serve SOCKET\n");
        return 2;
    }
    memcpy(q.path, argv[1], strlen(argv[1]) + 1);
    q.start = atoll(argv[2]);
    q.length = atoll(argv[3]);
    int fd = open_any(q.path);
    must(fd != -1, q.path);
    look(fd, &q, strcmp(argv[4], "read") == 0 ? F_RDLCK : F_WRLCK, answer, sizeof answer);
    fact("held", "%s", answer);
    fact("kind", "%s", look_in_proc(fd, &q).kind);
    return 0;
}
