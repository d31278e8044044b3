/* change.c: plan, apply, verify, undo and reconcile, the same for all kinds of change. Each change is one JSON patch that
 * begins with a test of the resourceVersion that was read, so it is made to what was looked at or not at all.
 *
 *   plan    read --> state is `from`, what is wanted `to` --> the patch as a dry run --> answer
 *   apply   read --as `to`--> done already        undo: the same, from `to` to `undo`
 *             |---not `from`--> stale
 *             '--> patch --the object moved on--> read again, three times at most: a status that changed is no harm
 */
#include "kubernetes.h"
#include <string.h>

#define POLL_MS   1000
#define MAX_TRIES 4

struct work {
    const struct kube_kind *kind;
    const json_t *from, *to; /* states */
    struct sdk_plan plan;    /* its values are held by the call */
    int tries;
};

static const struct {
    const char *action;
    const struct kube_kind *kind;
} kinds[] = {{"rollback", &kube_rollback},
             {"freeze_hpa", &kube_hpa},
             {"pause_keda", &kube_keda},
             {"scale", &kube_scale},
             {"shift_route", &kube_route}};

/* ---- steps of a patch ---- */

void kube_step(json_t *patch, const char *op, const char *path, json_t *value)
{
    json_t *step = json_pack("{s:s, s:s}", "op", op, "path", path);
    if (value)
        json_object_set_new(step, "value", value);
    json_array_append_new(patch, step);
}

json_t *kube_annotation(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(sdk_json_at(object, "/metadata/annotations"), name));
    return text ? json_string(text) : json_null();
}

void kube_annotate(json_t *patch, const json_t *object, const json_t *wanted)
{
    static const char where[] = "/metadata/annotations";
    const json_t *now = sdk_json_at(object, where);
    json_t *notes = now ? json_deep_copy(now) : json_object(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)wanted, name, value)
    {
        if (json_is_string(value))
            json_object_set(notes, name, value);
        else
            json_object_del(notes, name);
    }
    if (json_object_size(notes) == 0 && now)
        kube_step(patch, "remove", where, NULL);
    else if (json_object_size(notes) > 0 && !json_equal(notes, now))
        kube_step(patch, "add", where, json_incref(notes));
    json_decref(notes);
}

static json_t *guarded(const struct kube_seen *seen, json_t *steps)
{
    json_t *patch = json_array();
    kube_step(patch, "test", "/metadata/resourceVersion",
              json_string(kube_text_at(seen->object, "/metadata/resourceVersion")));
    json_array_extend(patch, steps);
    json_decref(steps);
    return patch;
}

bool kube_is_size_allowed(struct sdk_call *call, json_int_t replicas)
{
    const json_t *settings = sdk_settings(sdk_instance(call));
    json_int_t least = kube_int_at(settings, "/min_replicas", 1), most = kube_int_at(settings, "/max_replicas", 50);
    if (replicas >= least && replicas <= most)
        return true;
    sdk_fail(call, "refused", "%lld replicas: the settings min_replicas and max_replicas allow %lld to %lld",
             (long long)replicas, (long long)least, (long long)most);
    return false;
}

/* ---- beginning ---- */

static bool is_listed(struct sdk_call *call)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), "actions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), sdk_action(call)) == 0)
            return true;
    return list == NULL;
}

/* NULL: the call was answered. What a setting has taken away since can still be undone. */
static struct work *begin(struct sdk_call *call)
{
    struct work *work = sdk_memory(call, sizeof *work);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].action, sdk_action(call)) == 0)
            work->kind = kinds[i].kind;
    sdk_keep(call, work);
    if (!kube_namespace(call))
        return NULL;
    if ((sdk_op(call) == STANCH_OP_PLAN || sdk_op(call) == STANCH_OP_APPLY) && !is_listed(call)) {
        sdk_fail(call, "refused", "%s is not in this instance's setting \"actions\"", sdk_action(call));
        return NULL;
    }
    return work;
}

static bool take_plan(struct sdk_call *call, struct work *work, bool is_undo)
{
    work->from = sdk_plan_member(call, is_undo ? "to" : "from");
    work->to = sdk_plan_member(call, is_undo ? "undo" : "to");
    if (json_object_size(work->from) > 0 && json_object_size(work->to) > 0)
        return true;
    sdk_fail(call, "invalid", "plan: from, to and undo were expected; make the plan again");
    return false;
}

static bool is_in(struct sdk_call *call, const struct kube_seen *seen, const json_t *state)
{
    const struct work *work = sdk_kept(call);
    json_t *now = work->kind->state(call, seen), *value;
    const char *name;
    bool is_equal = true; /* a plan may say more of it than its state */
    json_object_foreach(now, name, value) is_equal = is_equal && json_equal(json_object_get(state, name), value);
    json_decref(now);
    return is_equal;
}

/* ---- plan ---- */

static void answer_plan(struct sdk_call *call, struct work *work, const char *dry_run)
{
    struct sdk_plan plan = work->plan; /* which takes what the call holds */
    json_t *const values[] = {plan.targets, plan.from, plan.to, plan.undo, plan.observed};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        json_incref(values[i]);
    json_object_set_new(plan.observed, "as_of_ms", json_integer(sdk_now_ms(call)));
    json_object_set_new(plan.observed, "dry_run", json_string(dry_run));
    sdk_plan(call, &plan);
}

