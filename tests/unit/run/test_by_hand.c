/* test_by_hand.c: what people hold by hand: who has it, for how long, and what asks meanwhile. */
#include "run/sim_case.h"

#include "run/engine.h"
#include <string.h>

#define MINUTE 60000LL

static void assert_asks(struct sim *sim, const char *id, const char *because)
{
    assert_state(sim, "approval", id, "pending");
    STANCH_AUTO_JSON json_t *asked = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", id);
    if (!strstr(stanch_json_str(asked, "why", ""), because))
        fail_msg("\"%s\" does not say \"%s\"", stanch_json_str(asked, "why", ""), because);
}

static int hold(struct sim *sim, const char *by, const char *target, int64_t for_ms, struct stanch_err *err)
{
    char id[32];
    const struct stanch_hold_words words = {by, target, "I look at it", for_ms};
    return stanch_engine_hold(sim->engine, &words, id, err);
}

static int release(struct sim *sim, const char *by, const char *of, struct stanch_err *err)
{
    char id[32];
    return stanch_engine_release(sim->engine, by, "fx:fx/s1", of, NULL, id, err);
}

static int64_t number(struct sim *sim, const char *id, const char *member)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "hold", id);
    return stanch_json_int(doc, member, -1);
}

/* ---- who has it ---- */

static void one_holder_a_target_and_its_number_grows(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 0, &err), 0);
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 0, &err), STANCH_E_CONFLICT);
    assert_non_null(strstr(err.text, "fx:fx/s1 is held by person:ada until "));
    assert_non_null(strstr(err.text, "I look at it"));
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s2", 0, &err), 0);
    assert_int_equal(release(&sim, "person:bob", NULL, &err), STANCH_E_CONFLICT);
    assert_non_null(strstr(err.text, "--of person:ada"));
    assert_int_equal(release(&sim, "person:bob", "person:eve", &err), STANCH_E_CONFLICT);
    sim_crash(&sim); /* what was not committed is gone: here all is */
    sim_advance(&sim, 1000);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 0, &err), 0);
    sim_advance(&sim, 1000);
    sim_crash(&sim);
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 0, &err), STANCH_E_CONFLICT);
    assert_int_equal(release(&sim, "person:bob", "person:ada", &err), 0);
    assert_int_equal(release(&sim, "person:ada", NULL, &err), STANCH_E_NOT_FOUND);
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 0, &err), 0);
    assert_int_equal(number(&sim, "H-2", "fence"), 2);
    sim_advance(&sim, 1000);
    assert_state(&sim, "hold", "H-1", "released");
    assert_state(&sim, "hold", "H-2", "held");
    sim_done(&sim);
}

static void its_holder_extends_it_and_never_shortens_it(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 30 * MINUTE, &err), 0);
    int64_t ends_ms = number(&sim, "H-1", "ends_ms");
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 5 * MINUTE, &err), 0);
    assert_int_equal(number(&sim, "H-1", "ends_ms"), ends_ms);
    sim_advance(&sim, 20 * MINUTE);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 30 * MINUTE, &err), 0);
    sim_advance(&sim, 15 * MINUTE);
    assert_state(&sim, "hold", "H-1", "held");
    assert_int_equal(number(&sim, "H-1", "fence"), 1);
    sim_advance(&sim, 16 * MINUTE);
    assert_state(&sim, "hold", "H-1", "expired");
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 24 * 60 * MINUTE + 1, &err), STANCH_E_INVALID);
    assert_int_equal(hold(&sim, "person:bob", "", 0, &err), STANCH_E_INVALID);
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 24 * 60 * MINUTE, &err), 0);
    sim_done(&sim);
}

static void it_ends_while_nobody_is_there_and_that_is_said(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 5 * MINUTE, &err), 0);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s2", 60 * MINUTE, &err), 0);
    sim_advance(&sim, 1000);
    sim_kill(&sim);
    stanch_loop_sim_advance(sim.loop, 10 * MINUTE);
    sim_start(&sim);
    sim_advance(&sim, 1000);
    assert_state(&sim, "hold", "H-1", "expired");
    assert_state(&sim, "hold", "H-2", "held");
    STANCH_AUTO_JSON json_t *ended = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "hold", "H-1");
    assert_string_equal(stanch_json_str(ended, "late", ""), "while stanch was down");
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

