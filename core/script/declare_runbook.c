/* declare_runbook.c: `runbook "name" { ... }`: metadata as data, and two functions. */
#include "script/declare_check.h"
#include "base/json.h"
#include "script/action.h"
#include <stdio.h>
#include <string.h>

static const char *const resolved_words[] = {"ask", "stop", "continue", NULL};
static const struct stanch_bounds cooldown_bounds = {0, 30 * 86400e3}, fresh_bounds = {1000, 86400e3},
                                  at_once_bounds = {1, 10000};

const struct stanch_section stanch_section_run_limits = {
    "limits of a runbook",
    (const struct stanch_key[]){
        {"cooldown", "cooldown_ms", stanch_read_duration, &cooldown_bounds, NULL, false, "duration",
         "the pause after a start before an alert starts it again"},
        {"at_most", NULL, stanch_read_rate, NULL, NULL, false, "\"number/duration\"", "starts within a time: \"3/1h\""},
        {"holds", NULL, stanch_read_text, NULL, NULL, false, "text",
         "a name that only one run at a time may hold, of whatever runbook: \"service:checkout\""},
        {"at_once", NULL, stanch_read_integer, &at_once_bounds, "16", false, "number",
         "runs of it that go at one time; one that waits for a person does not count; more wait for their turn"},
        {"group_by", NULL, stanch_read_texts, NULL, NULL, false, "list of labels",
         "alerts of one incident that agree in these labels are for one run; when left out: those that give the same "
         "parameters"},
        {"group_within", "group_within_ms", stanch_read_duration, &cooldown_bounds, "\"1m\"", false, "duration",
         "how long after its begin a run takes such alerts in; \"0s\": each alert has its own run"},
        {0}}};

static bool is_used(const json_t *uses, const char *instance, const char *action)
{
    size_t i;
    json_t *use;
    json_array_foreach((json_t *)(uintptr_t)uses, i, use)
    {
        if (strcmp(stanch_json_str(use, "instance", ""), instance) == 0 &&
            strcmp(stanch_json_str(use, "action", ""), action) == 0)
            return true;
    }
    return false;
}

static void read_use(struct stanch_check *check, int idx, json_t *uses)
{
    const char *instance, *action;
    lua_State *L = check->L;
    if (stanch_action_ref(L, idx, &instance, &action)) {
        if (!is_used(uses, instance, action))
            json_array_append_new(uses, json_pack("{s:s, s:s}", "instance", instance, "action", action));
        return;
    }
    if (lua_istable(L, idx)) {
        lua_pushliteral(L, "$action");
        bool was_called = lua_rawget(L, idx) == LUA_TTABLE;
        lua_pop(L, 1);
        if (was_called) {
            stanch_check_fail(check, "this action was called; name it only: edge.drain, without { ... }");
            return;
        }
    }
    stanch_check_expected(check, idx, "an action, as in edge.drain");
}

static void read_uses(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    json_t *uses = json_array();
    if (!stanch_check_is_list(L, idx))
        stanch_check_expected(check, idx, "a list of actions, as in { edge.drain, prom.query }");
    else
        for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            size_t before = stanch_check_enter_index(check, i);
            read_use(check, lua_gettop(L), uses);
            stanch_check_leave(check, before);
        }
    json_object_set_new(into, key->name, uses);
}

const struct stanch_section stanch_section_runbook = {
    "runbook",
    (const struct stanch_key[]){
        {"summary", NULL, stanch_read_text, NULL, NULL, true, "text",
         "one line: what it does, for whom reads it at night"},
        {"owner", NULL, stanch_read_text, NULL, NULL, false, "text",
         "the team that answers for it; lint warns without"},
        {"on", NULL, stanch_read_on, NULL, "[]", false, "alert or list of alerts",
         "what starts it; without it only a person does"},
        {"uses", NULL, read_uses, NULL, "[]", false, "list of actions",
         "all that the run may do and ask: edge.drain, prom.query; nothing else exists in it"},
        {"params", NULL, stanch_read_params, NULL, "{}", false, "table of parameters",
         "what `run` gets as its second argument"},
        {"limits", NULL, stanch_read_section, &stanch_section_run_limits, "{}", false, "table", "see below"},
        {"symptom", NULL, stanch_read_symptom, NULL, "null", false, "symptom", "what the users suffer from, see below"},
        {"on_resolved", NULL, stanch_read_word, resolved_words, "\"ask\"", false, "\"ask\", \"stop\" or \"continue\"",
         "when its alert resolves meanwhile: ask before each further mitigation, end the run, or go on"},
        {"fresh_for", "fresh_for_ms", stanch_read_duration, &fresh_bounds, NULL, false, "duration",
         "as in stanch.lua, for this runbook"},
        {"risk", NULL, stanch_read_word, stanch_words_risk, NULL, false, "\"low\", \"medium\" or \"high\"",
         "raises the risk of all its mitigations to at least this; never lowers it"},
        {"run", NULL, stanch_read_function, NULL, NULL, true, "function", "function(incident, p): the procedure"},
        {"on_failure", NULL, stanch_read_function, NULL, NULL, false, "function",
         "function(incident, e): called when `run` raised the error e"},
        {0}}};

