/* test_conflicts.c: a mitigation asks where another run's is in force, or another run holds the same name. */
#include "run/sim_case.h"

#include "run/engine.h"
#include <string.h>

static void assert_asks(struct sim *sim, const char *id, const char *because)
{
    assert_state(sim, "approval", id, "pending");
    STANCH_AUTO_JSON json_t *asked = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", id);
    if (!strstr(stanch_json_str(asked, "why", ""), because))
        fail_msg("\"%s\" does not say \"%s\"", stanch_json_str(asked, "why", ""), because);
}

/* Under a policy that says so of conflicts. */
static void begin(struct sim *sim, const char *conflicts)
{
    sim_init(sim, "low", NULL);
    sim->conflicts = conflicts;
    sim_crash(sim);
}

static void set_and_end(struct sim *sim, const char *run, const char *target, int value)
{
    json_object_set_new(sim->programs, run, json_pack("[o]", sim_set("set_convergent", target, value)));
    sim_begin(sim, run, NULL);
    sim_advance(sim, 10000);
}

static void it_asks_and_names_what_is_in_force(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    begin(&sim, "ask");
    set_and_end(&sim, "R-1", "s1", 7);
    set_and_end(&sim, "R-2", "s2", 7); /* another target */
    assert_int_equal(sim.effect_count, 2);
    set_and_end(&sim, "R-3", "s1", 8);
    assert_int_equal(sim.effect_count, 2);
    assert_asks(&sim, "A-1", "M-1 (fx.set_convergent) of run R-1, INC-1, is in force on fx:fx/s1");
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "run", "R-3", "succeeded"); /* one yes is enough, although M-1 is still in force */
    assert_state(&sim, "mitigation", "M-1", "in-force");
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "by hand", NULL, NULL, &err), 0);
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-2", "by hand", NULL, NULL, &err), 0);
    sim_advance(&sim, 10000);
    set_and_end(&sim, "R-4", "s2", 9); /* nothing is in force there any more */
    assert_state(&sim, "run", "R-4", "succeeded");
    sim_done(&sim);
}

static void what_was_in_force_is_known_after_a_restart(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "ask");
    set_and_end(&sim, "R-1", "s1", 7);
    sim_crash(&sim);
    sim_advance(&sim, 1000);
    set_and_end(&sim, "R-2", "s1", 8);
    assert_int_equal(sim.effect_count, 1);
    assert_asks(&sim, "A-1", "M-1 (fx.set_convergent) of run R-1");
    sim_done(&sim);
}

static void a_run_does_not_fight_with_itself(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "ask");
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_want(&sim, sim_set("set_reconcilable", "s1", 8));
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "undo", "args", "mitigation", "M-2"));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 3);
    sim_done(&sim);
}

static void a_policy_may_allow_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "allow");
    set_and_end(&sim, "R-1", "s1", 7);
    set_and_end(&sim, "R-2", "s1", 8);
    assert_state(&sim, "run", "R-2", "succeeded");
    assert_int_equal(sim.effect_count, 2);
    sim_done(&sim);
}

static enum sim_fate undo_is_lost(struct sim *sim, const char *op, const char *action)
{
    (void)sim;
    (void)action;
    return strcmp(op, "undo") == 0 ? SIM_LOST_BEFORE : SIM_FINE;
}

static void what_may_still_be_in_force_counts(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    begin(&sim, "ask");
    json_object_set_new(sim.programs, "R-1", json_pack("[o]", sim_set("set_unprotected", "s1", 7)));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    sim.fate = undo_is_lost;
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "by hand", NULL, NULL, &err), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "mitigation", "M-1", "unknown");
    set_and_end(&sim, "R-2", "s1", 8);
    assert_asks(&sim, "A-1", "M-1 (fx.set_unprotected) of run R-1, INC-1, may still be in force on fx:fx/s1");
    sim_done(&sim);
}

/* Two runs wait for one target's lock: the second one passed the gate before the first one's was in force. */
static void what_comes_into_force_while_it_waits_makes_it_ask(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "ask");
    sim.call_ms = 1000;
    json_object_set_new(sim.programs, "R-1", json_pack("[o]", sim_set("set_convergent", "s1", 7)));
    json_object_set_new(sim.programs, "R-2", json_pack("[o]", sim_set("set_convergent", "s1", 8)));
    sim_begin(&sim, "R-1", NULL);
    sim_begin(&sim, "R-2", NULL);
    sim_advance(&sim, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    assert_asks(&sim, "A-1", "M-1 (fx.set_convergent) of run R-1");
    sim_done(&sim);
}

static void a_run_that_holds_the_same_name_makes_it_ask_while_it_goes(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "ask");
    json_object_set_new(sim.programs, "R-1",
                        json_pack("[{s:s, s:{s:{s:s, s:s, s:{}}, s:s, s:i, s:i}}]", "op", "wait_for", "args", "ask",
                                  "instance", "fx", "action", "metric", "args", "until", "< 1", "every_ms", 300,
                                  "within_ms", 60000));
    sim.symptom = 9;
    sim_begin(&sim, "R-1", json_pack("{s:s}", "holds", "service:checkout"));
    json_object_set_new(sim.programs, "R-2", json_pack("[o]", sim_set("set_convergent", "s1", 8)));
    json_object_set_new(sim.programs, "R-3", json_pack("[o]", sim_set("set_convergent", "s2", 8)));
    sim_begin(&sim, "R-2", json_pack("{s:s}", "holds", "service:checkout"));
    sim_begin(&sim, "R-3", json_pack("{s:s}", "holds", "service:cart"));
    sim_advance(&sim, 10000);
    assert_asks(&sim, "A-1", "run R-1 of book, INC-1, is going and holds service:checkout too");
    assert_state(&sim, "run", "R-3", "succeeded");
    sim_advance(&sim, 120000); /* it is over */
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(decide(&sim, "A-1", "deny"), 0);
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_asks_and_names_what_is_in_force),
        cmocka_unit_test(what_was_in_force_is_known_after_a_restart),
        cmocka_unit_test(a_run_does_not_fight_with_itself),
        cmocka_unit_test(a_policy_may_allow_it),
        cmocka_unit_test(what_may_still_be_in_force_counts),
        cmocka_unit_test(what_comes_into_force_while_it_waits_makes_it_ask),
        cmocka_unit_test(a_run_that_holds_the_same_name_makes_it_ask_while_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
