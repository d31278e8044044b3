/* valve.c: a plugin for an invented water works, written from sdk/README.md: what the lamp there does not show. Pages of a list, a
 * notice, reconcile, an allow-list, a signed source of changes, the check.
 *
 *   GET /valves[?after=TOKEN] -> {"items":[{"id"}],"next":TOKEN}   GET, PUT /valves/ID {"percent"}   POST /horn {"text"}
 */
#include <stanch/sdk.h>
#include <string.h>

static const char DECLARATION[] =
    "{\"name\":\"valve\",\"version\":\"1\",\"summary\":\"Valves of a water works\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,\"summary\":\"the works\"},"
    "\"key\":{\"type\":\"string\",\"secret\":true,\"required\":true,\"summary\":\"sent as X-Key\"},"
    "\"secret\":{\"type\":\"string\",\"secret\":true,\"summary\":\"signs webhooks\"},"
    "\"valves\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"summary\":\"the only valves\"}},"
    "\"check\":{\"summary\":\"the key\"},"
    "\"actions\":{"
    "\"list\":{\"summary\":\"all valves\",\"effect\":\"read\",\"class\":\"read-only\",\"params\":{}},"
    "\"turn\":{\"summary\":\"turn a valve\",\"effect\":\"mitigate\",\"class\":\"reconcilable\",\"settle_ms\":500,"
    "\"risk\":\"medium\",\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"],"
    "\"params\":{\"valve\":{\"type\":\"string\"},\"percent\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":100}},"
    "\"required\":[\"valve\",\"percent\"]},"
    "\"horn\":{\"summary\":\"sound the horn\",\"effect\":\"notify\",\"class\":\"unprotected\","
    "\"params\":{\"text\":{\"type\":\"string\"}},\"required\":[\"text\"]}},"
    "\"sources\":{\"webhook\":{\"summary\":\"valves that somebody turned\"}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    (void)ret_state;
    if (json_array_size(json_object_get(sdk_settings(instance), "valves")) > 9)
        return sdk_why(instance, "settings.valves: nine at most");
    return NULL;
}

static struct sdk_http_order order(struct sdk_call *call, const char *method, const char *path)
{
    (void)call;
    return (struct sdk_http_order){
        .method = method, .path = path, .secret_headers = json_pack("{s:{s:s}}", "X-Key", "secret", "key")};
}

static void on_list(struct sdk_call *call, json_t *items)
{
    sdk_done(call, json_incref(items));
}

static void list(struct sdk_call *call)
{
    sdk_http_pages(
        call,
        &(struct sdk_pages){
            .order = order(call, "GET", "/valves"), .items = "/items", .token = "/next", .token_param = "after"},
        on_list);
}

static void ask(struct sdk_call *call, void (*then)(struct sdk_call *, const struct sdk_http_answer *))
{
    const char *valve = sdk_arg_listed(call, "valve", "valves", NULL);
    if (!valve)
        return;
    struct sdk_http_order one = order(call, "GET", sdk_text(call, "/valves/%s", sdk_escape(call, valve)));
    one.is_read = true;
    sdk_http_retry(call, &one, then);
}

static int64_t percent_of(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const json_t *v = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!v)
        return -1;
    const json_t *p = json_object_get(v, "percent");
    if (!json_is_integer(p)) {
        sdk_fail(call, "protocol", "percent is missing");
        return -1;
    }
    return json_integer_value(p);
}

static int64_t planned(struct sdk_call *call, const char *member)
{
    return json_integer_value(json_object_get(sdk_plan_member(call, member), "percent"));
}

static void on_plan(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int64_t now = percent_of(call, answer), want = sdk_arg_int(call, "percent", 0);
    const char *valve = sdk_arg_str(call, "valve", "");
    if (now < 0)
        return;
    sdk_plan(call,
             &(struct sdk_plan){
                 .targets = json_pack("[o]", json_sprintf("valve:%s", valve)),
                 .from = json_pack("{s:I}", "percent", now),
                 .to = json_pack("{s:I}", "percent", want),
                 .undo = json_pack("{s:I}", "percent", now),
                 .by_hand = sdk_text(call, "valvectl turn %s %lld", sdk_shell_word(call, valve), (long long)want),
                 .undo_by_hand = sdk_text(call, "valvectl turn %s %lld", sdk_shell_word(call, valve), (long long)now),
                 .impact = sdk_text(call, "%s: %lld%% -> %lld%%", valve, (long long)now, (long long)want),
                 .reach = -1,
                 .no_change = now == want});
}

