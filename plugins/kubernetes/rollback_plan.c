/* rollback_plan.c: which ReplicaSet a rollback goes back to, what differs, and what is known about data: from an annotation
 * of the Pod template that names the migration of data that came with it, or says "none". */
#include "kubernetes.h"
#include <stdlib.h>
#include <string.h>

#define HISTORY     "deployment.kubernetes.io/revision-history"
#define MAX_CHANGES 30

const char *kube_migration_name(struct sdk_call *call)
{
    return sdk_setting(sdk_instance(call), "migration_annotation", "stanch.dev/migration");
}

/* ---- data ---- */

/* Whether that ReplicaSet has had that revision's number. */
static bool has_had(const json_t *one, json_int_t revision)
{
    const char *at = json_string_value(json_object_get(sdk_json_at(one, "/metadata/annotations"), HISTORY));
    if (kube_revision(one) == revision)
        return true;
    for (char *end = NULL; at && *at; at = *end == ',' ? end + 1 : end) {
        if (strtoll(at, &end, 10) == revision)
            return true;
        if (end == at)
            return false;
    }
    return false;
}

static const json_t *of_revision(const struct kube_seen *seen, json_int_t revision)
{
    for (size_t i = 0; i < json_array_size(seen->more); i++)
        if (has_had(json_array_get(seen->more, i), revision))
            return json_array_get(seen->more, i);
    return NULL;
}

static const char *worse(const char *a, const char *b)
{
    return strcmp(a, "possible") == 0 || strcmp(b, "none") == 0 ? a : b;
}

/* "none", "possible" or "unknown": by what every revision after the target, up to the present one, says of itself. */
static const char *data_loss(struct sdk_call *call, const struct kube_seen *seen, const json_t *goal, const json_t *now)
{
    const char *loss = "none";
    json_int_t last = kube_revision(now), first = kube_revision(goal);
    if (first <= 0 || last <= 0 || last - first > 1000)
        return "unknown";
    for (json_int_t revision = first + 1; revision <= last; revision++) {
        const json_t *one = of_revision(seen, revision);
        const json_t *notes = sdk_json_at(one, "/spec/template/metadata/annotations");
        const char *said = json_string_value(json_object_get(notes, kube_migration_name(call)));
        loss = worse(loss, !said || !*said ? "unknown" : strcmp(said, "none") == 0 ? "none" : "possible");
    }
    return loss;
}

static const char *loss_text(struct sdk_call *call, const char *loss)
{
    return strcmp(loss, "none") == 0 ? "no migration of data lies in between, say the revisions' annotations"
           : strcmp(loss, "possible") == 0
               ? "DATA WAS MIGRATED in between: the older version may lose or refuse data"
               : sdk_text(call, "whether data was migrated in between is NOT KNOWN (no annotation %s)",
                          kube_migration_name(call));
}

/* ---- what differs ---- */

static void differ(struct sdk_call *call, const json_t *a, const json_t *b, const char *path, json_t *ret)
{
    const char *name;
    json_t *value;
    if (json_equal(a, b) || json_array_size(ret) >= MAX_CHANGES)
        return;
    if (json_is_object(a) && json_is_object(b)) {
        json_object_foreach((json_t *)(uintptr_t)a, name, value)
            differ(call, value, json_object_get(b, name), sdk_text(call, "%s/%s", path, name), ret);
        json_object_foreach((json_t *)(uintptr_t)b, name, value) if (!json_object_get(a, name))
            json_array_append_new(ret, json_string(sdk_text(call, "%s/%s", path, name)));
    } else if (json_is_array(a) && json_array_size(a) == json_array_size(b)) {
        for (size_t i = 0; i < json_array_size(a); i++)
            differ(call, json_array_get(a, i), json_array_get(b, i), sdk_text(call, "%s/%zu", path, i), ret);
    } else {
        json_array_append_new(ret, json_string(path));
    }
}

/* "app registry/app:2 -> registry/app:1" */
static const char *image_text(struct sdk_call *call, const json_t *from, const json_t *to)
{
    const char *text = "", *name, *said;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, name, value)
    {
        said = json_string_value(json_object_get(to, name));
        if (!said || strcmp(said, json_string_value(value)) != 0)
            text = sdk_text(call, "%s%s%s %s -> %s", text, *text ? ", " : "", name, json_string_value(value),
                            said ? said : "(no such container)");
    }
    return *text ? text : "the same images";
}

