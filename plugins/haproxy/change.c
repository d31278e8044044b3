/* change.c: write, read back, take back. HAProxy has no conditional write: what was approved is read again just
 * before, and the core holds the target's lock meanwhile. A `set` answers one empty line when it worked, a
 * sentence when it did not: there is no status code.
 *
 *   apply   read --not `from`--> stale          undo   read --our field is not what we set--> stale
 *             '--> set --> done                          '--> set the former value --> done
 */
#include "haproxy.h"
#include <string.h>

/* Whether the plan is one of ours: its values stand in a command for the socket. */
static bool check_value(const json_t *value)
{
    const char *state = json_string_value(json_object_get(value, "state"));
    const json_t *weight = json_object_get(value, "weight");
    return state && (strcmp(state, "ready") == 0 || strcmp(state, "drain") == 0 || strcmp(state, "maint") == 0) &&
           json_is_integer(weight) && json_integer_value(weight) >= 0 && json_integer_value(weight) <= 256;
}

static bool check_plan(struct sdk_call *call)
{
    if (check_value(sdk_plan_member(call, "from")) && check_value(sdk_plan_member(call, "to")))
        return true;
    sdk_fail(call, "invalid", "plan: from and to with a state and a weight were expected; make the plan again");
    return false;
}

static const char *value_text(struct sdk_call *call, const json_t *value)
{
    return sdk_text(call, "%s with weight %lld", json_string_value(json_object_get(value, "state")),
                    (long long)json_integer_value(json_object_get(value, "weight")));
}

static bool has_field_of(const struct sdk_call *call, const json_t *now, const json_t *value)
{
    const char *field = haproxy_field(call);
    return json_equal(json_object_get(now, field), json_object_get(value, field)) != 0;
}

/* ---- the write ---- */

static void fail_set(struct sdk_call *call, const char *sentence)
{
    const char *kind = strstr(sentence, "No such") ? "not-found" : strstr(sentence, "denied") ? "forbidden" : "remote";
    size_t len = strlen(sentence);
    while (len > 0 && strchr(" \r\n", sentence[len - 1]))
        len--;
    sdk_fail(call, kind, "HAProxy refused it: %.*s%s", len > 300 ? 300 : (int)len, sentence,
             strcmp(kind, "forbidden") == 0 ? " (the stats socket needs \"level admin\")" : "");
}

static void on_set(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    struct haproxy_work *work = sdk_kept(call);
    if (!sdk_exchange_ok(call, ended, why))
        return;
    if (len == 0)
        sdk_unknown(call, "unreachable", "HAProxy closed without an answer: it may or may not have happened");
    else if (strspn(answer, " \r\n") == len)
        sdk_done(call, json_pack("{s:o, s:s}", "was", haproxy_value(work->server), "note",
                                 "holds until HAProxy is reloaded or restarted"));
    else
        fail_set(call, answer);
}

static void set_value(struct sdk_call *call, const struct haproxy_work *work, const json_t *value)
{
    const char *line = sdk_text(call, "%s\n", haproxy_command(call, work, value));
    sdk_exchange(call, sdk_setting(sdk_instance(call), "socket", ""), line, 0, on_set);
}

/* ---- apply ---- */

static void on_read_for_apply(struct sdk_call *call, struct haproxy_work *work)
{
    const json_t *from = sdk_plan_member(call, "from"), *to = sdk_plan_member(call, "to");
    const json_t *now = sdk_hold(call, haproxy_value(work->server));
    if (!json_equal(now, from))
        sdk_fail(call, "stale", "%s is now %s; the plan was made for %s", work->server_name, value_text(call, now),
                 value_text(call, from));
    else if (json_equal(from, to))
        sdk_done(call, json_pack("{s:b, s:O}", "no_change", 1, "was", from));
    else if (!haproxy_would_starve(call, work, to, "now, changing"))
        set_value(call, work, to);
}

void haproxy_apply(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_apply);
}

/* ---- verify ---- */

static void on_read_for_verify(struct sdk_call *call, struct haproxy_work *work)
{
    const json_t *now = sdk_hold(call, haproxy_value(work->server));
    sdk_holds(call, has_field_of(call, now, sdk_plan_member(call, "to")),
              haproxy_server_json(&work->backend, work->server));
}

void haproxy_verify(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_verify);
}

/* ---- undo ---- */

static void on_read_for_undo(struct sdk_call *call, struct haproxy_work *work)
{
    const json_t *from = sdk_plan_member(call, "from"), *to = sdk_plan_member(call, "to");
    const json_t *now = sdk_hold(call, haproxy_value(work->server));
    if (has_field_of(call, now, from)) {
        sdk_done(call, json_pack("{s:b, s:O}", "already", 1, "was", now));
        return;
    }
    if (!has_field_of(call, now, to)) {
        sdk_fail(call, "stale",
                 "%s is now %s, and not as this left it (%s): somebody changed it since, or HAProxy was reloaded. "
                 "Nothing was written; by hand: %s",
                 work->server_name, value_text(call, now), value_text(call, to),
                 haproxy_by_hand(call, haproxy_command(call, work, from)));
        return;
    }
    if (!haproxy_would_starve(call, work, from, "undoing this change of"))
        set_value(call, work, from);
}

void haproxy_undo(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_undo);
}

/* ---- reconcile ---- */

static void on_read_for_reconcile(struct sdk_call *call, struct haproxy_work *work)
{
    bool is_undo = strcmp(sdk_reconciles(call), "undo") == 0;
    const json_t *before = sdk_plan_member(call, is_undo ? "to" : "from");
    const json_t *wanted = sdk_plan_member(call, is_undo ? "from" : "to");
    const json_t *now = sdk_hold(call, haproxy_value(work->server));
    if (has_field_of(call, now, wanted))
        sdk_reconciled(call, "done");
    else
        sdk_reconciled(call, has_field_of(call, now, before) ? "not-done" : "cannot-tell");
}

void haproxy_reconcile(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_reconcile);
}
