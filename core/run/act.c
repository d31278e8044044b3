/* act.c: an action from its intent to its outcome, and what follows from that. */
#include "run/action.h"
#include "run/breaker.h"
#include "run/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <string.h>

#define MAX_SENDS     3
#define RETRY_WAIT_MS 1000

static struct stanch_action *of_effect(struct stanch_effect *effect)
{
    return container_of(effect, struct stanch_action, effect);
}

/* ---- the outcome ---- */

static void add_answered(struct stanch_op *op, struct stanch_batch *batch, const char *outcome, const json_t *value,
                         const struct stanch_err *why)
{
    json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "step", op->id, "instance", stanch_action__instance(op), "action",
                             stanch_action__name(op), "outcome", outcome);
    if (value)
        json_object_set_new(data, "value", json_deep_copy(value));
    if (why && why->text[0]) {
        json_object_set_new(data, "why", json_string(why->text));
        json_object_set_new(data, "kind", json_string(stanch_err_word(why->code)));
    }
    if (stanch_action__of(op)->effect.doubt)
        json_object_set_new(data, "doubt", json_true());
    stanch_batch_add(batch, op->chain, "action.answered", STANCH_BY_STANCH, op->run_id, data);
}

static void record_done(struct stanch_op *op, const json_t *value, struct stanch_batch *batch)
{
    struct stanch_action *action = stanch_action__of(op);
    action->value = value ? json_deep_copy(value) : NULL;
    add_answered(op, batch, "done", value, NULL);
    if (stanch_action__declares(op, "undo"))
        stanch_mitigation__applied(op, stanch_action__instance(op), stanch_action__name(op), stanch_action__args(op),
                                   action->plan, stanch_json_int(stanch_op__args(op), "lease_ms", 0),
                                   stanch_json_str(stanch_op__args(op), "because", ""), batch, action->mitigation);
}

static void ask_what_happened(struct stanch_op *op, const struct stanch_err *why, struct stanch_batch *batch)
{
    struct stanch_action *action = stanch_action__of(op);
    STANCH_AUTO_JSON json_t *choices = json_pack("[s,s,s]", "happened", "did-not", "abandon");
    STANCH_AUTO_FREE char *because =
        stanch_asprintf("Did %s.%s happen? %s", stanch_action__instance(op), stanch_action__name(op), why->text);
    STANCH_AUTO_JSON json_t *card =
        json_pack("{s:s, s:s, s:s, s:O}", "because", because, "instance", stanch_action__instance(op), "action",
                  stanch_action__name(op), "args", stanch_action__args(op));
    if (action->plan)
        json_object_set(card, "plan", action->plan);
    struct stanch_question_spec spec = {
        .about = "unknown", .role = "ic", .quorum = 1, .expires_ms = 0, .card = card, .choices = choices};
    char id[32];
    action->unknown = true;
    stanch_approval__request(op->engine, op, op->chain, op->run_id, &spec, batch, id);
    stanch_batch_add(batch, op->chain, "step.unknown", STANCH_BY_STANCH, op->run_id,
                     json_pack("{s:s, s:s, s:s, s:s, s:s}", "step", op->id, "why", why->text, "approval", id,
                               "instance", stanch_action__instance(op), "action", stanch_action__name(op)));
}

/* The run has ended before: what its step has left in force nobody was asked about. */
static void settle(struct stanch_op *op, struct stanch_batch *batch)
{
    const struct stanch_action *action = stanch_action__of(op);
    if (!op->cancelled)
        return;
    stanch_batch_add(batch, op->chain, "step.settled", STANCH_BY_STANCH, op->run_id,
                     json_pack("{s:s}", "step", op->id));
    if (!action->mitigation[0])
        return;
    STANCH_AUTO_FREE char *because = stanch_asprintf("%s had ended when %s.%s was done. Keep or undo?", op->run_id,
                                                     stanch_action__instance(op), stanch_action__name(op));
    STANCH_AUTO_JSON json_t *left =
        json_pack("[{s:s, s:s, s:s, s:s}]", "id", action->mitigation, "instance", stanch_action__instance(op), "action",
                  stanch_action__name(op), "because", stanch_json_str(stanch_op__args(op), "because", ""));
    stanch_mitigation__ask_keep(op->engine, op->chain, op->run_id, because, left, batch);
}

