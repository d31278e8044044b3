/* query.c: one moment. With stale_after, a second question asks when each series was sampled: Prometheus stamps
 * an instant answer with the time of the question, so the sample's own age is not in it.
 *
 *   POST query --> samples --no stale_after--> answer
 *                     '--POST timestamp(query) at the same moment--> ages --> answer
 */
#include "prometheus.h"
#include <string.h>

struct query {
    const char *expr;
    int64_t stale_ms; /* 0: not asked for */
    const json_t *data;
    const json_t *warnings;
};

void prometheus_post(struct sdk_call *call, const char *path, const char *form,
                     void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer))
{
    struct sdk_http_order order = {
        .method = "POST", /* an expression may be longer than a URL */
        .path = path,
        .bearer = "token",
        .basic_user = "user",
        .basic_password = "password",
        .body = form,
        .content_type = "application/x-www-form-urlencoded",
    };
    sdk_http(call, &order, fn);
}

/* Prometheus says in JSON what it did not like: 400 bad_data, 422 execution, 503 timeout or canceled. */
static bool fail_api_error(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    json_t *body = json_loads(answer->body, 0, NULL);
    const json_t *held = body ? sdk_hold(call, body) : NULL;
    const char *type = json_string_value(json_object_get(held, "errorType"));
    const char *text = json_string_value(json_object_get(held, "error"));
    if (!type || !text)
        return false;
    if (answer->status == 503 || strcmp(type, "timeout") == 0 || strcmp(type, "canceled") == 0)
        sdk_fail_retry(call, answer->retry_after_ms, "unavailable", "Prometheus could not answer (%s): %.500s", type,
                       text);
    else
        sdk_fail(call, strcmp(type, "bad_data") == 0 ? "invalid" : "remote", "Prometheus refused it (%s): %.500s", type,
                 text);
    return true;
}

const json_t *prometheus_data(struct sdk_call *call, const struct sdk_http_answer *answer, const json_t **ret_warnings)
{
    bool is_refusal = answer->ended == STANCH_HTTP_ANSWERED &&
                      (answer->status == 400 || answer->status == 422 || answer->status == 503);
    if (is_refusal && fail_api_error(call, answer))
        return NULL;
    if (!sdk_http_ok(call, answer))
        return NULL;
    const json_t *body = sdk_http_json(call, answer);
    if (!body)
        return NULL;
    const json_t *status = json_object_get(body, "status"), *data = json_object_get(body, "data");
    if (json_is_string(status) && strcmp(json_string_value(status), "success") == 0 && json_is_object(data)) {
        *ret_warnings = json_object_get(body, "warnings");
        return data;
    }
    if (!fail_api_error(call, answer))
        sdk_fail(call, "protocol", "this is not the answer of a Prometheus query API; check the setting url");
    return NULL;
}

void prometheus_answer(struct sdk_call *call, const struct prometheus_fold *fold, const char *why_not, json_t *series,
                       const json_t *warnings)
{
    double value = 0;
    const char *why = NULL;
    bool has_value = prometheus_fold_end(call, fold, &value, &why) && !why_not;
    bool is_no_data = !has_value && !why_not;
    json_t *answer = json_pack("{s:o, s:b, s:o}", "value", has_value ? json_real(value) : json_null(), "no_data",
                               is_no_data, "series", series);
    json_object_set_new(answer, "left_out", json_integer(fold->left_out + fold->stale));
    json_object_set_new(answer, "warnings", json_is_array(warnings) ? json_deep_copy(warnings) : json_array());
    if (why_not ? why_not : why)
        json_object_set_new(answer, "why", json_string(why_not ? why_not : why));
    sdk_done(call, answer);
}

/* ---- the answer ---- */

/* When the series of these labels was sampled; -1: the second answer does not have it any more. */
static int64_t sampled_at(const json_t *stamps, const json_t *labels)
{
    /* timestamp() drops the metric's name */
    json_t *bare = json_deep_copy(labels), *one;
    size_t i;
    int64_t at = 0, found = -1;
    double seconds = 0;
    json_object_del(bare, "__name__");
    json_array_foreach((json_t *)(uintptr_t)stamps, i, one)
    {
        if (!json_equal(json_object_get(one, "metric"), bare) ||
            !prometheus_sample(json_object_get(one, "value"), &at, &seconds) || !prometheus_is_time(seconds))
            continue;
        found = (int64_t)(seconds * 1000 + 0.5);
        break;
    }
    json_decref(bare);
    return found;
}

