/* declare_read.c: the readers of single values: text, durations, numbers, words, lists. */
#include "script/declare_check.h"
#include "base/err.h"
#include "base/times.h"
#include "script/value.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_BYTES 1000

const char *const stanch_words_risk[] = {"low", "medium", "high", NULL};
const char *const stanch_words_severity[] = {"sev1", "sev2", "sev3", "sev4", NULL};

static const char *json_name(const struct stanch_key *key)
{
    return key->json ? key->json : key->name;
}

json_t *stanch_check_data(struct stanch_check *check, int idx)
{
    json_t *value = NULL;
    struct stanch_err err = {0};
    if (stanch_value_to_json(check->L, idx, STANCH_VALUE_PLAIN, "", &value, &err) == 0)
        return value;
    /* "sockets[2]: a function is not data": what stands before the colon belongs to the path */
    char *text = strstr(err.text, ": ");
    size_t before = strlen(check->path);
    if (text && text != err.text)
        (void)snprintf(check->path + before, sizeof check->path - before, "%s%.*s",
                       before && err.text[0] != '[' ? "." : "", (int)(text - err.text), err.text);
    stanch_check_fail(check, "%s", text ? text + 2 : err.text);
    stanch_check_leave(check, before);
    return NULL;
}

const char *stanch_check_text(struct stanch_check *check, int idx, const char *what)
{
    if (lua_type(check->L, idx) != LUA_TSTRING) {
        stanch_check_expected(check, idx, what);
        return NULL;
    }
    json_t *value = stanch_check_data(check, idx);
    json_decref(value);
    if (!value)
        return NULL;
    const char *text = lua_tostring(check->L, idx);
    if (!*text || strlen(text) > MAX_TEXT_BYTES) {
        stanch_check_fail(check, *text ? "this text is too long; at most %d bytes" : "expected a text, it is empty",
                          MAX_TEXT_BYTES);
        return NULL;
    }
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F) {
            stanch_check_fail(check, "there is a line break or a control character in this text");
            return NULL;
        }
    return text;
}

const char *stanch_check_name(struct stanch_check *check, int idx, const char *what)
{
    const char *text = stanch_check_text(check, idx, what);
    if (!text)
        return NULL;
    bool good = strlen(text) <= 64 && isalnum((unsigned char)text[0]);
    for (const char *p = text; *p; p++)
        good = good && (isalnum((unsigned char)*p) || strchr("_-.", *p));
    if (good)
        return text;
    stanch_check_fail(check,
                      "\"%.80s\" is not a name; use letters, digits, _ - and ., at most 64, beginning with a "
                      "letter or digit",
                      text);
    return NULL;
}

bool stanch_check_duration(struct stanch_check *check, int idx, int64_t *ret_ms)
{
    struct stanch_err err = {0};
    if (lua_type(check->L, idx) != LUA_TSTRING) {
        stanch_check_expected(check, idx, "a duration like \"15s\" or \"10m\"");
        return false;
    }
    if (stanch_duration_parse(lua_tostring(check->L, idx), ret_ms, &err) == 0)
        return true;
    stanch_check_fail(check, "%s", err.text);
    return false;
}

bool stanch_check_is_list(lua_State *L, int idx)
{
    lua_Integer count = 0, largest = 0;
    if (!lua_istable(L, idx))
        return false;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (!lua_isinteger(L, -2)) {
            lua_pop(L, 2);
            return false;
        }
        count++;
        lua_Integer i = lua_tointeger(L, -2);
        largest = i > largest ? i : largest;
    }
    return count == largest;
}

/* ---- readers ---- */

void stanch_read_text(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    if (text)
        json_object_set_new(into, json_name(key), json_string(text));
}

void stanch_read_name(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_name(check, idx, key->type);
    if (text)
        json_object_set_new(into, json_name(key), json_string(text));
}

