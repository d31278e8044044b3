/* test_engine.c: the engine in a simulated world: replay, unknown outcomes, approvals, freshness, leases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "sim_world.h"
#include "timeline/journal_inside.h"

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
    sim_init(&sim, "low");
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "begins"));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1");
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
    sim_init(&sim, "low");
    sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", "note", "args", "text", "one"));
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1");
    stanch_loop_sim_advance(sim.loop, 1000);
    json_object_set_new(json_object_get(json_array_get(sim.program, 0), "args"), "text", json_string("other"));
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 600000);
    assert_state(&sim, "run", "R-1", "parked");
    assert_int_equal(sim.effect_count, 0);
    STANCH_AUTO_JSON json_t *run = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "run", "R-1");
    assert_non_null(strstr(stanch_json_str(run, "why", ""), "one"));
    assert_non_null(strstr(stanch_json_str(run, "why", ""), "other"));
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
    sim_init(&sim, "low");
    sim.fate = lose_after;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1");
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);

    sim_init(&sim, "low");
    sim.fate = lose_before_once;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1");
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void unknown_without_a_look_waits_for_a_person(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low");
    sim.fate = lose_after;
    sim_want(&sim, sim_set("set_unprotected", "s1", 7));
    sim_begin(&sim, "R-1");
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
        sim_init(&sim, "low");
        sim.call_ms = 1000;
        sim_want(&sim, sim_set(actions[i], "s1", 7));
        sim_begin(&sim, "R-1");
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
    sim_init(&sim, "none");
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1");
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_state(&sim, "approval", "A-1", "pending");
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 1000);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    assert_int_equal(decide(&sim, "A-1", "approve"), STANCH_E_CONFLICT);
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
    sim_init(&sim, "none");
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1");
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
    sim_init(&sim, "low");
    sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 1000));
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1");
    stanch_loop_sim_advance(sim.loop, 100);
    /* dead for an hour: time passes with nobody there */
    sim.generation++;
    stanch_engine_halt(sim.engine);
    stanch_loop_sim_settle(sim.loop);
    stanch_engine_free(sim.engine);
    stanch_loop_sim_advance(sim.loop, 3600000);
    sim_start_engine(&sim);
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
    sim_init(&sim, "low");
    sim.call_ms = 500;
    sim_want(&sim, sim_set("set_reconcilable", "s1", 7));
    sim_begin(&sim, "R-1");
    sim_begin(&sim, "R-2");
    stanch_loop_sim_advance(sim.loop, 60000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_state(&sim, "run", "R-2", "succeeded");
    assert_int_equal(sim.effect_count, 1); /* the second was planned anew under the lock: nothing left to change */
    sim_done(&sim);
}

/* ---- D14, short form: random programs, fates, crashes and people from a seed ---- */

static enum sim_fate random_fate(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    uint64_t dice = sim_random(sim) % 100;
    if (strcmp(op, "apply") == 0 || strcmp(op, "undo") == 0)
        return dice < 70 ? SIM_FINE : dice < 80 ? SIM_FAILS : dice < 90 ? SIM_LOST_BEFORE : SIM_LOST_AFTER;
    return strcmp(op, "reconcile") == 0 && dice < 20 ? SIM_CANNOT_TELL : SIM_FINE;
}

static void random_person(struct sim *sim)
{
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 10};
    STANCH_AUTO_JSON json_t *open = NULL;
    struct stanch_err err;
    if (stanch_journal_list(sim->journal, &query, &open, &err) < 0 || json_array_size(open) == 0)
        return;
    const json_t *approval = json_array_get(open, sim_random(sim) % json_array_size(open));
    const json_t *choices = json_object_get(approval, "choices");
    const char *choice = json_string_value(json_array_get(choices, sim_random(sim) % json_array_size(choices)));
    decide(sim, stanch_json_str(approval, "id", ""), choice);
}

/* I3: at most one effect per key, but for classes that may be sent again after it was seen that nothing happened */
static void check_effects(struct sim *sim)
{
    for (int i = 0; i < sim->effect_count; i++)
        for (int j = i + 1; j < sim->effect_count; j++)
            if (strcmp(sim->effects[i].step, sim->effects[j].step) == 0 && strcmp(sim->effects[i].op, "apply") == 0 &&
                strcmp(sim->effects[j].op, "apply") == 0)
                fail_msg("one step had two effects");
}

struct intents {
    int sent;
    int64_t last_n;
};

