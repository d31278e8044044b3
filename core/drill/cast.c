/* cast.c: what comes from outside by itself: alerts, changes, runs that people start, and what people answer.
 *
 *   scenario --cues--> timer --> flow (sent again in the next life, if it was not acknowledged)
 *   approval.requested --> who of the people holds that role? --after a while--> decides, unless somebody was faster
 */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/rehearsal_parts.h"
#include <stdio.h>
#include <string.h>

enum cue_kind { CUE_EVENTS, CUE_START, CUE_ANSWER };

struct stanch_cue {
    struct stanch_cue *next;
    struct stanch_rehearsal *r;
    enum cue_kind kind;
    char source[64];
    json_t *given; /* events; or what flow is told to do */
    char by[80];
    struct stanch_timer *timer; /* NULL: its time has come */
    bool is_sent, is_over;      /* over: acknowledged, or refused for good */
    int life;
};

/* ---- cues ---- */

static void give(void *ctx);

static struct stanch_cue *add_cue(struct stanch_rehearsal *r, enum cue_kind kind, int64_t at_ms, json_t *given)
{
    struct stanch_cue *cue = STANCH_NEW(struct stanch_cue);
    *cue = (struct stanch_cue){.next = r->cues, .r = r, .kind = kind, .given = given};
    int64_t left = r->began_ms + at_ms - stanch_loop_wall_ms(r->loop);
    cue->timer = stanch_timer_start(r->loop, left > 0 ? left : 0, give, cue);
    r->cues = cue;
    r->cues_left++;
    return cue;
}

static void end_cue(struct stanch_cue *cue)
{
    if (!cue->is_over)
        cue->r->cues_left--;
    cue->is_over = true;
}

static void on_given(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_cue *cue = ctx;
    (void)result;
    if (cue->r->dead || cue->life != cue->r->life)
        return; /* the sender did not hear of it */
    if (rc < 0 && cue->kind != CUE_ANSWER)
        stanch_rehearsal__break(cue->r, "%s: %s", cue->kind == CUE_START ? "starts" : "alerts", err->text);
    end_cue(cue);
}

/* Is an alert of the incident not over? The newest event of an alert says so. */
static bool still_fires(const struct stanch_rehearsal *r, const char *incident)
{
    struct stanch_noun_query query = {.noun = "event", .open = -1, .limit = 1000};
    STANCH_AUTO_JSON json_t *events = NULL, *known = json_object();
    if (stanch_journal_list(r->journal, &query, &events, NULL) < 0)
        return true;
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        const char *alert = stanch_json_str(event, "fingerprint", "");
        bool is_newest = !json_object_get(known, alert);
        json_object_set_new(known, alert, json_true());
        if (is_newest && strcmp(stanch_json_str(event, "incident", ""), incident) == 0 &&
            strcmp(stanch_json_str(event, "state", ""), "firing") == 0)
            return true;
    }
    return false;
}

static void give(void *ctx)
{
    struct stanch_cue *cue = ctx;
    struct stanch_rehearsal *r = cue->r;
    struct stanch_err err = {0};
    cue->timer = NULL;
    cue->is_sent = true;
    cue->life = r->life;
    if (r->dead)
        return;
    if (cue->kind == CUE_EVENTS) {
        STANCH_AUTO_FREE char *raw = json_dumps(cue->given, JSON_COMPACT);
        stanch_flow_take_events(r->flow, cue->source, cue->given, raw, on_given, cue);
        return;
    }
    const char *command = cue->kind == CUE_START ? "run.start" : stanch_json_str(cue->given, "command", "");
    if (strcmp(command, "incident.resolve") == 0 && still_fires(r, stanch_json_str(cue->given, "incident", ""))) {
        end_cue(cue); /* its last alert comes to them again */
        return;
    }
    if (stanch_flow_do(r->flow, cue->by, command, cue->given, on_given, cue, &err) < 0)
        on_given(cue, err.code, &err, NULL);
}

/* ---- alerts, changes, starts ---- */

