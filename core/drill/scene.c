/* scene.c: the world of a rehearsal: the scenario's own world in place of every plugin; workers are in actor.c.
 *
 *   engine --call--> [ask] --want answered--> scenario's worker --next want--> [ask] --after CALL_MS--> engine
 *
 * What came into the world is kept here by key, so that "did it happen" has one answer, whatever the scenario's code says.
 */
#include "base/json.h"
#include "base/mem.h"
#include "drill/rehearsal_parts.h"
#include <stdio.h>
#include <string.h>

#define CALL_MS    20   /* of virtual time, there and back */
#define NO_HOST_MS 5000 /* how long a host that is upset stays away */

struct stanch_ask {
    struct stanch_ask *next;
    struct stanch_rehearsal *r;
    int life; /* of the process that waits for it */
    json_t *question;
    /* a call */
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *ctx;
    struct stanch_plugin_answer answer;
    enum stanch_upset upset;
    int64_t deadline_ms;
    bool is_effect, is_echo; /* is_echo: it came before; nobody waits for its answer */
    /* a person */
    void (*on_said)(void *ctx, const json_t *said);
    bool is_with_scene;
};

bool stanch_rehearsal__computes(const struct stanch_rehearsal *r)
{
    bool scene_does = r->scene && r->asks && !r->scene_listens && !r->broken[0];
    return scene_does || stanch_actor__computes(r); /* before it is there, what is asked waits for it */
}

/* ---- what instances are ---- */

static bool is_away(const struct stanch_rehearsal *r, const char *instance);

/* Does it have a host? */
static bool is_real(const struct stanch_rehearsal *r, const char *instance)
{
    return r->real && stanch_plugins_describe(r->real, instance);
}

static const json_t *describe(void *ctx, const char *instance)
{
    const struct stanch_rehearsal *r = ctx;
    const json_t *described = json_object_get(r->stage->described, instance);
    if (described && is_away(r, instance))
        return json_object_get(r->away, instance);
    return is_real(r, instance) ? stanch_plugins_describe(r->real, instance) : described;
}

static json_t *list(void *ctx)
{
    json_t *all = json_array(), *one;
    const char *name;
    json_object_foreach(((struct stanch_rehearsal *)ctx)->stage->described, name, one)
        json_array_append(all, (json_t *)(uintptr_t)describe(ctx, name));
    return all;
}

static int check_args(void *ctx, const char *instance, const char *action, const json_t *args, struct stanch_err *err)
{
    const json_t *described = describe(ctx, instance);
    if (!described)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin instance \"%s\"", instance);
    return stanch_described_check_args(described, action, args, err);
}

/* ---- the scenario's worker ---- */

static void free_ask(struct stanch_ask *ask)
{
    json_decref(ask->answer.value);
    json_decref(ask->question);
    free(ask);
}

static void give_next(struct stanch_rehearsal *r)
{
    struct stanch_err err;
    struct stanch_ask *ask = r->asks;
    if (!ask || !r->scene_listens || ask->is_with_scene)
        return;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:O}", "ok", ask->question);
    ask->is_with_scene = true;
    r->scene_listens = false;
    if (stanch_worker_answer(r->scene, r->scene_n, answer, &err) < 0)
        stanch_rehearsal__break(r, "the scenario could not be asked: %s", err.text);
}

static void add_ask(struct stanch_ask *ask)
{
    struct stanch_ask **at = &ask->r->asks;
    while (*at)
        at = &(*at)->next;
    *at = ask;
    ask->r->out++;
    give_next(ask->r);
}

/* Back where it came from; in another life nobody waits for it. */
static void deliver(void *ctx)
{
    struct stanch_ask *ask = ctx;
    struct stanch_rehearsal *r = ask->r;
    r->out--;
    if (!ask->is_echo && ask->life == r->life && !r->dead)
        ask->on_answer(ask->ctx, &ask->answer);
    free_ask(ask);
}

static void say_unknown(struct stanch_ask *ask, int code, const char *why)
{
    json_decref(ask->answer.value);
    ask->answer.value = NULL;
    ask->answer.outcome = STANCH_OUTCOME_UNKNOWN;
    (void)stanch_err_set(&ask->answer.err, code, "%s", why);
}