static void on_seen_for_plan(struct sdk_call *call, const struct kube_seen *seen);

/* An admission webhook that knows no dry run says so with 400; the change itself it may take. */
static bool has_no_dry_run(const struct sdk_http_answer *answer)
{
    return answer->ended == STANCH_HTTP_ANSWERED && answer->status == 400 &&
           (strstr(answer->body, "dry run") || strstr(answer->body, "dryRun"));
}

static void on_dry_run(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct work *work = sdk_kept(call);
    if (kube_is_conflict(answer) && ++work->tries < MAX_TRIES)
        work->kind->read(call, on_seen_for_plan);
    else if (has_no_dry_run(answer))
        answer_plan(call, work, "not possible: an admission webhook does not support it");
    else if (kube_ok(call, answer))
        answer_plan(call, work, "succeeded");
}

static void on_seen_for_plan(struct sdk_call *call, const struct kube_seen *seen)
{
    struct work *work = sdk_kept(call);
    struct sdk_plan *plan = &work->plan;
    const char *keeper = kube_keeper(seen->object);
    *plan = (struct sdk_plan){.reach = -1};
    if (!work->kind->plan(call, seen, plan))
        return;
    json_t *const values[] = {plan->targets, plan->from, plan->to, plan->undo, plan->observed};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        sdk_hold(call, values[i]);
    plan->no_change = is_in(call, seen, plan->to);
    if (keeper) {
        json_object_set_new(plan->observed, "kept_by", json_string(keeper));
        plan->impact =
            sdk_text(call, "%s; %s keeps this object and may take it back: freeze that first", plan->impact, keeper);
    }
    json_t *steps = plan->no_change ? NULL : work->kind->patch(call, seen, plan->to);
    if (plan->no_change)
        answer_plan(call, work, "nothing to change");
    else if (steps)
        kube_patch(call, seen->path, guarded(seen, steps), true, on_dry_run);
}

void kube_plan(struct sdk_call *call)
{
    struct work *work = begin(call);
    if (work)
        work->kind->read(call, on_seen_for_plan);
}

/* ---- apply, undo ---- */

static void on_seen_for_change(struct sdk_call *call, const struct kube_seen *seen);

static void on_patched(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    struct work *work = sdk_kept(call);
    if (kube_is_conflict(answer) && ++work->tries < MAX_TRIES)
        work->kind->read(call, on_seen_for_change);
    else if (kube_ok(call, answer))
        sdk_done(call, json_pack("{s:O}", "set", work->to));
}

static void on_seen_for_change(struct sdk_call *call, const struct kube_seen *seen)
{
    struct work *work = sdk_kept(call);
    json_t *steps = NULL;
    if (is_in(call, seen, work->to))
        sdk_done(call, json_pack("{s:O, s:b}", "set", work->to, "already", 1));
    else if (!is_in(call, seen, work->from))
        sdk_fail(call, "stale", "%s is no longer as the plan %s: somebody changed it since", work->kind->what,
                 sdk_op(call) == STANCH_OP_UNDO ? "left it" : "found it");
    else if ((steps = work->kind->patch(call, seen, work->to)))
        kube_patch(call, seen->path, guarded(seen, steps), false, on_patched);
}

void kube_change(struct sdk_call *call)
{
    struct work *work = begin(call);
    if (work && take_plan(call, work, sdk_op(call) == STANCH_OP_UNDO))
        work->kind->read(call, on_seen_for_change);
}

/* ---- verify ---- */

static void on_seen_for_verify(struct sdk_call *call, const struct kube_seen *seen)
{
    const struct work *work = sdk_kept(call);
    json_t *told = NULL;
    if (!is_in(call, seen, work->to)) { /* what was read is what is stored: somebody changed it */
        sdk_never_holds(call, json_pack("{s:o}", "now", work->kind->state(call, seen)));
        return;
    }
    enum kube_holds holds = work->kind->settled ? work->kind->settled(call, seen, &told) : KUBE_HOLDS;
    told = told ? told : json_object();
    json_object_set_new(told, "now", work->kind->state(call, seen));
    if (holds == KUBE_NOT_YET)
        sdk_not_yet(call, kube_verify, POLL_MS, 0, told);
    else if (holds == KUBE_NEVER)
        sdk_never_holds(call, told);
    else
        sdk_holds(call, true, told);
}

void kube_verify(struct sdk_call *call)
{
    struct work *work = begin(call);
    if (work && take_plan(call, work, false))
        work->kind->read(call, on_seen_for_verify);
}

/* ---- reconcile ---- */

static void on_seen_for_reconcile(struct sdk_call *call, const struct kube_seen *seen)
{
    const struct work *work = sdk_kept(call);
    sdk_reconciled(call, is_in(call, seen, work->to)     ? "done"
                         : is_in(call, seen, work->from) ? "not-done"
                                                         : "cannot-tell");
}

void kube_reconcile(struct sdk_call *call)
{
    struct work *work = begin(call);
    if (work && take_plan(call, work, strcmp(sdk_reconciles(call), "undo") == 0))
        work->kind->read(call, on_seen_for_reconcile);
}
