/* test_calendar.c: when plans are due, and the feed, read back with libical. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "gameday/calendar.h"
#include "gameday/gameday.h"
#include <libical/ical.h>
#include <stdio.h>
#include <string.h>

static json_t *plan_of(const char *rule, const char *from, const char *zone)
{
    json_t *plan = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "name", "p", "drill", "checkout", "kind", "exercise",
                             "from", from, "zone", zone, "lasts_ms", (json_int_t)7200000);
    json_object_set_new(plan, "rule", rule ? json_string(rule) : json_null());
    return plan;
}

static int64_t ms_of(const char *text)
{
    struct stanch_err err;
    int64_t ms = 0;
    if (stanch_time_parse(text, &ms, &err) < 0)
        fail_msg("%s", err.text);
    return ms;
}

/* expected: the times in UTC, "2026-01-06T09:00 2026-04-07T08:00"; "." at the end: there is none any more. */
static void assert_times(const char *rule, const char *from, const char *zone, const char *after, const char *expected)
{
    STANCH_AUTO_JSON json_t *plan = plan_of(rule, from, zone);
    STANCH_AUTO_BUF struct stanch_buf got = {0};
    struct stanch_err err = {0};
    int64_t at_ms = after ? ms_of(after) : INT64_MIN;
    size_t count = 1;
    for (const char *c = expected; *c; c++)
        count += *c == ' ';
    if (stanch_calendar_check(plan, &err) < 0)
        fail_msg("%s: %s", rule ? rule : "once", err.text);
    for (size_t i = 0; i < count; i++) {
        char text[32];
        int rc = stanch_calendar_next(plan, at_ms, &at_ms, &err);
        if (rc == 0)
            stanch_time_text(at_ms, text);
        stanch_buf_printf(&got, "%s%.16s", i ? " " : "", rc == 0 ? text : rc == STANCH_E_NOT_FOUND ? "." : err.text);
    }
    if (strcmp(stanch_buf_str(&got), expected) != 0)
        fail_msg("%s\n  got      %s\n  expected %s", rule ? rule : "once", stanch_buf_str(&got), expected);
}

static void rules_come_round(void **state)
{
    (void)state;
    assert_times("FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU", "2026-01-06T10:00", "Europe/Berlin", NULL,
                 "2026-01-06T09:00 2026-04-07T08:00 2026-07-07T08:00 2026-10-06T08:00 2027-01-05T09:00");
    assert_times("FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU", "2026-01-06T10:00", "Europe/Berlin", "2026-04-07T07:59:59.999Z",
                 "2026-04-07T08:00");
    assert_times("FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU", "2026-01-06T10:00", "Europe/Berlin", "2026-04-07T08:00:00Z",
                 "2026-07-07T08:00");
    assert_times("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2026-01-01T12:00:30", "UTC", NULL,
                 "2028-02-29T12:00 2032-02-29T12:00 2036-02-29T12:00");
    assert_times("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2096-01-01T12:00", "UTC", NULL,
                 "2096-02-29T12:00 2104-02-29T12:00"); /* 2100 is no leap year */
    assert_times("FREQ=MONTHLY;BYMONTHDAY=31", "2026-01-31T08:00", "UTC", NULL,
                 "2026-01-31T08:00 2026-03-31T08:00 2026-05-31T08:00");
    assert_times("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-01-01T08:00", "UTC", NULL,
                 "2026-01-30T08:00 2026-02-27T08:00 2026-03-31T08:00");
    assert_times("FREQ=WEEKLY;BYDAY=MO;BYHOUR=9,15", "2026-01-05T09:00", "UTC", NULL,
                 "2026-01-05T09:00 2026-01-05T15:00 2026-01-12T09:00");
}

/* `from` is where it begins, and no time of its own when the rule does not make it one. */
static void the_rule_alone_says_when(void **state)
{
    (void)state;
    assert_times("FREQ=WEEKLY;BYDAY=MO", "2026-01-07T08:00", "UTC", NULL, "2026-01-12T08:00 2026-01-19T08:00");
    assert_times(NULL, "2026-01-07T08:00", "America/New_York", NULL, "2026-01-07T13:00 .");
    assert_times(NULL, "2026-01-07T08:00", "UTC", "2026-01-07T08:00:00Z", ".");
}

