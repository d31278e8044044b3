/* authority.h: may this person answer that question, now? Asked by stanch_engine_decide, the one function that releases a held
 * step, and again when what was approved is about to be used.
 *
 *   a question   of an incident           who may answer
 *   to the ic    who holds ic there, now; with a quorum above 1 the others may approve too, and one of them must hold it
 *   to the pool  one of the pool, who takes the role by answering; and who holds the role
 *   of none      who may approve
 *
 * A role that nobody holds is asked of the pool at once; a role that is none of the four (roles.h) is the pool's too, and
 * there is nothing to take. Programs answer nothing. Without a people file all this is off: who comes in may answer.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_AUTHORITY_H
#define STANCH_RUN_AUTHORITY_H
#include "incident/roles.h"
#include "run/run.h"

/** What comes with an answer. */
struct stanch_authority {
    bool takes_role; /* change says which: it goes into the batch before the answer */
    struct stanch_role_change change;
    char exception[200]; /* why it counts although a rule speaks against it; "": none does */
};

/** May this be answered so? question: the approval's document. returns 0 | STANCH_E_FORBIDDEN, the text says what to do instead |
 *  STANCH_E_INVALID break-glass without a reason, or where it is of no use */
int stanch_authority_check(struct stanch_engine *engine, const json_t *question, const struct stanch_answer *answer,
                           struct stanch_authority *ret, struct stanch_err *err);
/** Take from granted (names of people) who may no longer approve. returns new, the names that were taken out, or NULL: none */
json_t *stanch_authority_drop(const struct stanch_engine *engine, json_t *granted);
/** Is the one whose word it needs among them: who holds the role? taker: who takes it with this answer; "". */
bool stanch_authority_is_whole(struct stanch_engine *engine, const json_t *question, const json_t *granted,
                               const char *taker);
/** Was it approved by somebody who could no longer do so? approval: its document. returns why it is void, static; NULL: it counts */
const char *stanch_authority_why_void(struct stanch_engine *engine, const json_t *approval);
/** Whom a question to this role is asked of now: the role, or the pool when nobody holds it. static, or role itself */
const char *stanch_authority_asked(struct stanch_engine *engine, const char *chain, const char *role);

/** stanch_engine_role_changed, but for one question: that which is being answered. */
int stanch_authority_move(struct stanch_engine *engine, const struct stanch_role_change *change, const char *except,
                          struct stanch_batch *batch, struct stanch_err *err);

#endif
