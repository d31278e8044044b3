/* test_stop.c: the levels of the switch: what their files say, and what they hold back. */
#include "run/sim_case.h"

#include "base/buf.h"
#include "run/engine.h"
#include "run/stop.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Somebody makes a file in the folder of stops. */
static void make(const struct sim *sim, const char *file, const char *text)
{
    STANCH_AUTO_FREE char *folder = stanch_asprintf("%s/stops", sim->state_dir);
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", folder, file);
    (void)mkdir(folder, 0700);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static int set(const struct sim *sim, const char *level, const char *name, int64_t until_ms)
{
    struct stanch_err err;
    const struct stanch_stop stop = {level, name, "a test", "person:ada", 1763690562000, until_ms};
    return stanch_stop_set_level(sim->state_dir, &stop, &err);
}

static bool holds(const struct sim *sim, const char *instance, const char *runbook, const char *target, int64_t now_ms)
{
    STANCH_AUTO_JSON json_t *targets = target ? json_pack("[s]", target) : NULL;
    const struct stanch_stop_about about = {instance, runbook, targets};
    STANCH_AUTO_FREE char *why = stanch_stop_holds(sim->state_dir, &about, now_ms);
    return why != NULL;
}

/* ---- the files ---- */

static void each_level_holds_its_own_and_nothing_else(void **state)
{
    (void)state;
    static const char *const levels[] = {"instance", "runbook", "target"};
    for (size_t i = 0; i < 3; i++) {
        struct sim sim;
        struct stanch_err err;
        sim_init(&sim, "low", NULL);
        assert_false(holds(&sim, "edge", "edge", "edge", 1));
        assert_int_equal(set(&sim, levels[i], "edge", 0), 0);
        assert_int_equal(holds(&sim, "edge", "x", "x", 1), i == 0);
        assert_int_equal(holds(&sim, "x", "edge", "x", 1), i == 1);
        assert_int_equal(holds(&sim, "x", "x", "edge", 1), i == 2);
        assert_false(holds(&sim, NULL, NULL, NULL, 1));
        assert_int_equal(stanch_stop_clear_level(sim.state_dir, levels[i], "edge", &err), 0);
        assert_false(holds(&sim, "edge", "edge", "edge", 1));
        assert_int_equal(stanch_stop_clear_level(sim.state_dir, levels[i], "edge", &err), STANCH_E_NOT_FOUND);
        assert_int_equal(set(&sim, levels[i], "", 0), STANCH_E_INVALID);
        sim_done(&sim);
    }
}

static void any_name_is_found_again(void **state)
{
    (void)state;
    char longest[STANCH_STOP_NAME_MAX + 1];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *const names[] = {"haproxy:edge/shop/s1", "..", ".", "~x", "100%", "a b\n", "\xc3\xa9", "%2F", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sim sim;
        struct stanch_err err;
        sim_init(&sim, "low", NULL);
        assert_int_equal(set(&sim, "target", names[i], 0), 0);
        assert_true(holds(&sim, NULL, NULL, names[i], 1));
        assert_false(holds(&sim, NULL, NULL, "another", 1));
        STANCH_AUTO_JSON json_t *all = stanch_stop_levels(sim.state_dir);
        assert_int_equal(json_array_size(all), 1);
        assert_string_equal(stanch_json_str(json_array_get(all, 0), "name", ""), names[i]);
        assert_string_equal(stanch_json_str(json_array_get(all, 0), "by", ""), "person:ada");
        assert_int_equal(stanch_stop_clear_level(sim.state_dir, "target", names[i], &err), 0);
        assert_false(holds(&sim, NULL, NULL, names[i], 1));
        sim_done(&sim);
    }
}

static void a_file_made_by_hand_is_a_stop(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    make(&sim, "instance:edge", "");
    make(&sim, "target:haproxy:edge%2fshop%2Fs1", "because I say so");
    make(&sim, "runbook:what is this", "{\"reason\":\"mine\",\"until_ms\":\"soon\"}");
    make(&sim, ".instance:other.swp", "");
    assert_true(holds(&sim, "edge", NULL, NULL, INT64_MAX));
    assert_true(holds(&sim, NULL, NULL, "haproxy:edge/shop/s1", INT64_MAX));
    assert_true(holds(&sim, NULL, "what is this", NULL, INT64_MAX)); /* a time that cannot be read is no end */
    assert_false(holds(&sim, "other", "other", "other", 1));
    assert_int_equal(stanch_stop_clear_level(sim.state_dir, "target", "haproxy:edge/shop/s1", &err), 0);
    assert_false(holds(&sim, NULL, NULL, "haproxy:edge/shop/s1", 1));
    sim_done(&sim);
}

static void what_cannot_be_read_counts_as_set(void **state)
{
    (void)state;
    static const char *const names[] = {"instnace:edge", "edge", "instance:", "instance:\xff"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sim sim;
        sim_init(&sim, "low", NULL);
        make(&sim, names[i], "{\"until_ms\":1}");
        assert_true(holds(&sim, NULL, NULL, NULL, INT64_MAX));
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stops/%s", sim.state_dir, names[i]);
        assert_int_equal(unlink(path), 0);
        assert_false(holds(&sim, NULL, NULL, NULL, 1));
        sim_done(&sim);
    }
    struct sim sim;
    sim_init(&sim, "low", NULL);
    make(&sim, "target:~0000", "{}"); /* the name itself should stand in it */
    assert_true(holds(&sim, NULL, NULL, "any", 1));
    assert_false(holds(&sim, "any", "any", NULL, 1));
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stops", sim.state_dir);
    STANCH_AUTO_FREE char *file = stanch_asprintf("%s/target:~0000", path);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(path), 0);
    int fd = open(path, O_WRONLY | O_CREAT, 0600); /* no folder at all */
    close(fd);
    assert_true(holds(&sim, NULL, NULL, NULL, 1));
    assert_int_equal(unlink(path), 0);
    sim_done(&sim);
}

