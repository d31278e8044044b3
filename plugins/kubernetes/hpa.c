/* hpa.c: hold what a HorizontalPodAutoscaler scales at its present size: min = max = that size. `behavior` with
 * selectPolicy Disabled would do the same where there is autoscaling/v2; this does it in every version, `kubectl get hpa`
 * shows it, and it needs no metrics. The former values stand in an annotation, too, for whom has to undo it by hand. */
#include "kubernetes.h"
#include <string.h>

#define HELD_FROM "stanch.dev/held-from"

const char *const kube_hpa_versions[] = {"v2", "v2beta2", "v1", NULL};

static const char *name_of(struct sdk_call *call)
{
    return sdk_arg_str(call, "hpa", "");
}

/* ---- reading: which version, the HPA, and for a plan the size of what it scales ---- */

/* Where the scale of the target is; NULL: of a kind whose path is not known here. */
static const char *scale_path(struct sdk_call *call, const json_t *hpa)
{
    static const char *const known[][2] = {
        {"Deployment", "deployments"}, {"StatefulSet", "statefulsets"}, {"ReplicaSet", "replicasets"}};
    const char *kind = kube_text_at(hpa, "/spec/scaleTargetRef/kind");
    const char *name = kube_text_at(hpa, "/spec/scaleTargetRef/name");
    bool is_apps = strncmp(kube_text_at(hpa, "/spec/scaleTargetRef/apiVersion"), "apps/", 5) == 0;
    for (size_t i = 0; is_apps && i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i][0], kind) == 0)
            return sdk_text(call, "%s/scale", kube_path(call, "/apis/apps/v1", known[i][1], name));
    return NULL;
}

static void read_size(struct sdk_call *call, const json_t *hpa)
{
    const char *path = sdk_op(call) == STANCH_OP_PLAN ? scale_path(call, hpa) : NULL;
    if (path)
        kube_get(call, path, kube_text_at(hpa, "/spec/scaleTargetRef/name"), kube_read_done);
    else
        kube_read_done(call, NULL);
}

static void read_it(struct sdk_call *call, kube_seen_fn fn)
{
    kube_read(call,
              &(struct kube_wanted){.group = "autoscaling",
                                    .versions = kube_hpa_versions,
                                    .resource = "horizontalpodautoscalers",
                                    .name = name_of(call),
                                    .more = read_size},
              fn);
}

/* ---- its state ---- */

static json_t *copy_at(const json_t *value, const char *pointer)
{
    const json_t *found = sdk_json_at(value, pointer);
    return found ? json_incref((json_t *)(uintptr_t)found) : json_null();
}

static json_t *state_of(struct sdk_call *call, const struct kube_seen *seen)
{
    (void)call;
    return json_pack("{s:o, s:o, s:o}", "min", copy_at(seen->object, "/spec/minReplicas"), "max",
                     copy_at(seen->object, "/spec/maxReplicas"), "held_from", kube_annotation(seen->object, HELD_FROM));
}

static void set(json_t *steps, const json_t *object, const char *path, const json_t *wanted)
{
    const json_t *now = sdk_json_at(object, path);
    if (now)
        kube_step(steps, "test", path, json_incref((json_t *)(uintptr_t)now));
    if (json_is_integer(wanted))
        kube_step(steps, "add", path, json_integer(json_integer_value(wanted)));
    else if (now)
        kube_step(steps, "remove", path, NULL);
}

static json_t *patch_to(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted)
{
    json_t *steps = json_array(), *notes = json_pack("{s:O}", HELD_FROM, json_object_get(wanted, "held_from"));
    (void)call;
    set(steps, seen->object, "/spec/minReplicas", json_object_get(wanted, "min"));
    set(steps, seen->object, "/spec/maxReplicas", json_object_get(wanted, "max"));
    kube_annotate(steps, seen->object, notes);
    json_decref(notes);
    return steps;
}

static enum kube_holds settle(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen)
{
    (void)call;
    *ret_seen = json_pack("{s:I, s:I}", "current", kube_int_at(seen->object, "/status/currentReplicas", 0), "desired",
                          kube_int_at(seen->object, "/status/desiredReplicas", 0));
    return KUBE_HOLDS;
}

/* ---- plan ---- */

/* As it is: by the target's own scale; where that is not known here, the larger of what the HPA sees and wants. */
static json_int_t present_size(const struct kube_seen *seen)
{
    json_int_t sees = kube_int_at(seen->object, "/status/currentReplicas", 0);
    json_int_t wants = kube_int_at(seen->object, "/status/desiredReplicas", 0);
    return seen->more ? kube_int_at(seen->more, "/spec/replicas", 0) : sees > wants ? sees : wants;
}

