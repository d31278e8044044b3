/* scrub.c: find secrets in their usual disguises. Forms are sorted, the longest first, so that a form that
 * contains another one is replaced whole. */
#include "plugin/scrub.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char MARK[] = "[secret]";

struct form {
    char *text;
    size_t len;
};

struct stanch_scrub {
    struct form *forms;
    size_t count;
};

struct stanch_scrub *stanch_scrub_new(void)
{
    return STANCH_NEW(struct stanch_scrub);
}

void stanch_scrub_free(struct stanch_scrub *scrub)
{
    if (!scrub)
        return;
    for (size_t i = 0; i < scrub->count; i++) {
        explicit_bzero(scrub->forms[i].text, scrub->forms[i].len);
        free(scrub->forms[i].text);
    }
    free(scrub->forms);
    free(scrub);
}

static int by_length(const void *a, const void *b)
{
    size_t x = ((const struct form *)a)->len, y = ((const struct form *)b)->len;
    return x < y ? 1 : x > y ? -1 : 0;
}

static void add_form(struct stanch_scrub *scrub, const char *text, size_t len)
{
    if (len < STANCH_SCRUB_MIN)
        return;
    for (size_t i = 0; i < scrub->count; i++)
        if (scrub->forms[i].len == len && memcmp(scrub->forms[i].text, text, len) == 0)
            return;
    scrub->forms = stanch_realloc(scrub->forms, (scrub->count + 1) * sizeof *scrub->forms);
    scrub->forms[scrub->count++] = (struct form){stanch_strndup(text, len), len};
    qsort(scrub->forms, scrub->count, sizeof *scrub->forms, by_length);
}

/* Base64 of the secret behind `shift` other bytes: only the characters that depend on the secret alone. */
static void add_base64(struct stanch_scrub *scrub, const char *secret, size_t len, size_t shift, const char *digits)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    size_t first = (shift * 8 + 5) / 6, end = (shift + len) * 8 / 6;
    for (size_t i = first; i < end; i++) {
        unsigned value = 0;
        for (size_t bit = i * 6; bit < i * 6 + 6; bit++) {
            size_t byte = bit / 8 - shift;
            value = value << 1 | ((unsigned)(unsigned char)secret[byte] >> (7 - bit % 8) & 1u);
        }
        stanch_buf_char(&out, digits[value]);
    }
    add_form(scrub, stanch_buf_str(&out), out.len);
}

/* plain: what the encoder leaves as it is, besides letters and digits. */
static void add_url_encoded(struct stanch_scrub *scrub, const char *secret, size_t len, const char *plain, bool lower,
                            bool plus)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    for (size_t i = 0; i < len; i++) {
        char c = secret[i];
        bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (is_alnum || (c && strchr(plain, c)))
            stanch_buf_char(&out, c);
        else if (plus && c == ' ')
            stanch_buf_char(&out, '+');
        else if (lower)
            stanch_buf_printf(&out, "%%%02x", (unsigned char)c);
        else
            stanch_buf_printf(&out, "%%%02X", (unsigned char)c);
    }
    add_form(scrub, stanch_buf_str(&out), out.len);
}

/* "\u00DF" to "\u00df": both are written. */
static void lower_escapes(char *text)
{
    for (char *at = text; (at = strstr(at, "\\u")); at += 2)
        for (size_t i = 2; i < 6 && at[i]; i++)
            if (at[i] >= 'A' && at[i] <= 'F')
                at[i] = (char)(at[i] + 32);
}

/* As a JSON writer would put it into a text; and once more, for JSON inside of JSON. */
static void add_json_escaped(struct stanch_scrub *scrub, const char *secret, size_t len, size_t flags, int levels)
{
    json_t *value = levels > 0 ? json_stringn(secret, len) : NULL;
    STANCH_AUTO_FREE char *text = value ? json_dumps(value, JSON_ENCODE_ANY | flags) : NULL;
    json_decref(value);
    if (!text)
        return;
    for (int i = 0; i < 2; i++) {
        add_form(scrub, text + 1, strlen(text) - 2); /* without its quotes */
        add_json_escaped(scrub, text + 1, strlen(text) - 2, flags, levels - 1);
        lower_escapes(text);
    }
}

