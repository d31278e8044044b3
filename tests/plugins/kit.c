/* kit.c: a plugin for tests that lets them use each helper of the SDK that the probe does not, and what came with ABI
 * 0.3: credentials of every kind, commands, an own directory, actions by the settings, the check. */
#include <errno.h>
#include <fcntl.h>
#include <stanch/sdk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANY "{\"type\": \"object\", \"additionalProperties\": true}"
#define READ(name, params)                                                                                             \
    "\"" name "\": {\"summary\": \"" name "\", \"effect\": \"read\", \"class\": \"read-only\", \"params\": {" params   \
    "}}"
#define TEXT(name) "\"" name "\": {\"type\": \"string\"}"

static const char
    DECLARATION[] =
        "{\"name\": \"kit\", \"version\": \"1\", \"needs\": [\"state\"], \"check\": {\"summary\": \"looks around\"},"
        " \"settings\": {"
        "  \"url\": {\"type\": \"string\", \"format\": \"url\"},"
        "  \"ca\": {\"type\": \"string\", \"format\": \"ca-file\"},"
        "  \"file\": {\"type\": \"string\", \"format\": \"file\"},"
        "  \"cert\": {\"type\": \"string\", \"format\": \"client-cert\"},"
        "  \"cert_key\": {\"type\": \"string\", \"secret\": true, \"format\": \"client-key\"},"
        "  \"rotated\": {\"type\": \"string\", \"format\": \"secret-file\"},"
        "  \"commands\": {\"type\": \"object\", \"additionalProperties\": {\"type\": \"string\", \"format\": "
        "\"command\"}},"
        "  \"extra\": {\"type\": \"object\", \"additionalProperties\": {\"type\": \"object\", \"properties\": {"
        "     \"summary\": {\"type\": \"string\"}}, \"required\": [\"summary\"]}},"
        "  \"token\": {\"type\": \"string\", \"secret\": true}, \"key_id\": {\"type\": \"string\", \"secret\": true},"
        "  \"session\": {\"type\": \"string\", \"secret\": true}},"
        " \"actions\": {" READ("url", TEXT("path") ", \"query\": " ANY) "," READ(
            "pointer", "\"value\": " ANY ", " TEXT("pointer")) "," READ("base64",
                                                                        TEXT("text")) "," READ("encode",
                                                                                               TEXT("text")) "," READ("parse_time", TEXT("text")) "," READ("time_text", "\"ms\": {\"type\": \"integer\"}") "," READ("ask", "\"order\": " ANY) "," READ("pages",
                                                                                                                                                                                                                                                       TEXT("path") ", " TEXT("token") ", " TEXT("items") ", \"max\": {\"type\": \"integer\"}") "," READ("keep",
                                                                                                                                                                                                                                                                                                                                                         TEXT(
                                                                                                                                                                                                                                                                                                                                                             "name") ", " TEXT("value")) "," READ("run",
                                                                                                                                                                                                                                                                                                                                                                                                  "\"order\": " ANY) "," READ("state", "") "," READ("read_file", TEXT("path")) ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "  \"change\": {\"summary\": \"HTTP as a change\", \"effect\": \"mitigate\", \"class\": \"unprotected\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "    \"risk\": \"high\", \"ops\": [\"plan\", \"apply\", \"verify\"], \"no_undo_because\": \"it is a test\","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "    \"params\": {\"order\": " ANY
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               ", \"every\": {\"type\": \"integer\"}, \"within\": {\"type\": \"integer\"}}}},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               " \"sources\": {\"hub\": {\"summary\": \"sha256=HEX\"}, \"slack\": {\"summary\": \"v0=HEX, time in a header\"},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                               "  \"svix\": {\"summary\": \"v1,BASE64\"}, \"rootly\": {\"summary\": \"t=,v1=\"}}}";

/* ---- values ---- */

