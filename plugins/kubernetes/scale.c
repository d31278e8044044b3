/* scale.c: the number of replicas of a Deployment or a StatefulSet, by its subresource scale. What an HPA scales is refused:
 * it would be scaled back. */
#include "kubernetes.h"
#include <string.h>

static const char *kind_of(struct sdk_call *call)
{
    return sdk_arg_str(call, "kind", "Deployment");
}

static const char *name_of(struct sdk_call *call)
{
    return sdk_arg_str(call, "name", "");
}

static bool is_deployment(struct sdk_call *call)
{
    return strcmp(kind_of(call), "Deployment") == 0;
}

/* ---- reading: the object, and for a plan the HPAs of the namespace ---- */

static void on_version(struct sdk_call *call, const json_t *api)
{
    kube_list(call, kube_path(call, json_string_value(api), "horizontalpodautoscalers", NULL), NULL, kube_read_done);
}

/* Its scale is what is patched. */
static void read_hpas(struct sdk_call *call, const json_t *object)
{
    struct kube_seen *seen = kube_reading(call);
    (void)object;
    seen->path = sdk_text(call, "%s/scale", seen->path);
    if (sdk_op(call) == STANCH_OP_PLAN)
        kube_discover(call, "autoscaling", kube_hpa_versions, on_version);
    else
        kube_read_done(call, NULL);
}

static void read_it(struct sdk_call *call, kube_seen_fn fn)
{
    kube_read(call,
              &(struct kube_wanted){.api = "/apis/apps/v1",
                                    .resource = is_deployment(call) ? "deployments" : "statefulsets",
                                    .name = name_of(call),
                                    .more = read_hpas},
              fn);
}

/* ---- its state ---- */

static json_t *state_of(struct sdk_call *call, const struct kube_seen *seen)
{
    (void)call;
    return json_pack("{s:I}", "replicas", kube_int_at(seen->object, "/spec/replicas", 1));
}

static json_t *patch_to(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted)
{
    json_t *steps = json_array();
    (void)call;
    (void)seen;
    kube_step(steps, "add", "/spec/replicas", json_integer(kube_int_at(wanted, "/replicas", 0)));
    return steps;
}

static enum kube_holds settle(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen)
{
    const json_t *it = seen->object;
    json_int_t wanted = kube_int_at(it, "/spec/replicas", 1), there = kube_int_at(it, "/status/replicas", 0);
    json_int_t ready = kube_int_at(it, is_deployment(call) ? "/status/availableReplicas" : "/status/readyReplicas", 0);
    bool is_seen = kube_int_at(it, "/status/observedGeneration", 0) >= kube_int_at(it, "/metadata/generation", 1);
    *ret_seen = json_pack("{s:I, s:I}", "there", there, "ready", ready);
    return is_seen && there == wanted && ready == wanted ? KUBE_HOLDS : KUBE_NOT_YET;
}

/* ---- plan ---- */

/* The HPA that scales it; NULL. */
static const char *scaled_by(struct sdk_call *call, const struct kube_seen *seen)
{
    for (size_t i = 0; i < json_array_size(seen->more); i++) {
        const json_t *hpa = json_array_get(seen->more, i);
        if (strcmp(kube_text_at(hpa, "/spec/scaleTargetRef/kind"), kind_of(call)) == 0 &&
            strcmp(kube_text_at(hpa, "/spec/scaleTargetRef/name"), name_of(call)) == 0)
            return kube_text_at(hpa, "/metadata/name");
    }
    return NULL;
}

static bool is_allowed(struct sdk_call *call, const struct kube_seen *seen, json_int_t now, json_int_t wanted)
{
    const json_t *most = json_object_get(sdk_settings(sdk_instance(call)), "max_change");
    double share = most ? json_number_value(most) : 1, change = (double)wanted - (double)now;
    const char *hpa = scaled_by(call, seen);
    if (hpa)
        sdk_fail(
            call, "refused",
            "the HPA %s scales %s and would scale it back: use freeze_hpa, with replicas if it is to be another size",
            hpa, name_of(call));
    else if (now > 0 && (change < 0 ? -change : change) > share * (double)now)
        sdk_fail(call, "refused", "%lld -> %lld replicas: the setting max_change allows a change by %.0f%% at once",
                 (long long)now, (long long)wanted, share * 100);
    else
        return wanted == now || kube_is_size_allowed(call, wanted);
    return false;
}

static const char *scale_by_hand(struct sdk_call *call, json_int_t to, json_int_t from)
{
    return sdk_text(call, "%s scale %s/%s --current-replicas=%lld --replicas=%lld", kube_kubectl(call),
                    is_deployment(call) ? "deployment" : "statefulset", name_of(call), (long long)from, (long long)to);
}

static bool plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret)
{
    json_int_t now = kube_int_at(seen->object, "/spec/replicas", 1), wanted = sdk_arg_int(call, "replicas", 0);
    json_int_t ready = kube_int_at(seen->object, "/status/readyReplicas", 0);
    if (!is_allowed(call, seen, now, wanted))
        return false;
    ret->targets =
        json_pack("[s]", kube_target(call, is_deployment(call) ? "deployment" : "statefulset", name_of(call)));
    ret->from = json_pack("{s:I}", "replicas", now);
    ret->to = json_pack("{s:I}", "replicas", wanted);
    ret->undo = json_pack("{s:I}", "replicas", now);
    ret->by_hand = scale_by_hand(call, wanted, now);
    ret->undo_by_hand = scale_by_hand(call, now, wanted);
    ret->impact = sdk_text(call, "%s %s: %lld -> %lld replicas, %lld ready now", kind_of(call), name_of(call),
                           (long long)now, (long long)wanted, (long long)ready);
    ret->reach = wanted < now ? (double)(now - wanted) / (double)now : 0;
    ret->observed = json_pack("{s:I}", "ready", ready);
    return true;
}

const struct kube_kind kube_scale = {.what = "the number of replicas",
                                     .read = read_it,
                                     .state = state_of,
                                     .plan = plan,
                                     .patch = patch_to,
                                     .settled = settle};
