/* glob.c: globs, and texts cut to a length. */
#include "rule/glob.h"
#include <string.h>

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

static const char *next_character(const char *text)
{
    text++;
    while (is_continuation(*text))
        text++;
    return text;
}

bool stanch_glob_matches(const char *glob, const char *text)
{
    const char *star = NULL, *tried = NULL; /* the last `*`, and the text that it has not swallowed yet */
    while (*text) {
        if (*glob == '*') {
            star = glob++;
            tried = text;
        } else if (*glob == '?') {
            glob++;
            text = next_character(text);
        } else if (*glob == *text) {
            glob++;
            text++;
        } else if (star) {
            glob = star + 1;
            text = tried = next_character(tried);
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == 0;
}

void stanch_rule__clip(const char *text, char *ret, size_t size)
{
    size_t len = strlen(text);
    if (len < size) {
        memcpy(ret, text, len + 1);
        return;
    }
    len = size - 4;
    while (len > 0 && is_continuation(text[len]))
        len--;
    memcpy(ret, text, len);
    memcpy(ret + len, "...", 4);
}
