/* check.c: is the token good, may it update the environments, are they there, and is the client token of one of them?
 * GET /api/admin/user says what a token may: "ADMIN", or permissions by project and environment. */
#include "unleash.h"
#include <string.h>

static const json_t *list_of(struct sdk_call *call, const char *setting)
{
    return json_object_get(sdk_settings(sdk_instance(call)), setting);
}

/* Left out stands for all of them. */
static bool is_for(const json_t *permission, const char *member, const char *name)
{
    const char *its = json_string_value(json_object_get(permission, member));
    return !its || !*its || strcmp(its, "*") == 0 || strcmp(its, name) == 0;
}

static bool may_update(const json_t *permissions, const char *project, const char *environment)
{
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)permissions, i, one)
    {
        const char *what = json_string_value(json_object_get(one, "permission"));
        if (what && strcmp(what, "ADMIN") == 0)
            return true;
        if (what && strcmp(what, "UPDATE_FEATURE_ENVIRONMENT") == 0 && is_for(one, "project", project) &&
            is_for(one, "environment", environment))
            return true;
    }
    return false;
}

static void check_project(struct sdk_call *call, const json_t *permissions, const char *project)
{
    const json_t *environments = list_of(call, "environments"), *one;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)environments, i, one)
    {
        const char *environment = json_string_value(one);
        bool ok = may_update(permissions, project, environment);
        sdk_check(call, sdk_text(call, "update %s/%s", project, environment), ok, "%s",
                  ok ? "allowed" : "the token needs the permission UPDATE_FEATURE_ENVIRONMENT there");
    }
}

static void on_client(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (sdk_check_http(call, "client token", answer)) {
        json_t *body = json_loadb(answer->body, answer->body_len, 0, NULL), *one;
        const char *environment = json_string_value(sdk_json_at(body, "/query/environment"));
        bool is_listed = false;
        size_t i;
        json_array_foreach((json_t *)(uintptr_t)list_of(call, "environments"), i, one) is_listed =
            is_listed || (environment && strcmp(json_string_value(one), environment) == 0);
        sdk_check(call, "client environment", is_listed, "the client token is of %s%s",
                  environment ? environment : "no environment",
                  is_listed ? "" : ", which is none of the setting environments");
        json_decref(body);
    }
    sdk_checked(call);
}

static void on_environment(struct sdk_call *call, const struct sdk_http_answer *answer);

/* The environments are asked for one after the other; sdk_kept counts them. */
static void ask_environment(struct sdk_call *call)
{
    const size_t *at = sdk_kept(call);
    const char *name = json_string_value(json_array_get(list_of(call, "environments"), *at));
    if (name)
        sdk_http_retry(
            call,
            &(struct sdk_http_order){.path = sdk_text(call, "/api/admin/environments/%s", sdk_escape(call, name)),
                                     .secret_headers = unleash_credential("token")},
            on_environment);
    else if (sdk_has_secret(sdk_instance(call), "client_token"))
        sdk_http_retry(call,
                       &(struct sdk_http_order){.path = "/api/client/features?namePrefix=stanch-check",
                                                .secret_headers = unleash_credential("client_token")},
                       on_client);
    else
        sdk_checked(call);
}

static void on_environment(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    size_t *at = sdk_kept(call);
    const char *name = json_string_value(json_array_get(list_of(call, "environments"), *at));
    (void)sdk_check_http(call, sdk_text(call, "environment %s", name), answer);
    *at += 1;
    ask_environment(call);
}

static void on_user(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (!sdk_check_http(call, "token", answer)) {
        sdk_checked(call);
        return;
    }
    const json_t *user = sdk_http_ok(call, answer) ? sdk_http_json(call, answer) : NULL;
    const json_t *permissions = json_object_get(user, "permissions"), *projects = list_of(call, "projects"), *one;
    size_t i;
    if (!user)
        return;
    if (!projects)
        check_project(call, permissions, "default");
    json_array_foreach((json_t *)(uintptr_t)projects, i, one) check_project(call, permissions, json_string_value(one));
    ask_environment(call);
}

void unleash_check(struct sdk_call *call)
{
    sdk_keep(call, sdk_memory(call, sizeof(size_t)));
    sdk_http_retry(call,
                   &(struct sdk_http_order){.path = "/api/admin/user", .secret_headers = unleash_credential("token")},
                   on_user);
}
