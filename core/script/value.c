/* value.c: Lua values to JSON and back; the rules are in value.h.
 * Reading a table uses raw access only, so that converting runs nobody's code and cannot raise: a conversion that
 * fails half-way frees what it has built and says where it was. */
#include "script/value.h"
#include "base/json.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_META "stanch.array"

static const char null_address;

struct reader {
    lua_State *L;
    enum stanch_value_mode mode;
    struct stanch_err *err;
    char path[400];
    size_t path_len;
    int depth;
};

void stanch_value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)&null_address);
}

bool stanch_value_is_null(lua_State *L, int idx)
{
    return lua_type(L, idx) == LUA_TLIGHTUSERDATA && lua_touserdata(L, idx) == &null_address;
}

void stanch_value_mark_array(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    luaL_getmetatable(L, ARRAY_META);
    lua_setmetatable(L, idx);
}

bool stanch_value_is_array(lua_State *L, int idx)
{
    if (!lua_istable(L, idx) || !lua_getmetatable(L, idx))
        return false;
    lua_pushliteral(L, "stanch.is_array");
    lua_rawget(L, -2);
    bool is = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return is;
}

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "null");
    return 1;
}

void stanch_value_open(lua_State *L)
{
    luaL_newmetatable(L, ARRAY_META);
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "stanch.is_array");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    stanch_value_push_null(L);
    lua_newtable(L);
    lua_pushcfunction(L, null_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2); /* of all light userdata; there is no other */
    lua_pop(L, 1);
}

static int refuse(struct reader *r, const char *what)
{
    return stanch_err_set(r->err, STANCH_E_INVALID, "%.*s: %s", (int)r->path_len, r->path, what);
}

static size_t enter_key(struct reader *r, const char *key, size_t len)
{
    size_t before = r->path_len;
    int n = snprintf(r->path + before, sizeof r->path - before, "%s%.*s", before ? "." : "", (int)(len > 60 ? 60 : len),
                     key);
    r->path_len = n < 0 || before + (size_t)n >= sizeof r->path ? sizeof r->path - 1 : before + (size_t)n;
    return before;
}

static size_t enter_index(struct reader *r, lua_Integer index)
{
    size_t before = r->path_len;
    int n = snprintf(r->path + before, sizeof r->path - before, "[%lld]", (long long)index);
    r->path_len = n < 0 || before + (size_t)n >= sizeof r->path ? sizeof r->path - 1 : before + (size_t)n;
    return before;
}

static int read_value(struct reader *r, int idx, json_t **ret);

static int read_number(struct reader *r, int idx, json_t **ret)
{
    char text[64];
    if (lua_isinteger(r->L, idx)) {
        lua_Integer v = lua_tointeger(r->L, idx);
        if (v >= -STANCH_JSON_SAFE_INT && v <= STANCH_JSON_SAFE_INT) {
            *ret = json_integer(v);
            return 0;
        }
        if (r->mode == STANCH_VALUE_PLAIN)
            return refuse(r, "an integer beyond 2^53 is not kept exactly by everyone who reads it; write it as text");
        (void)snprintf(text, sizeof text, "%lld", (long long)v);
    } else {
        double v = lua_tonumber(r->L, idx);
        if (isnan(v) || isinf(v))
            return refuse(r, isnan(v) ? "not a number (NaN) cannot be kept" : "infinity cannot be kept");
        if (v != floor(v)) {
            *ret = json_real(v);
            return 0;
        }
        bool is_safe = fabs(v) <= (double)STANCH_JSON_SAFE_INT;
        if (r->mode == STANCH_VALUE_PLAIN) {
            if (!is_safe)
                return refuse(r, "a number beyond 2^53 is not kept exactly by everyone who reads it");
            *ret = json_integer((json_int_t)v);
            return 0;
        }
        (void)snprintf(text, sizeof text, is_safe ? "%.1f" : "%.17e", v);
    }
    *ret = json_pack("{s:s}", "$number", text);
    return 0;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const unsigned char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        unsigned c = s[i];
        size_t more = c < 0x80                 ? 0
                      : c >= 0xc2 && c <= 0xdf ? 1
                      : (c & 0xf0) == 0xe0     ? 2
                      : c >= 0xf0 && c <= 0xf4 ? 3
                                               : 9;
        if (more == 9 || more >= len - i)
            return false;
        for (size_t k = 1; k <= more; k++)
            if ((s[i + k] & 0xc0) != 0x80)
                return false;
        if ((c == 0xe0 && s[i + 1] < 0xa0) || (c == 0xed && s[i + 1] > 0x9f) || (c == 0xf0 && s[i + 1] < 0x90) ||
            (c == 0xf4 && s[i + 1] > 0x8f))
            return false;
        i += more + 1;
    }
    return true;
}

