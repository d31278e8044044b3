/* test_pager.c: the pager in virtual time, on a store in memory, with an instance that answers as it is told to. */
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

static void answer(void *ctx)
{
    struct fixture *f = ctx;
    struct stanch_plugin_answer said = {.outcome = f->outcome, .retry = f->retry};
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

static void start(struct fixture *f)
{
    const struct stanch_pager_port port = {describe, call, f};
    struct stanch_err err;
    assert_int_equal(stanch_pager_start(f->loop, f->journal, f->paging, &port, &f->pager, &err), 0);
}

/* The process ends and begins again; what was appended is in the store. */
static void restart(struct fixture *f)
{
    stanch_loop_sim_settle(f->loop);
    stanch_pager_free(f->pager);
    f->out = 0;
    start(f);
}

static int set_up(void **state)
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

static int tear_down(void **state)
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

static void append(struct fixture *f, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, "INC-1", kind, "stanch", NULL, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void ask(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++)
        append(f, "approval.requested",
               json_pack("{s:o, s:s, s:s, s:[s,s]}", "approval", json_sprintf("A-%d", i), "role", "ic", "because",
                         "it burns", "choices", "approve", "deny"));
}

static void close_question(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++)
        append(f, "approval.denied", json_pack("{s:o}", "approval", json_sprintf("A-%d", i)));
}

static void assert_told(struct fixture *f, const char *expected)
{
    STANCH_AUTO_FREE char *text = json_dumps(f->told, JSON_COMPACT);
    assert_string_equal(text, expected);
}

static int64_t status(struct fixture *f, const char *member)
{
    STANCH_AUTO_JSON json_t *all = stanch_pager_status(f->pager);
    return stanch_json_int(all, member, -1);
}

struct counting {
    const char *kind;
    int count;
};
static int on_counted(void *ctx, const struct stanch_entry *entry)
{
    struct counting *counting = ctx;
    counting->count += strcmp(entry->kind, counting->kind) == 0;
    return 0;
}

static int count_kind(struct fixture *f, const char *kind)
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

/* ---- what is told ---- */

static void a_question_is_told_from_its_asking_to_its_end(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 100);
    assert_told(f, "[\"trigger A-1 1\"]");
    append(f, "approval.supported", json_pack("{s:s, s:[s]}", "approval", "A-1", "granted_by", "person:ada"));
    stanch_loop_sim_advance(f->loop, 100);
    close_question(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 100);
    append(f, "approval.consumed", json_pack("{s:s}", "approval", "A-1"));
    stanch_loop_sim_advance(f->loop, 100);
    assert_told(f, "[\"trigger A-1 1\",\"acknowledge A-1 1\",\"resolve A-1 1\"]");
    restart(f);
    stanch_loop_sim_advance(f->loop, 600000);
    assert_int_equal(json_array_size(f->told), 3);
}

static void who_did_not_answer_is_reminded_once(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 100);
    append(f, "approval.reminded", json_pack("{s:s, s:i, s:n}", "approval", "A-1", "reminded", 1, "remind_due_ms"));
    stanch_loop_sim_advance(f->loop, 100);
    assert_told(f, "[\"trigger A-1 1\",\"trigger A-1 1\"]");
    restart(f);
    stanch_loop_sim_advance(f->loop, 600000);
    assert_int_equal(json_array_size(f->told), 2);
    f->is_away = true;
    ask(f, 2, 2);
    append(f, "approval.reminded", json_pack("{s:s, s:i, s:n}", "approval", "A-2", "reminded", 1, "remind_due_ms"));
    stanch_loop_sim_advance(f->loop, 5000);
    f->is_away = false;
    stanch_loop_sim_advance(f->loop, 120000);
    assert_int_equal(json_array_size(f->told), 3); /* it is told for the first time: that is no reminder */
    close_question(f, 1, 2);
    stanch_loop_sim_advance(f->loop, 100);
    assert_int_equal(json_array_size(f->told), 5);
}

