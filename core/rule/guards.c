/* guards.c: reading what of the policy goes by what has happened. The file was checked when it was declared
 * (script/declare_guards.c); what is wrong all the same is an error here too, and never no limit. */
#include "rule/guards.h"
#include "base/json.h"

#define MAX_WITHIN_MS (7LL * 86400 * 1000) /* what is younger is never pruned (timeline/prune.h) */

static int read_rate(const json_t *limits, const char *key, struct stanch_rate *ret, struct stanch_err *err)
{
    const json_t *rate = json_object_get(limits, key);
    if (!rate || json_is_null(rate))
        return 0;
    ret->count = stanch_json_int(rate, "count", 0);
    ret->within_ms = stanch_json_int(rate, "within_ms", 0);
    if (ret->count < 1 || ret->within_ms < 1 || ret->within_ms > MAX_WITHIN_MS)
        return stanch_err_set(err, STANCH_E_INVALID, "limits.%s: expected a number and a time, like 3/1h", key);
    return 0;
}

static int read_share(const json_t *limits, const char *key, double *ret, struct stanch_err *err)
{
    const json_t *share = json_object_get(limits, key);
    *ret = -1;
    if (!share || json_is_null(share))
        return 0;
    if (!json_is_number(share) || json_number_value(share) < 0 || json_number_value(share) > 1)
        return stanch_err_set(err, STANCH_E_INVALID, "limits.%s: expected a share from 0 to 1", key);
    *ret = json_number_value(share);
    return 0;
}

static int read_limits(const json_t *limits, struct stanch_guard_limits *ret, struct stanch_err *err)
{
    int rc = read_rate(limits, "actions", &ret->actions, err);
    rc = rc ? rc : read_rate(limits, "per_instance", &ret->per_instance, err);
    rc = rc ? rc : read_rate(limits, "per_target", &ret->per_target, err);
    rc = rc ? rc : read_share(limits, "reach", &ret->reach, err);
    rc = rc ? rc : read_share(limits, "reach_per_incident", &ret->reach_per_incident, err);
    rc = rc ? rc : read_share(limits, "reach_per_hour", &ret->reach_per_hour, err);
    ret->cooldown_ms = stanch_json_int(limits, "cooldown_ms", 0);
    if (rc == 0 && (ret->cooldown_ms < 0 || ret->cooldown_ms > MAX_WITHIN_MS))
        rc = stanch_err_set(err, STANCH_E_INVALID, "limits.cooldown: expected a time, at most 7d");
    ret->any = ret->actions.count || ret->per_instance.count || ret->per_target.count || ret->cooldown_ms ||
               ret->reach >= 0 || ret->reach_per_incident >= 0 || ret->reach_per_hour >= 0;
    return rc;
}

static int read_breaker(const json_t *breaker, struct stanch_guard_breaker *ret, struct stanch_err *err)
{
    ret->on = !json_is_false(breaker);
    ret->after = stanch_json_int(breaker, "after", 3);
    ret->within_ms = stanch_json_int(breaker, "within_ms", 3600LL * 1000);
    ret->closes_after_ms = stanch_json_int(breaker, "closes_after_ms", 1800LL * 1000);
    bool is_data = !breaker || json_is_false(breaker) || json_is_object(breaker);
    if (!is_data || ret->after < 1 || ret->after > 100 || ret->within_ms < 1 || ret->within_ms > MAX_WITHIN_MS ||
        ret->closes_after_ms < 1 || ret->closes_after_ms > MAX_WITHIN_MS)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "breaker: expected false, or a table with after from 1 to 100, and "
                              "within and closes_after of at most 7d");
    return 0;
}

int stanch_guards_read(const json_t *policy, struct stanch_guards *ret, struct stanch_err *err)
{
    *ret = (struct stanch_guards){0};
    int rc = read_limits(json_object_get(policy, "limits"), &ret->limits, err);
    return rc ? rc : read_breaker(json_object_get(policy, "breaker"), &ret->breaker, err);
}
