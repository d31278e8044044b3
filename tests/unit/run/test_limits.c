/* test_limits.c: the limits of the policy, in a simulated world: over one of them it asks, also after a crash. */
#include "run/sim_case.h"
#include <string.h>

static void begin(struct sim *sim, const char *guards)
{
    sim_init(sim, "high", NULL);
    sim->guards = guards;
    sim_crash(sim); /* with that policy */
}

/* Each run sets one target; they begin one after the other. */
static void run_on(struct sim *sim, const char *run, const char *target, int value)
{
    json_decref(sim->program);
    sim->program = json_array();
    sim_want(sim, sim_set("set_convergent", target, value));
    STANCH_AUTO_JSON json_t *program = json_deep_copy(sim->program);
    json_object_set(sim->programs, run, program);
    sim_begin(sim, run, NULL);
    stanch_loop_sim_advance(sim->loop, 5000);
}

static void assert_asks(struct sim *sim, const char *approval, const char *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", approval);
    assert_non_null(doc);
    if (!strstr(stanch_json_str(doc, "why", ""), why))
        fail_msg("%s asks because: %s", approval, stanch_json_str(doc, "why", ""));
}

static int approve(struct sim *sim, const char *id)
{
    return decide(sim, id, "approve");
}

static void actions_are_counted_across_a_crash_and_free_with_time(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"actions\":{\"count\":2,\"within_ms\":600000}}}");
    run_on(&sim, "R-1", "s1", 7);
    run_on(&sim, "R-2", "s2", 7);
    assert_state(&sim, "run", "R-2", "succeeded");
    sim_crash(&sim);
    run_on(&sim, "R-3", "s3", 7);
    assert_asks(&sim, "A-1", "limits.actions (2/10m) is reached: 2 mitigations were sent; it frees in 9m");
    assert_int_equal(sim.effect_count, 2);
    stanch_loop_sim_advance(sim.loop, 595000); /* the first no longer counts, the second does */
    run_on(&sim, "R-4", "s4", 7);
    assert_state(&sim, "run", "R-4", "succeeded");
    assert_int_equal(sim.effect_count, 3);
    sim_done(&sim);
}

/* As on a reload: what was sent before the limit was said counts, and what another one counted counts once. */
static void a_policy_that_is_read_again_counts_what_was_sent_before(void **state)
{
    static const char *const before[] = {"{}", "{\"limits\":{\"per_target\":{\"count\":9,\"within_ms\":60000}}}"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct sim sim;
        struct stanch_err err;
        struct stanch_policy *other = NULL;
        STANCH_AUTO_JSON json_t *policy = json_pack("{s:s, s:[], s:{s:{s:i, s:i}}}", "auto", "high", "rules", "limits",
                                                    "actions", "count", 3, "within_ms", 600000);
        begin(&sim, before[i]);
        run_on(&sim, "R-1", "s1", 7);
        run_on(&sim, "R-2", "s2", 7);
        stanch_loop_sim_advance(sim.loop, 120000);
        assert_int_equal(stanch_policy_new(policy, &other, &err), 0);
        stanch_policy_become(sim.policy, other);
        assert_int_equal(stanch_engine_policy_changed(sim.engine, &err), 0);
        assert_int_equal(stanch_engine_policy_changed(sim.engine, &err), 0);
        run_on(&sim, "R-3", "s3", 7);
        assert_state(&sim, "run", "R-3", "succeeded");
        run_on(&sim, "R-4", "s4", 7);
        assert_asks(&sim, "A-1", "limits.actions (3/10m) is reached: 3 mitigations were sent");
        sim_done(&sim);
    }
}

static void each_target_and_instance_has_its_own_count(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"per_target\":{\"count\":1,\"within_ms\":600000},"
                "\"per_instance\":{\"count\":3,\"within_ms\":600000}}}");
    run_on(&sim, "R-1", "s1", 7);
    run_on(&sim, "R-2", "s1", 8);
    assert_asks(&sim, "A-1", "limits.per_target (1/10m) is reached for fx:fx/s1: 1 mitigation was sent");
    run_on(&sim, "R-3", "s2", 7);
    run_on(&sim, "R-4", "s3", 7);
    assert_state(&sim, "run", "R-4", "succeeded");
    run_on(&sim, "R-5", "s4", 7);
    assert_asks(&sim, "A-2", "limits.per_instance (3/10m) is reached for fx: 3 mitigations were sent");
    assert_int_equal(sim.effect_count, 3);
    sim_done(&sim);
}

static void a_target_has_a_pause(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"cooldown_ms\":300000}}");
    run_on(&sim, "R-1", "s1", 7);
    sim_crash(&sim);
    run_on(&sim, "R-2", "s1", 8);
    assert_asks(&sim, "A-1", "limits.cooldown (5m) of fx:fx/s1: the last mitigation on it was sent");
    run_on(&sim, "R-3", "s2", 8);
    assert_state(&sim, "run", "R-3", "succeeded");
    stanch_loop_sim_advance(sim.loop, 300000);
    run_on(&sim, "R-4", "s1", 9);
    assert_state(&sim, "run", "R-4", "succeeded");
    sim_done(&sim);
}

