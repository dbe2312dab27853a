#include "lock/shared.h"

#include "base/sys.h"
#include "base/text.h"
#include "lock/hidden.h"
#include "lock/mapped_file.h"

#include <errno.h>
#include <string.h>

#define DIRECTORY_MAX 256
#define PATH_BYTES (DIRECTORY_MAX + 64)

/* Threads that map at the same time each have their own; the first to finish is everyone's. */
#define ATTEMPTS 8
struct mapping {
    struct mapped_file file;
    char path[PATH_BYTES];
};
static struct mapping attempts[ATTEMPTS];
static _Atomic uint32_t attempted;
static struct mapping *_Atomic mapped;

/* Pages that can be touched, one bit for each. */
static _Atomic uint64_t usable[MAPPED_WORDS(SHARED_BYTES)];

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

static void map_first_usable(struct mapping *mapping) {
    uid_t user = sys_geteuid();
    mapping->file.base = NULL;
    hidden_begin();
    for (int choice = 0; mapping->file.base == NULL && name_file(mapping, choice, user); choice++) {
        int fd = open_file(mapping, O_CREAT);
        if (fd < 0)
            continue;
        mapped_file_map(&mapping->file, fd, SHARED_BYTES, usable);
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
    if (mapping->file.base != NULL)
        sys_munmap(mapping->file.base, SHARED_BYTES);
    return none;
}

struct shared_head *shared_here(void) {
    struct mapping *mapping = mapping_here();
    return mapping != NULL ? (struct shared_head *)mapping->file.base : NULL;
}

void *shared_page(size_t at, size_t size) {
    struct mapping *mapping = mapping_here();
    if (mapping == NULL || mapping->file.base == NULL ||
        !mapped_file_touch(&mapping->file, at, size))
        return NULL;
    return mapping->file.base + at;
}

int shared_open(void) {
    struct mapping *mapping = mapping_here();
    if (mapping == NULL || mapping->file.base == NULL)
        return -ENOENT;
    int fd = open_file(mapping, 0);
    if (fd < 0)
        return fd;
    struct stat st;
    if (sys_fstat(fd, &st) == 0 && st.st_dev == mapping->file.dev && st.st_ino == mapping->file.ino)
        return fd;
    sys_close(fd);
    return -ESTALE;
}
