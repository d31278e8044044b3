/* autonomy.h: how much of its own a runbook may do, as the operator's policy says. Pure.
 *
 * As data, members of the policy's (policy.h):
 *   "autonomy":"auto"|"suggest"|"observe"       // of all runbooks; left out: auto
 *   "autonomy_changed":"suggest"|"auto"         // of one whose digest no person has accepted; left out: suggest
 *   "runbook_rules":[{"name","line","runbook":glob,"autonomy"?,"autonomy_changed"?}]
 * The first rule whose glob is the runbook's name decides; what it leaves out is as for all.
 */
#ifndef STANCH_RULE_AUTONOMY_H
#define STANCH_RULE_AUTONOMY_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>

enum stanch_autonomy_mode { STANCH_AUTONOMY_AUTO, STANCH_AUTONOMY_SUGGEST, STANCH_AUTONOMY_OBSERVE };

struct stanch_autonomy {
    enum stanch_autonomy_mode mode;
    bool changed_asks; /* while its digest is not accepted */
    char rule[80];     /* the name of the rule that says it, cut; "": what holds for all */
};

/** "auto", "suggest", "observe"; static. */
const char *stanch_autonomy_word(enum stanch_autonomy_mode mode);
/** Is this part of a policy's data good? returns 0 | STANCH_E_INVALID */
int stanch_autonomy_verify(const json_t *policy, struct stanch_err *err);
/** What a policy's data (verified) says of a runbook. */
void stanch_autonomy_of(const json_t *policy, const char *runbook, struct stanch_autonomy *ret);

#endif
