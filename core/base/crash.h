/* crash.h: places where a test kills the process, as kill -9 would.
 * Compiled in by -DSTANCH_CRASH_POINTS=ON (build kinds dev, asan, tsan; never release). The environment
 * variable STANCH_CRASH="name" or "name:3" (the third time) chooses one; "name:3:50" is a kill 50 ms after that thread
 * came there, while the others go on: what they let out too early is out. STANCH_CRASH_LOG=FILE lists the points that
 * were passed, one name a line.
 */
#ifndef STANCH_BASE_CRASH_H
#define STANCH_BASE_CRASH_H

#ifdef STANCH_CRASH_POINTS
void stanch_crash_point(const char *name);
#else
#define stanch_crash_point(name) ((void)0)
#endif

#endif
