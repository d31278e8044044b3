/* deployment.c: a Deployment and its ReplicaSets, each of which is a revision of its template. */
#include "kubernetes.h"
#include <stdlib.h>
#include <string.h>

#define HASH_LABEL    "pod-template-hash"
#define REVISION      "deployment.kubernetes.io/revision"
#define MAX_REVISIONS 20

/* ---- the selector, as text ---- */

static const char *join(struct sdk_call *call, const char *before, const char *more)
{
    return sdk_text(call, "%s%s%s", before, *before ? "," : "", more);
}

static const char *expression(struct sdk_call *call, const json_t *one)
{
    const char *key = kube_text_at(one, "/key"), *op = kube_text_at(one, "/operator"), *values = "";
    const json_t *list = json_object_get(one, "values"), *value;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, value) values =
        join(call, values, json_is_string(value) ? json_string_value(value) : "");
    if (strcmp(op, "In") == 0 || strcmp(op, "NotIn") == 0)
        return sdk_text(call, "%s %s (%s)", key, op[0] == 'I' ? "in" : "notin", values);
    return sdk_text(call, "%s%s", strcmp(op, "DoesNotExist") == 0 ? "!" : "", key);
}

static const char *selector(struct sdk_call *call, const json_t *deployment)
{
    const json_t *match = sdk_json_at(deployment, "/spec/selector/matchLabels"), *value;
    const json_t *list = sdk_json_at(deployment, "/spec/selector/matchExpressions");
    const char *text = "", *name;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)match, name, value) text =
        join(call, text, sdk_text(call, "%s=%s", name, json_is_string(value) ? json_string_value(value) : ""));
    json_array_foreach((json_t *)(uintptr_t)list, i, value) text = join(call, text, expression(call, value));
    return text;
}

/* ---- reading ---- */

json_int_t kube_revision(const json_t *replicaset)
{
    const char *text = json_string_value(json_object_get(sdk_json_at(replicaset, "/metadata/annotations"), REVISION));
    return text ? strtoll(text, NULL, 10) : 0;
}

static bool is_owned(const json_t *replicaset, const char *uid)
{
    const json_t *list = sdk_json_at(replicaset, "/metadata/ownerReferences");
    for (size_t i = 0; *uid && i < json_array_size(list); i++)
        if (strcmp(kube_text_at(json_array_get(list, i), "/uid"), uid) == 0)
            return true;
    return false;
}

static void on_replicasets(struct sdk_call *call, const json_t *items)
{
    const char *uid = kube_text_at(kube_reading(call)->object, "/metadata/uid");
    json_t *own = sdk_hold(call, json_array()), *one;
    size_t i, at;
    json_array_foreach((json_t *)(uintptr_t)items, i, one)
    {
        if (!is_owned(one, uid))
            continue;
        for (at = 0; at < json_array_size(own) && kube_revision(json_array_get(own, at)) > kube_revision(one); at++)
            ;
        json_array_insert(own, at, one);
    }
    kube_read_done(call, own);
}

static void read_replicasets(struct sdk_call *call, const json_t *deployment)
{
    kube_list(call, kube_path(call, "/apis/apps/v1", "replicasets", NULL), selector(call, deployment), on_replicasets);
}

void kube_read_deployment(struct sdk_call *call, const char *name, kube_seen_fn fn)
{
    kube_read(call,
              &(struct kube_wanted){
                  .api = "/apis/apps/v1", .resource = "deployments", .name = name, .more = read_replicasets},
              fn);
}

/* ---- templates ---- */

json_t *kube_plain_template(const json_t *replicaset)
{
    json_t *template = json_deep_copy(sdk_json_at(replicaset, "/spec/template"));
    json_object_del((json_t *)(uintptr_t)sdk_json_at(template, "/metadata/labels"), HASH_LABEL);
    return template;
}

const json_t *kube_current(const struct kube_seen *seen)
{
    const json_t *template = sdk_json_at(seen->object, "/spec/template"), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)seen->more, i, one)
    {
        json_t *plain = kube_plain_template(one);
        bool is_same = json_equal(plain, template) != 0;
        json_decref(plain);
        if (is_same)
            return one;
    }
    return NULL;
}

const json_t *kube_replicaset(const struct kube_seen *seen, const char *name_or_hash)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)seen->more, i,
                       one) if (strcmp(kube_text_at(one, "/metadata/name"), name_or_hash) == 0 ||
                                strcmp(kube_text_at(one, "/metadata/labels/" HASH_LABEL), name_or_hash) ==
                                    0) return one;
    return NULL;
}