static void what_was_answered_before_it_was_told_is_not_told(void **state)
{
    struct fixture *f = *state;
    f->is_away = true;
    ask(f, 1, 2);
    stanch_loop_sim_advance(f->loop, 5000);
    close_question(f, 1, 1);
    f->is_away = false;
    stanch_loop_sim_advance(f->loop, 120000);
    assert_told(f, "[\"trigger A-2 1\"]");
    assert_int_equal(status(f, "waiting"), 0);
}

static void what_ends_while_its_page_is_on_its_way_is_told_both(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 10);
    close_question(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 10);
    f->is_silent = false;
    answer(f);
    stanch_loop_sim_advance(f->loop, 100);
    assert_told(f, "[\"trigger A-1 1\",\"resolve A-1 1\"]");
}

/* ---- outages ---- */

static void when_all_is_over_who_was_told_hears_so_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    struct stanch_err err;
    ask(f, 1, 15); /* ten pages of their own, and one for five */
    stanch_loop_sim_advance(f->loop, 300);
    assert_int_equal(json_array_size(f->told), 11);
    ask(f, 16, 18); /* they wait to be told together */
    stanch_loop_sim_advance(f->loop, 100);
    f->is_silent = true;
    append(f, "approval.supported", json_pack("{s:s, s:[s]}", "approval", "A-1", "granted_by", "person:ada"));
    stanch_loop_sim_advance(f->loop, 100); /* that one is on its way */
    assert_int_equal(stanch_pager_end(f->pager, &err), 0);
    ask(f, 19, 19);
    assert_true(status(f, "waiting") > 0);
    f->is_silent = false;
    answer(f);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_int_equal(status(f, "waiting"), 0);
    stanch_loop_sim_advance(f->loop, 600000);
    assert_int_equal(json_array_size(f->told), 12 + 11);
    for (size_t i = 12; i < 12 + 11; i++)
        assert_memory_equal(json_string_value(json_array_get(f->told, i)), "resolve ", 8);
    assert_int_equal(count_kind(f, "notice.closed"), 15);
}

/* The process was killed after the instance was told and before that was known; another one ends it, asks nobody anew, and says
 * nothing of what is asked while it does. */
static void what_a_killed_one_may_have_told_is_ended(void **state)
{
    struct fixture *f = *state;
    struct stanch_err err;
    f->is_silent = true;
    ask(f, 1, 2); /* the first is on its way, the second waits behind it */
    stanch_loop_sim_advance(f->loop, 100);
    assert_told(f, "[\"trigger A-1 1\"]");
    restart(f);
    f->is_silent = false;
    assert_int_equal(stanch_pager_end_killed(f->pager, &err), 0);
    close_question(f, 1, 1); /* its run is cancelled */
    ask(f, 3, 3);
    stanch_loop_sim_advance(f->loop, 600000);
    assert_told(f, "[\"trigger A-1 1\",\"resolve A-2 1\",\"resolve A-1 1\"]");
    assert_int_equal(status(f, "waiting"), 0);
    restart(f); /* and that is known */
    assert_int_equal(stanch_pager_end_killed(f->pager, &err), 0);
    stanch_loop_sim_advance(f->loop, 600000);
    assert_int_equal(json_array_size(f->told), 4); /* of what was asked meanwhile it cannot know */
}

static void an_outage_is_said_once_and_tried_with_back_off(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_UNKNOWN;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 3600000);
    assert_in_range(f->calls, 50, 70); /* 1, 2, 4 ... 32 s, then every minute */
    assert_int_equal(count_kind(f, "paging.failing"), 1);
    assert_int_equal(status(f, "failing"), 1);
    f->outcome = STANCH_OUTCOME_DONE;
    stanch_loop_sim_advance(f->loop, 61000);
    assert_told(f, "[\"trigger A-1 1\"]");
    assert_int_equal(count_kind(f, "paging.recovered"), 1);
    assert_int_equal(status(f, "failing"), 0);
}