static void on_retry_due(void *ctx)
{
    struct stanch_op *op = ctx;
    op->timer = NULL;
    stanch_effect__start(&stanch_action__of(op)->effect, stanch_batch_new());
}

/* A second intent for the same step, only as PROMISES.md 1.3 allows it. */
static bool may_send_again(const struct stanch_op *op, const struct stanch_effect *effect, bool retry)
{
    if (op->cancelled)
        return false;
    if (effect->looked)
        return effect->attempt < MAX_SENDS;
    return retry && effect->attempt <= stanch_json_int(stanch_op__args(op), "retry", 0);
}

static void send_again(struct stanch_op *op, struct stanch_batch *batch)
{
    struct stanch_effect *effect = &stanch_action__of(op)->effect;
    if (effect->looked) { /* its outcome and the next intent are one batch: no crash can come between */
        effect->looked = false;
        stanch_effect__start(effect, batch);
        return;
    }
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    op->timer = stanch_timer_start(op->engine->loop, RETRY_WAIT_MS, on_retry_due, op);
}

static void end_done(struct stanch_op *op, const json_t *value, struct stanch_batch *batch)
{
    record_done(op, value, batch);
    settle(op, batch);
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    stanch_action__prove(op);
}

/* What never left is no word about the mitigation. */
static bool is_stanchs_own(int code)
{
    return code == STANCH_E_STOPPED || code == STANCH_E_FULL || code == STANCH_E_STORE || code == STANCH_E_BUSY;
}

static void end_failed(struct stanch_op *op, const struct stanch_err *why, struct stanch_batch *batch)
{
    stanch_targets_release(op->engine->targets, &op->hold);
    settle(op, batch);
    if (!is_stanchs_own(why->code))
        stanch_breaker__failed(op, stanch_action__of(op)->plan, STANCH_BREAKER_FAILED, why->text, batch);
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("%s.%s: %s", stanch_action__instance(op), stanch_action__name(op), why->text);
    stanch_op__answer(op, batch, stanch_op__error(stanch_err_word(why->code), text));
}

static void end_unknown(struct stanch_op *op, const struct stanch_err *why, struct stanch_batch *batch)
{
    stanch_targets_release(op->engine->targets, &op->hold);
    ask_what_happened(op, why, batch);
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
}

static void end_doubtful(struct stanch_op *op, const struct stanch_err *why, struct stanch_batch *batch)
{
    struct stanch_err err = *why;
    stanch_err_wrap(&err, "what became of an earlier call is not known, and the last one failed");
    end_unknown(op, &err, batch);
}

static void on_ended(struct stanch_effect *effect, enum stanch_outcome outcome, const json_t *value,
                     const struct stanch_err *why, bool retry)
{
    struct stanch_op *op = effect->op;
    struct stanch_batch *batch = stanch_batch_new();
    if (outcome == STANCH_OUTCOME_DONE) {
        end_done(op, value, batch);
        return;
    }
    bool failed = outcome == STANCH_OUTCOME_FAILED;
    if (failed)
        stanch_engine__count(op->engine, "actions_failed");
    add_answered(op, batch, failed ? "failed" : "unknown", NULL, why);
    if (may_send_again(op, effect, retry)) {
        send_again(op, batch);
    } else if (failed && effect->doubt) {
        end_doubtful(op, why, batch);
    } else if (failed) {
        end_failed(op, why, batch);
    } else {
        end_unknown(op, why, batch);
    }
}