static void count_and_until_end_it(void **state)
{
    (void)state;
    assert_times("FREQ=DAILY;COUNT=3", "2026-01-01T08:00", "UTC", NULL,
                 "2026-01-01T08:00 2026-01-02T08:00 2026-01-03T08:00 . .");
    assert_times("FREQ=DAILY;COUNT=3", "2026-01-01T08:00", "UTC", "2026-01-02T08:00:00Z", "2026-01-03T08:00 .");
    assert_times("FREQ=DAILY;UNTIL=20260103T070000Z", "2026-01-01T08:00", "Europe/Berlin", NULL,
                 "2026-01-01T07:00 2026-01-02T07:00 2026-01-03T07:00 .");
    assert_times("FREQ=DAILY;UNTIL=20260103T065959Z", "2026-01-01T08:00", "Europe/Berlin", NULL,
                 "2026-01-01T07:00 2026-01-02T07:00 .");
    assert_times("FREQ=DAILY;UNTIL=20260102", "2026-01-01T23:30", "Europe/Berlin", NULL,
                 "2026-01-01T22:30 2026-01-02T22:30 .");
    assert_times("FREQ=DAILY;UNTIL=20260102T080000", "2026-01-01T08:00", "Europe/Berlin", NULL,
                 "2026-01-01T07:00 2026-01-02T07:00 .");
}

/* RFC 5545, 3.3.5: what is left out has the offset before; of what comes twice it is the first. */
static void clocks_that_change(void **state)
{
    (void)state;
    assert_times("FREQ=DAILY", "2026-03-28T02:30", "Europe/Berlin", NULL,
                 "2026-03-28T01:30 2026-03-29T01:30 2026-03-30T00:30");
    assert_times("FREQ=DAILY", "2026-10-24T02:30", "Europe/Berlin", NULL,
                 "2026-10-24T00:30 2026-10-25T00:30 2026-10-26T01:30");
    assert_times("FREQ=DAILY", "2026-03-07T02:30", "America/New_York", NULL,
                 "2026-03-07T07:30 2026-03-08T07:30 2026-03-09T06:30");
    assert_times("FREQ=DAILY", "2026-10-31T01:30", "America/New_York", NULL,
                 "2026-10-31T05:30 2026-11-01T05:30 2026-11-02T06:30");
    assert_times("FREQ=WEEKLY", "2026-03-25T10:00", "Europe/Berlin", NULL, "2026-03-25T09:00 2026-04-01T08:00");
    assert_times("FREQ=WEEKLY", "2050-03-23T10:00", "Europe/Berlin", NULL, "2050-03-23T09:00 2050-03-30T08:00");
    /* two local times that are the same moment are one */
    assert_times("FREQ=DAILY;BYHOUR=2,3", "2026-03-29T02:30", "Europe/Berlin", NULL,
                 "2026-03-29T01:30 2026-03-30T00:30");
    /* libical is an hour off there, Python's zoneinfo is not */
    assert_times("FREQ=DAILY", "2026-07-01T10:00", "Africa/Cairo", NULL, "2026-07-01T07:00");
    assert_times("FREQ=DAILY", "2026-01-10T10:00", "America/Santiago", NULL, "2026-01-10T13:00");
}

static void a_time_is_written_on_the_clock_of_its_plan(void **state)
{
    (void)state;
    STANCH_AUTO_JSON json_t *plan = plan_of(NULL, "2026-07-07T10:00", "Europe/Berlin");
    char text[STANCH_CALENDAR_TEXT];
    stanch_calendar_text(plan, ms_of("2026-07-07T08:00:00Z"), text);
    assert_string_equal(text, "2026-07-07 10:00 Europe/Berlin");
    json_object_set_new(plan, "zone", json_string("Nowhere"));
    stanch_calendar_text(plan, ms_of("2026-07-07T08:00:00Z"), text);
    assert_string_equal(text, "2026-07-07 08:00 UTC");
}

/* ---- what is refused ---- */

