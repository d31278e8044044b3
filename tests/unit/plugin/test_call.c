/* test_call.c: calls through a real host: outcomes, and every way in which a host can fail. PROMISES.md 1.3,
 * T18. */
#include "world.h"

/* The blanks that fill the remote's lines up. */
static void strip_blanks(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        *to++ = *at;
        if (*at == '\n') {
            to--;
            while (to > text && to[-1] == ' ')
                to--;
            *to++ = '\n';
        }
    }
    *to = '\0';
}

static void all_operations(void **state)
{
    struct world *world = *state;
    struct reply reply;
    add_effects(world);
    call_wait(world, "plan", "set_convergent", json_pack("{s:{s:s, s:i}}", "args", "target", "t", "value", 5), 5000,
              &reply);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    assert_string_equal(json_string_value(json_array_get(json_object_get(reply.value, "targets"), 0)),
                        "effects:effects/t");
    assert_true(reply.took_us > 0);
    reply_done(&reply);
    call_wait(world, "apply", "set_convergent", set_input(5, "K1"), 5000, &reply);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    reply_done(&reply);
    call_wait(world, "verify", "set_convergent", set_input(5, "K1"), 5000, &reply);
    assert_true(stanch_json_bool(reply.value, "holds", false));
    reply_done(&reply);
    call_wait(world, "undo", "set_convergent", set_input(5, "K2"), 5000, &reply);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    reply_done(&reply);
    call_wait(world, "undo", "set_reconcilable", set_input(6, "K3"), 5000, &reply); /* not what we set */
    assert_int_equal(reply.outcome, STANCH_OUTCOME_FAILED);
    assert_int_equal(reply.err.code, STANCH_E_STALE);
    reply_done(&reply);
    STANCH_AUTO_FREE char *log = read_file(world->log);
    strip_blanks(log);
    assert_string_equal(log, "apply set_convergent t 5 K1 7\nundo set_convergent t 0 K2 7\n"
                             "stale undo set_reconcilable t 0 K3 7\n"); /* asked, refused, no effect */
}

/* What a test writes into the behaviour file, and what core must make of it. */
static const struct fault {
    const char *behaviour;
    enum stanch_outcome outcome;
    int code;
    int effects; /* lines in the log */
    bool dies;   /* the host does not survive */
} faults[] = {
    {"apply:fail", STANCH_OUTCOME_FAILED, STANCH_E_REMOTE, 0, false},
    {"apply:retry 70", STANCH_OUTCOME_FAILED, STANCH_E_UNAVAILABLE, 0, false},
    {"apply:unknown", STANCH_OUTCOME_UNKNOWN, STANCH_E_UNREACHABLE, 1, false},
    {"apply:twice", STANCH_OUTCOME_DONE, 0, 1, false},
    {"apply:chatter", STANCH_OUTCOME_DONE, 0, 1, false},
    {"apply:slow 50", STANCH_OUTCOME_DONE, 0, 1, false},
    {"apply:silent", STANCH_OUTCOME_UNKNOWN, STANCH_E_TIMEOUT, 0, false},
    {"apply:crash-before", STANCH_OUTCOME_UNKNOWN, STANCH_E_CRASHED, 0, true},
    {"apply:crash-after", STANCH_OUTCOME_UNKNOWN, STANCH_E_CRASHED, 1, true},
    {"apply:garbage", STANCH_OUTCOME_UNKNOWN, STANCH_E_CRASHED, 1, true},
    {"apply:huge", STANCH_OUTCOME_UNKNOWN, STANCH_E_CRASHED, 1, true},
    {"apply:half", STANCH_OUTCOME_UNKNOWN, STANCH_E_CRASHED, 1, true},
    {"apply:hang", STANCH_OUTCOME_UNKNOWN, STANCH_E_TIMEOUT, 0, true},
    {"apply:hang-after", STANCH_OUTCOME_UNKNOWN, STANCH_E_TIMEOUT, 1, true},
};

static int count_lines(const char *path)
{
    STANCH_AUTO_FREE char *text = read_file(path);
    int n = 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n';
    return n;
}

