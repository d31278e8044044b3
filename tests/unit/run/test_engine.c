/* test_engine.c: the engine in a simulated world: runs and their steps, also on a full disk; replay. What becomes of a
 * call: test_effect.c; what a person is asked: test_approval.c; runs that wait: test_rest.c. */
#include "run/sim_case.h"
#include "timeline/journal_inside.h"
#include <string.h>

static void a_program_runs_to_its_end(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "begins"));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 59000);
    assert_int_equal(sim.effect_count, 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "mitigation", "M-1", "in-force");
    sim_done(&sim);
}

static void a_replay_that_asks_another_question_is_parked_before_any_call(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "one"));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 1000);
    json_object_set_new(json_object_get(json_array_get(sim.program, 0), "args"), "text", json_string("other"));
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 600000);
    assert_state(&sim, "run", "R-1", "parked");
    assert_int_equal(sim.effect_count, 0);
    STANCH_AUTO_JSON json_t *run = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "run", "R-1");
    assert_non_null(strstr(stanch_json_str(run, "held", ""), "one"));
    assert_non_null(strstr(stanch_json_str(run, "asked", ""), "other"));
    struct stanch_err err;
    assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "diverged", &err), 0);
    assert_state(&sim, "run", "R-1", "cancelled");
    sim_done(&sim);
}

/* ---- found by the simulation (test_simulation.c), kept as they are ---- */

/* The store refuses what starts something, as with a full disk or while another process holds it locked. */
static void refuse_starts(struct sim *sim, bool full, bool value)
{
    pthread_mutex_lock(&sim->journal->lock);
    *(full ? &sim->journal->is_full : &sim->journal->is_locked) = value;
    sim->journal->refill_at_ms = INT64_MAX; /* until the test says so */
    pthread_mutex_unlock(&sim->journal->lock);
}

/* A disk that is full for a while, from any moment on: no intent, outcomes are written, and then the run goes on. */
static void a_refused_step_goes_on_when_entries_are_taken(void **state)
{
    (void)state;
    static const char *const ops[] = {"note", "sleep", "set_convergent", "set_unprotected"};
    for (int full = 0; full < 2; full++)
        for (int64_t at_ms = 0; at_ms < 40; at_ms++) {
            struct sim sim;
            sim_init(&sim, "low", NULL);
            sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", ops[0], "args", "text", "begins"));
            sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", ops[1], "args", "ms", 3));
            sim_want(&sim, sim_set(ops[2], "s1", 7));
            sim_want(&sim, sim_set(ops[3], "s2", 8));
            sim_begin(&sim, "R-1", NULL);
            stanch_loop_sim_advance(sim.loop, at_ms);
            int before = sim.effect_count;
            refuse_starts(&sim, full, true);
            stanch_loop_sim_advance(sim.loop, 200000);
            if (full) /* the one whose intent was recorded already; a lock ends with the first commit */
                assert_true(sim.effect_count <= before + 1);
            char run[32];
            sim_state_of(&sim, "run", "R-1", run);
            assert_true(strcmp(run, "running") == 0 || strcmp(run, "succeeded") == 0);
            refuse_starts(&sim, full, false);
            stanch_loop_sim_advance(sim.loop, 20000);
            assert_state(&sim, "run", "R-1", "succeeded");
            assert_int_equal(sim.effect_count, 2);
            sim_done(&sim);
        }
}

static void so_does_one_that_waits_for_a_person(void **state)
{
    (void)state;
    for (int64_t at_ms = 0; at_ms < 12; at_ms++) {
        struct sim sim;
        sim_init(&sim, "none", NULL);
        sim_want(&sim, sim_set("set_convergent", "s1", 7));
        sim_begin(&sim, "R-1", NULL);
        stanch_loop_sim_advance(sim.loop, at_ms);
        refuse_starts(&sim, true, true);
        stanch_loop_sim_advance(sim.loop, 60000);
        refuse_starts(&sim, true, false);
        stanch_loop_sim_advance(sim.loop, 1000);
        STANCH_AUTO_JSON json_t *questions = NULL;
        struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 10};
        assert_int_equal(stanch_journal_list(sim.journal, &query, &questions, NULL), 0);
        assert_int_equal(json_array_size(questions), 1);
        const char *id = stanch_json_str(json_array_get(questions, 0), "id", "");
        assert_int_equal(decide(&sim, id, "approve"), 0);
        stanch_loop_sim_advance(sim.loop, at_ms);
        refuse_starts(&sim, true, true); /* the approval is given, the intent cannot be recorded */
        stanch_loop_sim_advance(sim.loop, 60000);
        refuse_starts(&sim, true, false);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_state(&sim, "run", "R-1", "succeeded");
        assert_int_equal(sim.effect_count, 1);
        sim_done(&sim);
    }
}

