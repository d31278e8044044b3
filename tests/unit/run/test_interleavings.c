/* Campaign D6: random interleavings of people who approve (what they see, what they saw a while ago, what nobody planned; who
 * may and who may not), of a role that is handed over and taken, of somebody else who changes the remote, of policies that
 * change, of stops, expiries and deaths, all from a seed. A judge of its own looks at every apply that leaves: was exactly this
 * plan approved, by enough people, who holds the role now among them, under these rules, and not used before?
 *
 *   STANCH_SEEDS=n  how many interleavings, from STANCH_FROM on      STANCH_SEED=n  this one alone
 */
#include "run/sim_case.h"
#include "base/log.h"
#include "incident/roles.h"
#include "people/people.h"
#include "run/stop.h"
#include <stdio.h>

#define GRANTS 64
#define MOVES  16
#define SLACK  40 /* ms from an intent to its call: a policy that changes meanwhile comes too late */

struct grant {
    char id[32];
    json_t *plan;
    char rule[8]; /* that matched when it was asked; "" none */
    char people[4][20];
    int count;
    int64_t due_ms;
    char used_by[80]; /* the key of the step that it was used for */
};

struct rules {
    int quorum;
    char rule[8];
    int64_t until_ms; /* in force until then; of the present ones: for ever */
};

struct holder {
    char name[160];
    int64_t until_ms; /* as above */
};

struct play {
    struct sim sim;
    struct stanch_people *people;
    struct holder ic, ic_before;
    uint64_t first_seed;
    struct grant grants[GRANTS];
    int grant_count;
    struct rules now, before;
    json_t *seen; /* a question as somebody saw it a while ago */
    int applied, voided, refused, handed;
};

/* ---- the policy ---- */

static void say_policy(struct play *play)
{
    struct sim *sim = &play->sim;
    struct stanch_policy *other = NULL;
    struct stanch_err err = {0};
    json_t *rules = json_pack("[{s:s, s:i, s:{s:s}, s:s}]", "name", "unrelated", "line", 1, "when", "action", "nothing",
                              "risk", "high");
    if (play->now.rule[0])
        json_array_append_new(rules, json_pack("{s:s, s:i, s:{s:s}, s:s}", "name", play->now.rule, "line", 2, "when",
                                               "action", "set_*", "risk", "low"));
    if (sim_dice(sim, 2))
        json_array_append_new(rules, json_pack("{s:s, s:i, s:{s:s}, s:s}", "name", "other", "line", sim_dice(sim, 9),
                                               "when", "plugin", "other", "risk", "forbidden"));
    STANCH_AUTO_JSON json_t *policy =
        json_pack("{s:s, s:{s:{s:s, s:i, s:i}}, s:o}", "auto", "none", "approve", "low", "role", "ic", "expires_ms",
                  900000, "quorum", play->now.quorum, "rules", rules);
    if (stanch_policy_new(policy, &other, &err) < 0)
        fail_msg("%s", err.text);
    stanch_policy_become(sim->policy, other);
}

static void change_policy(struct play *play)
{
    static const char *const names[] = {"", "a", "b"};
    struct sim *sim = &play->sim;
    play->before = play->now;
    play->before.until_ms = stanch_loop_mono_ms(sim->loop) + SLACK;
    play->now.quorum = 1 + sim_dice(sim, 3);
    (void)snprintf(play->now.rule, sizeof play->now.rule, "%s", names[sim_dice(sim, 3)]);
    say_policy(play);
}

/* ---- the judge ---- */

static bool same_plan(const json_t *a, const json_t *b)
{
    static const char *const members[] = {"targets", "from", "to", "undo"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!json_equal(json_object_get(a, members[i]), json_object_get(b, members[i])))
            return false;
    return true;
}

static bool is_among(const struct grant *grant, const char *name)
{
    for (int i = 0; i < grant->count; i++)
        if (strcmp(grant->people[i], name) == 0)
            return true;
    return false;
}

static bool is_by_ic(const struct play *play, const struct grant *grant, int64_t now_ms)
{
    return is_among(grant, play->ic.name) ||
           (now_ms <= play->ic_before.until_ms && is_among(grant, play->ic_before.name));
}

static bool allows(const struct rules *rules, const struct grant *grant, int64_t now_ms)
{
    return now_ms <= rules->until_ms && grant->count >= rules->quorum && strcmp(grant->rule, rules->rule) == 0;
}

