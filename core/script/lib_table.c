/* lib_table.c: table.sort as a stable merge sort. Lua's own takes its pivots from the clock when a table is large,
 * so the order of equal elements could differ at the replay. The comparator is called across a C call: it cannot
 * ask anything of the world. The table changes only when the sort is complete. */
#include "script/sandbox.h"

#define MAX_SORT 1000000

/* Stack: 1 table, 2 comparator or nil, 3 and 4 the two work tables. Is element b of `from` below element a? */
static int is_below(lua_State *L, int from, lua_Integer b, lua_Integer a)
{
    int below;
    if (lua_isnil(L, 2)) {
        lua_rawgeti(L, from, b);
        lua_rawgeti(L, from, a);
        below = lua_compare(L, -2, -1, LUA_OPLT);
        lua_pop(L, 2);
    } else {
        lua_pushvalue(L, 2);
        lua_rawgeti(L, from, b);
        lua_rawgeti(L, from, a);
        lua_call(L, 2, 1);
        below = lua_toboolean(L, -1);
        lua_pop(L, 1);
    }
    return below;
}

static void merge(lua_State *L, int from, int to, lua_Integer low, lua_Integer middle, lua_Integer high)
{
    lua_Integer a = low, b = middle;
    for (lua_Integer out = low; out < high; out++) {
        int take_b = b < high && (a >= middle || is_below(L, from, b, a));
        lua_rawgeti(L, from, take_b ? b++ : a++);
        lua_rawseti(L, to, out);
    }
}

static int sort(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_Integer count = luaL_len(L, 1);
    luaL_argcheck(L, count <= MAX_SORT, 1, "too many elements to sort");
    if (!lua_isnoneornil(L, 2))
        luaL_checktype(L, 2, LUA_TFUNCTION);
    lua_settop(L, 2);
    lua_createtable(L, (int)count, 0);
    lua_createtable(L, (int)count, 0);
    int from = 3, to = 4;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 1, i);
        lua_rawseti(L, from, i);
    }
    for (lua_Integer width = 1; width < count; width *= 2) {
        for (lua_Integer low = 1; low <= count; low += 2 * width) {
            lua_Integer middle = low + width > count + 1 ? count + 1 : low + width;
            lua_Integer high = low + 2 * width > count + 1 ? count + 1 : low + 2 * width;
            merge(L, from, to, low, middle, high);
        }
        from = 7 - from;
        to = 7 - to;
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, from, i);
        lua_seti(L, 1, i);
    }
    return 0;
}

const struct stanch_binding stanch_table_functions[] = {
    {"sort", sort, "table.sort(t, below): sort in place; equal elements keep their order"},
    {NULL, NULL, NULL},
};
