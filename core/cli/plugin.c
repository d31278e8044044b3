/* plugin.c: plugin list | show | enable. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"

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

const struct stanch_cli__command stanch_cli__plugin_commands[] = {
    {"plugin", "list", "", 0, 0, "", "plugin instances and their state", run_list},
    {"plugin", "show", "NAME", 1, 1, "", "one instance with its actions", run_show},
    {"plugin", "enable", "NAME", 1, 1, "", "start one again that was disabled", run_enable},
    {0},
};
