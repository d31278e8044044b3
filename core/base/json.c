/* json.c: reading and writing JSON. The canonical writer is in json_canonical.c. */
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

const struct stanch_json_limits stanch_json_door_limits = {1u << 20, 64, 100000, false};
const struct stanch_json_limits stanch_json_own_limits = {0, 96, 0, true};

/* jansson bounds depth only at 2,048 and counts no nodes, so both are checked on the bytes, before a tree
 * is built: brackets outside of strings give the depth, separators give the nodes. */
static int check_limits(const char *text, size_t len, const struct stanch_json_limits *limits, struct stanch_err *err)
{
    if (limits->max_bytes && len > limits->max_bytes)
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "JSON of %zu bytes is over the limit of %zu", len,
                              limits->max_bytes);
    int depth = 0;
    size_t nodes = 1;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
            continue;
        }
        if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > limits->max_depth)
                return stanch_err_set(err, STANCH_E_TOO_LARGE, "JSON nested deeper than %d at byte %zu",
                                      limits->max_depth, i);
        } else if (c == '}' || c == ']') {
            depth--;
        } else if (c == ',' || c == ':') {
            nodes++;
        }
    }
    if (limits->max_nodes && nodes > limits->max_nodes)
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "JSON with more than %zu values", limits->max_nodes);
    return 0;
}

static json_t *big_as_text(json_int_t v)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, v);
    return json_string(text);
}

static bool is_big(const json_t *value)
{
    return json_is_integer(value) &&
           (json_integer_value(value) > STANCH_JSON_SAFE_INT || json_integer_value(value) < -STANCH_JSON_SAFE_INT);
}

/* Depth is bounded by check_limits. */
static void keep_big_integers(json_t *value)
{
    if (json_is_object(value)) {
        const char *key;
        json_t *member;
        void *next;
        json_object_foreach_safe(value, next, key, member)
        {
            if (is_big(member))
                json_object_set_new(value, key, big_as_text(json_integer_value(member)));
            else
                keep_big_integers(member);
        }
    } else if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            json_t *member = json_array_get(value, i);
            if (is_big(member))
                json_array_set_new(value, i, big_as_text(json_integer_value(member)));
            else
                keep_big_integers(member);
        }
    }
}

/* ---- whole reals: RFC 8785 writes 1e20 as 100000000000000000000, which is too long for an integer ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Whether these digits, which begin at `at`, are an integer beyond 2^53. */
static bool is_big_token(const char *text, size_t len, size_t at, size_t digits)
{
    static const char safe[] = "9007199254740991"; /* STANCH_JSON_SAFE_INT */
    bool is_start = at == 0 || !(is_digit(text[at - 1]) || strchr(".eE+", text[at - 1]));
    bool is_end = at + digits == len || !strchr(".eE", text[at + digits]);
    return is_start && is_end &&
           (digits >= sizeof safe || (digits == sizeof safe - 1 && memcmp(text + at, safe, digits) > 0));
}

/* Whether that many digits stand in a row anywhere: each such row covers a place of every 16. Almost no text has one. */
static bool has_long_digits(const char *text, size_t len)
{
    static const size_t row = 16; /* digits of STANCH_JSON_SAFE_INT */
    for (size_t i = row - 1; i < len; i += row) {
        size_t first = i, end = i;
        while (end < len && is_digit(text[end]))
            end++;
        while (end > i && first > 0 && is_digit(text[first - 1]))
            first--;
        if (end - first >= row)
            return true;
    }
    return false;
}

/* The text with "e0" behind every such integer; empty when there is none. */
static void mark_whole_reals(const char *text, size_t len, struct stanch_buf *ret)
{
    bool in_string = false;
    size_t copied = 0;
    for (size_t i = 0; i < len; i++) {
        if (in_string) {
            if (text[i] == '\\')
                i++;
            else if (text[i] == '"')
                in_string = false;
            continue;
        }
        in_string = text[i] == '"';
        size_t digits = 0;
        while (i + digits < len && is_digit(text[i + digits]))
            digits++;
        if (digits > 0 && is_big_token(text, len, i, digits)) {
            stanch_buf_add(ret, text + copied, i + digits - copied);
            stanch_buf_text(ret, "e0");
            copied = i + digits;
        }
        i += digits ? digits - 1 : 0;
    }
    if (ret->len)
        stanch_buf_add(ret, text + copied, len - copied);
}

int stanch_json_parse(const char *text, size_t len, const struct stanch_json_limits *limits, json_t **ret,
                      struct stanch_err *err)
{
    int rc = check_limits(text, len, limits, err);
    if (rc < 0)
        return rc;
    json_error_t why;
    STANCH_AUTO_BUF struct stanch_buf marked = {0};
    if (limits->has_reals_whole && has_long_digits(text, len))
        mark_whole_reals(text, len, &marked);
    json_t *value = json_loadb(marked.len ? marked.data : text, marked.len ? marked.len : len,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value)
        return stanch_err_set(err, STANCH_E_INVALID, "not JSON: line %d, column %d: %s", why.line, why.column,
                              why.text);
    keep_big_integers(value);
    if (is_big(value)) {
        json_t *kept = big_as_text(json_integer_value(value));
        json_decref(value);
        value = kept;
    }
    *ret = value;
    return 0;
}

static int add_chunk(const char *bytes, size_t len, void *ctx)
{
    stanch_buf_add(ctx, bytes, len);
    return 0;
}

void stanch_json_write(const json_t *value, struct stanch_buf *out)
{
    json_dump_callback(value, add_chunk, out, JSON_COMPACT | JSON_ENCODE_ANY);
}

const char *stanch_json_str(const json_t *obj, const char *key, const char *otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_string(v) ? json_string_value(v) : otherwise;
}

int64_t stanch_json_int(const json_t *obj, const char *key, int64_t otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

double stanch_json_real(const json_t *obj, const char *key, double otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

bool stanch_json_bool(const json_t *obj, const char *key, bool otherwise)
{
    const json_t *v = json_object_get(obj, key);
    return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

void stanch_json_set_str(json_t *obj, const char *key, const char *text)
{
    if (text)
        json_object_set_new(obj, key, json_string(text));
}

void stanch_json_cleanup(json_t **value)
{
    json_decref(*value);
}
