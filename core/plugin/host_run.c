/* host_run.c: commands for plugins. A host may start no process: it asks the launcher (launch.h) at the other end of its
 * link, which core started when the instance's settings name commands.
 *
 *   order --check, secrets filled in--> run frame ... ended frame --> on_ended, from the loop
 *     |                                    '--> the call was answered: end frame; the launcher ends the command
 *     '--> NOT_STARTED                     '--> the link closed: KILLED
 */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include <stdio.h>
#include <string.h>

#define DEFAULT_OUTPUT ((uint64_t)256 << 10)
#define MAX_OUTPUT     ((uint64_t)4 << 20)
#define DEFAULT_GRACE  1000u
#define MAX_INPUT      (4u << 20)
#define RESERVE_MS     250 /* for the way back of what it said */

struct run {
    struct stanch_host_work work;
    struct stanch_call *call;
    struct stanch_host_launcher *launcher;
    struct run *next;
    int64_t id;
    void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *);
    void *ctx;
    struct stanch_timer *refusal;
    char why[400];
};

struct stanch_host_launcher {
    struct stanch_instance *instance;
    struct stanch_channel *link; /* NULL: closed */
    struct run *runs;
    int64_t last_id;
};

static void unlink_run(struct run *run)
{
    struct run **at = run->launcher ? &run->launcher->runs : NULL;
    while (at && *at && *at != run)
        at = &(*at)->next;
    if (at && *at)
        *at = run->next;
}

static void finish(struct run *run, struct stanch_run_result *result)
{
    result->size = sizeof *result;
    unlink_run(run);
    stanch_host__work_remove(&run->work);
    run->on_ended(run->call, run->ctx, result);
    free(run);
}

static void abandon(struct stanch_host_work *work)
{
    struct run *run = container_of(work, struct run, work);
    stanch_timer_stop(run->call->instance->loop, &run->refusal);
    if (run->id && run->launcher && run->launcher->link) {
        json_t *head = json_pack("{s:s, s:I}", "t", "end", "id", (json_int_t)run->id);
        (void)stanch_channel_send(run->launcher->link, head, NULL, 0, NULL);
        json_decref(head);
    }
    unlink_run(run);
    free(run);
}

static void on_refusal(void *ctx)
{
    struct run *run = ctx;
    struct stanch_run_result result = {.ended = STANCH_RUN_NOT_STARTED, .why = {run->why, strlen(run->why)}};
    run->refusal = NULL;
    finish(run, &result);
}

static void refuse(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct run *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(run->why, sizeof run->why, fmt, args);
    va_end(args);
    if (!run->refusal)
        run->refusal = stanch_timer_start(run->call->instance->loop, 0, on_refusal, run);
}

/* ---- the link ---- */

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_host_launcher *launcher = ctx;
    int64_t id = stanch_json_int(head, "id", -1), out = stanch_json_int(head, "out", 0);
    const char *why = stanch_json_str(head, "why", ""), *bytes = attachment ? attachment : "";
    struct run *run = launcher->runs;
    (void)fd;
    while (run && run->id != id)
        run = run->next;
    if (!run || out < 0 || (size_t)out > len)
        return;
    struct stanch_run_result result = {
        .ended = (uint32_t)stanch_json_int(head, "how", STANCH_RUN_KILLED),
        .code = (int32_t)stanch_json_int(head, "code", 0),
        .is_cut = stanch_json_bool(head, "cut", false),
        .output = {bytes, (uint64_t)out},
        .errors = {bytes + out, len - (size_t)out},
        .why = {why, strlen(why)},
    };
    finish(run, &result);
}

static void on_closed(void *ctx, const struct stanch_err *err)
{
    static const char why[] = "the process that runs the commands ended; what the command did is not known";
    struct stanch_host_launcher *launcher = ctx;
    (void)err;
    stanch_channel_close(STANCH_TAKE(launcher->link));
    while (launcher->runs) {
        struct stanch_run_result result = {.ended = STANCH_RUN_KILLED, .why = {why, sizeof why - 1}};
        finish(launcher->runs, &result);
    }
}

int stanch_host__launcher_open(struct stanch_instance *instance, int fd, struct stanch_err *err)
{
    static const struct stanch_channel_events events = {on_frame, on_closed};
    struct stanch_host_launcher *launcher = STANCH_NEW(struct stanch_host_launcher);
    launcher->instance = instance;
    instance->launcher = launcher;
    return stanch_channel_open(instance->loop, fd, 0, &events, launcher, &launcher->link, err);
}

void stanch_host__launcher_close(struct stanch_instance *instance)
{
    if (instance->launcher)
        stanch_channel_close(instance->launcher->link);
    free(STANCH_TAKE(instance->launcher));
}

/* ---- an order ---- */

static json_t *parse(struct run *run, struct stanch_text text, const char *what, bool is_array)
{
    struct stanch_err err;
    json_t *value = NULL;
    if (text.len == 0)
        return is_array ? json_array() : json_object();
    if (stanch_json_parse(text.data, text.len, &stanch_json_own_limits, &value, &err) < 0 ||
        (is_array ? !json_is_array(value) : !json_is_object(value))) {
        refuse(run, "%s is no JSON %s", what, is_array ? "array" : "object");
        json_decref(value);
        return NULL;
    }
    return value;
}

