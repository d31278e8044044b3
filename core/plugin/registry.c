/* registry.c: the instances, what they declare, and who is told about them. */
#include "plugin/registry.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/hostlock.h"
#include "plugin/suggest.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOCK_WAIT_MS  5000
#define MAX_INSTANCES 200

struct stanch_plugins *stanch_plugin__registry_new(struct stanch_loop *loop, const char *exe, const char *plugin_dir)
{
    struct stanch_plugins *plugins = STANCH_NEW(struct stanch_plugins);
    plugins->loop = loop;
    plugins->exe = stanch_strdup(exe);
    plugins->plugin_dir = realpath(plugin_dir, NULL);
    if (!plugins->plugin_dir)
        plugins->plugin_dir = stanch_strdup(plugin_dir); /* add says that it is not there */
    plugins->lock_fd = -1;
    plugins->last = &plugins->instances;
    return plugins;
}

int stanch_plugins_new(struct stanch_loop *loop, const char *exe, const char *plugin_dir, const char *state_dir,
                       const char *lock_path, struct stanch_plugins **ret, struct stanch_err *err)
{
    int fd = -1, rc = stanch_hostlock_take(lock_path, LOCK_WAIT_MS, &fd, err);
    if (rc < 0)
        return rc;
    struct stanch_plugins *plugins = stanch_plugin__registry_new(loop, exe, plugin_dir);
    plugins->state_dir = stanch_strdup(state_dir);
    plugins->lock_path = stanch_strdup(lock_path);
    plugins->lock_fd = fd;
    *ret = plugins;
    return 0;
}

void stanch_plugins_halt(struct stanch_plugins *plugins)
{
    if (!plugins)
        return;
    while (plugins->instances) {
        struct stanch_plugin_instance *instance = plugins->instances;
        plugins->instances = instance->next;
        stanch_plugin__instance_free(instance);
    }
    stanch_timer_stop(plugins->loop, &plugins->ready_timer);
    if (plugins->lock_fd >= 0)
        close(plugins->lock_fd);
    plugins->lock_fd = -1;
}

void stanch_plugins_free(struct stanch_plugins *plugins)
{
    if (!plugins)
        return;
    stanch_plugins_halt(plugins);
    free(plugins->exe);
    free(plugins->plugin_dir);
    free(plugins->state_dir);
    free(plugins->lock_path);
    free(plugins);
}

struct stanch_plugin_instance *stanch_plugin__find(struct stanch_plugins *plugins, const char *name)
{
    struct stanch_plugin_instance *instance = plugins->instances;
    while (instance && strcmp(instance->name, name) != 0)
        instance = instance->next;
    return instance;
}

const char *stanch_plugin__state_word(enum stanch_plugin_state state)
{
    switch (state) {
    case STANCH_PLUGIN_STARTING:
        return "starting";
    case STANCH_PLUGIN_UP:
        return "up";
    case STANCH_PLUGIN_DISABLED:
        return "disabled";
    default:
        return "down";
    }
}

void stanch_plugin__note_hosts(struct stanch_plugins *plugins)
{
    int pids[2 * MAX_INSTANCES], count = 0;
    for (struct stanch_plugin_instance *i = plugins->instances; i && count < 2 * MAX_INSTANCES - 1; i = i->next) {
        if (i->child)
            pids[count++] = stanch_child_pid(i->child);
        if (stanch_plugin__launcher_pid(i))
            pids[count++] = stanch_plugin__launcher_pid(i);
    }
    stanch_hostlock_note(plugins->lock_fd, pids, count);
}

/* ---- ready, changed ---- */

static void on_ready_due(void *ctx)
{
    struct stanch_plugins *plugins = ctx;
    void (*fn)(void *, const struct stanch_err *) = plugins->on_ready;
    plugins->ready_timer = NULL;
    plugins->on_ready = NULL;
    fn(plugins->ready_ctx, &plugins->first_err);
}

static void check_ready(struct stanch_plugins *plugins)
{
    if (!plugins->on_ready || plugins->ready_timer)
        return;
    for (struct stanch_plugin_instance *i = plugins->instances; i; i = i->next)
        if (i->is_first)
            return;
    plugins->ready_timer = stanch_timer_start(plugins->loop, 0, on_ready_due, plugins);
}

