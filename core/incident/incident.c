/* incident.c: correlation is a key in the journal, from the digest of the correlating labels to the incident that was
 * declared for them last. What was looked up lately is kept, in two generations, so that it stays small however many
 * incidents there were: a full `known` becomes `known_before`. */
#include "incident/incident.h"
#include "base/json.h"
#include "base/mem.h"
#include "incident/roles.h"
#include "incident/soak.h"
#include "timeline/journal.h"
#include <string.h>

#define KNOWN_MAX        256 /* correlations in one generation */
#define REOPEN_WITHIN_MS (30LL * 60 * 1000)
#define SOAK_FOR_MS      (10LL * 60 * 1000)
#define MERGES_MAX       8 /* how far a merge is followed */

struct stanch_incidents {
    struct stanch_journal *journal;
    const struct stanch_people *people;
    struct stanch_roster roster;
    bool has_roster;
    json_t *config;
    json_t *known, *known_before; /* correlation digest -> incident */
    json_t *draft;                /* incident -> true: those that the batch in the making declares */
};

static void learn(struct stanch_incidents *incidents, const char *correlation, const char *incident)
{
    if (json_object_size(incidents->known) >= KNOWN_MAX) {
        json_decref(incidents->known_before);
        incidents->known_before = incidents->known;
        incidents->known = json_object();
    }
    json_object_set_new(incidents->known, correlation, json_string(incident));
}

/* The incident that was declared last for a correlation, or "". */
static void look_up(struct stanch_incidents *incidents, const char *correlation, char ret[64])
{
    const char *incident = stanch_json_str(incidents->known, correlation, NULL);
    if (!incident)
        incident = stanch_json_str(incidents->known_before, correlation, NULL);
    (void)snprintf(ret, 64, "%s", incident ? incident : "");
    if (incident)
        return;
    STANCH_AUTO_FREE char *id = stanch_asprintf("correlation:%s", correlation);
    STANCH_AUTO_JSON json_t *key = stanch_journal_see(incidents->journal, "key", id);
    (void)snprintf(ret, 64, "%s", stanch_json_str(key, "incident", ""));
    if (*ret)
        learn(incidents, correlation, ret);
}

/* What all titles begin with: of a drill, that it is one. new */
static json_t *marked(const struct stanch_incidents *incidents, const char *title)
{
    const char *mark = stanch_json_str(incidents->config, "mark", "");
    return json_sprintf("%s%s", strncmp(title, mark, strlen(mark)) == 0 ? "" : mark, title);
}

int stanch_incidents_new(struct stanch_journal *journal, const json_t *config, const struct stanch_people *people,
                         const struct stanch_roster *roster, struct stanch_incidents **ret, struct stanch_err *err)
{
    (void)err;
    struct stanch_incidents *incidents = STANCH_NEW(struct stanch_incidents);
    incidents->journal = journal;
    incidents->people = people;
    incidents->has_roster = roster != NULL;
    if (roster)
        incidents->roster = *roster;
    incidents->config = config ? json_deep_copy(config) : json_object();
    incidents->known = json_object();
    incidents->known_before = json_object();
    incidents->draft = json_object();
    *ret = incidents;
    return 0;
}

void stanch_incidents_new_batch(struct stanch_incidents *incidents)
{
    json_object_clear(incidents->draft);
}

void stanch_incidents_free(struct stanch_incidents *incidents)
{
    if (!incidents)
        return;
    json_decref(incidents->config);
    json_decref(incidents->known);
    json_decref(incidents->known_before);
    json_decref(incidents->draft);
    free(incidents);
}

static void put_on_call(const struct stanch_incidents *incidents, const char *incident, const char *by, int64_t now_ms,
                        struct stanch_batch *batch)
{
    const struct stanch_roster *roster = incidents->has_roster ? &incidents->roster : NULL;
    stanch_role_put_on_call(incidents->people, roster, incident, by, now_ms, batch);
}

static bool is_severity(const char *text)
{
    return strlen(text) == 4 && strncmp(text, "sev", 3) == 0 && text[3] >= '1' && text[3] <= '4';
}

