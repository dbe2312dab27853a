#define _GNU_SOURCE
#include "traced.h"

#include "../common/memory.h"
#include "traced_links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPERATIONS_MAX 1000000u
#define FILES_MAX 200000u /* what is beyond counts as one */
#define WAIT_STEPS_MAX 64u

void traced_begin(struct traced *traced, uint64_t since) {
    *traced = (struct traced){
        .processes = json_array(), .files = json_array(), .places = json_object(), .since = since};
    traced_names_begin(&traced->names);
    lines_begin(&traced->lines);
}

void traced_end(struct traced *traced) {
    json_decref(traced->processes);
    json_decref(traced->files);
    json_decref(traced->places);
    traced_names_end(&traced->names);
    lines_end(&traced->lines);
    free(traced->spans.items);
    free(traced->strays.items);
    free(traced->pids);
    free(traced->waits);
    free(traced->first_broken);
}

/* ---- Which traces a session has ---- */

struct found_trace {
    char *place; /* "P.G" */
    int32_t pid;
    uint64_t began;
};

static int is_trace_name(const struct dirent *entry) {
    const char *name = entry->d_name;
    size_t length = sizeof TRACE_NAME - 1;
    return strncmp(name, TRACE_NAME, length) == 0 && name[length] != '\0' &&
           name[length + strspn(name + length, "0123456789.")] == '\0';
}

static void refuse(struct traced *traced, const char *session, const char *name, const char *why) {
    if (traced->broken++ == 0)
        traced->first_broken = must_print("%s/%s: %s", session, name, why);
}

/* A first look, for the order. */
static bool look(struct traced *traced, int directory, const char *session, const char *name,
                 struct found_trace *found) {
    struct traced_file file;
    switch (traced_file_read(&file, directory, name, 1)) {
    case TRACED_GOOD:
        break;
    case TRACED_NEWER:
        traced->newer++;
        return false;
    case TRACED_BROKEN:
        refuse(traced, session, name, "no trace");
        return false;
    case TRACED_REFUSED:
        refuse(traced, session, name,
               errno == ELOOP    ? "a symbolic link"
               : errno == EINVAL ? "no regular file"
                                 : strerror(errno));
        return false;
    }
    *found = (struct found_trace){.pid = file.pid,
                                  .began = file.count ? file.items[0].time : UINT64_MAX,
                                  .place = must_print("%s", name + sizeof TRACE_NAME - 1)};
    traced_file_end(&file);
    return true;
}

/* The programs of a process behind each other. */
static int compare_found(const void *left, const void *right) {
    const struct found_trace *a = left;
    const struct found_trace *b = right;
    if (a->pid != b->pid)
        return a->pid < b->pid ? -1 : 1;
    if (a->began != b->began)
        return a->began < b->began ? -1 : 1;
    return strverscmp(a->place, b->place);
}

static size_t find_traces(struct traced *traced, int directory, const char *session,
                          struct found_trace **found) {
    struct dirent **entries;
    size_t good = 0;
    int count = scandirat(directory, ".", &entries, is_trace_name, alphasort);
    if (count < 0)
        return 0;
    *found = must_allocate(NULL, (size_t)count + 1, sizeof **found);
    for (int i = 0; i < count; i++) {
        good += look(traced, directory, session, entries[i]->d_name, &(*found)[good]);
        free(entries[i]);
    }
    free(entries);
    qsort(*found, good, sizeof **found, compare_found);
    return good;
}

/* ---- One trace ---- */

/* As a record has it: numbers that do not fit are text. */
static json_t *number(uint64_t value) {
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    char *text = must_print("%" PRIu64, value);
    json_t *string = json_string(text);
    free(text);
    return string;
}

static uint32_t add_process(struct traced *traced, const struct traced_file *file) {
    size_t count = json_array_size(traced->processes);
    json_t *process = json_pack("{s:i, s:o}", "pid", (int)file->pid, "exe", record_text(file->exe));
    if (file->lost > 0 && file->count > 0) {
        json_object_set_new(process, "lost", number(file->lost));
        json_object_set_new(process, "until", number(file->items[file->count - 1].time));
    }
    traced->pids = must_allocate(traced->pids, count + 1, sizeof *traced->pids);
    traced->pids[count] = file->pid;
    json_array_append_new(traced->processes, process);
    return (uint32_t)count;
}

