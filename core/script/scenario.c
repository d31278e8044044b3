/* scenario.c: scenario.lua, and verdict.lua that it calls, in a VM. */
#include "script/scenario.h"
#include "script/sandbox.h"
#include "script/scenario_lua.h"
#include "script/value.h"
#include "script/verdict_lua.h"
#include <lauxlib.h>

#define SERVE_KEY "stanch.scenario"

static void push_chunk(lua_State *L, const unsigned char *text, size_t len)
{
    if (luaL_loadbufferx(L, (const char *)text, len, "=stanch", "t") != LUA_OK)
        (void)lua_error(L);
}

void stanch_scenario_install(lua_State *L, bool plays)
{
    push_chunk(L, scenario_lua, sizeof scenario_lua);
    int count = stanch_sandbox_push_primitives(L);
    push_chunk(L, verdict_lua, sizeof verdict_lua);
    lua_pushboolean(L, plays);
    lua_call(L, count + 2, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, SERVE_KEY);
}

int stanch_scenario_run(struct stanch_vm *vm, const json_t *input, const struct stanch_sched_exchange *io, json_t **ret,
                        struct stanch_err *err)
{
    lua_getfield(vm->L, LUA_REGISTRYINDEX, SERVE_KEY);
    stanch_value_push(vm->L, input);
    return stanch_sched_run(vm, 1, io, ret, err);
}
