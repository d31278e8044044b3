/* plan.c: what is so, and what an action would change. LaunchDarkly itself says whether it would take the change: the same
 * patch is sent as a dry run, which is validated and not kept. */
#include "launchdarkly.h"
#include <string.h>

static json_t *reach_json(double reach)
{
    return reach < 0 ? json_null() : json_real(reach);
}

static bool is_archived(const struct ld_flag *flag)
{
    return json_is_true(json_object_get(flag->flag, "archived"));
}

static void on_state(struct sdk_call *call, struct ld_flag *flag)
{
    sdk_done(call, json_pack("{s:s, s:s, s:s, s:b, s:s, s:o, s:b, s:I}", "flag", flag->key, "project", flag->project,
                             "environment", flag->environment, "on", flag->on, "off_serves", ld_off_serves(call, flag),
                             "reach", reach_json(flag->on ? ld_reach(flag) : 0), "archived", is_archived(flag),
                             "as_of_ms", (json_int_t)sdk_now_ms(call)));
}

void ld_state(struct sdk_call *call)
{
    ld_read(call, on_state);
}

/* ---- plan ---- */

static const char *impact(struct sdk_call *call, const struct ld_flag *flag, bool want)
{
    const char *place = sdk_text(call, "%s in %s", flag->key, flag->environment), *off = ld_off_serves(call, flag);
    double reach = ld_reach(flag);
    const char *whom = reach < 0 ? "a share that is not known" : sdk_text(call, "%g%% of the evaluations", reach * 100);
    if (flag->on == want)
        return sdk_text(call, "%s is %s already", place, ld_word(want));
    if (want)
        return sdk_text(call, "%s: off -> on: its rules apply again, for %s it is no longer %s", place, whom, off);
    return sdk_text(call, "%s: on -> off: everybody gets %s, which is new for %s", place, off, whom);
}

static void answer_plan(struct sdk_call *call, const struct ld_flag *flag)
{
    bool want = strcmp(sdk_action(call), "enable") == 0;
    json_t *tags = json_object_get(flag->flag, "tags");
    json_t *version = json_object_get(flag->there, "version");
    sdk_plan(call, &(struct sdk_plan){
                       .targets = json_pack("[o]", json_sprintf("launchdarkly:%s/%s/%s/%s",
                                                                sdk_instance_name(sdk_instance(call)), flag->project,
                                                                flag->environment, flag->key)),
                       .from = json_pack("{s:b}", "on", flag->on),
                       .to = json_pack("{s:b}", "on", want),
                       .undo = json_pack("{s:b}", "on", flag->on),
                       .by_hand = ld_by_hand(call, flag, want),
                       .undo_by_hand = ld_by_hand(call, flag, flag->on),
                       .impact = impact(call, flag, want),
                       .reach = flag->on == want ? 0 : ld_reach(flag),
                       .observed = json_pack("{s:s, s:s, s:s, s:O, s:b, s:I}", "project", flag->project, "environment",
                                             flag->environment, "off_serves", ld_off_serves(call, flag), "version",
                                             version ? version : json_null(), "dry_run", flag->on != want, "as_of_ms",
                                             (json_int_t)sdk_now_ms(call)),
                       .no_change = flag->on == want,
                       .tags = json_is_array(tags) ? json_deep_copy(tags) : NULL,
                   });
}

static void on_dry_run(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct ld_flag *flag = sdk_kept(call);
    bool want = strcmp(sdk_action(call), "enable") == 0;
    if (answer->ended == STANCH_HTTP_ANSWERED && answer->status == 405) {
        sdk_fail(call, "refused", "changes of %s in %s need an approval in LaunchDarkly: %.300s", flag->key,
                 flag->environment, answer->body);
        return;
    }
    const json_t *preview = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!preview)
        return;
    const json_t *on =
        json_object_get(json_object_get(json_object_get(preview, "environments"), flag->environment), "on");
    if (json_is_boolean(on) && json_is_true(on) != want)
        sdk_fail(call, "remote", "LaunchDarkly tried it, and %s would still be %s in %s", flag->key, ld_word(!want),
                 flag->environment);
    else
        answer_plan(call, flag);
}

static void on_plan_read(struct sdk_call *call, struct ld_flag *flag)
{
    bool want = strcmp(sdk_action(call), "enable") == 0;
    if (is_archived(flag))
        sdk_fail(call, "refused", "%s is archived: it cannot be turned", flag->key);
    else if (flag->on == want)
        answer_plan(call, flag);
    else
        ld_patch(call, flag, want, true, on_dry_run);
}

void ld_plan(struct sdk_call *call)
{
    ld_read(call, on_plan_read);
}
