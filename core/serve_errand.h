/* serve_errand.h: this executable again, in a process of its own, for work on the store that may block for long:
 * `stanch offline VERB ...`. What it says on stdout and stderr is kept until it ends.
 * Thread: loop thread. on_done is called exactly once, later, unless the errand is freed before.
 */
#ifndef STANCH_SERVE_ERRAND_H
#define STANCH_SERVE_ERRAND_H
#include "base/loop.h"

struct stanch_errand;

/** code: its exit code, or -1 when it was killed at its deadline or died of a signal. said, complained: its stdout and
 *  stderr, borrowed. */
typedef void (*stanch_errand_done)(void *ctx, int code, const char *said, const char *complained);

/** words: NULL-ended, after the executable; at most 20. pass_fd: becomes descriptor 3, or -1; closed here, also on
 *  error. ret: new; gone by itself after on_done. returns 0 | STANCH_E_SYSTEM */
int stanch_errand_start(struct stanch_loop *loop, const char *exe, const char *const *words, int pass_fd,
                        int64_t deadline_ms, stanch_errand_done on_done, void *ctx, struct stanch_errand **ret,
                        struct stanch_err *err);
/** Kill it and tell nobody. Accepts NULL. */
void stanch_errand_free(struct stanch_errand *errand);

#endif
