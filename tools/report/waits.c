#define _GNU_SOURCE
#include "waits.h"

#include "../common/memory.h"
#include "show.h"
#include "timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 4096u /* what is beyond counts for all files and holders only */
#define SHOWN_MAX 10u
#define NAME_WIDTH 100

/* The same file is mostly waited for again at once. */
static struct wait_total *find_total(struct wait_totals *totals, const char *name) {
    for (size_t i = totals->count; i-- > 0;) {
        if (strcmp(totals->items[i].name, name) == 0)
            return &totals->items[i];
    }
    if (totals->count == NAMES_MAX)
        return NULL;
    totals->items = must_allocate(totals->items, totals->count + 1, sizeof *totals->items);
    totals->items[totals->count] = (struct wait_total){.name = must_print("%s", name)};
    return &totals->items[totals->count++];
}

static void add(struct wait_total *total, uint64_t ns) {
    if (!total)
        return;
    total->waits++;
    total->ns = total->ns + ns < ns ? UINT64_MAX : total->ns + ns;
}

static const json_t *holder_of(const json_t *record) {
    const json_t *edges = json_object_get(record, "edges");
    return json_array_size(edges) > 1 ? json_array_get(edges, 1) : json_object_get(record, "there");
}

/* about: what has the subject; holder: a party. */
static void add_wait(struct waits *waits, uint64_t ns, const json_t *about, const json_t *holder) {
    struct printing name;
    add(&waits->all, ns);
    show_begin(&name);
    show_subject(&name.output, about, NAME_WIDTH);
    show_end(&name);
    add(find_total(&waits->files, name.text), ns);
    free(name.text);
    show_begin(&name);
    show_process(&name.output, holder, about);
    show_end(&name);
    add(find_total(&waits->holders, name.text), ns);
    free(name.text);
}

void waits_add(struct waits *waits, const json_t *record) {
    uint64_t ns = timeline_waited(record);
    struct string kind = record_string(record, "kind");
    /* A wait for an ancestor has another record, as a wait. */
    if (ns > 0 && !(kind.bytes && strcmp(kind.bytes, "ancestor-wait") == 0))
        add_wait(waits, ns, record, holder_of(record));
}

void waits_add_traced(struct waits *waits, const struct traced *traced) {
    for (size_t i = 0; i < traced->spans.count; i++) {
        const struct traced_span *span = &traced->spans.items[i];
        if (span->type != TRACED_WAIT || span->is_recorded || span->end == span->begin)
            continue;
        json_t *holder = traced_holder(traced, span);
        add_wait(waits, span->end - span->begin, traced_file_of(traced, span), holder);
        json_decref(holder);
    }
}

static int compare(const void *left, const void *right) {
    const struct wait_total *a = left;
    const struct wait_total *b = right;
    if (a->ns != b->ns)
        return a->ns > b->ns ? -1 : 1;
    return strcmp(a->name, b->name);
}

static void sort(struct wait_totals *totals) {
    if (totals->count > 0)
        qsort(totals->items, totals->count, sizeof *totals->items, compare);
}

void waits_sort(struct waits *waits) {
    sort(&waits->files);
    sort(&waits->holders);
}

static void end(struct wait_totals *totals) {
    for (size_t i = 0; i < totals->count; i++)
        free(totals->items[i].name);
    free(totals->items);
}

void waits_end(struct waits *waits) {
    end(&waits->files);
    end(&waits->holders);
}

static double seconds(uint64_t ns) {
    return (double)ns / 1e9;
}

/* For the caller to free. */
static char *print_seconds(uint64_t ns) {
    return must_print(ns < 1000000000 ? "%.3f s" : "%.1f s", seconds(ns));
}

char *waits_line(const struct waits *waits) {
    if (waits->all.waits == 0)
        return must_print("%s", "");
    const struct wait_total *file = &waits->files.items[0];
    const struct wait_total *holder = &waits->holders.items[0];
    char *all = print_seconds(waits->all.ns);
    char *of_file = print_seconds(file->ns);
    char *of_holder = print_seconds(holder->ns);
    char *line = must_print("At least %s were lost in %" PRIu64
                            " wait%s: most for %s (%s), and most to %s (%s).",
                            all, waits->all.waits, waits->all.waits == 1 ? "" : "s", file->name,
                            of_file, holder->name, of_holder);
    free(all);
    free(of_file);
    free(of_holder);
    return line;
}

static void write_totals(const struct output *output, const char *title,
                         const struct wait_totals *totals) {
    fprintf(output->file, "  %s\n", title);
    for (size_t i = 0; i < totals->count && i < SHOWN_MAX; i++) {
        const struct wait_total *total = &totals->items[i];
        fprintf(output->file, "  %12.3f s  in %" PRIu64 " wait%s  ", seconds(total->ns),
                total->waits, total->waits == 1 ? "" : "s");
        output_again(output, total->name);
        fputc('\n', output->file);
    }
    if (totals->count > SHOWN_MAX)
        fprintf(output->file, "                  ... and %zu more\n", totals->count - SHOWN_MAX);
}

void waits_write(const struct output *output, const struct waits *waits) {
    if (waits->all.waits == 0)
        return;
    fprintf(output->file, "Lost in waits: at least %.3f s\n", seconds(waits->all.ns));
    write_totals(output, "by file", &waits->files);
    write_totals(output, "by holder", &waits->holders);
}
