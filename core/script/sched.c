/* sched.c: see sched.h. A binding fills its task's want and yields; nothing else in the VM yields, for there is no
 * coroutine library. Tasks live in one array in the order they were made. */
#include "script/sched.h"
#include "base/json.h"
#include "base/mem.h"
#include "script/sandbox.h"
#include "script/value.h"
#include <string.h>

#define MAX_TASKS 64 /* so many wants can come at once */

enum task_state { TASK_READY, TASK_ASKED, TASK_FORKED, TASK_ENDED };

struct task {
    lua_State *T;
    int anchor;          /* registry: keeps T alive */
    struct task *parent; /* NULL: the body */
    int slot;            /* number among the parent's branches */
    enum task_state state;
    int resume_args;
    json_t *want; /* TASK_ASKED and not sent yet */
    int64_t n;
    json_t *answer;
    int open_branches; /* TASK_FORKED */
    int results;       /* registry: {{ok, value}, ...} */
};

struct sched {
    struct task *tasks[MAX_TASKS];
    int count;
    struct task *current;
    int64_t last_n;
};

static struct sched *of(struct stanch_vm *vm)
{
    if (!vm->sched)
        vm->sched = STANCH_NEW(struct sched);
    return vm->sched;
}

static struct task *add_task(struct stanch_vm *vm, struct task *parent, int slot)
{
    struct task *task = STANCH_NEW(struct task);
    task->parent = parent;
    task->slot = slot;
    task->T = lua_newthread(vm->L);
    task->anchor = luaL_ref(vm->L, LUA_REGISTRYINDEX);
    task->results = LUA_NOREF;
    struct sched *s = of(vm);
    s->tasks[s->count++] = task;
    return task;
}

static void drop_task(struct stanch_vm *vm, struct task *task)
{
    luaL_unref(vm->L, LUA_REGISTRYINDEX, task->anchor);
    luaL_unref(vm->L, LUA_REGISTRYINDEX, task->results);
    json_decref(task->want);
    json_decref(task->answer);
    free(task);
}

static void drop_ended(struct stanch_vm *vm)
{
    struct sched *s = of(vm);
    int kept = 0;
    for (int i = 0; i < s->count; i++) {
        if (s->tasks[i]->state == TASK_ENDED)
            drop_task(vm, s->tasks[i]);
        else
            s->tasks[kept++] = s->tasks[i];
    }
    s->count = kept;
}

/* ---- bindings, called by the prelude ---- */

static struct task *check_may_ask(lua_State *L, const char *what)
{
    struct stanch_vm *vm = stanch_vm_of(L);
    if (vm->phase != STANCH_VM_RUNNING)
        stanch_vm_raise(L, "script", "%s can be called inside run() only, not while a file is read", what);
    if (!lua_isyieldable(L))
        stanch_vm_raise(
            L, "script",
            "%s cannot be called here: inside a callback of table.sort, string.gsub, require or a metamethod "
            "nothing can be asked of the world; call it before or after",
            what);
    return of(vm)->current;
}

static int after_answer(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct task *task = of(stanch_vm_of(L))->current;
    const json_t *ok = json_object_get(task->answer, "ok");
    if (!ok)
        return stanch_vm_raise_json(L, json_object_get(task->answer, "error"));
    stanch_value_push(L, ok);
    return 1;
}

static int do_want(lua_State *L)
{
    const char *op = luaL_checkstring(L, 1);
    struct task *task = check_may_ask(L, lua_isstring(L, 3) ? lua_tostring(L, 3) : op);
    struct stanch_err err;
    json_t *args = NULL;
    if (stanch_value_to_json(L, 2, STANCH_VALUE_PLAIN, op, &args, &err) < 0)
        return stanch_vm_raise(L, "invalid", "%s", err.text);
    char file[256];
    int line = stanch_vm_where(L, file, sizeof file);
    for (struct task *above = task->parent; line == 0 && above; above = above->parent)
        line = stanch_vm_where(above->T, file, sizeof file); /* `parallel { now, now }`: the line of parallel */
    json_decref(task->want);
    task->want = json_pack("{s:s, s:o, s:s, s:i}", "op", op, "args", args, "file", file, "line", line);
    task->n = 0;
    return lua_yieldk(L, 0, 0, after_answer);
}

static int after_fork(lua_State *L, int status, lua_KContext ctx)
{
    (void)L;
    (void)status;
    (void)ctx;
    return 1;
}

static int do_fork(lua_State *L)
{
    struct task *task = check_may_ask(L, "parallel");
    int count = lua_gettop(L);
    if (of(stanch_vm_of(L))->count + count > MAX_TASKS)
        return stanch_vm_raise(L, "refused", "more than %d branches at once", MAX_TASKS - 1);
    task->open_branches = count;
    return lua_yieldk(L, count, 0, after_fork);
}

static int do_current(lua_State *L)
{
    lua_pushthread(L);
    return 1;
}

const struct stanch_binding stanch_sched_functions[] = {
    {"want", do_want, NULL},
    {"fork", do_fork, NULL},
    {"current", do_current, NULL},
    {NULL, NULL, NULL},
};

/* ---- the exchange ---- */

static void start_branches(struct stanch_vm *vm, struct task *task, int count)
{
    task->state = TASK_FORKED;
    lua_createtable(vm->L, count, 0);
    task->results = luaL_ref(vm->L, LUA_REGISTRYINDEX);
    for (int i = 1; i <= count; i++) {
        struct task *branch = add_task(vm, task, i);
        lua_pushvalue(task->T, i - count - 1);
        lua_xmove(task->T, branch->T, 1);
    }
    lua_pop(task->T, count);
}

