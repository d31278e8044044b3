/* test_breaker.c: a runbook that does not help on a target asks before it tries there again. */
#include "run/sim_case.h"
#include <string.h>

#define BREAKER "{\"breaker\":{\"after\":2,\"within_ms\":3600000,\"closes_after_ms\":600000}}"
#define ID      "heal fx:fx/s1"

static void begin(struct sim *sim, const char *guards)
{
    sim_init(sim, "high", NULL);
    sim->guards = guards;
    sim_crash(sim); /* with that policy */
}

static json_t *verify(void)
{
    return json_pack("{s:s, s:{s:{s:{s:s, s:s, s:{}}, s:s, s:s, s:i, s:i}}}", "op", "verify", "args", "symptom", "ask",
                     "instance", "fx", "action", "metric", "args", "good", "< 1", "bad", "> 5", "within_ms", 1000,
                     "every_ms", 100);
}

/* A run of "heal" sets s1 and looks at the symptom; by its id an end apart. */
static void run_it(struct sim *sim, const char *run, const char *target, int value, bool looks)
{
    STANCH_AUTO_JSON json_t *program = json_array();
    json_array_append_new(program, sim_set("set_convergent", target, value));
    if (looks)
        json_array_append_new(program, verify());
    json_object_set(sim->programs, run, program);
    json_t *more = json_pack("{s:s}", "runbook", "heal");
    if (looks)
        json_object_set_new(more, "symptom", json_object());
    sim_begin(sim, run, more);
    stanch_loop_sim_advance(sim->loop, 20000);
}

static void assert_asks(struct sim *sim, const char *approval, const char *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", approval);
    assert_non_null(doc);
    if (!strstr(stanch_json_str(doc, "why", ""), why))
        fail_msg("%s asks because: %s", approval, stanch_json_str(doc, "why", ""));
}

static int64_t count_of(struct sim *sim)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "breaker", ID);
    return stanch_json_int(doc, "count", -1);
}

static void what_does_not_help_opens_it_and_time_closes_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, BREAKER);
    sim.symptom = 9;
    run_it(&sim, "R-1", "s1", 1, true);
    assert_state(&sim, "breaker", ID, "counting");
    sim_crash(&sim);
    run_it(&sim, "R-2", "s1", 2, true);
    assert_state(&sim, "breaker", ID, "open");
    sim_crash(&sim);
    run_it(&sim, "R-3", "s1", 3, true);
    assert_asks(
        &sim, "A-1",
        "the breaker of heal on fx:fx/s1 is open: 2 mitigations did not help within 1h, the last R-2/1: no effect: "
        "the symptom is 9 after it, and was not measured before (2 without effect); it closes in 9m");
    run_it(&sim, "R-4", "s2", 3, true); /* of another target it is not */
    assert_state(&sim, "run", "R-4", "succeeded");
    assert_int_equal(sim.effect_count, 3);
    stanch_loop_sim_advance(sim.loop, 600000);
    assert_state(&sim, "breaker", ID, "closed");
    run_it(&sim, "R-5", "s1", 5, true);
    assert_state(&sim, "run", "R-5", "succeeded");
    assert_int_equal(count_of(&sim), 1); /* it begins anew */
    sim_done(&sim);
}

static void it_closes_by_time_also_when_that_comes_while_it_is_down(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, BREAKER);
    sim.symptom = 9;
    run_it(&sim, "R-1", "s1", 1, true);
    run_it(&sim, "R-2", "s1", 2, true);
    sim_kill(&sim);
    stanch_loop_sim_advance(sim.loop, 700000);
    sim_start(&sim);
    stanch_loop_sim_advance(sim.loop, 1000);
    assert_state(&sim, "breaker", ID, "closed");
    sim_done(&sim);
}

static void a_person_closes_it(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    begin(&sim, BREAKER);
    sim.symptom = 9;
    run_it(&sim, "R-1", "s1", 1, true);
    struct stanch_batch *batch = stanch_batch_new();
    assert_int_equal(stanch_engine_close_breaker(sim.engine, "person:ada", "heal", "fx:fx/s1", "tried", batch, &err),
                     STANCH_E_CONFLICT);
    assert_int_equal(stanch_engine_close_breaker(sim.engine, "person:ada", "heal", "s9", "tried", batch, &err),
                     STANCH_E_NOT_FOUND);
    run_it(&sim, "R-2", "s1", 2, true);
    assert_int_equal(
        stanch_engine_close_breaker(sim.engine, "person:ada", "heal", "fx:fx/s1", "it is mended", batch, &err), 0);
    assert_int_equal(stanch_journal_append(sim.journal, batch, NULL, NULL, &err), 0);
    assert_state(&sim, "breaker", ID, "closed");
    run_it(&sim, "R-3", "s1", 3, true);
    assert_state(&sim, "run", "R-3", "succeeded");
    sim_done(&sim);
}

