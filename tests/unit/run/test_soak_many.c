/* test_soak_many.c: an incident of several symptoms, runs and merged incidents is resolved once all were good for a while. */
#include "soak_case.h"

static void two_symptoms_must_both_be_good(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    sim_init(&sim, "low", NULL);
    run_it(&sim, "R-1", "heal", symptom_of("metric", ""));
    run_it(&sim, "R-2", "heal", symptom_of("metric", "")); /* the same again is one */
    run_it(&sim, "R-3", "mend", symptom_of("get", "errors"));
    run_it(&sim, "R-4", "look", NULL);
    json_object_set_new(sim.remote, "errors", json_integer(7));
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, 2 * SOAK);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    assert_member(&sim, "soaking", "not good yet: mend: 7, which is bad (good is < 1)");
    json_object_set_new(sim.remote, "errors", json_integer(0));
    stanch_loop_sim_advance(sim.loop, SOAK / 2 + 5 * MINUTE);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    stanch_loop_sim_advance(sim.loop, SOAK);
    assert_state(&sim, "incident", "INC-1", "resolved");
    assert_non_null(strstr(entries(&sim, "incident.resolved").text, "heal: 0.0 (good is < 1)"));
    assert_non_null(strstr(entries(&sim, "incident.resolved").text, "mend: 0 (good is < 1)"));
    sim_done(&sim);
}

static void a_run_that_begins_meanwhile_is_measured_too(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        struct sim sim;
        begin(&sim);
        stanch_loop_sim_advance(sim.loop, 8 * MINUTE);
        run_it(&sim, "R-2", "mend", symptom_of("get", "errors"));
        if (dies)
            sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, SOAK - SECOND); /* of it nothing was measured before */
        assert_state(&sim, "incident", "INC-1", "monitoring");
        stanch_loop_sim_advance(sim.loop, 31 * SECOND);
        assert_state(&sim, "incident", "INC-1", "resolved");
        assert_int_equal(entries(&sim, "incident.unsettled").count, 0);
        sim_done(&sim);
    }
}

static void more_runs_of_the_same_cost_nothing_of_it(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    sim_init(&sim, "low", NULL);
    run_it(&sim, "R-1", "heal", symptom_of("metric", ""));
    run_it(&sim, "R-2", "mend", symptom_of("get", "errors"));
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, 5 * MINUTE);
    run_it(&sim, "R-3", "heal", symptom_of("metric", ""));
    run_it(&sim, "R-4", "other", symptom_of("get", "errors"));
    run_it(&sim, "R-5", "look", NULL);
    stanch_loop_sim_advance(sim.loop, 5 * MINUTE);
    assert_state(&sim, "incident", "INC-1", "resolved");
    assert_non_null(strstr(entries(&sim, "incident.resolved").text, "other, mend: 0 (good is < 1)"));
    sim_done(&sim);
}

static void merge_into(struct sim *sim, const char *into)
{
    struct stanch_incidents *incidents;
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *other = json_pack("{s:s}", "title", "the same");
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s}", "incident", "INC-1", "into", into);
    struct stanch_batch *batch = stanch_batch_new();
    char id[64] = "";
    assert_int_equal(stanch_incidents_new(sim->journal, NULL, NULL, NULL, &incidents, &err), 0);
    while (strcmp(id, into) != 0) /* gaps are fine */
        assert_int_equal(stanch_incident_declare(incidents, "person:ada", other, 0, batch, id, &err), 0);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    batch = stanch_batch_new();
    assert_int_equal(stanch_incident_merge(incidents, "person:ada", input, batch, &err), 0);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    stanch_incidents_free(incidents);
    stanch_loop_sim_settle(sim->loop);
}

static void an_incident_stands_for_those_that_were_merged_into_it(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    sim.symptom = 9;
    merge_into(&sim, "INC-7");
    assert_state(&sim, "incident", "INC-1", "merged");
    stanch_loop_sim_advance(sim.loop, SOAK);
    assert_int_equal(entries(&sim, "incident.unsettled").count, 0); /* it is watched no longer */
    assert_int_equal(resolve_one(&sim, "INC-7", "person:ada", NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, SOAK);
    assert_state(&sim, "incident", "INC-7", "monitoring");
    sim.symptom = 0;
    stanch_loop_sim_advance(sim.loop, 2 * SOAK);
    assert_state(&sim, "incident", "INC-7", "resolved");
    assert_state(&sim, "incident", "INC-1", "merged");
    sim_done(&sim);
}

static void what_comes_into_force_meanwhile_is_not_passed_over(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    json_t *program = json_pack("[o]", sim_set("set_convergent", "s1", 7));
    json_object_set_new(sim.programs, "R-2", program);
    sim_begin(&sim, "R-2", json_pack("{s:s}", "runbook", "heal"));
    stanch_loop_sim_advance(sim.loop, SOAK + 31 * SECOND);
    assert_state(&sim, "mitigation", "M-1", "in-force");
    assert_state(&sim, "incident", "INC-1", "monitoring");
    struct wanted told = entries(&sim, "incident.unresolved");
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.text, "1 mitigation(s) are in force now (M-1, ...)"));
    struct stanch_err err = {0};
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), STANCH_E_CONFLICT);
    assert_non_null(strstr(err.text, "still has 1 mitigation(s) in force"));
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_symptoms_must_both_be_good),
        cmocka_unit_test(a_run_that_begins_meanwhile_is_measured_too),
        cmocka_unit_test(more_runs_of_the_same_cost_nothing_of_it),
        cmocka_unit_test(an_incident_stands_for_those_that_were_merged_into_it),
        cmocka_unit_test(what_comes_into_force_meanwhile_is_not_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
