/* engine.c: the set of live runs: made, found, recovered, freed. */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include "run/limits.h"
#include "run/revision.h"
#include <malloc.h>
#include <string.h>

#define TRIM_AFTER 64   /* runs that ended or came to rest */
#define CALM_MS    1000 /* after the last one */

int64_t stanch_engine__now(struct stanch_engine *engine)
{
    return stanch_loop_wall_ms(engine->loop);
}

int64_t stanch_engine__steady(struct stanch_engine *engine)
{
    return stanch_loop_mono_ms(engine->loop) + engine->steady_ms;
}

int64_t stanch_engine_stop_clock(struct stanch_engine *engine)
{
    int64_t now = stanch_engine__now(engine), steady = stanch_engine__steady(engine);
    return now < steady ? now : steady;
}

json_t *stanch_engine_stops(struct stanch_engine *engine)
{
    return stanch_stop_list(engine->config.state_dir, stanch_engine_stop_clock(engine));
}

char *stanch_engine__stopped(struct stanch_engine *engine, const struct stanch_stop_about *about)
{
    return stanch_stop_holds(engine->config.state_dir, about, stanch_engine_stop_clock(engine));
}

void stanch_engine__count(struct stanch_engine *engine, const char *counter)
{
    json_object_set_new(engine->counters, counter, json_integer(stanch_json_int(engine->counters, counter, 0) + 1));
}

int stanch_engine__append(struct stanch_engine *engine, struct stanch_batch *batch, void (*on_committed)(void *ctx),
                          void *ctx, struct stanch_err *err)
{
    struct stanch_err own = {0};
    if (engine->halted) {
        stanch_batch_free(batch);
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "stanch is ending");
    }
    int rc = stanch_journal_append(engine->journal, batch, on_committed, ctx, &own);
    if (rc < 0) {
        stanch_log(STANCH_LOG_ERROR, "run", "not recorded, nothing was started: %s", own.text);
        if (err)
            *err = own;
    }
    return rc;
}

struct stanch_run *stanch_engine__run(struct stanch_engine *engine, const char *id)
{
    for (struct stanch_run *run = engine->runs; run; run = run->next)
        if (strcmp(run->id, id) == 0)
            return run;
    return NULL;
}

struct stanch_engine *stanch_engine_new(struct stanch_journal *journal, struct stanch_world *world,
                                        struct stanch_policy *policy, const struct stanch_engine_config *config)
{
    struct stanch_engine *engine = STANCH_NEW(struct stanch_engine);
    engine->loop = world->loop;
    engine->journal = journal;
    engine->world = world;
    engine->policy = policy;
    engine->config = *config;
    engine->config.state_dir = stanch_strdup(config->state_dir);
    engine->targets = stanch_targets_new(engine->loop);
    engine->counters = json_object();
    engine->by_hand = json_object();
    engine->in_force = json_object();
    engine->going = json_object();
    engine->ready_end = &engine->ready;
    engine->alarm_ms = INT64_MAX;
    engine->began_ms = stanch_engine__now(engine);
    if (config->newest_ms > engine->began_ms) { /* what is due waits no longer for a clock that was set back */
        engine->set_back = config->newest_ms - engine->began_ms > STANCH_CLOCK_SLACK_MS;
        engine->began_ms = config->newest_ms;
    }
    engine->steady_ms = engine->began_ms - stanch_loop_mono_ms(engine->loop);
    return engine;
}

void stanch_run__free(struct stanch_run *run)
{
    stanch_run__drop_worker(run);
    stanch_timer_stop(run->engine->loop, &run->timer);
    stanch_timer_stop(run->engine->loop, &run->idle);
    stanch_run__drop_held(run);
    for (int64_t i = 0; i < run->step_count; i++) {
        free(run->steps[i].op);
        free(run->steps[i].args);
        free(run->steps[i].file);
        json_decref(run->steps[i].answer);
    }
    free(run->steps);
    json_decref(run->doc);
    json_decref(run->symptom_seen);
    json_decref(run->applied);
    free(run);
}

void stanch_engine_free(struct stanch_engine *engine)
{
    if (!engine)
        return;
    stanch_turn__unhook(engine);
    while (engine->ops) {
        engine->ops->calls = 0;
        stanch_op__free(engine->ops);
    }
    while (engine->runs) {
        struct stanch_run *run = engine->runs;
        engine->runs = run->next;
        stanch_run__free(run);
    }
    stanch_timer_stop(engine->loop, &engine->alarm);
    stanch_timer_stop(engine->loop, &engine->calm);
    stanch_ready__free_all(engine);
    stanch_symptom__free_all(engine);
    stanch_mitigation__free_all(engine);
    stanch_soak__free_all(engine);
    stanch_limits__free_all(engine);
    stanch_targets_free(engine->targets);
    stanch_revision_free(engine->revision);
    json_decref(engine->instances);
    json_decref(engine->counters);
    json_decref(engine->by_hand);
    json_decref(engine->in_force);
    json_decref(engine->going);
    free(engine->config.state_dir);
    free(engine);
}

