/* serve.c: the rooms put together.
 *
 *   runner -> configuration, policy -> store, journal -> plugin hosts -> engine, flow -> doors
 *
 * SIGTERM: no new events or steps, up to `drain` for calls under way, then the store is closed; exit 0.
 */
#include "serve.h"
#include "api/api.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "page/pager.h"
#include "people/people.h"
#include "rule/policy.h"
#include "serve_keep.h"
#include "setup.h"
#include "timeline/store.h"
#include "wire/channel.h"
#include <argp.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define FLUSH_MS 8000

struct options {
    const char *config;
    bool check;
};

struct stanch_daemon {
    struct options options;
    char *exe;
    json_t *config, *policy_data;
    struct stanch_loop *loop;
    struct stanch_runner *runner;
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_plugins *plugins;
    struct stanch_policy *policy;
    struct stanch_people *people; /* NULL: whoever may open the socket may do all */
    struct stanch_world *world;
    struct stanch_engine *engine;
    struct stanch_flow *flow;
    struct stanch_api *api;
    struct stanch_keep *keep;
    struct stanch_flow_keeper keep_port;
    struct stanch_pager *pager; /* NULL: the store is damaged */
    uv_signal_t terminate, interrupt;
    struct stanch_timer *drain_timer;
    int64_t drain_until_mono_ms;
    bool draining, flushed, flush_is_late;
    bool damaged; /* the store is: it is shown, and nothing is done */
    bool found_damage;
    int64_t epoch;
    int64_t newest_ms; /* of the journal, when it was opened */
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
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

/* ---- shutting down ---- */

static void look_whether_drained(void *ctx)
{
    struct stanch_daemon *daemon = ctx;
    daemon->drain_timer = NULL;
    bool late = stanch_loop_mono_ms(daemon->loop) >= daemon->drain_until_mono_ms;
    if ((stanch_engine_calls(daemon->engine) == 0 && stanch_flow_receiving(daemon->flow) == 0) || late) {
        stanch_loop_stop(daemon->loop);
        return;
    }
    daemon->drain_timer = stanch_timer_start(daemon->loop, 20, look_whether_drained, daemon);
}

static void shut_down(struct stanch_daemon *daemon)
{
    daemon->draining = true;
    stanch_api_drain(daemon->api);
    stanch_flow_drain(daemon->flow);
    daemon->drain_until_mono_ms =
        stanch_loop_mono_ms(daemon->loop) + stanch_json_int(daemon->config, "drain_ms", 25000);
    look_whether_drained(daemon);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct stanch_daemon *daemon = signal->data;
    if (daemon->draining)
        return;
    stanch_log(STANCH_LOG_INFO, "serve", "shutting down signal=%d", number);
    shut_down(daemon);
}

/* Found by the full check. Nothing more is built on it: the next start only reads. */
static void on_damage(void *ctx, const char *what)
{
    struct stanch_daemon *daemon = ctx;
    stanch_store_condemn(daemon->store, what);
    if (daemon->damaged)
        return; /* known, and nothing is done on it */
    daemon->found_damage = true;
    stanch_log(STANCH_LOG_ERROR, "serve", "the store is damaged, shutting down; the next start only reads: %s", what);
    if (!daemon->draining)
        shut_down(daemon);
}

static void append_life(struct stanch_daemon *daemon, const char *kind)
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

static int load_people(struct stanch_daemon *daemon, const char *path, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *data = NULL;
    int rc = stanch_setup_evaluate(daemon->loop, daemon->runner, "people", path, &data, err);
    if (rc < 0)
        return rc;
    rc = stanch_people_new(data, &daemon->people, err);
    return rc < 0 ? stanch_err_wrap(err, "%s", path) : 0;
}

static int load_setup(struct stanch_daemon *daemon, struct stanch_err *err)
{
    int rc = stanch_runner_start(daemon->loop, daemon->exe, &stanch_runner_default_limits, &daemon->runner, err);
    if (rc == 0)
        rc =
            stanch_setup_evaluate(daemon->loop, daemon->runner, "config", daemon->options.config, &daemon->config, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_FREE char *policy_path = stanch_setup_path(daemon->config, "policy", daemon->options.config);
    STANCH_AUTO_FREE char *people_path = stanch_setup_path(daemon->config, "people", daemon->options.config);
    if (policy_path)
        rc = stanch_setup_evaluate(daemon->loop, daemon->runner, "policy", policy_path, &daemon->policy_data, err);
    if (rc == 0)
        rc = stanch_policy_new(daemon->policy_data, &daemon->policy, err);
    if (rc == 0 && !policy_path)
        stanch_log(STANCH_LOG_INFO, "serve", "no policy file: every mitigation asks");
    return rc == 0 && people_path ? load_people(daemon, people_path, err) : rc;
}

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
        append_life(daemon, "daemon.started");
    return rc;
}

static char *default_plugin_dir(const struct stanch_daemon *daemon)
{
    const char *slash = strrchr(daemon->exe, '/');
    return stanch_asprintf("%.*s/../lib/stanch", slash ? (int)(slash - daemon->exe) : 0, daemon->exe);
}

struct readiness {
    bool told;
    struct stanch_err err;
};

static void on_plugins_ready(void *ctx, const struct stanch_err *err)
{
    struct readiness *readiness = ctx;
    readiness->told = true;
    readiness->err = *err;
}

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

static struct stanch_pager_port pager_port(struct stanch_daemon *daemon)
{
    return (struct stanch_pager_port){describe_instance, call_instance, daemon->plugins};
}

static int start_plugins(struct stanch_daemon *daemon, const char *state_dir, const char *lock, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *own_dir = default_plugin_dir(daemon);
    const char *dir = stanch_json_str(daemon->config, "plugin_dir", own_dir);
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
    struct readiness readiness = {0};
    stanch_plugins_when_ready(daemon->plugins, on_plugins_ready, &readiness);
    while (!readiness.told)
        uv_run(stanch_loop_uv(daemon->loop), UV_RUN_ONCE);
    if (readiness.err.code == STANCH_E_INVALID || readiness.err.code == STANCH_E_NOT_FOUND) {
        *err = readiness.err; /* a mistake in the configuration; a host that merely fails comes back */
        return stanch_err_wrap(err, "%s", daemon->options.config);
    }
    const struct stanch_pager_port port = pager_port(daemon);
    rc = daemon->damaged ? 0 : stanch_pager_check(json_object_get(daemon->config, "paging"), &port, err);
    return rc < 0 ? stanch_err_wrap(err, "%s", daemon->options.config) : 0;
}

static int start_hosts(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const char *state_dir = stanch_json_str(daemon->config, "state_dir", "");
    STANCH_AUTO_FREE char *lock = stanch_asprintf("%s/hosts.lock", state_dir);
    return start_plugins(daemon, state_dir, lock, err);
}

/* The plugins know what their settings mean: their hosts are started for the check, under a lock of its own, so that
 * those of a running daemon are left alone. */
static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static int check_settings(struct stanch_daemon *daemon, struct stanch_err *err)
{
    char dir[] = "/tmp/stanch-check-XXXXXX";
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
        .pages = json_is_object(json_object_get(daemon->config, "paging")),
    };
    daemon->world = stanch_world_production(daemon->loop, daemon->plugins, daemon->runner);
    daemon->engine = stanch_engine_new(daemon->journal, daemon->world, daemon->policy, &config);
    struct stanch_flow_config flow = {
        .config = daemon->config, .exe = daemon->exe, .state_dir = state_dir, .people = daemon->people};
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
    int rc = stanch_api_start(daemon->loop, &http, daemon->flow, daemon->journal, daemon->people, &daemon->api, err);
    if (rc == 0)
        stanch_log(STANCH_LOG_INFO, "serve", "ready version=%s pid=%d socket=%s port=%d", STANCH_VERSION, (int)getpid(),
                   socket_path ? socket_path : "-", stanch_api_port(daemon->api));
    return rc;
}