/* ---- what asks ---- */

static void a_mitigation_asks_and_may_be_approved_while_it_stands(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 0, &err), 0);
    sim_want(&sim, sim_set("set_convergent", "s2", 7));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    assert_int_equal(sim.effect_count, 1); /* s2 is nobody's */
    assert_asks(&sim, "A-1", "fx:fx/s1 is held by person:ada until ");
    assert_asks(&sim, "A-1", ": I look at it");
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 120 * MINUTE, &err), 0); /* the same one, for longer */
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "hold", "H-1", "held");
    assert_int_equal(sim.effect_count, 2);
    STANCH_AUTO_JSON json_t *second = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "approval", "A-2");
    assert_null(second);
    sim_done(&sim);
}

static const char *holder; /* of what stand_in_the_way takes */

/* Somebody takes it when it is planned anew, after the approval and under the lock. */
static enum sim_fate stand_in_the_way(struct sim *sim, const char *op, const char *action)
{
    struct stanch_err err;
    (void)action;
    if (strcmp(op, "plan") == 0 && sim->seed == 1) {
        sim->seed = 2;
        (void)hold(sim, holder, "fx:fx/s1", 0, &err);
    }
    return SIM_FINE;
}

static void a_hold_that_comes_after_the_approval_voids_it_once(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    holder = "person:bob";
    sim.fate = stand_in_the_way;
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    sim.seed = 1;
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_int_equal(sim.effect_count, 0);
    assert_state(&sim, "approval", "A-1", "voided");
    assert_asks(&sim, "A-2", "asked again: fx:fx/s1 is held by person:bob");
    assert_int_equal(decide(&sim, "A-2", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "approval", "A-2", "consumed");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

/* The other run has the target's lock; the one that waits for it had passed the gate. */
static void a_hold_that_comes_while_it_waits_for_its_turn_makes_it_ask(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    sim.call_ms = 1000;
    json_object_set_new(sim.programs, "R-1", json_pack("[o]", sim_set("set_convergent", "s1", 7)));
    json_object_set_new(sim.programs, "R-2", json_pack("[o]", sim_set("set_convergent", "s1", 8)));
    sim_begin(&sim, "R-1", NULL);
    sim_begin(&sim, "R-2", NULL);
    sim_advance(&sim, 1500); /* R-1 applies, R-2 waits */
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 0, &err), 0);
    STANCH_AUTO_JSON json_t *taken = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "hold", "H-1");
    assert_string_equal(json_string_value(json_array_get(json_object_get(taken, "under_way"), 0)), "R-1/1");
    sim_advance(&sim, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    assert_asks(&sim, "A-1", "is held by person:ada");
    sim_done(&sim);
}

static void a_runbooks_undo_and_a_lease_end_ask_and_a_persons_undo_passes(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    json_t *symptom = json_pack("{s:{s:s, s:s, s:{}}, s:s, s:s, s:i, s:i, s:i, s:i}", "ask", "instance", "fx", "action",
                                "metric", "args", "bad", "> 5", "good", "< 1", "settle_ms", 0, "hold_ms", 0,
                                "within_ms", 2000, "every_ms", 100);
    json_t *want = sim_set("set_convergent", "s1", 7);
    json_object_set_new(json_object_get(want, "args"), "lease_ms", json_integer(30 * MINUTE));
    sim_want(&sim, want);
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "undo", "args", "mitigation", "M-1"));
    sim_begin(&sim, "R-1", json_pack("{s:o}", "symptom", symptom));
    sim_advance(&sim, 10000);
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 120 * MINUTE, &err), 0);
    sim_advance(&sim, 60000);
    assert_asks(&sim, "A-1", "is held by person:ada");
    assert_int_equal(decide(&sim, "A-1", "deny"), 0);
    sim_advance(&sim, 30 * MINUTE);
    assert_state(&sim, "mitigation", "M-1", "in-force");
    STANCH_AUTO_JSON json_t *kept = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "mitigation", "M-1");
    assert_true(stanch_json_bool(kept, "overdue", false));
    assert_non_null(strstr(stanch_json_str(kept, "why", ""), "fx:fx/s1 is held by person:ada"));
    assert_int_equal(stanch_engine_undo(sim.engine, "person:bob", "M-1", "by hand", NULL, NULL, &err), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "mitigation", "M-1", "undone");
    sim_done(&sim);
}

