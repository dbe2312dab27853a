#include "pool.h"

#include "../common/memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Sizes are rounded up to steps; what is larger than all of them is malloc's. */
#define STEP 16
#define SIZES 32
#define CHUNK ((size_t)64 << 10)

/* In front of each piece: its size in steps; 0: malloc's. */
union head {
    size_t steps;
    max_align_t align;
};

struct piece {
    struct piece *next;
};

static struct piece *given_back[SIZES + 1];
static char *fresh;
static size_t fresh_left;

static union head *take_fresh(size_t size) {
    if (fresh_left < size) {
        fresh = must_allocate(NULL, CHUNK, 1); /* the little that is left of the last one is lost */
        fresh_left = CHUNK;
    }
    union head *head = (union head *)fresh;
    fresh += size;
    fresh_left -= size;
    return head;
}

static void *take(size_t size) {
    size_t steps = size ? (size - 1) / STEP + 1 : 1; /* what is given back holds a pointer */
    if (steps > SIZES) {
        union head *head = size <= SIZE_MAX - sizeof *head ? malloc(sizeof *head + size) : NULL;
        if (!head)
            return NULL;
        head->steps = 0;
        return head + 1;
    }
    struct piece *piece = given_back[steps];
    if (piece) {
        given_back[steps] = piece->next;
        return piece;
    }
    union head *head = take_fresh(sizeof *head + steps * STEP);
    head->steps = steps;
    return head + 1;
}

static void give_back(void *memory) {
    if (!memory)
        return;
    union head *head = (union head *)memory - 1;
    if (head->steps == 0) {
        free(head);
        return;
    }
    struct piece *piece = memory;
    piece->next = given_back[head->steps];
    given_back[head->steps] = piece;
}

/* What is used after it was given back is found in malloc's memory only. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED true
#else
#define IS_CHECKED false
#endif

void pool_serve_jansson(void) {
    if (!IS_CHECKED)
        json_set_alloc_funcs(take, give_back);
}

void pool_give_text(char *text) {
    json_free_t free_text;
    json_get_alloc_funcs(NULL, &free_text);
    free_text(text);
}