const char *stanch_incident_severity(const struct stanch_incidents *incidents, const json_t *event)
{
    const char *said = stanch_json_str(event, "severity", "");
    if (is_severity(said))
        return said; /* its source knows */
    const json_t *rule = json_object_get(incidents->config, "severity");
    const json_t *own = json_object_get(json_object_get(rule, "sources"), stanch_json_str(event, "source", ""));
    const char *label = stanch_json_str(own, "label", stanch_json_str(rule, "label", "severity"));
    const char *value = stanch_json_str(json_object_get(event, "labels"), label, "");
    const char *otherwise = stanch_json_str(own, "otherwise", stanch_json_str(rule, "otherwise", "sev3"));
    const json_t *own_map = json_object_get(own, "map"), *map = own_map ? own_map : json_object_get(rule, "map");
    return stanch_json_str(map, value, is_severity(value) ? value : otherwise);
}

int stanch_incident_correlation(const json_t *config, const json_t *event, char ret[65])
{
    const json_t *labels = json_object_get(event, "labels");
    const json_t *keys = json_object_get(config, "correlate");
    STANCH_AUTO_JSON json_t *value = json_object();
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        json_object_set_new(value, key, json_string(stanch_json_str(labels, key, "")));
    }
    if (json_object_size(value) == 0)
        json_object_set_new(value, "name", json_string(stanch_json_str(event, "name", "")));
    return stanch_json_digest("stanch.correlation", 1, value, ret, NULL);
}

static void join(const char *incident, const json_t *event, int64_t now_ms, struct stanch_batch *batch)
{
    stanch_batch_add(batch, incident, "incident.joined", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:s, s:s, s:s, s:I}", "incident", incident, "event",
                               stanch_json_str(event, "id", ""), "name", stanch_json_str(event, "name", ""),
                               "event_state", stanch_json_str(event, "state", ""), "last_event_ms",
                               (json_int_t)now_ms));
}

static bool is_open(struct stanch_incidents *incidents, const char *incident)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(incidents->journal, "incident", incident);
    const char *state = stanch_json_str(doc, "state", "resolved");
    return strcmp(state, "resolved") != 0 && strcmp(state, "merged") != 0;
}

/* Does the event belong to this incident? incident: becomes the one that it was merged into. */
static bool takes_in(struct stanch_incidents *incidents, char incident[64], int64_t now_ms, bool is_resolved)
{
    if (json_object_get(incidents->draft, incident))
        return true; /* declared a moment ago, in the same batch */
    for (int i = 0; i < MERGES_MAX; i++) {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(incidents->journal, "incident", incident);
        const char *state = stanch_json_str(doc, "state", "resolved");
        if (strcmp(state, "merged") == 0) {
            (void)snprintf(incident, 64, "%s", stanch_json_str(doc, "into", ""));
            continue;
        }
        int64_t window = stanch_json_int(incidents->config, "join_within_ms", 1800000);
        bool inside = is_resolved || now_ms - stanch_json_int(doc, "last_event_ms", 0) <= window;
        return inside && strcmp(state, "resolved") != 0;
    }
    return false;
}

/* Was it over only for a moment? Then it is the same trouble: what is known of it, and who holds its roles, goes on. */
static bool may_reopen(struct stanch_incidents *incidents, const char *incident, int64_t now_ms)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(incidents->journal, "incident", incident);
    int64_t resolved_ms = stanch_json_int(doc, "resolved_ms", 0);
    return strcmp(stanch_json_str(doc, "state", ""), "resolved") == 0 && resolved_ms > 0 &&
           now_ms - resolved_ms < stanch_json_int(incidents->config, "reopen_within_ms", REOPEN_WITHIN_MS);
}

static void reopen(struct stanch_incidents *incidents, const char *incident, const json_t *event,
                   struct stanch_batch *batch)
{
    stanch_batch_add(batch, incident, "incident.reopened", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:s+, s:n, s:n, s:n, s:n, s:n}", "incident", incident, "reason",
                               stanch_json_str(event, "name", "its alert"), " fires again", "resolved_ms",
                               "left_in_force", "measured", "lasted", "samples"));
    json_object_set_new(incidents->draft, incident, json_true());
}

