/* test_effect.c: what becomes of a call in a simulated world: outcomes that are unknown, effects that are slow to show,
 * undo, effects that outlive their run, targets that are held. */
#include "run/sim_case.h"
#include <string.h>

static enum sim_fate lose_before_once(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    if (strcmp(op, "apply") != 0 || sim->seed)
        return SIM_FINE;
    sim->seed = 1;
    return SIM_LOST_BEFORE;
}

static void unknown_is_looked_up_and_never_sent_twice(void **state)
{
    (void)state;
    struct sim sim;
    set_s1(&sim, "set_reconcilable", lose_after);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);

    set_s1(&sim, "set_reconcilable", lose_before_once);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void unknown_without_a_look_waits_for_a_person(void **state)
{
    (void)state;
    struct sim sim;
    set_s1(&sim, "set_unprotected", lose_after);
    assert_state(&sim, "step", "R-1/1", "unknown");
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 3600000); /* no timer turns unknown into a retry */
    assert_int_equal(sim.effect_count, 1);
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-1/1");
    assert_int_equal(decide(&sim, stanch_json_str(step, "approval", ""), "happened"), 0);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void an_intent_found_without_outcome_is_unknown(void **state)
{
    (void)state;
    static const char *const actions[] = {"set_convergent", "set_reconcilable", "set_unprotected"};
    for (size_t i = 0; i < 3; i++) {
        struct sim sim;
        sim_init(&sim, "low", NULL);
        sim.call_ms = 1000;
        sim_want(&sim, sim_set(actions[i], "s1", 7));
        sim_begin(&sim, "R-1", NULL);
        stanch_loop_sim_advance(sim.loop, 1500); /* the effect has happened, its answer is on the way */
        assert_int_equal(sim.effect_count, 1);
        sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_int_equal(sim.effect_count, 1);
        if (i < 2)
            assert_state(&sim, "run", "R-1", "succeeded");
        else
            assert_state(&sim, "step", "R-1/1", "unknown");
        sim_done(&sim);
    }
}

static void two_runs_on_one_target_take_turns(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.call_ms = 500;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_begin(&sim, "R-2", NULL);
    stanch_loop_sim_advance(sim.loop, 60000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "run", "R-2", "succeeded");
    assert_int_equal(sim.effect_count, 1); /* the second was planned anew under the lock: nothing left to change */
    sim_done(&sim);
}

static void assert_step_error(struct sim *sim, const char *id, const char *kind)
{
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "step", id);
    const json_t *error = json_object_get(json_object_get(step, "answer"), "error");
    assert_string_equal(stanch_json_str(error, "kind", "none"), kind);
}

/* Not before what the clock says in `seed`. */
static enum sim_fate show_late(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    return strcmp(op, "verify") == 0 && stanch_loop_mono_ms(sim->loop) < (int64_t)sim->seed ? SIM_CANNOT_TELL
                                                                                            : SIM_FINE;
}

static enum sim_fate never_show(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    sim->seed += strcmp(op, "verify") == 0;
    return strcmp(op, "verify") == 0 ? SIM_FAILS_FOR_GOOD : SIM_FINE;
}

static void an_effect_that_takes_minutes_is_asked_for(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = show_late;
    sim.seed = (uint64_t)stanch_loop_mono_ms(sim.loop) + 300000;
    sim_want(&sim, sim_set("set_slow", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 200000);
    assert_state(&sim, "run", "R-1", "running");
    struct stanch_err err;
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "too slow", NULL, NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, 1000); /* nothing of it is locked meanwhile */
    assert_state(&sim, "mitigation", "M-1", "undone");
    sim_done(&sim);

    sim_init(&sim, "low", NULL);
    sim.fate = show_late;
    sim.seed = (uint64_t)stanch_loop_mono_ms(sim.loop) + 300000;
    sim_want(&sim, sim_set("set_slow", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 200000);
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 200000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_step_error(&sim, "R-1/1", "none");
    sim_done(&sim);

    sim_init(&sim, "low", NULL);
    sim.fate = show_late;
    sim.seed = (uint64_t)stanch_loop_mono_ms(sim.loop) + 700000;
    sim_want(&sim, sim_set("set_slow", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 650000);
    assert_step_error(&sim, "R-1/1", "unverified");
    assert_state(&sim, "mitigation", "M-1", "in-force");
    sim_done(&sim);
}

/* The process dies between the outcome and its proof: what the run gets in the end still names what it can take back. */
static void what_was_applied_is_named_after_a_crash_too(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = show_late;
    sim.seed = (uint64_t)stanch_loop_mono_ms(sim.loop) + 300000;
    sim_want(&sim, sim_set("set_slow", "s1", 7));
    sim_want(&sim, json_pack("{s:s, s:{s:s, s:s}}", "op", "undo", "args", "mitigation", "$last", "because", "back"));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 200000);
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 200000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "mitigation", "M-1", "undone");
    sim_done(&sim);
}

