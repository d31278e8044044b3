/* change.c: write, read back, take back, on every socket of the instance. HAProxy has no conditional write: what was
 * approved is read again just before, and the core holds the target's lock meanwhile. A `set` answers one empty line
 * when it worked, a sentence when it did not: there is no status code.
 *
 *   apply   read --not `from`--> stale          undo   read --our field is not what we set--> stale
 *             '--> set, one after the other --> done     '--> set the former value where ours is --> done
 *                    '--> one fails: the ones before it are changed: unknown, with what is where
 */
#include "haproxy.h"
#include <string.h>

/* Whether the plan is one of ours: its values stand in a command for the socket. */
static bool check_value(const struct sdk_call *call, const json_t *value)
{
    const char *state = json_string_value(json_object_get(value, "state"));
    const json_t *weight = json_object_get(value, "weight"), *entry = json_object_get(value, "value");
    if (strcmp(haproxy_field(call), "value") == 0)
        return json_is_null(entry) || (json_is_string(entry) && haproxy_is_map_word(json_string_value(entry)));
    return state && (strcmp(state, "ready") == 0 || strcmp(state, "drain") == 0 || strcmp(state, "maint") == 0) &&
           json_is_integer(weight) && json_integer_value(weight) >= 0 && json_integer_value(weight) <= 256;
}

static bool check_plan(struct sdk_call *call)
{
    if (check_value(call, sdk_plan_member(call, "from")) && check_value(call, sdk_plan_member(call, "to")))
        return true;
    sdk_fail(call, "invalid", "plan: from and to with the action's values were expected; make the plan again");
    return false;
}

static const char *value_text(struct sdk_call *call, const json_t *value)
{
    const json_t *entry = json_object_get(value, "value");
    if (entry)
        return json_is_string(entry) ? sdk_text(call, "\"%s\"", json_string_value(entry)) : "not there";
    return sdk_text(call, "%s with weight %lld", json_string_value(json_object_get(value, "state")),
                    (long long)json_integer_value(json_object_get(value, "weight")));
}

static const char *subject(const struct haproxy_work *work)
{
    return work->map_name ? work->map_key : work->server_name;
}

/* ---- after a reload ---- */

/* Whether that socket is answered by another process than when the plan was made. */
static bool is_reloaded(const struct sdk_call *call, const struct haproxy_view *view)
{
    const json_t *list = json_object_get(sdk_plan_member(call, "observed"), "processes"), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        const char *socket = json_string_value(json_object_get(one, "socket"));
        struct haproxy_process then = {json_integer_value(json_object_get(one, "pid")),
                                       json_integer_value(json_object_get(one, "started_at_ms"))};
        if (socket && strcmp(socket, view->address) == 0)
            return haproxy_is_other_process(then, view->process);
    }
    return false;
}

/* ---- the write ---- */

static const char *trimmed(struct sdk_call *call, const char *sentence)
{
    size_t len = strlen(sentence);
    while (len > 0 && strchr(" \r\n", sentence[len - 1]))
        len--;
    return sdk_text(call, "%.*s", len > 300 ? 300 : (int)len, sentence);
}

static void set_next(struct sdk_call *call);

/* Whether some have it, by this call or by one before it that stopped half-way: then it is neither done nor failed. */
static bool is_partly(const struct sdk_call *call, const struct haproxy_work *work)
{
    return work->written > 0 || haproxy_count(call, work, work->wanted) > 0;
}

static void tell_parts(struct sdk_call *call, const struct haproxy_work *work, const char *why)
{
    const char *text = "";
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        const char *how = haproxy_has_field(call, view->now, work->wanted) ? "was so already"
                          : i < work->at                                   ? "changed"
                          : i == work->at                                  ? why
                                                                           : "not tried";
        text = sdk_text(call, "%s%s%s: %s", text, *text ? "; " : "", view->address, how);
    }
    sdk_unknown(call, "remote", "it is only made in part: %s. An undo puts all of them back", text);
}

static void fail_set(struct sdk_call *call, const struct haproxy_work *work, const char *sentence)
{
    const char *kind = strstr(sentence, "No such") || strstr(sentence, "not found") ? "not-found"
                       : strstr(sentence, "denied")                                 ? "forbidden"
                                                                                    : "remote";
    const char *text = sdk_text(call, "HAProxy refused it: %s%s", trimmed(call, sentence),
                                strcmp(kind, "forbidden") == 0 ? " (the stats socket needs \"level admin\")" : "");
    if (is_partly(call, work))
        tell_parts(call, work, text);
    else
        sdk_fail(call, kind, "%s%s", text, haproxy_where(call, work, &work->views[work->at]));
}

static void on_set(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    struct haproxy_work *work = sdk_kept(call);
    const char *lost = "HAProxy closed without an answer: it may or may not have happened";
    if (ended != STANCH_HTTP_ANSWERED && is_partly(call, work))
        tell_parts(call, work, why);
    else if (!sdk_exchange_ok(call, ended, why))
        return;
    else if (len == 0 && is_partly(call, work))
        tell_parts(call, work, lost);
    else if (len == 0)
        sdk_unknown(call, "unreachable", "%s%s", lost, haproxy_where(call, work, &work->views[work->at]));
    else if (strspn(answer, " \r\n") != len)
        fail_set(call, work, answer);
    else {
        work->written++;
        work->at++;
        set_next(call);
    }
}