static void what_helps_clears_what_is_counted_and_closes_when_it_was_approved(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, BREAKER);
    sim.symptom = 9;
    run_it(&sim, "R-1", "s1", 1, true);
    sim.symptom = 0;
    run_it(&sim, "R-2", "s1", 2, true);
    assert_state(&sim, "breaker", ID, "closed");
    assert_int_equal(count_of(&sim), 0);
    sim.symptom = 9;
    run_it(&sim, "R-3", "s1", 3, true);
    run_it(&sim, "R-4", "s1", 4, true);
    run_it(&sim, "R-5", "s1", 5, true);
    assert_asks(&sim, "A-1", "the breaker of heal");
    sim.symptom = 0;
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "breaker", ID, "closed");
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "breaker", ID);
    assert_string_equal(stanch_json_str(doc, "closed_why", ""),
                        "R-5/1, which was approved, helped: the symptom is good");
    sim_done(&sim);
}

static enum sim_fate refuse(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "apply") == 0 ? SIM_FAILS_FOR_GOOD : SIM_FINE;
}

static enum sim_fate never_show(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "verify") == 0 ? SIM_FAILS_FOR_GOOD : SIM_FINE;
}

static enum sim_fate lose_all(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "apply") == 0 ? SIM_LOST_BEFORE : SIM_FINE;
}

static void what_fails_does_not_show_or_did_not_happen_counts(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"breaker\":{\"after\":4,\"within_ms\":3600000,\"closes_after_ms\":600000}}");
    sim.fate = refuse;
    run_it(&sim, "R-1", "s1", 1, false);
    assert_int_equal(count_of(&sim), 1);
    sim.fate = never_show;
    run_it(&sim, "R-2", "s1", 2, false);
    assert_int_equal(count_of(&sim), 2);
    sim.fate = lose_all;
    STANCH_AUTO_JSON json_t *program = json_array();
    json_array_append_new(program, sim_set("set_unprotected", "s1", 3));
    json_object_set(sim.programs, "R-3", program);
    sim_begin(&sim, "R-3", json_pack("{s:s}", "runbook", "heal"));
    stanch_loop_sim_advance(sim.loop, 20000);
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-3/1");
    assert_int_equal(decide(&sim, stanch_json_str(step, "approval", ""), "did-not"), 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_int_equal(count_of(&sim), 3);
    sim.fate = NULL;
    sim.symptom = 9;
    run_it(&sim, "R-4", "s1", 4, true);
    assert_state(&sim, "breaker", ID, "open");
    sim_done(&sim);
}

static void what_is_long_ago_no_longer_counts(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, BREAKER);
    sim.symptom = 9;
    run_it(&sim, "R-1", "s1", 1, true);
    stanch_loop_sim_advance(sim.loop, 3600000);
    run_it(&sim, "R-2", "s1", 2, true);
    assert_state(&sim, "breaker", ID, "counting");
    assert_int_equal(count_of(&sim), 1);
    sim_done(&sim);
}

static void it_can_be_turned_off(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"breaker\":false}");
    sim.symptom = 9;
    for (int i = 1; i <= 5; i++) {
        char run[8];
        (void)snprintf(run, sizeof run, "R-%d", i);
        run_it(&sim, run, "s1", i, true);
        assert_state(&sim, "run", run, "succeeded");
    }
    assert_int_equal(sim.effect_count, 5);
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_help_opens_it_and_time_closes_it),
        cmocka_unit_test(it_closes_by_time_also_when_that_comes_while_it_is_down),
        cmocka_unit_test(a_person_closes_it),
        cmocka_unit_test(what_helps_clears_what_is_counted_and_closes_when_it_was_approved),
        cmocka_unit_test(what_fails_does_not_show_or_did_not_happen_counts),
        cmocka_unit_test(what_is_long_ago_no_longer_counts),
        cmocka_unit_test(it_can_be_turned_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
