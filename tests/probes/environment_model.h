/* What each thread should see of the environment, by the definition in doc/design.md, "who sees which value".
 *
 * There is one log of all writes, and what a thread sees is looked up in it anew each time: nothing is cached, kept up
 * to date or made fast. The steps are the lines of environment_actors.h.
 *
 *   A thread has heard of a write if it made it, if the thread that started it had heard of it then, or if it was told of
 *   it: by a thread that it joined, and by one that ends and was started by it, or by one that it started and is gone.
 *   Two threads contend from the moment when one writes a value to a name, and the other lives, and what that one last
 *   wrote to the name is another value that the writer has not heard of. With them contend those on their sides: a thread
 *   that was started by a contender is within its starter, and on its side. It begins with what its starter sees.
 *   A thread sees the last write to a name that it has heard of, or whose maker it never contended with, or whose maker is
 *   gone, if it has heard of none to that name by somebody who contended with the maker.
 *   What was written before a thread is alone and sees what `environ` has, or by that thread then, counts no more.
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
    const char *value; /* NULL: removed */
    int maker;         /* a scope */
    unsigned
        heard; /* the scopes that know of it: its maker's, and by a start, a join or an end from one that knows */
};

struct model_layer {
    int maker, below;
    bool has[MODEL_NAMES];
    const char *value[MODEL_NAMES];
};

struct model_thread {
    bool has_been, is_live, is_joinable, started_inside;
    int starter, within;    /* NOBODY: was started while its starter was at peace */
    int layer;              /* the innermost, or NOBODY */
    unsigned contended;     /* threads whose writes it does not see unless it hears of them */
    int depth, entered[10]; /* scopes of raceshim.h, innermost last */
    bool is_jumped[10];     /* out of the function that entered it */
};

