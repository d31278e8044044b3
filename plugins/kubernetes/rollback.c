/* rollback.c: a Deployment gets the template of an earlier ReplicaSet again, or of the later one that it had. A ReplicaSet is
 * remembered by its name: revisions are numbered anew by each rollback. */
#include "kubernetes.h"
#include <string.h>

static void read_it(struct sdk_call *call, kube_seen_fn fn)
{
    kube_read_deployment(call, sdk_arg_str(call, "deployment", ""), fn);
}

static json_t *state_of(struct sdk_call *call, const struct kube_seen *seen)
{
    (void)call;
    const json_t *current = kube_current(seen);
    json_t *name = current ? json_string(kube_text_at(current, "/metadata/name")) : json_null();
    return json_pack("{s:o, s:o}", "replicaset", name, "images",
                     kube_images(sdk_json_at(seen->object, "/spec/template")));
}

static json_t *patch_to(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted)
{
    const char *name = kube_text_at(wanted, "/replicaset");
    const json_t *goal = kube_replicaset(seen, name);
    json_t *steps = json_array();
    if (json_is_true(sdk_json_at(seen->object, "/spec/paused"))) {
        json_decref(steps);
        sdk_fail(call, "refused",
                 "%s is paused, so that its template could change and its Pods would not: resume it first "
                 "(%s rollout resume deployment/%s)",
                 sdk_arg_str(call, "deployment", ""), kube_kubectl(call), sdk_arg_str(call, "deployment", ""));
        return NULL;
    }
    if (!goal) {
        json_decref(steps);
        sdk_fail(call, "stale", "the ReplicaSet %s is gone: the Deployment keeps %lld old ones (revisionHistoryLimit)",
                 name, (long long)kube_int_at(seen->object, "/spec/revisionHistoryLimit", 10));
        return NULL;
    }
    kube_step(steps, "replace", "/spec/template", kube_plain_template(goal));
    return steps;
}

static enum kube_holds settle(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen)
{
    const char *why = NULL;
    enum kube_holds holds = kube_rolled_out(call, seen->object, &why);
    *ret_seen =
        json_pack("{s:s, s:I, s:I}", "rollout", why, "updated", kube_int_at(seen->object, "/status/updatedReplicas", 0),
                  "available", kube_int_at(seen->object, "/status/availableReplicas", 0));
    return holds;
}

const struct kube_kind kube_rollback = {.what = "the Deployment",
                                        .read = read_it,
                                        .state = state_of,
                                        .plan = kube_rollback_plan,
                                        .patch = patch_to,
                                        .settled = settle};
