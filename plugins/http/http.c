/* http.c: requests that the operator's configuration lists, as actions. A runbook gives typed values for places that the
 * configuration declares: it can change neither host nor method, header, or the shape of a path. */
#include "http.h"
#include <string.h>

#define RISK     "{\"type\":\"string\",\"enum\":[\"low\",\"medium\",\"high\"]}"
#define STATUSES "{\"type\":\"array\",\"minItems\":1,\"items\":{\"type\":\"integer\",\"minimum\":200,\"maximum\":599},"
#define BY_HAND  "\"by_hand\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"what a person would type\"}"
#define AT                                                                                                             \
    "\"at\":{\"type\":\"string\",\"pattern\":\"^(/|$)\",\"summary\":\"JSON Pointer to the value in the answer; the "   \
    "whole when it is not set\"}"
#define REQUEST                                                                                                        \
    "\"path\":{\"type\":\"string\",\"pattern\":\"^/\",\"summary\":\"put behind url; with places\"},"                   \
    "\"query\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"any\"},\"summary\":\"names, and values with " \
    "places\"},\"json\":{\"type\":\"any\",\"summary\":\"the body; with places\"},"                                     \
    "\"content_type\":{\"type\":\"string\",\"pattern\":\"^[a-z]+/[a-z0-9.+-]+$\",\"summary\":\"of the body "           \
    "(application/json)\"},"                                                                                           \
    "\"expect\":" STATUSES "\"summary\":\"status codes of a good answer (200 to 299)\"}"
#define READS                                                                                                          \
    "\"method\":{\"type\":\"string\",\"enum\":[\"GET\",\"POST\"],\"summary\":\"GET when it is not set\"}," REQUEST     \
    "," AT ",\"absent\":" STATUSES "\"summary\":\"status codes which mean that the value is null\"}"
#define CHANGES "\"method\":{\"type\":\"string\",\"enum\":[\"PUT\",\"POST\",\"PATCH\",\"DELETE\"]}," REQUEST "," BY_HAND
#define CLASSES "[\"read-only\",\"convergent\",\"idempotent\",\"reconcilable\",\"unprotected\"]"
#define PARAM                                                                                                          \
    "{\"type\":\"object\",\"properties\":{"                                                                            \
    "\"type\":{\"type\":\"string\",\"enum\":[\"string\",\"integer\",\"number\",\"boolean\"]},"                         \
    "\"summary\":{\"type\":\"string\",\"summary\":\"one line\"},\"pattern\":{\"type\":\"string\",\"summary\":\"a "     \
    "regular expression (PCRE2); anchor it\"},"                                                                        \
    "\"enum\":{\"type\":\"array\",\"minItems\":1},\"minimum\":{\"type\":\"number\"},"                                  \
    "\"maximum\":{\"type\":\"number\"},\"minLength\":{\"type\":\"integer\",\"minimum\":0},"                            \
    "\"maxLength\":{\"type\":\"integer\",\"minimum\":1},\"may_have_slash\":{\"type\":\"boolean\",\"summary\":\"in a "  \
    "path, too\"}}}"
#define SECRET "{\"type\":\"string\",\"secret\":true,\"summary\":\"a secret for secret_headers\"}"

#define ACTION_OF_ALL                                                                                                  \
    "\"summary\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"one line: what it does\"},"                        \
    "\"effect\":{\"type\":\"string\",\"enum\":[\"read\",\"mitigate\",\"notify\"],\"summary\":\"mitigate when it is "   \
    "not set\"},\"class\":{\"type\":\"string\",\"enum\":" CLASSES                                                      \
    ",\"summary\":\"whether it may be sent again; sdk/README.md says what each means\"},"                              \
    "\"risk\":" RISK ",\"undo_risk\":" RISK ","                                                                        \
    "\"params\":{\"type\":\"object\",\"additionalProperties\":" PARAM ",\"summary\":\"what a runbook gives, all of "   \
    "it\"},\"deadline_ms\":{\"type\":\"integer\",\"minimum\":500,\"maximum\":600000,\"summary\":\"of one call "        \
    "(10000)\"},\"settle_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":600000,\"summary\":\"until a read "      \
    "shows its effect\"}"