static json_t *event_of(const struct stanch_rehearsal *r, const json_t *alert, const char *state)
{
    char fingerprint[65];
    STANCH_AUTO_FREE char *labels = json_dumps(json_object_get(alert, "labels"), JSON_COMPACT | JSON_SORT_KEYS);
    stanch_digest_hex(labels, strlen(labels), fingerprint);
    fingerprint[16] = 0;
    int64_t starts_ms = r->began_ms + stanch_json_int(alert, "at_ms", 0) - stanch_json_int(alert, "age_ms", 0);
    json_t *event = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:O, s:O}", "kind", "alert", "fingerprint", fingerprint, "state", state, "name",
        stanch_json_str(json_object_get(alert, "labels"), "alertname", ""), "starts_at_ms", (json_int_t)starts_ms,
        "labels", json_object_get(alert, "labels"), "annotations", json_object_get(alert, "annotations"));
    stanch_json_set_str(event, "summary", stanch_json_str(json_object_get(alert, "annotations"), "summary", NULL));
    if (strcmp(state, "resolved") == 0)
        json_object_set_new(
            event, "ends_at_ms",
            json_integer(r->began_ms + stanch_json_int(alert, "at_ms", 0) + stanch_json_int(alert, "lasts_ms", 0)));
    return event;
}

static void cue_alert(struct stanch_rehearsal *r, const json_t *alert)
{
    int64_t at_ms = stanch_json_int(alert, "at_ms", 0), lasts_ms = stanch_json_int(alert, "lasts_ms", -1);
    const char *source = stanch_json_str(alert, "source", "");
    int64_t repeats = stanch_json_int(alert, "repeats", 0);
    for (int64_t i = 0; i <= repeats; i++) {
        struct stanch_cue *cue =
            add_cue(r, CUE_EVENTS, at_ms + i * 1000, json_pack("[o]", event_of(r, alert, "firing")));
        (void)snprintf(cue->source, sizeof cue->source, "%s", source);
    }
    if (lasts_ms < 0)
        return;
    struct stanch_cue *end = add_cue(r, CUE_EVENTS, at_ms + lasts_ms, json_pack("[o]", event_of(r, alert, "resolved")));
    (void)snprintf(end->source, sizeof end->source, "%s", source);
}

static void cue_change(struct stanch_rehearsal *r, const json_t *given, size_t i)
{
    json_t *change = json_deep_copy(given);
    int64_t at_ms = stanch_json_int(given, "at_ms", 0);
    json_object_del(change, "at_ms");
    json_t *event = json_pack("{s:s, s:o, s:s, s:s, s:I, s:{}, s:o}", "kind", "change", "fingerprint",
                              json_sprintf("change-%zu", i), "state", "happened", "name",
                              stanch_json_str(given, "name", stanch_json_str(given, "kind", "")), "starts_at_ms",
                              (json_int_t)(r->began_ms + at_ms), "labels", "change", change);
    struct stanch_cue *cue = add_cue(r, CUE_EVENTS, at_ms, json_pack("[o]", event));
    (void)snprintf(cue->source, sizeof cue->source, "changes");
}

static void cue_start(struct stanch_rehearsal *r, const json_t *start)
{
    struct stanch_cue *cue = add_cue(r, CUE_START, stanch_json_int(start, "at_ms", 0),
                                     json_pack("{s:O, s:O}", "runbook", json_object_get(start, "runbook"), "params",
                                               json_object_get(start, "params")));
    stanch_json_set_str(cue->given, "incident", stanch_json_str(start, "incident", NULL));
    (void)snprintf(cue->by, sizeof cue->by, "person:%s", stanch_json_str(start, "by", "tester"));
}

void stanch_cast__begin(struct stanch_rehearsal *r)
{
    const json_t *scenario = r->spec->scenario;
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(scenario, "changes"), i, one) cue_change(r, one, i);
    json_array_foreach(json_object_get(scenario, "alerts"), i, one) cue_alert(r, one);
    if (!r->spec->live) /* else people do, or they do not */
        json_array_foreach(json_object_get(scenario, "starts"), i, one) cue_start(r, one);
}

/* ---- people ---- */

struct thought {
    struct stanch_rehearsal *r;
    char approval[32], person[80], note[200];
    int64_t after_ms;
};

