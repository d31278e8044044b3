/* core_times.c: times and durations as people and senders write them: what is understood is written and understood again. */
#include "base/times.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    int64_t ms = 0, again = 0;
    char text[32];
    char *given = fuzz_rest(&input, NULL);
    if (stanch_duration_parse(given, &ms, &err) == 0) {
        FUZZ_EXPECT(ms >= 0 && ms <= (int64_t)3660 * 86400 * 1000);
        stanch_duration_text(ms, text);
        FUZZ_EXPECT(stanch_duration_parse(text, &again, &err) == 0 && again == ms);
    } else {
        FUZZ_EXPECT(err.text[0]);
    }
    if (stanch_time_parse(given, &ms, &err) == 0) {
        stanch_time_text(ms, text);
        FUZZ_EXPECT(strlen(text) < sizeof text);
        if (ms >= 0 && ms < 253402300800000) /* up to the year 9999 */
            FUZZ_EXPECT(stanch_time_parse(text, &again, &err) == 0 && again == ms);
    }
    free(given);
    return 0;
}
