/* house.h: a simulated world with people and roles, and what tests say about who may answer there. */
#ifndef STANCH_TESTS_HOUSE_H
#define STANCH_TESTS_HOUSE_H
#include "run/sim_case.h"
#include "incident/roles.h"
#include "people/people.h"

#define MINUTE 60000

static const char everybody[] =
    "{\"people\":[{\"name\":\"ada\",\"may\":\"approve\"},{\"name\":\"grace\",\"may\":\"approve\"},"
    "{\"name\":\"barbara\",\"may\":\"approve\"},{\"name\":\"alan\",\"may\":\"respond\"}],"
    "\"roles\":{\"ic\":{\"people\":[\"ada\"]},\"lead\":{\"people\":[\"barbara\"]}},\"pool\":[\"grace\"]}";

struct house {
    struct sim sim;
    struct stanch_people *people;
    json_t *policy;
    char why[400]; /* of the last refusal */
};

/* policy: JSON text of members over those of sim_world.c; "{}" */
static inline void move_in(struct house *house, const char *who, const char *policy)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *data = json_loads(who, 0, NULL);
    house->policy = json_loads(policy, 0, NULL);
    assert_non_null(data);
    assert_non_null(house->policy);
    assert_int_equal(stanch_people_new(data, &house->people, &err), 0);
    sim_init(&house->sim, "none", NULL);
    house->sim.people = house->people;
    house->sim.policy_more = house->policy;
    sim_crash(&house->sim); /* comes back with both */
    struct stanch_batch *batch = stanch_batch_new();
    stanch_role_put_on_call(house->people, NULL, "INC-1", "stanch", 0, batch);
    assert_int_equal(stanch_journal_append(house->sim.journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_settle(house->sim.loop);
}

static inline void move_out(struct house *house)
{
    sim_done(&house->sim);
    stanch_people_free(house->people);
    json_decref(house->policy);
}

static inline int answer_as(struct house *house, const char *by, const char *id, const char *decision, bool break_glass,
                            const char *note)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(house->sim.journal, STANCH_VIEW_APPENDED, "approval", id);
    struct stanch_err err = {0};
    const struct stanch_answer answer = {.by = by,
                                         .decision = decision,
                                         .plan = stanch_json_str(doc, "plan_digest", NULL),
                                         .note = note,
                                         .break_glass = break_glass};
    int rc = stanch_engine_decide(house->sim.engine, id, &answer, &err);
    (void)snprintf(house->why, sizeof house->why, "%s", err.text);
    return rc;
}

static inline int approve(struct house *house, const char *by, const char *id)
{
    return answer_as(house, by, id, "approve", false, NULL);
}

/* As flow does it. returns 0 or the refusal */
static inline int give(struct house *house, const char *by, const char *role, const char *person, const char *reason)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s}", "incident", "INC-1", "role", role);
    struct stanch_role_change change;
    struct stanch_err err = {0};
    stanch_json_set_str(input, "person", person);
    stanch_json_set_str(input, "reason", reason);
    int rc = stanch_role_check(house->sim.journal, house->people, by, input, &change, &err);
    (void)snprintf(house->why, sizeof house->why, "%s", err.text);
    if (rc < 0)
        return rc;
    struct stanch_batch *batch = stanch_batch_new();
    stanch_role_put(&change, by, batch);
    assert_int_equal(stanch_engine_role_changed(house->sim.engine, &change, batch, &err), 0);
    assert_int_equal(stanch_journal_append(house->sim.journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_settle(house->sim.loop);
    return 0;
}

static inline void assert_holder(struct house *house, const char *role, const char *holder)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(house->sim.journal, STANCH_VIEW_APPENDED, "incident", "INC-1");
    assert_string_equal(stanch_role_holder(doc, role), holder);
}

static inline void assert_member(struct house *house, const char *id, const char *member, const char *value)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(house->sim.journal, STANCH_VIEW_APPENDED, "approval", id);
    assert_string_equal(stanch_json_str(doc, member, ""), value);
}

struct counting {
    const char *kind;
    int count;
};

static inline int count_one(void *ctx, const struct stanch_entry *entry)
{
    struct counting *counting = ctx;
    counting->count += strcmp(entry->kind, counting->kind) == 0;
    return 0;
}

static inline int count_of(struct house *house, const char *kind)
{
    struct counting counting = {.kind = kind};
    struct stanch_entry_query query = {.chain = "INC-1", .limit = 1000};
    struct stanch_err err;
    stanch_loop_sim_settle(house->sim.loop);
    assert_int_equal(stanch_journal_entries(house->sim.journal, &query, count_one, &counting, &err), 0);
    return counting.count;
}

/* A run that asks to set s1: A-1 waits. more: of run.started; taken */
static inline void ask(struct house *house, json_t *more)
{
    sim_want(&house->sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&house->sim, "R-1", more);
    stanch_loop_sim_advance(house->sim.loop, 10000);
    assert_state(&house->sim, "approval", "A-1", "pending");
}

static inline void assert_done(struct house *house)
{
    stanch_loop_sim_advance(house->sim.loop, 20000);
    assert_state(&house->sim, "run", "R-1", "succeeded");
    assert_int_equal(house->sim.effect_count, 1);
}

#endif
