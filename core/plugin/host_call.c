/* host_call.c: the calls under way, their deadlines and answers.
 *
 *   call frame -> [open] --answer | deadline--> [answered] --control back in the loop--> released, freed
 *
 * An answer comes from inside of the plugin's code, which may go on using its handle until it returns: so a
 * call that was answered moves to the list `ended` and is freed by a deferred function. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/host.h"
#include <string.h>

static const char *const op_words[] = {NULL,        "plan", "apply",   "verify", "undo",
                                       "reconcile", "read", "receive", "check"};

static uint32_t parse_op(const char *word)
{
    for (uint32_t i = 1; i < sizeof op_words / sizeof *op_words; i++)
        if (strcmp(op_words[i], word) == 0)
            return i;
    return 0;
}

static void free_call(struct stanch_call *call)
{
    if (call->release)
        call->release(call->kept);
    stanch_buf_done(&call->body);
    free(call->action);
    free(call->input);
    free(call);
}

static void on_reap(void *ctx)
{
    struct stanch_instance *instance = ctx;
    instance->is_reaping = false;
    while (instance->ended) {
        struct stanch_call *call = instance->ended;
        instance->ended = call->next;
        free_call(call);
    }
}

void stanch_host__work_add(struct stanch_call *call, struct stanch_host_work *work)
{
    work->next = call->work;
    work->at = &call->work;
    if (work->next)
        work->next->at = &work->next;
    call->work = work;
}

void stanch_host__work_remove(struct stanch_host_work *work)
{
    *work->at = work->next;
    if (work->next)
        work->next->at = work->at;
}

static void abandon_work(struct stanch_call *call)
{
    while (call->work) {
        struct stanch_host_work *work = call->work;
        stanch_host__work_remove(work);
        work->abandon(work);
    }
}

static void end_call(struct stanch_call *call)
{
    struct stanch_instance *instance = call->instance;
    call->is_answered = true;
    stanch_timer_stop(instance->loop, &call->timer);
    abandon_work(call);
    *call->at = call->next;
    if (call->next)
        call->next->at = call->at;
    call->next = instance->ended;
    instance->ended = call;
    if (!instance->is_reaping)
        stanch_loop_defer(instance->loop, on_reap, instance);
    instance->is_reaping = true;
}

bool stanch_host__call_is_open(struct stanch_instance *instance, const struct stanch_call *call)
{
    for (const struct stanch_call *c = instance->calls; c; c = c->next)
        if (c == call)
            return true;
    return false;
}

/* What is over the frame's limit is told without its value: whether it happened is what matters. */
static void send_answer(struct stanch_call *call, json_t *head)
{
    struct stanch_instance *instance = call->instance;
    struct stanch_err err = {0};
    json_t *clean = stanch_scrub_json(instance->scrub, head);
    int rc = stanch_channel_send(instance->channel, clean, NULL, 0, &err);
    json_decref(clean);
    if (rc != STANCH_E_TOO_LARGE)
        return; /* a channel that is gone ends the process elsewhere */
    bool is_change = call->op == STANCH_OP_APPLY || call->op == STANCH_OP_UNDO;
    json_object_del(head, "value");
    if (is_change)
        json_object_set_new(head, "value", json_pack("{s:s}", "omitted", err.text));
    else
        json_object_set_new(head, "outcome", json_string("failed"));
    json_object_set_new(head, "error",
                        json_pack("{s:s, s:s}", "kind", "too-large", "text", "the plugin's answer is over the limit"));
    (void)stanch_channel_send(instance->channel, head, NULL, 0, NULL);
}

void stanch_host__answer(struct stanch_call *call, const char *outcome, json_t *value)
{
    json_t *head = json_pack("{s:s, s:I, s:s, s:o}", "t", "answer", "id", (json_int_t)call->id, "outcome", outcome,
                             "value", value);
    send_answer(call, head);
    json_decref(head);
    end_call(call);
}

void stanch_host__answer_error(struct stanch_call *call, const char *outcome, const char *kind, const char *text,
                               bool retry, uint32_t retry_after_ms)
{
    json_t *said = json_string(text);
    json_t *error = json_pack("{s:s, s:o, s:b, s:I}", "kind", stanch_err_from_word(kind) ? kind : "remote", "text",
                              said ? said : json_string("(a text that is not UTF-8)"), "retry", retry, "retry_after_ms",
                              (json_int_t)retry_after_ms);
    json_t *head = json_pack("{s:s, s:I, s:s, s:o}", "t", "answer", "id", (json_int_t)call->id, "outcome", outcome,
                             "error", error);
    send_answer(call, head);
    json_decref(head);
    end_call(call);
}

static void on_deadline(void *ctx)
{
    struct stanch_call *call = ctx;
    call->timer = NULL;
    stanch_host__answer_error(call, "unknown", "timeout", "the plugin did not answer before the deadline", false, 0);
}

static struct stanch_call *new_call(struct stanch_instance *instance, const json_t *head, const void *body, size_t len)
{
    struct stanch_call *call = STANCH_NEW(struct stanch_call);
    STANCH_AUTO_BUF struct stanch_buf input = {0};
    int64_t left = stanch_json_int(head, "deadline_ms", 10000);
    const json_t *value = json_object_get(head, "input");
    call->instance = instance;
    call->id = stanch_json_int(head, "id", 0);
    call->op = parse_op(stanch_json_str(head, "op", ""));
    call->action = stanch_strdup(stanch_json_str(head, "action", ""));
    if (value)
        stanch_json_write(value, &input);
    else
        stanch_buf_text(&input, "{}");
    call->input_len = input.len;
    call->input = stanch_buf_take(&input);
    if (len)
        stanch_buf_add(&call->body, body, len);
    call->deadline_mono_ms = stanch_loop_mono_ms(instance->loop) + left;
    call->timer = stanch_timer_start(instance->loop, left, on_deadline, call);
    call->next = instance->calls;
    call->at = &instance->calls;
    if (call->next)
        call->next->at = &call->next;
    instance->calls = call;
    return call;
}

void stanch_host__call_start(struct stanch_instance *instance, const json_t *head, const void *body, size_t len)
{
    struct stanch_call *call = new_call(instance, head, body, len);
    if (!instance->is_open || call->op == 0)
        stanch_host__answer_error(call, "failed", "protocol",
                                  "the host was asked before it was open, or for no known op", false, 0);
    else
        instance->plugin->call(instance->state, call);
}

void stanch_host__call_cancel(struct stanch_instance *instance, int64_t id)
{
    struct stanch_call *call = instance->calls;
    while (call && call->id != id)
        call = call->next;
    if (!call || call->is_cancelled)
        return; /* its answer is on the way */
    call->is_cancelled = true;
    if (instance->plugin->cancel)
        instance->plugin->cancel(instance->state, call);
}

void stanch_host__call_free_all(struct stanch_instance *instance)
{
    while (instance->calls)
        end_call(instance->calls);
    on_reap(instance);
}
