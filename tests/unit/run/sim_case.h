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

#endif
