/* flow_wait.c: callers who wait for a commit. Each is told once: that it is committed; or, when another process holds the
 * store locked for too long, that it is not known yet. Then trying again is safe (PROMISES 1.1, 1.8), and what was
 * appended is committed, if it is, without anybody being told. */
#include "base/log.h"
#include "flow_parts.h"

#define LOCKED_WAIT_MS 5000

void stanch_wait__begin(struct stanch_flow *flow, struct stanch_wait *wait, stanch_flow_done done, void *ctx)
{
    *wait = (struct stanch_wait){.next = flow->waits,
                                 .flow = flow,
                                 .done = done,
                                 .ctx = ctx,
                                 .until_mono_ms = stanch_loop_mono_ms(flow->loop) + LOCKED_WAIT_MS};
    flow->waits = wait;
}

void stanch_wait__end(struct stanch_wait *wait, const json_t *result)
{
    for (struct stanch_wait **at = &wait->flow->waits; *at; at = &(*at)->next)
        if (*at == wait) {
            *at = wait->next;
            break;
        }
    if (wait->done)
        wait->done(wait->ctx, 0, NULL, result);
    wait->done = NULL;
}

void stanch_wait__forget(struct stanch_wait *wait)
{
    wait->done = NULL;
    stanch_wait__end(wait, NULL);
}

void stanch_wait__look(struct stanch_flow *flow)
{
    struct stanch_err err = {0};
    int64_t now = stanch_loop_mono_ms(flow->loop);
    if (!flow->waits || stanch_journal_takes(flow->journal, false, &err) != STANCH_E_BUSY)
        return;
    for (struct stanch_wait *wait = flow->waits; wait; wait = wait->next) {
        if (!wait->done || now < wait->until_mono_ms)
            continue;
        stanch_flow_done done = wait->done;
        wait->done = NULL;
        done(wait->ctx, err.code, &err, NULL);
    }
}
