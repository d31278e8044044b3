/* value.h: Lua values to JSON and back (PROMISES.md 1.5, Values).
 *
 *   Lua                       JSON
 *   nil                       refused inside a table it is just absent; alone it is null
 *   null (a sentinel)         null
 *   true, false               true, false
 *   integer up to 2^53-1      integer
 *   larger integer            STANCH_VALUE_TAGGED: {"$number":"9007199254740993"}    STANCH_VALUE_PLAIN: refused
 *   float 0.5                 real
 *   float 1.0                 STANCH_VALUE_TAGGED: {"$number":"1.0"}                 STANCH_VALUE_PLAIN: 1
 *   NaN, infinity             refused
 *   text                      text; must be valid UTF-8 without NUL
 *   table with keys 1..n      array; array{} marks an empty one
 *   table with text keys      object; an empty table is an object
 *   mixed keys, holes, functions, threads, other userdata: refused, the key path is named
 *
 * Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_VALUE_H
#define STANCH_SCRIPT_VALUE_H
#include "base/err.h"
#include <jansson.h>
#include <lua.h>
#include <stdbool.h>

#define STANCH_VALUE_MAX_DEPTH 60

enum stanch_value_mode {
    STANCH_VALUE_TAGGED, /* keeps every number as it is: results of a run */
    STANCH_VALUE_PLAIN,  /* what a plugin or a person reads: arguments, metadata */
};

/** Convert the value at `idx`. Does not raise, runs no metamethod. ret: new.
 *  returns 0 | STANCH_E_INVALID: err's text begins with the key path, as in "args.targets[2]: ..." */
int stanch_value_to_json(lua_State *L, int idx, enum stanch_value_mode mode, const char *what, json_t **ret,
                         struct stanch_err *err);
/** Push the Lua value of `value` (both modes are understood). NULL pushes nil. May raise: out of stack. */
void stanch_value_push(lua_State *L, const json_t *value);

/** Push the null sentinel; a light userdata, so it equals itself only. It is true in a condition. */
void stanch_value_push_null(lua_State *L);
bool stanch_value_is_null(lua_State *L, int idx);
/** Mark the table at `idx` as an array (it stays one when it is empty). */
void stanch_value_mark_array(lua_State *L, int idx);
bool stanch_value_is_array(lua_State *L, int idx);

/** Create the metatables; called once by stanch_vm_new. */
void stanch_value_open(lua_State *L);

#endif
