/* going.h: limits that count runs which are going, where nobody knows how long runs take: at_once, and what only one run may
 * hold. How close did starts come to each other? Then a person can tell whether such a limit would have held one. Inside of
 * drill/ only. Thread: loop thread.
 */
#ifndef STANCH_DRILL_GOING_H
#define STANCH_DRILL_GOING_H
#include "catalogue.h"

struct stanch_going;

/** catalogue: borrowed, must outlive it. limits: "limits" of the configuration, NULL: as when they are left out. new */
struct stanch_going *stanch_going_new(const struct stanch_catalogue *catalogue, const json_t *limits);
void stanch_going_free(struct stanch_going *going);
/** The i-th runbook starts. */
void stanch_going_note(struct stanch_going *going, int i, int64_t at_ms);
/** Of the i-th runbook: [{"limit":"at_once = 4","before":n,"closest_ms":m}]: it would have held a start, had the n starts before it
 *  all been going for m. A limit that was never reached, however long runs take, is left out. new */
json_t *stanch_going_tell(const struct stanch_going *going, int i);
/** Put into the report what holds for all runbooks together: "cannot_tell", as above, of limits.max_runs; and "storm":
 *  {"enter","within_ms","starts"}: so many starts came when more than `enter` had wanted to within the time, so that at least these
 *  would have asked a person first; 0: there would have been no storm. */
void stanch_going_tell_all(const struct stanch_going *going, json_t *report);

#endif
