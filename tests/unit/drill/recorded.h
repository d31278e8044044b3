/* recorded.h: a journal with events and what was decided for them, held against a catalogue of one runbook. */
#ifndef STANCH_TESTS_RECORDED_H
#define STANCH_TESTS_RECORDED_H
#include "drill/catalogue_of.h"
#include "base/digest.h"
#include "base/loop_sim.h"
#include "drill/backtest.h"
#include "timeline/store.h"

struct fixture {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_catalogue *catalogue;
    struct stanch_policy *policy;
    int events;
    json_t *config; /* NULL: none */
    json_t *report;
};

static inline void begin(struct fixture *f, const char *more)
{
    struct stanch_err err = {0};
    memset(f, 0, sizeof *f);
    stanch_digest_init();
    f->catalogue = one_runbook(more);
    f->loop = stanch_loop_sim_new(NOW, 1000);
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    assert_int_equal(stanch_policy_new(NULL, &f->policy, &err), 0);
}

static inline void end(struct fixture *f)
{
    json_decref(f->report);
    json_decref(f->config);
    stanch_policy_free(f->policy);
    stanch_journal_close(f->journal);
    stanch_loop_sim_free(f->loop);
    stanch_catalogue_free(f->catalogue);
}

static inline void append(struct fixture *f, struct stanch_batch *batch)
{
    struct stanch_err err = {0};
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    stanch_loop_sim_settle(f->loop);
}

/* What was decided for an event: considered: JSON, or NULL when there was no commit. */
static inline void add_matched(struct stanch_batch *batch, const char *id, const char *considered)
{
    json_t *rows = considered ? json_loads(considered, 0, NULL) : json_array();
    assert_non_null(rows);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.matched", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:o, s:b, s:s, s:[]}", "event", id, "considered", rows, "matched",
                               considered != NULL, "name", "A", "runs"));
}

/* The next event, now. labels: more of them. ret: its id */
static inline void happen(struct fixture *f, const char *labels, const char *considered, char ret[16])
{
    struct stanch_batch *batch = stanch_batch_new();
    (void)snprintf(ret, 16, "E-%d", ++f->events);
    json_t *event = alert_at(stanch_loop_wall_ms(f->loop), ret, labels);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.received", STANCH_BY_STANCH, NULL, event);
    add_matched(batch, ret, considered);
    append(f, batch);
}

static inline const json_t *look(struct fixture *f, int64_t since_ms, size_t listed)
{
    struct stanch_err err = {0};
    const struct stanch_backtest_spec spec = {.journal = f->journal,
                                              .config = f->config,
                                              .catalogue = f->catalogue,
                                              .policy = f->policy,
                                              .since_ms = since_ms,
                                              .listed = listed};
    json_decref(f->report);
    f->report = NULL;
    if (stanch_backtest(&spec, &f->report, &err) < 0)
        fail_msg("%s", err.text);
    return f->report;
}

static inline int64_t count(const json_t *report, const char *list)
{
    return stanch_json_int(json_object_get(report, list), "count", -1);
}

static inline const json_t *listed(const json_t *report, const char *list, size_t i)
{
    return json_array_get(json_object_get(json_object_get(report, list), "listed"), i);
}

static inline const json_t *first_runbook(const json_t *report)
{
    return json_array_get(json_object_get(report, "runbooks"), 0);
}

#define STARTED  "[{\"runbook\":\"heal\",\"match\":true,\"why\":\"\",\"outcome\":\"started\",\"run\":\"R-1\"}]"
#define NO_MATCH "[{\"runbook\":\"heal\",\"match\":false,\"why\":\"label env is missing, not \\\"prod\\\"\"}]"
#define HELD     "[{\"runbook\":\"heal\",\"match\":true,\"why\":\"all is stopped\",\"outcome\":\"held\",\"run\":\"R-2\"}]"
#define UNTOLD   "[{\"runbook\":\"heal\",\"match\":true,\"why\":\"\"}]"
#define ELSE     "[{\"runbook\":\"old\",\"match\":true,\"why\":\"\",\"outcome\":\"started\",\"run\":\"R-3\"}]"
#define APART    "\"limits\":{\"group_within_ms\":0}"

#endif
