/* schedule.h: drills come round by themselves: announced, reminded of, begun, or missed and remembered.
 *
 *   plan (calendar.h) --announce before--> drill.announced --remind--> drill.reminded --at its time--> port.begin
 *                                                 \\-- nobody was here then, or it cannot begin --> drill.missed
 *
 * Everything that was said is a document in the journal (noun "drill", D-7), so a daemon that comes up again goes on where the last one
 * was: it announces what is due to be announced, reminds once of what it did not remind of, begins what is not later than `late`, and says
 * missed of all other: also of what was due while there was no daemon. One plan and time is one drill, whatever happens.
 *
 * That there is a plan is in the journal too (noun "plan": plan.scheduled, plan.dropped): what was due since then and never announced is missed.
 *
 * A document: {"id","drill":id,"name":scenario,"kind","plan"?,"at_ms","at":text,"summary"?,"speed"?,"reminded"?:[ms before],
 *   "state":"announced"|"running"|"ended"|"missed","open":bool, ...} ; a plan's and a time's is found under "plan" and "at_ms".
 * Callers  serve.c.  Calls: timeline/.   Thread: loop thread.
 */
#ifndef STANCH_GAMEDAY_SCHEDULE_H
#define STANCH_GAMEDAY_SCHEDULE_H
#include "base/loop.h"
#include "gameday/calendar.h"

struct stanch_journal;
struct stanch_schedule;

struct stanch_schedule_port {
    /** Its time has come. drill: its document; borrowed. returns 0: what happens to it from now on (drill.started, ...) is said by who
     *  begins it | STANCH_E_UNAVAILABLE not yet: it is asked again while it is not later than `late` | else the schedule says missed, with
     *  err's text */
    int (*begin)(void *ctx, const json_t *drill, struct stanch_err *err);
    void *ctx;
};

/** plans: an array, checked; borrowed, must outlive it, as must journal. Looks at what is in the journal at once (later in the loop), then
 *  when something is due, and every minute (the wall clock may step). port: copied. ret: new. returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_schedule_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *plans,
                          const struct stanch_schedule_port *port, struct stanch_schedule **ret,
                          struct stanch_err *err);
/** What comes next of each plan: [{"plan","name","kind","at_ms"?,"drill"?:of what is announced,"why"?:there is none any more}]. new */
json_t *stanch_schedule_coming(const struct stanch_schedule *schedule);
/** The feed; as stanch_calendar_feed. */
int stanch_schedule_feed(const struct stanch_schedule *schedule, struct stanch_buf *out, struct stanch_err *err);
/** Nothing is appended or begun any more. Accepts NULL. */
void stanch_schedule_free(struct stanch_schedule *schedule);

#endif
