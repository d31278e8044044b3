/* remote.c: HTTP and stream exchanges, and what their ends mean for a call. */
#include "inside.h"
#include <stdlib.h>
#include <string.h>

struct http_wait {
    struct sdk_call *call;
    void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer);
};

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
    };
    wait->fn(call, &answer);
}

static const char *join_url(struct sdk_call *call, const char *setting, const char *path)
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

void sdk_http(struct sdk_call *call, const struct sdk_http_order *order,
              void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    struct http_wait *wait = sdk_memory(call, sizeof *wait);
    wait->call = call;
    wait->fn = fn;
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
        .url = sdk_span(join_url(call, order->setting, order->path)),
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

static void answer_not_answered(struct sdk_call *call, uint32_t ended, const char *why)
{
    if (ended == STANCH_HTTP_LOST && sdk_is_change(call))
        sdk_unknown(call, "unreachable", "%s", why);
    else
        sdk_fail_retry(call, 0, "unreachable", "%s", why);
}

bool sdk_http_ok(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    uint32_t status = answer->status;
    if (answer->ended != STANCH_HTTP_ANSWERED) {
        answer_not_answered(call, answer->ended, answer->why);
        return false;
    }
    if (status >= 200 && status <= 299)
        return true;
    const char *more = excerpt(call, answer);
    if (status == 401)
        sdk_fail(call, "unauthorized", "the remote answered 401: the credentials are missing or wrong%s", more);
    else if (status == 403)
        sdk_fail(call, "forbidden", "the remote answered 403: these credentials may not do this%s", more);
    else if (status == 404)
        sdk_fail(call, "not-found", "the remote answered 404: there is no such thing%s", more);
    else if (status == 409 || status == 412)
        sdk_fail(call, "stale", "the remote answered %u: its state has moved on%s", status, more);
    else if (status == 429)
        sdk_fail_retry(call, answer->retry_after_ms, "rate", "the remote answered 429: too many requests%s", more);
    else if (status == 503)
        sdk_fail_retry(call, answer->retry_after_ms, "unavailable", "the remote answered 503%s", more);
    else if (status >= 500 && sdk_is_change(call))
        sdk_unknown(call, "remote", "the remote answered %u: it may or may not have happened%s", status, more);
    else if (status >= 500)
        sdk_fail_retry(call, answer->retry_after_ms, "remote", "the remote answered %u%s", status, more);
    else if (status >= 300 && status <= 399)
        sdk_fail(call, "remote", "the remote answered %u, a redirect, which is not followed: set the final URL",
                 status);
    else
        sdk_fail(call, "remote", "the remote answered %u%s", status, more);
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
    if (sdk_is_change(call))
        sdk_unknown(call, "protocol", "%s", text);
    else
        sdk_fail(call, "protocol", "%s", text);
    return NULL;
}

const char *sdk_escape(struct sdk_call *call, const char *part)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = sdk_memory(call, strlen(part) * 3 + 1), *at = out;
    for (const char *p = part; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
        if (is_plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return out;
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
    answer_not_answered(call, ended, why);
    return false;
}

struct later_wait {
    struct sdk_call *call;
    sdk_fn fn;
};

static void on_due(struct stanch_call *handle, void *ctx)
{
    (void)handle;
    struct later_wait *wait = ctx;
    wait->fn(wait->call);
}

void sdk_later(struct sdk_call *call, uint32_t delay_ms, sdk_fn fn)
{
    struct later_wait *wait = sdk_memory(call, sizeof *wait);
    wait->call = call;
    wait->fn = fn;
    sdk_host(call)->timer(call->handle, delay_ms, on_due, wait);
}
