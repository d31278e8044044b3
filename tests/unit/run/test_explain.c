/* test_explain.c: what explain says stands against an action is what its question says, word by word, when it is asked. */
#include "run/sim_case.h"
#include "run/engine.h"
#include "run/stop.h"

static json_t *explain(struct sim *sim, json_t *input)
{
    struct stanch_err err = {0};
    json_t *told = NULL;
    STANCH_AUTO_JSON json_t *asked = input;
    if (stanch_engine_explain(sim->engine, asked, &told, &err) < 0)
        fail_msg("%s", err.text);
    return told;
}

static json_t *want_of_s1(void)
{
    return json_pack("{s:s, s:s, s:[s], s:s, s:s}", "instance", "fx", "action", "set_convergent", "targets", "fx:fx/s1",
                     "runbook", "heal", "incident", "INC-1");
}

static const json_t *now_of(const json_t *told, const char *kind)
{
    const json_t *list = json_object_get(json_object_get(told, "now"), kind);
    assert_true(json_is_array(list));
    return list;
}

static void run(struct sim *sim, const char *id, json_t *want)
{
    STANCH_AUTO_JSON json_t *program = json_pack("[o]", want);
    json_object_set(sim->programs, id, program);
    sim_begin(sim, id, json_pack("{s:s}", "runbook", "heal"));
    stanch_loop_sim_advance(sim->loop, 5000);
}

/* All of it is in the question's why; but for when there is room, which was asked some time before. */
static void assert_asked_so(struct sim *sim, const char *approval, const json_t *told)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", approval);
    const json_t *against = now_of(told, "against");
    assert_non_null(doc);
    assert_true(json_array_size(against) > 0);
    for (size_t i = 0; i < json_array_size(against); i++) {
        STANCH_AUTO_FREE char *sentence = stanch_strdup(json_string_value(json_array_get(against, i)));
        char *frees = strstr(sentence, "; it frees in ");
        if (frees)
            *frees = 0;
        if (!strstr(stanch_json_str(doc, "why", ""), sentence))
            fail_msg("explain: \"%s\"; the question: \"%s\"", sentence, stanch_json_str(doc, "why", ""));
    }
}

static void assert_fact(const json_t *told, const char *kind, size_t at, const char *want)
{
    STANCH_AUTO_JSON json_t *wanted = json_loads(want, JSON_DECODE_ANY, NULL);
    const json_t *fact = json_array_get(now_of(told, kind), at), *value;
    const char *key;
    assert_non_null(wanted);
    json_object_foreach(wanted, key, value)
    {
        if (json_equal(json_object_get(fact, key), value))
            continue;
        STANCH_AUTO_FREE char *got = json_dumps(fact, JSON_ENCODE_ANY);
        fail_msg("%s[%zu]: %s, not %s", kind, at, got, want);
    }
}

static void begin(struct sim *sim, const char *guards)
{
    sim_init(sim, "high", NULL);
    sim->guards = guards;
    sim->conflicts = "ask";
    sim_crash(sim);
}

static void nothing_stands_against_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"actions\":{\"count\":2,\"within_ms\":600000},\"cooldown_ms\":60000}}");
    STANCH_AUTO_JSON json_t *told = explain(&sim, want_of_s1());
    assert_string_equal(stanch_json_str(told, "verdict", ""), "runs");
    static const char *const none[] = {"against", "stops", "holds", "conflicts", "breakers"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(json_array_size(now_of(told, none[i])), 0);
    assert_int_equal(json_array_size(now_of(told, "limits")), 2);
    assert_fact(told, "limits", 0, "{\"name\":\"limits.actions\",\"used\":0,\"of\":\"2/10m\",\"full\":false}");
    assert_fact(told, "limits", 1,
                "{\"name\":\"limits.cooldown\",\"about\":\"fx:fx/s1\",\"used\":null,\"of\":\"1m\",\"full\":false}");
    sim_done(&sim);
}

