/* test_herald.c: what instances are told of drills, in virtual time, by an instance that answers as it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "gameday/herald.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <stdio.h>
#include <string.h>

#define SECOND 1000
#define DAY    86400000LL

struct fixture {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_herald *herald;
    json_t *tell, *described, *input; /* input: of the last call */
    struct stanch_buf told;           /* a line a call: "instance: summary" */
    enum stanch_outcome outcome;
    bool is_away, is_silent;
    int calls, out;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *on_answer_ctx;
};

static void answer(void *ctx)
{
    struct fixture *f = ctx;
    struct stanch_plugin_answer said = {.outcome = f->outcome};
    (void)snprintf(said.err.text, sizeof said.err.text, "it said no");
    f->out = 0;
    f->on_answer(f->on_answer_ctx, &said);
}

static const json_t *describe(void *ctx, const char *instance)
{
    (void)instance;
    return ((struct fixture *)ctx)->described;
}

static int call(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *said), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct fixture *f = ctx;
    (void)ret;
    f->calls++;
    assert_string_equal(request->action, "send");
    if (f->is_away)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the host is down");
    json_decref(f->input);
    f->input = json_deep_copy(request->input);
    const char *summary = stanch_json_str(json_object_get(f->input, "args"), "summary", "");
    assert_int_equal(strncmp(summary, "DRILL", 5), 0);
    if (f->outcome == STANCH_OUTCOME_DONE)
        stanch_buf_printf(&f->told, "%s: %s\n", request->instance, summary);
    f->out++;
    f->on_answer = on_answer;
    f->on_answer_ctx = call_ctx;
    if (!f->is_silent)
        stanch_timer_start(f->loop, 5, answer, f);
    return 0;
}

static void start(struct fixture *f)
{
    const struct stanch_pager_port port = {describe, call, f};
    struct stanch_err err;
    assert_int_equal(
        stanch_herald_start(f->loop, f->journal, f->tell, "https://stanch.example/", &port, &f->herald, &err), 0);
}

static void restart(struct fixture *f)
{
    stanch_loop_sim_settle(f->loop);
    stanch_herald_free(f->herald);
    start(f);
}

static int set_up(void **state)
{
    struct fixture *f = STANCH_NEW(struct fixture);
    struct stanch_err err;
    stanch_digest_init();
    f->loop = stanch_loop_sim_new(1767225600000, 100000);
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    f->tell = json_pack("[s]", "chat");
    f->described = json_loads("{\"state\":\"up\",\"plugin\":\"webhook\",\"actions\":{\"send\":{\"effect\":\"notify\","
                              "\"params\":{\"properties\":{\"event\":{},\"key\":{},\"summary\":{},\"severity\":{},"
                              "\"link\":{},\"details\":{}}}}}}",
                              0, NULL);
    assert_non_null(f->described);
    f->outcome = STANCH_OUTCOME_DONE;
    start(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stanch_herald_free(f->herald);
    stanch_journal_close(f->journal);
    stanch_loop_sim_free(f->loop);
    json_decref(f->tell);
    json_decref(f->described);
    json_decref(f->input);
    stanch_buf_done(&f->told);
    free(f);
    return 0;
}

static void append(struct fixture *f, const char *kind, const char *drill, json_t *more)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    json_t *data = json_pack("{s:s, s:s, s:s, s:s}", "drill", drill, "name", "checkout", "kind", "exercise", "at",
                             "2026-01-06 10:00 UTC");
    if (more)
        json_object_update_new(data, more);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, "stanch", NULL, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
    stanch_loop_sim_advance(f->loop, 100);
}

static int on_written(void *ctx, const struct stanch_entry *entry)
{
    if (strcmp(entry->kind, "drill.told") == 0 || strcmp(entry->kind, "drill.untold") == 0)
        stanch_buf_printf(ctx, "%s %s %s %s%s%s\n", entry->kind + 6, stanch_json_str(entry->data, "instance", ""),
                          stanch_json_str(entry->data, "drill", ""), stanch_json_str(entry->data, "told", ""),
                          json_object_get(entry->data, "why") ? ": " : "", stanch_json_str(entry->data, "why", ""));
    return 0;
}

static void assert_written(struct fixture *f, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    const struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    stanch_loop_sim_settle(f->loop);
    assert_int_equal(stanch_journal_entries(f->journal, &query, on_written, &got, &err), 0);
    assert_string_equal(stanch_buf_str(&got), expected);
}

/* ---- what is told ---- */

