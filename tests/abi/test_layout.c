/* test_layout.c: ABI 1.0 as it was frozen, on x86-64 (and every other machine with 64-bit pointers): each size, offset and
 * value. A line of it is never changed. A new minor appends lines, for members behind those that are here, and raises the
 * size in a STRUCT, with the minor's number behind it.
 *
 * It compiles, or it does not: there is nothing to run.
 */
#include <stanch/plugin.h>
#include <stddef.h>

#define STRUCT(name, size, alignment)                                                                                  \
    _Static_assert(sizeof(struct name) == (size), "size of " #name);                                                   \
    _Static_assert(_Alignof(struct name) == (alignment), "alignment of " #name)
#define MEMBER(name, member, offset) _Static_assert(offsetof(struct name, member) == (offset), #name "." #member)
#define VALUE(name, value)           _Static_assert((name) == (value), #name)
#define TYPE(name, member, ...)                                                                                        \
    _Static_assert(__builtin_types_compatible_p(__typeof__(((struct name *)NULL)->member), __VA_ARGS__),               \
                   #name "." #member)

_Static_assert(STANCH_ABI_MAJOR == 1, "another major is another test");
_Static_assert(sizeof(void *) == 8 && sizeof(void (*)(void)) == 8, "64-bit pointers");

STRUCT(stanch_text, 16, 8);
MEMBER(stanch_text, data, 0);
MEMBER(stanch_text, len, 8);

STRUCT(stanch_http_exchange, 64, 8);
MEMBER(stanch_http_exchange, size, 0);
MEMBER(stanch_http_exchange, ended, 4);
MEMBER(stanch_http_exchange, status, 8);
MEMBER(stanch_http_exchange, retry_after_ms, 12);
MEMBER(stanch_http_exchange, headers, 16);
MEMBER(stanch_http_exchange, body, 32);
MEMBER(stanch_http_exchange, why, 48);

STRUCT(stanch_http_order, 144, 8);
MEMBER(stanch_http_order, size, 0);
MEMBER(stanch_http_order, deadline_ms, 4);
MEMBER(stanch_http_order, method, 8);
MEMBER(stanch_http_order, url, 24);
MEMBER(stanch_http_order, headers, 40);
MEMBER(stanch_http_order, bearer, 56);
MEMBER(stanch_http_order, basic, 72);
MEMBER(stanch_http_order, body, 88);
MEMBER(stanch_http_order, max_body, 104);
MEMBER(stanch_http_order, secret_headers, 112);
MEMBER(stanch_http_order, sigv4, 128);

STRUCT(stanch_run_order, 104, 8);
MEMBER(stanch_run_order, size, 0);
MEMBER(stanch_run_order, deadline_ms, 4);
MEMBER(stanch_run_order, grace_ms, 8);
MEMBER(stanch_run_order, is_cut_ok, 12);
MEMBER(stanch_run_order, command, 16);
MEMBER(stanch_run_order, args, 32);
MEMBER(stanch_run_order, environment, 48);
MEMBER(stanch_run_order, secret_environment, 64);
MEMBER(stanch_run_order, input, 80);
MEMBER(stanch_run_order, max_output, 96);

STRUCT(stanch_run_result, 64, 8);
MEMBER(stanch_run_result, size, 0);
MEMBER(stanch_run_result, ended, 4);
MEMBER(stanch_run_result, code, 8);
MEMBER(stanch_run_result, is_cut, 12);
MEMBER(stanch_run_result, output, 16);
MEMBER(stanch_run_result, errors, 32);
MEMBER(stanch_run_result, why, 48);

STRUCT(stanch_host, 208, 8);
MEMBER(stanch_host, major, 0);
MEMBER(stanch_host, minor, 4);
MEMBER(stanch_host, size, 8);
MEMBER(stanch_host, flags, 12);
MEMBER(stanch_host, call_op, 16);
MEMBER(stanch_host, call_action, 24);
MEMBER(stanch_host, call_input, 32);
MEMBER(stanch_host, call_body, 40);
MEMBER(stanch_host, call_left_ms, 48);
MEMBER(stanch_host, call_is_cancelled, 56);
MEMBER(stanch_host, call_keep, 64);
MEMBER(stanch_host, call_kept, 72);
MEMBER(stanch_host, answer_done, 80);
MEMBER(stanch_host, answer_failed, 88);
MEMBER(stanch_host, answer_unknown, 96);
MEMBER(stanch_host, instance_name, 104);
MEMBER(stanch_host, settings, 112);
MEMBER(stanch_host, secret, 120);
MEMBER(stanch_host, secret_equal, 128);
MEMBER(stanch_host, http, 136);
MEMBER(stanch_host, exchange, 144);
MEMBER(stanch_host, timer, 152);
MEMBER(stanch_host, now_ms, 160);
MEMBER(stanch_host, log, 168);
MEMBER(stanch_host, hmac_sha256, 176);
MEMBER(stanch_host, run, 184);
MEMBER(stanch_host, secret_keep, 192);
MEMBER(stanch_host, state_dir, 200);

STRUCT(stanch_plugin, 72, 8);
MEMBER(stanch_plugin, major, 0);
MEMBER(stanch_plugin, minor, 4);
MEMBER(stanch_plugin, size, 8);
MEMBER(stanch_plugin, flags, 12);
MEMBER(stanch_plugin, declaration, 16);
MEMBER(stanch_plugin, open, 32);
MEMBER(stanch_plugin, close, 40);
MEMBER(stanch_plugin, call, 48);
MEMBER(stanch_plugin, cancel, 56);
MEMBER(stanch_plugin, declare, 64);

VALUE(STANCH_OP_PLAN, 1);
VALUE(STANCH_OP_APPLY, 2);
VALUE(STANCH_OP_VERIFY, 3);
VALUE(STANCH_OP_UNDO, 4);
VALUE(STANCH_OP_RECONCILE, 5);
VALUE(STANCH_OP_READ, 6);
VALUE(STANCH_OP_RECEIVE, 7);
VALUE(STANCH_OP_CHECK, 8);
VALUE(STANCH_HTTP_ANSWERED, 0);
VALUE(STANCH_HTTP_NOT_SENT, 1);
VALUE(STANCH_HTTP_LOST, 2);
VALUE(STANCH_RUN_EXITED, 0);
VALUE(STANCH_RUN_NOT_STARTED, 1);
VALUE(STANCH_RUN_SIGNALLED, 2);
VALUE(STANCH_RUN_KILLED, 3);

TYPE(stanch_host, call_op, uint32_t (*)(const struct stanch_call *call));
TYPE(stanch_host, call_action, struct stanch_text (*)(const struct stanch_call *call));
TYPE(stanch_host, call_input, struct stanch_text (*)(const struct stanch_call *call));
TYPE(stanch_host, call_body, struct stanch_text (*)(const struct stanch_call *call));
TYPE(stanch_host, call_left_ms, uint32_t (*)(const struct stanch_call *call));
TYPE(stanch_host, call_is_cancelled, uint32_t (*)(const struct stanch_call *call));
TYPE(stanch_host, call_keep, void (*)(struct stanch_call *call, void *ptr, void (*release)(void *ptr)));
TYPE(stanch_host, call_kept, void *(*)(const struct stanch_call *call));
TYPE(stanch_host, answer_done, void (*)(struct stanch_call *call, struct stanch_text value_json));
TYPE(stanch_host, answer_failed,
     void (*)(struct stanch_call *call, struct stanch_text kind, struct stanch_text message, uint32_t retry,
              uint32_t retry_after_ms));
TYPE(stanch_host, answer_unknown,
     void (*)(struct stanch_call *call, struct stanch_text kind, struct stanch_text message));
TYPE(stanch_host, instance_name, struct stanch_text (*)(const struct stanch_instance *instance));
TYPE(stanch_host, settings, struct stanch_text (*)(const struct stanch_instance *instance));
TYPE(stanch_host, secret, struct stanch_text (*)(const struct stanch_instance *instance, struct stanch_text setting));
TYPE(stanch_host, secret_equal, uint32_t (*)(struct stanch_text a, struct stanch_text b));
TYPE(stanch_host, http,
     void (*)(struct stanch_call *call, const struct stanch_http_order *order,
              void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_http_exchange *exchange),
              void *ctx));
TYPE(stanch_host, exchange,
     void (*)(struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
              void (*on_ended)(struct stanch_call *call, void *ctx, uint32_t ended, struct stanch_text answer,
                               struct stanch_text why),
              void *ctx));
TYPE(stanch_host, timer,
     void (*)(struct stanch_call *call, uint32_t delay_ms, void (*on_due)(struct stanch_call *call, void *ctx),
              void *ctx));
TYPE(stanch_host, now_ms, int64_t (*)(void));
TYPE(stanch_host, log, void (*)(const struct stanch_instance *instance, uint32_t level, struct stanch_text message));
TYPE(stanch_host, hmac_sha256,
     uint32_t (*)(const struct stanch_instance *instance, struct stanch_text setting, struct stanch_text data,
                  uint8_t ret[32]));
TYPE(stanch_host, run,
     void (*)(struct stanch_call *call, const struct stanch_run_order *order,
              void (*on_ended)(struct stanch_call *call, void *ctx, const struct stanch_run_result *result),
              void *ctx));
TYPE(stanch_host, secret_keep,
     uint32_t (*)(struct stanch_instance *instance, struct stanch_text name, struct stanch_text value));
TYPE(stanch_host, state_dir, struct stanch_text (*)(const struct stanch_instance *instance));
TYPE(stanch_plugin, open,
     uint32_t (*)(const struct stanch_host *host, struct stanch_instance *instance, void **ret_state,
                  struct stanch_text *ret_why));
TYPE(stanch_plugin, close, void (*)(void *state));
TYPE(stanch_plugin, call, void (*)(void *state, struct stanch_call *call));
TYPE(stanch_plugin, cancel, void (*)(void *state, struct stanch_call *call));
TYPE(stanch_plugin, declare,
     uint32_t (*)(struct stanch_text settings, struct stanch_text *ret_more, struct stanch_text *ret_why));

/* The one symbol. */
typedef const struct stanch_plugin *entry(void);
static entry *const the_entry = stanch_plugin_entry;

const struct stanch_plugin *stanch_plugin_entry(void)
{
    return NULL;
}

int main(void)
{
    return the_entry() ? 1 : 0;
}