void stanch_incident_for_event(struct stanch_incidents *incidents, const json_t *event, int64_t now_ms, bool must,
                               struct stanch_batch *batch, char ret[64])
{
    char correlation[65];
    ret[0] = 0;
    bool is_alert = strcmp(stanch_json_str(event, "kind", "alert"), "alert") == 0;
    if ((!is_alert && !must) || stanch_incident_correlation(incidents->config, event, correlation) < 0)
        return; /* a change is no trouble by itself */
    bool resolved = strcmp(stanch_json_str(event, "state", ""), "resolved") == 0;
    char known[64];
    look_up(incidents, correlation, known);
    bool is_taken = *known && takes_in(incidents, known, now_ms, resolved);
    if (*known && !is_taken && !resolved && may_reopen(incidents, known, now_ms)) {
        reopen(incidents, known, event, batch);
        is_taken = true;
    }
    if (is_taken) {
        (void)snprintf(ret, 64, "%s", known);
        join(ret, event, now_ms, batch);
        return;
    }
    const char *severity = stanch_incident_severity(incidents, event);
    /* "sev1" is the worst: declared when it is at least as bad as declare_from */
    bool bad_enough = strcmp(severity, stanch_json_str(incidents->config, "declare_from", "sev4")) <= 0;
    if (resolved || !(must || bad_enough))
        return;
    stanch_journal_next_id(incidents->journal, "INC", ret);
    const char *summary = stanch_json_str(event, "summary", "");
    const char *name = stanch_json_str(event, "name", "alert");
    STANCH_AUTO_FREE char *title = stanch_asprintf("%s%s%.150s", name, *summary ? ": " : "", summary);
    stanch_batch_add(batch, ret, "incident.declared", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:o, s:s, s:s, s:{}, s:I, s:s}", "incident", ret, "title",
                               marked(incidents, title), "severity", severity, "correlation", correlation, "roles",
                               "last_event_ms", (json_int_t)now_ms, "event", stanch_json_str(event, "id", "")));
    put_on_call(incidents, ret, STANCH_BY_STANCH, now_ms, batch);
    json_object_set_new(incidents->draft, ret, json_true());
    learn(incidents, correlation, ret);
}

/* ---- commands ---- */

static int check_severity(const char *severity, struct stanch_err *err)
{
    return is_severity(severity)
               ? 0
               : stanch_err_set(err, STANCH_E_INVALID, "severity: \"%.40s\" is none; they are sev1 (worst) to sev4",
                                severity);
}

int stanch_incident_declare(struct stanch_incidents *incidents, const char *by, const json_t *input, int64_t now_ms,
                            struct stanch_batch *batch, char ret[64], struct stanch_err *err)
{
    const char *title = stanch_json_str(input, "title", "");
    const char *severity = stanch_json_str(input, "severity", "sev3");
    if (!*title)
        return stanch_err_set(err, STANCH_E_INVALID, "title: say in a line what is wrong");
    int rc = check_severity(severity, err);
    if (rc < 0)
        return rc;
    stanch_journal_next_id(incidents->journal, "INC", ret);
    json_t *data = json_pack("{s:s, s:o, s:s, s:{}, s:I}", "incident", ret, "title", marked(incidents, title),
                             "severity", severity, "roles", "last_event_ms", (json_int_t)now_ms);
    stanch_json_set_str(data, "note", stanch_json_str(input, "note", NULL));
    stanch_batch_add(batch, ret, "incident.declared", by, NULL, data);
    put_on_call(incidents, ret, by, now_ms, batch);
    return 0;
}

static json_t *open_incident(struct stanch_incidents *incidents, const json_t *input, struct stanch_err *err)
{
    const char *id = stanch_json_str(input, "incident", "");
    json_t *doc = stanch_journal_get(incidents->journal, STANCH_VIEW_APPENDED, "incident", id);
    if (!doc)
        stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no incident \"%.60s\"", id);
    return doc;
}

