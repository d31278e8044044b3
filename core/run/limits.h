/* limits.h: the limits of the policy (rule/guards.h), held against what was sent: how many mitigations, on what, how far.
 * Flow     plan -> gate.c -> [limits] -> ask | go on.     Callers: gate.c, act.c, engine.c.
 *
 * Counted is what a run sent, once for all attempts of a step, whatever became of it: also what failed or was taken back. What
 * stanch takes back is no new mitigation. The count is in the journal (noun "sent", from action.sent), so it holds across
 * restarts; in memory is only what is younger than the longest limit.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_LIMITS_H
#define STANCH_RUN_LIMITS_H
#include "run/engine.h"

/** Read back what was sent lately, but for what is counted already. returns 0 | what the journal said */
int stanch_limits__recover(struct stanch_engine *engine, struct stanch_err *err);
/** This mitigation is about to be sent: it counts from now on. plan: borrowed. returns new: what action.sent holds of it,
 *  {"instance","targets","reach"?} */
json_t *stanch_limits__count(const struct stanch_op *op, const char *instance, const json_t *plan);
/** Ask for each limit that this plan would pass, and say when it frees. What is not known of the plan counts against it. A fact is
 *  each limit that is about it, with how full it is. */
void stanch_limits__check(const struct stanch_subject *about, struct stanch_gate *gate);
void stanch_limits__free_all(struct stanch_engine *engine);

#endif
