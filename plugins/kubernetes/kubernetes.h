/* kubernetes.h: what the files of this plugin share.
 * Flow   a call -> change.c: plan, apply, verify, undo, reconcile, the same for all kinds of change
 *               -> rollback.c | hpa.c | keda.c | scale.c | route.c: what is read, what state it is in, which patch changes it
 *               -> read.c: an object and what belongs to it   -> ask.c: the API server
 */
#ifndef KUBERNETES_H
#define KUBERNETES_H
#include "stanch/sdk.h"

/* ---- ask.c: the API server ---- */

typedef void (*kube_json_fn)(struct sdk_call *call, const json_t *value);
typedef void (*kube_answer_fn)(struct sdk_call *call, const struct sdk_http_answer *answer);

/** The namespace of the call, which the setting namespaces allows; NULL: the call was answered. */
const char *kube_namespace(struct sdk_call *call);
/** "/apis/apps/v1" "deployments" "web" -> the path of that object in the call's namespace; name NULL: of the list. */
const char *kube_path(struct sdk_call *call, const char *api, const char *resource, const char *name);
/** "kubernetes:prod/shop/deployment/web" */
const char *kube_target(struct sdk_call *call, const char *kind, const char *name);
/** What `kubectl -n NAMESPACE` begins with. */
const char *kube_kubectl(struct sdk_call *call);

/** Read an object; answers the call when that fails, or when it is another than `name`. What was kept stays kept. */
void kube_get(struct sdk_call *call, const char *path, const char *name, kube_json_fn fn);
/** Read a list, all pages of it. labels: a label selector, or NULL. fn gets the array. */
void kube_list(struct sdk_call *call, const char *path, const char *labels, kube_json_fn fn);
/** Find which version of an API group the server has: the first of `wanted` ("v2", ..., NULL), or without `wanted` the one
 * that it prefers. fn gets "/apis/GROUP/VERSION" as a JSON text. Answers "not-found" when there is no such group. */
void kube_discover(struct sdk_call *call, const char *group, const char *const *wanted, kube_json_fn fn);
/** JSON patch. patch: taken. */
void kube_patch(struct sdk_call *call, const char *path, json_t *patch, bool is_dry_run, kube_answer_fn fn);
/** GET, whatever comes of it. */
void kube_ask(struct sdk_call *call, const char *path, kube_answer_fn fn);
/** Ask for what has no name (POST); it is a read. body: taken. */
void kube_post_read(struct sdk_call *call, const char *path, json_t *body, kube_answer_fn fn);
/** Whether the credential is there to be sent: without one the API server takes us for somebody unknown. */
bool kube_has_credential(struct sdk_call *call);
/** As sdk_http_ok, in the words of the server's Status. A test of a JSON patch that failed is "stale", although its status
 * is that of an object that is not valid. */
bool kube_ok(struct sdk_call *call, const struct sdk_http_answer *answer);
/** Whether the patch was not made because the object has moved on. */
bool kube_is_conflict(const struct sdk_http_answer *answer);

const char *kube_text_at(const json_t *value, const char *pointer);                        /* "" when there is none */
const char *kube_brief(struct sdk_call *call, const char *text);                           /* its beginning */
json_int_t kube_int_at(const json_t *value, const char *pointer, json_int_t otherwise);    /* of an integer */
const json_t *kube_condition(const json_t *object, const char *pointer, const char *type); /* NULL */
/** Who puts the object back as git or a chart has it: "Argo CD", "Flux"; NULL. */
const char *kube_keeper(const json_t *object);

/* ---- change.c: the same for all ---- */

struct kube_seen {
    const json_t *object; /* what is patched */
    const char *path;     /* where */
    const json_t *more;   /* what else was read */
};
typedef void (*kube_seen_fn)(struct sdk_call *call, const struct kube_seen *seen);

/* ---- read.c: an object and what belongs to it ---- */

struct kube_wanted {
    const char *api;             /* "/apis/apps/v1"; NULL: the version of `group` that the server has */
    const char *group;           /* "autoscaling" */
    const char *const *versions; /* as kube_discover */
    const char *resource, *name; /* "deployments", "web" */
    /** The object is there: read what else is needed, then kube_read_done. NULL: nothing else is. */
    kube_json_fn more;
};
/** Read it; answers the call when that fails. What was kept stays kept. fn: gets what was seen. wanted: copied */
void kube_read(struct sdk_call *call, const struct kube_wanted *wanted, kube_seen_fn fn);
/** What was seen so far, from `more` until kube_read_done. */
struct kube_seen *kube_reading(struct sdk_call *call);
/** The end of `more`. more: what else was read, or NULL. */
void kube_read_done(struct sdk_call *call, const json_t *more);