static void limits_say_how_full_they_are_and_when_there_is_room(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"actions\":{\"count\":2,\"within_ms\":600000},\"per_instance\":{\"count\":9,\"within_"
                "ms\":60000},"
                "\"per_target\":{\"count\":1,\"within_ms\":600000},\"cooldown_ms\":60000,\"reach\":0.5,"
                "\"reach_per_incident\":0.75,\"reach_per_hour\":1.0},\"conflicts\":\"allow\"}");
    sim.reach = 0.5;
    run(&sim, "R-1", sim_set("set_convergent", "s1", 7));
    run(&sim, "R-2", sim_set("set_convergent", "s2", 7));
    assert_state(&sim, "approval", "A-1", "pending"); /* 0.5 and 0.5 is more than 0.75 */
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    json_t *input = want_of_s1();
    json_object_set_new(input, "reach", json_real(0.5));
    json_array_append_new(json_object_get(input, "targets"), json_string("fx:fx/s9"));
    STANCH_AUTO_JSON json_t *told = explain(&sim, input);
    assert_string_equal(stanch_json_str(told, "verdict", ""), "asks");
    assert_int_equal(json_array_size(now_of(told, "limits")), 9);
    assert_fact(told, "limits", 0, "{\"name\":\"limits.actions\",\"used\":2,\"of\":\"2/10m\",\"full\":true}");
    assert_fact(told, "limits", 1, "{\"name\":\"limits.per_instance\",\"about\":\"fx\",\"used\":2,\"full\":false}");
    assert_fact(told, "limits", 2, "{\"name\":\"limits.per_target\",\"about\":\"fx:fx/s1\",\"used\":1,\"full\":true}");
    assert_fact(told, "limits", 3, "{\"name\":\"limits.cooldown\",\"about\":\"fx:fx/s1\",\"of\":\"1m\",\"full\":true}");
    assert_fact(told, "limits", 4, "{\"name\":\"limits.per_target\",\"about\":\"fx:fx/s9\",\"used\":0,\"full\":false}");
    assert_fact(told, "limits", 6, "{\"name\":\"limits.reach\",\"used\":0.5,\"of\":0.5,\"full\":false}");
    assert_fact(told, "limits", 7,
                "{\"name\":\"limits.reach_per_incident\",\"about\":\"INC-1\",\"used\":1.0,\"full\":true}");
    assert_fact(told, "limits", 8, "{\"name\":\"limits.reach_per_hour\",\"used\":1.0,\"of\":1.0,\"full\":true}");
    int64_t frees_ms = stanch_json_int(json_array_get(now_of(told, "limits"), 0), "frees_in_ms", 0);
    assert_true(frees_ms > 580000 && frees_ms < 600000);
    assert_null(json_object_get(json_array_get(now_of(told, "limits"), 1), "frees_in_ms"));
    stanch_loop_sim_advance(sim.loop, frees_ms - 1);
    input = want_of_s1();
    json_object_set_new(input, "reach", json_real(0.2));
    STANCH_AUTO_JSON json_t *later = explain(&sim, json_incref(input));
    assert_fact(later, "limits", 0, "{\"used\":2,\"full\":true,\"frees_in_ms\":1}");
    stanch_loop_sim_advance(sim.loop, 1);
    STANCH_AUTO_JSON json_t *freed = explain(&sim, input);
    assert_fact(freed, "limits", 0, "{\"used\":1,\"full\":false}");
    sim_done(&sim);
}

/* What is not known of it counts against it, and the limits are shown all the same. */
static void what_is_not_said_counts_against_it(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"limits\":{\"per_target\":{\"count\":1,\"within_ms\":600000},\"reach_per_hour\":1.0}}");
    STANCH_AUTO_JSON json_t *told =
        explain(&sim, json_pack("{s:s, s:s}", "instance", "fx", "action", "set_convergent"));
    assert_string_equal(stanch_json_str(told, "verdict", ""), "asks");
    const json_t *against = now_of(told, "against");
    assert_int_equal(json_array_size(against), 2);
    assert_string_equal(json_string_value(json_array_get(against, 0)),
                        "limits.per_target is set, and its targets are not known");
    assert_string_equal(json_string_value(json_array_get(against, 1)),
                        "there is a limit of reach, and its reach is not known");
    assert_fact(told, "limits", 0, "{\"name\":\"limits.reach_per_hour\",\"used\":0.0,\"of\":1.0,\"full\":false}");
    sim_done(&sim);
}

