/* test_registry.c: instances: what is refused, what they declare, how they die and come back, who holds the lock.
 * PROMISES.md 1.13, T18, T28. */
#include "plugin/hostlock.h"
#include "world.h"
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* ---- add ---- */

static json_t *plain_config(const char *name, const char *plugin, json_t *settings)
{
    return json_pack("{s:s, s:s, s:o, s:i}", "name", name, "plugin", plugin, "settings", settings, "line", 12);
}

static void refused(struct world *world, json_t *config, int code, const char *text)
{
    struct stanch_err err = {0};
    assert_int_equal(add(world, config, &err), code);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

static void configurations_that_are_refused(void **state)
{
    struct world *world = *state;
    json_t *secret;
    refused(world, plain_config("a", "efects", json_object()), STANCH_E_NOT_FOUND, "did you mean \"effects\"?");
    refused(world, plain_config("a", "../effects", json_object()), STANCH_E_INVALID,
            "plugin: \"../effects\" is no name of a plugin");
    refused(world, plain_config("a b", "effects", json_object()), STANCH_E_INVALID, "\"a b\" is no name");
    refused(world, plain_config("", "effects", json_object()), STANCH_E_INVALID, "is no name");
    refused(world, plain_config("a", "effects", json_array()), STANCH_E_INVALID, "settings: an object was expected");
    write_file(world->token, "x", 0644);
    refused(world, effects_config(world, "a"), STANCH_E_INVALID,
            "is open to group or others (mode 0644); run: chmod 600");
    (void)unlink(world->token);
    refused(world, effects_config(world, "a"), STANCH_E_INVALID, "settings.token: the secret's file");
    secret = json_pack("{s:{s:{s:s}}}", "token", "$secret", "file", world->dir);
    refused(world, plain_config("a", "effects", secret), STANCH_E_INVALID, "is not a regular file");
    secret = json_pack("{s:{s:{s:s}}}", "token", "$secret", "env", "STANCH_NO_SUCH_VARIABLE");
    refused(world, plain_config("a", "effects", secret), STANCH_E_INVALID, "STANCH_NO_SUCH_VARIABLE is not set");
    secret = json_pack("{s:{s:{s:s}}}", "token", "$secret", "fiel", "x");
    refused(world, plain_config("a", "effects", secret), STANCH_E_INVALID, "settings.token: a secret is secret.file");
}

static void nothing_to_wait_for(void **state)
{
    struct world *world = *state;
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    assert_int_equal(world->ready, 0);
    wait_for(world, &world->ready, 1);
    assert_int_equal(world->ready_err.code, 0);
}

/* What only the plugin's host can judge comes with when_ready, and is not tried again. */
static void settings_that_the_host_refuses(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    json_t *config = effects_config(world, "bad");
    json_object_set_new(json_object_get(config, "settings"), "lgo", json_string("/x"));
    json_object_del(json_object_get(config, "settings"), "log");
    json_object_set_new(config, "line", json_integer(12));
    assert_int_equal(add(world, config, &err), 0);
    assert_int_equal(add(world, effects_config(world, "effects"), &err), 0);
    refused(world, effects_config(world, "effects"), STANCH_E_INVALID, "another instance \"effects\"");
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    wait_for(world, &world->ready, 1);
    assert_int_equal(world->ready_err.code, STANCH_E_INVALID);
    assert_non_null(
        strstr(world->ready_err.text, "effects \"bad\": settings.lgo: no such setting; did you mean \"log\"?"));
    assert_true(is_state(world, "bad", "disabled"));
    assert_true(is_state(world, "effects", "up"));
    assert_null(stanch_plugins_describe(world->plugins, "nobody"));
}

static void what_an_instance_tells(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    add_effects(world);
    const json_t *it = stanch_plugins_describe(world->plugins, "effects");
    const json_t *set = json_object_get(json_object_get(it, "actions"), "set_reconcilable");
    assert_string_equal(stanch_json_str(it, "version", ""), "1");
    assert_string_equal(stanch_json_str(it, "environment", ""), "test");
    assert_int_equal(strlen(stanch_json_str(it, "digest", "")), 64);
    assert_string_equal(stanch_json_str(set, "class", ""), "reconcilable");
    assert_true(json_is_true(json_object_get(json_object_get(set, "has"), "reconcile")));
    assert_null(json_object_get(json_object_get(set, "has"), "read"));
    assert_int_equal(stanch_json_int(set, "settle_ms", 0), 50);
    assert_non_null(json_object_get(json_object_get(it, "sources"), "webhook"));
    json_t *list = stanch_plugins_list(world->plugins);
    assert_int_equal(json_array_size(list), 1);
    char *text = json_dumps(list, 0);
    assert_null(strstr(text, "canary-4711"));
    free(text);
    json_decref(list);

    json_t *args = json_pack("{s:s, s:i}", "target", "t", "value", 5);
    assert_int_equal(stanch_plugins_check_args(world->plugins, "effects", "set_convergent", args, &err), 0);
    json_object_set_new(args, "vlaue", json_integer(1));
    assert_int_equal(stanch_plugins_check_args(world->plugins, "effects", "set_convergent", args, &err),
                     STANCH_E_INVALID);
    assert_string_equal(err.text, "args.vlaue: no such argument; did you mean \"value\"?");
    assert_int_equal(stanch_plugins_check_args(world->plugins, "effects", "set_converged", args, &err),
                     STANCH_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "did you mean \"set_convergent\"?"));
    assert_int_equal(stanch_plugins_check_args(world->plugins, "nobody", "x", args, &err), STANCH_E_NOT_FOUND);
    json_decref(args);
}

