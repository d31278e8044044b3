/* lamp.c: the plugin that sdk/README.md builds, to start one's own from. */
#include <stanch/sdk.h>
#include <string.h>

static const char DECLARATION[] =
    "{\"name\": \"lamp\", \"version\": \"1\", \"summary\": \"Switches lamps\","
    " \"settings\": {"
    "   \"url\":   {\"type\": \"string\", \"format\": \"url\", \"required\": true, \"summary\": \"the lamp service\"},"
    "   \"token\": {\"type\": \"string\", \"secret\": true, \"summary\": \"its bearer token\"}},"
    " \"actions\": {"
    "   \"switch\": {"
    "     \"summary\": \"Switch a lamp on or off\", \"effect\": \"mitigate\", \"class\": \"convergent\", \"risk\": "
    "\"low\","
    "     \"ops\": [\"plan\", \"apply\", \"verify\", \"undo\"],"
    "     \"params\": {\"lamp\": {\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"summary\": \"the lamp's name\"},"
    "                  \"on\":   {\"type\": \"boolean\"}},"
    "     \"required\": [\"lamp\", \"on\"], \"deadline_ms\": 5000},"
    "   \"look\": {"
    "     \"summary\": \"Whether a lamp is on\", \"effect\": \"read\", \"class\": \"read-only\","
    "     \"params\": {\"lamp\": {\"type\": \"string\", \"pattern\": \"^[a-z]+$\"}}, \"required\": [\"lamp\"]}},"
    " \"sources\": {\"webhook\": {\"summary\": \"A lamp that broke\"}}}";

static void ask_lamp(struct sdk_call *call, const char *method, json_t *body,
                     void (*then)(struct sdk_call *, const struct sdk_http_answer *))
{
    const char *lamp = sdk_arg_str(call, "lamp", "");
    sdk_http(call,
             &(struct sdk_http_order){.method = method,
                                      .path = sdk_text(call, "/lamps/%s", sdk_escape(call, lamp)),
                                      .bearer = "token",
                                      .json = body},
             then);
}

/* What the service says about a lamp: 1 on, 0 off; -1: the call was answered already. */
static int is_on(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const json_t *state = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    return state ? json_is_true(json_object_get(state, "on")) : -1;
}

static void on_looked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int on = is_on(call, answer);
    if (on >= 0)
        sdk_done(call, json_pack("{s:b}", "on", on));
}

static void look(struct sdk_call *call)
{
    ask_lamp(call, "GET", NULL, on_looked);
}

static void on_plan_read(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int on = is_on(call, answer), want = sdk_arg_bool(call, "on", false);
    const char *lamp = sdk_arg_str(call, "lamp", ""), *name = sdk_instance_name(sdk_instance(call));
    const char *url = sdk_setting(sdk_instance(call), "url", "");
    static const char command[] = "curl -X PUT -d '{\"on\":%s}' %s/lamps/%s";
    if (on < 0)
        return;
    sdk_plan(call, &(struct sdk_plan){
                       .targets = json_pack("[o]", json_sprintf("lamp:%s/%s", name, lamp)),
                       .from = json_pack("{s:b}", "on", on),
                       .to = json_pack("{s:b}", "on", want),
                       .undo = json_pack("{s:b}", "on", on),
                       .by_hand = sdk_text(call, command, want ? "true" : "false", url, lamp),
                       .undo_by_hand = sdk_text(call, command, on ? "true" : "false", url, lamp),
                       .impact = sdk_text(call, "%s: %s -> %s", lamp, on ? "on" : "off", want ? "on" : "off"),
                       .reach = -1,
                       .no_change = on == want,
                   });
}

static void plan(struct sdk_call *call)
{
    ask_lamp(call, "GET", NULL, on_plan_read);
}

static void on_written(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "applied", 1));
}

static void on_condition_read(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int is_undo = sdk_op(call) == STANCH_OP_UNDO, on = is_on(call, answer);
    const json_t *expected = json_object_get(sdk_plan_member(call, is_undo ? "to" : "from"), "on");
    json_t *wanted = json_object_get(sdk_plan_member(call, is_undo ? "undo" : "to"), "on");
    if (on < 0)
        return;
    if (on != json_is_true(expected) && on != json_is_true(wanted))
        sdk_fail(call, "stale", "the lamp is %s now: somebody else switched it", on ? "on" : "off");
    else
        ask_lamp(call, "PUT", json_pack("{s:O}", "on", wanted), on_written);
}

static void change(struct sdk_call *call)
{
    ask_lamp(call, "GET", NULL, on_condition_read);
}

static void on_verified(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    int on = is_on(call, answer);
    if (on >= 0)
        sdk_holds(call, on == json_is_true(json_object_get(sdk_plan_member(call, "to"), "on")),
                  json_pack("{s:b}", "on", on));
}

static void verify(struct sdk_call *call)
{
    ask_lamp(call, "GET", NULL, on_verified);
}

static void receive(struct sdk_call *call)
{
    if (!sdk_is_test(call) && !sdk_bearer_ok(call, "token")) { /* a test: `stanch source test`, by a person */
        sdk_fail(call, "unauthorized", "the bearer token is missing or wrong");
        return;
    }
    const json_t *body = sdk_body_json(call);
    if (!body)
        return; /* answered: invalid, with line and column */
    const char *lamp = json_string_value(json_object_get(body, "lamp"));
    json_t *labels = sdk_hold(call, json_pack("{s:s}", "lamp", lamp ? lamp : ""));
    json_t *events = json_array();
    if (!lamp) {
        json_decref(events);
        sdk_fail(call, "invalid", "lamp: missing; the name of the lamp that broke was expected");
        return;
    }
    sdk_event(events,
              &(struct sdk_event){
                  .fingerprint = lamp, .name = "LampBroke", .labels = labels, .starts_at_ms = sdk_now_ms(call)});
    sdk_received(call, events, 0);
}

static const struct sdk_handler handlers[] = {
    {"switch", STANCH_OP_PLAN, plan},
    {"switch", STANCH_OP_APPLY, change},
    {"switch", STANCH_OP_VERIFY, verify},
    {"switch", STANCH_OP_UNDO, change},
    {"look", STANCH_OP_READ, look},
    {"webhook", STANCH_OP_RECEIVE, receive},
    {0},
};

static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers};
STANCH_PLUGIN(plugin)
