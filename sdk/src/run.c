/* run.c: commands. */
#include "inside.h"
#include <stdlib.h>

struct run_wait {
    struct sdk_call *call;
    void (*fn)(struct sdk_call *call, const struct sdk_run_result *result);
};

static void on_run_ended(struct stanch_call *handle, void *ctx, const struct stanch_run_result *ended)
{
    (void)handle;
    struct run_wait *wait = ctx;
    struct sdk_run_result result = {
        .ended = ended->ended,
        .code = ended->code,
        .is_cut = ended->is_cut != 0,
        .output = sdk__copy(wait->call, ended->output),
        .errors = sdk__copy(wait->call, ended->errors),
        .output_len = ended->output.len,
        .errors_len = ended->errors.len,
        .why = sdk__copy(wait->call, ended->why),
    };
    wait->fn(wait->call, &result);
}

/* new; takes the value; NULL for none */
static char *text_of(json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
    json_decref(value);
    return text;
}

void sdk_run(struct sdk_call *call, const struct sdk_run_order *order,
             void (*fn)(struct sdk_call *call, const struct sdk_run_result *result))
{
    struct run_wait *wait = sdk_memory(call, sizeof *wait);
    char *args = text_of(order->args), *environment = text_of(order->environment);
    char *secrets = text_of(order->secret_environment);
    wait->call = call;
    wait->fn = fn;
    struct stanch_run_order out = {
        .size = sizeof out,
        .deadline_ms = order->deadline_ms,
        .grace_ms = order->grace_ms,
        .is_cut_ok = order->is_cut_ok,
        .command = sdk_span(order->command),
        .args = sdk_span(args),
        .environment = sdk_span(environment),
        .secret_environment = sdk_span(secrets),
        .input = sdk_span(order->input),
        .max_output = order->max_output,
    };
    sdk_host(call)->run(call->handle, &out, on_run_ended, wait);
    free(args);
    free(environment);
    free(secrets);
}