static void plan(struct sdk_call *call)
{
    ask(call, on_plan);
}

static void on_turned(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "applied", 1));
}

static void on_condition_read(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    bool is_undo = sdk_op(call) == STANCH_OP_UNDO;
    int64_t now = percent_of(call, answer);
    if (now < 0)
        return;
    int64_t expected = planned(call, is_undo ? "to" : "from");
    int64_t want = planned(call, is_undo ? "undo" : "to");
    if (now != expected && now != want) {
        sdk_fail(call, "stale", "it is at %lld%%", (long long)now);
        return;
    }
    struct sdk_http_order put =
        order(call, "PUT", sdk_text(call, "/valves/%s", sdk_escape(call, sdk_arg_str(call, "valve", ""))));
    put.json = json_pack("{s:I,s:s}", "percent", want, "request", sdk_key(call));
    sdk_http(call, &put, on_turned);
}

static void change(struct sdk_call *call)
{
    ask(call, on_condition_read);
}

static void on_verify(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int64_t now = percent_of(call, answer);
    if (now >= 0)
        sdk_holds(call, now == planned(call, "to"), json_pack("{s:I}", "percent", now));
}

static void verify(struct sdk_call *call)
{
    ask(call, on_verify);
}

static void on_reconcile(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    bool is_undo = strcmp(sdk_reconciles(call), "undo") == 0;
    int64_t now = percent_of(call, answer);
    if (now >= 0 && now == planned(call, is_undo ? "undo" : "to"))
        sdk_reconciled(call, "done");
    else if (now >= 0) /* somebody else's value says nothing about ours */
        sdk_reconciled(call, now == planned(call, is_undo ? "to" : "from") ? "not-done" : "cannot-tell");
}

static void reconcile(struct sdk_call *call)
{
    ask(call, on_reconcile);
}

static void horn(struct sdk_call *call)
{
    struct sdk_http_order o = order(call, "POST", "/horn");
    o.json = json_pack("{s:s}", "text", sdk_arg_str(call, "text", ""));
    sdk_http(call, &o, on_turned);
}

static void on_check(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    sdk_check_http(call, "read valves", answer);
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    struct sdk_http_order o = order(call, "GET", "/valves");
    sdk_http(call, &o, on_check);
}

static void receive(struct sdk_call *call)
{
    const char *why = sdk_is_test(call) ? NULL
                                        : sdk_signature_why(call, &(struct sdk_signature){.secret = "secret",
                                                                                          .header = "x-valve-signature",
                                                                                          .prefix = "",
                                                                                          .before = ""});
    if (why) {
        sdk_fail(call, "unauthorized", "%s", why);
        return;
    }
    const json_t *body = sdk_body_json(call);
    if (!body)
        return;
    const char *id = json_string_value(json_object_get(body, "id"));
    if (!id) {
        sdk_fail(call, "invalid", "id: missing");
        return;
    }
    json_t *events = json_array();
    sdk_event(events,
              &(struct sdk_event){.fingerprint = id,
                                  .name = "ValveTurned",
                                  .starts_at_ms = sdk_now_ms(call),
                                  .change = &(struct sdk_change){.kind = "config", .service = id, .text = "turned"}});
    sdk_received(call, events, 0);
}

static const struct sdk_handler handlers[] = {
    {"list", STANCH_OP_READ, list},          {"turn", STANCH_OP_PLAN, plan},
    {"turn", STANCH_OP_APPLY, change},       {"turn", STANCH_OP_VERIFY, verify},
    {"turn", STANCH_OP_UNDO, change},        {"turn", STANCH_OP_RECONCILE, reconcile},
    {"horn", STANCH_OP_READ, horn},          {"check", STANCH_OP_CHECK, check},
    {"webhook", STANCH_OP_RECEIVE, receive}, {0},
};
static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
