/* acts.c: what was done against it: the mitigations that were sent, the symptom before and after, and how they ended. */
#include "report/room.h"
#include <stdio.h>

static json_t *act_of_step(const struct stanch_report *report, const struct stanch_entry *entry)
{
    return json_object_get(report->acts, stanch_json_str(entry->data, "step", ""));
}

static json_t *act_of(const struct stanch_report *report, const struct stanch_entry *entry)
{
    const char *id = stanch_json_str(entry->data, "mitigation", "");
    return json_object_get(report->acts, stanch_json_str(report->by_mitigation, id, ""));
}

static json_t *run_of(const struct stanch_report *report, const struct stanch_entry *entry)
{
    return entry->run ? json_object_get(report->runs, entry->run) : NULL;
}

/* ---- sent, answered ---- */

/* Who said that it may be sent: the people who answered its question; the policy when nobody was asked. */
static json_t *approval_of(const struct stanch_report *report, const char *id)
{
    const json_t *wait = json_object_get(report->waits, id);
    const json_t *by = json_object_get(wait, "by");
    return json_pack("{s:s, s:o, s:s}", "approval", id, "by", by ? json_deep_copy(by) : json_array(), "outcome",
                     stanch_json_str(wait, "outcome", "approved"));
}

static void on_sent(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const char *const members[] = {"step", "instance", "action", "impact", "because"};
    static const char *const planned[] = {"targets", "from", "to"};
    const char *step = stanch_json_str(entry->data, "step", "");
    const char *consumed = stanch_json_str(entry->data, "consumed", NULL);
    json_t *run = run_of(report, entry);
    if (!json_object_get(entry->data, "plan_digest"))
        return; /* it changes nothing: a read, or people are told */
    json_t *act = stanch_report__track(report, report->acts, step);
    if (!act)
        return;
    stanch_report__take(act, entry->data, members, sizeof members / sizeof *members);
    stanch_report__take(act, json_object_get(entry->data, "plan"), planned, sizeof planned / sizeof *planned);
    if (json_object_get(entry->data, "sent_args"))
        json_object_set(act, "args", json_object_get(entry->data, "sent_args"));
    stanch_json_set_str(act, "run", entry->run);
    stanch_json_set_str(act, "state", "sent");
    stanch_report__at(act, "sent_ms", entry->at_ms);
    if (consumed)
        json_object_set_new(act, "approved", approval_of(report, consumed));
    if (!run)
        return;
    stanch_json_set_str(act, "runbook", stanch_json_str(run, "runbook", NULL));
    if (json_object_get(run, "symptom") && !json_object_get(act, "before"))
        json_object_set(act, "before", json_object_get(run, "symptom"));
    stanch_json_set_str(run, "last_step", step);
}

static void set_applied(struct stanch_report *report, const struct stanch_entry *entry, json_t *act)
{
    if (!json_object_get(act, "applied_ms"))
        stanch_report__at(act, "applied_ms", entry->at_ms);
    if (!report->times.applied_ms)
        report->times.applied_ms = entry->at_ms;
}

static void on_answered(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of_step(report, entry);
    const char *outcome = stanch_json_str(entry->data, "outcome", "unknown");
    if (!act)
        return;
    stanch_json_set_str(act, "outcome", outcome);
    stanch_json_set_str(act, "state", outcome);
    json_object_del(act, "why");
    stanch_json_set_str(act, "why", stanch_json_str(entry->data, "why", NULL));
    if (strcmp(outcome, "done") == 0)
        set_applied(report, entry, act);
}

static void on_doubt(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of_step(report, entry);
    if (!act)
        return;
    stanch_json_set_str(act, "outcome", "unknown");
    stanch_json_set_str(act, "state", "unknown");
    stanch_json_set_str(act, "why", stanch_json_str(entry->data, "why", NULL));
}

static void on_told(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of_step(report, entry);
    if (!act)
        return;
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    json_object_set_new(act, "told",
                        json_pack("{s:s, s:s}", "happened", stanch_json_str(entry->data, "happened", ""), "who", who));
    stanch_json_set_str(act, "state", stanch_json_str(entry->data, "happened", ""));
}

static void on_read_back(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of_step(report, entry);
    if (act)
        json_object_set_new(act, "verified", json_boolean(stanch_json_bool(entry->data, "holds", false)));
}

/* ---- in force, and its end ---- */

