/* app.c: one application of Argo CD: read, patched, rolled back; and what its fields mean. */
#include "argocd.h"
#include <string.h>

struct read_wait {
    argocd_app_fn fn;
    void *kept;
    bool has_changed;
};

const char *argocd_text_at(const json_t *value, const char *pointer)
{
    const char *text = json_string_value(sdk_json_at(value, pointer));
    return text ? text : "";
}

static bool is_listed(struct sdk_call *call, const char *setting, const char *name)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), setting);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), name) == 0)
            return true;
    return list == NULL;
}

static const char *name_of(const struct sdk_call *call)
{
    return sdk_arg_str(call, "application", "");
}

const char *argocd_target(struct sdk_call *call)
{
    return sdk_text(call, "argocd:%s/%s", sdk_instance_name(sdk_instance(call)), name_of(call));
}

/* ---- asking ---- */

static const char *path_of(struct sdk_call *call, const char *more)
{
    return sdk_text(call, "/api/v1/applications/%s%s", sdk_escape(call, name_of(call)), more);
}

static void on_app(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    const struct read_wait *wait = sdk_kept(call);
    struct sdk_http_answer seen = *answer;
    seen.is_read = !wait->has_changed;
    sdk_keep(call, wait->kept);
    const json_t *app = sdk_http_ok(call, &seen) ? sdk_http_json(call, &seen) : NULL;
    const char *project = argocd_text_at(app, "/spec/project");
    if (!app)
        return;
    if (strcmp(argocd_text_at(app, "/metadata/name"), name_of(call)) != 0)
        sdk_fail(call, "protocol", "what answers at url is no Argo CD, or tells of another application");
    else if (!is_listed(call, "projects", project))
        sdk_fail(call, "refused", "%s is of project \"%s\", which is not in this instance's setting \"projects\"",
                 name_of(call), project);
    else
        wait->fn(call, app);
}

void argocd_read(struct sdk_call *call, bool has_changed, argocd_app_fn fn)
{
    struct read_wait *wait = sdk_memory(call, sizeof *wait);
    *wait = (struct read_wait){.fn = fn, .kept = sdk_kept(call), .has_changed = has_changed};
    if (!is_listed(call, "applications", name_of(call))) {
        sdk_fail(call, "refused", "application \"%s\" is not in this instance's setting \"applications\"",
                 name_of(call));
        return;
    }
    json_t *query =
        sdk_hold(call, json_pack("{s:s*}", "appNamespace", sdk_setting(sdk_instance(call), "app_namespace", NULL)));
    uint32_t left = sdk_left_ms(call);
    sdk_keep(call, wait);
    sdk_http_retry(call,
                   &(struct sdk_http_order){.path = sdk_url(call, path_of(call, ""), query),
                                            .bearer = "token",
                                            .is_read = true,
                                            .deadline_ms = left - left / 10},
                   on_app);
}

static void send(struct sdk_call *call, const char *method, const char *more, json_t *body, argocd_answer_fn fn)
{
    const char *space = sdk_setting(sdk_instance(call), "app_namespace", NULL);
    json_object_set_new(body, "name", json_string(name_of(call)));
    if (space)
        json_object_set_new(body, "appNamespace", json_string(space));
    sdk_http_retry(
        call, &(struct sdk_http_order){.method = method, .path = path_of(call, more), .bearer = "token", .json = body},
        fn);
}

void argocd_set_automated(struct sdk_call *call, const json_t *app, const json_t *value, argocd_answer_fn fn)
{
    static const char where[] = "/spec/syncPolicy/automated";
    json_t *now = json_incref((json_t *)(uintptr_t)argocd_automated(app)), *patch = json_array();
    if (!sdk_json_at(app, "/spec/syncPolicy"))
        json_array_append_new(patch, json_pack("{s:s, s:s, s:{}}", "op", "add", "path", "/spec/syncPolicy", "value"));
    if (sdk_json_at(app, where))
        json_array_append_new(patch, json_pack("{s:s, s:s, s:o}", "op", "test", "path", where, "value", now));
    else
        json_decref(now);
    if (json_is_null(value))
        json_array_append_new(patch, json_pack("{s:s, s:s}", "op", "remove", "path", where));
    else
        json_array_append_new(patch, json_pack("{s:s, s:s, s:O}", "op", "add", "path", where, "value", value));
    char *text = json_dumps(patch, JSON_COMPACT);
    json_decref(patch);
    json_t *body = json_pack("{s:o, s:s}", "patch", json_string(text), "patchType", "json");
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    send(call, "PATCH", "", body, fn);
}

void argocd_roll(struct sdk_call *call, json_int_t id, bool is_dry_run, argocd_answer_fn fn)
{
    send(call, "POST", "/rollback", json_pack("{s:I, s:b, s:b}", "id", id, "dryRun", is_dry_run, "prune", 0), fn);
}

/* ---- what its fields mean ---- */

const json_t *argocd_automated(const json_t *app)
{
    const json_t *value = sdk_json_at(app, "/spec/syncPolicy/automated");
    return value ? value : json_null();
}

bool argocd_is_automatic(const json_t *app)
{
    const json_t *automated = argocd_automated(app);
    return json_is_object(automated) && !json_is_false(json_object_get(automated, "enabled"));
}

bool argocd_is_busy(const json_t *app)
{
    const char *phase = argocd_text_at(app, "/status/operationState/phase");
    return json_is_object(json_object_get(app, "operation")) || strcmp(phase, "Running") == 0 ||
           strcmp(phase, "Terminating") == 0;
}

json_int_t argocd_id(const json_t *entry)
{
    return json_integer_value(json_object_get(entry, "id")); /* 0 is left out by Argo CD */
}

const json_t *argocd_newest(const json_t *app)
{
    const json_t *list = sdk_json_at(app, "/status/history"), *found = NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!found || argocd_id(json_array_get(list, i)) > argocd_id(found))
            found = json_array_get(list, i);
    return found;
}

const json_t *argocd_entry(const json_t *app, json_int_t id)
{
    const json_t *list = sdk_json_at(app, "/status/history");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (argocd_id(json_array_get(list, i)) == id)
            return json_array_get(list, i);
    return NULL;
}

static bool is_equal_at(const json_t *a, const json_t *b, const char *name)
{
    const json_t *x = json_object_get(a, name), *y = json_object_get(b, name);
    return (!x && !y) || json_equal(x, y);
}

bool argocd_is_same(const json_t *a, const json_t *b)
{
    return a && b && is_equal_at(a, b, "revision") && is_equal_at(a, b, "revisions") && is_equal_at(a, b, "source") &&
           is_equal_at(a, b, "sources");
}

bool argocd_is_there(const json_t *app, const json_t *deployment)
{
    const json_t *newest = argocd_newest(app), *entry = argocd_entry(app, argocd_id(deployment));
    if (entry)
        return argocd_is_same(newest, entry);
    bool is_told = json_object_get(deployment, "revision") || json_object_get(deployment, "revisions");
    return is_told && newest && argocd_id(newest) > argocd_id(deployment) &&
           is_equal_at(newest, deployment, "revision") && is_equal_at(newest, deployment, "revisions");
}

json_t *argocd_deployment(const json_t *entry)
{
    return json_pack("{s:I, s:O*, s:O*}", "id", argocd_id(entry), "revision", json_object_get(entry, "revision"),
                     "revisions", json_object_get(entry, "revisions"));
}
