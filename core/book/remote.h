/* remote.h: the bare clone, and what the remote's branch is at. Inside of the process `stanch book` only.
 * Blocking; the deadline is core's, which kills this process. Thread: one.
 */
#ifndef STANCH_BOOK_REMOTE_H
#define STANCH_BOOK_REMOTE_H
#include "base/err.h"
#include <git2.h>

/** Prepare libgit2: strict objects, no configuration from outside, the system's certificates. */
int stanch_remote_init(struct stanch_err *err);
/** Open the bare clone, or make an empty one; removes what a killed fetch left. ret: new (git_repository_free). */
int stanch_remote_open(const char *repo_dir, git_repository **ret, struct stanch_err *err);
/** Ask the remote for its branch and fetch what is missing. ret: the commit the branch is at.
 *  returns 0 | STANCH_E_UNREACHABLE | STANCH_E_NOT_FOUND (no such branch, empty) | STANCH_E_REFUSED (too large) |
 *  STANCH_E_INVALID (the branch's name) */
int stanch_remote_fetch(git_repository *repo, const char *url, const char *branch, git_oid *ret,
                        struct stanch_err *err);
/** returns 0 when `head` is `accepted` or comes after it | STANCH_E_REFUSED not a fast-forward | STANCH_E_CORRUPT */
int stanch_remote_check_follows(git_repository *repo, const git_oid *head, const char *accepted,
                                struct stanch_err *err);
/** Without memory libgit2 ends the process too. Before anything of it is used. returns 0 | an error of libgit2 */
int stanch_remote__use_memory(void);
/** Set `err` to `code` with the formatted text and libgit2's own; credentials are scrubbed. returns code */
int stanch_remote__git_err(struct stanch_err *err, int code, const char *url, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** What is parsed in this process was written by others: limits, no core dump, gone with its parent (book_main.c). */
void stanch_book__harden(void);

#endif