/* ---- calls that are refused before anything is sent ---- */

static void calls_that_are_refused(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply;
    add_effects(world);
    assert_int_equal(start_call(world, "read", "gett", json_object(), 100, &reply, &err), STANCH_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "did you mean \"get\"?"));
    assert_int_equal(start_call(world, "undo", "get", json_object(), 100, &reply, &err), STANCH_E_NOT_FOUND);
    assert_int_equal(start_call(world, "receive", "get", json_object(), 100, &reply, &err), STANCH_E_NOT_FOUND);
    struct stanch_plugin_request elsewhere = {.instance = "nobody", .op = "read", .action = "get", .input = NULL};
    assert_int_equal(stanch_plugins_call(world->plugins, &elsewhere, on_reply, &reply, NULL, &err), STANCH_E_NOT_FOUND);
    char *big = stanch_alloc(17u << 20);
    struct stanch_plugin_request large = {.instance = "effects",
                                          .op = "receive",
                                          .action = "webhook",
                                          .body = big,
                                          .body_len = 17u << 20,
                                          .deadline_ms = 1000};
    json_t *none = json_object();
    large.input = none;
    assert_int_equal(stanch_plugins_call(world->plugins, &large, on_reply, &reply, NULL, &err), STANCH_E_TOO_LARGE);
    json_decref(none);
    free(big);
    assert_int_equal(reply.count, 0);
}

static void no_more_than_256_at_once(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply all = {.world = world}, one;
    write_file(world->behaviour, "read:slow 300\n", 0644);
    add_effects(world);
    json_t *input = json_pack("{s:{s:s}}", "args", "target", "t");
    struct stanch_plugin_request request = {
        .instance = "effects", .op = "read", .action = "get", .input = input, .deadline_ms = 20000};
    for (int i = 0; i < 256; i++)
        assert_int_equal(stanch_plugins_call(world->plugins, &request, on_reply, &all, NULL, &err), 0);
    assert_int_equal(start_call(world, "read", "get", json_incref(input), 100, &one, &err), STANCH_E_BUSY);
    for (int i = 1; i <= 256; i++) {
        wait_for(world, &all.count, i);
        assert_int_equal(all.outcome, STANCH_OUTCOME_DONE);
    }
    json_decref(all.value);
    json_decref(input);
    assert_int_equal(all.count, 256);
}

static void cancel_a_call(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply = {.world = world};
    struct stanch_plugin_call *call = NULL;
    write_file(world->behaviour, "apply:silent\n", 0644);
    add_effects(world);
    json_t *input = set_input(5, "K");
    struct stanch_plugin_request request = {
        .instance = "effects", .op = "apply", .action = "set_unprotected", .input = input, .deadline_ms = 20000};
    assert_int_equal(stanch_plugins_call(world->plugins, &request, on_reply, &reply, &call, &err), 0);
    json_decref(input);
    stanch_plugin_call_cancel(call);
    assert_int_equal(reply.count, 0);
    wait_for(world, &reply.count, 1);
    assert_int_equal(reply.outcome, STANCH_OUTCOME_FAILED);
    assert_int_equal(reply.err.code, STANCH_E_CANCELLED);
}

static void a_webhook(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply = {.world = world};
    static const char body[] = "{\"alerts\": [{\"fingerprint\": \"f\"}]}";
    add_effects(world);
    for (int is_known = 0; is_known < 2; is_known++) {
        json_t *input = json_pack("{s:s, s:{s:s}}", "source", "webhook", "headers", "authorization",
                                  is_known ? "Bearer canary-4711-s3cret" : "Bearer canary-4711-s3creT");
        struct stanch_plugin_request request = {.instance = "effects",
                                                .op = "receive",
                                                .action = "webhook",
                                                .input = input,
                                                .body = body,
                                                .body_len = sizeof body - 1,
                                                .deadline_ms = 5000};
        assert_int_equal(stanch_plugins_call(world->plugins, &request, on_reply, &reply, NULL, &err), 0);
        json_decref(input);
        wait_for(world, &reply.count, 1);
        assert_int_equal(reply.outcome, is_known ? STANCH_OUTCOME_DONE : STANCH_OUTCOME_FAILED);
        if (is_known)
            assert_int_equal(json_array_size(json_object_get(reply.value, "events")), 1);
        else
            assert_int_equal(reply.err.code, STANCH_E_UNAUTHORIZED);
        reply_done(&reply);
    }
}

