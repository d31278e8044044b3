/* test_autonomy.c: a runbook that observes changes nothing, one that suggests asks, and so does one that nobody accepted as it is. */
#include "run/sim_case.h"
#include <string.h>

static void begin(struct sim *sim, const char *guards)
{
    sim_init(sim, "high", NULL);
    sim->guards = guards;
    sim_crash(sim); /* with that policy */
}

static void run_it(struct sim *sim, const char *run, const char *digest, json_t *want)
{
    STANCH_AUTO_JSON json_t *program = json_array();
    json_array_append_new(program, want);
    json_object_set(sim->programs, run, program);
    sim_begin(sim, run, json_pack("{s:s, s:s*}", "runbook", "heal", "digest", digest));
    stanch_loop_sim_advance(sim->loop, 5000);
}

static void accept(struct sim *sim, const char *digest)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_engine_accept(sim->engine, "person:ada", "heal", digest, "read", batch);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_advance(sim->loop, 100); /* it is committed */
}

static void assert_asks(struct sim *sim, const char *approval, const char *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", approval);
    assert_non_null(doc);
    if (!strstr(stanch_json_str(doc, "why", ""), why))
        fail_msg("%s asks because: %s", approval, stanch_json_str(doc, "why", ""));
}

static json_t *answer_of(struct sim *sim, const char *step)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "step", step);
    return json_incref(json_object_get(doc, "answer"));
}

static int count_open(struct sim *sim, const char *noun)
{
    struct stanch_noun_query query = {.noun = noun, .open = -1, .limit = 100};
    STANCH_AUTO_JSON json_t *list = NULL;
    struct stanch_err err;
    assert_int_equal(stanch_journal_list(sim->journal, &query, &list, &err), 0);
    return (int)json_array_size(list);
}

static void what_observes_changes_nothing_and_says_what_it_would_do(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy\":\"observe\"}");
    run_it(&sim, "R-1", "d1", sim_set("set_convergent", "s1", 7));
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 0);
    assert_int_equal(count_open(&sim, "approval"), 0);
    STANCH_AUTO_JSON json_t *answer = answer_of(&sim, "R-1/1");
    assert_true(stanch_json_bool(json_object_get(answer, "ok"), "observed", false));
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-1/1");
    assert_non_null(strstr(stanch_json_str(step, "would_ask", ""), "heal is new and was not accepted yet"));
    assert_non_null(json_object_get(step, "plan"));
    sim_done(&sim);
}

static void what_observes_tells_and_asks_nobody(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy\":\"observe\"}");
    json_t *tell = sim_set("tell", "s1", 7);
    run_it(&sim, "R-1", NULL, tell);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 0);
    run_it(&sim, "R-2", NULL,
           json_pack("{s:s, s:{s:s, s:s, s:[s]}}", "op", "ask", "args", "role", "ic", "text", "go?", "choices", "yes"));
    STANCH_AUTO_JSON json_t *answer = answer_of(&sim, "R-2/1");
    assert_string_equal(stanch_json_str(json_object_get(answer, "error"), "kind", ""), "observed");
    assert_int_equal(count_open(&sim, "approval"), 0);
    sim_done(&sim);
}

static void what_suggests_asks(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"runbook_rules\":[{\"name\":\"healing\",\"line\":3,\"runbook\":\"he*\",\"autonomy\":\"suggest\"},"
                "{\"name\":\"late\",\"line\":4,\"runbook\":\"*\",\"autonomy\":\"observe\"}]}");
    run_it(&sim, "R-1", NULL, sim_set("set_convergent", "s1", 7));
    assert_asks(&sim, "A-1", "autonomy of heal is suggest by the policy's rule \"healing\"");
    assert_int_equal(sim.effect_count, 0);
    sim_done(&sim);
}

