/* Texts that were made of stacks which records share (see tree.h): each is made once.
 */
#ifndef RACESHIM_TOOLS_MADE_H
#define RACESHIM_TOOLS_MADE_H

#include "record.h"

#define MADE_MAX 512
#define MADE_PROBED 4

/* Each near the place that its stacks give it. */
struct made {
    struct made_item {
        json_t *first;
        json_t *second;
        char *text;
        size_t length;
    } items[MADE_MAX];
};

void made_end(struct made *made);

/* What was made of the two stacks, or of first alone if second is NULL; bytes is NULL if nothing is
 * kept. Valid until the next made_keep. */
struct string made_find(const struct made *made, const json_t *first, const json_t *second);

/* Keeps the text, which the caller allocated; of stacks that are not shared nothing is kept, and the text
 * is freed. */
void made_keep(struct made *made, json_t *first, json_t *second, char *text, size_t length);

#endif
