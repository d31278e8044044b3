/* worker.c: one activation and out. Nothing is freed on the way: the process is the arena.
 *
 *   core --start--> [evaluate files] --load, config, policy--> end
 *                                    --run, scenario--> wants <--> answer ... end
 */
#include "script/worker.h"
#include "base/json.h"
#include "base/mem.h"
#include "script/action.h"
#include "script/cover.h"
#include "script/declare.h"
#include "script/scenario.h"
#include "script/sched.h"
#include "script/value.h"
#include "wire/frame.h"
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

struct worker {
    int fd;
    struct stanch_vm *vm;
    struct stanch_frame_reader reader;
    const char *kind;
    json_t *input;
    json_t *result; /* of the activation */
    json_t *error;  /* why there is none */
    int owed;       /* wants that core has not answered */
};

/* {"covered":{...}} at the end of the wants: the lines that were run since the last time */
static void add_covered(const struct worker *w, json_t *wants)
{
    json_t *covered = stanch_cover_take(w->vm);
    if (covered)
        json_array_append_new(wants, json_pack("{s:o}", "covered", covered));
}

/* While core owes an answer it would take this for a turn of its own; then the last lines are not told. */
static void tell_last_lines(const struct worker *w)
{
    struct stanch_err ignored;
    json_t *wants = json_array();
    if (w->owed == 0)
        add_covered(w, wants);
    json_t *head = json_pack("{s:s, s:O}", "t", "wants", "wants", wants);
    if (json_array_size(wants) > 0)
        (void)stanch_frame_send(w->fd, head, NULL, 0, &ignored);
    json_decref(head);
    json_decref(wants);
}

static _Noreturn void leave(const struct worker *w, json_t *head, const char *attachment, size_t len)
{
    struct stanch_err err;
    tell_last_lines(w);
    if (stanch_frame_send(w->fd, head, attachment, len, &err) == STANCH_E_TOO_LARGE) {
        json_t *text = json_pack("{s:s, s:b, s:s, s:s}", "t", "end", "ok", 0, "kind", "too-large", "text", err.text);
        (void)stanch_frame_send(w->fd, text, NULL, 0, &err);
    }
    _exit(0);
}

static _Noreturn void end_with_error(const struct worker *w, const json_t *error)
{
    json_t *head = json_pack("{s:s, s:b}", "t", "end", "ok", 0);
    json_object_update(head, (json_t *)(uintptr_t)error);
    leave(w, head, NULL, 0);
}

static _Noreturn void end_with_text(const struct worker *w, int code, const char *text)
{
    end_with_error(w, json_pack("{s:s, s:s}", "kind", stanch_err_word(code), "text", text));
}

static _Noreturn void end_with_result(const struct worker *w)
{
    struct stanch_buf out = {0};
    stanch_json_write(w->result, &out);
    leave(w, json_pack("{s:s, s:b}", "t", "end", "ok", 1), out.data, out.len);
}

static void on_limit(struct stanch_vm *vm, lua_State *L, const char *kind, const char *text)
{
    vm->max_bytes = 0; /* room to say it */
    vm->cpu_ms = 0;
    struct worker *w = vm->owner;
    json_t *error = NULL;
    if (L) {
        lua_pushstring(L, text);
        error = stanch_vm_error(L);
        json_object_set_new(error, "kind", json_string(kind));
    } else {
        error = json_pack("{s:s, s:s}", "kind", kind, "text", text);
    }
    end_with_error(w, error);
}

/* ---- the start frame ---- */

static void read_sources(struct worker *w, const json_t *metas, const char *bytes, size_t len)
{
    size_t count = json_array_size(metas), at = 0;
    struct stanch_vm_source *sources = stanch_alloc((count + 1) * sizeof *sources);
    char *copy = stanch_strndup(bytes, len);
    for (size_t i = 0; i < count; i++) {
        const json_t *meta = json_array_get(metas, i);
        size_t size = (size_t)stanch_json_int(meta, "len", 0);
        if (size > len - at)
            _exit(1);
        sources[i] = (struct stanch_vm_source){stanch_json_str(meta, "path", "?"), copy + at, size};
        at += size;
    }
    w->vm->sources = sources;
    w->vm->source_count = (int)count;
}

