/* gameday.c: the schedule as a whole. */
#include "gameday/gameday.h"
#include "base/json.h"
#include "gameday/calendar.h"
#include <string.h>

int stanch_gameday_check(const json_t *config, struct stanch_err *err)
{
    const json_t *plans = json_object_get(json_object_get(config, "drills"), "schedule");
    for (size_t i = 0; i < json_array_size(plans); i++) {
        const json_t *plan = json_array_get(plans, i);
        const char *name = stanch_json_str(plan, "name", "");
        for (size_t k = 0; k < i; k++)
            if (strcmp(stanch_json_str(json_array_get(plans, k), "name", ""), name) == 0)
                return stanch_err_set(err, STANCH_E_INVALID, "drills.schedule: there are two plans \"%.64s\"", name);
        if (stanch_calendar_check(plan, err) < 0)
            return stanch_err_wrap(err, "drills.schedule: plan \"%.64s\"", name);
    }
    return 0;
}
