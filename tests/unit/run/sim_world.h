/* sim_world.h: a world for tests of the engine: a plugin "fx" whose remote is a table of values with a log of effects,
 * and workers that are a list of wants instead of Lua. Both misbehave when told to. Everything is in virtual time.
 */
#ifndef STANCH_TESTS_SIM_WORLD_H
#define STANCH_TESTS_SIM_WORLD_H
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "base/digest.h"
#include "rule/policy.h"
#include "run/run.h"
#include "run/world.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <stdio.h>
#include <string.h>

#define SIM_MAX_EFFECTS 256

/* What a plugin call does next, chosen by the test (or by a seed). */
enum sim_fate { SIM_FINE, SIM_FAILS, SIM_LOST_BEFORE, SIM_LOST_AFTER, SIM_CANNOT_TELL };

struct sim_effect {
    char step[80]; /* key */
    char op[8];
    int value;
};

struct sim {
    struct stanch_world world;
    struct stanch_loop *loop;
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_policy *policy;
    struct stanch_engine *engine;
    json_t *remote;  /* target -> value; outside of stanch: survives its crashes */
    json_t *program; /* wants that a run's worker puts, in order: [{"op","args"}] */
    json_t *describes;
    struct sim_effect effects[SIM_MAX_EFFECTS];
    int effect_count;
    enum sim_fate (*fate)(struct sim *sim, const char *op, const char *action);
    int64_t call_ms;
    uint64_t seed;
    int generation;
    char state_dir[64];
};

struct sim_worker {
    struct sim *sim;
    struct stanch_worker_events events;
    void *ctx;
    int64_t asked;
    int64_t answers;
    int generation;
    bool gone;
};

struct sim_call {
    struct sim *sim;
    int generation;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *ctx;
    struct stanch_plugin_answer answer;
};

