/* starts.h: how often alerts may start a runbook, and which alerts one run is for, as its `limits` say. Pure: whoever asks keeps
 * what was counted, on a clock of its own: flow_limit.c and flow_turn.c in production, drill/virtual.c when recorded events are
 * held against other runbooks. Thread: any, one at a time per object.
 *
 * As data (script/DECLARATIONS.md), in a runbook's declaration:
 *   "limits":{"cooldown_ms":n,"at_most":{"count":n,"within_ms":n},"group_within_ms":n,"group_by":[label],...}
 */
#ifndef STANCH_RULE_STARTS_H
#define STANCH_RULE_STARTS_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STANCH_STARTS_MAX 10000 /* kept of one runbook; at_most allows no more */

enum stanch_starts { STANCH_STARTS_MAY, STANCH_STARTS_COOLDOWN, STANCH_STARTS_AT_MOST };

/** How far back its starts count; 0: it has no such limit. declared: of the runbook. */
int64_t stanch_starts_reach_ms(const json_t *declared);
/** One more. at: times of its starts, the oldest first. */
void stanch_starts_note(json_t *at, int64_t now_ms);
/** May it start once more? at: as above, NULL: none is known. why: written when it may not. */
enum stanch_starts stanch_starts_judge(const json_t *declared, const json_t *at, int64_t now_ms, char why[200]);

/** For how long a run takes in other alerts of its key; 0: it takes none. */
int64_t stanch_starts_group_within_ms(const json_t *declared);
/** The key that alerts of one run share. ret: its digest. returns 0 | STANCH_E_INVALID it has none */
int stanch_starts_group(const json_t *declared, const json_t *event, const json_t *params, const char *incident,
                        char ret[65], struct stanch_err *err);
/** Is a run of the key that was created then for an alert of now too? */
bool stanch_starts_joins(const json_t *declared, int64_t created_ms, int64_t now_ms);

#endif
