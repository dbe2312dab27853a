/* For programs: an array of the records, with the fields that this version does not know too. ASCII
 * only, so that it can be printed anywhere. */
#include "formats.h"

void json_write(struct findings *findings, const struct output *output) {
    const char *before = "";
    fputc('[', output->file);
    for (size_t i = 0; i < findings->count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        fprintf(output->file, "%s\n", before);
        json_dumpf(record, output->file,
                   JSON_ENSURE_ASCII | JSON_COMPACT | JSON_REAL_PRECISION(17));
        before = ",";
        json_decref(record);
    }
    fputs("\n]\n", output->file);
}
