/* declare.c: the actions that the settings list, as a declaration. Their form was checked before (http.c has the schema);
 * here is what a schema cannot say. Each text begins with the key path. */
#include "http.h"
#include <string.h>
#include <strings.h>

static const char *text_of(const json_t *obj, const char *key, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(obj, key));
    return text ? text : otherwise;
}

static bool has(const json_t *obj, const char *key)
{
    return json_object_get(obj, key) != NULL;
}

bool http_is_word(const json_t *action, const char *member, const char *word)
{
    return strcmp(text_of(action, member, ""), word) == 0;
}

static bool is_mitigation(const json_t *action)
{
    return strcmp(text_of(action, "effect", "mitigate"), "mitigate") == 0;
}

/* ---- places ---- */

/* What a place may stand for, beside the parameters. */
struct places {
    bool has_from, has_key;
};

static const char *check_text(const json_t *action, const char *text, const char *where, struct places may)
{
    char name[SDK_PLACE_ROOM];
    const char *end;
    for (const char *at = text; sdk_next_place(at, name, &end); at = end) {
        bool is_from = strcmp(name, "from") == 0 || strncmp(name, "from.", 5) == 0;
        if (has(json_object_get(action, "params"), name) || strcmp(name, "instance") == 0 ||
            (is_from && may.has_from) || (may.has_key && strcmp(name, "key") == 0))
            continue;
        if (is_from)
            return sdk_declare_why("%s: {%s} is not there: it is what read gave, for what comes after it", where, name);
        if (strcmp(name, "key") == 0)
            return sdk_declare_why("%s: {key} is not there: it is for requests that change something", where);
        return sdk_declare_why("%s: {%s}: no such parameter; write {{%s} for the text itself", where, name, name);
    }
    return NULL;
}

/* All texts of a JSON value. */
static const char *check_json(const json_t *action, const json_t *value, const char *where, struct places may)
{
    const char *key, *why = NULL;
    json_t *one;
    size_t i;
    if (json_is_string(value))
        return check_text(action, json_string_value(value), where, may);
    json_array_foreach((json_t *)(uintptr_t)value, i, one)
    {
        json_t *path = json_sprintf("%s[%zu]", where, i + 1);
        why = why ? why : check_json(action, one, json_string_value(path), may);
        json_decref(path);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, one)
    {
        json_t *path = json_sprintf("%s.%s", where, key);
        why = why ? why : check_json(action, one, json_string_value(path), may);
        json_decref(path);
    }
    return why;
}

/* ---- requests ---- */

static const char *check_path(const json_t *action, const char *path, const char *where, struct places may)
{
    for (const char *p = path; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f || strchr("?#\\", *p))
            return sdk_declare_why("%s: a path without blanks, ?, # and \\ was expected; a query goes into query",
                                   where);
    for (const char *at = path; *at == '/';) {
        size_t len = strcspn(++at, "/");
        if ((len == 0 && at[len]) || (len > 0 && len <= 2 && strspn(at, ".") >= len))
            return sdk_declare_why("%s: an empty segment, . and .. would be another path than the one that is written",
                                   where);
        at += len;
    }
    return check_text(action, path, where, may);
}

static const char *check_query(const json_t *action, const json_t *query, const char *where, struct places may)
{
    const char *name;
    json_t *value;
    json_object_foreach(
        (json_t *)(uintptr_t)query, name,
        value) if (json_is_array(value) || json_is_object(value) ||
                   json_is_null(value)) return sdk_declare_why("%s.%s: a text, a number, true or false was expected",
                                                               where, name);
    return check_json(action, query, where, may);
}

static const char *check_member(const json_t *action, const char *name, const char *step, const char *member,
                                struct places may)
{
    const json_t *own = *step ? json_object_get(action, step) : action, *value = json_object_get(own, member);
    json_t *path = json_sprintf("actions.%s.%s%s%s", name, step, *step ? "." : "", member);
    const char *where = json_string_value(path), *why = NULL;
    if (value && strcmp(member, "path") == 0)
        why = check_path(action, json_string_value(value), where, may);
    else if (value && strcmp(member, "query") == 0)
        why = check_query(action, value, where, may);
    else if (value && strcmp(member, "json") == 0 && strcmp(step, "read") == 0 && !http_is_word(own, "method", "POST"))
        why = sdk_declare_why("%s: a GET has no body; method = \"POST\" has", where);
    else if (value)
        why = check_json(action, value, where, may);
    json_decref(path);
    return why;
}

