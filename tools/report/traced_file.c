#define _GNU_SOURCE
#include "traced_file.h"

#include "../common/memory.h"
#include "../common/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 1024 /* records that are read at once */
#define ERRNO_MAX 4095

static size_t read_at(int fd, void *bytes, size_t size, uint64_t at) {
    size_t got = 0;
    while (got < size) {
        ssize_t count = pread(fd, (char *)bytes + got, size - got, (off_t)(at + got));
        if (count <= 0)
            break;
        got += (size_t)count;
    }
    return got;
}

static bool is_possible(const struct trace_record *record, int operation) {
    if (record->time < 0 || record->tid <= 0)
        return false;
    if (operation == TRACE_EXIT)
        return true;
    return record->start <= record->end && record->end <= TRACE_TO_THE_END && record->fd >= -1 &&
           record->result >= 0 && record->result <= ERRNO_MAX && record->other >= 0 &&
           record->lock_class <= TRACE_FLOCK && record->type <= 1;
}

static void take_record(struct traced_file *file, const struct trace_record *record) {
    int operation = atomic_load(&record->operation);
    if (operation > TRACE_EXIT)
        return;
    if (operation == TRACE_NOTHING || !is_possible(record, operation)) {
        file->unreadable++;
        return;
    }
    file->items[file->count++] = (struct operation){.time = (uint64_t)record->time,
                                                    .dev = record->dev,
                                                    .ino = record->ino,
                                                    .start = record->start,
                                                    .end = record->end,
                                                    .stack = record->stack,
                                                    .tid = record->tid,
                                                    .fd = record->fd,
                                                    .result = record->result,
                                                    .other = record->other,
                                                    .operation = (enum trace_operation)operation,
                                                    .lock_class = record->lock_class,
                                                    .writes = record->type == 1};
}

static void take_records(struct traced_file *file, int fd, size_t count) {
    struct trace_record *chunk = must_allocate(NULL, CHUNK, sizeof *chunk);
    file->items = must_allocate(NULL, count ? count : 1, sizeof *file->items);
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t wanted = count - at < CHUNK ? count - at : CHUNK;
        size_t got = read_at(fd, chunk, wanted * sizeof *chunk,
                             sizeof(struct trace_head) + at * sizeof *chunk) /
                     sizeof *chunk;
        for (size_t i = 0; i < got; i++)
            take_record(file, &chunk[i]);
        file->unreadable += wanted - got;
    }
    free(chunk);
}

static enum traced_fault read_open(struct traced_file *file, int fd, uint64_t size, size_t max) {
    struct trace_head head;
    if (read_at(fd, &head, sizeof head, 0) < sizeof head || head.magic != TRACE_MAGIC)
        return TRACED_BROKEN;
    if (head.version != TRACE_VERSION)
        return TRACED_NEWER;
    if (head.pid <= 0)
        return TRACED_BROKEN;
    uint64_t all = atomic_load(&head.count);
    uint64_t kept = all < head.capacity ? all : head.capacity;
    uint64_t there = size < sizeof head ? 0 : (size - sizeof head) / sizeof(struct trace_record);
    uint64_t readable = kept < there ? kept : there;
    uint64_t count = readable < max ? readable : max;
    *file = (struct traced_file){.pid = head.pid,
                                 .lost = all - kept,
                                 .unreadable = kept - readable,
                                 .left_out = readable - count};
    head.exe[sizeof head.exe - 1] = '\0';
    file->exe = must_print("%s", head.exe);
    take_records(file, fd, (size_t)count);
    return TRACED_GOOD;
}

enum traced_fault traced_file_read(struct traced_file *file, int directory, const char *name,
                                   size_t max) {
    struct stat st;
    int fd = open_regular(directory, name, &st);
    if (fd < 0)
        return TRACED_REFUSED;
    enum traced_fault fault = read_open(file, fd, (uint64_t)st.st_size, max);
    close(fd);
    return fault;
}

void traced_file_end(struct traced_file *file) {
    free(file->items);
    free(file->exe);
}
