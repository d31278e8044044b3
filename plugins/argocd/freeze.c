/* freeze.c: auto-sync off, and the exact former object back. The write carries what was read as its condition.
 *
 *   apply   now == to --> done already   now != from --> stale   else patch
 *   undo    now == from --> done already   now != to --> stale   else patch
 */
#include "argocd.h"

#define POLL_MS 1000

static const json_t *automated_in(const struct sdk_call *call, const char *member)
{
    return json_object_get(sdk_plan_member(call, member), "automated");
}

static bool check_plan(struct sdk_call *call)
{
    if (automated_in(call, "from") && automated_in(call, "to"))
        return true;
    sdk_fail(call, "invalid", "plan: automated in from and to was expected; make the plan again");
    return false;
}

static void on_app_for_plan(struct sdk_call *call, const json_t *app)
{
    const char *name = sdk_arg_str(call, "application", "");
    bool is_on = argocd_is_automatic(app);
    json_t *now = (json_t *)(uintptr_t)argocd_automated(app);
    char *text = json_dumps(now, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *word = sdk_shell_word(call, name);
    const char *back = sdk_shell_word(
        call, sdk_text(call, "[{\"op\":\"add\",\"path\":\"/spec/syncPolicy/automated\",\"value\":%s}]", text));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    sdk_plan(call, &(struct sdk_plan){
                       .targets = json_pack("[s]", argocd_target(call)),
                       .from = json_pack("{s:O}", "automated", now),
                       .to = json_pack("{s:O}", "automated", is_on ? json_null() : now),
                       .undo = json_pack("{s:O}", "automated", now),
                       .by_hand = sdk_text(call, "argocd app set %s --sync-policy none", word),
                       .undo_by_hand = sdk_text(call, "argocd app patch %s --type json --patch %s", word, back),
                       .impact = is_on ? sdk_text(call, "%s: Argo CD no longer deploys by itself", name)
                                       : sdk_text(call, "%s: auto-sync is off already", name),
                       .reach = -1,
                       .observed = json_pack("{s:I, s:s, s:s}", "as_of_ms", (json_int_t)sdk_now_ms(call), "sync",
                                             argocd_text_at(app, "/status/sync/status"), "health",
                                             argocd_text_at(app, "/status/health/status")),
                       .no_change = !is_on,
                   });
}

void argocd_freeze_plan(struct sdk_call *call)
{
    argocd_read(call, false, on_app_for_plan);
}

static void on_patched(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_http_ok(call, answer))
        sdk_done(call, json_pack("{s:b}", "changed", 1));
}

static void on_app_for_change(struct sdk_call *call, const json_t *app)
{
    bool is_undo = sdk_op(call) == STANCH_OP_UNDO;
    const json_t *expected = automated_in(call, is_undo ? "to" : "from");
    const json_t *wanted = automated_in(call, is_undo ? "from" : "to"), *now = argocd_automated(app);
    if (json_equal(now, wanted))
        sdk_done(call, json_pack("{s:b}", "already", 1));
    else if (!json_equal(now, expected))
        sdk_fail(call, "stale", "spec.syncPolicy.automated of %s was changed by somebody else; nothing was written",
                 sdk_arg_str(call, "application", ""));
    else
        argocd_set_automated(call, app, wanted, on_patched);
}

void argocd_freeze_change(struct sdk_call *call)
{
    if (check_plan(call))
        argocd_read(call, false, on_app_for_change);
}

static void on_app_for_verify(struct sdk_call *call, const json_t *app)
{
    json_t *seen = json_pack("{s:O}", "automated", argocd_automated(app));
    if (json_equal(argocd_automated(app), automated_in(call, "to")))
        sdk_holds(call, true, seen);
    else
        sdk_not_yet(call, argocd_freeze_verify, POLL_MS, 5000, seen);
}

void argocd_freeze_verify(struct sdk_call *call)
{
    if (check_plan(call))
        argocd_read(call, false, on_app_for_verify);
}

static void on_app_for_reconcile(struct sdk_call *call, const json_t *app)
{
    bool is_undo = sdk_reconciles(call)[0] == 'u';
    const json_t *now = argocd_automated(app);
    bool is_done = json_equal(now, automated_in(call, is_undo ? "from" : "to")) != 0;
    bool is_not = json_equal(now, automated_in(call, is_undo ? "to" : "from")) != 0;
    sdk_reconciled(call, is_done ? "done" : is_not ? "not-done" : "cannot-tell");
}

void argocd_freeze_reconcile(struct sdk_call *call)
{
    if (check_plan(call))
        argocd_read(call, false, on_app_for_reconcile);
}
