/* remote.c: HTTP and stream exchanges, and what their ends mean for a call. */
#include "inside.h"
#include <stdlib.h>
#include <string.h>

struct http_wait {
    struct sdk_call *call;
    sdk__http_fn fn;
    void *ctx;
    bool is_read;
};

/* A 429 that says in X-RateLimit-Reset when to come again: as seconds or milliseconds since 1970, or as seconds from now.
 * 0: it does not say. */
static uint32_t reset_ms(struct sdk_call *call, const json_t *headers)
{
    const char *text = json_string_value(json_object_get(headers, "x-ratelimit-reset"));
    char *end = NULL;
    double value = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end != '\0' || !(value > 0 && value < 1e14))
        return 0;
    double wait = value * 1000; /* from now */
    if (value >= 1e11)
        wait = value - (double)sdk_now_ms(call);
    else if (value >= 1e9)
        wait = value * 1000 - (double)sdk_now_ms(call);
    return wait <= 0 ? 0 : wait > 86400000 ? 86400000 : (uint32_t)wait;
}

static void on_http_ended(struct stanch_call *handle, void *ctx, const struct stanch_http_exchange *exchange)
{
    (void)handle;
    struct http_wait *wait = ctx;
    struct sdk_call *call = wait->call;
    json_t *headers = json_loadb(exchange->headers.data ? exchange->headers.data : "", exchange->headers.len, 0, NULL);
    struct sdk_http_answer answer = {
        .ended = exchange->ended,
        .status = exchange->status,
        .retry_after_ms = exchange->retry_after_ms,
        .headers = sdk_hold(call, headers ? headers : json_object()),
        .body = sdk__copy(call, exchange->body),
        .body_len = exchange->body.len,
        .why = sdk__copy(call, exchange->why),
        .is_read = wait->is_read,
    };
    if (answer.status == 429 && answer.retry_after_ms == 0)
        answer.retry_after_ms = reset_ms(call, answer.headers);
    wait->fn(call, wait->ctx, &answer);
}

const char *sdk__join_url(struct sdk_call *call, const char *setting, const char *path)
{
    const char *base = sdk_setting(call->instance, setting ? setting : "url", "");
    size_t len = strlen(base);
    while (path && path[0] == '/' && len > 0 && base[len - 1] == '/')
        len--;
    return sdk_text(call, "%.*s%s", (int)len, base, path ? path : "");
}

/* new; NULL for none */
static char *sign_text(const struct sdk_sigv4 *sign)
{
    if (!sign)
        return NULL;
    json_t *value = json_pack("{s:s, s:s, s:s, s:s}", "region", sign->region, "service", sign->service, "key_id",
                              sign->key_id, "key", sign->key);
    if (sign->token)
        json_object_set_new(value, "token", json_string(sign->token));
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    return text;
}

struct plain_wait {
    void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer);
};

static void on_plain_answer(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer)
{
    ((struct plain_wait *)ctx)->fn(call, answer);
}

void sdk_http(struct sdk_call *call, const struct sdk_http_order *order,
              void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    struct plain_wait *wait = sdk_memory(call, sizeof *wait);
    wait->fn = fn;
    sdk__http_at(call, order, sdk__join_url(call, order->setting, order->path), on_plain_answer, wait);
}

