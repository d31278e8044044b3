/* argocd.c: mitigations through Argo CD: roll an application back, keep Argo CD from deploying by itself. */
#include "argocd.h"
#include <string.h>

#define NAME_RULE   "\"type\":\"string\",\"pattern\":\"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$\",\"maxLength\":253"
#define APPLICATION "\"application\":{" NAME_RULE ",\"summary\":\"the application's name\"}"
#define OPS         "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"]"

static const char declaration[] =
    "{\"name\":\"argocd\",\"version\":\"0.1.0\",\"summary\":\"Argo CD: roll back, auto-sync off\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,\"summary\":\"https://argocd.example\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"required\":true,\"summary\":\"of an account with apiKey\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\","
    "\"summary\":\"certificates in PEM to trust instead of the system's\"},"
    "\"applications\":{\"type\":\"array\",\"items\":{" NAME_RULE "},\"minItems\":1,"
    "\"summary\":\"the only applications that may be touched or read; all when it is not set\"},"
    "\"projects\":{\"type\":\"array\",\"items\":{" NAME_RULE "},\"minItems\":1,"
    "\"summary\":\"the only projects whose applications may be; all when it is not set\"},"
    "\"app_namespace\":{" NAME_RULE ",\"summary\":\"where the applications are, if not in Argo CD's own namespace\"},"
    "\"migration_annotation\":{\"type\":\"string\",\"minLength\":1,"
    "\"summary\":\"the annotation that tells of migrations; stanch.dev/migrations when it is not set\"}},"
    "\"check\":{\"summary\":\"the token, and whether applications can be read\"},"
    "\"actions\":{"
    "\"state\":{\"summary\":\"health, sync, auto-sync, the operation, the last ten deployments with their "
    "ids\",\"effect\":\"read\","
    "\"class\":\"read-only\",\"params\":{" APPLICATION "},\"required\":[\"application\"]},"
    "\"freeze\":{\"summary\":\"auto-sync off: Argo CD no longer deploys by itself\",\"effect\":\"mitigate\","
    "\"class\":\"convergent\",\"risk\":\"low\",\"undo_risk\":\"medium\",\"deadline_ms\":20000," OPS
    ",\"params\":{" APPLICATION "},\"required\":[\"application\"]},"
    "\"rollback\":{\"summary\":\"deploy an earlier entry of the history, auto-sync off\",\"effect\":\"mitigate\","
    "\"class\":\"reconcilable\",\"risk\":\"high\",\"settle_ms\":5000,\"deadline_ms\":180000,\"verify_ms\":900000," OPS
    ",\"params\":{" APPLICATION ",\"to\":{\"type\":\"integer\",\"minimum\":0,"
    "\"summary\":\"id in the history; the last deployment before the present one when it is not given\"}},"
    "\"required\":[\"application\"]}}}";

static void on_state(struct sdk_call *call, const json_t *app)
{
    const json_t *list = sdk_json_at(app, "/status/history");
    json_t *history = json_array();
    size_t count = json_array_size(list);
    for (size_t i = count > 10 ? count - 10 : 0; i < count; i++)
        json_array_append_new(history, argocd_deployment(json_array_get(list, i)));
    sdk_done(call,
             json_pack("{s:I, s:s, s:s, s:s, s:s, s:b, s:O, s:b, s:o}", "as_of_ms", (json_int_t)sdk_now_ms(call),
                       "project", argocd_text_at(app, "/spec/project"), "health",
                       argocd_text_at(app, "/status/health/status"), "sync", argocd_text_at(app, "/status/sync/status"),
                       "phase", argocd_text_at(app, "/status/operationState/phase"), "busy", argocd_is_busy(app),
                       "automated", argocd_automated(app), "auto_sync", argocd_is_automatic(app), "history", history));
}

static void read_state(struct sdk_call *call)
{
    argocd_read(call, false, on_state);
}

static void on_checked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    sdk_check_http(call, "read applications", answer);
    sdk_checked(call);
}

/* What the token may write Argo CD's API does not tell without writing. */
static void check(struct sdk_call *call)
{
    json_t *query =
        sdk_hold(call, json_pack("{s:s*}", "appNamespace", sdk_setting(sdk_instance(call), "app_namespace", NULL)));
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .path = sdk_url(call, "/api/v1/applications", query), .bearer = "token", .max_body = 32u << 20},
                   on_checked);
}

#define CHANGE_HANDLERS(action, fn)                                                                                    \
    {action, STANCH_OP_PLAN, fn##_plan}, {action, STANCH_OP_APPLY, fn##_change},                                       \
        {action, STANCH_OP_VERIFY, fn##_verify}, {action, STANCH_OP_UNDO, fn##_change},                                \
    {                                                                                                                  \
        action, STANCH_OP_RECONCILE, fn##_reconcile                                                                    \
    }

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"state", STANCH_OP_READ, read_state},
    CHANGE_HANDLERS("freeze", argocd_freeze),
    CHANGE_HANDLERS("rollback", argocd_rollback),
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers};
STANCH_PLUGIN(plugin)
