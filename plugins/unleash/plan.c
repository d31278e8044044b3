/* plan.c: what is so, and what an action would change. Reads only. */
#include "unleash.h"
#include <string.h>

static json_t *reach_json(double reach)
{
    return reach < 0 ? json_null() : json_real(reach);
}

static json_t *strategies_json(const struct unleash_flag *flag)
{
    return json_pack("{s:i, s:i}", "all", (int)flag->rollout.strategies, "active", (int)flag->rollout.active);
}

static void on_state(struct sdk_call *call, struct unleash_flag *flag)
{
    sdk_done(call,
             json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:b, s:I}", "flag", flag->name, "project", flag->project,
                       "environment", flag->environment, "enabled", flag->enabled, "strategies", strategies_json(flag),
                       "reach", reach_json(flag->enabled ? flag->rollout.reach : 0), "children", unleash_children(flag),
                       "stale", json_is_true(json_object_get(flag->feature, "stale")), "as_of_ms",
                       (json_int_t)sdk_now_ms(call)));
}

void unleash_state(struct sdk_call *call)
{
    unleash_read(call, on_state);
}

/* ---- plan ---- */

static const char *whom(struct sdk_call *call, const struct unleash_flag *flag)
{
    const struct unleash_rollout *all = &flag->rollout;
    const char *count =
        sdk_text(call, "%zu of %zu strateg%s active", all->active, all->strategies, all->strategies == 1 ? "y" : "ies");
    if (all->reach < 0)
        return sdk_text(call, "a share of the users that is not known (%s)", count);
    if (all->reach >= 1)
        return sdk_text(call, "up to all users (%s)", count);
    return sdk_text(call, "at most %g%% of the users (%s)", all->reach * 100, count);
}

static const char *impact(struct sdk_call *call, const struct unleash_flag *flag, bool want)
{
    const char *place = sdk_text(call, "%s in %s", flag->name, flag->environment);
    if (flag->enabled == want)
        return sdk_text(call, "%s is %s already", place, unleash_word(want));
    json_t *children = sdk_hold(call, unleash_children(flag));
    const char *more = json_array_size(children) == 0
                           ? ""
                           : sdk_text(call, "; %zu flag%s that depend%s on it %s too", json_array_size(children),
                                      json_array_size(children) == 1 ? "" : "s",
                                      json_array_size(children) == 1 ? "s" : "", want ? "can be on" : "are off");
    return sdk_text(call, "%s: %s -> %s for %s%s", place, unleash_word(flag->enabled), unleash_word(want),
                    whom(call, flag), more);
}

static json_t *observed(struct sdk_call *call, const struct unleash_flag *flag)
{
    json_t *seen =
        json_pack("{s:s, s:s, s:o, s:o, s:I}", "project", flag->project, "environment", flag->environment, "strategies",
                  strategies_json(flag), "children", unleash_children(flag), "as_of_ms", (json_int_t)sdk_now_ms(call));
    if (flag->untold)
        json_object_set_new(seen, "tags_unknown", json_string(flag->untold));
    return seen;
}

static void answer_plan(struct sdk_call *call, struct unleash_flag *flag)
{
    bool want = strcmp(sdk_action(call), "enable") == 0;
    sdk_plan(call,
             &(struct sdk_plan){
                 .targets = json_pack("[o]", json_sprintf("unleash:%s/%s/%s/%s", sdk_instance_name(sdk_instance(call)),
                                                          flag->project, flag->environment, flag->name)),
                 .from = json_pack("{s:b}", "enabled", flag->enabled),
                 .to = json_pack("{s:b}", "enabled", want),
                 .undo = json_pack("{s:b}", "enabled", flag->enabled),
                 .by_hand = unleash_by_hand(call, flag, want),
                 .undo_by_hand = unleash_by_hand(call, flag, flag->enabled),
                 .impact = impact(call, flag, want),
                 .reach = flag->enabled == want ? 0 : flag->rollout.reach,
                 .observed = observed(call, flag),
                 .no_change = flag->enabled == want,
                 .tags = json_incref(flag->tags),
             });
}

static void on_plan_read(struct sdk_call *call, struct unleash_flag *flag)
{
    bool want = strcmp(sdk_action(call), "enable") == 0;
    if (want && !flag->enabled && flag->rollout.active == 0) {
        sdk_fail(call, "refused",
                 "%s has no active strategy in %s: Unleash would add one for all users when it is turned on. Add a "
                 "strategy that says for whom",
                 flag->name, flag->environment);
        return;
    }
    if (flag->enabled == want)
        answer_plan(call, flag); /* nothing is decided about it */
    else
        unleash_read_tags(call, flag, answer_plan);
}

void unleash_plan(struct sdk_call *call)
{
    unleash_read(call, on_plan_read);
}
