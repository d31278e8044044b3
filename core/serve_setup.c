/* serve_setup.c: what the operator's files say, evaluated in workers: all of them before anything starts, policy and people
 * again when somebody says so.
 *
 *   reload: policy file -> people file -> both good? then both are in use, with an entry; else neither is, and it is said
 */
#include "serve_parts.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "gameday/gameday.h"
#include "plugin/secret_open.h"
#include "setup.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int load_people(struct stanch_daemon *daemon, const char *path, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *data = NULL;
    int rc = stanch_setup_evaluate(daemon->loop, daemon->runner, "people", path, &data, err);
    if (rc < 0)
        return rc;
    rc = stanch_people_new(data, &daemon->people, err);
    return rc < 0 ? stanch_err_wrap(err, "%s", path) : 0;
}

int stanch_daemon__load_setup(struct stanch_daemon *daemon, struct stanch_err *err)
{
    int rc = stanch_runner_start(daemon->loop, daemon->exe, &stanch_runner_default_limits, &daemon->runner, err);
    if (rc == 0)
        rc =
            stanch_setup_evaluate(daemon->loop, daemon->runner, "config", daemon->options.config, &daemon->config, err);
    if (rc == 0 && stanch_gameday_check(daemon->config, err) < 0)
        rc = stanch_err_wrap(err, "%s", daemon->options.config);
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

/* ---- the proxy's secret ---- */

#define SECRET_MIN 16
#define SECRET_MAX 1000

int stanch_daemon__hash_proxy_secret(const struct stanch_daemon *daemon, char ret[65], struct stanch_err *err)
{
    const json_t *secret = json_object_get(json_object_get(daemon->config, "proxy"), "secret");
    char text[SECRET_MAX + 2] = "";
    int fd = -1;
    ret[0] = 0;
    if (!secret)
        return 0;
    if (!daemon->people)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: proxy: it signs people on, and there is no people file",
                              daemon->options.config);
    int rc = stanch_secret_open(secret, "proxy.secret", &fd, err);
    if (rc < 0)
        return stanch_err_wrap(err, "%s", daemon->options.config);
    ssize_t len = read(fd, text, sizeof text - 1);
    close(fd);
    text[len > 0 ? len : 0] = 0;
    text[strcspn(text, "\r\n")] = 0;
    size_t count = strlen(text);
    if (count >= SECRET_MIN && count <= SECRET_MAX)
        stanch_token_hash(text, ret);
    explicit_bzero(text, sizeof text);
    return *ret ? 0
                : stanch_err_set(err, STANCH_E_INVALID, "%s: proxy.secret: expected %d to %d characters, not %zu",
                                 daemon->options.config, SECRET_MIN, SECRET_MAX, count);
}

/* ---- again ---- */

struct stanch_reload {
    struct stanch_daemon *daemon;
    char by[160];
    stanch_flow_done done; /* NULL: nobody waits */
    void *ctx;
    struct stanch_setup *setup; /* the file that is being evaluated */
    struct stanch_policy *policy;
    struct stanch_people *people;
    json_t *people_data;
};

static void reload_free(struct stanch_reload *reload)
{
    reload->daemon->reload = NULL;
    stanch_policy_free(reload->policy);
    stanch_people_free(reload->people);
    json_decref(reload->people_data);
    free(reload);
}

static void record_refusal(const struct stanch_reload *reload, const struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err own;
    stanch_log(STANCH_LOG_ERROR, "serve", "policy and people stay as they are: %s", err->text);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "reload.refused", reload->by, NULL,
                     json_pack("{s:s}", "why", err->text));
    if (stanch_journal_append(reload->daemon->journal, batch, NULL, NULL, &own) < 0)
        stanch_log(STANCH_LOG_ERROR, "serve", "a refusal could not be recorded: %s", own.text);
}

static void refuse(struct stanch_reload *reload, const struct stanch_err *err)
{
    record_refusal(reload, err);
    if (reload->done)
        reload->done(reload->ctx, err->code, err, NULL);
    reload_free(reload);
}

