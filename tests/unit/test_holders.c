/* The table of holders, and the search for those who are not in it. */
#include "processes.h"

#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>

#define LAST ((uint64_t)INT64_MAX)

/* Takes the kernel's lock through a descriptor of its own and says so in the table. */
struct holding {
    int hidden;
    struct holder_entry *entry;
    struct range_set set;
};

static void hold_range(struct holding *h, uint64_t start, uint64_t end) {
    struct held held = {.start = start, .end = end, .type = RANGE_WRITE};
    if (kernel_lock(h->hidden, F_WRLCK, start, end) < 0)
        _exit(90);
    range_set_lock(&h->set, &held);
    holder_update(h->entry, &h->set, false);
}

static void release_range(struct holding *h, uint64_t start, uint64_t end) {
    struct byte_range range = {start, end};
    range_set_unlock(&h->set, &range);
    holder_update(h->entry, &h->set, false);
    kernel_lock(h->hidden, F_UNLCK, start, end);
}

static void hold_file(struct holding *h, const char *name) {
    struct stat st;
    *h = (struct holding){0};
    h->hidden = open_file(name, &st);
    h->entry = holder_publish(st.st_dev, st.st_ino, h->hidden);
}

static pid_t find(const char *name, uint64_t start, uint64_t end, enum range_type type) {
    struct stat st;
    struct byte_range range = {start, end};
    int fd = open_file(name, &st);
    close(fd);
    errno = 77;
    pid_t pid = holder_find(st.st_dev, st.st_ino, &range, type);
    CHECK_EQ(errno, 77);
    return pid;
}

/* The coarse clock must have gone on by more than the moment for which an entry is trusted. */
static void let_trust_end(void) {
    struct timespec first, now;
    clock_gettime(CLOCK_MONOTONIC, &first);
    do {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - first.tv_sec) * 1000 + (now.tv_nsec - first.tv_nsec) / 1000000 <
             3 * HOLDER_TRUST_MS);
}

static void one_range(void *argument) {
    struct holding h;
    hold_file(&h, argument);
    hold_range(&h, 0, 0);
    tell(h.entry != NULL);
    wait_step();
    release_range(&h, 0, 0);
    tell(1);
    wait_step();
    holder_withdraw(h.entry);
}

TEST("L4: a holder that said so is named") {
    fresh_directory();
    struct child child = start_child(one_range, "file");
    CHECK_EQ(heard_from(&child), 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(find("file", 0, 0, RANGE_WRITE), child.pid);
    let_trust_end();
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), child.pid);
    CHECK_EQ(find("file", 0, 0, RANGE_READ), -1);
    CHECK_EQ(find("file", 1, 1, RANGE_WRITE), -1);
    CHECK_EQ(find("other", 0, 0, RANGE_WRITE), -1);
    kill_child(&child);
}

TEST("L4: who holds the same range afterwards is named, not who held it before") {
    fresh_directory();
    struct child first = start_child(one_range, "file");
    CHECK_EQ(heard_from(&first), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), first.pid);
    let_go_on(&first);
    heard_from(&first);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), -1);
    struct child second = start_child(one_range, "file");
    CHECK_EQ(heard_from(&second), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), second.pid);
    let_go_on(&second);
    heard_from(&second);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), -1);
    kill_child(&first);
    kill_child(&second);
}

static void bare_lock(void *argument) {
    struct stat st;
    int fd = open_file(argument, &st);
    tell(kernel_lock(fd, F_WRLCK, 0, 0) == 0);
    wait_step();
}

TEST("L4: a holder that was killed is not named in place of the next one") {
    fresh_directory();
    struct child killed = start_child(one_range, "file");
    CHECK_EQ(heard_from(&killed), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), killed.pid);
    CHECK_EQ(kill_child(&killed), 128 + SIGKILL);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), -1);
    struct child next = start_child(bare_lock, "file");
    CHECK_EQ(heard_from(&next), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), next.pid);
    kill_child(&next);
}

TEST("L4: a holder that was killed and not yet reaped is not named for longer than a moment") {
    fresh_directory();
    struct child killed = start_child(one_range, "file");
    CHECK_EQ(heard_from(&killed), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), killed.pid);
    siginfo_t info;
    kill(killed.pid, SIGKILL);
    CHECK_EQ(waitid(P_PID, (id_t)killed.pid, &info, WEXITED | WNOWAIT), 0);
    struct child next = start_child(bare_lock, "file");
    CHECK_EQ(heard_from(&next), 1);
    let_trust_end();
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), next.pid);
    end_child(&killed);
    kill_child(&next);
}

