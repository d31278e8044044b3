/* ask.c: the API server: paths, reading, patching, and what its errors mean. */
#include "kubernetes.h"
#include <string.h>

#define MAX_BODY (16u << 20)
#define MAX_SAID 400 /* of a text of the server's */

const char *kube_text_at(const json_t *value, const char *pointer)
{
    const char *text = json_string_value(sdk_json_at(value, pointer));
    return text ? text : "";
}

const char *kube_brief(struct sdk_call *call, const char *text)
{
    size_t len = strlen(text), most = len < MAX_SAID ? len : MAX_SAID;
    while (most > 0 && most < len && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--; /* not in the middle of a character */
    return sdk_text(call, "%.*s", (int)most, text);
}

json_int_t kube_int_at(const json_t *value, const char *pointer, json_int_t otherwise)
{
    const json_t *found = sdk_json_at(value, pointer);
    return json_is_integer(found) ? json_integer_value(found) : otherwise;
}

const json_t *kube_condition(const json_t *object, const char *pointer, const char *type)
{
    const json_t *list = sdk_json_at(object, pointer);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(kube_text_at(json_array_get(list, i), "/type"), type) == 0)
            return json_array_get(list, i);
    return NULL;
}

const char *kube_keeper(const json_t *object)
{
    const json_t *labels = sdk_json_at(object, "/metadata/labels");
    const json_t *notes = sdk_json_at(object, "/metadata/annotations");
    if (json_object_get(labels, "argocd.argoproj.io/instance") ||
        json_object_get(notes, "argocd.argoproj.io/tracking-id"))
        return "Argo CD";
    if (json_object_get(labels, "kustomize.toolkit.fluxcd.io/name") ||
        json_object_get(labels, "helm.toolkit.fluxcd.io/name"))
        return "Flux";
    return NULL;
}

/* ---- names ---- */

const char *kube_namespace(struct sdk_call *call)
{
    return sdk_arg_listed(call, "namespace", "namespaces", NULL);
}

/* For texts, behind a kube_namespace that was good. */
static const char *namespace_of(struct sdk_call *call)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), "namespaces");
    const char *only = json_string_value(json_array_get(list, 0));
    return sdk_arg_str(call, "namespace", only ? only : "");
}

const char *kube_path(struct sdk_call *call, const char *api, const char *resource, const char *name)
{
    const char *space = sdk_escape(call, namespace_of(call));
    return sdk_text(call, "%s/namespaces/%s/%s%s%s", api, space, resource, name ? "/" : "",
                    name ? sdk_escape(call, name) : "");
}

const char *kube_target(struct sdk_call *call, const char *kind, const char *name)
{
    return sdk_text(call, "kubernetes:%s/%s/%s/%s", sdk_instance_name(sdk_instance(call)), namespace_of(call), kind,
                    name);
}

const char *kube_kubectl(struct sdk_call *call)
{
    return sdk_text(call, "kubectl -n %s", sdk_shell_word(call, namespace_of(call)));
}

/* ---- the credential ---- */

static const char *bearer_of(struct sdk_call *call)
{
    return sdk_setting(sdk_instance(call), "token_file", NULL) ? "token_file" : "token";
}

bool kube_has_credential(struct sdk_call *call)
{
    return sdk_setting(sdk_instance(call), "client_cert", NULL) || sdk_has_secret(sdk_instance(call), bearer_of(call));
}

/* ---- what errors mean ---- */

static json_t *status_of(const struct sdk_http_answer *answer)
{
    bool is_error = answer->ended == STANCH_HTTP_ANSWERED && answer->status >= 400 && answer->body_len < (1u << 20);
    return is_error ? json_loadb(answer->body, answer->body_len, 0, NULL) : NULL;
}

bool kube_is_conflict(const struct sdk_http_answer *answer)
{
    if (answer->ended != STANCH_HTTP_ANSWERED || (answer->status != 409 && answer->status != 422))
        return false;
    json_t *status = status_of(answer);
    bool is_invalid = answer->status == 422 && json_array_size(sdk_json_at(status, "/details/causes")) > 0;
    json_decref(status);
    return !is_invalid;
}

static const char *kind_of(const struct sdk_http_answer *answer)
{
    switch (answer->status) {
    case 400:
        return "refused";
    case 403:
        return "forbidden";
    case 404:
        return "not-found";
    case 409:
        return "stale";
    case 422:
        return kube_is_conflict(answer) ? "stale" : "refused";
    default:
        return NULL;
    }
}

bool kube_ok(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const char *kind = answer->ended == STANCH_HTTP_ANSWERED ? kind_of(answer) : NULL;
    json_t *status = kind ? status_of(answer) : NULL;
    if (!status)
        return sdk_http_ok(call, answer);
    sdk_hold(call, status);
    const char *said = kube_brief(call, kube_text_at(status, "/message"));
    const char *hint = strstr(said, "system:anonymous") ? ": no credential reached it" : "";
    if (strcmp(kind, "stale") == 0)
        sdk_fail(call, kind, "the object has changed meanwhile (%u: %s)", answer->status, said);
    else
        sdk_fail(call, kind, "the API server answered %u: %s%s", answer->status, *said ? said : "without a reason",
                 hint);
    return false;
}

/* ---- reading ---- */

