/* undo_effect.c: an undo from its intent to its outcome, and to who ordered it being told. */
#include "run/undo.h"
#include "base/mem.h"
#include <string.h>

#define MAX_SENDS 3

const char *stanch_undo__mitigation(const struct stanch_undo *undo)
{
    return stanch_json_str(undo->mitigation, "id", "");
}

/* ---- telling the end ---- */

static void on_told(void *ctx)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    struct stanch_undo *undo = op->state;
    STANCH_AUTO_JSON json_t *doc =
        stanch_journal_get(op->engine->journal, STANCH_VIEW_COMMITTED, "mitigation", stanch_undo__mitigation(undo));
    if (undo->done)
        undo->done(undo->done_ctx, undo->done_rc, &undo->done_err, doc);
    stanch_op__free(op);
}

void stanch_undo__finish(struct stanch_op *op, struct stanch_batch *batch, int rc, const struct stanch_err *err)
{
    struct stanch_undo *undo = op->state;
    stanch_targets_release(op->engine->targets, &op->hold);
    if (op->run && !op->cancelled) {
        json_t *answer = rc == 0 ? json_pack("{s:{s:s}}", "ok", "mitigation", stanch_undo__mitigation(undo))
                                 : stanch_op__error(stanch_err_word(rc), err->text);
        stanch_op__answer(op, batch, answer);
        return;
    }
    undo->done_rc = rc;
    undo->done_err = *err;
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    stanch_op__away(op);
    stanch_journal_barrier(op->engine->journal, on_told, op);
}

/* ---- intent and outcome ---- */

static void intend(struct stanch_effect *effect, struct stanch_batch *batch)
{
    struct stanch_op *op = effect->op;
    struct stanch_undo *undo = op->state;
    stanch_op__ask(op, batch, NULL);
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:O, s:n}", "mitigation", stanch_undo__mitigation(undo), "by",
                  undo->by, "reason", undo->reason, "instance", effect->instance, "action", effect->action, "attempt",
                  (json_int_t)effect->attempt, "undo_key", json_object_get(effect->input, "key"), "ordered_by");
    json_object_set_new(data, "undo_step", op->run_id[0] ? json_string(op->id) : json_null());
    if (op->approval[0] && op->granted) {
        stanch_approval__close(op->engine, op->approval, "approval.consumed", "used", batch);
        op->approval[0] = 0;
    }
    stanch_batch_add(batch, op->chain, "mitigation.undoing", undo->by, op->run_id[0] ? op->run_id : NULL, data);
}

static void add_ended(struct stanch_effect *effect, const char *kind, const json_t *value, const struct stanch_err *why,
                      struct stanch_batch *batch)
{
    struct stanch_op *op = effect->op;
    struct stanch_undo *undo = op->state;
    json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:s}", "mitigation", stanch_undo__mitigation(undo), "by", undo->by,
                             "instance", effect->instance, "action", effect->action, "reason", undo->reason);
    if (value)
        json_object_set_new(data, "undo_value", json_deep_copy(value));
    json_object_set_new(data, "doubt", effect->doubt ? json_true() : json_null());
    if (why) {
        json_object_set_new(data, "why", json_string(why->text));
        stanch_json_set_str(data, "undo_by_hand", stanch_json_str(undo->mitigation, "undo_by_hand", NULL));
    }
    stanch_batch_add(batch, op->chain, kind, undo->by, op->run_id[0] ? op->run_id : NULL, data);
}

static int describe_end(const struct stanch_undo *undo, enum stanch_outcome outcome, const struct stanch_err *why,
                        struct stanch_err *err)
{
    if (outcome == STANCH_OUTCOME_DONE)
        return 0;
    if (outcome == STANCH_OUTCOME_FAILED)
        return stanch_err_set(err, why->code, "%s was not undone: %s", stanch_undo__mitigation(undo), why->text);
    return stanch_err_set(err, STANCH_E_TIMEOUT, "whether %s was undone is unknown: %s. By hand: %s",
                          stanch_undo__mitigation(undo), why->text,
                          stanch_json_str(undo->mitigation, "undo_by_hand", "(no command known)"));
}

