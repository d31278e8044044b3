/* alertmanager.c: the webhook of Alertmanager, version 4, as events. The credential is checked before the body is
 * looked at. A post is taken whole or refused whole. */
#include "alert.h"
#include <string.h>

#define DEFAULT_MAX_ALERTS 1000

static const char declaration[] =
    "{\"name\":\"alertmanager\",\"version\":\"0.1.0\",\"summary\":\"alerts from Prometheus Alertmanager\","
    "\"settings\":{"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"the bearer token that Alertmanager sends\"},"
    "\"user\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"or basic credentials: the user\"},"
    "\"password\":{\"type\":\"string\",\"secret\":true,\"summary\":\"and the password\"},"
    "\"max_alerts\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":10000,"
    "\"summary\":\"of one post; what is over it counts as truncated (1000)\"}},"
    "\"check\":{\"summary\":\"which credential a post needs; Alertmanager itself is not asked\"},"
    "\"sources\":{\"webhook\":{\"summary\":\"Alertmanager's webhook_configs, version 4\"}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    bool has_user = sdk_setting(instance, "user", NULL) != NULL, has_password = sdk_has_secret(instance, "password");
    *ret_state = NULL;
    if (has_user != has_password)
        return has_user ? "user is set and password is not: set both or none"
                        : "password is set and user is not: set both or none";
    if (!has_user && !sdk_has_secret(instance, "token"))
        return "no credential: set token, or user and password; anyone could send alerts otherwise";
    return NULL;
}

/* A header that came twice is joined with a comma, and a decoder of base64 may stop there: one credential it is. */
static bool is_one_basic(const struct sdk_call *call)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    const char *at = sdk_header(call, "authorization");
    at = at ? strchr(at, ' ') : NULL;
    at = at ? at + strspn(at, " ") : "";
    return at[strspn(at, letters)] == '\0';
}

static bool check_credential(struct sdk_call *call)
{
    if (sdk_is_test(call) || sdk_bearer_ok(call, "token") ||
        (is_one_basic(call) && sdk_basic_ok(call, "user", "password")))
        return true;
    if (sdk_header(call, "authorization"))
        sdk_fail(call, "unauthorized",
                 "the credential is wrong; see http_config.authorization or basic_auth of the "
                 "receiver in alertmanager.yml");
    else
        sdk_fail(call, "unauthorized",
                 "no credential was sent; set http_config.authorization or basic_auth of the "
                 "receiver in alertmanager.yml");
    return false;
}

/* "4" is what Alertmanager 0.25 sends; version 3 had other fields (groupKey was a number). */
static bool check_version(struct sdk_call *call, const json_t *body)
{
    const json_t *version = json_object_get(body, "version");
    const char *text = json_string_value(version);
    if (text && strcmp(text, "4") == 0)
        return true;
    if (text)
        sdk_fail(call, "invalid",
                 "version: version %.20s is not understood; Alertmanager has sent 4 for years: update the sender",
                 text);
    else
        sdk_fail(call, "invalid", "version: %s; the text \"4\" was expected: is this a post of Alertmanager?",
                 version ? "not a text" : "missing");
    return false;
}

/* The repeats of one event inside of a post. seen: set of keys. */
static bool is_repeat(struct sdk_call *call, json_t *seen, const struct sdk_event *event)
{
    const char *key = sdk_text(call, "%s %lld %d", event->fingerprint, (long long)event->starts_at_ms, event->resolved);
    if (json_object_get(seen, key))
        return true;
    json_object_set_new(seen, key, json_true());
    return false;
}

/* The events of the first `max` alerts. held by the call; NULL: the call was answered */
static json_t *take_alerts(struct sdk_call *call, const json_t *alerts, size_t max)
{
    json_t *events = sdk_hold(call, json_array()), *seen = sdk_hold(call, json_object());
    for (size_t i = 0; i < json_array_size(alerts) && i < max; i++) {
        struct sdk_event event;
        const char *why = alertmanager_event(call, i, json_array_get(alerts, i), &event);
        if (why) {
            sdk_fail(call, "invalid", "%s", why);
            return NULL;
        }
        if (!is_repeat(call, seen, &event))
            sdk_event(events, &event);
    }
    return events;
}

static void receive(struct sdk_call *call)
{
    if (!check_credential(call))
        return;
    const json_t *body = sdk_body_json(call);
    if (!body)
        return;
    if (!json_is_object(body)) {
        sdk_fail(call, "invalid", "the body: an object was expected");
        return;
    }
    const json_t *alerts = json_object_get(body, "alerts"), *left = json_object_get(body, "truncatedAlerts");
    const json_t *max = json_object_get(sdk_settings(sdk_instance(call)), "max_alerts");
    size_t limit = max ? (size_t)json_integer_value(max) : DEFAULT_MAX_ALERTS;
    if (!check_version(call, body))
        return;
    if (!json_is_array(alerts)) {
        sdk_fail(call, "invalid", "alerts: %s; an array was expected", alerts ? "not an array" : "missing");
        return;
    }
    if (left && !json_is_null(left) && (!json_is_integer(left) || json_integer_value(left) < 0)) {
        sdk_fail(call, "invalid", "truncatedAlerts: a count was expected");
        return;
    }
    json_t *events = take_alerts(call, alerts, limit);
    if (!events)
        return;
    size_t count = json_array_size(alerts);
    int64_t over = count > limit ? (int64_t)(count - limit) : 0;
    if (over > 0)
        sdk_log(sdk_instance(call), 1, "a post with %zu alerts: %lld over max_alerts were not taken", count,
                (long long)over);
    sdk_received(call, json_incref(events), json_integer_value(left) + over);
}

static void check(struct sdk_call *call)
{
    bool has_token = sdk_has_secret(sdk_instance(call), "token");
    const char *user = sdk_setting(sdk_instance(call), "user", NULL);
    sdk_check(call, "credential", true, "a post needs %s%s%s", has_token ? "the bearer token" : "",
              has_token && user ? " or " : "", user ? sdk_text(call, "the basic credentials of %s", user) : "");
    sdk_checked(call);
}

static const struct sdk_handler handlers[] = {
    {"webhook", STANCH_OP_RECEIVE, receive},
    {"check", STANCH_OP_CHECK, check},
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