static void a_drill_is_told_from_its_announcement_to_its_end(void **state)
{
    struct fixture *f = *state;
    append(f, "drill.announced", "D-1", NULL);
    append(f, "drill.reminded", "D-1", json_pack("{s:s}", "in", "1d"));
    append(f, "drill.reminded", "D-1", json_pack("{s:s}", "in", "15m"));
    append(f, "drill.started", "D-1", NULL);
    append(f, "drill.ended", "D-1", json_pack("{s:i, s:i, s:s}", "met", 3, "of", 4, "why", "INC-7 is\nsev1"));
    append(f, "drill.missed", "D-2", json_pack("{s:s}", "why", "stanch was not running then"));
    assert_string_equal(stanch_buf_str(&f->told),
                        "chat: DRILL: checkout (exercise) begins at 2026-01-06 10:00 UTC\n"
                        "chat: DRILL: checkout (exercise) begins in 1d, at 2026-01-06 10:00 UTC\n"
                        "chat: DRILL: checkout (exercise) begins in 15m, at 2026-01-06 10:00 UTC\n"
                        "chat: DRILL: checkout (exercise) has begun\n"
                        "chat: DRILL: checkout (exercise) is over: INC-7 is sev1. Promises met: 3 of 4\n"
                        "chat: DRILL: checkout (exercise) of 2026-01-06 10:00 UTC did not take place: stanch was not "
                        "running then\n");
    static const char written[] = "told chat D-1 announced\ntold chat D-1 due in 1d\ntold chat D-1 due in 15m\n"
                                  "told chat D-1 running\ntold chat D-1 over\ntold chat D-2 missed\n";
    assert_written(f, written);
    restart(f);
    stanch_loop_sim_advance(f->loop, DAY);
    assert_written(f, written);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(f->journal, "drill", "D-1");
    assert_string_equal(stanch_json_str(doc, "state", ""), "ended");
    assert_false(stanch_json_bool(doc, "open", true));
    assert_string_equal(stanch_json_str(json_object_get(doc, "told"), "chat", ""), "over");
}

static void what_is_sent_is_what_send_takes(void **state)
{
    struct fixture *f = *state;
    STANCH_AUTO_FREE char *why = stanch_alloc(3001);
    memset(why, 'x', 3000);
    append(f, "drill.missed", "D-1", json_pack("{s:s, s:s, s:[i]}", "plan", "game-day", "why", why, "reminded", 1));
    const json_t *args = json_object_get(f->input, "args"), *details = json_object_get(args, "details");
    assert_string_equal(stanch_json_str(f->input, "key", ""), "D-1/missed");
    assert_string_equal(stanch_json_str(args, "event", ""), "note");
    assert_string_equal(stanch_json_str(args, "key", ""), "D-1");
    assert_string_equal(stanch_json_str(args, "link", ""), "https://stanch.example/v1/drills/D-1");
    assert_true(stanch_json_bool(details, "is_drill", false));
    assert_string_equal(stanch_json_str(details, "plan", ""), "game-day");
    assert_in_range(strlen(stanch_json_str(args, "summary", "")), 900, 1003);
    assert_in_range(strlen(stanch_json_str(details, "why", "")), 900, 1003);
    assert_null(json_object_get(details, "reminded"));
}

static void each_instance_is_told(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->tell, json_string("mail"));
    restart(f);
    f->is_silent = true;
    append(f, "drill.started", "D-1", NULL);
    assert_int_equal(f->out, 2);
    f->is_silent = false;
    restart(f); /* neither had answered */
    f->out = 0;
    stanch_loop_sim_advance(f->loop, 3);
    assert_int_equal(f->out, 2);
}

/* ---- what cannot be told ---- */

static void three_tries_then_it_is_said(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_UNKNOWN;
    append(f, "drill.announced", "D-1", NULL);
    assert_int_equal(f->calls, 1);
    stanch_loop_sim_advance(f->loop, 9 * SECOND);
    assert_int_equal(f->calls, 1);
    stanch_loop_sim_advance(f->loop, 2 * SECOND);
    assert_int_equal(f->calls, 2);
    stanch_loop_sim_advance(f->loop, 58 * SECOND);
    assert_int_equal(f->calls, 2);
    assert_written(f, "");
    stanch_loop_sim_advance(f->loop, 3 * SECOND);
    assert_int_equal(f->calls, 3);
    assert_written(f, "untold chat D-1 announced: it said no\n");
    stanch_loop_sim_advance(f->loop, DAY);
    restart(f);
    stanch_loop_sim_advance(f->loop, DAY);
    assert_int_equal(f->calls, 3);
    f->outcome = STANCH_OUTCOME_DONE; /* what comes next is told again */
    append(f, "drill.started", "D-1", NULL);
    assert_written(f, "untold chat D-1 announced: it said no\ntold chat D-1 running\n");
}

static void the_second_try_can_do_it(void **state)
{
    struct fixture *f = *state;
    f->is_away = true;
    append(f, "drill.announced", "D-1", NULL);
    f->is_away = false;
    stanch_loop_sim_advance(f->loop, DAY);
    assert_int_equal(f->calls, 2);
    assert_written(f, "told chat D-1 announced\n");
}