static void an_outage_of_an_earlier_life_ends_once(void **state)
{
    struct fixture *f = *state;
    f->is_away = true;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 1000);
    restart(f);
    assert_int_equal(status(f, "failing"), 1);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_int_equal(count_kind(f, "paging.failing"), 1);
    f->is_away = false;
    stanch_loop_sim_advance(f->loop, 61000);
    assert_told(f, "[\"trigger A-1 1\"]");
    assert_int_equal(count_kind(f, "paging.recovered"), 1);
}

static void what_is_refused_for_good_is_given_up_and_the_others_are_told(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_FAILED;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 10000);
    assert_int_equal(f->calls, 3);
    assert_int_equal(count_kind(f, "notice.failed"), 1);
    f->outcome = STANCH_OUTCOME_DONE;
    ask(f, 2, 2);
    close_question(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 61000);
    assert_told(f, "[\"trigger A-2 1\"]");
}

static void trying_has_an_end(void **state)
{
    struct fixture *f = *state;
    f->outcome = STANCH_OUTCOME_FAILED;
    f->retry = true;
    ask(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 25 * 3600 * 1000);
    int calls = f->calls;
    assert_int_equal(count_kind(f, "notice.failed"), 1);
    stanch_loop_sim_advance(f->loop, 3600 * 1000);
    assert_int_equal(f->calls, calls);
}

/* ---- many ---- */

static void many_are_told_together_and_end_with_the_last(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 200);
    stanch_loop_sim_advance(f->loop, 30000);
    assert_int_equal(json_array_size(f->told), 11);
    assert_string_equal(json_string_value(json_array_get(f->told, 10)), "trigger many-A-11 190");
    ask(f, 201, 205);
    stanch_loop_sim_advance(f->loop, 15000);
    assert_string_equal(json_string_value(json_array_get(f->told, 11)), "trigger many-A-11 5");
    restart(f);
    close_question(f, 11, 204);
    stanch_loop_sim_advance(f->loop, 15000);
    assert_int_equal(json_array_size(f->told), 12);
    restart(f);
    close_question(f, 205, 205);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_int_equal(json_array_size(f->told), 13);
    assert_string_equal(json_string_value(json_array_get(f->told, 12)), "resolve many-A-11 1");
    assert_int_equal(count_kind(f, "notice.closed"), 195);
    ask(f, 300, 300); /* the crowd is gone, and the group with it */
    stanch_loop_sim_advance(f->loop, 70000);
    assert_string_equal(json_string_value(json_array_get(f->told, 13)), "trigger A-300 1");
}

static void remind(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++)
        append(f, "approval.reminded",
               json_pack("{s:o, s:i, s:n}", "approval", json_sprintf("A-%d", i), "reminded", 1, "remind_due_ms"));
}

static const char *told_at(struct fixture *f, size_t at)
{
    const char *told = json_string_value(json_array_get(f->told, at));
    return told ? told : "nothing";
}

static void many_are_reminded_of_together_once_in_a_while(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 40);
    stanch_loop_sim_advance(f->loop, 30000);
    assert_int_equal(json_array_size(f->told), 11);
    close_question(f, 31, 35);
    append(f, "approval.supported", json_pack("{s:s, s:[s]}", "approval", "A-11", "granted_by", "person:ada"));
    remind(f, 12, 25);
    stanch_loop_sim_advance(f->loop, 10000);
    assert_int_equal(json_array_size(f->told), 12);
    assert_string_equal(told_at(f, 11), "trigger many-A-11 25"); /* of 30 five are answered */
    remind(f, 26, 30);
    stanch_loop_sim_advance(f->loop, 10000);
    assert_int_equal(json_array_size(f->told), 12); /* they were among those 25 */
    stanch_loop_sim_advance(f->loop, 300000);
    remind(f, 36, 40);
    stanch_loop_sim_advance(f->loop, 10000);
    assert_int_equal(json_array_size(f->told), 13);
    assert_string_equal(told_at(f, 12), "trigger many-A-11 25");
    restart(f); /* what was reminded of is known */
    stanch_loop_sim_advance(f->loop, 600000);
    assert_int_equal(json_array_size(f->told), 13);
    remind(f, 1, 1);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_string_equal(told_at(f, 13), "trigger A-1 1"); /* told alone, reminded of alone */
    close_question(f, 11, 30);
    close_question(f, 36, 40);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_int_equal(json_array_size(f->told), 15);
    assert_string_equal(told_at(f, 14), "resolve many-A-11 1");
}

