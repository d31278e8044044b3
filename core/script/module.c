/* module.c: require "lib.edge" reads lib/edge.lua of the same commit, once. A module's file is evaluated like a
 * runbook's: it can define functions that ask the world, but not ask while it is read. */
#include "script/sandbox.h"
#include "script/vm.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LOADED_TABLE "stanch.modules"

int stanch_module_path(const char *name, char *ret, size_t size)
{
    size_t len = strlen(name);
    if (len == 0 || len + 5 > size || name[0] == '.' || name[len - 1] == '.' || strstr(name, ".."))
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("_-.", name[i]))
            return 0;
        ret[i] = name[i] == '.' ? '/' : name[i];
    }
    memcpy(ret + len, ".lua", 5);
    return 1;
}

static const struct stanch_vm_source *find_source(struct stanch_vm *vm, const char *path)
{
    for (int i = 0; i < vm->source_count; i++)
        if (strcmp(vm->sources[i].path, path) == 0)
            return &vm->sources[i];
    return NULL;
}

static int raise_missing(lua_State *L, const char *name, const char *path)
{
    struct stanch_vm *vm = stanch_vm_of(L);
    const char *names[128];
    size_t count = 0;
    for (int i = 0; i < vm->source_count && count < 128; i++)
        names[count++] = vm->sources[i].path;
    char hint[400];
    stanch_vm_suggest(path, names, count, hint, sizeof hint);
    return stanch_vm_raise(L, "script", "require \"%s\": there is no %s in this commit; %s", name, path, hint);
}

static int do_require(lua_State *L)
{
    struct stanch_vm *vm = stanch_vm_of(L);
    const char *name = luaL_checkstring(L, 1);
    char path[256], chunk[260];
    lua_settop(L, 1);
    if (!stanch_module_path(name, path, sizeof path))
        return stanch_vm_raise(L, "script", "require \"%s\": a module is named like \"lib.edge\"", name);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LOADED_TABLE); /* 2: path -> {value} | false while it is read */
    if (lua_getfield(L, 2, path) == LUA_TTABLE) {
        lua_rawgeti(L, -1, 1);
        return 1;
    }
    if (lua_isboolean(L, -1))
        return stanch_vm_raise(L, "script",
                               "require \"%s\": %s is being read already; modules require each other in a circle", name,
                               path);
    const struct stanch_vm_source *source = find_source(vm, path);
    if (!source)
        return raise_missing(L, name, path);
    lua_pushboolean(L, 0);
    lua_setfield(L, 2, path);
    (void)snprintf(chunk, sizeof chunk, "@%s", path);
    if (luaL_loadbufferx(L, source->text, source->len, chunk, "t") != LUA_OK)
        return lua_error(L);
    stanch_sandbox_set_env(L);
    enum stanch_vm_phase before = vm->phase;
    vm->phase = STANCH_VM_DECLARING;
    int rc = lua_pcall(L, 0, 1, 0);
    vm->phase = before;
    if (rc != LUA_OK) {
        lua_pushnil(L); /* so that a second try says the same, not "in a circle" */
        lua_setfield(L, 2, path);
        return lua_error(L);
    }
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushboolean(L, 1);
    }
    lua_createtable(L, 1, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, 2, path);
    return 1;
}

const struct stanch_binding stanch_module_functions[] = {
    {"require", do_require, "require \"lib.edge\": what lib/edge.lua of the same commit returns; read once"},
    {NULL, NULL, NULL},
};
