#include "report/record.h"

#include "base/proc.h"
#include "base/sys.h"
#include "base/text.h"
#include "report/log.h"

#include <string.h>
#include <sys/prctl.h>

/* ---- Equal findings ---- */

#define HASH_BEGIN UINT64_C(14695981039346656037) /* FNV-1a */

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) {
    const unsigned char *at = bytes;
    for (; size > 0; size--)
        hash = (hash ^ *at++) * UINT64_C(1099511628211);
    return hash;
}

static uint64_t hash_number(uint64_t hash, uint64_t number) {
    return hash_bytes(hash, &number, sizeof number);
}

/* NULL and "" differ, and no string is a prefix of what follows it. */
static uint64_t hash_string(uint64_t hash, const char *string) {
    return string ? hash_bytes(hash_number(hash, 1), string, strlen(string) + 1)
                  : hash_number(hash, 0);
}

typedef uint64_t hash_stack(uint64_t hash, stack_id id);

static uint64_t hash_parties(uint64_t hash, const struct event *event, hash_stack *add) {
    hash = event->here ? add(hash, event->here->stack) : hash_number(hash, 0);
    hash = event->there ? add(hash, event->there->stack) : hash_number(hash, 0);
    for (size_t i = 0; i < event->edge_count; i++)
        hash = add(hash, event->edges[i].stack);
    return hash;
}

static uint64_t hash_stack_here(uint64_t hash, stack_id id) {
    return hash_number(hash, (uint64_t)id + 1);
}

/* A stack is kept once, so its number stands for its objects and offsets. */
uint64_t record_fingerprint(const struct event *event) {
    uint64_t hash = hash_number(HASH_BEGIN, (uint64_t)event->kind << 32 | (uint64_t)event->action);
    if (event->file) {
        hash = hash_number(hash, event->file->dev);
        hash = hash_number(hash, event->file->ino);
        if (event->file->ino == 0)
            hash = hash_string(hash, event->file->path);
    }
    hash = hash_string(hash_string(hash, event->var), event->detail);
    hash = hash_parties(hash, event, hash_stack_here);
    return hash ? hash : 1;
}

static uint64_t hash_stack_anywhere(uint64_t hash, stack_id id) {
    const struct stack *stack = stack_get(id);
    hash = hash_number(hash, (uint64_t)stack->count + 1);
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct module *module = stack_module(stack, i);
        if (!module)
            continue; /* made at run time: nowhere the same */
        hash = module->build_id_length ? hash_bytes(hash, module->build_id, module->build_id_length)
                                       : hash_string(hash, module->path);
        hash = hash_number(hash, stack->ips[i] - module->bias);
    }
    return hash;
}

uint64_t record_id(const struct event *event) {
    uint64_t hash = hash_string(HASH_BEGIN, event_kind_name(event->kind));
    hash = hash_string(hash, event->file ? event->file->path : NULL);
    hash = hash_string(hash, event->var);
    /* These say the same of many places; what they say is the finding. */
    if (event->kind == EVENT_DEGRADED || event->kind == EVENT_NOT_COVERED)
        hash = hash_string(hash, event->detail);
    return hash_parties(hash, event, hash_stack_anywhere);
}

/* ---- Time ---- */

/* Days since 1970-01-01 to a date, by the usual arithmetic on years that begin in March. */
static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day) {
    days += 719468; /* from 0000-03-01 */
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * years + years / 4 - years / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    *day = of_year - (153 * from_march + 2) / 5 + 1;
    *month = from_march < 10 ? from_march + 3 : from_march - 9;
    *year = (int64_t)years + era * 400 + (*month <= 2);
}

static void put_digits(char *text, uint64_t value, unsigned count) {
    for (; count > 0; value /= 10)
        text[--count] = (char)('0' + value % 10);
}

void record_time(char text[static RECORD_TIME_LENGTH + 1], const struct timespec *time) {
    int64_t seconds = time->tv_sec;
    int64_t days = (seconds >= 0 ? seconds : seconds - 86399) / 86400;
    uint64_t of_day = (uint64_t)(seconds - days * 86400);
    int64_t year;
    unsigned month, day;
    date_of(days, &year, &month, &day);
    memcpy(text, "0000-00-00T00:00:00.000000000Z", RECORD_TIME_LENGTH + 1);
    put_digits(text, (uint64_t)year, 4);
    put_digits(text + 5, month, 2);
    put_digits(text + 8, day, 2);
    put_digits(text + 11, of_day / 3600, 2);
    put_digits(text + 14, of_day / 60 % 60, 2);
    put_digits(text + 17, of_day % 60, 2);
    put_digits(text + 20, (uint64_t)time->tv_nsec, 9);
}

