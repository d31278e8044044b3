/* launchdarkly.c: turn a feature flag off or on in one environment of LaunchDarkly. README.md has the permissions. */
#include "launchdarkly.h"
#include <string.h>

#define NAME "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9][A-Za-z0-9_.-]*$\",\"maxLength\":256"
#define PARAMS                                                                                                         \
    "\"params\":{"                                                                                                     \
    "\"flag\":{" NAME ",\"summary\":\"the flag's key\"},"                                                              \
    "\"project\":{" NAME                                                                                               \
    ",\"summary\":\"its project's key; the only one of the setting projects when it is left out\"},"                   \
    "\"environment\":{" NAME                                                                                           \
    ",\"summary\":\"the environment's key; the only one of the setting environments when it is left out\"}},"          \
    "\"required\":[\"flag\"]"
#define CHANGES                                                                                                        \
    "\"class\":\"convergent\",\"deadline_ms\":30000,"                                                                  \
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"]," PARAMS

static const char declaration[] =
    "{\"name\":\"launchdarkly\",\"version\":\"0.1.0\",\"summary\":\"LaunchDarkly: turn feature flags off and on\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"https://app.launchdarkly.com, https://app.eu.launchdarkly.com or https://app.launchdarkly.us\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"required\":true,"
    "\"summary\":\"an access token that may read the flags, and updateOn in the environments\"},"
    "\"projects\":{\"type\":\"array\",\"items\":{" NAME "},\"minItems\":1,\"required\":true,"
    "\"summary\":\"keys of the only projects that may be read or touched\"},"
    "\"environments\":{\"type\":\"array\",\"items\":{" NAME "},\"minItems\":1,\"required\":true,"
    "\"summary\":\"keys of the only environments\"},"
    "\"flags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.*-]+$\"},\"minItems\":1,"
    "\"summary\":\"keys of the only flags, * stands for any run of characters; all when it is not set\"}},"
    "\"check\":{\"summary\":\"the token, the projects, their environments\",\"deadline_ms\":15000},"
    "\"actions\":{"
    "\"state\":{\"summary\":\"whether a flag is on, what it serves when it is off, the share that this is new "
    "for\",\"effect\":\"read\","
    "\"class\":\"read-only\",\"deadline_ms\":15000," PARAMS "},"
    "\"kill\":{\"summary\":\"turn a flag off: everybody gets its off variation\",\"effect\":\"mitigate\","
    "\"risk\":\"medium\"," CHANGES "},"
    "\"enable\":{\"summary\":\"turn a flag on: its rules say who gets what\",\"effect\":\"mitigate\","
    "\"risk\":\"high\",\"undo_risk\":\"medium\"," CHANGES "}}}";

/* ---- check: each project's environments; sdk_kept counts the projects ---- */

static const json_t *list_of(struct sdk_call *call, const char *setting)
{
    return json_object_get(sdk_settings(sdk_instance(call)), setting);
}

static bool has_key(const json_t *items, const char *key)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)items, i, one)
    {
        const char *its = json_string_value(json_object_get(one, "key"));
        if (its && strcmp(its, key) == 0)
            return true;
    }
    return false;
}

static void on_environments(struct sdk_call *call, const struct sdk_http_answer *answer);

static void ask_project(struct sdk_call *call)
{
    const size_t *at = sdk_kept(call);
    const char *project = json_string_value(json_array_get(list_of(call, "projects"), *at));
    if (!project) {
        sdk_checked(call);
        return;
    }
    const char *path = sdk_text(call, "/api/v2/projects/%s/environments?limit=1000", sdk_escape(call, project));
    sdk_http_retry(call, &(struct sdk_http_order){.path = path, .secret_headers = ld_credential()}, on_environments);
}

static void on_environments(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    size_t *at = sdk_kept(call), i;
    const char *project = json_string_value(json_array_get(list_of(call, "projects"), *at));
    json_t *one;
    if (sdk_check_http(call, sdk_text(call, "project %s", project), answer)) {
        const json_t *body = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
        if (!body)
            return;
        json_array_foreach((json_t *)(uintptr_t)list_of(call, "environments"), i, one)
        {
            bool is_there = has_key(json_object_get(body, "items"), json_string_value(one));
            sdk_check(call, sdk_text(call, "environment %s/%s", project, json_string_value(one)), is_there, "%s",
                      is_there ? "there" : "there is none with this key, or the token may not see it");
        }
    }
    *at += 1;
    ask_project(call);
}

static void check(struct sdk_call *call)
{
    sdk_keep(call, sdk_memory(call, sizeof(size_t)));
    ask_project(call);
}

#define CHANGE_HANDLERS(action)                                                                                        \
    {action, STANCH_OP_PLAN, ld_plan}, {action, STANCH_OP_APPLY, ld_apply}, {action, STANCH_OP_VERIFY, ld_verify},     \
        {action, STANCH_OP_UNDO, ld_undo},                                                                             \
    {                                                                                                                  \
        action, STANCH_OP_RECONCILE, ld_reconcile                                                                      \
    }

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"state", STANCH_OP_READ, ld_state},
    CHANGE_HANDLERS("kill"),
    CHANGE_HANDLERS("enable"),
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers};
STANCH_PLUGIN(plugin)