static int check_text(struct reader *r, const char *text, size_t len)
{
    if (memchr(text, 0, len))
        return refuse(r, "text with a NUL byte cannot be kept");
    if (!is_utf8((const unsigned char *)text, len))
        return refuse(r, "text that is not valid UTF-8 cannot be kept");
    return 0;
}

static int read_text(struct reader *r, int idx, json_t **ret)
{
    size_t len;
    const char *text = lua_tolstring(r->L, idx, &len);
    int rc = check_text(r, text, len);
    if (rc == 0)
        *ret = json_stringn_nocheck(text, len);
    return rc;
}

static int read_array(struct reader *r, int idx, lua_Integer count, json_t **ret)
{
    json_t *array = json_array();
    int rc = 0;
    for (lua_Integer i = 1; i <= count && rc == 0; i++) {
        json_t *member = NULL;
        lua_rawgeti(r->L, idx, i);
        size_t before = enter_index(r, i);
        rc = read_value(r, lua_gettop(r->L), &member);
        lua_pop(r->L, 1);
        r->path_len = rc == 0 ? before : r->path_len;
        if (rc == 0)
            json_array_append_new(array, member);
    }
    if (rc < 0)
        json_decref(array);
    else
        *ret = array;
    return rc;
}

static int read_object(struct reader *r, int idx, json_t **ret)
{
    json_t *object = json_object();
    int rc = 0;
    lua_pushnil(r->L);
    while (rc == 0 && lua_next(r->L, idx)) {
        json_t *member = NULL;
        size_t len;
        const char *key = lua_tolstring(r->L, -2, &len);
        size_t before = enter_key(r, key, len);
        rc = check_text(r, key, len);
        if (rc == 0)
            rc = read_value(r, lua_gettop(r->L), &member);
        if (rc == 0) {
            r->path_len = before;
            json_object_setn_new_nocheck(object, key, len, member);
        }
        lua_pop(r->L, rc == 0 ? 1 : 2);
    }
    if (rc == 0 && r->mode == STANCH_VALUE_TAGGED && json_object_size(object) == 1 &&
        json_object_get(object, "$number"))
        rc = refuse(r, "a table whose only key is \"$number\" cannot be kept; that name is taken");
    if (rc < 0)
        json_decref(object);
    else
        *ret = object;
    return rc;
}

