/* gameday.h: what serve asks of the configuration's `drills` before anything starts.
 * The worker that reads stanch.lua checks types and names; rules and zones need libical and the machine's zones, so they are
 * checked here.   Thread: any.
 */
#ifndef STANCH_GAMEDAY_GAMEDAY_H
#define STANCH_GAMEDAY_GAMEDAY_H
#include "base/err.h"
#include <jansson.h>

/** Is every plan of `drills.schedule` one that can be read and happens (stanch_calendar_check), under a name of its own?
 *  Takes about a second for a rule that never comes true.
 *  config: the whole configuration; without `drills` there is nothing to check
 *  returns 0 | STANCH_E_INVALID the text names the plan, and what is wrong with it */
int stanch_gameday_check(const json_t *config, struct stanch_err *err);

#endif