static void what_will_never_show_is_asked_for_once(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = never_show;
    sim.seed = 0;
    sim_want(&sim, sim_set("set_slow", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 1000);
    assert_step_error(&sim, "R-1/1", "unverified");
    assert_int_equal(sim.seed, 1);
    sim_done(&sim);
}

/* ---- found by the simulation (test_simulation.c), kept as they are ---- */

static enum sim_fate lose_all(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "apply") == 0 || strcmp(op, "undo") == 0 ? SIM_LOST_AFTER : SIM_FINE;
}

static enum sim_fate lose_then_fail(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    if (strcmp(op, "apply") != 0)
        return SIM_FINE;
    return sim->seed++ == 0 ? SIM_LOST_AFTER : SIM_FAILS_FOR_GOOD;
}

static enum sim_fate lose_then_be_away(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    if (strcmp(op, "apply") != 0)
        return SIM_FINE;
    return sim->seed++ == 0 ? SIM_LOST_AFTER : SIM_AWAY;
}

/* A call that fails says nothing of the one before it that was lost. */
static void a_failure_after_a_lost_call_is_unknown(void **state)
{
    (void)state;
    struct sim sim;
    set_s1(&sim, "set_idempotent", lose_then_fail);
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "step", "R-1/1", "unknown");
    assert_state(&sim, "run", "R-1", "parked");
    sim_done(&sim);

    set_s1(&sim, "set_idempotent", lose_all); /* nor do three that were all lost */
    assert_state(&sim, "step", "R-1/1", "unknown");
    sim_done(&sim);
}

/* Nor does it when the process dies before it is sent again. */
static void a_failure_after_a_lost_call_is_unknown_after_a_crash_too(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = lose_then_be_away;
    json_t *want = sim_set("set_idempotent", "s1", 7);
    json_object_set_new(json_object_get(want, "args"), "retry", json_integer(3));
    sim_want(&sim, want);
    sim_begin(&sim, "R-1", NULL);
    for (int i = 0; i < 20000; i++) { /* until it waits to be sent again */
        STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_COMMITTED, "step", "R-1/1");
        if (strcmp(stanch_json_str(step, "outcome", ""), "failed") == 0)
            break;
        stanch_loop_sim_advance(sim.loop, 1);
    }
    sim_crash(&sim);
    sim_advance(&sim, 20000);
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "step", "R-1/1", "unknown");
    assert_state(&sim, "run", "R-1", "parked");
    sim_done(&sim);
}

/* R-1's call is out. */
static void send_s1(struct sim *sim, const char *action)
{
    sim_init(sim, "low", NULL);
    sim->call_ms = 1000;
    sim_want(sim, sim_set(action, "s1", 7));
    sim_begin(sim, "R-1", NULL);
    stanch_loop_sim_advance(sim->loop, 1500);
    assert_state(sim, "step", "R-1/1", "sent");
}

/* A run is cancelled while its effect is out, and then the process dies: the effect is still looked after. */
static void an_effect_outlives_its_run_and_the_process(void **state)
{
    (void)state;
    static const char *const actions[] = {"set_convergent", "set_unprotected"};
    for (size_t i = 0; i < 2; i++) {
        struct sim sim;
        struct stanch_err err;
        send_s1(&sim, actions[i]);
        assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "enough", &err), 0);
        stanch_loop_sim_advance(sim.loop, 100);
        sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_state(&sim, "approval", "A-1", "pending");
        if (i == 1) { /* nobody can look: a person is asked, and then about what is in force */
            assert_state(&sim, "step", "R-1/1", "unknown");
            sim_crash(&sim);
            assert_int_equal(decide(&sim, "A-1", "happened"), 0);
            stanch_loop_sim_advance(sim.loop, 1000);
        }
        assert_state(&sim, "mitigation", "M-1", "in-force");
        assert_int_equal(decide(&sim, i ? "A-2" : "A-1", "undo"), 0);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_state(&sim, "mitigation", "M-1", "undone");
        assert_state(&sim, "run", "R-1", "cancelled");
        sim_done(&sim);
    }
}

