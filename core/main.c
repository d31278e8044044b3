/* main.c: pick the subcommand. */
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "book/book.h"
#include "book/kept.h"
#include "cli/cli.h"
#include "offline.h"
#include "plugin/plugin.h"
#include "script/runner.h"
#include "serve.h"
#include "serve_rehearse.h"
#include <string.h>

int main(int argc, char **argv)
{
    stanch_mem_init();
    stanch_digest_init();
    stanch_log_level_from_env();
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "runner") == 0)
        return stanch_runner_main();
    if (strcmp(command, "plugin-host") == 0)
        return stanch_plugin_host_main();
    if (strcmp(command, "plugin-launch") == 0)
        return stanch_plugin_launch_main();
    if (strcmp(command, "book") == 0 && argc > 2)
        stanch_kept_main(argc - 1, argv + 1);
    if (strcmp(command, "book") == 0)
        return stanch_book_main();
    if (strcmp(command, "serve") == 0)
        return stanch_serve_main(argc - 1, argv + 1);
    if (strcmp(command, "offline") == 0)
        return stanch_offline_main(argc - 1, argv + 1);
    if (strcmp(command, "rehearse") == 0)
        return stanch_rehearse_main(argc - 1, argv + 1);
    return stanch_cli_main(argc, argv);
}
