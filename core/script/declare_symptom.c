/* declare_symptom.c: `symptom { ask = prom.query {...}, bad = "> 0.05", good = "< 0.01", ... }`.
 * While files are read it is a block that is checked with its runbook. Inside run() it is checked at once and gives
 * the data itself, for `verify(symptom {...})`. */
#include "script/declare_check.h"
#include "base/json.h"
#include "script/action.h"
#include "script/value.h"
#include "script/vm.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* edge.show { ... }, called while the file is read: {["$action"] = {instance, action, args}} */
static void read_ask(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char what[] = "a read of a plugin, as in prom.query { expr = \"...\" }";
    lua_State *L = check->L;
    const char *instance, *action;
    if (stanch_action_ref(L, idx, &instance, &action)) {
        stanch_check_fail(check, "%s.%s was not called; write %s { ... } with its arguments", instance, action, action);
        return;
    }
    json_t *data = lua_istable(L, idx) ? stanch_check_data(check, idx) : NULL;
    json_t *ask = json_object_get(data, "$action");
    instance = stanch_json_str(ask, "instance", NULL);
    action = stanch_json_str(ask, "action", NULL);
    const json_t *declared = instance && action ? stanch_action_find(L, instance, action) : NULL;
    const char *effect = stanch_json_str(declared, "effect", "read");
    if (!lua_istable(L, idx) || (data && (!instance || !action)))
        stanch_check_expected(check, idx, what);
    else if (data && strcmp(effect, "read") != 0)
        stanch_check_fail(check, "%s.%s does not read, it is a %s action; a symptom only asks", instance, action,
                          effect);
    else if (data)
        json_object_set(into, key->name, ask);
    json_decref(data);
}

/* As rule/range.c reads it; core asks rule/ again at load. */
static bool is_range(const char *text)
{
    static const char *const signs[] = {">=", "<=", "==", "!=", ">", "<"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t len = strlen(signs[i]);
        if (strncmp(text, signs[i], len) != 0)
            continue;
        const char *number = text + len + strspn(text + len, " ");
        char *end = NULL;
        double limit = strtod(number, &end);
        return strspn(number, "0123456789+-.eE") == strlen(number) && end != number && !*end && isfinite(limit);
    }
    return false;
}

static void read_range(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, "a range like \"> 0.05\"");
    if (text && !is_range(text))
        stanch_check_fail(check, "\"%.60s\" is not a range; write it like > 0.05, <= 10 or == 0", text);
    else if (text)
        json_object_set_new(into, key->name, json_string(text));
}

static const struct stanch_bounds settle_bounds = {0, 3600e3}, within_bounds = {100, 86400e3},
                                  every_bounds = {50, 3600e3};

const struct stanch_section stanch_section_symptom = {
    "symptom",
    (const struct stanch_key[]){
        {"ask", NULL, read_ask, NULL, NULL, true, "a read of a plugin",
         "the question, as in prom.query { expr = \"...\" }; must be among `uses`"},
        {"bad", NULL, read_range, NULL, NULL, true, "range", "the users suffer: \"> 0.05\", \">= 5\", \"!= 0\""},
        {"good", NULL, read_range, NULL, NULL, true, "range", "they do not: \"< 0.01\"; between the two it is neither"},
        {"settle", "settle_ms", stanch_read_duration, &settle_bounds, "\"15s\"", false, "duration",
         "the wait after a change before the first sample"},
        {"hold", "hold_ms", stanch_read_duration, &settle_bounds, "\"30s\"", false, "duration",
         "how long it must stay good to be believed"},
        {"within", "within_ms", stanch_read_duration, &within_bounds, "\"5m\"", false, "duration",
         "how long is waited for that, from the first sample"},
        {"every", "every_ms", stanch_read_duration, &every_bounds, "\"5s\"", false, "duration",
         "the pause between samples"},
        {0}}};

static void check_times(struct stanch_check *check, const json_t *symptom)
{
    int64_t hold = stanch_json_int(symptom, "hold_ms", 0), within = stanch_json_int(symptom, "within_ms", 0);
    if (within && hold >= within)
        stanch_check_fail(check, "hold is not below within: it could never be proven good");
    const char *bad = stanch_json_str(symptom, "bad", ""), *good = stanch_json_str(symptom, "good", NULL);
    if (good && strcmp(bad, good) == 0)
        stanch_check_fail(check, "bad and good are the same range");
}

static void read_body(struct stanch_check *check, int idx, json_t *into)
{
    size_t mistakes = json_array_size(check->errors);
    stanch_check_section(check, idx, &stanch_section_symptom, false, into);
    if (json_array_size(check->errors) == mistakes)
        check_times(check, into);
}

void stanch_read_symptom(struct stanch_check *outer, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = outer->L;
    struct stanch_check check = *outer;
    const struct stanch_block *block = stanch_block_at(L, idx, "symptom");
    json_t *symptom = json_object();
    if (block) {
        stanch_check_block(&check, block, NULL, NULL);
        stanch_block_get(L, idx, STANCH_BLOCK_BODY);
        read_body(&check, lua_gettop(L), symptom);
        lua_pop(L, 1);
    } else {
        stanch_check_expected(&check, idx, "symptom { ask = ..., bad = ..., good = ... }");
    }
    json_object_set_new(into, key->name, symptom);
}

/* symptom {...} inside of run(), or a block of the file handed to verify there: the data. */
static int push_data(lua_State *L, int idx, const struct stanch_block *block)
{
    struct stanch_check check = {.L = L, .errors = json_array()};
    json_t *symptom = json_object();
    char text[700] = "";
    if (block)
        stanch_block_get(L, idx, STANCH_BLOCK_BODY);
    else
        lua_pushvalue(L, idx);
    read_body(&check, lua_gettop(L), symptom);
    const json_t *first = json_array_get(check.errors, 0);
    if (first)
        (void)snprintf(text, sizeof text, "symptom: %s%s%s", stanch_json_str(first, "path", ""),
                       *stanch_json_str(first, "path", "") ? ": " : "", stanch_json_str(first, "text", ""));
    else
        stanch_value_push(L, symptom);
    json_decref(check.errors);
    json_decref(symptom);
    return first ? stanch_vm_raise(L, "invalid", "%s", text) : 1;
}

/* upvalue: the function that makes a block */
static int make_symptom(lua_State *L)
{
    lua_settop(L, 1);
    if (stanch_vm_of(L)->phase == STANCH_VM_RUNNING)
        return push_data(L, 1, stanch_block_at(L, 1, "symptom"));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

void stanch_symptom_install(lua_State *L)
{
    stanch_block_word(L, "symptom", false, false);
    lua_getglobal(L, "symptom");
    lua_pushcclosure(L, make_symptom, 1);
    lua_setglobal(L, "symptom");
}