/* After a death the same step may look, and send again what did not arrive (PROMISES.md 1.3; D14 judges whether it may). */
static bool is_again(const struct grant *grant, const char *key, const json_t *plan)
{
    return strcmp(grant->used_by, key) == 0 && same_plan(grant->plan, plan);
}

static void judge(struct play *play, const char *key, const json_t *plan)
{
    int64_t now = stanch_loop_mono_ms(play->sim.loop);
    play->applied++;
    for (int i = 0; i < play->grant_count; i++) {
        struct grant *grant = &play->grants[i];
        if (is_again(grant, key, plan))
            return;
        if (grant->used_by[0] || now > grant->due_ms + SLACK || !same_plan(grant->plan, plan))
            continue;
        if (!is_by_ic(play, grant, now))
            continue;
        if (allows(&play->now, grant, now) || allows(&play->before, grant, now)) {
            (void)snprintf(grant->used_by, sizeof grant->used_by, "%s", key);
            return;
        }
    }
    STANCH_AUTO_FREE char *text = json_dumps(plan, JSON_COMPACT);
    fail_msg("STANCH_SEED=%llu: what nobody approved so is applied: %s", (unsigned long long)play->first_seed, text);
}

static int judge_call(void *ctx, const struct stanch_plugin_request *request,
                      void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                      struct stanch_plugin_call **ret, struct stanch_err *err)
{
    if (strcmp(request->op, "apply") == 0)
        judge(container_of((struct sim *)ctx, struct play, sim), stanch_json_str(request->input, "key", ""),
              json_object_get(request->input, "plan"));
    return sim__call(ctx, request, on_answer, call_ctx, ret, err);
}

/* ---- people ---- */

static json_t *open_question(struct play *play)
{
    struct sim *sim = &play->sim;
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 20};
    STANCH_AUTO_JSON json_t *list = NULL;
    if (stanch_journal_list(sim->journal, &query, &list, NULL) < 0 || json_array_size(list) == 0)
        return NULL;
    return json_incref(json_array_get(list, (size_t)sim_dice(sim, (int)json_array_size(list))));
}

static struct grant *grant_of(struct play *play, const json_t *question)
{
    const char *id = stanch_json_str(question, "id", "");
    for (int i = 0; i < play->grant_count; i++)
        if (strcmp(play->grants[i].id, id) == 0)
            return &play->grants[i];
    assert_true(play->grant_count < GRANTS);
    struct grant *grant = &play->grants[play->grant_count++];
    const json_t *rules = json_object_get(question, "rules");
    (void)snprintf(grant->id, sizeof grant->id, "%s", id);
    (void)snprintf(grant->rule, sizeof grant->rule, "%s", stanch_json_str(json_array_get(rules, 0), "name", ""));
    grant->plan = json_incref(json_object_get(question, "plan"));
    grant->due_ms = stanch_loop_mono_ms(play->sim.loop) + stanch_json_int(question, "lasts_ms", 0);
    return grant;
}

static void set_ic(struct play *play, const char *name)
{
    if (strcmp(play->ic.name, name) == 0)
        return;
    play->ic_before = play->ic;
    play->ic_before.until_ms = stanch_loop_mono_ms(play->sim.loop) + SLACK;
    (void)snprintf(play->ic.name, sizeof play->ic.name, "%s", name);
}

/* What a decision that was taken gives; counted apart from the engine. */
static void note_grant(struct play *play, const json_t *question, const char *by)
{
    struct grant *grant = grant_of(play, question);
    if (is_among(grant, by))
        return;
    assert_true(grant->count < 4);
    (void)snprintf(grant->people[grant->count++], sizeof grant->people[0], "%s", by);
}

/* Only an answer for the pool gives the role to who answered; unless its holder has agreed already. */
static void look_who_took_it(struct play *play, const json_t *question, const char *by)
{
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(play->sim.journal, "incident", "INC-1");
    const char *holder = stanch_role_holder(incident, "ic");
    bool pool = strcmp(stanch_json_str(question, "role", ""), STANCH_ROLE_POOL) == 0;
    if (strcmp(holder, play->ic.name) != 0 && (!pool || strcmp(holder, by) != 0))
        fail_msg("STANCH_SEED=%llu: %s is the ic after an answer of %s", (unsigned long long)play->first_seed, holder,
                 by);
    set_ic(play, holder);
}

