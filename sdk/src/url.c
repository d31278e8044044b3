/* url.c: paths and queries out of values, and values out of JSON by a pointer. */
#include "inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sdk_escape(struct sdk_call *call, const char *part)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = sdk_memory(call, strlen(part) * 3 + 1), *at = out;
    for (const char *p = part; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool is_plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
        if (is_plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = digits[c >> 4];
            *at++ = digits[c & 15];
        }
    }
    return out;
}

const char *sdk_shell_word(struct sdk_call *call, const char *word)
{
    char *out = sdk_memory(call, strlen(word) * 4 + 3), *at = out;
    *at++ = '\'';
    for (const char *p = word; *p; p++) {
        if (*p == '\'')
            at = stpcpy(at, "'\\'");
        *at++ = *p;
    }
    *at = '\'';
    return out;
}

/* ---- queries ---- */

struct pair {
    const char *name, *value; /* escaped */
};

struct pairs {
    struct pair *list;
    size_t count, room;
};

/* As people write it in a URL; NULL for what has no such form. */
static const char *text_of(struct sdk_call *call, const json_t *value)
{
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        return sdk_text(call, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value))
        return sdk_text(call, "%.17g", json_real_value(value));
    return json_is_boolean(value) ? (json_is_true(value) ? "true" : "false") : NULL;
}

static void add_pair(struct sdk_call *call, struct pairs *pairs, const char *name, const json_t *value)
{
    const char *text = text_of(call, value);
    if (!text)
        return;
    if (pairs->count == pairs->room) {
        struct pair *more = sdk_memory(call, (pairs->room * 2 + 8) * sizeof *more);
        if (pairs->count)
            memcpy(more, pairs->list, pairs->count * sizeof *more);
        pairs->list = more;
        pairs->room = pairs->room * 2 + 8;
    }
    pairs->list[pairs->count++] = (struct pair){sdk_escape(call, name), sdk_escape(call, text)};
}

/* By bytes of the escaped form, as SigV4 wants it. */
static int by_name(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int by = strcmp(x->name, y->name);
    return by ? by : strcmp(x->value, y->value);
}

const char *sdk_url(struct sdk_call *call, const char *path, const json_t *query)
{
    struct pairs pairs = {0};
    const char *name;
    json_t *value, *one;
    size_t i, len = strlen(path) + 1;
    json_object_foreach((json_t *)(uintptr_t)query, name, value)
    {
        if (!json_is_array(value))
            add_pair(call, &pairs, name, value);
        json_array_foreach(value, i, one) add_pair(call, &pairs, name, one);
    }
    if (pairs.count == 0)
        return sdk_text(call, "%s", path);
    qsort(pairs.list, pairs.count, sizeof *pairs.list, by_name);
    for (i = 0; i < pairs.count; i++)
        len += strlen(pairs.list[i].name) + strlen(pairs.list[i].value) + 2;
    char *out = sdk_memory(call, len), *at = stpcpy(out, path);
    for (i = 0; i < pairs.count; i++) {
        *at++ = i ? '&' : strchr(path, '?') ? '&' : '?';
        at = stpcpy(at, pairs.list[i].name);
        *at++ = '=';
        at = stpcpy(at, pairs.list[i].value);
    }
    return out;
}

/* ---- JSON Pointer, RFC 6901 ---- */

/* One token, "~1" and "~0" undone, into out (of `size`). returns false when it is too long or has another "~". */
static bool read_token(const char *at, size_t len, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++, n++) {
        if (n + 1 >= size)
            return false;
        out[n] = at[i];
        if (at[i] == '~') {
            if (i + 1 >= len || (at[i + 1] != '0' && at[i + 1] != '1'))
                return false;
            out[n] = at[++i] == '0' ? '~' : '/';
        }
    }
    out[n] = '\0';
    return true;
}

static const json_t *step_into(const json_t *value, const char *token)
{
    char *end = NULL;
    if (json_is_object(value))
        return json_object_get(value, token);
    bool is_index = token[0] >= '0' && token[0] <= '9' && (token[0] != '0' || token[1] == '\0') && strlen(token) < 10;
    unsigned long index = is_index ? strtoul(token, &end, 10) : 0;
    return is_index && *end == '\0' ? json_array_get(value, index) : NULL;
}

const json_t *sdk_json_at(const json_t *value, const char *pointer)
{
    char token[512];
    while (value && *pointer) {
        if (*pointer++ != '/')
            return NULL;
        size_t len = strcspn(pointer, "/");
        value = read_token(pointer, len, token, sizeof token) ? step_into(value, token) : NULL;
        pointer += len;
    }
    return value;
}
