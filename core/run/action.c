/* action.c: an action from its want to its plan, and as a kind of op: start, a person's answer, recovery, end. */
#include "run/action.h"
#include "run/autonomy.h"
#include "base/mem.h"
#include <string.h>

#define PLAN_DEADLINE_MS 10000
#define HOST_EVERY_MS    250
#define HOST_TRIES       40

const char *stanch_action__instance(const struct stanch_op *op)
{
    return stanch_json_str(stanch_op__args(op), "instance", "");
}

const char *stanch_action__name(const struct stanch_op *op)
{
    return stanch_json_str(stanch_op__args(op), "action", "");
}

const json_t *stanch_action__args(const struct stanch_op *op)
{
    return json_object_get(stanch_op__args(op), "args");
}

const json_t *stanch_action__declared(const struct stanch_op *op)
{
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, stanch_action__instance(op));
    return json_object_get(json_object_get(described, "actions"), stanch_action__name(op));
}

bool stanch_action__declares(const struct stanch_op *op, const char *call_op)
{
    return stanch_effect__declares(stanch_action__declared(op), call_op);
}

struct stanch_action *stanch_action__of(struct stanch_op *op)
{
    if (!op->state) {
        struct stanch_action *action = STANCH_NEW(struct stanch_action);
        action->effect.op = op;
        op->state = action;
    }
    return op->state;
}

static bool is_used(const struct stanch_op *op)
{
    const json_t *uses = json_object_get(op->run->doc, "uses");
    for (size_t i = 0; i < json_array_size(uses); i++) {
        const json_t *use = json_array_get(uses, i);
        if (strcmp(stanch_json_str(use, "instance", ""), stanch_action__instance(op)) == 0 &&
            strcmp(stanch_json_str(use, "action", ""), stanch_action__name(op)) == 0)
            return true;
    }
    return false;
}

void stanch_action__fail(struct stanch_op *op, const struct stanch_err *err)
{
    stanch_targets_release(op->engine->targets, &op->hold);
    stanch_op__answer_error(op, stanch_err_word(err->code), "%s.%s: %s", stanch_action__instance(op),
                            stanch_action__name(op), err->text);
}

/* ---- the plan ---- */

bool stanch_action__is_stuck(struct stanch_op *op)
{
    if (!op->run || op->run->state != STANCH_RUN_PARKED || stanch_action__of(op)->granted[0])
        return false;
    stanch_op__free(op);
    return true;
}

static void answer_no_change(struct stanch_op *op, const json_t *plan)
{
    struct stanch_action *action = stanch_action__of(op);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_op__ask(op, batch, NULL);
    if (action->granted[0])
        stanch_approval__close(op->engine, action->granted, "approval.voided", "there is nothing left to change",
                               batch);
    stanch_batch_add(batch, op->chain, "action.unneeded", STANCH_BY_STANCH, op->run_id,
                     json_pack("{s:s, s:s, s:s, s:s}", "step", op->id, "instance", stanch_action__instance(op),
                               "action", stanch_action__name(op), "impact", stanch_json_str(plan, "impact", "")));
    stanch_op__answer(op, batch, json_pack("{s:{s:b, s:n, s:n}}", "ok", "no_change", 1, "mitigation", "value"));
}

static void on_planned(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    if (op->cancelled) {
        stanch_op__free(op);
        return;
    }
    if (stanch_action__is_stuck(op))
        return;
    struct stanch_action *action = stanch_action__of(op);
    struct stanch_err err = answer->err;
    if (answer->outcome != STANCH_OUTCOME_DONE) {
        stanch_err_wrap(&err, "no plan could be made, nothing was changed");
        stanch_action__fail(op, &err);
        return;
    }
    if (stanch_json_bool(answer->value, "no_change", false)) {
        answer_no_change(op, answer->value);
        return;
    }
    json_decref(action->plan);
    action->plan = json_deep_copy(answer->value);
    if (action->granted[0])
        stanch_action__use_approval(op);
    else
        stanch_action__pass_gate(op);
}

bool stanch_action__await_host(struct stanch_op *op, int rc, stanch_loop_fn again)
{
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, stanch_action__instance(op));
    const char *state = stanch_json_str(described, "state", "");
    bool returns = strcmp(state, "down") == 0 || strcmp(state, "starting") == 0;
    if (rc != STANCH_E_UNAVAILABLE || !returns || op->cancelled || ++stanch_action__of(op)->waits > HOST_TRIES)
        return false;
    op->timer = stanch_timer_start(op->engine->loop, HOST_EVERY_MS, again, op);
    return true;
}

static void on_host_awaited(void *ctx)
{
    struct stanch_op *op = ctx;
    op->timer = NULL;
    stanch_action__plan(op);
}

static void on_may_plan(void *ctx)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    struct stanch_action *action = stanch_action__of(op);
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O}", "args", stanch_action__args(op));
    struct stanch_plugin_request request = {.instance = stanch_action__instance(op),
                                            .op = "plan",
                                            .action = stanch_action__name(op),
                                            .input = input,
                                            .deadline_ms = PLAN_DEADLINE_MS};
    struct stanch_err err;
    action->effects_before = op->engine->effects;
    stanch_op__away(op);
    int rc = op->engine->world->call(op->engine->world->ctx, &request, on_planned, op, NULL, &err);
    if (rc == 0)
        return;
    stanch_op__returned(op);
    if (!stanch_action__await_host(op, rc, on_host_awaited))
        stanch_action__fail(op, &err);
}