/* With the daemon dead: whatever its clock says when it is back. */
static void a_stop_that_is_released_by_hand_holds_nothing_back_and_says_by_whom(void **state)
{
    (void)state;
    char longest[STANCH_STOP_NAME_MAX + 1];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    const char *const names[] = {"s1", "a b\n", "%2F", longest};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct sim sim;
        struct stanch_err err;
        const struct stanch_stop release = {
            .level = "target", .name = names[i], .by = "person:eve", .reason = i ? "enough" : NULL, .at_ms = 1000};
        sim_init(&sim, "low", NULL);
        assert_int_equal(stanch_stop_release_level(sim.state_dir, &release, &err), STANCH_E_NOT_FOUND);
        assert_int_equal(set(&sim, "target", names[i], 0), 0);
        assert_int_equal(set(&sim, "target", "another", 0), 0);
        assert_int_equal(stanch_stop_release_level(sim.state_dir, &release, &err), 0);
        assert_false(holds(&sim, NULL, NULL, names[i], 1));
        assert_true(holds(&sim, NULL, NULL, "another", 1));
        assert_int_equal(stanch_stop_release_level(sim.state_dir, &release, &err), STANCH_E_NOT_FOUND);
        STANCH_AUTO_JSON json_t *all = stanch_stop_levels(sim.state_dir);
        assert_int_equal(json_array_size(all), 2);
        for (size_t k = 0; k < 2; k++) {
            const json_t *one = json_array_get(all, k);
            bool is_it = strcmp(stanch_json_str(one, "name", ""), names[i]) == 0;
            assert_string_equal(stanch_json_str(one, "by", ""), "person:ada");
            assert_string_equal(stanch_json_str(one, "released_by", "nobody"), is_it ? "person:eve" : "nobody");
            assert_string_equal(stanch_json_str(one, "released_because", "-"), is_it && i ? "enough" : "-");
        }
        assert_int_equal(set(&sim, "target", names[i], 0), 0);
        assert_true(holds(&sim, NULL, NULL, names[i], 1));
        sim_done(&sim);
    }
}