static void set_next(struct sdk_call *call)
{
    struct haproxy_work *work = sdk_kept(call);
    while (work->at < work->count && haproxy_has_field(call, work->views[work->at].now, work->wanted))
        work->at++; /* it is so already: what a half-made change left */
    if (work->at < work->count) {
        const struct haproxy_view *view = &work->views[work->at];
        const char *command = haproxy_command(call, work, view->now, work->wanted);
        sdk_exchange(call, view->address, sdk_text(call, "%s\n", command), 0, on_set);
        return;
    }
    json_t *was = work->views[0].now;
    for (size_t i = work->count; i-- > 0;)
        was = haproxy_has_field(call, work->views[i].now, work->wanted) ? was : work->views[i].now;
    json_t *done = json_pack("{s:O, s:s}", "was", was, "note", "holds until HAProxy is reloaded or restarted");
    if (work->count > 1)
        json_object_set_new(done, "processes", json_integer((json_int_t)work->written));
    sdk_done(call, done);
}

static void set_value(struct sdk_call *call, struct haproxy_work *work, const json_t *value, const char *verb)
{
    for (size_t i = 0; i < work->count && !work->map_name; i++)
        if (!haproxy_has_field(call, work->views[i].now, value) &&
            haproxy_would_starve(call, work, &work->views[i], value, verb))
            return;
    work->wanted = value;
    work->at = 0;
    set_next(call);
}

/* ---- apply ---- */

static void on_read_for_apply(struct sdk_call *call, struct haproxy_work *work)
{
    const json_t *from = sdk_plan_member(call, "from"), *to = sdk_plan_member(call, "to");
    size_t fresh = 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        bool is_from = haproxy_is_equal(call, view->now, from), is_to = haproxy_is_equal(call, view->now, to);
        fresh += is_from;
        if (is_from || (is_to && work->count > 1))
            continue; /* of many, some can be so already, by an apply that stopped half-way */
        sdk_fail(call, "stale", "%s%s is now %s; the plan was made for %s", subject(work),
                 haproxy_where(call, work, view), value_text(call, view->now), value_text(call, from));
        return;
    }
    if (json_equal(from, to))
        sdk_done(call, json_pack("{s:b, s:O}", "no_change", 1, "was", from));
    else if (fresh == 0)
        sdk_fail(call, "stale", "%s is %s already, everywhere; the plan was made for %s", subject(work),
                 value_text(call, to), value_text(call, from));
    else
        set_value(call, work, to, "now, changing");
}

void haproxy_apply(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_apply);
}

/* ---- verify ---- */

/* Why it does not hold, and what to do about it; NULL: it holds. */
static const char *why_not(struct sdk_call *call, const struct haproxy_work *work, size_t at)
{
    const struct haproxy_view *view = &work->views[at];
    const char *where = haproxy_where(call, work, view), *by_hand;
    if (haproxy_has_field(call, view->now, sdk_plan_member(call, "to")))
        return NULL;
    if (!is_reloaded(call, view))
        return sdk_text(call, "%s%s is now %s: somebody changed it since", subject(work), where,
                        value_text(call, view->now));
    by_hand = haproxy_by_hand(call, work, NULL, sdk_plan_member(call, "to"));
    return sdk_text(call,
                    "HAProxy%s was reloaded or restarted since: the change is gone there. The action reapply (action = "
                    "\"%s\", and the same arguments) makes it anew; by hand: %s",
                    where, haproxy_action(call), by_hand);
}

static json_t *seen_json(const struct haproxy_view *view)
{
    json_t *seen = view->server ? haproxy_server_json(&view->backend, view->server) : json_deep_copy(view->now);
    return seen;
}

static void on_read_for_verify(struct sdk_call *call, struct haproxy_work *work)
{
    const char *why = NULL;
    json_t *seen = NULL;
    bool was_reloaded = false;
    for (size_t i = 0; i < work->count; i++) {
        const char *wrong = why_not(call, work, i);
        if (!seen || (wrong && !why)) {
            json_decref(seen);
            seen = seen_json(&work->views[i]);
        }
        was_reloaded = was_reloaded || (wrong && is_reloaded(call, &work->views[i]));
        why = why ? why : wrong;
    }
    if (why) {
        json_object_set_new(seen, "why", json_string(why));
        json_object_set_new(seen, "reloaded", json_boolean(was_reloaded));
    }
    if (work->count > 1)
        json_object_set_new(seen, "processes", json_integer((json_int_t)work->count));
    sdk_holds(call, !why, seen);
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
    if (haproxy_count(call, work, from) == work->count) {
        sdk_done(call, json_pack("{s:b, s:O}", "already", 1, "was", work->views[0].now));
        return;
    }
    for (size_t i = 0; i < work->count; i++) {
        const struct haproxy_view *view = &work->views[i];
        if (haproxy_has_field(call, view->now, from) || haproxy_has_field(call, view->now, to))
            continue;
        sdk_fail(call, "stale",
                 "%s%s is now %s, and not as this left it (%s): %s. "
                 "Nothing was written; by hand: %s",
                 subject(work), haproxy_where(call, work, view), value_text(call, view->now), value_text(call, to),
                 is_reloaded(call, view) ? "HAProxy was reloaded since, and is as its configuration says"
                                         : "somebody changed it since",
                 haproxy_by_hand(call, work, NULL, from));
        return;
    }
    set_value(call, work, from, "undoing this change of");
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
    if (haproxy_count(call, work, wanted) == work->count)
        sdk_reconciled(call, "done");
    else
        sdk_reconciled(call, haproxy_count(call, work, before) == work->count ? "not-done" : "cannot-tell");
}

void haproxy_reconcile(struct sdk_call *call)
{
    if (check_plan(call))
        haproxy_read(call, on_read_for_reconcile);
}
