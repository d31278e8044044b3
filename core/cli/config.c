/* config.c: config check. The daemon's own door does it, so that both read a file the same way. */
#include "cli/room.h"
#include "base/mem.h"

static int run_check(struct stanch_cli *cli)
{
    char serve[] = "serve", check[] = "--check", config[] = "--config";
    STANCH_AUTO_FREE char *file = stanch_strdup(cli->args[0]);
    char *argv[] = {serve, check, config, file, NULL};
    return stanch_cli__run_self(cli, argv, NULL);
}

const struct stanch_cli__command stanch_cli__config_commands[] = {
    {"config", "check", "FILE", 1, 1, "", "check a configuration without starting", run_check},
    {0},
};
