/* declare_instance.c: instances of plugins in the configuration, `haproxy "edge-eu" { settings }`, and references to
 * secrets. The settings are the plugin's: they pass as plain data, and its own declaration checks them later. */
#include "script/declare_check.h"
#include "base/json.h"
#include "script/sandbox.h"
#include <string.h>

const struct stanch_section stanch_section_instance = {
    "instances",
    (const struct stanch_key[]){{"environment", NULL, stanch_read_name, NULL, "null", false, "name",
                                 "where it acts, for the policy and the approval; all other keys are the plugin's own"},
                                {0}}};

/* {"$secret":{"file":path}} anywhere inside of settings: is it one of the two forms? */
static void check_secrets(struct stanch_check *check, const json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    const json_t *secret = json_object_get(value, "$secret");
    const char *file = stanch_json_str(secret, "file", NULL), *env = stanch_json_str(secret, "env", NULL);
    if (secret) {
        bool is_good = json_object_size(value) == 1 && json_object_size(secret) == 1 && (file || env);
        if (!is_good)
            stanch_check_fail(check, "expected secret.file \"/path\" or secret.env \"NAME\"");
        else if (file && file[0] != '/')
            stanch_check_fail(check, "secret.file \"%.60s\": the path of a secret begins with /", file);
        else if (env && (!*env ||
                         strspn(env, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") != strlen(env)))
            stanch_check_fail(check, "secret.env \"%.60s\": not the name of an environment variable", env);
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, member)
    {
        size_t before = stanch_check_enter(check, name);
        check_secrets(check, member);
        stanch_check_leave(check, before);
    }
    json_array_foreach((json_t *)(uintptr_t)value, i, member)
    {
        size_t before = stanch_check_enter_index(check, (lua_Integer)i + 1);
        check_secrets(check, member);
        stanch_check_leave(check, before);
    }
}

void stanch_read_secret(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    json_t *value = lua_istable(check->L, idx) ? stanch_check_data(check, idx) : NULL;
    if (!json_object_get(value, "$secret"))
        stanch_check_expected(check, idx, "secret.file \"/path\" or secret.env \"NAME\"");
    else
        check_secrets(check, value);
    if (value)
        json_object_set_new(into, key->name, value);
}

/* The settings of an instance at idx: `environment` is stanch's, all else the plugin's. */
static void read_settings(struct stanch_check *check, int idx, json_t *into)
{
    lua_State *L = check->L;
    json_t *settings = NULL;
    if (lua_isnil(L, idx)) /* NAME "instance" alone: there is nothing to set */
        settings = json_object();
    else if (!lua_istable(L, idx))
        stanch_check_expected(check, idx, "{ key = value, ... }");
    else
        settings = stanch_check_data(check, idx);
    if (settings && !json_is_object(settings))
        stanch_check_fail(check, "expected { key = value, ... }, not a list");
    if (!json_is_object(settings)) {
        json_decref(settings);
        return;
    }
    check_secrets(check, settings);
    json_object_del(settings, "environment");
    json_object_set_new(into, "settings", settings);
    lua_pushliteral(L, "environment");
    if (lua_istable(L, idx) && lua_rawget(L, idx) != LUA_TNIL) {
        size_t before = stanch_check_enter(check, "environment");
        stanch_read_name(check, lua_gettop(L), &stanch_section_instance.keys[0], into);
        stanch_check_leave(check, before);
    }
    lua_pop(L, 1);
}

static bool is_taken(const json_t *list, const char *name)
{
    size_t i;
    json_t *other;
    json_array_foreach((json_t *)(uintptr_t)list, i, other)
    {
        if (strcmp(stanch_json_str(other, "name", ""), name) == 0)
            return true;
    }
    return false;
}

/* The block at the top of the stack. */
static void read_instance(struct stanch_check *outer, struct stanch_block *block, json_t *list)
{
    lua_State *L = outer->L;
    int top = lua_gettop(L);
    struct stanch_check check = *outer;
    stanch_block_get(L, top, STANCH_BLOCK_PLUGIN);
    stanch_block_get(L, top, STANCH_BLOCK_NAME);
    stanch_block_get(L, top, STANCH_BLOCK_BODY);
    const char *plugin = lua_tostring(L, top + 1);
    block->is_listed = true;
    check.path[0] = 0;
    stanch_check_block(&check, block, plugin, lua_tostring(L, top + 2));
    const char *name = stanch_check_name(&check, top + 2, "the name of the instance");
    if (name && is_taken(list, name))
        stanch_check_fail(&check, "the name \"%s\" is taken by another instance; names are unique over all plugins",
                          name);
    json_t *instance = json_pack("{s:s, s:s, s:n, s:{}, s:i}", "name", name ? name : "", "plugin", plugin,
                                 "environment", "settings", "line", block->line);
    read_settings(&check, top + 3, instance);
    json_array_append_new(list, instance);
    lua_settop(L, top);
}

void stanch_read_instances(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    json_t *list = json_array();
    if (!stanch_check_is_list(L, idx))
        stanch_check_expected(check, idx, "a list of instances, as in { haproxy \"edge\" { ... } }");
    else
        for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            struct stanch_block *block = stanch_block_at(L, -1, "instance");
            size_t before = stanch_check_enter_index(check, i);
            if (block)
                read_instance(check, block, list);
            else
                stanch_check_expected(check, lua_gettop(L), "an instance, as in haproxy \"edge\" { ... }");
            stanch_check_leave(check, before);
        }
    json_object_set_new(into, key->name, list);
}

static int make_secret(lua_State *L)
{
    lua_settop(L, 1);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    if (lua_isnil(L, 1)) /* kept, so that the check says where */
        lua_pushboolean(L, 0);
    else
        lua_pushvalue(L, 1);
    lua_rawset(L, -3);
    lua_setfield(L, -2, "$secret");
    return 1;
}

void stanch_instance_install(lua_State *L)
{
    lua_newtable(L);
    lua_pushliteral(L, "file");
    lua_pushcclosure(L, make_secret, 1);
    lua_setfield(L, -2, "file");
    lua_pushliteral(L, "env");
    lua_pushcclosure(L, make_secret, 1);
    lua_setfield(L, -2, "env");
    stanch_sandbox_freeze(L, "secret");
    lua_setglobal(L, "secret");
}
