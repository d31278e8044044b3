/* mutate.h: a runbook with one thing changed, again and again: what `stanch runbook test --mutate` runs the tests against. A
 * test that does not notice a mutant would not notice that mistake either.
 *
 *   edge.drain { ... }    -> type { ... }       an action, `undo` or `page` is left out: `type` is there, and does nothing
 *   <  <=  >  >=  ==  ~=  -> >=  >  <=  <  ~=  ==
 *   bad = "> 0.05"        -> bad = "<= 0.05"    and so `good` and `becomes`
 *   and  or  not          -> or  and  not not
 *
 * A change is made where it stands, so every line keeps its number, and what is valid Lua stays valid. What only an analysis of
 * the program would see is not changed: an action that is called by another name, or handed to pcall.
 * Thread: any; pure.
 */
#ifndef STANCH_DRILL_MUTATE_H
#define STANCH_DRILL_MUTATE_H
#include "base/err.h"
#include <jansson.h>
#include <stddef.h>

struct stanch_mutant {
    const char *path; /* as given */
    int line;
    char *what; /* what was changed, without the place: "edge.drain { ... } is left out" */
    char *text; /* the whole changed source */
};

/** All mutants of one source, in the order of the text (a call counts where the name of its action stands).
 *  path     borrowed, and kept by the mutants
 *  text     borrowed
 *  actions  borrowed; the names of actions that change or tell something: ["drain","kill"]. NULL: none
 *  ret      new array of *ret_count; free with stanch_mutants_free
 *  returns  0 | STANCH_E_INVALID: the source cannot be read as words of Lua; the text names path and line |
 *           STANCH_E_TOO_LARGE: over 1 MiB, or the mutants would have over 256 MiB together */
int stanch_mutants_make(const char *path, const char *text, size_t len, const json_t *actions,
                        struct stanch_mutant **ret, int *ret_count, struct stanch_err *err);
/** Accepts NULL. */
void stanch_mutants_free(struct stanch_mutant *mutants, int count);

#endif
