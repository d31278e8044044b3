/* undo.c: taking a mitigation back, from the order to the moment before its effect: who orders it, gate, question. */
#include "run/undo.h"
#include "base/mem.h"
#include "run/authority.h"
#include <string.h>

static void pass_gate(struct stanch_op *op);
static void go_or_keep(struct stanch_op *op);
static void ask_anew(struct stanch_op *op, const char *why);
static void decide_gate(struct stanch_op *op, struct stanch_gate *ret);

static bool is_unknown(const struct stanch_op *op)
{
    STANCH_AUTO_JSON json_t *now =
        stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "mitigation", stanch_undo__mitigation(op->state));
    return strcmp(stanch_json_str(now, "state", ""), "unknown") == 0;
}

/* It asks anew, or keeps what is in force, for what the gate says now. */
static void let_go_and_ask(struct stanch_op *op, const char *why)
{
    stanch_targets_release(op->engine->targets, &op->hold);
    if (op->granted) {
        op->granted = false;
        ask_anew(op, why);
    } else if (op->run) {
        pass_gate(op);
    } else {
        go_or_keep(op);
    }
}

/* Under the target's lock, right before it goes: is there now what it should have asked for? returns true when it asks. */
static bool asks_after_all(struct stanch_op *op)
{
    struct stanch_gate gate;
    if (op->by_person)
        return false;
    STANCH_AUTO_JSON json_t *question =
        op->granted ? stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval) : NULL;
    decide_gate(op, &gate);
    const char *why = op->granted ? stanch_authority_why_void(op->engine, question) : NULL;
    why = why ? why : stanch_gate__new_against(&gate, question);
    bool asks = why || (!op->granted && (gate.ask || gate.refused));
    if (asks)
        let_go_and_ask(op, why);
    stanch_gate__done(&gate);
    return asks;
}

static void on_held(void *ctx)
{
    struct stanch_op *op = ctx;
    struct stanch_undo *undo = op->state;
    struct stanch_err err;
    /* the state may have changed while it waited for the target */
    STANCH_AUTO_JSON json_t *now =
        stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "mitigation", stanch_undo__mitigation(undo));
    const char *state = stanch_json_str(now, "state", "");
    if (strcmp(state, "in-force") != 0 && strcmp(state, "unknown") != 0) {
        stanch_err_set(&err, STANCH_E_CONFLICT, "%s is no longer in force: it is %s", stanch_undo__mitigation(undo),
                       state);
        stanch_undo__finish(op, stanch_batch_new(), err.code, &err);
        return;
    }
    if (asks_after_all(op)) /* it became unknown, was stopped or is held since the gate let it pass */
        return;
    stanch_effect__start(&undo->effect, stanch_batch_new());
}

static void hold_and_go(struct stanch_op *op)
{
    struct stanch_undo *undo = op->state;
    stanch_targets_hold(op->engine->targets, json_object_get(undo->mitigation, "targets"), on_held, op, &op->hold);
}

static void decide_gate(struct stanch_op *op, struct stanch_gate *ret)
{
    struct stanch_undo *undo = op->state;
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, undo->effect.instance);
    STANCH_AUTO_JSON json_t *declared = json_object();
    json_object_set(declared, "instance", (json_t *)(uintptr_t)described);
    json_object_set(declared, "action", json_object_get(json_object_get(described, "actions"), undo->effect.action));
    stanch_gate__decide(op, "undo", json_object_get(undo->mitigation, "plan"), declared, undo->effect.action, NULL,
                        ret);
    if (is_unknown(op) && !undo->effect.sendable_again)
        stanch_gate__ask_because(ret, "it is not known whether it was taken back already");
}

