/* pager_kit.h: the pager in virtual time, on a store in memory, with an instance that answers as it is told to. */
#ifndef STANCH_TEST_PAGER_KIT_H
#define STANCH_TEST_PAGER_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "page/room.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <stdio.h>
#include <string.h>

struct fixture {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_pager *pager;
    json_t *paging, *described, *told; /* told: ["action key count"] */
    enum stanch_outcome outcome;
    bool retry, is_away, is_silent;
    int calls, out;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *on_answer_ctx;
};

static inline void answer(void *ctx)
{
    struct fixture *f = ctx;
    struct stanch_plugin_answer said = {.outcome = f->outcome, .retry = f->retry};
    (void)snprintf(said.err.text, sizeof said.err.text, "it said no");
    f->out = 0;
    f->on_answer(f->on_answer_ctx, &said);
}

static inline const json_t *describe(void *ctx, const char *instance)
{
    (void)instance;
    return ((struct fixture *)ctx)->described;
}

static inline int call(void *ctx, const struct stanch_plugin_request *request,
                       void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *said), void *call_ctx,
                       struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct fixture *f = ctx;
    const json_t *args = json_object_get(request->input, "args");
    (void)ret;
    f->calls++;
    if (f->is_away)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the host is down");
    assert_int_equal(f->out, 0); /* one at a time */
    f->out = 1;
    f->on_answer = on_answer;
    f->on_answer_ctx = call_ctx;
    if (f->outcome == STANCH_OUTCOME_DONE)
        json_array_append_new(f->told,
                              json_sprintf("%s %s %lld", request->action, stanch_json_str(args, "key", ""),
                                           (long long)stanch_json_int(json_object_get(args, "details"), "count", 1)));
    if (!f->is_silent)
        stanch_timer_start(f->loop, 5, answer, f);
    return 0;
}

static inline void start(struct fixture *f)
{
    const struct stanch_pager_port port = {describe, call, f};
    struct stanch_err err;
    assert_int_equal(stanch_pager_start(f->loop, f->journal, f->paging, &port, &f->pager, &err), 0);
}

/* The process ends and begins again; what was appended is in the store. */
static inline void restart(struct fixture *f)
{
    stanch_loop_sim_settle(f->loop);
    stanch_pager_free(f->pager);
    f->out = 0;
    start(f);
}

static inline int set_up(void **state)
{
    struct fixture *f = STANCH_NEW(struct fixture);
    struct stanch_err err;
    stanch_digest_init();
    f->loop = stanch_loop_sim_new(1700000000000, 100000);
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    f->paging = json_pack("{s:[s]}", "via", "pd");
    f->described = json_loads(
        "{\"state\":\"up\",\"plugin\":\"pagerduty\",\"actions\":{"
        "\"trigger\":{\"effect\":\"notify\",\"params\":{\"properties\":{\"key\":{},\"summary\":{},\"severity\":{},"
        "\"link\":{},\"details\":{}}}},"
        "\"acknowledge\":{\"effect\":\"notify\",\"params\":{\"properties\":{\"key\":{}}}},"
        "\"resolve\":{\"effect\":\"notify\",\"params\":{\"properties\":{\"key\":{}}}}}}",
        0, NULL);
    assert_non_null(f->described);
    f->told = json_array();
    f->outcome = STANCH_OUTCOME_DONE;
    start(f);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    stanch_pager_free(f->pager);
    stanch_journal_close(f->journal);
    stanch_loop_sim_free(f->loop);
    json_decref(f->paging);
    json_decref(f->described);
    json_decref(f->told);
    free(f);
    return 0;
}

static inline void append(struct fixture *f, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, "INC-1", kind, "stanch", NULL, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void ask(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++)
        append(f, "approval.requested",
               json_pack("{s:o, s:s, s:s, s:[s,s]}", "approval", json_sprintf("A-%d", i), "role", "ic", "because",
                         "it burns", "choices", "approve", "deny"));
}

static inline void close_question(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++)
        append(f, "approval.denied", json_pack("{s:o}", "approval", json_sprintf("A-%d", i)));
}

static inline void assert_told(struct fixture *f, const char *expected)
{
    STANCH_AUTO_FREE char *text = json_dumps(f->told, JSON_COMPACT);
    assert_string_equal(text, expected);
}

static inline int64_t status(struct fixture *f, const char *member)
{
    STANCH_AUTO_JSON json_t *all = stanch_pager_status(f->pager);
    return stanch_json_int(all, member, -1);
}

struct counting {
    const char *kind;
    int count;
};
static inline int on_counted(void *ctx, const struct stanch_entry *entry)
{
    struct counting *counting = ctx;
    counting->count += strcmp(entry->kind, counting->kind) == 0;
    return 0;
}

static inline int count_kind(struct fixture *f, const char *kind)
{
    struct counting counting = {.kind = kind};
    struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    int64_t seen = -1;
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(f->journal);
    for (int64_t all = stanch_json_int(health, "entries", 0); query.after_seq < all && seen != query.after_seq;) {
        seen = query.after_seq;
        assert_int_equal(stanch_journal_entries(f->journal, &query, on_counted, &counting, &err), 0);
        query.after_seq += 1000;
    }
    return counting.count;
}

#define PAGER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
