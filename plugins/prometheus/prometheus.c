/* prometheus.c: ask Prometheus (or what speaks its query API) for a number: the symptom, before and after. */
#include "prometheus.h"
#include <string.h>

#define EXPR  "\"expr\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":20000,\"summary\":\"PromQL\"}"
#define STALE "\"stale_after\":{\"type\":\"string\",\"summary\":\"a sample older than this is no data: 90s, 5m\"}"

static const char declaration[] =
    "{\"name\":\"prometheus\",\"version\":\"0.1.0\",\"summary\":\"Prometheus: instant and range queries\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"where Prometheus is: http://prometheus.example:9090\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"sent as bearer token\"},"
    "\"user\":{\"type\":\"string\",\"summary\":\"sent as basic credentials, with password\"},"
    "\"password\":{\"type\":\"string\",\"secret\":true,\"summary\":\"of user\"}},"
    "\"check\":{\"summary\":\"asks for a number that is always there\"},"
    "\"actions\":{"
    "\"query\":{\"summary\":\"the value of an expression at one moment\",\"effect\":\"read\","
    "\"class\":\"read-only\",\"deadline_ms\":10000,\"params\":{" EXPR ","
    "\"at\":{\"type\":\"string\",\"summary\":\"RFC 3339, or seconds since 1970; now when it is not given\"},"
    "\"reduce\":{\"type\":\"string\",\"enum\":[\"max\",\"min\",\"sum\",\"avg\",\"first\"],"
    "\"summary\":\"how several series become one number\"}," STALE "},\"required\":[\"expr\"]},"
    "\"range\":{\"summary\":\"the values of an expression over a stretch of time\",\"effect\":\"read\","
    "\"class\":\"read-only\",\"deadline_ms\":20000,\"params\":{" EXPR ","
    "\"since\":{\"type\":\"string\",\"summary\":\"how far back (30m), or a time\"},"
    "\"until\":{\"type\":\"string\",\"summary\":\"a time; now when it is not given\"},"
    "\"step\":{\"type\":\"string\",\"summary\":\"between two points: 15s\"},"
    "\"reduce\":{\"type\":\"string\",\"enum\":[\"max\",\"min\",\"sum\",\"avg\",\"first\",\"last\"],"
    "\"summary\":\"how all points become one number; last when one series is found\"}," STALE "},"
    "\"required\":[\"expr\",\"since\",\"step\"]}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    bool has_user = sdk_setting(instance, "user", NULL) != NULL, has_password = sdk_has_secret(instance, "password");
    *ret_state = NULL;
    if (has_user != has_password)
        return has_user ? "user is set and password is not: set both or none"
                        : "password is set and user is not: set both or none";
    if (has_user && sdk_has_secret(instance, "token"))
        return "token and user are set: Prometheus takes one credential, choose one";
    return NULL;
}

static void on_checked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_check_http(call, "query", answer)) {
        json_t *value = json_loadb(answer->body, answer->body_len, 0, NULL);
        const char *status = json_string_value(json_object_get(value, "status"));
        if (!status || strcmp(status, "success") != 0)
            sdk_check(call, "answer", false, "what answers at url is no Prometheus: set the URL of its query API");
        json_decref(value);
    }
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    prometheus_post(call, "/api/v1/query", "query=1", on_checked);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"query", STANCH_OP_READ, prometheus_query},
    {"range", STANCH_OP_READ, prometheus_range},
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
