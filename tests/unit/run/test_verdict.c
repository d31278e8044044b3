/* test_verdict.c: what a verify says of what the run did before it: it helped, had no effect, made it worse, or nobody can tell. */
#include "run/sim_case.h"

#define BREAKER "{\"breaker\":{\"after\":9,\"within_ms\":3600000,\"closes_after_ms\":600000}}"
#define ID      "heal fx:fx/s1"

static void begin(struct sim *sim)
{
    sim_init(sim, "high", NULL);
    sim->guards = BREAKER;
    sim_crash(sim); /* with that policy */
}

/* op: "check" or "verify", of what the remote's `errors` is */
static json_t *look(const char *op, const char *action)
{
    return json_pack("{s:s, s:{s:{s:{s:s, s:s, s:{s:s}}, s:s, s:s, s:i, s:i}}}", "op", op, "args", "symptom", "ask",
                     "instance", "fx", "action", action, "args", "target", "errors", "good", "< 1", "bad", "> 5",
                     "within_ms", 1000, "every_ms", 100);
}

static void want(json_t *program, json_t *one)
{
    json_array_append_new(program, one);
}

/* A mitigation that sets what is measured, too: it makes it worse, or better. */
static json_t *set_errors(int value)
{
    return sim_set("set_convergent", "errors", value);
}

static void run_it(struct sim *sim, const char *run, json_t *program)
{
    json_object_set_new(sim->programs, run, program);
    sim_begin(sim, run, json_pack("{s:s, s:{}}", "runbook", "heal", "symptom"));
    stanch_loop_sim_advance(sim->loop, 20000);
    assert_state(sim, "run", run, "succeeded");
}

static void assert_answer(struct sim *sim, const char *step, const char *verdict, int before)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "step", step);
    const json_t *ok = json_object_get(json_object_get(doc, "answer"), "ok");
    assert_non_null(ok);
    assert_string_equal(stanch_json_str(ok, "verdict", "none"), verdict);
    assert_int_equal(stanch_json_int(ok, "before", -1), before);
}

struct told {
    const char *step;
    char text[300];
};

static int keep_text(void *ctx, const struct stanch_entry *entry)
{
    struct told *told = ctx;
    if (strcmp(entry->kind, "step.verified") == 0 &&
        strcmp(stanch_json_str(entry->data, "step", ""), told->step) == 0) {
        char *text = stanch_entry_text(entry);
        (void)snprintf(told->text, sizeof told->text, "%s", text);
        free(text);
    }
    return 0;
}

static void assert_told(struct sim *sim, const char *step, const char *text)
{
    struct told told = {.step = step};
    struct stanch_err err;
    const struct stanch_entry_query query = {.chain = "INC-1", .limit = 1000};
    assert_int_equal(stanch_journal_entries(sim->journal, &query, keep_text, &told, &err), 0);
    if (!strstr(told.text, text))
        fail_msg("%s: %s", step, told.text);
}

static void assert_counts(struct sim *sim, const char *id, const char *tally, const char *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "breaker", id);
    assert_string_equal(stanch_json_str(doc, "tally", ""), tally);
    assert_string_equal(stanch_json_str(doc, "why", ""), why);
}

static int64_t counter(const struct sim *sim, const char *name)
{
    return stanch_json_int(stanch_engine_counters(sim->engine), name, 0);
}

static json_t *errors(struct sim *sim, int value)
{
    json_object_set_new(sim->remote, "errors", json_integer(value));
    return json_array();
}

static void worse_no_effect_and_good_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        int to;
        const char *verdict, *said, *tally, *why, *counter;
    } cases[] = {
        {12, "worse", "(value 12, good is < 1) after 11 samples; worse: it was 9 before", "1 worse",
         "it made it worse: the symptom was 9 before and is 12 after it", "mitigations_worse"},
        {8, "no_effect", "(value 8, good is < 1) after 11 samples; no effect: it was 9 before", "1 without effect",
         "no effect: the symptom was 9 before and is 8 after it", "mitigations_without_effect"},
        {3, "no_effect", "no effect: it was 9 before", "1 without effect", /* neither good nor bad */
         "no effect: the symptom was 9 before and is 3 after it", "mitigations_without_effect"},
        {0, "verified", "(value 0, good is < 1) after 1 samples; it was 9 before", "", "", "mitigations_verified"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sim sim;
        begin(&sim);
        json_t *program = errors(&sim, 9);
        want(program, look("check", "get"));
        want(program, set_errors(cases[i].to));
        want(program, look("verify", "get"));
        run_it(&sim, "R-1", program);
        assert_answer(&sim, "R-1/3", cases[i].verdict, 9);
        assert_told(&sim, "R-1/3", cases[i].said);
        assert_counts(&sim, "heal fx:fx/errors", cases[i].tally, cases[i].why);
        assert_int_equal(counter(&sim, cases[i].counter), 1);
        sim_done(&sim);
    }
}

static enum sim_fate no_data(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    return strcmp(op, "read") == 0 && sim->effect_count > 0 ? SIM_CANNOT_TELL : SIM_FINE;
}

static void without_data_nobody_can_tell(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    sim.fate = no_data;
    json_t *program = errors(&sim, 9);
    want(program, look("check", "get"));
    want(program, sim_set("set_convergent", "s1", 1));
    want(program, look("verify", "get"));
    run_it(&sim, "R-1", program);
    assert_answer(&sim, "R-1/3", "no_data", 9);
    assert_counts(&sim, ID, "1 without data", "the symptom is without data after it, so nobody can tell");
    assert_int_equal(counter(&sim, "mitigations_without_data"), 1);
    sim_done(&sim);
}

