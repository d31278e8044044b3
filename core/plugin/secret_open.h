/* secret_open.h: from a reference in the configuration to a descriptor for the host. The value of a secret in
 * a file is never in core's memory; one from the environment is copied into a memfd. */
#ifndef STANCH_PLUGIN_SECRET_OPEN_H
#define STANCH_PLUGIN_SECRET_OPEN_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>

/** Whether a setting's value is a reference: {"$secret":...}. */
bool stanch_secret_is(const json_t *value);
/** Open it. where: "settings.token", for the text. ret_fd: close-on-exec, to be closed by the caller.
 *  returns 0 | STANCH_E_INVALID (the file is missing or open to others, the variable is not set) |
 * STANCH_E_SYSTEM */
int stanch_secret_open(const json_t *value, const char *where, int *ret_fd, struct stanch_err *err);

#endif