enum kube_holds { KUBE_HOLDS, KUBE_NOT_YET, KUBE_NEVER };

/* A kind of change. A state is what `from`, `to` and `undo` of its plans are. */
struct kube_kind {
    const char *what; /* "the Deployment", for people */
    /** Read it, or answer the call. */
    void (*read)(struct sdk_call *call, kube_seen_fn fn);
    /** Its state now; new. */
    json_t *(*state)(struct sdk_call *call, const struct kube_seen *seen);
    /** Fill in the plan (all but as_of_ms and dry_run of observed). returns false when the call was answered */
    bool (*plan)(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret);
    /** The steps of the JSON patch to that state; new; NULL: the call was answered. */
    json_t *(*patch)(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted);
    /** It is in the state: has it taken effect? ret_seen: for people; new. NULL: it has. */
    enum kube_holds (*settled)(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen);
};
extern const struct kube_kind kube_rollback, kube_hpa, kube_keda, kube_scale, kube_route;

void kube_plan(struct sdk_call *call);
void kube_change(struct sdk_call *call); /* apply, undo */
void kube_verify(struct sdk_call *call);
void kube_reconcile(struct sdk_call *call);
/** Append {"op","path","value"} to a patch; value: taken; NULL: none. */
void kube_step(json_t *patch, const char *op, const char *path, json_t *value);
/** A step that sets annotations, {"NAME": text, or null: none}; an empty list of them is not left behind. It writes them
 * all, which the test of the resourceVersion before it makes safe. */
void kube_annotate(json_t *patch, const json_t *object, const json_t *wanted);
/** An annotation as a text, or null; new. */
json_t *kube_annotation(const json_t *object, const char *name);
/** Whether a number of replicas is within the settings min_replicas and max_replicas; else answers "refused". */
bool kube_is_size_allowed(struct sdk_call *call, json_int_t replicas);

/* ---- deployment.c: a Deployment and its ReplicaSets ---- */

/** Read the Deployment `name` (more: its own ReplicaSets, newest revision first). */
void kube_read_deployment(struct sdk_call *call, const char *name, kube_seen_fn fn);
/** The ReplicaSet that has the Deployment's present template; NULL when its controller has not made it yet. */
const json_t *kube_current(const struct kube_seen *seen);
const json_t *kube_replicaset(const struct kube_seen *seen, const char *name_or_hash); /* NULL */
json_int_t kube_revision(const json_t *replicaset);                                    /* 0: none */
json_t *kube_images(const json_t *template); /* {"app":"registry/app:1"}; new */
/** A ReplicaSet's template as a Deployment's: without the label pod-template-hash; new. */
json_t *kube_plain_template(const json_t *replicaset);
/** How far its rollout is; ret_why may be NULL. */
enum kube_holds kube_rolled_out(struct sdk_call *call, const json_t *deployment, const char **ret_why);
void kube_deployment(struct sdk_call *call); /* the action that reads */

/* ---- rollback_plan.c, hpa.c, route.c, route_ops.c, check.c ---- */

bool kube_rollback_plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret);
const char *kube_migration_name(struct sdk_call *call); /* of the annotation */
void kube_hpa_read(struct sdk_call *call);              /* the action that reads */
extern const char *const kube_hpa_versions[];
void kube_route_read(struct sdk_call *call); /* the action that reads */
void kube_check(struct sdk_call *call);

/* A route is of the Gateway API or of Istio. */
struct kube_route_shape {
    const char *kind, *group, *resource;
    const char *rules, *backends, *name; /* members: "rules" or "http", "backendRefs" or "route", pointer to the name */
    json_int_t most;                     /* weight */
    bool is_percent;                     /* the weights make 100 */
};
const struct kube_route_shape *kube_route_shape(struct sdk_call *call);
/** A backend as a runbook names it: its name, its host or "host/subset". */
const char *kube_backend(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *backend);
/** {"NAME": weight or null} of a rule; new; NULL: two backends have the same name (ret_twice). */
json_t *kube_weights(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *rule,
                     const char **ret_twice);
/** The share of the requests that a backend gets. */
double kube_share(const struct kube_route_shape *shape, const json_t *weights, const char *name);
/** The share that moves to other backends. */
double kube_moved(const struct kube_route_shape *shape, const json_t *from, const json_t *to);
/** A patch from one set of weights to another, each step behind tests of the name and the old weight; new. */
json_t *kube_weigh(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *rule, json_int_t index,
                   const json_t *from, const json_t *to);

#endif
