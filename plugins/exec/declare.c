/* declare.c: the actions that the settings list, as a declaration. Their form was checked before (exec.c has the schema);
 * here is what a schema cannot say. Each text begins with the key path. */
#include "exec.h"
#include <string.h>

static const char *const steps[] = {"plan", "verify", "undo", "reconcile"};
#define STEPS (sizeof steps / sizeof *steps)

static const char *text_of(const json_t *obj, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(obj, key));
    return text ? text : otherwise;
}

static bool prints_json(const json_t *action)
{
    return strcmp(text_of(json_object_get(action, "plan"), "prints", "text"), "json") == 0;
}

bool exec_can_compare(const json_t *action)
{
    return json_object_get(action, "plan") && (json_object_get(action, "to") || prints_json(action));
}

static bool is_mitigation(const json_t *action)
{
    return strcmp(text_of(action, "effect", "mitigate"), "mitigate") == 0;
}

static bool has_op(const json_t *action, const char *op)
{
    if (strcmp(op, "verify") == 0 || strcmp(op, "reconcile") == 0)
        return json_object_get(action, op) || exec_can_compare(action);
    return strcmp(op, "plan") == 0 || strcmp(op, "apply") == 0 || json_object_get(action, op);
}

/* ---- templates ---- */

/* What a place may stand for, beside the parameters. */
struct places {
    bool has_from, has_key, has_op;
};

static const char *check_template(const json_t *action, const char *template, const char *where, struct places may)
{
    char name[SDK_PLACE_ROOM];
    const char *end;
    for (const char *at = template; sdk_next_place(at, name, &end); at = end) {
        bool is_from = strcmp(name, "from") == 0 || strncmp(name, "from.", 5) == 0;
        if (json_object_get(json_object_get(action, "params"), name) || strcmp(name, "instance") == 0)
            continue;
        if ((is_from && may.has_from) || (may.has_key && strcmp(name, "key") == 0) ||
            (may.has_op && strcmp(name, "op") == 0))
            continue;
        if (is_from || strcmp(name, "key") == 0 || strcmp(name, "op") == 0)
            return sdk_declare_why("%s: {%s} is not there%s", where, name,
                                   is_from ? ": it is what plan printed, for what comes after a plan"
                                           : " at that time");
        return sdk_declare_why("%s: {%s}: no such parameter; write {{%s} for the text itself", where, name, name);
    }
    return NULL;
}

static const char *check_list(const json_t *action, const json_t *list, const char *where, struct places may)
{
    const char *why = NULL;
    for (size_t i = 0; !why && i < json_array_size(list); i++) {
        json_t *path = json_sprintf("%s[%zu]", where, i + 1);
        why = check_template(action, json_string_value(json_array_get(list, i)), json_string_value(path), may);
        json_decref(path);
    }
    return why;
}

static const char *check_at(const json_t *action, const char *name, const char *step, const char *member,
                            struct places may)
{
    const json_t *from = *step ? json_object_get(action, step) : action, *value = json_object_get(from, member);
    json_t *path = json_sprintf("actions.%s%s%s.%s", name, *step ? "." : "", step, member);
    const char *why = NULL;
    if (json_is_array(value))
        why = check_list(action, value, json_string_value(path), may);
    else if (value)
        why = check_template(action, json_string_value(value), json_string_value(path), may);
    json_decref(path);
    return why;
}

static const char *check_templates(const json_t *action, const char *name)
{
    bool has_plan = json_object_get(action, "plan") != NULL,
         is_read = strcmp(text_of(action, "effect", ""), "read") == 0;
    struct places after = {.has_from = has_plan, .has_key = !is_read}, before = {0};
    struct places asks = {.has_from = has_plan, .has_key = true, .has_op = true};
    static const char *const shown[] = {"targets", "impact", "to"};
    const char *why = check_at(action, name, "", "args", after);
    why = why ? why : check_at(action, name, "", "by_hand", after);
    for (size_t i = 0; !why && i < sizeof shown / sizeof *shown; i++)
        why = check_at(action, name, "", shown[i], before);
    why = why ? why : check_at(action, name, "plan", "args", before);
    why = why ? why : check_at(action, name, "verify", "args", (struct places){.has_from = has_plan});
    why = why ? why : check_at(action, name, "verify", "expect", (struct places){.has_from = has_plan});
    why = why ? why : check_at(action, name, "undo", "args", after);
    why = why ? why : check_at(action, name, "undo", "by_hand", after);
    return why ? why : check_at(action, name, "reconcile", "args", asks);
}

