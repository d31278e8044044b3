/* declare_block.c: blocks as userdata, and the words that make them.
 *
 *   runbook "x"  -> block, name kept  -> { ... }: the same block, body kept      (a word with a name)
 *   alert { }    -> block, body kept                                             (a word without)
 */
#include "script/declare_block.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <string.h>

#define BLOCK_META "stanch.block"
#define LIST_KEY   "stanch.declared"
#define PLUGIN     "plugin" /* the word of an unknown global, not yet called */

struct stanch_block *stanch_block_at(lua_State *L, int idx, const char *word)
{
    struct stanch_block *block = luaL_testudata(L, idx, BLOCK_META);
    return block && (!word || strcmp(block->word, word) == 0) ? block : NULL;
}

void stanch_block_get(lua_State *L, int idx, int which)
{
    lua_getiuservalue(L, idx, which);
}

struct stanch_block *stanch_block_push(lua_State *L, const char *word)
{
    struct stanch_block *block = lua_newuserdatauv(L, sizeof *block, 3);
    memset(block, 0, sizeof *block);
    block->word = word;
    luaL_setmetatable(L, BLOCK_META);
    block->line = stanch_vm_where(L, block->file, sizeof block->file);
    return block;
}

/* The block at the top into the list. */
static void list_block(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LIST_KEY);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
}

struct stanch_block *stanch_block_declared(lua_State *L, int i)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LIST_KEY);
    lua_rawgeti(L, -1, i);
    lua_remove(L, -2);
    struct stanch_block *block = stanch_block_at(L, -1, NULL);
    if (!block)
        lua_pop(L, 1);
    return block;
}

static int refuse_in_run(lua_State *L, const char *word)
{
    if (stanch_vm_of(L)->phase == STANCH_VM_RUNNING)
        return stanch_vm_raise(L, "script", "%s declares; write it at the top of the file, not inside run()", word);
    return 0;
}

/* upvalues: word, is it named, is it listed */
static int make_block(lua_State *L)
{
    const char *word = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 1);
    refuse_in_run(L, word);
    (void)stanch_block_push(L, word);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, lua_toboolean(L, lua_upvalueindex(2)) ? STANCH_BLOCK_NAME : STANCH_BLOCK_BODY);
    if (lua_toboolean(L, lua_upvalueindex(3)))
        list_block(L);
    return 1;
}

void stanch_block_word(lua_State *L, const char *word, bool named, bool listed)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)word);
    lua_pushboolean(L, named);
    lua_pushboolean(L, listed);
    lua_pushcclosure(L, make_block, 3);
    lua_setglobal(L, word);
}

/* ---- unknown globals as plugins ---- */

static size_t known_words(lua_State *L, const char **ret, size_t max)
{
    size_t count = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.declare.words");
    const char *const *words = lua_touserdata(L, -1);
    lua_pop(L, 1);
    while (words && words[count] && count < max) {
        ret[count] = words[count];
        count++;
    }
    return count;
}

static int raise_unknown(lua_State *L, const char *name, const char *otherwise)
{
    const char *words[32];
    char hint[200];
    stanch_vm_suggest(name, words, known_words(L, words, 32), hint, sizeof hint);
    return stanch_vm_raise(L, "invalid", "there is nothing called \"%s\"; %s", name, hint[0] == 'd' ? hint : otherwise);
}

static int get_plugin(lua_State *L)
{
    (void)stanch_block_push(L, PLUGIN);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, STANCH_BLOCK_PLUGIN);
    return 1;
}

void stanch_block_plugins(lua_State *L, const char *const *words)
{
    lua_pushlightuserdata(L, (void *)(uintptr_t)words);
    lua_setfield(L, LUA_REGISTRYINDEX, "stanch.declare.words");
    lua_pushglobaltable(L);
    lua_newtable(L);
    lua_pushcfunction(L, get_plugin);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

static int make_instance(lua_State *L)
{
    lua_getiuservalue(L, 1, STANCH_BLOCK_PLUGIN);
    const char *plugin = lua_tostring(L, -1);
    if (lua_type(L, 2) != LUA_TSTRING) {
        char otherwise[200];
        lua_pushfstring(L, "to configure a plugin, name the instance: %s \"main\" { ... }", plugin);
        (void)strncat(strcpy(otherwise, ""), lua_tostring(L, -1), sizeof otherwise - 1);
        return raise_unknown(L, plugin, otherwise);
    }
    (void)stanch_block_push(L, "instance");
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, STANCH_BLOCK_NAME);
    lua_pushstring(L, plugin);
    lua_setiuservalue(L, -2, STANCH_BLOCK_PLUGIN);
    list_block(L);
    return 1;
}

/* ---- the metatable ---- */

static int call_block(lua_State *L)
{
    struct stanch_block *block = luaL_checkudata(L, 1, BLOCK_META);
    lua_settop(L, 2);
    if (strcmp(block->word, PLUGIN) == 0)
        return make_instance(L);
    lua_getiuservalue(L, 1, STANCH_BLOCK_BODY);
    if (!lua_isnil(L, -1))
        return stanch_vm_raise(L, "invalid", "this %s has its { ... } already", block->word);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, STANCH_BLOCK_BODY);
    lua_settop(L, 1);
    return 1;
}

static int index_block(lua_State *L)
{
    struct stanch_block *block = luaL_checkudata(L, 1, BLOCK_META);
    if (strcmp(block->word, PLUGIN) == 0) {
        lua_getiuservalue(L, 1, STANCH_BLOCK_PLUGIN);
        return raise_unknown(L, lua_tostring(L, -1), "a plugin is configured as NAME \"instance\" { ... }");
    }
    return stanch_vm_raise(L, "script", "what %s gives can be handed on, not looked into", block->word);
}

static int block_tostring(lua_State *L)
{
    struct stanch_block *block = luaL_checkudata(L, 1, BLOCK_META);
    lua_pushstring(L, block->word);
    return 1;
}

void stanch_block_open(lua_State *L)
{
    static const luaL_Reg members[] = {{"__call", call_block},
                                       {"__index", index_block},
                                       {"__newindex", index_block},
                                       {"__tostring", block_tostring},
                                       {NULL, NULL}};
    if (luaL_newmetatable(L, BLOCK_META)) {
        luaL_setfuncs(L, members, 0);
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, LIST_KEY);
}
