/* test_backtest.c: what is read out of a journal, from when on, and how it is told. */
#include "drill/recorded.h"

static void differences_go_both_ways(void **state)
{
    (void)state;
    struct fixture f;
    char same[16], not_then[16], was_held[16], other[16];
    begin(&f, APART);
    happen(&f, "", STARTED, same);
    happen(&f, "", NO_MATCH, not_then);
    happen(&f, "", HELD, was_held);
    happen(&f, "", ELSE, other);
    const json_t *report = look(&f, 0, 10);
    assert_int_equal(stanch_json_int(report, "events", 0), 4);
    assert_int_equal(stanch_json_int(first_runbook(report), "started", 0), 4);
    assert_int_equal(count(report, "fired"), 4);
    assert_int_equal(count(report, "would_start"), 3);
    assert_string_equal(stanch_json_str(listed(report, "would_start", 0), "event", ""), not_then);
    const json_t *then = json_object_get(listed(report, "would_start", 1), "then");
    assert_string_equal(stanch_json_str(then, "outcome", ""), "held");
    assert_string_equal(stanch_json_str(then, "why", ""), "all is stopped");
    assert_int_equal(count(report, "would_not"), 1);
    assert_string_equal(stanch_json_str(listed(report, "would_not", 0), "event", ""), other);
    assert_string_equal(stanch_json_str(listed(report, "would_not", 0), "runbook", ""), "old");
    assert_int_equal(stanch_json_int(json_object_get(json_object_get(report, "gone"), "old"), "started", 0), 1);
    end(&f);
}

static void what_an_earlier_release_did_not_record_is_no_difference(void **state)
{
    (void)state;
    struct fixture f;
    char id[16];
    begin(&f, APART);
    happen(&f, "", UNTOLD, id);
    const json_t *report = look(&f, 0, 10);
    assert_int_equal(stanch_json_int(report, "not_told", 0), 1);
    assert_int_equal(count(report, "would_start") + count(report, "would_not"), 0);
    assert_int_equal(count(report, "fired"), 1);
    end(&f);
}

/* It came before there was a commit; one was accepted later. */
static void what_was_matched_late_is_known_by_its_document(void **state)
{
    (void)state;
    struct fixture f;
    char late[16], never[16];
    begin(&f, APART);
    happen(&f, "", NULL, late);
    happen(&f, "", NULL, never);
    struct stanch_batch *batch = stanch_batch_new();
    add_matched(batch, late, STARTED);
    append(&f, batch);
    const json_t *report = look(&f, 0, 10);
    assert_int_equal(stanch_json_int(report, "events", 0), 2);
    assert_int_equal(count(report, "would_start"), 1);
    const json_t *one = listed(report, "would_start", 0);
    assert_string_equal(stanch_json_str(one, "event", ""), never);
    assert_string_equal(stanch_json_str(json_object_get(one, "then"), "outcome", ""), "not matched");
    end(&f);
}

/* Two pages and more, with other entries between, an hour apart: from any of them on, and never more than is asked for listed. */
static void since_is_found_wherever_it_is(void **state)
{
    (void)state;
    enum { EVENTS = 700 };
    struct fixture f;
    char id[16];
    begin(&f, "\"limits\":{\"group_within_ms\":0,\"cooldown_ms\":7200000}");
    for (int i = 0; i < EVENTS; i++) {
        happen(&f, "", NO_MATCH, id);
        struct stanch_batch *batch = stanch_batch_new();
        for (int k = 0; k < i % 4; k++)
            stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.repeated", STANCH_BY_STANCH, NULL,
                             json_pack("{s:s, s:i}", "event", id, "count", 1));
        append(&f, batch);
        stanch_loop_sim_advance(f.loop, 60 * MINUTE);
    }
    for (int from = 0; from <= EVENTS; from += 35) {
        const json_t *report = look(&f, NOW + from * 60 * MINUTE, 3);
        assert_int_equal(stanch_json_int(report, "events", -1), EVENTS - from);
        assert_int_equal(count(report, "fired"), (EVENTS - from + 1) / 2); /* the first one, and every second */
        assert_int_equal(json_array_size(json_object_get(json_object_get(report, "fired"), "listed")),
                         from == EVENTS ? 0 : 3);
    }
    end(&f);
}

