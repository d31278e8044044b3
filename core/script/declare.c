/* declare.c: the entry points of the declaring language, by kind of activation. */
#include "script/declare.h"
#include "base/json.h"
#include "script/closure.h"
#include "script/declare_check.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define FAILED_KEY "stanch.declare.failed" /* a list of texts: JSON of what stanch_declare_failed was told */

void stanch_declare_install(lua_State *L, const char *kind, const json_t *input)
{
    (void)input;
    stanch_block_open(L);
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, FAILED_KEY);
    if (strcmp(kind, "config") == 0)
        stanch_config_install(L);
    else if (strcmp(kind, "policy") == 0)
        stanch_policy_install(L);
    else if (strcmp(kind, "people") == 0)
        stanch_people_install(L);
    else
        stanch_runbook_install(L);
}

void stanch_declare_failed(lua_State *L, const char *path, const json_t *error)
{
    const char *trace = stanch_json_str(error, "traceback", "");
    const char *file = stanch_json_str(error, "file", path);
    json_t *kept = json_pack("{s:s, s:I, s:s}", "path", file, "line", (json_int_t)stanch_json_int(error, "line", 0),
                             "text", stanch_json_str(error, "text", "it could not be read"));
    stanch_json_set_str(kept, "in", path); /* the file that was read; `path` may be a module of it */
    if (*trace)
        json_object_set_new(kept, "at", json_stringn(trace, strcspn(trace, "\n")));
    char *text = json_dumps(kept, JSON_COMPACT);
    json_decref(kept);
    lua_getfield(L, LUA_REGISTRYINDEX, FAILED_KEY);
    lua_pushstring(L, text);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
    free(text);
}

/* ---- config, policy ---- */

static int compare_places(const json_t *a, const json_t *b)
{
    int64_t d = stanch_json_int(a, "line", 0) - stanch_json_int(b, "line", 0);
    return d < 0 ? -1 : d > 0;
}

/* By line, and as found within a line: a person walks down the file once. Stable insertion; a few dozen at most. */
static json_t *sort_by_line(const json_t *errors)
{
    json_t *sorted = json_array();
    for (size_t i = 0; i < json_array_size(errors); i++) {
        json_t *each = json_array_get(errors, i);
        size_t at = json_array_size(sorted);
        while (at > 0 && compare_places(json_array_get(sorted, at - 1), each) > 0)
            at--;
        json_array_insert(sorted, at, each);
    }
    return sorted;
}

/* "stanch.lua:12: incidents.join_within: ... (and 3 more)" */
static int tell_first(const json_t *errors, struct stanch_err *err)
{
    const json_t *first = json_array_get(errors, 0);
    const char *path = stanch_json_str(first, "path", "");
    char more[40] = "";
    if (json_array_size(errors) > 1)
        (void)snprintf(more, sizeof more, " (and %zu more)", json_array_size(errors) - 1);
    (void)stanch_err_set(err, STANCH_E_INVALID, "%s:%lld: %s%s%s%s", stanch_json_str(first, "file", "?"),
                         (long long)stanch_json_int(first, "line", 0), path, *path ? ": " : "",
                         stanch_json_str(first, "text", ""), more);
    json_t *whole = NULL;
    while (err && *err->text && !(whole = json_string(err->text))) /* it was cut inside of a character */
        err->text[strlen(err->text) - 1] = 0;
    json_decref(whole);
    return STANCH_E_INVALID;
}

static int check_file(lua_State *L, void (*check_all)(struct stanch_check *check, json_t *ret), const json_t *input,
                      json_t **ret, struct stanch_err *err)
{
    struct stanch_check check = {.L = L, .errors = json_array(), .line = 1};
    (void)snprintf(check.file, sizeof check.file, "%s", stanch_json_str(input, "file", "?"));
    json_t *made = json_object();
    check_all(&check, made);
    json_t *errors = sort_by_line(check.errors);
    json_decref(check.errors);
    if (json_array_size(errors) == 0) {
        json_decref(errors);
        *ret = made;
        return 0;
    }
    json_decref(made);
    *ret = json_pack("{s:o}", "errors", errors);
    return tell_first(errors, err);
}

/* ---- load ---- */

static void refuse_same_name(struct stanch_check *check, const json_t *runbooks, const char *name)
{
    size_t i;
    json_t *other;
    json_array_foreach((json_t *)(uintptr_t)runbooks, i, other)
    {
        if (*name && strcmp(stanch_json_str(other, "name", ""), name) == 0)
            stanch_check_fail(check, "the name is taken by %s:%lld", stanch_json_str(other, "path", "?"),
                              (long long)stanch_json_int(other, "line", 0));
    }
}

/* A file that raised in the middle of a runbook: its own error says it all. */
static bool is_broken_off(lua_State *L, int idx, const char *file)
{
    bool has_failed = false;
    stanch_block_get(L, idx, STANCH_BLOCK_BODY);
    bool is_open = lua_isnil(L, -1);
    lua_getfield(L, LUA_REGISTRYINDEX, FAILED_KEY);
    for (lua_Integer i = 1; is_open && lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1)) {
        json_t *failed = json_loads(lua_tostring(L, -1), 0, NULL);
        has_failed = has_failed || strcmp(stanch_json_str(failed, "in", ""), file) == 0;
        json_decref(failed);
    }
    lua_settop(L, idx);
    return has_failed;
}