void stanch_plugins_when_ready(struct stanch_plugins *plugins, void (*fn)(void *ctx, const struct stanch_err *err),
                               void *ctx)
{
    plugins->on_ready = fn;
    plugins->ready_ctx = ctx;
    check_ready(plugins);
}

void stanch_plugins_on_change(struct stanch_plugins *plugins,
                              void (*fn)(void *ctx, const char *instance, const char *state, const char *why),
                              void *ctx)
{
    plugins->on_change = fn;
    plugins->change_ctx = ctx;
}

void stanch_plugin__changed(struct stanch_plugin_instance *instance)
{
    struct stanch_plugins *plugins = instance->plugins;
    json_decref(instance->description);
    instance->description = NULL;
    if (plugins->on_change)
        plugins->on_change(plugins->change_ctx, instance->name, stanch_plugin__state_word(instance->state),
                           instance->why);
    check_ready(plugins);
}

void stanch_plugin__first_failed(struct stanch_plugin_instance *instance, const struct stanch_err *err)
{
    if (!instance->is_first)
        return;
    instance->is_first = false;
    if (instance->plugins->first_err.code == 0)
        instance->plugins->first_err = *err;
    check_ready(instance->plugins);
}

void stanch_plugin__err_where(struct stanch_err *err, int64_t line, const char *plugin, const char *name)
{
    char at[40] = "";
    if (line > 0)
        (void)snprintf(at, sizeof at, "line %lld: ", (long long)line);
    (void)stanch_err_wrap(err, "%s%s \"%s\"", at, plugin, name);
}

/* ---- add ---- */

static bool is_name(const char *name, const char *characters)
{
    size_t len = strspn(name, characters);
    return len > 0 && len <= 64 && name[len] == '\0' && name[0] != '.' && name[0] != '-';
}

/* The names of the plugins that are there, for "did you mean". new */
static json_t *known_plugins(const char *plugin_dir)
{
    json_t *known = json_object();
    DIR *dir = opendir(plugin_dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        if (len <= 3 || strcmp(entry->d_name + len - 3, ".so") != 0)
            continue;
        entry->d_name[len - 3] = '\0';
        json_object_set_new(known, entry->d_name, json_true());
    }
    if (dir)
        closedir(dir);
    return known;
}

static int check_plugin(struct stanch_plugins *plugins, const char *plugin, const char *so_path, struct stanch_err *err)
{
    char near[400];
    if (access(so_path, R_OK) == 0)
        return 0;
    int errnum = errno;
    STANCH_AUTO_JSON json_t *known = known_plugins(plugins->plugin_dir);
    stanch_suggest_text(known, plugin, near);
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin \"%s\" (%s: %s)%s", plugin, so_path,
                          strerror(errnum), near);
}

