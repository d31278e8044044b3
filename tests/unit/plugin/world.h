/* world.h: what the tests of core's side of plugins share: a loop, a registry in a folder of its own, real
 * hosts with the effects plugin, and waiting for something to be so, with an end. */
#ifndef STANCH_TEST_PLUGIN_WORLD_H
#define STANCH_TEST_PLUGIN_WORLD_H
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "counted.h"
#include "plugin/plugin.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct stanch_loop *loop;
    struct stanch_plugins *plugins;
    char dir[64];
    char lock[96], log[96], state[96], behaviour[96], token[96];
    int ready;
    struct stanch_err ready_err;
    char changes[4096]; /* "effects:up " ... */
    bool timed_out;
    struct counted time; /* of tests that count it */
};

struct reply {
    struct world *world;
    int count;
    enum stanch_outcome outcome;
    json_t *value;
    struct stanch_err err;
    bool retry;
    int64_t retry_after_ms, took_us;
    char host[12]; /* what the instance was said to be when the answer came */
};

static inline void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static inline char *read_file(const char *path)
{
    struct stanch_buf out = {0};
    char bytes[4096];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        stanch_buf_add(&out, bytes, (size_t)n);
    if (fd >= 0)
        close(fd);
    return stanch_buf_take(&out);
}

static inline void on_world_timeout(void *ctx)
{
    struct world *world = ctx;
    world->timed_out = true;
    stanch_loop_stop(world->loop);
}

/* Run the loop until *what is `count` at least. Whoever changes it stops the loop. */
static inline void wait_for(struct world *world, const int *what, int count)
{
    struct stanch_timer *watchdog = stanch_timer_start(world->loop, 30000, on_world_timeout, world);
    world->timed_out = false;
    while (*what < count && !world->timed_out)
        stanch_loop_run(world->loop);
    if (!world->timed_out)
        stanch_timer_stop(world->loop, &watchdog);
    assert_false(world->timed_out);
}

static inline void on_world_ready(void *ctx, const struct stanch_err *err)
{
    struct world *world = ctx;
    world->ready++;
    world->ready_err = *err;
    stanch_loop_stop(world->loop);
}

static inline void on_world_change(void *ctx, const char *instance, const char *state, const char *why)
{
    struct world *world = ctx;
    (void)why;
    size_t len = strlen(world->changes);
    (void)snprintf(world->changes + len, sizeof world->changes - len, "%s:%s ", instance, state);
    stanch_loop_stop(world->loop);
}

static inline bool is_state(struct world *world, const char *instance, const char *state)
{
    const json_t *described = stanch_plugins_describe(world->plugins, instance);
    return strcmp(stanch_json_str(described, "state", ""), state) == 0;
}

static inline void wait_state(struct world *world, const char *instance, const char *state)
{
    struct stanch_timer *watchdog = stanch_timer_start(world->loop, 30000, on_world_timeout, world);
    world->timed_out = false;
    while (!is_state(world, instance, state) && !world->timed_out)
        stanch_loop_run(world->loop);
    if (!world->timed_out)
        stanch_timer_stop(world->loop, &watchdog);
    assert_true(is_state(world, instance, state));
}

static inline void world_registry(struct world *world)
{
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *plugin_dir = stanch_asprintf("%s/plugins-test", getenv("STANCH_BUILD"));
    if (stanch_plugins_new(world->loop, getenv("STANCH_BIN"), plugin_dir, world->dir, world->lock, &world->plugins,
                           &err) < 0)
        fail_msg("%s", err.text);
    stanch_plugins_on_change(world->plugins, on_world_change, world);
}

