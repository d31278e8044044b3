/* match.h: declared triggers, compiled: which runbooks does an event start, and why not the others.
 * Pure: no I/O, no clock of its own. Thread: any, one at a time per object.
 *
 * A trigger as data (made by `alert {...}` in a runbook, see script/README.md):
 *   {"kind":"alert","matchers":[{"label":"alertname","op":"=","value":"CheckoutErrorRateHigh"},
 *                               {"label":"severity","op":"=~","value":"critical|page"}],
 *    "state":"firing","max_age_ms":600000}
 * Ops: = != =~ !~ (regular expressions are PCRE2, anchored at both ends, with match limits). A label that is
 * missing matches as "". `=` and `!=` compare bytes.
 */
#ifndef STANCH_RULE_MATCH_H
#define STANCH_RULE_MATCH_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stanch_triggers;

/** Compile all triggers of one runbook. on: an array of triggers. ret: new.
 *  returns 0 | STANCH_E_INVALID (text names trigger, label and why the expression does not compile) */
int stanch_triggers_new(const json_t *on, struct stanch_triggers **ret, struct stanch_err *err);
void stanch_triggers_free(struct stanch_triggers *triggers);

enum stanch_match { STANCH_MATCH, STANCH_MATCH_NOT, STANCH_MATCH_TOO_OLD, STANCH_MATCH_LIMIT };

/** Does an event (model: {"kind","state","labels":{},"starts_at_ms","received_ms"}) start this runbook?
 *  why: filled with the first condition that did not hold, in words; empty on a match. */
enum stanch_match stanch_triggers_match(const struct stanch_triggers *triggers, const json_t *event, int64_t now_ms,
                                        char why[256]);

/** Until when the event is young enough to start this runbook: the latest of the triggers that it fits. 0: it fits none. */
int64_t stanch_triggers_fresh_until(const struct stanch_triggers *triggers, const json_t *event);

/** Can the n-th trigger (from 0) match no event at all? Only where that is certain: two conditions of one label that
 *  exclude each other, an expression that matches nothing or excludes everything. why: which, and what to do */
bool stanch_triggers_never(const struct stanch_triggers *triggers, size_t n, char why[256]);

/** Parameters of a run out of its event. params: as declared
 *  {"server":{"type":"string"|"integer"|"number"|"boolean"|"duration","from_label":"instance"?,"one_of":[...]?,
 *   "pattern":text?,"min":n?,"max":n?,"default":v?,"required":bool}}; given: values that a person gave, or NULL.
 *  ret: new object. returns 0 | STANCH_E_REFUSED (text names the parameter, its value, and what is allowed) */
int stanch_params_resolve(const json_t *params, const json_t *event, const json_t *given, json_t **ret,
                          struct stanch_err *err);

/** Is a declaration of parameters sound: does each pattern compile, does each default pass?
 *  returns 0 | STANCH_E_INVALID (text names the parameter) */
int stanch_params_check(const json_t *params, struct stanch_err *err);

/** A symptom's range: "> 0.05", ">= 5", "< 0.01", "<= 1", "== 0", "!= 0".
 *  returns 1 holds | 0 holds not | STANCH_E_INVALID */
int stanch_range_holds(const char *range, double value, struct stanch_err *err);

/** What moves by less than this is what it was: a share of the larger of the value before and the bad range's own number. */
#define STANCH_WORSE_BY 0.05
/** Is `after` further into the bad direction than `before`? Up for "> 5", down for "< 5", away from 5 for "!= 5", towards it for
 *  "== 5". false too for what is no range. */
bool stanch_range_is_worse(const char *bad, double before, double after);

#endif
