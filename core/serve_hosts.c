/* serve_hosts.c: the plugins' hosts: started, waited for, and heard when one is up or down. */
#include "serve_parts.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "setup.h"
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void on_plugin_change(void *ctx, const char *instance, const char *state, const char *why)
{
    struct stanch_daemon *daemon = ctx;
    if (daemon->flow)
        stanch_flow_plugins_changed(daemon->flow);
    if (!daemon->journal)
        return; /* only a check: the error is told at its end */
    stanch_log(strcmp(state, "up") == 0 ? STANCH_LOG_INFO : STANCH_LOG_WARN, "plugin", "%s is %s %s", instance, state,
               why ? why : "");
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    const char *kind = strcmp(state, "up") == 0         ? "plugin.up"
                       : strcmp(state, "disabled") == 0 ? "plugin.disabled"
                                                        : "plugin.down";
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:s}", "instance", instance, "why", why ? why : ""));
    if (stanch_journal_append(daemon->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "serve", "%s could not be recorded: %s", kind, err.text);
}

static const json_t *describe_instance(void *ctx, const char *instance)
{
    return stanch_plugins_describe(ctx, instance);
}

static int call_instance(void *ctx, const struct stanch_plugin_request *request,
                         void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                         struct stanch_plugin_call **ret, struct stanch_err *err)
{
    return stanch_plugins_call(ctx, request, on_answer, call_ctx, ret, err);
}

struct stanch_pager_port stanch_daemon__pager_port(struct stanch_daemon *daemon)
{
    return (struct stanch_pager_port){describe_instance, call_instance, daemon->plugins};
}

static int start_plugins(struct stanch_daemon *daemon, const char *state_dir, const char *lock, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *dir = stanch_setup_plugin_dir(daemon->config, NULL, daemon->exe);
    int rc = stanch_plugins_new(daemon->loop, daemon->exe, dir, state_dir, lock, &daemon->plugins, err);
    if (rc < 0)
        return rc;
    stanch_plugins_on_change(daemon->plugins, on_plugin_change, daemon);
    const json_t *instances = daemon->damaged ? NULL : json_object_get(daemon->config, "instances");
    for (size_t i = 0; i < json_array_size(instances); i++) {
        const json_t *instance = json_array_get(instances, i);
        rc = stanch_plugins_add(daemon->plugins, instance, err);
        if (rc < 0)
            return stanch_err_wrap(err, "%s:%lld: %s \"%s\"", daemon->options.config,
                                   (long long)stanch_json_int(instance, "line", 0),
                                   stanch_json_str(instance, "plugin", ""), stanch_json_str(instance, "name", ""));
    }
    rc = stanch_plugins_await(daemon->loop, daemon->plugins, err);
    if (rc == STANCH_E_INVALID ||
        rc == STANCH_E_NOT_FOUND) /* a mistake in the configuration; a host that merely fails comes back */
        return stanch_err_wrap(err, "%s", daemon->options.config);
    const struct stanch_pager_port port = stanch_daemon__pager_port(daemon);
    rc = daemon->damaged ? 0 : stanch_pager_check(json_object_get(daemon->config, "paging"), &port, err);
    if (rc == 0 && !daemon->damaged)
        rc = stanch_herald_check(json_object_get(json_object_get(daemon->config, "drills"), "tell"), &port, err);
    return rc < 0 ? stanch_err_wrap(err, "%s", daemon->options.config) : 0;
}

int stanch_daemon__start_hosts(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const char *state_dir = stanch_json_str(daemon->config, "state_dir", "");
    STANCH_AUTO_FREE char *lock = stanch_asprintf("%s/hosts.lock", state_dir);
    return start_plugins(daemon, state_dir, lock, err);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* The plugins know what their settings mean. */
int stanch_daemon__check_settings(struct stanch_daemon *daemon, struct stanch_err *err)
{
    char dir[] = "/tmp/stanch-check-XXXXXX", proxy_hash[65];
    if (stanch_daemon__hash_proxy_secret(daemon, proxy_hash, err) < 0)
        return err->code;
    if (!mkdtemp(dir))
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no folder could be made in /tmp");
    STANCH_AUTO_FREE char *lock = stanch_asprintf("%s/hosts.lock", dir);
    int rc = start_plugins(daemon, dir, lock, err);
    stanch_plugins_free(STANCH_TAKE(daemon->plugins));
    (void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    if (rc == 0)
        (void)printf("%s: good\n", daemon->options.config);
    return rc;
}