static inline uint64_t sim_random(struct sim *sim)
{
    /* splitmix64; source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014) */
    uint64_t z = (sim->seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* ---- plugins ---- */

static inline void sim_log_effect(struct sim *sim, const char *op, const char *key, int value)
{
    struct sim_effect *effect = &sim->effects[sim->effect_count < SIM_MAX_EFFECTS ? sim->effect_count++ : 0];
    (void)snprintf(effect->step, sizeof effect->step, "%s", key);
    (void)snprintf(effect->op, sizeof effect->op, "%s", op);
    effect->value = value;
}

static inline const json_t *sim_describe(void *ctx, const char *instance)
{
    return json_object_get(((struct sim *)ctx)->describes, instance);
}

static inline int sim_check_args(void *ctx, const char *instance, const char *action, const json_t *args,
                                 struct stanch_err *err)
{
    (void)ctx, (void)instance, (void)action, (void)args, (void)err;
    return 0;
}

static inline json_t *sim_value(struct sim *sim, const char *target)
{
    json_t *value = json_object_get(sim->remote, target);
    return value ? json_incref(value) : json_integer(0);
}

static inline json_t *sim_plan(struct sim *sim, const json_t *args)
{
    const char *target = stanch_json_str(args, "target", "");
    json_t *to = json_object_get(args, "value");
    json_t *from = sim_value(sim, target);
    bool same = json_equal(from, to);
    return json_pack("{s:[o], s:{s:o}, s:{s:O}, s:{s:O}, s:s, s:b}", "targets", json_sprintf("fx:fx/%s", target),
                     "from", "value", from, "to", "value", to, "undo", "value", from, "undo_by_hand", "by hand",
                     "no_change", same);
}

/* apply and undo are compare-and-set for the convergent class, and a plain write for the others */
static inline void sim_write(struct sim *sim, const char *op, const char *action, const json_t *input,
                             enum sim_fate fate, struct stanch_plugin_answer *ret)
{
    const json_t *plan = json_object_get(input, "plan"), *args = json_object_get(input, "args");
    bool undo = strcmp(op, "undo") == 0;
    const char *target = stanch_json_str(args, "target", "");
    json_t *want = json_object_get(json_object_get(plan, undo ? "from" : "to"), "value");
    json_t *expected = json_object_get(json_object_get(plan, undo ? "to" : "from"), "value");
    STANCH_AUTO_JSON json_t *now = sim_value(sim, target);
    if (fate == SIM_FAILS || (strcmp(action, "set_convergent") == 0 && !json_equal(now, expected))) {
        ret->outcome = STANCH_OUTCOME_FAILED;
        ret->retry = fate == SIM_FAILS;
        stanch_err_set(&ret->err, fate == SIM_FAILS ? STANCH_E_REMOTE : STANCH_E_STALE, "refused by the remote");
        return;
    }
    if (fate != SIM_LOST_BEFORE) {
        json_object_set(sim->remote, target, want);
        sim_log_effect(sim, op, stanch_json_str(input, "key", ""), (int)json_integer_value(want));
    }
    if (fate == SIM_LOST_BEFORE || fate == SIM_LOST_AFTER) {
        ret->outcome = STANCH_OUTCOME_UNKNOWN;
        stanch_err_set(&ret->err, STANCH_E_CRASHED, "the host died");
        return;
    }
    ret->value = json_pack("{s:b}", "applied", 1);
}

static inline void sim_reconcile(struct sim *sim, const json_t *input, enum sim_fate fate,
                                 struct stanch_plugin_answer *ret)
{
    const json_t *plan = json_object_get(input, "plan"), *args = json_object_get(input, "args");
    bool undo = strcmp(stanch_json_str(input, "op", "apply"), "undo") == 0;
    STANCH_AUTO_JSON json_t *now = sim_value(sim, stanch_json_str(args, "target", ""));
    bool done = json_equal(now, json_object_get(json_object_get(plan, undo ? "from" : "to"), "value"));
    ret->value = json_pack("{s:s}", "state", fate == SIM_CANNOT_TELL ? "cannot-tell" : done ? "done" : "not-done");
}

static inline void sim_on_due(void *ctx)
{
    struct sim_call *call = ctx;
    if (call->generation == call->sim->generation)
        call->on_answer(call->ctx, &call->answer);
    json_decref(call->answer.value);
    free(call);
}

static inline int sim_call(void *ctx, const struct stanch_plugin_request *request,
                           void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                           struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct sim *sim = ctx;
    (void)ret, (void)err;
    struct sim_call *call = STANCH_NEW(struct sim_call);
    call->sim = sim;
    call->generation = sim->generation;
    call->on_answer = on_answer;
    call->ctx = call_ctx;
    enum sim_fate fate = sim->fate ? sim->fate(sim, request->op, request->action) : SIM_FINE;
    const json_t *args = json_object_get(request->input, "args");
    if (strcmp(request->op, "plan") == 0) {
        call->answer.value = sim_plan(sim, args);
    } else if (strcmp(request->op, "apply") == 0 || strcmp(request->op, "undo") == 0) {
        sim_write(sim, request->op, request->action, request->input, fate, &call->answer);
    } else if (strcmp(request->op, "reconcile") == 0) {
        sim_reconcile(sim, request->input, fate, &call->answer);
    } else if (strcmp(request->op, "verify") == 0) {
        call->answer.value = json_pack("{s:b}", "holds", 1);
    } else {
        call->answer.value = json_pack("{s:o}", "value", sim_value(sim, stanch_json_str(args, "target", "")));
    }
    stanch_timer_start(sim->loop, sim->call_ms, sim_on_due, call);
    return 0;
}

static inline void sim_cancel(void *ctx, struct stanch_plugin_call *call)
{
    (void)ctx, (void)call;
}

/* ---- workers: put the program's wants one after the other ---- */

static inline void sim_worker_go(void *ctx)
{
    struct sim_worker *worker = ctx;
    struct sim *sim = worker->sim;
    if (worker->gone || worker->generation != sim->generation) {
        free(worker);
        return;
    }
    if ((size_t)worker->asked >= json_array_size(sim->program)) {
        STANCH_AUTO_JSON json_t *result = json_string("end");
        worker->events.on_end(worker->ctx, 0, NULL, result);
        free(worker);
        return;
    }
    json_t *want = json_deep_copy(json_array_get(sim->program, (size_t)worker->asked));
    worker->asked++;
    json_object_set_new(want, "n", json_integer(worker->asked));
    STANCH_AUTO_JSON json_t *wants = json_pack("[o]", want);
    worker->events.on_wants(worker->ctx, wants);
}

static inline int sim_worker_start(void *ctx, const struct stanch_worker_spec *spec,
                                   const struct stanch_worker_events *events, void *worker_ctx,
                                   struct stanch_worker **ret, struct stanch_err *err)
{
    struct sim *sim = ctx;
    (void)spec, (void)err;
    struct sim_worker *worker = STANCH_NEW(struct sim_worker);
    worker->sim = sim;
    worker->events = *events;
    worker->ctx = worker_ctx;
    worker->generation = sim->generation;
    *ret = (struct stanch_worker *)(void *)worker;
    stanch_timer_start(sim->loop, 1, sim_worker_go, worker);
    return 0;
}

static inline int sim_worker_answer(void *ctx, struct stanch_worker *handle, int64_t n, const json_t *answer,
                                    struct stanch_err *err)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)handle;
    (void)ctx, (void)n, (void)answer, (void)err;
    worker->answers++;
    stanch_timer_start(worker->sim->loop, 1, sim_worker_go, worker);
    return 0;
}

/* A worker that waits for an answer has no timer out: it is freed here; else its timer frees it. */
static inline void sim_worker_kill(void *ctx, struct stanch_worker *handle)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)handle;
    (void)ctx;
    if (worker->asked > worker->answers)
        free(worker);
    else
        worker->gone = true;
}

/* ---- the whole ---- */

static inline json_t *sim_action(const char *class)
{
    bool looks = strcmp(class, "unprotected") != 0;
    return json_pack("{s:s, s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b}, s:i}", "effect", "mitigate", "class", class, "risk",
                     "low", "has", "plan", 1, "apply", 1, "verify", 1, "undo", 1, "reconcile", looks, "deadline_ms",
                     1000);
}

