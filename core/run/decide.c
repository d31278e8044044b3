/* decide.c: a person's answer to an open question: checked, counted, recorded, and only then acted upon. One function
 * releases a held step, whatever the way in; authority.c says who may.
 */
#include "run/authority.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/fold.h"
#include "run/engine.h"
#include <string.h>

#define ORDERED "decided when asked: undo"

static bool is_choice(const json_t *doc, const char *decision)
{
    const json_t *choices = json_object_get(doc, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (strcmp(json_string_value(json_array_get(choices, i)), decision) == 0)
            return true;
    return false;
}

static char *why_stopped(struct stanch_engine *engine, const json_t *doc)
{
    const struct stanch_stop_about about = {stanch_json_str(doc, "instance", NULL),
                                            stanch_json_str(doc, "runbook", NULL),
                                            json_object_get(json_object_get(doc, "plan"), "targets")};
    return stanch_engine__stopped(engine, &about);
}

static int check_decision(struct stanch_engine *engine, const json_t *doc, const char *id,
                          const struct stanch_answer *answer, struct stanch_err *err)
{
    const char *decision = answer->decision, *plan = answer->plan;
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no approval %s", id);
    const char *state = stanch_json_str(doc, "state", "");
    if (strcmp(state, "pending") != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is no longer open: it is %s", id, state);
    if (stanch_fold_expiry(doc) <= stanch_engine__steady(engine))
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s has expired; a new question is being asked", id);
    if (!is_choice(doc, decision))
        return stanch_err_set(err, STANCH_E_INVALID, "\"%.60s\" is no answer to %s", decision, id);
    const char *digest = stanch_json_str(doc, "plan_digest", NULL);
    bool binds = digest && strcmp(decision, "deny") != 0 && strcmp(decision, "keep") != 0;
    if (binds && !plan)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s is about a plan: say which one you saw, by its digest (it is %.12s...)", id, digest);
    if (binds && strcmp(plan, digest) != 0)
        return stanch_err_set(err, STANCH_E_STALE, "%s is about another plan now (%.12s..., not %.12s...): look again",
                              id, digest, plan);
    STANCH_AUTO_FREE char *stopped = strcmp(decision, "approve") == 0 ? why_stopped(engine, doc) : NULL;
    if (stopped)
        return stanch_err_set(err, STANCH_E_STOPPED,
                              "%s: nothing of it that stanch starts leaves; `stanch resume` first", stopped);
    return 0;
}

static int count_granted(json_t *granted, const char *by)
{
    for (size_t i = 0; i < json_array_size(granted); i++)
        if (strcmp(json_string_value(json_array_get(granted, i)), by) == 0)
            return (int)json_array_size(granted); /* the same person twice is one */
    json_array_append_new(granted, json_string(by));
    return (int)json_array_size(granted);
}

/* Questions that no step waits for: what a run or a lease left in force. The order is recorded with the answer, so that
 * a crash between the two does not lose it. */
static bool orders_undo(const char *decision)
{
    return strcmp(decision, "undo") == 0 || strcmp(decision, "approve") == 0;
}

static void order_undo(struct stanch_engine *engine, const json_t *doc, const char *by, struct stanch_batch *batch)
{
    const json_t *list = json_object_get(doc, "mitigations");
    for (size_t i = 0; i < json_array_size(list); i++)
        stanch_mitigation__order_undo(engine, stanch_json_str(json_array_get(list, i), "id", ""), by, ORDERED, batch);
}

static void undo_ordered(struct stanch_engine *engine, const json_t *doc, const char *by)
{
    const json_t *list = json_object_get(doc, "mitigations");
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct stanch_err err = {0};
        const char *id = stanch_json_str(json_array_get(list, i), "id", "");
        if (stanch_engine_undo(engine, by, id, ORDERED, NULL, NULL, &err) < 0)
            stanch_log(STANCH_LOG_WARN, "run", "%s was not undone: %s", id, err.text);
    }
}

/* ---- what it comes to ---- */

struct decision {
    struct stanch_engine *engine;
    const char *id;
    const struct stanch_answer *answer;
    json_t *doc;
    struct stanch_authority authority;
    json_t *granted; /* who has agreed, with this answer */
    json_t *dropped; /* whose word no longer counts; NULL: nobody's */
    bool approves, denies;
    bool enough;       /* this answer settles the question */
    const char *needs; /* what is missing besides number; NULL: nothing */
};

static void count(struct decision *d)
{
    const json_t *before = json_object_get(d->doc, "granted_by");
    d->granted = before ? json_deep_copy(before) : json_array();
    d->dropped = stanch_authority_drop(d->engine, d->granted);
    int needed = (int)stanch_json_int(d->doc, "quorum", 1);
    int have = d->approves ? count_granted(d->granted, d->answer->by) : 0;
    const char *taker = d->authority.takes_role ? d->answer->by : "";
    bool whole = stanch_authority_is_whole(d->engine, d->doc, d->granted, taker);
    d->needs = whole ? NULL : "who holds the role among them";
    d->enough = !d->approves || d->answer->break_glass || (have >= needed && whole);
}

/* A run that rests is read back for an answer to its step; that may find that there is nothing left to ask. */
static int wake(const struct decision *d, struct stanch_err *err)
{
    struct stanch_run *run = NULL;
    if (!d->enough || !stanch_json_str(d->doc, "step", NULL))
        return 0;
    int rc = stanch_run__wake(d->engine, stanch_json_str(d->doc, "run", ""), &run, err);
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    STANCH_AUTO_JSON json_t *now = stanch_journal_see(d->engine->journal, "approval", d->id);
    return check_decision(d->engine, now, d->id, d->answer, err);
}

static const char *kind_of(const struct decision *d)
{
    return !d->enough               ? "approval.supported"
           : d->answer->break_glass ? "approval.forced"
           : d->approves            ? "approval.granted"
           : d->denies              ? "approval.denied"
                                    : "approval.answered";
}

static json_t *data_of(const struct decision *d)
{
    const char *note = d->answer->note;
    json_t *data = json_pack("{s:s, s:s, s:s, s:O}", "approval", d->id, "decision", d->answer->decision, "decided_by",
                             d->answer->by, "granted_by", d->granted);
    stanch_json_set_str(data, "note", note && *note ? note : NULL);
    stanch_json_set_str(data, "exception", d->authority.exception[0] ? d->authority.exception : NULL);
    stanch_json_set_str(data, "needs", d->enough ? NULL : d->needs);
    if (d->dropped)
        json_object_set(data, "dropped", d->dropped);
    if (d->answer->break_glass) {
        json_object_set_new(data, "forced", json_true());
        stanch_json_set_str(data, "role", stanch_json_str(d->doc, "role", "ic"));
    }
    return data;
}

static int record(const struct decision *d, bool orders, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    int rc = 0;
    if (d->authority.takes_role) {
        stanch_role_put(&d->authority.change, d->answer->by, batch);
        rc = stanch_authority_move(d->engine, &d->authority.change, d->id, batch, err);
    }
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    stanch_batch_add(batch, stanch_json_str(d->doc, "incident", STANCH_CHAIN_NONE), kind_of(d), d->answer->by,
                     stanch_json_str(d->doc, "run", NULL), data_of(d));
    if (orders)
        order_undo(d->engine, d->doc, d->answer->by, batch);
    return stanch_journal_append(d->engine->journal, batch, NULL, NULL, err);
}

static int settle(const struct decision *d, struct stanch_err *err)
{
    struct stanch_engine *engine = d->engine;
    const struct stanch_answer *answer = d->answer;
    struct stanch_op *op = stanch_op__by_approval(engine, d->id);
    bool storm = strcmp(stanch_json_str(d->doc, "about", ""), STANCH_ABOUT_STORM) == 0;
    bool undo = !op && !storm && d->enough && orders_undo(answer->decision);
    int rc = record(d, undo, err);
    if (rc < 0 || !d->enough)
        return rc;
    stanch_engine__count(engine, d->approves ? "approvals_granted"
                                 : d->denies ? "approvals_denied"
                                             : "approvals_answered");
    if (undo)
        undo_ordered(engine, d->doc, answer->by);
    if (storm && engine->hooks.on_decided)
        engine->hooks.on_decided(engine->hooks_ctx, d->doc, d->approves, answer->by);
    if (!op)
        return 0;
    struct stanch_run *run = op->run;
    op->kind->decided(op, answer->decision, answer->by, answer->note ? answer->note : "");
    if (run) /* freed when the loop turns, also when this was its end */
        stanch_run__recount(run);
    return 0;
}

int stanch_engine_decide(struct stanch_engine *engine, const char *id, const struct stanch_answer *answer,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "approval", id);
    struct decision d = {.engine = engine,
                         .id = id,
                         .answer = answer,
                         .doc = doc,
                         .approves = strcmp(answer->decision, "approve") == 0,
                         .denies = strcmp(answer->decision, "deny") == 0};
    int rc = check_decision(engine, doc, id, answer, err);
    if (rc == 0)
        rc = stanch_authority_check(engine, doc, answer, &d.authority, err);
    if (rc < 0)
        return rc;
    count(&d);
    rc = wake(&d, err);
    if (rc == 0)
        rc = settle(&d, err);
    json_decref(d.granted);
    json_decref(d.dropped);
    return rc;
}
