/* change.c: plan, apply, verify, undo, reconcile of an action that the configuration lists.
 *
 *   plan   read -> from; to: the value then, and exactly what would be sent
 *   apply  read again --not `from`--> stale                 undo  read --not as apply left it--> stale
 *            '--> apply, If-Match what was read just now          '--> undo, If-Match as well
 *
 * Without a `read` there is nothing to compare: then apply and undo are sent at once.
 */
#include "http.h"
#include <stdlib.h>
#include <string.h>

/* {"method","path","json"}. new */
static json_t *show_request(const struct http_request *request)
{
    json_t *out = json_pack("{s:s, s:s}", "method", request->method, "path", request->path);
    if (request->json)
        json_object_set(out, "json", (json_t *)(uintptr_t)request->json);
    return out;
}

/* What a step would send, as the plan shows it. NULL: the call was answered */
static json_t *what_is_sent(struct sdk_call *call, const char *step, const json_t *from)
{
    struct http_filling with = {.from = from, .is_shown = true};
    struct http_request request;
    return http_fill(call, step, &with, &request) ? sdk_hold(call, show_request(&request)) : NULL;
}

static const char *where_of(struct sdk_call *call, const char *member)
{
    return sdk_text(call, "actions.%s.%s", sdk_action(call), member);
}

static const char *show_value(struct sdk_call *call, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *out = sdk_text(call, strlen(text) > 200 ? "%.200s..." : "%s", text);
    free(text);
    return out;
}

/* ---- plan ---- */

/* What is locked meanwhile: what is said, or the path that is read (else changed). new; NULL: the call was answered */
static json_t *targets_of(struct sdk_call *call)
{
    const json_t *list = json_object_get(http_action(call), "targets");
    const struct http_filling with = {.is_shown = true};
    struct http_request request;
    if (!list) {
        if (!http_fill(call, http_step(call, "read") ? "read" : "apply", &with, &request))
            return NULL;
        return json_pack("[o]", json_sprintf("http:%s%s", sdk_instance_name(sdk_instance(call)), request.path));
    }
    json_t *out = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text =
            http_fill_text(call, json_string_value(json_array_get(list, i)), &with, where_of(call, "targets"));
        if (!text) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, json_string(text));
    }
    return out;
}

static const char *impact_of(struct sdk_call *call, const json_t *from, const json_t *to, const json_t *request)
{
    const char *own = json_string_value(json_object_get(http_action(call), "impact"));
    const char *why = json_string_value(json_object_get(http_action(call), "no_read_because"));
    const struct http_filling with = {.from = from, .is_shown = true};
    if (own)
        own = http_fill_text(call, own, &with, where_of(call, "impact"));
    else if (from)
        own = sdk_text(call, "%s: %s -> %s", sdk_action(call), show_value(call, from), show_value(call, to));
    else
        own = sdk_text(call, "sends %s %s", json_string_value(json_object_get(request, "method")),
                       json_string_value(json_object_get(request, "path")));
    return own && why ? sdk_text(call, "%s (nothing was read before: %s)", own, why) : own;
}

static void make_plan(struct sdk_call *call, json_t *from, const char *etag)
{
    bool has_undo = http_step(call, "undo") != NULL;
    struct http_filling with = {.from = from, .is_shown = true}, before = {.is_shown = true};
    const json_t *declared = json_object_get(http_action(call), "to");
    json_t *to = from && declared ? http_fill_json(call, declared, &before, where_of(call, "to")) : NULL;
    json_t *request = !from || to ? what_is_sent(call, "apply", from) : NULL;
    json_t *back = request && has_undo ? what_is_sent(call, "undo", from) : NULL;
    const char *by_hand = request ? http_by_hand(call, "apply", &with) : NULL;
    const char *undo_by_hand = back ? http_by_hand(call, "undo", &with) : NULL;
    const char *impact = by_hand ? impact_of(call, from, to, request) : NULL;
    json_t *targets = impact && (!has_undo || undo_by_hand) ? targets_of(call) : NULL;
    if (!targets)
        return; /* the call was answered */
    sdk_plan(call, &(struct sdk_plan){
                       .targets = targets,
                       .from = from ? json_pack("{s:O}", "value", from) : json_object(),
                       .to = json_pack("{s:O, s:O*}", "request", request, "value", to),
                       .undo = back ? json_pack("{s:O}", "request", back) : json_object(),
                       .by_hand = by_hand,
                       .undo_by_hand = undo_by_hand,
                       .impact = impact,
                       .reach = -1,
                       .observed = etag ? json_pack("{s:s}", "etag", etag) : NULL,
                       .no_change = from && http_is_same(from, to),
                   });
}

void http_plan(struct sdk_call *call)
{
    if (http_step(call, "read"))
        http_read_value(call, "read", make_plan);
    else
        make_plan(call, NULL, NULL);
}

/* ---- apply and undo ---- */

static const json_t *planned(struct sdk_call *call, const char *member)
{
    return json_object_get(sdk_plan_member(call, member), "value");
}

