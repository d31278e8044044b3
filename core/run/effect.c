/* effect.c: one intent, one call, one outcome (PROMISES.md 1.3).
 *
 *   start --commit intent--> call --> done | failed --------------------------------> ended
 *                              \----> unknown --settle--> reconcile --> done -------> ended (done)
 *                                                             |  \--> not-done ----> ended (failed, may be sent again)
 *                                                             \--> cannot tell ----> ended (unknown)
 *
 * No timer turns unknown into a retry. A process that dies between intent and outcome leaves the same
 * `unknown`.
 */
#include "run/engine.h"
#include "base/crash.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <string.h>

#define RECONCILE_DEADLINE_MS 10000
#define DEFAULT_DEADLINE_MS   10000

bool stanch_effect__declares(const json_t *act, const char *call_op)
{
    return json_is_true(json_object_get(json_object_get(act, "has"), call_op));
}

int stanch_effect__prepare(struct stanch_effect *effect, struct stanch_op *op, const char *call_op,
                           const char *instance, const char *action, const json_t *args, const json_t *plan,
                           const char *key_of, struct stanch_err *err)
{
    const json_t *described = op->engine->world->describe(op->engine->world->ctx, instance);
    const json_t *act = json_object_get(json_object_get(described, "actions"), action);
    if (!act)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no action %s.%s", instance, action);
    const char *class = stanch_json_str(act, "class", "unprotected");
    effect->op = op;
    effect->call_op = call_op;
    (void)snprintf(effect->instance, sizeof effect->instance, "%s", instance);
    (void)snprintf(effect->action, sizeof effect->action, "%s", action);
    effect->deadline_ms = stanch_json_int(act, "deadline_ms", DEFAULT_DEADLINE_MS);
    effect->settle_ms = stanch_json_int(act, "settle_ms", 0);
    effect->can_reconcile = stanch_effect__declares(act, "reconcile");
    effect->sendable_again = strcmp(class, "convergent") == 0 || strcmp(class, "idempotent") == 0;
    char key[65];
    stanch_digest_hex(key_of, strlen(key_of), key);
    json_decref(effect->input);
    effect->input = json_pack("{s:O, s:O, s:s, s:I}", "args", args, "plan", plan, "key", key, "epoch",
                              (json_int_t)op->engine->config.epoch);
    return 0;
}

void stanch_effect__done(struct stanch_effect *effect)
{
    json_decref(effect->input);
    effect->input = NULL;
}

static void end(struct stanch_effect *effect, enum stanch_outcome outcome, const json_t *value,
                const struct stanch_err *why, bool retry)
{
    effect->op->engine->effects++;
    effect->open = false;
    effect->ended(effect, outcome, value, why, retry);
}

/* ---- reconcile ---- */

static void on_reconciled(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_effect *effect = ctx;
    if (!stanch_op__returned(effect->op))
        return;
    struct stanch_err why = {0};
    const char *state = answer->outcome == STANCH_OUTCOME_DONE ? stanch_json_str(answer->value, "state", "") : "";
    if (strcmp(state, "done") == 0) {
        end(effect, STANCH_OUTCOME_DONE, answer->value, &why, false);
    } else if (strcmp(state, "not-done") == 0) {
        stanch_err_set(&why, STANCH_E_UNREACHABLE, "the outcome was unknown; the plugin looked: it did not happen");
        effect->looked = true;
        end(effect, STANCH_OUTCOME_FAILED, NULL, &why, true);
    } else {
        stanch_err_set(&why, STANCH_E_TIMEOUT, "the outcome is unknown and the plugin cannot tell%s%s",
                       answer->err.text[0] ? ": " : "", answer->err.text);
        end(effect, STANCH_OUTCOME_UNKNOWN, NULL, &why, false);
    }
}

static void call_reconcile(void *ctx)
{
    struct stanch_effect *effect = ctx;
    struct stanch_op *op = effect->op;
    op->timer = NULL;
    STANCH_AUTO_JSON json_t *input = json_copy(effect->input);
    json_object_set_new(input, "op", json_string(effect->call_op));
    struct stanch_plugin_request request = {.instance = effect->instance,
                                            .op = "reconcile",
                                            .action = effect->action,
                                            .input = input,
                                            .deadline_ms = RECONCILE_DEADLINE_MS};
    struct stanch_err err;
    stanch_op__away(op);
    int rc = op->engine->world->call(op->engine->world->ctx, &request, on_reconciled, effect, NULL, &err);
    if (rc == 0)
        return;
    stanch_op__returned(op);
    if (rc == STANCH_E_UNAVAILABLE || rc == STANCH_E_BUSY) { /* its host is coming back: a read, so ask again */
        if (++effect->reconcile_tries <= 40) {
            op->timer = stanch_timer_start(op->engine->loop, 250, call_reconcile, effect);
            return;
        }
    }
    end(effect, STANCH_OUTCOME_UNKNOWN, NULL, &err, false);
}