static void receive_start(struct worker *w)
{
    struct stanch_frame frame;
    struct stanch_err err;
    if (stanch_frame_receive(w->fd, &w->reader, &frame, &err) != 1)
        _exit(0); /* core let go before it began */
    w->kind = stanch_json_str(frame.head, "kind", "");
    w->input = json_object_get(frame.head, "input");
    read_sources(w, json_object_get(frame.head, "sources"), frame.attachment, frame.attachment_len);
}

/* ---- files ---- */

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
    size_t len = strlen(text), n = strlen(suffix);
    return len >= n && strcmp(text + len - n, suffix) == 0;
}

/* Which files of a commit are read as runbooks: not modules, tests, drills, policy or configuration. */
static bool is_runbook_file(const char *path)
{
    return has_suffix(path, ".lua") && !has_suffix(path, "_test.lua") && !has_suffix(path, ".meta.lua") &&
           !has_prefix(path, "lib/") && !has_prefix(path, "tests/") && !has_prefix(path, "drills/") &&
           strcmp(path, "policy.lua") != 0 && strcmp(path, "stanch.lua") != 0;
}

static bool is_read_first(const struct worker *w, int i)
{
    const char *path = w->vm->sources[i].path;
    if (strcmp(w->kind, "load") == 0)
        return is_runbook_file(path);
    if (strcmp(w->kind, "run") == 0 || strcmp(w->kind, "scenario") == 0)
        return strcmp(path, stanch_json_str(w->input, "path", "")) == 0;
    return i == 0; /* config, policy: the others are there for require */
}

/* returns how many files were read, or -1: w->error is set */
static int evaluate_files(struct worker *w)
{
    int count = 0;
    for (int i = 0; i < w->vm->source_count; i++) {
        json_t *error = NULL;
        if (!is_read_first(w, i))
            continue;
        count++;
        if (stanch_vm_evaluate(w->vm, &w->vm->sources[i], &error) == 0)
            continue;
        if (strcmp(w->kind, "load") != 0) {
            w->error = error;
            return -1;
        }
        stanch_declare_failed(w->vm->L, w->vm->sources[i].path, error);
    }
    return count;
}

static void fail(struct worker *w, const struct stanch_err *err)
{
    w->error = json_pack("{s:s, s:s}", "kind", stanch_err_word(err->code), "text", err->text);
}

/* ---- a run ---- */

static int exchange(void *ctx, const json_t *wants, int64_t *ret_n, json_t **ret_answer, struct stanch_err *err)
{
    struct worker *w = ctx;
    struct stanch_frame frame;
    json_t *told = json_copy((json_t *)(uintptr_t)wants);
    add_covered(w, told);
    json_t *head = json_pack("{s:s, s:o}", "t", "wants", "wants", told);
    int rc = stanch_frame_send(w->fd, head, NULL, 0, err);
    json_decref(head);
    if (rc < 0)
        return rc;
    w->owed += (int)json_array_size(wants);
    rc = stanch_frame_receive(w->fd, &w->reader, &frame, err);
    if (rc == 0)
        _exit(0); /* core let go: the run waits in the journal */
    if (rc < 0)
        return rc;
    w->owed--;
    *ret_n = stanch_json_int(frame.head, "n", 0);
    rc = stanch_json_parse(frame.attachment, frame.attachment_len, &stanch_json_own_limits, ret_answer, err);
    stanch_frame_done(&frame);
    return rc;
}

