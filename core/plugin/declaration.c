/* declaration.c: check what a plugin says about itself, and fill what it left out. */
#include "plugin/declaration.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/schema.h"
#include "plugin/suggest.h"
#include <stdio.h>
#include <string.h>

#define DEFAULT_DEADLINE_MS 10000
#define MAX_ACTIONS         200

/* A member of an object in a declaration: its name and the first letters of the types it may have. */
struct member {
    const char *name;
    char type; /* s text, i count, o object, a array of text */
    bool is_required;
};

static const struct member top_members[] = {
    {"name", 's', true},     {"version", 's', true},  {"summary", 's', false}, {"settings", 'o', false},
    {"actions", 'o', false}, {"sources", 'o', false}, {"check", 'o', false},   {"needs", 'a', false},
};
static const struct member action_members[] = {
    {"summary", 's', true},    {"effect", 's', true},     {"class", 's', true},     {"risk", 's', false},
    {"undo_risk", 's', false}, {"params", 'o', false},    {"required", 'a', false}, {"deadline_ms", 'i', false},
    {"settle_ms", 'i', false}, {"verify_ms", 'i', false}, {"ops", 'a', false},      {"no_undo_because", 's', false},
};
static const struct member source_members[] = {{"summary", 's', true}};
static const struct member check_op_members[] = {{"summary", 's', true}, {"deadline_ms", 'i', false}};

static const char *const effects[] = {"read", "mitigate", "notify", NULL};
static const char *const classes[] = {"read-only", "convergent", "idempotent", "reconcilable", "unprotected", NULL};
static const char *const risks[] = {"low", "medium", "high", NULL};
static const char *const needs[] = {"state", NULL};
static const char *const ops[] = {"plan", "apply", "verify", "undo", "reconcile", "read", NULL};

static bool is_type(char type, const json_t *value)
{
    size_t i;
    json_t *one;
    if (type == 'a') {
        if (!json_is_array(value))
            return false;
        json_array_foreach((json_t *)(uintptr_t)value, i, one) if (!json_is_string(one)) return false;
        return true;
    }
    return (type == 's' && json_string_length(value) > 0) || (type == 'o' && json_is_object(value)) ||
           (type == 'i' && json_is_integer(value) && json_integer_value(value) >= 0);
}

static const char *type_text(char type)
{
    return type == 's'   ? "a text that is not empty"
           : type == 'i' ? "a count of milliseconds"
           : type == 'a' ? "an array of texts"
                         : "an object";
}

/* Every member known and of its type, every required one there. prefix: "actions.drain." or "". */
static int check_members(const json_t *obj, const struct member *members, size_t count, const char *prefix,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *known = json_object();
    const char *key;
    json_t *value;
    for (size_t i = 0; i < count; i++) {
        value = json_object_get(obj, members[i].name);
        json_object_set_new(known, members[i].name, json_true());
        if (!value && members[i].is_required)
            return stanch_err_set(err, STANCH_E_INVALID, "%s%s: missing; %s was expected", prefix, members[i].name,
                                  type_text(members[i].type));
        if (value && !is_type(members[i].type, value))
            return stanch_err_set(err, STANCH_E_INVALID, "%s%s: %s was expected", prefix, members[i].name,
                                  type_text(members[i].type));
    }
    json_object_foreach((json_t *)(uintptr_t)obj, key, value)
    {
        char near[400];
        if (json_object_get(known, key))
            continue;
        stanch_suggest_text(known, key, near);
        return stanch_err_set(err, STANCH_E_INVALID, "%s%s: no such member of a declaration%s", prefix, key, near);
    }
    return 0;
}

static bool is_one_of(const char *const *words, const char *word)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static int check_word(const json_t *obj, const char *key, const char *const *words, const char *prefix,
                      struct stanch_err *err)
{
    const char *word = stanch_json_str(obj, key, NULL);
    STANCH_AUTO_BUF struct stanch_buf list = {0};
    if (!word || is_one_of(words, word))
        return 0;
    for (const char *const *w = words; *w; w++)
        stanch_buf_printf(&list, "%s%s", list.len ? ", " : "", *w);
    return stanch_err_set(err, STANCH_E_INVALID, "%s%s: \"%s\" is not one of %s", prefix, key, word,
                          stanch_buf_str(&list));
}

/* Names stand in runbooks, paths and texts: a letter, then letters, digits, _ and -. */
static bool is_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return name[0] >= 'a' && name[0] <= 'z' && name[len] == '\0' && len <= 64;
}

