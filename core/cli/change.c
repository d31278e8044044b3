/* change.c: change list | show: what sources told of deploys, flags and pushes. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"

static int run_list(struct stanch_cli *cli)
{
    return stanch_cli__list(cli, "/v1/changes", "ID SOURCE AGE NAME SUMMARY", "id source starts_at~ name summary",
                            "no changes");
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/changes/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__get(cli, path, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "id source name summary starts_at change labels link");
}

const struct stanch_cli__command stanch_cli__change_commands[] = {
    {"change", "list", "", 0, 0, "limit", "deploys, flags and pushes, newest first", run_list},
    {"change", "show", "CHANGE", 1, 1, "", "one change", run_show},
    {0},
};
