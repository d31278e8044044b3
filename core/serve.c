/* serve.c: the rooms put together.
 *
 *   runner -> configuration, policy -> store, journal -> plugin hosts -> engine, flow -> doors
 */
#include "serve.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "serve_parts.h"
#include "wire/channel.h"
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct stanch_serve_options *options = state->input;
    switch (key) {
    case 'c':
        options->config = arg;
        return 0;
    case 'k':
        options->check = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option option_table[] = {
    {"config", 'c', "FILE", 0, "the configuration (default /etc/stanch/stanch.lua)", 0},
    {"check", 'k', NULL, 0, "check configuration and policy, start nothing", 0},
    {0},
};
static const struct argp argp = {option_table, on_option, "", "The stanch daemon.", NULL, NULL, NULL};

void stanch_daemon__append_life(struct stanch_daemon *daemon, const char *kind)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    if (!daemon->flow)
        daemon->newest_ms = stanch_flow_check_clock(daemon->loop, daemon->journal, batch);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:i, s:I}", "version", STANCH_VERSION, "pid", (int)getpid(), "epoch",
                               (json_int_t)daemon->epoch));
    if (stanch_journal_append(daemon->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "serve", "%s could not be recorded: %s", kind, err.text);
}

/* ---- starting ---- */

static int make_dir(const char *path, mode_t mode, struct stanch_err *err)
{
    if (mkdir(path, mode) < 0 && errno != EEXIST)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the directory %s could not be made", path);
    return 0;
}

/* A damaged store is not repaired and nothing is started on it; but what is in force must be seen, and what is left be
 * exported (PROMISES 1.8). */
static int open_damaged(struct stanch_daemon *daemon, const char *state_dir, const struct stanch_err *why)
{
    struct stanch_err err;
    stanch_log(STANCH_LOG_ERROR, "serve", "the store is damaged: opening it for reading only: %s", why->text);
    daemon->damaged = true;
    int rc = stanch_store_sqlite_open(state_dir, 0, 1, &daemon->store, &err);
    if (rc == 0)
        rc = stanch_journal_open(daemon->loop, daemon->store, &daemon->journal, &err);
    if (rc == 0)
        stanch_journal_call_damaged(daemon->journal, why->text);
    else
        stanch_log(STANCH_LOG_ERROR, "serve", "it cannot be read either: %s", err.text);
    return rc;
}

static int open_store(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const char *state_dir = stanch_json_str(daemon->config, "state_dir", "");
    int rc = make_dir(state_dir, 0700, err);
    if (rc == 0)
        rc = stanch_store_sqlite_open(state_dir, 1, 0, &daemon->store, err);
    if (rc == STANCH_E_CORRUPT)
        return open_damaged(daemon, state_dir, err) < 0 ? STANCH_E_CORRUPT : 0;
    if (rc < 0)
        return rc;
    daemon->epoch = stanch_store_epoch(daemon->store);
    rc = stanch_journal_open(daemon->loop, daemon->store, &daemon->journal, err);
    if (rc == 0)
        stanch_daemon__append_life(daemon, "daemon.started");
    return rc;
}

static int start_engine(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const json_t *limits = json_object_get(daemon->config, "limits");
    const char *state_dir = stanch_json_str(daemon->config, "state_dir", "");
    STANCH_AUTO_FREE char *dir = stanch_strdup(state_dir);
    struct stanch_engine_config config = {
        .state_dir = dir,
        .fresh_for_ms = stanch_json_int(daemon->config, "fresh_for_ms", 300000),
        .approval_expires_ms = stanch_json_int(json_object_get(daemon->config, "approvals"), "expires_ms", 900000),
        .max_steps = stanch_json_int(limits, "max_steps", 1000),
        .worker_idle_ms = 2000,
        .epoch = daemon->epoch,
        .newest_ms = daemon->newest_ms,
        .people = daemon->people,
        .pages = json_is_object(json_object_get(daemon->config, "paging")),
    };
    daemon->world = stanch_world_production(daemon->loop, daemon->plugins, daemon->runner);
    daemon->engine = stanch_engine_new(daemon->journal, daemon->world, daemon->policy, &config);
    struct stanch_flow_config flow = {.config = daemon->config,
                                      .exe = daemon->exe,
                                      .state_dir = state_dir,
                                      .policy = daemon->policy,
                                      .people = daemon->people};
    int rc = stanch_flow_new(daemon->loop, daemon->journal, daemon->plugins, daemon->world, daemon->engine, &flow,
                             &daemon->flow, err);
    if (rc < 0 || daemon->damaged)
        return rc; /* what cannot be recorded is not started */
    rc = stanch_engine_recover(daemon->engine, err);
    if (rc == 0)
        rc = stanch_flow_start(daemon->flow, err);
    return rc;
}

