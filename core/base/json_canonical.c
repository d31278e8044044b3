/* json_canonical.c: RFC 8785. Keys in the order of their UTF-16 code units, strings with the shortest
 * escapes, numbers as ECMA-262 Number::toString writes them. */
#include "base/json.h"
#include "base/mem.h"
#include "base/digest.h"
#include <math.h>
#include <string.h>

/* The order of UTF-16 code units is that of UTF-8 bytes, but for characters beyond U+FFFF: their surrogates come
 * before U+E000..U+FFFF, whose UTF-8 begins with EE or EF. */
static int compare_keys(const char *left, const char *right)
{
    const unsigned char *a = (const unsigned char *)left, *b = (const unsigned char *)right;
    for (; *a && *a == *b; a++)
        b++;
    bool is_pair_a = *a >= 0xF0, is_pair_b = *b >= 0xF0;
    if (is_pair_a != is_pair_b && (is_pair_a ? *b : *a) >= 0xEE)
        return is_pair_a ? -1 : 1;
    return *a - *b;
}

static void write_escape(unsigned char c, struct stanch_buf *out)
{
    static const char short_form[] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (c < sizeof short_form && short_form[c]) {
        stanch_buf_char(out, '\\');
        stanch_buf_char(out, short_form[c]);
    } else {
        stanch_buf_printf(out, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void write_string(const char *text, size_t len, struct stanch_buf *out)
{
    size_t plain = 0; /* where the run of characters that stand for themselves begins */
    stanch_buf_reserve(out, len + 2);
    stanch_buf_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (is_plain((unsigned char)text[i]))
            continue;
        stanch_buf_add(out, text + plain, i - plain);
        write_escape((unsigned char)text[i], out);
        plain = i + 1;
    }
    stanch_buf_add(out, text + plain, len - plain);
    stanch_buf_char(out, '"');
}

/* The shortest decimal digits that read back as `v`, and the position of the point (as in 0.DIGITS x 10^point). */
static void shortest_digits(double v, char digits[20], int *point)
{
    char text[40];
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, v);
        if (strtod(text, NULL) == v)
            break;
    }
    char *e = strchr(text, 'e');
    *point = (int)strtol(e + 1, NULL, 10) + 1;
    int n = 0;
    for (const char *p = text; p < e; p++)
        if (*p >= '0' && *p <= '9')
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
}

/* ECMA-262, Number::toString with radix 10. */
static void write_real(double v, struct stanch_buf *out)
{
    if (v == 0) {
        stanch_buf_char(out, '0');
        return;
    }
    if (v < 0) {
        stanch_buf_char(out, '-');
        v = -v;
    }
    char digits[20];
    int point;
    shortest_digits(v, digits, &point);
    int count = (int)strlen(digits);
    if (count <= point && point <= 21) {
        stanch_buf_text(out, digits);
        for (int i = count; i < point; i++)
            stanch_buf_char(out, '0');
    } else if (0 < point && point <= 21) {
        stanch_buf_printf(out, "%.*s.%s", point, digits, digits + point);
    } else if (-6 < point && point <= 0) {
        stanch_buf_text(out, "0.");
        for (int i = point; i < 0; i++)
            stanch_buf_char(out, '0');
        stanch_buf_text(out, digits);
    } else {
        stanch_buf_char(out, digits[0]);
        if (count > 1)
            stanch_buf_printf(out, ".%s", digits + 1);
        stanch_buf_printf(out, "e%c%d", point - 1 < 0 ? '-' : '+', abs(point - 1));
    }
}

static int write_value(const json_t *value, int depth, struct stanch_buf *out, struct stanch_err *err);

struct member {
    const char *key;
    const json_t *value;
};

static int compare_members(const void *a, const void *b)
{
    return compare_keys(((const struct member *)a)->key, ((const struct member *)b)->key);
}

#define FEW_MEMBERS 32

/* Most objects are small and many come in order already: then inserting beats qsort. */
static void sort_members(struct member *members, size_t count)
{
    if (count > FEW_MEMBERS) {
        qsort(members, count, sizeof *members, compare_members);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct member moved = members[i];
        size_t at = i;
        for (; at > 0 && compare_keys(members[at - 1].key, moved.key) > 0; at--)
            members[at] = members[at - 1];
        members[at] = moved;
    }
}

