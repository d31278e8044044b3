/* hostlock.h: a lock that core and all of its plugin hosts hold together (PROMISES.md 1.13).
 *
 * Core takes an exclusive flock; every host inherits the very open file description, so the lock is free only
 * when core and the last host are gone, however they ended. The file's content names their process ids, so
 * that a new core can end what an earlier one left behind.
 */
#ifndef STANCH_PLUGIN_HOSTLOCK_H
#define STANCH_PLUGIN_HOSTLOCK_H
#include "base/err.h"

/** Take the lock; ends the hosts of an earlier core that is gone. Blocks, at most wait_ms. ret_fd: to be
 * inherited by hosts; close it to let go. returns 0 | STANCH_E_TIMEOUT (names who holds it) | STANCH_E_SYSTEM
 */
int stanch_hostlock_take(const char *path, int wait_ms, int *ret_fd, struct stanch_err *err);
/** Write down who is there now. */
void stanch_hostlock_note(int fd, const int *host_pids, int count);

#endif
