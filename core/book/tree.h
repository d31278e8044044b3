/* tree.h: the checked files of one commit, read without a checkout. Inside of the process `stanch book` only.
 * Refuses the commit whole at the first thing that a repository of runbooks may not hold (PROMISES.md D11).
 */
#ifndef STANCH_BOOK_TREE_H
#define STANCH_BOOK_TREE_H
#include "base/buf.h"
#include "base/err.h"
#include <git2.h>
#include <jansson.h>

struct stanch_tree {
    json_t *files;           /* [{"path","len"}] of the *.lua files, in order of path */
    struct stanch_buf bytes; /* their contents, one behind the other, in that order */
    size_t other_files;
    size_t all_files;
    size_t all_bytes; /* of all files, by what git says of their sizes */
};

/** Read `folder` ("" or "a/b") of the commit. ret: zeroed; release with stanch_tree_done, also after an error.
 *  returns 0 | STANCH_E_REFUSED (a rule; the text names the file) | STANCH_E_NOT_FOUND (no such folder) |
 *  STANCH_E_CORRUPT (objects that do not verify) */
int stanch_tree_read(git_commit *commit, const char *folder, struct stanch_tree *ret, struct stanch_err *err);
/** The same, and its head: {"t":"candidate",...} of book_main.c, with what people wrote in the commit as clean text. ret_head: new.
 *  returns as stanch_tree_read */
int stanch_tree_candidate(git_commit *commit, const char *folder, struct stanch_tree *ret, json_t **ret_head,
                          struct stanch_err *err);
void stanch_tree_done(struct stanch_tree *tree);

#endif