static void what_cannot_be_is_refused_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *from, *zone, *why;
    } rows[] = {
        {"FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", "2026-01-06T10:00", "UTC", "never comes true"},
        {"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-06T10:00", "UTC", "never comes true"},
        {"FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31", "2026-01-06T10:00", "UTC", "never comes true"},
        {"FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "2026-01-06T10:00", "UTC", "never comes true"},
        {"FREQ=DAILY;UNTIL=20250101T000000Z", "2026-01-06T10:00", "UTC", "never comes true from 2026-01-06T10:00 on"},
        {"FREQ=WEEKLY;BYMONTHDAY=3", "2026-01-06T10:00", "UTC", "do not go together"},
        {"FREQ=HOURLY", "2026-01-06T10:00", "UTC", "by the hour or finer"},
        {"FREQ=MINUTELY;INTERVAL=1440", "2026-01-06T10:00", "UTC", "by the hour or finer"},
        {"FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-06T10:00", "UTC", "by the hour or finer"},
        {"FREQ=DAILY;BYHOUR=1,2,3,4,5", "2026-01-06T10:00", "UTC", "more than 4 times a day"},
        {"FREQ=DAILY;BYMINUTE=0,1,2,3,4", "2026-01-06T10:00", "UTC", "more than 4 times a day"},
        {"every monday", "2026-01-06T10:00", "UTC", "is no rule of RFC 5545"},
        {"", "2026-01-06T10:00", "UTC", "is no rule of RFC 5545"},
        {"RRULE:FREQ=DAILY", "2026-01-06T10:00", "UTC", "is no rule of RFC 5545"},
        {"FREQ=DAILY;COUNT=1;UNTIL=20270101", "2026-01-06T10:00", "UTC", "is no rule of RFC 5545"},
        {"FREQ=DAILY;UNTIL=99990101", "2026-01-06T10:00", "UTC", "UNTIL is no time"},
        {"FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO", "2026-01-06T10:00", "UTC", "BYWEEKNO is not read"},
        {"RSCALE=CHINESE;FREQ=YEARLY", "2026-01-06T10:00", "UTC", "RSCALE"},
        {"FREQ=DAILY", "2026-02-30T10:00", "UTC", "from: \"2026-02-30T10:00\" is no date and time"},
        {"FREQ=DAILY", "2026-01-06 10:00", "UTC", "from: "},
        {"FREQ=DAILY", "2026-01-06T24:00", "UTC", "from: "},
        {"FREQ=DAILY", "2026-01-06T10:00Z", "UTC", "from: "},
        {"FREQ=DAILY", "1970-01-01T10:00", "UTC", "from: "},
        {"FREQ=DAILY", "2026-01-06T10:00", "Europe/Nowhere", "zone: \"Europe/Nowhere\" is no time zone"},
        {"FREQ=DAILY", "2026-01-06T10:00", "../../etc/passwd", "zone: "},
        {"FREQ=DAILY", "2026-01-06T10:00", "/etc/localtime", "zone: "},
        {"FREQ=DAILY", "2026-01-06T10:00", "", "zone: "},
        {NULL, "", "UTC", "from: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        STANCH_AUTO_JSON json_t *plan = plan_of(rows[i].rule, rows[i].from, rows[i].zone);
        struct stanch_err err = {0};
        int rc = stanch_calendar_check(plan, &err);
        if (rc != STANCH_E_INVALID || !strstr(err.text, rows[i].why))
            fail_msg("%s %s %s: %d %s", rows[i].rule, rows[i].from, rows[i].zone, rc, err.text);
    }
    char rule[2000] = "FREQ=DAILY;BYMONTH=1";
    for (size_t len = strlen(rule); len < sizeof rule - 3; len += 2)
        memcpy(rule + len, ",1", 3);
    STANCH_AUTO_JSON json_t *plan = plan_of(rule, "2026-01-06T10:00", "UTC");
    struct stanch_err err = {0};
    assert_int_equal(stanch_calendar_check(plan, &err), STANCH_E_INVALID);
    assert_string_equal(err.text, "rule: over 500 bytes");
}

static void the_configuration_is_checked_by_plan(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *none = json_pack("{s:n}", "drills");
    assert_int_equal(stanch_gameday_check(none, &err), 0);
    STANCH_AUTO_JSON json_t *good =
        json_pack("{s:{s:[o]}}", "drills", "schedule", plan_of("FREQ=WEEKLY", "2026-01-06T10:00", "UTC"));
    assert_int_equal(stanch_gameday_check(good, &err), 0);
    STANCH_AUTO_JSON json_t *twice = json_deep_copy(good);
    json_array_append(json_object_get(json_object_get(twice, "drills"), "schedule"),
                      json_array_get(json_object_get(json_object_get(good, "drills"), "schedule"), 0));
    assert_int_equal(stanch_gameday_check(twice, &err), STANCH_E_INVALID);
    assert_string_equal(err.text, "drills.schedule: there are two plans \"p\"");
    STANCH_AUTO_JSON json_t *bad =
        json_pack("{s:{s:[o]}}", "drills", "schedule", plan_of("FREQ=WEEKLY", "2026-01-06T10:00", "Mars/Olympus"));
    assert_int_equal(stanch_gameday_check(bad, &err), STANCH_E_INVALID);
    assert_string_equal(err.text,
                        "drills.schedule: plan \"p\": zone: \"Mars/Olympus\" is no time zone of this machine; "
                        "one is called Europe/Berlin (package tzdata)");
}

/* ---- the feed ---- */

static void text_of(icalcomponent *event, icalproperty_kind kind, struct stanch_buf *out)
{
    icalproperty *property = icalcomponent_get_first_property(event, kind);
    char *text = property ? icalproperty_get_value_as_string_r(property) : NULL;
    stanch_buf_printf(out, "%s|", text ? text : "-");
    free(text);
}

/* Each event as "uid|start|end|summary|status|sequence|". */
static void read_back(const struct stanch_buf *feed, struct stanch_buf *out)
{
    icalcomponent *calendar = icalparser_parse_string(stanch_buf_str(feed));
    assert_non_null(calendar);
    assert_int_equal(icalcomponent_isa(calendar), ICAL_VCALENDAR_COMPONENT);
    assert_int_equal(icalcomponent_count_errors(calendar), 0);
    for (icalcomponent *one = icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT); one;
         one = icalcomponent_get_next_component(calendar, ICAL_VEVENT_COMPONENT)) {
        text_of(one, ICAL_UID_PROPERTY, out);
        text_of(one, ICAL_DTSTART_PROPERTY, out);
        text_of(one, ICAL_DTEND_PROPERTY, out);
        text_of(one, ICAL_SUMMARY_PROPERTY, out);
        text_of(one, ICAL_STATUS_PROPERTY, out);
        text_of(one, ICAL_SEQUENCE_PROPERTY, out);
        stanch_buf_text(out, "\n");
    }
    icalcomponent_free(calendar);
    icalmemory_free_ring();
}

