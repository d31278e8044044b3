/* declared.c: what instances declare, without opening any of them.
 *
 *   each plugin, once      --open {declare}-->           host, sealed  --hello-->  killed
 *   who declares by        --open {declare, settings}--> another one   --hello-->  killed
 *   settings, each instance
 *
 * What a host is not given it cannot misuse: there are no secrets, no lock, no state directory and no launcher here. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/registry.h"
#include "plugin/secret_open.h"
#include <string.h>
#include <unistd.h>

/* One instance, and the host that is asked about it. */
struct ask {
    struct stanch_plugin_instance *instance;
    struct stanch_child *child; /* NULL: nobody is asked in its behalf now */
    struct stanch_timer *timer;
    json_t *hello; /* the last one */
    struct stanch_err err;
    bool is_answered, has_exited, has_closed;
    int status; /* of its exit */
};

/* ---- one host ---- */

/* It has nothing more to tell: the answer is there, or why there will be none. */
static void finish(struct ask *ask)
{
    ask->is_answered = true;
    stanch_timer_stop(ask->instance->plugins->loop, &ask->timer);
    stanch_child_kill(ask->child);
    stanch_loop_stop(ask->instance->plugins->loop);
}

static void on_hello(struct ask *ask, const json_t *head)
{
    struct stanch_err err;
    if (stanch_declaration_check(json_object_get(head, "declaration"), &err) < 0) {
        stanch_err_set(&ask->err, STANCH_E_CRASHED, "the host's declaration is wrong: %s", err.text);
    } else {
        json_decref(ask->hello);
        ask->hello = json_deep_copy(head);
    }
    finish(ask);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct ask *ask = ctx;
    const char *kind = stanch_json_str(head, "t", "");
    (void)attachment;
    (void)len;
    if (fd >= 0)
        close(fd);
    if (ask->is_answered || strcmp(kind, "log") == 0) /* what it prints while it is loaded is nobody's news */
        return;
    if (strcmp(kind, "hello") == 0) {
        on_hello(ask, head);
        return;
    }
    if (strcmp(kind, "failed") == 0)
        stanch_err_set(&ask->err, STANCH_E_INVALID, "%s",
                       stanch_json_str(head, "text", "the plugin could not be loaded"));
    else
        stanch_err_set(&ask->err, STANCH_E_CRASHED, "garbage from the host: a frame of the kind \"%.40s\"", kind);
    finish(ask);
}

/* What it said before it ended counts, so both ends are waited for; then there was no answer. */
static void check_ended(struct ask *ask)
{
    stanch_loop_stop(ask->instance->plugins->loop);
    if (ask->is_answered || !ask->has_exited || !ask->has_closed)
        return;
    STANCH_AUTO_FREE char *text = stanch_plugin__exit_text(ask->status);
    stanch_err_set(&ask->err, STANCH_E_CRASHED, "%s", text);
    finish(ask);
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct ask *ask = ctx;
    ask->has_closed = true;
    if (!ask->is_answered && why->code && why->code != STANCH_E_CRASHED) {
        stanch_err_set(&ask->err, STANCH_E_CRASHED, "garbage from the host: %s", why->text);
        finish(ask);
    }
    check_ended(ask);
}

static void on_exit_(void *ctx, int status)
{
    struct ask *ask = ctx;
    ask->has_exited = true;
    ask->status = status;
    check_ended(ask);
}

static void on_no_hello(void *ctx)
{
    struct ask *ask = ctx;
    ask->timer = NULL;
    stanch_err_set(&ask->err, STANCH_E_TIMEOUT, "the host did not say hello within %d s",
                   STANCH_PLUGIN_HELLO_MS / 1000);
    finish(ask);
}

/* ---- what it is asked with ---- */

/* A copy without references to secrets, at any depth. new */
static json_t *without_secrets(const json_t *value)
{
    const char *name;
    json_t *part, *out;
    size_t i;
    if (json_is_array(value)) {
        out = json_array();
        json_array_foreach((json_t *)(uintptr_t)value, i, part) if (!stanch_secret_is(part))
            json_array_append_new(out, without_secrets(part));
    } else if (json_is_object(value)) {
        out = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, name, part) if (!stanch_secret_is(part))
            json_object_set_new(out, name, without_secrets(part));
    } else {
        out = json_deep_copy(value);
    }
    return out;
}

/* Which settings are given as secrets: their names only, for the check of the settings. new */
static json_t *names_of_secrets(const json_t *settings)
{
    json_t *list = json_array(), *value;
    const char *name;
    json_object_foreach((json_t *)(uintptr_t)settings, name, value) if (stanch_secret_is(value))
        json_array_append_new(list, json_pack("{s:s}", "setting", name));
    return list;
}

