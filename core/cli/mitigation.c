/* mitigation.c: mitigations and undo: what is in force, and the way back, by stanch or by hand. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define HEADS   "ID STATE INCIDENT INSTANCE ACTION TARGETS LEASE UNDO-BY-HAND"
#define MEMBERS "id state incident instance action targets lease_ends^ undo_by_hand"
/* with the daemon dead: also who answers for it */
#define OFFLINE_HEADS   "ID STATE INCIDENT INSTANCE ACTION TARGETS LEASE OWNER UNDO-BY-HAND"
#define OFFLINE_MEMBERS "id state incident instance action targets lease_ends^ owner undo_by_hand"

static void show_table(const struct stanch_cli *cli, const json_t *items, bool all)
{
    struct stanch_cli__table *table = stanch_cli__table_new(OFFLINE_HEADS);
    json_t *item;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)items, i, item) stanch_cli__table_row(table, item, OFFLINE_MEMBERS);
    stanch_cli__table_print(cli, table, all ? "no mitigations" : "no mitigation is in force");
}

static int read_offline(struct stanch_cli *cli, const char *dir, json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char offline[] = "offline", noun[] = "mitigations", store[] = "--store", open[] = "--open";
    STANCH_AUTO_FREE char *dir_copy = stanch_strdup(dir);
    char *argv[] = {offline, noun, store, dir_copy, stanch_cli__flag(cli, STANCH_CLI__ALL) ? NULL : open, NULL};
    int rc = stanch_cli__run_self(cli, argv, &text);
    return rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, &cli->err);
}

static int run_list(struct stanch_cli *cli)
{
    const char *dir = stanch_cli__value(cli, STANCH_CLI__OFFLINE);
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    STANCH_AUTO_JSON json_t *items = NULL;
    if (!dir)
        return stanch_cli__list(cli, all ? "/v1/mitigations?open=all" : "/v1/mitigations", HEADS, MEMBERS,
                                all ? "no mitigations" : "no mitigation is in force");
    int rc = read_offline(cli, dir, &items);
    if (rc == 0 && !stanch_cli__said_json(cli, items))
        show_table(cli, items, all);
    return rc;
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/mitigations/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__get(cli, path, &doc);
    return rc ? rc
              : stanch_cli__show(cli, doc,
                                 "id state incident run instance action targets from to because "
                                 "lease_ends by_hand undo_by_hand why");
}

static int run_undo(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/mitigations/%s/undo", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *doc = NULL;
    stanch_json_set_str(body, "reason", stanch_cli__value(cli, STANCH_CLI__REASON));
    int rc = stanch_cli__send(cli, "POST", path, body, &doc);
    if (rc != 0)
        return rc;
    stanch_cli__show(cli, doc, "id state targets why");
    const char *state = stanch_json_str(doc, "state", "");
    if (strcmp(state, "undone") != 0)
        return stanch_err_set(&cli->err, STANCH_E_REMOTE, "%s is %s, not undone; by hand: %s", cli->args[0], state,
                              stanch_json_str(doc, "undo_by_hand", "the plugin knows no command"));
    return 0;
}

static int move_end(struct stanch_cli *cli, const char *path, json_t *body)
{
    STANCH_AUTO_JSON json_t *doc = NULL;
    stanch_json_set_str(body, "reason", stanch_cli__because(cli));
    int rc = stanch_cli__send(cli, "POST", path, body, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "id state targets lease_ends");
}

static int run_extend(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/mitigations/%s/extend", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    int rc = stanch_cli__set_for(cli, body);
    if (rc == 0 && !json_object_get(body, "for_ms"))
        rc = stanch_err_set(&cli->err, STANCH_E_INVALID, "say for how long: --for 1h (or `stanch keep %s`)",
                            cli->args[0]);
    return rc ? rc : move_end(cli, path, body);
}

static int run_keep(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/mitigations/%s/keep", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    return move_end(cli, path, body);
}

const struct stanch_cli__command stanch_cli__mitigation_commands[] = {
    {"mitigations", NULL, "", 0, 0, "all limit offline", "what is in force, and how to undo it", run_list},
    {"mitigations", "show", "ID", 1, 1, "", "one mitigation", run_show},
    {"undo", NULL, "ID", 1, 1, "reason", "take it back", run_undo},
    {"extend", NULL, "ID", 1, 1, "for because reason", "let it go on: its lease ends so long from now on", run_extend},
    {"keep", NULL, "ID", 1, 1, "because reason", "keep it: it has no end any more", run_keep},
    {0},
};
