/* soak.c: what an incident is measured by, and what is left of it. An incident that others were merged into stands for them. */
#include "incident/soak.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "timeline/journal.h"
#include <string.h>

#define PAGE          500
#define IN_FORCE_MAX  100
#define EVERY_MS      5000 /* where a symptom does not say how often it is asked */
#define EVERY_MIN_MS  50
#define EVERY_MAX_MS  300000 /* a long soak is not one sample at its begin and one at its end */
#define PARTS_OF_SOAK 20

json_t *stanch_incident_chains(const json_t *incident)
{
    json_t *ids = json_pack("[s]", stanch_json_str(incident, "id", ""));
    const json_t *absorbed = json_object_get(incident, "absorbed");
    const char *merged = stanch_json_str(incident, "merged", NULL);
    if (absorbed)
        json_array_extend(ids, (json_t *)(uintptr_t)absorbed);
    else if (merged) /* merged by a release that kept the last one only */
        json_array_append_new(ids, json_string(merged));
    return ids;
}

int64_t stanch_soak_runs(struct stanch_journal *journal, const json_t *incident)
{
    STANCH_AUTO_JSON json_t *chains = stanch_incident_chains(incident);
    int64_t runs = stanch_json_int(incident, "runs", 0);
    for (size_t i = 1; i < json_array_size(chains); i++) {
        const char *id = json_string_value(json_array_get(chains, i));
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(journal, "incident", id);
        runs += stanch_json_int(doc, "runs", 0);
    }
    return runs;
}

/* ---- symptoms ---- */

static bool has_begun(const json_t *run)
{
    static const char *const not_yet[] = {"held", "queued", "asking"};
    for (size_t i = 0; i < sizeof not_yet / sizeof *not_yet; i++)
        if (strcmp(stanch_json_str(run, "state", ""), not_yet[i]) == 0)
            return false;
    return !json_object_get(run, "start_before_ms"); /* it ended while it waited for its turn */
}

static void add_symptom(json_t *symptoms, const char *runbook, json_t *symptom)
{
    for (size_t i = 0; i < json_array_size(symptoms); i++) {
        json_t *known = json_array_get(symptoms, i);
        if (!json_equal(json_object_get(known, "symptom"), symptom))
            continue;
        STANCH_AUTO_FREE char *names = stanch_asprintf("%s, %s", stanch_json_str(known, "runbooks", ""), runbook);
        json_object_set_new(known, "runbooks", json_string(names));
        return;
    }
    json_array_append_new(symptoms, json_pack("{s:s, s:O}", "runbooks", runbook, "symptom", symptom));
}

/* One page of runs, the newest first. seen: runbooks that were found already. */
static void add_page(const json_t *page, json_t *seen, json_t *symptoms, int64_t *runs)
{
    for (size_t i = 0; i < json_array_size(page); i++) {
        const json_t *run = json_array_get(page, i);
        const char *runbook = stanch_json_str(run, "runbook", "");
        json_t *symptom = json_object_get(run, "symptom");
        if (!has_begun(run))
            continue;
        ++*runs;
        if (json_object_get(seen, runbook) || !json_is_object(json_object_get(symptom, "ask")))
            continue;
        json_object_set_new(seen, runbook, json_true());
        add_symptom(symptoms, runbook, symptom);
    }
}

static int add_chain(struct stanch_journal *journal, const char *chain, json_t *seen, json_t *symptoms, int64_t *runs,
                     struct stanch_err *err)
{
    struct stanch_noun_query query = {.noun = "run", .chain = chain, .open = -1, .limit = PAGE};
    size_t count = PAGE;
    while (count == PAGE) {
        STANCH_AUTO_JSON json_t *page = NULL;
        int rc = stanch_journal_list(journal, &query, &page, err);
        if (rc < 0)
            return rc;
        count = json_array_size(page);
        add_page(page, seen, symptoms, runs);
        if (count > 0)
            query.before_seq = stanch_json_int(json_array_get(page, count - 1), "seq", 0);
    }
    return 0;
}

int stanch_soak_symptoms(struct stanch_journal *journal, const json_t *incident, json_t **ret, int64_t *ret_runs,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *chains = stanch_incident_chains(incident), *seen = json_object(), *symptoms = json_array();
    int64_t runs = 0;
    for (size_t i = 0; i < json_array_size(chains); i++) {
        int rc = add_chain(journal, json_string_value(json_array_get(chains, i)), seen, symptoms, &runs, err);
        if (rc < 0)
            return rc;
    }
    *ret = json_incref(symptoms);
    *ret_runs = runs;
    return 0;
}

/* A twentieth of the soak; not more often than its symptoms are asked otherwise. */
static int64_t pace(int64_t lasts_ms, const json_t *symptoms)
{
    int64_t every_ms = lasts_ms / PARTS_OF_SOAK > EVERY_MIN_MS ? lasts_ms / PARTS_OF_SOAK : EVERY_MIN_MS;
    for (size_t i = 0; i < json_array_size(symptoms); i++) {
        const json_t *symptom = json_object_get(json_array_get(symptoms, i), "symptom");
        int64_t own_ms = stanch_json_int(symptom, "every_ms", EVERY_MS);
        every_ms = own_ms > every_ms ? own_ms : every_ms;
    }
    return every_ms < EVERY_MAX_MS ? every_ms : EVERY_MAX_MS;
}

json_t *stanch_soak_new(const char *by, int64_t lasts_ms, int64_t runs, const json_t *symptoms)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:O}", "by", by, "lasts_ms", (json_int_t)lasts_ms, "every_ms",
                     (json_int_t)pace(lasts_ms, symptoms), "runs", (json_int_t)runs, "symptoms", symptoms);
}

/* ---- what is left of it ---- */

int stanch_soak_in_force(struct stanch_journal *journal, const json_t *incident, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *chains = stanch_incident_chains(incident), *ids = json_array();
    for (size_t i = 0; i < json_array_size(chains); i++) {
        struct stanch_noun_query query = {.noun = "mitigation",
                                          .chain = json_string_value(json_array_get(chains, i)),
                                          .open = 1,
                                          .limit = IN_FORCE_MAX};
        STANCH_AUTO_JSON json_t *page = NULL;
        int rc = stanch_journal_list(journal, &query, &page, err);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < json_array_size(page); k++)
            json_array_append(ids, json_object_get(json_array_get(page, k), "id"));
    }
    *ret = json_incref(ids);
    return 0;
}

void stanch_soak_end(json_t *data)
{
    static const char *const members[] = {"soak", "soaked", "soaking", "lasts", "every", "symptoms"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        json_object_set_new(data, members[i], json_null());
}
