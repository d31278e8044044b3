/* setup.h: configuration and policy, evaluated before core starts: by a worker with built-in limits, never
 * here. Thread: loop thread; these turn the loop until they are done.
 */
#ifndef STANCH_SETUP_H
#define STANCH_SETUP_H
#include "base/loop.h"
#include "script/runner.h"
#include <jansson.h>

/** Evaluate `path` as "config", "policy" or "people". errors: every mistake found is written to stderr, one a line,
 * with file, line, key path and what was expected. ret: new. returns 0 | STANCH_E_INVALID |
 * STANCH_E_NOT_FOUND | STANCH_E_TIMEOUT, ... */
int stanch_setup_evaluate(struct stanch_loop *loop, struct stanch_runner *runner, const char *kind, const char *path,
                          json_t **ret, struct stanch_err *err);
/** The file that a configuration names under `key` ("policy", "people"), beside the configuration when it is relative. new;
 *  NULL: none. */
char *stanch_setup_path(const json_t *config, const char *key, const char *config_path);

#endif