static const json_t *call_of(const struct stanch_ask *ask)
{
    return json_object_get(ask->question, "call");
}

static void note_effect(struct stanch_ask *ask)
{
    struct stanch_rehearsal *r = ask->r;
    const json_t *call = call_of(ask);
    STANCH_AUTO_FREE char *key =
        stanch_asprintf("%s %s", stanch_json_str(call, "op", ""), stanch_json_str(call, "key", ""));
    json_object_set_new(r->keys, key, json_integer(stanch_json_int(r->keys, key, 0) + 1));
    json_array_append_new(r->effects,
                          json_pack("{s:O, s:O, s:O, s:O, s:s, s:s, s:I}", "instance",
                                    json_object_get(call, "instance"), "action", json_object_get(call, "action"), "op",
                                    json_object_get(call, "op"), "args", json_object_get(call, "args"), "key",
                                    stanch_json_str(call, "key", ""), "class", stanch_json_str(call, "class", ""),
                                    "at_ms", (json_int_t)stanch_rehearsal__elapsed_ms(r)));
}

/* "Did it happen?" where the scenario has no word of its own. */
static json_t *reconciled(const struct stanch_ask *ask)
{
    const json_t *call = call_of(ask);
    STANCH_AUTO_FREE char *key =
        stanch_asprintf("%s %s", stanch_json_str(call, "reconciles", "apply"), stanch_json_str(call, "key", ""));
    return json_pack("{s:s}", "state", json_object_get(ask->r->keys, key) ? "done" : "not-done");
}

static void fail_call(struct stanch_ask *ask, const json_t *fails)
{
    const char *kind = stanch_json_str(fails, "kind", "remote");
    int code = stanch_err_from_word(kind);
    ask->answer.outcome = STANCH_OUTCOME_FAILED;
    ask->answer.retry = stanch_json_bool(fails, "retry", false);
    (void)stanch_err_set(&ask->answer.err, code < 0 ? code : STANCH_E_REMOTE, "%s", stanch_json_str(fails, "text", ""));
}

/* What the scenario's world said becomes what a plugin would have answered. */
static void take_reply(struct stanch_ask *ask, const json_t *reply)
{
    struct stanch_rehearsal *r = ask->r;
    const json_t *call = call_of(ask);
    const char *broken = stanch_json_str(reply, "broken", NULL), *missing = stanch_json_str(reply, "missing", NULL);
    json_t *value = json_object_get(reply, "ok");
    if (broken)
        stanch_rehearsal__break(r, "the world's answer to %s of %s.%s: %s", stanch_json_str(call, "op", ""),
                                stanch_json_str(call, "instance", ""), stanch_json_str(call, "action", ""), broken);
    if (missing)
        stanch_rehearsal__break(r, "the world has no answer for %s; give it one: world = { [\"%s\"] = ... }", missing,
                                missing);
    if (json_object_get(reply, "fails")) {
        fail_call(ask, json_object_get(reply, "fails"));
        return;
    }
    if (json_object_get(reply, "unknown")) {
        say_unknown(ask, STANCH_E_TIMEOUT, stanch_json_str(reply, "unknown", ""));
        return;
    }
    if (ask->is_effect && !ask->is_echo)
        note_effect(ask);
    bool reconciles = strcmp(stanch_json_str(call, "op", ""), "reconcile") == 0;
    ask->answer.value = value && !json_is_null(value) ? json_deep_copy(value)
                        : reconciles                  ? reconciled(ask)
                                                      : json_object();
    if (ask->upset == STANCH_UPSET_LOST)
        say_unknown(ask, STANCH_E_CRASHED, "the host died before it could answer");
}

