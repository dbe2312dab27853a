/* SARIF 2.1.0, for code scanning: a rule for each kind, both sides' stacks as code flows in the order
 * of the calls, and fingerprints that survive a rebuild. */
#define _GNU_SOURCE
#include "config.h"
#include "escape.h"
#include "fingerprint.h"
#include "formats.h"
#include "show.h"

#include "../common/memory.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Code scanning refuses a run with more. */
#define RESULTS_MAX 25000u
#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

static json_t *take_string(char *text) {
    json_t *string = json_string(text);
    free(text);
    return string;
}

static json_t *message_object(json_t *text) {
    return json_pack("{s:o}", "text", text);
}

static json_t *take_printed(struct printing *printing) {
    return take_string(show_end(printing));
}

/* A path in the working directory is relative to %SRCROOT%, which is that. */
static json_t *artifact_location(struct string path) {
    struct string relative = record_relative(path);
    char *escaped = escape_uri_path(relative);
    json_t *location = json_object();
    if (path.length > 0 && path.bytes[0] != '/') {
        json_object_set_new(location, "uri", json_string(escaped));
    } else if (relative.bytes != path.bytes) {
        json_object_set_new(location, "uri", json_string(escaped));
        json_object_set_new(location, "uriBaseId", json_string("%SRCROOT%"));
    } else {
        json_object_set_new(location, "uri", take_string(must_print("file://%s", escaped)));
    }
    free(escaped);
    return location;
}

static json_t *region_of(const struct symbol *symbol) {
    json_t *region = json_object();
    json_object_set_new(region, "startLine", json_integer(symbol->line));
    if (symbol->column > 0)
        json_object_set_new(region, "startColumn", json_integer(symbol->column));
    if (symbol->text) {
        struct printing text;
        show_begin(&text);
        output_text(&text.output, symbol->text, strlen(symbol->text), 0);
        json_object_set_new(region, "snippet", message_object(take_printed(&text)));
    }
    return region;
}

static json_t *frame_location(const struct frame *frame) {
    const struct symbol *symbol = &frame->symbol;
    struct printing name;
    json_t *location = json_object();
    show_begin(&name);
    show_function(&name.output, frame);
    json_t *function = take_printed(&name);
    if (symbol->file && symbol->line > 0) {
        json_t *place = artifact_location((struct string){symbol->file, strlen(symbol->file)});
        json_object_set_new(
            location, "physicalLocation",
            json_pack("{s:o, s:o}", "artifactLocation", place, "region", region_of(symbol)));
    } else if (frame->module.length > 0) {
        json_object_set_new(
            location, "physicalLocation",
            json_pack("{s:o}", "artifactLocation", artifact_location(frame->module)));
    }
    json_object_set_new(location, "message", message_object(json_incref(function)));
    json_object_set_new(
        location, "logicalLocations",
        json_pack("[{s:o, s:s}]", "fullyQualifiedName", function, "kind", "function"));
    return location;
}

static json_t *side_title(const struct side *side, const json_t *record) {
    struct printing title;
    show_begin(&title);
    fprintf(title.output.file, "%s: ", side->name);
    show_process(&title.output, side->party, record);
    show_party_rest(&title.output, side->party);
    return take_printed(&title);
}

/* The outermost call first. NULL for a side without a stack. */
static json_t *code_flow(const struct side *side, const struct frames *frames,
                         const json_t *record) {
    if (frames->count == 0)
        return NULL;
    json_t *locations = json_array();
    for (size_t i = frames->count; i-- > 0;)
        json_array_append_new(locations,
                              json_pack("{s:o}", "location", frame_location(&frames->items[i])));
    return json_pack("{s:o, s:[{s:s, s:o}]}", "message", message_object(side_title(side, record)),
                     "threadFlows", "id", side->name, "locations", locations);
}

/* Code scanning shows no result that is nowhere: without a source line, it is at the program. */
static json_t *main_location(const struct frame *own, const json_t *record) {
    struct string exe = record_string(record, "exe");
    if (own)
        return frame_location(own);
    if (exe.length == 0)
        exe = (struct string){"unknown-program", strlen("unknown-program")};
    return json_pack("{s:{s:o}}", "physicalLocation", "artifactLocation", artifact_location(exe));
}