static void put_time(struct json *json, const char *key, const struct timespec *time) {
    char text[RECORD_TIME_LENGTH + 1];
    record_time(text, time);
    json_string(json, key, text);
}

/* ---- What the event does not say ---- */

static void begin_proc(struct text *text, char *path, size_t size, pid_t pid) {
    text_begin(text, path, size);
    text_add(text, "/proc/");
    text_add_decimal(text, (uint64_t)pid);
}

static void read_link(const char *link, char path[static RECORD_PATH_MAX]) {
    ssize_t length = sys_readlinkat(AT_FDCWD, link, path, RECORD_PATH_MAX - 1);
    path[length > 0 ? length : 0] = '\0';
}

/* "" if it cannot be known. */
static void thread_name(pid_t pid, pid_t tid, char name[static EVENT_THREAD_NAME]) {
    char path[64];
    struct text text;
    name[0] = '\0';
    if (tid == sys_gettid()) {
        sys_call6(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0);
        return;
    }
    if (pid <= 0 || tid <= 0)
        return;
    begin_proc(&text, path, sizeof path, pid);
    text_add(&text, "/task/");
    text_add_decimal(&text, (uint64_t)tid);
    text_add(&text, "/comm");
    int fd = sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    ssize_t length = sys_read(fd, name, EVENT_THREAD_NAME - 1);
    sys_close(fd);
    while (length > 0 && name[length - 1] == '\n')
        length--;
    name[length > 0 ? length : 0] = '\0';
}

/* ---- The fields ---- */