static uint32_t file_index(struct traced *traced, uint64_t dev, uint64_t ino) {
    char *key = must_print("%" PRIu64 ":%" PRIu64, dev, ino);
    size_t count = json_array_size(traced->files);
    const json_t *known = json_object_get(traced->places, key);
    uint32_t index = known               ? (uint32_t)json_integer_value(known)
                     : count < FILES_MAX ? (uint32_t)count
                                         : FILES_MAX - 1;
    if (index == count) {
        json_t *file = json_pack("{s:o, s:o}", "dev", number(dev), "ino", number(ino));
        json_t *path = traced_names_path(&traced->names, dev, ino);
        if (path)
            json_object_set(file, "path", path);
        json_array_append_new(traced->files, json_pack("{s:o}", "file", file));
        json_object_set_new(traced->places, key, json_integer((json_int_t)index));
    }
    free(key);
    return index;
}

static void read_names(struct traced *traced, int directory, const char *session, const char *place,
                       struct stack_numbers *numbers) {
    struct stat st;
    char *name = must_print("stacks.%s", place);
    *numbers = (struct stack_numbers){0};
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        char *path = must_print("%s/%s", session, name);
        char *wrong = traced_names_read(&traced->names, numbers, &traced->lines, path);
        if (wrong)
            refuse(traced, session, name, "not read");
        free(wrong);
        free(path);
    }
    free(name);
}

static void take_operations(struct traced *traced, const struct traced_file *file,
                            const struct stack_numbers *numbers, struct pairs *pairs,
                            uint64_t *last) {
    pairs_begin_program(pairs, add_process(traced, file));
    for (size_t i = 0; i < file->count; i++) {
        const struct operation *operation = &file->items[i];
        bool has_file = operation->operation != TRACE_EXIT;
        pairs_take(pairs, operation,
                   has_file ? file_index(traced, operation->dev, operation->ino) : 0,
                   stack_numbers_find(numbers, operation->stack));
        if (operation->time > *last)
            *last = operation->time;
    }
    traced->traces++;
    traced->operations += file->count;
    traced->unreadable += file->unreadable;
    traced->left_out += file->left_out;
    traced->lost += file->lost;
    traced->full += file->lost > 0;
}

static bool is_of_before(const struct traced *traced, const struct traced_file *file) {
    return file->count > 0 && file->items[file->count - 1].time < traced->since;
}

/* True: operations are missing at its end. */
static bool read_trace(struct traced *traced, int directory, const char *session, const char *place,
                       struct pairs *pairs, uint64_t *last) {
    struct traced_file file;
    struct stack_numbers numbers;
    bool is_cut = false;
    size_t room = OPERATIONS_MAX - traced->operations;
    char *name = must_print(TRACE_NAME "%s", place);
    bool is_good = traced_file_read(&file, directory, name, room) == TRACED_GOOD;
    free(name);
    if (!is_good)
        return false;
    if (!is_of_before(traced, &file)) {
        read_names(traced, directory, session, place, &numbers);
        take_operations(traced, &file, &numbers, pairs, last);
        is_cut = file.lost > 0 || file.left_out > 0;
        free(numbers.items);
    }
    traced_file_end(&file);
    return is_cut;
}

static void read_process(struct traced *traced, int directory, const char *session,
                         const struct found_trace *found, size_t count, uint64_t *last) {
    struct pairs *pairs = pairs_new(&traced->spans, &traced->strays);
    bool is_cut = false;
    for (size_t i = 0; i < count; i++)
        is_cut = read_trace(traced, directory, session, found[i].place, pairs, last);
    pairs_end(pairs, is_cut);
}

