/* test_schedule.c: the schedule in virtual time, on a store in memory: what is said of drills, and what begins, over restarts and
 * steps of the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "base/times.h"
#include "gameday/schedule.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include <stdio.h>
#include <string.h>

#define MINUTE 60000LL
#define HOUR   3600000LL
#define DAY    86400000LL

struct fixture {
    struct stanch_loop *loop;
    struct stanch_loop_ops ops; /* the loop's, with a wall clock that steps */
    const struct stanch_loop_ops *under;
    struct stanch_journal *journal;
    struct stanch_schedule *schedule;
    json_t *plans, *begun; /* begun: ids */
    const char *refuses;   /* what begin says, or NULL */
    bool is_silent;        /* begin says nothing more: the process ends before drill.started */
    int64_t stepped_ms;
};
static struct fixture *fixture; /* of the clock that steps */

static int64_t stepping_wall(struct stanch_loop *loop)
{
    return fixture->under->wall_ms(loop) + fixture->stepped_ms;
}

/* What is due at once is done: a timer takes a millisecond. */
static void settle(struct fixture *f)
{
    stanch_loop_sim_advance(f->loop, 5);
}

static void append(struct fixture *f, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, "stanch", NULL, data);
    if (stanch_journal_append(f->journal, batch, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static int begin(void *ctx, const json_t *drill, struct stanch_err *err)
{
    struct fixture *f = ctx;
    const char *id = stanch_json_str(drill, "id", "");
    if (f->refuses)
        return stanch_err_set(err, STANCH_E_BUSY, "%s", f->refuses);
    json_array_append_new(f->begun, json_string(id));
    if (!f->is_silent)
        append(f, "drill.started",
               json_pack("{s:s, s:O, s:O}", "drill", id, "name", json_object_get(drill, "name"), "kind",
                         json_object_get(drill, "kind")));
    return 0;
}

static void start(struct fixture *f)
{
    const struct stanch_schedule_port port = {begin, f};
    struct stanch_err err;
    if (stanch_schedule_start(f->loop, f->journal, f->plans, &port, &f->schedule, &err) < 0)
        fail_msg("%s", err.text);
}

static void end(struct fixture *f)
{
    settle(f);
    stanch_schedule_free(f->schedule);
    f->schedule = NULL;
}

static void restart(struct fixture *f)
{
    end(f);
    start(f);
    settle(f);
}

static json_t *plan(const char *name, const char *rule, const char *from)
{
    json_t *one = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:[I, I], s:I, s:i}", "name", name, "drill",
                            "checkout", "kind", "exercise", "from", from, "zone", "UTC", "lasts_ms", (json_int_t)HOUR,
                            "announce_ms", (json_int_t)(7 * DAY), "remind_ms", (json_int_t)DAY,
                            (json_int_t)(15 * MINUTE), "late_ms", (json_int_t)(10 * MINUTE), "speed", 1);
    json_object_set_new(one, "rule", rule ? json_string(rule) : json_null());
    return one;
}

static int set_up(void **state)
{
    struct fixture *f = fixture = STANCH_NEW(struct fixture);
    struct stanch_err err;
    stanch_digest_init();
    f->loop = stanch_loop_sim_new(1767225600000, 100000); /* Thursday, 2026-01-01T00:00:00Z */
    f->under = f->loop->ops;
    f->ops = *f->under;
    f->ops.wall_ms = stepping_wall;
    f->loop->ops = &f->ops;
    assert_int_equal(stanch_journal_open(f->loop, stanch_store_memory_new(), &f->journal, &err), 0);
    f->plans = json_array();
    f->begun = json_array();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stanch_schedule_free(f->schedule);
    stanch_journal_close(f->journal);
    f->loop->ops = f->under;
    stanch_loop_sim_free(f->loop);
    json_decref(f->plans);
    json_decref(f->begun);
    free(f);
    return 0;
}

static int on_written(void *ctx, const struct stanch_entry *entry)
{
    char at[32];
    if (strncmp(entry->kind, "drill.", 6) != 0)
        return 0;
    stanch_time_text(entry->at_ms, at);
    stanch_buf_printf(ctx, "%.11s %s %s", at + 5, stanch_json_str(entry->data, "drill", ""), entry->kind + 6);
    const char *const members[] = {"at", "in", "why"};
    for (size_t i = 0; i < 3 && strcmp(entry->kind, "drill.started") != 0; i++) {
        const char *text = stanch_json_str(entry->data, members[i], NULL);
        if (text && !(i == 0 && strcmp(entry->kind, "drill.missed") == 0))
            stanch_buf_printf(ctx, " %s", text);
    }
    stanch_buf_text(ctx, "\n");
    return 0;
}

/* All that was said of drills so far, a line each. */
static void assert_said(struct fixture *f, const char *expected)
{
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    const struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    settle(f);
    assert_int_equal(stanch_journal_entries(f->journal, &query, on_written, &got, &err), 0);
    if (strcmp(stanch_buf_str(&got), expected) != 0)
        fail_msg("said\n%s\nexpected\n%s", stanch_buf_str(&got), expected);
}

static int on_counted(void *ctx, const struct stanch_entry *entry)
{
    (*(int *)ctx)++;
    (void)entry;
    return 0;
}

static int count_entries(struct fixture *f)
{
    const struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    int count = 0;
    settle(f);
    assert_int_equal(stanch_journal_entries(f->journal, &query, on_counted, &count, &err), 0);
    return count;
}

/* ---- a life of a drill ---- */

#define UP_TO_15M                                                                                                      \
    "01-01T00:00 D-1 announced 2026-01-06 10:00 UTC\n"                                                                 \
    "01-05T10:00 D-1 reminded 1d\n"                                                                                    \
    "01-06T09:45 D-1 reminded 15m\n"

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
                        "[{\"plan\":\"p\",\"drill\":\"checkout\",\"kind\":\"exercise\",\"why\":\"there is none any "
                        "more\"},{\"plan\":\"q\",\"drill\":\"checkout\",\"kind\":\"exercise\",\"why\":\"there is none "
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
                        "[{\"plan\":\"near\",\"drill\":\"checkout\",\"kind\":\"exercise\",\"at_ms\":1767693600000,"
                        "\"id\":\"D-1\"},{\"plan\":\"far\",\"drill\":\"checkout\",\"kind\":\"exercise\",\"at_ms\":"
                        "1772359200000}]");
    assert_int_equal(stanch_schedule_feed(f->schedule, &feed, &err), 0);
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:near-1767693600000@drills.stanch\r\n"));
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:near-1768298400000@drills.stanch\r\n"));
    assert_non_null(strstr(stanch_buf_str(&feed), "UID:far-1772359200000@drills.stanch\r\n"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_drill_is_announced_reminded_of_and_begun),
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
        TEST(two_at_the_same_moment_both_begin),
        TEST(what_left_the_schedule_is_missed),
        TEST(what_is_moved_is_announced_anew),
        TEST(another_scenario_at_the_same_time_is_said),
        TEST(a_clock_that_goes_back_repeats_nothing),
        TEST(a_clock_that_goes_forward_is_seen_within_a_minute),
        TEST(what_comes_is_told_and_fed),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
