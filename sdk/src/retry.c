/* retry.c: asking again what is safe to ask again, many pages, and reading back until it holds.
 *
 * Nothing has happened at the remote after "not sent", 429 and 503, so those are asked again whatever it was. What got
 * lost, and other 5xx, may have happened: only a read is asked again. */
#include "inside.h"
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_WAIT_MS 250u
#define MAX_WAIT_MS   8000u
#define MARGIN_MS     100u
#define LEAST_LEFT_MS                                                                                                  \
    1000u /* with less, another request may be cut off: then nobody knows, where this one has said what is */

uint32_t sdk__random(uint32_t below)
{
    uint32_t value = 0;
    if (below == 0 || getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        return 0;
    return value % below;
}

struct retry {
    struct sdk_http_order order; /* its texts and values live as long as the call */
    const char *url;
    struct sdk_http_answer
        last; /* the latest one, for who wakes too late to ask again; what it points at lives likewise */
    uint32_t wait_ms;
    sdk__http_fn fn;
    void *ctx;
};

static bool is_read(const struct sdk_call *call, const struct sdk_http_order *order)
{
    const char *method = order->method ? order->method : "GET";
    return order->is_read || (!sdk_is_change(call) && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0));
}

static bool can_ask_again(const struct sdk_call *call, const struct sdk_http_order *order,
                          const struct sdk_http_answer *answer)
{
    uint32_t status = answer->status;
    if (answer->ended == STANCH_HTTP_NOT_SENT)
        return true;
    if (answer->ended == STANCH_HTTP_LOST)
        return is_read(call, order);
    if (status == 429 || status == 503)
        return true;
    return (status == 500 || status == 502 || status == 504) && is_read(call, order);
}

static void on_answer(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer);

static void ask(struct sdk_call *call, void *ctx)
{
    struct retry *retry = ctx;
    struct sdk_http_order order = retry->order; /* what an order holds is taken each time */
    uint32_t left = sdk_left_ms(call);          /* ends in time to say what it was, before the host says "unknown" */
    if (left > 2 * MARGIN_MS && (order.deadline_ms == 0 || order.deadline_ms > left - MARGIN_MS))
        order.deadline_ms = left - MARGIN_MS;
    order.headers = retry->order.headers ? json_deep_copy(retry->order.headers) : NULL;
    order.json = json_incref(retry->order.json);
    order.secret_headers = json_incref(retry->order.secret_headers);
    sdk__http_at(call, &order, retry->url, on_answer, retry);
}

/* A host that had no processor wakes late. What came back is the truth then; a request that the deadline cuts off would
 * make "unknown" of it. */
static void ask_again(struct sdk_call *call, void *ctx)
{
    struct retry *retry = ctx;
    if (sdk_left_ms(call) < LEAST_LEFT_MS)
        retry->fn(call, retry->ctx, &retry->last);
    else
        ask(call, retry);
}

static void on_answer(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer)
{
    struct retry *retry = ctx;
    uint32_t wait = 1 + sdk__random(retry->wait_ms);
    wait = answer->retry_after_ms > wait ? answer->retry_after_ms : wait;
    if (!can_ask_again(call, &retry->order, answer) || sdk_is_cancelled(call) ||
        (uint64_t)wait + LEAST_LEFT_MS >= sdk_left_ms(call)) {
        retry->fn(call, retry->ctx, answer);
        return;
    }
    retry->wait_ms = retry->wait_ms * 2 > MAX_WAIT_MS ? MAX_WAIT_MS : retry->wait_ms * 2;
    retry->last = *answer;
    sdk__later(call, wait, ask_again, retry);
}

static const char *keep_text(struct sdk_call *call, const char *text)
{
    return text ? sdk_text(call, "%s", text) : NULL;
}

static json_t *keep_json(struct sdk_call *call, json_t *value)
{
    return value ? sdk_hold(call, value) : NULL;
}

static const struct sdk_sigv4 *keep_sigv4(struct sdk_call *call, const struct sdk_sigv4 *sign)
{
    struct sdk_sigv4 *kept = sign ? sdk_memory(call, sizeof *kept) : NULL;
    if (sign)
        *kept =
            (struct sdk_sigv4){keep_text(call, sign->region), keep_text(call, sign->service),
                               keep_text(call, sign->key_id), keep_text(call, sign->key), keep_text(call, sign->token)};
    return kept;
}

/* The caller's texts may be gone when it is asked again. */
static void keep_order(struct sdk_call *call, const struct sdk_http_order *given, struct sdk_http_order *ret)
{
    *ret = *given;
    ret->method = keep_text(call, given->method);
    ret->setting = keep_text(call, given->setting);
    ret->path = NULL; /* stands in the URL */
    ret->headers = keep_json(call, given->headers);
    ret->json = keep_json(call, given->json);
    ret->secret_headers = keep_json(call, given->secret_headers);
    ret->bearer = keep_text(call, given->bearer);
    ret->basic_user = keep_text(call, given->basic_user);
    ret->basic_password = keep_text(call, given->basic_password);
    ret->content_type = keep_text(call, given->content_type);
    ret->sigv4 = keep_sigv4(call, given->sigv4);
    if (given->body) {
        size_t len = given->body_len ? given->body_len : strlen(given->body);
        ret->body = sdk__copy(call, (struct stanch_text){given->body, len});
        ret->body_len = len;
    }
}

void sdk__retry_at(struct sdk_call *call, const struct sdk_http_order *order, const char *url, sdk__http_fn fn,
                   void *ctx)
{
    struct retry *retry = sdk_memory(call, sizeof *retry);
    keep_order(call, order, &retry->order);
    retry->url = url;
    retry->wait_ms = FIRST_WAIT_MS;
    retry->fn = fn;
    retry->ctx = ctx;
    ask(call, retry);
}

struct plain_retry {
    void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer);
};

static void on_plain_answer(struct sdk_call *call, void *ctx, const struct sdk_http_answer *answer)
{
    ((struct plain_retry *)ctx)->fn(call, answer);
}

void sdk_http_retry(struct sdk_call *call, const struct sdk_http_order *order,
                    void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    struct plain_retry *plain = sdk_memory(call, sizeof *plain);
    plain->fn = fn;
    sdk__retry_at(call, order, sdk__join_url(call, order->setting, order->path), on_plain_answer, plain);
}

/* ---- reading back until it holds ---- */

struct look {
    sdk_fn again;
    json_t *seen; /* by the latest one */
};

/* As above: who wakes too late says what it saw last. */
static void look_again(struct sdk_call *call, void *ctx)
{
    struct look *look = ctx;
    if (sdk_left_ms(call) < LEAST_LEFT_MS)
        sdk_holds(call, false, json_incref(look->seen));
    else
        look->again(call);
}

void sdk_not_yet(struct sdk_call *call, sdk_fn again, uint32_t every_ms, uint32_t within_ms, json_t *seen)
{
    uint32_t left = sdk_left_ms(call);
    int64_t now = sdk_now_ms(call);
    if (call->poll_until_ms == 0)
        call->poll_until_ms = now + (within_ms && within_ms < left ? within_ms : left);
    uint32_t wait = every_ms - every_ms / 4 + sdk__random(every_ms / 2 + 1);
    bool is_over = now + wait >= call->poll_until_ms || (uint64_t)wait + LEAST_LEFT_MS >= left;
    if (is_over || sdk_is_cancelled(call)) {
        sdk_holds(call, false, seen);
        return;
    }
    struct look *look = sdk_memory(call, sizeof *look);
    *look = (struct look){again, sdk_hold(call, seen)};
    sdk__later(call, wait, look_again, look);
}
