/* For programs: an array of the records, with the fields that this version does not know too. ASCII
 * only, so that it can be printed anywhere. */
#include "formats.h"
#include "record.h"

#include <stdlib.h>

void json_write(struct findings *findings, const struct output *output) {
    const char *before = "";
    fputc('[', output->file);
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        char *text = record ? record_print(record) : NULL;
        if (text) {
            fprintf(output->file, "%s\n%s", before, text);
            before = ",";
        }
        free(text);
        json_decref(record);
    }
    fputs("\n]\n", output->file);
}
