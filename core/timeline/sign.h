/* sign.h: the store's own Ed25519 key: stanch.key beside the database (0600), made at the first open. Whoever can
 * write the database but not read this file cannot make a checkpoint. Public keys stand in the table meta, also
 * those of keys that were lost.
 */
#ifndef STANCH_TIMELINE_SIGN_H
#define STANCH_TIMELINE_SIGN_H
#include "base/err.h"
#include <jansson.h>
#include <sqlite3.h>
#include <stdbool.h>

/** Make the key when there is none, and record its public half. Inside a transaction of the caller. */
int stanch_sign_prepare(const char *dir, sqlite3 *db, struct stanch_err *err);
/** {what:value,"key":hex,"signature":hex}; what is signed for one purpose is not good for another. what: "checkpoint",
 *  "prune". value: borrowed. ret: new. returns as below */
int stanch_sign(const char *dir, const char *what, json_t *value, json_t **ret, struct stanch_err *err);
bool stanch_sign_is_good_as(const json_t *signed_value, const char *what);
/** {"checkpoint":value,"key":hex,"signature":hex}. checkpoint: borrowed. ret: new.
 *  returns 0 | STANCH_E_NOT_FOUND no key here | STANCH_E_INVALID */
int stanch_sign_checkpoint(const char *dir, json_t *checkpoint, json_t **ret, struct stanch_err *err);
/** Is the signature good under the key that stands beside it? */
bool stanch_sign_is_good(const json_t *signed_checkpoint);

#endif