static void read_session(struct traced *traced, int directory, const char *session) {
    struct found_trace *found = NULL;
    size_t first = traced->spans.count;
    size_t count = find_traces(traced, directory, session, &found);
    uint64_t last = 0;
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && found[next].pid == found[i].pid;)
            next++;
        read_process(traced, directory, session, &found[i], next - i, &last);
    }
    for (size_t i = first; i < traced->spans.count; i++) {
        if (traced->spans.items[i].end == UINT64_MAX)
            traced->spans.items[i].end = last;
    }
    for (size_t i = 0; i < count; i++)
        free(found[i].place);
    free(found);
}

void traced_read(struct traced *traced, const char *session) {
    struct stat st;
    char *path = lines_plain_path(session);
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory >= 0 && fstat(directory, &st) == 0 && st.st_uid == geteuid())
        read_session(traced, directory, path);
    if (directory >= 0)
        close(directory);
    free(path);
}

/* ---- All of them ---- */

static int compare_begins(const void *left, const void *right) {
    const struct traced_span *a = left;
    const struct traced_span *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return a->start < b->start ? -1 : a->start > b->start;
}

static void keep_since(struct traced_spans *spans, uint64_t since) {
    size_t kept = 0;
    for (size_t i = 0; i < spans->count; i++) {
        if (spans->items[i].end >= since)
            spans->items[kept++] = spans->items[i];
    }
    spans->count = kept;
}

static int compare_waits(const void *left, const void *right, void *context) {
    const struct traced_spans *spans = context;
    const struct traced_span *a = &spans->items[*(const size_t *)left];
    const struct traced_span *b = &spans->items[*(const size_t *)right];
    if (a->tid != b->tid)
        return a->tid < b->tid ? -1 : 1;
    return a->begin < b->begin ? -1 : a->begin > b->begin;
}

static void sort_waits(struct traced *traced) {
    struct traced_spans *spans = &traced->spans;
    traced->waits = must_allocate(NULL, spans->count + 1, sizeof *traced->waits);
    for (size_t i = 0; i < spans->count; i++) {
        if (spans->items[i].type == TRACED_WAIT)
            traced->waits[traced->wait_count++] = i;
    }
    qsort_r(traced->waits, traced->wait_count, sizeof *traced->waits, compare_waits, spans);
}

/* Blockers are indices: they come last. */
void traced_finish(struct traced *traced) {
    struct traced_spans *spans = &traced->spans;
    if (spans->count == 0)
        return;
    qsort(spans->items, spans->count, sizeof *spans->items, compare_begins);
    traced_link_ends(spans, &traced->strays);
    keep_since(spans, traced->since);
    traced_link_blockers(spans, traced->pids);
    sort_waits(traced);
}

