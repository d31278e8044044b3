/* kept.h: signed checkpoints of the timeline in a git repository elsewhere: one file a store, one commit a checkpoint,
 * under refs/stanch/checkpoints, pushed. Inside of a process `stanch book` only, like all that reads git.
 *
 *   stanch book keep REPO CLONE STORE   a checkpoint on stdin --> commit on what the remote has --> push
 *   stanch book kept REPO               the checkpoints that the remote has now, on stdout, one a line
 */
#ifndef STANCH_BOOK_KEPT_H
#define STANCH_BOOK_KEPT_H
#include "base/buf.h"
#include "base/err.h"

#define STANCH_KEPT_REF "refs/stanch/checkpoints"

/** Commit `text` as the file STORE.jsonl on top of what the remote has, and push it. clone_dir: a bare clone of ours,
 *  which remembers what was pushed last. Blocking.
 *  returns 0 | STANCH_E_UNREACHABLE | STANCH_E_REFUSED the remote's history is not the one that was pushed last (it was
 *  rewritten or cut), or it refuses the push | STANCH_E_INVALID | STANCH_E_SYSTEM */
int stanch_kept_push(const char *url, const char *clone_dir, const char *store, const char *text, size_t len,
                     struct stanch_err *err);
/** All files of the remote's newest commit under STANCH_KEPT_REF, one behind the other. ret: appended to. Blocking.
 *  returns 0 | STANCH_E_UNREACHABLE | STANCH_E_NOT_FOUND no checkpoint was ever pushed there | STANCH_E_SYSTEM */
int stanch_kept_read(const char *url, struct stanch_buf *ret, struct stanch_err *err);

/** `stanch book keep|kept|files ...` (files: past.h); ends the process with the exit code. */
void stanch_kept_main(int argc, char **argv) __attribute__((noreturn));

#endif
