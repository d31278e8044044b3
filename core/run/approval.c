/* approval.c: questions to people: asked, reminded of, expired; decide.c has the answers.
 *
 *   pending --approve--> granted --(intent)--> consumed
 *      |  \--deny--> denied      \--another plan, another IC--> voided, asked anew
 *      |   \--choice--> answered
 *      +--expires--> expired, asked anew: of the next one on the policy's ladder (rule/escalation.h)
 */
#include "run/engine.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/fold.h"
#include "base/sabotage.h"
#include "base/times.h"
#include "rule/escalation.h"
#include "run/authority.h"
#include <string.h>

/* What an approval binds beside the plan (PROMISES.md 1.4). */
static json_t *bound(const json_t *data)
{
    json_t *value = json_object();
    static const char *const members[] = {"approval", "run",           "step",       "about",         "plan_digest",
                                          "role",     "quorum",        "expires_ms", "rules",         "commit",
                                          "path",     "nonce",         "choices",    "because",       "lease_ms",
                                          "instance", "plugin_digest", "of_role",    "not_requester", "against"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *member = json_object_get(data, members[i]);
        if (member)
            json_object_set(value, members[i], member);
    }
    return value;
}

/* How long before its end people are told again; 0: not at all. */
static int64_t remind_before(const struct stanch_engine *engine, int64_t lasts_ms)
{
    const json_t *said = stanch_policy_said(engine->policy, "remind_ms");
    int64_t before_ms = said ? json_integer_value(said) : engine->config.people ? STANCH_REMIND_MS : 0;
    return before_ms < lasts_ms ? before_ms : 0;
}

/* Of whom it is asked: the role, or the pool when nobody holds it; `of_role` is what it is about then. */
static void set_role(struct stanch_engine *engine, const char *chain, const char *role, json_t *data)
{
    const char *asked = strcmp(role, STANCH_ROLE_POOL) == 0 ? role : stanch_authority_asked(engine, chain, role);
    if (strcmp(asked, role) != 0 && !json_object_get(data, "of_role"))
        stanch_json_set_str(data, "of_role", role);
    stanch_json_set_str(data, "role", asked);
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
    set_role(engine, chain, spec->role, data);
    json_object_set_new(data, "quorum", json_integer(spec->quorum > 0 ? spec->quorum : 1));
    int64_t due_ms = stanch_engine__steady(engine) + expires, expires_ms = stanch_engine__now(engine) + expires;
    json_object_set_new(data, "expires_ms", json_integer(expires_ms));
    if (due_ms != expires_ms) /* the clock was set since the start */
        json_object_set_new(data, "due_ms", json_integer(due_ms));
    json_object_set_new(data, "lasts_ms", json_integer(expires));
    int64_t before_ms = remind_before(engine, expires);
    if (before_ms > 0)
        json_object_set_new(data, "remind_due_ms", json_integer(due_ms - before_ms));
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
    stanch_engine__due(engine, due_ms - before_ms);
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

/* Whom next: a role that nobody holds is passed over, and in the end there is the pool. */
static void escalate(struct stanch_engine *engine, const json_t *doc, json_t *card, struct stanch_question_spec *spec)
{
    const char *chain = stanch_json_str(doc, "incident", STANCH_CHAIN_NONE);
    const char *first = stanch_json_str(doc, "of_role", spec->role), *to = STANCH_ROLE_POOL;
    const json_t *ladder = stanch_policy_said(engine->policy, "escalation");
    int rung = (int)stanch_json_int(doc, "rung", 0);
    if (!engine->config.people || strcmp(chain, STANCH_CHAIN_NONE) == 0)
        return;
    for (int before = -1; before != rung;) {
        before = rung;
        rung = stanch_escalation_next(ladder, before, &to, &spec->expires_ms);
        if (strcmp(to, "role") == 0)
            to = first;
        if (strcmp(to, STANCH_ROLE_POOL) == 0 || strcmp(stanch_authority_asked(engine, chain, to), to) == 0)
            break;
        to = STANCH_ROLE_POOL;
    }
    json_object_set_new(card, "of_role", json_string(first));
    json_object_set_new(card, "rung", json_integer(rung));
    spec->role = to;
}

static void ask_anew(struct stanch_engine *engine, struct stanch_op *op, const json_t *doc, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *card = json_deep_copy(doc);
    static const char *const own[] = {
        "id",         "state",      "incident", "created_ms", "updated_ms",    "seq",      "updated_seq", "digest",
        "granted_by", "expires_ms", "due_ms",   "closed",     "remind_due_ms", "reminded", "left",        "moved_to",
        "moved_role", "dropped",    "decision", "decided_by", "note",          "needs",    "exception"};
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
    escalate(engine, doc, card, &spec);
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
    const char *why = is_moot                                      ? "its run has ended"
                      : stanch_fold_expiry(doc) < engine->began_ms ? "it came due while stanch was down; asked again"
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

/* ---- before that: who has not seen it is told once more (page/) ---- */

int stanch_approval__due(struct stanch_engine *engine, const char *id)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "approval", id);
    int64_t left_ms = stanch_fold_expiry(doc) - stanch_engine__steady(engine);
    if (left_ms <= 0 || !json_object_get(doc, "remind_due_ms"))
        return stanch_approval__expire(engine, id);
    if (strcmp(stanch_json_str(doc, "state", ""), "pending") != 0)
        return 0;
    char left[32];
    stanch_duration_text((left_ms + 999) / 1000 * 1000, left);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "approval.reminded", STANCH_BY_STANCH,
                     stanch_json_str(doc, "run", NULL),
                     json_pack("{s:s, s:n, s:I, s:s, s:s}", "approval", id, "remind_due_ms", "reminded",
                               (json_int_t)(stanch_json_int(doc, "reminded", 0) + 1), "left", left, "role",
                               stanch_json_str(doc, "role", "ic")));
    int rc = stanch_engine__append(engine, batch, NULL, NULL, NULL);
    stanch_engine__due(engine, stanch_fold_expiry(doc));
    return rc;
}
