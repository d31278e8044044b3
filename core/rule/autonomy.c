/* autonomy.c: reading and asking the part of the policy that is about runbooks as a whole. */
#include "rule/autonomy.h"
#include "base/json.h"
#include "rule/glob.h"
#include <stdio.h>
#include <string.h>

static const char *const words[] = {"auto", "suggest", "observe"};

const char *stanch_autonomy_word(enum stanch_autonomy_mode mode)
{
    return words[mode];
}

static int read_mode(const json_t *said, enum stanch_autonomy_mode *ret, struct stanch_err *err)
{
    const char *word = stanch_json_str(said, "autonomy", NULL),
               *changed = stanch_json_str(said, "autonomy_changed", NULL);
    for (size_t i = 0; word && i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], word) == 0) {
            *ret = (enum stanch_autonomy_mode)i;
            word = NULL;
        }
    if (word || (json_object_get(said, "autonomy") && !stanch_json_str(said, "autonomy", NULL)))
        return stanch_err_set(err, STANCH_E_INVALID, "autonomy: expected \"auto\", \"suggest\" or \"observe\"");
    if (json_object_get(said, "autonomy_changed") &&
        (!changed || (strcmp(changed, "auto") != 0 && strcmp(changed, "suggest") != 0)))
        return stanch_err_set(err, STANCH_E_INVALID, "autonomy_changed: expected \"suggest\" or \"auto\"");
    return 0;
}

int stanch_autonomy_verify(const json_t *policy, struct stanch_err *err)
{
    enum stanch_autonomy_mode mode = STANCH_AUTONOMY_AUTO;
    const json_t *rules = json_object_get(policy, "runbook_rules");
    int rc = read_mode(policy, &mode, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        rc = read_mode(rule, &mode, err);
        if (rc == 0 && !*stanch_json_str(rule, "runbook", ""))
            rc = stanch_err_set(err, STANCH_E_INVALID, "runbook: missing");
        if (rc < 0)
            rc = stanch_err_wrap(err, "runbook_rules[%zu]", i + 1);
    }
    return rc;
}

static void take(const json_t *said, struct stanch_autonomy *ret)
{
    const char *changed = stanch_json_str(said, "autonomy_changed", NULL);
    (void)read_mode(said, &ret->mode, NULL);
    if (changed)
        ret->changed_asks = strcmp(changed, "auto") != 0;
}

void stanch_autonomy_of(const json_t *policy, const char *runbook, struct stanch_autonomy *ret)
{
    const json_t *rules = json_object_get(policy, "runbook_rules");
    *ret = (struct stanch_autonomy){.mode = STANCH_AUTONOMY_AUTO, .changed_asks = true};
    take(policy, ret);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        if (!stanch_glob_matches(stanch_json_str(rule, "runbook", ""), runbook))
            continue;
        take(rule, ret);
        stanch_rule__clip(stanch_json_str(rule, "name", ""), ret->rule, sizeof ret->rule);
        return;
    }
}
