/* host_api.c: the services of the ABI's table, in its order. Everything that comes from the plugin is checked
 * here: a call that is answered already, text that is no JSON. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "plugin/host.h"
#include <sodium.h>
#include <stdio.h>
#include <string.h>

static const struct stanch_json_limits answer_limits = {.max_bytes = 16u << 20, .max_depth = 64, .max_nodes = 1000000};

static struct stanch_text span(const char *text, size_t len)
{
    return (struct stanch_text){text, len};
}

/* The one instance of this process: a second answer comes on a handle that may be freed, so that its instance
 * cannot be read from it. Set once, before the plugin's code runs. */
static struct stanch_instance *the_instance(void);

void stanch_host__log(struct stanch_instance *instance, int level, const char *fmt, ...)
{
    static const char *const words[] = {"error", "warn", "info", "debug"};
    char text[4000];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    STANCH_AUTO_FREE char *clean = stanch_scrub_text(instance->scrub, text, strlen(text));
    json_t *said = json_string(clean);
    json_t *head = json_pack("{s:s, s:s, s:o}", "t", "log", "level", words[level < 0 || level > 3 ? 2 : level], "text",
                             said ? said : json_string("(a message that is not UTF-8)"));
    if (instance->channel && !instance->is_over)
        (void)stanch_channel_send(instance->channel, head, NULL, 0, NULL);
    json_decref(head);
}

/* ---- a call ---- */

static uint32_t call_op(const struct stanch_call *call)
{
    return call->op;
}

static struct stanch_text call_action(const struct stanch_call *call)
{
    return span(call->action, strlen(call->action));
}

static struct stanch_text call_input(const struct stanch_call *call)
{
    return span(call->input, call->input_len);
}

static struct stanch_text call_body(const struct stanch_call *call)
{
    return span(stanch_buf_str(&call->body), call->body.len);
}

static uint32_t call_left_ms(const struct stanch_call *call)
{
    int64_t left = call->deadline_mono_ms - stanch_loop_mono_ms(call->instance->loop);
    return left < 0 ? 0 : left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
}

static uint32_t call_is_cancelled(const struct stanch_call *call)
{
    return call->is_cancelled;
}

static void call_keep(struct stanch_call *call, void *ptr, void (*release)(void *ptr))
{
    if (call->release)
        call->release(call->kept);
    call->kept = ptr;
    call->release = release;
}

static void *call_kept(const struct stanch_call *call)
{
    return call->kept;
}

/* ---- answers ---- */

static bool is_open(struct stanch_call *call, const char *answer)
{
    struct stanch_instance *instance = the_instance();
    if (stanch_host__call_is_open(instance, call))
        return true;
    stanch_host__log(instance, 1, "the plugin answered a call a second time, or too late (%s): dropped", answer);
    return false;
}

static void answer_done(struct stanch_call *call, struct stanch_text value_json)
{
    json_t *value = NULL;
    struct stanch_err err;
    if (!is_open(call, "done"))
        return;
    if (stanch_json_parse(value_json.data, value_json.len, &answer_limits, &value, &err) == 0) {
        stanch_host__answer(call, "done", value);
        return;
    }
    STANCH_AUTO_FREE char *why = stanch_asprintf("the plugin's answer is %s", err.text);
    bool is_change = call->op == STANCH_OP_APPLY || call->op == STANCH_OP_UNDO;
    stanch_host__answer_error(call, is_change ? "unknown" : "failed", "protocol", why, false, 0);
}

static void answer_failed(struct stanch_call *call, struct stanch_text kind, struct stanch_text message, uint32_t retry,
                          uint32_t retry_after_ms)
{
    if (!is_open(call, "failed"))
        return;
    STANCH_AUTO_FREE char *word = stanch_strndup(kind.data, kind.len);
    STANCH_AUTO_FREE char *text = stanch_strndup(message.data, message.len);
    stanch_host__answer_error(call, "failed", word, text, retry != 0, retry_after_ms);
}

static void answer_unknown(struct stanch_call *call, struct stanch_text kind, struct stanch_text message)
{
    if (!is_open(call, "unknown"))
        return;
    STANCH_AUTO_FREE char *word = stanch_strndup(kind.data, kind.len);
    STANCH_AUTO_FREE char *text = stanch_strndup(message.data, message.len);
    stanch_host__answer_error(call, "unknown", word, text, false, 0);
}

/* ---- settings and secrets ---- */

static struct stanch_text instance_name(const struct stanch_instance *instance)
{
    return span(instance->name, strlen(instance->name));
}

static struct stanch_text settings(const struct stanch_instance *instance)
{
    return span(instance->settings_text, strlen(instance->settings_text));
}

static struct stanch_text secret(const struct stanch_instance *instance, struct stanch_text setting)
{
    const struct stanch_host_secret *found = stanch_host__secret_find(instance, setting.data, setting.len);
    return found ? span(found->value, found->len) : span("", 0);
}

