/* declare_policy.c: the operator's policy: `policy { auto = "low", approve = {...}, rule {...}, ... }`.
 * Its data is read by rule/policy.c; core/rule/README.md is its manual. */
#include "script/declare_check.h"
#include "base/json.h"
#include <stdio.h>
#include <string.h>

static const char *const auto_words[] = {"none", "low", "medium", "high", NULL};
static const char *const conflict_words[] = {"ask", "allow", NULL};
static const char *const risk_words[] = {"low", "medium", "high", "forbidden", NULL};
static const char *const autonomy_words[] = {"auto", "suggest", "observe", NULL};
static const char *const changed_words[] = {"suggest", "auto", NULL};
static const char *const effect_words[] = {"mitigate", "undo", NULL};

/* "drain" or "haproxy.drain" */
static void read_action(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    const char *dot = text ? strchr(text, '.') : NULL;
    if (!text)
        return;
    if (dot && (dot == text || !dot[1] || strchr(dot + 1, '.'))) {
        stanch_check_fail(check, "\"%.80s\" is not an action; write \"drain\" or \"haproxy.drain\"", text);
        return;
    }
    if (dot)
        json_object_set_new(into, "plugin", json_stringn(text, (size_t)(dot - text)));
    json_object_set_new(into, "action", json_string(dot ? dot + 1 : text));
}

/* Read after `action`, so that it sees the plugin that is named there. */
static void read_plugin(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    const char *text = stanch_check_text(check, idx, key->type);
    const char *other = stanch_json_str(into, "plugin", NULL);
    if (text && other && strcmp(text, other) != 0)
        stanch_check_fail(check, "\"%.60s\", but the action names the plugin \"%.60s\"", text, other);
    else if (text)
        json_object_set_new(into, "plugin", json_string(text));
}

/* "sev1" or { "sev1", "sev2" } */
static void read_severity(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    struct stanch_key word = {.name = "word", .more = stanch_words_severity};
    json_t *list = json_array(), *one = json_object();
    if (lua_type(L, idx) == LUA_TSTRING) {
        stanch_read_word(check, idx, &word, one);
        json_array_append(list, json_object_get(one, "word"));
    } else if (!stanch_check_is_list(L, idx) || lua_rawlen(L, idx) == 0) {
        stanch_check_expected(check, idx, "a list like { \"sev1\", \"sev2\" }");
    } else {
        for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            size_t before = stanch_check_enter_index(check, i);
            json_object_clear(one);
            stanch_read_word(check, lua_gettop(L), &word, one);
            json_array_append(list, json_object_get(one, "word"));
            stanch_check_leave(check, before);
        }
        lua_pop(L, 1);
    }
    json_decref(one);
    json_object_set_new(into, key->name, list);
}

#define MAX_TAG_BYTES 256 /* what rule/tags.c takes */

/* "killswitch" or { "killswitch", "ops:*" } */
static void read_tags(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    json_t *found = json_object();
    if (lua_type(L, idx) == LUA_TSTRING) {
        const char *text = stanch_check_text(check, idx, key->type);
        if (text)
            json_object_set_new(found, key->name, json_pack("[s]", text));
    } else if (!stanch_check_is_list(L, idx) || lua_rawlen(L, idx) == 0) {
        stanch_check_expected(check, idx, "a glob, or a list like { \"killswitch\", \"ops:*\" }");
    } else {
        stanch_read_texts(check, idx, key, found);
    }
    json_t *list = json_object_get(found, key->name);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_string_length(json_array_get(list, i)) > MAX_TAG_BYTES)
            stanch_check_fail(check, "\"%.40s...\" is longer than a tag can be; at most %d bytes",
                              json_string_value(json_array_get(list, i)), MAX_TAG_BYTES);
    if (list)
        json_object_set(into, key->name, list);
    json_decref(found);
}

static const struct stanch_bounds quorum_bounds = {1, 10}, expires_bounds = {1000, 86400e3}, reach_bounds = {0, 1};