static void url(struct sdk_call *call)
{
    sdk_done(call, json_string(sdk_url(call, sdk_arg_str(call, "path", ""), json_object_get(sdk_args(call), "query"))));
}

static void pointer(struct sdk_call *call)
{
    const json_t *found = sdk_json_at(json_object_get(sdk_args(call), "value"), sdk_arg_str(call, "pointer", ""));
    sdk_done(call,
             json_pack("{s:b, s:o}", "found", found != NULL, "value", found ? json_deep_copy(found) : json_null()));
}

static void base64(struct sdk_call *call)
{
    size_t len = 0;
    const char *bytes = sdk_base64_decode(call, sdk_arg_str(call, "text", ""), &len);
    sdk_done(call, bytes ? json_pack("{s:s#}", "text", bytes, len) : json_object());
}

static void encode(struct sdk_call *call)
{
    const char *text = sdk_arg_str(call, "text", "");
    sdk_done(call, json_string(sdk_base64(call, text, strlen(text))));
}

static void parse_time(struct sdk_call *call)
{
    int64_t ms = -1;
    bool ok = sdk_time_parse(sdk_arg_str(call, "text", NULL), &ms);
    sdk_done(call, ok ? json_integer(ms) : json_null());
}

static void time_text(struct sdk_call *call)
{
    sdk_done(call, json_string(sdk_time_text(call, sdk_arg_int(call, "ms", 0))));
}

/* ---- HTTP ---- */

static void on_asked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    static const char *const ends[] = {"answered", "not-sent", "lost"};
    json_t *body = json_stringn(answer->body, answer->body_len);
    sdk_done(call, json_pack("{s:s, s:i, s:o, s:s}", "ended", ends[answer->ended], "status", (int)answer->status,
                             "body", body ? body : json_null(), "why", answer->why));
}

/* order: {"method","path","query","body","headers","secret_headers","sigv4":{...},"retry":bool,"deadline"} */
static void ask(struct sdk_call *call)
{
    const json_t *o = json_object_get(sdk_args(call), "order"), *sign = json_object_get(o, "sigv4");
    struct sdk_sigv4 sigv4 = {
        .region = json_string_value(json_object_get(sign, "region")),
        .service = json_string_value(json_object_get(sign, "service")),
        .key_id = "key_id",
        .key = "token",
        .token = sdk_has_secret(sdk_instance(call), "session") ? "session" : NULL,
    };
    struct sdk_http_order order = {
        .method = json_string_value(json_object_get(o, "method")),
        .path = sdk_url(call, json_string_value(json_object_get(o, "path")), json_object_get(o, "query")),
        .headers = json_deep_copy(json_object_get(o, "headers")),
        .secret_headers = json_deep_copy(json_object_get(o, "secret_headers")),
        .bearer = json_string_value(json_object_get(o, "bearer")),
        .body = json_string_value(json_object_get(o, "body")),
        .deadline_ms = (uint32_t)json_integer_value(json_object_get(o, "deadline")),
        .sigv4 = sign ? &sigv4 : NULL,
    };
    if (json_is_true(json_object_get(o, "retry")))
        sdk_http_retry(call, &order, on_asked);
    else
        sdk_http(call, &order, on_asked);
}

static void on_pages(struct sdk_call *call, json_t *items)
{
    sdk_done(call, json_incref(items));
}

static void pages(struct sdk_call *call)
{
    sdk_http_pages(call,
                   &(struct sdk_pages){.order = {.path = sdk_arg_str(call, "path", "/"),
                                                 .headers = json_pack("{s:s}", "X-Own", "y"),
                                                 .secret_headers = json_pack("{s:{s:s}}", "X-Key", "secret", "token")},
                                       .items = sdk_arg_str(call, "items", NULL),
                                       .token = sdk_arg_str(call, "token", NULL),
                                       .token_param = "continue",
                                       .max_pages = (uint32_t)sdk_arg_int(call, "max", 0)},
                   on_pages);
}

