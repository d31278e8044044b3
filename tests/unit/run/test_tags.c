/* test_tags.c: a standing approval by tag, in a simulated world: it holds while the tag is there, a tag that is gone voids
 * what was approved by it, and nobody knows tags of an undo. */
#include "run/sim_case.h"

#define KILLSWITCH                                                                                                     \
    "{\"name\":\"killswitches\",\"line\":1,\"when\":{\"tag\":[\"killswitch\",\"ops:*\"]},\"risk\":\"%s\"}"

/* policy: its members over those of sim_world.c. taken */
static void begin(struct sim *sim, const char *auto_risk, json_t *policy)
{
    assert_non_null(policy);
    sim_init(sim, auto_risk, NULL);
    sim->policy_more = policy;
    sim_crash(sim); /* with that policy */
}

static void end(struct sim *sim)
{
    const json_t *policy = sim->policy_more;
    sim_done(sim);
    json_decref((json_t *)(uintptr_t)policy);
}

/* The rule sets this risk; what it does not hold for is high, and asks two people. */
static json_t *by_tag(const char *risk)
{
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("{\"rules\":[" KILLSWITCH ",{\"name\":\"else\",\"line\":2,\"when\":{},\"risk\":\"high\"}],"
                        "\"approve\":{\"high\":{\"quorum\":2}}}",
                        risk);
    return json_loads(text, 0, NULL);
}

static void tag(struct sim *sim, const char *tags)
{
    json_decref(sim->tags);
    sim->tags = tags ? json_loads(tags, 0, NULL) : NULL;
}

static void set(struct sim *sim, const char *run, int value)
{
    STANCH_AUTO_JSON json_t *program = json_pack("[o]", sim_set("set_convergent", "s1", value));
    json_object_set(sim->programs, run, program);
    sim_begin(sim, run, NULL);
    stanch_loop_sim_advance(sim->loop, 10000);
}

static json_t *approval(struct sim *sim, const char *id)
{
    return stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", id);
}

static void what_is_tagged_runs_without_asking_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *tags;
        bool runs;
    } table[] = {
        {"[\"killswitch\"]", true}, {"[\"ops:pay\",\"x\"]", true}, {"[\"x\"]", false}, {"[]", false}, {NULL, false}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sim sim;
        begin(&sim, "low", by_tag("low"));
        tag(&sim, table[i].tags);
        set(&sim, "R-1", 7);
        assert_int_equal(sim.effect_count, table[i].runs);
        if (!table[i].runs)
            assert_state(&sim, "approval", "A-1", "pending");
        end(&sim);
    }
}

/* Under another rule than it was approved, and with the same one but for another reason; also after a crash. */
static void a_tag_that_is_gone_voids_the_approval(void **state)
{
    (void)state;
    static const struct {
        const char *later;
        bool crash;
        int quorum;
    } table[] = {{"[]", false, 2}, {NULL, false, 2}, {"[\"ops:pay\"]", false, 1}, {"[\"x\"]", true, 2}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct sim sim;
        begin(&sim, "none", by_tag("medium"));
        tag(&sim, "[\"killswitch\",\"ops:pay\",\"x\"]");
        set(&sim, "R-1", 7);
        assert_state(&sim, "approval", "A-1", "pending");
        STANCH_AUTO_JSON json_t *asked = approval(&sim, "A-1");
        STANCH_AUTO_FREE char *rules = json_dumps(json_object_get(asked, "rules"), JSON_COMPACT);
        assert_non_null(strstr(rules, "\"tags\":[\"killswitch\",\"ops:pay\"]"));
        tag(&sim, table[i].later);
        if (table[i].crash)
            sim_crash(&sim);
        assert_int_equal(decide(&sim, "A-1", "approve"), 0);
        stanch_loop_sim_advance(sim.loop, 10000);
        assert_int_equal(sim.effect_count, 0);
        assert_state(&sim, "approval", "A-1", "voided");
        assert_state(&sim, "approval", "A-2", "pending");
        STANCH_AUTO_JSON json_t *again = approval(&sim, "A-2");
        assert_int_equal(stanch_json_int(again, "quorum", 0), table[i].quorum);
        assert_non_null(
            strstr(stanch_json_str(again, "why", ""), "the tags that the policy's rule goes by are others"));
        assert_string_not_equal(stanch_json_str(asked, "plan_digest", ""), stanch_json_str(again, "plan_digest", ""));
        end(&sim);
    }
}

static void another_tag_voids_nothing(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "none", by_tag("medium"));
    tag(&sim, "[\"killswitch\",\"x\"]");
    set(&sim, "R-1", 7);
    tag(&sim, "[\"y\",\"killswitch\"]");
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_state(&sim, "approval", "A-1", "consumed");
    assert_int_equal(sim.effect_count, 1);
    end(&sim);
}

/* A tag that comes, of a rule before the one that it was approved under. */
static void a_tag_that_comes_may_bring_another_rule(void **state)
{
    (void)state;
    struct sim sim;
    begin(&sim, "none",
          json_loads(
              "{\"rules\":[{\"name\":\"never\",\"line\":1,\"when\":{\"tag\":[\"permanent\"]},\"risk\":\"forbidden\"}]}",
              0, NULL));
    tag(&sim, "[]");
    set(&sim, "R-1", 7);
    assert_state(&sim, "approval", "A-1", "pending");
    tag(&sim, "[\"permanent\"]");
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    stanch_loop_sim_advance(sim.loop, 10000);
    assert_int_equal(sim.effect_count, 0); /* the run heard that it is refused, and went on to its end */
    assert_state(&sim, "run", "R-1", "succeeded");
    end(&sim);
}

/* The tags in the plan of what is taken back are of the day when it was applied. */
static void an_undo_goes_by_no_tags(void **state)
{
    (void)state;
    struct sim sim;
    begin(
        &sim, "low",
        json_loads("{\"rules\":[{\"name\":\"applied\",\"line\":1,\"when\":{\"effect\":\"mitigate\"},\"risk\":\"low\"},"
                   "{\"name\":\"killswitches\",\"line\":2,\"when\":{\"tag\":[\"killswitch\"]},\"risk\":\"low\"},"
                   "{\"name\":\"else\",\"line\":3,\"when\":{},\"risk\":\"medium\"}]}",
                   0, NULL));
    tag(&sim, "[\"killswitch\"]");
    STANCH_AUTO_JSON json_t *program = json_pack("[o, {s:s, s:{s:s, s:s}}]", sim_set("set_convergent", "s1", 7), "op",
                                                 "undo", "args", "mitigation", "M-1", "because", "enough");
    json_object_set(sim.programs, "R-1", program);
    sim_begin(&sim, "R-1", NULL);
    stanch_loop_sim_advance(sim.loop, 20000);
    assert_int_equal(sim.effect_count, 1);
    assert_state(&sim, "approval", "A-1", "pending");
    STANCH_AUTO_JSON json_t *asked = approval(&sim, "A-1");
    assert_string_equal(stanch_json_str(json_array_get(json_object_get(asked, "rules"), 0), "name", ""), "else");
    end(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_tagged_runs_without_asking_and_nothing_else),
        cmocka_unit_test(a_tag_that_is_gone_voids_the_approval),
        cmocka_unit_test(another_tag_voids_nothing),
        cmocka_unit_test(a_tag_that_comes_may_bring_another_rule),
        cmocka_unit_test(an_undo_goes_by_no_tags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
