/* What each thread should see of the environment, by the definition in doc/design.md, "who sees which value".
 *
 * There is one log of all writes, and what a thread sees is looked up in it anew each time: nothing is cached, kept up
 * to date or made fast. The steps are the lines of environment_actors.h.
 */
#ifndef ENVIRONMENT_MODEL_H
#define ENVIRONMENT_MODEL_H

#include "environment_actors.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL_THREADS 16
#define MODEL_WRITES 512
#define MODEL_LAYERS 256
#define NOBODY (-1)

enum model_mode { MODEL_BARE, MODEL_SCOPED, MODEL_PRIVATE };
enum model_treatment { SHARED, SCOPED, PRIVATE };

/* The names that may occur. The last ones are those that libc reads for itself. */
static const char *const model_names[] = {"AA",       "BB",        "CC",        "DD", "SHARED_V",
                                          "SCOPED_V", "PRIVATE_V", "WATCHED_V", "TZ", "LANG"};
#define MODEL_NAMES (int)(sizeof model_names / sizeof *model_names)
#define MODEL_OWN_NAMES 8

struct model_write {
    int name;
    const char *value;     /* NULL: removed */
    unsigned owners, ever; /* sets of scopes: whose it is, and whose it ever was */
    bool is_nobodys;
};

struct model_layer {
    int maker, below;
    bool has[MODEL_NAMES];
    const char *value[MODEL_NAMES];
};

struct model_thread {
    bool has_been, is_live, is_joinable, started_inside;
    int scope, layer;       /* the innermost, or NOBODY */
    int depth, entered[10]; /* scopes of raceshim.h, innermost last */
    bool is_jumped[10];     /* out of the function that entered it */
};

struct model {
    enum model_mode mode;
    bool has_rules;
    const char *environ_value[MODEL_NAMES];
    int write_count, scope_count, layer_count, contentions;
    struct model_write writes[MODEL_WRITES];
    struct model_layer layers[MODEL_LAYERS];
    struct model_thread threads[MODEL_THREADS];
    int parent[MODEL_THREADS], started_at[MODEL_THREADS]; /* of scopes; in the log */
    unsigned contends_with[MODEL_THREADS];                /* of scopes */
    int within
        [MODEL_THREADS]; /* of scopes: whoever started it while contending, and lives; or NOBODY */
};

static inline int model_name(const char *text) {
    for (int name = 0; name < MODEL_NAMES; name++)
        if (strcmp(text, model_names[name]) == 0)
            return name;
    fprintf(stderr, "the model does not know the name %s\n", text);
    exit(2);
}

