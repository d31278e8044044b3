/* test_schedule.c: what is said of drills, and what begins, over the lives of a daemon. */
#include "schedule_kit.h"

/* ---- a life of a drill ---- */

static void a_drill_is_announced_reminded_of_and_begun(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 20 * DAY);
    assert_said(f, UP_TO_15M "01-06T10:00 D-1 started\n");
    assert_int_equal(json_array_size(f->begun), 1);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(f->journal, "drill", "D-1");
    assert_string_equal(stanch_json_str(doc, "state", ""), "running");
    assert_string_equal(stanch_json_str(doc, "plan", ""), "p");
    assert_int_equal(stanch_json_int(doc, "lasts_ms", 0), HOUR);
}

/* A timer goes off a millisecond before the wall clock is there, and it is there before the next one is set. */
static void what_falls_due_while_it_looks_is_not_late(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 10 * HOUR - 1000);
    f->stepped_ms = -2;
    f->reading_ms = 1;
    stanch_loop_sim_advance(f->loop, 1000);
    f->reading_ms = 0;
    assert_int_equal(json_array_size(f->begun), 0);
    stanch_loop_sim_advance(f->loop, 100);
    assert_int_equal(json_array_size(f->begun), 1);
}

static void it_comes_round(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", "FREQ=MONTHLY;BYDAY=1TU", "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 90 * DAY);
    assert_said(f, UP_TO_15M "01-06T10:00 D-1 started\n"
                             "01-27T10:00 D-2 announced 2026-02-03 10:00 UTC\n"
                             "02-02T10:00 D-2 reminded 1d\n"
                             "02-03T09:45 D-2 reminded 15m\n"
                             "02-03T10:00 D-2 started\n"
                             "02-24T10:00 D-3 announced 2026-03-03 10:00 UTC\n"
                             "03-02T10:00 D-3 reminded 1d\n"
                             "03-03T09:45 D-3 reminded 15m\n"
                             "03-03T10:00 D-3 started\n"
                             "03-31T10:00 D-4 announced 2026-04-07 10:00 UTC\n");
}

/* A restart at every hour, and at every moment at which something happens, adds and loses nothing. */
static void restarts_change_nothing(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    for (int quarter = 0; quarter < 10 * 24 * 4; quarter++) {
        stanch_loop_sim_advance(f->loop, 15 * MINUTE);
        restart(f);
    }
    assert_said(f, UP_TO_15M "01-06T10:00 D-1 started\n");
    assert_int_equal(json_array_size(f->begun), 1);
}

static void what_is_short_before_is_reminded_of_once(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 9 * HOUR + 50 * MINUTE);
    start(f);
    stanch_loop_sim_advance(f->loop, HOUR);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-06T09:50 D-1 reminded 10m\n"
                   "01-06T10:00 D-1 started\n");
}

/* What an announcement says itself is no reminder. */
static void what_is_announced_late_is_not_reminded_of_at_once(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-01T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, DAY);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-01 10:00 UTC\n"
                   "01-01T09:45 D-1 reminded 15m\n"
                   "01-01T10:00 D-1 started\n");
}

static void what_was_before_the_plan_is_none_of_its(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", "FREQ=DAILY;UNTIL=20251231T235900Z", "2025-01-06T10:00"));
    json_array_append_new(f->plans, plan("q", NULL, "2025-12-31T23:55"));
    start(f);
    stanch_loop_sim_advance(f->loop, 2 * HOUR);
    assert_said(f, "");
    STANCH_AUTO_JSON json_t *coming = stanch_schedule_coming(f->schedule);
    STANCH_AUTO_FREE char *text = json_dumps(coming, JSON_COMPACT);
    assert_string_equal(text,
                        "[{\"plan\":\"p\",\"name\":\"checkout\",\"kind\":\"exercise\",\"why\":\"there is none any "
                        "more\"},{\"plan\":\"q\",\"name\":\"checkout\",\"kind\":\"exercise\",\"why\":\"there is none "
                        "any more\"}]");
}

/* ---- nobody was here ---- */

