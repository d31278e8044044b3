/* test_pager_many.c: many subjects at about the same time are told together. */
#include "pager_kit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAGER(many_are_told_together_and_end_with_the_last), PAGER(many_are_reminded_of_together_once_in_a_while),
        PAGER(a_reminder_of_many_that_was_lost_comes_later), PAGER(one_of_many_is_acknowledged_without_a_word),
        PAGER(more_than_the_queue_holds_is_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