/* ---- deaths ---- */

static int pid_of_host(const struct world *world)
{
    STANCH_AUTO_FREE char *text = read_file(world->lock);
    const char *line = strstr(text, "host ");
    return line ? (int)strtol(line + 5, NULL, 10) : 0;
}

static void assert_no_zombies(void)
{
    siginfo_t info = {0};
    assert_true(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0);
}

static void five_deaths_disable(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply;
    int64_t down_for[4];
    add_effects(world);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(kill(pid_of_host(world), i % 2 ? SIGSEGV : SIGTERM), 0);
        int64_t at = stanch_loop_mono_ms(world->loop);
        wait_state(world, "effects", i < 4 ? "down" : "disabled");
        if (i < 4) {
            wait_state(world, "effects", "up");
            down_for[i] = stanch_loop_mono_ms(world->loop) - at;
        }
    }
    for (int i = 0; i < 4; i++)
        assert_true(down_for[i] >= 250 << i);
    const json_t *it = stanch_plugins_describe(world->plugins, "effects");
    assert_int_equal(stanch_json_int(it, "restarts", 0), 4);
    assert_non_null(strstr(stanch_json_str(it, "why", ""),
                           "died 5 times within 10 minutes, last: the host was ended by "
                           "signal 15 (Terminated)"));
    assert_int_equal(start_call(world, "read", "get", json_object(), 100, &reply, &err), STANCH_E_UNAVAILABLE);
    assert_non_null(strstr(err.text, "is disabled: died 5 times"));
    assert_no_zombies();
    assert_int_equal(stanch_plugins_enable(world->plugins, "nobody", &err), STANCH_E_NOT_FOUND);
    assert_int_equal(stanch_plugins_enable(world->plugins, "effects", &err), 0);
    wait_state(world, "effects", "up");
    assert_int_equal(kill(pid_of_host(world), SIGKILL), 0);
    wait_state(world, "effects", "down"); /* its deaths were forgotten */
    wait_state(world, "effects", "up");
}

/* A secret that was rotated is read anew when the host starts again; one that is gone is said, and tried again. */
static void the_secret_goes_away(void **state)
{
    struct world *world = *state;
    add_effects(world);
    (void)unlink(world->token);
    assert_int_equal(kill(pid_of_host(world), SIGKILL), 0);
    wait_state(world, "effects", "down");
    for (const char *why = ""; !strstr(why, "settings.token: the secret's file");
         why = stanch_json_str(stanch_plugins_describe(world->plugins, "effects"), "why", ""))
        stanch_loop_run(world->loop);
    write_file(world->token, "another", 0600);
    wait_state(world, "effects", "up");
}

/* The daemon ends: its hosts go before its doors do. */
static void who_asks_after_the_end_hears_that_there_is_none(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    struct reply reply;
    add_effects(world);
    stanch_plugins_halt(world->plugins);
    assert_null(stanch_plugins_describe(world->plugins, "effects"));
    STANCH_AUTO_JSON json_t *list = stanch_plugins_list(world->plugins);
    assert_int_equal(json_array_size(list), 0);
    assert_int_equal(
        start_call(world, "read", "get", json_pack("{s:{s:s}}", "args", "target", "t"), 1000, &reply, &err),
        STANCH_E_NOT_FOUND);
}

static void a_stopped_host(void **state)
{
    struct world *world = *state;
    struct reply reply;
    add_effects(world);
    assert_int_equal(kill(pid_of_host(world), SIGSTOP), 0);
    count_time(&world->time, world->loop);
    call_wait(world, "read", "get", json_pack("{s:{s:s}}", "args", "target", "t"), 200, &reply);
    assert_true(world->time.ms > 200 && world->time.ms <= 1200); /* a second after the deadline */
    assert_int_equal(reply.outcome, STANCH_OUTCOME_UNKNOWN);
    assert_int_equal(reply.err.code, STANCH_E_TIMEOUT);
    wait_state(world, "effects", "up");
}