static void what_was_missed_while_down_is_remembered_once(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", "FREQ=MONTHLY;BYDAY=1TU", "2026-01-06T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 70 * DAY); /* to 12 March: one was announced, two were never heard of */
    start(f);
    stanch_loop_sim_advance(f->loop, 2 * MINUTE);
    static const char said[] = "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                               "03-12T00:00 D-2 missed stanch was not running then\n"
                               "03-12T00:00 D-3 missed stanch was not running then\n"
                               "03-12T00:00 D-1 missed stanch was not running then\n";
    assert_said(f, said);
    restart(f);
    stanch_loop_sim_advance(f->loop, DAY);
    restart(f);
    assert_said(f, said);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(f->journal, "drill", "D-2");
    assert_string_equal(stanch_json_str(doc, "at", ""), "2026-02-03 10:00 UTC");
    assert_false(stanch_json_bool(doc, "open", true));
    assert_int_equal(json_array_size(f->begun), 0);
}

/* Also of a plan that was never announced: that there is one was in the journal. */
static void what_was_never_announced_is_remembered_too(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-02-01T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, HOUR);
    end(f);
    stanch_loop_sim_advance(f->loop, 60 * DAY);
    start(f);
    assert_said(f, "03-02T01:00 D-1 missed stanch was not running then\n");
    restart(f);
    assert_said(f, "03-02T01:00 D-1 missed stanch was not running then\n");
}

static void of_very_many_the_last_are_said(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", "FREQ=DAILY", "2026-02-01T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 365 * DAY);
    start(f);
    settle(f);
    int count = count_entries(f);
    STANCH_AUTO_JSON json_t *first = stanch_journal_see(f->journal, "drill", "D-1");
    assert_string_equal(stanch_json_str(first, "why", ""), "stanch was not running then, and 284 times before that");
    restart(f);
    assert_int_equal(count_entries(f), count); /* those before are not said later */
    assert_in_range(count, 50, 60);
}

/* `late`: how much later than its time it may still begin. */
static void a_little_late_still_begins(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 10 * HOUR + 10 * MINUTE - 10);
    start(f);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-06T10:09 D-1 started\n");
}

static void too_late_does_not(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 10 * HOUR + 10 * MINUTE + 1);
    start(f);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-06T10:10 D-1 missed stanch was not running then\n");
}

/* Nobody heard of it, and it is still time: it is announced before it begins. */
static void what_begins_was_announced(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-02-01T10:00"));
    start(f);
    end(f);
    stanch_loop_sim_advance(f->loop, 31 * DAY + 10 * HOUR + MINUTE);
    start(f);
    assert_said(f, "02-01T10:01 D-1 announced 2026-02-01 10:00 UTC\n"
                   "02-01T10:01 D-1 started\n");
}

/* ---- beginning ---- */

static void what_has_begun_is_not_begun_again_in_this_life(void **state)
{
    struct fixture *f = *state;
    f->is_silent = true;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 12 * HOUR);
    assert_int_equal(json_array_size(f->begun), 1);
    assert_said(f, UP_TO_15M);
    end(f); /* it ended without a word of it: missed, like all of which nothing is known */
    f->is_silent = false;
    start(f);
    assert_said(f, UP_TO_15M "01-06T12:00 D-1 missed stanch was not running then\n");
    assert_int_equal(json_array_size(f->begun), 1);
}

static void what_cannot_begin_is_missed_and_says_why(void **state)
{
    struct fixture *f = *state;
    f->refuses = "INC-7 is open, and it is sev1";
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 7 * DAY);
    assert_said(f, UP_TO_15M "01-06T10:00 D-1 missed INC-7 is open, and it is sev1\n");
    f->refuses = NULL;
    restart(f);
    assert_int_equal(json_array_size(f->begun), 0);
}

