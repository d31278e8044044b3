/* declare_param.c: parameters of a run: `server = label "instance" { one_of = {...} }`, `percent = integer { ... }`.
 * What is declared is checked here once, as strictly as rule/params.c checks each value of a run later. */
#include "script/declare_check.h"
#include "base/json.h"
#include "base/times.h"
#include "script/value.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *word, *type;
} constructors[] = {
    {"text", "string"}, {"integer", "integer"}, {"number", "number"}, {"boolean", "boolean"}, {"duration", "duration"},
};
static const char *const type_words[] = {"text", "integer", "number", "boolean", "duration", NULL};

/* Any data; what type it must have depends on the parameter, see check_values. */
static void read_any(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    json_t *value = stanch_check_data(check, idx);
    if (value)
        json_object_set_new(into, key->name, value);
}

static void read_choices(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    if (!stanch_check_is_list(check->L, idx) || lua_rawlen(check->L, idx) == 0)
        stanch_check_expected(check, idx, "a list of values, as in { \"a\", \"b\" }");
    else
        read_any(check, idx, key, into);
}

const struct stanch_section stanch_section_param = {
    "params",
    (const struct stanch_key[]){
        {"type", NULL, stanch_read_word, type_words, NULL, false, "a type's name",
         "of label \"x\" { ... } only: text (when left out), integer, number, boolean or duration"},
        {"label", "from_label", stanch_read_text, NULL, NULL, false, "text",
         "the label of the event that gives the value; label \"x\" { ... } is text { label = \"x\" }"},
        {"one_of", NULL, read_choices, NULL, NULL, false, "list", "the values that are allowed"},
        {"pattern", NULL, stanch_read_text, NULL, NULL, false, "regular expression",
         "text only: what the whole value matches"},
        {"min", NULL, read_any, NULL, NULL, false, "of its type", "the least value; of a text: characters"},
        {"max", NULL, read_any, NULL, NULL, false, "of its type", "the greatest value; of a text: characters"},
        {"default", NULL, read_any, NULL, NULL, false, "of its type", "the value when nothing else gives one"},
        {"required", NULL, stanch_read_boolean, NULL, NULL, false, "true or false",
         "a run without a value is refused; when left out: true for a label without a default, else false"},
        {"description", NULL, stanch_read_text, NULL, NULL, false, "text",
         "what a person is told who starts it by hand"},
        {0}}};

static bool has_type(const json_t *value, const char *type)
{
    int64_t ms;
    if (strcmp(type, "string") == 0)
        return json_is_string(value);
    if (strcmp(type, "integer") == 0)
        return json_is_integer(value);
    if (strcmp(type, "number") == 0)
        return json_is_number(value);
    if (strcmp(type, "boolean") == 0)
        return json_is_boolean(value);
    return json_is_string(value) && stanch_duration_parse(json_string_value(value), &ms, NULL) == 0;
}

static const char *type_text(const char *type)
{
    return strcmp(type, "string") == 0    ? "text"
           : strcmp(type, "integer") == 0 ? "a whole number"
           : strcmp(type, "number") == 0  ? "a number"
           : strcmp(type, "boolean") == 0 ? "true or false"
                                          : "a duration like \"15s\"";
}

static bool check_type(struct stanch_check *check, const json_t *value, const char *type)
{
    if (!value || has_type(value, type))
        return true;
    char *shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    stanch_check_fail(check, "expected %s, not %.60s", type_text(type), shown);
    free(shown);
    return false;
}

/* min and max as numbers: of a duration milliseconds, of a text characters. */
static void check_bound(struct stanch_check *check, json_t *param, const char *name, const char *type)
{
    json_t *value = json_object_get(param, name);
    int64_t ms = 0;
    size_t before = stanch_check_enter(check, name);
    if (value && strcmp(type, "boolean") == 0)
        stanch_check_fail(check, "true and false have no order");
    else if (check_type(check, value, strcmp(type, "string") == 0 ? "integer" : type) && value &&
             strcmp(type, "duration") == 0 && stanch_duration_parse(json_string_value(value), &ms, NULL) == 0)
        json_object_set_new(param, name, json_integer(ms));
    stanch_check_leave(check, before);
}