void stanch_action__told(struct stanch_op *op, const char *decision, const char *by, const char *note)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, op->chain, "step.resolved", by, op->run_id,
                     json_pack("{s:s, s:s, s:s}", "step", op->id, "happened", decision, "note", note));
    if (op->run)
        stanch_batch_add(batch, op->chain, "run.resumed", by, op->run_id,
                         json_pack("{s:s, s:n}", "run", op->run_id, "waits_for"));
    op->approval[0] = 0;
    stanch_action__of(op)->unknown = false;
    if (strcmp(decision, "happened") == 0) {
        record_done(op, NULL, batch);
        settle(op, batch);
        stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
        stanch_action__answer_done(op, true);
        return;
    }
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s.%s did not happen, says %s%s%s", stanch_action__instance(op),
                                                  stanch_action__name(op), by, *note ? ": " : "", note);
    settle(op, batch);
    if (strcmp(decision, "did-not") == 0)
        stanch_breaker__failed(op, stanch_action__of(op)->plan, STANCH_BREAKER_FAILED,
                               "a person says that it did not happen", batch);
    if (strcmp(decision, "abandon") == 0 && op->run) {
        stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
        stanch_run__end(op->run, "run.cancelled", by, json_pack("{s:s}", "why", "abandoned after an unknown outcome"));
        return;
    }
    stanch_op__answer(op, batch, stanch_op__error("remote", text));
}

/* ---- the intent ---- */

static void intend(struct stanch_effect *effect, struct stanch_batch *batch)
{
    struct stanch_action *action = of_effect(effect);
    struct stanch_op *op = effect->op;
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, effect->instance);
    stanch_op__ask(op, batch, NULL);
    json_t *data =
        json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:O, s:O, s:I}", "step", op->id, "attempt",
                  (json_int_t)effect->attempt, "instance", effect->instance, "action", effect->action, "plugin_version",
                  stanch_json_str(described, "version", ""), "plugin_digest", stanch_json_str(described, "digest", ""),
                  "sent_args", json_object_get(effect->input, "args"), "key", json_object_get(effect->input, "key"),
                  "epoch", (json_int_t)op->engine->config.epoch);
    if (action->plan) {
        json_object_set_new(data, "plan_digest", json_string(action->digest));
        stanch_json_set_str(data, "impact", stanch_json_str(action->plan, "impact", NULL));
        if (!action->planned || action->granted[0])
            json_object_set(data, "plan", action->plan);
        json_object_set_new(data, "counted", stanch_limits__count(op, effect->instance, action->plan));
    }
    stanch_json_set_str(data, "because", stanch_json_str(stanch_op__args(op), "because", NULL));
    if (action->granted[0]) {
        stanch_json_set_str(data, "consumed", action->granted);
        stanch_approval__close(op->engine, action->granted, "approval.consumed", "used", batch);
        if (!stanch_is_sabotaged("approval-used-twice"))
            action->granted[0] = 0;
    }
    stanch_batch_add(batch, op->chain, "action.sent", STANCH_BY_STANCH, op->run_id, data);
}

static int prepare(struct stanch_op *op, const char *call_op, struct stanch_err *err)
{
    struct stanch_action *action = stanch_action__of(op);
    action->effect.intend = intend;
    action->effect.ended = on_ended;
    /* the run's seed makes the key unique over all stores; it stays the same for every attempt of the step */
    STANCH_AUTO_JSON json_t *run =
        op->run ? json_incref(op->run->doc)
                : stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "run", op->run_id);
    STANCH_AUTO_FREE char *key_of = stanch_asprintf("%s/%s", stanch_json_str(run, "seed", ""), op->id);
    int rc = stanch_effect__prepare(&action->effect, op, call_op, stanch_action__instance(op), stanch_action__name(op),
                                    stanch_action__args(op), action->plan ? action->plan : json_null(), key_of, err);
    if (rc == 0)
        stanch_json_set_str(action->effect.input, "because", stanch_json_str(stanch_op__args(op), "because", ""));
    return rc;
}