static const char *check_step(const json_t *action, const char *name, const char *step, struct places may)
{
    static const char *const members[] = {"path", "query", "json", "equals", "by_hand"};
    const char *why = NULL;
    for (size_t i = 0; !why && i < sizeof members / sizeof *members; i++)
        why = check_member(action, name, step, members[i], may);
    return why;
}

static const char *check_places(const json_t *action, const char *name)
{
    bool has_read = has(action, "read");
    struct places none = {0}, after = {.has_from = has_read}, change = {.has_from = has_read, .has_key = true};
    const char *why = check_step(action, name, "read", none);
    why = why ? why : check_step(action, name, "apply", change);
    why = why ? why : check_step(action, name, "undo", change);
    why = why ? why : check_step(action, name, "verify", after);
    why = why ? why : check_member(action, name, "", "to", none);
    why = why ? why : check_member(action, name, "", "targets", none);
    return why ? why : check_member(action, name, "", "impact", after);
}

/* ---- headers ---- */

static bool is_token(const char *name)
{
    return *name && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")];
}

static const char *check_header(const char *name, const char *where, bool is_secret)
{
    static const char *const own[] = {"host",     "content-length", "transfer-encoding", "connection", "content-type",
                                      "if-match", "expect"};
    if (!is_token(name))
        return sdk_declare_why("%s: no name of a header", where);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcasecmp(name, own[i]) == 0)
            return sdk_declare_why("%s: this header is made by stanch", where);
    if (!is_secret && strcasecmp(name, "authorization") == 0)
        return sdk_declare_why("%s: what is secret is not written into the configuration: token, user and password, or "
                               "secret_headers",
                               where);
    return NULL;
}

static const char *check_headers(const json_t *settings)
{
    static const char *const lists[] = {"headers", "secret_headers"};
    const char *name, *why = NULL;
    json_t *value;
    for (int i = 0; i < 2; i++)
        json_object_foreach(json_object_get(settings, lists[i]), name, value)
        {
            json_t *path = json_sprintf("%s.%.80s", lists[i], name);
            const char *text = json_is_string(value) ? json_string_value(value) : text_of(value, "before", "");
            why = why ? why : check_header(name, json_string_value(path), i == 1);
            for (const char *p = text; !why && *p; p++)
                if ((unsigned char)*p < ' ' || *p == 0x7f)
                    why = sdk_declare_why("%s: a line break or another control character is refused",
                                          json_string_value(path));
            json_decref(path);
        }
    return why;
}

/* ---- what belongs together ---- */

static const char *check_params(const json_t *action, const char *name)
{
    static const char *const taken[] = {"from", "key", "instance"};
    const char *param;
    json_t *schema;
    json_object_foreach(json_object_get(action, "params"), param, schema)
    {
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
            if (strcmp(param, taken[i]) == 0)
                return sdk_declare_why("actions.%s.params.%s: this name means something else; choose another", name,
                                       param);
        if (strlen(param) >= SDK_PLACE_ROOM || !is_token(param) || strchr(param, '.'))
            return sdk_declare_why("actions.%s.params: %.60s: a name is of a-z A-Z 0-9 _ -", name, param);
    }
    return NULL;
}

static bool has_key(const json_t *value)
{
    const char *key;
    json_t *one;
    size_t i;
    if (json_is_string(value))
        return strstr(json_string_value(value), "{key}") != NULL;
    json_array_foreach((json_t *)(uintptr_t)value, i, one) if (has_key(one)) return true;
    json_object_foreach((json_t *)(uintptr_t)value, key, one) if (has_key(one)) return true;
    return false;
}

static const char *check_class(const json_t *action, const char *name)
{
    bool is_read = http_is_word(action, "effect", "read");
    if (is_read != http_is_word(action, "class", "read-only"))
        return sdk_declare_why("actions.%s.class: read-only is the class of the effect read, and of no other", name);
    if (http_is_word(action, "class", "idempotent") && !has(action, "key_header") &&
        !has_key(json_object_get(action, "apply")))
        return sdk_declare_why("actions.%s.class: idempotent is a remote that does the same key only once: give it the "
                               "key (key_header, or {key} in apply)",
                               name);
    if (http_is_word(action, "class", "convergent") && !has(action, "read"))
        return sdk_declare_why("actions.%s.class: convergent is what sets a value whose former value was checked: give "
                               "read and to",
                               name);
    if (http_is_word(action, "class", "reconcilable") && (!has(action, "read") || !has(action, "settle_ms")))
        return sdk_declare_why("actions.%s.class: reconcilable needs read and to, and settle_ms, the time after which "
                               "that read can tell",
                               name);
    return NULL;
}

