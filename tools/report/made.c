#include "made.h"

#include "tree.h"

#include <stdlib.h>

void made_end(struct made *made) {
    for (size_t i = 0; i < MADE_MAX; i++) {
        json_decref(made->items[i].first);
        json_decref(made->items[i].second);
        free(made->items[i].text);
    }
}

/* The item of these stacks; else a free one, or one to be replaced. An item holds on to its stacks, so that
 * no others can come to their addresses. */
static size_t find_item(const struct made *made, const json_t *first, const json_t *second) {
    uint64_t key = (uint64_t)(uintptr_t)first * 31 + (uint64_t)(uintptr_t)second;
    size_t hash = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    for (size_t i = 0; i < MADE_PROBED; i++) {
        const struct made_item *item = &made->items[(hash + i) % MADE_MAX];
        if (!item->text || (item->first == first && item->second == second))
            return (hash + i) % MADE_MAX;
    }
    return hash % MADE_MAX;
}

struct string made_find(const struct made *made, const json_t *first, const json_t *second) {
    const struct made_item *item = &made->items[find_item(made, first, second)];
    if (item->text && item->first == first && item->second == second)
        return (struct string){item->text, item->length};
    return (struct string){NULL, 0};
}

void made_keep(struct made *made, json_t *first, json_t *second, char *text, size_t length) {
    if (!tree_is_shared(first) || (second && !tree_is_shared(second))) {
        free(text);
        return;
    }
    struct made_item *item = &made->items[find_item(made, first, second)];
    json_decref(item->first);
    json_decref(item->second);
    free(item->text);
    *item = (struct made_item){json_incref(first), json_incref(second), text, length};
}
