/* test_soak.c: an incident is resolved once its symptoms were good for a while, in a simulated world and in virtual time. */
#include "soak_case.h"

static void good_all_along_is_resolved_in_the_name_of_who_asked(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    assert_string_equal(entries(&sim, "incident.watched").by, "person:ada");
    stanch_loop_sim_advance(sim.loop, SOAK / 2);
    assert_int_equal(resolve(&sim, "person:grace", NULL, &err), 0); /* it goes on, and in ada's name */
    assert_int_equal(entries(&sim, "incident.watched").count, 1);
    stanch_loop_sim_advance(sim.loop, SOAK / 2 - SECOND);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    stanch_loop_sim_advance(sim.loop, 2 * SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    struct wanted told = entries(&sim, "incident.resolved");
    assert_string_equal(told.by, "person:ada");
    assert_string_equal(told.text,
                        "person:ada resolved INC-1, good for 10m in 21 samples, measured: heal: 0.0 (good is < 1)");
    assert_int_equal(entries(&sim, "incident.unsettled").count, 0);
    assert_member(&sim, "soaking", "none");
    stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
    assert_int_equal(entries(&sim, "incident.sampled").count, 20); /* nobody asks any more */
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), STANCH_E_CONFLICT);
    sim_done(&sim);
}

static void bad_in_the_middle_begins_it_anew(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    stanch_loop_sim_advance(sim.loop, 8 * MINUTE + SECOND);
    assert_member(&sim, "soaking", "good for 8m of 10m: heal: 0.0 (good is < 1)");
    sim.symptom = 9;
    stanch_loop_sim_advance(sim.loop, 30 * SECOND);
    struct wanted told = entries(&sim, "incident.unsettled");
    assert_int_equal(told.count, 1);
    assert_string_equal(told.text,
                        "INC-1 is not over yet: heal: 9.0, which is bad (good is < 1). It is resolved once that was "
                        "good for 10m");
    sim.symptom = 3; /* neither good nor bad */
    stanch_loop_sim_advance(sim.loop, 30 * SECOND);
    assert_member(&sim, "soaking", "not good yet: heal: 3.0, which is neither good nor bad (good is < 1)");
    sim.symptom = 0;
    stanch_loop_sim_advance(sim.loop, 9 * MINUTE);
    sim.symptom = 9;
    stanch_loop_sim_advance(sim.loop, 30 * SECOND);
    sim.symptom = 0;
    stanch_loop_sim_advance(sim.loop, SOAK - SECOND);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    stanch_loop_sim_advance(sim.loop, 31 * SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    assert_int_equal(entries(&sim, "incident.unsettled").count, 1); /* people were told the first time */
    sim_done(&sim);
}

static enum sim_fate no_data(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "read") == 0 ? SIM_CANNOT_TELL : SIM_FINE;
}

static enum sim_fate down(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "read") == 0 ? SIM_AWAY : SIM_FINE;
}

static void no_data_is_never_good(void **state)
{
    (void)state;
    for (int away = 0; away < 2; away++) {
        struct sim sim;
        begin(&sim);
        stanch_loop_sim_advance(sim.loop, 8 * MINUTE);
        sim.fate = away ? down : no_data;
        stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
        assert_state(&sim, "incident", "INC-1", "monitoring");
        assert_non_null(strstr(entries(&sim, "incident.unsettled").text, "heal: no data"));
        assert_true(entries(&sim, "incident.sampled").count < 50); /* less and less often */
        sim.fate = NULL;
        stanch_loop_sim_advance(sim.loop, 5 * MINUTE + SOAK + SECOND);
        assert_state(&sim, "incident", "INC-1", "resolved");
        sim_done(&sim);
    }
}

static void what_never_gets_good_is_given_up(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    sim.symptom = 9;
    stanch_loop_sim_advance(sim.loop, 23 * 60 * MINUTE);
    assert_int_equal(entries(&sim, "incident.unresolved").count, 0);
    stanch_loop_sim_advance(sim.loop, 2 * 60 * MINUTE);
    assert_int_equal(entries(&sim, "incident.unresolved").count, 1);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    assert_member(&sim, "soaking", "none");
    int samples = entries(&sim, "incident.sampled").count;
    stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
    assert_int_equal(entries(&sim, "incident.sampled").count, samples);
    sim.symptom = 0;
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0); /* and it can be asked for again */
    stanch_loop_sim_advance(sim.loop, SOAK + SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    sim_done(&sim);
}

