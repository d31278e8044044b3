/* mapping.c: one item of the body as one event. What the settings do not name is left out; what must be there and is not
 * refuses the whole body, with its place. */
#include "mapping.h"
#include "value.h"
#include <string.h>

#define MAX_ITEMS 10000

static const char *const places[] = {"each", "fingerprint", "state", "starts_at", "ends_at",
                                     "name", "summary",     "link",  "severity",  NULL};
static const char *const objects[] = {"labels", "annotations", "change", NULL};
static const char *const change_members[] = {"kind",        "service", "name",     "text", "by", "state",
                                             "environment", "commit",  "previous", "link", NULL};

/* ---- the mapping itself ---- */

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static const char *check_place(struct sdk_instance *instance, const char *key, const json_t *value)
{
    if (value && !(json_is_string(value) && generic_is_place(json_string_value(value))))
        return sdk_why(instance, "%s: a JSON Pointer (\"/incident/id\") or \"=text\" was expected", key);
    return NULL;
}

static const char *check_object(struct sdk_instance *instance, const char *key, const json_t *value)
{
    const char *member;
    json_t *place;
    json_object_foreach((json_t *)(uintptr_t)value, member, place)
    {
        if (strcmp(key, "change") == 0 && !is_one_of(member, change_members))
            return sdk_why(instance,
                           "change.%.60s: a change has kind, service, name, text, by, state, environment, commit, "
                           "previous, link",
                           member);
        if (!json_is_string(place) || !generic_is_place(json_string_value(place)))
            return sdk_why(instance, "%s.%.60s: a JSON Pointer (\"/incident/id\") or \"=text\" was expected", key,
                           member);
    }
    return NULL;
}

static const char *check_severities(struct sdk_instance *instance, const json_t *map)
{
    static const char *const known[] = {"sev1", "sev2", "sev3", "sev4", NULL};
    const char *word;
    json_t *severity;
    json_object_foreach((json_t *)(uintptr_t)map, word, severity)
    {
        if (!json_is_string(severity) || !is_one_of(json_string_value(severity), known))
            return sdk_why(instance, "severities[\"%.60s\"]: one of sev1 (worst) to sev4 was expected", word);
    }
    return NULL;
}

static const char *check_needed(struct sdk_instance *instance, const json_t *settings)
{
    bool is_change = json_object_get(settings, "change") != NULL;
    static const char *const alert[] = {"fingerprint", "name", "starts_at", NULL};
    for (int i = 0; !is_change && alert[i]; i++)
        if (!json_object_get(settings, alert[i]))
            return sdk_why(instance, "%s: not set; say where it stands in the body", alert[i]);
    if (is_change && !json_object_get(json_object_get(settings, "change"), "kind"))
        return "change.kind: not set; say where it stands in the body, or what it is (\"=deploy\")";
    if (is_change && !json_object_get(settings, "fingerprint"))
        return "fingerprint: not set; say what in the body is the change's own id";
    if (json_object_get(settings, "state") && !json_object_get(settings, "resolved_when"))
        return "resolved_when: not set; say which words at `state` mean that it is over";
    return NULL;
}

const char *generic_check_mapping(struct sdk_instance *instance)
{
    const json_t *settings = sdk_settings(instance);
    const char *why = NULL;
    for (int i = 0; places[i] && !why; i++)
        why = check_place(instance, places[i], json_object_get(settings, places[i]));
    for (int i = 0; objects[i] && !why; i++)
        why = check_object(instance, objects[i], json_object_get(settings, objects[i]));
    why = why ? why : check_severities(instance, json_object_get(settings, "severities"));
    return why ? why : check_needed(instance, settings);
}

/* ---- one item ---- */

static const char *setting(const struct generic_item *item, const char *key)
{
    return sdk_setting(sdk_instance(item->call), key, NULL);
}

static const char *text_of(struct generic_item *item, const char *key)
{
    return generic_text(item, key, setting(item, key));
}

static const char *needed(struct generic_item *item, const char *key)
{
    const char *text = text_of(item, key);
    if (!*text)
        generic_wrong(item, key, setting(item, key), "nothing is there");
    return text;
}

/* {"name": place, ...} as {"name": text, ...}; a place with nothing in it is left out. held by the call */
static json_t *texts_of(struct generic_item *item, const char *key)
{
    const char *name;
    json_t *place, *texts = sdk_hold(item->call, json_object());
    json_object_foreach(json_object_get(sdk_settings(sdk_instance(item->call)), key), name, place)
    {
        const char *text = generic_text(item, sdk_text(item->call, "%s.%s", key, name), json_string_value(place));
        if (*text)
            json_object_set_new(texts, name, json_string(text));
    }
    return texts;
}

