/* bench_sound.c: is it sound? What a plugin sends is well-formed, whatever the remote has said before; what it answers has the
 * form that sdk/README.md describes.
 */
#include "bench_parts.h"
#include <string.h>

/* ---- what is sent is well-formed ---- */

static bool has_control(struct stanch_text text)
{
    for (uint64_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    return false;
}

json_t *bench__object_of(struct stanch_text text)
{
    json_t *value = text.len ? json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    FUZZ_EXPECT(text.len == 0 || json_is_object(value));
    return value;
}

void bench__check_order(const struct stanch_http_order *order)
{
    const char *name;
    json_t *value, *headers = bench__object_of(order->headers), *signs = bench__object_of(order->sigv4);
    json_t *secrets = bench__object_of(order->secret_headers);
    FUZZ_EXPECT(order->size == sizeof *order && order->method.len > 0 && !has_control(order->method));
    FUZZ_EXPECT(order->url.len > 0 && !has_control(order->url) && !memchr(order->url.data, ' ', order->url.len));
    json_object_foreach(headers, name, value)
        FUZZ_EXPECT(json_is_string(value) && !has_control(span(json_string_value(value))) && !has_control(span(name)));
    json_decref(headers);
    json_decref(signs);
    json_decref(secrets);
}

/* ---- what is answered ---- */

static void check_event(const json_t *event)
{
    const char *name, *kind = json_string_value(json_object_get(event, "kind"));
    const char *state = json_string_value(json_object_get(event, "state"));
    json_t *value;
    FUZZ_EXPECT(kind && *kind && json_string_length(json_object_get(event, "fingerprint")) > 0);
    FUZZ_EXPECT(json_is_integer(json_object_get(event, "starts_at_ms")));
    bool is_change = kind && strcmp(kind, "change") == 0;
    FUZZ_EXPECT(state && (is_change ? strcmp(state, "happened") == 0
                                    : strcmp(state, "firing") == 0 || strcmp(state, "resolved") == 0));
    json_object_foreach(json_object_get(event, "labels"), name, value) FUZZ_EXPECT(json_is_string(value));
    json_object_foreach(json_object_get(event, "annotations"), name, value) FUZZ_EXPECT(json_is_string(value));
}

static void check_plan(const json_t *plan)
{
    const json_t *targets = json_object_get(plan, "targets"), *reach = json_object_get(plan, "reach");
    FUZZ_EXPECT(json_array_size(targets) > 0);
    for (size_t i = 0; i < json_array_size(targets); i++)
        FUZZ_EXPECT(json_string_length(json_array_get(targets, i)) > 0);
    FUZZ_EXPECT(json_object_get(plan, "from") && json_object_get(plan, "to"));
    FUZZ_EXPECT(!reach || json_is_null(reach) || (json_number_value(reach) >= 0 && json_number_value(reach) <= 1));
    FUZZ_EXPECT(json_is_string(json_object_get(plan, "by_hand")));
}

void bench__check_value(uint32_t op, const json_t *value)
{
    const char *state = json_string_value(json_object_get(value, "state"));
    const json_t *events = json_object_get(value, "events");
    if (op == STANCH_OP_PLAN)
        check_plan(value);
    if (op == STANCH_OP_VERIFY)
        FUZZ_EXPECT(json_is_boolean(json_object_get(value, "holds")));
    if (op == STANCH_OP_RECONCILE)
        FUZZ_EXPECT(state && (strcmp(state, "done") == 0 || strcmp(state, "not-done") == 0 ||
                              strcmp(state, "cannot-tell") == 0));
    if (op == STANCH_OP_CHECK)
        FUZZ_EXPECT(json_is_array(json_object_get(value, "checks")));
    if (op != STANCH_OP_RECEIVE)
        return;
    FUZZ_EXPECT(json_is_array(events) && json_integer_value(json_object_get(value, "truncated")) >= 0);
    for (size_t i = 0; i < json_array_size(events); i++)
        check_event(json_array_get(events, i));
}