static void one_fault(struct world *world, const struct fault *fault)
{
    struct reply reply;
    STANCH_AUTO_FREE char *line = stanch_asprintf("%s once\n", fault->behaviour);
    print_message("%s\n", fault->behaviour);
    write_file(world->behaviour, line, 0644);
    (void)unlink(world->log);
    (void)unlink(world->state);
    wait_state(world, "effects", "up");
    int64_t started_ms = world->time.ms;
    /* what has an answer is answered by it, and not by a deadline that a loaded machine passes */
    bool is_late = fault->code == STANCH_E_TIMEOUT;
    call_wait(world, "apply", "set_unprotected", set_input(5, "K"), is_late ? 300 : 20000, &reply);
    assert_int_equal(reply.outcome, fault->outcome);
    if (fault->code)
        assert_int_equal(reply.err.code, fault->code);
    assert_true(world->time.ms - started_ms <= (is_late ? 300 : 0) + 1000); /* the deadline + 1 s */
    assert_string_equal(reply.host, fault->dies ? "down" : "up");
    assert_int_equal(count_lines(world->log), fault->effects);
    if (strstr(fault->behaviour, "retry"))
        assert_true(reply.retry && reply.retry_after_ms == 70);
    reply_done(&reply);
    if (fault->dies) {
        struct stanch_err err = {0};
        assert_int_equal(start_call(world, "apply", "set_unprotected", set_input(5, "K"), 300, &reply, &err),
                         STANCH_E_UNAVAILABLE);
    }
    wait_state(world, "effects", "up");
    assert_int_equal(count_lines(world->log), fault->effects); /* nothing was sent while it was down */
    call_wait(world, "read", "get", json_pack("{s:{s:s}}", "args", "target", "t"), 5000, &reply);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    reply_done(&reply);
}

static void faults_of_the_gentle_kind(void **state)
{
    struct world *world = *state;
    add_effects(world);
    count_time(&world->time, world->loop);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (!faults[i].dies)
            one_fault(*state, &faults[i]);
    const json_t *described = stanch_plugins_describe(((struct world *)*state)->plugins, "effects");
    assert_int_equal(stanch_json_int(described, "restarts", -1), 0);
}

static void a_core_that_slept(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply;
    add_effects(world);
    assert_int_equal(start_call(world, "apply", "set_unprotected", set_input(5, "K"), 1500, &reply, &err), 0);
    usleep(2600 * 1000); /* as a stopped or starved process: its timers are all due when it wakes */
    wait_for(world, &reply.count, 1);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    reply_done(&reply);
    assert_string_equal(world->changes, "effects:up ");
}

static void a_plugin_that_chatters(void **state)
{
    struct world *world = *state;
    struct reply reply;
    STANCH_AUTO_FREE char *caught = stanch_asprintf("%s/stderr", world->dir);
    write_file(world->behaviour, "read:chatter once\n", 0644);
    add_effects(world);
    int fd = open(caught, O_RDWR | O_CREAT | O_CLOEXEC, 0600), kept = dup(2);
    (void)dup2(fd, 2);
    call_wait(world, "read", "get", json_pack("{s:{s:s}}", "args", "target", "t"), 5000, &reply);
    reply_done(&reply);
    /* frames keep their order: when the second answer is there, all of the chatter has been read */
    call_wait(world, "read", "get", json_pack("{s:{s:s}}", "args", "target", "t"), 5000, &reply);
    reply_done(&reply);
    (void)dup2(kept, 2);
    close(kept);
    close(fd);
    int lines = count_lines(caught);
    assert_true(lines >= 150 && lines <= 210);
}

/* A registry for each: a fifth death within ten minutes would disable the instance. */
static void faults_that_kill(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        void *made = NULL;
        if (!faults[i].dies)
            continue;
        world_new(&made);
        struct world *world = made;
        add_effects(world);
        count_time(&world->time, world->loop);
        one_fault(world, &faults[i]);
        assert_string_equal(world->changes, "effects:up effects:down effects:up ");
        world_free(&made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_operations, world_new, world_free),
        cmocka_unit_test_setup_teardown(faults_of_the_gentle_kind, world_new, world_free),
        cmocka_unit_test_setup_teardown(a_core_that_slept, world_new, world_free),
        cmocka_unit_test_setup_teardown(a_plugin_that_chatters, world_new, world_free),
        cmocka_unit_test(faults_that_kill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
