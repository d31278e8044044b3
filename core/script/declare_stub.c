/* declare_stub.c: stands in for the declaring language until it lands; removed together with its arrival.
 * Knows `runbook "name" { run = function, on_failure = function }` and nothing else. */
#include "script/declare.h"
#include "script/action.h"
#include "script/value.h"

static int keep_block(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.stub.runbooks");
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 1);
    lua_settable(L, -3);
    return 0;
}

static int declare_runbook(lua_State *L)
{
    lua_settop(L, 1);
    lua_pushcclosure(L, keep_block, 1);
    return 1;
}

static int give_back(lua_State *L)
{
    lua_settop(L, 1);
    return 1;
}

void stanch_declare_install(lua_State *L, const char *kind, const json_t *input)
{
    (void)kind;
    (void)input;
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "stanch.stub.runbooks");
    lua_register(L, "runbook", declare_runbook);
    lua_register(L, "symptom", give_back);
    lua_register(L, "alert", give_back);
}

void stanch_declare_failed(lua_State *L, const char *path, const json_t *error)
{
    (void)L;
    (void)path;
    (void)error;
}

int stanch_declare_result(lua_State *L, const char *kind, const json_t *input, json_t **ret, struct stanch_err *err)
{
    (void)L;
    (void)input;
    (void)ret;
    return stanch_err_set(err, STANCH_E_INTERNAL, "the declaring language for %s is not built in", kind);
}

int stanch_declare_push_run(lua_State *L, const char *runbook, struct stanch_declared_run *ret, struct stanch_err *err)
{
    *ret = (struct stanch_declared_run){0};
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.stub.runbooks");
    lua_getfield(L, -1, runbook);
    if (!lua_istable(L, -1)) {
        lua_pop(L, 2);
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no runbook \"%s\" in this file", runbook);
    }
    ret->uses = json_array();
    lua_getfield(L, -1, "uses");
    for (int i = 1; lua_istable(L, -1) && lua_geti(L, -1, i) != LUA_TNIL; i++) {
        const char *instance, *action;
        if (stanch_action_ref(L, -1, &instance, &action))
            json_array_append_new(ret->uses, json_pack("{s:s,s:s}", "instance", instance, "action", action));
        lua_pop(L, 1);
    }
    lua_settop(L, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "stanch.stub.runbooks");
    lua_getfield(L, 1, runbook);
    struct stanch_err ignored;
    if (lua_getfield(L, 2, "symptom") == LUA_TTABLE)
        (void)stanch_value_to_json(L, 3, STANCH_VALUE_PLAIN, "symptom", &ret->symptom, &ignored);
    lua_getfield(L, 2, "run");
    lua_getfield(L, 2, "on_failure");
    return 0;
}
