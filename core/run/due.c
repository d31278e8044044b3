/* due.c: what is due, out of the journal: runs that rested, questions, leases, holds, soaks. One timer, for the earliest of them; none
 * is kept in memory. What is due is looked at in pages, so that ten thousand at once do not hold up the loop.
 *
 *   alarm --> barrier: all that was appended before is committed --> pages of what is due --> the next alarm
 */
#include "run/engine.h"
#include "run/breaker.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/fold.h"
#include <string.h>

#define PAGE         100
#define TRY_AGAIN_MS 1000

static int wake_run(struct stanch_engine *engine, const char *id)
{
    struct stanch_run *run = NULL;
    int rc = stanch_run__wake(engine, id, &run, NULL);
    return rc == STANCH_E_NOT_FOUND ? 0 : rc;
}

static int end_lease(struct stanch_engine *engine, const char *id)
{
    stanch_mitigation__lease_end(engine, id);
    return 0;
}

static const struct {
    const char *noun;
    int (*take)(struct stanch_engine *engine, const char *id);
} nouns[] = {{"run", wake_run},
             {"approval", stanch_approval__due},
             {"mitigation", end_lease},
             {"hold", stanch_by_hand__expire},
             {"breaker", stanch_breaker__lapse},
             {"incident", stanch_soak__due}};
#define NOUNS (sizeof nouns / sizeof *nouns)

struct sweep {
    struct stanch_engine *engine;
    int64_t until_ms;
    size_t noun;
    struct stanch_due_query query;
    bool failed;
};

static void on_alarm(void *ctx);

void stanch_engine__due(struct stanch_engine *engine, int64_t at_ms)
{
    if (at_ms >= engine->alarm_ms)
        return;
    engine->alarm_ms = at_ms;
    if (engine->is_sweeping)
        return; /* its end looks for the next one */
    stanch_timer_stop(engine->loop, &engine->alarm);
    int64_t left = at_ms - stanch_engine__steady(engine);
    engine->alarm = stanch_timer_start(engine->loop, left > 0 ? left : 0, on_alarm, engine);
}

/* The earliest that is due later; INT64_MAX: nothing. */
static int64_t find_next(struct stanch_engine *engine, int64_t after_ms)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < NOUNS; i++) {
        struct stanch_due_query query = {
            .noun = nouns[i].noun, .after_ms = after_ms, .until_ms = INT64_MAX, .limit = 1};
        STANCH_AUTO_JSON json_t *page = NULL;
        struct stanch_err err;
        if (stanch_journal_due(engine->journal, &query, &page, &err) < 0)
            return stanch_engine__steady(engine) + TRY_AGAIN_MS;
        if (json_array_size(page) > 0) {
            int64_t due_ms = stanch_fold_due(nouns[i].noun, json_array_get(page, 0));
            next = due_ms < next ? due_ms : next;
        }
    }
    return next;
}

static void end_sweep(struct sweep *sweep)
{
    struct stanch_engine *engine = sweep->engine;
    int64_t appended_ms = engine->alarm_ms, next_ms;
    if (sweep->failed) {
        next_ms = stanch_engine__steady(engine) + TRY_AGAIN_MS;
    } else {
        engine->swept_ms = sweep->until_ms;
        next_ms = find_next(engine, engine->swept_ms);
    }
    engine->is_sweeping = false;
    engine->alarm_ms = INT64_MAX;
    stanch_engine__due(engine, next_ms < appended_ms ? next_ms : appended_ms);
    free(sweep);
}

/* One page of one noun. */
static void on_page(void *ctx)
{
    struct sweep *sweep = ctx;
    struct stanch_engine *engine = sweep->engine;
    STANCH_AUTO_JSON json_t *page = NULL;
    struct stanch_err err;
    if (engine->halted || engine->draining) {
        free(sweep);
        return;
    }
    const char *noun = nouns[sweep->noun].noun;
    sweep->query.noun = noun;
    if (stanch_journal_due(engine->journal, &sweep->query, &page, &err) < 0) {
        stanch_log(STANCH_LOG_ERROR, "run", "what is due could not be read: %s", err.text);
        sweep->failed = true;
    }
    size_t count = json_array_size(page);
    for (size_t i = 0; i < count; i++) {
        const json_t *doc = json_array_get(page, i);
        sweep->query.after_ms = stanch_fold_due(noun, doc);
        sweep->query.after_seq = stanch_json_int(doc, "seq", 0);
        if (nouns[sweep->noun].take(engine, stanch_json_str(doc, "id", "")) < 0)
            sweep->failed = true; /* those that were taken are no longer due when it is tried again */
    }
    if (count < PAGE) {
        sweep->noun++;
        sweep->query.after_ms = engine->swept_ms;
        sweep->query.after_seq = 0;
    }
    if (sweep->noun == NOUNS)
        end_sweep(sweep);
    else
        stanch_loop_defer(engine->loop, on_page, sweep);
}

static void on_alarm(void *ctx)
{
    struct stanch_engine *engine = ctx;
    engine->alarm = NULL;
    engine->alarm_ms = INT64_MAX;
    if (engine->halted || engine->draining)
        return;
    if (stanch_journal_takes(engine->journal, false, NULL) < 0) { /* what is due could not be recorded */
        stanch_engine__due(engine, stanch_engine__steady(engine) + TRY_AGAIN_MS);
        return;
    }
    engine->is_sweeping = true;
    struct sweep *sweep = STANCH_NEW(struct sweep);
    sweep->engine = engine;
    sweep->until_ms = stanch_engine__steady(engine);
    sweep->query = (struct stanch_due_query){.after_ms = engine->swept_ms, .until_ms = sweep->until_ms, .limit = PAGE};
    stanch_journal_barrier(engine->journal, on_page, sweep);
}

int stanch_engine__each_under_way(struct stanch_engine *engine, const char *noun,
                                  int (*each)(struct stanch_engine *, const json_t *, struct stanch_err *),
                                  struct stanch_err *err)
{
    struct stanch_due_query query = {.noun = noun, .after_ms = -1, .until_ms = 0, .limit = PAGE};
    size_t count = PAGE;
    while (count == PAGE) {
        STANCH_AUTO_JSON json_t *page = NULL;
        int rc = stanch_journal_due(engine->journal, &query, &page, err);
        if (rc < 0)
            return rc;
        count = json_array_size(page);
        for (size_t i = 0; i < count && rc == 0; i++)
            rc = each(engine, json_array_get(page, i), err);
        if (rc < 0)
            return rc;
        if (count > 0) {
            query.after_ms = 0;
            query.after_seq = stanch_json_int(json_array_get(page, count - 1), "seq", 0);
        }
    }
    return 0;
}