static void on_applied(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const char *const members[] = {"mitigation", "step", "instance", "action",  "args",          "targets",
                                          "from",       "to",   "impact",   "because", "lease_ends_ms", "undo_by_hand"};
    const char *step = stanch_json_str(entry->data, "step", ""), *id = stanch_json_str(entry->data, "mitigation", "");
    json_t *act = act_of_step(report, entry);
    if (!act && json_object_size(report->acts) < STANCH_REPORT__LIST) /* else it is counted already */
        act = stanch_report__track(report, report->acts, step);
    if (!act)
        return;
    stanch_report__take(act, entry->data, members, sizeof members / sizeof *members);
    if (!json_object_get(act, "run"))
        stanch_json_set_str(act, "run", entry->run);
    stanch_json_set_str(act, "state", "in-force");
    set_applied(report, entry, act);
    json_object_set_new(report->by_mitigation, id, json_string(step));
}

static void on_end(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of(report, entry);
    const char *why = stanch_json_str(entry->data, "why", stanch_json_str(entry->data, "reason", NULL));
    if (!act)
        return;
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    stanch_json_set_str(act, "state", stanch_kind_find(entry->kind)->state);
    stanch_json_set_str(act, "ended_by", who);
    json_object_del(act, "ended_why");
    stanch_json_set_str(act, "ended_why", why);
    if (strcmp(entry->kind, "mitigation.undone") == 0)
        stanch_report__at(act, "ended_ms", entry->at_ms);
    else if (strcmp(entry->kind, "mitigation.undo-failed") == 0)
        json_object_set_new(act, "not_undone", json_true());
}

static void on_lease(struct stanch_report *report, const struct stanch_entry *entry)
{
    json_t *act = act_of(report, entry), *ends = json_object_get(entry->data, "lease_ends_ms");
    if (!act)
        return;
    if (json_is_integer(ends))
        json_object_set(act, "lease_ends_ms", ends);
    else if (ends)
        json_object_del(act, "lease_ends_ms");
    if (strcmp(entry->kind, "mitigation.overdue") == 0)
        stanch_json_set_str(act, "overdue", stanch_json_str(entry->data, "why", ""));
    else
        json_object_del(act, "overdue");
}

/* ---- the symptom ---- */

/* The end of the suffering: the symptom of a run is good after the first mitigation, until that run sees it bad again. */
static void note_mitigated(struct stanch_report *report, const struct stanch_entry *entry, const char *result)
{
    bool is_same = strcmp(report->mitigated_run, entry->run ? entry->run : "") == 0;
    if (strcmp(result, "good") == 0 && report->times.applied_ms && !report->times.mitigated_ms) {
        report->times.mitigated_ms = entry->at_ms;
        (void)snprintf(report->mitigated_run, sizeof report->mitigated_run, "%s", entry->run ? entry->run : "");
    } else if (strcmp(result, "bad") == 0 && is_same) {
        report->times.mitigated_ms = 0;
    }
}

static void on_symptom(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const char *const members[] = {"result", "value", "good", "why"};
    static const char *const results[] = {"good", "bad", "between", "no_data"};
    const char *result = stanch_json_str(entry->data, "result", "");
    json_t *run = run_of(report, entry);
    bool is_symptom = false;
    for (size_t i = 0; i < sizeof results / sizeof *results; i++)
        is_symptom |= strcmp(results[i], result) == 0;
    if (!is_symptom)
        return; /* something else that a run waited for */
    note_mitigated(report, entry, result);
    if (!run)
        return;
    json_t *seen = json_pack("{s:I}", "at_ms", (json_int_t)entry->at_ms);
    stanch_report__take(seen, entry->data, members, sizeof members / sizeof *members);
    json_object_set_new(run, "symptom", seen);
    json_t *act = json_object_get(report->acts, stanch_json_str(run, "last_step", ""));
    if (json_object_get(act, "applied_ms") && !json_object_get(act, "ended_ms"))
        json_object_set(act, "after", seen);
}

void stanch_report__acts(struct stanch_report *report, const struct stanch_entry *entry)
{
    static const struct stanch_report__row table[] = {
        {"action.sent", on_sent},           {"action.answered", on_answered},
        {"action.unanswered", on_doubt},    {"step.unknown", on_doubt},
        {"step.resolved", on_told},         {"action.verified", on_read_back},
        {"mitigation.applied", on_applied}, {"mitigation.undone", on_end},
        {"mitigation.undo-failed", on_end}, {"mitigation.undo-unknown", on_end},
        {"mitigation.overdue", on_lease},   {"mitigation.extended", on_lease},
        {"mitigation.kept", on_lease},      {"step.checked", on_symptom},
        {"step.verified", on_symptom},
    };
    stanch_report__fold(report, entry, table, sizeof table / sizeof *table);
}
