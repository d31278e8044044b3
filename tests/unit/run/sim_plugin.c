/* sim_plugin.c: the plugin fx and its remote: a table of values, written by actions of each class.
 *
 *   set_convergent    absolute, compared with its former value; can look by the value
 *   set_blind         the same, cannot look
 *   set_reconcilable  keeps a log by key, and can look there; a call may land late, within its settle time
 *   set_idempotent    a key is done once, whatever comes; cannot look
 *   set_unprotected   neither
 *   set_risky         as set_reconcilable, of high risk        set_forever  as set_convergent, has no undo
 *   set_slow          as set_convergent, and verify is asked for ten minutes
 *   tell              a notice          get, metric   reads    unused       is in no runbook's `uses`
 */
#include "run/model.h"
#include "run/sim_world.h"
#include <stdio.h>
#include <string.h>

#define SETTLE_MS   300
#define DEADLINE_MS 1000

struct sim_call {
    struct sim_call *next;
    struct sim *sim;
    int generation; /* the life of the process that waits for it */
    char op[12], action[32], target[32];
    json_t *input;
    enum sim_fate fate;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *ctx;
    struct stanch_plugin_answer answer;
    int64_t answer_in_ms;
    bool arrived; /* at the remote */
};

static json_t *declare(const char *class, const char *risk, bool looks, bool undoes)
{
    return json_pack("{s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b}, s:i, s:i}", "effect", "mitigate", "class", class,
                     "risk", risk, "has", "plan", 1, "apply", 1, "verify", 1, "undo", undoes, "reconcile", looks,
                     "deadline_ms", DEADLINE_MS, "settle_ms", strcmp(class, "reconcilable") == 0 ? SETTLE_MS : 0);
}

json_t *sim__describe_fx(void)
{
    json_t *actions = json_object();
    json_object_set_new(actions, "set_convergent", declare("convergent", "low", true, true));
    json_object_set_new(actions, "set_blind", declare("convergent", "low", false, true));
    json_object_set_new(actions, "set_reconcilable", declare("reconcilable", "low", true, true));
    json_object_set_new(actions, "set_idempotent", declare("idempotent", "low", false, true));
    json_object_set_new(actions, "set_unprotected", declare("unprotected", "low", false, true));
    json_object_set_new(actions, "set_risky", declare("reconcilable", "high", true, true));
    json_object_set_new(actions, "set_forever", declare("convergent", "low", true, false));
    json_object_set_new(actions, "set_slow", declare("convergent", "low", true, true));
    json_object_set_new(json_object_get(actions, "set_slow"), "verify_ms", json_integer(600000));
    json_object_set_new(actions, "unused", declare("convergent", "low", true, true));
    json_object_set_new(actions, "tell",
                        json_pack("{s:s, s:s, s:{}}", "effect", "notify", "class", "unprotected", "has"));
    json_object_set_new(actions, "get", json_pack("{s:s, s:s}", "effect", "read", "class", "read-only"));
    json_object_set_new(actions, "metric", json_pack("{s:s, s:s}", "effect", "read", "class", "read-only"));
    return json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:o}}", "fx", "name", "fx", "plugin", "fx", "environment", "test",
                     "version", "1", "digest", "d", "actions", actions);
}

const json_t *sim__describe(void *ctx, const char *instance)
{
    return json_object_get(((struct sim *)ctx)->describes, instance);
}

int sim__check_args(void *ctx, const char *instance, const char *action, const json_t *args, struct stanch_err *err)
{
    (void)ctx, (void)instance, (void)action;
    return json_object_get(args, "wrong") ? stanch_err_set(err, STANCH_E_INVALID, "wrong: not an argument") : 0;
}

static json_t *value_of(struct sim *sim, const char *target)
{
    json_t *value = json_object_get(sim->remote, target);
    return value ? json_incref(value) : json_integer(0);
}

int sim_effects_of(const struct sim *sim, const char *key, const char *op)
{
    int count = 0;
    for (int i = 0; i < sim->effect_count; i++)
        count += strcmp(sim->effects[i].key, key) == 0 && strcmp(sim->effects[i].op, op) == 0;
    return count;
}

static void log_effect(struct sim_call *call, json_t *value)
{
    struct sim *sim = call->sim;
    struct sim_effect *effect = &sim->effects[sim->effect_count < SIM_MAX_EFFECTS ? sim->effect_count++ : 0];
    (void)snprintf(effect->key, sizeof effect->key, "%s", stanch_json_str(call->input, "key", ""));
    (void)snprintf(effect->op, sizeof effect->op, "%s", call->op);
    effect->value = (int)json_integer_value(value);
    if (value)
        json_object_set(sim->remote, call->target, value);
    if (sim->model)
        model_effect(sim->model, effect->key, effect->op);
}

/* ---- the operations ---- */

static bool is_action(const struct sim_call *call, const char *name)
{
    return strcmp(call->action, name) == 0;
}

