/* record_lua.c: a recorded run as the text of a test (core/script/scenario.lua reads it). The same run gives the same text. */
#include "cli/record.h"
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_MS (5 * 3600 * 1000LL) /* a test ends after six hours unless it says otherwise */

/* ---- values ---- */

static size_t char_len(unsigned char first)
{
    return first < 0x80 ? 1 : first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
}

static uint32_t code_point(const unsigned char *at, size_t len)
{
    uint32_t c = len == 1 ? at[0] : at[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        c = c << 6 | (at[i] & 0x3fu);
    return c;
}

/* Would it be shown as it is? What would not is written by its number. */
static bool is_plain(const char *at, size_t len)
{
    STANCH_AUTO_FREE char *one = stanch_strndup(at, len);
    STANCH_AUTO_BUF struct stanch_buf clean = {0};
    stanch_cli__clean(one, &clean);
    return *one && *one != '\n' && *one != '\t' && *one != '\r' && strcmp(stanch_buf_str(&clean), one) == 0;
}

void stanch_cli__lua_text(const char *text, size_t len, struct stanch_buf *out)
{
    stanch_buf_char(out, '"');
    for (size_t i = 0, size; i < len; i += size) {
        size = char_len((unsigned char)text[i]);
        if (size > len - i)
            size = len - i;
        if (text[i] == '"' || text[i] == '\\')
            stanch_buf_printf(out, "\\%c", text[i]);
        else if (text[i] == '\n')
            stanch_buf_text(out, "\\n");
        else if (is_plain(text + i, size))
            stanch_buf_add(out, text + i, size);
        else
            stanch_buf_printf(out, "\\u{%X}", code_point((const unsigned char *)text + i, size));
    }
    stanch_buf_char(out, '"');
}

static void add_string(const char *text, struct stanch_buf *out)
{
    stanch_cli__lua_text(text, strlen(text), out);
}

static bool is_name(const char *key)
{
    static const char *const words[] = {"and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                        "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                        "repeat",   "return", "then", "true", "until",  "while"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], key) == 0)
            return false;
    bool plain = isalpha((unsigned char)*key) || *key == '_';
    for (const char *at = key; *at && plain; at++)
        plain = (isalnum((unsigned char)*at) || *at == '_') && (unsigned char)*at < 0x80;
    return plain;
}

static void add_key(const char *key, struct stanch_buf *out)
{
    if (is_name(key)) {
        stanch_buf_printf(out, "%s = ", key);
        return;
    }
    stanch_buf_char(out, '[');
    add_string(key, out);
    stanch_buf_text(out, "] = ");
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* new; the keys are borrowed from the object */
static const char **sorted_keys(const json_t *object)
{
    size_t count = json_object_size(object), n = 0;
    const char **keys = stanch_alloc((count + 1) * sizeof *keys), *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value) keys[n++] = key;
    qsort(keys, n, sizeof *keys, compare);
    keys[n] = NULL;
    return keys;
}

/* , k = v for each member that is not null. first: is nothing before it? */
static void add_members(const json_t *object, bool first, struct stanch_buf *out)
{
    STANCH_AUTO_FREE const char **keys = sorted_keys(object);
    for (size_t i = 0; keys[i]; i++) {
        const json_t *value = json_object_get(object, keys[i]);
        if (json_is_null(value))
            continue;
        stanch_buf_text(out, first ? " " : ", ");
        first = false;
        add_key(keys[i], out);
        stanch_cli__lua_value(value, out);
    }
}

/* In as few digits as it takes to be read back as the same. */
static void add_number(const json_t *value, struct stanch_buf *out)
{
    for (size_t digits = 15; digits <= 17; digits++) {
        STANCH_AUTO_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        STANCH_AUTO_JSON json_t *back = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        if (json_equal(back, value) || digits == 17) {
            stanch_buf_text(out, text ? text : "0");
            return;
        }
    }
}

static void add_list(const json_t *list, struct stanch_buf *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        stanch_buf_text(out, i ? ", " : " ");
        stanch_cli__lua_value(json_array_get(list, i), out);
    }
}

void stanch_cli__lua_value(const json_t *value, struct stanch_buf *out)
{
    if (json_is_string(value)) {
        stanch_cli__lua_text(json_string_value(value), json_string_length(value), out);
    } else if (json_is_array(value) || json_is_object(value)) {
        size_t before = out->len;
        stanch_buf_char(out, '{');
        if (json_is_array(value))
            add_list(value, out);
        else
            add_members(value, true, out);
        stanch_buf_text(out, out->len == before + 1 ? "}" : " }");
    } else if (json_is_boolean(value)) {
        stanch_buf_text(out, json_is_true(value) ? "true" : "false");
    } else if (json_is_number(value)) {
        add_number(value, out);
    } else {
        stanch_buf_text(out, "nil");
    }
}

