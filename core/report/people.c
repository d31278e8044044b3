/* people.c: what happened to the incident itself: who held which role when, who acted first, how it began and ended. */
#include "report/room.h"
#include <stdio.h>

static const struct {
    const char *role, *word;
} roles[] = {{"ic", "IC"}, {"lead", "technical lead"}, {"comms", "communications"}, {"scribe", "scribe"}};
#define ROLES (sizeof roles / sizeof *roles)

const char *stanch_report__role_word(const char *role)
{
    for (size_t i = 0; i < ROLES; i++)
        if (strcmp(roles[i].role, role) == 0)
            return roles[i].word;
    return role;
}

bool stanch_report__is_person(const char *by)
{
    return strncmp(by, "person:", 7) == 0 || strncmp(by, "uid:", 4) == 0;
}

/* "person:ann" is ann; the kinds of others are said, for ann may also be the name of a token. */
static char *name_of(const char *by)
{
    const char *colon = strchr(by, ':');
    if (strncmp(by, "person:", 7) == 0)
        return stanch_strdup(by + 7);
    return colon ? stanch_asprintf("%.*s %s", (int)(colon - by), by, colon + 1) : stanch_strdup(by);
}

static json_t *term_of(const struct stanch_report *report, const char *chain, const char *role)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%s", chain, role);
    return json_object_get(report->held, key);
}

char *stanch_report__who(const struct stanch_report *report, const char *chain, const char *by)
{
    char *name = name_of(by);
    for (size_t i = 0; i < ROLES; i++) {
        const json_t *term = term_of(report, chain, roles[i].role);
        if (term && strcmp(stanch_json_str(term, "holder", ""), by) == 0) {
            char *with_role = stanch_asprintf("%s %s", roles[i].word, name);
            free(name);
            return with_role;
        }
    }
    return name;
}

char *stanch_report__text(const struct stanch_report *report, const struct stanch_entry *entry)
{
    STANCH_AUTO_JSON json_t *data = json_copy(entry->data);
    STANCH_AUTO_FREE char *by = stanch_report__who(report, entry->chain, entry->by);
    struct stanch_entry shown = *entry;
    const char *member;
    json_t *value;
    json_object_foreach(entry->data, member, value)
    {
        const char *text = json_string_value(value);
        if (!text || strncmp(text, "person:", 7) != 0)
            continue;
        STANCH_AUTO_FREE char *who =
            strcmp(member, "holder") == 0 ? name_of(text) : stanch_report__who(report, entry->chain, text);
        json_object_set_new(data, member, json_string(who));
    }
    shown.by = by;
    shown.data = data;
    return stanch_entry_text(&shown);
}

/* ---- roles ---- */

static void end_term(struct stanch_report *report, const char *chain, const char *role, int64_t at_ms)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%s", chain, role);
    json_t *term = json_object_get(report->held, key);
    if (term)
        stanch_report__at(term, "until_ms", at_ms);
    json_object_del(report->held, key);
}

static void set_holder(struct stanch_report *report, const struct stanch_entry *entry, const char *role,
                       const char *holder, const char *why)
{
    const json_t *before = term_of(report, entry->chain, role);
    if (before && strcmp(stanch_json_str(before, "holder", ""), holder) == 0)
        return;
    end_term(report, entry->chain, role, entry->at_ms);
    if (!*holder)
        return;
    if (json_array_size(report->terms) >= STANCH_REPORT__LIST) {
        report->left_out++;
        return;
    }
    STANCH_AUTO_FREE char *who = name_of(holder);
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%s", entry->chain, role);
    json_t *term = json_pack("{s:s, s:s, s:s, s:I, s:n}", "role", role, "holder", holder, "who", who, "from_ms",
                             (json_int_t)entry->at_ms, "until_ms");
    stanch_json_set_str(term, "why", why);
    if (strcmp(entry->chain, report->incident) != 0)
        stanch_json_set_str(term, "incident", entry->chain);
    json_array_append(report->terms, term);
    json_object_set_new(report->held, key, term);
}

static void fold_roles(struct stanch_report *report, const struct stanch_entry *entry)
{
    const char *role;
    json_t *holder;
    json_object_foreach(json_object_get(entry->data, "roles"), role, holder)
    {
        if (json_is_string(holder))
            set_holder(report, entry, role, json_string_value(holder), NULL);
    }
}

static void on_assigned(struct stanch_report *report, const struct stanch_entry *entry)
{
    set_holder(report, entry, stanch_json_str(entry->data, "role", ""), stanch_json_str(entry->data, "holder", ""),
               stanch_json_str(entry->data, "why", NULL));
}

