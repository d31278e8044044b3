/* test_rest.c: a run that waits costs disk only: it goes out of memory, and goes on from the journal. */
#include "run/sim_case.h"
#include "run/engine.h"
#include <string.h>

static int in_memory(const struct sim *sim)
{
    int count = 0;
    for (const struct stanch_run *run = sim->engine->runs; run; run = run->next)
        count++;
    for (const struct stanch_op *op = sim->engine->ops; op; op = op->next)
        count++;
    for (const struct stanch_ready *ready = sim->engine->ready; ready; ready = NULL)
        count++;
    return count;
}

/* The run of a program that asks, in memory no more. */
static void begin_and_rest(struct sim *sim, const char *policy)
{
    sim_init(sim, policy, NULL);
    sim_want(sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "begins"));
    sim_want(sim, sim_set("set_convergent", "s1", 7));
    sim_want(sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "ends"));
    sim_begin(sim, "R-1", NULL);
    sim_advance(sim, 10000);
    assert_int_equal(in_memory(sim), 0);
    assert_state(sim, "approval", "A-1", "pending");
}

static void a_run_that_waits_is_not_in_memory_and_goes_on(void **state)
{
    (void)state;
    struct sim sim;
    begin_and_rest(&sim, "none");
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    assert_int_equal(in_memory(&sim), 0);
    sim_done(&sim);
}

static void a_restart_does_not_read_it(void **state)
{
    (void)state;
    struct sim sim;
    begin_and_rest(&sim, "none");
    sim_crash(&sim);
    assert_int_equal(in_memory(&sim), 0);
    sim_advance(&sim, 10000);
    assert_int_equal(in_memory(&sim), 0);
    assert_int_equal(decide(&sim, "A-1", "deny"), 0);
    sim_advance(&sim, 20000);
    assert_state(&sim, "step", "R-1/2", "answered");
    assert_int_equal(sim.effect_count, 0);
    sim_done(&sim);
}

static void a_crash_between_decision_and_effect_is_taken_up(void **state)
{
    (void)state;
    struct sim sim;
    begin_and_rest(&sim, "none");
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 2); /* committed, and no effect yet */
    assert_int_equal(sim.effect_count, 0);
    sim_crash(&sim);
    sim_advance(&sim, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void its_question_expires_and_is_asked_anew_while_it_rests(void **state)
{
    (void)state;
    struct sim sim;
    begin_and_rest(&sim, "none");
    sim_advance(&sim, 900000);
    assert_state(&sim, "approval", "A-1", "expired");
    assert_state(&sim, "approval", "A-2", "pending");
    assert_int_equal(in_memory(&sim), 0);
    sim_crash(&sim);
    sim_advance(&sim, 900000); /* and again, after a restart */
    assert_state(&sim, "approval", "A-2", "expired");
    assert_int_equal(decide(&sim, "A-3", "approve"), 0);
    sim_advance(&sim, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

static void what_expires_while_nobody_is_there_is_asked_anew_once(void **state)
{
    (void)state;
    struct sim sim;
    begin_and_rest(&sim, "none");
    sim_kill(&sim);
    stanch_loop_sim_advance(sim.loop, 2000000);
    sim_start(&sim);
    sim_advance(&sim, 1000);
    assert_state(&sim, "approval", "A-1", "expired");
    assert_state(&sim, "approval", "A-2", "pending");
    assert_state(&sim, "approval", "A-3", "none");
    sim_done(&sim);
}

/* A question that lost its sense while its run rested: a person has taken back meanwhile what it is about. */
static void a_question_about_what_is_gone_is_closed(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "none", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    for (int i = 0; i < 2; i++) /* the second one finds it gone, and asks nobody */
        sim_want(&sim, json_pack("{s:s, s:{s:s, s:s}}", "op", "undo", "args", "mitigation", "M-1", "because", "back"));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 1000);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_state(&sim, "approval", "A-2", "pending");
    assert_int_equal(in_memory(&sim), 0);
    assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "enough", NULL, NULL, &err), 0);
    sim_advance(&sim, 1000);
    assert_state(&sim, "mitigation", "M-1", "undone");
    assert_int_equal(decide(&sim, "A-2", "approve"), STANCH_E_CONFLICT);
    assert_state(&sim, "approval", "A-2", "voided");
    sim_advance(&sim, 24LL * 3600 * 1000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 2);
    STANCH_AUTO_JSON json_t *third =
        stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "approval", "A-3"); /* nothing is asked again */
    assert_null(third);
    sim_done(&sim);
}

