#define _GNU_SOURCE
#include "traced_choice.h"

#include "../common/memory.h"

#include <stdlib.h>

static unsigned rank_of(const struct traced_span *span) {
    static const unsigned ranks[] = {[TRACED_WAIT] = 0, [TRACED_REFUSAL] = 1, [TRACED_HOLD] = 2};
    return ranks[span->type];
}

static int compare_worth(const void *left, const void *right, void *context) {
    const struct traced_spans *spans = context;
    const struct traced_span *a = &spans->items[*(const size_t *)left];
    const struct traced_span *b = &spans->items[*(const size_t *)right];
    if (rank_of(a) != rank_of(b))
        return rank_of(a) < rank_of(b) ? -1 : 1;
    if (a->end - a->begin != b->end - b->begin)
        return a->end - a->begin > b->end - b->begin ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void choose(struct traced_choice *choice, size_t span, size_t max) {
    if (choice->numbers[span] == NOT_CHOSEN && choice->count < max) {
        choice->numbers[span] = 0;
        choice->count++;
    }
}

struct traced_choice traced_choose(struct traced_spans *spans, size_t max) {
    struct traced_choice choice = {.numbers =
                                       must_allocate(NULL, spans->count + 1, sizeof(uint32_t))};
    size_t *order = must_allocate(NULL, spans->count + 1, sizeof *order);
    uint32_t number = 0;
    for (size_t i = 0; i < spans->count; i++) {
        choice.numbers[i] = NOT_CHOSEN;
        order[i] = i;
    }
    qsort_r(order, spans->count, sizeof *order, compare_worth, spans);
    for (size_t i = 0; i < spans->count; i++) {
        choose(&choice, order[i], max);
        if (spans->items[order[i]].blocker != SIZE_MAX)
            choose(&choice, spans->items[order[i]].blocker, max);
    }
    free(order);
    for (size_t i = 0; i < spans->count; i++) {
        if (choice.numbers[i] != NOT_CHOSEN)
            choice.numbers[i] = number++;
    }
    return choice;
}

void traced_choice_end(struct traced_choice *choice) {
    free(choice->numbers);
}

int64_t traced_choice_blocker(const struct traced_choice *choice, const struct traced_span *span) {
    uint32_t number = span->blocker == SIZE_MAX ? NOT_CHOSEN : choice->numbers[span->blocker];
    return number == NOT_CHOSEN ? -1 : (int64_t)number;
}
