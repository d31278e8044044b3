/* escalation.h: whom a question is asked of next when nobody answered it in time. Pure.
 *
 *   the policy's role, for `expires` --> first rung, for its `within` --> second rung --> ... --> the last one, over and over
 *
 * As data: [{"to":"pool","within_ms":1800000}]; to: "role" (the first one again), "ic", "lead", "comms", "scribe", "pool".
 */
#ifndef STANCH_RULE_ESCALATION_H
#define STANCH_RULE_ESCALATION_H
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

#define STANCH_ESCALATION_WITHIN_MS (30LL * 60 * 1000)
#define STANCH_REMIND_MS            (5LL * 60 * 1000) /* before the end, where the policy does not say */

/** returns 0 | STANCH_E_INVALID. escalation: may be NULL */
int stanch_escalation_check(const json_t *escalation, struct stanch_err *err);
/** The rung behind the n-th (0: behind the first question). escalation NULL or empty: the pool, for half an hour. Behind the
 *  last one is the last one. ret_to: static or borrowed. returns its number */
int stanch_escalation_next(const json_t *escalation, int n, const char **ret_to, int64_t *ret_within_ms);

#endif
