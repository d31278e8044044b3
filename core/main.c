/* main.c: pick the subcommand. */
#include "base/digest.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

/* Weak while the rooms are being built. */
int stanch_runner_main(void) __attribute__((weak));
int stanch_plugin_host_main(void) __attribute__((weak));
int stanch_book_main(void) __attribute__((weak));
void stanch_kept_main(int argc, char **argv) __attribute__((weak, noreturn));
int stanch_serve_main(int argc, char **argv) __attribute__((weak));
int stanch_offline_main(int argc, char **argv) __attribute__((weak));
int stanch_cli_main(int argc, char **argv) __attribute__((weak));

int main(int argc, char **argv)
{
    stanch_digest_init();
    stanch_log_level_from_env();
    const char *command = argc > 1 ? argv[1] : "";
    if (strcmp(command, "runner") == 0 && stanch_runner_main)
        return stanch_runner_main();
    if (strcmp(command, "plugin-host") == 0 && stanch_plugin_host_main)
        return stanch_plugin_host_main();
    if (strcmp(command, "book") == 0 && argc > 2 && stanch_kept_main)
        stanch_kept_main(argc - 1, argv + 1);
    if (strcmp(command, "book") == 0 && stanch_book_main)
        return stanch_book_main();
    if (strcmp(command, "serve") == 0 && stanch_serve_main)
        return stanch_serve_main(argc - 1, argv + 1);
    if (strcmp(command, "offline") == 0 && stanch_offline_main)
        return stanch_offline_main(argc - 1, argv + 1);
    if (stanch_cli_main)
        return stanch_cli_main(argc, argv);
    (void)fprintf(stderr, "stanch: unknown command \"%s\"\n", command);
    return 2;
}
