/* place.c: texts of the configuration with places in them ("/pools/{region}"). */
#include "inside.h"
#include <string.h>

const char *sdk_next_place(const char *at, char ret_name[SDK_PLACE_ROOM], const char **ret_end)
{
    for (; (at = strchr(at, '{')); at++) {
        if (at[1] == '{') {
            at++;
            continue;
        }
        size_t len = strspn(at + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");
        if (len == 0 || len >= SDK_PLACE_ROOM || at[1 + len] != '}')
            continue;
        memcpy(ret_name, at + 1, len);
        ret_name[len] = '\0';
        *ret_end = at + len + 2;
        return at;
    }
    return NULL;
}

const char *sdk_literal(struct sdk_call *call, const char *text, size_t len)
{
    char *copy = sdk_memory(call, len + 1), *out = copy;
    for (size_t i = 0; i < len; i++) {
        *out++ = text[i];
        if (text[i] == '{' && i + 1 < len && text[i + 1] == '{')
            i++;
    }
    return copy;
}

const char *sdk_scalar(struct sdk_call *call, const json_t *value)
{
    if (json_is_string(value))
        return strlen(json_string_value(value)) == json_string_length(value) ? json_string_value(value) : NULL;
    if (json_is_boolean(value))
        return json_is_true(value) ? "true" : "false";
    if (json_is_integer(value))
        return sdk_text(call, "%lld", (long long)json_integer_value(value));
    return json_is_real(value) ? sdk_text(call, "%.15g", json_real_value(value)) : NULL;
}