void stanch_cli__lua_duration(int64_t ms, struct stanch_buf *out)
{
    if (ms % 1000)
        stanch_buf_printf(out, "\"%lldms\"", (long long)ms);
    else
        stanch_buf_printf(out, "\"%llds\"", (long long)(ms / 1000));
}

/* ---- the world ---- */

static void add_reply(const json_t *reply, struct stanch_buf *out)
{
    const json_t *fails = json_object_get(reply, "fails"), *again = json_object_get(reply, "again");
    if (fails) {
        stanch_buf_text(out, "function() fails(");
        add_string(stanch_json_str(fails, "kind", "remote"), out);
        stanch_buf_text(out, ", ");
        add_string(stanch_json_str(fails, "text", ""), out);
        stanch_buf_text(out, stanch_json_bool(fails, "retry", false) ? ", true) end" : ") end");
    } else if (again) {
        stanch_buf_text(out, "again { ");
        stanch_cli__lua_value(json_object_get(again, "value"), out);
        stanch_buf_text(out, ", every = ");
        stanch_cli__lua_duration(stanch_json_int(again, "every_ms", 0), out);
        stanch_buf_text(out, ", lasts = ");
        stanch_cli__lua_duration(stanch_json_int(again, "lasts_ms", 0), out);
        stanch_buf_text(out, " }");
    } else if (json_object_get(reply, "unknown")) {
        stanch_buf_text(out, "function() unknown(");
        add_string(stanch_json_str(reply, "unknown", ""), out);
        stanch_buf_text(out, ") end");
    } else {
        stanch_cli__lua_value(json_object_get(reply, "value"), out);
    }
}

static void add_world(const struct stanch_cli__record *record, struct stanch_buf *out)
{
    const char *key;
    json_t *told;
    stanch_buf_text(out, "  world = recorded {\n");
    json_object_foreach(record->replies, key, told)
    {
        const json_t *list = json_object_get(told, "list");
        stanch_buf_text(out, "    { ");
        add_string(stanch_json_str(told, "name", ""), out);
        stanch_buf_printf(out, ", op = \"%s\", args = ", stanch_json_str(told, "op", ""));
        stanch_cli__lua_value(json_object_get(told, "args"), out);
        stanch_buf_text(out, ", answers = {\n");
        for (size_t i = 0; i < json_array_size(list); i++) {
            stanch_buf_text(out, "      ");
            add_reply(json_array_get(list, i), out);
            stanch_buf_text(out, ",\n");
        }
        stanch_buf_text(out, "    } },\n");
    }
    stanch_buf_text(out, "  },\n");
}

/* ---- what it began with ---- */

static int64_t created_of(const struct stanch_cli__record *record)
{
    return stanch_json_int(record->run, "created_ms", 0);
}

/* How long before the run the first change was. */
static int64_t shift_of(const struct stanch_cli__record *record)
{
    int64_t shift = 0;
    const char *id;
    json_t *change;
    json_object_foreach(record->changes, id, change)
    {
        int64_t age = created_of(record) - stanch_json_int(change, "at_ms", created_of(record));
        shift = age > shift ? age : shift;
    }
    return shift;
}

static void add_time(const char *name, int64_t ms, struct stanch_buf *out)
{
    if (ms <= 0)
        return;
    stanch_buf_printf(out, ", %s = ", name);
    stanch_cli__lua_duration(ms, out);
}

static void add_alert(const struct stanch_cli__record *record, const json_t *event, struct stanch_buf *out)
{
    const json_t *annotations = json_object_get(event, "annotations");
    stanch_buf_text(out, "  alerts = {\n    { source = ");
    add_string(stanch_json_str(event, "source", "alerts"), out);
    stanch_buf_text(out, ", labels = ");
    stanch_cli__lua_value(json_object_get(event, "labels"), out);
    if (json_object_size(annotations) > 0) {
        stanch_buf_text(out, ", annotations = ");
        stanch_cli__lua_value(annotations, out);
    }
    add_time("at", shift_of(record), out);
    add_time("age", created_of(record) - stanch_json_int(event, "starts_at_ms", created_of(record)), out);
    add_time("lasts", record->resolved_ms ? record->resolved_ms - created_of(record) : 0, out);
    stanch_buf_text(out, " },\n  },\n");
}

