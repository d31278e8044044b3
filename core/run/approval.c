/* approval.c: questions to people: asked, decided, expired. One function releases a held step, whatever the
 * way in.
 *
 *   pending --approve--> granted --(intent)--> consumed
 *      |  \--deny--> denied      \--another plan--> voided, asked anew
 *      |   \--choice--> answered
 *      +--expires--> expired, asked anew
 */
#include "run/engine.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/fold.h"
#include "base/sabotage.h"
#include <string.h>

#define ORDERED "decided when asked: undo"

/* What an approval binds beside the plan (PROMISES.md 1.4). */
static json_t *bound(const json_t *data)
{
    json_t *value = json_object();
    static const char *const members[] = {"approval", "run",        "step",     "about",    "plan_digest",   "role",
                                          "quorum",   "expires_ms", "rules",    "commit",   "path",          "nonce",
                                          "choices",  "because",    "lease_ms", "instance", "plugin_digest", "against"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *member = json_object_get(data, members[i]);
        if (member)
            json_object_set(value, members[i], member);
    }
    return value;
}

void stanch_approval__request(struct stanch_engine *engine, struct stanch_op *op, const char *chain, const char *run_id,
                              const struct stanch_question_spec *spec, struct stanch_batch *batch, char ret[32])
{
    stanch_journal_next_id(engine->journal, "A", ret);
    json_t *data = spec->card ? json_deep_copy(spec->card) : json_object();
    int64_t expires = spec->expires_ms > 0 ? spec->expires_ms : engine->config.approval_expires_ms;
    if (expires > STANCH_APPROVAL_MAX_MS)
        expires = STANCH_APPROVAL_MAX_MS;
    char nonce[27];
    stanch_ulid(stanch_engine__now(engine), nonce);
    json_object_set_new(data, "approval", json_string(ret));
    stanch_json_set_str(data, "about", spec->about);
    stanch_json_set_str(data, "role", spec->role);
    json_object_set_new(data, "quorum", json_integer(spec->quorum > 0 ? spec->quorum : 1));
    int64_t due_ms = stanch_engine__steady(engine) + expires, expires_ms = stanch_engine__now(engine) + expires;
    json_object_set_new(data, "expires_ms", json_integer(expires_ms));
    if (due_ms != expires_ms) /* the clock was set since the start */
        json_object_set_new(data, "due_ms", json_integer(due_ms));
    json_object_set_new(data, "lasts_ms", json_integer(expires));
    stanch_json_set_str(data, "nonce", nonce);
    stanch_json_set_str(data, "plan_digest", spec->plan_digest);
    stanch_json_set_str(data, "impact", stanch_json_str(json_object_get(data, "plan"), "impact", NULL));
    stanch_json_set_str(data, "run", run_id);
    json_object_set_new(data, "choices",
                        spec->choices ? json_deep_copy(spec->choices) : json_pack("[s,s]", "approve", "deny"));
    if (op && op->run_id[0])
        json_object_set_new(data, "step", json_string(op->id));
    if (op && op->run) {
        stanch_json_set_str(data, "commit", stanch_json_str(op->run->doc, "commit", NULL));
        stanch_json_set_str(data, "path", stanch_json_str(op->run->doc, "path", NULL));
        stanch_json_set_str(data, "runbook", stanch_json_str(op->run->doc, "runbook", NULL));
    }
    STANCH_AUTO_JSON json_t *binding = bound(data);
    char digest[65] = "";
    struct stanch_err err;
    if (stanch_json_digest("stanch.approval", 1, binding, digest, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "run", "an approval without digest: %s", err.text);
    json_object_set_new(data, "digest", json_string(digest));
    stanch_batch_add(batch, chain, "approval.requested", STANCH_BY_STANCH, run_id, data);
    if (op)
        (void)snprintf(op->approval, sizeof op->approval, "%s", ret);
    if (op && op->run) {
        stanch_batch_add(batch, chain, "run.waiting", STANCH_BY_STANCH, run_id,
                         json_pack("{s:s, s:s}", "run", run_id, "waits_for", ret));
        op->run->stirs++;
        stanch_run__going(op->run, false);
        stanch_run__idle_soon(op->run);
    }
    stanch_engine__count(engine, "questions_asked");
    stanch_engine__due(engine, due_ms);
}

void stanch_engine_ask(struct stanch_engine *engine, const char *chain, const json_t *card, const char *plan_digest,
                       struct stanch_batch *batch, char ret[32])
{
    struct stanch_question_spec spec = {
        .about = STANCH_ABOUT_STORM, .role = "ic", .quorum = 1, .card = card, .plan_digest = plan_digest};
    stanch_approval__request(engine, NULL, chain, NULL, &spec, batch, ret);
}

bool stanch_approval__is_of_plugin(struct stanch_engine *engine, const json_t *doc)
{
    const json_t *described = engine->world->describe(engine->world->ctx, stanch_json_str(doc, "instance", ""));
    const char *then = stanch_json_str(doc, "plugin_digest", ""), *now = stanch_json_str(described, "digest", "");
    return !*then || !*now || strcmp(then, now) == 0;
}

void stanch_approval__close(struct stanch_engine *engine, const char *id, const char *kind, const char *why,
                            struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "approval", id);
    json_t *data = json_pack("{s:s, s:s}", "approval", id, "closed", why);
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), kind, STANCH_BY_STANCH,
                     stanch_json_str(doc, "run", NULL), data);
}

