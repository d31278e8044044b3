/* flow_accept.c: a runbook as it is, accepted by a person. The first commit of a store counts as accepted; from then on a runbook
 * that is new or changed asks (rule/autonomy.h), until somebody has looked at it.
 *
 *   book.accepted {"digests"} -> runbook changed? asks -> a person looks, sends the digest that was shown -> runbook.approved */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include <string.h>

static const char *digest_of(const struct stanch_runbook *runbook)
{
    return stanch_json_str(runbook->declared, "digest", "");
}

json_t *stanch_flow__digests(const struct stanch_catalogue *catalogue)
{
    json_t *digests = json_object();
    for (int i = 0; i < catalogue->count; i++)
        json_object_set_new(digests, stanch_json_str(catalogue->runbooks[i].declared, "name", ""),
                            json_string(digest_of(&catalogue->runbooks[i])));
    return digests;
}

void stanch_flow__accept_all(struct stanch_flow *flow, const struct stanch_catalogue *catalogue, const char *because,
                             struct stanch_batch *batch)
{
    for (int i = 0; i < catalogue->count; i++)
        stanch_engine_accept(flow->engine, STANCH_BY_STANCH,
                             stanch_json_str(catalogue->runbooks[i].declared, "name", ""),
                             digest_of(&catalogue->runbooks[i]), because, batch);
}

/* Did this store take its commits before anybody was asked to accept what is in them? */
static bool is_of_earlier_release(struct stanch_flow *flow, const char *commit)
{
    struct stanch_noun_query query = {.noun = "runbook", .open = -1, .limit = 1};
    STANCH_AUTO_JSON json_t *revision = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "revision", commit);
    STANCH_AUTO_JSON json_t *accepted = NULL;
    struct stanch_err err;
    if (!revision || json_object_get(revision, "digests"))
        return false;
    if (stanch_journal_list(flow->journal, &query, &accepted, &err) < 0) {
        stanch_log(STANCH_LOG_ERROR, "flow", "accepted runbooks could not be read: %s", err.text);
        return false;
    }
    return json_array_size(accepted) == 0;
}

void stanch_flow__accept_kept(struct stanch_flow *flow, const struct stanch_catalogue *catalogue)
{
    struct stanch_err err;
    if (catalogue->count == 0 || !is_of_earlier_release(flow, catalogue->commit))
        return;
    struct stanch_batch *batch = stanch_batch_new();
    stanch_flow__accept_all(flow, catalogue, "it was in use before runbooks had to be accepted", batch);
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "what is in use could not be accepted, it asks: %s", err.text);
}

/* ---- the command ---- */

static int refuse(struct stanch_flow *flow, const char *by, const char *name, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err own;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "runbook.refused", by, NULL,
                     json_pack("{s:s, s:s}", "runbook", name, "why", err->text));
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &own) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "a refusal could not be recorded: %s", own.text);
    return err->code;
}

int stanch_flow__accept(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                        struct stanch_err *err)
{
    const char *name = stanch_json_str(input, "runbook", ""), *seen = stanch_json_str(input, "digest", "");
    const struct stanch_runbook *runbook = stanch_catalogue_find(flow->catalogue, name);
    if (!runbook)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no runbook \"%.80s\" loaded", name);
    const char *digest = digest_of(runbook);
    if (strcmp(seen, digest) != 0) {
        stanch_err_set(err, STANCH_E_STALE, "%s is another one by now (digest %.12s..., not %.12s...): look again",
                       name, digest, seen);
        return refuse(flow, by, name, err);
    }
    struct stanch_batch *batch = stanch_batch_new();
    stanch_engine_accept(flow->engine, by, name, digest, stanch_json_str(input, "because", "no reason given"), batch);
    struct stanch_reply *reply = stanch_reply__new(flow, done, ctx, "runbook", "");
    int rc = stanch_reply__append(reply, batch, err);
    if (rc == 0) /* it is told once that is committed */
        stanch_reply__result(reply, stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "runbook", name));
    return rc;
}

/* ---- what the policy says of a runbook as a whole, beside its actions ---- */

void stanch_flow__explain_runbook(struct stanch_flow *flow, const json_t *input, json_t *told)
{
    const char *name = stanch_json_str(input, "runbook", NULL), *verdict = stanch_json_str(told, "verdict", "");
    bool undo = strcmp(stanch_json_str(input, "effect", "mitigate"), "undo") == 0;
    if (!name || undo)
        return;
    const struct stanch_runbook *runbook = stanch_catalogue_find(flow->catalogue, name);
    json_t *autonomy = stanch_engine_autonomy(flow->engine, name, runbook ? digest_of(runbook) : NULL);
    json_object_set_new(told, "autonomy", autonomy);
    if (strcmp(verdict, "forbidden") == 0)
        return;
    if (strcmp(stanch_json_str(autonomy, "mode", ""), "observe") == 0)
        json_object_set_new(told, "verdict", json_string("observed"));
    else if (stanch_json_bool(autonomy, "asks", false))
        json_object_set_new(told, "verdict", json_string("asks"));
}
