/* catalogue.c: a worker evaluates the declarations; what it gives is compiled here, so that a wrong
 * expression is an error of the commit and not of the night it first fires. */
#include "catalogue.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

struct check {
    char commit[72];
    const struct stanch_policy *policy;
    json_t *instances;
    void (*on_checked)(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors, const json_t *warnings);
    void *ctx;
};

void stanch_catalogue_free(struct stanch_catalogue *catalogue)
{
    if (!catalogue)
        return;
    for (int i = 0; i < catalogue->count; i++) {
        json_decref(catalogue->runbooks[i].declared);
        stanch_triggers_free(catalogue->runbooks[i].triggers);
    }
    free(catalogue->runbooks);
    json_decref(catalogue->warnings);
    free(catalogue);
}

const struct stanch_runbook *stanch_catalogue_find(const struct stanch_catalogue *catalogue, const char *name)
{
    for (int i = 0; catalogue && i < catalogue->count; i++)
        if (strcmp(stanch_json_str(catalogue->runbooks[i].declared, "name", ""), name) == 0)
            return &catalogue->runbooks[i];
    return NULL;
}

static void add_error(json_t *errors, const json_t *declared, const char *text)
{
    json_array_append_new(errors, json_pack("{s:s, s:I, s:s}", "path", stanch_json_str(declared, "path", ""), "line",
                                            (json_int_t)stanch_json_int(declared, "line", 0), "text", text));
}

static void check_range(const json_t *declared, const char *member, json_t *errors)
{
    struct stanch_err err;
    const char *range = stanch_json_str(json_object_get(declared, "symptom"), member, NULL);
    if (range && stanch_range_holds(range, 0, &err) < 0) {
        STANCH_AUTO_FREE char *text = stanch_asprintf("symptom.%s: %s", member, err.text);
        add_error(errors, declared, text);
    }
}

/* ---- what is right, and does not do what it seems to ---- */

static void add_warning(json_t *warnings, const json_t *declared, const char *key, const char *text)
{
    const char *name = stanch_json_str(declared, "name", "");
    json_array_append_new(warnings, json_pack("{s:s, s:I, s:o, s:o}", "path", stanch_json_str(declared, "path", ""),
                                              "line", (json_int_t)stanch_json_int(declared, "line", 0), "key",
                                              json_sprintf("runbook \"%s\": %s", name, key), "text",
                                              json_sprintf("runbook \"%s\": %s: %s", name, key, text)));
}

static void warn_of_triggers(const struct stanch_runbook *runbook, json_t *warnings)
{
    size_t count = json_array_size(json_object_get(runbook->declared, "on"));
    char why[256], key[32];
    for (size_t i = 0; runbook->triggers && i < count; i++) {
        if (!stanch_triggers_never(runbook->triggers, i, why))
            continue;
        (void)snprintf(key, sizeof key, count > 1 ? "on[%zu]" : "on", i + 1);
        add_warning(warnings, runbook->declared, key, why);
    }
}

static void warn_of_policy(const struct check *check, const json_t *declared, json_t *warnings)
{
    const json_t *uses = json_object_get(declared, "uses");
    char why[256];
    for (size_t i = 0; check->policy && i < json_array_size(uses); i++) {
        const json_t *use = json_array_get(uses, i);
        const char *instance = stanch_json_str(use, "instance", ""), *action = stanch_json_str(use, "action", "");
        const json_t *described = json_object_get(check->instances, instance);
        const json_t *act = json_object_get(json_object_get(described, "actions"), action);
        const struct stanch_policy_question question = {.plugin = stanch_json_str(described, "plugin", ""),
                                                        .instance = instance,
                                                        .action = action,
                                                        .effect = "mitigate",
                                                        .environment = stanch_json_str(described, "environment", ""),
                                                        .runbook = stanch_json_str(declared, "name", "")};
        if (strcmp(stanch_json_str(act, "effect", ""), "mitigate") != 0 ||
            !stanch_policy_never_allows(check->policy, &question, why))
            continue;
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("%.60s.%.60s is refused whenever it is asked for: %s; use another "
                            "action, or change the policy",
                            instance, action, why);
        add_warning(warnings, declared, "uses", text);
    }
}