static int start_pager(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const struct stanch_pager_port port = pager_port(daemon);
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
}

static int ask_check(void *ctx, stanch_flow_done done, void *done_ctx, struct stanch_err *err)
{
    const struct stanch_daemon *daemon = ctx;
    return daemon->keep_port.check(daemon->keep_port.ctx, done, done_ctx, err);
}

static int start_keep(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const struct stanch_keep_config config = {.exe = daemon->exe,
                                              .state_dir = stanch_json_str(daemon->config, "state_dir", ""),
                                              .checkpoints = json_object_get(daemon->config, "checkpoints"),
                                              .store = daemon->store,
                                              .reads_only = daemon->damaged,
                                              .on_damage = on_damage,
                                              .ctx = daemon};
    int rc = stanch_keep_start(daemon->loop, daemon->journal, &config, &daemon->keep, err);
    if (rc == 0) {
        daemon->keep_port = stanch_keep_port(daemon->keep);
        stanch_flow_keep(daemon->flow, (struct stanch_flow_keeper){tell_status, ask_check, daemon});
    }
    return rc < 0 ? stanch_err_wrap(err, "%s", daemon->options.config) : 0;
}

static void watch_signals(struct stanch_daemon *daemon)
{
    uv_signal_t *const watched[] = {&daemon->terminate, &daemon->interrupt};
    static const int numbers[] = {SIGTERM, SIGINT};
    for (int i = 0; i < 2; i++) {
        uv_signal_init(stanch_loop_uv(daemon->loop), watched[i]);
        watched[i]->data = daemon;
        uv_signal_start(watched[i], on_signal, numbers[i]);
    }
}

