/* escalation.c: the ladder of those who are asked. */
#include "rule/escalation.h"
#include "base/json.h"
#include <string.h>

#define MAX_WITHIN_MS (24LL * 3600 * 1000) /* PROMISES.md 1.4 */

int stanch_escalation_check(const json_t *escalation, struct stanch_err *err)
{
    static const char *const words[] = {"role", "ic", "lead", "comms", "scribe", "pool"};
    for (size_t i = 0; i < json_array_size(escalation); i++) {
        const json_t *rung = json_array_get(escalation, i);
        const char *to = stanch_json_str(rung, "to", "");
        int64_t within_ms = stanch_json_int(rung, "within_ms", STANCH_ESCALATION_WITHIN_MS);
        bool is_known = false;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            is_known = is_known || strcmp(words[k], to) == 0;
        if (!is_known)
            return stanch_err_set(
                err, STANCH_E_INVALID,
                "escalation[%zu].to: expected \"role\", \"ic\", \"lead\", \"comms\", \"scribe\" or \"pool\"", i + 1);
        if (within_ms <= 0 || within_ms > MAX_WITHIN_MS)
            return stanch_err_set(err, STANCH_E_INVALID, "escalation[%zu].within: expected more than 0, at most 24h",
                                  i + 1);
    }
    return 0;
}

int stanch_escalation_next(const json_t *escalation, int n, const char **ret_to, int64_t *ret_within_ms)
{
    int count = (int)json_array_size(escalation), next = n < count ? n + 1 : count;
    const json_t *rung = next > 0 ? json_array_get(escalation, (size_t)next - 1) : NULL;
    *ret_to = stanch_json_str(rung, "to", "pool");
    *ret_within_ms = stanch_json_int(rung, "within_ms", STANCH_ESCALATION_WITHIN_MS);
    return next;
}
