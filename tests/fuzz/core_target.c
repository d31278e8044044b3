/* core_target.c: the request target of HTTP: path and query. No control character, and no slash that was not one, comes
 * out of it. */
#include "http/exchange.h"
#include "base/json.h"
#include "fuzz.h"
#include <stdlib.h>
#include <string.h>

static void check_text(const char *text)
{
    json_t *probe = json_string(text);
    FUZZ_EXPECT(probe);
    json_decref(probe);
    for (; *text; text++)
        FUZZ_EXPECT((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static size_t count_slashes(const char *text, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += text[i] == '/';
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_http_request request = {.target = fuzz_rest(&input, NULL)};
    struct stanch_http__refusal refusal = {0};
    const char *name;
    json_t *value;
    if (stanch_http__split_target(&request, &refusal) == 0) {
        FUZZ_EXPECT(request.path[0] == '/');
        check_text(request.path);
        FUZZ_EXPECT(count_slashes(request.path, strlen(request.path)) ==
                    count_slashes(request.target, strcspn(request.target, "?")));
        json_object_foreach(request.query, name, value)
        {
            check_text(name);
            check_text(json_string_value(value));
        }
    } else {
        json_t *problem = stanch_http__problem(refusal.status, refusal.word, refusal.detail, refusal.where);
        FUZZ_EXPECT(refusal.status == 400 && problem);
        json_decref(problem);
    }
    free(request.target);
    free(request.path);
    free(request.raw_query);
    json_decref(request.query);
    return 0;
}
