/* json_canonical.c: RFC 8785. Keys in the order of their UTF-16 code units, strings with the shortest
 * escapes, numbers as ECMA-262 Number::toString writes them. */
#include "base/json.h"
#include "base/mem.h"
#include "base/digest.h"
#include <math.h>
#include <string.h>

/* The next UTF-16 code unit of valid UTF-8; a pair's second unit is kept in *pending. */
static uint32_t next_unit(const unsigned char **at, uint32_t *pending)
{
    if (*pending) {
        uint32_t unit = *pending;
        *pending = 0;
        return unit;
    }
    const unsigned char *p = *at;
    uint32_t c = *p++;
    int more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (more)
        c &= 0x3Fu >> more;
    for (; more > 0; more--)
        c = (c << 6) | (*p++ & 0x3Fu);
    *at = p;
    if (c < 0x10000)
        return c;
    c -= 0x10000;
    *pending = 0xDC00u | (c & 0x3FFu);
    return 0xD800u | (c >> 10);
}

static int compare_keys(const void *left, const void *right)
{
    const unsigned char *a = *(const unsigned char *const *)left, *b = *(const unsigned char *const *)right;
    uint32_t pending_a = 0, pending_b = 0;
    while ((*a || pending_a) && (*b || pending_b)) {
        uint32_t x = next_unit(&a, &pending_a), y = next_unit(&b, &pending_b);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (*a || pending_a) ? 1 : (*b || pending_b) ? -1 : 0;
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

static void write_string(const char *text, size_t len, struct stanch_buf *out)
{
    size_t plain = 0; /* where the run of characters that stand for themselves begins */
    stanch_buf_char(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        stanch_buf_add(out, text + plain, i - plain);
        write_escape(c, out);
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

static int write_object(const json_t *value, int depth, struct stanch_buf *out, struct stanch_err *err)
{
    size_t count = json_object_size(value), n = 0;
    STANCH_AUTO_FREE const char **keys = stanch_alloc((count + 1) * sizeof *keys);
    const char *key;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        keys[n++] = key;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    stanch_buf_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            stanch_buf_char(out, ',');
        write_string(keys[i], strlen(keys[i]), out);
        stanch_buf_char(out, ':');
        int rc = write_value(json_object_get(value, keys[i]), depth + 1, out, err);
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
        stanch_buf_printf(out, "%" JSON_INTEGER_FORMAT, v);
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