static void assert_lines_are_short(const char *feed)
{
    for (const char *line = feed; *line;) {
        const char *end = strstr(line, "\r\n");
        assert_non_null(end); /* RFC 5545, 3.1: CRLF, 75 octets */
        assert_true(end - line <= 75);
        line = end + 2;
    }
}

static void the_feed_is_read_back(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    STANCH_AUTO_BUF struct stanch_buf feed = {0}, got = {0}, again = {0};
    STANCH_AUTO_JSON json_t *plans =
        json_pack("[o]", plan_of("FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU", "2026-01-06T10:00", "Europe/Berlin"));
    STANCH_AUTO_JSON json_t *drills = json_pack(
        "[{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I}, {s:s, s:s, s:s, s:s, s:s, s:I, s:s}, {s:s, s:s, s:s, s:s, s:I}, "
        "{s:s, s:s, s:s, s:s, s:I}]",
        "id", "D-2", "name", "checkout", "kind", "exercise", "plan", "p", "state", "announced", "at_ms",
        (json_int_t)ms_of("2026-04-07T08:00:00Z"), "lasts_ms", (json_int_t)7200000, "updated_ms", (json_int_t)1000,
        "id", "D-1", "name", "checkout", "kind", "exercise", "plan", "p", "state", "missed", "at_ms",
        (json_int_t)ms_of("2026-01-06T09:00:00Z"), "why", "stanch was not running; BEGIN:VEVENT\r\nUID:x, \\ ; ,",
        /* by hand */
        "id", "D-3", "name", "db", "kind", "virtual", "state", "ended", "created_ms",
        (json_int_t)ms_of("2026-02-01T00:00:00Z"), "id", "D-0", "name", "old", "kind", "virtual", "state", "ended",
        "created_ms", (json_int_t)ms_of("2024-02-01T00:00:00Z"));
    assert_non_null(drills);
    int64_t now = ms_of("2026-04-01T00:00:00Z");
    assert_int_equal(stanch_calendar_feed(plans, drills, now, &feed, &err), 0);
    assert_lines_are_short(stanch_buf_str(&feed));
    assert_non_null(strstr(stanch_buf_str(&feed), "BEGIN:VCALENDAR\r\n"));
    assert_non_null(strstr(stanch_buf_str(&feed), "PRODID:-//Stanch//Drills//EN\r\n"));
    read_back(&feed, &got);
    assert_string_equal(
        stanch_buf_str(&got),
        "p-1775548800000@drills.stanch|20260407T080000Z|20260407T100000Z|DRILL: checkout (exercise)|CONFIRMED|0|\n"
        "p-1767690000000@drills.stanch|20260106T090000Z|20260106T100000Z|DRILL: checkout (exercise)|CANCELLED|1|\n"
        "D-3@drills.stanch|20260201T000000Z|20260201T010000Z|DRILL: db (virtual)|CONFIRMED|0|\n"
        "p-1783411200000@drills.stanch|20260707T080000Z|20260707T100000Z|DRILL: checkout (exercise)|CONFIRMED|0|\n"
        "p-1791273600000@drills.stanch|20261006T080000Z|20261006T100000Z|DRILL: checkout (exercise)|CONFIRMED|0|\n"
        "p-1799139600000@drills.stanch|20270105T090000Z|20270105T110000Z|DRILL: checkout (exercise)|CONFIRMED|0|\n");
    assert_int_equal(stanch_calendar_feed(plans, drills, now, &again, &err), 0);
    assert_string_equal(stanch_buf_str(&again), stanch_buf_str(&feed));
}