/* The branch's result, at the top of vm->L, goes to its parent, which goes on when it was the last. */
static void give_to_parent(struct stanch_vm *vm, struct task *task, bool ok)
{
    struct task *parent = task->parent;
    lua_createtable(vm->L, 2, 0);
    lua_pushboolean(vm->L, ok);
    lua_rawseti(vm->L, -2, 1);
    lua_insert(vm->L, -2);
    lua_rawseti(vm->L, -2, 2);
    lua_rawgeti(vm->L, LUA_REGISTRYINDEX, parent->results);
    lua_insert(vm->L, -2);
    lua_rawseti(vm->L, -2, task->slot);
    if (--parent->open_branches > 0) {
        lua_pop(vm->L, 1);
        return;
    }
    lua_xmove(vm->L, parent->T, 1);
    luaL_unref(vm->L, LUA_REGISTRYINDEX, parent->results);
    parent->results = LUA_NOREF;
    parent->state = TASK_READY;
    parent->resume_args = 1;
}

static void push_error(lua_State *L, const json_t *error)
{
    stanch_value_push(L, error);
    luaL_getmetatable(L, "stanch.error");
    lua_setmetatable(L, -2);
}

static void end_branch(struct stanch_vm *vm, struct task *task, bool ok, int results)
{
    if (ok && results > 0) {
        lua_settop(task->T, lua_gettop(task->T) - results + 1);
        lua_xmove(task->T, vm->L, 1);
    } else if (ok) {
        lua_pushnil(vm->L);
    } else {
        STANCH_AUTO_JSON json_t *error = stanch_vm_error(task->T);
        push_error(vm->L, error);
    }
    give_to_parent(vm, task, ok);
}

static int end_body(struct task *task, bool ok, int results, json_t **ret)
{
    struct stanch_err err;
    if (!ok) {
        *ret = stanch_vm_error(task->T);
        return STANCH_E_SCRIPT;
    }
    lua_settop(task->T, lua_gettop(task->T) - results + 1);
    if (results == 0)
        lua_pushnil(task->T);
    if (stanch_value_to_json(task->T, -1, STANCH_VALUE_TAGGED, "the result of run()", ret, &err) == 0)
        return 0;
    *ret = json_pack("{s:s, s:s}", "kind", "invalid", "text", err.text);
    return STANCH_E_SCRIPT;
}

/* Resume one task. returns 1: it goes on or waits | what stanch_sched_run returns: the body has ended */
static int step(struct stanch_vm *vm, struct task *task, json_t **ret)
{
    int results = 0;
    of(vm)->current = task;
    int status = lua_resume(task->T, vm->L, task->resume_args, &results);
    of(vm)->current = NULL;
    task->resume_args = 0;
    if (status == LUA_YIELD) {
        if (task->want)
            task->state = TASK_ASKED;
        else
            start_branches(vm, task, results);
        return 1;
    }
    task->state = TASK_ENDED;
    if (!task->parent)
        return end_body(task, status == LUA_OK, results, ret);
    end_branch(vm, task, status == LUA_OK, results);
    return 1;
}

static int run_until_blocked(struct stanch_vm *vm, json_t **ret)
{
    struct sched *s = of(vm);
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < s->count; i++) {
            if (s->tasks[i]->state != TASK_READY)
                continue;
            moved = true;
            int rc = step(vm, s->tasks[i], ret);
            if (rc <= 0)
                return rc;
        }
        drop_ended(vm);
    }
    return 1;
}

static json_t *number_wants(struct sched *s)
{
    json_t *wants = json_array();
    for (int i = 0; i < s->count; i++) {
        struct task *task = s->tasks[i];
        if (task->state != TASK_ASKED || !task->want)
            continue;
        task->n = ++s->last_n;
        json_object_set_new(task->want, "n", json_integer(task->n));
        json_array_append_new(wants, task->want);
        task->want = NULL;
    }
    return wants;
}

static int take_answer(struct sched *s, int64_t n, json_t *answer, struct stanch_err *err)
{
    for (int i = 0; i < s->count; i++) {
        struct task *task = s->tasks[i];
        if (task->state != TASK_ASKED || task->n != n)
            continue;
        json_decref(task->answer);
        task->answer = answer;
        task->state = TASK_READY;
        return 0;
    }
    json_decref(answer);
    return stanch_err_set(err, STANCH_E_PROTOCOL, "an answer to want %lld, which is not asked", (long long)n);
}

int stanch_sched_run(struct stanch_vm *vm, int nargs, const struct stanch_sched_exchange *io, json_t **ret,
                     struct stanch_err *err)
{
    struct sched *s = of(vm);
    struct task *body = add_task(vm, NULL, 0);
    lua_xmove(vm->L, body->T, nargs + 1);
    body->resume_args = nargs;
    vm->phase = STANCH_VM_RUNNING;
    int rc;
    while ((rc = run_until_blocked(vm, ret)) > 0) {
        int64_t n = 0;
        json_t *answer = NULL;
        STANCH_AUTO_JSON json_t *wants = number_wants(s);
        rc = io->exchange(io->ctx, wants, &n, &answer, err);
        if (rc == 0)
            rc = take_answer(s, n, answer, err);
        if (rc < 0)
            break;
    }
    vm->phase = STANCH_VM_DECLARING;
    for (int i = 0; i < s->count; i++)
        drop_task(vm, s->tasks[i]);
    s->count = 0;
    return rc;
}
