/* jail.h: what the kernel lets a worker do: memory, CPU, and a dozen system calls.
 * The filter is made once, in the runner; a worker puts it on. Sanitizer builds map terabytes and make calls of
 * their own, so there RLIMIT_AS and the filter are left out, and stderr stays open for their reports.
 * Thread: single threaded processes only.
 */
#ifndef STANCH_SCRIPT_JAIL_H
#define STANCH_SCRIPT_JAIL_H
#include "base/err.h"
#include <stdint.h>
#include <sys/types.h>

#if defined(STANCH_ASAN) || defined(__SANITIZE_THREAD__)
#define STANCH_JAIL_SANITIZED 1
#else
#define STANCH_JAIL_SANITIZED 0
#endif

struct stanch_jail_filter;

/** ret: new. returns 0 | STANCH_E_SYSTEM */
int stanch_jail_filter_new(struct stanch_jail_filter **ret, struct stanch_err *err);
void stanch_jail_filter_free(struct stanch_jail_filter *filter);

struct stanch_jail_limits {
    int64_t memory_bytes; /* beyond what the runner itself has mapped */
    int64_t cpu_ms;
};
/** Lock the calling process in, for good: it dies with `parent`, keeps descriptor `fd` (as 3) and no other.
 *  returns 0 | STANCH_E_SYSTEM; the caller must end then */
int stanch_jail_enter(const struct stanch_jail_filter *filter, const struct stanch_jail_limits *limits, pid_t parent,
                      int fd, struct stanch_err *err);

#endif
