/* test_authority.c: who may answer a question: the holder of the role, now; a quorum of different people; break-glass; who
 * started it. */
#include "run/house.h"

/* ---- the role ---- */

static void only_who_holds_the_role_answers(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    ask(&house, NULL);
    assert_int_equal(approve(&house, "person:grace", "A-1"), STANCH_E_FORBIDDEN);
    assert_non_null(strstr(house.why, "for the ic of INC-1, who is person:ada"));
    assert_non_null(strstr(house.why, "stanch incident take INC-1 --role ic --reason"));
    assert_int_equal(answer_as(&house, "person:grace", "A-1", "deny", false, NULL), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:alan", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:nobody", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "token:ci", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "token:ada", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "stanch", "A-1"), STANCH_E_FORBIDDEN);
    assert_state(&house.sim, "approval", "A-1", "pending");
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    assert_int_equal(approve(&house, "person:ada", "A-1"), STANCH_E_CONFLICT);
    assert_done(&house);
    move_out(&house);
}

static void a_role_goes_by_its_rules(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    assert_holder(&house, "ic", "person:ada");
    assert_holder(&house, "lead", "person:barbara");
    assert_holder(&house, "comms", "");
    assert_int_equal(give(&house, "person:grace", "boss", NULL, NULL), STANCH_E_INVALID);
    assert_int_equal(give(&house, "person:ada", "ic", "adda", NULL), STANCH_E_INVALID);
    assert_non_null(strstr(house.why, "there is no \"adda\" in the people file; there is ada, grace, barbara, alan"));
    assert_int_equal(give(&house, "person:ada", "ic", "alan", NULL), STANCH_E_FORBIDDEN);
    assert_int_equal(give(&house, "person:ada", "ic", "", NULL), STANCH_E_INVALID);
    assert_int_equal(give(&house, "person:ada", "ic", "token:ci", NULL), STANCH_E_INVALID);
    assert_int_equal(give(&house, "token:ci", "comms", "alan", NULL), STANCH_E_FORBIDDEN);
    assert_int_equal(give(&house, "person:ada", "ic", "ada", NULL), STANCH_E_CONFLICT);
    assert_int_equal(give(&house, "person:alan", "comms", NULL, NULL), 0); /* it is free */
    assert_int_equal(give(&house, "person:alan", "lead", NULL, "I want it"), STANCH_E_FORBIDDEN);
    assert_int_equal(give(&house, "person:barbara", "ic", NULL, "no answer"), STANCH_E_FORBIDDEN); /* not in the pool */
    assert_int_equal(give(&house, "person:grace", "ic", NULL, NULL), STANCH_E_INVALID);
    assert_non_null(strstr(house.why, "say why"));
    char endless[500];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = 0;
    assert_int_equal(give(&house, "person:grace", "ic", NULL, endless), STANCH_E_INVALID);
    assert_int_equal(give(&house, "person:grace", "ic", NULL, "no answer"), 0);
    assert_holder(&house, "ic", "person:grace");
    assert_int_equal(give(&house, "person:grace", "lead", "alan", NULL), 0); /* the IC gives the other roles */
    assert_int_equal(give(&house, "person:grace", "ic", "person:ada", NULL), 0);
    sim_crash(&house.sim);
    assert_holder(&house, "ic", "person:ada");
    assert_holder(&house, "lead", "person:alan");
    assert_holder(&house, "comms", "person:alan");
    move_out(&house);
}

