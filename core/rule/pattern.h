/* pattern.h: regular expressions and globs, the two ways in which rules name texts. Inside rule/ only.
 * Regular expressions are PCRE2, anchored at both ends, with limits: one that backtracks without end is an answer
 * ("limit"), never a hang. Thread: any, one at a time per object.
 */
#ifndef STANCH_RULE_PATTERN_H
#define STANCH_RULE_PATTERN_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

struct stanch_pattern;

/** ret: new. returns 0 | STANCH_E_INVALID (text: what is wrong at which character) */
int stanch_pattern_new(const char *expression, struct stanch_pattern **ret, struct stanch_err *err);
/** Accepts NULL. */
void stanch_pattern_free(struct stanch_pattern *pattern);
/** returns 1 matches | 0 does not | STANCH_E_TIMEOUT a limit was hit before there was an answer |
 *  STANCH_E_INVALID the text is not UTF-8 */
int stanch_pattern_matches(const struct stanch_pattern *pattern, const char *text);

/** `*` stands for any run of characters, `?` for one; all others for themselves. Time is at most the product of
 *  both lengths. */
bool stanch_glob_matches(const char *glob, const char *text);

/** Copy text, cut to `size` bytes at the border of a character, with "..." where it was cut. */
void stanch_rule__clip(const char *text, char *ret, size_t size);

#endif