#define ACTION_OF_CHANGES                                                                                              \
    "\"read\":{\"type\":\"object\",\"required\":[\"path\"],\"properties\":{" READS                                     \
    "},\"summary\":\"reads the value\"},"                                                                              \
    "\"no_read_because\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"why there is nothing to read\"},"          \
    "\"apply\":{\"type\":\"object\",\"required\":[\"method\",\"path\"],\"properties\":{" CHANGES                       \
    "},\"summary\":\"the request that changes it\"},"                                                                  \
    "\"to\":{\"type\":\"any\",\"summary\":\"the value that is read when it is done\"},"                                \
    "\"verify\":{\"type\":\"object\",\"properties\":{" READS ",\"equals\":{\"type\":\"any\",\"summary\":\"to when it " \
    "is not set\"},\"within_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":600000,\"summary\":\"ask again for "  \
    "so long "                                                                                                         \
    "(settle_ms)\"},\"every_ms\":{\"type\":\"integer\",\"minimum\":50,\"maximum\":60000,\"summary\":\"(500)\"}},"      \
    "\"summary\":\"reads back elsewhere, or later\"},"                                                                 \
    "\"undo\":{\"type\":\"object\",\"required\":[\"method\",\"path\"],\"properties\":{" CHANGES                        \
    "},\"summary\":\"the request that takes it back\"},"                                                               \
    "\"no_undo_because\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"why there is no undo\"},"                  \
    "\"if_match\":{\"type\":\"boolean\",\"summary\":\"changes are sent with If-Match and the ETag that read gave\"},"  \
    "\"key_header\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"the header that carries the idempotency "       \
    "key\"},\"targets\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":{\"type\":\"string\","            \
    "\"minLength\":1},\"summary\":\"what is locked meanwhile\"},"                                                      \
    "\"impact\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"one line for the approver\"}"

static const char declaration[] =
    "{\"name\":\"http\",\"version\":\"0.1.0\",\"summary\":\"requests that the configuration lists, as actions\","
    "\"check\":{\"summary\":\"the server can be reached, and answers check_path\"},"
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,\"summary\":\"what every path is put behind; a "
    "path of its own is kept\"},"
    "\"actions\":{\"type\":\"object\",\"required\":true,\"summary\":\"the actions, by name\","
    "\"additionalProperties\":{\"type\":\"object\",\"required\":[\"summary\",\"class\"],"
    "\"properties\":{" ACTION_OF_ALL "," ACTION_OF_CHANGES "}}},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"sent as bearer token\"},"
    "\"user\":{\"type\":\"string\",\"summary\":\"sent as basic credentials, with password\"},"
    "\"password\":{\"type\":\"string\",\"secret\":true,\"summary\":\"of user\"},"
    "\"headers\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},\"summary\":\"sent with every "
    "request; nothing secret\"},"
    "\"secret_headers\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\",\"required\":[\"secret\"],"
    "\"properties\":{\"secret\":{\"type\":\"string\",\"enum\":[\"secret1\",\"secret2\",\"secret3\",\"secret4\"]},"
    "\"before\":{\"type\":\"string\"}}},\"summary\":\"headers whose value is a secret, with a text before it\"},"
    "\"secret1\":" SECRET ",\"secret2\":" SECRET ",\"secret3\":" SECRET ",\"secret4\":" SECRET ","
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\",\"summary\":\"certificates to trust instead of the "
    "system's\"},"
    "\"client_cert\":{\"type\":\"string\",\"format\":\"client-cert\",\"summary\":\"certificate to present, with "
    "client_key\"},"
    "\"client_key\":{\"type\":\"string\",\"format\":\"client-key\",\"secret\":true,\"summary\":\"its key, PEM\"},"
    "\"check_path\":{\"type\":\"string\",\"pattern\":\"^/[^?# ]*$\",\"summary\":\"stanch plugin check GETs it and "
    "expects 200 to 299\"}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    (void)ret_state;
    bool has_user = *sdk_setting(instance, "user", "") != '\0', has_password = sdk_has_secret(instance, "password");
    const char *name;
    json_t *header;
    if (has_user != has_password)
        return "settings.user and settings.password: both, or none of them";
    if (has_user && sdk_has_secret(instance, "token"))
        return "settings.token: not together with user and password; the server gets one credential";
    json_object_foreach(json_object_get(sdk_settings(instance), "secret_headers"), name, header)
    {
        const char *secret = json_string_value(json_object_get(header, "secret"));
        if (!sdk_has_secret(instance, secret))
            return sdk_why(instance, "settings.secret_headers.%s.secret: settings.%s is not set", name, secret);
    }
    return NULL;
}

/* ---- check ---- */

static void on_checked(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    bool is_answered = answer->ended == STANCH_HTTP_ANSWERED;
    if (*sdk_setting(sdk_instance(call), "check_path", "") || !is_answered || answer->status == 401 ||
        answer->status == 403 || answer->status >= 500)
        sdk_check_http(call, "ask the server", answer);
    else
        sdk_check(call, "reach the server", true, "it answered %u; set check_path to try the credentials too",
                  answer->status);
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    struct http_request request = {.method = "GET", .path = sdk_setting(sdk_instance(call), "check_path", "")};
    http_send(call, "read", &request, NULL, on_checked);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},          {"*", STANCH_OP_READ, http_read},
    {"*", STANCH_OP_PLAN, http_plan},           {"*", STANCH_OP_APPLY, http_apply},
    {"*", STANCH_OP_VERIFY, http_verify},       {"*", STANCH_OP_UNDO, http_undo},
    {"*", STANCH_OP_RECONCILE, http_reconcile}, {0},
};
static const struct sdk_plugin plugin = {
    .declaration = declaration, .handlers = handlers, .open = open_instance, .declare = http_declare};
STANCH_PLUGIN(plugin)
