/* Scopes in crowds. Who sees what among a few is judged by the model (tests/scopes.bats); here are so many that it matters
 * how often the room looks at each, and more than it can tell apart.
 */
#include "base/rules.h"
#include "base/settings.h"
#include "check.h"
#include "env/array.h"
#include "env/scope.h"
#include "env/strings.h"
#include "env/thread.h"
#include "env/view.h"

#include <stdlib.h>

struct settings settings;
struct rules rules;

#define CROWD (SLOTS + 20)
#define ENOUGH_USES 100000

static struct env_thread crowd[CROWD];
static struct variable *variable;

static struct scope *begin_crowd(int size) {
    struct scope *root = scope_enter(NULL);
    variable = names_make("UNIT_CROWD", 10);
    for (int i = 0; i < size; i++)
        crowd[i] =
            (struct env_thread){.scope = scope_enter(root), .uses = ENOUGH_USES, .lives = true};
    return root;
}

static void end_crowd(struct scope *root, int size) {
    while (size > 0)
        scope_leave(crowd[--size].scope);
    scope_is_alone(root);
    scope_leave(root);
    array_remove(variable->name, variable->length, false);
    CHECK_EQ(atomic_load(&view_attention), 0);
}

static void write_number(struct env_thread *thread, int number) {
    char value[16];
    struct scope_write w;
    snprintf(value, sizeof value, "%d", number);
    char *entry = strings_keep(variable->name, variable->length, value);
    scope_write_begin(&w, variable, entry, thread, 0);
    array_put(entry, variable->length);
    scope_write_end(&w);
}

/* What is pinned for it; -1: nothing, it sees `environ`. */
static int pinned(const struct env_thread *thread) {
    uint32_t slot = atomic_load(&thread->scope->slot);
    char *entry = slot ? names_pin(variable, slot) : NULL;
    return entry ? atoi(entry + variable->length + 1) : -1;
}

static size_t count_writes(void) {
    size_t count = 0;
    for (const struct write *w = variable->writes; w; w = w->next)
        count++;
    return count;
}

TEST("E1: a crowd of contenders each sees its own, however often each writes") {
    enum { SIZE = 100 };
    struct scope *root = begin_crowd(SIZE);
    int right = 0;
    for (int round = 0; round < 20; round++)
        for (int i = 0; i < SIZE; i++)
            write_number(&crowd[i], 1000 * round + i);
    for (int i = 0; i < SIZE - 1; i++)
        right += pinned(&crowd[i]) == 19000 + i;
    CHECK_EQ(right, SIZE - 1);
    CHECK_EQ(pinned(&crowd[SIZE - 1]), -1);
    CHECK(count_writes() <= 3 * SIZE);
    end_crowd(root, SIZE);
}

TEST("E5: of one who writes on beside others that have written no more than the last is kept") {
    struct scope *root = begin_crowd(2);
    write_number(&crowd[0], 1);
    for (int i = 0; i < 1000; i++)
        write_number(&crowd[1], i);
    CHECK_EQ(pinned(&crowd[0]), 1);
    CHECK(count_writes() <= 3);
    end_crowd(root, 2);
}

TEST("H3: more contenders than can be told apart do no harm: the last ones see environ") {
    struct scope *root = begin_crowd(CROWD);
    int have_slots = 0, see_environ = 0;
    for (int i = 0; i < CROWD; i++)
        write_number(&crowd[i], i == 0 ? 0 : 1); /* they contend with the first one */
    write_number(&crowd[0], 7);
    for (int i = 0; i < CROWD; i++) {
        have_slots += atomic_load(&crowd[i].scope->slot) != 0;
        see_environ += pinned(&crowd[i]) == -1;
    }
    CHECK_EQ(have_slots, SLOTS - 1);
    CHECK_EQ(see_environ, CROWD - (SLOTS - 1) + 1); /* the first one too */
    CHECK_EQ(pinned(&crowd[1]), 1);
    end_crowd(root, CROWD);
}