const json_t *stanch_engine_counters(const struct stanch_engine *engine)
{
    return engine->counters;
}

void stanch_engine_leave(struct stanch_engine *engine)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    bool any = false;
    for (struct stanch_op *op = engine->ops; op; op = op->next)
        any = (!op->over && op->kind->left && op->kind->left(op, batch)) || any;
    if (!any)
        stanch_batch_free(batch);
    else if (stanch_journal_append(engine->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_WARN, "run", "what is still out could not be recorded: %s", err.text);
}

void stanch_engine_halt(struct stanch_engine *engine)
{
    stanch_engine_drain(engine);
    engine->halted = true;
}

const char *stanch_engine_holder(const struct stanch_engine *engine, const char *name)
{
    for (const struct stanch_run *run = engine->runs; run; run = run->next)
        if (strcmp(stanch_json_str(run->doc, "holds", ""), name) == 0)
            return run->id;
    return NULL;
}

int stanch_engine_calls(const struct stanch_engine *engine)
{
    int calls = 0;
    for (const struct stanch_op *op = engine->ops; op; op = op->next)
        calls += op->calls;
    return calls;
}

void stanch_engine_drain(struct stanch_engine *engine)
{
    engine->draining = true;
    for (struct stanch_run *run = engine->runs; run; run = run->next)
        stanch_run__drop_worker(run);
}

static int collect(void *ctx, const json_t *doc, struct stanch_err *err)
{
    (void)err;
    json_array_append(ctx, (json_t *)(uintptr_t)doc);
    return 0;
}

/* Every open noun of a kind, oldest first. each: borrowed. */
static int each_open(struct stanch_engine *engine, const char *noun,
                     int (*each)(struct stanch_engine *, const json_t *, struct stanch_err *), struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *all = json_array();
    const struct stanch_noun_query query = {.noun = noun, .open = 1};
    int rc = stanch_journal_each(engine->journal, &query, collect, all, err);
    for (size_t i = json_array_size(all); i > 0 && rc == 0; i--)
        rc = each(engine, json_array_get(all, i - 1), err);
    return rc;
}

struct stanch_run *stanch_run__new(struct stanch_engine *engine, const json_t *doc, const char *incident)
{
    struct stanch_run *run = STANCH_NEW(struct stanch_run);
    run->engine = engine;
    (void)snprintf(run->id, sizeof run->id, "%s", stanch_json_str(doc, "run", ""));
    (void)snprintf(run->chain, sizeof run->chain, "%s", incident);
    run->doc = json_deep_copy(doc);
    run->acted_ms = stanch_engine__now(engine);
    run->acted_mono_ms = stanch_loop_mono_ms(engine->loop);
    run->fed = -1;
    run->applied = json_array();
    run->firing = stanch_json_int(doc, "firing", 1);
    run->prev = engine->runs_last;
    if (run->prev)
        run->prev->next = run;
    else
        engine->runs = run;
    engine->runs_last = run;
    return run;
}

/* What a storm of them took goes back to the system: first what is only cached, for it lies in between. */
static void on_calm(void *ctx)
{
    struct stanch_engine *engine = ctx;
    engine->calm = NULL;
    if (engine->runs)
        return;
    engine->gone = 0;
    stanch_journal_forget(engine->journal);
    malloc_trim(0);
}

void stanch_run__unlink(struct stanch_run *run)
{
    struct stanch_engine *engine = run->engine;
    if (run->prev)
        run->prev->next = run->next;
    else
        engine->runs = run->next;
    if (run->next)
        run->next->prev = run->prev;
    else
        engine->runs_last = run->prev;
    if (++engine->gone >= TRIM_AFTER && !engine->runs && !engine->calm && !engine->halted)
        engine->calm = stanch_timer_start(engine->loop, CALM_MS, on_calm, engine);
}

void stanch_engine_begin(struct stanch_engine *engine, const json_t *started, const char *incident)
{
    stanch_engine__count(engine, "runs_started");
    struct stanch_run *run = stanch_run__new(engine, started, incident);
    stanch_run__going(run, true);
    stanch_run__pump(run);
}

static int collect_by_n(void *ctx, const json_t *doc, struct stanch_err *err)
{
    char n[24];
    (void)err;
    (void)snprintf(n, sizeof n, "%lld", (long long)stanch_json_int(doc, "n", 0));
    json_object_set(ctx, n, (json_t *)(uintptr_t)doc);
    return 0;
}

