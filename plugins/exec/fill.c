/* fill.c: templates of the configuration, filled with what the runbook gave. What is put in stays inside of its element:
 * there is no shell and no splitting; and it cannot turn an element into an option: one that begins with "-" does so
 * because the configuration says so, in the template or by may_be_option. */
#include "exec.h"
#include <string.h>

static const json_t *param_of(struct sdk_call *call, const char *name)
{
    return json_object_get(json_object_get(exec_action(call), "params"), name);
}

/* What a place stands for. NULL: nothing that could stand there. */
static const char *value_of(struct sdk_call *call, const char *name, const json_t *from, bool is_shown)
{
    if (param_of(call, name))
        return sdk_scalar(call, json_object_get(sdk_args(call), name));
    if (strcmp(name, "instance") == 0)
        return sdk_instance_name(sdk_instance(call));
    if (strcmp(name, "key") == 0)
        return is_shown ? "{key}" : sdk_key(call);
    if (strcmp(name, "op") == 0)
        return sdk_reconciles(call);
    if (strcmp(name, "from") == 0)
        return sdk_scalar(call, json_object_get(from, json_object_get(from, "text") ? "text" : "value"));
    if (strncmp(name, "from.", 5) == 0)
        return sdk_scalar(call, json_object_get(json_object_get(from, "value"), name + 5));
    return NULL;
}

static void refuse_value(struct sdk_call *call, const char *where, const char *name)
{
    if (strncmp(name, "from", 4) == 0 && !param_of(call, name))
        sdk_fail(call, "invalid",
                 "%s: {%s}: the plan's command did not print such a text or number; nothing was started", where, name);
    else
        sdk_fail(call, "invalid",
                 "%s: %s: a text without NUL, a number, true or false was expected; nothing was started", where, name);
}

const char *exec_fill(struct sdk_call *call, const char *template, enum exec_fill how, const json_t *from,
                      bool is_shown, const char *where)
{
    const char *out = "", *at = template, *end, *begin;
    char name[SDK_PLACE_ROOM];
    bool may_be_option = template[0] == '-';
    while ((begin = sdk_next_place(at, name, &end))) {
        const char *value = value_of(call, name, from, is_shown);
        if (!value) {
            refuse_value(call, where, name);
            return NULL;
        }
        const char *before = sdk_text(call, "%s%s", out, sdk_literal(call, at, (size_t)(begin - at)));
        if (*before == '\0' && *value)
            may_be_option = json_is_true(json_object_get(param_of(call, name), "may_be_option"));
        out = sdk_text(call, "%s%s", before, how == EXEC_SHELL ? sdk_shell_word(call, value) : value);
        at = end;
    }
    out = sdk_text(call, "%s%s", out, sdk_literal(call, at, strlen(at)));
    if (how != EXEC_ARGUMENT || out[0] != '-' || may_be_option)
        return out;
    sdk_fail(call, "invalid",
             "%s: \"%.60s\" would be an option of the command, and the configuration does not allow it there "
             "(may_be_option); nothing was started",
             where, out);
    return NULL;
}

static const char *path_of(struct sdk_call *call, const char *step, const char *member)
{
    return sdk_text(call, "actions.%s%s%s.%s", sdk_action(call), *step ? "." : "", step, member);
}

json_t *exec_fill_args(struct sdk_call *call, const char *step, const json_t *from, bool is_shown)
{
    json_t *out = json_array(), *one;
    size_t i;
    json_array_foreach(json_object_get(exec_step(call, step), "args"), i, one)
    {
        const char *where = sdk_text(call, "%s[%zu]", path_of(call, step, "args"), i + 1);
        const char *text = exec_fill(call, json_string_value(one), EXEC_ARGUMENT, from, is_shown, where);
        if (!text) {
            json_decref(out);
            return NULL;
        }
        json_array_append_new(out, json_string(text));
    }
    return out;
}

json_t *exec_fill_env(struct sdk_call *call)
{
    json_t *out = json_object(), *one;
    const char *name;
    json_object_foreach(json_object_get(exec_action(call), "env"), name, one)
    {
        const char *where = sdk_text(call, "%s.%s", path_of(call, "", "env"), name);
        const char *text = exec_fill(call, json_string_value(one), EXEC_PLAIN, NULL, false, where);
        if (!text) {
            json_decref(out);
            return NULL;
        }
        json_object_set_new(out, name, json_string(text));
    }
    return out;
}

/* "env -i A=b TOKEN=... /cmd arg", with everything quoted. */
static const char *command_line(struct sdk_call *call, const char *step, const json_t *from)
{
    json_t *args = sdk_hold(call, exec_fill_args(call, step, from, true)), *one;
    json_t *env = args ? sdk_hold(call, exec_fill_env(call)) : NULL;
    const char *line = "env -i", *name;
    size_t i;
    if (!env)
        return NULL;
    json_object_foreach(env, name, one) line =
        sdk_text(call, "%s %s=%s", line, name, sdk_shell_word(call, json_string_value(one)));
    json_object_foreach(json_object_get(exec_action(call), "secret_env"), name, one)
    {
        line = sdk_text(call, "%s %s=\"$%s\"", line, name, name);
    }
    line = sdk_text(call, "%s %s", line, sdk_shell_word(call, exec_command(call, step)));
    json_array_foreach(args, i, one) line = sdk_text(call, "%s %s", line, sdk_shell_word(call, json_string_value(one)));
    return line;
}

const char *exec_by_hand(struct sdk_call *call, const char *step, const json_t *from)
{
    const char *own = json_string_value(json_object_get(exec_step(call, step), "by_hand"));
    return own ? exec_fill(call, own, EXEC_SHELL, from, true, path_of(call, step, "by_hand"))
               : command_line(call, step, from);
}
