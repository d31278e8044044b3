/* rollback.c: roll an application back, or forward again. Both are one loop that reads the application and takes the next
 * step that is missing; so a second call goes on where the first was lost.
 *
 *   read --busy, by us--> wait                       --busy, by somebody else--> conflict
 *    |---auto-sync on------> turn off, again
 *    |---not that deployment--> POST rollback, again    --refused--> auto-sync back, failed
 *    |---deployed, auto-sync not as it is to be--> set, again
 *    '--> done
 */
#include "argocd.h"
#include <string.h>

#define POLL_MS 1000

struct roll_work {
    const json_t *from, *to; /* {"deployment":{"id"},"automated"} */
    bool has_changed, has_rolled, has_checked;
    const char *why, *kind; /* the rollback was refused: put auto-sync back, then fail */
};

static json_int_t id_of(const json_t *side)
{
    return argocd_id(json_object_get(side, "deployment"));
}

static bool is_at(const json_t *app, const json_t *side)
{
    return argocd_is_there(app, json_object_get(side, "deployment"));
}

static void next(struct sdk_call *call);

static void on_changed(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct roll_work *work = sdk_kept(call);
    struct sdk_http_answer seen = *answer;
    bool is_definite = answer->ended == STANCH_HTTP_NOT_SENT || (answer->status >= 400 && answer->status <= 499);
    if (work->has_changed && is_definite) {
        sdk_unknown(call, "remote", "it stopped half-way: Argo CD answered %u: %.300s%s", answer->status, answer->body,
                    answer->why);
        return;
    }
    if (!sdk_http_ok(call, &seen))
        return;
    work->has_changed = true;
    next(call);
}

static void on_rolled(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct roll_work *work = sdk_kept(call);
    bool is_refused = answer->ended == STANCH_HTTP_NOT_SENT || answer->status == 503 ||
                      (answer->status >= 400 && answer->status <= 499);
    if (is_refused && work->has_changed) {
        work->kind = answer->status == 403 ? "forbidden" : "refused";
        work->why =
            sdk_text(call, "Argo CD refused the rollback (%u): %.300s%s", answer->status, answer->body, answer->why);
        next(call);
        return;
    }
    if (!sdk_http_ok(call, answer))
        return;
    work->has_changed = work->has_rolled = true;
    sdk_later(call, POLL_MS, next);
}

/* The deployment is there, or will not be: auto-sync as it is to be. */
static void settle(struct sdk_call *call, struct roll_work *work, const json_t *app)
{
    const json_t *wanted = json_object_get(work->why ? work->from : work->to, "automated");
    if (!json_equal(argocd_automated(app), wanted))
        argocd_set_automated(call, app, wanted, on_changed);
    else if (work->why)
        sdk_fail(call, work->kind, "%s; auto-sync is as it was", work->why);
    else
        sdk_done(call, json_pack("{s:o, s:b}", "deployment", argocd_deployment(argocd_newest(app)), "already",
                                 !work->has_changed));
}

/* Whether what the plan found is still so; or answers the call. */
static bool check_ground(struct sdk_call *call, struct roll_work *work, const json_t *app)
{
    const json_t *automated = argocd_automated(app);
    bool is_there = is_at(app, work->to);
    bool is_ours = json_equal(automated, json_object_get(work->from, "automated")) ||
                   json_equal(automated, json_object_get(work->to, "automated"));
    work->has_checked = true;
    if (argocd_is_busy(app))
        sdk_fail_retry(call, 0, "conflict", "an operation of this application is under way; there is one at a time");
    else if (!is_there && !argocd_entry(app, id_of(work->to)))
        sdk_fail(call, "stale", "entry %lld is no longer in the application's history", (long long)id_of(work->to));
    else if (!is_ours || (!is_there && !is_at(app, work->from)))
        sdk_fail(call, "stale", "the application was deployed, or its auto-sync changed, by somebody else since");
    else
        return true;
    return false;
}