static inline bool same_value(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* One copy of each text, for as long as the program lives. */
static inline const char *kept(const char *text) {
    static const char *texts[64];
    int i = 0;
    while (i < 64 && texts[i] != NULL && strcmp(texts[i], text) != 0)
        i++;
    if (i == 64)
        exit(2);
    if (texts[i] == NULL)
        texts[i] = strdup(text);
    return texts[i];
}

/* ---- scopes ---- */

static inline bool is_live_scope(const struct model *model, int scope) {
    for (int t = 0; t < MODEL_THREADS; t++)
        if (model->threads[t].is_live && model->threads[t].scope == scope)
            return true;
    return false;
}

/* Does the scope know of this write without meeting its writer: its own, inherited, nobody's? */
static inline bool has_heard(const struct model *model, int scope, int w) {
    const struct model_write *write = &model->writes[w];
    if (write->is_nobodys || (write->owners >> scope & 1))
        return true;
    for (int s = scope; model->parent[s] != NOBODY; s = model->parent[s])
        if ((write->ever >> model->parent[s] & 1) && w < model->started_at[s])
            return true;
    return false;
}

static inline bool may_see(const struct model *model, int scope, int w) {
    if (has_heard(model, scope, w))
        return true;
    for (int s = 0; s < model->scope_count; s++)
        if ((model->writes[w].owners >> s & 1) && !(model->contends_with[scope] >> s & 1))
            return true;
    return false;
}

static inline int last_own(const struct model *model, int scope, int name) {
    int w = model->write_count - 1;
    while (w >= 0 && (model->writes[w].name != name || !(model->writes[w].owners >> scope & 1)))
        w--;
    return w;
}

static inline bool differ_about(const struct model *model, int a, int b, int name) {
    int of_a = last_own(model, a, name), of_b = last_own(model, b, name);
    return of_a >= 0 && of_b >= 0 &&
           !same_value(model->writes[of_a].value, model->writes[of_b].value) &&
           !has_heard(model, a, of_b) && !has_heard(model, b, of_a);
}

static inline bool is_within(const struct model *model, int scope, int outer) {
    int s = model->within[scope];
    while (s != NOBODY && s != outer)
        s = model->within[s];
    return s != NOBODY;
}

/* The outermost scope round `scope` that does not hold the other one too. */
static inline int side_of(const struct model *model, int scope, int other) {
    int side = scope;
    for (int s = model->within[scope]; s != NOBODY && s != other && !is_within(model, other, s);
         s = model->within[s])
        side = s;
    return side;
}

/* All that is within a side contends with all that is within the other; a side that holds the other stands alone. */
static inline void contend(struct model *model, int a, int b) {
    int side_a = side_of(model, a, b), side_b = side_of(model, b, a);
    for (int x = 0; x < model->scope_count; x++)
        for (int y = 0; y < model->scope_count; y++) {
            bool on_a =
                x == side_a || (is_within(model, x, side_a) && !is_within(model, side_b, side_a));
            bool on_b =
                y == side_b || (is_within(model, y, side_b) && !is_within(model, side_a, side_b));
            if (!on_a || !on_b || !is_live_scope(model, x) || !is_live_scope(model, y))
                continue;
            model->contends_with[x] |= 1U << y;
            model->contends_with[y] |= 1U << x;
        }
    model->contentions++;
}

/* After each step: who contends stays so until one of the two has ended. */
static inline void find_contenders(struct model *model) {
    for (int a = 0; a < model->scope_count; a++)
        for (int b = 0; b < a; b++)
            for (int name = 0; name < MODEL_NAMES; name++)
                if (is_live_scope(model, a) && is_live_scope(model, b) &&
                    !(model->contends_with[a] >> b & 1) && differ_about(model, a, b, name))
                    contend(model, a, b);
}

static inline void give(struct model_write *write, int scope) {
    write->owners |= 1U << scope;
    write->ever |= 1U << scope;
}

static inline void end_scope(struct model *model, int scope) {
    int heir = model->parent[scope];
    while (heir != NOBODY && !is_live_scope(model, heir))
        heir = model->parent[heir];
    for (int w = 0; w < model->write_count; w++) {
        struct model_write *write = &model->writes[w];
        if (!(write->owners >> scope & 1))
            continue;
        for (int s = 0; s < model->scope_count; s++)
            if (model->within[s] == scope && is_live_scope(model, s))
                give(write, s);
        write->owners &= ~(1U << scope);
        if (heir == NOBODY)
            write->is_nobodys = true;
        else
            give(write, heir);
    }
    for (int s = 0; s < model->scope_count; s++)
        if (model->within[s] == scope)
            model->within[s] = model->within[scope];
    for (int s = 0; s < model->scope_count; s++)
        model->contends_with[s] &= ~(1U << scope);
    model->contends_with[scope] = 0;
}

/* ---- names and layers ---- */

static inline bool starts_with(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The rules file is tests/environment.bash's: SHARED_* shared, SCOPED_* scoped, PRIVATE_* private, WATCHED_* watch. */
static inline enum model_treatment treatment(const struct model *model, int name) {
    const char *text = model_names[name];
    if (model->mode == MODEL_BARE || name >= MODEL_OWN_NAMES)
        return SHARED;
    if (model->has_rules && (starts_with(text, "SHARED_") || starts_with(text, "WATCHED_")))
        return SHARED;
    if (model->has_rules && starts_with(text, "SCOPED_"))
        return SCOPED;
    if (model->has_rules && starts_with(text, "PRIVATE_"))
        return PRIVATE;
    return model->mode == MODEL_PRIVATE ? PRIVATE : SCOPED;
}

static inline const char *view(const struct model *model, int t, int name) {
    const struct model_thread *thread = &model->threads[t];
    if (treatment(model, name) == SHARED)
        return model->environ_value[name];
    for (int layer = thread->layer; layer != NOBODY; layer = model->layers[layer].below)
        if (model->layers[layer].has[name])
            return model->layers[layer].value[name];
    for (int w = model->write_count - 1; w >= 0; w--)
        if (model->writes[w].name == name && may_see(model, thread->scope, w))
            return model->writes[w].value;
    return NULL;
}

static inline int new_layer(struct model *model, int t) {
    if (model->layer_count == MODEL_LAYERS)
        exit(2);
    struct model_layer *layer = &model->layers[model->layer_count];
    layer->maker = t;
    layer->below = model->threads[t].layer;
    return model->threads[t].layer = model->layer_count++;
}

static inline void write_to(struct model *model, int t, int name, const char *value) {
    struct model_thread *thread = &model->threads[t];
    enum model_treatment as = treatment(model, name);
    bool is_inside = thread->depth > 0 || thread->started_inside;
    if (as != SHARED && (is_inside || (as == PRIVATE && t != 0))) {
        int layer = thread->layer;
        if (layer == NOBODY || model->layers[layer].maker != t)
            layer = new_layer(model, t);
        model->layers[layer].has[name] = true;
        model->layers[layer].value[name] = value;
        return;
    }
    model->environ_value[name] = value;
    if (as == SHARED)
        return;
    if (model->write_count == MODEL_WRITES)
        exit(2);
    struct model_write *write = &model->writes[model->write_count++];
    write->name = name;
    write->value = value;
    give(write, thread->scope);
}

/* ---- the steps ---- */

static inline void model_begin(struct model *model, enum model_mode mode, bool has_rules) {
    memset(model, 0, sizeof *model);
    model->mode = mode;
    model->has_rules = has_rules;
    for (int t = 0; t < MODEL_THREADS; t++)
        model->threads[t].layer = NOBODY;
    model->threads[0].has_been = model->threads[0].is_live = true;
    model->threads[0].is_joinable = true;
    model->parent[0] = model->within[0] = NOBODY;
    model->scope_count = 1;
}

static inline void model_start(struct model *model, int t, const char *verb, int other) {
    const struct model_thread *starter = &model->threads[t];
    struct model_thread *started = &model->threads[other];
    started->has_been = started->is_live = true;
    started->is_joinable = strcmp(verb, "start-detached") != 0;
    started->layer = starter->layer;
    started->started_inside = starter->started_inside || starter->depth > 0;
    int scope = started->scope = model->scope_count++;
    model->parent[scope] = starter->scope;
    model->started_at[scope] = model->write_count;
    model->within[scope] = NOBODY;
    model->contends_with[scope] = model->contends_with[starter->scope];
    if (model->contends_with[scope] == 0)
        return;
    model->within[scope] = starter->scope;
    for (int s = 0; s < scope; s++)
        if (model->contends_with[scope] >> s & 1)
            model->contends_with[s] |= 1U << scope;
}

static inline void model_end(struct model *model, int t) {
    model->threads[t].is_live = false;
    if (!is_live_scope(model, model->threads[t].scope))
        end_scope(model, model->threads[t].scope);
}

static inline const char *model_join(struct model *model, int t, int other) {
    if (model->threads[other].is_live)
        return "EBUSY";
    model->threads[other].is_joinable = false;
    for (int w = 0; w < model->write_count; w++)
        if (model->writes[w].ever >> model->threads[other].scope & 1)
            give(&model->writes[w], model->threads[t].scope);
    return "ok";
}

static inline void model_enter(struct model *model, int t, int scope, bool is_jumped) {
    struct model_thread *thread = &model->threads[t];
    if (model->mode == MODEL_BARE)
        return;
    new_layer(model, t);
    thread->is_jumped[thread->depth] = is_jumped;
    thread->entered[thread->depth++] = scope;
}

/* Leaves this scope, and with it those within it that were jumped out of. */
static inline const char *model_leave(struct model *model, int t, const char *scope) {
    struct model_thread *thread = &model->threads[t];
    if (model->mode == MODEL_BARE)
        return "ok";
    if (scope[1] != '\0' && scope[0] - 'a' != t)
        return "EPERM";
    int depth = thread->depth, number = scope[strlen(scope) - 1] - '0';
    while (depth > 0 && thread->entered[depth - 1] != number && thread->is_jumped[depth - 1])
        depth--;
    if (depth == 0 || thread->entered[depth - 1] != number)
        return "EINVAL";
    while (thread->depth >= depth) {
        thread->layer = model->layers[thread->layer].below;
        thread->depth--;
    }
    return "ok";
}

static inline void model_clear(struct model *model, int t) {
    for (int name = 0; name < MODEL_NAMES; name++)
        if (model->environ_value[name] != NULL || view(model, t, name) != NULL)
            write_to(model, t, name, NULL);
}

static inline void describe(char *text, size_t size, const struct words *words, int first,
                            const struct model *model, int t) {
    size_t length = strlen(text);
    for (int i = first; i < words->count; i++) {
        int name = model_name(words->word[i]);
        const char *value = t == NOBODY ? model->environ_value[name] : view(model, t, name);
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s%s%s", length == 0 ? "" : " ",
                             words->word[i], value == NULL ? "-" : "=", value == NULL ? "" : value);
    }
}

/* What a forked child answers: its process environment is the thread's view. */
static inline void describe_child(char *text, size_t size, const struct words *words, int first,
                                  const struct model *model, int t) {
    describe(text, size, words, first, model, t);
    strcat(text, " |");
    describe(text, size, words, first, model, t);
}

static inline const char *model_write_step(struct model *model, const struct words *words, int t) {
    const char *verb = word_at(words, 1);
    if (strcmp(verb, "clear") == 0) {
        model_clear(model, t);
        return "ok";
    }
    int name = model_name(word_at(words, 2));
    if (strcmp(verb, "unset") == 0)
        write_to(model, t, name, NULL);
    else if (strcmp(verb, "default") != 0 || view(model, t, name) == NULL)
        write_to(model, t, name, kept(word_at(words, 3)));
    return "ok";
}

static inline const char *model_thread_step(struct model *model, const struct words *words, int t) {
    const char *verb = word_at(words, 1), *argument = word_at(words, 2);
    if (starts_with(verb, "start"))
        model_start(model, t, verb, argument[0] - 'a');
    else if (strcmp(verb, "return") == 0 || strcmp(verb, "exit") == 0)
        model_end(model, t);
    else if (strcmp(verb, "enter") == 0 || strcmp(verb, "jump") == 0)
        model_enter(model, t, argument[0] - '0', verb[0] == 'j');
    else if (strcmp(verb, "leave") == 0)
        return model_leave(model, t, argument);
    else
        return model_join(model, t, argument[0] - 'a');
    return "ok";
}

static inline void model_fork(char *text, size_t size, struct words *words,
                              const struct model *model, int t) {
    const char *verb = word_at(words, 1);
    struct model child = *model;
    if (strcmp(verb, "fork-set") == 0) {
        write_to(&child, t, model_name(word_at(words, 2)), kept(word_at(words, 3)));
        words->count = 3;
    } else if (strcmp(verb, "fork-leave") == 0) {
        model_leave(&child, t, word_at(words, 2));
    }
    describe_child(text, size, words, strcmp(verb, "fork-leave") == 0 ? 3 : 2, &child, t);
}

static inline bool is_among(const char *verb, const char *const *verbs) {
    for (; *verbs != NULL; verbs++)
        if (strcmp(verb, *verbs) == 0)
            return true;
    return false;
}

/* Does the step, and writes down what the actor should answer. */
static inline void model_step(struct model *model, const char *line, char *text, size_t size) {
    static const char *const writes[] = {"set", "default", "unset", "put", "clear", NULL};
    static const char *const reads[] = {"get",    "get-secure", "get-in-handler", "spawn", "popen",
                                        "system", "fork-exec",  "vfork-exec",     NULL};
    struct words words;
    split(&words, line);
    int t = words.word[0][0] - 'a';
    const char *verb = word_at(&words, 1);
    text[0] = '\0';
    if (is_among(verb, reads))
        describe(text, size, &words, 2, model, t);
    else if (strcmp(verb, "direct") == 0)
        describe(text, size, &words, 2, model, NOBODY);
    else if (starts_with(verb, "fork"))
        model_fork(text, size, &words, model, t);
    else
        snprintf(text, size, "%s",
                 is_among(verb, writes) ? model_write_step(model, &words, t)
                                        : model_thread_step(model, &words, t));
    find_contenders(model);
}

#endif
