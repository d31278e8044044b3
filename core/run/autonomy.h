/* autonomy.h: how much of its own a runbook may do (rule/autonomy.h), and whether a person has accepted it as it is.
 * Flow     plan -> gate.c -> [autonomy] -> observe | ask | go on.     Callers: gate.c, action.c, action_gate.c, simple.c, ask.c; flow accepts.
 *
 * Accepted digests are in the journal: a document of noun "runbook" (from runbook.approved),
 *   {"digest": the last, "digests": the last 50, "accepted_by","because"}
 * A run is held against the digest that it started with; one without any (of an older release) counts as accepted.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_AUTONOMY_H
#define STANCH_RUN_AUTONOMY_H
#include "run/engine.h"

/** Ask when the runbook only suggests, or is not accepted as it is; gate->observe when it only observes. */
void stanch_autonomy__check(const struct stanch_op *op, struct stanch_gate *gate);
/** Was this run started only to say what it would do (`runbook plan`)? Whatever the policy says: that is in its run.started, and
 *  nothing takes it away. It is of no incident, takes no place from another run, and does not wait for what cannot come. */
bool stanch_autonomy__is_plan(const struct stanch_run *run);
/** Is it a plan, or does the policy let this run only observe? Then nobody is paged or asked, and nothing leaves. */
bool stanch_autonomy__observes(const struct stanch_run *run);
/** The end of an action that only was to be observed: action.observed, and the answer {"observed":true}. gate: why it would have
 *  asked; NULL: it had no plan. */
void stanch_autonomy__observed(struct stanch_op *op, const struct stanch_gate *gate);

#endif