static int send_open(struct ask *ask, bool by_settings, struct stanch_err *err)
{
    const struct stanch_plugin_instance *instance = ask->instance;
    STANCH_AUTO_JSON json_t *head = json_pack("{s:s, s:b, s:s, s:s}", "t", "open", "declare", 1, "so",
                                              instance->so_path, "instance", instance->name);
    if (by_settings) {
        json_object_set_new(head, "settings", without_secrets(instance->settings));
        json_object_set_new(head, "secrets", names_of_secrets(instance->settings));
    }
    return stanch_channel_send(stanch_child_channel(ask->child), head, NULL, 0, err);
}

static void start(struct ask *ask, bool by_settings)
{
    static const struct stanch_child_events events = {{on_frame, on_closed}, on_exit_};
    struct stanch_plugins *plugins = ask->instance->plugins;
    const char *argv[] = {plugins->exe, "plugin-host", ask->instance->name, NULL};
    struct stanch_child_spec spec = {.argv = argv};
    ask->is_answered = ask->has_exited = ask->has_closed = false;
    if (stanch_child_start(plugins->loop, &spec, &events, ask, &ask->child, &ask->err) < 0)
        return;
    ask->timer = stanch_timer_start(plugins->loop, STANCH_PLUGIN_HELLO_MS, on_no_hello, ask);
    if (send_open(ask, by_settings, &ask->err) < 0)
        finish(ask);
}

/* ---- all of them ---- */

/* Until every host that was started is gone. returns 0, or the first failure in the order of configuration */
static int wait_for_all(struct ask *asks, size_t count, struct stanch_err *err)
{
    for (size_t i = 0; i < count; i++) {
        while (asks[i].child && !(asks[i].is_answered && asks[i].has_exited))
            stanch_loop_run(asks[i].instance->plugins->loop);
        stanch_child_free(STANCH_TAKE(asks[i].child));
    }
    for (size_t i = 0; i < count; i++) {
        const struct stanch_plugin_instance *instance = asks[i].instance;
        if (asks[i].err.code == 0)
            continue;
        if (err)
            *err = asks[i].err;
        stanch_plugin__err_where(err, instance->line, instance->plugin, instance->name);
        return asks[i].err.code;
    }
    return 0;
}

/* The first of the same plugin, which is asked for all of them. */
static struct ask *first_of(struct ask *asks, const struct ask *one)
{
    while (strcmp(asks->instance->plugin, one->instance->plugin) != 0)
        asks++;
    return asks;
}

static int ask_all(struct ask *asks, size_t count, struct stanch_err *err)
{
    for (size_t i = 0; i < count; i++)
        if (first_of(asks, &asks[i]) == &asks[i])
            start(&asks[i], false);
    int rc = wait_for_all(asks, count, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (!asks[i].hello)
            asks[i].hello = json_incref(first_of(asks, &asks[i])->hello);
    for (size_t i = 0; i < count; i++)
        if (stanch_json_bool(asks[i].hello, "declares_by_settings", false))
            start(&asks[i], true);
    return wait_for_all(asks, count, err);
}

static int add_all(struct stanch_plugins *plugins, const json_t *instances, struct ask *asks, struct stanch_err *err)
{
    size_t i;
    json_t *config;
    json_array_foreach((json_t *)(uintptr_t)instances, i, config)
    {
        int rc = stanch_plugin__instance_new(plugins, config, &asks[i].instance, err);
        if (rc < 0) {
            stanch_plugin__err_where(err, stanch_json_int(config, "line", 0), stanch_json_str(config, "plugin", ""),
                                     stanch_json_str(config, "name", ""));
            return rc;
        }
        stanch_plugin__instance_add(asks[i].instance);
    }
    return 0;
}

int stanch_plugins_declared(struct stanch_loop *loop, const char *exe, const char *plugin_dir, const json_t *instances,
                            json_t **ret, struct stanch_err *err)
{
    struct stanch_plugins *plugins = stanch_plugin__registry_new(loop, exe, plugin_dir);
    size_t count = json_array_size(instances);
    struct ask *asks = stanch_alloc((count + 1) * sizeof *asks);
    int rc = add_all(plugins, instances, asks, err);
    rc = rc ? rc : ask_all(asks, count, err);
    json_t *all = rc ? NULL : json_object();
    for (size_t i = 0; i < count; i++) {
        if (all) {
            struct stanch_plugin_instance *instance = asks[i].instance;
            stanch_plugin__take_hello(instance, asks[i].hello);
            instance->state = STANCH_PLUGIN_UP;
            json_object_set(all, instance->name, (json_t *)(uintptr_t)stanch_plugins_describe(plugins, instance->name));
        }
        json_decref(asks[i].hello);
    }
    free(asks);
    stanch_plugins_free(plugins);
    if (all)
        *ret = all;
    return rc;
}