/* What a person orders goes at once; what a lease end would undo by itself passes the gate first. */
static void go_or_keep(struct stanch_op *op)
{
    struct stanch_gate gate;
    if (op->by_person) {
        hold_and_go(op);
        return;
    }
    decide_gate(op, &gate);
    if (gate.refused || gate.ask) {
        struct stanch_undo *undo = op->state;
        stanch_mitigation__keep_and_ask(op->engine, undo->mitigation, gate.why);
        stanch_op__free(op);
    } else {
        hold_and_go(op);
    }
    stanch_gate__done(&gate);
}

static struct stanch_op *new_op(struct stanch_engine *engine, const json_t *mitigation, const char *by)
{
    STANCH_AUTO_JSON json_t *want =
        json_pack("{s:s, s:{s:s}}", "op", "undo", "args", "mitigation", stanch_json_str(mitigation, "id", ""));
    STANCH_AUTO_JSON json_t *run = stanch_journal_see(engine->journal, "run", stanch_json_str(mitigation, "run", ""));
    stanch_json_set_str(want, "runbook", stanch_json_str(run, "runbook", NULL)); /* a stop may be about it */
    struct stanch_op *op = stanch_op__new(engine, NULL, &stanch_op_undo, 0, want);
    (void)snprintf(op->id, sizeof op->id, "%s", stanch_json_str(mitigation, "id", ""));
    (void)snprintf(op->chain, sizeof op->chain, "%s", stanch_json_str(mitigation, "incident", STANCH_CHAIN_NONE));
    op->by_person = strcmp(by, STANCH_BY_STANCH) != 0 && strncmp(by, "run:", 4) != 0;
    return op;
}

void stanch_undo__start(struct stanch_engine *engine, const json_t *mitigation, const char *by, const char *reason,
                        stanch_engine_done done, void *ctx)
{
    struct stanch_op *op = new_op(engine, mitigation, by);
    struct stanch_err err = {0};
    int rc = stanch_undo__prepare(op, mitigation, by, reason, &err);
    struct stanch_undo *undo = op->state;
    undo->done = done;
    undo->done_ctx = ctx;
    if (rc < 0)
        stanch_undo__finish(op, stanch_batch_new(), rc, &err);
    else
        go_or_keep(op);
}

void stanch_undo__recover(struct stanch_engine *engine, const json_t *mitigation)
{
    const char *step = stanch_json_str(mitigation, "undo_step", "");
    for (struct stanch_op *op = engine->ops; op; op = op->next)
        if (op->kind == &stanch_op_undo && strcmp(op->id, step) == 0)
            return; /* its run took it up again */
    const char *by = stanch_json_str(mitigation, "by", STANCH_BY_STANCH);
    struct stanch_op *op = new_op(engine, mitigation, by);
    struct stanch_err err = {0};
    int rc = stanch_undo__prepare(op, mitigation, by, stanch_json_str(mitigation, "reason", ""), &err);
    struct stanch_undo *undo = op->state;
    if (rc < 0)
        undo->effect.ended(&undo->effect, STANCH_OUTCOME_UNKNOWN, NULL, &err, false);
    else
        stanch_undo__look_again(op);
}

int stanch_engine_undo(struct stanch_engine *engine, const char *by, const char *id, const char *reason,
                       stanch_engine_done done, void *ctx, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "mitigation", id);
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no mitigation %s", id);
    const char *state = stanch_json_str(doc, "state", "");
    if (strcmp(state, "in-force") != 0 && strcmp(state, "unknown") != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is not in force: it is %s", id, state);
    stanch_undo__start(engine, doc, by, reason && *reason ? reason : "no reason given", done, ctx);
    return 0;
}

/* ---- asked for by a run ---- */