void sdk__http_at(struct sdk_call *call, const struct sdk_http_order *order, const char *url, sdk__http_fn fn,
                  void *ctx)
{
    struct http_wait *wait = sdk_memory(call, sizeof *wait);
    wait->call = call;
    wait->fn = fn;
    wait->ctx = ctx;
    wait->is_read = order->is_read;
    json_t *headers = order->headers ? order->headers : json_object();
    const char *type = order->json ? "application/json" : order->content_type;
    if (type)
        json_object_set_new(headers, "Content-Type", json_string(type));
    char *header_text = json_dumps(headers, JSON_COMPACT);
    char *json = order->json ? json_dumps(order->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct stanch_text body = json ? sdk_span(json) : sdk_span(order->body);
    if (!json && order->body_len)
        body.len = order->body_len;
    const char *basic = order->basic_user && order->basic_password
                            ? sdk_text(call, "%s:%s", order->basic_user, order->basic_password)
                            : NULL;
    char *secret_headers = order->secret_headers ? json_dumps(order->secret_headers, JSON_COMPACT) : NULL;
    char *sigv4 = sign_text(order->sigv4);
    struct stanch_http_order out = {
        .size = sizeof out,
        .deadline_ms = order->deadline_ms,
        .method = sdk_span(order->method ? order->method : "GET"),
        .url = sdk_span(url),
        .headers = sdk_span(header_text),
        .bearer = sdk_span(order->bearer),
        .basic = sdk_span(basic),
        .body = body,
        .max_body = order->max_body,
        .secret_headers = sdk_span(secret_headers),
        .sigv4 = sdk_span(sigv4),
    };
    sdk_host(call)->http(call->handle, &out, on_http_ended, wait);
    free(header_text);
    free(json);
    free(secret_headers);
    free(sigv4);
    json_decref(headers);
    json_decref(order->secret_headers);
    json_decref(order->json);
}

/* The beginning of a body, on one line, for an error's text. */
static const char *excerpt(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    size_t len = answer->body_len < 300 ? answer->body_len : 300;
    if (len == 0)
        return "";
    while (len > 0 && len < answer->body_len && ((unsigned char)answer->body[len] & 0xc0) == 0x80)
        len--; /* not in the middle of a character */
    char *text = sdk__copy(call, (struct stanch_text){answer->body, len});
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return sdk_text(call, ": %s", text);
}

static void answer_not_answered(struct sdk_call *call, uint32_t ended, const char *why, bool is_change)
{
    if (ended == STANCH_HTTP_LOST && is_change)
        sdk_unknown(call, "unreachable", "%s", why);
    else
        sdk_fail_retry(call, 0, "unreachable", "%s", why);
}

/* What each answer means: kind, whether trying again can help, and the text. */
struct meaning {
    const char *kind;
    bool can_retry;
    bool may_have_happened; /* of a change */
    const char *text;
};

static struct meaning meaning_of(uint32_t status)
{
    if (status == 401)
        return (struct meaning){"unauthorized", false, false, ": the credentials are missing or wrong"};
    if (status == 403)
        return (struct meaning){"forbidden", false, false, ": these credentials may not do this"};
    if (status == 404)
        return (struct meaning){"not-found", false, false, ": there is no such thing"};
    if (status == 409 || status == 412)
        return (struct meaning){"stale", false, false, ": its state has moved on"};
    if (status == 429)
        return (struct meaning){"rate", true, false, ": too many requests"};
    if (status == 503)
        return (struct meaning){"unavailable", true, false, ""};
    if (status >= 500)
        return (struct meaning){"remote", true, true, ""};
    if (status >= 300 && status <= 399)
        return (struct meaning){"remote", false, false, ", a redirect, which is not followed: set the final URL"};
    return (struct meaning){"remote", false, false, ""};
}

const char *sdk__http_meaning(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (answer->ended != STANCH_HTTP_ANSWERED)
        return answer->why;
    return sdk_text(call, "the remote answered %u%s%s", answer->status, meaning_of(answer->status).text,
                    excerpt(call, answer));
}

bool sdk_http_ok(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    bool is_change = sdk_is_change(call) && !answer->is_read;
    if (answer->ended != STANCH_HTTP_ANSWERED) {
        answer_not_answered(call, answer->ended, answer->why, is_change);
        return false;
    }
    if (answer->status >= 200 && answer->status <= 299)
        return true;
    struct meaning meaning = meaning_of(answer->status);
    const char *text = sdk__http_meaning(call, answer);
    if (meaning.may_have_happened && is_change)
        sdk_unknown(call, meaning.kind, "%s: it may or may not have happened", text);
    else if (meaning.can_retry)
        sdk_fail_retry(call, answer->retry_after_ms, meaning.kind, "%s", text);
    else
        sdk_fail(call, meaning.kind, "%s", text);
    return false;
}

const json_t *sdk_http_json(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    json_error_t error;
    if (sdk__is_too_deep(answer->body, answer->body_len, 64)) {
        sdk_fail(call, "protocol", "the remote answered %u with JSON that is nested deeper than 64", answer->status);
        return NULL;
    }
    json_t *value = json_loadb(answer->body, answer->body_len, JSON_DECODE_ANY, &error);
    if (value)
        return sdk_hold(call, value);
    const char *text = sdk_text(call, "the remote answered %u with what is not JSON: %s%s", answer->status, error.text,
                                excerpt(call, answer));
    if (sdk_is_change(call) && !answer->is_read)
        sdk_unknown(call, "protocol", "%s", text);
    else
        sdk_fail(call, "protocol", "%s", text);
    return NULL;
}

struct exchange_wait {
    struct sdk_call *call;
    void (*fn)(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why);
};

static void on_exchange_ended(struct stanch_call *handle, void *ctx, uint32_t ended, struct stanch_text answer,
                              struct stanch_text why)
{
    (void)handle;
    struct exchange_wait *wait = ctx;
    wait->fn(wait->call, ended, sdk__copy(wait->call, answer), answer.len, sdk__copy(wait->call, why));
}

void sdk_exchange(struct sdk_call *call, const char *address, const char *send, uint64_t max_answer,
                  void (*fn)(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why))
{
    struct exchange_wait *wait = sdk_memory(call, sizeof *wait);
    wait->call = call;
    wait->fn = fn;
    sdk_host(call)->exchange(call->handle, sdk_span(address), sdk_span(send), max_answer, on_exchange_ended, wait);
}

bool sdk_exchange_ok(struct sdk_call *call, uint32_t ended, const char *why)
{
    if (ended == STANCH_HTTP_ANSWERED)
        return true;
    answer_not_answered(call, ended, why, sdk_is_change(call));
    return false;
}

struct later_wait {
    struct sdk_call *call;
    void (*fn)(struct sdk_call *call, void *ctx);
    void *ctx;
};

static void on_due(struct stanch_call *handle, void *ctx)
{
    (void)handle;
    struct later_wait *wait = ctx;
    wait->fn(wait->call, wait->ctx);
}

void sdk__later(struct sdk_call *call, uint32_t delay_ms, void (*fn)(struct sdk_call *call, void *ctx), void *ctx)
{
    struct later_wait *wait = sdk_memory(call, sizeof *wait);
    wait->call = call;
    wait->fn = fn;
    wait->ctx = ctx;
    sdk_host(call)->timer(call->handle, delay_ms, on_due, wait);
}

struct plain_later {
    sdk_fn fn;
};

static void on_plain_due(struct sdk_call *call, void *ctx)
{
    ((struct plain_later *)ctx)->fn(call);
}

void sdk_later(struct sdk_call *call, uint32_t delay_ms, sdk_fn fn)
{
    struct plain_later *later = sdk_memory(call, sizeof *later);
    later->fn = fn;
    sdk__later(call, delay_ms, on_plain_due, later);
}
