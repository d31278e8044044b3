/* change.c: write, read back, take back. LaunchDarkly refuses a write that met another one (409) and changes nothing then, so
 * it is read and decided again; turning off what is off changes nothing. Core holds the target's lock meanwhile.
 *
 *   apply   read --is `to` already--> done              undo   the same, with `from` and `to` changed over
 *             '--is `from`--> patch --409--> read again
 *             |                 '--> done
 *             '--else--> stale
 */
#include "launchdarkly.h"
#include <string.h>

#define POLL_MS       500
#define MAX_CONFLICTS 8
#define CONFLICT_MS   200 /* before it is read again, times the conflicts so far */

static bool take_value(struct sdk_call *call, const char *member, bool *ret)
{
    const json_t *value = json_object_get(sdk_plan_member(call, member), "on");
    if (!json_is_boolean(value)) {
        sdk_fail(call, "invalid", "plan: %s with \"on\" was expected; make the plan again", member);
        return false;
    }
    *ret = json_is_true(value);
    return true;
}

/* What should be there before, and what after: an undo goes the other way. */
static bool take_plan(struct sdk_call *call, bool *ret_before, bool *ret_after)
{
    bool is_back = sdk_op(call) == STANCH_OP_UNDO || strcmp(sdk_reconciles(call), "undo") == 0;
    return take_value(call, is_back ? "to" : "from", ret_before) &&
           take_value(call, is_back ? "from" : "to", ret_after);
}

static bool is_plan_good(struct sdk_call *call)
{
    bool before, after;
    return take_plan(call, &before, &after);
}

/* ---- the write ---- */

static void read_once_more(struct sdk_call *call)
{
    ld_read_again(call, sdk_kept(call));
}

static void on_written(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct ld_flag *flag = sdk_kept(call);
    bool is_answered = answer->ended == STANCH_HTTP_ANSWERED;
    if (is_answered && answer->status == 409 && flag->conflicts < MAX_CONFLICTS) {
        uint32_t wait = CONFLICT_MS * (uint32_t)++flag->conflicts;
        if (wait + 1000 < sdk_left_ms(call) && !sdk_is_cancelled(call)) {
            sdk_later(call, wait, read_once_more);
            return;
        }
    }
    if (is_answered && answer->status == 405)
        sdk_fail(call, "refused", "changes of %s in %s need an approval in LaunchDarkly: %.300s", flag->key,
                 flag->environment, answer->body);
    else if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "was", flag->on));
}

static void on_read_for_change(struct sdk_call *call, struct ld_flag *flag)
{
    bool before, after;
    if (!take_plan(call, &before, &after))
        return;
    if (flag->on == after)
        sdk_done(call, json_pack("{s:b, s:b}", "already", 1, "was", flag->on));
    else if (flag->on != before)
        sdk_fail(call, "stale", "%s is %s in %s now: somebody else turned it. Nothing was written", flag->key,
                 ld_word(flag->on), flag->environment);
    else
        ld_patch(call, flag, after, false, on_written);
}

void ld_apply(struct sdk_call *call)
{
    if (is_plan_good(call))
        ld_read(call, on_read_for_change);
}

void ld_undo(struct sdk_call *call)
{
    ld_apply(call);
}

/* ---- verify, reconcile ---- */

static void on_read_for_verify(struct sdk_call *call, struct ld_flag *flag)
{
    bool before, after;
    if (!take_plan(call, &before, &after))
        return;
    json_t *version = json_object_get(flag->there, "version");
    json_t *seen = json_pack("{s:b, s:O}", "on", flag->on, "version", version ? version : json_null());
    if (flag->on == after)
        sdk_holds(call, true, seen);
    else
        sdk_not_yet(call, read_once_more, POLL_MS, 2 * POLL_MS, seen);
}

void ld_verify(struct sdk_call *call)
{
    if (is_plan_good(call))
        ld_read(call, on_read_for_verify);
}

static void on_read_for_reconcile(struct sdk_call *call, struct ld_flag *flag)
{
    bool before, after;
    if (take_plan(call, &before, &after))
        sdk_reconciled(call, flag->on == after ? "done" : "not-done");
}

void ld_reconcile(struct sdk_call *call)
{
    if (is_plan_good(call))
        ld_read(call, on_read_for_reconcile);
}
