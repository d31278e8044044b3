/* sandbox.h: inside of the VM: what of Lua there is. One file per area; each gives its table of functions.
 * Used by vm.c. Thread: a worker's only one.
 */
#ifndef STANCH_SCRIPT_SANDBOX_H
#define STANCH_SCRIPT_SANDBOX_H
#include <lauxlib.h>
#include <lua.h>

/* A function that Lua sees, with the line that the manual prints. */
struct stanch_binding {
    const char *name;
    lua_CFunction fn;
    const char *doc;
};
/** Set the functions of a NULL-terminated list as fields of the table at the top. */
void stanch_sandbox_set(lua_State *L, const struct stanch_binding *list);

/** Open the libraries that are kept, cut, replaced and frozen. */
void stanch_sandbox_open(lua_State *L);
/** Replace the table at the top by a read-only view of it. name: for messages. */
void stanch_sandbox_freeze(lua_State *L, const char *name);
/** The table behind a read-only view: replaces the value at idx on the stack when it is one. */
void stanch_sandbox_thaw(lua_State *L, int idx);
/** Make the closed globals the environment of the function at the top. */
void stanch_sandbox_set_env(lua_State *L);
/** Push what prelude.lua gets as its `...`. returns how many */
int stanch_sandbox_push_primitives(lua_State *L);

extern const struct stanch_binding stanch_order_functions[];  /* order.c: next, pairs */
extern const struct stanch_binding stanch_base_functions[];   /* lib_base.c */
extern const struct stanch_binding stanch_string_functions[]; /* lib_string.c: format */
extern const struct stanch_binding stanch_table_functions[];  /* lib_table.c: sort */
extern const struct stanch_binding stanch_math_functions[];   /* lib_math.c: random */
extern const struct stanch_binding stanch_module_functions[]; /* module.c: require */
extern const struct stanch_binding stanch_sched_functions[];  /* sched.c: want, fork, current; for the prelude */
extern const struct stanch_binding stanch_host_functions[];   /* lib_host.c: primitives for the prelude */
extern const struct stanch_binding stanch_action_functions[]; /* action.c: primitives for the prelude */

/** Push the text of the value at idx as `tostring` gives it: objects are numbered, no address shows. */
const char *stanch_base_tostring(lua_State *L, int idx);

#endif