json_t *kube_images(const json_t *template)
{
    const char *const lists[] = {"/spec/initContainers", "/spec/containers"};
    json_t *images = json_object(), *one;
    size_t i;
    for (size_t at = 0; at < 2; at++)
        json_array_foreach((json_t *)(uintptr_t)sdk_json_at(template, lists[at]), i, one)
            json_object_set_new(images, kube_text_at(one, "/name"), json_string(kube_text_at(one, "/image")));
    return images;
}

/* ---- the rollout ---- */

enum kube_holds kube_rolled_out(struct sdk_call *call, const json_t *deployment, const char **ret_why)
{
    const json_t *progress = kube_condition(deployment, "/status/conditions", "Progressing");
    json_int_t wanted = kube_int_at(deployment, "/spec/replicas", 1),
               all = kube_int_at(deployment, "/status/replicas", 0);
    json_int_t fresh = kube_int_at(deployment, "/status/updatedReplicas", 0);
    json_int_t ready = kube_int_at(deployment, "/status/availableReplicas", 0);
    const char *why = NULL;
    enum kube_holds holds = KUBE_NOT_YET;
    if (kube_int_at(deployment, "/status/observedGeneration", 0) < kube_int_at(deployment, "/metadata/generation", 1))
        why = "its controller has not seen the change yet";
    else if (strcmp(kube_text_at(progress, "/reason"), "ProgressDeadlineExceeded") == 0) {
        why = sdk_text(call, "the rollout failed: %s", kube_brief(call, kube_text_at(progress, "/message")));
        holds = KUBE_NEVER;
    } else if (fresh != wanted || all != wanted || ready != wanted)
        why = sdk_text(call, "of %lld Pods %lld are of this revision, %lld available, %lld are there",
                       (long long)wanted, (long long)fresh, (long long)ready, (long long)all);
    else
        holds = KUBE_HOLDS;
    if (ret_why)
        *ret_why = why ? why : "complete";
    return holds;
}

/* ---- the action that reads ---- */

static json_t *revision_json(struct sdk_call *call, const json_t *one, const json_t *current)
{
    const json_t *notes = sdk_json_at(one, "/spec/template/metadata/annotations");
    const char *migration = json_string_value(json_object_get(notes, kube_migration_name(call)));
    return json_pack("{s:I, s:s, s:o, s:s, s:I, s:b, s:s*}", "revision", kube_revision(one), "replicaset",
                     kube_text_at(one, "/metadata/name"), "images", kube_images(sdk_json_at(one, "/spec/template")),
                     "since", kube_text_at(one, "/metadata/creationTimestamp"), "replicas",
                     kube_int_at(one, "/status/replicas", 0), "current", one == current, "migration", migration);
}

static void on_seen(struct sdk_call *call, const struct kube_seen *seen)
{
    const json_t *it = seen->object, *current = kube_current(seen);
    const char *why = NULL, *keeper = kube_keeper(it);
    enum kube_holds holds = kube_rolled_out(call, it, &why);
    json_t *revisions = json_array();
    for (size_t i = 0; i < json_array_size(seen->more) && i < MAX_REVISIONS; i++)
        json_array_append_new(revisions, revision_json(call, json_array_get(seen->more, i), current));
    sdk_done(call, json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:s, s:s, s:o, s:s*, s:o}", "as_of_ms",
                             (json_int_t)sdk_now_ms(call), "replicas", kube_int_at(it, "/spec/replicas", 1), "updated",
                             kube_int_at(it, "/status/updatedReplicas", 0), "ready",
                             kube_int_at(it, "/status/readyReplicas", 0), "available",
                             kube_int_at(it, "/status/availableReplicas", 0), "paused",
                             json_is_true(sdk_json_at(it, "/spec/paused")), "rollout",
                             holds == KUBE_HOLDS   ? "complete"
                             : holds == KUBE_NEVER ? "failed"
                                                   : "progressing",
                             "text", why, "images", kube_images(sdk_json_at(it, "/spec/template")), "kept_by", keeper,
                             "revisions", revisions));
}

void kube_deployment(struct sdk_call *call)
{
    if (kube_namespace(call))
        kube_read_deployment(call, sdk_arg_str(call, "deployment", ""), on_seen);
}
