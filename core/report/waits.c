/* waits.c: what waited on whom: every question to people, from when it was asked to what became of it. */
#include "report/room.h"

static json_t *find(const struct stanch_report *report, const struct stanch_entry *entry)
{
    return json_object_get(report->waits, stanch_json_str(entry->data, "approval", ""));
}

static void on_requested(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const char *const members[] = {"approval", "about",  "role",    "of_role",    "run",  "step",
                                          "instance", "action", "because", "expires_ms", "again"};
    json_t *wait = stanch_report__track(report, report->waits, stanch_json_str(entry->data, "approval", ""));
    if (!wait)
        return;
    stanch_report__take(wait, entry->data, members, sizeof members / sizeof *members);
    stanch_json_set_str(wait, "outcome", "pending");
    stanch_report__at(wait, "asked_ms", entry->at_ms);
    json_object_set_new(wait, "ended_ms", json_null());
    json_object_set_new(wait, "by", json_array());
}

static void add_person(struct stanch_report *report, const struct stanch_entry *entry, json_t *wait)
{
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    json_array_append_new(json_object_get(wait, "by"), json_string(who));
    const char *note = stanch_json_str(entry->data, "note", NULL);
    stanch_json_set_str(wait, "note", note && *note ? note : NULL);
}

static void on_supported(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *wait = find(report, entry);
    if (wait)
        add_person(report, entry, wait);
}

static void end(const struct stanch_entry *entry, json_t *wait, const char *outcome)
{
    stanch_json_set_str(wait, "outcome", outcome);
    if (!json_is_integer(
            json_object_get(wait, "ended_ms"))) /* a grant that is voided was waited for until it was given */
        stanch_report__at(wait, "ended_ms", entry->at_ms);
}

static void on_answer(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *wait = find(report, entry);
    const char *outcome = strcmp(entry->kind, "approval.granted") == 0  ? "approved"
                          : strcmp(entry->kind, "approval.forced") == 0 ? "forced"
                          : strcmp(entry->kind, "approval.denied") == 0 ? "denied"
                                                                        : "answered";
    if (!wait)
        return;
    end(entry, wait, outcome);
    add_person(report, entry, wait);
    if (strcmp(outcome, "answered") == 0)
        stanch_json_set_str(wait, "answer", stanch_json_str(entry->data, "decision", NULL));
}

static void on_closed(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *wait = find(report, entry);
    if (!wait)
        return;
    end(entry, wait, stanch_kind_find(entry->kind)->state);
    stanch_json_set_str(wait, "why", stanch_json_str(entry->data, "closed", NULL));
}

void stanch_report__waits(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const struct stanch_report__row table[] = {
        {"approval.requested", on_requested}, {"approval.supported", on_supported}, {"approval.granted", on_answer},
        {"approval.forced", on_answer},       {"approval.denied", on_answer},       {"approval.answered", on_answer},
        {"approval.expired", on_closed},      {"approval.voided", on_closed},
    };
    stanch_report__fold(report, entry, table, sizeof table / sizeof *table);
}

/* What was asked, in a few words. new */
static char *what_of(const json_t *wait)
{
    const char *instance = stanch_json_str(wait, "instance", ""), *about = stanch_json_str(wait, "about", "");
    if (strcmp(about, "action") == 0 && *instance)
        return stanch_asprintf("%s.%s", instance, stanch_json_str(wait, "action", ""));
    if (strcmp(about, "undo") == 0 && *instance)
        return stanch_asprintf("undo %s.%s", instance, stanch_json_str(wait, "action", ""));
    return stanch_strdup(stanch_json_str(wait, "because", about));
}

json_t *stanch_report_waits(const struct stanch_report *report, int64_t now_ms)
{
    json_t *list = json_array(), *wait;
    const char *id;
    json_object_foreach(report->waits, id, wait)
    {
        json_t *one = json_copy(wait);
        STANCH_AUTO_FREE char *what = what_of(wait);
        int64_t asked_ms = stanch_json_int(wait, "asked_ms", 0), until_ms = stanch_json_int(wait, "ended_ms", now_ms);
        stanch_json_set_str(one, "what", what);
        stanch_report__at(one, "waited_ms", until_ms > asked_ms ? until_ms - asked_ms : 0);
        json_array_append_new(list, one);
    }
    return list;
}