static void add_sides(json_t *result, struct symbols *symbols, const json_t *record) {
    struct side sides[SIDES_MAX];
    struct frames frames;
    size_t count = sides_of(record, sides);
    json_t *flows = json_array();
    json_t *location = NULL;
    for (size_t i = 0; i < count; i++) {
        frames_read(&frames, symbols, sides[i].party);
        json_t *flow = code_flow(&sides[i], &frames, record);
        if (flow)
            json_array_append_new(flows, flow);
        if (!location && frames_own(&frames))
            location = main_location(frames_own(&frames), record);
    }
    if (!location)
        location = main_location(NULL, record);
    json_object_set_new(result, "locations", json_pack("[o]", location));
    if (json_array_size(flows) > 0)
        json_object_set(result, "codeFlows", flows);
    json_decref(flows);
}

static json_t *rule_id(const json_t *record) {
    struct printing kind;
    show_begin(&kind);
    show_string(&kind.output, record_string(record, "kind"), 0);
    return take_printed(&kind);
}

static json_t *result_of(struct report *report, const struct finding *finding,
                         const json_t *record) {
    char fingerprint[FINGERPRINT_LENGTH + 1];
    json_t *result = json_object();
    fingerprint_of(fingerprint, record, report->symbols);
    json_object_set_new(result, "ruleId", rule_id(record));
    if (finding->kind)
        json_object_set_new(result, "ruleIndex", json_integer(kind_index(finding->kind)));
    json_object_set_new(result, "level", json_string(severity_name(finding->severity)));
    json_object_set_new(result, "message",
                        message_object(take_string(summary_line(report, finding, record))));
    add_sides(result, report->symbols, record);
    json_object_set_new(result, "partialFingerprints",
                        json_pack("{s:s}", "raceshimFinding/v1", fingerprint));
    json_object_set(result, "occurrenceCount", json_object_get(record, "count"));
    return result;
}

static json_t *rule_of(size_t index) {
    const struct kind *kind = kind_at(index);
    return json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}}", "id", kind_name(kind), "shortDescription",
                     "text", kind->phrase, "fullDescription", "text", kind->meaning,
                     "defaultConfiguration", "level",
                     severity_name(event_severity((enum event_kind)index, ACTION_NONE)));
}

static json_t *driver(void) {
    json_t *rules = json_array();
    for (size_t i = 0; i < EVENT_KIND_COUNT; i++)
        json_array_append_new(rules, rule_of(i));
    return json_pack("{s:s, s:s, s:o}", "name", "raceshim", "semanticVersion", PACKAGE_VERSION,
                     "rules", rules);
}

static json_t *source_root(void) {
    char *here = getcwd(NULL, 0);
    char *escaped = escape_uri_path((struct string){here ? here : "", here ? strlen(here) : 0});
    json_t *root =
        json_pack("{s:{s:o}}", "%SRCROOT%", "uri", take_string(must_print("file://%s/", escaped)));
    free(here);
    free(escaped);
    return root;
}

/* That the tool has run, and what it left out. */
static json_t *invocation(size_t left_out) {
    json_t *object = json_pack("{s:b}", "executionSuccessful", 1);
    if (left_out > 0) {
        char *text =
            must_print("%zu findings, the least severe and latest, are left out", left_out);
        json_object_set_new(object, "toolExecutionNotifications",
                            json_pack("[{s:s, s:o}]", "level", "note", "message",
                                      message_object(take_string(text))));
    }
    return object;
}

/* Prints the value and drops it. */
static void print(FILE *file, json_t *value) {
    char *text = record_print(value);
    fputs(text, file);
    free(text);
    json_decref(value);
}

void sarif_write(struct report *report, const struct output *output) {
    struct findings *findings = &report->findings;
    size_t count = findings->count < RESULTS_MAX ? findings->count : RESULTS_MAX;
    const char *before = "";
    fputs("{\"version\":\"2.1.0\",\"$schema\":\"" SCHEMA "\",\"runs\":[{\n\"tool\":{\"driver\":",
          output->file);
    print(output->file, driver());
    fputs("},\n\"columnKind\":\"unicodeCodePoints\",\n\"originalUriBaseIds\":", output->file);
    print(output->file, source_root());
    fputs(",\n\"results\":[", output->file);
    for (size_t i = 0; i < count; i++) {
        json_t *record = findings_record(findings, &findings->items[i]);
        if (!record)
            continue;
        fprintf(output->file, "%s\n", before);
        print(output->file, result_of(report, &findings->items[i], record));
        json_decref(record);
        before = ",";
    }
    fputs("\n],\n\"invocations\":[", output->file);
    print(output->file, invocation(findings->count - count));
    fputs("]}]}\n", output->file);
}