static double as_number(const json_t *value, const char *type)
{
    int64_t ms = 0;
    if (strcmp(type, "duration") == 0 && json_is_string(value)) {
        (void)stanch_duration_parse(json_string_value(value), &ms, NULL);
        return (double)ms;
    }
    if (strcmp(type, "string") == 0 && json_is_string(value)) {
        double characters = 0;
        for (const char *p = json_string_value(value); *p; p++)
            characters += ((unsigned char)*p & 0xC0) != 0x80;
        return characters;
    }
    return json_number_value(value);
}

static bool is_among(const json_t *list, const json_t *value)
{
    size_t i;
    json_t *each;
    json_array_foreach((json_t *)(uintptr_t)list, i, each)
    {
        bool numbers = json_is_number(each) && json_is_number(value);
        if (numbers ? json_number_value(each) == json_number_value(value) : json_equal(each, value))
            return true;
    }
    return false;
}

/* A default, or a choice: within min and max? */
static void check_bounds(struct stanch_check *check, const json_t *param, const json_t *value, const char *type)
{
    const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
    if (!value || strcmp(type, "boolean") == 0)
        return;
    if (json_is_number(min) && as_number(value, type) < json_number_value(min))
        stanch_check_fail(check, "is below min");
    if (json_is_number(max) && as_number(value, type) > json_number_value(max))
        stanch_check_fail(check, "is above max");
}

static void check_choices(struct stanch_check *check, const json_t *param, const char *type)
{
    const json_t *choices = json_object_get(param, "one_of");
    size_t i, before = stanch_check_enter(check, "one_of");
    json_t *each;
    json_array_foreach((json_t *)(uintptr_t)choices, i, each)
    {
        size_t inner = stanch_check_enter_index(check, (lua_Integer)i + 1);
        if (check_type(check, each, type))
            check_bounds(check, param, each, type);
        stanch_check_leave(check, inner);
    }
    stanch_check_leave(check, before);
}

static void check_values(struct stanch_check *check, json_t *param, const char *type)
{
    json_t *value = json_object_get(param, "default");
    const json_t *choices = json_object_get(param, "one_of");
    check_bound(check, param, "min", type); /* brings them into one form */
    check_bound(check, param, "max", type);
    const json_t *min = json_object_get(param, "min"), *max = json_object_get(param, "max");
    if (json_is_number(min) && json_is_number(max) && json_number_value(min) > json_number_value(max))
        stanch_check_fail(check, "min is above max: no value would be allowed");
    check_choices(check, param, type);
    size_t before = stanch_check_enter(check, "default");
    if (check_type(check, value, type)) {
        check_bounds(check, param, value, type);
        if (value && choices && !is_among(choices, value))
            stanch_check_fail(check, "is not among one_of");
    }
    stanch_check_leave(check, before);
    if (json_object_get(param, "pattern") && strcmp(type, "string") != 0) {
        before = stanch_check_enter(check, "pattern");
        stanch_check_fail(check, "a pattern is for text only");
        stanch_check_leave(check, before);
    }
}

static const char *type_of_word(const char *word)
{
    for (size_t i = 0; i < sizeof constructors / sizeof *constructors; i++)
        if (strcmp(constructors[i].word, word) == 0)
            return constructors[i].type;
    return NULL;
}

/* The label of `label "x" { ... }`, which stands in front. */
static void read_label_name(struct stanch_check *check, int idx, json_t *param)
{
    stanch_block_get(check->L, idx, STANCH_BLOCK_NAME);
    const char *label =
        stanch_check_text(check, lua_gettop(check->L), "the name of a label, as in label \"instance\" {}");
    if (label && json_object_get(param, "from_label"))
        stanch_check_fail(check, "the label is named twice");
    if (label)
        json_object_set_new(param, "from_label", json_string(label));
    lua_pop(check->L, 1);
}