static void stops_holds_conflicts_and_limits_are_what_the_question_says(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    char id[32];
    begin(&sim, "{\"limits\":{\"per_target\":{\"count\":1,\"within_ms\":600000}}}");
    run(&sim, "R-1", sim_set("set_convergent", "s1", 7));
    assert_state(&sim, "mitigation", "M-1", "in-force");
    const struct stanch_hold_words words = {"person:ada", "fx:fx/s1", "I look at it", 1200000};
    assert_int_equal(stanch_engine_hold(sim.engine, &words, id, &err), 0);
    const struct stanch_stop stops[] = {{.level = "instance", .name = "fx", .reason = "a release", .by = "person:bob"},
                                        {.level = "runbook", .name = "heal", .reason = "it hurts", .by = "person:eve"},
                                        {.level = "instance", .name = "other", .reason = "no", .by = "person:eve"}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(stanch_stop_set_level(sim.state_dir, &stops[i], &err), 0);
    STANCH_AUTO_JSON json_t *told = explain(&sim, want_of_s1());
    run(&sim, "R-2", sim_set("set_convergent", "s1", 8));
    assert_asked_so(&sim, "A-1", told);
    assert_int_equal(json_array_size(now_of(told, "against")), 4); /* of the stops the first */
    assert_int_equal(json_array_size(now_of(told, "stops")), 2);
    assert_fact(told, "stops", 0,
                "{\"level\":\"instance\",\"name\":\"fx\",\"reason\":\"a release\",\"by\":\"person:bob\"}");
    assert_fact(told, "stops", 1, "{\"level\":\"runbook\",\"name\":\"heal\"}");
    assert_fact(told, "holds", 0,
                "{\"id\":\"H-1\",\"target\":\"fx:fx/s1\",\"holder\":\"person:ada\",\"reason\":\"I look at it\"}");
    assert_fact(told, "conflicts", 0, "{\"id\":\"M-1\"}");
    STANCH_AUTO_JSON json_t *elsewhere =
        explain(&sim, json_pack("{s:s, s:s, s:[s], s:s}", "instance", "fx", "action", "set_convergent", "targets",
                                "fx:fx/s2", "effect", "undo"));
    assert_int_equal(json_array_size(now_of(elsewhere, "stops")), 1);
    assert_int_equal(json_array_size(now_of(elsewhere, "limits")), 0); /* taking back is no new mitigation */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(stanch_stop_clear_level(sim.state_dir, stops[i].level, stops[i].name, &err), 0);
    sim_done(&sim);
}

static enum sim_fate fails_for_good(struct sim *sim, const char *op, const char *action)
{
    (void)sim, (void)action;
    return strcmp(op, "apply") == 0 ? SIM_FAILS_FOR_GOOD : SIM_FINE;
}

static void a_breaker_says_how_far_it_is_and_when_it_closes(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"breaker\":{\"after\":2,\"within_ms\":3600000,\"closes_after_ms\":1800000}}");
    sim.fate = fails_for_good;
    run(&sim, "R-1", sim_set("set_convergent", "s1", 7));
    STANCH_AUTO_JSON json_t *counting = explain(&sim, want_of_s1());
    assert_string_equal(stanch_json_str(counting, "verdict", ""), "runs");
    assert_fact(counting, "breakers", 0,
                "{\"runbook\":\"heal\",\"target\":\"fx:fx/s1\",\"state\":\"counting\",\"used\":1,\"of\":2}");
    run(&sim, "R-2", sim_set("set_convergent", "s1", 7));
    STANCH_AUTO_JSON json_t *told = explain(&sim, want_of_s1());
    assert_string_equal(stanch_json_str(told, "verdict", ""), "asks");
    assert_fact(told, "breakers", 0, "{\"state\":\"open\",\"used\":2,\"of\":2,\"step\":\"R-2/1\"}");
    assert_true(stanch_json_int(json_array_get(now_of(told, "breakers"), 0), "frees_in_ms", 0) > 1790000);
    run(&sim, "R-3", sim_set("set_convergent", "s1", 7));
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "approval", "A-1");
    assert_non_null(strstr(stanch_json_str(doc, "why", ""), "the breaker of heal on fx:fx/s1 is open"));
    STANCH_AUTO_JSON json_t *other =
        explain(&sim, json_pack("{s:s, s:s, s:[s], s:s}", "instance", "fx", "action", "set_convergent", "targets",
                                "fx:fx/s1", "runbook", "other"));
    assert_int_equal(json_array_size(now_of(other, "breakers")), 0);
    stanch_loop_sim_advance(sim.loop, 3700000);
    STANCH_AUTO_JSON json_t *closed = explain(&sim, want_of_s1());
    assert_int_equal(json_array_size(now_of(closed, "against")), 0);
    sim_done(&sim);
}

static void an_incident_that_is_not_there_is_said(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err = {0};
    json_t *told = NULL;
    begin(&sim, "{}");
    STANCH_AUTO_JSON json_t *input = want_of_s1();
    json_object_set_new(input, "incident", json_string("INC-99"));
    assert_int_equal(stanch_engine_explain(sim.engine, input, &told, &err), STANCH_E_NOT_FOUND);
    assert_null(told);
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_stands_against_it),
        cmocka_unit_test(limits_say_how_full_they_are_and_when_there_is_room),
        cmocka_unit_test(what_is_not_said_counts_against_it),
        cmocka_unit_test(stops_holds_conflicts_and_limits_are_what_the_question_says),
        cmocka_unit_test(a_breaker_says_how_far_it_is_and_when_it_closes),
        cmocka_unit_test(an_incident_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
