/* Who contends with whom, and the pins of those who do: what each sees in place of `environ`'s entries.
 *
 * A pair that has contended stays one while both are remembered: so a scope goes on not seeing what the other made, but
 * for what rule.h says of those that have ended. Everything wants env_lock.
 */
#ifndef RACESHIM_ENV_CONTENDERS_H
#define RACESHIM_ENV_CONTENDERS_H

#include "env/names.h"
#include "env/rule.h"

#include <stdbool.h>

/* Both begin to contend, and all that is on their sides. False: nothing is new, or there is no slot left. */
bool contenders_begin(struct scope *a, struct scope *b);
bool contenders_have_begun(const struct scope *a, const struct scope *b);

/* The scope, which was just started by that one, is in it if it contends. */
void contenders_begin_within(struct scope *scope, struct scope *starter);

/* The scope has ended; it is remembered. */
void contenders_end(struct scope *scope);
/* It is remembered no longer. */
void contenders_forget(struct scope *scope);

/* Sets the pins anew: of all contenders in this variable; in all variables but one (NULL: none). */
void contenders_refresh(struct variable *variable);
void contenders_refresh_all_but(const struct variable *except);
/* The same for those that must not see the variable's newest write; and then for those that see it. `began`: since it is
 * there some have begun to contend. Otherwise who had a pin sees what he saw. */
void contenders_hide(struct variable *variable, bool began);
void contenders_show(struct variable *variable);

/* Has everyone who lives done with this write? */
bool contenders_are_past(const struct variable *variable, const struct write *write);

/* The write of a variable that the scope sees; NULL: what was there before all. */
const struct write *contenders_view(const struct scope *scope, const struct variable *variable);
/* Does it see this one? */
bool contenders_see(const struct scope *scope, const struct variable *variable,
                    const struct write *write);

/* Does it see anything else than `environ`? */
bool contenders_has_pins(const struct scope *scope);

/* Nobody contends. */
void contenders_clear(void);

#endif
