/* undo.h: the machine of one undo, shared by undo.c (order and question) and undo_effect.c (effect and outcome). It is
 * ordered by a run (through the gate), by a person, or by the end of a lease. It is a compare-and-set in the plugin on the
 * value that was set, and has intent and outcome like every effect.
 *
 *   in-force --intent--> undoing --done--> undone
 *                           |   \--failed--> in-force     (mitigation.undo-failed)
 *                           \------unknown--> unknown     (a person looks, or orders it again)
 */
#ifndef STANCH_RUN_UNDO_H
#define STANCH_RUN_UNDO_H
#include "run/engine.h"

struct stanch_undo {
    struct stanch_effect effect; /* first */
    json_t *mitigation;
    char by[64];
    char reason[200];
    stanch_engine_done done;
    void *done_ctx;
    int done_rc;
    struct stanch_err done_err;
};

/* undo_effect.c */
/** Fill op->state. mitigation, by, reason: copied. returns 0 | STANCH_E_NOT_FOUND the plugin or its action is gone; op->state
 *  is filled all the same */
int stanch_undo__prepare(struct stanch_op *op, const json_t *mitigation, const char *by, const char *reason,
                         struct stanch_err *err);
/** The id of the mitigation that is taken back. borrowed */
const char *stanch_undo__mitigation(const struct stanch_undo *undo);
/** After a restart: an intent is out; hold the targets again, and ask the plugin what happened. */
void stanch_undo__look_again(struct stanch_op *op);
/** Its end: tell who ordered it, once batch (taken) is committed. err: text, when rc is not 0. The op must not be touched
 *  afterwards. */
void stanch_undo__finish(struct stanch_op *op, struct stanch_batch *batch, int rc, const struct stanch_err *err);

#endif