/* ---- the environment ---- */

static bool is_variable(const char *name)
{
    size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && name[len] == '\0' && (name[0] < '0' || name[0] > '9') && strncmp(name, "LD_", 3) != 0;
}

static const char *check_env(const json_t *action, const char *name)
{
    static const char *const lists[] = {"env", "secret_env"};
    const char *key, *why = NULL;
    json_t *value;
    for (int i = 0; i < 2; i++)
        json_object_foreach(json_object_get(action, lists[i]), key, value)
        {
            const char *text = json_string_value(value);
            json_t *path = json_sprintf("actions.%s.%s.%.60s", name, lists[i], key);
            const char *where = json_string_value(path);
            if (why)
                ;
            else if (!where || !is_variable(key))
                why = sdk_declare_why("%s: no name of a variable, or one that changes how programs are loaded",
                                      where ? where : lists[i]);
            else if (i == 1 && (strncmp(text, "secret", 6) != 0 || text[6] < '1' || text[6] > '8' || text[7]))
                why = sdk_declare_why("%s: \"%.40s\" is not one of secret1 to secret8, the settings of the instance",
                                      where, text);
            else if (i == 0)
                why = check_template(action, text, where, (struct places){0});
            json_decref(path);
        }
    return why;
}

/* ---- what belongs together ---- */