static void on_app(struct sdk_call *call, const json_t *app)
{
    struct roll_work *work = sdk_kept(call);
    if (!work->has_checked && !check_ground(call, work, app))
        return;
    bool is_there = is_at(app, work->to);
    const char *phase = argocd_text_at(app, "/status/operationState/phase");
    if (argocd_is_busy(app)) {
        if (sdk_left_ms(call) < 2 * POLL_MS)
            sdk_unknown(call, "timeout", "the operation is still under way");
        else
            sdk_later(call, POLL_MS, next);
    } else if (work->why || is_there) {
        settle(call, work, app);
    } else if (work->has_rolled) {
        sdk_unknown(call, "remote", "the rollback ended as %s: %.300s", phase,
                    argocd_text_at(app, "/status/operationState/message"));
    } else if (argocd_is_automatic(app)) {
        argocd_set_automated(call, app, json_null(), on_changed);
    } else {
        argocd_roll(call, id_of(work->to), false, on_rolled);
    }
}

static void next(struct sdk_call *call)
{
    const struct roll_work *work = sdk_kept(call);
    argocd_read(call, work->has_changed, on_app);
}

/* NULL: the call was answered. */
static struct roll_work *begin(struct sdk_call *call, bool is_undo)
{
    struct roll_work *work = sdk_memory(call, sizeof *work);
    work->from = sdk_plan_member(call, is_undo ? "to" : "from");
    work->to = sdk_plan_member(call, is_undo ? "from" : "to");
    sdk_keep(call, work);
    if (json_is_object(json_object_get(work->from, "deployment")) && json_object_get(work->from, "automated") &&
        json_is_object(json_object_get(work->to, "deployment")) && json_object_get(work->to, "automated"))
        return work;
    sdk_fail(call, "invalid", "plan: deployment and automated in from and to were expected; make the plan again");
    return NULL;
}

void argocd_rollback_change(struct sdk_call *call)
{
    if (begin(call, sdk_op(call) == STANCH_OP_UNDO))
        next(call);
}

/* ---- verify ---- */

/* It is not there, and no operation is under way: somebody has deployed since, or the operation has failed. What is still as
 * before without a failure may be an older answer of another of Argo CD's servers. */
static bool is_given_up(const struct roll_work *work, const json_t *app, const char *phase)
{
    return argocd_id(argocd_newest(app)) > id_of(work->from) || strcmp(phase, "Failed") == 0 ||
           strcmp(phase, "Error") == 0;
}

static void on_app_for_verify(struct sdk_call *call, const json_t *app)
{
    const struct roll_work *work = sdk_kept(call);
    const char *health = argocd_text_at(app, "/status/health/status");
    const char *phase = argocd_text_at(app, "/status/operationState/phase");
    bool is_there = is_at(app, work->to), is_busy = argocd_is_busy(app);
    json_t *seen = json_pack("{s:o, s:s, s:s}", "deployment", argocd_deployment(argocd_newest(app)), "health", health,
                             "phase", phase);
    if (is_there && !is_busy && strcmp(health, "Healthy") == 0)
        sdk_holds(call, true, seen);
    else if (!is_there && !is_busy && is_given_up(work, app, phase))
        sdk_never_holds(call, seen);
    else
        sdk_not_yet(call, argocd_rollback_verify, POLL_MS, 0, seen);
}

void argocd_rollback_verify(struct sdk_call *call)
{
    if (begin(call, false))
        argocd_read(call, false, on_app_for_verify);
}

/* ---- reconcile ---- */

static void on_app_for_reconcile(struct sdk_call *call, const json_t *app)
{
    const struct roll_work *work = sdk_kept(call);
    const json_t *automated = argocd_automated(app);
    bool is_there = is_at(app, work->to) && json_equal(automated, json_object_get(work->to, "automated"));
    bool is_here = is_at(app, work->from) && json_equal(automated, json_object_get(work->from, "automated"));
    bool is_busy = argocd_is_busy(app);
    sdk_reconciled(call, is_there && !is_busy ? "done" : is_here && !is_busy ? "not-done" : "cannot-tell");
}

void argocd_rollback_reconcile(struct sdk_call *call)
{
    if (begin(call, strcmp(sdk_reconciles(call), "undo") == 0))
        argocd_read(call, false, on_app_for_reconcile);
}
