/* core_value.c: JSON into Lua and back: what was accepted comes back as it was. {"$lua": [[KEY, VALUE], ...]} is a table with
 * those keys, as a runbook can make one and JSON cannot. */
#include "script/value.h"
#include "script/vm.h"
#include "base/json.h"
#include "fuzz.h"
#include <lauxlib.h>

static int push(lua_State *L)
{
    const json_t *value = lua_touserdata(L, 1), *pairs = json_object_get(value, "$lua");
    if (!json_is_array(pairs)) {
        stanch_value_push(L, value);
        return 1;
    }
    lua_newtable(L);
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        stanch_value_push(L, json_array_get(json_array_get(pairs, i), 0));
        stanch_value_push(L, json_array_get(json_array_get(pairs, i), 1));
        lua_settable(L, -3); /* raises when the key is nil or NaN */
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stanch_vm *vm;
    STANCH_AUTO_JSON json_t *value = NULL, *back = NULL, *plain = NULL;
    struct stanch_err err = {0};
    if (!vm)
        vm = stanch_vm_new();
    if (stanch_json_parse((const char *)data, size, &stanch_json_door_limits, &value, &err) < 0)
        return 0;
    lua_State *L = vm->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, push);
    lua_pushlightuserdata(L, value);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
        if (stanch_value_to_json(L, -1, STANCH_VALUE_TAGGED, "value", &back, &err) < 0)
            FUZZ_EXPECT(err.text[0] && !back);
        else if (stanch_value_to_json(L, -1, STANCH_VALUE_PLAIN, "value", &plain, &err) == 0)
            FUZZ_EXPECT(plain);
    }
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT, 0);
    if (back) { /* in the form that a run's journal has, nothing is lost any more */
        json_t *third = NULL;
        lua_pushcfunction(L, push);
        lua_pushlightuserdata(L, back);
        FUZZ_EXPECT(lua_pcall(L, 1, 1, 0) == LUA_OK);
        FUZZ_EXPECT(stanch_value_to_json(L, -1, STANCH_VALUE_TAGGED, "value", &third, &err) == 0);
        FUZZ_EXPECT(json_equal(back, third));
        json_decref(third);
        lua_settop(L, 0);
    }
    return 0;
}
