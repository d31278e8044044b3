/* ask.c: send a request that was filled, judge its answer, take the value out of it. */
#include "http.h"
#include <stdlib.h>
#include <string.h>

#define MAX_VALUE  4096        /* bytes of what a plan reads: it stands in the approval */
#define MAX_ANSWER (256 << 10) /* bytes of what a read gives to a runbook */

static bool is_change(const char *step)
{
    return strcmp(step, "apply") == 0 || strcmp(step, "undo") == 0;
}

static json_t *headers_of(struct sdk_call *call, const char *step, const char *etag)
{
    const json_t *own = json_object_get(sdk_settings(sdk_instance(call)), "headers");
    const char *key_header = json_string_value(json_object_get(http_action(call), "key_header"));
    json_t *out = own ? json_deep_copy(own) : json_object();
    if (etag)
        json_object_set_new(out, "If-Match", json_string(etag));
    if (key_header && is_change(step))
        json_object_set_new(out, key_header, json_string(sdk_key(call)));
    return out;
}

void http_send(struct sdk_call *call, const char *step, const struct http_request *request, const char *etag,
               void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    const json_t *secret_headers = json_object_get(sdk_settings(sdk_instance(call)), "secret_headers");
    const char *type = json_string_value(json_object_get(http_step(call, step), "content_type"));
    char *body = request->json ? json_dumps(request->json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct sdk_http_order order = {
        .method = request->method,
        .path = request->path,
        .headers = headers_of(call, step, etag),
        .bearer = "token",
        .basic_user = "user",
        .basic_password = "password",
        .secret_headers = secret_headers ? json_deep_copy(secret_headers) : NULL,
        .body = body ? sdk_text(call, "%s", body) : NULL,
        .content_type = body ? type ? type : "application/json" : NULL,
        .max_body = MAX_ANSWER,
        .is_read = !is_change(step),
    };
    free(body);
    if (is_change(step))
        sdk_http(call, &order, fn); /* not asked again here: what was read before it would be old by then */
    else
        sdk_http_retry(call, &order, fn);
}

/* ---- answers ---- */

static bool has_status(const json_t *list, uint32_t status)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == (json_int_t)status)
            return true;
    return false;
}

bool http_is_expected(struct sdk_call *call, const char *step, const struct sdk_http_answer *answer)
{
    const json_t *expect = json_object_get(http_step(call, step), "expect");
    bool is_2xx = answer->status >= 200 && answer->status <= 299;
    if (has_status(expect, answer->status))
        return true;
    if (expect && is_2xx && is_change(step))
        sdk_unknown(call, "remote", "%s of %s: the remote answered %u, which is not what is expected of it", step,
                    sdk_action(call), answer->status);
    else if (expect && is_2xx)
        sdk_fail(call, "remote", "%s of %s: the remote answered %u, which is not what is expected of it", step,
                 sdk_action(call), answer->status);
    else
        return sdk_http_ok(call, answer);
    return false;
}

bool http_is_same(const json_t *a, const json_t *b)
{
    const char *key;
    json_t *one;
    size_t i;
    if (json_is_number(a) && json_is_number(b) && (json_is_real(a) || json_is_real(b)))
        return json_number_value(a) == json_number_value(b);
    if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
        json_array_foreach((json_t *)(uintptr_t)a, i, one) if (!http_is_same(one, json_array_get(b, i))) return false;
        return true;
    }
    if (json_is_object(a) && json_is_object(b) && json_object_size(a) == json_object_size(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, key,
                            one) if (!http_is_same(one, json_object_get(b, key))) return false;
        return true;
    }
    return a && b && json_equal(a, b);
}

/* ---- reading ---- */

struct reading {
    const char *step; /* whose request it is */
    const char *at;
    void (*fn)(struct sdk_call *call, json_t *value, const char *etag);
};

static bool is_small(const json_t *value)
{
    return json_dumpb(value, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY) <= MAX_VALUE;
}

static void on_read(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct reading *reading = sdk_kept(call);
    const char *etag = json_string_value(json_object_get(answer->headers, "etag"));
    if (has_status(json_object_get(http_step(call, reading->step), "absent"), answer->status)) {
        reading->fn(call, sdk_hold(call, json_null()), etag);
        return;
    }
    const json_t *body = http_is_expected(call, reading->step, answer) ? sdk_http_json(call, answer) : NULL;
    if (!body)
        return; /* the call was answered */
    const json_t *value = sdk_json_at(body, reading->at);
    if (!value)
        sdk_fail(call, "protocol", "%s of %s: there is nothing at %s in the answer", reading->step, sdk_action(call),
                 reading->at);
    else if (sdk_op(call) != STANCH_OP_READ && !is_small(value))
        sdk_fail(call, "protocol", "%s of %s: the value has more than %d bytes; choose a part of it with at",
                 reading->step, sdk_action(call), MAX_VALUE);
    else
        reading->fn(call, (json_t *)(uintptr_t)value, etag);
}

void http_read_value(struct sdk_call *call, const char *step,
                     void (*fn)(struct sdk_call *call, json_t *value, const char *etag))
{
    const json_t *own = http_step(call, step), *read = http_step(call, "read");
    struct http_filling with = {.from = json_object_get(sdk_plan_member(call, "from"), "value")};
    struct reading *reading = sdk_memory(call, sizeof *reading);
    struct http_request request;
    reading->step = json_object_get(own, "path") ? step : "read";
    const char *at = json_string_value(json_object_get(own, "at"));
    at = at || reading->step == step ? at : json_string_value(json_object_get(read, "at"));
    reading->at = at ? at : "";
    reading->fn = fn;
    sdk_keep(call, reading);
    if (http_fill(call, reading->step, &with, &request))
        http_send(call, reading->step, &request, NULL, on_read);
}

/* ---- actions whose effect is read or notify ---- */

static void on_value(struct sdk_call *call, json_t *value, const char *etag)
{
    (void)etag;
    sdk_done(call, json_pack("{s:O}", "value", value));
}

static void on_notified(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (http_is_expected(call, "apply", answer))
        sdk_done(call, json_pack("{s:i}", "status", (int)answer->status));
}

void http_read(struct sdk_call *call)
{
    struct http_filling with = {0};
    struct http_request request;
    if (http_is_word(http_action(call), "effect", "read"))
        http_read_value(call, "read", on_value);
    else if (http_fill(call, "apply", &with, &request))
        http_send(call, "apply", &request, NULL, on_notified);
}