static void three_ranges(void *argument) {
    struct holding h;
    (void)argument;
    hold_file(&h, "file");
    struct held *items = calloc(16, sizeof *items);
    range_set_move(&h.set, items, 16);
    hold_range(&h, 0, 9);
    hold_range(&h, 20, 29);
    hold_range(&h, 40, LAST);
    tell(1);
    wait_step();
    release_range(&h, 20, 29);
    tell(1);
    wait_step();
}

TEST("L4: a holder of several ranges is named for each of them, as long as it holds it") {
    fresh_directory();
    struct child child = start_child(three_ranges, NULL);
    heard_from(&child);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(find("file", 0, 9, RANGE_WRITE), child.pid);
        CHECK_EQ(find("file", 20, 29, RANGE_WRITE), child.pid);
        CHECK_EQ(find("file", 40, LAST, RANGE_WRITE), child.pid);
    }
    CHECK_EQ(find("file", 10, 19, RANGE_WRITE), -1);
    let_go_on(&child);
    heard_from(&child);
    CHECK_EQ(find("file", 20, 29, RANGE_WRITE), -1);
    CHECK_EQ(find("file", 40, LAST, RANGE_WRITE), child.pid);
    kill_child(&child);
}

static void readers_of_several(void *argument) {
    struct holding h;
    hold_file(&h, "file");
    kernel_lock(h.hidden, F_RDLCK, 100, argument ? 109 : 119);
    kernel_lock(h.hidden, F_RDLCK, 200, argument ? 209 : 219);
    holder_update(h.entry, &h.set, true);
    tell(1);
    wait_step();
}

TEST("L4: of holders whose ranges overlap, the one of exactly that range is named") {
    fresh_directory();
    struct child first = start_child(readers_of_several, NULL);
    struct child second = start_child(readers_of_several, "shorter");
    heard_from(&first);
    heard_from(&second);
    CHECK_EQ(find("file", 100, 119, RANGE_READ), first.pid);
    CHECK_EQ(find("file", 100, 109, RANGE_READ), second.pid);
    CHECK_EQ(find("file", 200, 219, RANGE_READ), first.pid);
    CHECK_EQ(find("file", 200, 209, RANGE_READ), second.pid);
    CHECK_EQ(find("file", 200, 200, RANGE_READ), -1);
    kill_child(&first);
    kill_child(&second);
}

static void unsure_of_it(void *argument) {
    struct holding h;
    (void)argument;
    hold_file(&h, "file");
    kernel_lock(h.hidden, F_RDLCK, 5, 6);
    holder_update(h.entry, &h.set, true);
    tell(1);
    wait_step();
}

TEST("L4: a holder that is unsure of its ranges is asked through the kernel") {
    fresh_directory();
    struct child child = start_child(unsure_of_it, NULL);
    heard_from(&child);
    CHECK_EQ(find("file", 5, 6, RANGE_READ), child.pid);
    CHECK_EQ(find("file", 7, 8, RANGE_READ), -1);
    kill_child(&child);
}

static void liar(void *argument) {
    struct holding h;
    struct held held = {.start = 0, .end = 0, .type = RANGE_WRITE};
    (void)argument;
    hold_file(&h, "file");
    range_set_lock(&h.set, &held);
    holder_update(h.entry, &h.set, false);
    tell(1);
    wait_step();
}

TEST("L4: an entry that says a lock which the kernel does not know is not believed") {
    fresh_directory();
    struct child child = start_child(liar, NULL);
    heard_from(&child);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), -1);
    struct child holder = start_child(bare_lock, "file");
    heard_from(&holder);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), holder.pid);
    kill_child(&child);
    kill_child(&holder);
}

TEST("L4: a holder outside the shim is searched for, and remembered") {
    fresh_directory();
    struct child first = start_child(bare_lock, "file");
    heard_from(&first);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), first.pid);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), first.pid);
    kill_child(&first);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), -1);
    struct child second = start_child(bare_lock, "file");
    heard_from(&second);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), second.pid);
    kill_child(&second);
}

static void ask_about_parent(void *argument) {
    (void)argument;
    tell(find("file", 3, 3, RANGE_WRITE) == getppid());
}