static void keep(struct sdk_call *call)
{
    bool ok = sdk_keep_secret(sdk_instance(call), sdk_arg_str(call, "name", ""), sdk_arg_str(call, "value", ""));
    sdk_done(call, json_boolean(ok));
}

static void plan(struct sdk_call *call)
{
    sdk_plan(call, &(struct sdk_plan){.targets = json_pack("[s]", "kit:it")});
}

static void on_look(struct sdk_call *call, const struct sdk_http_answer *answer);

static void look(struct sdk_call *call)
{
    sdk_http(call, &(struct sdk_http_order){.path = "/counter"}, on_look);
}

static void on_look(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const json_t *seen = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!seen)
        return;
    json_t *copy = json_deep_copy(seen);
    if (json_is_true(json_object_get(seen, "holds")))
        sdk_holds(call, true, copy);
    else
        sdk_not_yet(call, look, (uint32_t)sdk_arg_int(call, "every", 10), (uint32_t)sdk_arg_int(call, "within", 0),
                    copy);
}

/* ---- commands, files ---- */

static void on_ran(struct sdk_call *call, const struct sdk_run_result *result)
{
    static const char *const ends[] = {"exited", "not-started", "signalled", "killed"};
    json_t *output = json_stringn(result->output, result->output_len);
    json_t *errors = json_stringn(result->errors, result->errors_len);
    sdk_done(call,
             json_pack("{s:s, s:i, s:b, s:o, s:o, s:s, s:I}", "ended", ends[result->ended], "code", result->code, "cut",
                       result->is_cut, "output", output ? output : json_null(), "errors", errors ? errors : json_null(),
                       "why", result->why, "left_ms", (json_int_t)sdk_left_ms(call)));
}

static void run(struct sdk_call *call)
{
    const json_t *o = json_object_get(sdk_args(call), "order");
    sdk_run(call,
            &(struct sdk_run_order){
                .command = json_string_value(json_object_get(o, "command")),
                .args = json_deep_copy(json_object_get(o, "args")),
                .environment = json_deep_copy(json_object_get(o, "environment")),
                .secret_environment = json_deep_copy(json_object_get(o, "secret_environment")),
                .input = json_string_value(json_object_get(o, "input")),
                .deadline_ms = (uint32_t)json_integer_value(json_object_get(o, "deadline")),
                .grace_ms = (uint32_t)json_integer_value(json_object_get(o, "grace")),
                .is_cut_ok = json_is_true(json_object_get(o, "cut")),
                .max_output = (uint64_t)json_integer_value(json_object_get(o, "max")),
            },
            on_ran);
}

static const char *outcome(int rc)
{
    return rc < 0 ? strerrorname_np(errno) : "works";
}

/* What libgit2 does in its repository: folders, links, and a file that is renamed from one folder into another. */
static void state(struct sdk_call *call)
{
    const char *dir = sdk_state_dir(sdk_instance(call));
    json_t *tries = json_pack("{s:s}", "dir", dir);
    const char *a = sdk_text(call, "%s/a", dir), *b = sdk_text(call, "%s/b", dir);
    const char *file = sdk_text(call, "%s/file", a), *moved = sdk_text(call, "%s/file", b);
    json_object_set_new(tries, "mkdir", json_string(outcome(mkdir(a, 0700) | mkdir(b, 0700))));
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    json_object_set_new(tries, "create", json_string(outcome(fd)));
    if (fd >= 0)
        close(fd);
    json_object_set_new(tries, "rename", json_string(outcome(rename(file, moved))));
    json_object_set_new(tries, "symlink", json_string(outcome(symlink("b", sdk_text(call, "%s/link", dir)))));
    json_object_set_new(tries, "outside", json_string(outcome(mkdir(sdk_text(call, "%s/../stranger", dir), 0700))));
    (void)unlink(moved);
    (void)unlink(sdk_text(call, "%s/link", dir));
    json_object_set_new(tries, "rmdir", json_string(outcome(rmdir(a) | rmdir(b))));
    sdk_done(call, tries);
}