static void add_start(const struct stanch_cli__record *record, struct stanch_buf *out)
{
    const char *by = stanch_json_str(record->run, "requester", "person:tester");
    stanch_buf_text(out, "  starts = {\n    { runbook = ");
    add_string(stanch_json_str(record->run, "runbook", ""), out);
    stanch_buf_text(out, ", params = ");
    stanch_cli__lua_value(json_object_get(record->run, "params"), out);
    stanch_buf_text(out, ", by = ");
    add_string(strncmp(by, "person:", 7) == 0 ? by + 7 : by, out);
    add_time("at", shift_of(record), out);
    stanch_buf_text(out, " },\n  },\n");
}

static void add_change(const struct stanch_cli__record *record, const json_t *change, int64_t at_ms,
                       struct stanch_buf *out)
{
    static const char *const kept[] = {"kind",   "service",  "name",        "text", "by",
                                       "commit", "previous", "environment", "link", "state"};
    bool first = true;
    stanch_buf_text(out, "    {");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        const json_t *value = json_object_get(change, kept[i]);
        if (!value || json_is_null(value))
            continue;
        stanch_buf_printf(out, "%s%s = ", first ? " " : ", ", kept[i]);
        stanch_cli__lua_value(value, out);
        first = false;
    }
    add_time("at", at_ms - created_of(record) + shift_of(record), out);
    stanch_buf_text(out, " },\n");
}

static void add_changes(const struct stanch_cli__record *record, const json_t *event, struct stanch_buf *out)
{
    bool is_change = strcmp(stanch_json_str(event, "kind", ""), "change") == 0;
    const char *id, *own = stanch_json_str(event, "id", "");
    json_t *change;
    if (!is_change && json_object_size(record->changes) == 0)
        return;
    stanch_buf_text(out, "  changes = {\n");
    json_object_foreach(record->changes, id, change)
    {
        if (strcmp(id, own) != 0)
            add_change(record, change, stanch_json_int(change, "at_ms", created_of(record)), out);
    }
    if (is_change)
        add_change(record, json_object_get(event, "change"), created_of(record), out);
    stanch_buf_text(out, "  },\n");
}

/* ---- people ---- */

/* What a person says to each question, in turn. */
static void add_person(const struct stanch_cli__record *record, const char *name, struct stanch_buf *out)
{
    stanch_buf_text(out, "    ");
    add_key(name, out);
    stanch_buf_text(out, "in_turn {");
    const char *before = " ";
    for (size_t i = 0; i < json_array_size(record->questions); i++) {
        const json_t *question = json_array_get(record->questions, i);
        const json_t *said = json_object_get(json_object_get(question, "said"), name);
        if (stanch_json_bool(question, "left_out", false))
            continue;
        stanch_buf_text(out, before);
        before = ", ";
        if (!said) {
            stanch_buf_text(out, "\"nothing\"");
            continue;
        }
        stanch_buf_text(out, "{ ");
        add_string(stanch_json_str(said, "decision", ""), out);
        stanch_buf_text(out, ", after = ");
        stanch_cli__lua_duration(stanch_json_int(said, "after_ms", 0), out);
        if (json_object_get(said, "note")) {
            stanch_buf_text(out, ", note = ");
            stanch_cli__lua_value(json_object_get(said, "note"), out);
        }
        stanch_buf_text(out, " }");
    }
    stanch_buf_text(out, " },\n");
}

static void add_people(const struct stanch_cli__record *record, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *names = json_object();
    for (size_t i = 0; i < json_array_size(record->questions); i++) {
        const json_t *question = json_array_get(record->questions, i);
        if (!stanch_json_bool(question, "left_out", false))
            json_object_update(names, json_object_get(question, "said"));
    }
    if (json_object_size(names) == 0)
        return;
    STANCH_AUTO_FREE const char **sorted = sorted_keys(names);
    stanch_buf_text(out, "  people = {\n");
    for (size_t i = 0; sorted[i]; i++)
        add_person(record, sorted[i], out);
    stanch_buf_text(out, "  },\n");
}

/* ---- what is expected ---- */