static int check_state(const char *state, struct stanch_err *err)
{
    static const char *const states[] = {"investigating", "mitigating", "monitoring"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], state) == 0)
            return 0;
    return stanch_err_set(
        err, STANCH_E_INVALID,
        "state: \"%.40s\" is none; they are investigating, mitigating, monitoring (and resolve ends it)", state);
}

int stanch_incident_set(struct stanch_incidents *incidents, const char *by, const json_t *input,
                        struct stanch_batch *batch, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = open_incident(incidents, input, err);
    if (!doc)
        return err->code;
    const char *id = stanch_json_str(doc, "id", "");
    const char *severity = stanch_json_str(input, "severity", NULL), *state = stanch_json_str(input, "state", NULL);
    int rc = severity ? check_severity(severity, err) : 0;
    if (rc == 0 && state)
        rc = check_state(state, err);
    if (rc < 0)
        return rc;
    json_t *data = json_pack("{s:s}", "incident", id);
    if (stanch_json_str(input, "title", NULL))
        json_object_set_new(data, "title", marked(incidents, stanch_json_str(input, "title", "")));
    stanch_json_set_str(data, "severity", severity);
    stanch_json_set_str(data, "state", state);
    const json_t *roles = json_object_get(input, "roles");
    if (json_is_object(roles)) {
        json_t *all = json_deep_copy(json_object_get(doc, "roles"));
        if (!all)
            all = json_object();
        json_object_update(all, (json_t *)(uintptr_t)roles);
        json_object_set_new(data, "roles", all);
    }
    if (json_object_size(data) == 1) {
        json_decref(data);
        return stanch_err_set(err, STANCH_E_INVALID, "nothing to change: give title, severity, state or roles");
    }
    bool ended = !is_open(incidents, id);
    if (state && strcmp(state, "monitoring") != 0 && json_object_get(doc, "soak"))
        stanch_soak_end(data); /* it is not over: nobody waits for that any more */
    stanch_batch_add(batch, id, ended && state ? "incident.reopened" : "incident.changed", by, NULL, data);
    return 0;
}

/* Nothing may be in force without a word. ret_count: how many are */
static int check_in_force(struct stanch_incidents *incidents, const json_t *doc, bool has_reason, size_t *ret_count,
                          struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *in_force = NULL;
    int rc = stanch_soak_in_force(incidents->journal, doc, &in_force, err);
    if (rc < 0)
        return rc;
    *ret_count = json_array_size(in_force);
    return *ret_count == 0 || has_reason
               ? 0
               : stanch_err_set(
                     err, STANCH_E_CONFLICT,
                     "%s still has %zu mitigation(s) in force (%s, ...): undo them, or give a reason to leave them",
                     stanch_json_str(doc, "id", ""), *ret_count, json_string_value(json_array_get(in_force, 0)));
}

void stanch_incident_put_resolved(const char *id, const char *by, json_t *data, int64_t now_ms,
                                  struct stanch_batch *batch)
{
    json_object_set_new(data, "incident", json_string(id));
    json_object_set_new(data, "resolved_ms", json_integer(now_ms));
    static const char *const of_before[] = {"reason", "measured", "lasted", "samples"}; /* opened again since */
    for (size_t i = 0; i < sizeof of_before / sizeof *of_before; i++)
        if (!json_object_get(data, of_before[i]))
            json_object_set_new(data, of_before[i], json_null());
    stanch_soak_end(data);
    stanch_batch_add(batch, id, "incident.resolved", by, NULL, data);
}

