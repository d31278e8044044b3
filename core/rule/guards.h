/* guards.h: what of the operator's policy goes by what has happened, beside its rules: limits, the breaker. Pure;
 * run/ counts.
 *
 * As data, members of the policy's (policy.h):
 *   "limits":{"actions":{"count":20,"within_ms":3600000},"per_instance":{...},"per_target":{...},"cooldown_ms":300000,
 *             "reach":0.5,"reach_per_incident":0.75,"reach_per_hour":1}      // what is left out is no limit
 *   "breaker":{"after":3,"within_ms":3600000,"closes_after_ms":1800000} | false                // left out: these
 */
#ifndef STANCH_RULE_GUARDS_H
#define STANCH_RULE_GUARDS_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* At most so many within a time. */
struct stanch_rate {
    int64_t count; /* 0: no limit */
    int64_t within_ms;
};
struct stanch_guard_limits {
    bool any;
    struct stanch_rate actions, per_instance, per_target;
    int64_t cooldown_ms;                              /* between two mitigations on one target; 0: none */
    double reach, reach_per_incident, reach_per_hour; /* shares, 0..1; < 0: no limit */
};
/* So many mitigations of a runbook that did not help on a target, within a time: from then on it asks there. */
struct stanch_guard_breaker {
    bool on;
    int64_t after, within_ms, closes_after_ms;
};
struct stanch_guards {
    struct stanch_guard_limits limits;
    struct stanch_guard_breaker breaker;
};

/** Read them out of a policy's data. ret: written also on error.  returns 0 | STANCH_E_INVALID */
int stanch_guards_read(const json_t *policy, struct stanch_guards *ret, struct stanch_err *err);

#endif
