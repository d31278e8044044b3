/* keda.c: pause a KEDA ScaledObject by its annotations: `paused` keeps the present size, `paused-replicas` takes a size. KEDA
 * wants texts as their values. */
#include "kubernetes.h"
#include <string.h>

#define PAUSED   "autoscaling.keda.sh/paused"
#define REPLICAS "autoscaling.keda.sh/paused-replicas"

static const char *name_of(struct sdk_call *call)
{
    return sdk_arg_str(call, "scaled_object", "");
}

static void read_it(struct sdk_call *call, kube_seen_fn fn)
{
    kube_read(call, &(struct kube_wanted){.group = "keda.sh", .resource = "scaledobjects", .name = name_of(call)}, fn);
}

static json_t *state_of(struct sdk_call *call, const struct kube_seen *seen)
{
    (void)call;
    return json_pack("{s:o, s:o}", "paused", kube_annotation(seen->object, PAUSED), "paused_replicas",
                     kube_annotation(seen->object, REPLICAS));
}

static json_t *patch_to(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted)
{
    json_t *steps = json_array();
    json_t *notes = json_pack("{s:O, s:O}", PAUSED, json_object_get(wanted, "paused"), REPLICAS,
                              json_object_get(wanted, "paused_replicas"));
    (void)call;
    kube_annotate(steps, seen->object, notes);
    json_decref(notes);
    return steps;
}

static bool is_paused(const json_t *state)
{
    const char *paused = json_string_value(json_object_get(state, "paused"));
    return (paused && strcmp(paused, "false") != 0) || json_is_string(json_object_get(state, "paused_replicas"));
}

/* KEDA says that it has paused in a condition; an old one has no such condition. */
static enum kube_holds settle(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen)
{
    const json_t *condition = kube_condition(seen->object, "/status/conditions", "Paused");
    const char *status = kube_text_at(condition, "/status");
    (void)call;
    *ret_seen = json_pack("{s:s}", "keda", condition ? kube_text_at(condition, "/status") : "has no condition Paused");
    return !condition || strcmp(status, "True") == 0 ? KUBE_HOLDS : KUBE_NOT_YET;
}

static const char *annotate_by_hand(struct sdk_call *call, const json_t *paused, const json_t *replicas)
{
    const char *text[2];
    const json_t *const values[] = {paused, replicas};
    const char *const names[] = {PAUSED, REPLICAS};
    for (size_t i = 0; i < 2; i++)
        text[i] = json_is_string(values[i])
                      ? sdk_text(call, "%s=%s", names[i], sdk_shell_word(call, json_string_value(values[i])))
                      : sdk_text(call, "%s-", names[i]);
    return sdk_text(call, "%s annotate --overwrite scaledobject %s %s %s", kube_kubectl(call), name_of(call), text[0],
                    text[1]);
}

static bool plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret)
{
    const char *name = name_of(call), *target = kube_text_at(seen->object, "/spec/scaleTargetRef/name"), *how;
    json_int_t replicas = sdk_arg_int(call, "replicas", -1);
    if (replicas >= 0 && !kube_is_size_allowed(call, replicas))
        return false;
    ret->targets = json_pack("[s]", kube_target(call, "scaledobject", name));
    ret->from = state_of(call, seen);
    ret->to = state_of(call, seen);
    ret->undo = state_of(call, seen);
    if (replicas >= 0)
        json_object_set_new(ret->to, "paused_replicas", json_sprintf("%lld", (long long)replicas));
    else if (!is_paused(ret->from))
        json_object_set_new(ret->to, "paused", json_string("true"));
    ret->by_hand =
        annotate_by_hand(call, json_object_get(ret->to, "paused"), json_object_get(ret->to, "paused_replicas"));
    ret->undo_by_hand =
        annotate_by_hand(call, json_object_get(ret->from, "paused"), json_object_get(ret->from, "paused_replicas"));
    how = replicas >= 0 ? sdk_text(call, "at %lld replicas", (long long)replicas) : "at the size that it has";
    ret->impact = sdk_text(call, "KEDA no longer scales %s by %s: held %s%s", target, name, how,
                           is_paused(ret->from) ? " (it was paused already)" : "");
    ret->observed = json_pack("{s:s}", "scales", target);
    return true;
}

const struct kube_kind kube_keda = {
    .what = "the ScaledObject", .read = read_it, .state = state_of, .plan = plan, .patch = patch_to, .settled = settle};
