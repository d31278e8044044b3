/* range.c: a stretch of time up to now (or `until`), as points, and as one number over all of them. */
#include "prometheus.h"
#include <string.h>

#define DEFAULT_STALE_MS 300000

struct range {
    int64_t start_ms, end_ms, step_ms, stale_ms;
    int64_t points; /* given so far, of all series */
};

/* The points of one series; *ret_newest_ms becomes the time of the newest number. new; NULL: not understood */
static json_t *take_points(const json_t *values, struct prometheus_fold *fold, int64_t *ret_newest_ms)
{
    json_t *points = json_array(), *pair;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)values, i, pair)
    {
        int64_t at = 0;
        double value = 0;
        if (!prometheus_sample(pair, &at, &value)) {
            json_decref(points);
            return NULL;
        }
        prometheus_fold_add(fold, value);
        json_t *number = prometheus_number(value);
        if (!json_is_null(number) && at > *ret_newest_ms)
            *ret_newest_ms = at;
        json_array_append_new(points, json_pack("[I, o]", (json_int_t)at, number));
    }
    return points;
}

static bool is_old(const struct range *range, int64_t newest_ms)
{
    int64_t limit = range->stale_ms > range->step_ms ? range->stale_ms : range->step_ms;
    return newest_ms > 0 && range->end_ms - newest_ms > limit;
}

static void answer_range(struct sdk_call *call, const json_t *result, const json_t *warnings)
{
    struct range *range = sdk_kept(call);
    struct prometheus_fold fold = {.how = prometheus_reduce_of(sdk_arg_str(call, "reduce", NULL))};
    json_t *series = sdk_hold(call, json_array()), *one;
    int64_t newest_ms = 0;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)result, i, one)
    {
        json_t *points = take_points(json_object_get(one, "values"), &fold, &newest_ms);
        const json_t *labels = json_object_get(one, "metric");
        range->points += (int64_t)json_array_size(points);
        if (!points) {
            sdk_fail(call, "protocol", "series %zu of Prometheus' answer has a point that is none", i + 1);
            return;
        }
        json_array_append_new(series, json_pack("{s:o, s:o}", "labels", labels ? json_deep_copy(labels) : json_object(),
                                                "points", points));
    }
    if (range->points > 2 * PROMETHEUS_MAX_POINTS) {
        sdk_fail(call, "refused", "%zu series with %lld points: over %d; use a longer step, or make expr give less",
                 json_array_size(result), (long long)range->points, 2 * PROMETHEUS_MAX_POINTS);
        return;
    }
    const char *why_not = NULL;
    if (is_old(range, newest_ms)) { /* no number of it speaks of now */
        fold.stale += fold.numbers;
        fold.numbers = 0;
    } else if (json_array_size(result) > 1 && fold.how == PROMETHEUS_NONE) {
        why_not =
            sdk_text(call, "%zu series; choose with reduce, or make the expression give one", json_array_size(result));
    }
    prometheus_answer(call, &fold, why_not, json_incref(series), warnings);
}

static void on_answer(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const json_t *warnings = NULL;
    const json_t *data = prometheus_data(call, answer, &warnings);
    const char *type = json_string_value(json_object_get(data, "resultType"));
    if (!data)
        return;
    if (type && strcmp(type, "matrix") == 0)
        answer_range(call, json_object_get(data, "result"), warnings);
    else
        sdk_fail(call, "protocol", "Prometheus answered a range query with %s", type ? type : "no type");
}

/* The arguments, or the call is answered. */
static bool take_args(struct sdk_call *call, struct range *range)
{
    const char *since = sdk_arg_str(call, "since", ""), *until = sdk_arg_str(call, "until", NULL);
    const char *step = sdk_arg_str(call, "step", ""), *stale = sdk_arg_str(call, "stale_after", NULL);
    int64_t back = 0;
    range->end_ms = sdk_now_ms(call);
    range->stale_ms = DEFAULT_STALE_MS;
    if (until && !prometheus_time(until, &range->end_ms))
        sdk_fail(call, "invalid", "until: \"%.40s\" is no time; RFC 3339 or seconds since 1970 were expected", until);
    else if (stale && !prometheus_duration(stale, &range->stale_ms))
        sdk_fail(call, "invalid", "stale_after: \"%.40s\" is no duration such as \"90s\" or \"5m\"", stale);
    else if (!prometheus_duration(step, &range->step_ms))
        sdk_fail(call, "invalid", "step: \"%.40s\" is no duration such as \"15s\"", step);
    else if (!prometheus_duration(since, &back) && !prometheus_time(since, &range->start_ms))
        sdk_fail(call, "invalid", "since: \"%.40s\" is neither a duration such as \"30m\" nor a time", since);
    else {
        range->start_ms = back > 0 ? range->end_ms - back : range->start_ms;
        if (range->start_ms > range->end_ms)
            sdk_fail(call, "invalid", "since: it lies behind the end of the range");
        else if ((range->end_ms - range->start_ms) / range->step_ms >= PROMETHEUS_MAX_POINTS)
            sdk_fail(call, "invalid", "step: more than %d points between since and the end; use a longer step",
                     PROMETHEUS_MAX_POINTS);
        else
            return true;
    }
    return false;
}

void prometheus_range(struct sdk_call *call)
{
    struct range *range = sdk_memory(call, sizeof *range);
    if (!take_args(call, range))
        return;
    sdk_keep(call, range);
    const char *form =
        sdk_text(call, "query=%s&start=%s&end=%s&step=%s", sdk_escape(call, sdk_arg_str(call, "expr", "")),
                 prometheus_seconds(call, range->start_ms), prometheus_seconds(call, range->end_ms),
                 prometheus_seconds(call, range->step_ms));
    prometheus_post(call, "/api/v1/query_range", form, on_answer);
}
