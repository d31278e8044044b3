/* action.h: the machine of one action, shared by action.c (start and plan), action_gate.c (gate and question), bound.c
 * (what was approved), act.c (effect and outcome), action_proof.c (verify and answer) and action_read.c (what has no effect).
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
/** Has it this call ("verify", "undo")? */
bool stanch_action__declares(const struct stanch_op *op, const char *call_op);
struct stanch_action *stanch_action__of(struct stanch_op *op);
/** Nothing left: let go of the targets, answer with the error. The op must not be touched afterwards. */
void stanch_action__fail(struct stanch_op *op, const struct stanch_err *err);
/** A run that is stuck starts nothing any more, but for what a person has approved: its step stays where it is. returns true:
 *  it is, and the op is gone. */
bool stanch_action__is_stuck(struct stanch_op *op);
/** Ask the plugin what would change, once all that is appended is committed; then to the gate. */
void stanch_action__plan(struct stanch_op *op);
/** A read that was refused with rc, nothing of it was sent: when its host is coming back by itself, call `again` in a
 *  while (bounded: 10 s in all) and return true. */
bool stanch_action__await_host(struct stanch_op *op, int rc, stanch_loop_fn again);

/* action_gate.c */
/** It is planned: refuse it, ask, hold its targets, or send it when they are held. */
void stanch_action__pass_gate(struct stanch_op *op);
/** It is approved, its targets are held, and the plan was made again: send it when it is what was approved, else ask anew. */
void stanch_action__use_approval(struct stanch_op *op);
/** Wait for its targets; then to the gate, or to the plan once more. */
void stanch_action__hold(struct stanch_op *op);

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
void stanch_action__notify(struct stanch_op *op);
/** After a restart, by the step's document: sent, acted, or unknown. */
void stanch_action__recover_effect(struct stanch_op *op, const json_t *doc);
/** The answer to a question about an unknown outcome. */
void stanch_action__told(struct stanch_op *op, const char *decision, const char *by, const char *note);

/* action_proof.c */
/** It was done, and that is recorded: read it back until it holds, where it can be, and answer. */
void stanch_action__prove(struct stanch_op *op);
/** It was done: let go of the targets, answer the run, if there still is one. The op must not be touched afterwards. */
void stanch_action__answer_done(struct stanch_op *op, bool verified);

/* action_read.c */
void stanch_action__read(struct stanch_op *op);

#endif
