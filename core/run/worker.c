/* worker.c: a run and its worker. The worker is fed answers in the order of the journal, one at a time,
 * whether they are old or new; each want that the journal holds already is compared, and the first that
 * differs parks the run (PROMISES.md 1.5).
 *
 *   no worker --start--> busy --wants--> blocked --answer--> busy ... --end--> run ends
 *                          \--dies--> no worker (three times at one step: parked)
 */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "run/revision.h"
#include <string.h>

#define MAX_DEATHS     3
#define TRY_AGAIN_MS   500
#define MAX_WANTS_ONCE 64

static void on_wants(void *ctx, const json_t *wants);
static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result);
static const struct stanch_worker_events worker_events = {on_wants, on_end};

static void forget_worker(struct stanch_run *run)
{
    run->worker = NULL;
    run->blocked = false;
    run->engine->worker_count--;
    stanch_ready__serve_soon(run->engine);
}

void stanch_run__drop_worker(struct stanch_run *run)
{
    if (run->worker) {
        run->engine->world->worker_kill(run->engine->world->ctx, run->worker);
        forget_worker(run);
    }
}

static void on_retry(void *ctx)
{
    struct stanch_run *run = ctx;
    run->timer = NULL;
    stanch_run__pump(run);
}

static void try_again_later(struct stanch_run *run)
{
    if (!run->timer)
        run->timer = stanch_timer_start(run->engine->loop, TRY_AGAIN_MS, on_retry, run);
}

/* What the plugins declared when the run began, out of the journal by its digest. borrowed; NULL: not kept */
static json_t *load_instances(struct stanch_run *run)
{
    struct stanch_engine *engine = run->engine;
    const char *hex = stanch_json_str(run->doc, "instances", NULL);
    if (!hex)
        return NULL;
    if (engine->instances && strcmp(engine->instances_hex, hex) == 0)
        return engine->instances;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    struct stanch_err err;
    json_t *instances = NULL;
    if (stanch_journal_blob(engine->journal, hex, &text, &err) < 0 ||
        stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, &instances, &err) < 0) {
        stanch_log(STANCH_LOG_ERROR, "run", "what the plugins of %s declared could not be read: %s", run->id, err.text);
        return NULL;
    }
    json_decref(engine->instances);
    engine->instances = instances;
    (void)snprintf(engine->instances_hex, sizeof engine->instances_hex, "%s", hex);
    return instances;
}

static json_t *worker_input(struct stanch_run *run)
{
    json_t *input = json_object();
    static const char *const copied[] = {"run", "path", "runbook", "event", "params", "seed", "uses", "symptom"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        json_t *member = json_object_get(run->doc, copied[i]);
        json_object_set(input, copied[i], member ? member : json_null());
    }
    json_object_set(input, "incident", json_object_get(run->doc, "incident_as_of"));
    json_t *instances = load_instances(run);
    json_object_set_new(input, "instances", instances ? json_incref(instances) : json_object());
    return input;
}

static int start_worker(struct stanch_run *run, struct stanch_err *err)
{
    struct stanch_engine *engine = run->engine;
    const char *commit = stanch_json_str(run->doc, "commit", "");
    if (!engine->revision || strcmp(engine->revision->commit, commit) != 0) {
        struct stanch_revision_files *revision = NULL;
        int rc = stanch_revision_load(engine->journal, commit, &revision, err);
        if (rc < 0)
            return rc;
        stanch_revision_free(engine->revision);
        engine->revision = revision;
    }
    STANCH_AUTO_JSON json_t *input = worker_input(run);
    struct stanch_worker_spec spec = {
        .kind = "run", .input = input, .sources = engine->revision->sources, .source_count = engine->revision->count};
    run->wanted = run->delivered = 0;
    run->blocked = false;
    int rc = engine->world->worker_start(engine->world->ctx, &spec, &worker_events, run, &run->worker, err);
    if (rc == 0)
        engine->worker_count++;
    return rc;
}

static int open_ops(const struct stanch_run *run)
{
    int count = 0;
    for (const struct stanch_op *op = run->engine->ops; op; op = op->next)
        count += op->run == run && !op->over;
    return count;
}

