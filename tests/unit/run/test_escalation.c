/* test_escalation.c: who is asked when nobody answers, or when there is nobody for it. */
#include "run/house.h"

static void nobody_answers_for_forty_minutes(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    ask(&house, NULL);
    assert_member(&house, "A-1", "role", "ic");
    stanch_loop_sim_advance(house.sim.loop, 9 * MINUTE);
    assert_int_equal(count_of(&house, "approval.reminded"), 0);
    sim_crash(&house.sim); /* what is due is known to the journal */
    stanch_loop_sim_advance(house.sim.loop, 2 * MINUTE);
    assert_int_equal(count_of(&house, "approval.reminded"), 1);
    assert_state(&house.sim, "approval", "A-1", "pending");
    sim_crash(&house.sim);
    stanch_loop_sim_advance(house.sim.loop, 4 * MINUTE);
    assert_state(&house.sim, "approval", "A-1", "expired");
    assert_int_equal(count_of(&house, "approval.reminded"), 1);
    assert_member(&house, "A-2", "role", "pool");
    assert_member(&house, "A-2", "of_role", "ic");
    assert_int_equal(approve(&house, "person:barbara", "A-2"), STANCH_E_FORBIDDEN);
    stanch_loop_sim_advance(house.sim.loop, 26 * MINUTE); /* forty are over */
    assert_int_equal(count_of(&house, "approval.reminded"), 2);
    assert_state(&house.sim, "approval", "A-2", "pending");
    stanch_loop_sim_advance(house.sim.loop, 5 * MINUTE);
    assert_state(&house.sim, "approval", "A-2", "expired");
    assert_member(&house, "A-3", "role", "pool");
    assert_holder(&house, "ic", "person:ada");
    assert_int_equal(approve(&house, "person:grace", "A-3"), 0);
    assert_holder(&house, "ic", "person:grace");
    assert_int_equal(count_of(&house, "incident.assigned"), 3); /* two on call, and this */
    assert_done(&house);
    move_out(&house);
}

static void the_holder_who_comes_back_answers_what_the_pool_was_asked(void **state)
{
    (void)state;
    struct house house;
    move_in(&house, everybody, "{}");
    ask(&house, NULL);
    stanch_loop_sim_advance(house.sim.loop, 15 * MINUTE);
    assert_member(&house, "A-2", "role", "pool");
    assert_int_equal(approve(&house, "person:ada", "A-2"), 0);
    assert_holder(&house, "ic", "person:ada");
    assert_done(&house);
    move_out(&house);
}

static void the_ladder_is_climbed_and_empty_roles_are_passed_over(void **state)
{
    (void)state;
    struct house house;
    move_in(
        &house, everybody,
        "{\"remind_ms\":0,\"escalation\":[{\"to\":\"role\",\"within_ms\":60000},{\"to\":\"comms\",\"within_ms\":60000},"
        "{\"to\":\"lead\",\"within_ms\":120000},{\"to\":\"pool\",\"within_ms\":60000}]}");
    ask(&house, NULL);
    stanch_loop_sim_advance(house.sim.loop, 15 * MINUTE);
    assert_member(&house, "A-2", "role", "ic");
    stanch_loop_sim_advance(house.sim.loop, MINUTE);
    assert_member(&house, "A-3", "role", "lead"); /* there is nobody for comms */
    stanch_loop_sim_advance(house.sim.loop, MINUTE);
    assert_state(&house.sim, "approval", "A-3", "pending");
    assert_int_equal(count_of(&house, "approval.reminded"), 0);
    assert_int_equal(approve(&house, "person:grace", "A-3"), STANCH_E_FORBIDDEN);
    assert_int_equal(approve(&house, "person:barbara", "A-3"), 0);
    assert_holder(&house, "ic", "person:ada"); /* the lead answers as the lead */
    assert_done(&house);
    move_out(&house);
}

static void what_is_for_nobody_is_asked_of_the_pool_at_once(void **state)
{
    (void)state;
    struct house house;
    move_in(&house,
            "{\"people\":[{\"name\":\"ada\",\"may\":\"approve\"},{\"name\":\"grace\",\"may\":\"approve\"}],"
            "\"pool\":[\"grace\"]}",
            "{}");
    ask(&house, NULL);
    assert_member(&house, "A-1", "role", "pool");
    assert_int_equal(approve(&house, "person:ada", "A-1"), STANCH_E_FORBIDDEN);
    assert_int_equal(give(&house, "person:ada", "ic", NULL, NULL), 0); /* free: who may approve takes it */
    assert_int_equal(approve(&house, "person:ada", "A-1"), 0);
    assert_done(&house);
    move_out(&house);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_answers_for_forty_minutes),
        cmocka_unit_test(the_holder_who_comes_back_answers_what_the_pool_was_asked),
        cmocka_unit_test(the_ladder_is_climbed_and_empty_roles_are_passed_over),
        cmocka_unit_test(what_is_for_nobody_is_asked_of_the_pool_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
