/* declare_guards.c: the parts of `policy { ... }` that go by what has happened: `limits = { ... }`,
 * `breaker = { ... }`.
 * Their data is read by rule/guards.c; core/rule/README.md is their manual. */
#include "script/declare_check.h"

static const struct stanch_bounds share_bounds = {0, 1}, cooldown_bounds = {0, 7 * 86400e3},
                                  within_bounds = {1, 7 * 86400e3};

const struct stanch_section stanch_section_policy_limits = {
    "limits of the policy",
    (const struct stanch_key[]){{"actions", NULL, stanch_read_rate, &within_bounds, NULL, false, "\"number/duration\"",
                                 "mitigations that are sent within a time, in all: \"20/1h\""},
                                {"per_instance", NULL, stanch_read_rate, &within_bounds, NULL, false,
                                 "\"number/duration\"", "the same, by one plugin instance"},
                                {"per_target", NULL, stanch_read_rate, &within_bounds, NULL, false,
                                 "\"number/duration\"", "the same, on one target"},
                                {"cooldown", "cooldown_ms", stanch_read_duration, &cooldown_bounds, NULL, false,
                                 "duration", "the pause between two mitigations on one target"},
                                {"reach", NULL, stanch_read_number, &share_bounds, NULL, false, "number from 0 to 1",
                                 "the reach of one mitigation: its share of servers, traffic or replicas"},
                                {"reach_per_incident", NULL, stanch_read_number, &share_bounds, NULL, false,
                                 "number from 0 to 1", "the reach of all that was sent in one incident, added up"},
                                {"reach_per_hour", NULL, stanch_read_number, &share_bounds, NULL, false,
                                 "number from 0 to 1", "the reach of all that was sent within an hour, added up"},
                                {0}}};

static const struct stanch_bounds after_bounds = {1, 100}, time_bounds = {1000, 7 * 86400e3};

const struct stanch_section stanch_section_breaker = {
    "breaker",
    (const struct stanch_key[]){{"after", NULL, stanch_read_integer, &after_bounds, "3", false, "number",
                                 "so many mitigations of a runbook on a target that did not help open it"},
                                {"within", "within_ms", stanch_read_duration, &time_bounds, "\"1h\"", false, "duration",
                                 "the time in which they count"},
                                {"closes_after", "closes_after_ms", stanch_read_duration, &time_bounds, "\"30m\"",
                                 false, "duration", "how long it is open, if nobody closes it and nothing helps"},
                                {0}}};

void stanch_read_breaker(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    if (lua_isboolean(check->L, idx) && !lua_toboolean(check->L, idx))
        json_object_set_new(into, key->name, json_false());
    else if (lua_istable(check->L, idx))
        stanch_read_section(check, idx, key, into);
    else
        stanch_check_expected(check, idx, "false, or a table like { after = 3 }");
}