/* Granted, and while it waits for the target somebody takes it. */
static void an_approved_undo_asks_again_for_a_new_hold_once(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    set_s1_and_sleep(&sim, json_pack("{s:s, s:{s:s}}", "op", "undo", "args", "mitigation", "M-1"));
    assert_int_equal(hold(&sim, "person:ada", "fx:fx/s1", 5 * MINUTE, &err), 0);
    sim_advance(&sim, 60000);
    assert_asks(&sim, "A-1", "is held by person:ada");
    assert_int_equal(release(&sim, "person:ada", NULL, &err), 0);
    assert_int_equal(hold(&sim, "person:bob", "fx:fx/s1", 0, &err), 0);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "approval", "A-1", "voided");
    assert_asks(&sim, "A-2", "is held by person:bob");
    assert_int_equal(decide(&sim, "A-2", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "mitigation", "M-1", "undone");
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

/* A text that is longer than a reason may be, out of characters of several bytes: what is cut is still text. */
static void long_reasons_are_cut_between_characters(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    char id[32], reason[500] = "x";
    for (size_t i = 1; i + 2 < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa9", 3);
    sim_init(&sim, "none", NULL);
    for (int i = 0; i < 4; i++) {
        STANCH_AUTO_FREE char *target = stanch_asprintf("fx:fx/s%d", i);
        const struct stanch_hold_words words = {"person:ada", target, reason, 0};
        assert_int_equal(stanch_engine_hold(sim.engine, &words, id, &err), 0);
    }
    STANCH_AUTO_JSON json_t *targets = json_pack("[s, s, s, s]", "fx:fx/s0", "fx:fx/s1", "fx:fx/s2", "fx:fx/s3");
    STANCH_AUTO_JSON json_t *plan = json_pack("{s:O}", "targets", targets);
    STANCH_AUTO_JSON json_t *declared = json_object();
    for (size_t shift = 0; shift < 2; shift++) {
        struct stanch_op *op = stanch_op__new(sim.engine, NULL, &stanch_op_undo, 0, declared);
        struct stanch_gate gate;
        stanch_gate__decide(op, "undo", plan, declared, "a", NULL, &gate);
        memmove(gate.why, gate.why + shift, strlen(gate.why + shift) + 1);
        stanch_gate__ask_because(&gate, reason);
        json_t *text = json_string(gate.why);
        assert_non_null(text);
        assert_true(strlen(gate.why) + 4 > sizeof gate.why);
        json_decref(text);
        stanch_gate__done(&gate);
        stanch_op__free(op);
    }
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_holder_a_target_and_its_number_grows),
        cmocka_unit_test(its_holder_extends_it_and_never_shortens_it),
        cmocka_unit_test(it_ends_while_nobody_is_there_and_that_is_said),
        cmocka_unit_test(a_mitigation_asks_and_may_be_approved_while_it_stands),
        cmocka_unit_test(a_hold_that_comes_after_the_approval_voids_it_once),
        cmocka_unit_test(a_hold_that_comes_while_it_waits_for_its_turn_makes_it_ask),
        cmocka_unit_test(a_runbooks_undo_and_a_lease_end_ask_and_a_persons_undo_passes),
        cmocka_unit_test(an_approved_undo_asks_again_for_a_new_hold_once),
        cmocka_unit_test(long_reasons_are_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
