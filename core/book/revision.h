/* revision.h: a candidate as it came over the channel, checked: the process that read the repository is not believed.
 * Pure: no git, no I/O. */
#ifndef STANCH_BOOK_REVISION_H
#define STANCH_BOOK_REVISION_H
#include "book/book.h"

/** ret: zeroed; texts and bytes are borrowed from head and attachment; release with stanch_revision_done, also after
 *  an error. returns 0 | STANCH_E_CRASHED (what a sane process does not send) */
int stanch_revision_read(const json_t *head, const void *attachment, size_t len, struct stanch_revision *ret,
                         struct stanch_err *err);
void stanch_revision_done(struct stanch_revision *revision);

#endif