static void on_scene_wants(void *ctx, const json_t *wants)
{
    struct stanch_rehearsal *r = ctx;
    const json_t *want = json_array_get(wants, 0);
    if (!want)
        return;
    struct stanch_ask *ask = r->asks;
    const json_t *reply = json_object_get(json_object_get(want, "args"), "reply");
    r->scene_n = stanch_json_int(want, "n", 0);
    r->scene_listens = true;
    if (strcmp(stanch_json_str(want, "op", ""), "scenario.next") != 0) {
        stanch_rehearsal__break(r, "%s:%lld: a scenario's world cannot use the words of a run (\"%s\")",
                                stanch_json_str(want, "file", "?"), (long long)stanch_json_int(want, "line", 0),
                                stanch_json_str(want, "op", ""));
        return;
    }
    if (ask && ask->is_with_scene) {
        r->asks = ask->next;
        if (ask->on_said) {
            r->out--;
            const char *broken = stanch_json_str(reply, "broken", NULL);
            if (broken)
                stanch_rehearsal__break(r, "people: %s", broken);
            else if (ask->life == r->life && !r->dead)
                ask->on_said(ask->ctx, reply);
            free_ask(ask);
        } else {
            take_reply(ask, reply);
            stanch_timer_start(r->loop, CALL_MS / 2, deliver, ask);
        }
    }
    give_next(r);
}

static void on_scene_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_rehearsal *r = ctx;
    r->scene = NULL;
    r->scene_listens = false;
    if (rc == 0)
        r->verdict = json_deep_copy(result);
    else if (json_object_get(result, "line"))
        stanch_rehearsal__break(r, "%s:%lld: %s", stanch_json_str(result, "file", "?"),
                                (long long)stanch_json_int(result, "line", 0), stanch_json_str(result, "text", ""));
    else
        stanch_rehearsal__break(r, "the scenario: %s", err->text);
}

int stanch_scene__start(struct stanch_rehearsal *r, struct stanch_err *err)
{
    static const struct stanch_worker_events events = {on_scene_wants, on_scene_end};
    STANCH_AUTO_JSON json_t *input =
        json_pack("{s:s, s:i}", "path", stanch_json_str(r->spec->scenario, "file", ""), "index", r->spec->index);
    int rc = stanch_stage_start(r->stage, input, &events, r, &r->scene, err);
    while (rc == 0 && r->scene && !r->scene_listens && !r->broken[0])
        stanch_loop_run_next(r->stage->loop);
    return rc == 0 && r->broken[0] ? stanch_err_set(err, STANCH_E_SCRIPT, "%s", r->broken) : rc;
}

/* ---- calls ---- */

static const json_t *declared_of(struct stanch_rehearsal *r, const struct stanch_plugin_request *request)
{
    return json_object_get(json_object_get(describe(r, request->instance), "actions"), request->action);
}

/* Is the instance away, by the scenario or because it is upset? */
static const char *trouble_of(const struct stanch_rehearsal *r, const char *instance)
{
    const json_t *faults = json_object_get(r->spec->scenario, "faults");
    int64_t now_ms = stanch_rehearsal__elapsed_ms(r);
    for (size_t i = 0; i < json_array_size(faults); i++) {
        const json_t *fault = json_array_get(faults, i);
        int64_t at_ms = stanch_json_int(fault, "at_ms", 0), lasts_ms = stanch_json_int(fault, "lasts_ms", -1);
        if (strcmp(stanch_json_str(fault, "instance", ""), instance) == 0 && now_ms >= at_ms &&
            (lasts_ms < 0 || now_ms < at_ms + lasts_ms))
            return stanch_json_str(fault, "how", "down");
    }
    return NULL;
}

static bool is_away(const struct stanch_rehearsal *r, const char *instance)
{
    const char *trouble = trouble_of(r, instance);
    return (trouble && strcmp(trouble, "down") == 0) ||
           (r->no_host && strcmp(r->no_host, instance) == 0 && stanch_rehearsal__elapsed_ms(r) < r->no_host_until_ms);
}

static enum stanch_upset upset_of(struct stanch_rehearsal *r, const char *instance)
{
    const char *trouble = trouble_of(r, instance);
    int number = (int)json_array_size(r->calls);
    if (number == r->spec->upset_call && r->spec->upset == STANCH_UPSET_NO_HOST) {
        r->no_host = json_object_iter_key(json_object_iter_at(r->stage->described, instance));
        r->no_host_until_ms = stanch_rehearsal__elapsed_ms(r) + NO_HOST_MS;
    }
    if (is_away(r, instance))
        return STANCH_UPSET_NO_HOST;
    if (trouble)
        return strcmp(trouble, "failing") == 0 ? STANCH_UPSET_FAILS
               : strcmp(trouble, "lost") == 0  ? STANCH_UPSET_LOST
                                               : STANCH_UPSET_SILENT;
    return number == r->spec->upset_call ? r->spec->upset : STANCH_UPSET_NONE;
}

