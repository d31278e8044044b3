/* call.c: calls to plugins, from core's side.
 *
 *   call --frame--> host ... answer --> on_answer
 *                     |  deadline passed by 0.8 s: the host is hung, killed
 *                     '  it died: unknown
 *
 * The host answers "unknown" at the deadline by itself; core's own timer is for a host that cannot even do
 * that. */
#include "base/crash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "plugin/registry.h"
#include "plugin/schema.h"
#include "plugin/suggest.h"
#include <string.h>
#include <uv.h>

#define MAX_DEADLINE_MS ((int64_t)24 * 3600 * 1000)

static void unlink_call(struct stanch_plugin_call *call)
{
    struct stanch_plugin_call **at = &call->instance->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->instance->call_count--;
}

/* Tell and free a call that was taken out. The last thing that happens to it. */
static void deliver(struct stanch_plugin_call *call, struct stanch_plugin_answer *answer)
{
    stanch_timer_stop(call->instance->plugins->loop, &call->timer);
    answer->took_us = (int64_t)((uv_hrtime() - call->started_ns) / 1000);
    call->on_answer(call->ctx, answer);
    free(call);
}

static void deliver_unknown(struct stanch_plugin_call *call, int code, const char *why)
{
    struct stanch_plugin_answer answer = {.outcome = STANCH_OUTCOME_UNKNOWN};
    if (stanch_is_sabotaged("unknown-as-failed"))
        answer.outcome = STANCH_OUTCOME_FAILED;
    stanch_err_set(&answer.err, code, "%s", why);
    deliver(call, &answer);
}

/* ---- answers ---- */

static void read_error(const json_t *head, struct stanch_plugin_answer *answer)
{
    const json_t *error = json_object_get(head, "error");
    int code = stanch_err_from_word(stanch_json_str(error, "kind", ""));
    int64_t after = stanch_json_int(error, "retry_after_ms", 0);
    stanch_err_set(&answer->err, code ? code : STANCH_E_REMOTE, "%s",
                   stanch_json_str(error, "text", "the plugin gave no reason"));
    answer->retry = stanch_json_bool(error, "retry", false);
    answer->retry_after_ms = after < 0 ? 0 : after;
}

int stanch_plugin__answered(struct stanch_plugin_instance *instance, const json_t *head, struct stanch_err *err)
{
    const char *outcome = stanch_json_str(head, "outcome", "");
    int64_t id = stanch_json_int(head, "id", -1);
    struct stanch_plugin_answer answer = {0};
    struct stanch_plugin_call *call = instance->calls;
    while (call && call->id != id)
        call = call->next;
    if (!call) {
        stanch_log(STANCH_LOG_WARN, "plugin", "an answer to no call under way, ignored instance=%s id=%lld",
                   instance->name, (long long)id);
        return 0;
    }
    if (strcmp(outcome, "done") == 0) {
        answer.outcome = STANCH_OUTCOME_DONE;
        answer.value = json_object_get(head, "value");
        if (!answer.value)
            return stanch_err_set(err, STANCH_E_PROTOCOL, "an answer \"done\" without a value");
    } else if (strcmp(outcome, "failed") == 0 || strcmp(outcome, "unknown") == 0) {
        answer.outcome = outcome[0] == 'f' ? STANCH_OUTCOME_FAILED : STANCH_OUTCOME_UNKNOWN;
        read_error(head, &answer);
    } else {
        return stanch_err_set(err, STANCH_E_PROTOCOL, "an answer with the outcome \"%.40s\"", outcome);
    }
    stanch_crash_point("plugin.before-answer");
    unlink_call(call);
    deliver(call, &answer);
    return 0;
}

void stanch_plugin__calls_lost(struct stanch_plugin_instance *instance, const char *why)
{
    /* An answer may lead to a new call; a host that is down refuses it, so this ends. */
    while (instance->calls) {
        struct stanch_plugin_call *call = instance->calls;
        instance->calls = call->next;
        instance->call_count--;
        deliver_unknown(call, call->is_late ? STANCH_E_TIMEOUT : STANCH_E_CRASHED, why);
    }
}

void stanch_plugin__calls_drop(struct stanch_plugin_instance *instance)
{
    while (instance->calls) {
        struct stanch_plugin_call *call = instance->calls;
        instance->calls = call->next;
        stanch_timer_stop(instance->plugins->loop, &call->timer);
        free(call);
    }
}

static void on_late_again(void *ctx)
{
    struct stanch_plugin_call *call = ctx;
    call->timer = NULL;
    unlink_call(call);
    deliver_unknown(call, STANCH_E_TIMEOUT, "the plugin's host hung past the deadline and is being killed");
}

static void on_still_late(void *ctx)
{
    struct stanch_plugin_call *call = ctx;
    struct stanch_plugin_instance *instance = call->instance;
    call->timer = stanch_timer_start(instance->plugins->loop, STANCH_PLUGIN_LATE_AGAIN_MS, on_late_again, call);
    stanch_plugin__kill(instance, "the host hung: a call was not answered by its deadline of %lld ms",
                        (long long)call->deadline_ms);
}

/* Perhaps it was core that slept, and the answer is there, unread: timers come before reading. Read once, then judge. */
static void on_late(void *ctx)
{
    struct stanch_plugin_call *call = ctx;
    call->timer = NULL;
    if (stanch_is_sabotaged("deadline-ignored"))
        return;
    call->is_late = true;
    call->timer = stanch_timer_start(call->instance->plugins->loop, 1, on_still_late, call);
}

/* ---- the call ---- */

