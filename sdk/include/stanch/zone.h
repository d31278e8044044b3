/* zone.h: the system's time zones: what a clock on the wall shows, and when it is moved.
 * Source: /usr/share/zoneinfo (TZif, RFC 8536; package tzdata). Stands alone: nothing of a plugin, no libc time zone, no
 * global state, so core reads zones with it too.
 *
 * Two clocks. `civil` is what a clock on the wall shows, as seconds since 1970-01-01T00:00:00 on that clock; `utc` are
 * seconds since 1970. A clock (sdk_clock) makes one of the other, until 2200.   Thread: any.
 */
#ifndef STANCH_ZONE_H
#define STANCH_ZONE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sdk_clock_change { /* the clock is moved */
    int64_t utc;
    int64_t before_s, after_s; /* offsets from UTC */
};
/* All zero: a clock that shows UTC. */
struct sdk_clock {
    struct sdk_clock_change *changes; /* sorted by utc */
    size_t count;
};

/** The system's zone of that name ("Europe/Berlin"); a name that leads elsewhere is none. ret: for sdk_clock_done.
 *  returns false: there is none that can be read, ret is as it was */
bool sdk_clock_of_system(const char *name, struct sdk_clock *ret);
/** One more change, at the end; who adds sorts. The process ends when there is no memory. */
void sdk_clock_add(struct sdk_clock *clock, int64_t utc, int64_t before_s, int64_t after_s);
void sdk_clock_sort(struct sdk_clock *clock);
/** Accepts what is all zero. */
void sdk_clock_done(struct sdk_clock *clock);
/** A clock time that is skipped is taken with the offset before; one that comes twice is the first (RFC 5545, 3.3.5). */
int64_t sdk_clock_utc(const struct sdk_clock *clock, int64_t civil);
int64_t sdk_clock_civil(const struct sdk_clock *clock, int64_t utc);

/** The seconds of that date and time; months from 1. Nothing is checked. */
int64_t sdk_civil(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute, int64_t second);

#endif
