/* mitigation.c: what is in force, and the end of its lease. A lease end undoes only what is proven no longer
 * needed (the symptom is good); bad, no data or stopped: it stays, and a person is asked (PROMISES.md 1.16).
 */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <string.h>

struct stanch_lease {
    struct stanch_lease *next;
    struct stanch_engine *engine;
    char id[32];
    bool forgotten; /* taken back meanwhile: its sample changes nothing */
};

static struct stanch_lease *new_lease(struct stanch_engine *engine, const char *id)
{
    struct stanch_lease *lease = STANCH_NEW(struct stanch_lease);
    lease->engine = engine;
    (void)snprintf(lease->id, sizeof lease->id, "%s", id);
    lease->next = engine->leases;
    engine->leases = lease;
    return lease;
}

static void drop_lease(struct stanch_lease *lease)
{
    struct stanch_lease **at = &lease->engine->leases;
    while (*at != lease)
        at = &(*at)->next;
    *at = lease->next;
    free(lease);
}

static bool is_sampled(const struct stanch_engine *engine, const char *id)
{
    for (const struct stanch_lease *lease = engine->leases; lease; lease = lease->next)
        if (strcmp(lease->id, id) == 0)
            return true;
    return false;
}

void stanch_mitigation__forget(struct stanch_engine *engine, const char *id)
{
    for (struct stanch_lease *lease = engine->leases; lease; lease = lease->next)
        if (strcmp(lease->id, id) == 0)
            lease->forgotten = true;
}

void stanch_mitigation__free_all(struct stanch_engine *engine)
{
    while (engine->leases)
        drop_lease(engine->leases);
}

/* The first thing that is done about an incident says so of the incident. What a person said of it stays. */
static void say_mitigating(struct stanch_op *op, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(op->engine->journal, "incident", op->chain);
    if (strcmp(stanch_json_str(incident, "state", ""), "investigating") == 0)
        stanch_batch_add(batch, op->chain, "incident.changed", STANCH_BY_STANCH, op->run_id,
                         json_pack("{s:s, s:s}", "incident", op->chain, "state", "mitigating"));
}

void stanch_mitigation__applied(struct stanch_op *op, const char *instance, const char *action, const json_t *args,
                                const json_t *plan, int64_t lease_ms, const char *because, struct stanch_batch *batch,
                                char ret_id[32])
{
    struct stanch_engine *engine = op->engine;
    stanch_journal_next_id(engine->journal, "M", ret_id);
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:O, s:O, s:s}", "mitigation", ret_id, "step", op->id, "run", op->run_id,
                  "instance", instance, "action", action, "args", args, "plan", plan, "because", because);
    static const char *const shown[] = {"targets", "from", "to", "by_hand", "undo_by_hand", "impact"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        json_t *member = json_object_get(plan, shown[i]);
        if (member)
            json_object_set(data, shown[i], member);
    }
    json_t *symptom = op->run ? json_object_get(op->run->doc, "symptom") : NULL;
    if (json_is_object(symptom))
        json_object_set(data, "symptom", symptom);
    if (lease_ms > 0) {
        int64_t ends_ms = stanch_engine__steady(engine) + lease_ms;
        json_object_set_new(data, "lease_ends_ms", json_integer(ends_ms));
        stanch_engine__due(engine, ends_ms);
    }
    if (op->run)
        json_array_append_new(op->run->applied, json_string(ret_id));
    stanch_in_force__note(engine, ret_id, op->run_id, json_object_get(plan, "targets"));
    stanch_engine__count(engine, "mitigations_applied");
    stanch_batch_add(batch, op->chain, "mitigation.applied", STANCH_BY_STANCH, op->run_id, data);
    say_mitigating(op, batch);
}

static bool can_be_undone(const json_t *doc)
{
    const char *state = stanch_json_str(doc, "state", "");
    return strcmp(state, "in-force") == 0 || strcmp(state, "unknown") == 0;
}