TEST("L4: a child is told of its parent's lock, a process never of itself") {
    fresh_directory();
    struct holding h;
    hold_file(&h, "file");
    hold_range(&h, 3, 3);
    CHECK_EQ(find("file", 3, 3, RANGE_WRITE), -1);
    struct child child = start_child(ask_about_parent, NULL);
    CHECK_EQ(heard_from(&child), 1);
    end_child(&child);
    close(h.hidden);
}

static void publish_many(void *argument) {
    struct holding h;
    (void)argument;
    hold_file(&h, "file");
    struct stat st;
    fstat(h.hidden, &st);
    int published = h.entry != NULL;
    for (int i = 1; i < 100; i++)
        published += holder_publish(st.st_dev, st.st_ino, 1000 + i) != NULL;
    tell((char)published);
    wait_step();
}

TEST("L4: entries of the dead are used again when there is no room") {
    fresh_directory();
    struct child child = start_child(publish_many, NULL);
    int published = heard_from(&child);
    CHECK(published > 0 && published < 100);
    struct holding h;
    hold_file(&h, "file");
    CHECK(h.entry == NULL);
    close(h.hidden);
    kill_child(&child);
    hold_file(&h, "file");
    CHECK(h.entry != NULL);
    holder_withdraw(h.entry);
    close(h.hidden);
}

TEST("L4: a process that took over an image takes over its entry") {
    fresh_directory();
    struct holding h;
    hold_file(&h, "file");
    struct stat st;
    fstat(h.hidden, &st);
    CHECK(holder_publish(st.st_dev, st.st_ino, h.hidden) == h.entry);
    struct holder_entry *other = holder_publish(st.st_dev, st.st_ino, h.hidden + 1);
    CHECK(other != NULL && other != h.entry);
    holder_withdraw(other);
    holder_withdraw(h.entry);
    close(h.hidden);
}

/* Writes noise over the shared file. */
static void fill_with_noise(unsigned seed) {
    char name[64];
    snprintf(name, sizeof name, "raceshim.%u.%d", (unsigned)geteuid(), SHARED_VERSION);
    int fd = open(path_of(name), O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    uint32_t *noise = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(noise != MAP_FAILED);
    for (size_t i = 0; i < SHARED_BYTES / 4; i++) {
        seed = seed * 1664525 + 1013904223;
        noise[i] = seed ^ seed >> 13;
    }
    munmap(noise, SHARED_BYTES);
    close(fd);
}

TEST("L4: noise in the table deceives and hurts nobody") {
    fresh_directory();
    struct child child = start_child(one_range, "file");
    CHECK_EQ(heard_from(&child), 1);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), child.pid);
    for (unsigned seed = 1; seed < 5; seed++) {
        fill_with_noise(seed);
        CHECK_EQ(find("file", 0, 0, RANGE_WRITE), child.pid);
        CHECK_EQ(find("file", 1, 2, RANGE_WRITE), -1);
        struct holding h;
        hold_file(&h, "other");
        struct held held = {.start = 7, .end = 7, .type = RANGE_READ};
        range_set_lock(&h.set, &held);
        holder_update(h.entry, &h.set, false);
        holder_withdraw(h.entry);
        close(h.hidden);
    }
    kill_child(&child);
}

TEST("H3: without a directory for the shared file, holders are searched for") {
    fresh_directory();
    char missing[300];
    snprintf(missing, sizeof missing, "%s/missing", directory);
    CHECK(shared_set_directory(missing));
    CHECK(shared_here() == NULL);
    struct stat st;
    int fd = open_file("file", &st);
    CHECK(holder_publish(st.st_dev, st.st_ino, fd) == NULL);
    holder_update(NULL, NULL, false);
    holder_withdraw(NULL);
    close(fd);
    struct child child = start_child(bare_lock, "file");
    heard_from(&child);
    CHECK_EQ(find("file", 0, 0, RANGE_WRITE), child.pid);
    kill_child(&child);
}

/* The shared file's own name. */
static const char *shared_name(void) {
    static char path[400];
    snprintf(path, sizeof path, "%s/raceshim.%u.%d", directory, (unsigned)geteuid(),
             SHARED_VERSION);
    return path;
}