struct model {
    enum model_mode mode;
    bool has_rules;
    const char *environ_value[MODEL_NAMES];
    const char *base[MODEL_NAMES]; /* before all writes */
    int write_count, layer_count, contentions;
    struct model_write writes[MODEL_WRITES];
    struct model_layer layers[MODEL_LAYERS];
    struct model_thread threads[MODEL_THREADS];
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

static inline int live_count(const struct model *model) {
    int count = 0;
    for (int t = 0; t < MODEL_THREADS; t++)
        count += model->threads[t].is_live;
    return count;
}

static inline bool has_heard(const struct model *model, int t, int w) {
    return model->writes[w].heard >> t & 1;
}

static inline bool have_contended(const struct model *model, int t, int other) {
    return model->threads[t].contended >> other & 1;
}

static inline bool has_its_own(const struct model *model, int t, int name, int enemy) {
    for (int w = 0; w < model->write_count; w++)
        if (model->writes[w].name == name && has_heard(model, t, w) &&
            have_contended(model, model->writes[w].maker, enemy))
            return true;
    return false;
}

static inline bool may_see(const struct model *model, int t, int w) {
    int maker = model->writes[w].maker;
    return has_heard(model, t, w) || !have_contended(model, t, maker) ||
           (!model->threads[maker].is_live && !has_its_own(model, t, model->writes[w].name, maker));
}

/* The last write to the name that the thread sees, or that it made; -1: none. */
static inline int last_seen(const struct model *model, int t, int name) {
    int w = model->write_count - 1;
    while (w >= 0 && (model->writes[w].name != name || !may_see(model, t, w)))
        w--;
    return w;
}

static inline int last_made(const struct model *model, int t, int name) {
    int w = model->write_count - 1;
    while (w >= 0 && (model->writes[w].name != name || model->writes[w].maker != t))
        w--;
    return w;
}

/* The next living thread outwards. */
static inline int around(const struct model *model, int t) {
    do
        t = model->threads[t].within;
    while (t != NOBODY && !model->threads[t].is_live);
    return t;
}

static inline bool is_within(const struct model *model, int t, int outer) {
    while (t != NOBODY && t != outer)
        t = around(model, t);
    return t == outer;
}

/* The outermost that t is within and the other is not. */
static inline int side_of(const struct model *model, int t, int other) {
    for (int outer = around(model, t); outer != NOBODY; outer = around(model, outer))
        if (!is_within(model, other, outer))
            t = outer;
    return t;
}

/* The side itself and who is within it; but where the other side is within it too, it stands alone. */
static inline bool is_on_side(const struct model *model, int t, int side, int other_side) {
    return t == side || (model->threads[t].is_live && is_within(model, t, side) &&
                         !is_within(model, other_side, side));
}

static inline void contend(struct model *model, int a, int b) {
    int side_a = side_of(model, a, b), side_b = side_of(model, b, a);
    for (int x = 0; x < MODEL_THREADS; x++)
        for (int y = 0; y < MODEL_THREADS; y++)
            if (is_on_side(model, x, side_a, side_b) && is_on_side(model, y, side_b, side_a)) {
                model->contentions += !have_contended(model, x, y);
                model->threads[x].contended |= 1U << y;
                model->threads[y].contended |= 1U << x;
            }
}

/* Who lives and has last written another value to the name, unheard of by the writer, contends with him. */
static inline void meet_the_living(struct model *model, int writer, int name, const char *value) {
    for (int t = 0; t < MODEL_THREADS; t++) {
        int theirs = last_made(model, t, name);
        if (t != writer && theirs >= 0 && model->threads[t].is_live &&
            !same_value(model->writes[theirs].value, value) && !has_heard(model, writer, theirs))
            contend(model, writer, t);
    }
}

/* Does it contend with somebody who lives, or still see something else than `environ`? */
static inline bool is_contender(const struct model *model, int t) {
    for (int other = 0; other < MODEL_THREADS; other++)
        if (have_contended(model, t, other) && model->threads[other].is_live)
            return true;
    for (int w = 0; w < model->write_count; w++)
        if (last_seen(model, t, model->writes[w].name) < w)
            return true;
    return false;
}

/* One thread hears of all that another has heard of. */
static inline void tell_all(struct model *model, int from, int to) {
    for (int w = 0; w < model->write_count; w++)
        if (has_heard(model, from, w))
            model->writes[w].heard |= 1U << to;
}

static inline void forget_if_alone(struct model *model) {
    for (int t = 0; t < MODEL_THREADS; t++)
        if (live_count(model) > 1 || (model->threads[t].is_live && is_contender(model, t)))
            return;
    memcpy(model->base, model->environ_value, sizeof model->base);
    model->write_count = 0;
    for (int t = 0; t < MODEL_THREADS; t++) {
        model->threads[t].contended = 0;
        model->threads[t].within = NOBODY;
    }
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
    int w = last_seen(model, t, name);
    return w < 0 ? model->base[name] : model->writes[w].value;
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
    meet_the_living(model, t, name, value);
    model->writes[model->write_count++] =
        (struct model_write){.name = name, .value = value, .maker = t, .heard = 1U << t};
    forget_if_alone(model);
}

/* ---- the steps ---- */

static inline void model_begin(struct model *model, enum model_mode mode, bool has_rules) {
    memset(model, 0, sizeof *model);
    model->mode = mode;
    model->has_rules = has_rules;
    for (int t = 0; t < MODEL_THREADS; t++)
        model->threads[t].layer = model->threads[t].starter = model->threads[t].within = NOBODY;
    model->threads[0].has_been = model->threads[0].is_live = true;
    model->threads[0].is_joinable = true;
}

static inline void model_start(struct model *model, int t, const char *verb, int other) {
    const struct model_thread *starter = &model->threads[t];
    struct model_thread *started = &model->threads[other];
    started->has_been = started->is_live = true;
    started->is_joinable = strcmp(verb, "start-detached") != 0;
    started->layer = starter->layer;
    started->started_inside = starter->started_inside || starter->depth > 0;
    started->starter = t;
    tell_all(model, t, other);
    if (!is_contender(model, t))
        return;
    started->within = t;
    started->contended = starter->contended;
    for (int enemy = 0; enemy < MODEL_THREADS; enemy++)
        if (have_contended(model, other, enemy))
            model->threads[enemy].contended |= 1U << other;
}

static inline void model_end(struct model *model, int t) {
    int heir = model->threads[t].starter;
    model->threads[t].is_live = false;
    while (heir != NOBODY && !model->threads[heir].is_live)
        heir = model->threads[heir].starter;
    if (heir != NOBODY)
        tell_all(model, t, heir);
    forget_if_alone(model);
}

static inline const char *model_join(struct model *model, int t, const char *verb, int other) {
    if (model->threads[other].is_live)
        return strcmp(verb, "timedjoin") == 0 ? "ETIMEDOUT" : "EBUSY";
    model->threads[other].is_joinable = false;
    tell_all(model, other, t);
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

/* Removes what is there or seen; and what comes to be seen by that, until nothing is: contention that begins on the way
 * may bring back what was there before the other's writes. */
static inline void model_clear(struct model *model, int t) {
    bool again = true, wanted[MODEL_NAMES];
    for (int name = 0; name < MODEL_NAMES; name++)
        wanted[name] = model->environ_value[name] != NULL || view(model, t, name) != NULL;
    for (int name = 0; name < MODEL_NAMES; name++)
        if (wanted[name])
            write_to(model, t, name, NULL);
    while (again) {
        again = false;
        for (int name = 0; name < MODEL_NAMES; name++)
            if (view(model, t, name) != NULL) {
                write_to(model, t, name, NULL);
                again = true;
            }
    }
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
        return model_join(model, t, verb, argument[0] - 'a');
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
}

#endif
