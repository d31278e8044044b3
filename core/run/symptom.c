/* symptom.c: what the users suffer from, asked of a plugin: once (`check`), until it is settled (`verify`),
 * or until something holds (`wait_for`). A verify is one step: its samples are evidence, not replayed; after
 * a restart it begins anew. No data is never success.
 *
 *   verify:  settle --> sample --> good: held for `hold`? --> "good"
 *                         ^  \--> not yet, time left: wait `every`
 *                         +------/      time over: "bad" or "no_data", as the last sample was
 *
 * A run that only says what it would do has changed nothing that could get better: it looks once.
 */
#include "run/autonomy.h"
#include "run/breaker.h"
#include "run/verdict.h"
#include "base/mem.h"
#include "rule/match.h"
#include <string.h>

#define READ_DEADLINE_MS 5000
#define WHY_MAX          190

struct stanch_watch {
    struct stanch_op *op;      /* NULL: a sample outside of a run */
    struct stanch_watch *next; /* such samples, of the engine */
    struct stanch_engine *engine;
    const json_t *symptom; /* borrowed from the want, or owned below */
    json_t *own;
    int64_t began_mono_ms;
    int64_t good_since_mono_ms; /* 0: not good */
    int64_t samples;
    char last[16]; /* "good", "bad", "between", "no_data" */
    json_t *value;
    char why[200];
    bool once;
    bool until; /* wait_for: the range is `until`, the results are held, timeout */
    void (*on_sample)(void *ctx, const char *result, const json_t *value, const char *why);
    void *ctx;
};

static void take_sample(struct stanch_watch *watch);

static const char *judge(const struct stanch_watch *watch, double value)
{
    struct stanch_err err;
    const char *good = stanch_json_str(watch->symptom, watch->until ? "until" : "good", "");
    if (stanch_range_holds(good, value, &err) == 1)
        return "good";
    const char *bad = stanch_json_str(watch->symptom, "bad", NULL);
    if (!watch->until && bad && stanch_range_holds(bad, value, &err) == 1)
        return "bad";
    return watch->until ? "bad" : "between";
}

/* Cut between characters: it becomes part of an entry. */
static void note_why(struct stanch_watch *watch, const char *why)
{
    (void)snprintf(watch->why, sizeof watch->why, "%.*s", (int)stanch_text_cut(why, WHY_MAX), why);
}

static void note_sample(struct stanch_watch *watch, const struct stanch_plugin_answer *answer)
{
    watch->samples++;
    watch->why[0] = 0;
    json_decref(watch->value);
    watch->value = NULL;
    (void)snprintf(watch->last, sizeof watch->last, "no_data");
    if (answer->outcome != STANCH_OUTCOME_DONE) {
        note_why(watch, answer->err.text);
        return;
    }
    const json_t *value = json_object_get(answer->value, "value");
    if (stanch_json_bool(answer->value, "no_data", false) || !json_is_number(value)) {
        note_why(watch, stanch_json_str(answer->value, "why", "the answer has no number"));
        return;
    }
    watch->value = json_deep_copy(value);
    (void)snprintf(watch->last, sizeof watch->last, "%s", judge(watch, json_number_value(value)));
}

static json_t *watch_value(const struct stanch_watch *watch)
{
    return watch->value ? json_incref(watch->value) : json_null();
}

/* The last sample stands on the card of the next approval. */
static void remember(struct stanch_watch *watch, struct stanch_run *run)
{
    if (!run || watch->until)
        return;
    json_decref(run->symptom_seen);
    run->symptom_seen =
        json_pack("{s:s, s:o, s:I, s:s, s:s}", "result", watch->last, "value", watch_value(watch), "at_ms",
                  (json_int_t)stanch_engine__now(watch->engine), "good", stanch_json_str(watch->symptom, "good", ""),
                  "bad", stanch_json_str(watch->symptom, "bad", ""));
}

static void drop(struct stanch_watch *watch)
{
    for (struct stanch_watch **at = &watch->engine->samples; *at; at = &(*at)->next) {
        if (*at == watch) {
            *at = watch->next;
            break;
        }
    }
    json_decref(watch->own);
    json_decref(watch->value);
    free(watch);
}

