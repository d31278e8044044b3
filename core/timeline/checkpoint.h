/* checkpoint.h: signed heads, as they stand in a file that is kept elsewhere: one JSON line, or an export whose last
 * line it is.
 */
#ifndef STANCH_TIMELINE_CHECKPOINT_H
#define STANCH_TIMELINE_CHECKPOINT_H
#include "base/err.h"
#include "timeline/store_sqlite.h"
#include <jansson.h>

/** Read and check the signature. ret: new, {"checkpoint","key","signature"}.
 *  returns 0 | STANCH_E_NOT_FOUND no such file | STANCH_E_INVALID no checkpoint in it, or its signature is bad */
int stanch_checkpoint_read(const char *path, json_t **ret, struct stanch_err *err);
/** Was it made of this store, by a key that the store knows? returns 0 | STANCH_E_INVALID */
int stanch_checkpoint_belongs(const json_t *signed_checkpoint, sqlite3 *db, struct stanch_err *err);

#endif
