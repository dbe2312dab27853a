/* What would be started: the headers of programs, whole, cut off and damaged; and the environment to
 * start one with that the library stays out of. */
#define _GNU_SOURCE
#include "base/loaded.h"
#include "start/outside.h"
#include "start/program.h"

#include "check.h"

#include <elf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct settings settings;
struct rules rules;

static char *preloading[] = {"A=1", "LD_PRELOAD=/x/libraceshim.so", NULL};

/* A program in memory, which ends with the test. */
static int file_of(const void *bytes, size_t size) {
    int fd = memfd_create("program", MFD_CLOEXEC);
    CHECK_EQ(write(fd, bytes, size), size);
    fchmod(fd, 0700);
    return fd;
}

static enum program_bar bar_of(const void *bytes, size_t size) {
    struct program program;
    int fd = file_of(bytes, size);
    program_open(&program, fd, "", AT_EMPTY_PATH, NULL, preloading);
    CHECK_EQ(program.fd, fd);
    program_close(&program);
    close(fd);
    return program.bar;
}

static char *read_self(size_t *size) {
    static char bytes[4 << 20];
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    ssize_t got = read(fd, bytes, sizeof bytes);
    close(fd);
    CHECK(got > 4096);
    *size = (size_t)got;
    return bytes;
}

/* This one, as it was built. */
#ifdef __SANITIZE_ADDRESS__
#define OWN_BAR PROGRAM_SANITIZED
#else
#define OWN_BAR PROGRAM_FREE
#endif

TEST("H3: a dynamic program of ours is free, and one without a loader is static") {
    size_t size;
    char *bytes = read_self(&size);
    CHECK_EQ(bar_of(bytes, size), OWN_BAR);
    Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
    Elf64_Phdr *segments = (Elf64_Phdr *)(bytes + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++)
        if (segments[i].p_type == PT_INTERP)
            segments[i].p_type = PT_NULL;
    CHECK_EQ(bar_of(bytes, size), PROGRAM_STATIC);
    header->e_machine = EM_386;
    CHECK_EQ(bar_of(bytes, size), PROGRAM_FOREIGN);
}

TEST("H3: what is no program is left to the exec") {
    CHECK_EQ(bar_of("", 0), PROGRAM_UNKNOWN);
    CHECK_EQ(bar_of("echo", 4), PROGRAM_UNKNOWN);
    CHECK_EQ(bar_of("\177ELF", 4), PROGRAM_UNKNOWN);
    CHECK(program_enterable(AT_FDCWD, "/nonexistent", 0, NULL, preloading));
    CHECK(!program_enterable(AT_FDCWD, "/bin/sh", 0, NULL, (char *[]){"A=1", NULL}));
    CHECK(program_enterable(PROGRAM_SEARCH, "sh", 0, "/nonexistent::/bin", preloading));
}

TEST("H3: a script counts as its interpreter, and one that names itself ends") {
    struct program program;
    int fd = file_of("#! /bin/sh -x\n", 14);
    program_open(&program, fd, "", AT_EMPTY_PATH, NULL, preloading);
    CHECK_EQ(program.bar, PROGRAM_FREE);
    CHECK(program.fd >= 0 && program.fd != fd);
    program_close(&program);
    close(fd);
    char path[] = "/tmp/script-XXXXXX", line[64];
    fd = mkstemp(path);
    int length = snprintf(line, sizeof line, "#!%s\n", path);
    CHECK_EQ(write(fd, line, (size_t)length), length);
    fchmod(fd, 0700);
    close(fd);
    program_open(&program, AT_FDCWD, path, 0, NULL, preloading);
    CHECK_EQ(program.bar, PROGRAM_UNKNOWN);
    program_close(&program);
    unlink(path);
}

TEST("H3: programs that are cut off or damaged harm nobody") {
    size_t size;
    char *bytes = read_self(&size);
    for (size_t cut = 0; cut < 4096; cut += 7)
        bar_of(bytes, cut);
    char *damaged = malloc(size);
    srandom(1);
    for (int round = 0; round < 2000; round++) {
        memcpy(damaged, bytes, size);
        for (int i = 0; i < 8; i++)
            damaged[(size_t)random() % 1200] = (char)random();
        memcpy(damaged, ELFMAG, SELFMAG);
        bar_of(damaged, 16384 < size ? 16384 : size);
    }
    free(damaged);
}

static const char *without(char **envp) {
    static char preload[256];
    static char *array[8];
    struct start_sizes sizes = start_sizes(envp);
    CHECK(sizes.bytes <= sizeof preload && sizes.pointers <= 8);
    char *const *result = start_without_library(envp, array, preload, sizeof preload);
    for (size_t i = 0; result[i]; i++)
        if (strncmp(result[i], "LD_PRELOAD=", 11) == 0)
            return result[i] + 11;
    return "none";
}

TEST("E8: our entry is left out of LD_PRELOAD, the others stay") {
    CHECK_STR(without(preloading), "none");
    CHECK_STR(without((char *[]){"LD_PRELOAD=/a.so:/x/libraceshim.so", NULL}), "/a.so");
    CHECK_STR(without((char *[]){"LD_PRELOAD=/x/libraceshim.so /b.so", NULL}), "/b.so");
    CHECK_STR(without((char *[]){"LD_PRELOAD=/a.so:/x/libraceshim.so:/b.so", "B=2", NULL}),
              "/a.so:/b.so");
    CHECK_STR(without((char *[]){"LD_PRELOAD=/a.so", NULL}), "/a.so");
}