static json_t *question_of(struct stanch_rehearsal *r, const struct stanch_plugin_request *request)
{
    json_t *call = json_pack("{s:s, s:s, s:s, s:s, s:I}", "instance", request->instance, "plugin",
                             stanch_json_str(describe(r, request->instance), "plugin", ""), "action", request->action,
                             "op", request->op, "at_ms", (json_int_t)stanch_rehearsal__elapsed_ms(r));
    json_t *args = json_object_get(request->input, "args"), *plan = json_object_get(request->input, "plan");
    json_object_set_new(call, "args", args ? json_deep_copy(args) : json_object());
    if (plan)
        json_object_set_new(call, "plan", json_deep_copy(plan));
    stanch_json_set_str(call, "key", stanch_json_str(request->input, "key", NULL));
    stanch_json_set_str(call, "reconciles", stanch_json_str(request->input, "op", NULL));
    stanch_json_set_str(call, "class", stanch_json_str(declared_of(r, request), "class", NULL));
    return json_pack("{s:s, s:o}", "ask", "call", "call", call);
}

static bool is_effect(struct stanch_rehearsal *r, const struct stanch_plugin_request *request)
{
    return (strcmp(request->op, "apply") == 0 || strcmp(request->op, "undo") == 0) && declared_of(r, request);
}

/* The world never hears of it. */
static void answer_upset(struct stanch_ask *ask)
{
    if (ask->upset == STANCH_UPSET_FAILS) {
        STANCH_AUTO_JSON json_t *fails = json_pack("{s:s, s:s}", "kind", "remote", "text", "made to fail");
        fail_call(ask, fails);
        stanch_timer_start(ask->r->loop, CALL_MS, deliver, ask);
    } else {
        say_unknown(ask, STANCH_E_TIMEOUT, "no answer within the deadline");
        stanch_timer_start(ask->r->loop, ask->deadline_ms, deliver, ask);
    }
    ask->r->out++;
}

/* ---- calls of what is real ---- */

static void drop_real(struct stanch_ask *ask)
{
    struct stanch_ask **at = &ask->r->real_asks;
    while (*at != ask)
        at = &(*at)->next;
    *at = ask->next;
    free_ask(ask);
}

static void on_real(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_ask *ask = ctx;
    struct stanch_rehearsal *r = ask->r;
    r->out--;
    if (ask->is_effect && answer->outcome == STANCH_OUTCOME_DONE)
        note_effect(ask);
    if (ask->upset == STANCH_UPSET_LOST)
        say_unknown(ask, STANCH_E_CRASHED, "the host died before it could answer");
    if (ask->life == r->life && !r->dead)
        ask->on_answer(ask->ctx, ask->upset == STANCH_UPSET_LOST ? &ask->answer : answer);
    drop_real(ask);
}

static int call_real(struct stanch_ask *ask, const struct stanch_plugin_request *request, struct stanch_err *err)
{
    struct stanch_rehearsal *r = ask->r;
    ask->next = r->real_asks;
    r->real_asks = ask;
    r->out++;
    int rc = stanch_plugins_call(r->real, request, on_real, ask, NULL, err);
    if (rc == 0)
        return 0;
    r->out--;
    drop_real(ask);
    return rc;
}

bool stanch_may_repeat(const json_t *effect)
{
    const char *class = stanch_json_str(effect, "class", ""), *op = stanch_json_str(effect, "op", "");
    return (strcmp(op, "apply") == 0 || strcmp(op, "undo") == 0) &&
           (strcmp(class, "convergent") == 0 || strcmp(class, "idempotent") == 0);
}

/* The same call once more: the world hears it like the first one. */
static void add_echo(const struct stanch_ask *ask)
{
    struct stanch_ask *echo = STANCH_NEW(struct stanch_ask);
    *echo = (struct stanch_ask){.r = ask->r,
                                .life = ask->life,
                                .question = json_deep_copy(ask->question),
                                .is_effect = ask->is_effect,
                                .is_echo = true};
    add_ask(echo);
}