/* What was started before counts in the windows, as it does when a commit is taken into use. */
static void this_version_takes_over_from_what_was(void **state)
{
    (void)state;
    struct fixture f;
    char before[16], then[16], later[16];
    begin(&f, "\"limits\":{\"group_within_ms\":60000,\"cooldown_ms\":600000}");
    happen(&f, "", STARTED, before);
    stanch_loop_sim_advance(f.loop, 1000);
    int64_t since_ms = stanch_loop_wall_ms(f.loop);
    happen(&f, "", STARTED, then);
    stanch_loop_sim_advance(f.loop, 2 * MINUTE);
    happen(&f, "", STARTED, later);
    const json_t *report = look(&f, since_ms, 10);
    assert_int_equal(count(report, "would_not"), 2);
    const json_t *joins = json_object_get(listed(report, "would_not", 0), "now");
    assert_string_equal(stanch_json_str(joins, "outcome", ""), "joined");
    assert_string_equal(stanch_json_str(json_object_get(listed(report, "would_not", 1), "now"), "by", ""), "cooldown");
    end(&f);
}

static void assert_untold(const json_t *report, size_t i, const char *limit, int before, int64_t closest_ms)
{
    const json_t *one = json_array_get(json_object_get(first_runbook(report), "cannot_tell"), i);
    assert_string_equal(stanch_json_str(one, "limit", ""), limit);
    assert_int_equal(stanch_json_int(one, "before", -1), before);
    assert_int_equal(stanch_json_int(one, "closest_ms", -1), closest_ms);
}

/* How long runs take is not known; how close they came is. */
static void what_counts_runs_that_are_going_is_told_by_how_close_they_came(void **state)
{
    (void)state;
    static const int64_t gaps[] = {90, 20, 50, 30, 10}; /* minutes */
    struct fixture f;
    char id[16];
    begin(&f, "\"limits\":{\"group_within_ms\":0,\"at_once\":4,\"holds\":\"service:x\"}");
    happen(&f, "", STARTED, id);
    for (size_t i = 0; i < sizeof gaps / sizeof *gaps; i++) {
        stanch_loop_sim_advance(f.loop, gaps[i] * MINUTE);
        happen(&f, "", STARTED, id);
    }
    const json_t *report = look(&f, 0, 10);
    assert_untold(report, 0, "at_once = 4", 3, 90 * MINUTE); /* 50, 30 and 10 before the last one */
    assert_untold(report, 1, "holds = service:x", 1, 10 * MINUTE);
    end(&f);
}

/* Over three within ten seconds; and a cap of four runs, a quarter of it for other incidents. */
static void a_storm_and_the_cap_of_all_are_told(void **state)
{
    (void)state;
    static const int64_t gaps_s[] = {4, 3, 2, 5, 60, 1};
    struct fixture f;
    char id[16];
    begin(&f, APART);
    f.config = json_loads("{\"limits\":{\"max_runs\":4,\"storm\":{\"enter\":3,\"within_ms\":10000}}}", 0, NULL);
    assert_non_null(f.config);
    happen(&f, "", STARTED, id);
    for (size_t i = 0; i < sizeof gaps_s / sizeof *gaps_s; i++) {
        stanch_loop_sim_advance(f.loop, gaps_s[i] * 1000);
        happen(&f, "", STARTED, id);
    }
    const json_t *report = look(&f, 0, 10), *storm = json_object_get(report, "storm");
    assert_int_equal(stanch_json_int(storm, "enter", 0), 3);
    assert_int_equal(stanch_json_int(storm, "starts", -1),
                     1); /* the fourth: nine seconds after the first; the fifth: ten */
    const json_t *cap = json_array_get(json_object_get(report, "cannot_tell"), 0);
    assert_string_equal(stanch_json_str(cap, "limit", ""), "limits.max_runs = 4");
    assert_int_equal(stanch_json_int(cap, "closest_ms", -1), 9000);
    end(&f);
}

static void an_empty_store_is_no_error(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "\"limits\":{\"at_once\":3,\"holds\":\"service:x\"}");
    const json_t *report = look(&f, 0, 10);
    assert_int_equal(stanch_json_int(report, "events", -1), 0);
    assert_int_equal(json_array_size(json_object_get(first_runbook(report), "cannot_tell")), 0); /* none was reached */
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_go_both_ways),
        cmocka_unit_test(what_an_earlier_release_did_not_record_is_no_difference),
        cmocka_unit_test(what_was_matched_late_is_known_by_its_document),
        cmocka_unit_test(since_is_found_wherever_it_is),
        cmocka_unit_test(this_version_takes_over_from_what_was),
        cmocka_unit_test(what_counts_runs_that_are_going_is_told_by_how_close_they_came),
        cmocka_unit_test(a_storm_and_the_cap_of_all_are_told),
        cmocka_unit_test(an_empty_store_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