static inline int world_new(void **state)
{
    struct world *world = STANCH_NEW(struct world);
    struct stanch_err err;
    stanch_digest_init();
    (void)snprintf(world->dir, sizeof world->dir, "/tmp/stanch-plugin-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    (void)snprintf(world->lock, sizeof world->lock, "%s/lock", world->dir);
    (void)snprintf(world->log, sizeof world->log, "%s/log", world->dir);
    (void)snprintf(world->state, sizeof world->state, "%s/state", world->dir);
    (void)snprintf(world->behaviour, sizeof world->behaviour, "%s/behaviour", world->dir);
    (void)snprintf(world->token, sizeof world->token, "%s/token", world->dir);
    write_file(world->token, "canary-4711-s3cret\n", 0600);
    world->loop = stanch_loop_new(&err);
    assert_non_null(world->loop);
    world_registry(world);
    *state = world;
    return 0;
}

static inline int world_free(void **state)
{
    struct world *world = *state;
    stanch_plugins_free(world->plugins);
    stanch_loop_free(world->loop);
    counted_done(&world->time);
    DIR *dir = opendir(world->dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
    STANCH_AUTO_FREE char *folders = stanch_asprintf("%s/plugins", world->dir);
    STANCH_AUTO_FREE char *own = stanch_asprintf("%s/effects", folders);
    (void)rmdir(own);
    (void)rmdir(folders);
    (void)rmdir(world->dir);
    free(world);
    return 0;
}

/* The effects plugin's configuration. new */
static inline json_t *effects_config(struct world *world, const char *name)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:{s:{s:s}}}}", "name", name, "plugin", "effects",
                     "environment", "test", "settings", "log", world->log, "state", world->state, "behaviour",
                     world->behaviour, "token", "$secret", "file", world->token);
}

static inline int add(struct world *world, json_t *config, struct stanch_err *err)
{
    int rc = stanch_plugins_add(world->plugins, config, err);
    json_decref(config);
    return rc;
}

static inline void add_effects(struct world *world)
{
    struct stanch_err err = {0};
    if (add(world, effects_config(world, "effects"), &err) < 0)
        fail_msg("%s", err.text);
    stanch_plugins_when_ready(world->plugins, on_world_ready, world);
    wait_for(world, &world->ready, 1);
    if (world->ready_err.code)
        fail_msg("%s", world->ready_err.text);
}

static inline void on_reply(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct reply *reply = ctx;
    reply->count++;
    reply->outcome = answer->outcome;
    json_decref(reply->value); /* of an answer before, when several calls share a reply */
    reply->value = json_incref(answer->value);
    reply->err = answer->err;
    reply->retry = answer->retry;
    reply->retry_after_ms = answer->retry_after_ms;
    reply->took_us = answer->took_us;
    (void)snprintf(reply->host, sizeof reply->host, "%s",
                   stanch_json_str(stanch_plugins_describe(reply->world->plugins, "effects"), "state", ""));
    stanch_loop_stop(reply->world->loop);
}

static inline void reply_done(struct reply *reply)
{
    json_decref(reply->value);
    *reply = (struct reply){.world = reply->world};
}

/* Start a call; input: taken. */
static inline int start_call(struct world *world, const char *op, const char *action, json_t *input,
                             int64_t deadline_ms, struct reply *reply, struct stanch_err *err)
{
    struct stanch_plugin_request request = {
        .instance = "effects", .op = op, .action = action, .input = input, .deadline_ms = deadline_ms};
    *reply = (struct reply){.world = world};
    int rc = stanch_plugins_call(world->plugins, &request, on_reply, reply, NULL, err);
    json_decref(input);
    assert_int_equal(reply->count, 0); /* never from inside of the starter */
    return rc;
}

static inline void call_wait(struct world *world, const char *op, const char *action, json_t *input,
                             int64_t deadline_ms, struct reply *reply)
{
    struct stanch_err err = {0};
    if (start_call(world, op, action, input, deadline_ms, reply, &err) < 0)
        fail_msg("%s", err.text);
    wait_for(world, &reply->count, 1);
}

/* {"args","plan","key","epoch"} for setting target "t" from 0 to `value`. new */
static inline json_t *set_input(int value, const char *key)
{
    return json_pack("{s:{s:s, s:i}, s:{s:{s:i}, s:{s:i}, s:{s:i}}, s:s, s:i}", "args", "target", "t", "value", value,
                     "plan", "from", "value", 0, "to", "value", value, "undo", "value", 0, "key", key, "epoch", 7);
}

#endif
