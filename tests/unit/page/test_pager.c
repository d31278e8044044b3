/* test_pager.c: what an instance is told of one subject, in calm times and in outages. */
#include "pager_kit.h"

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
        PAGER(the_plugin_must_be_able_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