static bool has_op(const json_t *action, const char *op)
{
    const json_t *list = json_object_get(action, "ops");
    size_t i;
    json_t *one;
    if (!list)
        return strcmp(op, "read") == 0 && strcmp(stanch_json_str(action, "effect", ""), "mitigate") != 0;
    json_array_foreach((json_t *)(uintptr_t)list, i, one) if (strcmp(json_string_value(one), op) == 0) return true;
    return false;
}

static int check_ops(const json_t *action, const char *prefix, struct stanch_err *err)
{
    const char *effect = stanch_json_str(action, "effect", ""), *class = stanch_json_str(action, "class", "");
    size_t i;
    json_t *one;
    json_array_foreach(
        json_object_get(action, "ops"), i,
        one) if (!is_one_of(ops, json_string_value(one))) return stanch_err_set(err, STANCH_E_INVALID,
                                                                                "%sops: \"%s\" is not one of "
                                                                                "plan, apply, verify, undo, "
                                                                                "reconcile, read",
                                                                                prefix, json_string_value(one));
    if (strcmp(effect, "mitigate") != 0) {
        if (!has_op(action, "read"))
            return stanch_err_set(err, STANCH_E_INVALID, "%sops: an action whose effect is %s needs read", prefix,
                                  effect);
        if (has_op(action, "apply") || has_op(action, "undo"))
            return stanch_err_set(err, STANCH_E_INVALID, "%sops: apply and undo are for the effect mitigate", prefix);
    } else {
        if (!has_op(action, "plan") || !has_op(action, "apply"))
            return stanch_err_set(err, STANCH_E_INVALID, "%sops: a mitigation needs plan and apply", prefix);
        if (!has_op(action, "undo") && !json_object_get(action, "no_undo_because"))
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "%sops: a mitigation needs undo, or \"no_undo_because\" with "
                                  "the reason why it has none",
                                  prefix);
    }
    if (strcmp(class, "reconcilable") == 0 && (!has_op(action, "reconcile") || !json_object_get(action, "settle_ms")))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%sclass: reconcilable needs the op reconcile, and settle_ms: the "
                              "time after which it can tell",
                              prefix);
    return 0;
}

static int check_class(const json_t *action, const char *prefix, struct stanch_err *err)
{
    bool is_read = strcmp(stanch_json_str(action, "effect", ""), "read") == 0;
    bool is_read_only = strcmp(stanch_json_str(action, "class", ""), "read-only") == 0;
    if (is_read != is_read_only)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%sclass: read-only is the class of the effect read, and of no "
                              "other",
                              prefix);
    if (strcmp(stanch_json_str(action, "effect", ""), "mitigate") == 0 && !json_object_get(action, "risk"))
        return stanch_err_set(err, STANCH_E_INVALID, "%srisk: missing; a mitigation is low, medium or high", prefix);
    return 0;
}

static int check_params(const json_t *action, const char *prefix, struct stanch_err *err)
{
    const json_t *params = json_object_get(action, "params");
    const char *name;
    size_t i;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)params, name, value)
    {
        STANCH_AUTO_FREE char *where = stanch_asprintf("%sparams.%s", prefix, name);
        int rc = stanch_schema_load(value, where, err);
        if (rc < 0)
            return rc;
    }
    json_array_foreach(
        json_object_get(action, "required"), i,
        value) if (!json_object_get(params,
                                    json_string_value(
                                        value))) return stanch_err_set(err, STANCH_E_INVALID,
                                                                       "%srequired: \"%s\" is not in params", prefix,
                                                                       json_string_value(value));
    return 0;
}

static int check_action(const char *name, const json_t *action, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *prefix = stanch_asprintf("actions.%s.", name);
    int rc = 0;
    if (!is_name(name))
        return stanch_err_set(err, STANCH_E_INVALID, "actions: \"%s\" is no name: a-z, 0-9, _ and -, a letter first",
                              name);
    if (!json_is_object(action))
        return stanch_err_set(err, STANCH_E_INVALID, "actions.%s: an object was expected", name);
    rc = check_members(action, action_members, sizeof action_members / sizeof *action_members, prefix, err);
    rc = rc ? rc : check_word(action, "effect", effects, prefix, err);
    rc = rc ? rc : check_word(action, "class", classes, prefix, err);
    rc = rc ? rc : check_word(action, "risk", risks, prefix, err);
    rc = rc ? rc : check_word(action, "undo_risk", risks, prefix, err);
    rc = rc ? rc : check_class(action, prefix, err);
    rc = rc ? rc : check_ops(action, prefix, err);
    return rc ? rc : check_params(action, prefix, err);
}