/* Somebody presses a button: on the question that is open now, or on the card that was looked at a while ago. */
static void press(struct play *play)
{
    static const char *const people[] = {"person:ada", "person:bob", "person:eve",  "person:ada", "person:bob",
                                         "person:eve", "person:ada", "person:alan", "token:ci",   "person:nobody"};
    struct sim *sim = &play->sim;
    STANCH_AUTO_JSON json_t *open = open_question(play);
    STANCH_AUTO_JSON json_t *card = play->seen && sim_dice(sim, 3) == 0 ? json_incref(play->seen)
                                    : open                              ? json_incref(open)
                                                                        : NULL;
    struct stanch_err err;
    if (!card)
        return;
    bool is_plan = json_object_get(card, "plan") != NULL, deny = sim_dice(sim, 12) == 0;
    const char *by = people[sim_dice(sim, 10)];
    const char *digest = stanch_json_str(card, "plan_digest", NULL);
    if (is_plan && sim_dice(sim, 10) == 0)
        digest = sim_dice(sim, 2) ? "0000000000000000000000000000000000000000000000000000000000000000" : NULL;
    const char *decision = deny ? "deny" : "approve";
    if (!is_plan)
        decision = json_string_value(json_array_get(json_object_get(card, "choices"), 0));
    /* the question may be another than the card: what is approved is what stands in the journal under the card's id */
    const struct stanch_answer answer = {.by = by, .decision = decision, .plan = digest};
    if (stanch_engine_decide(sim->engine, stanch_json_str(card, "id", ""), &answer, &err) < 0) {
        play->refused++;
        return;
    }
    if (stanch_people_may(play->people, by) < STANCH_MAY_APPROVE)
        fail_msg("STANCH_SEED=%llu: %s decided", (unsigned long long)play->first_seed, by);
    STANCH_AUTO_JSON json_t *asked =
        stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "approval", stanch_json_str(card, "id", ""));
    if (is_plan && !deny)
        note_grant(play, asked, by);
    look_who_took_it(play, asked, by);
}

/* The holder hands the role over, or somebody takes it, or somebody tries to who may not. */
static void hand_over(struct play *play)
{
    static const char *const people[] = {"person:ada", "person:bob", "person:eve", "person:alan", "token:ci"};
    struct sim *sim = &play->sim;
    const char *by = sim_dice(sim, 2) ? play->ic.name : people[sim_dice(sim, 5)], *to = people[sim_dice(sim, 4)];
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s, s:s, s:s}", "incident", "INC-1", "role", "ic", "person",
                                               to + strlen("person:"), "reason", "no answer");
    struct stanch_role_change change;
    struct stanch_err err = {0};
    if (stanch_role_check(sim->journal, play->people, by, input, &change, &err) < 0)
        return;
    if (stanch_people_may(play->people, by) < STANCH_MAY_APPROVE ||
        stanch_people_may(play->people, to) < STANCH_MAY_APPROVE)
        fail_msg("STANCH_SEED=%llu: %s made %s the ic", (unsigned long long)play->first_seed, by, to);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_role_put(&change, by, batch);
    assert_int_equal(stanch_engine_role_changed(sim->engine, &change, batch, &err), 0);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    play->handed++;
    set_ic(play, to);
}

static void remember(struct play *play)
{
    json_decref(play->seen);
    play->seen = open_question(play);
}

/* ---- one interleaving ---- */

/* What was not committed is gone, a role that was handed over a moment ago too. */
static void die(struct play *play)
{
    sim_crash(&play->sim);
    say_policy(play);
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(play->sim.journal, "incident", "INC-1");
    set_ic(play, stanch_role_holder(incident, "ic"));
}

static void flip_the_switch(struct play *play)
{
    struct stanch_err err;
    if (stanch_stop_is_set(play->sim.state_dir))
        stanch_stop_clear(play->sim.state_dir, &err);
    else
        stanch_stop_set(play->sim.state_dir, "r", "person:eve", 0, &err);
}

static void move(struct play *play)
{
    struct sim *sim = &play->sim;
    char target[4] = {'s', (char)('0' + sim_dice(sim, 2)), 0};
    switch (sim_dice(sim, 16)) {
    case 0:
        json_object_set_new(sim->remote, target, json_integer(sim_dice(sim, 4)));
        break;
    case 1:
    case 2:
        change_policy(play);
        break;
    case 3:
        die(play);
        break;
    case 4:
        remember(play);
        break;
    case 5:
        flip_the_switch(play);
        break;
    case 7:
        hand_over(play);
        break;
    case 6:
        sim_advance(sim, sim_dice(sim, 4) ? 200000 : 901000); /* grounds and questions get old */
        break;
    default:
        press(play);
    }
}

