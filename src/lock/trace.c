#include "lock/trace.h"

#include "base/sys.h"
#include "base/text.h"
#include "lock/hidden.h"
#include "lock/mapped_file.h"
#include "lock/picture.h"
#include "report/stack_file.h"

#include <string.h>

#define TRACE_BYTES (sizeof(struct trace_head) + TRACE_RECORDS * sizeof(struct trace_record))

enum { TRACE_NONE, TRACE_MAKING, TRACE_THERE, TRACE_FAILED };
static _Atomic uint32_t state;
/* Written by who turned the state to MAKING, read by who finds it THERE. */
static struct mapped_file file;
static _Atomic uint64_t usable[MAPPED_WORDS(TRACE_BYTES)];

static bool map_trace(void) {
    char name[48];
    if (!picture_name_file(TRACE_NAME, name, sizeof name))
        return false;
    if (!mapped_file_of_session(&file, name, O_EXCL, TRACE_BYTES, usable))
        return false;
    struct trace_head *head = (struct trace_head *)file.base;
    head->magic = TRACE_MAGIC;
    head->version = TRACE_VERSION;
    head->capacity = TRACE_RECORDS;
    head->pid = sys_getpid();
    strncpy(head->exe, loaded_program(), sizeof head->exe - 1);
    return true;
}

static struct trace_head *head_here(void) {
    uint32_t now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == TRACE_NONE && atomic_compare_exchange_strong(&state, &now, TRACE_MAKING)) {
        now = map_trace() ? TRACE_THERE : TRACE_FAILED;
        atomic_store_explicit(&state, now, memory_order_release);
    }
    return now == TRACE_THERE ? (struct trace_head *)file.base : NULL;
}

void trace_after_fork(void) {
    if (atomic_load(&state) == TRACE_THERE)
        sys_munmap(file.base, TRACE_BYTES);
    for (size_t i = 0; i < sizeof usable / sizeof *usable && atomic_load(&state) != TRACE_NONE; i++)
        atomic_store_explicit(&usable[i], 0, memory_order_relaxed);
    atomic_store(&state, TRACE_NONE);
}

/* The place for the next record; NULL: there is none left, which is counted. */
static struct trace_record *next_record(void) {
    struct trace_head *head = head_here();
    uint64_t index = head ? atomic_fetch_add(&head->count, 1) : TRACE_RECORDS;
    size_t at = sizeof *head + index * sizeof(struct trace_record);
    if (index >= TRACE_RECORDS || !mapped_file_touch(&file, at, sizeof(struct trace_record)))
        return NULL;
    return (struct trace_record *)(file.base + at);
}

int64_t trace_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A record without a time is of now: not of when the file was made, which takes a while. */
static void write_record(enum trace_operation operation, const struct trace_record *from) {
    int64_t time = from->time ? from->time : trace_time();
    struct trace_record *record = next_record();
    if (!record)
        return;
    record->time = time;
    record->dev = from->dev;
    record->ino = from->ino;
    record->start = from->start;
    record->end = from->end;
    record->stack = from->stack;
    record->tid = owner_tid();
    record->fd = from->fd;
    record->result = from->result;
    record->other = from->other;
    record->lock_class = from->lock_class;
    record->type = from->type;
    atomic_store(&record->operation, (uint8_t)operation);
}

/* POSIX locks that are only watched belong to the process, whatever description they came through. */
static int32_t number_of(const struct owner *owner) {
    bool is_process = owner->class == OWNER_RECORD && owner->hidden < 0;
    return is_process ? 0 : (int32_t)((uintptr_t)owner >> 3 & INT32_MAX);
}

static struct trace_record record_of(const struct request *q, const struct file *of,
                                     const struct owner *owner, uint32_t stack) {
    return (struct trace_record){.dev = of->dev,
                                 .ino = of->ino,
                                 .start = q->range.start,
                                 .end = q->range.end,
                                 .stack = stack,
                                 .fd = q->fd,
                                 .other = number_of(owner),
                                 .lock_class = (uint8_t)owner->class,
                                 .type = q->type == RANGE_WRITE};
}

void trace_operation(enum trace_operation operation, const struct request *q, const struct file *of,
                     const struct owner *owner, uint32_t stack, int result) {
    struct trace_record record = record_of(q, of, owner, stack);
    record.result = result < 0 ? -result : 0;
    write_record(operation, &record);
}

void trace_wait(enum trace_operation operation, const struct request *q, const struct file *of,
                const struct owner *owner, uint32_t stack, const struct traced_wait *wait) {
    struct trace_record record = record_of(q, of, owner, stack);
    record.time = wait->time;
    record.result = wait->result < 0 ? -wait->result : 0;
    record.other = wait->holder;
    write_record(operation, &record);
}

void trace_closed(const struct owner *owner) {
    if (!settings.trace || owner->ranges.count == 0)
        return;
    write_record(TRACE_CLOSED, &(struct trace_record){.dev = owner->file->dev,
                                                      .ino = owner->file->ino,
                                                      .end = RANGE_MAX,
                                                      .fd = owner->ranges.items[0].fd,
                                                      .other = number_of(owner),
                                                      .lock_class = owner->class});
}

void trace_ended(void) {
    if (atomic_load(&state) == TRACE_THERE && !owner_is_vfork_child())
        write_record(TRACE_EXIT, &(struct trace_record){.fd = -1});
}

void trace_file(int fd, uint64_t dev, uint64_t ino) {
    char name[48], link[32];
    if (!settings.trace || !picture_name_file(PICTURE_STACKS_NAME, name, sizeof name))
        return;
    finding_link(link, sizeof link, fd);
    hidden_begin();
    stack_file_add_path(name, link, dev, ino);
    hidden_end();
}