static void a_short_restart_costs_nothing_of_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    for (int i = 1; i <= 9; i++) {
        stanch_loop_sim_advance(sim.loop, MINUTE - 10 * SECOND);
        sim_kill(&sim);
        stanch_loop_sim_advance(sim.loop, 10 * SECOND);
        sim_start(&sim);
    }
    stanch_loop_sim_advance(sim.loop, MINUTE - SECOND);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    stanch_loop_sim_advance(sim.loop, 2 * SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    assert_int_equal(entries(&sim, "incident.resolved").count, 1);
    assert_int_equal(entries(&sim, "incident.unsettled").count, 0);
    sim_done(&sim);
}

static void what_nobody_looked_at_does_not_count(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    stanch_loop_sim_advance(sim.loop, 8 * MINUTE);
    int before = entries(&sim, "incident.sampled").count;
    sim_kill(&sim);
    stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
    sim_start(&sim);
    stanch_loop_sim_advance(sim.loop, SECOND);
    assert_int_equal(entries(&sim, "incident.sampled").count, before + 1); /* what was late fires once */
    assert_member(&sim, "soaking", "good, but for 1h29s nobody looked, so the 10m begin anew: heal: 0.0 (good is < 1)");
    stanch_loop_sim_advance(sim.loop, SOAK - 2 * SECOND);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    stanch_loop_sim_advance(sim.loop, 3 * SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    sim_done(&sim);
}

static void it_survives_death_at_any_instant(void **state)
{
    (void)state;
    for (int place = 1; place < 90; place++) {
        struct sim sim;
        begin(&sim);
        sim.die_in = place;
        for (int i = 0; i < 3; i++) { /* until it is resolved, or dead and started again */
            sim_advance(&sim, SOAK + 5 * SECOND);
            if (sim.dead)
                sim_crash(&sim);
        }
        assert_state(&sim, "incident", "INC-1", "resolved");
        assert_int_equal(entries(&sim, "incident.resolved").count, 1);
        sim_done(&sim);
    }
}

static void refuse_starts(struct sim *sim, bool value)
{
    pthread_mutex_lock(&sim->journal->lock);
    sim->journal->is_full = value;
    sim->journal->refill_at_ms = INT64_MAX; /* until the test says so */
    pthread_mutex_unlock(&sim->journal->lock);
}

/* Before a sample is due, while it is out, after it. */
static void what_cannot_be_recorded_is_recorded_later(void **state)
{
    (void)state;
    for (int64_t at_ms = -2; at_ms < 20; at_ms++) {
        struct sim sim;
        begin(&sim);
        stanch_loop_sim_advance(sim.loop, 30 * SECOND + at_ms);
        refuse_starts(&sim, true);
        stanch_loop_sim_advance(sim.loop, 30 * SECOND);
        refuse_starts(&sim, false);
        stanch_loop_sim_advance(sim.loop, SOAK - MINUTE - SECOND);
        assert_state(&sim, "incident", "INC-1", "monitoring");
        stanch_loop_sim_advance(sim.loop, 2 * SECOND);
        assert_state(&sim, "incident", "INC-1", "resolved");
        sim_done(&sim);
    }
}

static void a_reason_resolves_at_once(void **state)
{
    (void)state;
    for (int soaks = 0; soaks < 2; soaks++) {
        struct sim sim;
        struct stanch_err err = {0};
        sim_init(&sim, "low", NULL);
        sim.symptom = 9;
        run_it(&sim, "R-1", "heal", symptom_of("metric", ""));
        if (soaks)
            assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0);
        stanch_loop_sim_advance(sim.loop, MINUTE);
        assert_int_equal(resolve(&sim, "person:grace", "it was the meter", &err), 0);
        assert_state(&sim, "incident", "INC-1", "resolved");
        stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
        struct wanted told = entries(&sim, "incident.resolved");
        assert_int_equal(told.count, 1);
        assert_string_equal(told.text, "person:grace resolved INC-1: it was the meter");
        assert_int_equal(entries(&sim, "incident.unresolved").count, 0);
        sim_done(&sim);
    }
}

