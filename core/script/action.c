/* action.c: instances and their actions as userdata that borrow from the worker's input. Every wrong name says
 * what there is: a runbook is read first by the person who mistyped it. */
#include "script/action.h"
#include "base/json.h"
#include "script/sandbox.h"
#include "script/vm.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define INSTANCE_META "stanch.instance"
#define ACTION_META   "stanch.action"

struct instance {
    const char *name;
    const json_t *declared;
};
struct action {
    const char *instance, *name;
    const json_t *declared;
};

static size_t key_names(const json_t *object, const char **ret, size_t max)
{
    const char *key;
    json_t *member;
    size_t count = 0;
    json_object_foreach((json_t *)(uintptr_t)object, key, member)
    {
        if (count < max)
            ret[count++] = key;
    }
    return count;
}

/* ---- instances ---- */

static int raise_no_instance(lua_State *L, const char *plugin, const char *name)
{
    const json_t *instances = stanch_vm_of(L)->instances, *other = json_object_get(instances, name);
    if (other)
        return stanch_vm_raise(L, "not-found", "%s \"%s\": \"%s\" is an instance of %s", plugin, name, name,
                               stanch_json_str(other, "plugin", "another plugin"));
    const char *names[64], *key;
    json_t *member;
    size_t count = 0;
    json_object_foreach((json_t *)(uintptr_t)instances, key, member)
    {
        if (count < 64 && strcmp(stanch_json_str(member, "plugin", ""), plugin) == 0)
            names[count++] = key;
    }
    char hint[300];
    stanch_vm_suggest(name, names, count, hint, sizeof hint);
    return stanch_vm_raise(L, "not-found", "%s \"%s\": no such instance is configured; %s", plugin, name, hint);
}

/* upvalue 1: the plugin's name */
static int get_instance(lua_State *L)
{
    const char *plugin = lua_tostring(L, lua_upvalueindex(1));
    if (lua_type(L, 1) != LUA_TSTRING)
        return stanch_vm_raise(L, "invalid", "%s: the name of an instance is expected, as in %s \"main\"", plugin,
                               plugin);
    const char *name = lua_tostring(L, 1);
    const json_t *declared = json_object_get(stanch_vm_of(L)->instances, name);
    if (!declared || strcmp(stanch_json_str(declared, "plugin", ""), plugin) != 0)
        return raise_no_instance(L, plugin, name);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, INSTANCE_META "s");
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    struct instance *instance = lua_newuserdatauv(L, sizeof *instance, 1);
    instance->declared = declared;
    instance->name = json_object_iter_key(json_object_iter_at((json_t *)(uintptr_t)stanch_vm_of(L)->instances, name));
    luaL_setmetatable(L, INSTANCE_META);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}

static int get_action(lua_State *L)
{
    struct instance *instance = luaL_checkudata(L, 1, INSTANCE_META);
    if (lua_type(L, 2) != LUA_TSTRING)
        return stanch_vm_raise(L, "invalid", "%s: the name of an action is expected", instance->name);
    const char *name = lua_tostring(L, 2);
    json_t *actions = json_object_get(instance->declared, "actions");
    if (!json_object_get(actions, name)) {
        const char *names[64];
        char hint[400];
        stanch_vm_suggest(name, names, key_names(actions, names, 64), hint, sizeof hint);
        return stanch_vm_raise(L, "not-found", "%s \"%s\" has no action \"%s\"; %s",
                               stanch_json_str(instance->declared, "plugin", "?"), instance->name, name, hint);
    }
    lua_getiuservalue(L, 1, 1);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    struct action *action = lua_newuserdatauv(L, sizeof *action, 0);
    action->instance = instance->name;
    action->name = json_object_iter_key(json_object_iter_at(actions, name));
    action->declared = json_object_get(actions, name);
    luaL_setmetatable(L, ACTION_META);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, name);
    return 1;
}

static int instance_tostring(lua_State *L)
{
    struct instance *instance = luaL_checkudata(L, 1, INSTANCE_META);
    lua_pushfstring(L, "%s \"%s\"", stanch_json_str(instance->declared, "plugin", "?"), instance->name);
    return 1;
}

static int action_tostring(lua_State *L)
{
    struct action *action = luaL_checkudata(L, 1, ACTION_META);
    lua_pushfstring(L, "%s.%s", action->instance, action->name);
    return 1;
}

static int refuse_index(lua_State *L)
{
    struct action *action = luaL_checkudata(L, 1, ACTION_META);
    return stanch_vm_raise(L, "script", "%s.%s is an action; call it, as in %s { ... }", action->instance, action->name,
                           action->name);
}

static int refuse_write(lua_State *L)
{
    return stanch_vm_raise(L, "script", "a plugin's instance cannot be changed");
}

