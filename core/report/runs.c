/* runs.c: the runs of the incident, above all those that did not go through. */
#include "report/room.h"

#define PARKED_MAX 20

static const char *id_of(const struct stanch_entry *entry)
{
    return stanch_json_str(entry->data, "run", entry->run ? entry->run : "");
}

static json_t *find(const struct stanch_report *report, const struct stanch_entry *entry)
{
    return json_object_get(report->runs, id_of(entry));
}

static void on_first(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const char *const members[] = {"run", "runbook", "path", "commit", "because", "why"};
    json_t *run = stanch_report__track(report, report->runs, id_of(entry));
    if (!run)
        return;
    stanch_report__take(run, entry->data, members, sizeof members / sizeof *members);
    stanch_report__at(run, "started_ms", entry->at_ms);
    stanch_json_set_str(run, "state", stanch_kind_find(entry->kind)->state);
    if (strcmp(entry->kind, "run.started") == 0)
        json_object_del(run, "why"); /* of its wait */
    if (strcmp(entry->kind, "run.held") == 0)
        stanch_report__at(run, "ended_ms", entry->at_ms);
}

static void on_parked(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *run = find(report, entry);
    if (!run)
        return;
    json_t *parked = json_object_get(run, "parked");
    if (!parked) {
        parked = json_array();
        json_object_set_new(run, "parked", parked);
    }
    stanch_json_set_str(run, "state", "parked");
    if (json_array_size(parked) < PARKED_MAX)
        json_array_append_new(parked, json_pack("{s:I, s:s}", "at_ms", (json_int_t)entry->at_ms, "why",
                                                stanch_json_str(entry->data, "why", "no reason was recorded")));
}

static void on_resumed(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *run = find(report, entry);
    if (run)
        stanch_json_set_str(run, "state", "running");
}

static void on_ended(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *run = find(report, entry);
    if (!run)
        return;
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    stanch_json_set_str(run, "state", stanch_kind_find(entry->kind)->state);
    stanch_json_set_str(run, "why", stanch_json_str(entry->data, "why", NULL));
    stanch_json_set_str(run, "ended_by", who);
    stanch_report__at(run, "ended_ms", entry->at_ms);
}

void stanch_report__runs(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const struct stanch_report__row table[] = {
        {"run.started", on_first}, {"run.queued", on_first},    {"run.asking", on_first},
        {"run.held", on_first},    {"run.parked", on_parked},   {"run.resumed", on_resumed},
        {"run.failed", on_ended},  {"run.succeeded", on_ended}, {"run.cancelled", on_ended},
    };
    stanch_report__fold(report, entry, table, sizeof table / sizeof *table);
}
