/* fold.c: the uniform rule of fold.h, and below it the few kinds that need a line of their own. */
#include "model/fold.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static json_t *get_or_new(const struct stanch_entry *entry, const struct stanch_fold_port *port, const char *noun,
                          const char *id)
{
    json_t *doc = port->get(port->ctx, noun, id);
    if (doc)
        return doc;
    doc = json_object();
    json_object_set_new(doc, "id", json_string(id));
    json_object_set_new(doc, "open", json_true());
    json_object_set_new(doc, "created_ms", json_integer(entry->at_ms));
    json_object_set_new(doc, "seq", json_integer(entry->seq));
    return doc;
}

static void put(const struct stanch_entry *entry, const struct stanch_fold_port *port, const char *noun, const char *id,
                json_t *doc)
{
    json_object_set_new(doc, "updated_ms", json_integer(entry->at_ms));
    json_object_set_new(doc, "updated_seq", json_integer(entry->seq));
    STANCH_AUTO_FREE char *chain = stanch_strdup(stanch_json_str(doc, "incident", STANCH_CHAIN_NONE));
    port->put(port->ctx, noun, id, chain, stanch_json_bool(doc, "open", true), doc);
}

/* What the fold itself keeps; data may not overwrite it. */
static bool is_kept_by_fold(const char *member)
{
    static const char *const names[] = {"id", "open", "created_ms", "updated_ms", "seq", "updated_seq"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], member) == 0)
            return true;
    return false;
}

static void merge(json_t *doc, const json_t *data)
{
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)data, member, value)
    {
        if (is_kept_by_fold(member))
            continue;
        if (json_is_null(value))
            json_object_del(doc, member);
        else
            json_object_set(doc, member, value);
    }
}

static void set_incident(json_t *doc, const struct stanch_entry *entry)
{
    if (strcmp(entry->chain, STANCH_CHAIN_NONE) != 0)
        json_object_set_new(doc, "incident", json_string(entry->chain));
}

/* Counters stay where JSON keeps them exactly. */
static int64_t add_up(int64_t a, int64_t b)
{
    int64_t sum = a + b; /* both are within 2^53: no overflow */
    return sum > STANCH_JSON_SAFE_INT ? STANCH_JSON_SAFE_INT : sum < 0 ? 0 : sum;
}

static void grow(json_t *doc, const char *counter, int64_t by)
{
    json_object_set_new(doc, counter, json_integer(add_up(stanch_json_int(doc, counter, 0), by)));
}

/* A role gets another holder: the others stay as they are, also when two change at once. */
static void set_role(json_t *doc, const json_t *data)
{
    const json_t *before = json_object_get(doc, "roles");
    json_t *roles = json_is_object(before) ? json_copy((json_t *)(uintptr_t)before) : json_object();
    const char *role = stanch_json_str(data, "role", NULL), *holder = stanch_json_str(data, "holder", NULL);
    if (role && holder)
        json_object_set_new(roles, role, json_string(holder));
    json_object_set_new(doc, "roles", roles);
}

/* What each instance was told last of a drill, or could not be told. */
static void set_told(json_t *doc, const char *kind, const json_t *data)
{
    const char *instance = stanch_json_str(data, "instance", NULL), *told = stanch_json_str(data, "told", NULL);
    const char *member = strrchr(kind, '.') + 1;
    const json_t *before = json_object_get(doc, member);
    json_t *all = json_is_object(before) ? json_copy((json_t *)(uintptr_t)before) : json_object();
    if (instance && told)
        json_object_set_new(all, instance, json_string(told));
    json_object_set_new(doc, member, all);
}

/* The rule. */
static void fold_noun(const struct stanch_entry *entry, const struct stanch_kind *kind,
                      const struct stanch_fold_port *port)
{
    const char *id = stanch_json_str(entry->data, kind->id, NULL);
    if (!id)
        return;
    json_t *doc = get_or_new(entry, port, kind->noun, id);
    if (!json_object_get(doc, "updated_seq") && !kind->state) /* made by a kind without a state of its own: an event */
        json_object_set_new(doc, "open", json_boolean(kind->open));
    int64_t count = stanch_json_int(doc, "count", 0);
    if (strcmp(entry->kind, "incident.assigned") == 0)
        set_role(doc, entry->data);
    else if (strcmp(entry->kind, "drill.told") == 0 || strcmp(entry->kind, "drill.untold") == 0)
        set_told(doc, entry->kind, entry->data);
    else
        merge(doc, entry->data);
    set_incident(doc, entry);
    if (kind->state) {
        json_object_set_new(doc, "state", json_string(kind->state));
        json_object_set_new(doc, "open", json_boolean(kind->open));
    }
    if (strcmp(entry->kind, "event.repeated") == 0)
        json_object_set_new(doc, "count", json_integer(add_up(count, stanch_json_int(entry->data, "count", 1))));
    if (strcmp(entry->kind, "incident.joined") == 0)
        grow(doc, "events", 1);
    put(entry, port, kind->noun, id, doc);
}

/* A key under which a noun must be found again: one event per event key, one run per (event key, runbook). */
static void fold_key(const struct stanch_entry *entry, const struct stanch_fold_port *port, const char *key,
                     const char *noun)
{
    json_t *doc = get_or_new(entry, port, "key", key);
    json_object_set(doc, noun, json_object_get(entry->data, noun));
    json_t *incident = json_object_get(entry->data, "incident");
    if (json_is_string(incident))
        json_object_set(doc, "incident", incident);
    set_incident(doc, entry);
    put(entry, port, "key", key, doc);
}

