/* times.h: times and durations as people write them.
 * Wall times are int64 milliseconds since 1970 UTC. Source: RFC 3339. Thread: any.
 */
#ifndef STANCH_BASE_TIMES_H
#define STANCH_BASE_TIMES_H
#include "base/err.h"
#include <stdint.h>

/** "250ms", "15s", "10m", "2h", "7d", "1h30m". Nothing negative, no bare numbers, 10 years at most.
 *  returns 0 | STANCH_E_INVALID */
int stanch_duration_parse(const char *text, int64_t *ret_ms, struct stanch_err *err);
/** "1h30m", "45s", "0s". ret: at least 32 bytes. */
void stanch_duration_text(int64_t ms, char ret[32]);
/** RFC 3339 with any offset and any fraction (cut to milliseconds). "0001-01-01T00:00:00Z" gives a large
 *  negative number; callers that mean "not ended" test for < 0.  returns 0 | STANCH_E_INVALID */
int stanch_time_parse(const char *text, int64_t *ret_ms, struct stanch_err *err);
/** "90d": so long before `now_ms`; or a time. returns 0 | STANCH_E_INVALID */
int stanch_time_parse_ago(const char *text, int64_t now_ms, int64_t *ret_ms, struct stanch_err *err);
/** "2026-11-21T02:02:42.123Z". ret: at least 32 bytes. */
void stanch_time_text(int64_t at_ms, char ret[32]);
/** Now, on the machine's clocks. Only for code outside of the engine (the engine asks its loop). */
int64_t stanch_wall_now_ms(void);
int64_t stanch_mono_now_ms(void);

#endif
