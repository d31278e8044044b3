/* bench.c: the host of a plugin on the bench. Time is virtual, everything is on one thread.
 *
 *   input -> scenario -> for each operation: call -> [wait: next answer of the input | timer] -> answered -> is it sound?
 *
 * Besides what the sanitizers see, these must hold: a call is answered once, or waits for something; an answer has the
 * form that sdk/README.md describes; what is sent is well-formed, whatever the remote has said before.
 */
#include "bench_parts.h"
#include <string.h>

#define CALL_MS   60000u
#define MAX_WAITS 20000 /* of one call; more never ends */

enum kind { HTTP, EXCHANGE, TIMER, RUN };

struct wait {
    struct wait *next;
    enum kind kind;
    int64_t due_ms;
    void *ctx;
    void (*on_http)(struct stanch_call *, void *, const struct stanch_http_exchange *);
    void (*on_exchange)(struct stanch_call *, void *, uint32_t, struct stanch_text, struct stanch_text);
    void (*on_timer)(struct stanch_call *, void *);
    void (*on_run)(struct stanch_call *, void *, const struct stanch_run_result *);
};

struct stanch_call {
    uint32_t op;
    const char *action;
    char *input;
    struct stanch_text body;
    bool is_answered, is_done;
    json_t *value; /* of an answer that is done */
    int64_t deadline_ms;
    void *kept;
    void (*release)(void *);
    struct wait *waits; /* the first one first */
    int wait_count;
};

struct stanch_instance {
    json_t *secrets;
};

static struct stanch_instance instance;
static struct fuzz_bytes input;  /* what is left of it */
static const char *its_settings; /* of the scenario */
static int64_t now;              /* ms */
static char *post_body;          /* of RECEIVE, with its length */
static size_t post_len;

/* ---- waits ---- */

static struct wait *add_wait(struct stanch_call *call, enum kind kind, void *ctx)
{
    struct wait *wait = calloc(1, sizeof *wait), **at = &call->waits;
    FUZZ_EXPECT(wait && !call->is_answered && ++call->wait_count < MAX_WAITS);
    while (*at)
        at = &(*at)->next;
    *wait = (struct wait){.kind = kind, .due_ms = now, .ctx = ctx};
    return *at = wait;
}

static void host_http(struct stanch_call *call, const struct stanch_http_order *order,
                      void (*on_ended)(struct stanch_call *, void *, const struct stanch_http_exchange *), void *ctx)
{
    bench__check_order(order);
    add_wait(call, HTTP, ctx)->on_http = on_ended;
}

static void
host_exchange(struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
              void (*on_ended)(struct stanch_call *, void *, uint32_t, struct stanch_text, struct stanch_text),
              void *ctx)
{
    (void)max_answer;
    const char *end = memchr(send.data, '\n', send.len);
    FUZZ_EXPECT(address.len > 0 && (!end || end == send.data + send.len - 1)); /* one line: no second command */
    add_wait(call, EXCHANGE, ctx)->on_exchange = on_ended;
}

static void host_timer(struct stanch_call *call, uint32_t delay_ms, void (*on_due)(struct stanch_call *, void *),
                       void *ctx)
{
    struct wait *wait = add_wait(call, TIMER, ctx);
    wait->on_timer = on_due;
    wait->due_ms = now + delay_ms;
}

static void host_run(struct stanch_call *call, const struct stanch_run_order *order,
                     void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *), void *ctx)
{
    FUZZ_EXPECT(order->size == sizeof *order && order->command.len > 0);
    json_decref(bench__object_of(order->environment));
    json_decref(bench__object_of(order->secret_environment));
    add_wait(call, RUN, ctx)->on_run = on_ended;
}

