/* test_lease.c: a person gives what is in force another end, or none, in a simulated world. */
#include "run/sim_case.h"

#define MINUTE 60000LL

static int extend(struct sim *sim, const char *id, int64_t for_ms, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    int rc = stanch_engine_extend(sim->engine, "person:ada", id, for_ms, "needed still", batch, err);
    if (rc < 0)
        stanch_batch_free(batch);
    else
        rc = stanch_journal_append(sim->journal, batch, NULL, NULL, err);
    stanch_loop_sim_settle(sim->loop);
    return rc;
}

/* One mitigation with a lease of ten minutes; its runbook has no symptom, so its end asks. */
static void begin(struct sim *sim)
{
    sim_init(sim, "low", NULL);
    json_t *want = sim_set("set_convergent", "s1", 7);
    json_object_set_new(json_object_get(want, "args"), "lease_ms", json_integer(10 * MINUTE));
    sim_want(sim, want);
    sim_begin(sim, "R-1", NULL);
    stanch_loop_sim_advance(sim->loop, 5000);
    assert_state(sim, "mitigation", "M-1", "in-force");
}

static int64_t member(struct sim *sim, const char *name)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "mitigation", "M-1");
    return stanch_json_int(doc, name, -1);
}

static void a_lease_that_goes_on_ends_later(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        struct sim sim;
        struct stanch_err err = {0};
        begin(&sim);
        stanch_loop_sim_advance(sim.loop, 9 * MINUTE);
        assert_int_equal(extend(&sim, "M-1", 20 * MINUTE, &err), 0);
        if (dies)
            sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, 19 * MINUTE);
        assert_state(&sim, "approval", "A-1", "none");
        stanch_loop_sim_advance(sim.loop, 2 * MINUTE);
        assert_state(&sim, "approval", "A-1", "pending");
        assert_state(&sim, "mitigation", "M-1", "in-force");
        sim_done(&sim);
    }
}

static void what_is_kept_has_no_end(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    assert_int_equal(extend(&sim, "M-1", 0, &err), 0);
    assert_int_equal(member(&sim, "lease_ends_ms"), -1);
    stanch_loop_sim_advance(sim.loop, 24 * 60 * MINUTE);
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 24 * 60 * MINUTE);
    assert_state(&sim, "approval", "A-1", "none");
    assert_state(&sim, "mitigation", "M-1", "in-force");
    sim_done(&sim);
}

static void the_question_about_its_end_is_answered_by_it(void **state)
{
    (void)state;
    for (int keeps = 0; keeps < 2; keeps++) {
        struct sim sim;
        struct stanch_err err = {0};
        begin(&sim);
        stanch_loop_sim_advance(sim.loop, 11 * MINUTE);
        assert_state(&sim, "approval", "A-1", "pending");
        assert_int_equal(extend(&sim, "M-1", keeps ? 0 : 10 * MINUTE, &err), 0);
        assert_state(&sim, "approval", "A-1", "answered");
        assert_int_equal(decide(&sim, "A-1", "undo"), STANCH_E_CONFLICT);
        stanch_loop_sim_advance(sim.loop, 11 * MINUTE);
        assert_state(&sim, "approval", "A-2", keeps ? "none" : "pending");
        assert_state(&sim, "mitigation", "M-1", "in-force");
        sim_done(&sim);
    }
}

static void only_what_is_in_force_has_an_end(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    assert_int_equal(extend(&sim, "M-7", MINUTE, &err), STANCH_E_NOT_FOUND);
    assert_int_equal(extend(&sim, "M-1", MINUTE - 1, &err), STANCH_E_INVALID);
    assert_int_equal(extend(&sim, "M-1", 31 * 24 * 60 * MINUTE, &err), STANCH_E_INVALID);
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "enough", NULL, NULL, &err), 0);
    assert_int_equal(extend(&sim, "M-1", 10 * MINUTE, &err), 0); /* a moment too late: the undo goes on */
    stanch_loop_sim_advance(sim.loop, MINUTE);
    assert_state(&sim, "mitigation", "M-1", "undone");
    assert_int_equal(extend(&sim, "M-1", 0, &err), STANCH_E_CONFLICT);
    assert_non_null(strstr(err.text, "M-1 is undone"));
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_that_goes_on_ends_later),
        cmocka_unit_test(what_is_kept_has_no_end),
        cmocka_unit_test(the_question_about_its_end_is_answered_by_it),
        cmocka_unit_test(only_what_is_in_force_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