static void a_reminder_of_many_that_was_lost_comes_later(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 15);
    stanch_loop_sim_advance(f->loop, 30000);
    f->outcome = STANCH_OUTCOME_UNKNOWN;
    remind(f, 12, 14);
    stanch_loop_sim_advance(f->loop, 10000);
    assert_int_equal(json_array_size(f->told), 11);
    restart(f);
    f->outcome = STANCH_OUTCOME_DONE;
    stanch_loop_sim_advance(f->loop, 120000);
    assert_int_equal(json_array_size(f->told), 12);
    assert_string_equal(told_at(f, 11), "trigger many-A-11 5");
}

static void one_of_many_is_acknowledged_without_a_word(void **state)
{
    struct fixture *f = *state;
    ask(f, 1, 12);
    stanch_loop_sim_advance(f->loop, 30000);
    append(f, "approval.supported", json_pack("{s:s, s:[s]}", "approval", "A-12", "granted_by", "person:ada"));
    stanch_loop_sim_advance(f->loop, 1000);
    assert_int_equal(json_array_size(f->told), 11);
    close_question(f, 11, 12);
    stanch_loop_sim_advance(f->loop, 1000);
    assert_string_equal(json_string_value(json_array_get(f->told, 11)), "resolve many-A-11 1");
}

static void more_than_the_queue_holds_is_found_again(void **state)
{
    struct fixture *f = *state;
    f->is_away = true;
    ask(f, 1, 2500);
    stanch_loop_sim_advance(f->loop, 5000);
    assert_int_equal(status(f, "waiting"), 1000);
    f->is_away = false;
    stanch_loop_sim_advance(f->loop, 200000);
    assert_int_equal(count_kind(f, "notice.told"), 2500);
    assert_in_range(json_array_size(f->told), 12, 40);
    assert_int_equal(status(f, "waiting"), 0);
}

static void the_plugin_must_be_able_to(void **state)
{
    struct fixture *f = *state;
    const struct stanch_pager_port port = {describe, call, f};
    struct stanch_err err = {0};
    assert_int_equal(stanch_pager_check(f->paging, &port, &err), 0);
    json_object_del(json_object_get(f->described, "actions"), "resolve");
    assert_int_equal(stanch_pager_check(f->paging, &port, &err), STANCH_E_INVALID);
    assert_non_null(strstr(err.text, "paging.via: pagerduty \"pd\" cannot page"));
    json_object_set_new(f->described, "state", json_string("down")); /* what it can nobody knows yet */
    assert_int_equal(stanch_pager_check(f->paging, &port, &err), 0);
    assert_int_equal(stanch_pager_check(NULL, &port, &err), 0);
}

int main(void)
{
#define PAGER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PAGER(a_question_is_told_from_its_asking_to_its_end),
        PAGER(who_did_not_answer_is_reminded_once),
        PAGER(what_was_answered_before_it_was_told_is_not_told),
        PAGER(what_ends_while_its_page_is_on_its_way_is_told_both),
        PAGER(when_all_is_over_who_was_told_hears_so_and_nobody_else),
        PAGER(what_a_killed_one_may_have_told_is_ended),
        PAGER(an_outage_is_said_once_and_tried_with_back_off),
        PAGER(an_outage_of_an_earlier_life_ends_once),
        PAGER(what_is_refused_for_good_is_given_up_and_the_others_are_told),
        PAGER(trying_has_an_end),
        PAGER(many_are_told_together_and_end_with_the_last),
        PAGER(many_are_reminded_of_together_once_in_a_while),
        PAGER(a_reminder_of_many_that_was_lost_comes_later),
        PAGER(one_of_many_is_acknowledged_without_a_word),
        PAGER(more_than_the_queue_holds_is_found_again),
        PAGER(the_plugin_must_be_able_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