static int check_config(struct stanch_plugins *plugins, const json_t *config, struct stanch_err *err)
{
    const char *name = stanch_json_str(config, "name", NULL), *plugin = stanch_json_str(config, "plugin", NULL);
    const json_t *settings = json_object_get(config, "settings");
    if (!name || !is_name(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."))
        return stanch_err_set(err, STANCH_E_INVALID, "name: \"%s\" is no name: letters, digits, _, - and ., 64 at most",
                              name ? name : "");
    if (!plugin || !is_name(plugin, "abcdefghijklmnopqrstuvwxyz0123456789_-"))
        return stanch_err_set(err, STANCH_E_INVALID, "plugin: \"%s\" is no name of a plugin", plugin ? plugin : "");
    if (settings && !json_is_object(settings))
        return stanch_err_set(err, STANCH_E_INVALID, "settings: an object was expected");
    if (stanch_plugin__find(plugins, name))
        return stanch_err_set(err, STANCH_E_INVALID, "name: there is another instance \"%s\" already", name);
    return 0;
}

int stanch_plugin__instance_new(struct stanch_plugins *plugins, const json_t *config,
                                struct stanch_plugin_instance **ret, struct stanch_err *err)
{
    int rc = check_config(plugins, config, err);
    if (rc < 0)
        return rc;
    struct stanch_plugin_instance *instance = STANCH_NEW(struct stanch_plugin_instance);
    const json_t *settings = json_object_get(config, "settings");
    instance->plugins = plugins;
    instance->line = stanch_json_int(config, "line", 0);
    instance->name = stanch_strdup(stanch_json_str(config, "name", ""));
    instance->plugin = stanch_strdup(stanch_json_str(config, "plugin", ""));
    instance->environment = stanch_strdup(stanch_json_str(config, "environment", ""));
    instance->so_path = stanch_asprintf("%s/%s.so", plugins->plugin_dir, instance->plugin);
    instance->settings = settings ? json_deep_copy(settings) : json_object();
    instance->is_first = true;
    rc = check_plugin(plugins, instance->plugin, instance->so_path, err);
    if (rc < 0)
        stanch_plugin__instance_free(instance);
    else
        *ret = instance;
    return rc;
}

void stanch_plugin__instance_add(struct stanch_plugin_instance *instance)
{
    *instance->plugins->last = instance;
    instance->plugins->last = &instance->next;
}

int stanch_plugins_add(struct stanch_plugins *plugins, const json_t *config, struct stanch_err *err)
{
    struct stanch_plugin_instance *instance;
    int rc = stanch_plugin__instance_new(plugins, config, &instance, err);
    if (rc < 0)
        return rc;
    rc = stanch_plugin__start(instance, err);
    if (rc < 0) {
        stanch_plugin__instance_free(instance);
        return rc;
    }
    stanch_plugin__instance_add(instance);
    stanch_plugin__note_hosts(plugins);
    return 0;
}

int stanch_plugins_enable(struct stanch_plugins *plugins, const char *name, struct stanch_err *err)
{
    struct stanch_plugin_instance *instance = stanch_plugin__find(plugins, name);
    if (!instance)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no plugin instance \"%s\"", name);
    if (instance->state != STANCH_PLUGIN_DISABLED)
        return 0;
    instance->death_count = 0;
    instance->restarts++;
    free(STANCH_TAKE(instance->why));
    return stanch_plugin__start(instance, err);
}

/* ---- describe ---- */

static json_t *describe(const struct stanch_plugin_instance *instance)
{
    json_t *out = json_object();
    const json_t *sources = json_object_get(instance->declaration, "sources");
    stanch_json_set_str(out, "name", instance->name);
    stanch_json_set_str(out, "plugin", instance->plugin);
    stanch_json_set_str(out, "version", stanch_json_str(instance->declaration, "version", ""));
    stanch_json_set_str(out, "summary", stanch_json_str(instance->declaration, "summary", ""));
    stanch_json_set_str(out, "digest", instance->digest);
    stanch_json_set_str(out, "environment", instance->environment);
    stanch_json_set_str(out, "why", instance->why);
    json_object_set_new(out, "restarts", json_integer(instance->restarts));
    json_object_set_new(out, "actions", instance->actions ? json_deep_copy(instance->actions) : json_object());
    json_t *check = json_deep_copy(json_object_get(instance->declaration, "check"));
    if (check && !json_object_get(check, "deadline_ms"))
        json_object_set_new(check, "deadline_ms", json_integer(10000));
    if (check)
        json_object_set_new(out, "check", check);
    json_object_set_new(out, "sources", sources ? json_deep_copy(sources) : json_object());
    return out;
}

const json_t *stanch_plugins_describe(struct stanch_plugins *plugins, const char *name)
{
    struct stanch_plugin_instance *instance = plugins ? stanch_plugin__find(plugins, name) : NULL;
    if (!instance)
        return NULL;
    if (!instance->description)
        instance->description = describe(instance);
    /* not kept: a host that is dying is down before its death is told to anybody */
    stanch_json_set_str(instance->description, "state", stanch_plugin__state_word(instance->state));
    return instance->description;
}

json_t *stanch_plugins_list(struct stanch_plugins *plugins)
{
    json_t *list = json_array();
    for (struct stanch_plugin_instance *i = plugins ? plugins->instances : NULL; i; i = i->next)
        json_array_append(list, (json_t *)(uintptr_t)stanch_plugins_describe(plugins, i->name));
    return list;
}

/* ---- waiting for all of them ---- */

struct readiness {
    bool told;
    struct stanch_err err;
};

static void on_ready(void *ctx, const struct stanch_err *err)
{
    struct readiness *readiness = ctx;
    readiness->told = true;
    readiness->err = *err;
}

int stanch_plugins_await(struct stanch_loop *loop, struct stanch_plugins *plugins, struct stanch_err *err)
{
    struct readiness readiness = {0};
    stanch_plugins_when_ready(plugins, on_ready, &readiness);
    while (!readiness.told)
        stanch_loop_run_next(loop);
    if (readiness.err.code != 0)
        *err = readiness.err;
    return readiness.err.code;
}