static void request_approval(struct stanch_op *op, const struct stanch_gate *gate)
{
    struct stanch_undo *undo = op->state;
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, undo->effect.instance);
    STANCH_AUTO_JSON json_t *card = json_pack(
        "{s:s, s:s, s:s, s:s, s:O, s:s, s:s, s:O, s:[{s:s}]}", "plugin_digest",
        stanch_json_str(described, "digest", ""), "instance", undo->effect.instance, "action", undo->effect.action,
        "because", undo->reason, "plan", json_object_get(undo->mitigation, "plan"), "risk", gate->policy.risk, "why",
        gate->why, "rules", gate->policy.rules, "mitigations", "id", stanch_undo__mitigation(undo));
    if (gate->policy.not_requester)
        json_object_set_new(card, "not_requester", json_true());
    json_t *against = stanch_gate__against(gate);
    if (against)
        json_object_set_new(card, "against", against);
    struct stanch_question_spec spec = {.about = "undo",
                                        .role = gate->policy.role,
                                        .quorum = gate->policy.quorum,
                                        .expires_ms = gate->policy.expires_ms,
                                        .card = card};
    struct stanch_batch *batch = stanch_batch_new();
    char id[32];
    stanch_approval__request(op->engine, op, op->chain, op->run_id, &spec, batch, id);
    if (op->asked) /* an earlier question of it is void: the step waits for this one */
        stanch_batch_add(batch, op->chain, "step.waiting", STANCH_BY_STANCH, op->run_id,
                         json_pack("{s:s, s:s}", "step", op->id, "approval", id));
    stanch_op__ask(op, batch, json_pack("{s:s}", "approval", id));
    struct stanch_err err;
    if (stanch_engine__append(op->engine, batch, NULL, NULL, &err) < 0 && !stanch_op__hold(op, err.code))
        stanch_undo__finish(op, stanch_batch_new(), err.code, &err);
}

static void pass_gate(struct stanch_op *op)
{
    struct stanch_gate gate;
    struct stanch_err err = {0};
    decide_gate(op, &gate);
    if (gate.refused) {
        stanch_err_set(&err, STANCH_E_REFUSED, "%s", gate.why);
        stanch_undo__finish(op, stanch_batch_new(), err.code, &err);
    } else if (gate.ask) {
        request_approval(op, &gate);
    } else {
        hold_and_go(op);
    }
    stanch_gate__done(&gate);
}

/* The mitigation of the want; NULL: answered with an error. */
static json_t *own_mitigation(struct stanch_op *op)
{
    const char *id = stanch_json_str(stanch_op__args(op), "mitigation", "");
    json_t *doc = stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "mitigation", id);
    if (doc && strcmp(stanch_json_str(doc, "run", ""), op->run_id) == 0)
        return doc;
    json_decref(doc);
    stanch_op__answer_error(op, "not-found", "%s is not a mitigation of this run", *id ? id : "that");
    return NULL;
}

static void start(struct stanch_op *op)
{
    STANCH_AUTO_JSON json_t *doc = own_mitigation(op);
    if (!doc)
        return;
    struct stanch_err err;
    STANCH_AUTO_FREE char *by = stanch_asprintf("run:%s", op->run_id);
    if (stanch_undo__prepare(op, doc, by, stanch_json_str(stanch_op__args(op), "because", "the runbook takes it back"),
                             &err) < 0)
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s", err.text);
    else if (strcmp(stanch_json_str(doc, "state", ""), "undone") == 0)
        hold_and_go(op); /* nobody is asked for what is gone: it finds that, as soon as the target is free */
    else
        pass_gate(op);
}

/* Granted, and not for what would run now: why. */
static void ask_anew(struct stanch_op *op, const char *why)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_approval__close(op->engine, op->approval, "approval.voided", why, batch);
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    op->approval[0] = 0;
    pass_gate(op);
}

static void decided(struct stanch_op *op, const char *decision, const char *by, const char *note)
{
    if (strcmp(decision, "approve") == 0) {
        STANCH_AUTO_JSON json_t *doc =
            stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval);
        if (!stanch_approval__is_of_plugin(op->engine, doc)) {
            ask_anew(op, STANCH_ANOTHER_PLUGIN);
            return;
        }
        const char *whose = stanch_authority_why_void(op->engine, doc);
        if (whose) {
            ask_anew(op, whose);
            return;
        }
        op->granted = true;
        hold_and_go(op);
        return;
    }
    op->approval[0] = 0;
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s denied the undo%s%s", by, *note ? ": " : "", note);
    stanch_op__answer(op, NULL, stanch_op__error("denied", text));
}