static void add_asks(const struct stanch_cli__record *record, struct stanch_buf *out)
{
    static const char *const kept[] = {"role", "about", "instance", "action", "outcome"};
    stanch_buf_text(out, "    asks = {\n");
    for (size_t i = 0; i < json_array_size(record->questions); i++) {
        const json_t *question = json_array_get(record->questions, i);
        if (stanch_json_bool(question, "left_out", false))
            continue;
        stanch_buf_text(out, "      {");
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
            if (!json_object_get(question, kept[k]))
                continue;
            stanch_buf_printf(out, "%s%s = ", k ? ", " : " ", kept[k]);
            stanch_cli__lua_value(json_object_get(question, kept[k]), out);
        }
        stanch_buf_text(out, " },\n");
    }
    stanch_buf_text(out, "    },\n");
}

static void add_texts(const char *name, const json_t *texts, struct stanch_buf *out)
{
    if (json_array_size(texts) == 0)
        return;
    stanch_buf_printf(out, "    %s = {\n", name);
    for (size_t i = 0; i < json_array_size(texts); i++) {
        stanch_buf_text(out, "      ");
        stanch_cli__lua_value(json_array_get(texts, i), out);
        stanch_buf_text(out, ",\n");
    }
    stanch_buf_text(out, "    },\n");
}

static void add_expected(const struct stanch_cli__record *record, struct stanch_buf *out)
{
    const char *id;
    json_t *name;
    stanch_buf_text(out, "  expect = {\n    outcome = ");
    stanch_cli__lua_value(json_object_get(record->run, "state"), out);
    stanch_buf_text(out, ",\n    actions = {\n");
    for (size_t i = 0; i < json_array_size(record->actions); i++) {
        const json_t *action = json_array_get(record->actions, i);
        stanch_buf_text(out, "      { ");
        stanch_cli__lua_value(json_object_get(action, "name"), out);
        add_members(json_object_get(action, "args"), false, out);
        stanch_buf_text(out, " },\n");
    }
    stanch_buf_text(out, "    },\n");
    add_asks(record, out);
    add_texts("notes", record->notes, out);
    add_texts("pages", record->pages, out);
    stanch_buf_text(out, "    in_force = {");
    const char *before = " ";
    json_object_foreach(record->in_force, id, name)
    {
        stanch_buf_text(out, before);
        stanch_cli__lua_value(name, out);
        before = ", ";
    }
    stanch_buf_text(out, " },\n  },\n");
}

/* ---- all of it ---- */

static void add_comment(const json_t *text, const char *before, struct stanch_buf *out)
{
    STANCH_AUTO_FREE char *clean = stanch_cli__one_line(text);
    stanch_buf_printf(out, "-- %s%s\n", before, clean);
}

static void add_head(const struct stanch_cli__record *record, const char *at, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *what =
        json_sprintf("%s of %s (%s, commit %.12s) as it happened, out of its timeline by `stanch runbook record`.",
                     record->id, stanch_json_str(record->run, "runbook", ""), stanch_json_str(record->run, "path", ""),
                     stanch_json_str(record->run, "commit", ""));
    add_comment(what, "", out);
    for (size_t i = 0; i < json_array_size(record->left_out); i++)
        add_comment(json_array_get(record->left_out, i), "Not in it: ", out);
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s of %s, %s", record->id, stanch_json_str(record->run, "runbook", ""), at);
    stanch_buf_text(out, "test ");
    add_string(name, out);
    stanch_buf_text(out, " {\n");
}

void stanch_cli__lua_test(const struct stanch_cli__record *record, bool several, struct stanch_buf *out)
{
    const json_t *event = json_object_get(record->run, "event");
    const char *kind = stanch_json_str(event, "kind", "");
    int64_t lasts = record->ended_ms - created_of(record) + shift_of(record);
    char at[32], begins[32];
    stanch_time_text(created_of(record), at);
    stanch_time_text(created_of(record) - shift_of(record), begins);
    add_head(record, at, out);
    stanch_buf_printf(out, "  begins = \"%s\",\n", begins);
    if (lasts > LONGEST_MS) {
        stanch_buf_text(out, "  within = ");
        stanch_cli__lua_duration(2 * (lasts / 1000) * 1000, out);
        stanch_buf_text(out, ",\n");
    }
    if (strcmp(kind, "alert") == 0 && !several)
        add_alert(record, event, out);
    else if (strcmp(kind, "change") != 0 || several)
        add_start(record, out);
    add_changes(record, several ? NULL : event, out);
    add_people(record, out);
    add_world(record, out);
    add_expected(record, out);
    stanch_buf_text(out, "}\n");
}
