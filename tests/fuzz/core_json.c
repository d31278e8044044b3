/* core_json.c: JSON at the door. What is accepted has one canonical form, which is accepted again and stays as it is; and
 * two texts with one canonical form are one value. */
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

static void check_canonical(const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf first = {0}, second = {0};
    STANCH_AUTO_JSON json_t *again = NULL;
    struct stanch_err err = {0};
    if (stanch_json_canonical(value, &first, &err) < 0) {
        FUZZ_EXPECT(err.code == STANCH_E_INVALID && err.text[0]);
        return;
    }
    FUZZ_EXPECT(stanch_json_parse(first.data, first.len, &stanch_json_own_limits, &again, &err) == 0);
    FUZZ_EXPECT(stanch_json_canonical(again, &second, &err) == 0);
    FUZZ_EXPECT(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
}

static void check_write(const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_JSON json_t *again = NULL;
    stanch_json_write(value, &text);
    FUZZ_EXPECT(stanch_json_parse(text.data, text.len, &stanch_json_own_limits, &again, NULL) == 0);
    FUZZ_EXPECT(json_equal(value, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STANCH_AUTO_JSON json_t *value = NULL;
    struct stanch_err err = {0};
    int rc = stanch_json_parse((const char *)data, size, &stanch_json_door_limits, &value, &err);
    FUZZ_EXPECT((rc == 0) == (value != NULL));
    if (rc < 0) {
        FUZZ_EXPECT(rc == err.code && err.text[0]);
        return 0;
    }
    check_canonical(value);
    check_write(value);
    return 0;
}