static json_t *check_runbooks(struct stanch_check *check)
{
    lua_State *L = check->L;
    json_t *runbooks = json_array();
    struct stanch_block *block;
    for (int i = 1; (block = stanch_block_declared(L, i)); i++, lua_pop(L, 1)) {
        char digest[65];
        if (is_broken_off(L, lua_gettop(L), block->file))
            continue;
        json_t *runbook = json_object();
        stanch_runbook_check(check, lua_gettop(L), runbook);
        refuse_same_name(check, runbooks, stanch_json_str(runbook, "name", ""));
        stanch_closure_digest(stanch_vm_of(L)->sources, stanch_vm_of(L)->source_count, block->file, digest);
        json_object_set_new(runbook, "path", json_string(block->file));
        json_object_set_new(runbook, "line", json_integer(block->line));
        json_object_set_new(runbook, "digest", json_string(digest));
        json_array_append_new(runbooks, runbook);
    }
    return runbooks;
}

/* {"file","line","path","text"} as a file's reader sees it: {"path","line","key","text"} */
static json_t *for_files(const json_t *list)
{
    json_t *said = json_array();
    size_t i;
    json_t *each;
    json_array_foreach((json_t *)(uintptr_t)list, i, each)
    {
        const char *key = stanch_json_str(each, "path", "");
        json_array_append_new(
            said, json_pack("{s:s, s:I, s:s, s:o}", "path", stanch_json_str(each, "file", "?"), "line",
                            (json_int_t)stanch_json_int(each, "line", 0), "key", key, "text",
                            json_sprintf("%s%s%s", key, *key ? ": " : "", stanch_json_str(each, "text", ""))));
    }
    return said;
}

static void add_failed(lua_State *L, json_t *errors)
{
    lua_getfield(L, LUA_REGISTRYINDEX, FAILED_KEY);
    for (lua_Integer i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1))
        json_array_append_new(errors, json_loads(lua_tostring(L, -1), 0, NULL));
    lua_pop(L, 2);
}

static int check_load(lua_State *L, json_t **ret)
{
    struct stanch_check check = {.L = L, .errors = json_array(), .warnings = json_array()};
    json_t *runbooks = check_runbooks(&check);
    json_t *errors = for_files(check.errors);
    add_failed(L, errors);
    *ret = json_pack("{s:o, s:o, s:o}", "runbooks", runbooks, "errors", errors, "warnings", for_files(check.warnings));
    json_decref(check.errors);
    json_decref(check.warnings);
    return 0;
}

int stanch_declare_result(lua_State *L, const char *kind, const json_t *input, json_t **ret, struct stanch_err *err)
{
    luaL_checkstack(L, 40, "declare");
    if (strcmp(kind, "config") == 0)
        return check_file(L, stanch_config_check, input, ret, err);
    if (strcmp(kind, "policy") == 0)
        return check_file(L, stanch_policy_check, input, ret, err);
    if (strcmp(kind, "people") == 0)
        return check_file(L, stanch_people_check, input, ret, err);
    return check_load(L, ret);
}

/* ---- run ---- */

/* Push the block of the runbook; returns false, nothing pushed: it is not declared. */
static bool push_runbook(lua_State *L, const char *name)
{
    for (int i = 1; stanch_block_declared(L, i); i++, lua_pop(L, 1)) {
        stanch_block_get(L, -1, STANCH_BLOCK_NAME);
        bool is_it = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), name) == 0;
        lua_pop(L, 1);
        if (is_it)
            return true;
    }
    return false;
}

static int refuse_name(lua_State *L, const char *name, struct stanch_err *err)
{
    char names[300] = "";
    for (int i = 1; stanch_block_declared(L, i); i++, lua_pop(L, 1)) {
        stanch_block_get(L, -1, STANCH_BLOCK_NAME);
        size_t len = strlen(names);
        if (lua_type(L, -1) == LUA_TSTRING)
            (void)snprintf(names + len, sizeof names - len, "%s%.60s", len ? ", " : "", lua_tostring(L, -1));
        lua_pop(L, 1);
    }
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no runbook \"%s\" in this file; %s%s", name,
                          *names ? "there is " : "it declares none", names);
}

int stanch_declare_push_run(lua_State *L, const char *runbook, struct stanch_declared_run *ret, struct stanch_err *err)
{
    luaL_checkstack(L, 40, "declare");
    if (!push_runbook(L, runbook))
        return refuse_name(L, runbook, err);
    int block = lua_gettop(L), rc = 0;
    struct stanch_check check = {.L = L, .errors = json_array()};
    json_t *data = json_object();
    stanch_runbook_check(&check, block, data);
    if (json_array_size(check.errors))
        rc = tell_first(check.errors, err);
    if (rc == 0) {
        json_t *symptom = json_object_get(data, "symptom");
        ret->symptom = json_is_object(symptom) ? json_incref(symptom) : NULL;
        ret->uses = json_incref(json_object_get(data, "uses"));
        stanch_block_get(L, block, STANCH_BLOCK_BODY);
        lua_pushliteral(L, "run");
        lua_rawget(L, block + 1);
        lua_pushliteral(L, "on_failure");
        lua_rawget(L, block + 1);
        lua_remove(L, block + 1);
        lua_remove(L, block);
    } else {
        lua_pop(L, 1);
    }
    json_decref(data);
    json_decref(check.errors);
    return rc;
}
