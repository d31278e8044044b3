/* prometheus.h: what the files of this plugin share.
 * Flow   a call -> query.c | range.c ask over HTTP -> sample.c makes numbers of texts -> a value, or no data.
 *
 * "No data" is an answer, not a failure: nothing was found, or what was found is no number (NaN), is infinite
 * (a division by zero measures nothing), or is old. A symptom that has no data is never taken for a good one.
 */
#ifndef PROMETHEUS_H
#define PROMETHEUS_H
#include "stanch/sdk.h"

#define PROMETHEUS_MAX_SERIES 100   /* of an instant query, in the answer; all count for `reduce` */
#define PROMETHEUS_MAX_POINTS 11000 /* of one series: Prometheus' own limit */

enum prometheus_reduce {
    PROMETHEUS_NONE,
    PROMETHEUS_MAX,
    PROMETHEUS_MIN,
    PROMETHEUS_SUM,
    PROMETHEUS_AVG,
    PROMETHEUS_FIRST,
    PROMETHEUS_LAST,
};

/* Numbers become one number. */
struct prometheus_fold {
    enum prometheus_reduce how;
    double sum, best, first, last;
    int64_t numbers;  /* that were counted */
    int64_t left_out; /* that are none: NaN */
    int64_t infinite;
    int64_t stale;
};

/* sample.c: pure */
/** "max", "min", "sum", "avg", "first", "last"; NULL and unknown words: PROMETHEUS_NONE */
enum prometheus_reduce prometheus_reduce_of(const char *word);
/** Whether it can be seconds since 1970: not NaN, not infinite, before the year 5000. */
bool prometheus_is_time(double seconds);
/** [1700000000.123, "1.5e-3"]: false when it is none. NaN and infinities are numbers here. */
bool prometheus_sample(const json_t *pair, int64_t *ret_at_ms, double *ret_value);
void prometheus_fold_add(struct prometheus_fold *fold, double value);
/** Whether the fold gives a number. When not, *ret_why says why, for people; also when something was left out
 * (else NULL). */
bool prometheus_fold_end(struct sdk_call *call, const struct prometheus_fold *fold, double *ret, const char **ret_why);
/** A JSON number, or null for what is none. new */
json_t *prometheus_number(double value);
/** "90s", "5m", "1h30m", "250ms", "1d": milliseconds. false when it is none, or not over 0. */
bool prometheus_duration(const char *text, int64_t *ret_ms);
/** RFC 3339, or seconds since 1970 ("1700000000.5"). */
bool prometheus_time(const char *text, int64_t *ret_ms);
/** "1700000000.123" */
const char *prometheus_seconds(struct sdk_call *call, int64_t ms);

/* query.c */
/** POST a form to an API path, with this instance's credentials. */
void prometheus_post(struct sdk_call *call, const char *path, const char *form,
                     void (*fn)(struct sdk_call *call, const struct sdk_http_answer *answer));
/** The member "data" of a successful answer, or NULL: then the call was answered, with Prometheus' own text. */
const json_t *prometheus_data(struct sdk_call *call, const struct sdk_http_answer *answer, const json_t **ret_warnings);
/** The answer's members that both actions have. series, warnings: series is taken. */
void prometheus_answer(struct sdk_call *call, const struct prometheus_fold *fold, const char *why_not, json_t *series,
                       const json_t *warnings);
void prometheus_query(struct sdk_call *call);

/* range.c */
void prometheus_range(struct sdk_call *call);

#endif