static void what_a_host_is_given(void **state)
{
    struct world *world = *state;
    char path[64];
    add_effects(world);
    int pid = pid_of_host(world);
    assert_true(pid > 1 && getpgid(pid) == pid);
    (void)snprintf(path, sizeof path, "/proc/%d/environ", pid);
    STANCH_AUTO_FREE char *env = read_file(path);
    assert_string_equal(env, "");
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    STANCH_AUTO_FREE char *cmdline = read_file(path);
    assert_string_equal(cmdline + strlen(cmdline) + 1, "plugin-host");
    assert_string_equal(cmdline + strlen(cmdline) + 1 + strlen("plugin-host") + 1, "effects");
}

/* ---- the lock ---- */

/* A core in a process of its own: starts a host, tells its pid, then waits to be killed. */
static void run_other_core(struct world *world, int tell)
{
    struct world other = *world;
    struct stanch_err err;
    other.plugins = NULL;
    other.loop = stanch_loop_new(&err);
    world_registry(&other);
    if (stanch_plugins_add(other.plugins, effects_config(&other, "effects"), &err) < 0)
        _exit(1);
    stanch_plugins_when_ready(other.plugins, on_world_ready, &other);
    while (other.ready == 0)
        stanch_loop_run(other.loop);
    int pid = pid_of_host(&other);
    if (write(tell, &pid, sizeof pid) != sizeof pid)
        _exit(1);
    for (;;)
        stanch_loop_run(other.loop);
}

static void a_core_that_was_killed(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    int ends[2], host = 0, status, fd;
    stanch_plugins_free(world->plugins);
    world->plugins = NULL;
    stanch_loop_run_once(world->loop);
    assert_int_equal(pipe(ends), 0);
    pid_t core = fork();
    if (core == 0)
        run_other_core(world, ends[1]);
    assert_int_equal(read(ends[0], &host, sizeof host), sizeof host);
    assert_true(stanch_hostlock_take(world->lock, 100, &fd, &err) == STANCH_E_TIMEOUT);
    STANCH_AUTO_FREE char *text = stanch_asprintf("is held by another stanch, pid %d", core);
    assert_non_null(strstr(err.text, text));
    assert_int_equal(kill(host, 0), 0); /* and it did nothing to the hosts of a core that lives */
    assert_int_equal(kill(host, SIGSTOP), 0);
    assert_int_equal(kill(core, SIGKILL), 0);
    assert_int_equal(waitpid(core, &status, 0), core);
    world_registry(world); /* has the lock: so the host is gone */
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", host);
    STANCH_AUTO_FREE char *cmdline = read_file(path);
    assert_string_equal(cmdline, ""); /* no such process, or only its remains */
    close(ends[0]);
    close(ends[1]);
}

/* A host that neither its channel nor its parent has ended, as after a crash at a bad moment. */
static void a_host_that_was_left(void **state)
{
    struct world *world = *state;
    struct stanch_err err = {0};
    int ends[2], status, fd = -1;
    stanch_plugins_free(world->plugins);
    world->plugins = NULL;
    stanch_loop_run_once(world->loop);
    assert_int_equal(stanch_hostlock_take(world->lock, 5000, &fd, &err), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pid_t host = fork();
    if (host == 0) {
        (void)setpgid(0, 0);
        (void)dup2(fd, 100); /* inherited, as a host does; were 100 its number already, it would close with exec */
        (void)dup2(ends[1], 3);
        (void)execl(getenv("STANCH_BIN"), "stanch", "plugin-host", "left", (char *)NULL);
        _exit(1);
    }
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", host);
    for (bool is_there = false; !is_there; usleep(1000)) { /* until exec: the test's own name is there before */
        STANCH_AUTO_FREE char *cmdline = read_file(path);
        is_there = strcmp(cmdline, "stanch") == 0;
    }
    stanch_hostlock_note(fd, &host, 1);
    char *noted = read_file(world->lock);
    close(fd); /* this core is gone, as far as the lock can tell; the file names this process, which is not "another" */
    assert_non_null(strstr(noted, "host "));
    free(noted);
    assert_int_equal(stanch_hostlock_take(world->lock, 5000, &fd, &err), 0);
    assert_int_equal(waitpid(host, &status, 0), host);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(fd);
    close(ends[0]);
    close(ends[1]);
    world_registry(world);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_new, world_free)
    const struct CMUnitTest tests[] = {
        TEST(configurations_that_are_refused),
        TEST(nothing_to_wait_for),
        TEST(settings_that_the_host_refuses),
        TEST(what_an_instance_tells),
        TEST(calls_that_are_refused),
        TEST(no_more_than_256_at_once),
        TEST(cancel_a_call),
        TEST(a_webhook),
        TEST(five_deaths_disable),
        TEST(the_secret_goes_away),
        TEST(who_asks_after_the_end_hears_that_there_is_none),
        TEST(a_stopped_host),
        TEST(what_a_host_is_given),
        TEST(a_core_that_was_killed),
        TEST(a_host_that_was_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