/* How many waits come before those of this thread that begin later. */
static size_t waits_until(const struct traced *traced, uint64_t tid, uint64_t time) {
    size_t low = 0;
    size_t high = traced->wait_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct traced_span *wait = &traced->spans.items[traced->waits[middle]];
        if ((uint64_t)wait->tid < tid || ((uint64_t)wait->tid == tid && wait->begin <= time))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A thread has one wait at a time: what overlaps for the longer part is the same one. */
static bool is_same_wait(const struct traced_span *wait, uint64_t begin, uint64_t end) {
    uint64_t from = wait->begin > begin ? wait->begin : begin;
    uint64_t to = wait->end < end ? wait->end : end;
    uint64_t longer = wait->end - wait->begin > end - begin ? wait->end - wait->begin : end - begin;
    return to > from && to - from >= longer - (to - from);
}

void traced_recorded(struct traced *traced, const json_t *party, uint64_t end) {
    struct string since = record_string(party, "since");
    uint64_t begin;
    uint64_t pid;
    uint64_t tid;
    if (!record_time(since.bytes, since.length, &begin) || begin > end ||
        !record_number(party, "tid", &tid) || !record_number(party, "pid", &pid))
        return;
    size_t at = waits_until(traced, tid, end);
    for (unsigned steps = 0; at-- > 0 && steps < WAIT_STEPS_MAX; steps++) {
        struct traced_span *wait = &traced->spans.items[traced->waits[at]];
        if ((uint64_t)wait->tid != tid)
            return;
        if ((uint64_t)traced->pids[wait->process] == pid && is_same_wait(wait, begin, end)) {
            wait->is_recorded = true;
            return;
        }
    }
}

const json_t *traced_process(const struct traced *traced, const struct traced_span *span) {
    return json_array_get(traced->processes, span->process);
}

const json_t *traced_file_of(const struct traced *traced, const struct traced_span *span) {
    return json_array_get(traced->files, span->file);
}

const json_t *traced_stack(const struct traced *traced, const struct traced_span *span) {
    return span->stack ? json_array_get(traced->names.stacks, span->stack - 1) : NULL;
}

/* Its last program; NULL: no trace tells. */
static json_t *program_of(const struct traced *traced, uint64_t pid) {
    for (size_t i = pid ? json_array_size(traced->processes) : 0; i-- > 0;) {
        if ((uint64_t)traced->pids[i] == pid)
            return json_array_get(traced->processes, i);
    }
    return NULL;
}

static void name_party(const struct traced *traced, json_t *party, uint64_t own_pid) {
    uint64_t pid;
    if (!json_is_object(party) || !record_number(party, "pid", &pid) || pid == own_pid ||
        record_string(party, "exe").length > 0)
        return;
    json_t *program = program_of(traced, pid);
    if (program)
        json_object_set(party, "exe", json_object_get(program, "exe"));
}

void traced_name_parties(const struct traced *traced, json_t *record) {
    json_t *edges = json_object_get(record, "edges");
    uint64_t own_pid = 0;
    record_number(record, "pid", &own_pid);
    name_party(traced, json_object_get(record, "there"), own_pid);
    for (size_t i = 0; i < json_array_size(edges); i++)
        name_party(traced, json_array_get(edges, i), own_pid);
}

json_t *traced_holder(const struct traced *traced, const struct traced_span *span) {
    if (span->blocker != SIZE_MAX) {
        const struct traced_span *hold = &traced->spans.items[span->blocker];
        return json_incref(json_array_get(traced->processes, hold->process));
    }
    json_t *program = program_of(traced, (uint64_t)span->holder);
    if (program)
        return json_incref(program);
    return json_pack("{s:i}", "pid", (int)span->holder);
}

const char *traced_ending_words(enum traced_ending ending) {
    static const char *const words[] = {
        [TRACED_OPEN] = "not known; the trace has none",
        [TRACED_FULL] = "not known; the trace was full here",
        [TRACED_TAKEN] = "not known; by now somebody else had got the lock",
        [TRACED_LEFT] = "not known; by now the thread did something else",
        [TRACED_UNLOCKED] = "unlocked",
        [TRACED_SHARED] = "unlocked by another process with the same description",
        [TRACED_CLOSED] = "the description was closed",
        [TRACED_CHANGED] = "locked anew, the other way",
        [TRACED_EXITED] = "the process ended",
        [TRACED_GRANTED] = "granted",
        [TRACED_FAILED] = "",
    };
    return words[ending];
}

static char *lost_part(const struct traced *traced) {
    if (traced->lost == 0)
        return must_print("%s", "");
    return must_print("; %" PRIu64 " more were lost, because %" PRIu64 " trace%s had no more room",
                      traced->lost, traced->full, traced->full == 1 ? "" : "s");
}

static char *unread_part(const struct traced *traced) {
    char *unreadable = traced->unreadable
                           ? must_print("; %" PRIu64 " could not be read", traced->unreadable)
                           : must_print("%s", "");
    char *both = traced->left_out ? must_print("%s; %" PRIu64 " more are left out of this report",
                                               unreadable, traced->left_out)
                                  : must_print("%s", unreadable);
    free(unreadable);
    return both;
}

char *traced_line(const struct traced *traced) {
    if (traced->traces == 0)
        return must_print("%s", "");
    char *lost = lost_part(traced);
    char *unread = unread_part(traced);
    char *line = must_print("Traced: %" PRIu64 " lock operation%s of %zu program%s%s%s.",
                            traced->operations, traced->operations == 1 ? "" : "s", traced->traces,
                            traced->traces == 1 ? "" : "s", lost, unread);
    free(lost);
    free(unread);
    return line;
}
