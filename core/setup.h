/* setup.h: configuration, policy and people file: evaluated by a worker with built-in limits, never here.
 * Thread: loop thread.
 */
#ifndef STANCH_SETUP_H
#define STANCH_SETUP_H
#include "base/loop.h"
#include "script/runner.h"
#include <jansson.h>

struct stanch_setup; /* one evaluation under way */

/** rc 0: result is what the file says; borrowed. err: set when rc < 0 */
typedef void (*stanch_setup_done)(void *ctx, int rc, const struct stanch_err *err, const json_t *result);

/** Evaluate `path` as "config", "policy" or "people"; done is called once, later. Every mistake found is written to stderr, one
 *  a line, with file, line, key path and what was expected. ret: shared handle, valid until done or cancel. returns 0 |
 *  STANCH_E_NOT_FOUND, STANCH_E_SYSTEM the file | STANCH_E_TOO_LARGE | STANCH_E_UNAVAILABLE the runner; done gets
 *  STANCH_E_INVALID for mistakes | STANCH_E_TIMEOUT, ... */
int stanch_setup_begin(struct stanch_runner *runner, const char *kind, const char *path, stanch_setup_done done,
                       void *ctx, struct stanch_setup **ret, struct stanch_err *err);
/** End it; done is not called. NULL is accepted. */
void stanch_setup_cancel(struct stanch_setup *setup);
/** The same before the daemon's loop runs: turns the loop until it is done. ret: new. returns what begin or done would */
int stanch_setup_evaluate(struct stanch_loop *loop, struct stanch_runner *runner, const char *kind, const char *path,
                          json_t **ret, struct stanch_err *err);
/** Where the plugins are: `given` (may be NULL), else what the configuration says, else `../lib/stanch` beside the executable. new */
char *stanch_setup_plugin_dir(const json_t *config, const char *given, const char *exe);
/** The file that a configuration names under `key` ("policy", "people"), beside the configuration when it is relative. new;
 *  NULL: none. */
char *stanch_setup_path(const json_t *config, const char *key, const char *config_path);

#endif