/* libuv gives a signal back to the system with its handle, and then a second SIGTERM would kill what is at its end. */
static void stop_watching_signals(struct stanch_daemon *daemon)
{
    uv_signal_t *const watched[] = {&daemon->terminate, &daemon->interrupt};
    static const int numbers[] = {SIGTERM, SIGINT};
    sigset_t set, before;
    sigemptyset(&set);
    for (int i = 0; i < 2; i++)
        sigaddset(&set, numbers[i]);
    pthread_sigmask(SIG_BLOCK, &set, &before); /* all other threads have ended */
    for (int i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)watched[i], NULL);
        signal(numbers[i], SIG_IGN); /* takes away one that came in between, too */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void on_flag(void *ctx)
{
    *(bool *)ctx = true;
}

/* Whoever waits for a commit is told, while all of them still live. When another process holds the store locked, what
 * waits is given up as by a kill: nobody was told that it is recorded. */
static void flush_journal(struct stanch_daemon *daemon)
{
    if (!daemon->damaged)
        append_life(daemon, "daemon.stopped");
    stanch_journal_barrier(daemon->journal, on_flag, &daemon->flushed);
    struct stanch_timer *late = stanch_timer_start(daemon->loop, FLUSH_MS, on_flag, &daemon->flush_is_late);
    while (!daemon->flushed && !daemon->flush_is_late)
        uv_run(stanch_loop_uv(daemon->loop), UV_RUN_ONCE);
    if (daemon->flush_is_late) {
        stanch_log(STANCH_LOG_ERROR, "serve",
                   "what waits could not be recorded within %d s; the next start goes on "
                   "from what is",
                   FLUSH_MS / 1000);
        _exit(STANCH_EXIT_STORE);
    }
    stanch_timer_stop(daemon->loop, &late);
}

static void take_apart(struct stanch_daemon *daemon)
{
    if (daemon->loop)
        stanch_timer_stop(daemon->loop, &daemon->drain_timer);
    if (daemon->engine && !daemon->damaged)
        stanch_engine_leave(daemon->engine);
    if (daemon->engine)
        stanch_engine_halt(daemon->engine);
    if (daemon->flow)
        stanch_flow_halt(daemon->flow);
    stanch_pager_halt(daemon->pager);
    stanch_plugins_free(daemon->plugins);
    stanch_runner_free(daemon->runner);
    if (daemon->journal)
        flush_journal(daemon);
    stanch_keep_finish(daemon->keep); /* of all that was recorded, the end too */
    if (daemon->flow)
        stanch_flow_keep(daemon->flow, (struct stanch_flow_keeper){0});
    stanch_keep_free(daemon->keep);
    stanch_api_free(daemon->api);
    if (daemon->loop)
        stanch_loop_run_once(daemon->loop); /* what was deferred */
    stanch_pager_free(daemon->pager);
    stanch_flow_free(daemon->flow);
    stanch_engine_free(daemon->engine);
    stanch_world_free(daemon->world);
    stanch_journal_close(daemon->journal);
    stanch_policy_free(daemon->policy);
    stanch_people_free(daemon->people);
    json_decref(daemon->config);
    json_decref(daemon->policy_data);
    if (daemon->terminate.data)
        stop_watching_signals(daemon);
    if (daemon->loop)
        stanch_loop_run_once(daemon->loop);
    stanch_loop_free(daemon->loop);
    free(daemon->exe);
}

static int start_all(struct stanch_daemon *daemon, struct stanch_err *err)
{
    int rc = open_store(daemon, err);
    if (rc == 0)
        rc = start_hosts(daemon, err);
    if (rc == 0)
        rc = start_engine(daemon, err);
    if (rc == 0)
        rc = start_pager(daemon, err);
    if (rc == 0)
        rc = start_keep(daemon, err);
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
    int rc = daemon.loop ? load_setup(&daemon, &err) : err.code;
    if (rc == 0 && daemon.options.check) {
        rc = check_settings(&daemon, &err);
    } else if (rc == 0) {
        rc = start_all(&daemon, &err);
        if (rc == 0) {
            watch_signals(&daemon);
            stanch_loop_run(daemon.loop);
        }
    }
    if (rc < 0)
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    take_apart(&daemon);
    return daemon.found_damage ? STANCH_EXIT_STORE : stanch_err_exit(rc);
}
