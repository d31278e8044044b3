/* sim_case.h: what tests say about a simulated world, whichever part of the engine they are about. */
#ifndef STANCH_TESTS_SIM_CASE_H
#define STANCH_TESTS_SIM_CASE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "run/sim_world.h"
#include "timeline/journal.h"
#include <string.h>

static inline void assert_state(struct sim *sim, const char *noun, const char *id, const char *state)
{
    char seen[32];
    sim_state_of(sim, noun, id, seen);
    assert_string_equal(seen, state);
}

/* By a person, of the plan that the question has. */
static inline int decide(struct sim *sim, const char *id, const char *decision)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", id);
    struct stanch_err err;
    const struct stanch_answer answer = {
        .by = "person:ada", .decision = decision, .plan = stanch_json_str(doc, "plan_digest", NULL)};
    return stanch_engine_decide(sim->engine, id, &answer, &err);
}

/* The first apply: it happens, and its answer is lost. */
static inline enum sim_fate lose_after(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    return strcmp(op, "apply") == 0 && sim->effect_count == 0 ? SIM_LOST_AFTER : SIM_FINE;
}

/* R-1 sets s1 by this action, and nobody has to be asked. */
static inline void set_s1(struct sim *sim, const char *action,
                          enum sim_fate (*fate)(struct sim *, const char *, const char *))
{
    sim_init(sim, "low", NULL);
    sim->fate = fate;
    sim_want(sim, sim_set(action, "s1", 7));
    sim_begin(sim, "R-1", NULL);
    stanch_loop_sim_advance(sim->loop, 20000);
}

/* R-1 sets s1 (M-1), sleeps for a minute, and then wants this, when it is not NULL; taken. It sleeps. */
static inline void set_s1_and_sleep(struct sim *sim, json_t *then)
{
    sim_init(sim, "low", NULL);
    sim_want(sim, sim_set("set_convergent", "s1", 7));
    sim_want(sim, json_pack("{s:s, s:{s:i}}", "op", "sleep", "args", "ms", 60000));
    if (then)
        sim_want(sim, then);
    sim_begin(sim, "R-1", NULL);
    stanch_loop_sim_advance(sim->loop, 10000);
}

#endif
