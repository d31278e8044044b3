/* vm.c: one lua_State with its limits, and the evaluation of source files.
 *
 * Two limits are kept inside the VM, only so that the message is friendlier than a signal: the allocator's cap and
 * the count hook's look at the CPU clock. Neither raises a Lua error: an error could be caught (M5, M6), and an
 * allocation that fails makes Debian 12's Lua corrupt its heap (M3). Both end the activation on the spot. */
#include "script/vm.h"
#include "base/mem.h"
#include "script/cover.h"
#include "script/sandbox.h"
#include "script/prelude_lua.h"
#include "script/value.h"
#include <lauxlib.h>
#include <lualib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HOOK_COUNT 20000

static void end_at_limit(struct stanch_vm *vm, lua_State *L, const char *kind, const char *text)
{
    if (vm->on_limit)
        vm->on_limit(vm, L, kind, text);
    _exit(STANCH_EXIT_NOMEM);
}

static void *allocate(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    struct stanch_vm *vm = ctx;
    size_t old = ptr ? old_size : 0;
    if (new_size == 0) {
        vm->used_bytes -= old;
        free(ptr);
        return NULL;
    }
    if (vm->max_bytes && new_size > old && vm->used_bytes + (new_size - old) > vm->max_bytes)
        end_at_limit(vm, NULL, "memory", "the runbook needs more memory than a run may have");
    void *grown = realloc(ptr, new_size);
    if (!grown)
        end_at_limit(vm, NULL, "memory", "there is no memory left for the runbook");
    vm->used_bytes += new_size;
    vm->used_bytes -= old;
    return grown;
}

static int64_t cpu_used_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_hook(lua_State *L, lua_Debug *ar)
{
    struct stanch_vm *vm = stanch_vm_of(L);
    if (ar->event == LUA_HOOKLINE)
        stanch_cover_mark(vm, L, ar);
    else if (vm->cpu_ms && cpu_used_ms() >= vm->cpu_ms)
        end_at_limit(vm, L, "cpu", "the runbook computed for longer than a run may (does it loop?)");
}

static int on_panic(lua_State *L)
{
    (void)fprintf(stderr, "stanch: worker: %s\n", lua_tostring(L, -1));
    _exit(STANCH_EXIT_NOMEM + 1);
}

struct stanch_vm *stanch_vm_of(lua_State *L)
{
    return *(struct stanch_vm **)lua_getextraspace(L);
}

static int open_all(lua_State *L)
{
    stanch_value_open(L);
    stanch_sandbox_open(L);
    if (luaL_loadbufferx(L, (const char *)prelude_lua, sizeof prelude_lua, "=stanch", "t") != LUA_OK)
        return lua_error(L);
    int count = stanch_sandbox_push_primitives(L);
    lua_call(L, count, 0);
    return 0;
}

struct stanch_vm *stanch_vm_new(void)
{
    struct stanch_vm *vm = STANCH_NEW(struct stanch_vm);
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L)
        end_at_limit(vm, NULL, "memory", "no memory for a Lua state");
    lua_atpanic(vm->L, on_panic);
    *(struct stanch_vm **)lua_getextraspace(vm->L) = vm;
    lua_gc(vm->L, LUA_GCINC, 130, 200, 0);
    lua_sethook(vm->L, on_hook, LUA_MASKCOUNT, HOOK_COUNT);
    lua_pushcfunction(vm->L, open_all);
    lua_call(vm->L, 0, 0); /* a defect of our own prelude panics at start, in every test */
    return vm;
}

void stanch_vm_free(struct stanch_vm *vm)
{
    if (!vm)
        return;
    lua_close(vm->L);
    free(vm->sched);
    free(vm);
}

static int handle_message(lua_State *L)
{
    lua_settop(L, 1);
    json_t *error = stanch_vm_error(L);
    *(json_t **)lua_touserdata(L, lua_upvalueindex(1)) = error;
    return 0;
}

/* Compile and call with the handler at `handler`; its slot receives the error. */
static int load_and_call(lua_State *L, const struct stanch_vm_source *source, int handler)
{
    STANCH_AUTO_FREE char *name = stanch_asprintf("@%s", source->path);
    int rc = luaL_loadbufferx(L, source->text, source->len, name, "t");
    if (rc != LUA_OK)
        return rc;
    stanch_sandbox_set_env(L);
    return lua_pcall(L, 0, 1, handler);
}

int stanch_vm_evaluate(struct stanch_vm *vm, const struct stanch_vm_source *source, json_t **ret_error)
{
    lua_State *L = vm->L;
    json_t *error = NULL;
    int top = lua_gettop(L);
    vm->phase = STANCH_VM_DECLARING;
    lua_pushlightuserdata(L, &error);
    lua_pushcclosure(L, handle_message, 1);
    int rc = load_and_call(L, source, top + 1);
    if (rc != LUA_OK && !error)
        error = stanch_vm_error(L); /* a syntax error: the handler does not see it */
    lua_settop(L, top);
    if (rc == LUA_OK)
        return 0;
    if (!json_object_get(error, "file"))
        json_object_set_new(error, "file", json_string(source->path));
    *ret_error = error;
    return STANCH_E_SCRIPT;
}