/* The other way round: the process dies while an effect is out, and the run is cancelled before the next one has looked. */
static void an_effect_outlives_the_process_and_its_run(void **state)
{
    (void)state;
    static const char *const actions[] = {"set_convergent", "set_unprotected"};
    for (size_t i = 0; i < 2; i++) {
        struct sim sim;
        struct stanch_err err;
        send_s1(&sim, actions[i]);
        sim_crash(&sim);
        assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "enough", &err), 0);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_state(&sim, "run", "R-1", "cancelled");
        assert_state(&sim, "approval", "A-1", "pending");
        if (i == 1) {
            assert_state(&sim, "step", "R-1/1", "unknown");
            assert_int_equal(decide(&sim, "A-1", "happened"), 0);
            stanch_loop_sim_advance(sim.loop, 1000);
        }
        assert_state(&sim, "mitigation", "M-1", "in-force");
        sim_done(&sim);
    }
}

/* What a person ordered is done, also when the process dies between the answer and the undo. */
static void an_ordered_undo_survives_a_crash(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    set_s1_and_sleep(&sim, NULL);
    assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "enough", &err), 0);
    stanch_loop_sim_advance(sim.loop, 10);
    assert_int_equal(decide(&sim, "A-1", "undo"), 0);
    while (sim.effect_count == 1 && stanch_loop_sim_step(sim.loop)) { /* the first write holds the answer */
        char answer[32];
        sim_state_of(&sim, "approval", "A-1", answer);
        if (strcmp(answer, "answered") == 0)
            break;
    }
    stanch_loop_sim_step(sim.loop);
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_state(&sim, "mitigation", "M-1", "undone");
    assert_int_equal(sim.effect_count, 2);
    sim_done(&sim);
}

/* After a restart nobody touches a target before it is known what became of the call that was out. */
static void a_target_is_held_until_its_outcome_over_a_restart(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    sim.call_ms = 1000;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    json_object_set_new(sim.programs, "R-1", json_pack("[o]", sim_set("set_reconcilable", "s1", 3)));
    sim_begin(&sim, "R-1", NULL);
    sim_begin(&sim, "R-2", NULL);
    stanch_loop_sim_advance(sim.loop, 3000);
    assert_int_equal(decide(&sim, "A-2", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 1500); /* R-2's call is out */
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_settle(sim.loop);
    assert_int_equal(sim.effect_count, 1);
    sim_crash(&sim);                         /* R-1, which waits for s1, is taken up before R-2 */
    stanch_loop_sim_advance(sim.loop, 1200); /* long enough for a plan; the look takes a little longer */
    assert_state(&sim, "step", "R-2/1", "sent");
    assert_state(&sim, "approval", "A-1", "granted");
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-2", "succeeded");
    assert_state(&sim, "approval", "A-1", "voided"); /* it was for another world */
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_is_looked_up_and_never_sent_twice),
        cmocka_unit_test(unknown_without_a_look_waits_for_a_person),
        cmocka_unit_test(an_intent_found_without_outcome_is_unknown),
        cmocka_unit_test(two_runs_on_one_target_take_turns),
        cmocka_unit_test(an_effect_that_takes_minutes_is_asked_for),
        cmocka_unit_test(what_was_applied_is_named_after_a_crash_too),
        cmocka_unit_test(what_will_never_show_is_asked_for_once),
        cmocka_unit_test(a_failure_after_a_lost_call_is_unknown),
        cmocka_unit_test(a_failure_after_a_lost_call_is_unknown_after_a_crash_too),
        cmocka_unit_test(an_effect_outlives_its_run_and_the_process),
        cmocka_unit_test(an_effect_outlives_the_process_and_its_run),
        cmocka_unit_test(an_ordered_undo_survives_a_crash),
        cmocka_unit_test(a_target_is_held_until_its_outcome_over_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
