/* simple.c: the steps that core answers by itself. Their question and answer are one batch, so none of them
 * is ever found half done; only `sleep` waits, for a time that is in the journal. */
#include "run/autonomy.h"
#include "base/digest.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

static void start_now(struct stanch_op *op)
{
    stanch_op__answer_ok(op, json_integer(stanch_engine__now(op->engine)));
}
const struct stanch_op_kind stanch_op_now = {.name = "now", .start = start_now};

static void start_random(struct stanch_op *op)
{
    stanch_op__answer_ok(op, json_integer((json_int_t)(stanch_random_u64() & (uint64_t)STANCH_JSON_SAFE_INT)));
}
const struct stanch_op_kind stanch_op_random = {.name = "random", .start = start_random};

/* more: what goes into the batch beside it; NULL: nothing */
static void say(struct stanch_op *op, const char *kind, void (*more)(struct stanch_op *op, struct stanch_batch *batch))
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_op__ask(op, batch, NULL);
    json_t *data = json_deep_copy(stanch_op__args(op));
    json_object_set_new(data, "step", json_string(op->id));
    STANCH_AUTO_FREE char *by = stanch_asprintf("run:%s", op->run_id);
    stanch_batch_add(batch, op->chain, kind, by, op->run_id, data);
    if (more)
        more(op, batch);
    stanch_op__answer(op, batch, json_pack("{s:n}", "ok"));
}

static void start_note(struct stanch_op *op)
{
    say(op, "step.noted", NULL);
}
const struct stanch_op_kind stanch_op_note = {.name = "note", .start = start_note};

static void start_decide(struct stanch_op *op)
{
    say(op, "step.decided", NULL);
}
const struct stanch_op_kind stanch_op_decide = {.name = "decide", .start = start_decide};

/* Whoever tells people (page/) finds what is open in the journal, now or after a crash. */
static void open_page(struct stanch_op *op, struct stanch_batch *batch)
{
    char id[32];
    stanch_journal_next_id(op->engine->journal, "P", id);
    const json_t *args = stanch_op__args(op);
    json_t *data = json_pack("{s:s, s:s, s:s, s:O*, s:O*}", "page", id, "step", op->id, "run", op->run_id, "role",
                             json_object_get(args, "role"), "text", json_object_get(args, "text"));
    stanch_batch_add(batch, op->chain, "page.opened", STANCH_BY_STANCH, op->run_id, data);
}

static void start_page(struct stanch_op *op)
{
    if (stanch_autonomy__observes(op->run))
        say(op, "page.observed", NULL); /* nobody is told */
    else
        say(op, "page.requested", op->engine->config.pages ? open_page : NULL);
}
const struct stanch_op_kind stanch_op_page = {.name = "page", .start = start_page};

/* ---- sleep ---- */

static void on_slept(void *ctx)
{
    struct stanch_op *op = ctx;
    op->timer = NULL;
    stanch_op__answer(op, NULL, json_pack("{s:n}", "ok"));
}

static void sleep_until(struct stanch_op *op, int64_t until_ms)
{
    int64_t left = until_ms - stanch_engine__steady(op->engine);
    op->due_ms = until_ms;
    op->timer = stanch_timer_start(op->engine->loop, left > 0 ? left : 0, on_slept, op);
}

static void start_sleep(struct stanch_op *op)
{
    int64_t ms = stanch_json_int(stanch_op__args(op), "ms", 0);
    if (stanch_autonomy__is_plan(op->run)) { /* nothing changes meanwhile */
        stanch_op__answer(op, NULL, json_pack("{s:n}", "ok"));
        return;
    }
    int64_t until = stanch_engine__steady(op->engine) + (ms > 0 ? ms : 0);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_op__ask(op, batch, json_pack("{s:I}", "until_ms", (json_int_t)until));
    int rc = stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    if (rc < 0 && stanch_op__hold(op, rc))
        return; /* a sleep begins when it is recorded until when */
    sleep_until(op, until);
}

static void recover_sleep(struct stanch_op *op, const json_t *doc)
{
    int64_t until = stanch_json_int(doc, "until_ms", 0);
    if (until < op->engine->began_ms)
        op->late_ms = op->engine->began_ms - until;
    sleep_until(op, until);
}
const struct stanch_op_kind stanch_op_sleep = {.name = "sleep", .start = start_sleep, .recover = recover_sleep};
