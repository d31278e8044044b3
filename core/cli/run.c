/* run.c: run start | list | show | cancel, and step resolve. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

int stanch_cli__read_params(struct stanch_cli *cli, json_t **ret)
{
    json_t *params = json_object();
    for (int i = 0; i < cli->many_count; i++) {
        const char *equals = strchr(cli->many[i], '=');
        json_t *value = NULL;
        if (!equals || equals == cli->many[i]) {
            json_decref(params);
            return stanch_err_set(&cli->err, STANCH_E_INVALID, "--param %s: expected NAME=VALUE", cli->many[i]);
        }
        if (stanch_json_parse(equals + 1, strlen(equals + 1), &stanch_json_door_limits, &value, NULL) != 0)
            value = json_string(equals + 1);
        json_object_setn_new(params, cli->many[i], (size_t)(equals - cli->many[i]), value ? value : json_null());
    }
    *ret = params;
    return 0;
}

static int run_start(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "runbook", cli->args[0]);
    STANCH_AUTO_JSON json_t *run = NULL;
    json_t *params = NULL;
    int rc = stanch_cli__read_params(cli, &params);
    if (rc != 0)
        return rc;
    json_object_set_new(body, "params", params);
    stanch_json_set_str(body, "incident", stanch_cli__value(cli, STANCH_CLI__INCIDENT));
    stanch_json_set_str(body, "title", stanch_cli__value(cli, STANCH_CLI__TITLE));
    rc = stanch_cli__send(cli, "POST", "/v1/runs", body, &run);
    return rc ? rc : stanch_cli__show(cli, run, "id incident runbook state why commit");
}

static int run_list(struct stanch_cli *cli)
{
    const char *incident = stanch_cli__value(cli, STANCH_CLI__INCIDENT);
    STANCH_AUTO_FREE char *path =
        incident ? stanch_cli__path("/v1/runs?incident=%s", incident) : stanch_strdup("/v1/runs");
    return stanch_cli__list(cli, path, "ID STATE INCIDENT RUNBOOK AGE WHY", "id state incident runbook created~ why",
                            "no runs");
}

static int show_run(struct stanch_cli *cli, int rc, const json_t *run)
{
    json_t *step;
    size_t i;
    if (rc != 0 || cli->json)
        return rc ? rc : stanch_cli__show(cli, run, "");
    stanch_cli__show(cli, run,
                     "id incident runbook path commit state why held asked next params created because joined firing "
                     "observe would_not_start");
    const json_t *event = json_object_get(run, "event");
    stanch_cli__field(cli, "event", json_is_object(event) ? json_object_get(event, "id") : event);
    if (json_array_size(json_object_get(run, "steps")) == 0)
        return 0;
    struct stanch_cli__table *table = stanch_cli__table_new("STEP STATE OP ACTION LINE OUTCOME");
    json_array_foreach(json_object_get(run, "steps"), i, step)
        stanch_cli__table_row(table, step, "id state op action line outcome");
    stanch_cli__say(cli, "\n");
    stanch_cli__table_print(cli, table, "");
    return 0;
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runs/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *run = NULL;
    int rc = stanch_cli__get(cli, path, &run);
    return show_run(cli, rc, run);
}

static int run_cancel(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runs/%s/cancel", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *run = NULL;
    stanch_json_set_str(body, "reason", stanch_cli__value(cli, STANCH_CLI__REASON));
    int rc = stanch_cli__send(cli, "POST", path, body, &run);
    return show_run(cli, rc, run);
}

static int run_resolve(struct stanch_cli *cli)
{
    const char *slash = strchr(cli->args[0], '/');
    if (!slash || slash == cli->args[0] || !slash[1])
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "%s is not a step; a step is written R-3/2", cli->args[0]);
    STANCH_AUTO_FREE char *run = stanch_strndup(cli->args[0], (size_t)(slash - cli->args[0]));
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/steps/%s/%s/resolve", run, slash + 1);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "happened", cli->args[1]);
    STANCH_AUTO_JSON json_t *step = NULL;
    stanch_json_set_str(body, "note", stanch_cli__value(cli, STANCH_CLI__NOTE));
    int rc = stanch_cli__send(cli, "POST", path, body, &step);
    return rc ? rc : stanch_cli__show(cli, step, "id run op instance action state outcome");
}

const struct stanch_cli__command stanch_cli__run_commands[] = {
    {"run", "start", "RUNBOOK", 1, 1, "incident title param", "start a run by hand", run_start},
    {"run", "list", "", 0, 0, "incident limit", "runs, newest first", run_list},
    {"run", "show", "RUN", 1, 1, "", "one run with its steps", run_show},
    {"run", "cancel", "RUN", 1, 1, "reason", "end a run; its mitigations stay", run_cancel},
    {"step", "resolve", "STEP happened|did-not|abandon", 2, 2, "note", "say what happened", run_resolve},
    {0},
};
