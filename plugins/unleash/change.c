/* change.c: write, read back, take back. Unleash has no conditional write (the last one wins): what was approved is read
 * again just before, and core holds the target's lock meanwhile. Turning off what is off is a 200 that changes nothing.
 *
 *   apply   read --is `to` already--> done      undo   read --is `from` already--> done
 *             '--is `from`--> write --> done             '--is `to`--> write the former value --> done
 *             '--else--> stale                           '--else--> stale
 *   verify  read --is not `to`--> does not hold
 *             '--client token--> ask as an application would, again until it is so: its view lags by about a second
 */
#include "unleash.h"
#include <string.h>

#define POLL_MS  250
#define MAX_LIST (32u << 20) /* bytes of all flags of an environment */

static bool take_value(struct sdk_call *call, const char *member, bool *ret)
{
    const json_t *value = json_object_get(sdk_plan_member(call, member), "enabled");
    if (!json_is_boolean(value)) {
        sdk_fail(call, "invalid", "plan: %s with \"enabled\" was expected; make the plan again", member);
        return false;
    }
    *ret = json_is_true(value);
    return true;
}

static bool take_plan(struct sdk_call *call, bool *ret_from, bool *ret_to)
{
    return take_value(call, "from", ret_from) && take_value(call, "to", ret_to);
}

static bool is_plan_good(struct sdk_call *call)
{
    bool from, to;
    return take_plan(call, &from, &to);
}

static void on_written(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct unleash_flag *flag = sdk_kept(call);
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "was", flag->enabled));
}

/* Go from `before` to `after`, when it is not so already. */
static void change(struct sdk_call *call, const struct unleash_flag *flag, bool before, bool after)
{
    if (flag->enabled == after) {
        sdk_done(call, json_pack("{s:b, s:b}", "already", 1, "was", flag->enabled));
        return;
    }
    if (flag->enabled != before) {
        sdk_fail(call, "stale", "%s is %s in %s now: somebody else turned it. Nothing was written", flag->name,
                 unleash_word(flag->enabled), flag->environment);
        return;
    }
    if (after && flag->rollout.active == 0) {
        sdk_fail(call, "stale",
                 "%s has no active strategy in %s any more: turned on, Unleash would give it to all users. Nothing was "
                 "written; add a strategy that says for whom, then: %s",
                 flag->name, flag->environment, unleash_by_hand(call, flag, true));
        return;
    }
    sdk_http_retry(call,
                   &(struct sdk_http_order){.method = "POST",
                                            .path = unleash_switch_path(call, flag, after),
                                            .secret_headers = unleash_credential("token")},
                   on_written);
}

static void on_read_for_apply(struct sdk_call *call, struct unleash_flag *flag)
{
    bool from, to;
    if (take_plan(call, &from, &to))
        change(call, flag, from, to);
}

void unleash_apply(struct sdk_call *call)
{
    if (is_plan_good(call))
        unleash_read(call, on_read_for_apply);
}

static void on_read_for_undo(struct sdk_call *call, struct unleash_flag *flag)
{
    bool from, to;
    if (take_plan(call, &from, &to))
        change(call, flag, to, from);
}

void unleash_undo(struct sdk_call *call)
{
    if (is_plan_good(call))
        unleash_read(call, on_read_for_undo);
}

/* ---- verify ---- */

static void ask_as_application(struct sdk_call *call);

static const json_t *find_feature(const json_t *body, const char *name)
{
    const json_t *one;
    size_t i;
    json_array_foreach(json_object_get(body, "features"), i, one)
    {
        const char *its = json_string_value(json_object_get(one, "name"));
        if (its && strcmp(its, name) == 0)
            return one;
    }
    return NULL;
}

/* feature: what applications get; NULL: they don't get the flag. */
static json_t *both(const struct unleash_flag *flag, const json_t *feature)
{
    if (!feature)
        return json_pack("{s:b, s:n, s:s}", "enabled", flag->enabled, "applications", "note",
                         "applications do not get the flag: is the client token of its project?");
    return json_pack("{s:b, s:b}", "enabled", flag->enabled, "applications",
                     json_is_true(json_object_get(feature, "enabled")));
}

static void on_evaluation(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct unleash_flag *flag = sdk_kept(call);
    bool from, to;
    if (!take_plan(call, &from, &to))
        return;
    if (answer->ended == STANCH_HTTP_ANSWERED && answer->status == 304 && flag->etag) {
        sdk_not_yet(call, ask_as_application, POLL_MS, 0, both(flag, flag->seen));
        return;
    }
    const json_t *body = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!body)
        return;
    const char *environment = json_string_value(sdk_json_at(body, "/query/environment"));
    const json_t *feature = find_feature(body, flag->name);
    if (!environment || strcmp(environment, flag->environment) != 0) {
        sdk_holds(call, true,
                  json_pack("{s:b, s:s}", "enabled", flag->enabled, "note",
                            "the client token is of another environment: what applications get was not "
                            "looked at"));
        return;
    }
    flag->etag = json_string_value(json_object_get(answer->headers, "etag"));
    flag->seen = feature;
    if (feature && json_is_true(json_object_get(feature, "enabled")) == to)
        sdk_holds(call, true, both(flag, feature));
    else
        sdk_not_yet(call, ask_as_application, POLL_MS, 0, both(flag, feature));
}

/* The whole list, as the applications' libraries ask for it: what is asked for in another way (one flag, a part of the
 * list) is kept apart in Unleash's memory, and can be newer. */
static void ask_as_application(struct sdk_call *call)
{
    const struct unleash_flag *flag = sdk_kept(call);
    sdk_http_retry(
        call,
        &(struct sdk_http_order){.path = "/api/client/features",
                                 .headers = flag->etag ? json_pack("{s:s}", "If-None-Match", flag->etag) : NULL,
                                 .secret_headers = unleash_credential("client_token"),
                                 .max_body = MAX_LIST},
        on_evaluation);
}

static void on_read_for_verify(struct sdk_call *call, struct unleash_flag *flag)
{
    bool from, to;
    if (!take_plan(call, &from, &to))
        return;
    if (flag->enabled == to && sdk_has_secret(sdk_instance(call), "client_token"))
        ask_as_application(call);
    else
        sdk_holds(call, flag->enabled == to, json_pack("{s:b}", "enabled", flag->enabled));
}

void unleash_verify(struct sdk_call *call)
{
    if (is_plan_good(call))
        unleash_read(call, on_read_for_verify);
}

/* ---- reconcile ---- */

static void on_read_for_reconcile(struct sdk_call *call, struct unleash_flag *flag)
{
    bool from, to;
    if (!take_plan(call, &from, &to))
        return;
    bool wanted = strcmp(sdk_reconciles(call), "undo") == 0 ? from : to;
    sdk_reconciled(call, flag->enabled == wanted ? "done" : "not-done");
}

void unleash_reconcile(struct sdk_call *call)
{
    if (is_plan_good(call))
        unleash_read(call, on_read_for_reconcile);
}