void stanch_mitigation__order_undo(struct stanch_engine *engine, const char *id, const char *by, const char *reason,
                                   struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "mitigation", id);
    if (can_be_undone(doc) && !stanch_is_sabotaged("ordered-undo-lost"))
        stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "mitigation.ordered", by,
                         stanch_json_str(doc, "run", NULL),
                         json_pack("{s:s, s:s, s:s}", "mitigation", id, "ordered_by", by, "order_reason", reason));
}

void stanch_mitigation__ask_keep(struct stanch_engine *engine, const char *chain, const char *run, const char *because,
                                 const json_t *left, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *choices = json_pack("[s,s]", "keep", "undo");
    STANCH_AUTO_JSON json_t *card = json_pack("{s:O, s:s}", "mitigations", left, "because", because);
    struct stanch_question_spec spec = {.about = "keep",
                                        .role = "ic",
                                        .quorum = 1,
                                        .expires_ms = engine->config.approval_expires_ms,
                                        .card = card,
                                        .choices = choices};
    char id[32];
    stanch_approval__request(engine, NULL, chain, run, &spec, batch, id);
}

/* ---- the end of a lease ---- */

/* What came due while nobody was there says so (PROMISES.md 1.10). */
static bool ended_late(const struct stanch_engine *engine, const json_t *doc)
{
    return stanch_json_int(doc, "lease_ends_ms", 0) < engine->began_ms;
}

void stanch_mitigation__keep_and_ask(struct stanch_engine *engine, const json_t *doc, const char *why)
{
    struct stanch_batch *batch = stanch_batch_new();
    const char *id = stanch_json_str(doc, "id", "");
    const char *late = ended_late(engine, doc) ? " while stanch was down" : "";
    const char *chain = stanch_json_str(doc, "incident", STANCH_CHAIN_NONE);
    stanch_batch_add(batch, chain, "mitigation.overdue", STANCH_BY_STANCH, stanch_json_str(doc, "run", NULL),
                     json_pack("{s:s, s:s, s:b, s:s*}", "mitigation", id, "why", why, "overdue", 1, "late",
                               *late ? late + 1 : NULL));
    STANCH_AUTO_FREE char *because =
        stanch_asprintf("The lease of %s (%s.%s) has ended%s: %s. Keep or undo?", id,
                        stanch_json_str(doc, "instance", ""), stanch_json_str(doc, "action", ""), late, why);
    STANCH_AUTO_JSON json_t *left = json_pack("[{s:s}]", "id", id);
    stanch_mitigation__ask_keep(engine, chain, stanch_json_str(doc, "run", NULL), because, left, batch);
    stanch_engine__append(engine, batch, NULL, NULL, NULL);
}

static void on_lease_sample(void *ctx, const char *result, const json_t *value, const char *no_data)
{
    struct stanch_lease *lease = ctx;
    (void)value, (void)no_data;
    struct stanch_engine *engine = lease->engine;
    bool forgotten = lease->forgotten;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "mitigation", lease->id);
    drop_lease(lease);
    if (forgotten)
        return;
    if (strcmp(result, "good") == 0) {
        stanch_undo__start(engine, doc, STANCH_BY_STANCH,
                           ended_late(engine, doc) ? "its lease ended while stanch was down and the symptom is good"
                                                   : "its lease has ended and the symptom is good",
                           NULL, NULL);
        return;
    }
    STANCH_AUTO_FREE char *why =
        stanch_asprintf("the symptom is %s", strcmp(result, "no_data") == 0 ? "without data" : result);
    stanch_mitigation__keep_and_ask(engine, doc, why);
}

static char *why_stopped(struct stanch_engine *engine, const json_t *doc)
{
    STANCH_AUTO_JSON json_t *run = stanch_journal_see(engine->journal, "run", stanch_json_str(doc, "run", ""));
    const struct stanch_stop_about about = {stanch_json_str(doc, "instance", NULL),
                                            stanch_json_str(run, "runbook", NULL), json_object_get(doc, "targets")};
    return stanch_engine__stopped(engine, &about);
}

