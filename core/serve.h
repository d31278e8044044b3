/* serve.h: the daemon: `stanch serve --config FILE`, and `stanch serve --check` for `stanch config check`.
 * Puts the rooms together in the order of the layers, and takes them apart in reverse.
 */
#ifndef STANCH_SERVE_H
#define STANCH_SERVE_H

/** argv[0] is "serve". returns the exit code: 0 after SIGTERM; base/err.def for what kept it from starting;
 *  STANCH_EXIT_STORE when the journal could not commit. */
int stanch_serve_main(int argc, char **argv);

#endif