static int check_sources(const json_t *sources, struct stanch_err *err)
{
    const char *name;
    json_t *source;
    json_object_foreach((json_t *)(uintptr_t)sources, name, source)
    {
        STANCH_AUTO_FREE char *prefix = stanch_asprintf("sources.%s.", name);
        if (!is_name(name) || !json_is_object(source))
            return stanch_err_set(err, STANCH_E_INVALID, "sources.%s: a name and an object were expected", name);
        int rc = check_members(source, source_members, 1, prefix, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* The operation check, and what the host has to give beside the services. */
static int check_rest(const json_t *declaration, struct stanch_err *err)
{
    const json_t *check = json_object_get(declaration, "check");
    size_t i;
    json_t *one;
    int rc = check ? check_members(check, check_op_members, sizeof check_op_members / sizeof *check_op_members,
                                   "check.", err)
                   : 0;
    json_array_foreach(json_object_get(declaration, "needs"), i, one)
    {
        if (rc == 0 && !is_one_of(needs, json_string_value(one)))
            rc = stanch_err_set(err, STANCH_E_INVALID, "needs: \"%s\" is not \"state\"", json_string_value(one));
    }
    return rc;
}

static int check_setting_schemas(const json_t *settings, struct stanch_err *err)
{
    const char *name;
    json_t *setting;
    json_object_foreach((json_t *)(uintptr_t)settings, name, setting)
    {
        STANCH_AUTO_FREE char *where = stanch_asprintf("settings.%s", name);
        int rc = stanch_schema_load(setting, where, err);
        if (rc < 0)
            return rc;
        if (stanch_json_bool(setting, "secret", false) && strcmp(stanch_json_str(setting, "type", ""), "string") != 0)
            return stanch_err_set(err, STANCH_E_INVALID, "%s.type: a secret is a string", where);
        bool is_key = strcmp(stanch_json_str(setting, "format", ""), "client-key") == 0;
        if (is_key && !stanch_json_bool(setting, "secret", false))
            return stanch_err_set(err, STANCH_E_INVALID, "%s.secret: a client-key is a secret", where);
    }
    return 0;
}

int stanch_declaration_check(const json_t *declaration, struct stanch_err *err)
{
    const json_t *actions = json_object_get(declaration, "actions");
    const char *name;
    json_t *action;
    if (!json_is_object(declaration))
        return stanch_err_set(err, STANCH_E_INVALID, "the declaration is not a JSON object");
    int rc = check_members(declaration, top_members, sizeof top_members / sizeof *top_members, "", err);
    if (rc == 0 && !is_name(stanch_json_str(declaration, "name", "")))
        rc = stanch_err_set(err, STANCH_E_INVALID, "name: a-z, 0-9, _ and -, a letter first");
    if (rc == 0 && json_object_size(actions) > MAX_ACTIONS)
        rc = stanch_err_set(err, STANCH_E_INVALID, "actions: more than %d", MAX_ACTIONS);
    if (rc == 0 && json_object_size(actions) + json_object_size(json_object_get(declaration, "sources")) == 0 &&
        !json_object_get(declaration, "check"))
        rc = stanch_err_set(err, STANCH_E_INVALID, "actions: a plugin needs an action, a source or a check");
    rc = rc ? rc : check_rest(declaration, err);
    rc = rc ? rc : check_setting_schemas(json_object_get(declaration, "settings"), err);
    rc = rc ? rc : check_sources(json_object_get(declaration, "sources"), err);
    if (rc == 0)
        json_object_foreach((json_t *)(uintptr_t)actions, name,
                            action) if ((rc = check_action(name, action, err)) < 0) return rc;
    return rc;
}

/* ---- the filled form ---- */

static json_t *fill_action(const json_t *action)
{
    json_t *out = json_object(), *has = json_object(), *schema = json_object();
    static const char *const texts[] = {"effect", "class", "summary", "undo_risk", "no_undo_because", NULL};
    for (const char *const *key = texts; *key; key++)
        stanch_json_set_str(out, *key, stanch_json_str(action, *key, NULL));
    json_object_set_new(out, "risk", json_string(stanch_json_str(action, "risk", "low")));
    const json_t *params = json_object_get(action, "params"), *required = json_object_get(action, "required");
    json_object_set_new(schema, "type", json_string("object"));
    json_object_set_new(schema, "properties", params ? json_deep_copy(params) : json_object());
    json_object_set_new(schema, "required", required ? json_deep_copy(required) : json_array());
    json_object_set_new(out, "params", schema);
    for (const char *const *op = ops; *op; op++)
        if (has_op(action, *op))
            json_object_set_new(has, *op, json_true());
    json_object_set_new(out, "has", has);
    json_object_set_new(out, "deadline_ms", json_integer(stanch_json_int(action, "deadline_ms", DEFAULT_DEADLINE_MS)));
    json_object_set_new(out, "settle_ms", json_integer(stanch_json_int(action, "settle_ms", 0)));
    json_object_set_new(out, "verify_ms", json_integer(stanch_json_int(action, "verify_ms", 0)));
    return out;
}

json_t *stanch_declaration_actions(const json_t *declaration)
{
    json_t *out = json_object(), *action;
    const char *name;
    json_object_foreach(json_object_get(declaration, "actions"), name, action)
        json_object_set_new(out, name, fill_action(action));
    return out;
}

/* ---- settings ---- */

static bool is_required(const json_t *setting)
{
    return json_is_true(json_object_get(setting, "required"));
}

json_t *stanch_declaration_settings_schema(const json_t *declaration)
{
    json_t *properties = json_object(), *required = json_array(), *setting;
    const char *name;
    json_object_foreach(json_object_get(declaration, "settings"), name, setting)
    {
        if (stanch_json_bool(setting, "secret", false))
            continue;
        json_object_set(properties, name, setting);
        if (is_required(setting))
            json_array_append_new(required, json_string(name));
    }
    return json_pack("{s:s, s:o, s:o}", "type", "object", "properties", properties, "required", required);
}

/* What was given as a secret must be declared as one, and the other way round. */
static int check_secrets(const json_t *declared, const json_t *settings, const json_t *secrets, struct stanch_err *err)
{
    const char *name;
    json_t *value;
    char near[400];
    json_object_foreach((json_t *)(uintptr_t)secrets, name, value)
    {
        const json_t *setting = json_object_get(declared, name);
        stanch_suggest_text(declared, name, near);
        if (!setting)
            return stanch_err_set(err, STANCH_E_INVALID, "settings.%s: no such setting%s", name, near);
        if (!stanch_json_bool(setting, "secret", false))
            return stanch_err_set(err, STANCH_E_INVALID, "settings.%s: this setting is not a secret; write its value",
                                  name);
    }
    json_object_foreach((json_t *)(uintptr_t)declared, name, value)
    {
        if (!stanch_json_bool(value, "secret", false))
            continue;
        if (json_object_get(settings, name))
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "settings.%s: this is a secret; write secret.file \"/path\" or "
                                  "secret.env \"NAME\", never its value",
                                  name);
        if (is_required(value) && !json_object_get(secrets, name))
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "settings.%s: missing; a secret was expected (secret.file or "
                                  "secret.env)%s%s",
                                  name, json_object_get(value, "summary") ? ": " : "",
                                  stanch_json_str(value, "summary", ""));
    }
    return 0;
}

static int check_format(void *ctx, const char *format, const char *text, const char *where, struct stanch_err *err)
{
    (void)ctx;
    if (strcmp(format, "url") == 0 && strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s: \"%s\" is no URL; http://HOST[:PORT][/PATH] or https:// was "
                              "expected",
                              where, text);
    if (strcmp(format, "address") == 0 && strncmp(text, "unix:/", 6) != 0 &&
        (strncmp(text, "tcp:", 4) != 0 || !strchr(text + 4, ':')))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s: \"%s\" is no address; unix:/PATH or tcp:HOST:PORT was "
                              "expected",
                              where, text);
    if (strcmp(format, "url") != 0 && strcmp(format, "address") != 0 && text[0] != '/')
        return stanch_err_set(err, STANCH_E_INVALID, "%s: \"%s\" is no absolute path", where, text);
    return 0;
}

int stanch_declaration_check_settings(const json_t *declaration, const json_t *settings, const json_t *secrets,
                                      struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *schema = stanch_declaration_settings_schema(declaration);
    STANCH_AUTO_JSON json_t *none = json_object();
    const json_t *declared = json_object_get(declaration, "settings");
    int rc = check_secrets(declared ? declared : none, settings, secrets, err);
    rc = rc ? rc : stanch_schema_check(schema, settings, "settings", "setting", err);
    return rc ? rc : stanch_schema_each_format(schema, settings, "settings", check_format, NULL, err);
}