static int write_object(const json_t *value, int depth, struct stanch_buf *out, struct stanch_err *err)
{
    size_t count = json_object_size(value), n = 0;
    struct member few[FEW_MEMBERS];
    STANCH_AUTO_FREE struct member *many = count > FEW_MEMBERS ? stanch_alloc(count * sizeof *many) : NULL;
    struct member *members = many ? many : few;
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        members[n++] = (struct member){key, member};
    }
    sort_members(members, n);
    stanch_buf_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            stanch_buf_char(out, ',');
        write_string(members[i].key, strlen(members[i].key), out);
        stanch_buf_char(out, ':');
        int rc = write_value(members[i].value, depth + 1, out, err);
        if (rc < 0)
            return rc;
    }
    stanch_buf_char(out, '}');
    return 0;
}

static int write_array(const json_t *value, int depth, struct stanch_buf *out, struct stanch_err *err)
{
    stanch_buf_char(out, '[');
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i)
            stanch_buf_char(out, ',');
        int rc = write_value(json_array_get(value, i), depth + 1, out, err);
        if (rc < 0)
            return rc;
    }
    stanch_buf_char(out, ']');
    return 0;
}

static int write_value(const json_t *value, int depth, struct stanch_buf *out, struct stanch_err *err)
{
    if (!value || depth > 128)
        return stanch_err_set(err, STANCH_E_INVALID, "a value nested deeper than 128 has no canonical form");
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return write_object(value, depth, out, err);
    case JSON_ARRAY:
        return write_array(value, depth, out, err);
    case JSON_STRING:
        write_string(json_string_value(value), json_string_length(value), out);
        return 0;
    case JSON_INTEGER: {
        json_int_t v = json_integer_value(value);
        if (v > STANCH_JSON_SAFE_INT || v < -STANCH_JSON_SAFE_INT)
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "the integer %" JSON_INTEGER_FORMAT " is beyond 2^53; send it as text", v);
        stanch_buf_int(out, v);
        return 0;
    }
    case JSON_REAL:
        if (!isfinite(json_real_value(value)))
            return stanch_err_set(err, STANCH_E_INVALID, "NaN and infinities are not JSON");
        write_real(json_real_value(value), out);
        return 0;
    case JSON_TRUE:
        stanch_buf_text(out, "true");
        return 0;
    case JSON_FALSE:
        stanch_buf_text(out, "false");
        return 0;
    case JSON_NULL:
    default:
        stanch_buf_text(out, "null");
        return 0;
    }
}

int stanch_json_canonical(const json_t *value, struct stanch_buf *out, struct stanch_err *err)
{
    return write_value(value, 0, out, err);
}

void stanch_json_write_short(const json_t *value, struct stanch_buf *out)
{
    bool is_object = json_is_object(value), is_first = true;
    const char *key;
    json_t *member;
    if (json_is_real(value)) {
        write_real(json_real_value(value), out); /* jansson holds no other than finite ones */
        return;
    }
    if (!is_object && !json_is_array(value)) {
        stanch_json_write(value, out);
        return;
    }
    stanch_buf_char(out, is_object ? '{' : '[');
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        STANCH_AUTO_JSON json_t *name = json_string(key);
        stanch_buf_text(out, is_first ? "" : ",");
        is_first = false;
        stanch_json_write(name, out);
        stanch_buf_char(out, ':');
        stanch_json_write_short(member, out);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        stanch_buf_text(out, i ? "," : "");
        stanch_json_write_short(json_array_get(value, i), out);
    }
    stanch_buf_char(out, is_object ? '}' : ']');
}

int stanch_json_digest(const char *domain, int version, const json_t *value, char ret_hex[65], struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_text(&text, "{\"domain\":");
    write_string(domain, strlen(domain), &text);
    stanch_buf_printf(&text, ",\"v\":%d,\"value\":", version);
    int rc = stanch_json_canonical(value, &text, err);
    if (rc < 0)
        return rc;
    stanch_buf_char(&text, '}');
    stanch_digest_hex(text.data, text.len, ret_hex);
    return 0;
}
