/* core_names.c: names of files in a repository of runbooks, foreign texts from git, and URLs with credentials in them. Input:
 * a URL on the first line, then any text. */
#include "book/names.h"
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_bytes input = {data, size};
    struct stanch_err err = {0};
    char *url = fuzz_line(&input), *text = fuzz_rest(&input, NULL);
    if (stanch_names_check_path(text, &err) == 0)
        FUZZ_EXPECT(text[0] && text[0] != '/' && !strstr(text, "//") && strcmp(text, "..") != 0 &&
                    strncmp(text, "../", 3) != 0 && !strstr(text, "/../") && !strchr(text, '\\'));
    else
        FUZZ_EXPECT(err.code == STANCH_E_REFUSED && err.text[0]);
    if (stanch_names_check(text, &err) == 0)
        FUZZ_EXPECT(!strchr(text, '/') && strcmp(text, ".") != 0 && strcmp(text, "..") != 0);
    char *clean = stanch_names_clean_text(text);
    json_t *probe = json_string(clean);
    FUZZ_EXPECT(probe);
    for (const char *c = clean; *c; c++)
        FUZZ_EXPECT((unsigned char)*c >= 0x20 && *c != 0x7f);
    size_t before = strlen(text);
    stanch_names_scrub(text, url);
    FUZZ_EXPECT(strlen(text) <= before);
    json_decref(probe);
    free(clean);
    free(text);
    free(url);
    return 0;
}