/* ---- expiry: not a denial; the question is asked anew ---- */

static void ask_anew(struct stanch_engine *engine, struct stanch_op *op, const json_t *doc, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *card = json_deep_copy(doc);
    static const char *const own[] = {"id",          "state",  "incident",   "created_ms", "updated_ms", "seq",
                                      "updated_seq", "digest", "granted_by", "expires_ms", "due_ms",     "closed"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        json_object_del(card, own[i]);
    json_object_set_new(card, "again", json_integer(stanch_json_int(doc, "again", 0) + 1));
    struct stanch_question_spec spec = {
        .about = stanch_json_str(doc, "about", ""),
        .role = stanch_json_str(doc, "role", "ic"),
        .quorum = (int)stanch_json_int(doc, "quorum", 1),
        .expires_ms = stanch_json_int(doc, "lasts_ms", 0),
        .card = card,
        .plan_digest = stanch_json_str(doc, "plan_digest", NULL),
        .choices = json_object_get(doc, "choices"),
    };
    char id[32];
    const char *chain = stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), *run = stanch_json_str(doc, "run", NULL);
    const char *step = stanch_json_str(doc, "step", NULL);
    stanch_approval__request(engine, op, chain, run, &spec, batch, id);
    if (step && !op) /* its run rests, and goes on resting */
        stanch_batch_add(batch, chain, "run.waiting", STANCH_BY_STANCH, run,
                         json_pack("{s:s, s:s}", "run", run, "waits_for", id));
    if (step)
        stanch_batch_add(batch, chain, "step.waiting", STANCH_BY_STANCH, run,
                         json_pack("{s:s, s:s}", "step", step, "approval", id));
}

static void tell_expired(struct stanch_op *op)
{
    struct stanch_run *run = op->run;
    op->approval[0] = 0;
    op->kind->expired(op);
    if (run) /* freed when the loop turns, also when this was its end */
        stanch_run__recount(run);
}

/* A question of a step whose run is over: asking it anew would open the run again. */
static bool is_of_ended_run(struct stanch_engine *engine, const json_t *doc)
{
    if (!json_object_get(doc, "step"))
        return false;
    STANCH_AUTO_JSON json_t *run = stanch_journal_see(engine->journal, "run", stanch_json_str(doc, "run", ""));
    return run && !stanch_json_bool(run, "open", true);
}

