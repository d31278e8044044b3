/* stopped.h: what people had stopped at the time, out of the timeline: a stop is their decision, and no part of a version of the
 * runbooks. Inside of drill/ only.
 *
 *   stop.engaged, stop.released, daemon.started --> what was in force --run/stop.h, as in production--> is a start held
 *
 * Memory: the stops that were in force at the same time. Thread: loop thread.
 */
#ifndef STANCH_DRILL_STOPPED_H
#define STANCH_DRILL_STOPPED_H
#include "timeline/journal.h"

struct stanch_stopped;

/** Nothing is stopped. new */
struct stanch_stopped *stanch_stopped_new(void);
void stanch_stopped_free(struct stanch_stopped *self);
/** The next entry, of whatever kind. A daemon that starts says anew what is stopped: what it does not say was released while none
 *  was there. */
void stanch_stopped_hear(struct stanch_stopped *self, const struct stanch_entry *entry);
/** All that the entries up to `seq` leave stopped, however long ago it was engaged. They are looked at backwards, as far as the
 *  last start of a daemon, by their kinds alone. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_stopped_recall(struct stanch_stopped *self, struct stanch_journal *journal, int64_t seq,
                          struct stanch_err *err);
/** What was in force at that time: as stanch_stop_list gives it. borrowed, until the next call */
const json_t *stanch_stopped_at(struct stanch_stopped *self, int64_t at_ms);

#endif
