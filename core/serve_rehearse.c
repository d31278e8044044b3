/* serve_rehearse.c: the simulated world put together: the same rooms as the daemon's, without hosts, sockets, repository and disk.
 *
 *   rehearse test DIR --config FILE [--plugins DIR] [--filter TEXT] [--jobs N | --slice I --slices N] [--faults] [--crash] [--cover]
 *       {"tests":[...], "covered":{...}} (drill/tests.h)
 *   rehearse backtest DIR | --commit X  --store DIR --config FILE [--plugins DIR] [--since WHEN] [--limit N]
 *       what would have been (drill/backtest.h)
 *   rehearse drill ...: serve_rehearse_drill.c; rehearse live ...: serve_rehearse_live.c
 *
 * runner -> configuration, policy -> what the plugins declare -> stage -> plays
 */
#include "serve_rehearse.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "drill/tests.h"
#include "plugin/plugin.h"
#include "script/runner.h"
#include "serve_rehearse_parts.h"
#include "setup.h"
#include "wire/channel.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* A runner that is killed takes all plays along: one of a machine that is short of time is not stuck. */
#define CONFIRM_MS 30000

struct rehearse {
    const char *verb, *folder, *config_path, *plugin_dir, *filter, *jobs, *slice, *slices;
    struct stanch_rehearse_past past;
    bool faults, crash, cover, mutate;
    char *exe;
    struct stanch_loop *loop;
    struct stanch_runner *runner;
    json_t *config, *policy;
    struct stanch_stage stage;
    stanch_rehearse_use use; /* what is done there, when it is no verb of this file */
    void *use_ctx;
};

static int read_words(int argc, char **argv, struct rehearse *ret, struct stanch_err *err)
{
    ret->verb = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++) {
        const char **value = strcmp(argv[i], "--config") == 0    ? &ret->config_path
                             : strcmp(argv[i], "--plugins") == 0 ? &ret->plugin_dir
                             : strcmp(argv[i], "--jobs") == 0    ? &ret->jobs
                             : strcmp(argv[i], "--filter") == 0  ? &ret->filter
                             : strcmp(argv[i], "--slice") == 0   ? &ret->slice
                             : strcmp(argv[i], "--slices") == 0  ? &ret->slices
                             : strcmp(argv[i], "--store") == 0   ? &ret->past.store
                             : strcmp(argv[i], "--commit") == 0  ? &ret->past.commit
                             : strcmp(argv[i], "--since") == 0   ? &ret->past.since
                             : strcmp(argv[i], "--limit") == 0   ? &ret->past.listed
                                                                 : NULL;
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (strcmp(argv[i], "--faults") == 0)
            ret->faults = true;
        else if (strcmp(argv[i], "--crash") == 0)
            ret->crash = true;
        else if (strcmp(argv[i], "--cover") == 0)
            ret->cover = true;
        else if (strcmp(argv[i], "--mutate") == 0)
            ret->mutate = true;
        else if (argv[i][0] != '-' && !ret->folder)
            ret->folder = argv[i];
        else
            return stanch_err_set(err, STANCH_E_INVALID, "rehearse: %s is not understood", argv[i]);
    }
    bool back = strcmp(ret->verb, "backtest") == 0, commit = back && ret->past.commit;
    if (back && !ret->past.store)
        return stanch_err_set(err, STANCH_E_INVALID, "rehearse: --store DIR is needed");
    return !ret->folder == commit && ret->config_path
               ? 0
               : stanch_err_set(err, STANCH_E_INVALID, "rehearse: a folder%s and --config FILE are needed",
                                back ? " or a commit (not both)" : "");
}

static int set_stage(struct rehearse *self, struct stanch_err *err)
{
    json_t *described = NULL;
    struct stanch_runner_limits limits = stanch_runner_default_limits;
    limits.confirm_ms = CONFIRM_MS;
    int rc = stanch_runner_start(self->loop, self->exe, &limits, &self->runner, err);
    rc = rc ? rc : stanch_setup_evaluate(self->loop, self->runner, "config", self->config_path, &self->config, err);
    if (rc == STANCH_E_NOT_FOUND) {
        struct stanch_err why = *err;
        return stanch_err_set(err, rc, "%s; --config FILE names the configuration", why.text);
    }
    if (rc < 0)
        return rc;
    STANCH_AUTO_FREE char *policy = stanch_setup_path(self->config, "policy", self->config_path);
    STANCH_AUTO_FREE char *plugins = stanch_setup_plugin_dir(self->config, self->plugin_dir, self->exe);
    if (policy)
        rc = stanch_setup_evaluate(self->loop, self->runner, "policy", policy, &self->policy, err);
    if (rc < 0)
        return stanch_err_wrap(err, "%s", self->config_path);
    rc = stanch_plugins_declared(self->loop, self->exe, plugins, json_object_get(self->config, "instances"), &described,
                                 err);
    if (rc == STANCH_E_NOT_FOUND && !self->plugin_dir) {
        struct stanch_err why = *err;
        return stanch_err_set(err, rc, "%s: %s; --plugins DIR says where they are", self->config_path, why.text);
    }
    if (rc < 0)
        return stanch_err_wrap(err, "%s", self->config_path);
    json_object_del(self->config, "runbooks"); /* else flow would follow the repository */
    self->stage.loop = self->loop;
    self->stage.runner = self->runner;
    self->stage.config = self->config;
    self->stage.policy = self->policy;
    return self->folder
               ? stanch_stage_open(self->folder, described, &self->stage, err)
               : stanch_rehearse__stage_commit(self->loop, &self->past, self->config, described, &self->stage, err);
}