void stanch_read_texts(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    if (!stanch_check_is_list(L, idx)) {
        stanch_check_expected(check, idx, "a list of texts, as in { \"a\", \"b\" }");
        return;
    }
    json_t *list = json_array();
    for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++) {
        size_t before = stanch_check_enter_index(check, i);
        const char *text = stanch_check_text(check, lua_gettop(L), "a text");
        if (text)
            json_array_append_new(list, json_string(text));
        stanch_check_leave(check, before);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    json_object_set_new(into, json_name(key), list);
}

void stanch_read_word(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *const *words = key->more;
    const char *text = lua_type(check->L, idx) == LUA_TSTRING ? lua_tostring(check->L, idx) : NULL;
    char list[200] = "";
    for (size_t i = 0; words[i]; i++) {
        if (text && strcmp(text, words[i]) == 0) {
            json_object_set_new(into, json_name(key), json_string(text));
            return;
        }
        size_t len = strlen(list);
        (void)snprintf(list + len, sizeof list - len, "%s\"%s\"", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    stanch_check_expected(check, idx, list);
}

static bool is_within(struct stanch_check *check, const struct stanch_key *key, double value, bool is_duration)
{
    const struct stanch_bounds *bounds = key->more;
    char min[32], max[32];
    if (!bounds || (value >= bounds->min && value <= bounds->max))
        return true;
    if (is_duration) {
        stanch_duration_text((int64_t)bounds->min, min);
        stanch_duration_text((int64_t)bounds->max, max);
    } else {
        (void)snprintf(min, sizeof min, "%.14g", bounds->min);
        (void)snprintf(max, sizeof max, "%.14g", bounds->max);
    }
    stanch_check_fail(check, "expected %s to %s", min, max);
    return false;
}

void stanch_read_duration(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    int64_t ms;
    if (stanch_check_duration(check, idx, &ms) && is_within(check, key, (double)ms, true))
        json_object_set_new(into, json_name(key), json_integer(ms));
}

/* "3/1h" */
void stanch_read_rate(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char what[] = "a number and a time like \"3/1h\"";
    const char *text = stanch_check_text(check, idx, what);
    if (!text)
        return;
    char *slash = NULL;
    long count = isdigit((unsigned char)text[0]) ? strtol(text, &slash, 10) : 0;
    int64_t within_ms = 0;
    bool is_good = count >= 1 && count <= 10000 && slash && *slash == '/' &&
                   stanch_duration_parse(slash + 1, &within_ms, NULL) == 0 && within_ms > 0;
    if (!is_good)
        stanch_check_expected(check, idx, what);
    else if (is_within(check, key, (double)within_ms, true))
        json_object_set_new(into, json_name(key),
                            json_pack("{s:I, s:I}", "count", (json_int_t)count, "within_ms", (json_int_t)within_ms));
}

void stanch_read_integer(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    double value = lua_tonumber(check->L, idx);
    if (lua_type(check->L, idx) != LUA_TNUMBER || value != floor(value))
        stanch_check_expected(check, idx, "a whole number");
    else if (is_within(check, key, value, false))
        json_object_set_new(into, json_name(key), json_integer((json_int_t)value));
}

void stanch_read_number(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    double value = lua_tonumber(check->L, idx);
    if (lua_type(check->L, idx) != LUA_TNUMBER || !isfinite(value))
        stanch_check_expected(check, idx, "a number");
    else if (is_within(check, key, value, false))
        json_object_set_new(into, json_name(key), stanch_check_data(check, idx));
}

void stanch_read_boolean(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    if (lua_isboolean(check->L, idx))
        json_object_set_new(into, json_name(key), json_boolean(lua_toboolean(check->L, idx)));
    else
        stanch_check_expected(check, idx, "true or false");
}

void stanch_read_section(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    json_t *made = json_object();
    stanch_check_section(check, idx, key->more, false, made);
    json_object_set_new(into, json_name(key), made);
}

void stanch_read_function(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    (void)key;
    (void)into; /* it stays in the worker */
    if (!lua_isfunction(check->L, idx))
        stanch_check_expected(check, idx, "a function");
}