/* ---- what holds between keys ---- */

static bool has_mitigation(lua_State *L, const json_t *uses, char *ret, size_t size)
{
    size_t i;
    json_t *use;
    json_array_foreach((json_t *)(uintptr_t)uses, i, use)
    {
        const char *instance = stanch_json_str(use, "instance", ""), *action = stanch_json_str(use, "action", "");
        const json_t *declared = stanch_action_find(L, instance, action);
        if (strcmp(stanch_json_str(declared, "effect", ""), "mitigate") != 0)
            continue;
        (void)snprintf(ret, size, "%.60s.%.60s", instance, action);
        return true;
    }
    return false;
}

/* What the declaration of an action says of going back and of proof; nothing is said where it does not tell. */
static void warn_of_mitigation(struct stanch_check *check, const json_t *use, bool has_symptom)
{
    const char *instance = stanch_json_str(use, "instance", ""), *action = stanch_json_str(use, "action", "");
    const json_t *declared = stanch_action_find(check->L, instance, action), *has = json_object_get(declared, "has");
    const char *because = stanch_json_str(declared, "no_undo_because", "its plugin has no undo for it");
    if (strcmp(stanch_json_str(declared, "effect", ""), "mitigate") != 0 || !json_is_object(has))
        return;
    if (!json_is_true(json_object_get(has, "undo")))
        stanch_check_warn(check,
                          "%.60s.%.60s cannot be taken back (%.200s): use one that can, or write into `because` how a "
                          "person goes back",
                          instance, action, because);
    if (!json_is_true(json_object_get(has, "verify")) && !has_symptom)
        stanch_check_warn(
            check,
            "whether %.60s.%.60s took effect is never looked at: its plugin cannot read it back, and there "
            "is no symptom; declare one, and ask for it with verify()",
            instance, action);
}

static void warn_of_mitigations(struct stanch_check *check, const json_t *uses, bool has_symptom)
{
    size_t i, before = stanch_check_enter(check, "uses");
    json_t *use;
    json_array_foreach((json_t *)(uintptr_t)uses, i, use) warn_of_mitigation(check, use, has_symptom);
    stanch_check_leave(check, before);
}

static void check_whole(struct stanch_check *check, const json_t *runbook)
{
    char action[130];
    const json_t *symptom = json_object_get(runbook, "symptom"), *ask = json_object_get(symptom, "ask");
    const json_t *uses = json_object_get(runbook, "uses");
    if (ask && !is_used(uses, stanch_json_str(ask, "instance", ""), stanch_json_str(ask, "action", ""))) {
        size_t before = stanch_check_enter(check, "uses");
        stanch_check_fail(check, "the symptom asks %s.%s, which is not listed here",
                          stanch_json_str(ask, "instance", ""), stanch_json_str(ask, "action", ""));
        stanch_check_leave(check, before);
    }
    if (json_is_null(symptom) && has_mitigation(check->L, uses, action, sizeof action))
        stanch_check_warn(check, "it can mitigate (%s), but declares no symptom: nothing can tell whether it helped",
                          action);
    warn_of_mitigations(check, uses, !json_is_null(symptom));
    stanch_check_unused(check, json_object_get(runbook, "params"));
    if (!json_object_get(runbook, "owner"))
        stanch_check_warn(check, "has no owner; nobody is named who answers for it");
    if (json_array_size(json_object_get(runbook, "on")) == 0)
        stanch_check_warn(check, "has no `on`: no alert starts it, only a person");
}

void stanch_runbook_check(struct stanch_check *check, int idx, json_t *ret)
{
    lua_State *L = check->L;
    int top = lua_gettop(L);
    const struct stanch_block *block = stanch_block_at(L, idx, "runbook");
    stanch_block_get(L, idx, STANCH_BLOCK_NAME);
    stanch_block_get(L, idx, STANCH_BLOCK_BODY);
    check->path[0] = 0;
    stanch_check_block(check, block, "runbook", lua_type(L, top + 1) == LUA_TSTRING ? lua_tostring(L, top + 1) : NULL);
    size_t before = stanch_check_enter(check, "name");
    const char *name = stanch_check_name(check, top + 1, "a name in front, as in runbook \"checkout-errors\" { ... }");
    stanch_check_leave(check, before);
    json_object_set_new(ret, "name", json_string(name ? name : ""));
    if (lua_isnil(L, top + 2)) {
        if (name)
            stanch_check_fail(check, "no { ... } follows the name");
    } else {
        size_t mistakes = json_array_size(check->errors);
        stanch_check_section(check, top + 2, &stanch_section_runbook, false, ret);
        if (json_array_size(check->errors) == mistakes)
            check_whole(check, ret);
    }
    lua_settop(L, top);
}

void stanch_runbook_install(lua_State *L)
{
    stanch_block_word(L, "runbook", true, true);
    stanch_alert_install(L);
    stanch_param_install(L);
    stanch_symptom_install(L);
}
