/* op.c: one step in the making, from its want to its answer. */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include <stdarg.h>
#include <string.h>

static const struct stanch_op_kind *const kinds[] = {
    &stanch_op_now,   &stanch_op_random,         &stanch_op_note,  &stanch_op_decide, &stanch_op_page,
    &stanch_op_sleep, &stanch_op_recent_changes, &stanch_op_check, &stanch_op_verify, &stanch_op_wait_for,
    &stanch_op_ask,   &stanch_op_action,         &stanch_op_undo,
};

const struct stanch_op_kind *stanch_op__kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

struct stanch_op *stanch_op__new(struct stanch_engine *engine, struct stanch_run *run,
                                 const struct stanch_op_kind *kind, int64_t n, const json_t *want)
{
    struct stanch_op *op = STANCH_NEW(struct stanch_op);
    op->engine = engine;
    op->run = run;
    op->kind = kind;
    op->n = n;
    op->want = json_deep_copy(want);
    if (run) {
        (void)snprintf(op->id, sizeof op->id, "%.30s/%lld", run->id, (long long)n);
        (void)snprintf(op->run_id, sizeof op->run_id, "%s", run->id);
        (void)snprintf(op->chain, sizeof op->chain, "%s", run->chain);
    }
    op->next = engine->ops;
    engine->ops = op;
    return op;
}

const json_t *stanch_op__args(const struct stanch_op *op)
{
    return json_object_get(op->want, "args");
}

const char *stanch_op__runbook(const struct stanch_op *op)
{
    return op->run ? stanch_json_str(op->run->doc, "runbook", NULL) : stanch_json_str(op->want, "runbook", NULL);
}

struct stanch_op *stanch_op__by_approval(struct stanch_engine *engine, const char *approval)
{
    for (struct stanch_op *op = engine->ops; op; op = op->next)
        if (!op->over && op->approval[0] && strcmp(op->approval, approval) == 0)
            return op;
    return NULL;
}

static void unlink_and_free(struct stanch_op *op)
{
    for (struct stanch_op **at = &op->engine->ops; *at; at = &(*at)->next) {
        if (*at == op) {
            *at = op->next;
            break;
        }
    }
    json_decref(op->want);
    free(op->kept);
    free(op);
}

void stanch_op__free(struct stanch_op *op)
{
    if (!op->over) {
        op->over = true;
        stanch_timer_stop(op->engine->loop, &op->timer);
        stanch_targets_release(op->engine->targets, &op->hold);
        if (op->kind->done)
            op->kind->done(op);
        op->state = NULL;
    }
    if (op->calls == 0)
        unlink_and_free(op);
}

void stanch_op__away(struct stanch_op *op)
{
    op->calls++;
}

bool stanch_op__returned(struct stanch_op *op)
{
    op->calls--;
    if (op->engine->halted)
        return false; /* freed with the engine */
    if (!op->over)
        return true;
    if (op->calls == 0)
        unlink_and_free(op);
    return false;
}

void stanch_op__recover(struct stanch_op *op, const json_t *doc)
{
    op->asked = true;
    (void)snprintf(op->approval, sizeof op->approval, "%s", stanch_json_str(doc, "approval", ""));
    if (op->kind->recover)
        op->kind->recover(op, doc);
    else
        op->kind->start(op);
}

void stanch_op__ask(struct stanch_op *op, struct stanch_batch *batch, json_t *extra)
{
    if (op->asked || !op->run_id[0]) {
        json_decref(extra);
        return;
    }
    op->asked = true;
    if (op->run)
        op->run->stirs++;
    json_t *data = json_pack("{s:s, s:s, s:I, s:O, s:O}", "step", op->id, "run", op->run_id, "n", (json_int_t)op->n,
                             "op", json_object_get(op->want, "op"), "args", json_object_get(op->want, "args"));
    stanch_json_set_str(data, "file", stanch_json_str(op->want, "file", NULL));
    int64_t line = stanch_json_int(op->want, "line", 0);
    if (line)
        json_object_set_new(data, "line", json_integer(line));
    if (extra)
        json_object_update(data, extra);
    json_decref(extra);
    STANCH_AUTO_FREE char *by = stanch_asprintf("run:%s", op->run_id);
    stanch_batch_add(batch, op->chain, "step.asked", by, op->run_id, data);
}

bool stanch_op__is_stuck(const struct stanch_op *op)
{
    return op->run && op->run->state == STANCH_RUN_PARKED && !op->asked;
}

/* A step that has its answer asks nobody any more. */
static void close_question(struct stanch_op *op, struct stanch_batch *batch)
{
    if (!op->approval[0])
        return;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(op->engine->journal, "approval", op->approval);
    if (strcmp(stanch_json_str(doc, "state", ""), "pending") == 0)
        stanch_approval__close(op->engine, op->approval, "approval.voided", "its step has its answer", batch);
}

void stanch_op__answer(struct stanch_op *op, struct stanch_batch *batch, json_t *answer)
{
    struct stanch_run *run = op->run;
    if (stanch_op__is_stuck(op)) {
        stanch_batch_free(batch);
        json_decref(answer);
        stanch_op__free(op);
        return;
    }
    if (!batch)
        batch = stanch_batch_new();
    if (run && run->state != STANCH_RUN_ENDED && !op->cancelled) {
        struct stanch_step_record *record = &run->steps[op->n - 1];
        record->order = run->answered + 1;
        stanch_op__ask(op, batch, NULL);
        close_question(op, batch);
        json_t *data = json_pack("{s:s, s:s, s:I, s:I, s:O}", "step", op->id, "run", op->run_id, "n", (json_int_t)op->n,
                                 "order", (json_int_t)record->order, "answer", answer);
        if (op->late_ms)
            json_object_set_new(data, "late_ms", json_integer(op->late_ms));
        stanch_batch_add(batch, op->chain, "step.answered", STANCH_BY_STANCH, op->run_id, data);
        int rc = stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
        if (rc == 0) {
            run->answered++;
            run->stirs++;
            run->acted_ms = stanch_engine__now(op->engine);
            run->acted_mono_ms = stanch_loop_mono_ms(op->engine->loop);
            record->answer = json_incref(answer);
        } else {
            record->order = 0; /* not recorded: the run stays where it is */
        }
        if (rc < 0 && stanch_op__hold(op, rc)) {
            json_decref(answer);
            stanch_run__pump(run);
            return;
        }
    } else {
        stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    }
    json_decref(answer);
    stanch_op__free(op);
    if (run)
        stanch_run__pump(run);
}

void stanch_op__answer_ok(struct stanch_op *op, json_t *value)
{
    stanch_op__answer(op, NULL, json_pack("{s:o}", "ok", value));
}

json_t *stanch_op__error(const char *kind, const char *text)
{
    return json_pack("{s:{s:s, s:s}}", "error", "kind", kind, "text", text);
}

void stanch_op__answer_error(struct stanch_op *op, const char *kind, const char *fmt, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    stanch_op__answer(op, NULL, stanch_op__error(kind, text));
}
