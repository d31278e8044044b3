/* webhook.c: tells a receiver of one's own what stanch has to say, signed: HMAC-SHA256 over a time stamp and the body, as
 * README.md describes it for who checks it. */
#include "stanch/sdk.h"
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER (64 << 10)
#define EVENTS     "[\"asked\",\"reminded\",\"acknowledged\",\"closed\",\"page\",\"note\"]"

static const char declaration[] =
    "{\"name\":\"webhook\",\"version\":\"0.1.0\",\"summary\":\"signed webhooks to a receiver of your own\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,\"summary\":\"where they are posted, with its "
    "path\"},"
    "\"secret\":{\"type\":\"string\",\"secret\":true,\"required\":true,\"summary\":\"signs them; 16 bytes at least\"},"
    "\"former_secret\":{\"type\":\"string\",\"secret\":true,\"summary\":\"signs them too, while a receiver does not "
    "know the new one yet\"},"
    "\"token\":{\"type\":\"string\",\"secret\":true,\"summary\":\"sent as bearer token, for a gateway in front\"},"
    "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\",\"summary\":\"certificates to trust instead of the "
    "system's\"}},"
    "\"check\":{\"summary\":\"the receiver can be reached\",\"deadline_ms\":10000},"
    "\"actions\":{\"send\":{\"summary\":\"post one\",\"effect\":\"notify\",\"class\":\"unprotected\","
    "\"deadline_ms\":20000,\"params\":{"
    "\"event\":{\"type\":\"string\",\"enum\":" EVENTS ",\"summary\":\"what happened to what key names\"},"
    "\"key\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"summary\":\"what it is about: the id of a "
    "question or page\"},"
    "\"summary\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"one line for people\"},"
    "\"severity\":{\"type\":\"string\",\"enum\":[\"sev1\",\"sev2\",\"sev3\",\"sev4\"]},"
    "\"link\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":2048,\"pattern\":\"^https?://\",\"summary\":\"where "
    "to look and answer\"},"
    "\"details\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"any\"},\"summary\":\"whatever else there "
    "is\"}},\"required\":[\"event\",\"key\",\"summary\"]}}}";

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    static const char *const names[] = {"secret", "former_secret"};
    (void)ret_state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t len = 16;
        (void)sdk_instance_secret(instance, names[i], &len);
        if (sdk_has_secret(instance, names[i]) && len < 16)
            return sdk_why(instance, "settings.%s: %zu bytes can be guessed; take 16 or more", names[i], len);
    }
    return NULL;
}

/* One text for signing and sending: what is signed is what goes out, byte for byte. */
static const char *body_of(struct sdk_call *call)
{
    static const char *const same[] = {"event", "key", "summary", "severity", "link", "details"};
    json_t *body = json_pack("{s:i, s:s, s:s, s:s}", "version", 1, "id", sdk_key(call), "from",
                             sdk_instance_name(sdk_instance(call)), "at", sdk_time_text(call, sdk_now_ms(call)));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        json_t *value = json_object_get(sdk_args(call), same[i]);
        if (value)
            json_object_set(body, same[i], value);
    }
    char *text = json_dumps(body, JSON_COMPACT);
    const char *kept = text ? sdk_text(call, "%s", text) : NULL;
    free(text);
    json_decref(body);
    return kept;
}

static const char *sign(struct sdk_call *call, const char *time, const char *body)
{
    char hex[65];
    const char *signed_text = sdk_text(call, "v1:%s:%s", time, body);
    size_t len = strlen(signed_text);
    if (!sdk_hmac_hex(call, "secret", signed_text, len, hex))
        return NULL;
    const char *all = sdk_text(call, "v1=%s", hex);
    return sdk_hmac_hex(call, "former_secret", signed_text, len, hex) ? sdk_text(call, "%s,v1=%s", all, hex) : all;
}

static void on_sent(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:i}", "status", (int)answer->status));
}

static void send_one(struct sdk_call *call)
{
    const char *time = sdk_text(call, "%lld", (long long)(sdk_now_ms(call) / 1000));
    const char *body = body_of(call), *signature = body ? sign(call, time, body) : NULL;
    if (!signature) {
        sdk_fail(call, "invalid", "%s", body ? "settings.secret is not set" : "this cannot be written as JSON");
        return;
    }
    struct sdk_http_order order = {
        .method = "POST",
        .path = "",
        .headers = json_pack("{s:s, s:s, s:s}", "X-Stanch-Timestamp", time, "X-Stanch-Signature", signature,
                             "X-Stanch-Delivery", sdk_key(call)),
        .bearer = "token",
        .body = body,
        .content_type = "application/json",
        .max_body = MAX_ANSWER,
    };
    sdk_http_retry(call, &order, on_sent);
}

/* ---- check: without telling anybody anything ---- */

static void on_reached(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    bool knows_no_head = answer->status == 501;
    if (answer->ended != STANCH_HTTP_ANSWERED || (answer->status >= 500 && !knows_no_head))
        sdk_check_http(call, "reach the receiver", answer);
    else
        sdk_check(call, "reach the receiver", true,
                  "it answered %u to a HEAD; whether it takes the signature only a webhook tells", answer->status);
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    struct sdk_http_order order = {.method = "HEAD", .path = "", .bearer = "token", .max_body = MAX_ANSWER};
    sdk_http_retry(call, &order, on_reached);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"send", STANCH_OP_READ, send_one},
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