const struct stanch_section stanch_section_approver = {
    "approve.RISK",
    (const struct stanch_key[]){
        {"role", NULL, stanch_read_text, NULL, "\"ic\"", false, "text", "the role in the incident that is asked"},
        {"expires", "expires_ms", stanch_read_duration, &expires_bounds, "\"15m\"", false, "duration",
         "how long the question is open; at most 24h"},
        {"quorum", NULL, stanch_read_integer, &quorum_bounds, "1", false, "number",
         "how many different people must agree, one of them with the role"},
        {"not_requester", NULL, stanch_read_boolean, NULL, NULL, false, "true or false",
         "who started the run by hand does not approve it, unless nobody else may approve at all"},
        {0}}};

#define APPROVER(risk)                                                                                                 \
    {                                                                                                                  \
        risk, NULL, stanch_read_section, &stanch_section_approver, NULL, false, "table", "who is asked at this risk"   \
    }
const struct stanch_section stanch_section_approve = {
    "approve", (const struct stanch_key[]){APPROVER("low"), APPROVER("medium"), APPROVER("high"), {0}}};

static const char *const rung_words[] = {"role", "ic", "lead", "comms", "scribe", "pool", NULL};
static const struct stanch_bounds remind_bounds = {0, 86400e3};

const struct stanch_section stanch_section_rung = {
    "escalation[n]",
    (const struct stanch_key[]){{"to", NULL, stanch_read_word, rung_words, NULL, true,
                                 "\"role\", \"ic\", \"lead\", \"comms\", \"scribe\", \"pool\"",
                                 "who is asked then; \"role\": the first one again"},
                                {"within", "within_ms", stanch_read_duration, &expires_bounds, "\"30m\"", false,
                                 "duration", "how long that question is open; at most 24h"},
                                {0}}};

static void read_escalation(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    if (!stanch_check_is_list(L, idx) || lua_rawlen(L, idx) == 0) {
        stanch_check_expected(check, idx, "a list like { { to = \"lead\", within = \"15m\" }, { to = \"pool\" } }");
        return;
    }
    json_t *rungs = json_array();
    for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
        size_t before = stanch_check_enter_index(check, i);
        json_t *rung = json_object();
        stanch_check_section(check, lua_gettop(L), &stanch_section_rung, false, rung);
        json_array_append_new(rungs, rung);
        stanch_check_leave(check, before);
    }
    lua_pop(L, 1);
    json_object_set_new(into, key->name, rungs);
}

/* "pool", or a list of names */
static void read_breakers(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char *const words[] = {"pool", NULL};
    const struct stanch_key word = {.name = key->name, .more = words};
    if (lua_type(check->L, idx) == LUA_TSTRING)
        stanch_read_word(check, idx, &word, into);
    else
        stanch_read_texts(check, idx, key, into);
}

const struct stanch_section stanch_section_break_glass = {
    "break_glass",
    (const struct stanch_key[]){{"people", NULL, read_breakers, NULL, NULL, true, "list of names, or \"pool\"",
                                 "who may approve without holding the role, with a reason"},
                                {0}}};

const struct stanch_section stanch_section_policy = {
    "policy", (const struct stanch_key[]){
                  {"auto", NULL, stanch_read_word, auto_words, "\"none\"", false,
                   "\"none\", \"low\", \"medium\", \"high\"", "the highest risk that runs without asking"},
                  {"conflicts", NULL, stanch_read_word, conflict_words, "\"ask\"", false, "\"ask\" or \"allow\"",
                   "another run's mitigation is in force on one of the targets"},
                  {"approve", NULL, stanch_read_section, &stanch_section_approve, "{}", false, "table",
                   "who is asked, for each risk"},
                  {"escalation", NULL, read_escalation, NULL, NULL, false, "list of tables",
                   "who is asked when nobody answered in time, one after the other; left out: the "
                   "pool, for 30m at a time"},
                  {"remind", "remind_ms", stanch_read_duration, &remind_bounds, NULL, false, "duration",
                   "so long before a question ends people are told once more; \"0s\": never; left "
                   "out: 5m where there are people"},
                  {"break_glass", NULL, stanch_read_section, &stanch_section_break_glass, NULL, false, "table",
                   "who may approve without holding the role; left out: nobody"},
                  {"limits", NULL, stanch_read_section, &stanch_section_policy_limits, NULL, false, "table",
                   "over one of them it asks, see below"},
                  {"breaker", NULL, stanch_read_breaker, &stanch_section_breaker, NULL, false, "table or false",
                   "when what does not help asks; false: never; left out: as below"},
                  {"autonomy", NULL, stanch_read_word, autonomy_words, NULL, false,
                   "\"auto\", \"suggest\" or \"observe\"", "how much of their own runbooks may do; left out: auto"},
                  {"autonomy_changed", NULL, stanch_read_word, changed_words, NULL, false, "\"suggest\" or \"auto\"",
                   "the same while a runbook is not accepted as it is now; left out: suggest"},
                  {0}}};