static bool holds_role(const json_t *person, const char *role)
{
    const json_t *roles = json_object_get(person, "roles");
    for (size_t i = 0; i < json_array_size(roles); i++)
        if (strcmp(json_string_value(json_array_get(roles, i)), role) == 0)
            return true;
    return !json_is_array(roles);
}

/* What they say when nobody knows whether something happened: the truth, as far as it came into the world. */
static const char *truth_of(const struct stanch_rehearsal *r, const json_t *question)
{
    STANCH_AUTO_JSON json_t *step =
        stanch_journal_get(r->journal, STANCH_VIEW_APPENDED, "step", stanch_json_str(question, "step", ""));
    const char *key = stanch_json_str(step, "key", stanch_json_str(question, "step", ""));
    const char *name;
    json_t *count;
    json_object_foreach(r->keys, name, count) if (strstr(name, key)) return "happened";
    return "did-not";
}

/* "approve" where the question has other choices: the first of them. */
static const char *fitting(const struct stanch_rehearsal *r, const json_t *question, const char *decision)
{
    const json_t *choices = json_object_get(question, "choices");
    bool says_so = strcmp(decision, "approve") != 0 && strcmp(decision, "deny") != 0;
    if (strcmp(stanch_json_str(question, "about", ""), "unknown") == 0 && !says_so)
        return truth_of(r, question);
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (strcmp(json_string_value(json_array_get(choices, i)), decision) == 0)
            return decision;
    if (strcmp(decision, "approve") != 0 && strcmp(decision, "deny") != 0)
        return decision; /* refused: there is no such choice */
    const json_t *choice = json_array_get(choices, strcmp(decision, "deny") == 0 ? json_array_size(choices) - 1 : 0);
    return choice ? json_string_value(choice) : decision;
}

static void decide(struct stanch_rehearsal *r, const char *approval, const char *person, const char *decision,
                   const char *note, int64_t at_ms)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(r->journal, STANCH_VIEW_APPENDED, "approval", approval);
    if (!doc || strcmp(decision, "nothing") == 0)
        return;
    json_t *input = json_pack("{s:s, s:s, s:s}", "command", "approval.decide", "approval", approval, "decision",
                              fitting(r, doc, decision));
    stanch_json_set_str(input, "plan", stanch_json_str(doc, "plan_digest", NULL));
    stanch_json_set_str(input, "note", note && *note ? note : NULL);
    struct stanch_cue *cue = add_cue(r, CUE_ANSWER, at_ms, input);
    (void)snprintf(cue->by, sizeof cue->by, "person:%s", person);
}

static void on_said(void *ctx, const json_t *said)
{
    struct thought *thought = ctx;
    struct stanch_rehearsal *r = thought->r;
    int64_t after_ms = stanch_json_int(said, "after_ms", thought->after_ms);
    decide(r, thought->approval, thought->person, stanch_json_str(said, "decision", "nothing"),
           stanch_json_str(said, "note", thought->note), stanch_rehearsal__elapsed_ms(r) + after_ms);
    free(thought);
}

static json_t *question_for(const struct stanch_rehearsal *r, const char *person, const json_t *doc)
{
    static const char *const copied[] = {"about", "role", "instance", "action", "args",   "plan", "because",
                                         "risk",  "why",  "choices",  "again",  "impact", "text"};
    json_t *question = json_pack("{s:s, s:s, s:I}", "person", person, "approval", stanch_json_str(doc, "id", ""),
                                 "at_ms", (json_int_t)stanch_rehearsal__elapsed_ms(r));
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_object_get(doc, copied[i]))
            json_object_set(question, copied[i], json_object_get(doc, copied[i]));
    return question;
}

static void ask_one(struct stanch_rehearsal *r, const json_t *person, const json_t *doc)
{
    const char *name = stanch_json_str(person, "name", ""), *answers = stanch_json_str(person, "answers", NULL);
    const char *approval = stanch_json_str(doc, "id", ""), *note = stanch_json_str(person, "note", "");
    int64_t now_ms = stanch_rehearsal__elapsed_ms(r), away_ms = stanch_json_int(person, "away_until_ms", 0);
    int64_t after_ms = stanch_json_int(person, "after_ms", 0);
    after_ms += away_ms > now_ms ? away_ms - now_ms : 0;
    if (answers) {
        decide(r, approval, name, answers, note, now_ms + after_ms);
        return;
    }
    struct thought *thought = STANCH_NEW(struct thought);
    *thought = (struct thought){.r = r, .after_ms = after_ms};
    (void)snprintf(thought->approval, sizeof thought->approval, "%s", approval);
    (void)snprintf(thought->person, sizeof thought->person, "%s", name);
    (void)snprintf(thought->note, sizeof thought->note, "%s", note);
    stanch_scene__ask_person(r, question_for(r, name, doc), on_said, thought);
}

