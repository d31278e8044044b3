/* test_schedule_changes.c: the configuration changes between two lives, and the clock steps. */
#include "schedule_kit.h"

/* ---- the configuration changes ---- */

static void what_left_the_schedule_is_missed(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    json_array_clear(f->plans);
    start(f);
    static const char said[] = "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                               "01-01T00:00 D-1 missed it is no longer in the schedule\n";
    stanch_loop_sim_advance(f->loop, 7 * DAY);
    assert_said(f, said);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(f->journal, "plan", "p");
    assert_string_equal(stanch_json_str(doc, "state", ""), "dropped");
    json_array_append_new(f->plans,
                          plan("p", NULL, "2026-01-06T10:00")); /* back: what was due meanwhile is not missed */
    restart(f);
    assert_said(f, said);
}

static void what_is_moved_is_announced_anew(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    json_object_set_new(json_array_get(f->plans, 0), "from", json_string("2026-01-05T10:00"));
    json_object_set_new(json_array_get(f->plans, 0), "remind_ms", json_array());
    start(f);
    stanch_loop_sim_advance(f->loop, 7 * DAY);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-01T00:00 D-2 announced 2026-01-05 10:00 UTC\n"
                   "01-01T00:00 D-1 missed it is no longer in the schedule\n"
                   "01-05T10:00 D-2 started\n");
}

static void another_scenario_at_the_same_time_is_said(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    append(f, "drill.told", json_pack("{s:s, s:s, s:s}", "drill", "D-1", "instance", "chat", "told", "announced"));
    json_object_set_new(json_array_get(f->plans, 0), "drill", json_string("db"));
    start(f);
    settle(f);
    restart(f);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(f->journal, "drill", "D-1");
    assert_null(json_object_get(doc, "told")); /* people are told anew */
    stanch_loop_sim_advance(f->loop, 7 * DAY);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-01T00:00 D-1 told\n" UP_TO_15M "01-06T10:00 D-1 started\n");
    assert_string_equal(stanch_json_str(doc, "name", ""), "db");
}

/* ---- the clock steps ---- */

static void a_clock_that_goes_back_repeats_nothing(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", "FREQ=WEEKLY", "2026-01-06T10:00"));
    json_object_set_new(json_array_get(f->plans, 0), "remind_ms", json_pack("[I]", (json_int_t)HOUR));
    start(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 10 * HOUR + MINUTE);
    f->stepped_ms = -3 * HOUR;
    stanch_loop_sim_advance(f->loop, 6 * HOUR);
    restart(f);
    assert_int_equal(json_array_size(f->begun), 1);
    static const char said[] = "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                               "01-06T09:00 D-1 reminded 1h\n"
                               "01-06T10:00 D-2 announced 2026-01-13 10:00 UTC\n"
                               "01-06T10:00 D-1 started\n";
    assert_said(f, said);
}

/* A plan that was first seen while the clock was a year ahead waits for no year. */
static void a_clock_that_was_wrong_at_first_is_forgotten(void **state)
{
    struct fixture *f = *state;
    f->stepped_ms = 400 * DAY;
    json_array_append_new(f->plans, plan("p", "FREQ=MONTHLY;BYDAY=1TU", "2026-01-06T10:00"));
    start(f);
    end(f);
    f->stepped_ms = 0;
    start(f);
    settle(f);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n");
}

/* A machine that slept, or was set: within a minute it is seen, and what is too late is not begun. */
static void a_clock_that_goes_forward_is_seen_within_a_minute(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    json_array_append_new(f->plans, plan("q", NULL, "2026-01-06T11:55"));
    json_array_append_new(f->plans, plan("r", NULL, "2026-01-09T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 3 * DAY);
    f->stepped_ms = 2 * DAY + 12 * HOUR;
    stanch_loop_sim_advance(f->loop, MINUTE);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-01T00:00 D-2 announced 2026-01-06 11:55 UTC\n"
                   "01-02T10:00 D-3 announced 2026-01-09 10:00 UTC\n"
                   "01-06T12:00 D-1 missed it was 2h late: the machine slept, or its clock was set\n"
                   "01-06T12:00 D-2 started\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_left_the_schedule_is_missed),          TEST(what_is_moved_is_announced_anew),
        TEST(another_scenario_at_the_same_time_is_said), TEST(a_clock_that_was_wrong_at_first_is_forgotten),
        TEST(a_clock_that_goes_back_repeats_nothing),    TEST(a_clock_that_goes_forward_is_seen_within_a_minute),
    };
    return cmocka_run_group_tests_name("schedule changes", tests, NULL, NULL);
}
