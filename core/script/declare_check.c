/* declare_check.c: sections of keys against Lua tables; every mistake with its place, all of them at once. */
#include "script/declare_check.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "script/value.h"
#include "script/vm.h"
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_ERRORS 100
#define MAX_KEYS   200

/* ---- saying ---- */

/* new; what a file holds may be cut in the middle of a character */
static json_t *text_of(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    char *copy = stanch_strdup(text);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    value = json_string(copy);
    free(copy);
    return value;
}

__attribute__((format(printf, 3, 0))) static void say(struct stanch_check *check, json_t *list, const char *fmt,
                                                      va_list ap)
{
    char text[800], path[500];
    if (!list || json_array_size(list) >= MAX_ERRORS)
        return;
    (void)vsnprintf(text, sizeof text, fmt, ap);
    (void)snprintf(path, sizeof path, "%s%s%s", check->root, *check->root && *check->path ? ": " : "", check->path);
    json_array_append_new(list, json_pack("{s:o, s:i, s:o, s:o}", "file", text_of(check->file), "line", check->line,
                                          "path", text_of(path), "text", text_of(text)));
}

void stanch_check_fail(struct stanch_check *check, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(check, check->errors, fmt, ap);
    va_end(ap);
}

void stanch_check_warn(struct stanch_check *check, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(check, check->warnings, fmt, ap);
    va_end(ap);
}

static void show(lua_State *L, int idx, char *ret, size_t size)
{
    const struct stanch_block *block = stanch_block_at(L, idx, NULL);
    if (block)
        (void)snprintf(ret, size, "%s %s {...}", strchr("aeiou", block->word[0]) ? "an" : "a", block->word);
    else if (lua_type(L, idx) == LUA_TSTRING)
        (void)snprintf(ret, size, "\"%.60s\"", lua_tostring(L, idx));
    else if (lua_isinteger(L, idx))
        (void)snprintf(ret, size, "%lld", (long long)lua_tointeger(L, idx));
    else if (lua_type(L, idx) == LUA_TNUMBER)
        (void)snprintf(ret, size, "%.14g", lua_tonumber(L, idx));
    else if (lua_isboolean(L, idx))
        (void)snprintf(ret, size, "%s", lua_toboolean(L, idx) ? "true" : "false");
    else if (lua_isnil(L, idx))
        (void)snprintf(ret, size, "nothing");
    else
        (void)snprintf(ret, size, "a %s", lua_isuserdata(L, idx) ? "value of another kind" : luaL_typename(L, idx));
}

/* The types of keys are single words in the reference: "text". */
static const char *article(const char *what)
{
    return strpbrk(what, " \"{") ? "" : "a ";
}

void stanch_check_expected(struct stanch_check *check, int idx, const char *what)
{
    char shown[100];
    show(check->L, idx, shown, sizeof shown);
    stanch_check_fail(check, "expected %s%s, not %s", article(what), what, shown);
}

void stanch_check_unknown(struct stanch_check *check, const char *name, const char *const *names, size_t count)
{
    char hint[500];
    stanch_vm_suggest(name, names, count, hint, sizeof hint);
    stanch_check_fail(check, "there is no such key; %s", hint);
}

/* ---- moving ---- */

size_t stanch_check_enter(struct stanch_check *check, const char *key)
{
    size_t before = strlen(check->path);
    (void)snprintf(check->path + before, sizeof check->path - before, "%s%.60s", before ? "." : "", key);
    return before;
}

size_t stanch_check_enter_index(struct stanch_check *check, lua_Integer index)
{
    size_t before = strlen(check->path);
    (void)snprintf(check->path + before, sizeof check->path - before, "[%lld]", (long long)index);
    return before;
}

void stanch_check_leave(struct stanch_check *check, size_t before)
{
    check->path[before] = 0;
}

void stanch_check_block(struct stanch_check *check, const struct stanch_block *block, const char *word,
                        const char *name)
{
    (void)snprintf(check->file, sizeof check->file, "%s", block->file);
    check->line = block->line;
    if (word)
        (void)snprintf(check->root, sizeof check->root, "%.40s \"%.80s\"", word, name ? name : "?");
}

/* ---- sections ---- */

size_t stanch_check_keys(lua_State *L, int idx, const char **ret, size_t max)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || count == max)
            continue;
        const char *key = lua_tostring(L, -2);
        size_t at = count++;
        for (; at > 0 && strcmp(ret[at - 1], key) > 0; at--)
            ret[at] = ret[at - 1];
        ret[at] = key;
    }
    return count;
}

