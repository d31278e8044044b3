/* starts.c: limits of starts, and the key of a group. */
#include "rule/starts.h"
#include "base/json.h"
#include <stdio.h>

#define DEFAULT_WITHIN_MS 60000

/* ---- how often ---- */

int64_t stanch_starts_reach_ms(const json_t *declared)
{
    const json_t *limits = json_object_get(declared, "limits");
    int64_t cooldown = stanch_json_int(limits, "cooldown_ms", 0);
    int64_t within = stanch_json_int(json_object_get(limits, "at_most"), "within_ms", 0);
    return cooldown > within ? cooldown : within;
}

void stanch_starts_note(json_t *at, int64_t now_ms)
{
    json_array_append_new(at, json_integer(now_ms));
    if (json_array_size(at) > STANCH_STARTS_MAX)
        json_array_remove(at, 0);
}

enum stanch_starts stanch_starts_judge(const json_t *declared, const json_t *at, int64_t now_ms, char why[200])
{
    const json_t *limits = json_object_get(declared, "limits"), *at_most = json_object_get(limits, "at_most");
    int64_t cooldown = stanch_json_int(limits, "cooldown_ms", 0), within = stanch_json_int(at_most, "within_ms", 0);
    int64_t allowed = stanch_json_int(at_most, "count", 0), inside = 0;
    for (size_t i = 0; i < json_array_size(at); i++) {
        int64_t age = now_ms - json_integer_value(json_array_get(at, i));
        inside += within && age < within;
        if (cooldown && age < cooldown) {
            (void)snprintf(why, 200, "its cooldown: it started %lld s ago", (long long)(age / 1000));
            return STANCH_STARTS_COOLDOWN;
        }
    }
    if (at_most && inside >= allowed) {
        (void)snprintf(why, 200, "its limit: %lld starts inside the window already", (long long)inside);
        return STANCH_STARTS_AT_MOST;
    }
    return STANCH_STARTS_MAY;
}

/* ---- for which alerts ---- */

int64_t stanch_starts_group_within_ms(const json_t *declared)
{
    int64_t within = stanch_json_int(json_object_get(declared, "limits"), "group_within_ms", DEFAULT_WITHIN_MS);
    return within > 0 ? within : 0;
}

static json_t *group_key(const json_t *declared, const json_t *event, const json_t *params, const char *incident)
{
    const json_t *labels = json_object_get(event, "labels");
    const json_t *by = json_object_get(json_object_get(declared, "limits"), "group_by");
    json_t *key = json_pack("{s:s, s:s}", "runbook", stanch_json_str(declared, "name", ""), "incident", incident);
    if (!json_is_array(by)) {
        json_object_set(key, "params", (json_t *)(uintptr_t)params);
        return key;
    }
    json_t *values = json_object();
    for (size_t i = 0; i < json_array_size(by); i++) {
        const char *label = json_string_value(json_array_get(by, i));
        json_object_set_new(values, label, json_string(stanch_json_str(labels, label, "")));
    }
    json_object_set_new(key, "labels", values);
    return key;
}

int stanch_starts_group(const json_t *declared, const json_t *event, const json_t *params, const char *incident,
                        char ret[65], struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *key = group_key(declared, event, params, incident);
    return stanch_json_digest("stanch.group", 1, key, ret, err);
}

bool stanch_starts_joins(const json_t *declared, int64_t created_ms, int64_t now_ms)
{
    return now_ms >= created_ms && now_ms - created_ms < stanch_starts_group_within_ms(declared);
}