struct get_wait {
    kube_json_fn fn;
    void *kept;
    const char *name;
};

static bool is_ready(struct sdk_call *call)
{
    if (kube_has_credential(call))
        return true;
    sdk_fail(call, "unauthorized", "%s is empty or cannot be read: nothing was sent", bearer_of(call));
    return false;
}

static void on_got(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct get_wait *wait = sdk_kept(call);
    sdk_keep(call, wait->kept);
    const json_t *value = kube_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!value)
        return;
    if (wait->name && strcmp(kube_text_at(value, "/metadata/name"), wait->name) != 0)
        sdk_fail(call, "protocol",
                 "what answers at url is no Kubernetes API server, or tells of another object than %s", wait->name);
    else
        wait->fn(call, value);
}

static struct get_wait *wait_for(struct sdk_call *call, kube_json_fn fn, const char *name)
{
    struct get_wait *wait = sdk_memory(call, sizeof *wait);
    *wait = (struct get_wait){.fn = fn, .kept = sdk_kept(call), .name = name};
    sdk_keep(call, wait);
    return wait;
}

void kube_get(struct sdk_call *call, const char *path, const char *name, kube_json_fn fn)
{
    if (!is_ready(call))
        return;
    wait_for(call, fn, name);
    sdk_http_retry(
        call, &(struct sdk_http_order){.path = path, .bearer = bearer_of(call), .max_body = MAX_BODY, .is_read = true},
        on_got);
}

static void on_listed(struct sdk_call *call, json_t *items)
{
    const struct get_wait *wait = sdk_kept(call);
    sdk_keep(call, wait->kept);
    wait->fn(call, items);
}

void kube_list(struct sdk_call *call, const char *path, const char *labels, kube_json_fn fn)
{
    json_t *query = sdk_hold(call, json_pack("{s:i, s:s*}", "limit", 200, "labelSelector", labels));
    if (!is_ready(call))
        return;
    wait_for(call, fn, NULL);
    sdk_http_pages(call,
                   &(struct sdk_pages){.order = {.path = sdk_url(call, path, query),
                                                 .bearer = bearer_of(call),
                                                 .max_body = MAX_BODY,
                                                 .is_read = true},
                                       .items = "/items",
                                       .token = "/metadata/continue",
                                       .token_param = "continue"},
                   on_listed);
}

/* ---- which version ---- */

struct discover_wait {
    kube_json_fn fn;
    void *kept;
    const char *group;
    const char *const *wanted;
};

static bool has_version(const json_t *group, const char *version)
{
    const json_t *list = json_object_get(group, "versions");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(kube_text_at(json_array_get(list, i), "/version"), version) == 0)
            return true;
    return false;
}

static void on_discovered(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct discover_wait *wait = sdk_kept(call);
    const char *version = "";
    sdk_keep(call, wait->kept);
    if (answer->ended == STANCH_HTTP_ANSWERED && answer->status == 404) {
        sdk_fail(call, "not-found", "this API server does not know %s", wait->group);
        return;
    }
    const json_t *group = kube_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    if (!group)
        return;
    if (!wait->wanted)
        version = kube_text_at(group, "/preferredVersion/version");
    for (const char *const *one = wait->wanted; one && *one && !*version; one++)
        version = has_version(group, *one) ? *one : "";
    if (*version)
        wait->fn(call, sdk_hold(call, json_sprintf("/apis/%s/%s", wait->group, sdk_escape(call, version))));
    else
        sdk_fail(call, "protocol", "the API server names no version of %s that is known here", wait->group);
}

void kube_discover(struct sdk_call *call, const char *group, const char *const *wanted, kube_json_fn fn)
{
    struct discover_wait *wait = sdk_memory(call, sizeof *wait);
    *wait = (struct discover_wait){.fn = fn, .kept = sdk_kept(call), .group = group, .wanted = wanted};
    if (!is_ready(call))
        return;
    sdk_keep(call, wait);
    sdk_http_retry(
        call,
        &(struct sdk_http_order){.path = sdk_text(call, "/apis/%s", group), .bearer = bearer_of(call), .is_read = true},
        on_discovered);
}

/* ---- changing ---- */

void kube_patch(struct sdk_call *call, const char *path, json_t *patch, bool is_dry_run, kube_answer_fn fn)
{
    char *text = json_dumps(patch, JSON_COMPACT);
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    json_decref(patch);
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .method = "PATCH",
                       .path = is_dry_run ? sdk_text(call, "%s?dryRun=All", path) : path,
                       .bearer = bearer_of(call),
                       .body = text,
                       .content_type = "application/json-patch+json",
                       .max_body = MAX_BODY,
                       .is_read = is_dry_run,
                   },
                   fn);
    release(text);
}

void kube_ask(struct sdk_call *call, const char *path, kube_answer_fn fn)
{
    sdk_http_retry(call, &(struct sdk_http_order){.path = path, .bearer = bearer_of(call), .is_read = true}, fn);
}

void kube_post_read(struct sdk_call *call, const char *path, json_t *body, kube_answer_fn fn)
{
    sdk_http_retry(call,
                   &(struct sdk_http_order){
                       .method = "POST", .path = path, .bearer = bearer_of(call), .json = body, .is_read = true},
                   fn);
}