static bool check_plan(struct sdk_call *call)
{
    bool has_values = planned(call, "from") && planned(call, "to");
    if (has_values == (http_step(call, "read") != NULL) && json_object_get(sdk_plan_member(call, "to"), "request"))
        return true;
    sdk_fail(call, "stale", "the plan is of another kind than the configuration of %s now; make the plan again",
             sdk_action(call));
    return false;
}

static void on_changed(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (http_is_expected(call, sdk_op(call) == STANCH_OP_UNDO ? "undo" : "apply", answer))
        sdk_done(call, json_pack("{s:i}", "status", (int)answer->status));
}

/* What RFC 9110 8.8.3 has in an entity-tag; NULL is none. */
static bool is_etag(const char *etag)
{
    size_t len = etag ? strlen(etag) : 0;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)etag[i] <= ' ' || etag[i] == 0x7f)
            return false;
    return len > 0;
}

/* Send the step, if it still is what the plan said. */
static void change(struct sdk_call *call, const char *step, const char *etag)
{
    const json_t *said = json_object_get(sdk_plan_member(call, strcmp(step, "undo") == 0 ? "undo" : "to"), "request");
    struct http_filling with = {.from = planned(call, "from")};
    json_t *now = what_is_sent(call, step, with.from);
    struct http_request request;
    if (!now)
        return; /* the call was answered */
    if (!http_is_same(now, said))
        sdk_fail(call, "stale", "the configuration of %s is another than when it was planned; nothing was sent",
                 sdk_action(call));
    else if (json_is_true(json_object_get(http_action(call), "if_match")) && !is_etag(etag))
        sdk_fail(call, "protocol", "if_match: read of %s was answered without an ETag; nothing was sent",
                 sdk_action(call));
    else if (http_fill(call, step, &with, &request))
        http_send(call, step, &request, json_is_true(json_object_get(http_action(call), "if_match")) ? etag : NULL,
                  on_changed);
}

static void on_read_for_apply(struct sdk_call *call, json_t *value, const char *etag)
{
    bool is_done = http_is_same(value, planned(call, "to"));
    if (is_done)
        sdk_done(call, json_pack("{s:b}", "no_change", 1));
    else if (!http_is_same(value, planned(call, "from")))
        sdk_fail(call, "stale", "it is %s now, and was %s when it was planned", show_value(call, value),
                 show_value(call, planned(call, "from")));
    else
        change(call, "apply", etag);
}

void http_apply(struct sdk_call *call)
{
    if (!check_plan(call))
        return;
    if (http_step(call, "read"))
        http_read_value(call, "read", on_read_for_apply);
    else
        change(call, "apply", NULL);
}

static void on_read_for_undo(struct sdk_call *call, json_t *value, const char *etag)
{
    const char *by_hand = json_string_value(sdk_plan_member(call, "undo_by_hand"));
    if (http_is_same(value, planned(call, "from")))
        sdk_done(call, json_pack("{s:b}", "already", 1));
    else if (http_is_same(value, planned(call, "to")))
        change(call, "undo", etag);
    else
        sdk_fail(call, "stale", "it is %s now: somebody changed it since. Nothing was sent; by hand: %s",
                 show_value(call, value), by_hand ? by_hand : "-");
}

void http_undo(struct sdk_call *call)
{
    if (!check_plan(call))
        return;
    if (http_step(call, "read"))
        http_read_value(call, "read", on_read_for_undo);
    else
        change(call, "undo", NULL);
}

/* ---- verify ---- */

static void on_read_back(struct sdk_call *call, json_t *value, const char *etag)
{
    (void)etag;
    const json_t *verify = http_step(call, "verify"), *equals = json_object_get(verify, "equals");
    const json_t *within = json_object_get(verify, "within_ms"), *every = json_object_get(verify, "every_ms");
    struct http_filling with = {.from = planned(call, "from")};
    const json_t *want =
        equals ? http_fill_json(call, equals, &with, where_of(call, "verify.equals")) : planned(call, "to");
    if (!want)
        return; /* the call was answered */
    within = within ? within : json_object_get(http_action(call), "settle_ms");
    json_t *seen = json_pack("{s:O}", "value", value);
    if (http_is_same(value, want) || json_integer_value(within) == 0)
        sdk_holds(call, http_is_same(value, want), seen);
    else
        sdk_not_yet(call, http_verify, every ? (uint32_t)json_integer_value(every) : 500,
                    (uint32_t)json_integer_value(within), seen);
}

void http_verify(struct sdk_call *call)
{
    if (check_plan(call))
        http_read_value(call, "verify", on_read_back);
}

/* ---- reconcile ---- */

static void on_read_for_reconcile(struct sdk_call *call, json_t *value, const char *etag)
{
    (void)etag;
    bool is_undo = strcmp(sdk_reconciles(call), "undo") == 0;
    const json_t *before = planned(call, is_undo ? "to" : "from"), *wanted = planned(call, is_undo ? "from" : "to");
    sdk_reconciled(call, http_is_same(value, wanted)   ? "done"
                         : http_is_same(value, before) ? "not-done"
                                                       : "cannot-tell");
}

void http_reconcile(struct sdk_call *call)
{
    if (check_plan(call))
        http_read_value(call, "read", on_read_for_reconcile);
}
