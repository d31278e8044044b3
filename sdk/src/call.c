/* call.c: what a call asks, its memory, and its answers. */
#include "inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sdk_instance *sdk_instance(struct sdk_call *call)
{
    return call->instance;
}

void *sdk_state(struct sdk_call *call)
{
    return call->instance->state;
}

uint32_t sdk_op(const struct sdk_call *call)
{
    return call->op;
}

const char *sdk_action(const struct sdk_call *call)
{
    return call->action;
}

const json_t *sdk_input(const struct sdk_call *call)
{
    return call->input;
}

const json_t *sdk_args(const struct sdk_call *call)
{
    return json_object_get(call->input, "args");
}

const char *sdk_arg_str(const struct sdk_call *call, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(sdk_args(call), name));
    return text ? text : otherwise;
}

int64_t sdk_arg_int(const struct sdk_call *call, const char *name, int64_t otherwise)
{
    const json_t *value = json_object_get(sdk_args(call), name);
    if (json_is_real(value))
        return (int64_t)json_real_value(value);
    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}

double sdk_arg_real(const struct sdk_call *call, const char *name, double otherwise)
{
    const json_t *value = json_object_get(sdk_args(call), name);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

bool sdk_arg_bool(const struct sdk_call *call, const char *name, bool otherwise)
{
    const json_t *value = json_object_get(sdk_args(call), name);
    return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

const json_t *sdk_plan_of(const struct sdk_call *call)
{
    return json_object_get(call->input, "plan");
}

const json_t *sdk_plan_member(const struct sdk_call *call, const char *name)
{
    return json_object_get(sdk_plan_of(call), name);
}

const char *sdk_key(const struct sdk_call *call)
{
    const char *key = json_string_value(json_object_get(call->input, "key"));
    return key ? key : "";
}

const char *sdk_because(const struct sdk_call *call)
{
    const char *because = json_string_value(json_object_get(call->input, "because"));
    return because ? because : "";
}

int64_t sdk_epoch(const struct sdk_call *call)
{
    return json_integer_value(json_object_get(call->input, "epoch"));
}

const char *sdk_reconciles(const struct sdk_call *call)
{
    const char *op = json_string_value(json_object_get(call->input, "op"));
    return op ? op : "apply";
}

uint32_t sdk_left_ms(const struct sdk_call *call)
{
    return sdk_host(call)->call_left_ms(call->handle);
}

bool sdk_is_cancelled(const struct sdk_call *call)
{
    return sdk_host(call)->call_is_cancelled(call->handle) != 0;
}

bool sdk_is_change(const struct sdk_call *call)
{
    bool is_notice = call->op == STANCH_OP_READ && *sdk_key(call); /* a read has no key */
    return call->op == STANCH_OP_APPLY || call->op == STANCH_OP_UNDO || is_notice;
}

int64_t sdk_now_ms(const struct sdk_call *call)
{
    return sdk_host(call)->now_ms();
}

/* ---- memory ---- */

void *sdk_memory(struct sdk_call *call, size_t bytes)
{
    struct sdk_chunk *chunk = sdk__alloc(sizeof *chunk + bytes);
    chunk->next = call->chunks;
    call->chunks = chunk;
    return chunk + 1;
}

char *sdk__copy(struct sdk_call *call, struct stanch_text text)
{
    char *copy = sdk_memory(call, text.len + 1);
    if (text.len)
        memcpy(copy, text.data, text.len);
    return copy;
}

const char *sdk_text(struct sdk_call *call, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = sdk__vformat(fmt, args);
    va_end(args);
    char *copy = sdk__copy(call, sdk_span(text));
    free(text);
    return copy;
}

json_t *sdk_hold(struct sdk_call *call, json_t *value)
{
    json_array_append_new(call->held, value);
    return value;
}

void sdk_keep(struct sdk_call *call, void *ptr)
{
    call->kept = ptr;
}

void *sdk_kept(const struct sdk_call *call)
{
    return call->kept;
}

/* ---- answers ---- */

void sdk_done(struct sdk_call *call, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (text)
        sdk_host(call)->answer_done(call->handle, sdk_span(text));
    else /* json_pack was given what it could not make a value of, for example text that is not UTF-8 */
        sdk_unknown(call, "internal", "the plugin made an answer that is no JSON value");
    free(text);
}

static void fail(struct sdk_call *call, const char *kind, uint32_t retry, uint32_t after_ms, const char *fmt,
                 va_list args) __attribute__((format(printf, 5, 0)));
static void fail(struct sdk_call *call, const char *kind, uint32_t retry, uint32_t after_ms, const char *fmt,
                 va_list args)
{
    char *text = sdk__vformat(fmt, args);
    sdk_host(call)->answer_failed(call->handle, sdk_span(kind), sdk_span(text), retry, after_ms);
    free(text);
}

void sdk_fail(struct sdk_call *call, const char *kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(call, kind, 0, 0, fmt, args);
    va_end(args);
}

void sdk_fail_retry(struct sdk_call *call, uint32_t after_ms, const char *kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fail(call, kind, 1, after_ms, fmt, args);
    va_end(args);
}

void sdk_unknown(struct sdk_call *call, const char *kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = sdk__vformat(fmt, args);
    va_end(args);
    sdk_host(call)->answer_unknown(call->handle, sdk_span(kind), sdk_span(text));
    free(text);
}

static void set_text(json_t *obj, const char *name, const char *text)
{
    if (text)
        json_object_set_new(obj, name, json_string(text));
}

static void set_value(json_t *obj, const char *name, json_t *value)
{
    if (value)
        json_object_set_new(obj, name, value);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* In their order, each once. texts: taken. new; NULL when one of them is no text */
static json_t *sort_texts(json_t *texts)
{
    size_t count = json_array_size(texts);
    json_t **all = count ? malloc(count * sizeof(json_t *)) : NULL;
    json_t *sorted = json_is_array(texts) && (all || !count) ? json_array() : NULL;
    for (size_t i = 0; sorted && i < count; i++) {
        all[i] = json_array_get(texts, i);
        if (!json_is_string(all[i])) {
            json_decref(sorted);
            sorted = NULL;
        }
    }
    if (sorted && count)
        qsort(all, count, sizeof *all, compare_texts);
    for (size_t i = 0; sorted && i < count; i++)
        if (i == 0 || compare_texts(&all[i - 1], &all[i]) != 0)
            json_array_append(sorted, all[i]);
    free(all);
    json_decref(texts);
    return sorted;
}

void sdk_plan(struct sdk_call *call, const struct sdk_plan *plan)
{
    json_t *value = json_object();
    set_value(value, "targets", plan->targets);
    set_value(value, "from", plan->from);
    set_value(value, "to", plan->to);
    set_value(value, "undo", plan->undo);
    set_text(value, "by_hand", plan->by_hand);
    set_text(value, "undo_by_hand", plan->undo_by_hand);
    set_text(value, "impact", plan->impact);
    set_text(value, "risk", plan->risk);
    set_value(value, "reach", plan->reach < 0 ? json_null() : json_real(plan->reach));
    set_value(value, "observed", plan->observed);
    set_value(value, "no_change", json_boolean(plan->no_change));
    set_value(value, "tags", plan->tags ? sort_texts(plan->tags) : NULL);
    sdk_done(call, value);
}

void sdk_holds(struct sdk_call *call, bool holds, json_t *seen)
{
    json_t *value = json_object();
    json_object_set_new(value, "holds", json_boolean(holds));
    set_value(value, "seen", seen);
    sdk_done(call, value);
}

void sdk_never_holds(struct sdk_call *call, json_t *seen)
{
    json_t *value = json_pack("{s:b, s:b}", "holds", 0, "never", 1);
    set_value(value, "seen", seen);
    sdk_done(call, value);
}

void sdk_reconciled(struct sdk_call *call, const char *state)
{
    sdk_done(call, json_pack("{s:s}", "state", state));
}
