/* check.c: is the credential good, and does it give every right that the actions of this instance need in each of its
 * namespaces? The API server says so without trying (SelfSubjectAccessReview), one right at a time. */
#include "kubernetes.h"
#include <string.h>

struct right {
    const char *verb, *group, *resource, *subresource;
    const char *actions; /* which need it, each with a blank behind */
};

static const struct right rights[] = {
    {"get", "apps", "deployments", "", "rollback scale "},
    {"patch", "apps", "deployments", "", "rollback "},
    {"list", "apps", "replicasets", "", "rollback "},
    {"get", "apps", "statefulsets", "", "scale "},
    {"patch", "apps", "deployments", "scale", "scale "},
    {"patch", "apps", "statefulsets", "scale", "scale "},
    {"list", "autoscaling", "horizontalpodautoscalers", "", "scale "},
    {"get", "autoscaling", "horizontalpodautoscalers", "", "freeze_hpa "},
    {"patch", "autoscaling", "horizontalpodautoscalers", "", "freeze_hpa "},
    {"get", "apps", "deployments", "scale", "freeze_hpa "},
    {"get", "apps", "statefulsets", "scale", "freeze_hpa "},
    {"get", "keda.sh", "scaledobjects", "", "pause_keda "},
    {"patch", "keda.sh", "scaledobjects", "", "pause_keda "},
    {"get", "gateway.networking.k8s.io", "httproutes", "", "shift_route "},
    {"patch", "gateway.networking.k8s.io", "httproutes", "", "shift_route "},
    {"get", "networking.istio.io", "virtualservices", "", "shift_route "},
    {"patch", "networking.istio.io", "virtualservices", "", "shift_route "},
};
#define RIGHTS (sizeof rights / sizeof *rights)

struct walk {
    size_t space, right; /* which is asked for */
};

static const json_t *setting(struct sdk_call *call, const char *name)
{
    return json_object_get(sdk_settings(sdk_instance(call)), name);
}

/* The actions of this instance that need it, for people; "" when none does. */
static const char *needed_by(struct sdk_call *call, const struct right *right)
{
    const json_t *actions = setting(call, "actions");
    const char *needed = "", *at = right->actions;
    for (size_t len = strcspn(at, " "); *at; at += len + 1, len = strcspn(at, " ")) {
        bool is_used = actions == NULL;
        for (size_t i = 0; i < json_array_size(actions); i++)
            is_used = is_used || strncmp(json_string_value(json_array_get(actions, i)), at, len) == 0;
        if (is_used)
            needed = sdk_text(call, "%s%s%.*s", needed, *needed ? ", " : "", (int)len, at);
    }
    return needed;
}

/* All of them where the setting has a pattern: NULL. */
static const char *space_of(struct sdk_call *call, const struct walk *walk)
{
    const char *name = json_string_value(json_array_get(setting(call, "namespaces"), walk->space));
    return name && !strpbrk(name, "*?") ? name : NULL;
}

static const char *right_name(struct sdk_call *call, const struct walk *walk)
{
    const struct right *right = &rights[walk->right];
    const char *space = space_of(call, walk);
    return sdk_text(call, "%s %s%s%s.%s in %s", right->verb, right->resource, *right->subresource ? "/" : "",
                    right->subresource, right->group, space ? space : "all namespaces");
}

static void ask(struct sdk_call *call);

static void next(struct sdk_call *call)
{
    struct walk *walk = sdk_kept(call);
    if (++walk->right == RIGHTS) {
        walk->right = 0;
        walk->space++;
    }
    ask(call);
}

static void on_review(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct walk *walk = sdk_kept(call);
    const char *name = right_name(call, walk), *needed = needed_by(call, &rights[walk->right]);
    if (answer->ended != STANCH_HTTP_ANSWERED || answer->status < 200 || answer->status > 299) {
        sdk_check_http(call, "ask for rights", answer); /* the next one would say the same */
        sdk_checked(call);
        return;
    }
    json_t *said = json_loadb(answer->body, answer->body_len, 0, NULL);
    const json_t *allowed = sdk_json_at(said, "/status/allowed");
    bool is_allowed = json_is_true(allowed);
    if (json_is_boolean(allowed))
        sdk_check(call, name, is_allowed, is_allowed ? "allowed" : "%s needs it: add it to the role", needed);
    else
        sdk_check(call, name, false, "the answer is no SelfSubjectAccessReview: is this a Kubernetes API server?");
    json_decref(said);
    next(call);
}

static void ask(struct sdk_call *call)
{
    struct walk *walk = sdk_kept(call);
    const struct right *right = &rights[walk->right];
    if (walk->space >= json_array_size(setting(call, "namespaces")))
        sdk_checked(call);
    else if (!*needed_by(call, right))
        next(call);
    else
        kube_post_read(call, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                       json_pack("{s:s, s:s, s:{s:{s:s*, s:s, s:s, s:s, s:s}}}", "kind", "SelfSubjectAccessReview",
                                 "apiVersion", "authorization.k8s.io/v1", "spec", "resourceAttributes", "namespace",
                                 space_of(call, walk), "verb", right->verb, "group", right->group, "resource",
                                 right->resource, "subresource", right->subresource),
                       on_review);
}

static void on_version(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    json_t *said = answer->status == 200 ? json_loadb(answer->body, answer->body_len, 0, NULL) : NULL;
    const char *version = kube_text_at(said, "/gitVersion");
    bool is_hidden = answer->status == 403; /* a server may keep its version to itself */
    if (is_hidden || *version)
        sdk_check(call, "server", true, "%s", *version ? version : "it does not tell its version");
    else if (sdk_check_http(call, "server", answer))
        sdk_check(call, "version", false, "what answers at url is no Kubernetes API server");
    bool is_there = is_hidden || *version;
    json_decref(said);
    if (is_there)
        ask(call);
    else
        sdk_checked(call);
}

void kube_check(struct sdk_call *call)
{
    sdk_keep(call, sdk_memory(call, sizeof(struct walk)));
    if (kube_has_credential(call)) {
        kube_ask(call, "/version", on_version);
    } else {
        sdk_check(call, "credential", false, "the file token_file is empty or cannot be read");
        sdk_checked(call);
    }
}