/* What has these correlating labels belongs to this incident from now on. */
static void fold_correlation(const struct stanch_entry *entry, const struct stanch_fold_port *port)
{
    const char *correlation = stanch_json_str(entry->data, "correlation", NULL);
    if (!correlation)
        return;
    STANCH_AUTO_FREE char *key = stanch_asprintf("correlation:%s", correlation);
    fold_key(entry, port, key, "incident");
}

static void fold_run_start(const struct stanch_entry *entry, const struct stanch_fold_port *port)
{
    const char *event_key = stanch_json_str(entry->data, "event_key", NULL);
    if (event_key) {
        STANCH_AUTO_FREE char *key = stanch_asprintf("run:%s:%s", event_key, stanch_json_str(entry->data, "path", ""));
        fold_key(entry, port, key, "run");
    }
    const char *group = stanch_json_str(entry->data, "group", NULL);
    if (group) { /* the run that what is for the same joins */
        STANCH_AUTO_FREE char *key = stanch_asprintf("group:%s", group);
        fold_key(entry, port, key, "run");
    }
    json_t *incident = strcmp(entry->kind, "run.started") == 0 && strcmp(entry->chain, STANCH_CHAIN_NONE) != 0
                           ? port->get(port->ctx, "incident", entry->chain)
                           : NULL;
    if (!incident)
        return;
    grow(incident, "runs", 1);
    put(entry, port, "incident", entry->chain, incident);
}

/* What counts against the limits of the policy: a mitigation that left, once for all of its attempts. */
static void fold_sent(const struct stanch_entry *entry, const struct stanch_fold_port *port)
{
    const json_t *counted = json_object_get(entry->data, "counted");
    const char *step = stanch_json_str(entry->data, "step", NULL);
    if (!json_is_object(counted) || !step)
        return;
    json_t *doc = get_or_new(entry, port, "sent", step);
    merge(doc, counted);
    json_object_set_new(doc, "open", json_false());
    set_incident(doc, entry);
    put(entry, port, "sent", step, doc);
}

static int64_t due_of_run(const json_t *doc)
{
    const char *state = stanch_json_str(doc, "state", "");
    if (strcmp(state, "queued") == 0 || strcmp(state, "asking") == 0)
        return STANCH_DUE_QUEUED;
    return stanch_json_bool(doc, "rests", false) ? stanch_json_int(doc, "wake_ms", STANCH_DUE_NEVER) : 0;
}

int64_t stanch_fold_expiry(const json_t *approval)
{
    return stanch_json_int(approval, "due_ms", stanch_json_int(approval, "expires_ms", STANCH_DUE_NEVER));
}

int64_t stanch_fold_due(const char *noun, const json_t *doc)
{
    if (!stanch_json_bool(doc, "open", true))
        return STANCH_DUE_NEVER;
    if (strcmp(noun, "run") == 0)
        return due_of_run(doc);
    if (strcmp(noun, "approval") == 0)
        return stanch_json_int(doc, "remind_due_ms", stanch_fold_expiry(doc));
    if (strcmp(noun, "incident") == 0)
        return stanch_json_int(json_object_get(doc, "soaked"), "due_ms", STANCH_DUE_NEVER);
    if (strcmp(noun, "hold") == 0)
        return stanch_json_int(doc, "due_ms", STANCH_DUE_NEVER);
    if (strcmp(noun, "breaker") == 0)
        return stanch_json_int(doc, "closes_ms", STANCH_DUE_NEVER);
    if (strcmp(noun, "mitigation") != 0)
        return STANCH_DUE_NEVER;
    if (strcmp(stanch_json_str(doc, "state", ""), "undoing") == 0 || stanch_json_str(doc, "ordered_by", NULL))
        return 0;
    return stanch_json_bool(doc, "overdue", false) ? STANCH_DUE_NEVER
                                                   : stanch_json_int(doc, "lease_ends_ms", STANCH_DUE_NEVER);
}

/* What was approved by breaking the glass is listed for review, whatever becomes of the approval. */
static void fold_forced(const struct stanch_entry *entry, const struct stanch_fold_port *port)
{
    const char *id = stanch_json_str(entry->data, "approval", NULL);
    if (!id)
        return;
    json_t *doc = get_or_new(entry, port, "forced", id);
    merge(doc, entry->data);
    set_incident(doc, entry);
    json_object_set_new(doc, "open", json_false());
    put(entry, port, "forced", id, doc);
}

void stanch_fold(const struct stanch_entry *entry, const struct stanch_fold_port *port)
{
    const struct stanch_kind *kind = stanch_kind_find(entry->kind);
    if (!kind || !kind->noun)
        return;
    fold_noun(entry, kind, port);
    bool is_event = strcmp(entry->kind, "event.received") == 0 || strcmp(entry->kind, "change.received") == 0;
    const char *key = is_event ? stanch_json_str(entry->data, "key", NULL) : NULL;
    if (key)
        fold_key(entry, port, key, "event");
    if (strcmp(entry->kind, "approval.forced") == 0)
        fold_forced(entry, port);
    if (strcmp(entry->kind, "incident.declared") == 0)
        fold_correlation(entry, port);
    if (strcmp(entry->kind, "action.sent") == 0)
        fold_sent(entry, port);
    static const char *const first[] = {"run.started", "run.queued", "run.asking", "run.held"};
    for (size_t i = 0; i < sizeof first / sizeof *first; i++)
        if (strcmp(entry->kind, first[i]) == 0)
            fold_run_start(entry, port);
}