static void open_meta(lua_State *L, const char *name, lua_CFunction index, lua_CFunction text)
{
    if (luaL_newmetatable(L, name)) {
        lua_pushcfunction(L, index);
        lua_setfield(L, -2, "__index");
        lua_pushcfunction(L, text);
        lua_setfield(L, -2, "__tostring");
        lua_pushcfunction(L, refuse_write);
        lua_setfield(L, -2, "__newindex");
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
}

void stanch_action_install(lua_State *L, const json_t *instances)
{
    const char *key;
    json_t *member;
    stanch_vm_of(L)->instances = instances;
    open_meta(L, INSTANCE_META, get_action, instance_tostring);
    lua_pushglobaltable(L);
    json_object_foreach((json_t *)(uintptr_t)instances, key, member)
    {
        const char *plugin = stanch_json_str(member, "plugin", NULL);
        char global[64];
        if (!plugin || strlen(plugin) >= sizeof global)
            continue;
        for (size_t i = 0; i <= strlen(plugin); i++)
            global[i] = plugin[i] == '-' ? '_' : plugin[i];
        lua_pushstring(L, plugin);
        lua_pushcclosure(L, get_instance, 1);
        if (lua_getfield(L, -2, global) == LUA_TNIL) { /* never in place of what is there */
            lua_pop(L, 1);
            lua_setfield(L, -2, global);
        } else {
            lua_pop(L, 2);
        }
    }
    lua_pop(L, 1);
}

bool stanch_action_ref(lua_State *L, int idx, const char **ret_instance, const char **ret_action)
{
    struct action *action = luaL_testudata(L, idx, ACTION_META);
    if (!action)
        return false;
    *ret_instance = action->instance;
    *ret_action = action->name;
    return true;
}

const json_t *stanch_action_find(lua_State *L, const char *instance, const char *action)
{
    const json_t *declared = json_object_get(stanch_vm_of(L)->instances, instance);
    return json_object_get(json_object_get(declared, "actions"), action);
}

void stanch_action_set_uses(lua_State *L, const json_t *uses)
{
    stanch_vm_of(L)->uses = uses;
}

/* ---- primitives for the prelude ---- */

static int do_set_call(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    open_meta(L, ACTION_META, refuse_index, action_tostring);
    luaL_getmetatable(L, ACTION_META);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "__call");
    return 0;
}

static int do_describe(lua_State *L)
{
    struct action *action = luaL_testudata(L, 1, ACTION_META);
    if (!action)
        return 0;
    lua_pushstring(L, action->instance);
    lua_pushstring(L, action->name);
    lua_pushstring(L, stanch_json_str(action->declared, "effect", "mitigate"));
    return 3;
}

static int do_permit(lua_State *L)
{
    struct action *action = luaL_checkudata(L, 1, ACTION_META);
    const json_t *uses = stanch_vm_of(L)->uses, *use;
    size_t i;
    json_array_foreach(uses, i, use)
    {
        if (strcmp(stanch_json_str(use, "instance", ""), action->instance) == 0 &&
            strcmp(stanch_json_str(use, "action", ""), action->name) == 0)
            return 0;
    }
    if (!uses)
        return 0;
    return stanch_vm_raise(L, "forbidden",
                           "%s of \"%s\" is not among the `uses` of this runbook; declare it there first", action->name,
                           action->instance);
}

static void check_required(lua_State *L, const struct action *action, const json_t *schema)
{
    const json_t *name;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, name)
    {
        if (!json_is_string(name))
            continue;
        if (lua_getfield(L, 2, json_string_value(name)) == LUA_TNIL)
            stanch_vm_raise(L, "invalid", "%s.%s needs \"%s\"", action->instance, action->name,
                            json_string_value(name));
        lua_pop(L, 1);
    }
}

/* check(action, args): names only; the values are checked by core against the whole schema */
static int do_check(lua_State *L)
{
    struct action *action = luaL_checkudata(L, 1, ACTION_META);
    luaL_checktype(L, 2, LUA_TTABLE);
    const json_t *schema = json_object_get(action->declared, "params");
    const json_t *properties = json_object_get(schema, "properties");
    check_required(L, action, schema);
    if (!properties)
        return 0;
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            return stanch_vm_raise(L, "invalid", "%s.%s takes named arguments, as in { name = value }",
                                   action->instance, action->name);
        if (json_object_get(properties, lua_tostring(L, -2)))
            continue;
        const char *names[64];
        char hint[400];
        stanch_vm_suggest(lua_tostring(L, -2), names, key_names(properties, names, 64), hint, sizeof hint);
        return stanch_vm_raise(L, "invalid", "%s.%s has no argument \"%s\"; %s", action->instance, action->name,
                               lua_tostring(L, -2), hint);
    }
    return 0;
}

const struct stanch_binding stanch_action_functions[] = {
    {"set_call", do_set_call, NULL},
    {"describe", do_describe, NULL},
    {"permit", do_permit, NULL},
    {"check_args", do_check, NULL},
    {NULL, NULL, NULL},
};
