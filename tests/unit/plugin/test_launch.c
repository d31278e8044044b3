/* test_launch.c: commands of a plugin from core's side: the launcher comes with the host and goes with it, and when the
 * calls of a dead host are called unknown, nothing of theirs acts any more. */
#include "world.h"
#include <sys/wait.h>

/* An instance of the kit with one command, up. The world's calls go to the name "effects". */
static void add_kit(struct world *world, const char *script)
{
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *text = stanch_asprintf("#!/bin/sh\n%s\n", script);
    write_file(world->behaviour, text, 0755);
    json_t *config = json_pack("{s:s, s:s, s:s, s:{s:{s:s}}}", "name", "effects", "plugin", "kit", "environment",
                               "test", "settings", "commands", "it", world->behaviour);
    if (add(world, config, &err) < 0)
        fail_msg("%s", err.text);
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    wait_for(world, &world->ready, 1);
    if (world->ready_err.code)
        fail_msg("%s", world->ready_err.text);
}

static json_t *order(struct world *world)
{
    return json_pack("{s:{s:{s:s}}}", "args", "order", "command", world->behaviour);
}

static void runs(struct world *world, const char *output)
{
    struct reply reply;
    call_wait(world, "read", "run", order(world), 20000, &reply);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_DONE);
    assert_string_equal(stanch_json_str(reply.value, "ended", ""), "exited");
    assert_string_equal(stanch_json_str(reply.value, "output", ""), output);
    reply_done(&reply);
}

static void a_command_runs(void **state)
{
    struct world *world = *state;
    add_kit(world, "echo it ran");
    runs(world, "it ran\n");
}

static void on_look(void *ctx)
{
    struct world *world = ctx;
    world->timed_out = true; /* of this look */
    stanch_loop_stop(world->loop);
}

/* The pid that the script wrote whole into world->log. */
static int wait_pid(struct world *world)
{
    for (;;) {
        STANCH_AUTO_FREE char *text = read_file(world->log);
        if (text && strchr(text, '\n'))
            return (int)strtol(text, NULL, 10);
        world->timed_out = false;
        (void)stanch_timer_start(world->loop, 10, on_look, world);
        while (!world->timed_out)
            stanch_loop_run(world->loop);
    }
}

static bool is_alive(int pid)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("/proc/%d/stat", pid);
    STANCH_AUTO_FREE char *text = read_file(path);
    const char *after = text ? strrchr(text, ')') : NULL;
    return after && after[2] != 'Z' && after[2] != 'X';
}

/* A signal that was sent takes its time. */
static void wait_dead(int pid)
{
    for (int i = 0; i < 3000 && is_alive(pid); i++)
        usleep(10000);
    assert_false(is_alive(pid));
}

/* The pid of the world's process with that subcommand, from the file beside the lock: hosts and launchers in order. */
static int noted(struct world *world, const char *command)
{
    STANCH_AUTO_FREE char *text = read_file(world->lock);
    int pid = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char cmdline[4096] = "";
        if (sscanf(line, "host %d", &pid) != 1)
            continue;
        STANCH_AUTO_FREE char *path = stanch_asprintf("/proc/%d/cmdline", pid);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, cmdline, sizeof cmdline - 1);
        if (fd >= 0)
            close(fd);
        size_t first = strlen(cmdline) + 1;
        if (n > (ssize_t)first && strcmp(cmdline + first, command) == 0)
            return pid;
    }
    return 0;
}

/* The script waits a little: what is killed before it could say which group it started leaves that to the lock. */
static void death_of(struct world *world, const char *victim)
{
    struct reply reply;
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *script = stanch_asprintf(
        "[ -e %s ] && { echo again; exit; }\nsleep 0.3\necho $$ > %s\nsleep 600", world->log, world->log);
    add_kit(world, script);
    assert_int_equal(start_call(world, "read", "run", order(world), 60000, &reply, &err), 0);
    int command = wait_pid(world), pid = noted(world, victim);
    assert_true(command > 1 && pid > 1 && is_alive(command));
    assert_int_equal(kill(pid, SIGKILL), 0);
    wait_for(world, &reply.count, 1);
    /* its launcher died: the host may still have said so, or it went too */
    if (reply.outcome == STANCH_OUTCOME_DONE)
        assert_string_equal(stanch_json_str(reply.value, "ended", ""), "killed");
    else
        assert_int_equal(reply.outcome, STANCH_OUTCOME_UNKNOWN);
    if (strcmp(victim, "plugin-host") == 0)
        assert_false(is_alive(command)); /* nothing acts when it is called unknown */
    reply_done(&reply);
    wait_state(world, "effects", "down");
    wait_dead(command);
    wait_state(world, "effects", "up");
    runs(world, "again\n");
}

static void a_host_dies(void **state)
{
    death_of(*state, "plugin-host");
}

static void a_launcher_dies(void **state)
{
    death_of(*state, "plugin-launch");
}

static void core_lets_go(void **state)
{
    struct world *world = *state;
    struct reply reply;
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *script = stanch_asprintf("echo $$ > %s\nsleep 600", world->log);
    add_kit(world, script);
    assert_int_equal(start_call(world, "read", "run", order(world), 60000, &reply, &err), 0);
    int command = wait_pid(world);
    stanch_plugins_free(STANCH_TAKE(world->plugins));
    wait_dead(command);
    world_registry(world);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_new, world_free)
    const struct CMUnitTest tests[] = {
        TEST(a_command_runs),
        TEST(a_host_dies),
        TEST(a_launcher_dies),
        TEST(core_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
