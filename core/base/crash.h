/* crash.h: places where a test kills the process, as kill -9 would.
 * Compiled in by -DSTANCH_CRASH_POINTS=ON (build kinds dev, asan, tsan; never release). The environment
 * variable STANCH_CRASH="name" or "name:3" (the third time) chooses one; "name:3:50" is a kill 50 ms after that thread
 * came there, while the others go on: what they let out too early is out. STANCH_CRASH_LOG=FILE lists the points that
 * were passed, one name a line. STANCH_SLOW="name:20" makes that thread sleep 20 ms each time: a slow disk.
 */
#ifndef STANCH_BASE_CRASH_H
#define STANCH_BASE_CRASH_H

#include <stddef.h>

#ifdef STANCH_CRASH_POINTS
void stanch_crash_point(const char *name);

/** A kill in the middle of a write: when it is this one's turn, half of the bytes leave, and the process is dead. */
void stanch_crash_torn(const char *name, int fd, const void *bytes, size_t len);
#else
#define stanch_crash_torn(name, fd, bytes, len) ((void)(fd), (void)(bytes), (void)(len))
#define stanch_crash_point(name)                ((void)0)
#endif

#endif