static void end_http(struct stanch_call *call, struct wait *wait, char *piece, size_t len)
{
    struct stanch_http_exchange exchange = {.size = sizeof exchange, .status = 200};
    json_t *headers = NULL;
    char *at = piece;
    if (!piece || strncmp(piece, "REFUSED", 7) == 0 || strncmp(piece, "LOST", 4) == 0) {
        exchange.ended = piece && *piece == 'L' ? STANCH_HTTP_LOST : STANCH_HTTP_NOT_SENT;
        exchange.status = 0;
        exchange.why = span("the bench says so");
    } else if (strncmp(piece, "HTTP ", 5) == 0) {
        long status = strtol(piece + 5, NULL, 10);
        exchange.status = status >= 200 && status <= 599 ? (uint32_t)status : 200;
        at += strcspn(at, "\n");
        headers = bench__take_headers(*at ? at + 1 : at, &at);
        long wait_s = strtol(
            json_object_get(headers, "retry-after") ? json_string_value(json_object_get(headers, "retry-after")) : "0",
            NULL, 10);
        exchange.retry_after_ms = wait_s > 0 && wait_s < 86400 ? (uint32_t)wait_s * 1000 : 0;
    }
    char *header_text = headers ? json_dumps(headers, JSON_COMPACT) : NULL;
    exchange.headers = span(header_text);
    if (exchange.ended == STANCH_HTTP_ANSWERED)
        exchange.body = (struct stanch_text){at, len - (size_t)(at - piece)};
    wait->on_http(call, wait->ctx, &exchange);
    free(header_text);
    json_decref(headers);
}

static void end_exchange(struct stanch_call *call, struct wait *wait, const char *piece, size_t len)
{
    uint32_t ended = !piece || strncmp(piece, "REFUSED", 7) == 0 ? STANCH_HTTP_NOT_SENT
                     : strncmp(piece, "LOST", 4) == 0            ? STANCH_HTTP_LOST
                                                                 : STANCH_HTTP_ANSWERED;
    struct stanch_text answer = {ended == STANCH_HTTP_ANSWERED ? piece : NULL, ended == STANCH_HTTP_ANSWERED ? len : 0};
    wait->on_exchange(call, wait->ctx, ended, answer, span(ended == STANCH_HTTP_ANSWERED ? "" : "the bench says so"));
}

static void end_run(struct stanch_call *call, struct wait *wait, const char *piece, size_t len)
{
    struct stanch_run_result result = {.size = sizeof result, .why = span("")};
    const char *at = piece;
    if (!piece || strncmp(piece, "REFUSED", 7) == 0 || strncmp(piece, "LOST", 4) == 0) {
        result.ended = piece && *piece == 'L' ? STANCH_RUN_KILLED : STANCH_RUN_NOT_STARTED;
        result.why = span("the bench says so");
    } else {
        if (strncmp(piece, "EXIT ", 5) == 0) {
            result.code = (int32_t)(strtol(piece + 5, NULL, 10) & 255);
            at += strcspn(at, "\n");
            at += *at == '\n';
        }
        result.output = (struct stanch_text){at, len - (size_t)(at - piece)};
        result.errors = result.output;
    }
    wait->on_run(call, wait->ctx, &result);
}

static void end_wait(struct stanch_call *call, struct wait *wait)
{
    size_t len = 0;
    char *piece = wait->kind == TIMER ? NULL : bench__next_piece(&input, &len);
    if (wait->kind == TIMER)
        wait->on_timer(call, wait->ctx);
    else if (wait->kind == HTTP)
        end_http(call, wait, piece, len);
    else if (wait->kind == EXCHANGE)
        end_exchange(call, wait, piece, len);
    else
        end_run(call, wait, piece, len);
    free(piece);
}

/* The earliest, the first one of those. */
static struct wait *take_wait(struct stanch_call *call)
{
    struct wait **best = &call->waits;
    for (struct wait **at = &call->waits; *at; at = &(*at)->next)
        if ((*at)->due_ms < (*best)->due_ms)
            best = at;
    struct wait *wait = *best;
    if (wait)
        *best = wait->next;
    return wait;
}

/* ---- answers ---- */

static void end_call(struct stanch_call *call)
{
    FUZZ_EXPECT(!call->is_answered); /* once, and only once */
    call->is_answered = true;
}