/* What kind of table is it? Counts its keys once. */
static int read_table(struct reader *r, int idx, json_t **ret)
{
    lua_State *L = r->L;
    if (r->depth >= STANCH_VALUE_MAX_DEPTH)
        return refuse(r, "nested too deep (does the table contain itself?)");
    if (!lua_checkstack(L, 8))
        return refuse(r, "nested too deep");
    if (luaL_getmetafield(L, idx, "stanch.view") != LUA_TNIL) {
        lua_pop(L, 1);
        return refuse(r, "a library is not data");
    }
    lua_Integer integers = 0, largest = 0;
    size_t texts = 0;
    char first_text[64] = "";
    lua_pushnil(L);
    while (lua_next(L, idx)) {
        lua_pop(L, 1);
        if (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= 1) {
            integers++;
            if (lua_tointeger(L, -1) > largest)
                largest = lua_tointeger(L, -1);
        } else if (lua_type(L, -1) == LUA_TSTRING) {
            if (texts++ == 0)
                (void)snprintf(first_text, sizeof first_text, "%s", lua_tostring(L, -1));
        } else {
            char text[160];
            (void)snprintf(text, sizeof text, "a key that is a %s; keys are text, or 1, 2, 3 and so on",
                           luaL_typename(L, -1));
            lua_pop(L, 1);
            return refuse(r, text);
        }
    }
    char text[200];
    if (integers && texts) {
        (void)snprintf(text, sizeof text, "both a list and named members (such as \"%s\"); it must be one of them",
                       first_text);
        return refuse(r, text);
    }
    if (largest != integers) {
        (void)snprintf(text, sizeof text, "a list with a hole: it has %lld values, the last at %lld",
                       (long long)integers, (long long)largest);
        return refuse(r, text);
    }
    bool is_array = stanch_value_is_array(L, idx);
    if (is_array && texts) {
        (void)snprintf(text, sizeof text, "an array with a named member \"%s\"", first_text);
        return refuse(r, text);
    }
    r->depth++;
    int rc = integers || is_array ? read_array(r, idx, integers, ret) : read_object(r, idx, ret);
    r->depth--;
    return rc;
}

static int read_value(struct reader *r, int idx, json_t **ret)
{
    char text[128];
    switch (lua_type(r->L, idx)) {
    case LUA_TNIL:
    case LUA_TNONE:
        *ret = json_null();
        return 0;
    case LUA_TBOOLEAN:
        *ret = json_boolean(lua_toboolean(r->L, idx));
        return 0;
    case LUA_TNUMBER:
        return read_number(r, idx, ret);
    case LUA_TSTRING:
        return read_text(r, idx, ret);
    case LUA_TTABLE:
        return read_table(r, idx, ret);
    default:
        if (stanch_value_is_null(r->L, idx)) {
            *ret = json_null();
            return 0;
        }
        (void)snprintf(text, sizeof text, "a %s is not data", luaL_typename(r->L, idx));
        return refuse(r, text);
    }
}

int stanch_value_to_json(lua_State *L, int idx, enum stanch_value_mode mode, const char *what, json_t **ret,
                         struct stanch_err *err)
{
    struct reader r = {.L = L, .mode = mode, .err = err};
    (void)enter_key(&r, what, strlen(what));
    if (!lua_checkstack(L, 8))
        return refuse(&r, "nested too deep");
    return read_value(&r, lua_absindex(L, idx), ret);
}

/* {"$number":"1.0"}; anything else that looks like it stays a table */
static bool push_tagged(lua_State *L, const json_t *value)
{
    const char *text = json_object_size(value) == 1 ? stanch_json_str(value, "$number", NULL) : NULL;
    return text && lua_stringtonumber(L, text) != 0;
}

static void push_object(lua_State *L, const json_t *value)
{
    const char *key;
    json_t *member;
    lua_createtable(L, 0, (int)json_object_size(value));
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        stanch_value_push(L, member);
        lua_setfield(L, -2, key);
    }
}

static void push_array(lua_State *L, const json_t *value)
{
    size_t count = json_array_size(value);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        stanch_value_push(L, json_array_get(value, i));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    stanch_value_mark_array(L, -1);
}

void stanch_value_push(lua_State *L, const json_t *value)
{
    luaL_checkstack(L, 6, "a value nested too deep");
    if (!value)
        lua_pushnil(L);
    else if (json_is_null(value))
        stanch_value_push_null(L);
    else if (json_is_boolean(value))
        lua_pushboolean(L, json_is_true(value));
    else if (json_is_integer(value))
        lua_pushinteger(L, json_integer_value(value));
    else if (json_is_real(value))
        lua_pushnumber(L, json_real_value(value));
    else if (json_is_string(value))
        lua_pushlstring(L, json_string_value(value), json_string_length(value));
    else if (json_is_array(value))
        push_array(L, value);
    else if (!push_tagged(L, value))
        push_object(L, value);
}