static const struct stanch_step_record *find_answer(const struct stanch_run *run, int64_t order, int64_t *ret_n)
{
    for (int64_t i = 0; i < run->step_count; i++) {
        if (stanch_is_sabotaged("answers-out-of-order") ? i + 1 == order && run->steps[i].answer
                                                        : run->steps[i].order == order) {
            *ret_n = i + 1;
            return &run->steps[i];
        }
    }
    return NULL;
}

/* One side of a divergence. new */
static json_t *side(const char *op, const char *args, const char *file, int64_t line)
{
    json_t *side = json_pack("{s:s, s:s}", "op", op, "args", args ? args : "");
    stanch_json_set_str(side, "file", file);
    if (line)
        json_object_set_new(side, "line", json_integer(line));
    return side;
}

static char *side_text(const json_t *side)
{
    if (!side)
        return stanch_strdup("nothing: it has ended");
    return stanch_asprintf("%s %.150s (%s:%lld)", stanch_json_str(side, "op", ""), stanch_json_str(side, "args", ""),
                           stanch_json_str(side, "file", "?"), (long long)stanch_json_int(side, "line", 0));
}

/* Step n is not what the journal holds. asked: taken; NULL: the run ended without asking. */
static void diverge(struct stanch_run *run, int64_t n, json_t *asked)
{
    const struct stanch_step_record *record = &run->steps[n - 1];
    json_t *held = side(record->op, record->args, record->file, record->line);
    STANCH_AUTO_FREE char *held_text = side_text(held), *asked_text = side_text(asked);
    STANCH_AUTO_FREE char *why =
        stanch_asprintf("the replay asked another question at step %lld, no call was made", (long long)n);
    json_t *diverged = json_pack("{s:I, s:o}", "n", (json_int_t)n, "held", held);
    json_object_set_new(diverged, "asked", asked ? asked : json_null());
    stanch_run__drop_worker(run);
    stanch_engine__count(run->engine, "runs_diverged");
    stanch_run__park(run, why,
                     json_pack("{s:o, s:s, s:s}", "diverged", diverged, "held", held_text, "asked", asked_text));
}

static void deliver(struct stanch_run *run)
{
    int64_t n = 0;
    const struct stanch_step_record *record = find_answer(run, run->delivered + 1, &n);
    if (!record)
        return;
    if (n > run->wanted) {
        diverge(run, n, NULL);
        return;
    }
    struct stanch_err err;
    run->blocked = false;
    run->delivered++;
    if (run->engine->world->worker_answer(run->engine->world->ctx, run->worker, n, record->answer, &err) < 0)
        stanch_log(STANCH_LOG_WARN, "run", "the worker of %s took no answer: %s", run->id, err.text);
}

void stanch_run__pump(struct stanch_run *run)
{
    struct stanch_engine *engine = run->engine;
    if (run->state == STANCH_RUN_ENDED || engine->draining)
        return;
    if (run->worker) {
        if (!run->blocked)
            return;
        if (run->delivered < run->answered) {
            stanch_timer_stop(engine->loop, &run->idle);
            deliver(run);
        } else {
            stanch_run__idle_soon(run);
        }
        return;
    }
    if (run->state == STANCH_RUN_PARKED || run->timer ||
        (run->answered <= run->fed && (open_ops(run) > 0 || stanch_run__holds(run)))) {
        stanch_run__idle_soon(run); /* waits: no worker until there is an answer that none has got yet */
        return;
    }
    if (run->ready || stanch_run__park_foreign(run))
        return;
    if (!stanch_ready__take_slot(engine)) {
        stanch_ready__push(run);
        return;
    }
    struct stanch_err err;
    int rc = start_worker(run, &err);
    if (rc == STANCH_E_BUSY || rc == STANCH_E_UNAVAILABLE) {
        stanch_ready__put_back(run);
    } else if (rc < 0) {
        stanch_run__end(
            run, "run.failed", STANCH_BY_STANCH,
            json_pack("{s:{s:s, s:s}, s:s}", "error", "kind", stanch_err_word(rc), "text", err.text, "why", err.text));
    }
}

/* ---- wants ---- */

static char *canonical_args(const json_t *want)
{
    struct stanch_buf text = {0};
    struct stanch_err err;
    const json_t *args = json_object_get(want, "args");
    if (!args || stanch_json_canonical(args, &text, &err) < 0) {
        stanch_buf_done(&text);
        return NULL;
    }
    return stanch_buf_take(&text);
}