/* ---- which one ---- */

/* NULL: the call was answered. */
static const json_t *find_goal(struct sdk_call *call, const struct kube_seen *seen, const json_t *current)
{
    const char *name = sdk_arg_str(call, "replicaset", NULL);
    json_int_t revision = sdk_arg_int(call, "revision", 0);
    const json_t *found = NULL;
    if (name && revision) {
        sdk_fail(call, "invalid", "revision, replicaset: one of the two was expected");
        return NULL;
    }
    for (size_t i = 0; !name && !found && i < json_array_size(seen->more); i++) {
        const json_t *one = json_array_get(seen->more, i);
        if (revision ? kube_revision(one) == revision : one != current && kube_revision(one) > 0)
            found = one;
    }
    if (name)
        found = kube_replicaset(seen, name);
    if (found)
        return found;
    const json_t *moved = revision ? of_revision(seen, revision) : NULL;
    if (moved)
        sdk_fail(call, "not-found", "revision %lld is revision %lld now (ReplicaSet %s): a rollback has renumbered it",
                 (long long)revision, (long long)kube_revision(moved), kube_text_at(moved, "/metadata/name"));
    else if (name || revision)
        sdk_fail(call, "not-found", "the Deployment has no such revision (any more)");
    else
        sdk_fail(call, "refused", "the Deployment has no earlier revision: there is nothing to roll back to");
    return NULL;
}

static json_t *side(const json_t *replicaset)
{
    return json_pack("{s:s, s:o}", "replicaset", kube_text_at(replicaset, "/metadata/name"), "images",
                     kube_images(sdk_json_at(replicaset, "/spec/template")));
}

static json_t *changes_of(struct sdk_call *call, const struct kube_seen *seen, const json_t *goal)
{
    json_t *template = kube_plain_template(goal), *changes = json_array();
    differ(call, sdk_json_at(seen->object, "/spec/template"), template, "", changes);
    json_decref(template);
    return changes;
}

bool kube_rollback_plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret)
{
    const char *name = sdk_arg_str(call, "deployment", ""), *kubectl = kube_kubectl(call);
    const json_t *current = kube_current(seen), *goal;
    bool is_seen = kube_int_at(seen->object, "/status/observedGeneration", 0) >=
                   kube_int_at(seen->object, "/metadata/generation", 1);
    if (!current || !is_seen) { /* its revisions are not numbered yet */
        sdk_fail_retry(call, 1000, "conflict",
                       "the Deployment was just changed, and its controller has not "
                       "caught up yet");
        return false;
    }
    if (!(goal = find_goal(call, seen, current)))
        return false;
    json_int_t from = kube_revision(current), to = kube_revision(goal);
    const char *loss = data_loss(call, seen, goal, current);
    ret->targets = json_pack("[s]", kube_target(call, "deployment", name));
    ret->from = side(current);
    ret->to = side(goal);
    json_object_set_new(ret->to, "changes", changes_of(call, seen, goal));
    ret->undo = side(current);
    ret->by_hand = sdk_text(call, "%s rollout undo deployment/%s --to-revision=%lld", kubectl, name, (long long)to);
    ret->undo_by_hand =
        sdk_text(call, "%s rollout undo deployment/%s --to-revision=%lld", kubectl, name, (long long)from);
    ret->impact = sdk_text(call, "%s: %s (revision %lld -> %lld); all %lld Pods are replaced; %s", name,
                           image_text(call, json_object_get(ret->from, "images"), json_object_get(ret->to, "images")),
                           (long long)from, (long long)to, (long long)kube_int_at(seen->object, "/spec/replicas", 1),
                           loss_text(call, loss));
    ret->risk = strcmp(loss, "none") == 0 ? NULL : "high";
    ret->reach = 1;
    ret->observed = json_pack("{s:I, s:I, s:s, s:I, s:I}", "from_revision", from, "to_revision", to, "data_loss", loss,
                              "replicas", kube_int_at(seen->object, "/spec/replicas", 1), "available",
                              kube_int_at(seen->object, "/status/availableReplicas", 0));
    return true;
}
