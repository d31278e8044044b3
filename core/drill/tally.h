/* tally.h: what would be against what was, counted for each runbook, and the differences. Inside of drill/ only.
 * Shapes: backtest.h. Thread: loop thread.
 */
#ifndef STANCH_DRILL_TALLY_H
#define STANCH_DRILL_TALLY_H
#include "drill/virtual.h"

struct stanch_tally;

/** catalogue: borrowed, must outlive it. autonomies: as stanch_autonomy_told says of each runbook, in order; borrowed likewise.
 *  limits: "limits" of the configuration, or NULL. listed: of each list at most. new */
struct stanch_tally *stanch_tally_new(const struct stanch_catalogue *catalogue, const json_t *autonomies,
                                      const json_t *limits, size_t listed);
void stanch_tally_free(struct stanch_tally *tally);
/** One event. verdicts: what would have become of it, for each runbook. decided: what was recorded ("event.matched", or the
 *  event's document); NULL: nothing was. */
void stanch_tally_add(struct stanch_tally *tally, const json_t *event, const struct stanch_verdict *verdicts,
                      const json_t *decided);
/** Has the i-th runbook started for an event of which this was recorded? Also when an earlier release only recorded that it
 *  matched. */
bool stanch_tally_had_started(const struct stanch_tally *tally, int i, const json_t *decided);
/** Put all that was counted into the report. */
void stanch_tally_tell(const struct stanch_tally *tally, json_t *report);

#endif
