/* record_world.c: what each plugin answered, out of a run's entries. A reply is one of
 *   {"value":V}   {"fails":{"kind","text","retry"}}   {"unknown":text}   {"again":{"value","every_ms","lasts_ms"}}
 *
 * A plan is asked for once before the gate and once more before what was approved is applied; the entries hold each.
 * Samples of a verify are not in the timeline, only what it came to: the last one stands for all of them.
 */
#include "cli/record.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define ANSWER_MS 10 /* how long an answer takes in a rehearsal (drill/scene.c) */
#define NO_PLAN   "no plan could be made, nothing was changed: "

static json_t *step_of(const struct stanch_cli__record *record, const json_t *data)
{
    return json_object_get(record->steps, stanch_json_str(data, "step", ""));
}

/* ---- replies ---- */

static json_t *list_of(struct stanch_cli__record *record, const char *name, const char *op, const json_t *args)
{
    STANCH_AUTO_FREE char *text = args ? json_dumps(args, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s %s %s", name, op, text ? text : "{}");
    json_t *found = json_object_get(record->replies, key);
    if (!found) {
        found = json_pack("{s:s, s:s, s:o, s:[]}", "name", name, "op", op, "args",
                          args ? json_deep_copy(args) : json_object(), "list");
        json_object_set_new(record->replies, key, found);
    }
    return json_object_get(found, "list");
}

/* Of the action of a step. reply: taken. */
static void reply(struct stanch_cli__record *record, const json_t *step, const char *op, json_t *reply)
{
    const json_t *args = json_object_get(step, "args");
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s.%s", stanch_json_str(args, "instance", ""), stanch_json_str(args, "action", ""));
    json_array_append_new(list_of(record, name, op, json_object_get(args, "args")), reply);
}

static json_t *value_reply(const json_t *value)
{
    json_t *given = (json_t *)(uintptr_t)value;
    return json_pack("{s:o}", "value", given && !json_is_null(given) ? json_deep_copy(given) : json_object());
}

static json_t *fails_reply(const char *kind, const char *text)
{
    return json_pack("{s:{s:s, s:s}}", "fails", "kind", kind, "text", text);
}

/* The engine puts the action before what a plugin said; in a test it does so again. */
static const char *without_name(const json_t *step, const char *text)
{
    const json_t *args = json_object_get(step, "args");
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s.%s: ", stanch_json_str(args, "instance", ""), stanch_json_str(args, "action", ""));
    return strncmp(text, name, strlen(name)) == 0 ? text + strlen(name) : text;
}

static void mark(json_t *step, const char *what)
{
    json_object_set_new(step, what, json_true());
}

/* ---- the symptom ---- */

static json_t *sample_of(const json_t *data)
{
    json_t *value = json_object_get(data, "value");
    if (value && !json_is_null(value))
        return json_incref(value);
    return json_pack("{s:b, s:s}", "no_data", 1, "why", stanch_json_str(data, "why", "there was no sample"));
}

static void on_watched(struct stanch_cli__record *record, const json_t *data, bool once)
{
    const json_t *args = json_object_get(step_of(record, data), "args");
    const json_t *symptom = json_object_get(args, "symptom") ? json_object_get(args, "symptom") : args;
    const json_t *ask = json_object_get(symptom, "ask");
    const char *result = stanch_json_str(data, "result", "");
    int64_t hold = stanch_json_int(symptom, "hold_ms", 0), within = stanch_json_int(symptom, "within_ms", 300000);
    int64_t every = stanch_json_int(symptom, "every_ms", hold >= 4000 ? 2000 : 500);
    int64_t lasts = within - stanch_json_int(symptom, "settle_ms", 0) - ANSWER_MS;
    if (!ask)
        return;
    if (strcmp(result, "good") == 0 || strcmp(result, "held") == 0)
        lasts = hold;
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s.%s", stanch_json_str(ask, "instance", ""), stanch_json_str(ask, "action", ""));
    json_t *list = list_of(record, name, "read", json_object_get(ask, "args"));
    if (once)
        json_array_append_new(list, json_pack("{s:o}", "value", sample_of(data)));
    else
        json_array_append_new(list, json_pack("{s:{s:o, s:I, s:I}}", "again", "value", sample_of(data), "every_ms",
                                              (json_int_t)(every > 50 ? every : 50), "lasts_ms",
                                              (json_int_t)(lasts > 0 ? lasts : 0)));
}

static void on_checked(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    on_watched(record, data, true);
}

static void on_verified_symptom(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    on_watched(record, data, false);
}

/* ---- actions ---- */

static bool is_left_out(const struct stanch_cli__record *record, const char *approval)
{
    for (size_t i = 0; i < json_array_size(record->questions); i++) {
        const json_t *question = json_array_get(record->questions, i);
        if (strcmp(stanch_json_str(question, "id", ""), approval) == 0)
            return stanch_json_bool(question, "left_out", false);
    }
    return false;
}

static void on_asked(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_object_set_new(
        record->steps, stanch_json_str(data, "step", ""),
        json_pack("{s:s, s:O?}", "op", stanch_json_str(data, "op", ""), "args", json_object_get(data, "args")));
}

static void on_planned(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_t *step = step_of(record, data);
    mark(step, "planned");
    if (!is_left_out(record, stanch_json_str(data, "approval", ""))) /* else it is planned once: before it is sent */
        reply(record, step, "plan", value_reply(json_object_get(data, "plan")));
}

/* Tried again, after it failed: it had said that this makes sense. */
static void mark_retry(struct stanch_cli__record *record, const json_t *step)
{
    const json_t *args = json_object_get(step, "args");
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s.%s", stanch_json_str(args, "instance", ""), stanch_json_str(args, "action", ""));
    const json_t *list = list_of(record, name, stanch_json_bool(step, "has_plan", false) ? "apply" : "read",
                                 json_object_get(args, "args"));
    json_t *fails = json_object_get(json_array_get(list, json_array_size(list) - 1), "fails");
    if (fails)
        mark(fails, "retry");
}

static void on_sent(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_t *step = step_of(record, data);
    if (stanch_json_int(data, "attempt", 1) > 1) {
        mark_retry(record, step);
        return;
    }
    mark(step, "sent");
    if (json_object_get(data, "plan_digest"))
        mark(step, "has_plan");
    if (json_object_get(data, "plan"))
        reply(record, step, "plan", value_reply(json_object_get(data, "plan")));
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void on_answered(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    const json_t *step = step_of(record, data), *args = json_object_get(step, "args");
    const char *outcome = stanch_json_str(data, "outcome", ""), *why = stanch_json_str(data, "why", "");
    bool has_plan = stanch_json_bool(step, "has_plan", false);
    const char *op = has_plan ? "apply" : "read";
    if (stanch_json_bool(step, "told", false))
        return; /* that it happened is what a person said */
    if (strcmp(outcome, "done") == 0) {
        reply(record, step, op, value_reply(json_object_get(data, "value")));
        if (has_plan)
            json_array_append_new(record->actions,
                                  json_pack("{s:o, s:O?}", "name",
                                            json_sprintf("%s.%s", stanch_json_str(args, "instance", ""),
                                                         stanch_json_str(args, "action", "")),
                                            "args", json_object_get(args, "args")));
    } else if (strcmp(outcome, "unknown") == 0 || begins(why, "the outcome was unknown; the plugin looked")) {
        reply(record, step, op, json_pack("{s:s}", "unknown", why));
        if (begins(why, "the outcome is unknown and the plugin cannot tell"))
            reply(record, step, "reconcile", json_pack("{s:{s:s}}", "value", "state", "cannot-tell"));
    } else {
        reply(record, step, op, fails_reply(stanch_json_str(data, "kind", "remote"), why));
    }
}

/* The policy lets the runbook only observe. */
static void on_observed(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_t *step = step_of(record, data);
    mark(step, "planned");
    if (json_object_get(data, "plan"))
        reply(record, step, "plan", value_reply(json_object_get(data, "plan")));
}

static void on_resolved(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    mark(step_of(record, data), "told");
}

static void on_unneeded(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_t *step = step_of(record, data);
    mark(step, "planned");
    reply(record, step, "plan",
          json_pack("{s:{s:b, s:s}}", "value", "no_change", 1, "impact", stanch_json_str(data, "impact", "")));
}

static void on_read_back(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    bool holds = stanch_json_bool(data, "holds", false);
    reply(record, step_of(record, data), "verify",
          json_pack("{s:{s:b, s:b}}", "value", "holds", holds, "never", !holds));
}

/* ---- mitigations ---- */

static void on_applied(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    const char *id = stanch_json_str(data, "mitigation", "");
    json_t *name = json_sprintf("%s.%s", stanch_json_str(data, "instance", ""), stanch_json_str(data, "action", ""));
    json_object_set_new(record->mitigations, id,
                        json_pack("{s:O, s:O?}", "name", name, "args", json_object_get(data, "args")));
    json_object_set_new(record->in_force, id, name);
}

/* By the run, or by who was asked at its end: both happen in a test. */
static const json_t *undone_here(const struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    const char *by = stanch_json_str(entry, "by", "");
    bool is_own = strncmp(by, "run:", 4) == 0 && strcmp(by + 4, record->id) == 0;
    if (!is_own && (!record->undone_by[0] || strcmp(by, record->undone_by) != 0))
        return NULL;
    return json_object_get(record->mitigations, stanch_json_str(data, "mitigation", ""));
}

static void on_undone(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    const json_t *mitigation = undone_here(record, entry, data);
    const char *id = stanch_json_str(data, "mitigation", "");
    if (!mitigation && json_object_get(record->in_force, id) && !record->ended_ms)
        json_array_append_new(record->left_out, json_sprintf("%s took %s back while the run was going",
                                                             stanch_json_str(entry, "by", ""), id));
    if (!mitigation)
        return;
    const char *name = stanch_json_str(mitigation, "name", "");
    json_array_append_new(list_of(record, name, "undo", json_object_get(mitigation, "args")),
                          value_reply(json_object_get(data, "undo_value")));
    json_array_append_new(record->actions, json_pack("{s:o, s:O?}", "name", json_sprintf("undo %s", name), "args",
                                                     json_object_get(mitigation, "args")));
    json_object_del(record->in_force, id);
}

static void on_not_undone(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    const json_t *mitigation = undone_here(record, entry, data);
    bool unknown = strcmp(stanch_json_str(entry, "kind", ""), "mitigation.undo-unknown") == 0;
    const char *why = stanch_json_str(data, "why", "");
    if (mitigation)
        json_array_append_new(
            list_of(record, stanch_json_str(mitigation, "name", ""), "undo", json_object_get(mitigation, "args")),
            unknown ? json_pack("{s:s}", "unknown", why) : fails_reply("remote", why));
}

/* ---- what the run was told ---- */

static void on_told_changes(struct stanch_cli__record *record, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *change = json_array_get(list, i);
        const char *id = stanch_json_str(change, "id", "");
        if (strcmp(stanch_json_str(change, "kind", ""), "mitigation") != 0)
            json_object_set(record->changes, id, change);
        else if (!json_object_get(record->mitigations, id))
            json_array_append_new(record->left_out,
                                  json_sprintf("%s, a mitigation of %s that the run saw among the changes", id,
                                               stanch_json_str(change, "by", "another run")));
    }
}

static void on_told_action(struct stanch_cli__record *record, const json_t *step, const json_t *answer)
{
    const json_t *ok = json_object_get(answer, "ok"), *error = json_object_get(answer, "error");
    const char *text = without_name(step, stanch_json_str(error, "text", "")),
               *kind = stanch_json_str(error, "kind", "remote");
    bool mitigates = *stanch_json_str(json_object_get(step, "args"), "because", "") != 0;
    if (begins(text, NO_PLAN))
        reply(record, step, "plan", fails_reply(kind, text + strlen(NO_PLAN)));
    else if (stanch_json_bool(step, "planned", false) || stanch_json_bool(step, "sent", false) ||
             json_object_get(ok, "observed"))
        return;
    else if (ok)
        reply(record, step, "read", value_reply(json_object_get(ok, "value")));
    else if (!mitigates) /* of a mitigation: it was refused, and no plugin was asked to do it */
        reply(record, step, "read", fails_reply(kind, text));
}

static void on_told(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    const json_t *step = step_of(record, data), *answer = json_object_get(data, "answer");
    const char *op = stanch_json_str(step, "op", "");
    if (strcmp(op, "action") == 0)
        on_told_action(record, step, answer);
    else if (strcmp(op, "recent_changes") == 0)
        on_told_changes(record, json_object_get(answer, "ok"));
}

void stanch_cli__record_plugins(struct stanch_cli__record *record, const json_t *entry)
{
    static const struct {
        const char *kind;
        void (*take)(struct stanch_cli__record *record, const json_t *entry, const json_t *data);
    } takers[] = {
        {"step.asked", on_asked},
        {"step.checked", on_checked},
        {"step.verified", on_verified_symptom},
        {"step.planned", on_planned},
        {"step.answered", on_told},
        {"step.resolved", on_resolved},
        {"action.sent", on_sent},
        {"action.answered", on_answered},
        {"action.unneeded", on_unneeded},
        {"action.observed", on_observed},
        {"action.verified", on_read_back},
        {"mitigation.applied", on_applied},
        {"mitigation.undone", on_undone},
        {"mitigation.undo-failed", on_not_undone},
        {"mitigation.undo-unknown", on_not_undone},
    };
    const char *kind = stanch_json_str(entry, "kind", "");
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (strcmp(kind, takers[i].kind) == 0)
            takers[i].take(record, entry, json_object_get(entry, "data"));
}

bool stanch_cli__is_of_policy(const json_t *question)
{
    static const char *const causes[] = {"risk ", "there is no policy file", "autonomy of ", "the run last acted ",
                                         "its alert has resolved"};
    const char *about = stanch_json_str(question, "about", ""), *why = stanch_json_str(question, "why", "");
    if (strcmp(about, "action") != 0 && strcmp(about, "undo") != 0)
        return true;
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        STANCH_AUTO_FREE char *later = stanch_asprintf("; %s", causes[i]);
        if (begins(why, causes[i]) || strstr(why, later))
            return true;
    }
    return !*why;
}
