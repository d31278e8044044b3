/* pattern.h: regular expressions, PCRE2's (pcre2pattern(3)), with limits: one that backtracks without end is an answer, never
 * a hang. Not the C library's (regex(3)): its regexec takes a lack of memory for a text that does not match.
 * Thread: any, one at a time per object.
 */
#ifndef STANCH_BASE_PATTERN_H
#define STANCH_BASE_PATTERN_H
#include "base/err.h"

struct stanch_pattern;
enum stanch_pattern_at {
    STANCH_PATTERN_WHOLE,    /* the text as a whole must match */
    STANCH_PATTERN_SOMEWHERE /* a part of it, unless the expression anchors itself */
};

/** ret: new. returns 0 | STANCH_E_INVALID (text: what is wrong at which character) */
int stanch_pattern_new(const char *expression, enum stanch_pattern_at where, struct stanch_pattern **ret,
                       struct stanch_err *err);
/** Accepts NULL. */
void stanch_pattern_free(struct stanch_pattern *pattern);
/** returns 1 matches | 0 does not | STANCH_E_TIMEOUT a limit was hit before there was an answer |
 *  STANCH_E_INVALID the text is not UTF-8 */
int stanch_pattern_matches(const struct stanch_pattern *pattern, const char *text);

#endif