static void read_default(struct stanch_check *check, const struct stanch_key *key, json_t *into)
{
    const char *name = key->json ? key->json : key->name;
    if (!key->otherwise)
        return;
    if (strcmp(key->otherwise, "null") == 0) {
        json_object_set_new(into, name, json_null());
        return;
    }
    STANCH_AUTO_FREE char *text = stanch_strdup(key->otherwise);
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    stanch_value_push(check->L, value);
    json_decref(value);
    key->read(check, lua_gettop(check->L), key, into);
}

static void read_key(struct stanch_check *check, int table, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    int top = lua_gettop(L);
    size_t before = stanch_check_enter(check, key->name);
    lua_pushstring(L, key->name);
    lua_rawget(L, table);
    if (!lua_isnil(L, -1) && !stanch_value_is_null(L, -1))
        key->read(check, top + 1, key, into);
    else if (key->is_required)
        stanch_check_fail(check, "missing; expected %s%s", article(key->type), key->type);
    else
        read_default(check, key, into);
    lua_settop(L, top);
    stanch_check_leave(check, before);
}

static void refuse_unknown(struct stanch_check *check, int idx, const struct stanch_section *section)
{
    const char *given[MAX_KEYS], *known[64];
    size_t count = 0, n = stanch_check_keys(check->L, idx, given, MAX_KEYS);
    for (const struct stanch_key *key = section->keys; key->name && count < 64; key++)
        known[count++] = key->name;
    for (size_t i = 0; i < n; i++) {
        bool is_known = false;
        for (size_t k = 0; k < count; k++)
            is_known = is_known || strcmp(given[i], known[k]) == 0;
        if (is_known)
            continue;
        size_t before = stanch_check_enter(check, given[i]);
        stanch_check_unknown(check, given[i], known, count);
        stanch_check_leave(check, before);
    }
}

static bool has_other_keys(lua_State *L, int idx, bool has_list)
{
    bool others = false;
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
        others = others || (lua_type(L, -2) != LUA_TSTRING && !(has_list && lua_isinteger(L, -2)));
    return others;
}

void stanch_check_section(struct stanch_check *check, int idx, const struct stanch_section *section, bool has_list,
                          json_t *into)
{
    lua_State *L = check->L;
    if (!lua_istable(L, idx)) {
        stanch_check_expected(check, idx, "{ key = value, ... }");
        return;
    }
    if (!lua_checkstack(L, 20)) {
        stanch_check_fail(check, "nested too deep");
        return;
    }
    for (const struct stanch_key *key = section->keys; key->name; key++)
        read_key(check, idx, key, into);
    refuse_unknown(check, idx, section);
    if (has_other_keys(L, idx, has_list))
        stanch_check_fail(check, "there is a value without a key; write it like key = value");
}

/* ---- the reference ---- */

char *stanch_declare_markdown(const struct stanch_section *section)
{
    struct stanch_buf out = {0};
    stanch_buf_text(&out, "| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (const struct stanch_key *key = section->keys; key->name; key++) {
        const char *otherwise = key->is_required ? "required" : key->otherwise ? key->otherwise : "";
        bool is_code = otherwise[0] && !key->is_required && strcmp(otherwise, "null") != 0;
        if (strcmp(otherwise, "null") == 0)
            otherwise = "none";
        stanch_buf_printf(&out, "| `%s` | %s | %s%s%s | %s |\n", key->name, key->type, is_code ? "`" : "", otherwise,
                          is_code ? "`" : "", key->meaning);
    }
    return stanch_buf_take(&out);
}

const struct stanch_section *const *stanch_declare_sections(void)
{
    static const struct stanch_section *const all[] = {&stanch_section_config,
                                                       &stanch_section_repository,
                                                       &stanch_section_incidents,
                                                       &stanch_section_severity,
                                                       &stanch_section_severity_source,
                                                       &stanch_section_limits,
                                                       &stanch_section_storm,
                                                       &stanch_section_approvals,
                                                       &stanch_section_checkpoints,
                                                       &stanch_section_proxy,
                                                       &stanch_section_paging,
                                                       &stanch_section_drills,
                                                       &stanch_section_plan,
                                                       &stanch_section_instance,
                                                       &stanch_section_policy,
                                                       &stanch_section_approve,
                                                       &stanch_section_approver,
                                                       &stanch_section_rule,
                                                       &stanch_section_rung,
                                                       &stanch_section_break_glass,
                                                       &stanch_section_people,
                                                       &stanch_section_person,
                                                       &stanch_section_token,
                                                       &stanch_section_roles,
                                                       &stanch_section_role,
                                                       &stanch_section_policy_limits,
                                                       &stanch_section_breaker,
                                                       &stanch_section_runbook_rule,
                                                       &stanch_section_runbook,
                                                       &stanch_section_run_limits,
                                                       &stanch_section_alert,
                                                       &stanch_section_param,
                                                       &stanch_section_symptom,
                                                       NULL};
    return all;
}
