/* value.c: see value.h. */
#include "value.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void generic_wrong(struct generic_item *item, const char *key, const char *place, const char *what)
{
    if (!item->why)
        item->why = sdk_text(item->call, "%s%s (%s): %s", item->where, place, key, what);
}

bool generic_is_place(const char *text)
{
    if (*text == '=')
        return true;
    text += *text == '^';
    if (*text && *text != '/')
        return false;
    for (; *text; text++)
        if (*text == '~' && text[1] != '0' && text[1] != '1')
            return false;
    return true;
}

const json_t *generic_at(const struct generic_item *item, const char *place)
{
    bool is_whole = *place == '^';
    return sdk_json_at(is_whole ? item->body : item->item, place + is_whole);
}

const char *generic_text(struct generic_item *item, const char *key, const char *place)
{
    if (!place)
        return "";
    if (*place == '=')
        return place + 1;
    const json_t *value = generic_at(item, place);
    if (!value || json_is_null(value))
        return "";
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) == json_string_length(value))
            return json_string_value(value);
        generic_wrong(item, key, place, "a text without a NUL was expected");
        return "";
    }
    if (json_is_object(value) || json_is_array(value)) {
        generic_wrong(item, key, place, "a text or a number was expected");
        return "";
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    const char *kept = sdk_text(item->call, "%s", text ? text : "");
    free(text);
    return kept;
}

/* 1e11 s is the year 5138, 1e11 ms is 1973: what lies between is told by its size. */
static bool from_number(double value, int64_t *ret_ms)
{
    if (!(value > 0 && value < 9e18))
        return false;
    if (value < 1e11)
        value *= 1000;
    else if (value > 1e17)
        value /= 1e6;
    else if (value > 1e14)
        value /= 1e3;
    *ret_ms = (int64_t)value;
    return true;
}

bool generic_time(struct generic_item *item, const char *key, const char *place, int64_t *ret_ms)
{
    const char *text = generic_text(item, key, place);
    if (!*text)
        return false;
    char *end;
    double number = strtod(text, &end);
    bool good = *end == '\0' ? from_number(number, ret_ms) : sdk_time_parse(text, ret_ms);
    if (!good)
        generic_wrong(item, key, place, "not a time: RFC 3339, or seconds or milliseconds since 1970");
    return good;
}
