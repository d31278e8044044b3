/* order.c: pairs and next in one defined order, so that a replay asks the same questions (M12).
 *
 *   numbers ascending, then texts bytewise, then false, true, then null
 *
 * Tables, functions and threads as keys have no order that would be the same in another process: a table that has
 * them can be indexed, but not traversed. Traversal goes over the keys that were there when it began; those
 * removed meanwhile are skipped, those added are not seen. */
#include "base/sabotage.h"
#include "script/sandbox.h"
#include "script/value.h"
#include "script/vm.h"
#include <string.h>

enum rank { RANK_NUMBER, RANK_TEXT, RANK_BOOLEAN, RANK_NULL, RANK_NONE };

struct key {
    enum rank rank;
    lua_Integer integer;
    lua_Number number;
    const char *text; /* belongs to Lua; the table holds it */
    size_t len;
    int is_float;
};

/* The key at `idx`. */
static struct key read_key(lua_State *L, int idx)
{
    struct key key = {.rank = RANK_NONE};
    switch (lua_type(L, idx)) {
    case LUA_TNUMBER:
        key.rank = RANK_NUMBER;
        key.is_float = !lua_isinteger(L, idx);
        key.number = lua_tonumber(L, idx);
        key.integer = key.is_float ? 0 : lua_tointeger(L, idx);
        break;
    case LUA_TSTRING:
        key.rank = RANK_TEXT;
        key.text = lua_tolstring(L, idx, &key.len);
        break;
    case LUA_TBOOLEAN:
        key.rank = RANK_BOOLEAN;
        key.integer = lua_toboolean(L, idx);
        break;
    default:
        if (stanch_value_is_null(L, idx))
            key.rank = RANK_NULL;
    }
    return key;
}

static int compare(const struct key *a, const struct key *b)
{
    if (a->rank != b->rank)
        return a->rank < b->rank ? -1 : 1;
    if (a->rank == RANK_TEXT) {
        int c = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
        return c ? c : a->len < b->len ? -1 : a->len > b->len;
    }
    if (a->rank == RANK_NUMBER && (a->is_float || b->is_float) && a->number != b->number)
        return a->number < b->number ? -1 : 1;
    if (a->is_float != b->is_float)
        return a->is_float ? 1 : -1;
    return a->integer < b->integer ? -1 : a->integer > b->integer;
}

/* Merge sort of its own: glibc's qsort may ask the kernel for things that a worker may not ask. */
static void sort_keys(struct key *keys, struct key *spare, size_t count)
{
    if (count < 2 || stanch_is_sabotaged("pairs-unordered"))
        return;
    size_t half = count / 2, a = 0, b = half, out = 0;
    sort_keys(keys, spare, half);
    sort_keys(keys + half, spare, count - half);
    while (a < half && b < count)
        spare[out++] = compare(&keys[b], &keys[a]) < 0 ? keys[b++] : keys[a++];
    while (a < half)
        spare[out++] = keys[a++];
    memcpy(keys, spare, out * sizeof *keys);
}

static void push_key(lua_State *L, const struct key *key)
{
    if (key->rank == RANK_TEXT)
        lua_pushlstring(L, key->text, key->len);
    else if (key->rank == RANK_BOOLEAN)
        lua_pushboolean(L, (int)key->integer);
    else if (key->rank == RANK_NULL)
        stanch_value_push_null(L);
    else if (key->is_float)
        lua_pushnumber(L, key->number);
    else
        lua_pushinteger(L, key->integer);
}

static int refuse_key(lua_State *L, int idx)
{
    return stanch_vm_raise(
        L, "script",
        "this table has a key that is a %s; such keys have no order that a replay could keep, so the "
        "table cannot be traversed (use text or numbers as keys)",
        luaL_typename(L, idx));
}

/* Pushes an array of the keys of the table at index 1, in order. */
static void push_sorted_keys(lua_State *L)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
        count++;
    struct key *keys = lua_newuserdatauv(L, (2 * count + 1) * sizeof *keys, 0);
    size_t n = 0;
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        keys[n] = read_key(L, -2);
        if (keys[n++].rank == RANK_NONE)
            refuse_key(L, -2);
    }
    sort_keys(keys, keys + count, count);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        push_key(L, &keys[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_remove(L, -2);
}

/* upvalues: sorted keys, position, table */
static int step(lua_State *L)
{
    lua_Integer i = lua_tointeger(L, lua_upvalueindex(2));
    for (;;) {
        if (lua_rawgeti(L, lua_upvalueindex(1), ++i) == LUA_TNIL)
            return 1;
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL)
            break;
        lua_pop(L, 2);
    }
    lua_pushinteger(L, i);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int after_metamethod(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 3;
}

static int do_pairs(lua_State *L)
{
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_callk(L, 1, 3, 0, after_metamethod);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    stanch_sandbox_thaw(L, 1);
    push_sorted_keys(L);
    lua_pushinteger(L, 0);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, step, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* The smallest key above the given one; one scan, no state. */
static int do_next(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    stanch_sandbox_thaw(L, 1);
    struct key from = read_key(L, 2), best = {0};
    int has_from = !lua_isnil(L, 2), has_best = 0, count = 0, bad = 0;
    if (has_from && from.rank == RANK_NONE)
        return refuse_key(L, 2);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        struct key key = read_key(L, -2);
        count++;
        bad += key.rank == RANK_NONE;
        if (key.rank == RANK_NONE || (has_from && compare(&key, &from) <= 0))
            continue;
        if (!has_best || compare(&key, &best) < 0)
            best = key;
        has_best = 1;
    }
    if (bad) {
        lua_pushnil(L);
        lua_next(L, 1);
        if (count == 1 && !has_from) /* next(t) as the question whether t is empty */
            return 2;
        lua_pop(L, 1);
        return stanch_vm_raise(L, "script", "this table has keys that are tables or functions; it cannot be traversed");
    }
    if (!has_best) {
        lua_pushnil(L);
        return 1;
    }
    push_key(L, &best);
    lua_pushvalue(L, -1);
    lua_rawget(L, 1);
    return 2;
}

const struct stanch_binding stanch_order_functions[] = {
    {"pairs", do_pairs, "pairs(t): all keys and values, numbers ascending, then texts bytewise, then booleans, null"},
    {"next", do_next, "next(t, key): the key after `key` in the order of pairs, and its value"},
    {NULL, NULL, NULL},
};