static void what_nobody_accepted_asks_and_an_accepted_one_acts(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{}");
    run_it(&sim, "R-1", "1111111111111111", sim_set("set_convergent", "s1", 1));
    assert_asks(&sim, "A-1",
                "heal is new and was not accepted yet (digest 111111111111): it asks until a person accepts");
    accept(&sim, "1111111111111111");
    run_it(&sim, "R-2", "1111111111111111", sim_set("set_convergent", "s2", 2));
    assert_state(&sim, "run", "R-2", "succeeded");
    sim_crash(&sim);
    run_it(&sim, "R-3", "2222222222222222", sim_set("set_convergent", "s3", 3));
    assert_asks(&sim, "A-2", "heal changed since it was last accepted (digest 222222222222): it asks");
    accept(&sim, "2222222222222222");
    sim_crash(&sim);
    run_it(&sim, "R-4", "2222222222222222", sim_set("set_convergent", "s4", 4));
    run_it(&sim, "R-5", "1111111111111111", sim_set("set_convergent", "s5", 5)); /* it was accepted before, too */
    assert_state(&sim, "run", "R-5", "succeeded");
    assert_int_equal(sim.effect_count, 3);
    sim_done(&sim);
}

static void a_policy_may_let_what_changed_act(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy_changed\":\"auto\"}");
    run_it(&sim, "R-1", "d1", sim_set("set_convergent", "s1", 7));
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

static void an_approval_is_no_way_around_observing(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy\":\"suggest\"}");
    run_it(&sim, "R-1", NULL, sim_set("set_convergent", "s1", 7));
    assert_asks(&sim, "A-1", "autonomy of heal is suggest");
    sim.guards = "{\"autonomy\":\"observe\"}";
    sim_crash(&sim);
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "approval", "A-1", "voided");
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 0);
    sim_done(&sim);
}

static void begin_plan(struct sim *sim, const char *run, json_t *program)
{
    json_object_set_new(sim->programs, run, program);
    sim_begin(sim, run,
              json_pack("{s:s, s:s, s:s, s:b}", "runbook", "heal", "digest", "d1", "would_hold", "shop", "observe", 1));
}

static void a_plan_observes_also_where_the_policy_lets_it_act(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy_changed\":\"auto\"}");
    begin_plan(&sim, "R-1", json_pack("[o, o]", sim_set("set_convergent", "s1", 7), sim_set("tell", "s1", 7)));
    assert_int_equal(stanch_engine_going(sim.engine, NULL, NULL), 0); /* it takes no place */
    assert_int_equal(stanch_engine_waiting(sim.engine), 0);
    assert_null(stanch_engine_holder(sim.engine, "shop"));
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 0);
    assert_int_equal(count_open(&sim, "approval"), 0);
    assert_int_equal(count_open(&sim, "sent"), 0);
    run_it(&sim, "R-2", "d1", sim_set("set_convergent", "s1", 7)); /* the next one acts, as ever */
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

static void a_plan_stays_one_over_a_crash(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{\"autonomy_changed\":\"auto\"}");
    begin_plan(&sim, "R-1", json_pack("[o]", sim_set("set_convergent", "s1", 7)));
    char seen[32] = "none";
    for (int i = 0; i < 100 && strcmp(seen, "running") != 0; i++) {
        stanch_loop_sim_advance(sim.loop, 1); /* until its start is committed, and no further */
        sim_state_of(&sim, "run", "R-1", seen);
    }
    assert_string_equal(seen, "running");
    sim_crash(&sim);
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 0);
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-1/1");
    assert_non_null(json_object_get(step, "would_args"));
    sim_done(&sim);
}

static void a_plan_waits_for_nothing(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "{}");
    begin_plan(&sim, "R-1", json_pack("[{s:s, s:{s:I}}]", "op", "sleep", "args", "ms", (json_int_t)3600000));
    stanch_loop_sim_advance(sim.loop, 5000);
    assert_state(&sim, "run", "R-1", "succeeded");
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_observes_changes_nothing_and_says_what_it_would_do),
        cmocka_unit_test(what_observes_tells_and_asks_nobody),
        cmocka_unit_test(what_suggests_asks),
        cmocka_unit_test(what_nobody_accepted_asks_and_an_accepted_one_acts),
        cmocka_unit_test(a_policy_may_let_what_changed_act),
        cmocka_unit_test(an_approval_is_no_way_around_observing),
        cmocka_unit_test(a_plan_observes_also_where_the_policy_lets_it_act),
        cmocka_unit_test(a_plan_stays_one_over_a_crash),
        cmocka_unit_test(a_plan_waits_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