/* The size to hold; 0: the call was answered. */
static json_int_t held_size(struct sdk_call *call, const struct kube_seen *seen, json_int_t min, json_int_t max)
{
    json_int_t size = present_size(seen), asked = sdk_arg_int(call, "replicas", 0);
    if (asked && (asked < min || asked > max)) {
        sdk_fail(call, "refused", "replicas: %lld is outside of the HPA's own %lld to %lld", (long long)asked,
                 (long long)min, (long long)max);
        return 0;
    }
    if (asked)
        return kube_is_size_allowed(call, asked) ? asked : 0;
    if (size <= 0) {
        sdk_fail(call, "refused",
                 "%s %s has no replicas now: the HPA does nothing as long as that is so, and cannot hold it there (a "
                 "minimum of 0 is refused by the API server)",
                 kube_text_at(seen->object, "/spec/scaleTargetRef/kind"),
                 kube_text_at(seen->object, "/spec/scaleTargetRef/name"));
        return 0;
    }
    if (max > 0 && size > max)
        return max; /* where the HPA takes it anyway */
    return size < min ? min : size;
}

static const char *patch_by_hand(struct sdk_call *call, const json_t *min, json_int_t max)
{
    const char *least = json_is_integer(min) ? sdk_text(call, "%lld", (long long)json_integer_value(min)) : "null";
    return sdk_text(call, "%s patch hpa %s --type merge -p '{\"spec\":{\"minReplicas\":%s,\"maxReplicas\":%lld}}'",
                    kube_kubectl(call), name_of(call), least, (long long)max);
}

static json_t *held_state(struct sdk_call *call, const struct kube_seen *seen, json_int_t size)
{
    const json_t *min = sdk_json_at(seen->object, "/spec/minReplicas");
    json_int_t max = kube_int_at(seen->object, "/spec/maxReplicas", 0);
    if (kube_int_at(seen->object, "/spec/minReplicas", 1) == size && max == size)
        return state_of(call, seen); /* it is held there already */
    json_t *was = json_pack("{s:O*, s:I}", "minReplicas", min, "maxReplicas", max);
    char *text = json_dumps(was, JSON_COMPACT | JSON_SORT_KEYS);
    json_t *held = json_pack("{s:I, s:I, s:s}", "min", size, "max", size, "held_from", text);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    json_decref(was);
    return held;
}

static bool plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret)
{
    const char *name = name_of(call), *kind = kube_text_at(seen->object, "/spec/scaleTargetRef/kind");
    const char *target = kube_text_at(seen->object, "/spec/scaleTargetRef/name");
    json_int_t min = kube_int_at(seen->object, "/spec/minReplicas", 1);
    json_int_t max = kube_int_at(seen->object, "/spec/maxReplicas", 0), now = present_size(seen);
    json_int_t size = held_size(call, seen, min, max);
    if (size == 0)
        return false;
    ret->targets = json_pack("[s]", kube_target(call, "hpa", name));
    ret->from = state_of(call, seen);
    ret->to = held_state(call, seen, size);
    ret->undo = state_of(call, seen);
    ret->by_hand = patch_by_hand(call, json_object_get(ret->to, "min"), size);
    ret->undo_by_hand = sdk_text(call, "%s && %s annotate hpa %s " HELD_FROM "-",
                                 patch_by_hand(call, json_object_get(ret->from, "min"), max), kube_kubectl(call), name);
    ret->impact =
        sdk_text(call, "%s %s is held at %lld replicas, %lld now (autoscaled between %lld and %lld until this)", kind,
                 target, (long long)size, (long long)now, (long long)min, (long long)max);
    ret->observed = json_pack("{s:I, s:I, s:I}", "replicas", now, "hpa_sees",
                              kube_int_at(seen->object, "/status/currentReplicas", 0), "hpa_wants",
                              kube_int_at(seen->object, "/status/desiredReplicas", 0));
    return true;
}

const struct kube_kind kube_hpa = {
    .what = "the HPA", .read = read_it, .state = state_of, .plan = plan, .patch = patch_to, .settled = settle};

/* ---- the action that reads ---- */

static void on_seen(struct sdk_call *call, const struct kube_seen *seen)
{
    const json_t *it = seen->object, *conditions = sdk_json_at(it, "/status/conditions"), *one;
    json_t *told = json_object(), *state = state_of(call, seen);
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)conditions, i, one) json_object_set_new(
        told, kube_text_at(one, "/type"),
        json_string(sdk_text(call, "%s: %s", kube_text_at(one, "/status"), kube_text_at(one, "/reason"))));
    json_object_update_new(state, json_pack("{s:I, s:s, s:s, s:I, s:I, s:o}", "as_of_ms", (json_int_t)sdk_now_ms(call),
                                            "kind", kube_text_at(it, "/spec/scaleTargetRef/kind"), "name",
                                            kube_text_at(it, "/spec/scaleTargetRef/name"), "current",
                                            kube_int_at(it, "/status/currentReplicas", 0), "desired",
                                            kube_int_at(it, "/status/desiredReplicas", 0), "conditions", told));
    sdk_done(call, state);
}

void kube_hpa_read(struct sdk_call *call)
{
    if (kube_namespace(call))
        read_it(call, on_seen);
}
