/* vm_error.c: errors with a place: where a runbook called, what it raised, and what it may have meant. */
#include "script/vm.h"
#include "base/json.h"
#include "base/mem.h"
#include "script/value.h"
#include <ctype.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ERROR_META "stanch.error"
#define MAX_FRAMES 20

/* A frame of a source file: neither C nor the prelude. */
static bool is_runbook_frame(lua_State *L, lua_Debug *ar)
{
    return lua_getinfo(L, "Sl", ar) && ar->source[0] == '@' && ar->currentline > 0;
}

int stanch_vm_where(lua_State *L, char *ret_file, size_t size)
{
    lua_Debug ar;
    ret_file[0] = 0;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        if (is_runbook_frame(L, &ar)) {
            (void)snprintf(ret_file, size, "%s", ar.source + 1);
            return ar.currentline;
        }
    }
    return 0;
}

static int error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "kind");
    lua_getfield(L, 1, "text");
    lua_pushfstring(L, "%s: %s", lua_isstring(L, -2) ? lua_tostring(L, -2) : "error",
                    lua_isstring(L, -1) ? lua_tostring(L, -1) : "");
    return 1;
}

static int error_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static void set_error_meta(lua_State *L)
{
    if (luaL_newmetatable(L, ERROR_META)) {
        lua_pushcfunction(L, error_tostring);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, error_concat);
        lua_setfield(L, -2, "__concat");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
}

/* Adds the place to the error table at the top, unless it has one, and raises it. */
static int raise_table(lua_State *L)
{
    char file[256];
    int line = stanch_vm_where(L, file, sizeof file);
    if (line && lua_getfield(L, -1, "file") == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushstring(L, file);
        lua_setfield(L, -2, "file");
        lua_pushinteger(L, line);
        lua_setfield(L, -2, "line");
    } else if (line) {
        lua_pop(L, 1);
    }
    set_error_meta(L);
    return lua_error(L);
}

int stanch_vm_raise(lua_State *L, const char *kind, const char *fmt, ...)
{
    char text[1000];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    luaL_checkstack(L, 6, "no room for an error");
    lua_newtable(L);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "text");
    return raise_table(L);
}

int stanch_vm_raise_json(lua_State *L, const json_t *error)
{
    if (!json_is_object(error))
        return stanch_vm_raise(L, "internal", "an answer that is neither ok nor an error");
    stanch_value_push(L, error);
    return raise_table(L);
}

/* "checkout.lua:31: attempt to ..." -> place and text. Paths have no space. */
static void split_text(const char *text, json_t *error)
{
    const char *colon = strstr(text, ".lua:");
    size_t path = colon ? (size_t)(colon - text) + 4 : 0;
    char *end = NULL;
    long line = colon ? strtol(text + path + 1, &end, 10) : 0;
    if (line > 0 && end && strncmp(end, ": ", 2) == 0 && !memchr(text, ' ', path)) {
        json_object_set_new(error, "file", json_stringn(text, path));
        json_object_set_new(error, "line", json_integer(line));
        text = end + 2;
    }
    json_t *value = json_string(text);
    json_object_set_new(error, "text", value ? value : json_string("an error whose text is not valid UTF-8"));
}

static json_t *read_error_value(lua_State *L)
{
    struct stanch_err ignored;
    json_t *error = NULL;
    if (lua_istable(L, -1) && stanch_value_to_json(L, -1, STANCH_VALUE_PLAIN, "error", &error, &ignored) == 0 &&
        json_is_object(error) && stanch_json_str(error, "kind", NULL)) {
        if (!stanch_json_str(error, "text", NULL))
            json_object_set_new(error, "text", json_string("no text was given"));
        return error;
    }
    json_decref(error);
    error = json_pack("{s:s}", "kind", "script");
    if (lua_type(L, -1) == LUA_TSTRING) {
        split_text(lua_tostring(L, -1), error);
    } else {
        char text[80];
        (void)snprintf(text, sizeof text, "an error was raised whose value is a %s, not a text", luaL_typename(L, -1));
        json_object_set_new(error, "text", json_string(text));
    }
    return error;
}

static void add_frame(lua_State *L, lua_Debug *ar, struct stanch_buf *out)
{
    if (!lua_getinfo(L, "n", ar))
        return;
    stanch_buf_printf(out, "%s%s:%d", out->len ? "\n" : "", ar->source + 1, ar->currentline);
    if (ar->name)
        stanch_buf_printf(out, ": in '%s'", ar->name);
    else if (ar->what[0] == 'm')
        stanch_buf_text(out, ": at the top of the file");
}

json_t *stanch_vm_error(lua_State *L)
{
    json_t *error = read_error_value(L);
    STANCH_AUTO_BUF struct stanch_buf trace = {0};
    lua_Debug ar;
    lua_pop(L, 1);
    for (int level = 0, frames = 0; frames < MAX_FRAMES && lua_getstack(L, level, &ar); level++) {
        if (!is_runbook_frame(L, &ar))
            continue;
        if (frames++ == 0) {
            const char *file = stanch_json_str(error, "file", "...");
            if (!json_object_get(error, "file") || strncmp(file, "...", 3) == 0) { /* Lua cuts long paths */
                if (!json_object_get(error, "file"))
                    json_object_set_new(error, "line", json_integer(ar.currentline));
                json_object_set_new(error, "file", json_string(ar.source + 1));
            }
        }
        add_frame(L, &ar, &trace);
    }
    if (!json_object_get(error, "traceback"))
        json_object_set_new(error, "traceback", json_string(stanch_buf_str(&trace)));
    return error;
}

/* Edit distance, cut at 3: names are short. Source: Wagner and Fischer, 1974. */
static int distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int row[65];
    if (n > 64 || m > 64)
        return 9;
    for (size_t k = 0; k <= m; k++)
        row[k] = (int)k;
    for (size_t i = 1; i <= n; i++) {
        int corner = row[0];
        row[0] = (int)i;
        for (size_t k = 1; k <= m; k++) {
            int above = row[k], cost = corner + (a[i - 1] != b[k - 1]);
            if (above + 1 < cost)
                cost = above + 1;
            if (row[k - 1] + 1 < cost)
                cost = row[k - 1] + 1;
            row[k] = cost;
            corner = above;
        }
    }
    return row[m];
}

void stanch_vm_suggest(const char *name, const char *const *names, size_t count, char *ret, size_t size)
{
    int best = 9;
    size_t at = 0, len = 0;
    for (size_t i = 0; i < count; i++) {
        int d = distance(name, names[i]);
        if (d < best) {
            best = d;
            at = i;
        }
    }
    ret[0] = 0;
    if (count == 0) {
        (void)snprintf(ret, size, "there is none");
    } else if (best <= 2 && best < (int)strlen(name)) {
        (void)snprintf(ret, size, "did you mean \"%s\"?", names[at]);
    } else {
        for (size_t i = 0; i < count && len < size; i++) {
            int n = snprintf(ret + len, size - len, "%s%s", i == 0 ? "there is " : ", ", names[i]);
            len += n > 0 ? (size_t)n : 0;
        }
    }
}