static bool is_resolved(struct generic_item *item)
{
    const char *state = text_of(item, "state");
    const json_t *words = json_object_get(sdk_settings(sdk_instance(item->call)), "resolved_when");
    for (size_t i = 0; i < json_array_size(words); i++)
        if (strcmp(json_string_value(json_array_get(words, i)), state) == 0)
            return true;
    return false;
}

static const char *severity_of(struct generic_item *item)
{
    const json_t *map = json_object_get(sdk_settings(sdk_instance(item->call)), "severities");
    return json_string_value(json_object_get(map, text_of(item, "severity")));
}

static struct sdk_change change_of(struct generic_item *item, const json_t *texts)
{
    struct sdk_change change = {.kind = json_string_value(json_object_get(texts, "kind")),
                                .service = json_string_value(json_object_get(texts, "service")),
                                .name = json_string_value(json_object_get(texts, "name")),
                                .text = json_string_value(json_object_get(texts, "text")),
                                .by = json_string_value(json_object_get(texts, "by")),
                                .state = json_string_value(json_object_get(texts, "state")),
                                .environment = json_string_value(json_object_get(texts, "environment")),
                                .commit = json_string_value(json_object_get(texts, "commit")),
                                .previous = json_string_value(json_object_get(texts, "previous")),
                                .link = json_string_value(json_object_get(texts, "link"))};
    if (!change.kind)
        generic_wrong(item, "change.kind",
                      json_string_value(
                          json_object_get(json_object_get(sdk_settings(sdk_instance(item->call)), "change"), "kind")),
                      "nothing is there");
    return change;
}

/* Only what a browser may safely follow: the sender's text ends up behind a click. */
static const char *safe_link(const char *text)
{
    return strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0 ? text : NULL;
}

static void take_item(struct generic_item *item, json_t *events)
{
    bool is_change = json_object_get(sdk_settings(sdk_instance(item->call)), "change") != NULL;
    json_t *labels = texts_of(item, "labels");
    struct sdk_event event = {.fingerprint = needed(item, "fingerprint"),
                              .resolved = !is_change && is_resolved(item),
                              .summary = text_of(item, "summary"),
                              .labels = labels,
                              .annotations = texts_of(item, "annotations"),
                              .severity = severity_of(item),
                              .link = safe_link(text_of(item, "link"))};
    struct sdk_change change = {0};
    if (is_change) {
        change = change_of(item, texts_of(item, "change"));
        event.change = &change;
        event.name = *text_of(item, "name") ? text_of(item, "name")
                                            : sdk_text(item->call, "%s of %s", change.kind ? change.kind : "",
                                                       change.service ? change.service : "something");
        event.summary = *event.summary ? event.summary : change.text;
    } else {
        event.name = needed(item, "name");
        if (!json_object_get(labels, "alertname")) /* what runbooks match */
            json_object_set_new(labels, "alertname", json_string(event.name));
    }
    bool has_start = generic_time(item, "starts_at", setting(item, "starts_at"), &event.starts_at_ms);
    if (!has_start && is_change && !setting(item, "starts_at"))
        event.starts_at_ms = sdk_now_ms(item->call); /* the sender tells no time: when it came */
    else if (!has_start)
        generic_wrong(item, "starts_at", setting(item, "starts_at"), "nothing is there");
    if (event.resolved)
        (void)generic_time(item, "ends_at", setting(item, "ends_at"), &event.ends_at_ms);
    if (!item->why)
        sdk_event(events, &event);
}

const char *generic_events(struct sdk_call *call, const json_t *body, json_t *events)
{
    const char *each = sdk_setting(sdk_instance(call), "each", NULL);
    struct generic_item item = {.call = call, .body = body, .item = body, .where = ""};
    if (!each) {
        take_item(&item, events);
        return item.why;
    }
    const json_t *list = sdk_json_at(body, each);
    if (!json_is_array(list))
        return sdk_text(call, "%s (each): an array was expected", each);
    if (json_array_size(list) > MAX_ITEMS)
        return sdk_text(call, "%s (each): more than %d items", each, MAX_ITEMS);
    for (size_t i = 0; i < json_array_size(list) && !item.why; i++) {
        item.item = json_array_get(list, i);
        item.where = sdk_text(call, "%s/%zu", each, i);
        take_item(&item, events);
    }
    return item.why;
}