void stanch_scrub_add(struct stanch_scrub *scrub, const char *secret, size_t len)
{
    static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (len < STANCH_SCRUB_MIN)
        return;
    add_form(scrub, secret, len);
    for (size_t shift = 0; shift < 3; shift++) {
        add_base64(scrub, secret, len, shift, standard);
        add_base64(scrub, secret, len, shift, url_safe);
    }
    static const char *const plain[] = {"-._~", "-._*", "-._~!*'()"}; /* RFC 3986; forms; encodeURIComponent */
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        for (int way = 0; way < 4; way++)
            add_url_encoded(scrub, secret, len, plain[i], way & 1, way & 2);
    add_json_escaped(scrub, secret, len, 0, 2);
    add_json_escaped(scrub, secret, len, JSON_ENSURE_ASCII, 2);
    add_json_escaped(scrub, secret, len, JSON_ESCAPE_SLASH, 2);
}

static bool has_secret(const struct stanch_scrub *scrub, const char *text, size_t len)
{
    for (size_t i = 0; i < scrub->count; i++)
        if (memmem(text, len, scrub->forms[i].text, scrub->forms[i].len))
            return true;
    return false;
}

static void replace(struct stanch_buf *text, const struct form *form)
{
    struct stanch_buf out = {0};
    const char *at = stanch_buf_str(text), *end = at + text->len, *hit;
    while ((hit = memmem(at, (size_t)(end - at), form->text, form->len))) {
        stanch_buf_add(&out, at, (size_t)(hit - at));
        stanch_buf_text(&out, MARK);
        at = hit + form->len;
    }
    stanch_buf_add(&out, at, (size_t)(end - at));
    stanch_buf_done(text);
    *text = out;
}

char *stanch_scrub_text(const struct stanch_scrub *scrub, const char *text, size_t len)
{
    struct stanch_buf out = {0};
    stanch_buf_add(&out, text, len);
    for (size_t i = 0; i < scrub->count; i++)
        if (memmem(stanch_buf_str(&out), out.len, scrub->forms[i].text, scrub->forms[i].len))
            replace(&out, &scrub->forms[i]);
    return stanch_buf_take(&out);
}

/* ---- JSON ---- */

static bool json_has_secret(const struct stanch_scrub *scrub, const json_t *value)
{
    const char *key;
    json_t *one;
    size_t i;
    char digits[40];
    if (json_is_string(value))
        return has_secret(scrub, json_string_value(value), json_string_length(value));
    if (json_is_integer(value)) {
        int n = snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
        return has_secret(scrub, digits, (size_t)n);
    }
    json_array_foreach((json_t *)(uintptr_t)value, i, one) if (json_has_secret(scrub, one)) return true;
    json_object_foreach((json_t *)(uintptr_t)value, key,
                        one) if (has_secret(scrub, key, strlen(key)) || json_has_secret(scrub, one)) return true;
    return false;
}

/* new */
static json_t *clean_text(const struct stanch_scrub *scrub, const char *text, size_t len)
{
    STANCH_AUTO_FREE char *clean = stanch_scrub_text(scrub, text, len);
    json_t *value = json_string(clean);
    return value ? value : json_string(MARK);
}

/* new */
static json_t *clean_json(const struct stanch_scrub *scrub, json_t *value)
{
    const char *key;
    json_t *one, *out;
    size_t i;
    if (json_is_string(value))
        return clean_text(scrub, json_string_value(value), json_string_length(value));
    if (json_is_integer(value))
        return json_has_secret(scrub, value) ? json_string(MARK) : json_incref(value);
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach(value, i, one) json_array_append_new(out, clean_json(scrub, one));
        return out;
    }
    if (!json_is_object(value))
        return json_incref(value);
    out = json_object();
    json_object_foreach(value, key, one)
    {
        STANCH_AUTO_FREE char *clean = stanch_scrub_text(scrub, key, strlen(key));
        json_object_set_new(out, clean, clean_json(scrub, one));
    }
    return out;
}

json_t *stanch_scrub_json(const struct stanch_scrub *scrub, json_t *value)
{
    return json_has_secret(scrub, value) ? clean_json(scrub, value) : json_incref(value);
}