static int call(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct stanch_rehearsal *r = ctx;
    (void)ret;
    if (r->dead)
        return 0; /* nothing leaves a dead process */
    if (!describe(r, request->instance))
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin instance \"%s\"", request->instance);
    if (r->counts)
        json_array_append_new(r->calls, json_pack("{s:s, s:s, s:s, s:s}", "instance", request->instance, "action",
                                                  request->action, "op", request->op, "class",
                                                  stanch_json_str(declared_of(r, request), "class", "")));
    enum stanch_upset upset = upset_of(r, request->instance);
    if (upset == STANCH_UPSET_NO_HOST)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the host of \"%s\" is down", request->instance);
    struct stanch_ask *ask = STANCH_NEW(struct stanch_ask);
    *ask = (struct stanch_ask){.r = r,
                               .life = r->life,
                               .question = question_of(r, request),
                               .on_answer = on_answer,
                               .ctx = call_ctx,
                               .upset = upset,
                               .deadline_ms = request->deadline_ms > 0 ? request->deadline_ms : 10000,
                               .is_effect = is_effect(r, request)};
    if (upset == STANCH_UPSET_FAILS || upset == STANCH_UPSET_SILENT)
        answer_upset(ask);
    else if (is_real(r, request->instance))
        return call_real(ask, request, err);
    else
        add_ask(ask);
    if (upset == STANCH_UPSET_TWICE)
        add_echo(ask);
    return 0;
}

static void cancel(void *ctx, struct stanch_plugin_call *plugin_call)
{
    (void)ctx; /* what was sent is waited for; its answer comes within CALL_MS */
    (void)plugin_call;
}

/* The same instances, as they are when their hosts are away. */
static json_t *away_of(json_t *described)
{
    json_t *away = json_object(), *one;
    const char *name;
    json_object_foreach(described, name, one)
    {
        json_t *copy = json_copy(one);
        stanch_json_set_str(copy, "state", "down");
        json_object_set_new(away, name, copy);
    }
    return away;
}

void stanch_scene__fill_world(struct stanch_rehearsal *r)
{
    r->away = away_of(r->stage->described);
    r->world = (struct stanch_world){.name = "rehearsal",
                                     .loop = r->loop,
                                     .ctx = r,
                                     .describe = describe,
                                     .check_args = check_args,
                                     .call = call,
                                     .cancel = cancel,
                                     .worker_start = stanch_actor__start,
                                     .worker_answer = stanch_actor__answer,
                                     .worker_kill = stanch_actor__kill,
                                     .list = list};
}

/* ---- people, the verdict, the end ---- */

void stanch_scene__ask_person(struct stanch_rehearsal *r, json_t *question,
                              void (*on_said)(void *ctx, const json_t *said), void *ctx)
{
    struct stanch_ask *ask = STANCH_NEW(struct stanch_ask);
    json_object_set_new(question, "ask", json_string("person"));
    *ask = (struct stanch_ask){.r = r, .life = r->life, .question = question, .on_said = on_said, .ctx = ctx};
    add_ask(ask);
}

void stanch_scene__judge(struct stanch_rehearsal *r, json_t *seen)
{
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:{s:s, s:O}}", "ok", "ask", "judge", "seen", seen);
    if (r->broken[0] || !r->scene)
        return;
    while (!r->scene_listens && r->scene && !r->broken[0])
        stanch_loop_run_next(r->stage->loop);
    if (r->scene && !r->broken[0] && stanch_worker_answer(r->scene, r->scene_n, answer, &err) < 0)
        stanch_rehearsal__break(r, "the scenario could not be asked: %s", err.text);
}

void stanch_scene__free(struct stanch_rehearsal *r)
{
    stanch_worker_kill(r->scene);
    while (r->real_asks)
        drop_real(r->real_asks);
    while (r->asks) {
        struct stanch_ask *ask = r->asks;
        r->asks = ask->next;
        free_ask(ask);
    }
    if (r->loop)
        stanch_loop_sim_advance(r->loop, 3600 * 1000); /* answers on their way come back to nobody */
}