static void recover(struct stanch_op *op, const json_t *step)
{
    (void)step;
    STANCH_AUTO_JSON json_t *doc = own_mitigation(op);
    if (!doc)
        return;
    struct stanch_err err = {0};
    const char *state = stanch_json_str(doc, "state", "");
    STANCH_AUTO_FREE char *by = stanch_asprintf("run:%s", op->run_id);
    int rc = stanch_undo__prepare(op, doc, by, stanch_json_str(stanch_op__args(op), "because", ""), &err);
    struct stanch_undo *undo = op->state;
    if (rc < 0)
        undo->effect.ended(&undo->effect, STANCH_OUTCOME_UNKNOWN, NULL, &err, false);
    else if (strcmp(state, "undoing") == 0 && strcmp(stanch_json_str(doc, "undo_step", ""), op->id) == 0)
        stanch_undo__look_again(op); /* another's undo goes on under the target, and this one waits for it */
    else if (strcmp(state, "undone") == 0)
        stanch_undo__finish(op, stanch_batch_new(), 0, &err);
    else if (!op->approval[0])
        pass_gate(op);
    else {
        STANCH_AUTO_JSON json_t *approval =
            stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval);
        const char *decision = stanch_json_str(approval, "decision", NULL);
        const char *asked = stanch_json_str(approval, "state", "");
        bool is_decided = decision && strcmp(asked, "pending") != 0;
        int64_t due_ms = stanch_json_int(approval, "due_ms", stanch_json_int(approval, "expires_ms", 0));
        bool is_over = due_ms <= stanch_engine__steady(op->engine);
        if (strcmp(asked, "voided") == 0) { /* and the new question was lost with the process */
            op->approval[0] = 0;
            pass_gate(op);
        } else if (is_decided && is_over) {
            ask_anew(op, "it came due before it could be used"); /* while stanch was down */
        } else if (is_decided) {
            decided(op, decision, stanch_json_str(approval, "decided_by", ""), stanch_json_str(approval, "note", ""));
        }
    }
}

static bool cancel(struct stanch_op *op)
{
    const struct stanch_undo *undo = op->state;
    return !undo || !undo->effect.open;
}

/* Who ordered it still waits for an answer. */
static void tell_unanswered(struct stanch_undo *undo)
{
    struct stanch_err err;
    stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down; whether %s %s at its next start",
                   stanch_undo__mitigation(undo),
                   undo->effect.open ? "was taken back is looked after" : "is taken back is seen");
    if (undo->done)
        undo->done(undo->done_ctx, err.code, &err, NULL);
    undo->done = NULL;
}

static bool left(struct stanch_op *op, struct stanch_batch *batch)
{
    struct stanch_undo *undo = op->state;
    if (!undo)
        return false;
    tell_unanswered(undo);
    if (!undo->effect.open)
        return false;
    stanch_batch_add(batch, op->chain, "mitigation.unanswered", STANCH_BY_STANCH, op->run_id[0] ? op->run_id : NULL,
                     json_pack("{s:s, s:s, s:s}", "mitigation", stanch_undo__mitigation(undo), "instance",
                               undo->effect.instance, "action", undo->effect.action));
    return true;
}

static void done(struct stanch_op *op)
{
    struct stanch_undo *undo = op->state;
    if (!undo)
        return;
    stanch_effect__done(&undo->effect);
    json_decref(undo->mitigation);
    undo->mitigation = NULL;
    op->kept = undo;
}

const struct stanch_op_kind stanch_op_undo = {.name = "undo",
                                              .start = start,
                                              .recover = recover,
                                              .decided = decided,
                                              .cancel = cancel,
                                              .done = done,
                                              .left = left};
