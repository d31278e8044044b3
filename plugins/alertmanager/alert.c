/* alert.c: look at every member of an alert before anything is made of it; what is wrong is said with its place. */
#include "alert.h"
#include <stdio.h>
#include <string.h>

static const char *type_word(const json_t *value)
{
    static const char *const words[] = {"an object", "an array", "a text", "a number",
                                        "a number",  "true",     "false",  "null"};
    return value ? words[json_typeof(value)] : "nothing";
}

/* A piece of a text, fit for a message. */
static const char *show(struct sdk_call *call, const char *text)
{
    char *out = sdk_memory(call, 64);
    size_t len = 0;
    for (; text[len] && len < 60; len++)
        out[len] = (unsigned char)text[len] < ' ' || text[len] == 0x7f ? '?' : text[len];
    while (len > 0 && text[len] && ((unsigned char)text[len] & 0xc0) == 0x80)
        out[--len] = '\0'; /* not in the middle of a character */
    if (len > 0 && text[len] && ((unsigned char)out[len - 1] & 0xc0) == 0xc0)
        out[len - 1] = '\0';
    return out;
}

static const char *expected(struct sdk_call *call, size_t index, const char *member, const char *what,
                            const json_t *value)
{
    return sdk_text(call, "alerts[%zu].%s: %s was expected, not %s", index, member, what, type_word(value));
}

static const char *check_texts(struct sdk_call *call, size_t index, const char *member, const json_t *obj)
{
    const char *name;
    json_t *value;
    if (!obj)
        return NULL;
    if (!json_is_object(obj))
        return expected(call, index, member, "an object", obj);
    json_object_foreach((json_t *)(uintptr_t)obj, name, value)
    {
        if (!json_is_string(value))
            return expected(call, index, sdk_text(call, "%s.%s", member, show(call, name)), "a text", value);
    }
    return NULL;
}

/* ret_ms: 0 for the zero time, which stands for "not ended" */
static const char *take_time(struct sdk_call *call, size_t index, const char *member, const json_t *value,
                             int64_t *ret_ms)
{
    const char *text = json_string_value(value);
    if (!text)
        return expected(call, index, member, "a time", value);
    size_t len = strspn(text, "0123456789-+:.TtZz");
    if (strlen(text) > 40 || text[len] != '\0' || text[0] == '-' || text[0] == '+' || !sdk_time_parse(text, ret_ms))
        return sdk_text(call, "alerts[%zu].%s: \"%s\" is not a time", index, member, show(call, text));
    return NULL;
}

static const char *take_state(struct sdk_call *call, size_t index, const json_t *value, bool *ret_resolved)
{
    const char *text = json_string_value(value);
    if (!text)
        return expected(call, index, "status", "firing or resolved", value);
    *ret_resolved = strcmp(text, "resolved") == 0;
    if (*ret_resolved || strcmp(text, "firing") == 0)
        return NULL;
    return sdk_text(call, "alerts[%zu].status: \"%s\" is neither firing nor resolved", index, show(call, text));
}

static const char *take_times(struct sdk_call *call, size_t index, const json_t *alert, struct sdk_event *ret)
{
    const json_t *ends = json_object_get(alert, "endsAt");
    const char *why = take_time(call, index, "startsAt", json_object_get(alert, "startsAt"), &ret->starts_at_ms);
    if (why)
        return why;
    if (ret->starts_at_ms == 0)
        return sdk_text(call, "alerts[%zu].startsAt: the zero time is no start", index);
    if (ends && !json_is_null(ends) && json_string_length(ends) != 0)
        why = take_time(call, index, "endsAt", ends, &ret->ends_at_ms);
    else if (ends && !json_is_null(ends) && !json_is_string(ends))
        why = expected(call, index, "endsAt", "a time", ends);
    if (!ret->resolved) /* the end of what is firing is a guess, or the zero time */
        ret->ends_at_ms = 0;
    return why;
}

static const char *take_fingerprint(struct sdk_call *call, size_t index, const json_t *alert, struct sdk_event *ret)
{
    const json_t *value = json_object_get(alert, "fingerprint");
    if (json_string_length(value) > 0) {
        ret->fingerprint = json_string_value(value);
        return json_string_length(value) <= 128
                   ? NULL
                   : sdk_text(call, "alerts[%zu].fingerprint: longer than 128 characters", index);
    }
    if (value && !json_is_null(value) && !json_is_string(value))
        return expected(call, index, "fingerprint", "a text", value);
    char *hex = sdk_memory(call, 17);
    alertmanager_fingerprint(ret->labels, hex);
    ret->fingerprint = hex;
    return NULL;
}

/* Only what a browser may safely follow: the sender's text ends up behind a click. */
static const char *take_link(const json_t *alert)
{
    const char *text = json_string_value(json_object_get(alert, "generatorURL"));
    bool is_web = text && (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0);
    return is_web ? text : NULL;
}

static void take_words(struct sdk_event *ret)
{
    static const char *const keys[] = {"summary", "description", "message", "title"};
    const char *name = json_string_value(json_object_get(ret->labels, "alertname"));
    ret->name = name && *name ? name : "(no alertname)";
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !ret->summary; i++) {
        const char *text = json_string_value(json_object_get(ret->annotations, keys[i]));
        ret->summary = text && *text ? text : NULL;
    }
}

const char *alertmanager_event(struct sdk_call *call, size_t index, const json_t *alert, struct sdk_event *ret)
{
    *ret = (struct sdk_event){.kind = "alert",
                              .labels = json_object_get(alert, "labels"),
                              .annotations = json_object_get(alert, "annotations"),
                              .link = take_link(alert)};
    if (!json_is_object(alert))
        return sdk_text(call, "alerts[%zu]: an object was expected, not %s", index, type_word(alert));
    if (json_object_size(ret->labels) == 0 && (!ret->labels || json_is_object(ret->labels)))
        return sdk_text(call, "alerts[%zu].labels: at least one label was expected", index);
    if (json_is_null(ret->annotations))
        ret->annotations = NULL;
    const char *why = check_texts(call, index, "labels", ret->labels);
    why = why ? why : check_texts(call, index, "annotations", ret->annotations);
    why = why ? why : take_state(call, index, json_object_get(alert, "status"), &ret->resolved);
    why = why ? why : take_times(call, index, alert, ret);
    why = why ? why : take_fingerprint(call, index, alert, ret);
    if (!why)
        take_words(ret);
    return why;
}