static void fail(struct sim_call *call, int code, bool retry, const char *why)
{
    call->answer.outcome = STANCH_OUTCOME_FAILED;
    call->answer.retry = retry;
    stanch_err_set(&call->answer.err, code, "%s", why);
}

static void plan(struct sim_call *call)
{
    struct sim *sim = call->sim;
    if (call->fate == SIM_FAILS || call->fate == SIM_FAILS_FOR_GOOD) {
        fail(call, STANCH_E_REMOTE, false, "no plan today");
        return;
    }
    json_t *to = json_object_get(json_object_get(call->input, "args"), "value");
    json_t *from = value_of(sim, call->target);
    bool same = json_equal(from, to);
    call->answer.value = json_pack("{s:[o], s:{s:o}, s:{s:O}, s:{s:O}, s:s, s:b}", "targets",
                                   json_sprintf("fx:fx/%s", call->target), "from", "value", from, "to", "value", to,
                                   "undo", "value", from, "undo_by_hand", "by hand", "no_change", same);
    if (sim->reach > 0)
        json_object_set_new(call->answer.value, "reach", json_real(sim->reach));
    if (sim->tags)
        json_object_set(call->answer.value, "tags", sim->tags);
}

/* What comes into the remote, whoever hears of it. returns false when the remote refused. */
static bool take_effect(struct sim_call *call)
{
    struct sim *sim = call->sim;
    if (is_action(call, "tell")) {
        log_effect(call, NULL);
        return true;
    }
    const json_t *planned = json_object_get(call->input, "plan");
    bool undo = strcmp(call->op, "undo") == 0;
    bool compares = is_action(call, "set_convergent") || is_action(call, "set_slow") || is_action(call, "set_blind") ||
                    is_action(call, "set_forever");
    json_t *want = json_object_get(json_object_get(planned, undo ? "from" : "to"), "value");
    json_t *expected = json_object_get(json_object_get(planned, undo ? "to" : "from"), "value");
    STANCH_AUTO_JSON json_t *now = value_of(sim, call->target);
    if (is_action(call, "set_idempotent") && sim_effects_of(sim, stanch_json_str(call->input, "key", ""), call->op))
        return true;
    if (compares && json_equal(now, want))
        return true; /* it is so already */
    if (compares && !json_equal(now, expected))
        return false;
    log_effect(call, want);
    return true;
}

static void on_late(void *ctx)
{
    struct sim_call *call = ctx;
    take_effect(call);
    json_decref(call->input);
    free(call);
}

/* On its way while nobody waits for it any more. */
static void send_late(struct sim_call *call)
{
    struct sim_call *late = STANCH_NEW(struct sim_call);
    *late = *call;
    late->input = json_incref(call->input);
    late->answer.value = NULL;
    stanch_timer_start(call->sim->loop, SETTLE_MS - 50, on_late, late);
}

static void write_remote(struct sim_call *call)
{
    enum sim_fate fate = call->fate;
    bool may_be_late = is_action(call, "set_reconcilable") || is_action(call, "set_risky");
    if (fate == SIM_LATE && !may_be_late)
        fate = SIM_LOST_BEFORE;
    if (fate == SIM_LATE)
        send_late(call);
    if (fate == SIM_FAILS || fate == SIM_FAILS_FOR_GOOD) {
        fail(call, STANCH_E_REMOTE, fate == SIM_FAILS, "refused by the remote");
    } else if (fate == SIM_LOST_BEFORE || fate == SIM_LATE) {
        call->answer.outcome = STANCH_OUTCOME_UNKNOWN;
        stanch_err_set(&call->answer.err, STANCH_E_CRASHED, "the host died");
    } else if (!take_effect(call)) {
        fail(call, STANCH_E_STALE, false, "it is no longer what it was");
    } else if (fate == SIM_LOST_AFTER) {
        call->answer.outcome = STANCH_OUTCOME_UNKNOWN;
        stanch_err_set(&call->answer.err, STANCH_E_CRASHED, "the host died");
    } else {
        call->answer.value = json_pack("{s:b}", "applied", 1);
    }
}

static void reconcile(struct sim_call *call)
{
    struct sim *sim = call->sim;
    const char *of = stanch_json_str(call->input, "op", "apply");
    bool undo = strcmp(of, "undo") == 0;
    const json_t *planned = json_object_get(call->input, "plan");
    STANCH_AUTO_JSON json_t *now = value_of(sim, call->target);
    bool by_value = is_action(call, "set_convergent") || is_action(call, "set_slow") || is_action(call, "set_forever");
    bool done = by_value ? json_equal(now, json_object_get(json_object_get(planned, undo ? "from" : "to"), "value"))
                         : sim_effects_of(sim, stanch_json_str(call->input, "key", ""), of) > 0;
    bool blind = call->fate == SIM_CANNOT_TELL;
    call->answer.value = json_pack("{s:s}", "state", blind ? "cannot-tell" : done ? "done" : "not-done");
}

