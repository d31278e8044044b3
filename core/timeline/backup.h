/* backup.h: a whole copy of a store, beside a running daemon, and the way back.
 *
 *   store --one snapshot--> DIR/stanch.db, DIR/checkpoint.jsonl --verified--> a backup
 *   backup --verified--> stanch.db.restored, epoch grown --swapped--> store; the old one stays in before-restore-TIME/
 *
 * The key of the store is in no backup: who can read a backup cannot sign. Thread: any; blocking, so in a process of
 * their own (`stanch offline`).
 */
#ifndef STANCH_TIMELINE_BACKUP_H
#define STANCH_TIMELINE_BACKUP_H
#include "base/err.h"
#include <stdint.h>

struct stanch_backup_result {
    char store[33]; /* the store's name */
    char at[32];    /* when the backup was made, RFC 3339; "" when it holds no checkpoint */
    int64_t entries, epoch;
    char aside[64]; /* restore: the folder in the store's directory that holds the old store; "" when there was none */
};

/** Copy what is committed now into `to`, a directory that is missing or empty, and verify the copy.
 *  returns 0 | STANCH_E_CONFLICT `to` holds something | STANCH_E_CORRUPT the copy does not verify (nothing is left of
 *  it) | STANCH_E_NOT_FOUND no store | STANCH_E_FULL | STANCH_E_STORE */
int stanch_store_backup(const char *store_dir, const char *to, struct stanch_backup_result *ret,
                        struct stanch_err *err);
/** Put a backup in the place of the store. Nothing is changed before the backup is verified and the store is locked;
 *  what is interrupted is finished by calling it again (until then the store opens for nobody).
 *  before_swap: called when all is verified and nothing is changed yet; an error of it ends the restore.
 *  returns 0 | STANCH_E_CONFLICT a daemon owns the store | STANCH_E_CORRUPT the backup does not verify |
 *  STANCH_E_NOT_FOUND no backup | STANCH_E_FULL | STANCH_E_STORE */
int stanch_store_restore(const char *from, const char *store_dir,
                         int (*before_swap)(void *ctx, const struct stanch_backup_result *result,
                                            struct stanch_err *err),
                         void *ctx, struct stanch_backup_result *ret, struct stanch_err *err);

#endif
