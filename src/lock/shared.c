#include "lock/shared.h"

#include "base/sys.h"
#include "base/text.h"
#include "lock/hidden.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define DIRECTORY_MAX 256
#define PATH_BYTES (DIRECTORY_MAX + 64)

/* Threads that map at the same time each have their own; the first to finish is everyone's. */
#define ATTEMPTS 8
struct mapping {
    char *base; /* NULL: there is none to be had */
    uint64_t dev;
    uint64_t ino;
    size_t page;
    char path[PATH_BYTES];
};
static struct mapping attempts[ATTEMPTS];
static _Atomic uint32_t attempted;
static struct mapping *_Atomic mapped;

/* Pages that can be touched, one bit for each. */
static _Atomic uint64_t usable[SHARED_BYTES / SHARED_PAGE / 64 + 1];

static char own_directory[DIRECTORY_MAX];

bool shared_set_directory(const char *directory) {
    size_t length = strlen(directory);
    if (length >= sizeof own_directory)
        return false;
    memcpy(own_directory, directory, length + 1);
    return true;
}

void shared_forget(void) {
    atomic_store(&mapped, NULL);
    atomic_store(&attempted, 0);
    for (size_t i = 0; i < sizeof usable / sizeof usable[0]; i++)
        atomic_store(&usable[i], 0);
}

static bool name_file(struct mapping *mapping, int choice, uid_t user) {
    static const char *const directories[] = {"/run/user/", "/dev/shm/", "/tmp/."};
    struct text path;
    text_begin(&path, mapping->path, sizeof mapping->path);
    if (own_directory[0] != '\0') {
        if (choice > 0)
            return false;
        text_add(&path, own_directory);
        text_add_char(&path, '/');
    } else {
        if (choice > 2)
            return false;
        text_add(&path, directories[choice]);
        if (choice == 0) {
            text_add_decimal(&path, user);
            text_add_char(&path, '/');
        }
    }
    text_add(&path, "raceshim.");
    text_add_decimal(&path, user);
    text_add_char(&path, '.');
    text_add_decimal(&path, SHARED_VERSION);
    return true;
}

static int open_file(const struct mapping *mapping, int create) {
    return sys_openat(AT_FDCWD, mapping->path,
                      O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | create, 0600);
}

/* Nobody but the user may have a hand in it, under this name or another. */
static bool is_private_file(const struct stat *st, uid_t user) {
    return S_ISREG(st->st_mode) && st->st_uid == user && (st->st_mode & 077) == 0 &&
           st->st_nlink == 1;
}

/* Makes it as long as the layout. Beyond RLIMIT_FSIZE that would be a signal, not an error. */
static bool lengthen(int fd, const struct stat *st) {
    if (st->st_size >= SHARED_BYTES)
        return true;
    struct rlimit limit;
    if (sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur < SHARED_BYTES)
        return false;
    /* A umask of the program's may have left its owner without the right to open it again. */
    if ((st->st_mode & 0777) != 0600)
        sys_call3(SYS_fchmod, fd, 0600, 0);
    return sys_ftruncate(fd, SHARED_BYTES) == 0;
}

/* Before Linux 5.14 there is no way to ask for single pages: all of them are taken at once. */
static bool reserve_all(int fd) {
    struct rlimit limit;
    if (sys_getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur < SHARED_BYTES ||
        sys_call6(SYS_fallocate, fd, 0, 0, SHARED_BYTES, 0, 0) < 0)
        return false;
    for (size_t i = 0; i < sizeof usable / sizeof usable[0]; i++)
        atomic_store(&usable[i], ~UINT64_C(0));
    return true;
}

static bool populate(const struct mapping *mapping, size_t at, size_t size) {
    size_t first = at & ~(mapping->page - 1);
    return sys_madvise(mapping->base + first, at + size - first, MADV_POPULATE_WRITE) == 0;
}

static bool map_file(struct mapping *mapping, int fd, uid_t user) {
    struct stat st;
    if (sys_fstat(fd, &st) < 0 || !is_private_file(&st, user) || !lengthen(fd, &st))
        return false;
    mapping->base = sys_mmap(SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapping->base == NULL)
        return false;
    mapping->dev = st.st_dev;
    mapping->ino = st.st_ino;
    if (populate(mapping, 0, SHARED_PAGE) || reserve_all(fd))
        return true;
    sys_munmap(mapping->base, SHARED_BYTES);
    mapping->base = NULL;
    return false;
}

static void map_first_usable(struct mapping *mapping) {
    uid_t user = sys_geteuid();
    mapping->base = NULL;
    mapping->page = getauxval(AT_PAGESZ);
    hidden_begin();
    for (int choice = 0; mapping->base == NULL && name_file(mapping, choice, user); choice++) {
        int fd = open_file(mapping, O_CREAT);
        if (fd < 0)
            continue;
        map_file(mapping, fd, user);
        sys_close(fd);
    }
    hidden_end();
}

static struct mapping *mapping_here(void) {
    struct mapping *mapping = atomic_load_explicit(&mapped, memory_order_acquire);
    if (mapping != NULL)
        return mapping;
    uint32_t attempt = atomic_fetch_add(&attempted, 1);
    if (attempt >= ATTEMPTS) {
        atomic_store(&attempted, ATTEMPTS); /* or it would come round to 0 some day */
        return NULL;
    }
    mapping = &attempts[attempt];
    map_first_usable(mapping);
    struct mapping *none = NULL;
    if (atomic_compare_exchange_strong(&mapped, &none, mapping))
        return mapping;
    if (mapping->base != NULL)
        sys_munmap(mapping->base, SHARED_BYTES);
    return none;
}

struct shared_head *shared_here(void) {
    struct mapping *mapping = mapping_here();
    return mapping != NULL ? (struct shared_head *)mapping->base : NULL;
}

void *shared_page(size_t at, size_t size) {
    struct mapping *mapping = mapping_here();
    if (mapping == NULL || mapping->base == NULL)
        return NULL;
    for (size_t page = at / SHARED_PAGE; page <= (at + size - 1) / SHARED_PAGE; page++) {
        uint64_t bit = UINT64_C(1) << (page % 64);
        if (atomic_load_explicit(&usable[page / 64], memory_order_relaxed) & bit)
            continue;
        if (!populate(mapping, page * SHARED_PAGE, SHARED_PAGE))
            return NULL;
        atomic_fetch_or_explicit(&usable[page / 64], bit, memory_order_relaxed);
    }
    return mapping->base + at;
}

int shared_open(void) {
    struct mapping *mapping = mapping_here();
    if (mapping == NULL || mapping->base == NULL)
        return -ENOENT;
    int fd = open_file(mapping, 0);
    if (fd < 0)
        return fd;
    struct stat st;
    if (sys_fstat(fd, &st) == 0 && st.st_dev == mapping->dev && st.st_ino == mapping->ino)
        return fd;
    sys_close(fd);
    return -ESTALE;
}