static const char *check_params(const json_t *action, const char *name)
{
    static const char *const taken[] = {"from", "key", "op", "instance"};
    const char *param;
    json_t *schema;
    json_object_foreach(json_object_get(action, "params"), param, schema)
    {
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
            if (strcmp(param, taken[i]) == 0)
                return sdk_declare_why("actions.%s.params.%s: this name means something else; choose another", name,
                                       param);
        if (strlen(param) >= SDK_PLACE_ROOM ||
            param[strspn(param, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")])
            return sdk_declare_why("actions.%s.params: %.60s: a name is of a-z A-Z 0-9 _ -", name, param);
    }
    return NULL;
}

static bool uses_key(const json_t *action)
{
    const json_t *args = json_object_get(action, "args");
    for (size_t i = 0; i < json_array_size(args); i++)
        if (strstr(json_string_value(json_array_get(args, i)), "{key}"))
            return true;
    return false;
}

static const char *check_mitigation(const json_t *action, const char *name)
{
    const char *class = text_of(action, "class", "");
    if (!json_object_get(action, "risk"))
        return sdk_declare_why("actions.%s.risk: missing; a mitigation is low, medium or high", name);
    if (!json_object_get(action, "plan") == !json_object_get(action, "no_plan_because"))
        return sdk_declare_why(
            "actions.%s.plan: a command that reads how it is now, or no_plan_because with the reason "
            "why there is none, was expected: one of the two",
            name);
    if (!json_object_get(action, "undo") == !json_object_get(action, "no_undo_because"))
        return sdk_declare_why("actions.%s.undo: a command that takes it back, or no_undo_because with the reason why "
                               "there is none, was expected: one of the two",
                               name);
    if (json_object_get(action, "to") && (!json_object_get(action, "plan") || prints_json(action)))
        return sdk_declare_why(
            "actions.%s.to: it is what plan prints, as text, when it is done: for a plan of that kind", name);
    if (strcmp(class, "convergent") == 0 && !exec_can_compare(action))
        return sdk_declare_why("actions.%s.class: convergent is what sets a value whose former value was checked: give "
                               "plan (reads the value) and to (what it prints then)",
                               name);
    if (strcmp(class, "reconcilable") == 0 && !json_object_get(action, "settle_ms"))
        return sdk_declare_why("actions.%s.settle_ms: missing; reconcilable needs the time after which a read can tell",
                               name);
    if (strcmp(class, "reconcilable") == 0 && !has_op(action, "reconcile"))
        return sdk_declare_why("actions.%s.reconcile: missing; reconcilable needs a command that tells whether it "
                               "happened, or plan with to",
                               name);
    return NULL;
}

/* What only a mitigation has. */
static const char *check_other(const json_t *action, const char *name)
{
    static const char *const members[] = {
        "plan",   "to",     "verify", "undo", "reconcile", "no_plan_because", "targets", "no_undo_because",
        "impact", "by_hand"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(action, members[i]))
            return sdk_declare_why("actions.%s.%s: for the effect mitigate only", name, members[i]);
    return NULL;
}

static const char *check_action(const json_t *action, const char *name)
{
    bool is_read = strcmp(text_of(action, "effect", ""), "read") == 0;
    bool is_class = strcmp(text_of(action, "class", ""), "read-only") == 0;
    if (is_read != is_class)
        return sdk_declare_why("actions.%s.class: read-only is the class of the effect read, and of no other", name);
    if (strcmp(text_of(action, "class", ""), "idempotent") == 0 && !uses_key(action))
        return sdk_declare_why("actions.%s.class: idempotent is a command that does the same key only once: give it "
                               "{key} in args",
                               name);
    const char *why = is_mitigation(action) ? check_mitigation(action, name) : check_other(action, name);
    why = why ? why : check_params(action, name);
    why = why ? why : check_env(action, name);
    return why ? why : check_templates(action, name);
}

/* ---- the declaration ---- */

static json_t *params_of(const json_t *action, json_t *required)
{
    json_t *out = json_object(), *schema;
    const char *name;
    json_object_foreach(json_object_get(action, "params"), name, schema)
    {
        json_t *one = json_copy(schema);
        json_object_del(one, "may_be_option");
        if (!json_object_get(one, "type"))
            json_object_set_new(one, "type", json_string("string"));
        if (strcmp(text_of(one, "type", ""), "string") == 0 && !json_object_get(one, "maxLength"))
            json_object_set_new(one, "maxLength", json_integer(1000));
        json_object_set_new(out, name, one);
        json_array_append_new(required, json_string(name));
    }
    return out;
}

static json_t *ops_of(const json_t *action)
{
    json_t *ops = json_array();
    if (!is_mitigation(action))
        json_array_append_new(ops, json_string("read"));
    else
        json_array_append_new(ops, json_string("apply"));
    for (size_t i = 0; is_mitigation(action) && i < STEPS; i++)
        if (has_op(action, steps[i]))
            json_array_append_new(ops, json_string(steps[i]));
    return ops;
}

static json_t *declare_action(const json_t *action)
{
    static const char *const copied[] = {"summary", "class", "risk", "undo_risk", "no_undo_because", "settle_ms"};
    const json_t *deadline = json_object_get(action, "deadline_ms");
    json_t *required = json_array(), *params = params_of(action, required);
    json_t *out = json_pack("{s:s, s:o, s:o, s:o, s:I}", "effect", text_of(action, "effect", "mitigate"), "params",
                            params, "required", required, "ops", ops_of(action), "deadline_ms",
                            deadline ? json_integer_value(deadline) : (json_int_t)30000);
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_object_get(action, copied[i]))
            json_object_set(out, copied[i], json_object_get(action, copied[i]));
    return out;
}

const char *exec_declare(const json_t *settings, json_t **ret_more)
{
    json_t *actions = json_object(), *action;
    const char *name, *why = NULL;
    json_object_foreach(json_object_get(settings, "actions"), name, action)
    {
        if (!why && strcmp(name, "check") == 0)
            why = "actions.check: this name is taken; choose another";
        why = why ? why : check_action(action, name);
        if (!why)
            json_object_set_new(actions, name, declare_action(action));
    }
    *ret_more = json_pack("{s:o}", "actions", actions);
    return why;
}