/* Both pass the gate before either is sent, on targets of their own. */
static void two_at_one_time_see_each_other(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"actions\":{\"count\":1,\"within_ms\":600000}}}");
    sim.call_ms = 500;
    json_t *one = json_array(), *other = json_array();
    json_array_append_new(one, sim_set("set_convergent", "s1", 7));
    json_array_append_new(other, sim_set("set_convergent", "s2", 7));
    sim_want(&sim, json_pack("{s:[o,o]}", "parallel", one, other));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_int_equal(sim.effect_count, 1);
    assert_asks(&sim, "A-1", "limits.actions (1/10m) is reached");
    sim_done(&sim);
}

static void an_approval_from_before_the_limit_does_not_pass_it(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    sim.guards = "{\"limits\":{\"actions\":{\"count\":1,\"within_ms\":600000}}}";
    sim_crash(&sim);
    run_on(&sim, "R-1", "s1", 7);
    run_on(&sim, "R-2", "s2", 7);
    assert_int_equal(approve(&sim, "A-1"), 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_int_equal(sim.effect_count, 1);
    assert_int_equal(approve(&sim, "A-2"), 0); /* nobody had told of a limit then */
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "approval", "A-2", "voided");
    assert_asks(&sim, "A-3", "more holds it back now than when the question was asked");
    assert_asks(&sim, "A-3", "limits.actions (1/10m) is reached");
    assert_int_equal(sim.effect_count, 1);
    assert_int_equal(approve(&sim, "A-3"), 0); /* now it was */
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_int_equal(sim.effect_count, 2);
    sim_done(&sim);
}

static void reach_is_held_in_one_step_an_incident_and_an_hour(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"reach\":0.5,\"reach_per_incident\":0.9,\"reach_per_hour\":0.75}}");
    sim.reach = 0.6;
    run_on(&sim, "R-1", "s1", 7);
    assert_asks(&sim, "A-1", "its reach of 0.6 is over limits.reach (0.5)");
    sim.reach = 0.375;
    run_on(&sim, "R-2", "s2", 7);
    run_on(&sim, "R-3", "s3", 7);
    assert_state(&sim, "run", "R-3", "succeeded"); /* 0.75 exactly */
    sim_crash(&sim);
    sim.reach = 0.1;
    run_on(&sim, "R-4", "s4", 7);
    assert_asks(&sim, "A-2", "limits.reach_per_hour (0.75) would be passed: 0.75 was sent; it frees in 59m");
    stanch_loop_sim_advance(sim.loop, 3600000);
    run_on(&sim, "R-5", "s5", 7);
    assert_state(&sim, "run", "R-5", "succeeded");
    sim.reach = 0.25;
    run_on(&sim, "R-6", "s6", 7); /* the hour is over, the incident is not: also of what no longer is in memory */
    STANCH_AUTO_JSON json_t *last = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-6/1");
    assert_asks(&sim, stanch_json_str(last, "approval", ""),
                "limits.reach_per_incident (0.9) would be passed: 0.85 was sent in INC-1");
    assert_int_equal(sim.effect_count, 3);
    sim_done(&sim);
}

static void a_reach_that_is_not_known_asks(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"reach_per_hour\":1}}");
    run_on(&sim, "R-1", "s1", 7);
    assert_asks(&sim, "A-1", "there is a limit of reach, and its reach is not known");
    assert_int_equal(sim.effect_count, 0);
    sim_done(&sim);
}

static enum sim_fate fail_once(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    return strcmp(op, "apply") == 0 && sim->seed++ == 0 ? SIM_LOST_BEFORE : SIM_FINE;
}

static void another_attempt_and_an_undo_are_no_new_mitigation(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"per_target\":{\"count\":2,\"within_ms\":600000}}}");
    sim.fate = fail_once;
    run_on(&sim, "R-1", "s1", 7);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    struct stanch_err err;
    assert_int_equal(stanch_engine_undo(sim.engine, "stanch", "M-1", "no longer needed", NULL, NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "mitigation", "M-1", "undone");
    run_on(&sim, "R-2", "s1", 7);
    assert_state(&sim, "run", "R-2", "succeeded");
    run_on(&sim, "R-3", "s1", 8);
    assert_asks(&sim, "A-1", "2 mitigations were sent");
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_are_counted_across_a_crash_and_free_with_time),
        cmocka_unit_test(a_policy_that_is_read_again_counts_what_was_sent_before),
        cmocka_unit_test(each_target_and_instance_has_its_own_count),
        cmocka_unit_test(a_target_has_a_pause),
        cmocka_unit_test(two_at_one_time_see_each_other),
        cmocka_unit_test(an_approval_from_before_the_limit_does_not_pass_it),
        cmocka_unit_test(reach_is_held_in_one_step_an_incident_and_an_hour),
        cmocka_unit_test(a_reach_that_is_not_known_asks),
        cmocka_unit_test(another_attempt_and_an_undo_are_no_new_mitigation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
