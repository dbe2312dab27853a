#define _GNU_SOURCE
#include "findings.h"

#include "../common/memory.h"
#include "progress.h"
#include "record.h"
#include "skim.h"
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

void findings_begin(struct findings *findings, uint64_t since, bool keep_apart) {
    *findings = (struct findings){.since = since, .keep_apart = keep_apart};
    lines_begin(&findings->lines);
}

void findings_end(struct findings *findings) {
    lines_end(&findings->lines);
    waits_end(&findings->waits);
    tree_stacks_end(&findings->stacks);
    free(findings->items);
    free(findings->slots);
}

/* The fingerprint's 16 hexadecimal digits; 0 if there are none. */
static uint64_t read_id(struct string id) {
    uint64_t value = 0;
    if (!id.bytes || id.length != 16)
        return 0;
    for (size_t i = 0; i < id.length; i++) {
        char c = id.bytes[i];
        bool is_digit = c >= '0' && c <= '9';
        if (!is_digit && (c < 'a' || c > 'f'))
            return 0;
        value = value << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static struct skimmed fields_of(const json_t *record) {
    struct skimmed fields = {.kind = record_string(record, "kind"),
                             .severity = record_string(record, "severity"),
                             .action = record_string(record, "action"),
                             .time = record_string(record, "time"),
                             .id = record_string(record, "id")};
    record_number(record, "count", &fields.count);
    return fields;
}

static struct finding describe(const struct skimmed *fields, struct place place) {
    struct finding finding = {.id = read_id(fields->id), .place = place, .count = fields->count};
    finding.kind = kind_find(fields->kind.bytes, fields->kind.length);
    finding.severity = SEVERITY_WARNING; /* of a record that tells none that is known */
    if (fields->severity.bytes)
        severity_find(fields->severity.bytes, fields->severity.length, &finding.severity);
    if (!record_time(fields->time.bytes, fields->time.length, &finding.time))
        finding.time = UINT64_MAX;
    if (finding.count == 0)
        finding.count = 1;
    return finding;
}

/* The slot of this finding, or the free one where it belongs. */
static uint32_t *find_slot(struct findings *findings, const struct finding *finding) {
    size_t mask = findings->slots_size - 1;
    size_t at = (finding->id * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & mask;
    for (;; at = (at + 1) & mask) {
        size_t index = findings->slots[at];
        if (index == 0)
            return &findings->slots[at];
        const struct finding *other = &findings->items[index - 1];
        if (other->id == finding->id && other->kind == finding->kind)
            return &findings->slots[at];
    }
}

static void grow(struct findings *findings) {
    findings->room = findings->room ? 2 * findings->room : 64;
    findings->items = must_allocate(findings->items, findings->room, sizeof *findings->items);
    findings->slots_size = 2 * findings->room;
    findings->slots = must_allocate(findings->slots, findings->slots_size, sizeof *findings->slots);
    memset(findings->slots, 0, findings->slots_size * sizeof *findings->slots);
    for (size_t i = 0; i < findings->count; i++) {
        if (findings->items[i].id)
            *find_slot(findings, &findings->items[i]) = (uint32_t)i + 1;
    }
}

static void merge(struct finding *into, const struct finding *other) {
    uint64_t count = into->count + other->count;
    if (count < into->count)
        count = UINT64_MAX;
    enum event_severity severity =
        into->severity < other->severity ? into->severity : other->severity;
    if (other->time < into->time)
        *into = *other;
    into->count = count;
    into->severity = severity;
}

static void add(struct findings *findings, const struct finding *finding) {
    if (findings->count == UINT32_MAX)
        return;
    if (findings->count == findings->room)
        grow(findings);
    if (finding->id) {
        uint32_t *slot = find_slot(findings, finding);
        if (*slot) {
            merge(&findings->items[*slot - 1], finding);
            return;
        }
        *slot = (uint32_t)findings->count + 1;
    }
    findings->items[findings->count++] = *finding;
}

static void add_fields(struct findings *findings, const struct skimmed *fields,
                       struct place place) {
    struct finding finding = describe(fields, place);
    if (findings->keep_apart)
        finding.id = 0;
    if (finding.time >= findings->since)
        add(findings, &finding);
}

static void name_parties(const struct findings *findings, json_t *record) {
    if (findings->traced)
        traced_name_parties(findings->traced, record);
}

/* The wait's own fields need a tree, but not of the stacks, which are most of the line. */
static void add_wait(struct findings *findings, const struct skimmed *fields, const char *bytes,
                     size_t length) {
    json_t *record;
    uint64_t time;
    if (!timeline_is_wait(fields->kind, fields->action) ||
        !record_time(fields->time.bytes, fields->time.length, &time) || time < findings->since)
        return;
    char *shorter = must_allocate(NULL, length, 1);
    length = skim_without_stacks(fields, shorter, bytes, length);
    if (record_read(shorter, length, &record) == RECORD_GOOD) {
        name_parties(findings, record);
        waits_add(&findings->waits, record);
        if (findings->traced)
            traced_recorded(findings->traced, timeline_waiter(record), time);
        json_decref(record);
    }
    free(shorter);
}

static void take_line(void *context, const char *bytes, struct place place) {
    struct findings *findings = context;
    struct skimmed fields;
    json_t *record;
    if (skim_record(&findings->stacks, &fields, bytes, place.length) == SKIM_GOOD) {
        add_fields(findings, &fields, place);
        add_wait(findings, &fields, bytes, place.length);
        return;
    }
    switch (record_read(bytes, place.length, &record)) {
    case RECORD_BROKEN:
        if (findings->broken++ == 0)
            findings->first_broken = place;
        return;
    case RECORD_NEWER:
        findings->newer++;
        return;
    case RECORD_GOOD:
        break;
    }
    fields = fields_of(record);
    add_fields(findings, &fields, place);
    add_wait(findings, &fields, bytes, place.length);
    json_decref(record);
}

char *findings_read(struct findings *findings, const char *path) {
    return lines_read(&findings->lines, path, take_line, findings);
}

static int compare(const void *left, const void *right) {
    const struct finding *a = left;
    const struct finding *b = right;
    if (a->severity != b->severity)
        return a->severity < b->severity ? -1 : 1;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if (a->place.file != b->place.file)
        return a->place.file < b->place.file ? -1 : 1;
    return a->place.offset < b->place.offset ? -1 : a->place.offset > b->place.offset;
}

void findings_sort(struct findings *findings) {
    waits_sort(&findings->waits);
    if (findings->count > 0)
        qsort(findings->items, findings->count, sizeof *findings->items, compare);
}

json_t *findings_record(struct findings *findings, const struct finding *finding) {
    if (findings->work)
        progress_show(findings->work, (uint64_t)(finding - findings->items), findings->count);
    const char *line = lines_again(&findings->lines, finding->place);
    json_t *record;
    if (!line ||
        record_read_sharing(&findings->stacks, line, finding->place.length, &record) != RECORD_GOOD)
        return NULL;
    uint64_t count = finding->count < INT64_MAX ? finding->count : INT64_MAX;
    json_object_set_new(record, "count", json_integer((json_int_t)count));
    json_object_set_new(record, "severity", json_string(severity_name(finding->severity)));
    name_parties(findings, record);
    return record;
}

void findings_filter(struct findings *findings, findings_wanted *wanted, void *context) {
    size_t kept = 0;
    findings->work = "choosing";
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (record && wanted(context, record))
            findings->items[kept++] = findings->items[i];
        json_decref(record);
    }
    findings->count = kept;
    progress_end();
}
