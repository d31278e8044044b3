/* generic.c: any JSON that somebody posts, as events, by a mapping that the configuration declares. The credential is
 * checked before the body is looked at. */
#include "mapping.h"
#include <string.h>

#define PLACE(key, text)  "\"" key "\":{\"type\":\"string\",\"summary\":\"" text "\"},"
#define PLACES(key, text) "\"" key "\":{\"type\":\"object\",\"additionalProperties\":true,\"summary\":\"" text "\"},"

static const char declaration[] =
    "{\"name\":\"generic\",\"version\":\"0.1.0\",\"summary\":\"any JSON webhook, by a declared mapping\","
    "\"settings\":{"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"the bearer token that the sender sends\"},"
    "\"user\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"or basic credentials: the user\"},"
    "\"password\":{\"type\":\"string\",\"secret\":true,\"summary\":\"and the password\"},"
    "\"secret\":{\"type\":\"string\",\"secret\":true,\"summary\":\"or what the sender signs with: HMAC-SHA256\"},"
    "\"next_secret\":{\"type\":\"string\",\"secret\":true,"
    "\"summary\":\"a second one that is good too, while the secret is changed\"},"
    "\"signature_header\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"the header that carries the signature\"},"
    "\"signature_prefix\":{\"type\":\"string\",\"summary\":\"what stands before it there: sha256=, v0=\"},"
    "\"signature_encoding\":{\"type\":\"string\",\"enum\":[\"hex\",\"base64\"],\"summary\":\"hex when it is not set\"},"
    "\"signed_before\":{\"type\":\"string\","
    "\"summary\":\"what is signed before the body; %t is the time stamp: v0:%t:\"},"
    "\"timestamp_header\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"the header with the time stamp, in s\"},"
    "\"timestamp_prefix\":{\"type\":\"string\",\"minLength\":1,"
    "\"summary\":\"or what stands before it in the signature's header: t=\"},"
    "\"within\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":3600,"
    "\"summary\":\"how far the time stamp may be off, in s (300)\"}," PLACE(
        "each", "where the list of items is; the body is one item when it is not set")
        PLACE("fingerprint", "the sender's own id of the alert or change") PLACE(
            "state",
            "alerts: a word that says whether it is over") "\"resolved_when\":{\"type\":\"array\",\"items\":{\"type\":"
                                                           "\"string\"},"
                                                           "\"summary\":\"alerts: the words at state that mean it is "
                                                           "over\"}," PLACE(
                                                               "starts_at",
                                                               "when it began: RFC 3339, or seconds or milliseconds "
                                                               "since 1970") PLACE("ends_at",
                                                                                   "alerts: when it was over")
                                                               PLACE("name", "what runbooks match as alertname") PLACE(
                                                                   "summary", "one line for people")
                                                                   PLACE("link", "where to read more") PLACE(
                                                                       "severity",
                                                                       "the sender's word for how bad it is")
                                                                       PLACES("severities",
                                                                              "its words as ours: { P1 = \\\"sev1\\\", "
                                                                              "P2 = \\\"sev2\\\" }")
                                                                           PLACES("labels",
                                                                                  "labels, each with its place: { "
                                                                                  "service = \\\"/service/name\\\" }")
                                                                               PLACES("annotations",
                                                                                      "annotations, each with its "
                                                                                      "place") "\"change\":{\"type\":"
                                                                                               "\"object\","
                                                                                               "\"additionalProperties"
                                                                                               "\":true,"
                                                                                               "\"summary\":\"it is a "
                                                                                               "change: kind, service, "
                                                                                               "text, ..., each with "
                                                                                               "its place\"}},"
                                                                                               "\"sources\":{"
                                                                                               "\"webhook\":{"
                                                                                               "\"summary\":\"a POST "
                                                                                               "of JSON\"}}}";

static bool has(const struct sdk_instance *instance, const char *key)
{
    return sdk_setting(instance, key, NULL) != NULL;
}

static const char *check_credential_settings(struct sdk_instance *instance)
{
    bool has_password = sdk_has_secret(instance, "password"), has_secret = sdk_has_secret(instance, "secret");
    if (has(instance, "user") != has_password)
        return has_password ? "password is set and user is not: set both or none"
                            : "user is set and password is not: set both or none";
    if (has_secret != has(instance, "signature_header"))
        return has_secret ? "signature_header: not set; say which header carries the signature"
                          : "signature_header is set and secret is not: what does the sender sign with?";
    if (has(instance, "timestamp_header") && has(instance, "timestamp_prefix"))
        return "timestamp_header and timestamp_prefix are set: the time stamp stands in one place";
    bool has_time = has(instance, "timestamp_header") || has(instance, "timestamp_prefix");
    bool signs_time = strstr(sdk_setting(instance, "signed_before", ""), "%t") != NULL;
    if (has_time && !signs_time)
        return "signed_before: a time stamp that is not signed protects from nothing; sign it: \"%t.\"";
    if (signs_time && !has_time)
        return "signed_before has %t: set timestamp_header or timestamp_prefix";
    if (!has_password && !has_secret && !sdk_has_secret(instance, "token"))
        return "no credential: set token, or user and password, or secret; anyone could send events otherwise";
    return NULL;
}

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    *ret_state = NULL;
    const char *why = check_credential_settings(instance);
    return why ? why : generic_check_mapping(instance);
}

/* Headers come in lower case. NULL stays NULL. held by the call */
static const char *lower(struct sdk_call *call, const char *name)
{
    if (!name)
        return NULL;
    char *copy = sdk_memory(call, strlen(name) + 1);
    for (size_t i = 0; name[i]; i++)
        copy[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    return copy;
}

/* NULL: it is good. held by the call */
static const char *check_signature(struct sdk_call *call, const char *secret)
{
    const struct sdk_instance *instance = sdk_instance(call);
    const json_t *within = json_object_get(sdk_settings(instance), "within");
    const struct sdk_signature signature = {
        .secret = secret,
        .header = lower(call, sdk_setting(instance, "signature_header", "")),
        .prefix = sdk_setting(instance, "signature_prefix", ""),
        .time_header = lower(call, sdk_setting(instance, "timestamp_header", NULL)),
        .time_prefix = sdk_setting(instance, "timestamp_prefix", NULL),
        .before = sdk_setting(instance, "signed_before", ""),
        .is_base64 = strcmp(sdk_setting(instance, "signature_encoding", "hex"), "base64") == 0,
        .within_s = (uint32_t)json_integer_value(within),
    };
    return sdk_signature_why(call, &signature);
}

static bool check_credential(struct sdk_call *call)
{
    const struct sdk_instance *instance = sdk_instance(call);
    const char *why = "no credential was sent, or a wrong one";
    if (sdk_is_test(call) || sdk_bearer_ok(call, "token") || sdk_basic_ok(call, "user", "password"))
        return true;
    if (sdk_has_secret(instance, "secret"))
        why = check_signature(call, "secret");
    if (why && sdk_has_secret(instance, "next_secret") && !check_signature(call, "next_secret"))
        why = NULL;
    if (why)
        sdk_fail(call, "unauthorized", "%s", why);
    return !why;
}

static void receive(struct sdk_call *call)
{
    if (!check_credential(call))
        return;
    const json_t *body = sdk_body_json(call);
    if (!body)
        return;
    json_t *events = sdk_hold(call, json_array());
    const char *why = generic_events(call, body, events);
    if (why)
        sdk_fail(call, "invalid", "%s", why);
    else
        sdk_received(call, json_incref(events), 0);
}

static const struct sdk_handler handlers[] = {{"webhook", STANCH_OP_RECEIVE, receive}, {0}};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