/* What its symptoms must be for how long. ret NULL: no run began, so there is nothing that could tell. new */
static int ask_for_soak(struct stanch_incidents *incidents, const char *by, const json_t *doc, json_t **ret,
                        struct stanch_err *err)
{
    const char *id = stanch_json_str(doc, "id", "");
    STANCH_AUTO_JSON json_t *symptoms = NULL;
    int64_t runs = stanch_soak_runs(incidents->journal, doc), seen = 0;
    int rc = stanch_soak_symptoms(incidents->journal, doc, &symptoms, &seen, err);
    if (rc < 0 || (runs == 0 && seen == 0))
        return rc;
    if (json_array_size(symptoms) > 0) {
        int64_t lasts_ms = stanch_json_int(incidents->config, "soak_for_ms", SOAK_FOR_MS);
        *ret = stanch_soak_new(by, lasts_ms, seen, symptoms);
        return 0;
    }
    if (seen < runs)
        return stanch_err_set(err, STANCH_E_BUSY, "a run of %s is only beginning: try again", id);
    return stanch_err_set(
        err, STANCH_E_CONFLICT,
        "nobody can measure whether %s is over: no runbook that ran for it declares a symptom. Say why "
        "it is (--because)",
        id);
}

int stanch_incident_resolve(struct stanch_incidents *incidents, const char *by, const json_t *input, int64_t now_ms,
                            struct stanch_batch *batch, json_t **ret_soak, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = open_incident(incidents, input, err);
    if (!doc)
        return err->code;
    const char *id = stanch_json_str(doc, "id", "");
    const char *reason = stanch_json_str(input, "reason", "");
    size_t in_force = 0;
    if (!is_open(incidents, id))
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is %s already", id, stanch_json_str(doc, "state", ""));
    int rc = check_in_force(incidents, doc, *reason, &in_force, err);
    if (rc == 0 && !*reason)
        rc = ask_for_soak(incidents, by, doc, ret_soak, err);
    if (rc < 0 || *ret_soak)
        return rc;
    json_t *data = json_pack("{s:I}", "left_in_force", (json_int_t)in_force);
    stanch_json_set_str(data, "reason", *reason ? reason : NULL);
    if (!*reason)
        json_object_set_new(data, "measured", json_string("nothing, for no runbook ran for it"));
    stanch_incident_put_resolved(id, by, data, now_ms, batch);
    return 0;
}

int stanch_incident_say(struct stanch_incidents *incidents, const char *by, const char *kind, const json_t *input,
                        struct stanch_batch *batch, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = open_incident(incidents, input, err);
    if (!doc)
        return err->code;
    const char *text = stanch_json_str(input, "text", "");
    if (!*text)
        return stanch_err_set(err, STANCH_E_INVALID, "text: there is nothing to write down");
    const char *id = stanch_json_str(doc, "id", "");
    stanch_batch_add(batch, id, kind, by, NULL, json_pack("{s:s, s:s}", "incident", id, "text", text));
    return 0;
}

int stanch_incident_merge(struct stanch_incidents *incidents, const char *by, const json_t *input,
                          struct stanch_batch *batch, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = open_incident(incidents, input, err);
    if (!doc)
        return err->code;
    const char *id = stanch_json_str(doc, "id", ""), *into = stanch_json_str(input, "into", "");
    STANCH_AUTO_JSON json_t *other = stanch_journal_get(incidents->journal, STANCH_VIEW_APPENDED, "incident", into);
    if (!other)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "into: there is no incident \"%.60s\"", into);
    if (strcmp(id, into) == 0 || !is_open(incidents, id) || !is_open(incidents, into))
        return stanch_err_set(err, STANCH_E_CONFLICT,
                              "%s cannot be merged into %s: both must be open, and not the same", id, into);
    json_t *data = json_pack("{s:s, s:s}", "incident", id, "into", into);
    stanch_soak_end(data);
    stanch_batch_add(batch, id, "incident.merged", by, NULL, data);
    STANCH_AUTO_JSON json_t *with_it = stanch_incident_chains(doc);
    json_t *absorbed = stanch_incident_chains(other);
    json_array_remove(absorbed, 0);
    json_array_extend(absorbed, with_it);
    stanch_batch_add(batch, into, "incident.absorbed", by, NULL,
                     json_pack("{s:s, s:s, s:o}", "incident", into, "merged", id, "absorbed", absorbed));
    return 0;
}
