/* names.h: which names of files a repository of runbooks may have. Pure: no git, no I/O; asked on both sides of the
 * channel, so that core does not depend on what the process that parsed a hostile repository says.
 */
#ifndef STANCH_BOOK_NAMES_H
#define STANCH_BOOK_NAMES_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

#define STANCH_BOOK_MAX_FILES      1000u
#define STANCH_BOOK_MAX_LUA_BYTES  (128u << 10)
#define STANCH_BOOK_MAX_BYTES      (16u << 20)
#define STANCH_BOOK_MAX_DEPTH      16
#define STANCH_BOOK_MAX_PATH_BYTES 512u

/** One part of a path. returns 0 | STANCH_E_REFUSED: empty, "..", ".git", a slash, a backslash, a control character,
 *  not UTF-8, over 255 bytes */
int stanch_names_check(const char *name, struct stanch_err *err);
/** A whole relative path of such parts. returns 0 | STANCH_E_REFUSED */
int stanch_names_check_path(const char *path, struct stanch_err *err);
bool stanch_names_is_lua(const char *path);
/** Two names that differ in the case of ASCII letters only, or not at all: a file system may take them for one.
 *  names: sorted in place. returns the position of the first of a clashing pair, or -1 */
int stanch_names_find_clash(const char **names, size_t count);
/** Copy foreign text as valid UTF-8 without control characters; what is neither becomes '?'. new. */
char *stanch_names_clean_text(const char *text);
/** Take credentials out of a text, in place: the user part of every URL in it, and wherever else it stands the
 *  password of `url`. May shorten, never lengthens. */
void stanch_names_scrub(char *text, const char *url);

#endif
