/* effects_break.h: ways in which a plugin breaks its own host; none of them comes back, but for those that say so. */
#ifndef STANCH_TEST_EFFECTS_BREAK_H
#define STANCH_TEST_EFFECTS_BREAK_H
#include <stdint.h>

/** what      segv         SIGSEGV                          exit    _exit(0) in the middle of a frame
 *            stop         SIGSTOP to itself                close   closes the channel and lives on
 *            drip MS      a byte of a frame every MS       hang    the host's thread blocks
 *            fork         forks without end, then blocks   threads starts threads without end, then blocks
 *            outlive      takes its death with core off, and blocks until the file PATH.go is there (it makes
 *                         PATH.ready first); comes back
 *            outlive-child  the same in a child (where the host may fork at all), and the host blocks
 *  anything else: comes back at once. path: the behaviour file */
void effects_break(const char *what, int64_t number, const char *path);

#endif