static struct stanch_catalogue *compile(const struct check *check, const json_t *result, json_t *errors)
{
    const json_t *list = json_object_get(result, "runbooks");
    struct stanch_catalogue *catalogue = STANCH_NEW(struct stanch_catalogue);
    memcpy(catalogue->commit, check->commit, sizeof catalogue->commit);
    catalogue->runbooks = stanch_alloc((json_array_size(list) + 1) * sizeof *catalogue->runbooks);
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct stanch_runbook *runbook = &catalogue->runbooks[catalogue->count++];
        runbook->declared = json_deep_copy(json_array_get(list, i));
        const json_t *on = json_object_get(runbook->declared, "on");
        struct stanch_err err;
        if (json_array_size(on) && stanch_triggers_new(on, &runbook->triggers, &err) < 0)
            add_error(errors, runbook->declared, err.text);
        if (stanch_params_check(json_object_get(runbook->declared, "params"), &err) < 0)
            add_error(errors, runbook->declared, err.text);
        check_range(runbook->declared, "good", errors);
        check_range(runbook->declared, "bad", errors);
    }
    const json_t *found = json_object_get(result, "warnings");
    catalogue->warnings = found ? json_deep_copy(found) : json_array();
    for (int i = 0; i < catalogue->count; i++) {
        warn_of_triggers(&catalogue->runbooks[i], catalogue->warnings);
        warn_of_policy(check, catalogue->runbooks[i].declared, catalogue->warnings);
    }
    return catalogue;
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct check *check = ctx;
    const json_t *found = json_object_get(result, "errors");
    STANCH_AUTO_JSON json_t *errors = found ? json_deep_copy(found) : json_array();
    STANCH_AUTO_JSON json_t *no_warnings = json_array();
    struct stanch_catalogue *catalogue = NULL;
    if (rc == 0) {
        catalogue = compile(check, result, errors);
    } else if (json_array_size(errors) == 0) {
        json_array_append_new(errors, json_pack("{s:s, s:I, s:s}", "path", stanch_json_str(result, "file", ""), "line",
                                                (json_int_t)stanch_json_int(result, "line", 0), "text", err->text));
    }
    if (json_array_size(errors)) {
        stanch_catalogue_free(catalogue);
        catalogue = NULL;
    }
    json_t *found_warnings = json_object_get(result, "warnings");
    STANCH_AUTO_JSON json_t *warnings = json_incref(catalogue        ? catalogue->warnings
                                                    : found_warnings ? found_warnings
                                                                     : no_warnings);
    check->on_checked(check->ctx, catalogue, errors, warnings);
    json_decref(check->instances);
    free(check);
}

static void on_wants(void *ctx, const json_t *wants)
{
    (void)ctx;
    (void)wants; /* a declaration may not want anything; the worker's own deadline ends it */
}

int stanch_catalogue_check(struct stanch_world *world, const struct stanch_policy *policy, const char *commit,
                           const struct stanch_source *sources, int source_count, json_t *instances,
                           void (*on_checked)(void *ctx, struct stanch_catalogue *catalogue, const json_t *errors,
                                              const json_t *warnings),
                           void *ctx, struct stanch_err *err)
{
    static const struct stanch_worker_events events = {on_wants, on_end};
    struct check *check = STANCH_NEW(struct check);
    (void)snprintf(check->commit, sizeof check->commit, "%s", commit);
    check->on_checked = on_checked;
    check->ctx = ctx;
    check->policy = policy;
    check->instances = json_incref(instances);
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O}", "instances", instances);
    struct stanch_worker_spec spec = {.kind = "load", .input = input, .sources = sources, .source_count = source_count};
    struct stanch_worker *worker;
    int rc = world->worker_start(world->ctx, &spec, &events, check, &worker, err);
    if (rc < 0) {
        json_decref(check->instances);
        free(check);
    }
    return rc;
}
