/* store.h: the seam under the journal: what a place for entries must do. No SQL outside of this folder.
 * Two kinds: SQLite (store_sqlite.c), and memory (store_memory.c: drills, tests, simulation).
 * Later a third for PostgreSQL: hence the epoch and the expected heads in every commit.
 */
#ifndef STANCH_TIMELINE_STORE_H
#define STANCH_TIMELINE_STORE_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stanch_store;

/** The store of one daemon in `dir` (made with mode 0700 when missing): stanch.db, its lock, the reserve.
 *  create: make it when it is not there. read_only: for verify, show, export beside a running daemon.
 *  Refuses a second owner: STANCH_E_CONFLICT, the text names the owner's pid. ret: new.
 *  returns 0 | STANCH_E_CONFLICT | STANCH_E_CORRUPT | STANCH_E_STORE | STANCH_E_NOT_FOUND */
int stanch_store_sqlite_open(const char *dir, int create, int read_only, struct stanch_store **ret,
                             struct stanch_err *err);
/** A store in memory; gone when closed. ret: new. */
struct stanch_store *stanch_store_memory_new(void);

/** The epoch under which this process owns the store: grows by one with every open for writing. */
int64_t stanch_store_epoch(const struct stanch_store *store);

/* A store whose last commit failed is suspect until a full check (`stanch store check`) finds all
 * of it whole; one that the check found damaged opens for nobody but readers until it is restored, or rebuilt and
 * checked again. The mark is the file stanch.suspect; what it says is what was found. */
bool stanch_store_is_suspect(struct stanch_store *store);
void stanch_store_trust(struct stanch_store *store);
void stanch_store_condemn(struct stanch_store *store, const char *what);
/** Trust a store that nobody owns, after a full check. returns 0 | STANCH_E_CONFLICT a daemon owns it */
int stanch_store_trust_dir(const char *dir, struct stanch_err *err);

#endif