static bool check_args(struct run *run, const json_t *args)
{
    size_t i;
    json_t *one;
    json_array_foreach((json_t *)(uintptr_t)args, i, one)
    {
        if (!json_is_string(one))
            return refuse(run, "args[%zu] is no text", i + 1), false;
    }
    return true;
}

static bool check_name(struct run *run, const char *name, const json_t *value)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    if (len == 0 || name[len] || !json_is_string(value) || strncmp(name, "LD_", 3) == 0)
        return refuse(run, "environment: %.60s is no name of a variable, or it has no text", name), false;
    return true;
}

/* What the command sees: plain ones, and secrets by their names. One that is not set is left out. */
static bool fill_environment(struct run *run, json_t *env, const json_t *secrets)
{
    struct stanch_instance *instance = run->call->instance;
    const char *name;
    json_t *value;
    json_object_foreach(env, name, value)
    {
        if (!check_name(run, name, value))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)secrets, name, value)
    {
        const char *setting = json_string_value(value);
        if (!check_name(run, name, value))
            return false;
        if (!stanch_host__secret_is_name(instance, setting))
            return refuse(run, "environment: \"%.60s\" is no secret setting", setting), false;
        const struct stanch_host_secret *secret = stanch_host__secret_find(instance, setting, strlen(setting));
        json_t *text = secret ? json_stringn(secret->value, secret->len) : NULL;
        if (secret && (!text || strlen(json_string_value(text)) != secret->len)) {
            json_decref(text);
            return refuse(run, "the secret %.60s is no text", setting), false;
        }
        if (text)
            json_object_set_new(env, name, text);
    }
    return true;
}

static int64_t deadline_of(const struct run *run, const struct stanch_run_order *order, int64_t grace)
{
    int64_t left = run->call->deadline_mono_ms - stanch_loop_mono_ms(run->call->instance->loop) - grace - RESERVE_MS;
    if (order->deadline_ms && order->deadline_ms < left)
        left = order->deadline_ms;
    return left;
}

static void send_run(struct run *run, const struct stanch_run_order *order, json_t *args, json_t *env)
{
    STANCH_AUTO_FREE char *command = stanch_strndup(order->command.data ? order->command.data : "", order->command.len);
    int64_t grace = order->grace_ms ? order->grace_ms : DEFAULT_GRACE, deadline = deadline_of(run, order, grace);
    uint64_t max = order->max_output ? order->max_output : DEFAULT_OUTPUT;
    struct stanch_err err = {0};
    if (deadline < 1) {
        refuse(run, "%.200s: there is no time left for it (nothing was started)", command);
        return;
    }
    json_t *head = json_pack("{s:s, s:I, s:s, s:O, s:O, s:I, s:I, s:I, s:b}", "t", "run", "id",
                             (json_int_t)(run->launcher->last_id + 1), "command", command, "args", args, "env", env,
                             "deadline_ms", (json_int_t)deadline, "grace_ms", (json_int_t)grace, "max_output",
                             (json_int_t)(max > MAX_OUTPUT ? MAX_OUTPUT : max), "is_cut_ok", (int)order->is_cut_ok);
    if (!head) {
        refuse(run, "the command is no text");
        return;
    }
    int rc = stanch_channel_send(run->launcher->link, head, order->input.data, order->input.len, &err);
    json_decref(head);
    if (rc < 0) {
        refuse(run, "the command could not be asked for: %s", err.text);
        return;
    }
    run->id = ++run->launcher->last_id;
    run->next = run->launcher->runs;
    run->launcher->runs = run;
}

static void order_run(struct run *run, const struct stanch_run_order *order)
{
    STANCH_AUTO_JSON json_t *args = parse(run, order->args, "args", true);
    STANCH_AUTO_JSON json_t *env = parse(run, order->environment, "environment", false);
    STANCH_AUTO_JSON json_t *secrets = parse(run, order->secret_environment, "secret_environment", false);
    if (!args || !env || !secrets || !check_args(run, args) || !fill_environment(run, env, secrets))
        return;
    if (order->input.len > MAX_INPUT)
        refuse(run, "its input is over %u bytes", MAX_INPUT);
    else
        send_run(run, order, args, env);
}

void stanch_host__run_start(struct stanch_call *call, const struct stanch_run_order *given,
                            void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *), void *ctx)
{
    struct run *run = STANCH_NEW(struct run);
    struct stanch_run_order order = {0};
    memcpy(&order, given, given->size < sizeof order ? given->size : sizeof order);
    run->work.abandon = abandon;
    run->call = call;
    run->launcher = call->instance->launcher;
    run->on_ended = on_ended;
    run->ctx = ctx;
    stanch_host__work_add(call, &run->work);
    if (!run->launcher || !run->launcher->link)
        refuse(run, "refused: this instance has no setting with \"format\":\"command\", or what runs them is gone");
    else
        order_run(run, &order);
}
