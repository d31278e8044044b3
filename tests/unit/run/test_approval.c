/* test_approval.c: what a person is asked in a simulated world: an approval is used once and gets old, a question
 * expires, a run that did nothing for long asks. */
#include "run/sim_case.h"

static void an_approval_is_used_once_and_survives_a_crash(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_state(&sim, "approval", "A-1", "pending");
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 1000);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    assert_int_equal(decide(&sim, "A-1", "approve"), STANCH_E_CONFLICT);
    stanch_loop_sim_settle(sim.loop);
    sim_crash(&sim); /* granted, and nothing done yet */
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "approval", "A-1", "consumed");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void an_expired_question_is_asked_anew(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 10000);
    stanch_loop_sim_advance(sim.loop, 900000);
    assert_state(&sim, "approval", "A-1", "expired");
    assert_state(&sim, "approval", "A-2", "pending");
    assert_int_equal(decide(&sim, "A-1", "approve"), STANCH_E_CONFLICT);
    sim_crash(&sim);
    assert_int_equal(decide(&sim, "A-2", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

static void a_long_gap_makes_it_ask(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 1000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 100);
    /* dead for an hour: time passes with nobody there */
    sim_kill(&sim);
    stanch_loop_sim_advance(sim.loop, 3600000);
    sim_start(&sim);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "approval", "A-1", "pending");
    assert_int_equal(sim.effect_count, 0);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

/* ---- found by the simulation (test_simulation.c), kept as they are ---- */

/* An answer to a free question is no word about an alert that has resolved; and a grant gets old. */
static void only_an_approval_makes_stale_grounds_fresh(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:s, s:s}}", "op", "ask", "args", "role", "ic", "text", "well?"));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", json_pack("{s:{s:s}}", "event", "id", "E-1"));
    stanch_loop_sim_advance(sim.loop, 1000);
    stanch_engine_resolved(sim.engine, "R-1");
    assert_int_equal(decide(&sim, "A-1", "yes"), 0);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_int_equal(sim.effect_count, 0);
    assert_state(&sim, "approval", "A-2", "pending");
    assert_int_equal(decide(&sim, "A-2", "approve"), 0);
    stanch_loop_sim_settle(sim.loop);
    sim_kill(&sim); /* granted, and nobody there for an hour */
    stanch_loop_sim_advance(sim.loop, 3600000);
    sim_start(&sim);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_int_equal(sim.effect_count, 0);
    assert_state(&sim, "approval", "A-2", "voided");
    assert_int_equal(decide(&sim, "A-3", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_approval_is_used_once_and_survives_a_crash),
        cmocka_unit_test(an_expired_question_is_asked_anew),
        cmocka_unit_test(a_long_gap_makes_it_ask),
        cmocka_unit_test(only_an_approval_makes_stale_grounds_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
