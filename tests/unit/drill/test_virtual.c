/* test_virtual.c: each limit over virtual time. */
#include "drill/catalogue_of.h"
#include "base/digest.h"
#include "drill/virtual.h"

struct fixture {
    struct stanch_catalogue *catalogue;
    struct stanch_virtual *virtual;
    struct stanch_verdict verdict;
    json_t *stops; /* NULL: nothing is stopped */
};

static void begin(struct fixture *f, const char *more)
{
    stanch_digest_init();
    memset(f, 0, sizeof *f);
    f->catalogue = one_runbook(more);
    f->virtual = stanch_virtual_new(f->catalogue, NULL);
}

static void end(struct fixture *f)
{
    json_decref(f->stops);
    stanch_virtual_free(f->virtual);
    stanch_catalogue_free(f->catalogue);
}

static enum stanch_became take_of(struct fixture *f, int64_t at_ms, const char *labels, const char *incident)
{
    STANCH_AUTO_JSON json_t *event = alert_at(at_ms, "E-1", labels);
    stanch_virtual_take(f->virtual, event, incident, f->stops, &f->verdict);
    return f->verdict.became;
}

static enum stanch_became take(struct fixture *f, int64_t at_ms)
{
    return take_of(f, at_ms, "", "INC-1");
}

static void a_cooldown_holds_until_it_is_over(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"limits\":{\"cooldown_ms\":600000,\"group_within_ms\":0}");
    assert_int_equal(take(&f, NOW), STANCH_BECAME_STARTED);
    assert_string_equal(f.verdict.why, "");
    assert_int_equal(take(&f, NOW + 10 * MINUTE - 1), STANCH_BECAME_HELD);
    assert_string_equal(f.verdict.by, "cooldown");
    assert_string_equal(f.verdict.why, "its cooldown: it started 599 s ago");
    assert_int_equal(take(&f, NOW + 10 * MINUTE), STANCH_BECAME_STARTED);
    assert_int_equal(take(&f, NOW + 11 * MINUTE),
                     STANCH_BECAME_HELD); /* what was held does not count, what started does */
    end(&f);
}

static void at_most_is_a_window_that_moves(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"limits\":{\"at_most\":{\"count\":2,\"within_ms\":3600000},\"group_within_ms\":0}");
    assert_int_equal(take(&f, NOW), STANCH_BECAME_STARTED);
    assert_int_equal(take(&f, NOW + 30 * MINUTE), STANCH_BECAME_STARTED);
    assert_int_equal(take(&f, NOW + 59 * MINUTE), STANCH_BECAME_HELD);
    assert_string_equal(f.verdict.by, "at_most");
    assert_string_equal(f.verdict.why, "its limit: 2 starts inside the window already");
    assert_int_equal(take(&f, NOW + 60 * MINUTE), STANCH_BECAME_STARTED); /* the first one has left it */
    assert_int_equal(take(&f, NOW + 89 * MINUTE), STANCH_BECAME_HELD);
    assert_int_equal(take(&f, NOW + 90 * MINUTE), STANCH_BECAME_STARTED);
    assert_int_equal(stanch_virtual_reach_ms(f.virtual), 60 * MINUTE);
    end(&f);
}

static void alerts_of_one_key_join(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"params\":{\"server\":{\"type\":\"string\",\"from_label\":\"server\",\"required\":true}}");
    assert_int_equal(take_of(&f, NOW, "\"server\":\"s1\"", "INC-1"), STANCH_BECAME_STARTED);
    assert_int_equal(take_of(&f, NOW + MINUTE - 1, "\"server\":\"s1\"", "INC-1"), STANCH_BECAME_JOINED);
    assert_int_equal(take_of(&f, NOW + MINUTE - 1, "\"server\":\"s2\"", "INC-1"), STANCH_BECAME_STARTED);
    assert_int_equal(take_of(&f, NOW + MINUTE - 1, "\"server\":\"s1\"", "INC-2"), STANCH_BECAME_STARTED);
    assert_int_equal(take_of(&f, NOW + MINUTE, "\"server\":\"s1\"", "INC-1"),
                     STANCH_BECAME_STARTED); /* not what joined counts */
    end(&f);
    begin(&f, "\"limits\":{\"group_by\":[\"zone\"],\"group_within_ms\":300000}");
    assert_int_equal(take_of(&f, NOW, "\"zone\":\"a\",\"n\":\"1\"", "INC-1"), STANCH_BECAME_STARTED);
    assert_int_equal(take_of(&f, NOW + 4 * MINUTE, "\"zone\":\"a\",\"n\":\"2\"", "INC-1"), STANCH_BECAME_JOINED);
    assert_int_equal(take_of(&f, NOW + 4 * MINUTE, "\"zone\":\"b\",\"n\":\"2\"", "INC-1"), STANCH_BECAME_STARTED);
    end(&f);
}