const struct stanch_section stanch_section_rule = {
    "rule",
    (const struct stanch_key[]){
        {"action", NULL, read_action, NULL, NULL, false, "glob", "the action; \"haproxy.drain\" names the plugin too"},
        {"plugin", NULL, read_plugin, NULL, NULL, false, "glob", "the plugin"},
        {"instance", NULL, stanch_read_text, NULL, NULL, false, "glob", "the instance's name"},
        {"environment", NULL, stanch_read_text, NULL, NULL, false, "glob", "the instance's environment"},
        {"effect", NULL, stanch_read_word, effect_words, NULL, false, "\"mitigate\" or \"undo\"",
         "the direction; left out: both"},
        {"severity", NULL, read_severity, NULL, NULL, false, "list of severities", "of the incident"},
        {"target", NULL, stanch_read_text, NULL, NULL, false, "glob",
         "every target (a rule that permits), or any (a rule that asks or forbids)"},
        {"runbook", NULL, stanch_read_text, NULL, NULL, false, "glob", "the runbook's name"},
        {"max_reach", NULL, stanch_read_number, &reach_bounds, NULL, false, "number from 0 to 1",
         "the plan's reach is known and not above"},
        {"tag", NULL, read_tags, NULL, NULL, false, "glob or list of globs",
         "one of them is a tag that the plan says the remote has there; while the tags are not known: only where the "
         "rule "
         "raises the risk"},
        {"during", NULL, stanch_read_name, NULL, NULL, false, "name",
         "an `ical` instance in which something is under way; one that cannot be read: a rule that asks or forbids "
         "holds"},
        {"risk", NULL, stanch_read_word, risk_words, NULL, true, "\"low\", \"medium\", \"high\" or \"forbidden\"",
         "what the rule sets"},
        {0}}};

const struct stanch_section stanch_section_runbook_rule = {
    "runbook_rule",
    (const struct stanch_key[]){
        {"runbook", NULL, stanch_read_text, NULL, NULL, true, "glob", "the runbook's name"},
        {"autonomy", NULL, stanch_read_word, autonomy_words, NULL, false, "\"auto\", \"suggest\" or \"observe\"",
         "what holds for it instead of the policy's"},
        {"autonomy_changed", NULL, stanch_read_word, changed_words, NULL, false, "\"suggest\" or \"auto\"", "the same"},
        {0}}};

void stanch_policy_install(lua_State *L)
{
    stanch_block_word(L, "policy", false, true);
    stanch_block_word(L, "rule", false, true);
    stanch_block_word(L, "runbook_rule", false, true);
}

static bool is_taken(const json_t *rules, const char *name)
{
    size_t i;
    json_t *other;
    json_array_foreach((json_t *)(uintptr_t)rules, i, other)
    {
        if (strcmp(stanch_json_str(other, "name", ""), name) == 0)
            return true;
    }
    return false;
}

/* A named block of the list at the top of the stack. section: read into `into`. returns borrowed: its name, "" */
static const char *read_named(struct stanch_check *check, struct stanch_block *block,
                              const struct stanch_section *section, const json_t *others, json_t *into)
{
    lua_State *L = check->L;
    int top = lua_gettop(L);
    const char *word = block->word, *name = "";
    check->path[0] = 0;
    block->is_listed = true;
    stanch_block_get(L, top, STANCH_BLOCK_BODY);
    lua_pushnil(L);
    if (lua_istable(L, top + 1)) {
        lua_rawgeti(L, top + 1, 1);
        lua_replace(L, top + 2);
    }
    stanch_check_block(check, block, word, lua_type(L, top + 2) == LUA_TSTRING ? lua_tostring(L, top + 2) : NULL);
    stanch_check_section(check, top + 1, section, true, into);
    if (lua_istable(L, top + 1)) {
        size_t before = stanch_check_enter(check, "name");
        name = stanch_check_text(check, top + 2, "a text in front, what the rule is about: rule { \"...\", ... }");
        if (lua_rawlen(L, top + 1) > 1)
            stanch_check_fail(check, "a rule has one text in front, and keys");
        stanch_check_leave(check, before);
    }
    if (name && *name && is_taken(others, name))
        stanch_check_fail(check, "another rule has this name; it is what approvals and the timeline show");
    return name ? name : "";
}