/* ---- how it began ---- */

/* Since when is there something wrong? What its source says, unless that is after it was heard of. */
static int64_t began_at(const json_t *event)
{
    int64_t heard_ms = stanch_json_int(event, "received_ms", stanch_json_int(event, "created_ms", 0));
    int64_t said_ms = stanch_json_int(event, "starts_at_ms", heard_ms);
    return said_ms > 0 && said_ms < heard_ms ? said_ms : heard_ms;
}

static void set_event(struct stanch_report *report, const char *id)
{
    if (report->event || !*id || stanch_journal_find(report->journal, "event", id, &report->event, NULL) < 0)
        return; /* it may be pruned: then nothing is said of it */
    report->times.began_ms = began_at(report->event);
}

static void count_alert(struct stanch_report *report, const char *name)
{
    int64_t count = stanch_json_int(report->alerts, name, 0);
    if (count == 0 && json_object_size(report->alerts) >= STANCH_REPORT__LIST)
        report->left_out++;
    else
        json_object_set_new(report->alerts, name, json_integer(count + 1));
}

static void on_declared(struct stanch_report *report, const struct stanch_entry *entry)
{
    const char *event = stanch_json_str(entry->data, "event", "");
    fold_roles(report, entry);
    if (!report->times.declared_ms) {
        STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
        report->times.declared_ms = entry->at_ms;
        report->declared = json_pack("{s:s}", "who", who);
        set_event(report, event);
    }
    if (*event) { /* its first alert, which joins nothing */
        STANCH_AUTO_JSON json_t *doc = NULL;
        if (stanch_journal_find(report->journal, "event", event, &doc, NULL) == 0)
            count_alert(report, stanch_json_str(doc, "name", "an alert"));
    }
}

static void on_joined(struct stanch_report *report, const struct stanch_entry *entry)
{
    if (strcmp(stanch_json_str(entry->data, "event_state", ""), "resolved") != 0)
        count_alert(report, stanch_json_str(entry->data, "name", "an alert"));
}

/* ---- how it went on ---- */

static void on_changed(struct stanch_report *report, const struct stanch_entry *entry)
{
    const char *state = stanch_json_str(entry->data, "state", NULL);
    fold_roles(report, entry);
    if (state && strcmp(entry->chain, report->incident) == 0)
        report->monitoring_ms = strcmp(state, "monitoring") != 0 ? 0
                                : report->monitoring_ms          ? report->monitoring_ms
                                                                 : entry->at_ms;
}

static void on_resolved(struct stanch_report *report, const struct stanch_entry *entry)
{
    if (strcmp(entry->chain, report->incident) != 0)
        return;
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    report->times.resolved_ms = entry->at_ms;
    json_decref(report->resolved);
    report->resolved = json_pack("{s:s}", "who", who);
    stanch_json_set_str(report->resolved, "reason", stanch_json_str(entry->data, "reason", NULL));
}

static void on_reopened(struct stanch_report *report, const struct stanch_entry *entry)
{
    fold_roles(report, entry);
    if (strcmp(entry->chain, report->incident) != 0)
        return;
    report->times.resolved_ms = report->times.mitigated_ms = report->monitoring_ms = 0;
    json_decref(report->resolved);
    report->resolved = NULL;
}

static void on_merged(struct stanch_report *report, const struct stanch_entry *entry)
{
    if (strcmp(entry->chain, report->incident) == 0)
        report->merged_ms = entry->at_ms;
    for (size_t i = 0; i < ROLES; i++)
        end_term(report, entry->chain, roles[i].role, entry->at_ms);
}

/* The first thing that a person did. Looking is no doing. */
static void note_person(struct stanch_report *report, const struct stanch_entry *entry)
{
    if (!report->times.acknowledged_ms && stanch_report__is_person(entry->by) &&
        strcmp(entry->kind, "timeline.exported") != 0)
        report->times.acknowledged_ms = entry->at_ms;
}

void stanch_report__people(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const struct stanch_report__row table[] = {
        {"incident.declared", on_declared}, {"incident.joined", on_joined},     {"incident.changed", on_changed},
        {"incident.assigned", on_assigned}, {"incident.resolved", on_resolved}, {"incident.reopened", on_reopened},
        {"incident.merged", on_merged},
    };
    note_person(report, entry);
    stanch_report__fold(report, entry, table, sizeof table / sizeof *table);
}