static void what_cannot_begin_yet_is_tried_again_until_it_is_too_late(void **state)
{
    struct fixture *f = *state;
    f->refuses = "no commit of the runbooks is in use yet";
    f->refuses_yet = true;
    json_array_append_new(f->plans, plan("p", "FREQ=DAILY;COUNT=2", "2026-01-06T10:00"));
    start(f);
    stanch_loop_sim_advance(f->loop, 5 * DAY + 10 * HOUR + 60000);
    assert_int_equal(json_array_size(f->begun), 0);
    f->refuses = NULL;
    stanch_loop_sim_advance(f->loop, 5000);
    assert_int_equal(json_array_size(f->begun), 1);
    f->refuses = "it is still away";
    stanch_loop_sim_advance(f->loop, 2 * DAY);
    assert_int_equal(json_array_size(f->begun), 1);
    STANCH_AUTO_JSON json_t *missed = stanch_journal_get(f->journal, STANCH_VIEW_COMMITTED, "drill", "D-2");
    assert_string_equal(stanch_json_str(missed, "state", ""), "missed");
    assert_string_equal(stanch_json_str(missed, "why", ""), "it is still away");
}

static void two_at_the_same_moment_both_begin(void **state)
{
    struct fixture *f = *state;
    json_array_append_new(f->plans, plan("p", NULL, "2026-01-06T10:00"));
    json_array_append_new(f->plans, plan("q", NULL, "2026-01-06T10:00"));
    json_object_set_new(json_array_get(f->plans, 1), "remind_ms", json_array());
    start(f);
    stanch_loop_sim_advance(f->loop, 7 * DAY);
    assert_said(f, "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"
                   "01-01T00:00 D-2 announced 2026-01-06 10:00 UTC\n"
                   "01-05T10:00 D-1 reminded 1d\n"
                   "01-06T09:45 D-1 reminded 15m\n"
                   "01-06T10:00 D-1 started\n"
                   "01-06T10:00 D-2 started\n");
}

/* ---- what people see ---- */

static void what_comes_is_told_and_fed(void **state)
{
    struct fixture *f = *state;
    struct stanch_err err;
    STANCH_AUTO_BUF struct stanch_buf feed = {0};
    json_array_append_new(f->plans, plan("near", "FREQ=WEEKLY;COUNT=2", "2026-01-06T10:00"));
    json_array_append_new(f->plans, plan("far", NULL, "2026-03-01T10:00"));
    start(f);
    settle(f);
    STANCH_AUTO_JSON json_t *coming = stanch_schedule_coming(f->schedule);
    STANCH_AUTO_FREE char *text = json_dumps(coming, JSON_COMPACT);
    assert_string_equal(text,
                        "[{\"plan\":\"near\",\"name\":\"checkout\",\"kind\":\"exercise\",\"at_ms\":1767693600000,"
                        "\"drill\":\"D-1\"},{\"plan\":\"far\",\"name\":\"checkout\",\"kind\":\"exercise\",\"at_ms\":"
                        "1772359200000}]");
    assert_int_equal(stanch_schedule_feed(f->schedule, &feed, &err), 0);
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:near-1767693600000@drills.stanch\r\n"));
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:near-1768298400000@drills.stanch\r\n"));
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:far-1772359200000@drills.stanch\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_drill_is_announced_reminded_of_and_begun),
        TEST(what_falls_due_while_it_looks_is_not_late),
        TEST(it_comes_round),
        TEST(restarts_change_nothing),
        TEST(what_is_short_before_is_reminded_of_once),
        TEST(what_is_announced_late_is_not_reminded_of_at_once),
        TEST(what_was_before_the_plan_is_none_of_its),
        TEST(what_was_missed_while_down_is_remembered_once),
        TEST(what_was_never_announced_is_remembered_too),
        TEST(of_very_many_the_last_are_said),
        TEST(a_little_late_still_begins),
        TEST(too_late_does_not),
        TEST(what_begins_was_announced),
        TEST(what_has_begun_is_not_begun_again_in_this_life),
        TEST(what_cannot_begin_is_missed_and_says_why),
        TEST(what_cannot_begin_yet_is_tried_again_until_it_is_too_late),
        TEST(two_at_the_same_moment_both_begin),
        TEST(what_comes_is_told_and_fed),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