static void answer_done(struct stanch_call *call, struct stanch_text value)
{
    end_call(call);
    call->is_done = true;
    call->value = json_loadb(value.data, value.len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
    FUZZ_EXPECT(call->value);
}

static void answer_failed(struct stanch_call *call, struct stanch_text kind, struct stanch_text message, uint32_t retry,
                          uint32_t retry_after_ms)
{
    (void)retry_after_ms;
    end_call(call);
    FUZZ_EXPECT(kind.len > 0 && message.len > 0 && retry <= 1);
}

static void answer_unknown(struct stanch_call *call, struct stanch_text kind, struct stanch_text message)
{
    end_call(call);
    FUZZ_EXPECT(kind.len > 0 && message.len > 0);
}

/* ---- the rest of the host ---- */

static uint32_t call_op(const struct stanch_call *call)
{
    return call->op;
}
static struct stanch_text call_action(const struct stanch_call *call)
{
    return span(call->action);
}
static struct stanch_text call_input(const struct stanch_call *call)
{
    return span(call->input);
}
static struct stanch_text call_body(const struct stanch_call *call)
{
    return call->body;
}
static uint32_t call_left_ms(const struct stanch_call *call)
{
    return call->deadline_ms > now ? (uint32_t)(call->deadline_ms - now) : 0;
}
static uint32_t call_is_cancelled(const struct stanch_call *call)
{
    (void)call;
    return 0;
}
static void call_keep(struct stanch_call *call, void *ptr, void (*release)(void *))
{
    if (call->kept && call->release)
        call->release(call->kept);
    call->kept = ptr;
    call->release = release;
}
static void *call_kept(const struct stanch_call *call)
{
    return call->kept;
}
static struct stanch_text instance_name(const struct stanch_instance *of)
{
    (void)of;
    return span("main");
}
static struct stanch_text settings(const struct stanch_instance *of)
{
    (void)of;
    return span(its_settings);
}
static struct stanch_text secret(const struct stanch_instance *of, struct stanch_text setting)
{
    char *name = strndup(setting.data, setting.len);
    const json_t *value = json_object_get(of->secrets, name);
    free(name);
    return (struct stanch_text){value ? json_string_value(value) : "", json_string_length(value)};
}
static uint32_t secret_equal(struct stanch_text a, struct stanch_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
static int64_t now_ms(void)
{
    return now;
}
static void log_line(const struct stanch_instance *of, uint32_t level, struct stanch_text message)
{
    (void)of;
    FUZZ_EXPECT(level <= 3 && message.data);
}
static uint32_t hmac_sha256(const struct stanch_instance *of, struct stanch_text setting, struct stanch_text data,
                            uint8_t ret[32])
{
    (void)data;
    memset(ret, 0xab, 32);
    return secret(of, setting).len > 0;
}
static uint32_t secret_keep(struct stanch_instance *of, struct stanch_text name, struct stanch_text value)
{
    FUZZ_EXPECT(name.len > 1 && name.data[0] == '.');
    char *key = strndup(name.data, name.len);
    json_t *text = value.len ? json_stringn(value.data, value.len) : NULL;
    if (text)
        json_object_set_new(of->secrets, key, text);
    else
        json_object_del(of->secrets, key);
    free(key);
    return 1;
}
static struct stanch_text state_dir(const struct stanch_instance *of)
{
    (void)of;
    return span("");
}

static const struct stanch_host host = {
    .major = STANCH_ABI_MAJOR,
    .minor = STANCH_ABI_MINOR,
    .size = sizeof host,
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
    .http = host_http,
    .exchange = host_exchange,
    .timer = host_timer,
    .now_ms = now_ms,
    .log = log_line,
    .hmac_sha256 = hmac_sha256,
    .run = host_run,
    .secret_keep = secret_keep,
    .state_dir = state_dir,
};

/* ---- one call ---- */

static void end_of_call(struct stanch_call *call)
{
    while (call->waits) {
        struct wait *next = call->waits->next;
        free(call->waits);
        call->waits = next;
    }
    if (call->kept && call->release)
        call->release(call->kept);
    free(call->input);
}

/* returns what was answered, when it was done. new, or NULL */
static json_t *call_plugin(const struct stanch_plugin *plugin, void *state, const char *action, uint32_t op,
                           json_t *head)
{
    struct stanch_call call = {.op = op, .action = action, .deadline_ms = now + CALL_MS};
    call.input = json_dumps(head, JSON_COMPACT);
    if (op == STANCH_OP_RECEIVE)
        call.body = (struct stanch_text){post_body, post_len};
    plugin->call(state, &call);
    while (!call.is_answered) {
        struct wait *wait = take_wait(&call);
        FUZZ_EXPECT(wait); /* else it would never be answered */
        now = wait->due_ms > now ? wait->due_ms : now;
        bool is_late = now >= call.deadline_ms;
        if (!is_late)
            end_wait(&call, wait);
        free(wait);
        if (is_late)
            break; /* the host answers "unknown" */
        now++;     /* nothing is for nothing */
    }
    end_of_call(&call);
    if (call.value)
        bench__check_value(op, call.value);
    return call.value;
}

/* ---- scenarios ---- */

static uint32_t op_of(const char *word, size_t len)
{
    static const char *const words[] = {"", "plan", "apply", "verify", "undo", "reconcile", "read", "receive", "check"};
    for (uint32_t op = 1; op < sizeof words / sizeof *words; op++)
        if (strlen(words[op]) == len && memcmp(words[op], word, len) == 0)
            return op;
    abort(); /* a scenario of ours names no operation */
}

static json_t *head_of_post(void)
{
    size_t len = 0;
    char *piece = bench__next_piece(&input, &len), *at = piece;
    json_t *headers = piece ? bench__take_headers(piece, &at) : json_object();
    post_len = piece ? len - (size_t)(at - piece) : 0;
    post_body = malloc(post_len ? post_len : 1);
    FUZZ_EXPECT(post_body);
    if (piece)
        memcpy(post_body, at, post_len);
    free(piece);
    return json_pack("{s:s, s:o, s:s, s:s}", "source", "webhook", "headers", headers, "query", "", "remote",
                     "192.0.2.1");
}

static json_t *head_of(const struct bench_scenario *scenario, uint32_t op, json_t *plan)
{
    if (op == STANCH_OP_RECEIVE)
        return head_of_post();
    if (op == STANCH_OP_CHECK)
        return json_object();
    json_t *head = json_pack("{s:o}", "args", json_loads(scenario->args ? scenario->args : "{}", 0, NULL));
    FUZZ_EXPECT(head);
    if (plan)
        json_object_set(head, "plan", plan);
    if (op == STANCH_OP_APPLY || op == STANCH_OP_UNDO || op == STANCH_OP_RECONCILE)
        json_object_update_new(head, json_pack("{s:s, s:i, s:s}", "key", "01J0000000000000000000000K", "epoch", 1,
                                               "because", "the bench says so"));
    if (op == STANCH_OP_RECONCILE)
        json_object_set_new(head, "op", json_string("apply"));
    return head;
}

static void play(const struct stanch_plugin *plugin, void *state, const struct bench_scenario *scenario)
{
    json_t *plan = NULL;
    for (const char *at = scenario->ops; *at;) {
        size_t len = strcspn(at, " ");
        uint32_t op = op_of(at, len);
        json_t *head = head_of(scenario, op, plan);
        json_t *value = call_plugin(plugin, state, scenario->action, op, head);
        json_decref(head);
        free(post_body);
        post_body = NULL;
        at += len + strspn(at + len, " ");
        if (op == STANCH_OP_PLAN && !value)
            break; /* without a plan there is nothing to apply */
        if (op == STANCH_OP_PLAN)
            plan = value;
        else
            json_decref(value);
    }
    json_decref(plan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t count = 0;
    void *state = NULL;
    struct stanch_text why = {0}, more = {0};
    const struct stanch_plugin *plugin = stanch_plugin_entry();
    while (bench.scenarios[count].action)
        count++;
    FUZZ_EXPECT(count > 0);
    input = (struct fuzz_bytes){data, size};
    now = 1700000000000;
    uint8_t pick = fuzz_byte(&input);
    const struct bench_scenario *scenario = &bench.scenarios[(uint8_t)(pick - '0') % count];
    its_settings = scenario->settings ? scenario->settings : bench.settings;
    free(fuzz_line(&input));
    instance.secrets = json_loads(bench.secrets, 0, NULL);
    uint32_t wrong = plugin->declare ? plugin->declare(span(its_settings), &more, &why) : 0;
    if (wrong == 0)
        wrong = plugin->open(&host, &instance, &state, &why);
    if (wrong != 0)
        fprintf(stderr, "%.*s\n", (int)why.len, why.data);
    FUZZ_EXPECT(wrong == 0);
    play(plugin, state, scenario);
    plugin->close(state);
    json_decref(instance.secrets);
    return 0;
}
