/* Every error that fcntl(2) names for record locks, as far as a program can bring it about: one
 * fact each, CASE_COMMAND=ok or the error's name. ENOLCK is missing: Linux returns it when it lacks
 * memory or a lock server.
 *
 *   lock_errnos FILE
 */
#define _GNU_SOURCE
#include "lock_waits.h"
#include <limits.h>
#include <stdint.h>
#include <sys/mman.h>

static const char *path;

static const struct command {
    const char *name;
    int number;
} commands[] = {{"SETLK", F_SETLK}, {"SETLKW", F_SETLKW}, {"GETLK", F_GETLK}};

static void fact_command(const char *name, const struct command *command, int result) {
    char key[80];
    int error = errno;
    snprintf(key, sizeof key, "%s_%s", name, command->name);
    fact(key, "%s", result == -1 ? strerrorname_np(error) : "ok");
}

/* All three commands with one struct; what they lock is unlocked after each. */
static void ask(const char *name, int fd, struct flock lock) {
    for (int i = 0; i < 3; i++) {
        struct flock copy = lock;
        /* F_GETLK ends as "no such lock", the others as they began. */
        fact_command(name, &commands[i], fcntl(fd, commands[i].number, &copy));
        unlock(fd, 0, 0);
    }
}

/* All three commands with a pointer that may be bad. */
static void ask_pointer(const char *name, int fd, void *pointer) {
    for (int i = 0; i < 3; i++) {
        fact_command(name, &commands[i], fcntl(fd, commands[i].number, pointer));
        unlock(fd, 0, 0);
    }
    fact_command(name, &(struct command){"syscall", 0},
                 (int)syscall(SYS_fcntl, fd, F_SETLK, pointer));
    unlock(fd, 0, 0);
}

static struct flock range(short type, short whence, off_t start, off_t length) {
    return (struct flock){
        .l_type = type, .l_whence = whence, .l_start = start, .l_len = length, .l_pid = 0x5eed};
}

