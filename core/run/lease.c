/* lease.c: a person gives what is in force another end, or none. The question about it, if one is open, is answered by that.
 */
#include "run/engine.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

static int check(const json_t *doc, const char *id, struct stanch_err *err)
{
    const char *state = stanch_json_str(doc, "state", "");
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no mitigation \"%.60s\"", id);
    if (strcmp(state, "in-force") != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is %s: only what is in force has an end that can be moved",
                              id, state);
    if (stanch_json_str(doc, "ordered_by", NULL))
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is being taken back, as %s ordered", id,
                              stanch_json_str(doc, "ordered_by", ""));
    return 0;
}

/* "Keep or undo?" of this one alone. */
static bool asks_about(const json_t *question, const char *id)
{
    const json_t *list = json_object_get(question, "mitigations");
    return strcmp(stanch_json_str(question, "about", ""), "keep") == 0 &&
           strcmp(stanch_json_str(question, "state", ""), "pending") == 0 && json_array_size(list) == 1 &&
           strcmp(stanch_json_str(json_array_get(list, 0), "id", ""), id) == 0;
}

struct answering {
    struct stanch_engine *engine;
    const char *mitigation, *chain, *by, *note;
    struct stanch_batch *batch;
};

static int answer_one(void *ctx, const json_t *listed, struct stanch_err *err)
{
    const struct answering *a = ctx;
    const char *question = stanch_json_str(listed, "id", "");
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(a->engine->journal, "approval", question);
    (void)err;
    if (asks_about(doc, a->mitigation))
        stanch_batch_add(a->batch, a->chain, "approval.answered", a->by, stanch_json_str(doc, "run", NULL),
                         json_pack("{s:s, s:s, s:s, s:s}", "approval", question, "decision", "keep", "decided_by",
                                   a->by, "note", a->note));
    return 0;
}

static int answer_questions(struct stanch_engine *engine, const json_t *mitigation, const char *by, const char *note,
                            struct stanch_batch *batch, struct stanch_err *err)
{
    struct answering answering = {.engine = engine,
                                  .mitigation = stanch_json_str(mitigation, "id", ""),
                                  .chain = stanch_json_str(mitigation, "incident", STANCH_CHAIN_NONE),
                                  .by = by,
                                  .note = note,
                                  .batch = batch};
    const struct stanch_noun_query query = {.noun = "approval", .chain = answering.chain, .open = 1};
    return stanch_journal_each(engine->journal, &query, answer_one, &answering, err);
}

int stanch_engine_extend(struct stanch_engine *engine, const char *by, const char *mitigation, int64_t for_ms,
                         const char *reason, struct stanch_batch *batch, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(engine->journal, "mitigation", mitigation);
    int rc = check(doc, mitigation, err);
    if (rc == 0 && for_ms != 0 && (for_ms < STANCH_LEASE_MIN_MS || for_ms > STANCH_LEASE_MAX_MS))
        rc = stanch_err_set(err, STANCH_E_INVALID, "for_ms: expected 1m to 30d");
    if (rc < 0)
        return rc;
    char lasts[32];
    stanch_duration_text(for_ms, lasts);
    STANCH_AUTO_FREE char *note =
        for_ms ? stanch_asprintf("its lease goes on for %s", lasts) : stanch_strdup("it has no end");
    rc = answer_questions(engine, doc, by, note, batch, err);
    if (rc < 0)
        return rc;
    stanch_mitigation__forget(engine, mitigation); /* a sample that is out was about the end that it had */
    json_t *data = json_pack("{s:s, s:n, s:n}", "mitigation", mitigation, "overdue", "late");
    stanch_json_set_str(data, "why", reason && *reason ? reason : NULL);
    int64_t ends_ms = stanch_engine__steady(engine) + for_ms;
    json_object_set_new(data, "lease_ends_ms", for_ms ? json_integer(ends_ms) : json_null());
    if (for_ms)
        stanch_json_set_str(data, "lasts", lasts);
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE),
                     for_ms ? "mitigation.extended" : "mitigation.kept", by, stanch_json_str(doc, "run", NULL), data);
    if (for_ms)
        stanch_engine__due(engine, ends_ms);
    return 0;
}