static void without_a_symptom_a_reason_is_needed(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    sim_init(&sim, "low", NULL);
    run_it(&sim, "R-1", "heal", NULL);
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), STANCH_E_CONFLICT);
    assert_non_null(strstr(err.text, "no runbook that ran for it declares a symptom"));
    assert_int_equal(resolve(&sim, "person:ada", "", &err), STANCH_E_CONFLICT); /* an empty one is none */
    assert_state(&sim, "incident", "INC-1", "investigating");
    assert_int_equal(resolve(&sim, "person:ada", "seen with my own eyes", &err), 0);
    assert_state(&sim, "incident", "INC-1", "resolved");
    sim_done(&sim);
}

static void without_a_run_a_word_is_enough(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    sim_init(&sim, "low", NULL);
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0);
    assert_state(&sim, "incident", "INC-1", "resolved");
    assert_string_equal(entries(&sim, "incident.resolved").text,
                        "person:ada resolved INC-1, measured: nothing, for no runbook ran for it");
    sim_done(&sim);
}

static void it_goes_on_while_all_is_stopped(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    assert_int_equal(stanch_stop_set(sim.state_dir, "too hot", "person:ada", stanch_loop_wall_ms(sim.loop), &err), 0);
    stanch_loop_sim_advance(sim.loop, SOAK + SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    sim_done(&sim);
}

static void set(struct sim *sim, const char *to)
{
    struct stanch_incidents *incidents;
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s}", "incident", "INC-1", "state", to);
    struct stanch_batch *batch = stanch_batch_new();
    assert_int_equal(stanch_incidents_new(sim->journal, NULL, NULL, NULL, &incidents, &err), 0);
    assert_int_equal(stanch_incident_set(incidents, "person:ada", input, batch, &err), 0);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    stanch_incidents_free(incidents);
    stanch_loop_sim_settle(sim->loop);
}

static void another_state_by_hand_ends_it_and_monitoring_does_not(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    begin(&sim);
    stanch_loop_sim_advance(sim.loop, 8 * MINUTE);
    set(&sim, "monitoring");
    stanch_loop_sim_advance(sim.loop, MINUTE);
    set(&sim, "mitigating");
    assert_member(&sim, "soaking", "none");
    stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
    assert_state(&sim, "incident", "INC-1", "mitigating");
    set(&sim, "monitoring"); /* by hand it is a word, and nothing is measured */
    stanch_loop_sim_advance(sim.loop, 60 * MINUTE);
    assert_state(&sim, "incident", "INC-1", "monitoring");
    assert_int_equal(resolve(&sim, "person:ada", NULL, &err), 0);
    stanch_loop_sim_advance(sim.loop, 5 * MINUTE);
    set(&sim, "monitoring");
    stanch_loop_sim_advance(sim.loop, 5 * MINUTE + SECOND);
    assert_state(&sim, "incident", "INC-1", "resolved");
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_all_along_is_resolved_in_the_name_of_who_asked),
        cmocka_unit_test(bad_in_the_middle_begins_it_anew),
        cmocka_unit_test(no_data_is_never_good),
        cmocka_unit_test(what_never_gets_good_is_given_up),
        cmocka_unit_test(a_short_restart_costs_nothing_of_it),
        cmocka_unit_test(what_nobody_looked_at_does_not_count),
        cmocka_unit_test(it_survives_death_at_any_instant),
        cmocka_unit_test(what_cannot_be_recorded_is_recorded_later),
        cmocka_unit_test(a_reason_resolves_at_once),
        cmocka_unit_test(without_a_symptom_a_reason_is_needed),
        cmocka_unit_test(without_a_run_a_word_is_enough),
        cmocka_unit_test(it_goes_on_while_all_is_stopped),
        cmocka_unit_test(another_state_by_hand_ends_it_and_monitoring_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