static void texts_stay_texts(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    STANCH_AUTO_BUF struct stanch_buf feed = {0};
    STANCH_AUTO_FREE char *name = stanch_alloc(2001);
    for (size_t i = 0; i < 2000; i += 2)
        memcpy(name + i, "\xc3\xbc", 2);
    memcpy(name, "a;b,c\\d\nEND:VEVENT\r\x7f", 20);
    STANCH_AUTO_JSON json_t *drills = json_pack("[{s:s, s:s, s:s, s:s, s:I}]", "id", "D-1", "name", name, "kind",
                                                "virtual", "state", "ended", "at_ms", (json_int_t)1767690000000);
    STANCH_AUTO_JSON json_t *plans = json_array();
    assert_non_null(drills);
    assert_int_equal(stanch_calendar_feed(plans, drills, 1767690000000, &feed, &err), 0);
    assert_lines_are_short(stanch_buf_str(&feed));
    icalcomponent *calendar = icalparser_parse_string(stanch_buf_str(&feed));
    icalcomponent *event = icalcomponent_get_first_component(calendar, ICAL_VEVENT_COMPONENT);
    assert_int_equal(icalcomponent_count_components(calendar, ICAL_VEVENT_COMPONENT), 1);
    const char *summary = icalcomponent_get_summary(event);
    assert_int_equal(strncmp(summary, "DRILL: a;b,c\\d END:VEVENT  \xc3\xbc", 29), 0);
    assert_int_equal(strlen(summary), strlen("DRILL: ") + 500 + strlen(" (virtual)"));
    icalcomponent_free(calendar);
    icalmemory_free_ring();
}

static void the_feed_has_bounds(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    STANCH_AUTO_BUF struct stanch_buf feed = {0};
    STANCH_AUTO_JSON json_t *plans = json_pack("[o]", plan_of("FREQ=DAILY", "2001-01-01T10:00", "UTC"));
    assert_int_equal(stanch_calendar_feed(plans, NULL, ms_of("2026-04-01T00:00:00Z"), &feed, &err), 0);
    icalcomponent *calendar = icalparser_parse_string(stanch_buf_str(&feed));
    assert_int_equal(icalcomponent_count_components(calendar, ICAL_VEVENT_COMPONENT), 50);
    icalcomponent_free(calendar);
    icalmemory_free_ring();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_come_round),
        cmocka_unit_test(the_rule_alone_says_when),
        cmocka_unit_test(count_and_until_end_it),
        cmocka_unit_test(clocks_that_change),
        cmocka_unit_test(a_time_is_written_on_the_clock_of_its_plan),
        cmocka_unit_test(what_cannot_be_is_refused_and_says_why),
        cmocka_unit_test(the_configuration_is_checked_by_plan),
        cmocka_unit_test(the_feed_is_read_back),
        cmocka_unit_test(texts_stay_texts),
        cmocka_unit_test(the_feed_has_bounds),
    };
    return cmocka_run_group_tests_name("calendar", tests, NULL, NULL);
}
