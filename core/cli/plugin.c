/* plugin.c: plugin list | show | enable | check. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static int run_list(struct stanch_cli *cli)
{
    return stanch_cli__list(cli, "/v1/plugins", "NAME STATE PLUGIN VERSION RESTARTS WHY",
                            "name state plugin version restarts why", "no plugin instances are configured");
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/plugins/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    const char *name;
    json_t *action;
    int rc = stanch_cli__get(cli, path, &doc);
    if (rc != 0 || cli->json)
        return rc ? rc : stanch_cli__show(cli, doc, "");
    stanch_cli__show(cli, doc, "name state plugin version digest environment restarts why sources");
    struct stanch_cli__table *table = stanch_cli__table_new("ACTION EFFECT CLASS RISK SUMMARY");
    json_object_foreach(json_object_get(doc, "actions"), name, action)
    {
        STANCH_AUTO_JSON json_t *row = json_copy(action);
        stanch_json_set_str(row, "action", name);
        stanch_cli__table_row(table, row, "action effect class risk summary");
    }
    stanch_cli__table_print(cli, table, "no actions");
    return 0;
}

static int run_enable(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/plugins/%s/enable", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__send(cli, "POST", path, NULL, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "name state why");
}

/* Ask one; what it says goes into `all`. */
static int check_one(struct stanch_cli *cli, const char *name, json_t *all)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/plugins/%s/check", name);
    json_t *answer = NULL;
    int rc = stanch_cli__send(cli, "POST", path, NULL, &answer);
    if (rc == 0)
        json_array_append_new(all, answer);
    return rc;
}

/* One that cannot even be asked is told as a check that failed, so that the others are still looked at. */
static void note_failure(struct stanch_cli *cli, const char *name, json_t *all)
{
    json_array_append_new(all, json_pack("{s:s, s:b, s:[{s:s, s:b, s:s}]}", "instance", name, "ok", 0, "checks", "name",
                                         "ask the plugin", "ok", 0, "text", cli->err.text));
    cli->err = (struct stanch_err){0};
}

static int check_all(struct stanch_cli *cli, json_t *all)
{
    STANCH_AUTO_JSON json_t *list = NULL;
    json_t *one;
    size_t i;
    int rc = stanch_cli__read_all(cli, "/v1/plugins", &list);
    json_array_foreach(list, i, one)
    {
        const char *name = stanch_json_str(one, "name", "");
        bool is_up = strcmp(stanch_json_str(one, "state", ""), "up") == 0;
        if ((json_object_get(one, "check") || !is_up) && check_one(cli, name, all) != 0)
            note_failure(cli, name, all);
    }
    return rc;
}

static void print_checks(struct stanch_cli *cli, const json_t *all)
{
    struct stanch_cli__table *table = stanch_cli__table_new("INSTANCE STATE CHECK FOUND");
    json_t *one, *check;
    size_t i, j;
    json_array_foreach((json_t *)(uintptr_t)all, i, one)
    {
        json_array_foreach(json_object_get(one, "checks"), j, check)
        {
            STANCH_AUTO_JSON json_t *row = json_copy(check);
            stanch_json_set_str(row, "instance", stanch_json_str(one, "instance", ""));
            stanch_json_set_str(row, "state", stanch_json_bool(check, "ok", false) ? "ok" : "missing");
            stanch_cli__table_row(table, row, "instance state name text");
        }
    }
    stanch_cli__table_print(cli, table, "no plugin instance has a check");
}

static int run_check(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *all = json_array();
    json_t *one;
    size_t i, missing = 0;
    int rc = cli->args[0] ? check_one(cli, cli->args[0], all) : check_all(cli, all);
    if (rc != 0)
        return rc;
    json_array_foreach(all, i, one) missing += !stanch_json_bool(one, "ok", false);
    if (!stanch_cli__said_json(cli, all))
        print_checks(cli, all);
    return missing ? stanch_err_set(&cli->err, STANCH_E_REMOTE, "%zu of %zu instances lack something", missing,
                                    json_array_size(all))
                   : 0;
}

const struct stanch_cli__command stanch_cli__plugin_commands[] = {
    {"plugin", "list", "", 0, 0, "", "plugin instances and their state", run_list},
    {"plugin", "show", "NAME", 1, 1, "", "one instance with its actions", run_show},
    {"plugin", "check", "[NAME]", 0, 1, "", "reach the systems behind them; say what permission is missing", run_check},
    {"plugin", "enable", "NAME", 1, 1, "", "start one again that was disabled", run_enable},
    {0},
};
