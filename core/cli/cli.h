/* cli.h: the command line: every word but those of the daemon and its processes. A client of the API.
 */
#ifndef STANCH_CLI_CLI_H
#define STANCH_CLI_CLI_H

/** argv[0] is the program. returns the exit code (README.md) */
int stanch_cli_main(int argc, char **argv);

#endif
