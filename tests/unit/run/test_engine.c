/* test_engine.c: the engine in a simulated world: replay, unknown outcomes, approvals, freshness, leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "run/sim_world.h"
#include "timeline/journal_inside.h"
#include <string.h>

static void assert_state(struct sim *sim, const char *noun, const char *id, const char *state)
{
    char seen[32];
    sim_state_of(sim, noun, id, seen);
    assert_string_equal(seen, state);
}

static int decide(struct sim *sim, const char *id, const char *decision)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", id);
    struct stanch_err err;
    return stanch_engine_decide(sim->engine, "person:ada", id, decision, stanch_json_str(doc, "plan_digest", NULL),
                                NULL, &err);
}

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

static enum sim_fate lose_after(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    return strcmp(op, "apply") == 0 && sim->effect_count == 0 ? SIM_LOST_AFTER : SIM_FINE;
}

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
    sim_init(&sim, "low", NULL);
    sim.fate = lose_after;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);

    sim_init(&sim, "low", NULL);
    sim.fate = lose_before_once;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void unknown_without_a_look_waits_for_a_person(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = lose_after;
    sim_want(&sim, sim_set("set_unprotected", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
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

/* A call that fails says nothing of the one before it that was lost. */
static void a_failure_after_a_lost_call_is_unknown(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    sim.fate = lose_then_fail;
    sim_want(&sim, sim_set("set_idempotent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "step", "R-1/1", "unknown");
    assert_state(&sim, "run", "R-1", "parked");
    sim_done(&sim);

    sim_init(&sim, "low", NULL); /* nor do three that were all lost */
    sim.fate = lose_all;
    sim_want(&sim, sim_set("set_idempotent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "step", "R-1/1", "unknown");
    sim_done(&sim);
}

/* A run is cancelled while its effect is out, and then the process dies: the effect is still looked after. */
static void an_effect_outlives_its_run_and_the_process(void **state)
{
    (void)state;
    static const char *const actions[] = {"set_convergent", "set_unprotected"};
    for (size_t i = 0; i < 2; i++) {
        struct sim sim;
        struct stanch_err err;
        sim_init(&sim, "low", NULL);
        sim.call_ms = 1000;
        sim_want(&sim, sim_set(actions[i], "s1", 7));
        sim_begin(&sim, "R-1", NULL);
        stanch_loop_sim_advance(sim.loop, 1500);
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

/* What a person ordered is done, also when the process dies between the answer and the undo. */
static void an_ordered_undo_survives_a_crash(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 10000);
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
        cmocka_unit_test(unknown_is_looked_up_and_never_sent_twice),
        cmocka_unit_test(unknown_without_a_look_waits_for_a_person),
        cmocka_unit_test(an_intent_found_without_outcome_is_unknown),
        cmocka_unit_test(an_approval_is_used_once_and_survives_a_crash),
        cmocka_unit_test(an_expired_question_is_asked_anew),
        cmocka_unit_test(a_long_gap_makes_it_ask),
        cmocka_unit_test(two_runs_on_one_target_take_turns),
        cmocka_unit_test(an_effect_that_takes_minutes_is_asked_for),
        cmocka_unit_test(what_will_never_show_is_asked_for_once),
        cmocka_unit_test(a_refused_step_goes_on_when_entries_are_taken),
        cmocka_unit_test(so_does_one_that_waits_for_a_person),
        cmocka_unit_test(an_unknown_outcome_is_recorded_and_asked_on_a_full_disk),
        cmocka_unit_test(a_failure_after_a_lost_call_is_unknown),
        cmocka_unit_test(a_failure_after_a_lost_call_is_unknown_after_a_crash_too),
        cmocka_unit_test(an_effect_outlives_its_run_and_the_process),
        cmocka_unit_test(an_ordered_undo_survives_a_crash),
        cmocka_unit_test(only_an_approval_makes_stale_grounds_fresh),
        cmocka_unit_test(a_target_is_held_until_its_outcome_over_a_restart),
        cmocka_unit_test(every_mutation_parks_the_run_before_any_call),
        cmocka_unit_test(a_run_of_another_language_is_parked_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
