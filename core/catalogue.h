/* catalogue.h: the runbooks of one commit, checked and compiled. Made whole or not at all.
 * Flow     book -> [catalogue] -> match.   Callers: flow.c.   Calls: script/ (a worker evaluates), rule/.
 * Thread   loop thread.
 */
#ifndef STANCH_CATALOGUE_H
#define STANCH_CATALOGUE_H
#include "rule/match.h"
#include "rule/policy.h"
#include "run/world.h"
#include <stdbool.h>

struct stanch_runbook {
    json_t *declared; /* script/DECLARATIONS.md: {"name","path","on","uses","params","limits","symptom",...} */
    struct stanch_triggers *triggers; /* NULL: only a person starts it */
};
struct stanch_catalogue {
    char commit[72];
    struct stanch_runbook *runbooks;
    int count;
    json_t *warnings;
};

/** Evaluate and check. policy: whose rules the warnings go by; NULL: none; must outlive the check. sources: borrowed for the
 *  time of the call; instances: shared. on_checked: once, later. catalogue: new,
 * or NULL when something is wrong; then errors says what: [{"path","line","text"}], borrowed. returns 0 | as
 * stanch_worker_start */
int stanch_catalogue_check(struct stanch_world *world, const struct stanch_policy *policy, const char *commit,
                           const struct stanch_source *sources, int source_count, json_t *instances,
                           void (*on_checked)(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors,
                                              const json_t *warnings),
                           void *ctx, struct stanch_err *err);
void stanch_catalogue_free(struct stanch_catalogue *catalogue);
const struct stanch_runbook *stanch_catalogue_find(const struct stanch_catalogue *catalogue, const char *name);

#endif