static void a_stop_ends_by_itself_and_lasts_as_long_as_the_longest(void **state)
{
    (void)state;
    struct sim sim;
    struct stanch_err err;
    sim_init(&sim, "low", NULL);
    assert_int_equal(set(&sim, "instance", "edge", 2000), 0);
    assert_int_equal(set(&sim, "instance", "edge", 1000), 0); /* it was to last longer already */
    assert_true(holds(&sim, "edge", NULL, NULL, 1999));
    assert_false(holds(&sim, "edge", NULL, NULL, 2000));
    STANCH_AUTO_JSON json_t *before = stanch_stop_levels(sim.state_dir);
    assert_int_equal(set(&sim, "instance", "edge", 3000), 0);
    assert_int_equal(stanch_stop_end(sim.state_dir, json_array_get(before, 0), 2500, &err), STANCH_E_CONFLICT);
    assert_true(holds(&sim, "edge", NULL, NULL, 2999));
    assert_int_equal(set(&sim, "instance", "edge", 0), 0);
    assert_true(holds(&sim, "edge", NULL, NULL, INT64_MAX));
    assert_int_equal(set(&sim, "instance", "edge", 9000), 0); /* no end is the longest */
    assert_true(holds(&sim, "edge", NULL, NULL, INT64_MAX));
    assert_int_equal(stanch_stop_clear_level(sim.state_dir, "instance", "edge", &err), 0);
    assert_int_equal(set(&sim, "instance", "edge", 1000), 0);
    STANCH_AUTO_JSON json_t *over = stanch_stop_levels(sim.state_dir);
    assert_int_equal(stanch_stop_end(sim.state_dir, json_array_get(over, 0), 1000, &err), 0);
    STANCH_AUTO_JSON json_t *none = stanch_stop_levels(sim.state_dir);
    assert_int_equal(json_array_size(none), 0);
    sim_done(&sim);
}

/* ---- what they hold back ---- */

static void a_stop_of_a_level_makes_it_ask(void **state)
{
    (void)state;
    static const char *const stops[][3] = {{"instance", "fx", "instance fx is stopped by person:ada: a test"},
                                           {"runbook", "book", "runbook book is stopped"},
                                           {"target", "fx:fx/s1", "target fx:fx/s1 is stopped"}};
    for (size_t i = 0; i < 3; i++) {
        struct sim sim;
        struct stanch_err err;
        sim_init(&sim, "low", NULL);
        assert_int_equal(set(&sim, stops[i][0], stops[i][1], 0), 0);
        sim_want(&sim, sim_set("set_convergent", "s1", 7));
        sim_begin(&sim, "R-1", NULL);
        sim_advance(&sim, 10000);
        assert_state(&sim, "approval", "A-1", "pending");
        STANCH_AUTO_JSON json_t *asked = stanch_journal_see(sim.journal, "approval", "A-1");
        assert_non_null(strstr(stanch_json_str(asked, "why", ""), stops[i][2]));
        assert_int_equal(decide(&sim, "A-1", "approve"), STANCH_E_STOPPED);
        assert_int_equal(stanch_stop_clear_level(sim.state_dir, stops[i][0], stops[i][1], &err), 0);
        assert_int_equal(decide(&sim, "A-1", "approve"), 0);
        sim_advance(&sim, 10000);
        assert_state(&sim, "run", "R-1", "succeeded");
        assert_int_equal(sim.effect_count, 1);
        sim_done(&sim);
    }
}

static void a_stop_of_another_one_holds_nothing_back(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    assert_int_equal(set(&sim, "instance", "fx2", 0), 0);
    assert_int_equal(set(&sim, "runbook", "another", 0), 0);
    assert_int_equal(set(&sim, "target", "fx:fx/s2", 0), 0);
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    assert_state(&sim, "run", "R-1", "succeeded");
    assert_int_equal(sim.effect_count, 1);
    sim_done(&sim);
}

/* What it says is cut between characters, wherever it ends: the answer of the step is text. */
static void a_long_reason_is_told_as_text(void **state)
{
    (void)state;
    char reason[2000] = "";
    for (size_t i = 0; i + 2 < sizeof reason; i += 2)
        memcpy(reason + i, "\xc3\xa9", 3);
    for (size_t shift = 0; shift < 2; shift++) {
        struct sim sim;
        struct stanch_err err;
        STANCH_AUTO_FREE char *shifted = stanch_asprintf("%s%s", shift ? "x" : "", reason);
        const struct stanch_stop stop = {"instance", "fx", shifted, shifted, 0, 0};
        const struct stanch_stop_about about = {.instance = "fx"};
        sim_init(&sim, "none", NULL);
        sim_want(&sim, sim_set("set_convergent", "s1", 7));
        sim_begin(&sim, "R-1", NULL);
        sim_advance(&sim, 10000);
        assert_int_equal(stanch_stop_set_level(sim.state_dir, &stop, &err), 0);
        STANCH_AUTO_FREE char *why = stanch_stop_holds(sim.state_dir, &about, 1);
        STANCH_AUTO_JSON json_t *text = json_string(why);
        assert_non_null(text);
        assert_true(strlen(why) < 700);
        assert_int_equal(decide(&sim, "A-1", "approve"), STANCH_E_STOPPED);
        sim_done(&sim);
    }
}

