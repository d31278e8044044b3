/* soak_case.h: an incident in a simulated world whose runs have symptoms, and how its resolving is asked for. */
#ifndef TESTS_RUN_SOAK_CASE_H
#define TESTS_RUN_SOAK_CASE_H
#include "run/sim_case.h"
#include "incident/incident.h"
#include "run/stop.h"
#include "timeline/journal_inside.h"

#define SECOND 1000LL
#define MINUTE 60000LL
#define SOAK   (10 * MINUTE) /* so it is asked every 30 s */

static inline json_t *symptom_of(const char *action, const char *target)
{
    return json_pack("{s:{s:s, s:s, s:{s:s}}, s:s, s:s, s:i}", "ask", "instance", "fx", "action", action, "args",
                     "target", target, "good", "< 1", "bad", "> 5", "every_ms", 5000);
}

/* A run of this runbook, which does nothing. symptom: taken; NULL: it declares none */
static inline void run_it(struct sim *sim, const char *run, const char *runbook, json_t *symptom)
{
    json_t *more = json_pack("{s:s}", "runbook", runbook);
    if (symptom)
        json_object_set_new(more, "symptom", symptom);
    sim_begin(sim, run, more);
    stanch_loop_sim_advance(sim->loop, 100);
    assert_state(sim, "run", run, "succeeded");
}

static inline int resolve_one(struct sim *sim, const char *id, const char *by, const char *reason,
                              struct stanch_err *err)
{
    struct stanch_incidents *incidents;
    STANCH_AUTO_JSON json_t *config = json_pack("{s:I}", "soak_for_ms", (json_int_t)SOAK);
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:s*}", "incident", id, "reason", reason);
    struct stanch_batch *batch = stanch_batch_new();
    json_t *soak = NULL;
    assert_int_equal(stanch_incidents_new(sim->journal, config, NULL, NULL, &incidents, err), 0);
    int rc = stanch_incident_resolve(incidents, by, input, stanch_loop_wall_ms(sim->loop), batch, &soak, err);
    stanch_incidents_free(incidents);
    if (rc < 0 || soak)
        stanch_batch_free(batch);
    else
        rc = stanch_journal_append(sim->journal, batch, NULL, NULL, err);
    if (soak)
        rc = stanch_engine_soak(sim->engine, by, id, soak, err);
    stanch_loop_sim_settle(sim->loop);
    return rc;
}

static inline int resolve(struct sim *sim, const char *by, const char *reason, struct stanch_err *err)
{
    return resolve_one(sim, "INC-1", by, reason, err);
}

static inline json_t *incident(struct sim *sim)
{
    return stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "incident", "INC-1");
}

static inline void assert_member(struct sim *sim, const char *member, const char *value)
{
    STANCH_AUTO_JSON json_t *doc = incident(sim);
    assert_string_equal(stanch_json_str(doc, member, "none"), value);
}

struct wanted {
    const char *kind;
    int count;
    char by[64], text[400]; /* of the last one */
};

static inline int count_one(void *ctx, const struct stanch_entry *entry)
{
    struct wanted *wanted = ctx;
    if (strcmp(entry->kind, wanted->kind) != 0)
        return 0;
    char *text = stanch_entry_text(entry);
    wanted->count++;
    (void)snprintf(wanted->by, sizeof wanted->by, "%s", entry->by);
    (void)snprintf(wanted->text, sizeof wanted->text, "%s", text);
    free(text);
    return 0;
}

static inline struct wanted entries(struct sim *sim, const char *kind)
{
    struct wanted wanted = {.kind = kind};
    struct stanch_err err;
    const struct stanch_entry_query query = {.chain = "INC-1", .limit = 1000};
    assert_int_equal(stanch_journal_entries(sim->journal, &query, count_one, &wanted, &err), 0);
    return wanted;
}

/* One run with one symptom; asked for by ada. */
static inline void begin(struct sim *sim)
{
    struct stanch_err err = {0};
    sim_init(sim, "low", NULL);
    run_it(sim, "R-1", "heal", symptom_of("metric", ""));
    assert_int_equal(resolve(sim, "person:ada", NULL, &err), 0);
    assert_state(sim, "incident", "INC-1", "monitoring");
}

#endif