TEST(
    "R5: a shared file that others can read, reach by a link or know by another name is not used") {
    char other[320];
    fresh_directory();
    CHECK_EQ(close(open(shared_name(), O_RDWR | O_CREAT, 0644)), 0);
    chmod(shared_name(), 0644);
    CHECK(shared_here() == NULL);

    fresh_directory();
    snprintf(other, sizeof other, "%s/other", directory);
    CHECK_EQ(close(open(other, O_RDWR | O_CREAT, 0600)), 0);
    CHECK_EQ(symlink(other, shared_name()), 0);
    CHECK(shared_here() == NULL);

    fresh_directory();
    snprintf(other, sizeof other, "%s/other", directory);
    CHECK_EQ(close(open(other, O_RDWR | O_CREAT, 0600)), 0);
    CHECK_EQ(link(other, shared_name()), 0);
    CHECK(shared_here() == NULL);

    fresh_directory();
    CHECK_EQ(mkfifo(shared_name(), 0600), 0);
    CHECK(shared_here() == NULL);

    fresh_directory();
    mode_t mask = umask(0777);
    CHECK(shared_here() != NULL);
    umask(mask);
    struct stat st;
    CHECK_EQ(stat(shared_name(), &st), 0);
    CHECK_EQ(st.st_mode & 0777, 0600);
    CHECK_EQ(st.st_size, SHARED_BYTES);
}

static void with_small_files(void *argument) {
    struct rlimit limit = {4096, 4096};
    (void)argument;
    setrlimit(RLIMIT_FSIZE, &limit);
    tell(shared_here() == NULL);
}

TEST("H3: a limit on the size of files is no signal") {
    fresh_directory();
    struct child child = start_child(with_small_files, NULL);
    CHECK_EQ(heard_from(&child), 1);
    CHECK_EQ(end_child(&child), 0);
}

/* Exit 77: it cannot be tried here. */
static void on_full_file_system(void *argument) {
    (void)argument;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", directory, "tmpfs", 0, "size=16k") < 0)
        _exit(77);
    shared_forget();
    struct holding h;
    int published = 0;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d", i);
        struct stat st = {.st_dev = 1, .st_ino = (ino_t)i};
        h.entry = holder_publish(st.st_dev, st.st_ino, i);
        published += h.entry != NULL;
        struct byte_range range = {0, 0};
        holder_find(1, (uint64_t)i + 5000, &range, RANGE_WRITE);
    }
    struct wait_ticket ticket;
    struct wait_request request = {.pid = getpid(), .tid = getpid()};
    wait_publish(&ticket, &request);
    wait_withdraw(&ticket);
    tell((char)published);
}

TEST("H3: a full file system is no signal") {
    fresh_directory();
    struct child child = start_child(on_full_file_system, NULL);
    int published = heard_from(&child);
    int status = end_child(&child);
    if (status == 77) {
        printf("# no right to mount: not tried\n");
        return;
    }
    CHECK_EQ(status, 0);
    CHECK(published >= 0 && published < 127);
}

/* One thread changes its entry while others ask about the file. */
static _Atomic bool finished;

static void *ask_all_the_time(void *argument) {
    const struct stat *st = argument;
    struct byte_range range = {0, 0};
    long wrong = 0;
    while (!finished) {
        /* The only holder is this process, which is never the answer. */
        wrong += holder_find(st->st_dev, st->st_ino, &range, RANGE_WRITE) != -1;
        wrong += holder_ask(getpid(), 0, 1, &range, RANGE_WRITE, FDINFO_OFD) == HOLDER_YES;
    }
    return (void *)wrong;
}

TEST("L4: threads publish, update and ask at the same time") {
    fresh_directory();
    struct stat st;
    pthread_t threads[2];
    void *wrong;
    int fd = open_file("file", &st);
    finished = false;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, ask_all_the_time, &st);
    for (int i = 0; i < 300; i++) {
        struct range_set set = {0};
        struct held held = {.start = 0, .end = (uint64_t)i % 2, .type = RANGE_WRITE};
        struct byte_range all = {0, LAST};
        struct holder_entry *entry = holder_publish(st.st_dev, st.st_ino, fd);
        CHECK(entry != NULL);
        for (int j = 0; j < 100; j++) {
            range_set_lock(&set, &held);
            holder_update(entry, &set, j % 10 == 0);
            range_set_unlock(&set, &all);
            holder_update(entry, &set, false);
        }
        holder_withdraw(entry);
    }
    finished = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &wrong);
        CHECK_EQ((long)wrong, 0);
    }
    close(fd);
}
