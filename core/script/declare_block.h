/* declare_block.h: a block is what a declaring word gives: `alert {...}`, `label "x" {...}`, `haproxy "edge" {...}`.
 * It keeps what was written and where; nothing is checked before all files were read, so that all mistakes are told
 * at once. A file can hold a block and hand it on, but not look inside.
 * Inside script/ only. Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_DECLARE_BLOCK_H
#define STANCH_SCRIPT_DECLARE_BLOCK_H
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct stanch_block {
    const char *word; /* "alert", "label", "instance"; static */
    int line;         /* where it begins */
    bool is_listed;   /* an instance: the configuration lists it */
    char file[256];
};

enum { STANCH_BLOCK_NAME = 1, STANCH_BLOCK_BODY = 2, STANCH_BLOCK_PLUGIN = 3 }; /* the values kept with a block */

/** Create the metatable and the list of what was declared. */
void stanch_block_open(lua_State *L);
/** Set the global `word`: a function that gives a block. named: `word "name" { body }`, else `word { body }`.
 *  listed: also kept in the list that stanch_block_declared gives. word: static. */
void stanch_block_word(lua_State *L, const char *word, bool named, bool listed);
/** Make every unknown global the name of a plugin: NAME "instance" { settings }. words: of this language, NULL at
 *  the end, for suggestions; static. */
void stanch_block_plugins(lua_State *L, const char *const *words);
/** Push a block of `word` that begins where the running function was called; its body is nil. */
struct stanch_block *stanch_block_push(lua_State *L, const char *word);
/** The block at `idx`, or NULL: something else. word: NULL: any. Does not raise. */
struct stanch_block *stanch_block_at(lua_State *L, int idx, const char *word);
/** Push a kept value. */
void stanch_block_get(lua_State *L, int idx, int which);
/** Push block `i` (from 1) of the list, and return it; NULL and nothing pushed: there are no more. */
struct stanch_block *stanch_block_declared(lua_State *L, int i);

#endif