static void an_event_without_an_incident_gets_that_of_its_correlation(void **state)
{
    (void)state;
    struct fixture f;
    STANCH_AUTO_JSON json_t *incidents = json_loads("{\"correlate\":[\"zone\"]}", 0, NULL);
    begin(&f, "");
    stanch_virtual_free(f.virtual);
    f.virtual = stanch_virtual_new(f.catalogue, incidents);
    assert_int_equal(take_of(&f, NOW, "\"zone\":\"a\"", NULL), STANCH_BECAME_STARTED);
    assert_int_equal(take_of(&f, NOW + 1000, "\"zone\":\"a\"", NULL), STANCH_BECAME_JOINED);
    assert_int_equal(take_of(&f, NOW + 1000, "\"zone\":\"b\"", NULL), STANCH_BECAME_STARTED);
    end(&f);
}

static void what_is_too_old_or_refused_is_held(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"params\":{\"server\":{\"type\":\"string\",\"from_label\":\"server\",\"one_of\":[\"s1\"],\"required\":"
              "true}}");
    assert_int_equal(take_of(&f, NOW, "\"server\":\"s9\"", "INC-1"), STANCH_BECAME_HELD);
    assert_string_equal(f.verdict.by, "parameter");
    assert_non_null(strstr(f.verdict.why, "s9"));
    STANCH_AUTO_JSON json_t *old = alert_at(NOW, "E-2", "\"server\":\"s1\"");
    json_object_set_new(old, "starts_at_ms", json_integer(NOW - 11 * MINUTE));
    stanch_virtual_take(f.virtual, old, "INC-1", NULL, &f.verdict);
    assert_int_equal(f.verdict.became, STANCH_BECAME_HELD);
    assert_string_equal(f.verdict.by, "max_age");
    assert_string_equal(f.verdict.why, "it began 11m ago, max_age is 10m");
    end(&f);
}

static void stop(struct fixture *f, const char *stops)
{
    json_decref(f->stops);
    f->stops = json_loads(stops, 0, NULL);
    assert_non_null(f->stops);
}

/* It counts for nothing, and comes before all else, as in flow_match.c: but what does not match is not held. */
static void a_stop_holds_a_start_before_all_else(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"params\":{\"server\":{\"type\":\"string\",\"from_label\":\"server\",\"required\":true}},"
              "\"limits\":{\"cooldown_ms\":600000,\"group_within_ms\":0}");
    stop(&f, "[{\"level\":\"runbook\",\"name\":\"heal\",\"file\":\"runbook:heal\",\"reason\":\"it is wrong\","
             "\"by\":\"person:ada\"}]");
    assert_int_equal(take(&f, NOW), STANCH_BECAME_HELD); /* without its parameter */
    assert_string_equal(f.verdict.by, "stop");
    assert_string_equal(f.verdict.why, "runbook heal is stopped by person:ada: it is wrong");
    STANCH_AUTO_JSON json_t *old = alert_at(NOW, "E-2", "\"server\":\"s1\"");
    json_object_set_new(old, "starts_at_ms", json_integer(NOW - 11 * MINUTE));
    stanch_virtual_take(f.virtual, old, "INC-1", f.stops, &f.verdict);
    assert_string_equal(f.verdict.by, "max_age");
    stop(&f, "[{\"level\":\"all\",\"file\":\"stop\",\"reason\":\"hands off\",\"by\":\"person:ada\"}]");
    assert_int_equal(take_of(&f, NOW, "\"server\":\"s1\"", "INC-1"), STANCH_BECAME_HELD);
    assert_string_equal(f.verdict.why, "the stop switch is set");
    stop(&f, "[{\"level\":\"runbook\",\"name\":\"other\"},{\"level\":\"instance\",\"name\":\"heal\"},"
             "{\"level\":\"target\",\"name\":\"heal\"}]");
    assert_int_equal(take_of(&f, NOW, "\"server\":\"s1\"", "INC-1"),
                     STANCH_BECAME_STARTED); /* what was held did not count */
    end(&f);
}