void stanch_action__send(struct stanch_op *op)
{
    struct stanch_err err;
    if (prepare(op, "apply", &err) < 0) {
        stanch_targets_release(op->engine->targets, &op->hold);
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s", err.text);
        return;
    }
    stanch_effect__start(&stanch_action__of(op)->effect, stanch_batch_new());
}

void stanch_action__notify(struct stanch_op *op)
{
    struct stanch_err err;
    if (prepare(op, "read", &err) < 0)
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s", err.text);
    else
        stanch_effect__start(&stanch_action__of(op)->effect, stanch_batch_new());
}

static void on_held_again(void *ctx)
{
    stanch_effect__reconcile(&stanch_action__of(ctx)->effect);
}

void stanch_action__recover_effect(struct stanch_op *op, const json_t *doc)
{
    struct stanch_action *action = stanch_action__of(op);
    const char *state = stanch_json_str(doc, "state", "");
    struct stanch_err err = {0};
    stanch_mitigation__of_step(op, action->mitigation);
    action->effect.attempt = (int)stanch_json_int(doc, "attempt", 1);
    action->effect.doubt = stanch_json_bool(doc, "doubt", false);
    if (prepare(op, action->plan ? "apply" : "read", &err) < 0) {
        on_ended(&action->effect, STANCH_OUTCOME_UNKNOWN, NULL, &err, false);
        return;
    }
    if (strcmp(state, "unknown") == 0) {
        action->unknown = true;
        STANCH_AUTO_JSON json_t *approval =
            stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval);
        const char *decision = stanch_json_str(approval, "decision", NULL);
        if (decision)
            stanch_action__told(op, decision, stanch_json_str(approval, "decided_by", ""),
                                stanch_json_str(approval, "note", ""));
        return;
    }
    if (strcmp(state, "sent") == 0) {
        stanch_log(STANCH_LOG_WARN, "run", "%s: an intent without outcome was found; looking what happened", op->id);
        action->effect.open =
            true; /* it is out, also while its target is waited for: a cancelled run does not end that */
        stanch_targets_hold_again(op->engine->targets, json_object_get(action->plan, "targets"), on_held_again, op,
                                  &op->hold);
        return;
    }
    const char *outcome = stanch_json_str(doc, "outcome", "");
    if (strcmp(outcome, "done") == 0) {
        json_t *value = json_object_get(doc, "value");
        action->value = value ? json_deep_copy(value) : NULL;
        stanch_action__prove(op);
        return;
    }
    /* It failed and would have been tried again: not by itself, after who knows how long. */
    if (action->effect.doubt) {
        stanch_err_set(&err, STANCH_E_REMOTE, "%s", stanch_json_str(doc, "why", "it failed"));
        end_doubtful(op, &err, stanch_batch_new());
        return;
    }
    const char *failed = stanch_json_str(doc, "why", "it failed");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_breaker__failed(op, action->plan, STANCH_BREAKER_FAILED, failed, batch);
    stanch_op__answer(op, batch, stanch_op__error(stanch_json_str(doc, "kind", "remote"), failed));
}

void stanch_action__recover_orphan(struct stanch_engine *engine, const json_t *orphan)
{
    const char *id = stanch_json_str(orphan, "id", "");
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "step", id);
    if (!doc)
        return;
    struct stanch_op *op = stanch_op__new(engine, NULL, &stanch_op_action, stanch_json_int(doc, "n", 0), doc);
    (void)snprintf(op->id, sizeof op->id, "%s", id);
    (void)snprintf(op->run_id, sizeof op->run_id, "%s", stanch_json_str(doc, "run", ""));
    (void)snprintf(op->chain, sizeof op->chain, "%s", stanch_json_str(doc, "incident", STANCH_CHAIN_NONE));
    (void)snprintf(op->approval, sizeof op->approval, "%s", stanch_json_str(doc, "approval", ""));
    op->asked = op->cancelled = true;
    op->kind->recover(op, doc);
}