static inline void sim_start_engine(struct sim *sim)
{
    struct stanch_err err = {0};
    struct stanch_engine_config config = {.state_dir = sim->state_dir,
                                          .fresh_for_ms = 300000,
                                          .approval_expires_ms = 900000,
                                          .max_steps = 100,
                                          .worker_idle_ms = 2000,
                                          .epoch = 1};
    sim->engine = stanch_engine_new(sim->journal, &sim->world, sim->policy, &config);
    if (stanch_engine_recover(sim->engine, &err) < 0)
        (void)fprintf(stderr, "%s\n", err.text);
}

static inline void sim_init(struct sim *sim, const char *auto_risk)
{
    struct stanch_err err = {0};
    memset(sim, 0, sizeof *sim);
    stanch_digest_init();
    (void)snprintf(sim->state_dir, sizeof sim->state_dir, "/tmp/stanch-sim-XXXXXX");
    if (!mkdtemp(sim->state_dir))
        abort();
    sim->loop = stanch_loop_sim_new(1763690562000, 1000000);
    sim->call_ms = 5;
    sim->remote = json_object();
    sim->program = json_array();
    sim->world = (struct stanch_world){"sim",          sim->loop,        sim,
                                       sim_describe,   sim_check_args,   sim_call,
                                       sim_cancel,     sim_worker_start, sim_worker_answer,
                                       sim_worker_kill};
    sim->describes =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:s, s:{s:o, s:o, s:o, s:{s:s, s:s}}}}", "fx", "name", "fx", "plugin", "fx",
                  "environment", "test", "version", "1", "digest", "d", "actions", "set_convergent",
                  sim_action("convergent"), "set_reconcilable", sim_action("reconcilable"), "set_unprotected",
                  sim_action("unprotected"), "get", "effect", "read", "class", "read-only");
    STANCH_AUTO_JSON json_t *policy = json_pack("{s:s, s:{s:{s:s, s:i, s:i}}, s:[]}", "auto", auto_risk, "approve",
                                                "low", "role", "ic", "expires_ms", 900000, "quorum", 1, "rules");
    if (stanch_policy_new(policy, &sim->policy, &err) < 0)
        (void)fprintf(stderr, "policy: %s\n", err.text);
    sim->store = stanch_store_memory_new();
    if (stanch_journal_open(sim->loop, sim->store, &sim->journal, &err) < 0)
        (void)fprintf(stderr, "journal: %s\n", err.text);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "-", "book.accepted", "stanch", NULL,
                     json_pack("{s:s, s:[]}", "commit", "c0ffee", "files"));
    stanch_batch_add(batch, "INC-1", "incident.declared", "stanch", NULL,
                     json_pack("{s:s, s:s, s:s}", "incident", "INC-1", "title", "t", "severity", "sev2"));
    stanch_journal_append(sim->journal, batch, NULL, NULL, &err);
    sim_start_engine(sim);
    stanch_loop_sim_settle(sim->loop);
}

/* The process dies and comes back: all that was in memory is gone; the store and the remote are not. */
static inline void sim_crash(struct sim *sim)
{
    sim->generation++;
    stanch_engine_halt(sim->engine);
    stanch_loop_sim_settle(sim->loop); /* barriers come back to nobody */
    stanch_engine_free(sim->engine);
    sim_start_engine(sim);
}

static inline void sim_done(struct sim *sim)
{
    sim->generation++;
    stanch_engine_halt(sim->engine);
    stanch_loop_sim_settle(sim->loop);
    stanch_engine_free(sim->engine);
    stanch_loop_sim_advance(sim->loop, 60000);
    stanch_journal_close(sim->journal);
    stanch_policy_free(sim->policy);
    stanch_loop_sim_free(sim->loop);
    json_decref(sim->remote);
    json_decref(sim->program);
    json_decref(sim->describes);
    char path[100];
    (void)snprintf(path, sizeof path, "%s/stop", sim->state_dir);
    (void)remove(path);
    (void)remove(sim->state_dir);
}

static inline void sim_want(struct sim *sim, json_t *want)
{
    json_array_append_new(sim->program, want);
}

static inline json_t *sim_set(const char *action, const char *target, int value)
{
    return json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:i}, s:s}}", "op", "action", "args", "instance", "fx", "action",
                     action, "args", "target", target, "value", value, "because", "test");
}

static inline void sim_begin(struct sim *sim, const char *id)
{
    struct stanch_err err;
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}], s:{}}", "run", id, "runbook",
                  "book", "path", "book.lua", "commit", "c0ffee", "seed", id, "uses", "instance", "fx", "action",
                  "set_convergent", "instance", "fx", "action", "set_reconcilable", "instance", "fx", "action",
                  "set_unprotected", "instance", "fx", "action", "get", "params");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "INC-1", "run.started", "stanch", id, json_incref(data));
    stanch_journal_append(sim->journal, batch, NULL, NULL, &err);
    stanch_engine_begin(sim->engine, data, "INC-1");
    json_decref(data);
}

static inline void sim_state_of(struct sim *sim, const char *noun, const char *id, char ret[32])
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, noun, id);
    (void)snprintf(ret, 32, "%s", stanch_json_str(doc, "state", "none"));
}

#endif