static void a_long_sleep_ends_in_time(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 3600000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 3590000);
    assert_int_equal(in_memory(&sim), 0);
    assert_int_equal(sim.effect_count, 0);
    sim_advance(&sim, 20000); /* an hour asleep by its own will is no gap: nobody is asked */
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void it_can_be_cancelled_and_lists_what_it_left(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 3600000));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 20000);
    assert_int_equal(in_memory(&sim), 0);
    assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "no", &err), 0);
    assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "no", &err), STANCH_E_CONFLICT);
    sim_advance(&sim, 10);
    assert_state(&sim, "run", "R-1", "cancelled");
    STANCH_AUTO_JSON json_t *keep = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "approval", "A-1");
    assert_string_equal(stanch_json_str(keep, "about", ""), "keep");
    assert_string_equal(stanch_json_str(json_array_get(json_object_get(keep, "mitigations"), 0), "id", ""), "M-1");
    sim_done(&sim);
}

static void its_alert_resolves_while_it_rests(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", json_pack("{s:s}", "on_resolved", "ask"));
    sim_begin(&sim, "R-2", json_pack("{s:s}", "on_resolved", "stop"));
    sim_begin(&sim, "R-3", json_pack("{s:s}", "on_resolved", "continue"));
    sim_advance(&sim, 20000);
    assert_int_equal(in_memory(&sim), 0);
    for (int i = 1; i <= 3; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "R-%d", i);
        stanch_engine_resolved(sim.engine, id);
    }
    sim_advance(&sim, 1000);
    assert_state(&sim, "run", "R-2", "cancelled");
    sim_advance(&sim, 60000);
    assert_state(&sim, "run", "R-3", "succeeded");
    assert_state(&sim, "run", "R-1", "parked");
    STANCH_AUTO_JSON json_t *asked = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "approval", "A-1");
    assert_non_null(strstr(stanch_json_str(asked, "why", ""), "resolved"));
    sim_done(&sim);
}

static void many_runs_share_the_workers(void **state)
{
    (void)state;
    struct sim sim;
    char id[16];
    sim_init(&sim, "none", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        sim_begin(&sim, id, NULL);
        assert_true(sim.engine->worker_count <= 64);
    }
    sim_advance(&sim, 1000); /* less than their workers' idle time: those that wait make room */
    assert_state(&sim, "approval", "A-200", "pending");
    sim_crash(&sim); /* in the middle: some rest, some do not */
    sim_advance(&sim, 10000);
    assert_int_equal(in_memory(&sim), 0);
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "A-%d", i);
        assert_int_equal(decide(&sim, id, "approve"), 0);
    }
    sim_advance(&sim, 60000);
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        assert_state(&sim, "run", id, "succeeded");
    }
    assert_int_equal(sim.effect_count, 1); /* the first did it; to the others there was nothing left to change */
    sim_done(&sim);
}

/* When the runner has no worker to give, one run asks again for all that wait, and they come in their order. */
static void who_waits_for_a_worker_does_not_crowd(void **state)
{
    (void)state;
    struct sim sim;
    char id[16];
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "x"));
    sim.no_workers = true;
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        sim_begin(&sim, id, NULL);
    }
    sim.worker_starts = 0;
    sim_advance(&sim, 1000);
    assert_in_range(sim.worker_starts, 2, 100);
    sim.no_workers = false;
    sim_advance(&sim, 2000);
    for (int i = 1; i <= 200; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        assert_state(&sim, "run", id, "succeeded");
    }
    sim_done(&sim);
}

static void runs_that_have_not_begun_are_found_after_a_crash(void **state)
{
    (void)state;
    struct sim sim;
    char id[16];
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "x"));
    for (int i = 1; i <= 300; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        sim_begin(&sim, id, NULL);
    }
    sim_advance(&sim, 2); /* committed; some have begun */
    sim_crash(&sim);
    sim_advance(&sim, 20000);
    for (int i = 1; i <= 300; i++) {
        (void)snprintf(id, sizeof id, "R-%d", i);
        assert_state(&sim, "run", id, "succeeded");
    }
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_that_waits_is_not_in_memory_and_goes_on),
        cmocka_unit_test(a_restart_does_not_read_it),
        cmocka_unit_test(a_crash_between_decision_and_effect_is_taken_up),
        cmocka_unit_test(its_question_expires_and_is_asked_anew_while_it_rests),
        cmocka_unit_test(what_expires_while_nobody_is_there_is_asked_anew_once),
        cmocka_unit_test(a_question_about_what_is_gone_is_closed),
        cmocka_unit_test(a_long_sleep_ends_in_time),
        cmocka_unit_test(it_can_be_cancelled_and_lists_what_it_left),
        cmocka_unit_test(its_alert_resolves_while_it_rests),
        cmocka_unit_test(many_runs_share_the_workers),
        cmocka_unit_test(who_waits_for_a_worker_does_not_crowd),
        cmocka_unit_test(runs_that_have_not_begun_are_found_after_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
