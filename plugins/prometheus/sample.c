/* sample.c: Prometheus' texts as numbers and times, and many numbers as one. Pure. */
#include "prometheus.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum prometheus_reduce prometheus_reduce_of(const char *word)
{
    static const char *const words[] = {"", "max", "min", "sum", "avg", "first", "last"};
    for (int i = 1; word && i < 7; i++)
        if (strcmp(words[i], word) == 0)
            return (enum prometheus_reduce)i;
    return PROMETHEUS_NONE;
}

bool prometheus_is_time(double seconds)
{
    return fabs(seconds) < 1e11; /* NaN is not */
}

bool prometheus_sample(const json_t *pair, int64_t *ret_at_ms, double *ret_value)
{
    const json_t *at = json_array_get(pair, 0);
    const char *text = json_string_value(json_array_get(pair, 1));
    char *end = NULL;
    if (json_array_size(pair) != 2 || !prometheus_is_time(json_number_value(at)) || !json_is_number(at) || !text ||
        *text == '\0')
        return false;
    *ret_value = strtod(text, &end); /* "NaN", "+Inf" and "1.5e-3" as strtod has them */
    *ret_at_ms = (int64_t)llround(json_number_value(at) * 1000);
    return *end == '\0';
}

void prometheus_fold_add(struct prometheus_fold *fold, double value)
{
    if (isnan(value)) {
        fold->left_out++;
        return;
    }
    if (isinf(value)) {
        fold->infinite++;
        return;
    }
    bool is_better = fold->how == PROMETHEUS_MIN ? value < fold->best : value > fold->best;
    if (fold->numbers == 0)
        fold->first = value;
    if (fold->numbers == 0 || is_better)
        fold->best = value;
    fold->last = value;
    fold->sum += value;
    fold->numbers++;
}

static double fold_value(const struct prometheus_fold *fold)
{
    switch (fold->how) {
    case PROMETHEUS_MAX:
    case PROMETHEUS_MIN:
        return fold->best;
    case PROMETHEUS_SUM:
        return fold->sum;
    case PROMETHEUS_AVG:
        return fold->sum / (double)fold->numbers;
    case PROMETHEUS_FIRST:
        return fold->first;
    case PROMETHEUS_LAST:
    case PROMETHEUS_NONE:
        break;
    }
    return fold->last;
}

bool prometheus_fold_end(struct sdk_call *call, const struct prometheus_fold *fold, double *ret, const char **ret_why)
{
    int64_t all = fold->numbers + fold->left_out + fold->infinite + fold->stale;
    *ret_why = NULL;
    if (fold->infinite > 0) /* to leave it out could hide the worst of all */
        *ret_why = all == 1 ? "the value is infinite: a division by zero?"
                            : sdk_text(call, "%lld of %lld values are infinite: a division by zero?",
                                       (long long)fold->infinite, (long long)all);
    else if (all == 0)
        *ret_why = "nothing matched";
    else if (fold->numbers == 0 && fold->stale > 0)
        *ret_why = "the newest sample is older than stale_after";
    else if (fold->numbers == 0)
        *ret_why = "there is no number: NaN";
    if (*ret_why)
        return false;
    if (fold->left_out + fold->stale > 0)
        *ret_why = sdk_text(call, "%lld of %lld values were left out: %s", (long long)(fold->left_out + fold->stale),
                            (long long)all, fold->stale ? "NaN, or stale" : "NaN");
    *ret = fold_value(fold);
    return isfinite(*ret) != 0;
}

json_t *prometheus_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static int64_t unit_ms(const char **at)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*at, units[i].name, len) == 0) {
            *at += len;
            return units[i].ms;
        }
    }
    return 0;
}

bool prometheus_duration(const char *text, int64_t *ret_ms)
{
    int64_t sum = 0;
    if (!text || *text == '\0')
        return false;
    while (*text) {
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 9)
            return false;
        int64_t count = strtoll(text, NULL, 10);
        text += digits;
        int64_t unit = unit_ms(&text);
        if (unit == 0)
            return false;
        sum += count * unit;
    }
    *ret_ms = sum;
    return sum > 0;
}

bool prometheus_time(const char *text, int64_t *ret_ms)
{
    char *end = NULL;
    if (!text || *text < '0' || *text > '9')
        return false;
    if (strchr(text, '-') && strchr(text, ':'))
        return sdk_time_parse(text, ret_ms);
    double seconds = strtod(text, &end);
    if (*end != '\0' || !(seconds < 1e11))
        return false;
    *ret_ms = (int64_t)llround(seconds * 1000);
    return true;
}

const char *prometheus_seconds(struct sdk_call *call, int64_t ms)
{
    return sdk_text(call, "%lld.%03lld", (long long)(ms / 1000), (long long)(ms % 1000));
}