static int run_tests(struct rehearse *self, struct stanch_err *err)
{
    const struct stanch_tests_options options = {.filter = self->filter,
                                                 .faults = self->faults,
                                                 .crash = self->crash,
                                                 .cover = self->cover,
                                                 .mutate = self->mutate,
                                                 .slice = self->slice ? atoi(self->slice) : 0,
                                                 .slices = self->slices ? atoi(self->slices) : 1};
    STANCH_AUTO_JSON json_t *report = NULL;
    int rc = stanch_tests_run(&self->stage, &options, &report, err);
    if (rc == 0)
        (void)json_dumpf(report, stdout, JSON_COMPACT);
    return rc;
}

static int run_backtest(struct rehearse *self, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *report = NULL;
    int rc = stanch_rehearse__backtest(&self->stage, &self->past, &report, err);
    if (rc == 0)
        (void)json_dumpf(report, stdout, JSON_COMPACT);
    return rc;
}

static int run(struct rehearse *self, struct stanch_err *err)
{
    if (self->use)
        return self->use(self->use_ctx, &self->stage, err);
    if (strcmp(self->verb, "test") == 0)
        return run_tests(self, err);
    if (strcmp(self->verb, "backtest") == 0)
        return run_backtest(self, err);
    return stanch_err_set(err, STANCH_E_INVALID, "rehearse: no such command \"%s\"", self->verb);
}

static int run_here(struct rehearse *self, struct stanch_err *err)
{
    self->exe = stanch_self_path();
    self->loop = stanch_loop_new(err);
    int rc = self->loop ? set_stage(self, err) : err->code;
    rc = rc ? rc : run(self, err);
    stanch_stage_close(&self->stage);
    stanch_runner_free(self->runner);
    json_decref(self->config);
    json_decref(self->policy);
    if (self->loop)
        stanch_loop_run_once(self->loop);
    stanch_loop_free(self->loop);
    free(self->exe);
    return rc;
}

int stanch_rehearse__on_stage(const struct stanch_rehearse_files *files, stanch_rehearse_use use, void *ctx,
                              struct stanch_err *err)
{
    struct rehearse self = {.verb = "drill",
                            .folder = files->folder,
                            .config_path = files->config,
                            .plugin_dir = files->plugins,
                            .past = {.store = files->store, .commit = files->commit},
                            .use = use,
                            .use_ctx = ctx};
    return run_here(&self, err);
}

static int run_in_jobs(int argc, char **argv, int jobs, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *report = NULL;
    int rc = stanch_rehearse__in_jobs(argc, argv, jobs, &report, err);
    if (rc == 0)
        (void)json_dumpf(report, stdout, JSON_COMPACT);
    return rc;
}

int stanch_rehearse_main(int argc, char **argv)
{
    struct rehearse self = {0};
    struct stanch_err err = {0};
    if (argc < 2 || strcmp(argv[1], "live") != 0) /* that one sees it, and takes back first what it did */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!getenv("STANCH_LOG"))
        stanch_log_set_level(STANCH_LOG_ERROR); /* what a simulated daemon says is of no use to anybody */
    (void)signal(SIGPIPE, SIG_IGN);
    bool is_drill = argc > 1 && strcmp(argv[1], "drill") == 0, is_live = argc > 1 && strcmp(argv[1], "live") == 0;
    int rc = is_drill  ? stanch_rehearse__drill(argc - 2, argv + 2, &err)
             : is_live ? stanch_rehearse__live(argc - 2, argv + 2, &err)
                       : read_words(argc, argv, &self, &err);
    int jobs = self.jobs ? atoi(self.jobs) : 1;
    if (rc == 0 && !is_drill && !is_live)
        rc = jobs > 1 && !self.slice ? run_in_jobs(argc, argv, jobs, &err) : run_here(&self, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = stanch_err_set(&err, STANCH_E_SYSTEM, "the output could not be written");
    if (rc != 0 && err.text[0])
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    return stanch_err_exit(rc);
}