static void push_incident(lua_State *L, const json_t *input)
{
    stanch_value_push(L, json_object_get(input, "incident"));
    if (!lua_istable(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    const json_t *event = json_object_get(input, "event");
    stanch_value_push(L, json_is_object(event) ? event : NULL);
    lua_setfield(L, -2, "event");
}

/* What the scheduler came to becomes what the activation ends with. ret: taken */
static void take_ending(struct worker *w, int rc, json_t *ret, const struct stanch_err *err)
{
    if (rc == 0)
        w->result = ret;
    else if (rc == STANCH_E_SCRIPT)
        w->error = ret;
    else
        fail(w, err);
}

/* Stack: run, on_failure. */
static void run_body(struct worker *w)
{
    lua_State *L = w->vm->L;
    struct stanch_sched_exchange io = {exchange, w};
    struct stanch_err err, ignored;
    json_t *ret = NULL, *unused = NULL;
    lua_pushvalue(L, -2);
    push_incident(L, w->input);
    const json_t *params = json_object_get(w->input, "params");
    stanch_value_push(L, json_is_object(params) ? params : NULL);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_newtable(L);
    }
    int rc = stanch_sched_run(w->vm, 2, &io, &ret, &err);
    take_ending(w, rc, ret, &err);
    if (rc != STANCH_E_SCRIPT || !lua_isfunction(L, -1))
        return;
    push_incident(L, w->input);
    stanch_value_push(L, w->error);
    if (stanch_sched_run(w->vm, 2, &io, &unused, &ignored) == STANCH_E_SCRIPT)
        json_object_set_new(w->error, "on_failure", unused); /* the first error stays the run's */
}

static void run_runbook(struct worker *w)
{
    lua_State *L = w->vm->L;
    struct stanch_declared_run declared = {0};
    struct stanch_err err;
    const char *name = stanch_json_str(w->input, "runbook", "");
    if (stanch_declare_push_run(L, name, &declared, &err) < 0) {
        fail(w, &err);
        return;
    }
    stanch_value_push(L, declared.symptom);
    lua_setfield(L, LUA_REGISTRYINDEX, "stanch.symptom");
    const json_t *uses = json_object_get(w->input, "uses");
    stanch_action_set_uses(L, json_is_array(uses) ? uses : declared.uses);
    stanch_vm_seed(w->vm, stanch_json_str(w->input, "seed", ""));
    run_body(w);
}

/* ---- a scenario ---- */

static void run_scenario(struct worker *w)
{
    struct stanch_sched_exchange io = {exchange, w};
    struct stanch_err err;
    json_t *ret = NULL;
    int rc = stanch_scenario_run(w->vm, w->input, &io, &ret, &err);
    take_ending(w, rc, ret, &err);
}

static int serve(lua_State *L)
{
    struct worker *w = lua_touserdata(L, 1);
    struct stanch_err err;
    bool is_run = strcmp(w->kind, "run") == 0, is_scenario = strcmp(w->kind, "scenario") == 0;
    lua_settop(L, 0);
    stanch_action_install(L, json_object_get(w->input, "instances"));
    if (is_scenario)
        stanch_scenario_install(L, json_object_get(w->input, "index") != NULL);
    else
        stanch_declare_install(L, w->kind, w->input);
    stanch_vm_close_globals(w->vm);
    bool covers = json_is_true(json_object_get(w->input, "cover"));
    if (covers && strcmp(w->kind, "run") == 0)
        stanch_cover_start(w->vm);
    int count = evaluate_files(w);
    if (count < 0)
        return 0;
    if (!is_run && !is_scenario) {
        if (stanch_declare_result(L, w->kind, w->input, &w->result, &err) < 0) {
            fail(w, &err);
            json_object_update_missing(w->error, w->result); /* all of the mistakes, not only the first */
        } else if (covers && strcmp(w->kind, "load") == 0) {
            json_t *lines = stanch_cover_lines(w->vm);
            if (lines)
                json_object_set_new(w->result, "lines", lines);
        }
    } else if (count == 0) {
        stanch_err_set(&err, STANCH_E_NOT_FOUND, "there is no file %s in this commit",
                       stanch_json_str(w->input, "path", "?"));
        fail(w, &err);
    } else if (is_scenario) {
        run_scenario(w);
    } else {
        run_runbook(w);
    }
    return 0;
}

static int keep_error(lua_State *L)
{
    struct worker *w = stanch_vm_of(L)->owner;
    lua_settop(L, 1);
    w->error = stanch_vm_error(L);
    return 0;
}

_Noreturn void stanch_worker_main(int fd, struct stanch_vm *vm)
{
    struct worker w = {.fd = fd, .vm = vm};
    vm->owner = &w;
    vm->on_limit = on_limit;
    receive_start(&w);
    lua_pushcfunction(vm->L, keep_error);
    lua_pushcfunction(vm->L, serve);
    lua_pushlightuserdata(vm->L, &w);
    (void)lua_pcall(vm->L, 1, 0, 1);
    if (w.error)
        end_with_error(&w, w.error);
    if (!w.result)
        end_with_text(&w, STANCH_E_INTERNAL, "the worker has neither a result nor an error");
    end_with_result(&w);
}