void stanch_action__plan(struct stanch_op *op)
{
    stanch_op__away(op);
    stanch_journal_barrier(op->engine->journal, on_may_plan, op);
}

/* ---- start, and after a restart ---- */

static void start(struct stanch_op *op)
{
    struct stanch_engine *engine = op->engine;
    const char *instance = stanch_action__instance(op), *name = stanch_action__name(op);
    const json_t *declared = stanch_action__declared(op);
    struct stanch_err err;
    if (!declared) {
        stanch_op__answer_error(op, "not-found", "there is no action %s.%s here", instance, name);
        return;
    }
    if (!is_used(op)) {
        stanch_op__answer_error(op, "forbidden", "%s.%s is not in the runbook's `uses`", instance, name);
        return;
    }
    if (engine->world->check_args(engine->world->ctx, instance, name, stanch_action__args(op), &err) < 0) {
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s.%s: %s", instance, name, err.text);
        return;
    }
    const char *effect = stanch_json_str(declared, "effect", "mitigate");
    const char *because = stanch_json_str(stanch_op__args(op), "because", "");
    stanch_action__of(op);
    if (strcmp(effect, "notify") == 0 && stanch_autonomy__observes(op->run))
        stanch_autonomy__observed(op, NULL);
    else if (strcmp(effect, "notify") == 0)
        stanch_action__notify(op);
    else if (strcmp(effect, "mitigate") != 0)
        stanch_action__read(op);
    else if (!*because)
        stanch_op__answer_error(op, "invalid",
                                "%s.%s is a mitigation: say `because = \"...\"`; it stands in the "
                                "approval and in the timeline",
                                instance, name);
    else
        stanch_action__plan(op);
}

static void decided(struct stanch_op *op, const char *decision, const char *by, const char *note)
{
    struct stanch_action *action = stanch_action__of(op);
    if (strcmp(decision, "approve") != 0 && strcmp(decision, "deny") != 0) {
        stanch_action__told(op, decision, by, note);
        return;
    }
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, op->chain, "run.resumed", by, op->run_id,
                     json_pack("{s:s, s:n}", "run", op->run_id, "waits_for"));
    if (strcmp(decision, "approve") == 0) {
        (void)snprintf(action->granted, sizeof action->granted, "%s", op->approval);
        op->approval[0] = 0;
        stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
        stanch_action__hold(op);
        return;
    }
    op->approval[0] = 0;
    STANCH_AUTO_FREE char *text = stanch_asprintf("%s denied it%s%s", by, *note ? ": " : "", note);
    stanch_op__answer(op, batch, stanch_op__error("denied", text));
}

static void recover(struct stanch_op *op, const json_t *doc)
{
    struct stanch_action *action = stanch_action__of(op);
    const char *state = stanch_json_str(doc, "state", "");
    json_t *plan = json_object_get(doc, "plan");
    if (plan)
        action->plan = json_deep_copy(plan);
    (void)snprintf(action->digest, sizeof action->digest, "%s", stanch_json_str(doc, "plan_digest", ""));
    action->planned = plan != NULL;
    if (strcmp(state, "asked") == 0 && !op->approval[0]) {
        start(op);
        return;
    }
    if (strcmp(state, "planned") != 0) {
        stanch_action__recover_effect(op, doc);
        return;
    }
    STANCH_AUTO_JSON json_t *approval =
        stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval);
    const char *decision = stanch_json_str(approval, "decision", NULL);
    if (strcmp(stanch_json_str(approval, "state", ""), "pending") == 0)
        return; /* still open: it waits */
    if (decision && strcmp(stanch_json_str(approval, "state", ""), "voided") != 0) {
        decided(op, decision, stanch_json_str(approval, "decided_by", ""), stanch_json_str(approval, "note", ""));
        return;
    }
    op->approval[0] = 0;
    stanch_action__plan(op); /* voided, and the new question was lost with the process */
}

static bool cancel(struct stanch_op *op)
{
    const struct stanch_action *action = op->state;
    /* an intent is out, or nobody knows what became of it: that must still be recorded */
    return !action || (!action->effect.open && !action->unknown);
}

static bool left(struct stanch_op *op, struct stanch_batch *batch)
{
    const struct stanch_action *action = op->state;
    if (!action || !action->effect.open)
        return false;
    stanch_batch_add(batch, op->chain, "action.unanswered", STANCH_BY_STANCH, op->run_id,
                     json_pack("{s:s, s:s, s:s}", "step", op->id, "instance", action->effect.instance, "action",
                               action->effect.action));
    return true;
}

static void done(struct stanch_op *op)
{
    struct stanch_action *action = op->state;
    if (!action)
        return;
    stanch_effect__done(&action->effect);
    json_decref(action->plan);
    json_decref(action->value);
    action->plan = action->value = NULL;
    op->kept = action;
}

const struct stanch_op_kind stanch_op_action = {.name = "action",
                                                .start = start,
                                                .recover = recover,
                                                .decided = decided,
                                                .cancel = cancel,
                                                .done = done,
                                                .left = left};
