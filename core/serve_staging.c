/* serve_staging.c: the real instances of a staging drill. Nothing that production has can be among them: hosts are only made of instances
 * whose own environment is one of `drills.environments`, and what the configuration says of all others never comes near a host here.
 *
 *   scenario: instances = { edge = "edge-staging" }
 *     --> [of such an environment? same plugin? not production's own settings?] --> its host, as "edge"
 */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/plugin.h"
#include "serve_staging.h"
#include "setup.h"
#include "wire/channel.h"
#include <string.h>

static const json_t *find_instance(const json_t *config, const char *name)
{
    const json_t *instances = json_object_get(config, "instances");
    for (size_t i = 0; i < json_array_size(instances); i++)
        if (strcmp(stanch_json_str(json_array_get(instances, i), "name", ""), name) == 0)
            return json_array_get(instances, i);
    return NULL;
}

static const char *environment_of(const json_t *instance)
{
    return stanch_json_str(instance, "environment", "");
}

/* Is it of an environment in which drills may act? */
static bool may_act(const json_t *config, const json_t *instance)
{
    const json_t *environments = json_object_get(json_object_get(config, "drills"), "environments");
    for (size_t i = 0; i < json_array_size(environments); i++)
        if (strcmp(json_string_value(json_array_get(environments, i)), environment_of(instance)) == 0)
            return true;
    return false;
}

static int check_environment(const json_t *config, const json_t *instance, struct stanch_err *err)
{
    const char *name = stanch_json_str(instance, "name", ""), *environment = environment_of(instance);
    STANCH_AUTO_FREE char *allowed =
        json_dumps(json_object_get(json_object_get(config, "drills"), "environments"), JSON_COMPACT | JSON_ENCODE_ANY);
    if (may_act(config, instance))
        return 0;
    return stanch_err_set(
        err, STANCH_E_REFUSED,
        "\"%s\" is of %s%s: drills may act in %s (drills.environments in the configuration), and nowhere else", name,
        *environment ? "environment " : "no environment", environment, allowed ? allowed : "none");
}

/* A copy of production's settings under a name of staging's would be production. */
static int check_settings(const json_t *config, const json_t *instance, struct stanch_err *err)
{
    const json_t *instances = json_object_get(config, "instances"), *settings = json_object_get(instance, "settings");
    for (size_t i = 0; i < json_array_size(instances); i++) {
        const json_t *other = json_array_get(instances, i);
        if (!may_act(config, other) && json_equal(settings, json_object_get(other, "settings")) &&
            strcmp(stanch_json_str(other, "plugin", ""), stanch_json_str(instance, "plugin", "")) == 0)
            return stanch_err_set(err, STANCH_E_REFUSED,
                                  "\"%s\" has the settings of \"%s\", where drills may not act: it is the same thing",
                                  stanch_json_str(instance, "name", ""), stanch_json_str(other, "name", ""));
    }
    return 0;
}

static int add_one(const json_t *config, const char *name, const char *by, struct stanch_plugins *plugins,
                   struct stanch_err *err)
{
    const json_t *instance = find_instance(config, by), *replaced = find_instance(config, name);
    if (!instance || !replaced)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "instances: there is no \"%.60s\" in the configuration",
                              instance ? name : by);
    if (strcmp(stanch_json_str(instance, "plugin", ""), stanch_json_str(replaced, "plugin", "")) != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "instances: \"%s\" is a %s and \"%s\" a %s: one cannot stand for the other", name,
                              stanch_json_str(replaced, "plugin", ""), by, stanch_json_str(instance, "plugin", ""));
    int rc = check_environment(config, instance, err);
    rc = rc ? rc : check_settings(config, instance, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *standing = json_copy((json_t *)(uintptr_t)instance);
    stanch_json_set_str(standing, "name", name);
    return stanch_plugins_add(plugins, standing, err);
}

static int add_all(const struct stanch_staging *staging, const json_t *instances, struct stanch_plugins *plugins,
                   struct stanch_err *err)
{
    const char *name;
    json_t *by;
    int rc = 0;
    json_object_foreach((json_t *)(uintptr_t)instances, name, by) rc =
        rc ? rc : add_one(staging->config, name, json_string_value(by), plugins, err);
    return rc ? rc : stanch_plugins_await(staging->loop, plugins, err);
}

int stanch_staging_open(const struct stanch_staging *staging, const json_t *instances, struct stanch_plugins **ret,
                        struct stanch_err *err)
{
    STANCH_AUTO_FREE char *exe = stanch_self_path();
    STANCH_AUTO_FREE char *lock = stanch_asprintf("%s/hosts.lock", staging->dir);
    STANCH_AUTO_FREE char *dir = stanch_setup_plugin_dir(staging->config, staging->plugins, exe);
    struct stanch_plugins *plugins = NULL;
    int rc = stanch_plugins_new(staging->loop, exe, dir, staging->dir, lock, &plugins, err);
    rc = rc ? rc : add_all(staging, instances, plugins, err);
    if (rc < 0) {
        stanch_plugins_free(plugins);
        return rc;
    }
    *ret = plugins;
    return 0;
}