static void what_was_not_measured_before_is_never_worse(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) { /* nothing was, or something else */
        struct sim sim;
        begin(&sim);
        json_t *program = errors(&sim, 9);
        if (other)
            want(program, look("check", "metric"));
        want(program, set_errors(12));
        want(program, look("verify", "get"));
        run_it(&sim, "R-1", program);
        assert_answer(&sim, other ? "R-1/3" : "R-1/2", "no_effect", -1);
        assert_told(&sim, other ? "R-1/3" : "R-1/2", "; no effect was seen, and nothing was measured before");
        assert_counts(&sim, "heal fx:fx/errors", "1 without effect",
                      "no effect: the symptom is 12 after it, and was not measured before");
        sim_done(&sim);
    }
}

/* The first rung's verify is what the second one is held against, over a crash too; a check after the act is not. */
static void a_second_rung_is_held_against_the_first(void **state)
{
    (void)state;
    for (int dies = 0; dies < 2; dies++) {
        struct sim sim;
        begin(&sim);
        json_t *program = errors(&sim, 9);
        want(program, look("check", "get"));
        want(program, set_errors(7));
        want(program, look("verify", "get")); /* 7: no effect */
        want(program, set_errors(8));
        want(program, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 5000));
        want(program, look("check", "get"));
        want(program, look("verify", "get")); /* 8: worse than 7, and not than 9 */
        json_object_set_new(sim.programs, "R-1", program);
        sim_begin(&sim, "R-1", json_pack("{s:s, s:{}}", "runbook", "heal", "symptom"));
        stanch_loop_sim_advance(sim.loop, 3000);
        if (dies)
            sim_crash(&sim);
        stanch_loop_sim_advance(sim.loop, 20000);
        assert_state(&sim, "run", "R-1", "succeeded");
        assert_answer(&sim, "R-1/3", "no_effect", 9);
        assert_answer(&sim, "R-1/7", "worse", 7);
        assert_counts(&sim, "heal fx:fx/errors", "1 worse, 1 without effect",
                      "it made it worse: the symptom was 7 before and is 8 after it");
        sim_done(&sim);
    }
}

/* A ladder: what the second rung is held against is how it was before the first, which was taken back. */
static void what_was_taken_back_is_passed_over(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    json_t *program = errors(&sim, 9);
    want(program, look("check", "get"));
    for (int rung = 1; rung <= 2; rung++) {
        char id[8];
        (void)snprintf(id, sizeof id, "M-%d", rung);
        want(program, set_errors(rung == 1 ? 20 : 15));
        want(program, look("verify", "get"));
        want(program, json_pack("{s:s, s:{s:s, s:s}}", "op", "undo", "args", "mitigation", id, "because", "worse"));
    }
    want(program, set_errors(8));
    want(program, look("verify", "get"));
    run_it(&sim, "R-1", program);
    assert_answer(&sim, "R-1/3", "worse", 9);
    assert_answer(&sim, "R-1/6", "worse", 9);
    assert_answer(&sim, "R-1/9", "no_effect", 9);
    sim_done(&sim);
}

static void a_verify_of_nothing_says_nothing_of_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    json_t *program = errors(&sim, 9);
    want(program, look("check", "get"));
    want(program, look("verify", "get"));
    run_it(&sim, "R-1", program);
    assert_answer(&sim, "R-1/2", "none", -1);
    program = errors(&sim, 9);
    want(program, look("check", "get"));
    want(program, set_errors(9)); /* it is so already: nothing is sent */
    want(program, look("verify", "get"));
    run_it(&sim, "R-2", program);
    assert_answer(&sim, "R-2/3", "none", -1);
    assert_state(&sim, "breaker", "heal fx:fx/errors", "none");
    sim_done(&sim);
}

static enum sim_fate refuse(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "apply") == 0 ? SIM_FAILS_FOR_GOOD : SIM_FINE;
}

static void the_breaker_says_how_often_it_was_what(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim);
    for (int i = 1; i <= 3; i++) {
        char run[8];
        (void)snprintf(run, sizeof run, "R-%d", i);
        json_t *program = errors(&sim, 9);
        want(program, look("check", "get"));
        want(program, set_errors(i == 1 ? 12 : i == 2 ? 8 : 7));
        want(program, look("verify", "get"));
        run_it(&sim, run, program);
    }
    sim.fate = refuse;
    json_t *program = errors(&sim, 9);
    want(program, set_errors(12));
    run_it(&sim, "R-4", program);
    sim_crash(&sim);
    STANCH_AUTO_JSON json_t *doc =
        stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "breaker", "heal fx:fx/errors");
    const json_t *counts = json_object_get(doc, "counts");
    assert_int_equal(stanch_json_int(doc, "count", 0), 4);
    assert_int_equal(stanch_json_int(counts, "worse", 0), 1);
    assert_int_equal(stanch_json_int(counts, "no_effect", 0), 2);
    assert_int_equal(stanch_json_int(counts, "failed", 0), 1);
    assert_string_equal(stanch_json_str(doc, "tally", ""), "1 worse, 2 without effect, 1 failed");
    assert_string_equal(stanch_json_str(doc, "how", ""), "failed");
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worse_no_effect_and_good_are_told_apart),
        cmocka_unit_test(without_data_nobody_can_tell),
        cmocka_unit_test(what_was_not_measured_before_is_never_worse),
        cmocka_unit_test(a_second_rung_is_held_against_the_first),
        cmocka_unit_test(what_was_taken_back_is_passed_over),
        cmocka_unit_test(a_verify_of_nothing_says_nothing_of_it),
        cmocka_unit_test(the_breaker_says_how_often_it_was_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