static void read_file(struct sdk_call *call)
{
    char bytes[200];
    int fd = open(sdk_arg_str(call, "path", ""), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    sdk_done(call, n < 0 ? json_string(strerrorname_np(errno)) : json_stringn(bytes, (size_t)n));
    if (fd >= 0)
        close(fd);
}

/* ---- check, sources, actions by the settings ---- */

static void on_checked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    (void)sdk_check_http(call, "reach it", answer);
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    sdk_check(call, "nothing", true, "always %s", "good");
    sdk_http(call, &(struct sdk_http_order){.path = "/check", .bearer = "token"}, on_checked);
}

static void receive(struct sdk_call *call)
{
    static const struct sdk_signature hub = {.secret = "token", .header = "x-hub-signature-256", .prefix = "sha256="};
    static const struct sdk_signature slack = {.secret = "token",
                                               .header = "x-slack-signature",
                                               .prefix = "v0=",
                                               .time_header = "x-slack-request-timestamp",
                                               .before = "v0:%t:"};
    static const struct sdk_signature svix = {.secret = "token",
                                              .header = "webhook-signature",
                                              .prefix = "v1,",
                                              .time_header = "webhook-timestamp",
                                              .before = "%h{webhook-id}.%t.",
                                              .is_base64 = true};
    static const struct sdk_signature rootly = {
        .secret = "token", .header = "x-rootly-signature", .prefix = "v1=", .time_prefix = "t=", .before = "%t"};
    const char *name = sdk_action(call);
    const struct sdk_signature *how = strcmp(name, "hub") == 0     ? &hub
                                      : strcmp(name, "slack") == 0 ? &slack
                                      : strcmp(name, "svix") == 0  ? &svix
                                                                   : &rootly;
    const char *why = sdk_signature_why(call, how);
    if (why)
        sdk_fail(call, "unauthorized", "%s", why);
    else
        sdk_received(call, json_array(), 0);
}

static void any(struct sdk_call *call)
{
    sdk_done(call, json_pack("{s:s}", "any", sdk_action(call)));
}

static const char *declare(const json_t *settings, json_t **ret_more)
{
    json_t *actions = json_object(), *value;
    const char *name;
    json_object_foreach(json_object_get(settings, "extra"), name, value)
    {
        if (strcmp(name, "wrong") == 0) {
            json_decref(actions);
            return sdk_declare_why("extra.%s: this name is not for you", name);
        }
        json_object_set_new(actions, name,
                            json_pack("{s:O, s:s, s:s}", "summary", json_object_get(value, "summary"), "effect", "read",
                                      "class", "read-only"));
    }
    *ret_more = json_pack("{s:o}", "actions", actions);
    return NULL;
}

static const struct sdk_handler handlers[] = {
    {"url", STANCH_OP_READ, url},
    {"pointer", STANCH_OP_READ, pointer},
    {"base64", STANCH_OP_READ, base64},
    {"encode", STANCH_OP_READ, encode},
    {"parse_time", STANCH_OP_READ, parse_time},
    {"time_text", STANCH_OP_READ, time_text},
    {"ask", STANCH_OP_READ, ask},
    {"pages", STANCH_OP_READ, pages},
    {"keep", STANCH_OP_READ, keep},
    {"run", STANCH_OP_READ, run},
    {"state", STANCH_OP_READ, state},
    {"read_file", STANCH_OP_READ, read_file},
    {"change", STANCH_OP_PLAN, plan},
    {"change", STANCH_OP_APPLY, ask},
    {"change", STANCH_OP_VERIFY, look},
    {"check", STANCH_OP_CHECK, check},
    {"*", STANCH_OP_READ, any},
    {"*", STANCH_OP_RECEIVE, receive},
    {0},
};

static const struct sdk_plugin plugin = {.declaration = DECLARATION, .handlers = handlers, .declare = declare};
STANCH_PLUGIN(plugin)