/* Steps of parallel branches reach the journal in any order: a crash can leave holes (op NULL). */
static void put_record(struct stanch_run *run, int64_t n, const json_t *want, char *args)
{
    if (n > run->step_count) {
        run->steps = stanch_realloc(run->steps, (size_t)n * sizeof *run->steps);
        memset(run->steps + run->step_count, 0, (size_t)(n - run->step_count) * sizeof *run->steps);
        run->step_count = n;
    }
    run->steps[n - 1] = (struct stanch_step_record){
        .op = stanch_strdup(stanch_json_str(want, "op", "")),
        .args = args,
        .file = stanch_strdup(stanch_json_str(want, "file", NULL)),
        .line = stanch_json_int(want, "line", 0),
    };
}

/* The worker is not trusted: a want out of shape ends it. */
static int take_want(struct stanch_run *run, const json_t *want, struct stanch_op **ret_new)
{
    int64_t n = stanch_json_int(want, "n", 0);
    const char *name = stanch_json_str(want, "op", "");
    const struct stanch_op_kind *kind = stanch_op__kind(name);
    char *args = canonical_args(want);
    if (n != run->wanted + 1 || !kind || !args) {
        free(args);
        return -1;
    }
    run->wanted = n;
    if (n > run->step_count || !run->steps[n - 1].op) {
        put_record(run, n, want, args);
        *ret_new = stanch_op__new(run->engine, run, kind, n, want);
        return 0;
    }
    const struct stanch_step_record *record = &run->steps[n - 1];
    int rc = 0;
    bool differs = strcmp(record->op, name) != 0 || strcmp(record->args, args) != 0;
    if (differs && !stanch_is_sabotaged("divergence-ignored")) {
        diverge(run, n, side(name, args, stanch_json_str(want, "file", NULL), stanch_json_int(want, "line", 0)));
        rc = 1;
    }
    free(args);
    return rc;
}

static void end_for_protocol(struct stanch_run *run)
{
    stanch_run__drop_worker(run);
    stanch_run__end(run, "run.failed", STANCH_BY_STANCH,
                    json_pack("{s:{s:s, s:s}, s:s}", "error", "kind", "protocol", "text",
                              "its worker asked for what does not exist", "why",
                              "its worker asked for what does not exist"));
}

static void on_wants(void *ctx, const json_t *wants)
{
    struct stanch_run *run = ctx;
    struct stanch_engine *engine = run->engine;
    if (run->state != STANCH_RUN_RUNNING || engine->draining)
        return;
    struct stanch_op *fresh[MAX_WANTS_ONCE];
    size_t count = json_array_size(wants), new_count = 0;
    if (count > MAX_WANTS_ONCE) {
        end_for_protocol(run);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct stanch_op *op = NULL;
        int rc = take_want(run, json_array_get(wants, i), &op);
        if (op)
            fresh[new_count++] = op;
        if (rc < 0)
            end_for_protocol(run);
        if (rc != 0)
            return;
    }
    run->blocked = true;
    bool over_limit = run->step_count > engine->config.max_steps;
    /* all are begun before any answer is given: an answer may end the run and free what comes after */
    for (size_t i = 0; i < new_count; i++) {
        if (over_limit)
            stanch_op__answer_error(fresh[i], "limit", "this run asked for more than %lld steps",
                                    (long long)engine->config.max_steps);
        else
            fresh[i]->kind->start(fresh[i]);
        if (run->state != STANCH_RUN_RUNNING)
            break;
    }
    stanch_run__pump(run);
}

/* ---- the end of a worker ---- */

static bool died_too_often(struct stanch_run *run)
{
    if (run->death_at != run->delivered) {
        run->death_at = run->delivered;
        run->deaths = 0;
    }
    return ++run->deaths >= MAX_DEATHS;
}

/* The first step that the journal holds and this worker, which has ended, did not ask for, or whose answer it did not
 * wait for; 0: none. */
