/* rollback_plan.c: what a rollback would change, and what is known about data: from an annotation of the application that
 * names the revisions whose deployment migrated data, or says that none does. */
#include "argocd.h"
#include <string.h>

struct plan_work {
    const json_t *app, *current, *target;
    bool is_dry_run;
};

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; len && *at; at += strcspn(at, ", ")) {
        at += strspn(at, ", ");
        size_t here = strcspn(at, ", ");
        if (here >= 7 && here <= len && strncmp(at, word, here) == 0)
            return true;
    }
    return false;
}

/* "none", "possible" or "unknown" */
static const char *data_loss(struct sdk_call *call, const struct plan_work *work)
{
    const char *name = sdk_setting(sdk_instance(call), "migration_annotation", "stanch.dev/migrations");
    const json_t *notes = sdk_json_at(work->app, "/metadata/annotations"), *list;
    const char *said = json_string_value(json_object_get(notes, name));
    if (!said)
        return "unknown";
    if (strcmp(said, "none") == 0)
        return "none";
    list = sdk_json_at(work->app, "/status/history");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        const char *revision = json_string_value(json_object_get(entry, "revision"));
        if (argocd_id(entry) <= argocd_id(work->target) || argocd_id(entry) > argocd_id(work->current))
            continue;
        if (!revision)
            return "unknown"; /* of several sources */
        if (has_word(said, revision))
            return "possible";
    }
    return "none";
}

static const char *loss_text(const char *loss)
{
    return strcmp(loss, "none") == 0       ? "no migration of data lies in between, says the application's annotation"
           : strcmp(loss, "possible") == 0 ? "DATA WAS MIGRATED in between: the older version may lose or refuse data"
                                           : "whether data was migrated in between is NOT KNOWN";
}

static const char *revision_of(const json_t *entry)
{
    const char *text = argocd_text_at(entry, "/revision");
    return *text ? text : "(several sources)";
}

static void answer(struct sdk_call *call, const struct plan_work *work)
{
    const char *name = sdk_arg_str(call, "application", ""), *loss = data_loss(call, work);
    const char *word = sdk_shell_word(call, name);
    json_t *now = (json_t *)(uintptr_t)argocd_automated(work->app);
    bool is_on = argocd_is_automatic(work->app), is_same = argocd_is_same(work->current, work->target);
    sdk_plan(
        call,
        &(struct sdk_plan){
            .targets = json_pack("[s]", argocd_target(call)),
            .from = json_pack("{s:o, s:O}", "deployment", argocd_deployment(work->current), "automated", now),
            .to = json_pack("{s:o, s:O}", "deployment", argocd_deployment(work->target), "automated",
                            is_on ? json_null() : now),
            .undo = json_pack("{s:o, s:O}", "deployment", argocd_deployment(work->current), "automated", now),
            .by_hand = sdk_text(call, "argocd app set %s --sync-policy none && argocd app rollback %s %lld", word, word,
                                (long long)argocd_id(work->target)),
            .undo_by_hand =
                sdk_text(call, "argocd app rollback %s %lld%s%s%s", word, (long long)argocd_id(work->current),
                         is_on ? " && argocd app set " : "", is_on ? word : "",
                         is_on ? " --sync-policy automated # and its former options, as in undo" : ""),
            .impact = sdk_text(call, "%s: %s -> %s%s; %s", name, revision_of(work->current), revision_of(work->target),
                               is_on ? "; auto-sync stays off until this is undone" : "", loss_text(loss)),
            .reach = -1,
            .observed = json_pack("{s:I, s:s, s:s, s:s, s:s}", "as_of_ms", (json_int_t)sdk_now_ms(call), "data_loss",
                                  loss, "health", argocd_text_at(work->app, "/status/health/status"), "sync",
                                  argocd_text_at(work->app, "/status/sync/status"), "dry_run",
                                  work->is_dry_run ? "succeeded" : "not possible while auto-sync is on"),
            .no_change = is_same && !is_on,
        });
}

/* ---- the dry run: an operation like another, which changes no resource ---- */

static void poll(struct sdk_call *call);

static void on_polled(struct sdk_call *call, const json_t *app)
{
    struct plan_work *work = sdk_kept(call);
    const char *phase = argocd_text_at(app, "/status/operationState/phase");
    if (argocd_is_busy(app)) {
        if (sdk_left_ms(call) < 1000)
            sdk_fail_retry(call, 0, "timeout", "the dry run is still under way");
        else
            sdk_later(call, 500, poll);
    } else if (strcmp(phase, "Succeeded") == 0) {
        answer(call, work);
    } else {
        sdk_fail(call, "refused", "the dry run of the rollback ended as %s: %.300s", phase,
                 argocd_text_at(app, "/status/operationState/message"));
    }
}

static void poll(struct sdk_call *call)
{
    argocd_read(call, false, on_polled);
}

static void on_dry_run(struct sdk_call *call, const struct sdk_http_answer *said)
{
    if (sdk_http_ok(call, said))
        sdk_later(call, 200, poll);
}

static void on_app(struct sdk_call *call, const json_t *app)
{
    const json_t *wanted = json_object_get(sdk_args(call), "to"), *list = sdk_json_at(app, "/status/history");
    struct plan_work *work = sdk_memory(call, sizeof *work);
    *work = (struct plan_work){.app = app, .current = argocd_newest(app), .is_dry_run = !argocd_is_automatic(app)};
    if (wanted)
        work->target = argocd_entry(app, json_integer_value(wanted));
    for (size_t i = 0; !wanted && i < json_array_size(list); i++) { /* the newest that is another deployment */
        const json_t *one = json_array_get(list, i);
        if (!argocd_is_same(one, work->current) && (!work->target || argocd_id(one) > argocd_id(work->target)))
            work->target = one;
    }
    sdk_keep(call, work);
    if (argocd_is_busy(app))
        sdk_fail_retry(call, 0, "conflict", "an operation of this application is under way; there is one at a time");
    else if (!work->current || !work->target)
        sdk_fail(call, wanted ? "not-found" : "refused", "the application's history has no such deployment");
    else if (work->is_dry_run && !argocd_is_same(work->current, work->target))
        argocd_roll(call, argocd_id(work->target), true, on_dry_run);
    else
        answer(call, work);
}

void argocd_rollback_plan(struct sdk_call *call)
{
    argocd_read(call, false, on_app);
}