static int start_doors(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const char *socket_path = stanch_json_str(daemon->config, "socket", NULL);
    const char *slash = socket_path ? strrchr(socket_path, '/') : NULL;
    if (slash && slash != socket_path) {
        STANCH_AUTO_FREE char *dir = stanch_strndup(socket_path, (size_t)(slash - socket_path));
        int rc = make_dir(dir, 0750, err);
        if (rc < 0)
            return rc;
    }
    struct stanch_http_config http = {
        .listen = stanch_json_str(daemon->config, "listen", NULL),
        .socket_path = socket_path,
        .max_body_bytes = (size_t)stanch_json_int(json_object_get(daemon->config, "limits"), "max_body_bytes", 1 << 20),
    };
    char proxy_hash[65] = "";
    int rc = stanch_daemon__hash_proxy_secret(daemon, proxy_hash, err);
    const struct stanch_api_proxy proxy = {.secret_hash = proxy_hash[0] ? proxy_hash : NULL,
                                           .user =
                                               stanch_json_str(json_object_get(daemon->config, "proxy"), "user", NULL)};
    if (rc == 0)
        rc = stanch_api_start(daemon->loop, &http, daemon->flow, daemon->journal, daemon->people, &proxy, &daemon->api,
                              err);
    if (rc == 0)
        stanch_log(STANCH_LOG_INFO, "serve", "ready version=%s pid=%d socket=%s port=%d", STANCH_VERSION, (int)getpid(),
                   socket_path ? socket_path : "-", stanch_api_port(daemon->api));
    return rc;
}

static int start_pager(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const struct stanch_pager_port port = stanch_daemon__pager_port(daemon);
    if (daemon->damaged)
        return 0;
    return stanch_pager_start(daemon->loop, daemon->journal, json_object_get(daemon->config, "paging"), &port,
                              &daemon->pager, err);
}

/* What stands beside flow is told with its status. */
static void tell_status(void *ctx, json_t *status, json_t *why)
{
    const struct stanch_daemon *daemon = ctx;
    daemon->keep_port.status(daemon->keep_port.ctx, status, why);
    if (daemon->pager && json_is_object(json_object_get(daemon->config, "paging")))
        json_object_set_new(status, "paging", stanch_pager_status(daemon->pager));
    stanch_daemon__tell_drill(daemon, status);
}

static int ask_check(void *ctx, stanch_flow_done done, void *done_ctx, struct stanch_err *err)
{
    const struct stanch_daemon *daemon = ctx;
    return daemon->keep_port.check(daemon->keep_port.ctx, done, done_ctx, err);
}

static int ask_reload(void *ctx, const char *by, stanch_flow_done done, void *done_ctx, struct stanch_err *err)
{
    return stanch_daemon__reload(ctx, by, done, done_ctx, err);
}

static int start_keep(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const struct stanch_keep_config config = {.exe = daemon->exe,
                                              .state_dir = stanch_json_str(daemon->config, "state_dir", ""),
                                              .checkpoints = json_object_get(daemon->config, "checkpoints"),
                                              .store = daemon->store,
                                              .reads_only = daemon->damaged,
                                              .on_damage = stanch_daemon__on_damage,
                                              .ctx = daemon};
    int rc = stanch_keep_start(daemon->loop, daemon->journal, &config, &daemon->keep, err);
    if (rc == 0) {
        daemon->keep_port = stanch_keep_port(daemon->keep);
        stanch_flow_keep(daemon->flow,
                         (struct stanch_flow_keeper){tell_status, ask_check, ask_reload, stanch_daemon__drill, daemon});
    }
    return rc < 0 ? stanch_err_wrap(err, "%s", daemon->options.config) : 0;
}

static int start_all(struct stanch_daemon *daemon, struct stanch_err *err)
{
    int rc = open_store(daemon, err);
    if (rc == 0)
        rc = stanch_daemon__start_hosts(daemon, err);
    if (rc == 0)
        rc = start_engine(daemon, err);
    if (rc == 0)
        rc = start_pager(daemon, err);
    if (rc == 0)
        rc = start_keep(daemon, err);
    if (rc == 0)
        rc = stanch_daemon__start_drills(daemon, err);
    if (rc == 0)
        rc = start_doors(daemon, err);
    return rc;
}

/* No core dumps (secrets), no SIGPIPE, files for ourselves alone. */
static void set_process(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    umask(0077);
    signal(SIGPIPE, SIG_IGN);
}

int stanch_serve_main(int argc, char **argv)
{
    struct stanch_daemon daemon = {.options = {.config = "/etc/stanch/stanch.lua"}};
    struct stanch_err err = {0};
    if (argp_parse(&argp, argc, argv, 0, NULL, &daemon.options) != 0)
        stanch_mem_end(); /* anything else has ended it; without its words it would serve another configuration */
    daemon.exe = stanch_self_path(); /* before we stop being dumpable: then /proc/self/exe is closed to us */
    set_process();
    daemon.loop = stanch_loop_new(&err);
    int rc = daemon.loop ? stanch_daemon__load_setup(&daemon, &err) : err.code;
    if (rc == 0 && daemon.options.check) {
        rc = stanch_daemon__check_settings(&daemon, &err);
    } else if (rc == 0) {
        rc = start_all(&daemon, &err);
        if (rc == 0) {
            stanch_daemon__watch_signals(&daemon);
            stanch_loop_run(daemon.loop);
        }
    }
    if (rc < 0)
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    stanch_daemon__take_apart(&daemon);
    return daemon.found_damage ? STANCH_EXIT_STORE : stanch_err_exit(rc);
}