static uint32_t secret_equal(struct stanch_text a, struct stanch_text b)
{
    return stanch_secret_equal(a.data, a.len, b.data, b.len);
}

/* ---- work that waits ---- */

struct timer_work {
    struct stanch_host_work work;
    struct stanch_call *call;
    struct stanch_timer *timer;
    void (*on_due)(struct stanch_call *call, void *ctx);
    void *ctx;
};

static void abandon_timer(struct stanch_host_work *work)
{
    struct timer_work *self = container_of(work, struct timer_work, work);
    stanch_timer_stop(self->call->instance->loop, &self->timer);
    free(self);
}

static void on_timer_due(void *ctx)
{
    struct timer_work *self = ctx;
    struct timer_work due = *self;
    stanch_host__work_remove(&self->work);
    free(self);
    due.on_due(due.call, due.ctx);
}

static void timer(struct stanch_call *call, uint32_t delay_ms, void (*on_due)(struct stanch_call *call, void *ctx),
                  void *ctx)
{
    if (!is_open(call, "timer"))
        return;
    struct timer_work *self = STANCH_NEW(struct timer_work);
    self->work.abandon = abandon_timer;
    self->call = call;
    self->on_due = on_due;
    self->ctx = ctx;
    self->timer = stanch_timer_start(call->instance->loop, delay_ms, on_timer_due, self);
    stanch_host__work_add(call, &self->work);
}

static void http(struct stanch_call *call, const struct stanch_http_order *order,
                 void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_http_exchange *exchange),
                 void *ctx)
{
    if (is_open(call, "http"))
        stanch_host__http_start(call, order, on_ended, ctx);
}

static void exchange(struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
                     void (*on_ended)(struct stanch_call *call, void *ctx, uint32_t ended, struct stanch_text answer,
                                      struct stanch_text why),
                     void *ctx)
{
    if (is_open(call, "exchange"))
        stanch_host__exchange_start(call, address, send, max_answer, on_ended, ctx);
}

static int64_t now_ms(void)
{
    return stanch_wall_now_ms();
}

static void log_text(const struct stanch_instance *instance, uint32_t level, struct stanch_text message)
{
    STANCH_AUTO_FREE char *text = stanch_strndup(message.data, message.len);
    (void)instance;
    stanch_host__log(the_instance(), level > 3 ? 3 : (int)level, "%s", text);
}

static uint32_t hmac_sha256(const struct stanch_instance *instance, struct stanch_text setting, struct stanch_text data,
                            uint8_t ret[32])
{
    const struct stanch_host_secret *key = stanch_host__secret_find(instance, setting.data, setting.len);
    crypto_auth_hmacsha256_state state;
    if (!key)
        return 0;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key->value, key->len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)data.data, data.len);
    crypto_auth_hmacsha256_final(&state, ret);
    return 1;
}

static void run(struct stanch_call *call, const struct stanch_run_order *order,
                void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_run_result *result),
                void *ctx)
{
    if (is_open(call, "run"))
        stanch_host__run_start(call, order, on_ended, ctx);
}

static uint32_t secret_keep(struct stanch_instance *instance, struct stanch_text name, struct stanch_text value)
{
    STANCH_AUTO_FREE char *word = stanch_strndup(name.data ? name.data : "", name.len);
    return stanch_host__secret_keep(instance, word, value.data, value.len);
}

static struct stanch_text state_dir(const struct stanch_instance *instance)
{
    const char *dir = instance->state_dir ? instance->state_dir : "";
    return span(dir, strlen(dir));
}

const struct stanch_host stanch_host__services = {
    .major = STANCH_ABI_MAJOR,
    .minor = STANCH_ABI_MINOR,
    .size = sizeof(struct stanch_host),
    .call_op = call_op,
    .call_action = call_action,
    .call_input = call_input,
    .call_body = call_body,
    .call_left_ms = call_left_ms,
    .call_is_cancelled = call_is_cancelled,
    .call_keep = call_keep,
    .call_kept = call_kept,
    .answer_done = answer_done,
    .answer_failed = answer_failed,
    .answer_unknown = answer_unknown,
    .instance_name = instance_name,
    .settings = settings,
    .secret = secret,
    .secret_equal = secret_equal,
    .http = http,
    .exchange = exchange,
    .timer = timer,
    .now_ms = now_ms,
    .log = log_text,
    .hmac_sha256 = hmac_sha256,
    .run = run,
    .secret_keep = secret_keep,
    .state_dir = state_dir,
};

static struct stanch_instance *instance_of_process; /* written by stanch_host__bind only */

void stanch_host__bind(struct stanch_instance *instance)
{
    instance_of_process = instance;
}

static struct stanch_instance *the_instance(void)
{
    return instance_of_process;
}