static void bad_descriptors(void) {
    int fd = open_file(path), reader = open(path, O_RDONLY), writer = open(path, O_WRONLY);
    int no_io = open(path, O_PATH), closed = dup(fd);
    must(reader >= 0 && writer >= 0 && no_io >= 0 && closed >= 0, "open");
    close(closed);
    ask("minus_one", -1, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("int_min", INT_MIN, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("int_max", INT_MAX, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("closed", closed, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("o_path", no_io, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("write_lock_on_reader", reader, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("read_lock_on_reader", reader, range(F_RDLCK, SEEK_SET, 0, 1));
    ask("read_lock_on_writer", writer, range(F_RDLCK, SEEK_SET, 0, 1));
    ask("write_lock_on_writer", writer, range(F_WRLCK, SEEK_SET, 0, 1));
    ask("unlock_on_reader", reader, range(F_UNLCK, SEEK_SET, 0, 1));
    ask("unlock_on_writer", writer, range(F_UNLCK, SEEK_SET, 0, 1));
    /* Which error comes first. */
    ask("bad_range_on_reader", reader, range(F_WRLCK, SEEK_SET, -1, 1));
    ask("overflow_on_reader", reader, range(F_WRLCK, SEEK_SET, INT64_MAX, 2));
    ask("bad_type_on_closed", closed, range(77, SEEK_SET, 0, 1));
    ask_pointer("null_on_closed", closed, NULL);
    ask_pointer("null_on_o_path", no_io, NULL);
    close(reader);
    close(writer);
    close(no_io);
    close(fd);
}

static void bad_values(void) {
    int fd = open_file(path);
    must(ftruncate(fd, 100) == 0 && lseek(fd, 10, SEEK_SET) == 10, "a file of 100 bytes");
    ask("type_3", fd, range(3, SEEK_SET, 0, 1));
    ask("type_minus_one", fd, range(-1, SEEK_SET, 0, 1));
    ask("type_unlock", fd, range(F_UNLCK, SEEK_SET, 0, 1));
    ask("whence_3", fd, range(F_WRLCK, 3, 0, 1));
    ask("whence_minus_one", fd, range(F_WRLCK, -1, 0, 1));
    ask("start_minus_one", fd, range(F_WRLCK, SEEK_SET, -1, 1));
    ask("start_least", fd, range(F_WRLCK, SEEK_SET, INT64_MIN, 1));
    ask("current_minus_10", fd, range(F_WRLCK, SEEK_CUR, -10, 1));
    ask("current_minus_11", fd, range(F_WRLCK, SEEK_CUR, -11, 1));
    ask("end_minus_100", fd, range(F_WRLCK, SEEK_END, -100, 1));
    ask("end_minus_101", fd, range(F_WRLCK, SEEK_END, -101, 1));
    ask("length_to_0", fd, range(F_WRLCK, SEEK_SET, 5, -5));
    ask("length_below_0", fd, range(F_WRLCK, SEEK_SET, 5, -6));
    ask("length_least", fd, range(F_WRLCK, SEEK_SET, INT64_MAX, INT64_MIN));
    ask("length_of_all_below", fd, range(F_WRLCK, SEEK_SET, INT64_MAX, -INT64_MAX));
    ask("length_at_0", fd, range(F_WRLCK, SEEK_SET, 0, -1));
    ask("last_byte", fd, range(F_WRLCK, SEEK_SET, INT64_MAX, 1));
    ask("behind_last_byte", fd, range(F_WRLCK, SEEK_SET, INT64_MAX, 2));
    ask("whole_by_length", fd, range(F_WRLCK, SEEK_SET, 0, INT64_MAX));
    ask("one_by_longest", fd, range(F_WRLCK, SEEK_SET, 1, INT64_MAX));
    ask("two_by_longest", fd, range(F_WRLCK, SEEK_SET, 2, INT64_MAX));
    ask("current_plus_longest", fd, range(F_WRLCK, SEEK_CUR, INT64_MAX - 10, 1));
    ask("current_overflow", fd, range(F_WRLCK, SEEK_CUR, INT64_MAX - 9, 1));
    ask("end_overflow", fd, range(F_WRLCK, SEEK_END, INT64_MAX, 0));
    fact_command("unknown", &(struct command){"command", 0}, fcntl(fd, 0x7777, NULL));
    close(fd);
}

static void bad_pointers(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), size = sizeof(struct flock);
    const struct flock lock = range(F_WRLCK, SEEK_SET, 0, 1);
    int fd = open_file(path);
    char *pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(pages != MAP_FAILED, "mmap");
    memcpy(pages, &lock, size);
    memcpy(pages + page - 1, &lock, size);
    memcpy(pages + 2 * page - size, &lock, size);
    memcpy(pages + 2 * page - size + 1, &lock, size);
    ask_pointer("null", fd, NULL);
    ask_pointer("one", fd, (void *)1);
    ask_pointer("kernel", fd, (void *)-4096L);
    ask_pointer("highest", fd, (void *)-1L);
    ask_pointer("across_two_pages", fd, pages + page - 1);
    must(mprotect(pages + 2 * page, page, PROT_NONE) == 0, "mprotect");
    ask_pointer("no_access", fd, pages + 2 * page);
    ask_pointer("one_byte_in_no_access", fd, pages + 2 * page - size + 1);
    memcpy(pages + 2 * page - size, &lock, size);
    ask_pointer("up_to_no_access", fd, pages + 2 * page - size);
    memcpy(pages, &lock, size);
    must(mprotect(pages, page, PROT_READ) == 0, "mprotect");
    ask_pointer("read_only", fd, pages);
    memcpy(pages + page, &lock, size);
    must(mprotect(pages + page, page, PROT_READ) == 0, "mprotect");
    must(munmap(pages, page) == 0, "munmap");
    ask_pointer("unmapped", fd, pages);
    /* Seen before as good memory, no longer. */
    ask_pointer("read_only_after_unmapped", fd, pages + page);
    close(fd);
}

/* A bad pointer when somebody else holds the bytes: the struct is read first and written last. */
static void conflicts(pid_t child, int other) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct flock *lock =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int fd = open_file(path);
    must(lock != MAP_FAILED, "mmap");
    *lock = range(F_WRLCK, SEEK_SET, 200, 1);
    fact_command("held", &commands[0], fcntl(fd, F_SETLK, lock));
    lock->l_type = F_RDLCK;
    fact_command("held_for_writing_read", &commands[0], fcntl(fd, F_SETLK, lock));
    must(mprotect(lock, page, PROT_READ) == 0, "mprotect");
    fact_command("held_read_only", &commands[0], fcntl(fd, F_SETLK, lock));
    fact_command("held_read_only", &commands[2], fcntl(fd, F_GETLK, lock));
    fact_command("held", &(struct command){"F_TLOCK", 0},
                 (lseek(fd, 200, SEEK_SET), lockf(fd, F_TLOCK, 1)));
    /* The other waits for byte 300, so it cannot give up 200: EDEADLK. */
    must(lock_bytes(fd, F_SETLK, F_WRLCK, 300, 1) == 0, "byte 300");
    tell(other);
    await_waiting(child, child);
    fact_command("cycle", &commands[1], lock_bytes(fd, F_SETLKW, F_WRLCK, 200, 1) == 0 ? 0 : -1);
    unlock(fd, 300, 1);
    close(fd);
}

static void interrupted(void) {
    struct flock lock = range(F_WRLCK, SEEK_SET, 200, 1);
    int fd = open_file(path);
    struct interrupter interrupter;
    start_interrupter(&interrupter, 0);
    fact_command("signal", &commands[1], fcntl(fd, F_SETLKW, &lock));
    stop_interrupter(&interrupter);
    close(fd);
}

/* Holds byte 200 all the time; waits for byte 300 when told to. */
static void other_process(int told, int ready) {
    int fd = open_file(path);
    must(lock_bytes(fd, F_SETLK, F_WRLCK, 200, 1) == 0, "byte 200");
    tell(ready);
    wait_told(told);
    must(lock_bytes(fd, F_SETLKW, F_WRLCK, 300, 1) == 0, "waiting for byte 300");
    tell(ready);
    wait_told(told);
    _exit(0);
}

int main(int argc, char **argv) {
    int to_other[2], from_other[2];
    must(argc == 2 && pipe(to_other) == 0 && pipe(from_other) == 0, "usage: lock_errnos FILE");
    path = argv[1];
    bad_descriptors();
    bad_values();
    bad_pointers();
    pid_t child = fork();
    must(child != -1, "fork");
    if (child == 0)
        other_process(to_other[0], from_other[1]);
    wait_told(from_other[0]);
    conflicts(child, to_other[1]);
    wait_told(from_other[0]);
    interrupted();
    tell(to_other[1]);
    wait_for(child);
    return 0;
}
