/* test_accept.c: what a store of an earlier release has in use counts as accepted, once; what came later does not. */
#include "flow_parts.h"
#include "run/sim_case.h"

struct kept {
    struct sim sim;
    struct stanch_flow *flow;
    struct stanch_runbook runbook;
    struct stanch_catalogue catalogue;
};

/* A store whose newest commit was accepted, by a release that knew digests or one that did not. */
static void begin(struct kept *kept, bool knows_digests)
{
    struct stanch_err err;
    sim_init(&kept->sim, "high", NULL);
    kept->flow = STANCH_NEW(struct stanch_flow);
    kept->flow->journal = kept->sim.journal;
    kept->flow->engine = kept->sim.engine;
    kept->runbook = (struct stanch_runbook){.declared = json_pack("{s:s, s:s}", "name", "heal", "digest", "d1")};
    kept->catalogue = (struct stanch_catalogue){.commit = "c1", .runbooks = &kept->runbook, .count = 1};
    json_t *data = json_pack("{s:s}", "commit", "c1");
    if (knows_digests)
        json_object_set_new(data, "digests", stanch_flow__digests(&kept->catalogue));
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "book.accepted", STANCH_BY_STANCH, NULL, data);
    assert_int_equal(stanch_journal_append(kept->sim.journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_advance(kept->sim.loop, 100);
}

static void done(struct kept *kept)
{
    json_decref(kept->runbook.declared);
    free(kept->flow);
    sim_done(&kept->sim);
}

static bool is_accepted(struct kept *kept)
{
    STANCH_AUTO_JSON json_t *told =
        stanch_engine_autonomy(kept->sim.engine, "heal", stanch_json_str(kept->runbook.declared, "digest", ""));
    assert_int_equal(stanch_json_bool(told, "asks", false), !stanch_json_bool(told, "accepted", false));
    return stanch_json_bool(told, "accepted", false);
}

static void what_an_earlier_release_had_in_use_is_accepted_once(void **state)
{
    (void)state;
    struct kept kept;
    begin(&kept, false);
    assert_false(is_accepted(&kept));
    stanch_flow__accept_kept(kept.flow, &kept.catalogue);
    stanch_loop_sim_advance(kept.sim.loop, 100);
    assert_true(is_accepted(&kept));
    json_object_set_new(kept.runbook.declared, "digest", json_string("d2"));
    stanch_flow__accept_kept(kept.flow, &kept.catalogue); /* there is somebody to ask now */
    stanch_loop_sim_advance(kept.sim.loop, 100);
    assert_false(is_accepted(&kept));
    done(&kept);
}

static void what_this_release_took_is_not_accepted_by_a_restart(void **state)
{
    (void)state;
    struct kept kept;
    begin(&kept, true);
    stanch_flow__accept_kept(kept.flow, &kept.catalogue);
    stanch_loop_sim_advance(kept.sim.loop, 100);
    assert_false(is_accepted(&kept));
    done(&kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_earlier_release_had_in_use_is_accepted_once),
        cmocka_unit_test(what_this_release_took_is_not_accepted_by_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