static void ask_people(struct stanch_rehearsal *r, const char *approval)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(r->journal, STANCH_VIEW_APPENDED, "approval", approval);
    const json_t *people = json_object_get(r->spec->scenario, "people");
    if (!doc || strcmp(stanch_json_str(doc, "state", ""), "pending") != 0)
        return;
    for (size_t i = 0; i < json_array_size(people); i++)
        if (holds_role(json_array_get(people, i), stanch_json_str(doc, "role", "ic")))
            ask_one(r, json_array_get(people, i), doc);
}

/* What people do by themselves with an incident, so long after something happened to it. */
static void move_people(struct stanch_rehearsal *r, const char *when, const char *incident, const char *command,
                        const char *member, const char *text)
{
    int64_t now_ms = stanch_rehearsal__elapsed_ms(r);
    const json_t *people = json_object_get(r->spec->scenario, "people");
    for (size_t i = 0; i < json_array_size(people); i++) {
        const json_t *person = json_array_get(people, i);
        int64_t after_ms = stanch_json_int(person, when, -1), away_ms = stanch_json_int(person, "away_until_ms", 0);
        if (after_ms < 0)
            continue;
        struct stanch_cue *cue =
            add_cue(r, CUE_ANSWER, (away_ms > now_ms ? away_ms : now_ms) + after_ms,
                    json_pack("{s:s, s:s, s:s}", "command", command, "incident", incident, member, text));
        (void)snprintf(cue->by, sizeof cue->by, "person:%s", stanch_json_str(person, "name", ""));
    }
}

void stanch_cast__on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_rehearsal *r = ctx;
    r->entries++;
    if (r->dead || r->spec->live) /* real people come in by the doors */
        return;
    if (strcmp(entry->kind, "approval.requested") == 0)
        ask_people(r, stanch_json_str(entry->data, "approval", ""));
    else if (strcmp(entry->kind, "incident.declared") == 0)
        move_people(r, "acknowledges_ms", entry->chain, "incident.note", "text", "on it");
    else if (strcmp(entry->kind, "incident.joined") == 0 &&
             strcmp(stanch_json_str(entry->data, "event_state", ""), "resolved") == 0)
        move_people(r, "resolves_ms", entry->chain, "incident.resolve", "reason", "its alerts are over");
}

void stanch_cast__again(struct stanch_rehearsal *r)
{
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 1000};
    STANCH_AUTO_JSON json_t *open = NULL;
    struct stanch_err err;
    for (struct stanch_cue *cue = r->cues; cue; cue = cue->next) {
        bool is_of_question = json_object_get(cue->given, "approval") != NULL;
        if (!cue->is_over && cue->is_sent && cue->kind == CUE_ANSWER && is_of_question)
            end_cue(cue); /* they look at the question again */
        else if (!cue->is_over && cue->is_sent && !cue->timer)
            cue->timer = stanch_timer_start(r->loop, 1000, give, cue); /* a sender that got no answer tries again */
    }
    if (stanch_journal_list(r->journal, &query, &open, &err) < 0) {
        stanch_rehearsal__break(r, "%s", err.text);
        return;
    }
    for (size_t i = 0; i < json_array_size(open); i++)
        ask_people(r, stanch_json_str(json_array_get(open, i), "id", ""));
}

void stanch_cast__free(struct stanch_rehearsal *r)
{
    while (r->cues) {
        struct stanch_cue *cue = r->cues;
        r->cues = cue->next;
        if (r->loop)
            stanch_timer_stop(r->loop, &cue->timer);
        json_decref(cue->given);
        free(cue);
    }
}
