/* file.h: small files, whole.
 * Thread: any; blocking.
 */
#ifndef STANCH_BASE_FILE_H
#define STANCH_BASE_FILE_H
#include "base/buf.h"
#include "base/err.h"

/** Append what a file holds. max: bytes it may have. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_SYSTEM | STANCH_E_TOO_LARGE */
int stanch_file_read(const char *path, size_t max, struct stanch_buf *ret, struct stanch_err *err);
/** Put text there, in place of what was: whoever reads sees the one or the other, and it is on the disk afterwards (a file beside it, fsync,
 *  rename; the folder too). returns 0 | STANCH_E_SYSTEM */
int stanch_file_write(const char *path, const char *text, size_t len, struct stanch_err *err);

#endif