/* The outcome that is hardest to record, because a question comes with it. */
static void an_unknown_outcome_is_recorded_and_asked_on_a_full_disk(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = lose_after;
    sim.call_ms = 1000;
    sim_want(&sim, sim_set("set_unprotected", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 1500);
    assert_state(&sim, "step", "R-1/1", "sent");
    refuse_starts(&sim, true, true);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "step", "R-1/1", "unknown");
    struct stanch_err err = {0};
    assert_int_equal(stanch_engine_cancel(sim.engine, "R-1", "person:ada", "enough", &err), 0);
    stanch_loop_sim_settle(sim.loop);
    assert_state(&sim, "run", "R-1", "cancelled");
    refuse_starts(&sim, true, false);
    sim_done(&sim);
}

/* ---- divergence: campaign D2 (c), on the engine's side ---- */

static json_t *some_want(struct sim *sim, int number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "want %d", number);
    switch (sim_dice(sim, 4)) {
    case 0:
        return json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", text);
    case 1:
        return json_pack("{s:s, s:{s:s, s:i}}", "op", "decide", "args", "text", text, "number", number);
    case 2:
        return sim_set("set_convergent", "s1", number);
    default:
        return json_pack("{s:s, s:{s:s, s:s, s:{s:s}}}", "op", "action", "args", "instance", "fx", "action", "get",
                         "args", "target", text);
    }
}

/* Change the operation, an argument, the order; drop one, or put one before it. */
static void mutate(struct sim *sim, json_t *program, int kind)
{
    size_t at = (size_t)sim_dice(sim, (int)json_array_size(program) - 1);
    json_t *want = json_array_get(program, at);
    switch (kind) {
    case 0:
        json_object_set_new(want, "op", json_string(strcmp(stanch_json_str(want, "op", ""), "page") ? "page" : "note"));
        break;
    case 1:
        json_object_set_new(json_object_get(want, "args"), "because", json_string("another reason"));
        break;
    case 2:
        json_incref(want);
        json_array_remove(program, at);
        json_array_insert_new(program, at + 1, want);
        break;
    case 3:
        json_array_remove(program, at);
        break;
    default:
        json_array_insert_new(program, at, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "one more"));
    }
}

static int calls_seen;

static enum sim_fate count_calls(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)op, (void)action;
    calls_seen++;
    return SIM_FINE;
}

static void every_mutation_parks_the_run_before_any_call(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        struct sim sim;
        sim_init(&sim, "low", NULL);
        sim.seed = (uint64_t)i;
        sim.fate = count_calls;
        for (int k = 0; k < 8; k++)
            sim_want(&sim, some_want(&sim, k + 1));
        sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 3000));
        sim_begin(&sim, "R-1", NULL);
        stanch_loop_sim_advance(sim.loop, 2000);
        assert_state(&sim, "step", "R-1/9", "asked");
        mutate(&sim, sim.program, i % 5);
        calls_seen = 0;
        sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, 60000);
        if (calls_seen)
            fail_msg("mutation %d made a call", i);
        STANCH_AUTO_JSON json_t *run = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "run", "R-1");
        if (!stanch_json_bool(run, "stuck", false) || !json_is_object(json_object_get(run, "diverged")))
            fail_msg("mutation %d (kind %d) was not noticed: the run is %s", i, i % 5,
                     stanch_json_str(run, "state", ""));
        sim_done(&sim);
    }
}

/* PROMISES.md 1.6: a run that this release cannot replay is parked when stanch starts, and said. */
static void a_run_of_another_language_is_parked_at_start(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 3000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", json_pack("{s:i}", "language", STANCH_LANGUAGE + 1));
    stanch_loop_sim_advance(sim.loop, 1000);
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 60000);
    assert_state(&sim, "run", "R-1", "parked");
    assert_int_equal(sim.effect_count, 0);
    STANCH_AUTO_JSON json_t *run = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "run", "R-1");
    assert_non_null(strstr(stanch_json_str(run, "why", ""), "runbook language"));
    assert_non_null(strstr(stanch_json_str(run, "next", ""), "stanch run cancel R-1"));
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_runs_to_its_end),
        cmocka_unit_test(a_replay_that_asks_another_question_is_parked_before_any_call),
        cmocka_unit_test(a_refused_step_goes_on_when_entries_are_taken),
        cmocka_unit_test(so_does_one_that_waits_for_a_person),
        cmocka_unit_test(an_unknown_outcome_is_recorded_and_asked_on_a_full_disk),
        cmocka_unit_test(every_mutation_parks_the_run_before_any_call),
        cmocka_unit_test(a_run_of_another_language_is_parked_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
