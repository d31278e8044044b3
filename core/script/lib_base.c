/* lib_base.c: the base functions that differ from Lua's own: no address is shown, an error handler runs after the
 * stack is unwound (M6), and a metatable cannot bring finalizers, weak references or close handlers (M1, M3, M7). */
#include "script/sandbox.h"
#include "script/vm.h"
#include <string.h>

#define UNIQ_TABLE   "stanch.numbers"
#define COPIES_TABLE "stanch.metatables"

/* Objects are numbered when they are first shown; that order is the program's own, so it is the same at a replay. */
static lua_Integer number_of(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, UNIQ_TABLE);
    lua_pushvalue(L, idx);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushvalue(L, idx);
        lua_pushinteger(L, ++stanch_vm_of(L)->max_uniq);
        lua_rawset(L, -3);
        lua_pushinteger(L, stanch_vm_of(L)->max_uniq);
    }
    lua_Integer n = lua_tointeger(L, -1);
    lua_pop(L, 2);
    return n;
}

const char *stanch_base_tostring(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    if (luaL_callmeta(L, idx, "__tostring")) {
        if (!lua_isstring(L, -1))
            luaL_error(L, "'__tostring' must return a string");
        return lua_tostring(L, -1);
    }
    switch (lua_type(L, idx)) {
    case LUA_TTABLE:
    case LUA_TFUNCTION:
    case LUA_TUSERDATA:
    case LUA_TTHREAD:
        return lua_pushfstring(L, "%s: %I", luaL_typename(L, idx), (LUAI_UACINT)number_of(L, idx));
    default:
        return luaL_tolstring(L, idx, NULL);
    }
}

static int do_tostring(lua_State *L)
{
    luaL_checkany(L, 1);
    stanch_base_tostring(L, 1);
    return 1;
}

/* Stack: handler, true, results...  or  handler, true, error */
static int finish_xpcall(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    if (status == LUA_OK || status == LUA_YIELD)
        return lua_gettop(L) - 1;
    lua_pushboolean(L, 0);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, -3);
    return 2;
}

static int after_handler(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    return lua_gettop(L) - (int)ctx;
}

static int do_xpcall(lua_State *L);

static int after_call(lua_State *L, int status, lua_KContext ctx)
{
    if (status == LUA_OK || status == LUA_YIELD)
        return finish_xpcall(L, status, ctx);
    finish_xpcall(L, status, ctx); /* ..., false, handler, error */
    int base = lua_gettop(L) - 3;
    lua_callk(L, 1, LUA_MULTRET, base, after_handler);
    return after_handler(L, LUA_OK, base);
}

static int do_xpcall(lua_State *L)
{
    int args = lua_gettop(L) - 2;
    luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_pushboolean(L, 1);
    lua_pushvalue(L, 1);
    lua_rotate(L, 3, 2); /* f, handler, true, f, args... */
    lua_remove(L, 1);    /* handler, true, f, args... */
    return after_call(L, lua_pcallk(L, args, LUA_MULTRET, 0, 0, after_call), 0);
}

static void refuse_member(lua_State *L, const char *name, const char *why)
{
    lua_pushstring(L, name);
    if (lua_rawget(L, 2) != LUA_TNIL)
        stanch_vm_raise(L, "script", "a metatable with %s is refused: %s", name, why);
    lua_pop(L, 1);
}

/* Do the tables at a and b hold the same, but for __metatable in b? */
static int is_same(lua_State *L, int a, int b)
{
    lua_Integer in_a = 0, in_b = 0;
    for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_rawget(L, b);
        int same = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (!same) {
            lua_pop(L, 2);
            return 0;
        }
        in_a++;
    }
    for (lua_pushnil(L); lua_next(L, b); lua_pop(L, 1))
        in_b++;
    lua_pushliteral(L, "__metatable");
    int had_own = lua_rawget(L, a) != LUA_TNIL;
    lua_pop(L, 1);
    return in_a == in_b - (had_own ? 0 : 1);
}

/* Pushes the copy of the metatable at 2 that is in force: a later `mt.__mode = "k"` then changes nothing. Objects
 * of one metatable share a copy as long as the original stays as it was. */
static void push_copy(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, COPIES_TABLE);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TTABLE && is_same(L, 2, lua_gettop(L)))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, 2);
    if (lua_isnil(L, -1)) { /* getmetatable gives back the original */
        lua_pushvalue(L, 2);
        lua_setfield(L, -3, "__metatable");
    }
    lua_pop(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4); /* original -> copy */
}

static int is_protected(lua_State *L)
{
    if (!lua_getmetatable(L, 1))
        return 0;
    int real = lua_gettop(L);
    lua_pushliteral(L, "__metatable");
    lua_rawget(L, real);
    int is = !lua_isnil(L, -1);
    if (lua_istable(L, -1)) { /* our own mark, if that original's copy is the one in force */
        luaL_getsubtable(L, LUA_REGISTRYINDEX, COPIES_TABLE);
        lua_pushvalue(L, -2);
        lua_rawget(L, -2);
        is = lua_isnil(L, -1);
    }
    lua_settop(L, real - 1);
    return is;
}

static int do_setmetatable(lua_State *L)
{
    int type = lua_type(L, 2);
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    lua_settop(L, 2);
    if (is_protected(L))
        return stanch_vm_raise(L, "script", "this table's metatable is protected");
    if (type == LUA_TTABLE) {
        refuse_member(L, "__gc", "when garbage is collected differs at every replay");
        refuse_member(L, "__mode", "when weak references vanish differs at every replay");
        refuse_member(L, "__close", "use pcall, and undo what has to be undone");
        push_copy(L);
    } else {
        lua_pushnil(L);
    }
    lua_setmetatable(L, 1);
    lua_settop(L, 1);
    return 1;
}

static int do_print(lua_State *L)
{
    return stanch_vm_raise(L, "script", "there is no print in a runbook; note(\"...\") writes to the timeline");
}

const struct stanch_binding stanch_base_functions[] = {
    {"tostring", do_tostring, "tostring(v): tables, functions and threads are numbered: \"table: 1\""},
    {"xpcall", do_xpcall, "xpcall(f, handler, ...): the handler runs after the stack is unwound"},
    {"setmetatable", do_setmetatable, "setmetatable(t, mt): keeps a copy of mt; no __gc, __mode, __close"},
    {"print", do_print, NULL},
    {NULL, NULL, NULL},
};