/* In the same batch as what it changes for whoever looks: what was decided before stands before it. */
static void take_up(struct stanch_reload *reload)
{
    struct stanch_daemon *daemon = reload->daemon;
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err = {0};
    json_t *result = json_pack("{s:n, s:n}", "policy", "people");
    if (reload->policy) {
        stanch_policy_become(daemon->policy, STANCH_TAKE(reload->policy));
        if (stanch_engine_policy_changed(daemon->engine, &err) < 0)
            stanch_log(STANCH_LOG_ERROR, "serve", "the new limits count from now on: %s", err.text);
        stanch_json_set_str(result, "policy", stanch_policy_digest(daemon->policy));
        stanch_batch_add(batch, STANCH_CHAIN_NONE, "policy.loaded", reload->by, NULL,
                         json_pack("{s:s}", "digest", stanch_policy_digest(daemon->policy)));
    }
    if (reload->people) {
        json_t *count = json_integer((json_int_t)json_array_size(json_object_get(reload->people_data, "people")));
        stanch_people_become(daemon->people, STANCH_TAKE(reload->people));
        if (daemon->desk)
            stanch_desk_people_changed(daemon->desk);
        json_object_set(result, "people", count);
        stanch_batch_add(batch, STANCH_CHAIN_NONE, "people.loaded", reload->by, NULL,
                         json_pack("{s:o}", "people", count));
    }
    stanch_log(STANCH_LOG_INFO, "serve", "policy and people were read again by=%s", reload->by);
    struct stanch_reply *reply = stanch_reply__new(daemon->flow, reload->done, reload->ctx, "", "");
    stanch_reply__result(reply, result);
    if (stanch_reply__append(reply, batch, &err) < 0 && reload->done)
        reload->done(reload->ctx, err.code, &err, NULL);
    reload_free(reload);
}

static int evaluate_next(struct stanch_reload *reload, struct stanch_err *err);

static void on_policy(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_reload *reload = ctx;
    struct stanch_err why = *err;
    reload->setup = NULL;
    rc = rc < 0 ? rc : stanch_policy_new(result, &reload->policy, &why);
    rc = rc < 0 ? rc : evaluate_next(reload, &why);
    if (rc < 0)
        refuse(reload, &why);
}

static void on_people(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_reload *reload = ctx;
    struct stanch_err why = *err;
    reload->setup = NULL;
    rc = rc < 0 ? rc : stanch_people_new(result, &reload->people, &why);
    reload->people_data = rc < 0 ? NULL : json_deep_copy(result);
    rc = rc < 0 ? rc : evaluate_next(reload, &why);
    if (rc < 0)
        refuse(reload, &why);
}

static int evaluate_next(struct stanch_reload *reload, struct stanch_err *err)
{
    struct stanch_daemon *daemon = reload->daemon;
    STANCH_AUTO_FREE char *policy = stanch_setup_path(daemon->config, "policy", daemon->options.config);
    STANCH_AUTO_FREE char *people = stanch_setup_path(daemon->config, "people", daemon->options.config);
    if (policy && !reload->policy)
        return stanch_setup_begin(daemon->runner, "policy", policy, on_policy, reload, &reload->setup, err);
    if (people && !reload->people)
        return stanch_setup_begin(daemon->runner, "people", people, on_people, reload, &reload->setup, err);
    if (!policy && !people)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s names neither a policy nor a people file: there is nothing to read again",
                              daemon->options.config);
    take_up(reload);
    return 0;
}

int stanch_daemon__reload(struct stanch_daemon *daemon, const char *by, stanch_flow_done done, void *ctx,
                          struct stanch_err *err)
{
    if (daemon->reload)
        return stanch_err_set(err, STANCH_E_CONFLICT, "policy and people are being read already; try again");
    struct stanch_reload *reload = STANCH_NEW(struct stanch_reload);
    *reload = (struct stanch_reload){.daemon = daemon, .done = done, .ctx = ctx};
    (void)snprintf(reload->by, sizeof reload->by, "%s", by);
    daemon->reload = reload;
    int rc = evaluate_next(reload, err);
    if (rc < 0) {
        record_refusal(reload, err);
        reload_free(reload);
    }
    return rc;
}

void stanch_daemon__end_reload(struct stanch_daemon *daemon)
{
    struct stanch_err err;
    if (!daemon->reload)
        return;
    stanch_setup_cancel(STANCH_TAKE(daemon->reload->setup));
    stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down");
    refuse(daemon->reload, &err);
}
