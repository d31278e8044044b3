/* scan.h: the words of a Lua file, without running it: comments are passed over as Lua does, texts are one token each.
 * Reads any bytes. Inside script/ only. Thread: any.
 */
#ifndef STANCH_SCRIPT_SCAN_H
#define STANCH_SCRIPT_SCAN_H
#include <stdbool.h>
#include <stddef.h>

struct stanch_scan {
    const char *at, *end;
};
enum stanch_token_kind {
    STANCH_TOKEN_END,
    STANCH_TOKEN_WORD, /* a name, a keyword or a number */
    STANCH_TOKEN_TEXT, /* what stands between the quotes, escapes as they are written */
    STANCH_TOKEN_SIGN, /* one character; "..", "..." and "::" are one */
};
struct stanch_token {
    enum stanch_token_kind kind;
    const char *from; /* borrowed from the file */
    size_t len;
    bool is_long; /* a text in [[ ]] */
};

/** ret: what comes next. returns false at the end */
bool stanch_scan__next(struct stanch_scan *scan, struct stanch_token *ret);
bool stanch_scan__is(const struct stanch_token *token, const char *text); /* a word or a sign, not a text */

#endif