static int check_op(struct stanch_plugin_instance *instance, const struct stanch_plugin_request *request,
                    struct stanch_err *err)
{
    if (strcmp(request->op, "check") == 0)
        return json_object_get(instance->declaration, "check")
                   ? 0
                   : stanch_err_set(err, STANCH_E_NOT_FOUND, "the plugin %s has no check", instance->plugin);
    bool is_receive = strcmp(request->op, "receive") == 0;
    const json_t *known = is_receive ? json_object_get(instance->declaration, "sources") : instance->actions;
    const json_t *found = json_object_get(known, request->action);
    char near[400];
    if (!found) {
        stanch_suggest_text(known, request->action, near);
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s \"%s\" has no %s \"%s\"%s", instance->plugin, instance->name,
                              is_receive ? "source" : "action", request->action, near);
    }
    if (!is_receive && !json_object_get(json_object_get(found, "has"), request->op))
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "the action %s of %s \"%s\" has no %s", request->action,
                              instance->plugin, instance->name, request->op);
    return 0;
}

static int check_call(struct stanch_plugin_instance *instance, const struct stanch_plugin_request *request,
                      struct stanch_err *err)
{
    if (!instance)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin instance \"%s\"", request->instance);
    if (instance->state != STANCH_PLUGIN_UP)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "%s \"%s\" is %s%s%s; nothing was sent", instance->plugin,
                              instance->name, stanch_plugin__state_word(instance->state), instance->why ? ": " : "",
                              instance->why ? instance->why : "");
    if (instance->call_count >= STANCH_PLUGIN_MAX_CALLS)
        return stanch_err_set(err, STANCH_E_BUSY, "%s \"%s\" has %d calls under way; nothing was sent",
                              instance->plugin, instance->name, instance->call_count);
    return check_op(instance, request, err);
}

static int send_call(struct stanch_plugin_instance *instance, const struct stanch_plugin_request *request, int64_t id,
                     int64_t deadline_ms, struct stanch_err *err)
{
    json_t *head = json_pack("{s:s, s:I, s:s, s:s, s:I}", "t", "call", "id", (json_int_t)id, "op", request->op,
                             "action", request->action, "deadline_ms", (json_int_t)deadline_ms);
    json_object_set(head, "input", (json_t *)(uintptr_t)request->input);
    stanch_crash_point("plugin.before-send");
    int rc = stanch_channel_send(stanch_child_channel(instance->child), head, request->body, request->body_len, err);
    stanch_crash_point("plugin.after-send");
    json_decref(head);
    return rc;
}

int stanch_plugins_call(struct stanch_plugins *plugins, const struct stanch_plugin_request *request,
                        void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer), void *ctx,
                        struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct stanch_plugin_instance *instance = stanch_plugin__find(plugins, request->instance);
    int64_t deadline = request->deadline_ms < 1 ? 1 : request->deadline_ms;
    deadline = deadline > MAX_DEADLINE_MS ? MAX_DEADLINE_MS : deadline;
    int rc = check_call(instance, request, err);
    if (rc < 0)
        return rc;
    rc = send_call(instance, request, plugins->last_call_id + 1, deadline, err);
    if (rc == STANCH_E_TOO_LARGE || rc == STANCH_E_BUSY)
        return rc; /* refused before a byte was written; any other error may have left half a frame: it counts
                      as sent */
    struct stanch_plugin_call *call = STANCH_NEW(struct stanch_plugin_call);
    call->id = ++plugins->last_call_id;
    call->instance = instance;
    call->started_ns = uv_hrtime();
    call->deadline_ms = deadline;
    call->on_answer = on_answer;
    call->ctx = ctx;
    call->timer = stanch_timer_start(plugins->loop, deadline + STANCH_PLUGIN_LATE_MS, on_late, call);
    call->next = instance->calls;
    instance->calls = call;
    instance->call_count++;
    if (rc < 0)
        stanch_plugin__kill(instance, "the host could not be written to: %s", err ? err->text : "");
    if (ret)
        *ret = call;
    return 0;
}

void stanch_plugin_call_cancel(struct stanch_plugin_call *call)
{
    struct stanch_plugin_instance *instance = call->instance;
    if (instance->state != STANCH_PLUGIN_UP)
        return; /* the host is dying: unknown is on its way */
    json_t *head = json_pack("{s:s, s:I}", "t", "cancel", "id", (json_int_t)call->id);
    (void)stanch_channel_send(stanch_child_channel(instance->child), head, NULL, 0, NULL);
    json_decref(head);
}

static int check_args(const char *plugin, const char *name, const json_t *actions, const char *action,
                      const json_t *args, struct stanch_err *err)
{
    const json_t *found = json_object_get(actions, action);
    char near[400];
    if (found)
        return stanch_schema_check(json_object_get(found, "params"), args, "args", "argument", err);
    stanch_suggest_text(actions, action, near);
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s \"%s\" has no action \"%s\"%s", plugin, name, action, near);
}

int stanch_plugins_check_args(struct stanch_plugins *plugins, const char *name, const char *action, const json_t *args,
                              struct stanch_err *err)
{
    struct stanch_plugin_instance *instance = stanch_plugin__find(plugins, name);
    if (!instance)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin instance \"%s\"", name);
    if (!instance->actions)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s \"%s\" has not been up yet: its actions are not known",
                              instance->plugin, name);
    return check_args(instance->plugin, name, instance->actions, action, args, err);
}

int stanch_described_check_args(const json_t *described, const char *action, const json_t *args, struct stanch_err *err)
{
    return check_args(stanch_json_str(described, "plugin", ""), stanch_json_str(described, "name", ""),
                      json_object_get(described, "actions"), action, args, err);
}
