/* declare_alert.c: triggers: `alert { alertname = "X", env = is_not "dev", max_age = "10m" }`.
 * Whether an expression compiles is for rule/ to say (core asks it at load); here it is text. */
#include "script/declare_check.h"
#include <stdio.h>
#include <string.h>

#define MAX_LABELS 64

static const struct {
    const char *word, *op;
} matchers[] = {{"is_not", "!="}, {"matches", "=~"}, {"not_matching", "!~"}};

static const char *const state_words[] = {"firing", "resolved", NULL};

static void read_labels(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into);
static const struct stanch_bounds age_bounds = {1000, 7 * 86400e3};

const struct stanch_section stanch_section_alert = {
    "alert", (const struct stanch_key[]){{"max_age", "max_age_ms", stanch_read_duration, &age_bounds, "\"10m\"", false,
                                          "duration", "an alert that began longer ago starts nothing"},
                                         {"state", NULL, stanch_read_word, state_words, "\"firing\"", false,
                                          "\"firing\" or \"resolved\"", "which news it is"},
                                         {"labels", NULL, read_labels, NULL, NULL, false, "table",
                                          "labels whose names are taken here: labels = { state = \"x\" }"},
                                         {0}}};

static bool is_own_key(const char *name)
{
    for (const struct stanch_key *key = stanch_section_alert.keys; key->name; key++)
        if (strcmp(key->name, name) == 0)
            return true;
    return false;
}

/* The value at idx (absolute) for one label. */
static void add_matcher(struct stanch_check *check, int idx, const char *label, json_t *list)
{
    lua_State *L = check->L;
    const char *op = "=";
    int top = lua_gettop(L), value = idx;
    for (size_t i = 0; i < sizeof matchers / sizeof *matchers; i++)
        if (stanch_block_at(L, idx, matchers[i].word)) {
            op = matchers[i].op;
            stanch_block_get(L, idx, STANCH_BLOCK_BODY);
            value = top + 1;
        }
    if (lua_type(L, value) != LUA_TSTRING)
        stanch_check_expected(check, value, "text, is_not \"x\", matches \"a|b\" or not_matching \"a|b\"");
    else if (lua_rawlen(L, value) == 0) /* label = "": the label is missing */
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "label", label, "op", op, "value", ""));
    else if (stanch_check_text(check, value, "text"))
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "label", label, "op", op, "value", lua_tostring(L, value)));
    lua_settop(L, top);
}

/* All text keys of the table at idx as labels, sorted; own: the keys of the alert itself are left out. */
static void add_matchers(struct stanch_check *check, int idx, bool own, json_t *list)
{
    const char *labels[MAX_LABELS];
    size_t count = stanch_check_keys(check->L, idx, labels, MAX_LABELS);
    for (size_t i = 0; i < count; i++) {
        if (own && is_own_key(labels[i]))
            continue;
        size_t before = stanch_check_enter(check, labels[i]);
        lua_pushstring(check->L, labels[i]);
        lua_rawget(check->L, idx);
        add_matcher(check, lua_gettop(check->L), labels[i], list);
        lua_pop(check->L, 1);
        stanch_check_leave(check, before);
    }
}

static void read_labels(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    (void)key;
    if (lua_istable(check->L, idx))
        add_matchers(check, idx, false, json_object_get(into, "matchers"));
    else
        stanch_check_expected(check, idx, "{ label = value, ... }");
}

/* The body of an alert at idx: its own keys by the section, all others are labels. */
static void read_alert(struct stanch_check *check, int idx, json_t *list)
{
    lua_State *L = check->L;
    json_t *alert = json_pack("{s:s, s:[]}", "kind", "alert", "matchers");
    json_t *found = json_object_get(alert, "matchers");
    size_t mistakes = json_array_size(check->errors);
    if (!lua_istable(L, idx)) {
        stanch_check_expected(check, idx, "{ label = value, ... }");
    } else {
        int own = lua_gettop(L) + 1;
        lua_newtable(L);
        for (const struct stanch_key *key = stanch_section_alert.keys; key->name; key++) {
            lua_pushstring(L, key->name);
            lua_pushvalue(L, -1);
            lua_rawget(L, idx);
            lua_rawset(L, own);
        }
        add_matchers(check, idx, true, found);
        stanch_check_section(check, own, &stanch_section_alert, false, alert);
        lua_settop(L, own - 1);
        if (lua_rawlen(L, idx) > 0)
            stanch_check_fail(check, "there is a value without a label; write it like alertname = \"X\"");
        else if (json_array_size(found) == 0 && json_array_size(check->errors) == mistakes)
            stanch_check_fail(check, "needs at least one label, or every alert would start it");
    }
    json_array_append_new(list, alert);
}

static void read_block(struct stanch_check *outer, int idx, const struct stanch_block *block, json_t *list)
{
    struct stanch_check check = *outer;
    stanch_check_block(&check, block, NULL, NULL); /* its own line; still the runbook's name */
    stanch_block_get(outer->L, idx, STANCH_BLOCK_BODY);
    read_alert(&check, lua_gettop(outer->L), list);
    lua_pop(outer->L, 1);
}

void stanch_read_on(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    static const char what[] = "alert { ... } or a list of them";
    lua_State *L = check->L;
    json_t *list = json_array();
    const struct stanch_block *block = stanch_block_at(L, idx, "alert");
    if (block)
        read_block(check, idx, block, list);
    else if (!stanch_check_is_list(L, idx))
        stanch_check_expected(check, idx, what);
    else
        for (lua_Integer i = 1; lua_rawgeti(L, idx, i) != LUA_TNIL; i++, lua_pop(L, 1)) {
            size_t before = stanch_check_enter_index(check, i);
            block = stanch_block_at(L, -1, "alert");
            if (block)
                read_block(check, lua_gettop(L), block, list);
            else
                stanch_check_expected(check, lua_gettop(L), "alert { ... }");
            stanch_check_leave(check, before);
        }
    json_object_set_new(into, key->name, list);
}

void stanch_alert_install(lua_State *L)
{
    stanch_block_word(L, "alert", false, false);
    for (size_t i = 0; i < sizeof matchers / sizeof *matchers; i++)
        stanch_block_word(L, matchers[i].word, false, false);
}