/* A run's steps, in order of n. Without them it would begin anew, and act again: an error ends the recovery. */
static int load_steps(struct stanch_run *run, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *prefix = stanch_asprintf("%s/", run->id);
    STANCH_AUTO_JSON json_t *docs = json_object();
    const struct stanch_noun_query query = {.noun = "step", .id_prefix = prefix, .open = -1};
    if (stanch_journal_each(run->engine->journal, &query, collect_by_n, docs, err) < 0)
        return stanch_err_wrap(err, "the steps of %s", run->id);
    stanch_run__load_steps(run, docs);
    return 0;
}

int stanch_run__load(struct stanch_engine *engine, const json_t *doc, struct stanch_run **ret, struct stanch_err *err)
{
    struct stanch_run *run = stanch_run__new(engine, doc, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE));
    run->acted_ms = stanch_json_int(doc, "created_ms", 0);
    run->resolved = stanch_json_bool(doc, "resolved", false);
    if (stanch_json_bool(doc, "stuck", false))
        run->state = STANCH_RUN_PARKED;
    int rc = load_steps(run, err);
    if (rc < 0) {
        stanch_run__unlink(run);
        stanch_run__free(run);
        return rc;
    }
    stanch_run__recount(run);
    if (run->acted_ms < engine->began_ms)
        run->gap_ms = engine->began_ms - run->acted_ms;
    if (run->acted_ms < engine->woke_ms && run->gap_ms < engine->stood_ms)
        run->gap_ms = engine->stood_ms;
    run->gap_unknown = engine->set_back;
    *ret = run;
    return 0;
}

static int recover_run(struct stanch_engine *engine, const json_t *doc, struct stanch_err *err)
{
    struct stanch_run *run;
    return stanch_run__load(engine, doc, &run, err);
}

static int recover_orphan(struct stanch_engine *engine, const json_t *doc, struct stanch_err *err)
{
    (void)err;
    stanch_action__recover_orphan(engine, doc);
    return 0;
}

static int recover_mitigation(struct stanch_engine *engine, const json_t *doc, struct stanch_err *err)
{
    (void)err;
    stanch_mitigation__recover(engine, doc);
    return 0;
}

bool stanch_run__park_foreign(struct stanch_run *run)
{
    int64_t language = stanch_json_int(run->doc, "language", STANCH_LANGUAGE_OLDEST);
    if (run->state != STANCH_RUN_RUNNING || (language >= STANCH_LANGUAGE_OLDEST && language <= STANCH_LANGUAGE))
        return false;
    STANCH_AUTO_FREE char *why =
        stanch_asprintf("it began under version %lld of the runbook language, this release of stanch replays %d to %d",
                        (long long)language, STANCH_LANGUAGE_OLDEST, STANCH_LANGUAGE);
    stanch_run__park(run, why, NULL);
    return true;
}

static void pump_all(void *ctx)
{
    struct stanch_engine *engine = ctx;
    for (struct stanch_run *run = engine->runs, *next; run; run = next) {
        next = run->next;
        stanch_run__park_foreign(run);
        stanch_run__pump(run);
    }
}

/* The clock was set back while nobody was there: what would wait longer than anything may is asked anew. */
static int expire_far(struct stanch_engine *engine, struct stanch_err *err)
{
    struct stanch_due_query query = {.noun = "approval",
                                     .after_ms = stanch_engine__steady(engine) + STANCH_APPROVAL_MAX_MS,
                                     .until_ms = INT64_MAX,
                                     .limit = 1000};
    STANCH_AUTO_JSON json_t *far = NULL;
    int rc = stanch_journal_due(engine->journal, &query, &far, err);
    for (size_t i = 0; i < json_array_size(far); i++)
        (void)stanch_approval__expire(engine, stanch_json_str(json_array_get(far, i), "id", ""));
    return rc;
}

int stanch_engine_policy_changed(struct stanch_engine *engine, struct stanch_err *err)
{
    return stanch_limits__recover(engine, err);
}

int stanch_engine_recover(struct stanch_engine *engine, struct stanch_err *err)
{
    int rc = stanch_limits__recover(engine, err); /* before anything passes the gate */
    if (rc == 0)
        rc = stanch_engine__each_under_way(engine, "run", recover_run, err);
    if (rc == 0)
        rc = each_open(engine, "orphan", recover_orphan, err);
    if (rc == 0)
        rc = stanch_engine__each_under_way(engine, "mitigation", recover_mitigation, err);
    if (rc == 0)
        rc = expire_far(engine, err);
    if (rc == 0)
        rc = stanch_by_hand__recover(engine, err);
    if (rc == 0)
        rc = stanch_in_force__recover(engine, err);
    if (rc < 0)
        return rc;
    stanch_engine__due(engine, 0); /* what became due while nobody was there */
    stanch_loop_defer(engine->loop, pump_all, engine);
    return 0;
}
