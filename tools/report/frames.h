/* A party's stack as it is shown: one frame for each function, inlined ones too. */
#ifndef RACESHIM_TOOLS_FRAMES_H
#define RACESHIM_TOOLS_FRAMES_H

#include "record.h"
#include "symbols.h"

/* What one shows of a stack, however long the record says that it is. */
#define FRAMES_MAX 128

struct frame {
    size_t index;         /* into the party's stack; inlined functions share one */
    struct string module; /* its path */
    struct string build_id;
    uint64_t offset; /* of the return address */
    bool has_offset;
    bool is_plumbing;           /* libc or the like, not the program */
    struct symbol symbol;       /* function NULL: not known */
    struct symbol_module *file; /* NULL: the record does not say which */
};

struct frames {
    size_t count;
    size_t left_out; /* frames of the record beyond FRAMES_MAX */
    size_t top;      /* the frame in which the program itself made the call; 0 if there is none */
    struct frame items[FRAMES_MAX];
};

/* Valid as long as the record and the symbols are. A party without a stack has no frames. */
void frames_read(struct frames *frames, struct symbols *symbols, const json_t *party);
void frames_read_stack(struct frames *frames, struct symbols *symbols, json_t *stack);

/* The frame to send a reader to: the first of the program's own whose source file lies in the working
 * directory, else the first with a source file; NULL if there is none. */
const struct frame *frames_own(const struct frames *frames);

/* The last component of the frame's module. */
struct string frame_module_name(const struct frame *frame);

/* Do both frames lie in the same function, or at the same place if its name is not known? */
bool frame_is_same_function(const struct frame *a, const struct frame *b);

/* A side of a finding. */
struct side {
    const char *name; /* here, there, waits */
    const json_t *party;
};

#define SIDES_MAX 18

/* here, there and those edges of a cycle that are other parties, as far as the record has them. Returns
 * how many. */
size_t sides_of(const json_t *record, struct side sides[static SIDES_MAX]);

/* The same thread, as far as the numbers are known? */
bool party_is_same(const json_t *a, const json_t *b);

#endif
