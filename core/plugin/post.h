/* post.h: one POST of JSON to an address that the operator's configuration names, for what core keeps elsewhere
 * (checkpoints). Blocking, so only in a process of its own; core itself speaks no HTTP to the outside.
 */
#ifndef STANCH_PLUGIN_POST_H
#define STANCH_PLUGIN_POST_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/** token_fd: the bearer token is read from it; -1: none. No redirect is followed; any 2xx answer is good.
 *  returns 0 | STANCH_E_UNREACHABLE | STANCH_E_REMOTE another status | STANCH_E_TIMEOUT | STANCH_E_INVALID */
int stanch_post_json(const char *url, int token_fd, const char *body, size_t len, int64_t deadline_ms,
                     struct stanch_err *err);

#endif
