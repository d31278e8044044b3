/* backtest.h: the recorded events against another version of the runbooks: what would have started, when, how much of its own
 * it might have done, what would have held it, and the difference to what did happen. BACKTEST.md says what that can tell.
 *
 *   journal --entries, page by page--> event and what was decided --[virtual.h]--> what would be --> counts, differences
 *
 * Reads only; nothing is asked of plugins, people or runs. Memory does not grow with the events: windows, counts, and as many
 * listed ones as are asked for.
 * Files    backtest.c (reading), tally.c (counting), virtual.c (deciding), stopped.c (what was
 *          stopped), going.c (what depends on how long runs take).  Callers: serve_backtest.c.   Thread: loop thread.
 */
#ifndef STANCH_DRILL_BACKTEST_H
#define STANCH_DRILL_BACKTEST_H
#include "catalogue.h"
#include "rule/policy.h"
#include "timeline/journal.h"

struct stanch_backtest_spec {
    struct stanch_journal *journal;
    const struct stanch_catalogue *catalogue; /* the other version */
    const json_t *config; /* its "incidents" say what correlates, "limits" what a storm is; may be NULL */
    const struct stanch_policy *policy;
    int64_t since_ms; /* from then on, as if this version had been put into use then; 0: from the first event on */
    size_t listed;    /* at most so many of each list */
};

/** All members are borrowed. ret: new:
 *  {"commit","since_ms","from_ms"?,"until_ms"?,"events","not_told","assumed":[text],
 *   "runbooks":[{"runbook","path","by_hand":bool,"matched","started","joined","held":{by:count},"first_ms"?,"last_ms"?,
 *                "then":{"started","joined","held"},"autonomy":{"mode","accepted","asks","why"},"cannot_tell":[...] (going.h)}],
 *   "gone":{name:{"started","joined","held"}},                     // runbooks of then that are not in this version
 *   "fired","would_start","would_not":{"count","listed":[{"event","at_ms","name","runbook","autonomy"?,
 *                "then":{"outcome","why"?,"run"?},"now":{"outcome","by"?,"why"?}}]},
 *   "cannot_tell":[...],"storm":{...}}                             // going.h
 *  returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_backtest(const struct stanch_backtest_spec *spec, json_t **ret, struct stanch_err *err);

#endif