static void a_question_goes_to_the_new_holder(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    ask(&house, NULL);
    assert_int_equal(give(&house, "person:ada", "ic", "grace", NULL), 0);
    assert_int_equal(count_of(&house, "approval.moved"), 1);
    assert_int_equal(approve(&house, "person:ada", "A-1"), STANCH_E_FORBIDDEN);
    sim_crash(&house.sim);
    assert_int_equal(approve(&house, "person:ada", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:grace", "A-1"), 0);
    assert_done(&house);
    move_out(&house);
}

/* Granted, and the IC changes before it is used. */
static void approve_and_hand_over(struct house *house)
{
    move_in(house, everybody, "{}");
    ask(house, NULL);
    assert_int_equal(approve(house, "person:ada", "A-1"), 0);
    assert_int_equal(give(house, "person:ada", "ic", "grace", NULL), 0);
}

static void what_the_former_holder_approved_is_void(void **state)
{
    (void)state;
    struct house house;
    approve_and_hand_over(&house);
    stanch_loop_sim_advance(house.sim.loop, 10000);
    assert_int_equal(house.sim.effect_count, 0);
    assert_state(&house.sim, "approval", "A-1", "voided");
    assert_member(&house, "A-1", "closed",
                  "just before apply who holds the role is somebody else than when it was approved");
    assert_state(&house.sim, "approval", "A-2", "pending");
    assert_int_equal(approve(&house, "person:ada", "A-2"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:grace", "A-2"), 0);
    assert_done(&house);
    move_out(&house);
}

static void the_same_over_a_crash(void **state)
{
    (void)state;
    struct house house;
    approve_and_hand_over(&house);
    sim_crash(&house.sim);
    stanch_loop_sim_advance(house.sim.loop, 10000);
    assert_int_equal(house.sim.effect_count, 0);
    assert_int_equal(approve(&house, "person:grace", "A-2"), 0);
    assert_done(&house);
    move_out(&house);
}

/* ---- several people ---- */

#define OF_TWO "{\"approve\":{\"low\":{\"role\":\"ic\",\"expires_ms\":900000,\"quorum\":2}}}"

static void a_quorum_is_different_people_one_of_them_with_the_role(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, OF_TWO);
    ask(&house, NULL);
    assert_int_equal(approve(&house, "person:grace", "A-1"), 0);
    assert_int_equal(approve(&house, "person:grace", "A-1"), 0);
    assert_state(&house.sim, "approval", "A-1", "pending");
    assert_int_equal(approve(&house, "person:alan", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:barbara", "A-1"), 0); /* two people, and neither is the IC */
    assert_state(&house.sim, "approval", "A-1", "pending");
    assert_member(&house, "A-1", "needs", "who holds the role among them");
    assert_int_equal(answer_as(&house, "person:barbara", "A-1", "deny", false, NULL), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    assert_done(&house);
    move_out(&house);
}

static void support_of_the_former_holder_is_dropped(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, OF_TWO);
    ask(&house, NULL);
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    stanch_loop_sim_settle(house.sim.loop);
    assert_int_equal(give(&house, "person:ada", "ic", "grace", NULL), 0);
    assert_member(&house, "A-1", "dropped", "person:ada");
    assert_int_equal(approve(&house, "person:grace", "A-1"), 0);
    assert_state(&house.sim, "approval", "A-1", "pending"); /* one so far */
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    assert_done(&house);
    move_out(&house);
}

/* ---- who started it ---- */

#define NOT_REQUESTER "{\"approve\":{\"low\":{\"role\":\"ic\",\"expires_ms\":900000,\"not_requester\":true}}}"

static void who_started_it_does_not_approve_it(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, NOT_REQUESTER);
    ask(&house, json_pack("{s:s}", "requester", "person:ada"));
    assert_int_equal(approve(&house, "person:ada", "A-1"), STANCH_E_FORBIDDEN);
    assert_non_null(strstr(house.why, "person:ada started R-1"));
    assert_int_equal(give(&house, "person:ada", "ic", "grace", NULL), 0);
    assert_int_equal(approve(&house, "person:grace", "A-1"), 0);
    assert_done(&house);
    move_out(&house);
}

static void a_lone_on_call_is_not_locked_out(void **state)
{
    (void)state;
    struct house house;
    move_in(&house,
            "{\"people\":[{\"name\":\"ada\",\"may\":\"approve\"},{\"name\":\"alan\",\"may\":\"respond\"}],"
            "\"roles\":{\"ic\":{\"people\":[\"ada\"]}}}",
            NOT_REQUESTER);
    ask(&house, json_pack("{s:s}", "requester", "person:ada"));
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    assert_member(&house, "A-1", "exception", "who also started R-1: nobody else may approve");
    assert_done(&house);
    move_out(&house);
}

/* ---- break-glass ---- */

static void breaking_the_glass_is_an_entry_of_its_own(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody,
            "{\"approve\":{\"low\":{\"role\":\"ic\",\"expires_ms\":900000,\"quorum\":2}},"
            "\"break_glass\":{\"people\":[\"barbara\"]}}");
    ask(&house, NULL);
    assert_int_equal(answer_as(&house, "person:barbara", "A-1", "approve", true, ""), STANCH_E_INVALID);
    assert_int_equal(answer_as(&house, "person:barbara", "A-1", "deny", true, "it burns"), STANCH_E_INVALID);
    assert_int_equal(answer_as(&house, "person:grace", "A-1", "approve", true, "it burns"), STANCH_E_FORBIDDEN);
    assert_int_equal(answer_as(&house, "token:barbara", "A-1", "approve", true, "it burns"), STANCH_E_FORBIDDEN);
    assert_int_equal(answer_as(&house, "person:barbara", "A-1", "approve", true, "it burns"), 0);
    assert_int_equal(give(&house, "person:ada", "ic", "grace", NULL), 0); /* it was nobody's as IC */
    assert_done(&house);
    assert_int_equal(count_of(&house, "approval.forced"), 1);
    STANCH_AUTO_JSON json_t *listed = stanch_journal_get(house.sim.journal, STANCH_VIEW_COMMITTED, "forced", "A-1");
    assert_string_equal(stanch_json_str(listed, "note", ""), "it burns");
    assert_string_equal(stanch_json_str(listed, "decided_by", ""), "person:barbara");
    move_out(&house);
}

static void without_leave_of_the_policy_nobody_breaks_the_glass(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    ask(&house, NULL);
    assert_int_equal(answer_as(&house, "person:grace", "A-1", "approve", true, "it burns"), STANCH_E_FORBIDDEN);
    move_out(&house);
    move_in(&house, everybody, "{\"break_glass\":{\"people\":\"pool\"}}");
    ask(&house, NULL);
    assert_int_equal(answer_as(&house, "person:barbara", "A-1", "approve", true, "it burns"), STANCH_E_FORBIDDEN);
    assert_int_equal(answer_as(&house, "person:grace", "A-1", "approve", true, "it burns"), 0);
    move_out(&house);
}

/* ---- at random: whatever people, time and crashes do ---- */

struct story {
    char holder[160]; /* of ic, as far as it is read */
    json_t *granted;  /* approval -> who agreed */
    int used, handed;
};

static int read_story(void *ctx, const struct stanch_entry *entry)
{
    struct story *story = ctx;
    const char *id = stanch_json_str(entry->data, "approval", "");
    if (strcmp(entry->kind, "incident.assigned") == 0 && strcmp(stanch_json_str(entry->data, "role", ""), "ic") == 0) {
        (void)snprintf(story->holder, sizeof story->holder, "%s", stanch_json_str(entry->data, "holder", ""));
        story->handed++;
    } else if (strcmp(entry->kind, "approval.granted") == 0) {
        json_object_set(story->granted, id, json_object_get(entry->data, "granted_by"));
    } else if (strcmp(entry->kind, "approval.consumed") == 0) {
        const json_t *granted = json_object_get(story->granted, id);
        bool has_holder = false;
        for (size_t i = 0; i < json_array_size(granted); i++)
            has_holder = has_holder || strcmp(json_string_value(json_array_get(granted, i)), story->holder) == 0;
        if (json_array_size(granted) < 2 || !has_holder)
            fail_msg("%s was used without the word of %s and another one", id, story->holder);
        story->used++;
    }
    return 0;
}

static void do_something(struct house *house)
{
    static const char *const who[] = {"person:ada", "person:grace", "person:barbara", "person:alan", "token:ci"};
    struct sim *sim = &house->sim;
    const char *by = who[sim_dice(sim, 5)], *other = who[sim_dice(sim, 5)];
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 1};
    STANCH_AUTO_JSON json_t *open = NULL;
    struct stanch_err err;
    switch (sim_dice(sim, 8)) {
    case 0:
        (void)give(house, by, "ic", other, sim_dice(sim, 2) ? "why not" : NULL);
        return;
    case 1:
        sim_crash(sim);
        return;
    case 2:
        stanch_loop_sim_advance(sim->loop, sim_dice(sim, 12 * MINUTE));
        return;
    case 3:
        stanch_loop_sim_advance(sim->loop, sim_dice(sim, 40)); /* in the middle of what goes on */
        return;
    default:
        assert_int_equal(stanch_journal_list(sim->journal, &query, &open, &err), 0);
        if (json_array_size(open) > 0)
            (void)approve(house, by, stanch_json_str(json_array_get(open, 0), "id", ""));
    }
}

static void nothing_runs_without_the_word_of_who_holds_the_role(void **state)
{
    (void)state;
    int used = 0, handed = 0, effects = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct house house;
        struct story story = {.granted = json_object()};
        move_in(&house, everybody, OF_TWO);
        house.sim.seed = seed;
        for (int i = 0; i < 4; i++)
            sim_want(&house.sim, sim_set("set_convergent", "s1", 7 + i));
        sim_begin(&house.sim, "R-1", NULL);
        for (int i = 0; i < 120; i++)
            do_something(&house);
        stanch_loop_sim_settle(house.sim.loop);
        struct stanch_entry_query query = {.chain = "INC-1", .limit = 100000};
        struct stanch_err err;
        assert_int_equal(stanch_journal_entries(house.sim.journal, &query, read_story, &story, &err), 0);
        used += story.used;
        handed += story.handed;
        effects += house.sim.effect_count;
        json_decref(story.granted);
        move_out(&house);
    }
    assert_true(used > 60 && handed > 120); /* it was no idle talk */
    assert_true(effects <= used);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_holds_the_role_answers),
        cmocka_unit_test(a_role_goes_by_its_rules),
        cmocka_unit_test(a_question_goes_to_the_new_holder),
        cmocka_unit_test(what_the_former_holder_approved_is_void),
        cmocka_unit_test(the_same_over_a_crash),
        cmocka_unit_test(a_quorum_is_different_people_one_of_them_with_the_role),
        cmocka_unit_test(support_of_the_former_holder_is_dropped),
        cmocka_unit_test(who_started_it_does_not_approve_it),
        cmocka_unit_test(a_lone_on_call_is_not_locked_out),
        cmocka_unit_test(breaking_the_glass_is_an_entry_of_its_own),
        cmocka_unit_test(without_leave_of_the_policy_nobody_breaks_the_glass),
        cmocka_unit_test(nothing_runs_without_the_word_of_who_holds_the_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
