/* lib_host.c: small primitives under prelude.lua; no file sees them directly, but for array. */
#include "base/times.h"
#include "script/sandbox.h"
#include "script/value.h"
#include "script/vm.h"

static int do_phase(lua_State *L)
{
    lua_pushboolean(L, stanch_vm_of(L)->phase == STANCH_VM_RUNNING);
    return 1;
}

static int do_raise(lua_State *L)
{
    return stanch_vm_raise(L, luaL_checkstring(L, 1), "%s", luaL_checkstring(L, 2));
}

/* duration("15s", "sleep") -> 15000 */
static int do_duration(lua_State *L)
{
    struct stanch_err err;
    int64_t ms;
    const char *what = luaL_checkstring(L, 2);
    if (lua_type(L, 1) != LUA_TSTRING)
        return stanch_vm_raise(L, "invalid", "%s: a duration is text like \"15s\" or \"10m\", not a %s", what,
                               luaL_typename(L, 1));
    if (stanch_duration_parse(lua_tostring(L, 1), &ms, &err) < 0)
        return stanch_vm_raise(L, "invalid", "%s: %s", what, err.text);
    lua_pushinteger(L, ms);
    return 1;
}

static int do_array(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1))
        return stanch_vm_raise(L, "script", "array: this table has a metatable already");
    stanch_value_mark_array(L, 1);
    return 1;
}

/* place() -> file, line of the file that calls */
static int do_place(lua_State *L)
{
    char file[256];
    int line = stanch_vm_where(L, file, sizeof file);
    lua_pushstring(L, file);
    lua_pushinteger(L, line);
    return 2;
}

/* The data of the runbook's own symptom, or nil. */
static int do_symptom(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.symptom");
    return 1;
}

static int do_text(lua_State *L)
{
    stanch_base_tostring(L, 1);
    return 1;
}

/* Give a table a metatable that no file can read or change. */
static int do_set_meta(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushboolean(L, 0);
    lua_setfield(L, 2, "__metatable");
    lua_setmetatable(L, 1);
    return 1;
}

static int after_word(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    return lua_gettop(L);
}

static int call_word(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, after_word);
    return after_word(L, LUA_OK, 0);
}

/* word(f): f behind a C function. `return edge.drain { ... }` is a tail call: a Lua function would take the place of
 * the runbook's frame, and with it the line; a C function does not. */
static int do_word(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_pushcclosure(L, call_word, 1);
    return 1;
}

const struct stanch_binding stanch_host_functions[] = {
    {"is_running", do_phase, NULL},  {"raise", do_raise, NULL},
    {"duration", do_duration, NULL}, {"array", do_array, "array {}: a table that is a list even when it is empty"},
    {"word", do_word, NULL},         {"symptom", do_symptom, NULL},
    {"place", do_place, NULL},       {"text", do_text, NULL},
    {"set_meta", do_set_meta, NULL}, {NULL, NULL, NULL},
};
