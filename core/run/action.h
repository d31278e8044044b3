/* action.h: the machine of one action, shared by action.c (plan and question), bound.c (what was approved)
 * and act.c (effect and proof).
 *
 *   start -> plan -> gate --allow--> hold -> (plan again if the world moved) -> intent -> apply -> verify -> answer
 *                      \--ask--> question --approve--> hold -> plan again --same--> intent ...
 *                      |             |                        \--another--> void, ask anew
 *                      |             \--deny--> error "denied"
 *                      \--refuse--> error
 */
#ifndef STANCH_RUN_ACTION_H
#define STANCH_RUN_ACTION_H
#include "run/engine.h"

struct stanch_action {
    struct stanch_effect effect; /* first: the callbacks of an effect find the action by it */
    json_t *plan;
    char digest[65];
    char granted[32];       /* the approval that was granted, until the intent consumes it */
    int64_t effects_before; /* engine->effects when the plan was asked for */
    bool planned;           /* step.planned is appended for this digest */
    int verify_tries;
    int64_t verify_until_mono_ms; /* of an action whose effect takes its time (verify_ms); 0: of another one */
    bool unknown;                 /* a person is asked what happened */
    int waits;                    /* how often it waited for its host to come back */
    char mitigation[32];
    json_t *value; /* what apply answered */
};

/* action.c */
const char *stanch_action__instance(const struct stanch_op *op);
const char *stanch_action__name(const struct stanch_op *op);
const json_t *stanch_action__args(const struct stanch_op *op);
/** The declaration of the action; NULL: the instance or action is gone. borrowed until the loop turns. */
const json_t *stanch_action__declared(const struct stanch_op *op);
struct stanch_action *stanch_action__of(struct stanch_op *op);
/** A read that was refused with rc, nothing of it was sent: when its host is coming back by itself, call `again` in a
 *  while (bounded: 10 s in all) and return true. */
bool stanch_action__await_host(struct stanch_op *op, int rc, stanch_loop_fn again);

/* bound.c */
/** What is planned becomes what would be approved, under the rules that decided about it: action->digest. ret_same: so it was
 *  before. returns 0 | why it has no digest */
int stanch_action__bind(struct stanch_op *op, const struct stanch_gate *gate, bool *ret_same, struct stanch_err *err);
/** Why what was approved is not what would run now, in the words of the new question; NULL: it is. borrowed from gate, or static */
const char *stanch_action__why_void(const struct stanch_op *op, const struct stanch_gate *gate, bool same_plan);

/* act.c */
/** Commit the intent and go on to the answer. The targets are held. */
void stanch_action__send(struct stanch_op *op);
/** The same for an action without plan (effect "notify"). */
void stanch_action__read(struct stanch_op *op);
/** After a restart, by the step's document: sent, acted, or unknown. */
void stanch_action__recover_effect(struct stanch_op *op, const json_t *doc);
/** The answer to a question about an unknown outcome. */
void stanch_action__told(struct stanch_op *op, const char *decision, const char *by, const char *note);

#endif