/* Add one sample to the fold and, while there is room, to the series. returns false when it is none */
static bool add_series(const struct query *query, const json_t *stamps, const json_t *labels, const json_t *pair,
                       struct prometheus_fold *fold, json_t *series)
{
    int64_t at = 0;
    double value = 0;
    bool is_stale = false;
    if (!prometheus_sample(pair, &at, &value))
        return false;
    if (stamps) {
        int64_t sampled = sampled_at(stamps, labels);
        is_stale = sampled < 0 || at - sampled > query->stale_ms;
        at = sampled < 0 ? at : sampled;
    }
    if (is_stale)
        fold->stale++;
    else
        prometheus_fold_add(fold, value);
    if (json_array_size(series) >= PROMETHEUS_MAX_SERIES)
        return true;
    json_t *one = json_pack("{s:o, s:o, s:I}", "labels", labels ? json_deep_copy(labels) : json_object(), "value",
                            prometheus_number(value), "at_ms", (json_int_t)at);
    if (json_is_null(json_object_get(one, "value")))
        json_object_set(one, "text", json_array_get(pair, 1));
    if (is_stale)
        json_object_set_new(one, "stale", json_true());
    json_array_append_new(series, one);
    return true;
}

static void answer_vector(struct sdk_call *call, const struct query *query, const json_t *stamps)
{
    const json_t *result = json_object_get(query->data, "result");
    struct prometheus_fold fold = {.how = prometheus_reduce_of(sdk_arg_str(call, "reduce", NULL))};
    json_t *series = sdk_hold(call, json_array()), *one;
    const char *why_not = NULL;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)result, i, one)
    {
        if (!add_series(query, stamps, json_object_get(one, "metric"), json_object_get(one, "value"), &fold, series)) {
            sdk_fail(call, "protocol", "series %zu of Prometheus' answer has no sample", i + 1);
            return;
        }
    }
    size_t count = json_array_size(result);
    if (count > 1 && fold.how == PROMETHEUS_NONE)
        why_not = sdk_text(call, "%zu series; choose with reduce, or make the expression give one", count);
    prometheus_answer(call, &fold, why_not, json_incref(series), query->warnings);
}

static void on_stamps(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const json_t *warnings = NULL;
    const json_t *data = prometheus_data(call, answer, &warnings);
    if (data)
        answer_vector(call, sdk_kept(call), json_object_get(data, "result"));
}

static void ask_stamps(struct sdk_call *call, const struct query *query)
{
    int64_t at = 0;
    double value = 0;
    const json_t *first = json_array_get(json_object_get(query->data, "result"), 0);
    (void)prometheus_sample(json_object_get(first, "value"), &at, &value);
    const char *wrapped = sdk_text(call, "timestamp(%s\n)", query->expr); /* the expression may end in a comment */
    prometheus_post(call, "/api/v1/query",
                    sdk_text(call, "query=%s&time=%s", sdk_escape(call, wrapped), prometheus_seconds(call, at)),
                    on_stamps);
}

static void answer_scalar(struct sdk_call *call, const struct query *query)
{
    struct prometheus_fold fold = {.how = PROMETHEUS_NONE};
    json_t *series = sdk_hold(call, json_array());
    if (add_series(query, NULL, NULL, json_object_get(query->data, "result"), &fold, series))
        prometheus_answer(call, &fold, NULL, json_incref(series), query->warnings);
    else
        sdk_fail(call, "protocol", "Prometheus' answer has no sample");
}

static void on_answer(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct query *query = sdk_kept(call);
    query->data = prometheus_data(call, answer, &query->warnings);
    if (!query->data)
        return;
    const char *type = json_string_value(json_object_get(query->data, "resultType"));
    const json_t *result = json_object_get(query->data, "result");
    if (type && strcmp(type, "scalar") == 0)
        answer_scalar(call, query);
    else if (!type || strcmp(type, "vector") != 0)
        sdk_fail(call, "invalid", "expr gives %s, not a number: %s", type ? type : "nothing that is understood",
                 type && strcmp(type, "matrix") == 0 ? "use the action range, or a function such as avg_over_time"
                                                     : "an instant vector or a scalar was expected");
    else if (query->stale_ms > 0 && json_array_size(result) > 0)
        ask_stamps(call, query);
    else
        answer_vector(call, query, NULL);
}

void prometheus_query(struct sdk_call *call)
{
    struct query *query = sdk_memory(call, sizeof *query);
    const char *at = sdk_arg_str(call, "at", NULL), *stale = sdk_arg_str(call, "stale_after", NULL);
    const char *time_part = "";
    int64_t at_ms = 0;
    query->expr = sdk_arg_str(call, "expr", "");
    if (strspn(query->expr, " \t\r\n") == strlen(query->expr)) {
        sdk_fail(call, "invalid", "expr: it is empty; a PromQL expression was expected");
        return;
    }
    if (stale && !prometheus_duration(stale, &query->stale_ms)) {
        sdk_fail(call, "invalid", "stale_after: \"%.40s\" is no duration such as \"90s\" or \"5m\"", stale);
        return;
    }
    if (at && !prometheus_time(at, &at_ms)) {
        sdk_fail(call, "invalid", "at: \"%.40s\" is no time; RFC 3339 or seconds since 1970 were expected", at);
        return;
    }
    if (at)
        time_part = sdk_text(call, "&time=%s", prometheus_seconds(call, at_ms));
    sdk_keep(call, query);
    prometheus_post(call, "/api/v1/query", sdk_text(call, "query=%s%s", sdk_escape(call, query->expr), time_part),
                    on_answer);
}
