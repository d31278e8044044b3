/* worker_kit.h: a loop, the real runner, and an answering machine in place of the engine. */
#ifndef STANCH_TESTS_WORKER_KIT_H
#define STANCH_TESTS_WORKER_KIT_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "counted.h"
#include "script/runner.h"
#include "wire/channel.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct kit {
    struct stanch_loop *loop;
    struct stanch_runner *runner;
    struct counted time; /* of tests that count it */
};

/* One activation under test. */
struct act {
    struct kit *kit;
    struct stanch_worker *worker;
    /* The answer to a want: new, or NULL: no answer now. */
    json_t *(*answer)(struct act *act, const json_t *want);
    json_t *wants; /* all of them, in order */
    json_t *result;
    json_t *pending; /* wants not answered yet */
    int frames;      /* on_wants calls */
    int rc;
    struct stanch_err err;
    bool ended;
    int *open; /* count of activations still running; the last one stops the loop */
    void *ctx;
};

static inline const char *kit_exe(void)
{
    static char path[4096];
    const char *exe = getenv("STANCH_BIN");
    if (exe)
        return exe;
    char *self = stanch_self_path(); /* BUILD/tests/unit_x */
    (void)snprintf(path, sizeof path, "%.*s/../bin/stanch", (int)(strrchr(self, '/') - self), self);
    free(self);
    return path;
}

static inline void kit_start(struct kit *kit, const struct stanch_runner_limits *limits)
{
    struct stanch_err err;
    stanch_digest_init();
    stanch_log_set_level(STANCH_LOG_ERROR);
    kit->time = (struct counted){0};
    kit->loop = stanch_loop_new(&err);
    if (stanch_runner_start(kit->loop, kit_exe(), limits, &kit->runner, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void kit_stop(struct kit *kit)
{
    stanch_runner_free(kit->runner);
    stanch_loop_free(kit->loop);
    counted_done(&kit->time);
}

/* Answer the first pending want that gets an answer. */
static inline void act_answer_next(struct act *act)
{
    for (size_t i = 0; i < json_array_size(act->pending); i++) {
        json_t *want = json_array_get(act->pending, i);
        json_t *answer = act->answer ? act->answer(act, want) : json_pack("{s:{}}", "ok");
        if (!answer)
            continue;
        struct stanch_err err;
        int64_t n = stanch_json_int(want, "n", 0);
        json_array_remove(act->pending, i);
        if (stanch_worker_answer(act->worker, n, answer, &err) < 0)
            fail_msg("answer %lld: %s", (long long)n, err.text);
        json_decref(answer);
        return;
    }
}

static inline void act_on_wants(void *ctx, const json_t *wants)
{
    struct act *act = ctx;
    act->frames++;
    json_array_extend(act->wants, (json_t *)(uintptr_t)wants);
    json_array_extend(act->pending, (json_t *)(uintptr_t)wants);
    act_answer_next(act);
}

static inline void act_on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct act *act = ctx;
    assert_false(act->ended);
    act->ended = true;
    act->rc = rc;
    act->err = *err;
    act->result = json_deep_copy(result);
    act->worker = NULL;
    if (act->open && --*act->open == 0)
        stanch_loop_stop(act->kit->loop);
}

static const struct stanch_worker_events act_events = {act_on_wants, act_on_end};

static inline json_t *act_input(void)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:{s:s}}, s:{s:s, s:s, s:s}, s:{s:s}, s:s, s:{"
                     "s:{s:s, s:s, s:{s:{s:s, s:{s:s, s:{s:{}, s:{}, s:{}}, s:[s]}}, s:{s:s, s:{s:s}}}},"
                     "s:{s:s, s:{s:{s:s, s:{s:s, s:{s:{}}}}}}}}",
                     "run", "R-1", "path", "a.lua", "runbook", "t", "event", "kind", "alert", "labels", "instance",
                     "eu1", "incident", "id", "INC-1", "title", "Checkout", "severity", "sev2", "params", "server",
                     "s1", "seed", "5eed", "instances", "edge-eu", "plugin", "haproxy", "environment", "prod",
                     "actions", "drain", "effect", "mitigate", "params", "type", "object", "properties", "backend",
                     "server", "tag", "required", "backend", "show", "effect", "read", "params", "type", "object",
                     "main", "plugin", "prometheus", "actions", "query", "effect", "read", "params", "type", "object",
                     "properties", "expr");
}

/* Start a worker of kind "run" over one or two files; ends are waited for with act_wait. */
static inline void act_start(struct kit *kit, struct act *act, json_t *input, const struct stanch_source *sources,
                             int count)
{
    struct stanch_err err;
    struct stanch_worker_spec spec = {"run", input, sources, count};
    act->kit = kit;
    act->wants = json_array();
    act->pending = json_array();
    if (stanch_worker_start(kit->runner, &spec, &act_events, act, &act->worker, &err) < 0)
        fail_msg("start: %s", err.text);
}

static inline void act_done(struct act *act)
{
    json_decref(act->wants);
    json_decref(act->pending);
    json_decref(act->result);
}

/* Run one file to its end. */
static inline void act_run(struct kit *kit, struct act *act, const char *text)
{
    int open = 1;
    json_t *input = act_input();
    struct stanch_source source = {"a.lua", text, strlen(text)};
    act->open = &open;
    act_start(kit, act, input, &source, 1);
    json_decref(input);
    stanch_loop_run(kit->loop);
    act->open = NULL;
    assert_true(act->ended);
}

/* The same with a body for run(incident, p). */
static inline void act_run_body(struct kit *kit, struct act *act, const char *body)
{
    char *text =
        stanch_asprintf("local edge, prom = haproxy \"edge-eu\", prometheus \"main\"\n"
                        "runbook \"t\" { summary = \"a test\", owner = \"team\", on = alert { alertname = \"A\" },"
                        " uses = { edge.drain, edge.show, prom.query },"
                        " symptom = symptom { ask = prom.query { expr = \"e\" }, bad = \"> 5\", good = \"< 1\" },\n"
                        "run = function(incident, p)\n%s\nend }\n",
                        body);
    act_run(kit, act, text);
    free(text);
}

static inline const char *act_op(struct act *act, size_t i)
{
    return stanch_json_str(json_array_get(act->wants, i), "op", "");
}

static inline json_t *act_args(struct act *act, size_t i)
{
    return json_object_get(json_array_get(act->wants, i), "args");
}

#endif