int stanch_approval__expire(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "approval", id);
    if (strcmp(stanch_json_str(doc, "state", ""), "pending") != 0)
        return 0;
    bool is_ask = strcmp(stanch_json_str(doc, "about", ""), "ask") == 0;
    struct stanch_run *run;
    int rc = is_ask ? stanch_run__wake(engine, stanch_json_str(doc, "run", ""), &run, NULL) : 0;
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    struct stanch_op *op = stanch_op__by_approval(engine, id);
    struct stanch_batch *batch = stanch_batch_new();
    bool is_moot = !op && is_of_ended_run(engine, doc);
    const char *why = is_moot ? "its run has ended"
                      : stanch_fold_due("approval", doc) < engine->began_ms
                          ? "it came due while stanch was down; asked again"
                          : "nobody answered in time; asked again";
    stanch_approval__close(engine, id, "approval.expired", why, batch);
    if ((!is_ask || !op) && !is_moot && !stanch_is_sabotaged("expired-is-forgotten"))
        ask_anew(engine, op, doc, batch);
    rc = stanch_engine__append(engine, batch, NULL, NULL, NULL);
    if (rc < 0 && op)
        (void)snprintf(op->approval, sizeof op->approval, "%s", id); /* still the open one */
    if (rc == 0 && is_ask && op)
        tell_expired(op);
    return rc;
}

/* ---- a decision ---- */

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

static int check_decision(struct stanch_engine *engine, const json_t *doc, const char *id, const char *decision,
                          const char *plan, struct stanch_err *err)
{
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no approval %s", id);
    const char *state = stanch_json_str(doc, "state", "");
    if (strcmp(state, "pending") != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is no longer open: it is %s", id, state);
    if (stanch_fold_due("approval", doc) <= stanch_engine__steady(engine))
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

int stanch_engine_decide(struct stanch_engine *engine, const char *by, const char *id, const char *decision,
                         const char *plan, const char *note, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "approval", id);
    int rc = check_decision(engine, doc, id, decision, plan, err);
    if (rc < 0)
        return rc;
    bool approve = strcmp(decision, "approve") == 0, deny = strcmp(decision, "deny") == 0;
    const json_t *before = json_object_get(doc, "granted_by");
    json_t *granted = before ? json_deep_copy(before) : json_array();
    int needed = (int)stanch_json_int(doc, "quorum", 1);
    int have = approve ? count_granted(granted, by) : 0;
    bool enough = !approve || have >= needed;
    struct stanch_run *run = NULL;
    if (enough && stanch_json_str(doc, "step", NULL)) {
        rc = stanch_run__wake(engine, stanch_json_str(doc, "run", ""), &run, err);
        if (rc == 0 || rc == STANCH_E_NOT_FOUND) { /* it may have found that there is nothing left to ask */
            STANCH_AUTO_JSON json_t *now = stanch_journal_see(engine->journal, "approval", id);
            rc = check_decision(engine, now, id, decision, plan, err);
        }
        if (rc < 0) {
            json_decref(granted);
            return rc;
        }
    }
    json_t *data = json_pack("{s:s, s:s, s:s, s:o}", "approval", id, "decision", decision, "decided_by", by,
                             "granted_by", granted);
    stanch_json_set_str(data, "note", note && *note ? note : NULL);
    const char *kind = !enough   ? "approval.supported"
                       : approve ? "approval.granted"
                       : deny    ? "approval.denied"
                                 : "approval.answered";
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), kind, by,
                     stanch_json_str(doc, "run", NULL), data);
    struct stanch_op *op = stanch_op__by_approval(engine, id);
    bool storm = strcmp(stanch_json_str(doc, "about", ""), STANCH_ABOUT_STORM) == 0;
    bool undo = !op && !storm && enough && orders_undo(decision);
    if (undo)
        order_undo(engine, doc, by, batch);
    rc = stanch_journal_append(engine->journal, batch, NULL, NULL, err);
    if (rc < 0 || !enough)
        return rc;
    stanch_engine__count(engine, approve ? "approvals_granted" : deny ? "approvals_denied" : "approvals_answered");
    if (undo)
        undo_ordered(engine, doc, by);
    if (storm && engine->hooks.on_decided)
        engine->hooks.on_decided(engine->hooks_ctx, doc, approve, by);
    if (!op)
        return 0;
    run = op->run;
    op->kind->decided(op, decision, by, note ? note : "");
    if (run) /* freed when the loop turns, also when this was its end */
        stanch_run__recount(run);
    return 0;
}