static void put_build_id(struct json *json, const struct module *module) {
    char digits[2 * MODULE_BUILD_ID_MAX];
    for (size_t i = 0; i < module->build_id_length; i++) {
        digits[2 * i] = "0123456789abcdef"[module->build_id[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[module->build_id[i] & 15];
    }
    json_string_of(json, "build_id", digits, 2 * (size_t)module->build_id_length);
}

static void put_stack(struct json *json, stack_id id) {
    const struct stack *stack = stack_get(id);
    json_array(json, "stack");
    for (uint32_t i = 0; i < stack->count; i++) {
        const struct module *module = stack_module(stack, i);
        json_object(json, NULL);
        json_string(json, "module", module ? module->path : "");
        if (module)
            put_build_id(json, module);
        else
            json_string(json, "build_id", "");
        json_hex(json, "offset", stack->ips[i] - (module ? module->bias : 0));
        json_close(json);
    }
    json_close(json);
}

/* ---- Another process ---- */

#define COMMAND_MAX 512

/* Its words with blanks between, as ps shows them; "" if it is not to be known. */
static void put_command(struct json *json, const struct event_party *party) {
    char words[COMMAND_MAX] = "";
    size_t length = 0;
    if (party->command) {
        while (length < sizeof words - 2 && (party->command[length] || party->command[length + 1]))
            length++;
        memcpy(words, party->command, length);
    } else if (party->pid > 0) {
        ssize_t got = proc_read(party->pid, "/cmdline", words, sizeof words);
        length = got > 0 ? (size_t)got : 0;
    }
    while (length > 0 && words[length - 1] == '\0')
        length--;
    for (size_t i = 0; i < length; i++)
        if (words[i] == '\0')
            words[i] = ' ';
    if (length > 0)
        json_string_of(json, "command", words, length);
}

static void put_started(struct json *json, pid_t pid) {
    int64_t ns = proc_started_at(pid);
    if (ns != 0)
        put_time(json, "started", &(struct timespec){ns / 1000000000, ns % 1000000000});
}

static void put_other_process(struct json *json, const struct event_party *party,
                              struct record_writer *writer) {
    char link[64];
    struct text text;
    if (party->pid > 0) {
        begin_proc(&text, link, sizeof link, party->pid);
        text_add(&text, "/exe");
        read_link(link, writer->path);
        json_string(json, "exe", writer->path[0] ? writer->path : NULL);
        put_started(json, party->pid);
    }
    if (party->ns_pid > 0)
        json_signed(json, "ns_pid", party->ns_pid);
    put_command(json, party);
}

static void put_value(struct json *json, const struct event_value *value) {
    char digits[17];
    struct text text;
    if (!value->set) {
        json_string(json, "value", NULL);
        return;
    }
    json_object(json, "value");
    json_unsigned(json, "len", value->length);
    text_begin(&text, digits, sizeof digits);
    text_add_hex(&text, value->hash, 16);
    json_string(json, "hash", digits);
    if (value->text)
        json_string_of(json, "text", value->text, value->length);
    json_close(json);
}

static void put_file(struct json *json, const struct event_file *file) {
    json_object(json, "file");
    json_string(json, "path", file->path);
    json_unsigned(json, "dev", file->dev);
    json_unsigned(json, "ino", file->ino);
    json_close(json);
}

static void put_range(struct json *json, const struct event_range *range) {
    json_object(json, "range");
    json_unsigned(json, "start", range->start);
    json_unsigned(json, "len", range->len);
    json_string(json, "type", event_lock_type_name((enum event_lock_type)range->type));
    json_close(json);
}

static void put_party(struct json *json, const char *key, const struct event_party *party,
                      struct record_writer *writer) {
    char name[EVENT_THREAD_NAME];
    pid_t self = sys_getpid();
    json_object(json, key);
    json_signed(json, "pid", party->pid);
    json_signed(json, "tid", party->tid);
    if (party->thread[0])
        memcpy(name, party->thread, sizeof name);
    else
        thread_name(party->pid, party->tid, name);
    json_string_of(json, "thread", name, strnlen(name, sizeof name));
    if (party->pid != self)
        put_other_process(json, party, writer);
    json_signed(json, "fd", party->fd);
    if (party->since.tv_sec || party->since.tv_nsec)
        put_time(json, "since", &party->since);
    else
        json_string(json, "since", NULL);
    if (party->file)
        put_file(json, party->file);
    if (party->range)
        put_range(json, party->range);
    if (party->value)
        put_value(json, party->value);
    if (party->frames)
        json_raw(json, "stack", party->frames);
    else
        put_stack(json, party->stack);
    json_close(json);
}

static void put_writer(struct json *json, struct record_writer *writer) {
    char name[EVENT_THREAD_NAME];
    pid_t tid = sys_gettid();
    json_signed(json, "pid", sys_getpid());
    json_signed(json, "tid", tid);
    thread_name(0, tid, name);
    json_string_of(json, "thread", name, strnlen(name, sizeof name));
    if (!writer->exe[0])
        read_link("/proc/self/exe", writer->exe);
    json_string(json, "exe", writer->exe);
}

static void put_id(struct json *json, uint64_t id) {
    char digits[17];
    struct text text;
    text_begin(&text, digits, sizeof digits);
    text_add_hex(&text, id, 16);
    json_string(json, "id", digits);
}

size_t record_stack(char *line, size_t size, stack_id id) {
    struct json json;
    json_begin(&json, line, size);
    json_unsigned(&json, "id", id);
    put_stack(&json, id);
    return json_end(&json);
}

size_t record_write(struct record_writer *writer, const struct event *event, size_t *count_at) {
    struct json json;
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    json_begin(&json, writer->line, RECORD_LINE_MAX);
    json_unsigned(&json, "v", LOG_VERSION);
    *count_at = json_padded(&json, "count", 1, LOG_COUNT_WIDTH);
    json_string(&json, "kind", event_kind_name(event->kind));
    json_string(&json, "severity", event_severity_name(event_severity(event->kind, event->action)));
    json_string(&json, "action", event_action_name(event->action));
    put_time(&json, "time", &now);
    put_id(&json, record_id(event));
    put_writer(&json, writer);
    if (event->file)
        put_file(&json, event->file);
    if (event->range)
        put_range(&json, event->range);
    if (event->var)
        json_string(&json, "var", event->var);
    if (event->detail)
        json_string(&json, "detail", event->detail);
    if (event->here)
        put_party(&json, "here", event->here, writer);
    if (event->there)
        put_party(&json, "there", event->there, writer);
    if (event->edge_count > 0) {
        json_array(&json, "edges");
        for (size_t i = 0; i < event->edge_count; i++)
            put_party(&json, NULL, &event->edges[i], writer);
        json_close(&json);
    }
    return json_end(&json);
}
