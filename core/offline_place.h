/* offline_place.h: where checkpoints are kept, outside of the store.
 *
 *   file:PATH, or a path     one line more at the end, synced
 *   git:REPO                 a commit under refs/stanch/checkpoints, pushed (book/kept.h, in a process of its own)
 *   http://..., https://...  a POST; cannot be read back
 *
 * Blocking, so only in a process of its own (`stanch offline`).
 */
#ifndef STANCH_OFFLINE_PLACE_H
#define STANCH_OFFLINE_PLACE_H
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>

/** token_fd: a bearer token for a POST, or -1. returns 0 | what the place says */
int stanch_place_send(const char *place, const char *store_dir, int token_fd, const json_t *signed_checkpoint,
                      struct stanch_err *err);
/** Get the checkpoint that was kept last to where it can be read. target: a store's directory, or an export: of its
 *  store, where several share a repository. ret: new, a path that this process can open.
 *  returns 0 | STANCH_E_NOT_FOUND none there | STANCH_E_INVALID a place that cannot be read back | ... */
int stanch_place_fetch(const char *place, const char *target, char **ret, struct stanch_err *err);
/** Run `stanch book WORDS` and wait for it: what parses git is a process of its own. words: ended by NULL. input: its stdin; ret:
 *  its stdout, appended. returns 0 | what it ended with; its own sentence is handed on */
int stanch_place_ask_book(const char *const *words, const char *input, struct stanch_buf *ret, struct stanch_err *err);

#endif
