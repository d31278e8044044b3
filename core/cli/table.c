/* table.c: all commands in the order of help, and help itself. */
#include "cli/room.h"
#include <string.h>

static const struct stanch_cli__command *const nouns[] = {
    stanch_cli__event_commands,      stanch_cli__why_commands,
    stanch_cli__source_commands,     stanch_cli__change_commands,
    stanch_cli__incident_commands,   stanch_cli__run_commands,
    stanch_cli__approval_commands,   stanch_cli__mitigation_commands,
    stanch_cli__runbook_commands,    stanch_cli__plan_commands,
    stanch_cli__test_commands,       stanch_cli__record_commands,
    stanch_cli__backtest_commands,   stanch_cli__drill_commands,
    stanch_cli__gameday_commands,    stanch_cli__timeline_commands,
    stanch_cli__plugin_commands,     stanch_cli__switch_commands,
    stanch_cli__config_commands,     stanch_cli__hold_commands,
    stanch_cli__policy_commands,     stanch_cli__people_commands,
    stanch_cli__breaker_commands,    stanch_cli__store_commands,
    stanch_cli__completion_commands, NULL,
};

const struct stanch_cli__command *stanch_cli__command_at(int step)
{
    for (const struct stanch_cli__command *const *noun = nouns; *noun; noun++)
        for (const struct stanch_cli__command *row = *noun; row->noun; row++)
            if (step-- == 0)
                return row;
    return NULL;
}

static void write_row(const struct stanch_cli__command *row, FILE *out)
{
    char line[200];
    (void)snprintf(line, sizeof line, "%s%s%s%s%s", row->noun, row->verb ? " " : "", row->verb ? row->verb : "",
                   *row->args ? " " : "", row->args);
    (void)fprintf(out, "  %-38s %s\n", line, row->help);
}

static void write_options(const struct stanch_cli__command *row, FILE *out)
{
    const char *at = row->options;
    while (*at) {
        size_t len = strcspn(at, " ");
        (void)fprintf(out, "%s--%.*s", at == row->options ? "  takes " : ", ", (int)len, at);
        at += len + strspn(at + len, " ");
    }
    if (*row->options)
        (void)fputc('\n', out);
}

static void write_foot(FILE *out)
{
    (void)fputs("\nEvery command takes --json, --socket PATH (or STANCH_SOCKET; " STANCH_CLI__SOCKET
                ") or --server URL\n"
                "(with STANCH_TOKEN), and --drill: the drill that is under way, and not what is real. Colour only on a "
                "terminal, and never with NO_COLOR.\n"
                "Exit codes: 0 done, 1 internal or system, 2 wrong input, 3 refused by policy, limit or a runbook, 4 "
                "not allowed,\n"
                "5 no such thing, 6 the state moved on, 7 try again later or not reachable, 8 the journal or its disk, "
                "9 corrupt.\n",
                out);
}

void stanch_cli__write_help(const struct stanch_cli *cli, FILE *out)
{
    const char *only = cli->command ? cli->command->noun : cli->arg_count ? cli->args[0] : NULL;
    const struct stanch_cli__command *row;
    (void)fputs(only ? ""
                     : "stanch: to stop the bleeding.\n\n  serve --config FILE                    "
                       "run the daemon\n",
                out);
    for (int i = 0; (row = stanch_cli__command_at(i)); i++) {
        if (only && strcmp(row->noun, only) != 0)
            continue;
        if (cli->command && cli->command->verb && row != cli->command)
            continue;
        write_row(row, out);
        if (only)
            write_options(row, out);
    }
    write_foot(out);
}
