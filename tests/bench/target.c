/* target.c: the plugin whose action is one POST to the bench's own server; its plan needs no I/O. */
#include <stanch/sdk.h>

static const char DECLARATION[] =
    "{\"name\": \"target\", \"version\": \"1\", \"summary\": \"Hits the server of tests/bench\","
    " \"settings\": {\"url\": {\"type\": \"string\", \"format\": \"url\", \"required\": true}},"
    " \"actions\": {"
    "  \"hit\": {\"summary\": \"POST /hit/NAME\", \"effect\": \"mitigate\", \"class\": \"idempotent\","
    "    \"risk\": \"low\", \"ops\": [\"plan\", \"apply\", \"undo\"],"
    "    \"params\": {\"name\": {\"type\": \"string\", \"pattern\": \"^[a-z0-9]+$\"}},"
    "    \"required\": [\"name\"], \"deadline_ms\": 10000},"
    "  \"nothing\": {\"summary\": \"Answers at once\", \"effect\": \"read\", \"class\": \"read-only\"}}}";

static void plan(struct sdk_call *call)
{
    const char *name = sdk_arg_str(call, "name", "");
    sdk_plan(call,
             &(struct sdk_plan){
                 .targets = json_pack("[s]", sdk_text(call, "target:%s", name)),
                 .from = json_pack("{s:b}", "hit", 0),
                 .to = json_pack("{s:b}", "hit", 1),
                 .undo = json_pack("{s:b}", "hit", 0),
                 .by_hand = sdk_text(call, "curl -X POST %s/hit/%s", sdk_setting(sdk_instance(call), "url", ""), name),
                 .undo_by_hand = "true",
                 .impact = sdk_text(call, "%s is hit", name),
                 .reach = -1,
             });
}

static void on_hit(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "hit", 1));
}

static void apply(struct sdk_call *call)
{
    sdk_http(call,
             &(struct sdk_http_order){.method = "POST",
                                      .path = sdk_text(call, "/hit/%s", sdk_arg_str(call, "name", "")),
                                      .headers = json_pack("{s:s}", "Idempotency-Key", sdk_key(call)),
                                      .json = json_pack("{s:b}", "hit", 1)},
             on_hit);
}

static void nothing(struct sdk_call *call)
{
    sdk_done(call, json_object());
}

static const struct sdk_handler handlers[] = {{"hit", STANCH_OP_PLAN, plan},
                                              {"hit", STANCH_OP_APPLY, apply},
                                              {"hit", STANCH_OP_UNDO, nothing},
                                              {"nothing", STANCH_OP_READ, nothing},
                                              {0}};
static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers};
STANCH_PLUGIN(plugin)
