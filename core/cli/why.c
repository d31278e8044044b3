/* why.c: why EVENT: which runbooks were considered for an event, and what became of each. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

static void say_rows(const struct stanch_cli *cli, const json_t *rows, const char *heads, const char *members)
{
    struct stanch_cli__table *table = stanch_cli__table_new(heads);
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        STANCH_AUTO_JSON json_t *shown = json_copy(row);
        if (!json_object_get(row, "why") && json_object_get(row, "autonomy"))
            json_object_set(shown, "why", json_object_get(row, "autonomy"));
        stanch_cli__table_row(table, shown, members);
    }
    stanch_cli__table_print(cli, table, "no runbook was there to be considered");
}

static void say_now(const struct stanch_cli *cli, const json_t *now)
{
    STANCH_AUTO_FREE char *commit = stanch_cli__one_line(json_object_get(now, "commit"));
    int64_t since_ms = stanch_json_int(now, "accepted_ms", 0);
    char since[32];
    stanch_time_text(since_ms, since);
    stanch_cli__say(
        cli,
        "\nBy the triggers of commit %.12s%s%s, which is in use now, as if it came now as it came then (limits, "
        "stops and storms are not asked):\n",
        commit, since_ms ? ", accepted " : "", since_ms ? since : "");
    say_rows(cli, json_object_get(now, "considered"), "RUNBOOK OUTCOME BECAUSE", "runbook outcome why");
}

static int run_why(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/events/%s/why", cli->args[0]);
    STANCH_AUTO_JSON json_t *told = NULL;
    int rc = stanch_cli__get(cli, path, &told);
    if (rc != 0 || stanch_cli__said_json(cli, told))
        return rc;
    STANCH_AUTO_FREE char *says = stanch_cli__one_line(json_object_get(told, "says"));
    stanch_cli__show(cli, told, "event name state source received incident count");
    stanch_cli__say(cli, "\n%s\n", says);
    say_rows(cli, json_object_get(told, "considered"), "RUNBOOK OUTCOME RUN NOW BECAUSE",
             "runbook outcome run run_state why");
    if (json_object_get(told, "now"))
        say_now(cli, json_object_get(told, "now"));
    return 0;
}

const struct stanch_cli__command stanch_cli__why_commands[] = {
    {"why", NULL, "EVENT", 1, 1, "", "which runbooks were considered for an event, and why each did not start",
     run_why},
    {0},
};