static int64_t first_not_asked(const struct stanch_run *run)
{
    int64_t n = 0;
    if (run->wanted < run->step_count)
        return run->wanted + 1;
    return find_answer(run, run->delivered + 1, &n) ? n : 0;
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_run *run = ctx;
    forget_worker(run);
    stanch_timer_stop(run->engine->loop, &run->idle);
    if (run->state == STANCH_RUN_ENDED || run->engine->draining)
        return;
    int64_t left = first_not_asked(run);
    if (left && (rc == 0 || rc == STANCH_E_SCRIPT)) {
        diverge(run, left, NULL);
    } else if (rc == 0) {
        stanch_run__end(run, "run.succeeded", STANCH_BY_STANCH,
                        json_pack("{s:O}", "result", result ? result : json_null()));
    } else if (rc == STANCH_E_SCRIPT || rc == STANCH_E_TOO_LARGE) {
        json_t *what = result ? json_deep_copy(result) : stanch_op__error(stanch_err_word(rc), err->text);
        stanch_run__end(run, "run.failed", STANCH_BY_STANCH, json_pack("{s:o, s:s}", "error", what, "why", err->text));
    } else if (died_too_often(run)) {
        STANCH_AUTO_FREE char *why = stanch_asprintf("its worker ended three times at the same step (after "
                                                     "%lld answers): %s. Mend the runbook",
                                                     (long long)run->delivered, err->text);
        stanch_run__park(run, why, NULL);
    } else {
        stanch_log(STANCH_LOG_WARN, "run", "the worker of %s ended: %s; replaying", run->id, err->text);
        try_again_later(run);
    }
}

/* ---- read back ---- */

/* Each answer followed its want before the next want came: then the worker had got all of them, and there is
 * no need for a new one before the open step has its answer. */
static bool was_sequential(const struct stanch_run *run)
{
    for (int64_t n = 1; n <= run->answered; n++)
        if (run->steps[n - 1].order != n)
            return false;
    return run->step_count == run->answered + 1;
}

/* The last sample of its symptom stands on the card of the next approval. */
static void recall_sample(struct stanch_run *run, const json_t *step, int64_t order, int64_t *last)
{
    const char *op = stanch_json_str(step, "op", "");
    const json_t *ok = json_object_get(json_object_get(step, "answer"), "ok");
    if ((strcmp(op, "check") != 0 && strcmp(op, "verify") != 0) || !ok || order < *last)
        return;
    *last = order;
    const json_t *symptom = json_object_get(json_object_get(step, "args"), "symptom");
    json_t *value = json_object_get(ok, "value");
    json_decref(run->symptom_seen);
    run->symptom_seen =
        json_pack("{s:s, s:O, s:I, s:s, s:s}", "result", stanch_json_str(ok, "result", "no_data"), "value",
                  value ? value : json_null(), "at_ms", (json_int_t)stanch_json_int(step, "updated_ms", 0), "good",
                  stanch_json_str(symptom, "good", ""), "bad", stanch_json_str(symptom, "bad", ""));
}

static void load_step(struct stanch_run *run, int64_t n, const json_t *doc)
{
    char *args = canonical_args(doc);
    put_record(run, n, doc, args ? args : stanch_strdup("null"));
    struct stanch_step_record *record = &run->steps[n - 1];
    const json_t *answer = json_object_get(doc, "answer");
    int64_t acted_ms = stanch_json_int(doc, answer ? "updated_ms" : "created_ms", 0);
    if (acted_ms > run->acted_ms)
        run->acted_ms = acted_ms;
    if (answer) {
        record->answer = json_deep_copy(answer);
        record->order = stanch_json_int(doc, "order", 0);
        run->answered++;
    }
}

void stanch_run__load_steps(struct stanch_run *run, const json_t *docs)
{
    const char *key;
    json_t *doc;
    int64_t last_sample = 0;
    json_object_foreach((json_t *)(uintptr_t)docs, key, doc)
    {
        int64_t n = stanch_json_int(doc, "n", 0);
        if (n < 1 || n > run->engine->config.max_steps + MAX_WANTS_ONCE)
            continue;
        load_step(run, n, doc);
        recall_sample(run, doc, stanch_json_int(doc, "order", 0), &last_sample);
    }
    run->fed = was_sequential(run) ? run->answered : -1;
    json_object_foreach((json_t *)(uintptr_t)docs, key, doc)
    {
        const struct stanch_op_kind *kind = stanch_op__kind(stanch_json_str(doc, "op", ""));
        if (!kind || json_object_get(doc, "answer"))
            continue;
        stanch_op__recover(stanch_op__new(run->engine, run, kind, stanch_json_int(doc, "n", 0), doc), doc);
    }
}