void stanch_mitigation__lease_end(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "mitigation", id);
    const json_t *symptom = json_object_get(doc, "symptom");
    if (!can_be_undone(doc) || stanch_json_bool(doc, "overdue", false) || is_sampled(engine, id))
        return;
    STANCH_AUTO_FREE char *stopped = why_stopped(engine, doc);
    if (strcmp(stanch_json_str(doc, "state", ""), "unknown") == 0) {
        stanch_mitigation__keep_and_ask(engine, doc, "it is not known whether it was taken back");
    } else if (stanch_is_sabotaged("lease-undoes-without-proof")) {
        stanch_undo__start(engine, doc, STANCH_BY_STANCH, "its lease has ended", NULL, NULL);
    } else if (stopped || !json_is_object(symptom)) {
        const char *why = stopped ? stopped : "its runbook has no symptom to ask for";
        stanch_mitigation__keep_and_ask(engine, doc, why);
        if (stanch_is_sabotaged("timer-fires-twice"))
            stanch_mitigation__keep_and_ask(engine, doc, why);
    } else {
        stanch_symptom__sample(engine, symptom, on_lease_sample, new_lease(engine, id));
    }
}

void stanch_mitigation__recover(struct stanch_engine *engine, const json_t *doc)
{
    const char *ordered_by = stanch_json_str(doc, "ordered_by", NULL);
    if (strcmp(stanch_json_str(doc, "state", ""), "undoing") == 0)
        stanch_undo__recover(engine, doc);
    else if (ordered_by && can_be_undone(doc))
        stanch_undo__start(engine, doc, ordered_by, stanch_json_str(doc, "order_reason", ""), NULL, NULL);
}

struct of_step {
    const char *step;
    char *id; /* 32 bytes */
};

static int take_if_of_step(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct of_step *wanted = ctx;
    (void)err;
    if (strcmp(stanch_json_str(doc, "step", ""), wanted->step) != 0)
        return 0;
    (void)snprintf(wanted->id, 32, "%s", stanch_json_str(doc, "id", ""));
    return 1;
}

void stanch_mitigation__of_step(const struct stanch_op *op, char ret_id[32])
{
    const struct stanch_noun_query query = {.noun = "mitigation", .chain = op->chain, .open = -1};
    struct of_step wanted = {op->id, ret_id};
    struct stanch_err err;
    ret_id[0] = 0;
    if (stanch_journal_each(op->engine->journal, &query, take_if_of_step, &wanted, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "run", "what %s applied could not be read: %s", op->id, err.text);
}

struct earlier {
    const struct stanch_run *run;
    json_t *ids;
};

static int add_if_own(void *ctx, const json_t *doc, struct stanch_err *err)
{
    const struct earlier *earlier = ctx;
    (void)err;
    if (strcmp(stanch_json_str(doc, "run", ""), earlier->run->id) == 0)
        json_object_set_new(earlier->ids, stanch_json_str(doc, "id", ""), json_true());
    return 0;
}

/* What it applied before it was read back. Whatever is not committed yet, it applied since. */
static void add_earlier(const struct stanch_run *run, json_t *ids)
{
    const struct stanch_noun_query query = {.noun = "mitigation", .chain = run->chain, .open = 1};
    struct earlier earlier = {run, ids};
    struct stanch_err err;
    if (stanch_journal_each(run->engine->journal, &query, add_if_own, &earlier, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "run", "what %s left in force could not be read: %s", run->id, err.text);
}

json_t *stanch_mitigation__of_run(const struct stanch_run *run)
{
    STANCH_AUTO_JSON json_t *ids = json_object();
    json_t *list = json_array(), *unused;
    const char *id;
    add_earlier(run, ids);
    for (size_t i = 0; i < json_array_size(run->applied); i++)
        json_object_set_new(ids, json_string_value(json_array_get(run->applied, i)), json_true());
    json_object_foreach(ids, id, unused)
    {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_get(run->engine->journal, STANCH_VIEW_APPENDED, "mitigation", id);
        const char *state = stanch_json_str(doc, "state", "");
        if (strcmp(state, "in-force") == 0 || strcmp(state, "unknown") == 0)
            json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "id", id, "instance",
                                                  stanch_json_str(doc, "instance", ""), "action",
                                                  stanch_json_str(doc, "action", ""), "because",
                                                  stanch_json_str(doc, "because", "")));
    }
    return list;
}
