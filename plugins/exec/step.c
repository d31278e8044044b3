/* step.c: run one command of an action, and judge how it ended. */
#include "exec.h"
#include <string.h>

#define MAX_OUTPUT 65536
#define MAX_TEXT   4096 /* of what a plan prints: it stands in the approval */
#define MAX_SHOWN  2000

const json_t *exec_action(struct sdk_call *call)
{
    return json_object_get(json_object_get(sdk_settings(sdk_instance(call)), "actions"), sdk_action(call));
}

const json_t *exec_step(struct sdk_call *call, const char *step)
{
    return *step ? json_object_get(exec_action(call), step) : exec_action(call);
}

const char *exec_command(struct sdk_call *call, const char *step)
{
    const char *own = json_string_value(json_object_get(exec_step(call, step), "command"));
    return own ? own : json_string_value(json_object_get(exec_action(call), "command"));
}

static bool has_word(struct sdk_call *call, const char *member, const char *word)
{
    const char *text = json_string_value(json_object_get(exec_action(call), member));
    return text && strcmp(text, word) == 0;
}

void exec_run(struct sdk_call *call, const char *step, const json_t *from,
              void (*fn)(struct sdk_call *call, const struct sdk_run_result *result))
{
    const json_t *max = json_object_get(exec_action(call), "max_output");
    json_t *args = exec_fill_args(call, step, from, false), *env = args ? exec_fill_env(call) : NULL;
    bool is_change = *step == '\0' ? !has_word(call, "effect", "read") : strcmp(step, "undo") == 0;
    if (!env) {
        json_decref(args);
        return; /* the call was answered */
    }
    sdk_run(call,
            &(struct sdk_run_order){
                .command = exec_command(call, step),
                .args = args,
                .environment = env,
                .secret_environment = json_incref(json_object_get(exec_action(call), "secret_env")),
                .is_cut_ok = is_change, /* a change that talks too much is not ended in its middle */
                .max_output = max ? (uint64_t)json_integer_value(max) : MAX_OUTPUT,
            },
            fn);
}

/* The end of what it printed. */
static const char *show(struct sdk_call *call, const char *text, size_t max)
{
    size_t len = strlen(text);
    while (len > 0 && strchr(" \r\n", text[len - 1]))
        len--;
    size_t skip = len > max ? len - max : 0;
    while (skip < len && ((unsigned char)text[skip] & 0xc0) == 0x80)
        skip++;
    return sdk_text(call, "%.*s", (int)(len - skip), text + skip);
}

/* new */
static json_t *printable(struct sdk_call *call, const char *text, size_t max)
{
    json_t *value = json_string(show(call, text, max));
    return value ? value : json_string("[no UTF-8]");
}

static const char *last_words(struct sdk_call *call, const struct sdk_run_result *result)
{
    json_t *said = sdk_hold(call, printable(call, result->errors_len ? result->errors : result->output, 300));
    return json_string_length(said) ? sdk_text(call, "; its last words: %s", json_string_value(said)) : "";
}

static const char *how_it_ended(struct sdk_call *call, const struct sdk_run_result *result)
{
    if (result->ended == STANCH_RUN_EXITED)
        return sdk_text(call, "exit code %d", result->code);
    return result->why;
}

bool exec_read_ok(struct sdk_call *call, const char *step, const struct sdk_run_result *result)
{
    if (result->ended == STANCH_RUN_EXITED && result->code == 0)
        return true;
    sdk_fail(call, "remote", "%s%s%s: %s%s", *step ? step : sdk_action(call), *step ? " of " : "",
             *step ? sdk_action(call) : "", how_it_ended(call, result), last_words(call, result));
    return false;
}

static json_t *said_json(struct sdk_call *call, const struct sdk_run_result *result)
{
    json_error_t error;
    json_t *value = json_loadb(result->output, result->output_len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!value)
        sdk_fail(call, "protocol", "%s printed no JSON (line %d, column %d: %s); it began with: %.100s",
                 sdk_action(call), error.line, error.column, error.text, result->output);
    return value;
}

json_t *exec_said(struct sdk_call *call, const struct sdk_run_result *result, bool is_json)
{
    json_t *value = is_json ? said_json(call, result) : NULL;
    if (is_json)
        return value ? json_pack("{s:o}", "value", value) : NULL;
    size_t len = result->output_len;
    while (len > 0 && strchr("\r\n", result->output[len - 1]))
        len--;
    value = memchr(result->output, '\0', len) ? NULL : json_stringn(result->output, len);
    if (value && (len <= MAX_TEXT || sdk_op(call) == STANCH_OP_READ))
        return json_pack("{s:o}", "text", value);
    json_decref(value);
    sdk_fail(call, "protocol", "%s printed %zu bytes; a text in UTF-8 of at most %d bytes was expected",
             sdk_action(call), len, MAX_TEXT);
    return NULL;
}

/* ---- how a change ended ---- */

static bool is_unchanged(struct sdk_call *call, int code)
{
    const json_t *list = json_object_get(exec_action(call), "unchanged_exits");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == code)
            return true;
    return false;
}

void exec_changed(struct sdk_call *call, const struct sdk_run_result *result)
{
    const char *command = exec_command(call, sdk_op(call) == STANCH_OP_UNDO ? "undo" : "");
    if (result->ended == STANCH_RUN_EXITED && result->code == 0)
        sdk_done(call,
                 json_pack("{s:i, s:o, s:o, s:b}", "exit", 0, "output", printable(call, result->output, MAX_SHOWN),
                           "errors", printable(call, result->errors, MAX_SHOWN), "cut", result->is_cut));
    else if (result->ended == STANCH_RUN_NOT_STARTED)
        sdk_fail(call, "unavailable", "%s", result->why);
    else if (result->ended == STANCH_RUN_EXITED && is_unchanged(call, result->code))
        sdk_fail(call, "remote", "%s: exit code %d, which says that nothing has changed%s", command, result->code,
                 last_words(call, result));
    else
        sdk_unknown(call, "remote", "%s: %s; what it did until then is not known%s", command,
                    how_it_ended(call, result), last_words(call, result));
}

/* ---- reads and notices ---- */

static void on_read(struct sdk_call *call, const struct sdk_run_result *result)
{
    json_t *said = NULL;
    if (has_word(call, "effect", "notify"))
        exec_changed(call, result);
    else if (exec_read_ok(call, "", result))
        said = exec_said(call, result, has_word(call, "prints", "json"));
    if (said)
        sdk_done(call, said);
}

void exec_read(struct sdk_call *call)
{
    exec_run(call, "", NULL, on_read);
}