static const char *check_mitigation(const json_t *action, const char *name)
{
    const json_t *verify = json_object_get(action, "verify");
    if (!has(action, "risk"))
        return sdk_declare_why("actions.%s.risk: missing; a mitigation is low, medium or high", name);
    if (!has(action, "apply"))
        return sdk_declare_why("actions.%s.apply: missing; the request that changes it was expected", name);
    if (has(action, "read") == has(action, "no_read_because"))
        return sdk_declare_why(
            "actions.%s.read: a request that reads the value, or no_read_because with the reason why "
            "there is none, was expected: one of the two",
            name);
    if (has(action, "undo") == has(action, "no_undo_because"))
        return sdk_declare_why("actions.%s.undo: a request that takes it back, or no_undo_because with the reason why "
                               "there is none, was expected: one of the two",
                               name);
    if (has(action, "read") != has(action, "to"))
        return sdk_declare_why("actions.%s.to: read and to belong together: to is the value that is read when it is "
                               "done",
                               name);
    if (has(action, "if_match") && !has(action, "read"))
        return sdk_declare_why("actions.%s.if_match: only with read, whose answer has the ETag", name);
    if (verify && !has(action, "read") && (!has(verify, "path") || !has(verify, "equals")))
        return sdk_declare_why("actions.%s.verify: without read it needs path and equals", name);
    if (has(action, "key_header"))
        return check_header(text_of(action, "key_header", ""), "key_header", false);
    return NULL;
}

/* What only a mitigation has. */
static const char *check_other(const json_t *action, const char *name)
{
    static const char *const members[] = {"no_read_because", "to",      "verify",   "undo",  "risk", "undo_risk",
                                          "no_undo_because", "targets", "if_match", "impact"};
    const char *own = http_is_word(action, "effect", "read") ? "read" : "apply";
    const char *other = strcmp(own, "read") == 0 ? "apply" : "read";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (has(action, members[i]))
            return sdk_declare_why("actions.%s.%s: for the effect mitigate only", name, members[i]);
    if (!has(action, own) || has(action, other))
        return sdk_declare_why("actions.%s.%s: the request was expected, and no %s", name, own, other);
    return NULL;
}

static const char *check_action(const json_t *action, const char *name)
{
    const char *why = check_class(action, name);
    why = why ? why : is_mitigation(action) ? check_mitigation(action, name) : check_other(action, name);
    why = why ? why : check_params(action, name);
    return why ? why : check_places(action, name);
}

/* ---- the declaration ---- */

static json_t *params_of(const json_t *action, json_t *required)
{
    json_t *out = json_object(), *schema;
    const char *name;
    json_object_foreach(json_object_get(action, "params"), name, schema)
    {
        json_t *one = json_copy(schema);
        json_object_del(one, "may_have_slash");
        if (!has(one, "type"))
            json_object_set_new(one, "type", json_string("string"));
        if (http_is_word(one, "type", "string") && !has(one, "maxLength"))
            json_object_set_new(one, "maxLength", json_integer(1000));
        json_object_set_new(out, name, one);
        json_array_append_new(required, json_string(name));
    }
    return out;
}

static json_t *ops_of(const json_t *action)
{
    json_t *ops = json_array();
    if (!is_mitigation(action)) {
        json_array_append_new(ops, json_string("read"));
        return ops;
    }
    json_array_append_new(ops, json_string("plan"));
    json_array_append_new(ops, json_string("apply"));
    if (has(action, "read") || has(action, "verify"))
        json_array_append_new(ops, json_string("verify"));
    if (has(action, "undo"))
        json_array_append_new(ops, json_string("undo"));
    if (has(action, "read"))
        json_array_append_new(ops, json_string("reconcile"));
    return ops;
}

static json_t *declare_action(const json_t *action)
{
    static const char *const copied[] = {"summary",         "class",     "risk",       "undo_risk",
                                         "no_undo_because", "settle_ms", "deadline_ms"};
    json_t *required = json_array(), *params = params_of(action, required);
    json_t *out = json_pack("{s:s, s:o, s:o, s:o}", "effect", text_of(action, "effect", "mitigate"), "params", params,
                            "required", required, "ops", ops_of(action));
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (has(action, copied[i]))
            json_object_set(out, copied[i], json_object_get(action, copied[i]));
    return out;
}

const char *http_declare(const json_t *settings, json_t **ret_more)
{
    json_t *actions = json_object(), *action;
    const char *name, *why = check_headers(settings);
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
