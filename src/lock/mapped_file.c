#include "lock/mapped_file.h"

#include "base/sys.h"
#include "lock/hidden.h"
#include "report/log.h"

#include <sys/auxv.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Nobody but the user may have a hand in it, under this name or another. */
static bool is_private_file(const struct stat *st) {
    return S_ISREG(st->st_mode) && st->st_uid == sys_geteuid() && (st->st_mode & 077) == 0 &&
           st->st_nlink == 1;
}

/* Beyond RLIMIT_FSIZE the file would not become longer but the program get a signal. */
static bool may_grow_to(size_t size) {
    struct rlimit limit;
    return sys_getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur >= size;
}

static bool lengthen(int fd, const struct stat *st, size_t size) {
    if (st->st_size >= (off_t)size)
        return true;
    if (!may_grow_to(size))
        return false;
    /* A umask of the program's may have left its owner without the right to open it again. */
    if ((st->st_mode & 0777) != 0600)
        sys_call3(SYS_fchmod, fd, 0600, 0);
    return sys_ftruncate(fd, (off_t)size) == 0;
}

/* Before Linux 5.14 there is no way to ask for single pages: all of them are taken at once. */
static bool reserve_all(const struct mapped_file *file, int fd) {
    if (!may_grow_to(file->size) || sys_call6(SYS_fallocate, fd, 0, 0, (long)file->size, 0, 0) < 0)
        return false;
    for (size_t i = 0; i < MAPPED_WORDS(file->size); i++)
        atomic_store(&file->usable[i], ~UINT64_C(0));
    return true;
}

static bool populate(const struct mapped_file *file, size_t at, size_t size) {
    size_t first = at & ~(file->page - 1);
    return sys_madvise(file->base + first, at + size - first, MADV_POPULATE_WRITE) == 0;
}

bool mapped_file_map(struct mapped_file *file, int fd, size_t size, _Atomic uint64_t *usable) {
    struct stat st;
    *file = (struct mapped_file){.size = size, .page = getauxval(AT_PAGESZ), .usable = usable};
    if (sys_fstat(fd, &st) < 0 || !is_private_file(&st) || !lengthen(fd, &st, size))
        return false;
    file->base = sys_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file->base == NULL)
        return false;
    file->dev = st.st_dev;
    file->ino = st.st_ino;
    if (populate(file, 0, MAPPED_PAGE) || reserve_all(file, fd))
        return true;
    sys_munmap(file->base, size);
    file->base = NULL;
    return false;
}

bool mapped_file_of_session(struct mapped_file *file, const char *name, int flags, size_t size,
                            _Atomic uint64_t *usable) {
    bool mapped = false;
    hidden_begin();
    int directory = log_open_directory();
    int fd = directory < 0 ? -1
                           : sys_openat(directory, name,
                                        O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | flags, 0600);
    if (fd >= 0) {
        mapped = mapped_file_map(file, fd, size, usable);
        sys_close(fd);
    }
    if (directory >= 0)
        sys_close(directory);
    hidden_end();
    return mapped;
}

bool mapped_file_touch(const struct mapped_file *file, size_t at, size_t size) {
    for (size_t page = at / MAPPED_PAGE; page <= (at + size - 1) / MAPPED_PAGE; page++) {
        uint64_t bit = UINT64_C(1) << (page % 64);
        if (atomic_load_explicit(&file->usable[page / 64], memory_order_relaxed) & bit)
            continue;
        if (!populate(file, page * MAPPED_PAGE, MAPPED_PAGE))
            return false;
        atomic_fetch_or_explicit(&file->usable[page / 64], bit, memory_order_relaxed);
    }
    return true;
}
