/* Any bytes as one record: what is skimmed is what is read in full, a tree made by ourselves is jansson's, and
 * what is printed of it is JSON that is read again.
 *
 *     clang -g -O1 -fsanitize=fuzzer,address,undefined -Ibuild -Isrc \
 *         tests/fuzz/fuzz_record_line.c tools/report/{pool,print,record,scan,skim,tree}.c \
 *         tools/common/{kinds,memory,output}.c -ljansson
 */
#include "../../tools/report/record.h"
#include "../../tools/report/skim.h"
#include "../../tools/report/tree.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printed(const json_t *record) {
    char *text = record_print(record);
    if (!text)
        abort();
    for (const char *at = text; *at; at++) {
        if (*at < 0x20 || *at == 0x7f || strchr("<>&", *at))
            abort();
    }
    json_t *again;
    if (record_read(text, strlen(text), &again) != RECORD_GOOD)
        abort();
    json_decref(again);
    free(text);
}

/* Twice: the second time its stacks are known. */
static void check_tree(struct tree_stacks *stacks, const char *line, size_t length) {
    for (int i = 0; i < 2; i++) {
        json_t *tree = tree_read(stacks, line, length);
        json_t *wanted = tree ? json_loadb(line, length, JSON_ALLOW_NUL, NULL) : NULL;
        if (tree && !json_equal(tree, wanted))
            abort();
        json_decref(tree);
        json_decref(wanted);
    }
}

static void check_line(const char *line, size_t length) {
    struct tree_stacks stacks = {0};
    struct skimmed skimmed;
    json_t *record;
    bool is_skimmed = skim_record(&stacks, &skimmed, line, length) == SKIM_GOOD;
    if (is_skimmed != (skim_record(&stacks, &skimmed, line, length) == SKIM_GOOD))
        abort();
    check_tree(&stacks, line, length);
    tree_stacks_end(&stacks);
    bool is_read = record_read(line, length, &record) == RECORD_GOOD;
    if (is_skimmed && !is_read)
        abort();
    if (!is_read)
        return;
    struct string kind = record_string(record, "kind");
    if (is_skimmed &&
        (skimmed.kind.length != kind.length || memcmp(skimmed.kind.bytes, kind.bytes, kind.length)))
        abort();
    check_printed(record);
    json_decref(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* Of exactly its size, so that the sanitizer sees a step beyond. */
    char *line = malloc(size ? size : 1);
    memcpy(line, data, size);
    check_line(line, size);
    free(line);
    return 0;
}
