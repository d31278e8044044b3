/* core_scrub.c: secrets in what leaves a process. Input: a secret on the first line, another one on the second, then any
 * text. No secret of four bytes or more stands in what comes out. */
#include "plugin/scrub.h"
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

static void check(const struct stanch_scrub *scrub, const char *text, size_t len, const char *secret)
{
    char *clean = stanch_scrub_text(scrub, text, len);
    /* what stands for a secret may itself spell one: a secret that is a piece of "[secret]" */
    if (strlen(secret) >= STANCH_SCRUB_MIN && !strstr("[secret][secret][secret]", secret) && !strpbrk(secret, "[]"))
        FUZZ_EXPECT(!strstr(clean, secret));
    free(clean);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    size_t len = 0;
    char *first = fuzz_line(&input), *second = fuzz_line(&input), *text = fuzz_rest(&input, &len);
    struct stanch_scrub *scrub = stanch_scrub_new();
    stanch_scrub_add(scrub, first, strlen(first));
    stanch_scrub_add(scrub, second, strlen(second));
    check(scrub, text, len, first);
    check(scrub, text, len, second);
    json_t *value = NULL;
    if (stanch_json_parse(text, len, &stanch_json_own_limits, &value, NULL) == 0) {
        json_t *clean = stanch_scrub_json(scrub, value);
        FUZZ_EXPECT(clean);
        json_decref(clean);
    }
    json_decref(value);
    stanch_scrub_free(scrub);
    free(first);
    free(second);
    free(text);
    return 0;
}
