/* glob.h: globs, the plainer one of the two ways in which rules name texts (base/pattern.h has the other). Inside rule/ only.
 * Thread: any.
 */
#ifndef STANCH_RULE_GLOB_H
#define STANCH_RULE_GLOB_H
#include <stdbool.h>
#include <stddef.h>

/** `*` stands for any run of characters, `?` for one; all others for themselves. Time is at most the product of
 *  both lengths. */
bool stanch_glob_matches(const char *glob, const char *text);

/** Copy text, cut to `size` bytes at the border of a character, with "..." where it was cut. */
void stanch_rule__clip(const char *text, char *ret, size_t size);

#endif