/* What went on while it could not be told is told as it is now, with tries of its own. */
static void what_is_past_is_not_told(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_FAILED;
    append(f, "drill.announced", "D-1", NULL);
    stanch_loop_sim_advance(f->loop, 11 * SECOND);
    assert_int_equal(f->calls, 2);
    append(f, "drill.started", "D-1", NULL);
    stanch_loop_sim_advance(f->loop, DAY);
    assert_int_equal(f->calls, 5);
    assert_written(f, "untold chat D-1 running: it said no\n");
}

static void one_that_cannot_be_told_does_not_hold_up_the_next(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_FAILED;
    append(f, "drill.announced", "D-1", NULL);
    append(f, "drill.announced", "D-2", NULL);
    stanch_loop_sim_advance(f->loop, 71 * SECOND);
    f->outcome = STANCH_OUTCOME_DONE;
    stanch_loop_sim_advance(f->loop, 15 * SECOND);
    assert_written(f, "untold chat D-1 announced: it said no\ntold chat D-2 announced\n");
}

static void a_plugin_that_is_not_up_counts_as_a_try(void **state)
{
    struct fixture *f = *state;
    json_t *actions = json_incref(json_object_get(f->described, "actions"));
    json_object_del(f->described, "actions");
    json_object_set_new(f->described, "state", json_string("starting"));
    append(f, "drill.announced", "D-1", NULL);
    stanch_loop_sim_advance(f->loop, 20 * SECOND);
    json_object_set_new(f->described, "actions", actions);
    stanch_loop_sim_advance(f->loop, 60 * SECOND);
    assert_int_equal(f->calls, 1);
    assert_written(f, "told chat D-1 announced\n");
    json_object_del(f->described, "actions");
    append(f, "drill.started", "D-1", NULL);
    stanch_loop_sim_advance(f->loop, DAY);
    assert_written(f, "told chat D-1 announced\nuntold chat D-1 running: the plugin is starting\n");
}

/* ---- restarts ---- */

static void what_was_not_told_is_told_by_the_next_life(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    append(f, "drill.announced", "D-1", NULL);
    stanch_herald_halt(f->herald);
    answer(f); /* too late to be heard */
    stanch_herald_free(f->herald);
    f->herald = NULL;
    append(f, "drill.missed", "D-2", json_pack("{s:s}", "why", "x"));
    f->is_silent = false;
    stanch_buf_clear(&f->told);
    start(f);
    stanch_loop_sim_advance(f->loop, SECOND);
    assert_written(f, "told chat D-2 missed\ntold chat D-1 announced\n");
}

static void what_is_long_over_is_no_news(void **state)
{
    struct fixture *f = *state;
    stanch_herald_free(f->herald);
    f->herald = NULL;
    append(f, "drill.ended", "D-1", NULL);
    append(f, "drill.announced", "D-2", NULL);
    stanch_loop_sim_advance(f->loop, 2 * DAY);
    start(f);
    stanch_loop_sim_advance(f->loop, SECOND);
    assert_written(f, "told chat D-2 announced\n");
}

static void more_than_the_queue_holds_is_found_again(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    append(f, "drill.announced", "D-0", NULL);
    for (int i = 1; i <= 1100; i++) {
        char id[32];
        (void)snprintf(id, sizeof id, "D-%d", i);
        append(f, "drill.announced", id, NULL);
    }
    f->is_silent = false;
    answer(f);
    stanch_loop_sim_advance(f->loop, 60 * SECOND);
    assert_int_equal(f->calls, 1101);
}

static void who_cannot_tell_is_refused(void **state)
{
    struct fixture *f = *state;
    const struct stanch_pager_port port = {describe, call, f};
    struct stanch_err err = {0};
    assert_int_equal(stanch_herald_check(f->tell, &port, &err), 0);
    json_object_del(json_object_get(f->described, "actions"), "send");
    assert_int_equal(stanch_herald_check(f->tell, &port, &err), STANCH_E_INVALID);
    assert_string_equal(err.text, "drills.tell: webhook \"chat\" cannot tell of drills: it has no notice send");
    json_object_set_new(f->described, "state", json_string("down"));
    assert_int_equal(stanch_herald_check(f->tell, &port, &err), 0);
    assert_int_equal(stanch_herald_check(NULL, &port, &err), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_drill_is_told_from_its_announcement_to_its_end),
        TEST(what_is_sent_is_what_send_takes),
        TEST(each_instance_is_told),
        TEST(three_tries_then_it_is_said),
        TEST(the_second_try_can_do_it),
        TEST(what_is_past_is_not_told),
        TEST(one_that_cannot_be_told_does_not_hold_up_the_next),
        TEST(a_plugin_that_is_not_up_counts_as_a_try),
        TEST(what_was_not_told_is_told_by_the_next_life),
        TEST(what_is_long_over_is_no_news),
        TEST(more_than_the_queue_holds_is_found_again),
        TEST(who_cannot_tell_is_refused),
    };
    return cmocka_run_group_tests_name("herald", tests, NULL, NULL);
}