/* It is set between the gate and the call: the plan passed, the effect does not leave. */
static enum sim_fate stop_when_planned(struct sim *sim, const char *op, const char *action)
{
    (void)action;
    if (strcmp(op, "plan") == 0 && sim->seed == 1)
        (void)set(sim, "target", "fx:fx/s1", 0);
    return SIM_FINE;
}

static void it_is_looked_at_right_before_sending(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "none", NULL);
    sim.fate = stop_when_planned;
    sim_want(&sim, sim_set("set_convergent", "s1", 7));
    sim_begin(&sim, "R-1", NULL);
    sim_advance(&sim, 10000);
    sim.seed = 1; /* when it is planned again, approved and under the lock */
    assert_int_equal(decide(&sim, "A-1", "approve"), 0);
    sim_advance(&sim, 10000);
    assert_int_equal(sim.effect_count, 0);
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "step", "R-1/1");
    const json_t *error = json_object_get(json_object_get(step, "answer"), "error");
    assert_string_equal(stanch_json_str(error, "kind", ""), "stopped");
    assert_non_null(strstr(stanch_json_str(error, "text", ""), "target fx:fx/s1 is stopped"));
    sim_done(&sim);
}

static void a_lease_end_of_what_is_stopped_is_overdue_and_a_person_undoes_it(void **state)
{
    (void)state;
    static const char *const stops[][2] = {{"instance", "fx"}, {"runbook", "book"}, {"target", "fx:fx/s1"}};
    for (size_t i = 0; i < 3; i++) {
        struct sim sim;
        struct stanch_err err;
        sim_init(&sim, "low", NULL);
        json_t *want = sim_set("set_convergent", "s1", 7);
        json_object_set_new(json_object_get(want, "args"), "lease_ms", json_integer(60000));
        sim_want(&sim, want);
        sim_begin(&sim, "R-1", NULL);
        sim_advance(&sim, 10000);
        assert_state(&sim, "mitigation", "M-1", "in-force");
        assert_int_equal(set(&sim, stops[i][0], stops[i][1], 0), 0);
        sim_advance(&sim, 60000);
        STANCH_AUTO_JSON json_t *kept = stanch_journal_get(sim.journal, STANCH_VIEW_APPENDED, "mitigation", "M-1");
        assert_true(stanch_json_bool(kept, "overdue", false));
        assert_non_null(strstr(stanch_json_str(kept, "why", ""), "is stopped by person:ada"));
        assert_int_equal(stanch_engine_undo(sim.engine, "person:ada", "M-1", "by hand", NULL, NULL, &err), 0);
        sim_advance(&sim, 10000);
        assert_state(&sim, "mitigation", "M-1", "undone");
        sim_done(&sim);
    }
}

static void a_clock_that_is_set_forward_ends_no_stop(void **state)
{
    (void)state;
    struct sim sim;
    sim_init(&sim, "low", NULL);
    int64_t now_ms = stanch_loop_wall_ms(sim.loop);
    assert_int_equal(set(&sim, "instance", "fx", now_ms + 60000), 0);
    sim.engine->steady_ms -= 3600000; /* since it began, the wall clock was set forward by an hour */
    sim_advance(&sim, 61000);
    STANCH_AUTO_JSON json_t *still = stanch_engine_stops(sim.engine);
    assert_int_equal(json_array_size(still), 1);
    sim.engine->steady_ms += 3600000;
    STANCH_AUTO_JSON json_t *over = stanch_engine_stops(sim.engine);
    assert_int_equal(json_array_size(over), 0);
    sim_done(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_level_holds_its_own_and_nothing_else),
        cmocka_unit_test(any_name_is_found_again),
        cmocka_unit_test(a_file_made_by_hand_is_a_stop),
        cmocka_unit_test(what_cannot_be_read_counts_as_set),
        cmocka_unit_test(a_stop_that_is_released_by_hand_holds_nothing_back_and_says_by_whom),
        cmocka_unit_test(a_stop_ends_by_itself_and_lasts_as_long_as_the_longest),
        cmocka_unit_test(a_stop_of_a_level_makes_it_ask),
        cmocka_unit_test(a_stop_of_another_one_holds_nothing_back),
        cmocka_unit_test(a_long_reason_is_told_as_text),
        cmocka_unit_test(it_is_looked_at_right_before_sending),
        cmocka_unit_test(a_lease_end_of_what_is_stopped_is_overdue_and_a_person_undoes_it),
        cmocka_unit_test(a_clock_that_is_set_forward_ends_no_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
