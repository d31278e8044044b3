/* serve_setup.c: what the operator's files say, evaluated in workers before anything starts. */
#include "serve_parts.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "setup.h"

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