/* The rule's block at the top of the stack. */
static void read_rule(struct stanch_check *outer, struct stanch_block *block, json_t *rules)
{
    int top = lua_gettop(outer->L);
    struct stanch_check check = *outer;
    json_t *when = json_object();
    const char *name = read_named(&check, block, &stanch_section_rule, rules, when);
    json_t *risk = json_incref(json_object_get(when, "risk"));
    json_object_del(when, "risk");
    json_t *rule = json_pack("{s:s, s:i, s:o}", "name", name, "line", block->line, "when", when);
    json_object_set_new(rule, "risk", risk ? risk : json_null());
    json_array_append_new(rules, rule);
    lua_settop(outer->L, top);
}

static void read_runbook_rule(struct stanch_check *outer, struct stanch_block *block, json_t *rules)
{
    int top = lua_gettop(outer->L);
    struct stanch_check check = *outer;
    json_t *rule = json_object();
    const char *name = read_named(&check, block, &stanch_section_runbook_rule, rules, rule);
    json_object_set_new(rule, "name", json_string(name));
    json_object_set_new(rule, "line", json_integer(block->line));
    json_array_append_new(rules, rule);
    lua_settop(outer->L, top);
}

/* The rules are the list part of the policy's table at idx. */
static void read_rules(struct stanch_check *check, int idx, json_t *ret)
{
    lua_State *L = check->L;
    json_t *rules = json_array(), *of_runbooks = json_array();
    lua_Integer count = lua_istable(L, idx) ? (lua_Integer)lua_rawlen(L, idx) : 0;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, idx, i);
        struct stanch_block *block = stanch_block_at(L, -1, "rule"), *other = stanch_block_at(L, -1, "runbook_rule");
        size_t before = stanch_check_enter_index(check, i);
        if (block)
            read_rule(check, block, rules);
        else if (other)
            read_runbook_rule(check, other, of_runbooks);
        else
            stanch_check_expected(check, lua_gettop(L), "rule { ... } or runbook_rule { ... }");
        stanch_check_leave(check, before);
        lua_pop(L, 1);
    }
    json_object_set_new(ret, "rules", rules);
    if (json_array_size(of_runbooks))
        json_object_set(ret, "runbook_rules", of_runbooks);
    json_decref(of_runbooks);
}

void stanch_policy_check(struct stanch_check *check, json_t *ret)
{
    lua_State *L = check->L;
    struct stanch_block *block;
    int found = 0;
    for (int i = 1; (block = stanch_block_declared(L, i)); i++, lua_settop(L, -2)) {
        if (strcmp(block->word, "policy") != 0)
            continue;
        int top = lua_gettop(L);
        stanch_check_block(check, block, NULL, NULL);
        if (found++)
            stanch_check_fail(check, "there is a second policy { ... }; the policy is one");
        stanch_block_get(L, top, STANCH_BLOCK_BODY);
        if (found == 1) {
            stanch_check_section(check, top + 1, &stanch_section_policy, true, ret);
            read_rules(check, top + 1, ret);
        }
        lua_settop(L, top);
    }
    if (!found)
        stanch_check_fail(check, "there is no policy { ... } in this file");
    for (int i = 1; (block = stanch_block_declared(L, i)); i++, lua_settop(L, -2)) {
        if (block->is_listed || (strcmp(block->word, "rule") != 0 && strcmp(block->word, "runbook_rule") != 0))
            continue;
        stanch_check_block(check, block, NULL, NULL);
        stanch_check_fail(check, "this rule stands outside of policy { ... }, so it would not count");
    }
}