/* Can an event give it a value? */
static void check_source(struct stanch_check *check, json_t *param)
{
    bool from_label = json_object_get(param, "from_label"), has_default = json_object_get(param, "default");
    if (!json_object_get(param, "required"))
        json_object_set_new(param, "required", json_boolean(from_label && !has_default));
    if (json_is_true(json_object_get(param, "required")) && !from_label && !has_default)
        stanch_check_warn(check,
                          "it is required, but no label and no default gives it a value: no alert can start this "
                          "runbook, only a person who gives one");
}

/* The block of a parameter at idx. */
static void read_param(struct stanch_check *outer, int idx, const struct stanch_block *block, const char *name,
                       json_t *into)
{
    lua_State *L = outer->L;
    int top = lua_gettop(L);
    struct stanch_check check = *outer;
    json_t *param = json_object();
    bool is_label = strcmp(block->word, "label") == 0;
    stanch_check_block(&check, block, NULL, NULL);
    stanch_block_get(L, idx, STANCH_BLOCK_BODY);
    if (lua_isnil(L, -1)) { /* label "x" alone: nothing more to say */
        lua_newtable(L);
        lua_replace(L, top + 1);
    }
    stanch_check_section(&check, top + 1, &stanch_section_param, false, param);
    if (is_label)
        read_label_name(&check, idx, param);
    const char *declared = stanch_json_str(param, "type", NULL);
    if (declared && !is_label) {
        size_t before = stanch_check_enter(&check, "type");
        stanch_check_fail(&check, "%s { ... } has its type already", block->word);
        stanch_check_leave(&check, before);
    }
    const char *type = type_of_word(!is_label ? block->word : declared ? declared : "text");
    check_values(&check, param, type);
    check_source(&check, param);
    json_object_set_new(param, "type", json_string(type));
    json_object_set_new(into, name, param);
    lua_settop(L, top);
}

static bool is_identifier(const char *text)
{
    bool good = isalpha((unsigned char)*text) || *text == '_';
    for (const char *p = text; *p; p++)
        good = good && (isalnum((unsigned char)*p) || *p == '_');
    return good && strlen(text) <= 60;
}

void stanch_read_params(struct stanch_check *check, int idx, const struct stanch_key *key, json_t *into)
{
    lua_State *L = check->L;
    const char *names[64];
    json_t *params = json_object();
    if (!lua_istable(L, idx) || lua_rawlen(L, idx) > 0)
        stanch_check_expected(check, idx, "{ name = label \"x\" { ... }, ... }");
    else
        for (size_t i = 0, count = stanch_check_keys(L, idx, names, 64); i < count; i++, lua_pop(L, 1)) {
            size_t before = stanch_check_enter(check, names[i]);
            lua_pushstring(L, names[i]);
            lua_rawget(L, idx);
            const struct stanch_block *block = stanch_block_at(L, -1, NULL);
            if (!is_identifier(names[i]))
                stanch_check_fail(check, "a parameter's name is letters, digits and _, so that p.name reads it");
            else if (block && (type_of_word(block->word) || strcmp(block->word, "label") == 0))
                read_param(check, lua_gettop(L), block, names[i], params);
            else
                stanch_check_expected(check, lua_gettop(L),
                                      "label \"x\" { ... }, text {}, integer {}, number {}, boolean {} or duration {}");
            stanch_check_leave(check, before);
        }
    json_object_set_new(into, key->name, params);
}

void stanch_param_install(lua_State *L)
{
    for (size_t i = 0; i < sizeof constructors / sizeof *constructors; i++)
        stanch_block_word(L, constructors[i].word, false, false);
    stanch_block_word(L, "label", true, false);
}