static json_t *program_of(struct sim *sim)
{
    static const char *const actions[] = {"set_unprotected", "set_convergent", "set_reconcilable"};
    json_t *program = json_array();
    for (int i = 0; i < 3; i++) {
        char target[4] = {'s', (char)('0' + sim_dice(sim, 2)), 0};
        json_array_append_new(program, sim_set(actions[sim_dice(sim, 3)], target, 5 + sim_dice(sim, 3)));
    }
    return program;
}

static void count_voided(struct play *play)
{
    struct stanch_noun_query query = {.noun = "approval", .open = 0, .limit = 200};
    STANCH_AUTO_JSON json_t *list = NULL;
    assert_int_equal(stanch_journal_list(play->sim.journal, &query, &list, NULL), 0);
    for (size_t i = 0; i < json_array_size(list); i++)
        play->voided += strcmp(stanch_json_str(json_array_get(list, i), "state", ""), "voided") == 0;
}

static const char everybody[] =
    "{\"people\":[{\"name\":\"ada\",\"may\":\"approve\"},{\"name\":\"bob\",\"may\":\"approve\"},"
    "{\"name\":\"eve\",\"may\":\"admin\"},{\"name\":\"alan\",\"may\":\"respond\"}],"
    "\"roles\":{\"ic\":{\"people\":[\"ada\"]}},\"pool\":[\"bob\",\"eve\"]}";

/* People are there from the first incident on. */
static void move_in(struct play *play)
{
    struct sim *sim = &play->sim;
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *data = json_loads(everybody, 0, NULL);
    assert_int_equal(stanch_people_new(data, &play->people, &err), 0);
    sim_init(sim, "none", NULL);
    sim->people = play->people;
    sim_crash(sim); /* comes back with them */
    struct stanch_batch *batch = stanch_batch_new();
    stanch_role_put_on_call(play->people, NULL, "INC-1", "stanch", 0, batch);
    assert_int_equal(stanch_journal_append(sim->journal, batch, NULL, NULL, &err), 0);
    stanch_loop_sim_settle(sim->loop);
    play->ic = (struct holder){.name = "person:ada", .until_ms = INT64_MAX};
    play->ic_before = play->ic;
    play->ic_before.until_ms = 0;
}

static void interleave(uint64_t seed, struct play *total)
{
    struct play play = {.first_seed = seed, .now = {.quorum = 1, .until_ms = INT64_MAX}};
    struct sim *sim = &play.sim;
    move_in(&play);
    sim->world.call = judge_call;
    sim->seed = seed;
    sim->idle_ms = seed % 2 ? 1 : 2000; /* out of memory at once, or seldom */
    sim->jitter = true;
    play.before = play.now;
    change_policy(&play);
    for (int i = 1; i <= 2; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "R-%d", i);
        json_object_set_new(sim->programs, id, program_of(sim));
        sim_begin(sim, id, NULL);
    }
    for (int i = 0; i < MOVES; i++) {
        sim_advance(sim, sim_dice(sim, 3) ? sim_dice(sim, 30) : sim_dice(sim, 3000));
        move(&play);
    }
    sim_advance(sim, 5000);
    count_voided(&play);
    total->applied += play.applied;
    total->voided += play.voided;
    total->refused += play.refused;
    total->handed += play.handed;
    for (int i = 0; i < play.grant_count; i++)
        json_decref(play.grants[i].plan);
    json_decref(play.seen);
    sim_done(sim);
    stanch_people_free(play.people);
}

static int from_env(const char *name, int otherwise)
{
    const char *text = getenv(name);
    return text ? (int)strtol(text, NULL, 10) : otherwise;
}

static void only_what_was_approved_is_applied(void **state)
{
    (void)state;
    bool one = getenv("STANCH_SEED") != NULL;
    int first = one ? from_env("STANCH_SEED", 1) : from_env("STANCH_FROM", 1);
    int count = one ? 1 : from_env("STANCH_SEEDS", 100);
    struct play total = {0};
    stanch_log_set_level(STANCH_LOG_ERROR);
    for (int seed = first; seed < first + count; seed++)
        interleave((uint64_t)seed, &total);
    print_message("%d interleavings from %d: %d applied, %d voided, %d refused, %d handed over\n", count, first,
                  total.applied, total.voided, total.refused, total.handed);
    if (!one && count >= 100) { /* else it would prove nothing */
        assert_true(total.applied > count / 10);
        assert_true(total.handed > count / 5);
        assert_true(total.voided > count / 20);
        assert_true(total.refused > count / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_what_was_approved_is_applied)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