void stanch_effect__reconcile(struct stanch_effect *effect)
{
    struct stanch_err why;
    effect->open = true;
    stanch_engine__count(effect->op->engine, "actions_unknown");
    bool may_repeat = effect->sendable_again || stanch_is_sabotaged("send-again-on-unknown");
    if ((!effect->can_reconcile && may_repeat) || stanch_is_sabotaged("reconcile-not-asked")) {
        stanch_err_set(&why, STANCH_E_UNREACHABLE, "the outcome is unknown; sending it again is safe for this class");
        effect->looked = effect->doubt = true;
        end(effect, STANCH_OUTCOME_UNKNOWN, NULL, &why, true);
        return;
    }
    if (!effect->can_reconcile) {
        stanch_err_set(&why, STANCH_E_TIMEOUT,
                       "the outcome is unknown, and %s.%s has no way to look whether it happened", effect->instance,
                       effect->action);
        end(effect, STANCH_OUTCOME_UNKNOWN, NULL, &why, false);
        return;
    }
    effect->op->timer = stanch_timer_start(effect->op->engine->loop, effect->settle_ms, call_reconcile, effect);
}

/* ---- the call ---- */

static void on_answered(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_effect *effect = ctx;
    if (!stanch_op__returned(effect->op))
        return;
    stanch_crash_point("run.after-call");
    if (answer->outcome == STANCH_OUTCOME_UNKNOWN) {
        stanch_log(STANCH_LOG_WARN, "run", "%s: outcome of %s.%s unknown: %s", effect->op->id, effect->instance,
                   effect->action, answer->err.text);
        stanch_effect__reconcile(effect);
        return;
    }
    end(effect, answer->outcome, answer->value, &answer->err, answer->retry);
}

static char *why_stopped(const struct stanch_effect *effect)
{
    const json_t *plan = json_object_get(effect->input, "plan");
    const struct stanch_stop_about about = {effect->instance, stanch_op__runbook(effect->op),
                                            json_object_get(plan, "targets")};
    return stanch_engine__stopped(effect->op->engine, &about);
}

static void on_intent_committed(void *ctx)
{
    struct stanch_effect *effect = ctx;
    struct stanch_op *op = effect->op;
    if (!stanch_op__returned(op))
        return;
    stanch_crash_point("run.before-call");
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *stopped = op->by_person ? NULL : why_stopped(effect);
    if (stopped && !stanch_is_sabotaged("stop-ignored")) {
        stanch_err_set(&err, STANCH_E_STOPPED, "%s; nothing was sent", stopped);
        end(effect, STANCH_OUTCOME_FAILED, NULL, &err, false);
        return;
    }
    struct stanch_plugin_request request = {.instance = effect->instance,
                                            .op = effect->call_op,
                                            .action = effect->action,
                                            .input = effect->input,
                                            .deadline_ms = effect->deadline_ms};
    stanch_engine__count(op->engine, "actions_sent");
    stanch_op__away(op);
    if (op->engine->world->call(op->engine->world->ctx, &request, on_answered, effect, NULL, &err) < 0) {
        stanch_op__returned(op);
        end(effect, STANCH_OUTCOME_FAILED, NULL, &err, true); /* not sent: nothing has happened */
    }
}

void stanch_effect__start(struct stanch_effect *effect, struct stanch_batch *batch)
{
    struct stanch_op *op = effect->op;
    struct stanch_err err;
    effect->attempt++;
    effect->open = true;
    effect->intend(effect, batch);
    stanch_op__away(op);
    if (stanch_is_sabotaged("send-before-intent")) {
        on_intent_committed(effect);
        (void)stanch_engine__append(op->engine, batch, NULL, NULL, &err);
        return;
    }
    int rc = stanch_engine__append(op->engine, batch, on_intent_committed, effect, &err);
    if (rc == STANCH_E_FULL && stanch_is_sabotaged("intent-when-full")) {
        stanch_loop_defer(op->engine->loop, on_intent_committed, effect);
        rc = 0;
    }
    if (rc < 0) {
        stanch_op__returned(op);
        if (!stanch_op__hold(op, err.code))
            end(effect, STANCH_OUTCOME_FAILED, NULL, &err, false); /* what can't be recorded is not started */
    }
}
