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

/** The heads of all chains of an open store, as committed now, signed by the key in `key_dir`. ret: new, as above;
 *  the checkpoint is {"at","store","entries","heads":[{"chain","n","hash"}]}.
 *  returns 0 | STANCH_E_NOT_FOUND no key there | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_checkpoint_make(struct stanch_store *store, const char *key_dir, json_t **ret, struct stanch_err *err);
/** Add one line to the end of a file, whole and synced, also its directory when the file is new. A line that was cut by
 *  a crash before is ended first. returns 0 | STANCH_E_STORE | STANCH_E_FULL */
int stanch_checkpoint_append(const char *path, const json_t *signed_checkpoint, struct stanch_err *err);

/** The name of an open store, as it stands in its checkpoints. new */
char *stanch_checkpoint_store_name(struct stanch_store *store);

#endif
