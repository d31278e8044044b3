/* verdict.h: did it help? A verify of a run's symptom is held against the last sample of it before what the run did since its last
 * verify (PROMISES.md 1.16); what was measured of something that was taken back since is passed over.
 *
 *   good --> verified      no data --> no_data: nobody can tell
 *   else, further into the bad direction than before by more than STANCH_WORSE_BY (rule/match.h) --> worse      else --> no_effect
 *
 * Both samples are answers in the journal, so a replay is told the same. Thread: loop thread.
 */
#ifndef STANCH_RUN_VERDICT_H
#define STANCH_RUN_VERDICT_H
#include "run/engine.h"

struct stanch_verdict {
    const char *word;    /* "verified", "no_effect", "worse", "no_data"; NULL: it did nothing that could have helped */
    const char *counter; /* of the engine */
    const json_t *sampled; /* the last value before; NULL: it was not measured. borrowed from the run */
    double before, after;
    bool is_measured; /* after it, with a number */
};
/** What a verify found. op: the verify, of a run. result: "good", "bad" or "no_data"; value: the last sample, or NULL. */
void stanch_verdict__find(const struct stanch_op *op, const char *result, const json_t *value,
                          struct stanch_verdict *ret);
/** For the timeline: "worse: it was 9 before"; new; NULL: nothing to say */
char *stanch_verdict__said(const struct stanch_verdict *verdict);
/** For the breaker: "it made it worse: the symptom was 9 before and is 12 after it"; new */
char *stanch_verdict__why(const struct stanch_verdict *verdict);

#endif
