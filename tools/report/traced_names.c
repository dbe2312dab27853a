#define _GNU_SOURCE
#include "traced_names.h"

#include "../common/memory.h"
#include "pool.h"
#include "record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What is beyond stays without a name. */
#define STACKS_MAX 20000u
#define PATHS_MAX 200000u
#define NUMBERS_MAX 65536u

void traced_names_begin(struct traced_names *names) {
    *names = (struct traced_names){json_array(), json_object(), json_object()};
}

void traced_names_end(struct traced_names *names) {
    json_decref(names->stacks);
    json_decref(names->places);
    json_decref(names->paths);
}

struct reading {
    struct traced_names *names;
    struct stack_numbers *numbers;
};

static void print_file_key(char key[static 48], uint64_t dev, uint64_t ino) {
    snprintf(key, 48, "%" PRIu64 ":%" PRIu64, dev, ino);
}

/* Its index; that of an equal one if there is one already. False: there are too many. */
static bool add_stack(struct traced_names *names, json_t *stack, uint32_t *index) {
    char *text = json_dumps(stack, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
    const json_t *known = json_object_get(names->places, text);
    size_t count = json_array_size(names->stacks);
    bool fits = known || count < STACKS_MAX;
    *index = known ? (uint32_t)json_integer_value(known) : (uint32_t)count;
    if (!known && fits) {
        json_array_append_new(names->stacks, json_pack("{s:O}", "stack", stack));
        json_object_set_new(names->places, text, json_integer((json_int_t)count));
    }
    pool_give_text(text);
    return fits;
}

static void take_stack(struct reading *reading, uint64_t id, json_t *stack) {
    struct stack_numbers *numbers = reading->numbers;
    uint32_t index;
    if (id > UINT32_MAX || numbers->count == NUMBERS_MAX ||
        !add_stack(reading->names, stack, &index))
        return;
    numbers->items = must_allocate(numbers->items, numbers->count + 1, sizeof *numbers->items);
    numbers->items[numbers->count++] = (struct stack_number){(uint32_t)id, index};
}

static void take_path(struct traced_names *names, const json_t *line) {
    uint64_t dev;
    uint64_t ino;
    char key[48];
    json_t *path = json_object_get(line, "path");
    if (!json_is_string(path) || !record_number(line, "dev", &dev) ||
        !record_number(line, "ino", &ino) || json_object_size(names->paths) >= PATHS_MAX)
        return;
    print_file_key(key, dev, ino);
    json_object_set(names->paths, key, path);
}

static void take_line(void *context, const char *bytes, struct place place) {
    struct reading *reading = context;
    json_t *line = record_object(bytes, place.length);
    json_t *stack = json_object_get(line, "stack");
    uint64_t id;
    if (json_is_array(stack) && record_number(line, "id", &id))
        take_stack(reading, id, stack);
    else
        take_path(reading->names, line);
    json_decref(line);
}

static int compare(const void *left, const void *right) {
    const struct stack_number *a = left;
    const struct stack_number *b = right;
    return a->id < b->id ? -1 : a->id > b->id;
}

char *traced_names_read(struct traced_names *names, struct stack_numbers *numbers,
                        struct lines *lines, const char *path) {
    struct reading reading = {names, numbers};
    *numbers = (struct stack_numbers){0};
    char *wrong = lines_read(lines, path, take_line, &reading);
    if (numbers->count > 0)
        qsort(numbers->items, numbers->count, sizeof *numbers->items, compare);
    return wrong;
}

uint32_t stack_numbers_find(const struct stack_numbers *numbers, uint32_t id) {
    struct stack_number wanted = {.id = id};
    const struct stack_number *found =
        id && numbers->count > 0
            ? bsearch(&wanted, numbers->items, numbers->count, sizeof wanted, compare)
            : NULL;
    return found ? found->index + 1 : 0;
}

json_t *traced_names_path(const struct traced_names *names, uint64_t dev, uint64_t ino) {
    char key[48];
    print_file_key(key, dev, ino);
    return json_object_get(names->paths, key);
}