/* Nobody waits for this undo, and it did not succeed: its run has ended meanwhile, or it was the lease's. */
static void ask_keep(struct stanch_op *op, const char *why, struct stanch_batch *batch)
{
    const struct stanch_undo *undo = op->state;
    STANCH_AUTO_FREE char *because = stanch_asprintf("%s. Keep or undo?", why);
    STANCH_AUTO_JSON json_t *left = json_pack("[{s:s, s:s, s:s}]", "id", stanch_undo__mitigation(undo), "instance",
                                              undo->effect.instance, "action", undo->effect.action);
    stanch_mitigation__ask_keep(op->engine, op->chain, stanch_json_str(undo->mitigation, "run", NULL), because, left,
                                batch);
}

static void on_ended(struct stanch_effect *effect, enum stanch_outcome outcome, const json_t *value,
                     const struct stanch_err *why, bool retry)
{
    struct stanch_op *op = effect->op;
    struct stanch_undo *undo = op->state;
    (void)retry;
    bool again = effect->looked && effect->attempt < MAX_SENDS && !op->cancelled;
    effect->looked = false;
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err = *why;
    if (!again && outcome == STANCH_OUTCOME_FAILED && effect->doubt) {
        stanch_err_wrap(&err, "what became of an earlier call is not known, and the last one failed");
        outcome = STANCH_OUTCOME_UNKNOWN;
        why = &err;
    }
    const char *kind = outcome == STANCH_OUTCOME_DONE     ? "mitigation.undone"
                       : outcome == STANCH_OUTCOME_FAILED ? "mitigation.undo-failed"
                                                          : "mitigation.undo-unknown";
    add_ended(effect, kind, value, outcome == STANCH_OUTCOME_DONE ? NULL : why, batch);
    if (again) {
        stanch_effect__start(effect, batch);
        return;
    }
    if (outcome == STANCH_OUTCOME_DONE) {
        stanch_mitigation__forget(op->engine, stanch_undo__mitigation(undo));
        stanch_in_force__forget(op->engine, stanch_undo__mitigation(undo),
                                json_object_get(undo->mitigation, "targets"));
        stanch_engine__count(op->engine, "mitigations_undone");
    }
    if (outcome != STANCH_OUTCOME_DONE) /* its lease goes on */
        stanch_engine__due(op->engine, stanch_json_int(undo->mitigation, "lease_ends_ms", INT64_MAX));
    struct stanch_err told = {0};
    int rc = describe_end(undo, outcome, why, &told);
    int64_t lease_ends = stanch_json_int(undo->mitigation, "lease_ends_ms", 0);
    bool lapsed = lease_ends && lease_ends <= stanch_engine__now(op->engine); /* while the undo was under way */
    if (rc < 0 && !op->by_person && (!op->run || op->cancelled || lapsed))
        ask_keep(op, told.text, batch);
    stanch_undo__finish(op, batch, rc, &told);
}

int stanch_undo__prepare(struct stanch_op *op, const json_t *mitigation, const char *by, const char *reason,
                         struct stanch_err *err)
{
    struct stanch_undo *undo = STANCH_NEW(struct stanch_undo);
    op->state = undo;
    undo->mitigation = json_deep_copy(mitigation);
    (void)snprintf(undo->by, sizeof undo->by, "%s", by);
    (void)snprintf(undo->reason, sizeof undo->reason, "%s", reason);
    undo->effect.intend = intend;
    undo->effect.ended = on_ended;
    const char *state = stanch_json_str(mitigation, "state", "");
    undo->effect.doubt = strcmp(state, "unknown") == 0 || stanch_json_bool(mitigation, "doubt", false);
    STANCH_AUTO_FREE char *key_of =
        stanch_asprintf("undo:%s:%s", stanch_json_str(mitigation, "id", ""), stanch_json_str(mitigation, "step", ""));
    int rc = stanch_effect__prepare(&undo->effect, op, "undo", stanch_json_str(mitigation, "instance", ""),
                                    stanch_json_str(mitigation, "action", ""), json_object_get(mitigation, "args"),
                                    json_object_get(mitigation, "plan"), key_of, err);
    if (rc == 0)
        stanch_json_set_str(undo->effect.input, "because", undo->reason);
    return rc;
}

static void on_held_again(void *ctx)
{
    struct stanch_op *op = ctx;
    struct stanch_undo *undo = op->state;
    stanch_effect__reconcile(&undo->effect);
}

void stanch_undo__look_again(struct stanch_op *op)
{
    struct stanch_undo *undo = op->state;
    undo->effect.attempt = (int)stanch_json_int(undo->mitigation, "attempt", 1);
    undo->effect.open = true; /* it is out, as in act.c */
    stanch_targets_hold_again(op->engine->targets, json_object_get(undo->mitigation, "targets"), on_held_again, op,
                              &op->hold);
}
