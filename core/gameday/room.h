/* room.h: what the files of this folder share. Inside gameday/ only.
 * Files    calendar.c (a plan's times), feed.c (text/calendar), schedule.c (plans become drills), due.c (drills that are
 *          announced), herald.c (people are told).
 */
#ifndef STANCH_GAMEDAY_ROOM_H
#define STANCH_GAMEDAY_ROOM_H
#include "gameday/calendar.h"

#define STANCH_GAMEDAY__DAY_MS 86400000LL

/* The times of one plan, one after the other. */
struct stanch_calendar__walk;
/** plan: borrowed until the walk is freed. ret: new. returns 0 | STANCH_E_INVALID */
int stanch_calendar__walk_new(const json_t *plan, struct stanch_calendar__walk **ret, struct stanch_err *err);
/** The next one, always later than the one before. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_INVALID (it is too often) */
int stanch_calendar__walk_next(struct stanch_calendar__walk *walk, int64_t *ret_ms, struct stanch_err *err);
/** Accepts NULL. */
void stanch_calendar__walk_free(struct stanch_calendar__walk *walk);

#endif
