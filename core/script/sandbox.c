/* sandbox.c: what of Lua there is in a worker. An allow-list: libraries are opened one by one, cut down by name,
 * and shown through read-only views, so that no file can change what another one sees (M11).
 *
 *   file's _ENV = _G: an empty table  --__index-->  globals  --__index-->  "there is no x; use ..."
 *                                     --__newindex-> refused
 */
#include "script/sandbox.h"
#include "script/action.h"
#include "script/value.h"
#include "script/vm.h"
#include <lualib.h>
#include <string.h>

#define ENV_KEY "stanch.env"

static const char *const kept_base[] = {"assert", "error",  "getmetatable", "ipairs", "pcall",    "rawequal", "rawget",
                                        "rawlen", "select", "tonumber",     "type",   "_VERSION", NULL};

/* What is looked for most often and is not there, with what to use instead. */
static const char *const absent[][2] = {
    {"os", "now() gives the time; a runbook has no files, environment or processes"},
    {"io", "a runbook has no files; note(\"...\") writes to the timeline"},
    {"debug", "it would show and change what a replay must keep"},
    {"package", "require \"lib.name\" reads lib/name.lua of the same commit"},
    {"load", "code comes from the files of the commit only"},
    {"loadstring", "code comes from the files of the commit only"},
    {"loadfile", "require \"lib.name\" reads lib/name.lua of the same commit"},
    {"dofile", "require \"lib.name\" reads lib/name.lua of the same commit"},
    {"collectgarbage", "memory is the worker's; it ends with the run"},
    {"coroutine", "parallel { f, g } runs functions side by side"},
    {"rawset", "write t[k] = v"},
    {"warn", "note(\"...\") writes to the timeline"},
};

void stanch_sandbox_set(lua_State *L, const struct stanch_binding *list)
{
    for (; list->name; list++) {
        lua_pushcfunction(L, list->fn);
        lua_setfield(L, -2, list->name);
    }
}

static int refuse_write(lua_State *L)
{
    return stanch_vm_raise(L, "script", "%s is read-only", lua_tostring(L, lua_upvalueindex(1)));
}

static int refuse_global(lua_State *L)
{
    const char *name = stanch_base_tostring(L, 2);
    return stanch_vm_raise(L, "script", "\"%s\" would be a global variable; write: local %s = ...", name, name);
}

static int refuse_unknown(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        if (strcmp(name, absent[i][0]) == 0)
            return stanch_vm_raise(L, "script", "there is no \"%s\" in a runbook: %s", name, absent[i][1]);
    const char *names[256];
    size_t count = 0;
    lua_pushglobaltable(L);
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
        if (lua_type(L, -2) == LUA_TSTRING && count < 256)
            names[count++] = lua_tostring(L, -2);
    char hint[100];
    stanch_vm_suggest(name, names, count, hint, sizeof hint);
    return stanch_vm_raise(L, "script", "there is nothing called \"%s\"; %s", name,
                           hint[0] == 'd' ? hint
                                          : "a plugin's name is known once an instance of it is configured, "
                                            "everything else is a local variable");
}

/* The view's metatable: {__index = table, stanch.view = table, __newindex = refuse, __metatable = false} */
static void push_view(lua_State *L, lua_CFunction on_write, const char *name)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, -3);
    lua_setfield(L, -2, "stanch.view");
    lua_pushstring(L, name);
    lua_pushcclosure(L, on_write, 1);
    lua_setfield(L, -2, "__newindex");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
}

void stanch_sandbox_freeze(lua_State *L, const char *name)
{
    push_view(L, refuse_write, name);
    lua_remove(L, -2);
}

void stanch_sandbox_thaw(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (!lua_getmetatable(L, idx))
        return;
    lua_pushliteral(L, "stanch.view");
    if (lua_rawget(L, -2) == LUA_TTABLE) {
        lua_replace(L, idx);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
}

/* Open one of Lua's libraries, drop some of its functions, add ours. Leaves the table. */
static void open_library(lua_State *L, lua_CFunction open, const char *const *drop, const struct stanch_binding *add)
{
    lua_pushcfunction(L, open);
    lua_call(L, 0, 1);
    for (; drop && *drop; drop++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *drop);
    }
    if (add)
        stanch_sandbox_set(L, add);
}

static void open_string(lua_State *L)
{
    static const char *const drop[] = {"dump", NULL};
    open_library(L, luaopen_string, drop, NULL);
    lua_getfield(L, -1, "format");
    lua_pushcclosure(L, stanch_string_functions[0].fn, 1);
    lua_setfield(L, -2, "format");
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    stanch_sandbox_freeze(L, "string");
    lua_setglobal(L, "string");
}

static void open_base(lua_State *L)
{
    lua_pushglobaltable(L);
    int globals = lua_gettop(L);
    lua_pushcfunction(L, luaopen_base);
    lua_call(L, 0, 0); /* writes into the globals */
    lua_newtable(L);
    for (const char *const *name = kept_base; *name; name++) {
        lua_getfield(L, globals, *name);
        lua_setfield(L, -2, *name);
    }
    stanch_sandbox_set(L, stanch_order_functions);
    stanch_sandbox_set(L, stanch_base_functions);
    stanch_sandbox_set(L, stanch_module_functions);
    lua_rawseti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS); /* a table with nothing else in it */
    lua_pop(L, 1);
}

void stanch_sandbox_open(lua_State *L)
{
    static const char *const drop_math[] = {"random", "randomseed", /* ours is the run's */
                                            "cosh",   "sinh",       "tanh",  "pow", "frexp",
                                            "ldexp",  "log10",      "atan2", NULL}; /* where Lua was built with 5.2's */
    open_base(L);
    open_string(L);
    open_library(L, luaopen_table, NULL, stanch_table_functions);
    stanch_sandbox_freeze(L, "table");
    lua_setglobal(L, "table");
    open_library(L, luaopen_math, drop_math, stanch_math_functions);
    stanch_sandbox_freeze(L, "math");
    lua_setglobal(L, "math");
    open_library(L, luaopen_utf8, NULL, NULL);
    stanch_sandbox_freeze(L, "utf8");
    lua_setglobal(L, "utf8");
    stanch_value_push_null(L);
    lua_setglobal(L, "null");

    lua_pushglobaltable(L);
    push_view(L, refuse_global, "_G");
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, ENV_KEY);
    lua_setfield(L, -2, "_G");
    lua_pop(L, 1);
}

void stanch_vm_close_globals(struct stanch_vm *vm)
{
    lua_pushglobaltable(vm->L);
    if (lua_getmetatable(vm->L, -1)) { /* the language of the configuration knows what to do with unknown names */
        lua_pop(vm->L, 2);
        return;
    }
    lua_newtable(vm->L);
    lua_pushcfunction(vm->L, refuse_unknown);
    lua_setfield(vm->L, -2, "__index");
    lua_setmetatable(vm->L, -2);
    lua_pop(vm->L, 1);
}

void stanch_sandbox_set_env(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, ENV_KEY);
    lua_setupvalue(L, -2, 1);
}

int stanch_sandbox_push_primitives(lua_State *L)
{
    lua_newtable(L);
    stanch_sandbox_set(L, stanch_sched_functions);
    stanch_sandbox_set(L, stanch_action_functions);
    stanch_sandbox_set(L, stanch_host_functions);
    lua_pushglobaltable(L);
    return 2;
}