static void what_does_not_match_says_why(void **state)
{
    (void)state;
    struct stanch_verdict verdicts[2];
    struct stanch_catalogue *catalogue = catalogue_of("[{\"name\":\"other\",\"on\":[{\"kind\":\"alert\",\"matchers\":[{"
                                                      "\"label\":\"env\",\"op\":\"=\",\"value\":\"prod\"}]}]},"
                                                      "{\"name\":\"byhand\"}]");
    struct stanch_virtual *virtual = stanch_virtual_new(catalogue, NULL);
    STANCH_AUTO_JSON json_t *event = alert_at(NOW, "E-1", "");
    stanch_virtual_take(virtual, event, NULL, NULL, verdicts);
    assert_int_equal(verdicts[0].became, STANCH_BECAME_NONE);
    assert_string_equal(verdicts[0].why, "label env is missing, not \"prod\"");
    assert_string_equal(verdicts[1].why, "it has no trigger: only a person starts it");
    stanch_virtual_free(virtual);
    stanch_catalogue_free(catalogue);
}

/* The wall clock went back by a day: nothing is known to have passed, and then time goes on. */
static void no_time_passes_while_the_clock_is_set_back(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"limits\":{\"cooldown_ms\":600000,\"group_within_ms\":0}");
    assert_int_equal(take(&f, NOW), STANCH_BECAME_STARTED);
    assert_int_equal(take(&f, NOW - 1440 * MINUTE), STANCH_BECAME_HELD);
    assert_int_equal(take(&f, NOW - 1431 * MINUTE), STANCH_BECAME_HELD);
    assert_int_equal(take(&f, NOW - 1430 * MINUTE), STANCH_BECAME_STARTED);
    end(&f);
}

/* Hostile labels: what is said is text, cut between characters. */
static void what_is_said_stays_text(void **state)
{
    (void)state;
    struct fixture f;
    STANCH_AUTO_BUF struct stanch_buf label = {0};
    begin(&f, "\"params\":{\"server\":{\"type\":\"string\",\"from_label\":\"server\",\"one_of\":[\"s1\"]}}");
    stanch_buf_text(&label, "\"server\":\"x");
    for (int i = 0; i < 400; i++)
        stanch_buf_text(&label, "\xc3\xa9");
    stanch_buf_text(&label, "\"");
    assert_int_equal(take_of(&f, NOW, stanch_buf_str(&label), "INC-1"), STANCH_BECAME_HELD);
    STANCH_AUTO_JSON json_t *text = json_string(f.verdict.why); /* NULL when it is not UTF-8 */
    assert_non_null(text);
    end(&f);
}

/* Many keys: each is its own run, whatever was dropped in between, and what is still open is not dropped. */
static void groups_that_are_over_are_dropped_and_no_others(void **state)
{
    (void)state;
    struct fixture f;
    char label[64];
    begin(&f, "\"limits\":{\"group_by\":[\"n\"],\"group_within_ms\":60000}");
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(label, sizeof label, "\"n\":\"%d\"", i);
        assert_int_equal(take_of(&f, NOW + i * 20, label, "INC-1"),
                         STANCH_BECAME_STARTED); /* 3,000 are open at a time */
        if (i >= 2000) {
            (void)snprintf(label, sizeof label, "\"n\":\"%d\"", i - 2000);
            assert_int_equal(take_of(&f, NOW + i * 20, label, "INC-1"), STANCH_BECAME_JOINED);
        }
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cooldown_holds_until_it_is_over),
        cmocka_unit_test(at_most_is_a_window_that_moves),
        cmocka_unit_test(alerts_of_one_key_join),
        cmocka_unit_test(an_event_without_an_incident_gets_that_of_its_correlation),
        cmocka_unit_test(what_is_too_old_or_refused_is_held),
        cmocka_unit_test(a_stop_holds_a_start_before_all_else),
        cmocka_unit_test(what_does_not_match_says_why),
        cmocka_unit_test(no_time_passes_while_the_clock_is_set_back),
        cmocka_unit_test(what_is_said_stays_text),
        cmocka_unit_test(groups_that_are_over_are_dropped_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