static void verify(struct sim_call *call)
{
    const json_t *planned = json_object_get(call->input, "plan");
    STANCH_AUTO_JSON json_t *now = value_of(call->sim, call->target);
    bool holds = json_equal(now, json_object_get(json_object_get(planned, "to"), "value"));
    call->answer.value =
        json_pack("{s:b, s:b}", "holds", holds && call->fate == SIM_FINE, "never", call->fate == SIM_FAILS_FOR_GOOD);
}

static void read_remote(struct sim_call *call)
{
    if (call->fate == SIM_FAILS || call->fate == SIM_FAILS_FOR_GOOD)
        fail(call, STANCH_E_REMOTE, false, "refused by the remote");
    else if (call->fate == SIM_CANNOT_TELL)
        call->answer.value = json_pack("{s:b, s:s}", "no_data", 1, "why", "no samples");
    else if (is_action(call, "metric"))
        call->answer.value = json_pack("{s:f}", "value", call->sim->symptom);
    else
        call->answer.value = json_pack("{s:o}", "value", value_of(call->sim, call->target));
}

static bool changes(const struct sim_call *call)
{
    return strcmp(call->op, "apply") == 0 || strcmp(call->op, "undo") == 0 || is_action(call, "tell");
}

static void arrive(struct sim_call *call)
{
    call->arrived = true;
    if (changes(call) && strcmp(call->op, "reconcile") != 0)
        write_remote(call);
    else if (strcmp(call->op, "plan") == 0)
        plan(call);
    else if (strcmp(call->op, "reconcile") == 0)
        reconcile(call);
    else if (strcmp(call->op, "verify") == 0)
        verify(call);
    else
        read_remote(call);
}

/* ---- a call on its way ---- */

static void free_call(struct sim_call *call)
{
    struct sim_call **at = &call->sim->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    json_decref(call->answer.value);
    json_decref(call->input);
    free(call);
}

static struct model_call as_seen(const struct sim_call *call)
{
    return (struct model_call){.op = call->op, .action = call->action, .target = call->target, .input = call->input};
}

static void on_back(void *ctx)
{
    struct sim_call *call = ctx;
    struct sim *sim = call->sim;
    if (call->generation == sim->generation && !sim->dead) {
        struct model_call seen = as_seen(call);
        if (sim->model)
            model_answered(sim->model, &seen, &call->answer);
        call->on_answer(call->ctx, &call->answer);
    }
    free_call(call);
}

static void on_arrived(void *ctx)
{
    struct sim_call *call = ctx;
    if (!call->arrived) {
        arrive(call);
        sim__dies(call->sim);
    }
    stanch_timer_start(call->sim->loop, call->answer_in_ms, on_back, call);
}

int sim__call(void *ctx, const struct stanch_plugin_request *request,
              void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
              struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct sim *sim = ctx;
    (void)ret;
    if (sim__dies(sim))
        return 0; /* nothing leaves a dead process, and nothing comes back to it */
    enum sim_fate fate = sim->fate ? sim->fate(sim, request->op, request->action) : SIM_FINE;
    if (fate == SIM_AWAY)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "fx is down");
    struct sim_call *call = STANCH_NEW(struct sim_call);
    *call = (struct sim_call){.next = sim->calls,
                              .sim = sim,
                              .generation = sim->generation,
                              .input = json_deep_copy(request->input),
                              .fate = fate,
                              .on_answer = on_answer,
                              .ctx = call_ctx,
                              .answer_in_ms = sim->call_ms};
    sim->calls = call;
    (void)snprintf(call->op, sizeof call->op, "%s", request->op);
    (void)snprintf(call->action, sizeof call->action, "%s", request->action);
    (void)snprintf(call->target, sizeof call->target, "%s",
                   stanch_json_str(json_object_get(request->input, "args"), "target", ""));
    struct model_call seen = as_seen(call);
    if (sim->model)
        model_called(sim->model, &seen);
    if (sim->jitter) {
        call->answer_in_ms = sim_dice(sim, 6) ? sim_dice(sim, 60) : sim_dice(sim, DEADLINE_MS);
        stanch_timer_start(sim->loop, sim_dice(sim, 40), on_arrived, call);
        return 0;
    }
    arrive(call);
    on_arrived(call);
    return 0;
}

void sim__cancel(void *ctx, struct stanch_plugin_call *call)
{
    (void)ctx, (void)call;
}

/* The hosts of a process that died are ended before the next one looks (PROMISES.md 1.13). */
void sim__strand_calls(struct sim *sim)
{
    for (struct sim_call *call = sim->calls; call; call = call->next) {
        if (call->arrived)
            continue;
        call->arrived = true;
        if (changes(call) && sim_dice(sim, 2))
            arrive(call);
    }
}
