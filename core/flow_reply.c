/* flow_reply.c: the answer to what was asked for, once what it changed is committed: a noun's document as it is then, or
 * what was said to be the result. How long a caller waits is flow_wait.c's.
 */
#include "base/json.h"
#include "base/mem.h"
#include "flow_parts.h"

struct stanch_reply {
    struct stanch_wait wait;
    struct stanch_flow *flow;
    char noun[24];
    char id[64];
    json_t *result;
};

struct stanch_reply *stanch_reply__new(struct stanch_flow *flow, stanch_flow_done done, void *ctx, const char *noun,
                                       const char *id)
{
    struct stanch_reply *reply = STANCH_NEW(struct stanch_reply);
    reply->flow = flow;
    stanch_wait__begin(flow, &reply->wait, done, ctx);
    (void)snprintf(reply->noun, sizeof reply->noun, "%s", noun);
    (void)snprintf(reply->id, sizeof reply->id, "%s", id);
    return reply;
}

void stanch_reply__result(struct stanch_reply *reply, json_t *result)
{
    reply->result = result;
}

static void on_committed(void *ctx)
{
    struct stanch_reply *reply = ctx;
    if (!reply->result)
        reply->result = stanch_journal_get(reply->flow->journal, STANCH_VIEW_COMMITTED, reply->noun, reply->id);
    if (!reply->result) /* it is recorded all the same */
        reply->result = json_pack("{s:s}", "id", reply->id);
    stanch_wait__end(&reply->wait, reply->result);
    json_decref(reply->result);
    free(reply);
}

int stanch_reply__append(struct stanch_reply *reply, struct stanch_batch *batch, struct stanch_err *err)
{
    int rc = stanch_journal_append(reply->flow->journal, batch, on_committed, reply, err);
    if (rc < 0) {
        stanch_wait__forget(&reply->wait);
        json_decref(reply->result);
        free(reply);
    }
    return rc;
}

void stanch_reply__barrier(struct stanch_reply *reply)
{
    stanch_journal_barrier(reply->flow->journal, on_committed, reply);
}