static int count_intent(void *ctx, const struct stanch_entry *entry)
{
    struct intents *intents = ctx;
    if (strcmp(entry->kind, "action.sent") == 0)
        intents->sent++;
    assert_int_equal(entry->n, intents->last_n + 1); /* I5: gapless */
    intents->last_n = entry->n;
    return 0;
}

static void check_intents(struct sim *sim)
{
    struct intents intents = {0};
    struct stanch_err err;
    int64_t after = 0;
    (void)after;
    struct stanch_entry_query query = {.chain = "INC-1", .limit = 1000};
    assert_int_equal(stanch_journal_entries(sim->journal, &query, count_intent, &intents, &err), 0);
    int applies = 0;
    for (int i = 0; i < sim->effect_count; i++)
        applies += strcmp(sim->effects[i].op, "apply") == 0;
    assert_true(applies <= intents.sent); /* I2: no effect without its intent */
}

/* I7: a run that has not ended waits for a person, and says so */
static void check_nothing_hangs(struct sim *sim)
{
    struct stanch_noun_query query = {.noun = "run", .open = 1, .limit = 10};
    STANCH_AUTO_JSON json_t *open = NULL;
    struct stanch_err err;
    assert_int_equal(stanch_journal_list(sim->journal, &query, &open, &err), 0);
    for (size_t i = 0; i < json_array_size(open); i++)
        assert_string_equal(stanch_json_str(json_array_get(open, i), "state", ""), "parked");
}

static void simulate(uint64_t seed)
{
    static const char *const actions[] = {"set_convergent", "set_reconcilable", "set_unprotected"};
    struct sim sim;
    sim_init(&sim, seed % 3 == 0 ? "none" : "low");
    sim.seed = seed;
    sim.fate = random_fate;
    int steps = 1 + (int)(sim_random(&sim) % 6);
    for (int i = 0; i < steps; i++) {
        char target[4] = {'s', (char)('0' + sim_random(&sim) % 3), 0};
        if (sim_random(&sim) % 4 == 0)
            sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", (int)(sim_random(&sim) % 5000)));
        else
            sim_want(&sim, sim_set(actions[sim_random(&sim) % 3], target, (int)(sim_random(&sim) % 5)));
    }
    sim_begin(&sim, "R-1");
    if (sim_random(&sim) % 2)
        sim_begin(&sim, "R-2");
    for (int i = 0; i < 60; i++) {
        stanch_loop_sim_advance(sim.loop, 1 + (int64_t)(sim_random(&sim) % 2000));
        if (sim_random(&sim) % 8 == 0)
            sim_crash(&sim);
        if (sim_random(&sim) % 3 == 0)
            random_person(&sim);
        check_effects(&sim);
    }
    sim.fate = NULL;
    stanch_loop_sim_advance(sim.loop, 60000);
    check_effects(&sim);
    check_intents(&sim);
    check_nothing_hangs(&sim);
    sim_done(&sim);
}

static void random_schedules_keep_the_promises(void **state)
{
    (void)state;
    const char *one = getenv("STANCH_SEED"), *count = getenv("STANCH_SEEDS");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1, n = one ? 1 : count ? strtoull(count, NULL, 10) : 400;
    for (uint64_t seed = first; seed < first + n; seed++) {
        print_message("seed %llu\r", (unsigned long long)seed);
        simulate(seed);
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
            sim_init(&sim, "low");
            sim_want(&sim, json_pack("{s:s, s:{s:s}}", "op", ops[0], "args", "text", "begins"));
            sim_want(&sim, json_pack("{s:s, s:{s:i}}", "op", ops[1], "args", "ms", 3));
            sim_want(&sim, sim_set(ops[2], "s1", 7));
            sim_want(&sim, sim_set(ops[3], "s2", 8));
            sim_begin(&sim, "R-1");
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
        sim_init(&sim, "none");
        sim_want(&sim, sim_set("set_convergent", "s1", 7));
        sim_begin(&sim, "R-1");
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
    sim_init(&sim, "low");
    sim.fate = lose_after;
    sim.call_ms = 1000;
    sim_want(&sim, sim_set("set_unprotected", "s1", 7));
    sim_begin(&sim, "R-1");
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
        cmocka_unit_test(random_schedules_keep_the_promises),
        cmocka_unit_test(a_refused_step_goes_on_when_entries_are_taken),
        cmocka_unit_test(so_does_one_that_waits_for_a_person),
        cmocka_unit_test(an_unknown_outcome_is_recorded_and_asked_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