/* What it says of what the run did: in the answer, so that a replay is told the same. */
static void tell_verdict(const struct stanch_verdict *verdict, json_t *ok)
{
    if (!verdict->word)
        return;
    json_object_set_new(ok, "verdict", json_string(verdict->word));
    if (verdict->sampled)
        json_object_set_new(ok, "before", json_deep_copy(verdict->sampled));
}

static void finish(struct stanch_watch *watch, const char *result)
{
    struct stanch_op *op = watch->op;
    if (!op) {
        watch->on_sample(watch->ctx, result, watch->value, watch->why);
        drop(watch);
        return;
    }
    if (stanch_op__is_stuck(op)) {
        stanch_op__free(op);
        return;
    }
    remember(watch, op->run);
    json_t *answer = json_pack("{s:{s:s, s:o, s:I}}", "ok", "result", result, "value", watch_value(watch), "samples",
                               (json_int_t)watch->samples);
    json_t *ok = json_object_get(answer, "ok");
    if (watch->why[0])
        json_object_set_new(ok, "why", json_string(watch->why));
    struct stanch_verdict verdict = {0};
    if (!watch->once && !watch->until)
        stanch_verdict__find(op, result, watch->value, &verdict);
    tell_verdict(&verdict, ok);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_op__ask(op, batch, NULL);
    json_t *data = json_deep_copy(ok);
    STANCH_AUTO_FREE char *said = stanch_verdict__said(&verdict);
    stanch_json_set_str(data, "said", said);
    json_object_set_new(data, "step", json_string(op->id));
    json_object_set_new(data, "took_ms", json_integer(stanch_loop_mono_ms(watch->engine->loop) - watch->began_mono_ms));
    json_object_set_new(data, "good",
                        json_string(stanch_json_str(watch->symptom, watch->until ? "until" : "good", "")));
    stanch_batch_add(batch, op->chain, watch->once ? "step.checked" : "step.verified", STANCH_BY_STANCH, op->run_id,
                     data);
    if (!watch->once && !watch->until)
        stanch_breaker__verified(op, result, &verdict, batch);
    stanch_op__answer(op, batch, answer);
}

static void on_every(void *ctx)
{
    struct stanch_watch *watch = ctx;
    watch->op->timer = NULL;
    take_sample(watch);
}

static void wait_then_sample(struct stanch_watch *watch, int64_t delay_ms)
{
    watch->op->timer = stanch_timer_start(watch->engine->loop, delay_ms, on_every, watch);
}

static void go_on(struct stanch_watch *watch)
{
    int64_t now = stanch_loop_mono_ms(watch->engine->loop);
    int64_t hold = stanch_json_int(watch->symptom, "hold_ms", 0);
    int64_t within = stanch_json_int(watch->symptom, "within_ms", 300000);
    int64_t every = stanch_json_int(watch->symptom, "every_ms", hold >= 4000 ? 2000 : 500);
    bool good = strcmp(watch->last, "good") == 0;
    if (stanch_autonomy__is_plan(watch->op->run))
        hold = within = 0;
    if (!good)
        watch->good_since_mono_ms = 0;
    else if (!watch->good_since_mono_ms)
        watch->good_since_mono_ms = now;
    if (good && now - watch->good_since_mono_ms >= hold) {
        finish(watch, watch->until ? "held" : "good");
    } else if (now - watch->began_mono_ms >= within) {
        bool no_data = strcmp(watch->last, "no_data") == 0;
        finish(watch, no_data ? "no_data" : watch->until ? "timeout" : "bad");
    } else {
        wait_then_sample(watch, every > 50 ? every : 50);
    }
}

static void on_answer(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_watch *watch = ctx;
    if (watch->op && !stanch_op__returned(watch->op))
        return; /* op__free has freed the watch */
    note_sample(watch, answer);
    if (watch->once)
        finish(watch, watch->last);
    else
        go_on(watch);
}

