/* breaker.h: a runbook whose mitigations do not help on a target asks before it tries there again.
 * Flow     outcome, verify -> [breaker] -> gate.c -> ask | go on.     Callers: act.c, action_proof.c, symptom.c, gate.c, due.c; flow (by a person).
 *
 *   counting --so many within a time--> open --a time, a person, a mitigation that helped--> closed
 *
 * One for each runbook and target: a document of noun "breaker", id "RUNBOOK TARGET",
 *   {"runbook","target","state","failures":[{"at_ms","step","how","why"}],"count","counts":{how: n},"tally","why","step",
 *    "opened_ms","closes_ms"}
 * how: "failed", "unverified", "no_effect", "worse", "no_data"; tally: counts in words.
 * Counted is a mitigation that was sent and failed, that a person says did not happen, whose effect could not be read back, or
 * after which the symptom was not good (no effect, worse, or no data: it cannot be told). Each in the batch of what showed it.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_BREAKER_H
#define STANCH_RUN_BREAKER_H
#include "run/engine.h"
#include "run/verdict.h"

/** A mitigation of this step did not help. how: STANCH_BREAKER_FAILED or _UNVERIFIED. plan: with its targets. batch: takes the
 *  entries. */
#define STANCH_BREAKER_FAILED     "failed"
#define STANCH_BREAKER_UNVERIFIED "unverified"
void stanch_breaker__failed(const struct stanch_op *op, const json_t *plan, const char *how, const char *why,
                            struct stanch_batch *batch);
/** It was done, and nothing will be asked for the symptom: its runbook has none. One that a person approved closes a breaker. */
void stanch_breaker__done(const struct stanch_op *op, const json_t *plan, struct stanch_batch *batch);
/** A verify of a run has its result: it is about what the run did since its last one, and is still in force. */
void stanch_breaker__verified(const struct stanch_op *op, const char *result, const struct stanch_verdict *verdict,
                              struct stanch_batch *batch);
/** Ask where a breaker of the subject's targets is open; a fact is each of them that counts or is open. */
void stanch_breaker__check(const struct stanch_subject *about, struct stanch_gate *gate);
/** Its time has come (due.c). returns 0 | what the journal said: try again */
int stanch_breaker__lapse(struct stanch_engine *engine, const char *id);

#endif