static void take_sample(struct stanch_watch *watch)
{
    const json_t *ask = json_object_get(watch->symptom, "ask");
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O}", "args", json_object_get(ask, "args"));
    struct stanch_plugin_request request = {.instance = stanch_json_str(ask, "instance", ""),
                                            .op = "read",
                                            .action = stanch_json_str(ask, "action", ""),
                                            .input = input,
                                            .deadline_ms = READ_DEADLINE_MS};
    struct stanch_plugin_answer lost = {.outcome = STANCH_OUTCOME_FAILED};
    struct stanch_world *world = watch->engine->world;
    if (watch->op)
        stanch_op__away(watch->op);
    int rc = world->call(world->ctx, &request, on_answer, watch, NULL, &lost.err);
    if (rc < 0)
        on_answer(watch, &lost);
}

/* A read leaves the process only when all before it is committed. */
static void on_barrier(void *ctx)
{
    struct stanch_watch *watch = ctx;
    if (!watch->op && watch->engine->halted) {
        drop(watch);
        return;
    }
    if (!watch->op) {
        take_sample(watch);
        return;
    }
    if (!stanch_op__returned(watch->op))
        return;
    bool looks_once = watch->once || stanch_autonomy__is_plan(watch->op->run);
    int64_t settle = looks_once ? 0 : stanch_json_int(watch->symptom, "settle_ms", 0);
    if (settle > 0)
        wait_then_sample(watch, settle);
    else
        take_sample(watch);
}

static void start_watch(struct stanch_op *op, bool once, bool until)
{
    const json_t *args = stanch_op__args(op);
    const json_t *symptom = until ? args : json_object_get(args, "symptom");
    if (!json_is_object(json_object_get(symptom, "ask"))) {
        stanch_op__answer_error(op, "invalid",
                                "there is no symptom to ask for: declare `symptom = symptom {...}` in the runbook");
        return;
    }
    struct stanch_watch *watch = STANCH_NEW(struct stanch_watch);
    op->state = watch;
    watch->op = op;
    watch->engine = op->engine;
    watch->symptom = symptom;
    watch->once = once;
    watch->until = until;
    watch->began_mono_ms = stanch_loop_mono_ms(op->engine->loop);
    if (!once) { /* it takes a while: say that it began */
        struct stanch_batch *batch = stanch_batch_new();
        stanch_op__ask(op, batch, NULL);
        int rc = stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
        if (rc < 0 && stanch_op__hold(op, rc))
            return;
    }
    stanch_op__away(op);
    stanch_journal_barrier(op->engine->journal, on_barrier, watch);
}

void stanch_symptom__sample(struct stanch_engine *engine, const json_t *symptom,
                            void (*on_sample)(void *ctx, const char *result, const json_t *value, const char *why),
                            void *ctx)
{
    struct stanch_watch *watch = STANCH_NEW(struct stanch_watch);
    watch->engine = engine;
    watch->own = json_deep_copy(symptom);
    watch->symptom = watch->own;
    watch->once = true;
    watch->began_mono_ms = stanch_loop_mono_ms(engine->loop);
    watch->on_sample = on_sample;
    watch->ctx = ctx;
    watch->next = engine->samples;
    engine->samples = watch;
    stanch_journal_barrier(engine->journal, on_barrier, watch);
}

void stanch_symptom__free_all(struct stanch_engine *engine)
{
    while (engine->samples)
        drop(engine->samples);
}

static void free_watch(struct stanch_op *op)
{
    struct stanch_watch *watch = op->state;
    if (watch)
        json_decref(watch->value);
    if (!watch || op->calls == 0) {
        free(watch);
        return;
    }
    /* a call still holds it: it goes with the op (on_answer only asks the op whether it is over) */
    watch->value = NULL;
    op->kept = watch;
}

static void start_check(struct stanch_op *op)
{
    start_watch(op, true, false);
}
static void start_verify(struct stanch_op *op)
{
    start_watch(op, false, false);
}
static void start_wait_for(struct stanch_op *op)
{
    start_watch(op, false, true);
}
const struct stanch_op_kind stanch_op_check = {.name = "check", .start = start_check, .done = free_watch};
const struct stanch_op_kind stanch_op_verify = {.name = "verify", .start = start_verify, .done = free_watch};
const struct stanch_op_kind stanch_op_wait_for = {.name = "wait_for", .start = start_wait_for, .done = free_watch};
