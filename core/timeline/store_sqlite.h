/* store_sqlite.h: what the files of the SQLite store share; and its opening with options, for tests.
 * Three connections: one commits (commit thread), one checkpoints (checkpoint thread), one reads (loop thread).
 * A reading statement is reset as soon as it is read: a snapshot that is held stops checkpoints.
 */
#ifndef STANCH_TIMELINE_STORE_SQLITE_H
#define STANCH_TIMELINE_STORE_SQLITE_H
#include "timeline/store_ops.h"
#include <sqlite3.h>

#define STANCH_SQLITE_APPLICATION 0x53744e63 /* "StNc" */
#define STANCH_SQLITE_SCHEMA      3
#define STANCH_SQLITE_WAL_MAX     (32 * 1024 * 1024)
#define STANCH_SQLITE_CHECKPOINT  1000 /* frames */
#define STANCH_SQLITE_RESERVE     (16 * 1024 * 1024)

/* What is in the indices of listings. Keys are only looked up, steps only found by the id of their run: there are most of
 * these, and each would cost three more pages. */
#define STANCH_SQLITE_LISTED "noun <> 'key' AND noun <> 'step'"

struct stanch_sqlite_options {
    const char *vfs;       /* NULL: the default one */
    int64_t reserve_bytes; /* 0: no reserve */
    int busy_ms;           /* how long a locked database is waited for */
    bool takes_damaged;    /* also one that a full check found damaged: to rebuild it */
};

enum stanch_sqlite_write {
    WRITE_BEGIN,
    WRITE_EPOCH,
    WRITE_HEAD_NEW,
    WRITE_HEAD,
    WRITE_ENTRY,
    WRITE_DOC,
    WRITE_DOC_TEXT,
    WRITE_NO_DOCS,
    WRITE_BLOB,
    WRITE_COUNTER,
    WRITE_COMMIT,
    WRITE_ROLLBACK,
    WRITE_COUNT
};
enum { READ_SLOTS = 24 };

/* A reading statement that is kept, under the SQL text that it was made of. */
struct stanch_sqlite_read {
    const char *sql; /* static text, or owned by kept */
    char *kept;
    sqlite3_stmt *stmt;
};

struct stanch_sqlite {
    struct stanch_store base;
    char *dir;
    char vfs[64];
    int busy_ms;
    bool takes_damaged;
    sqlite3 *writer, *checkpointer, *reader;
    sqlite3_stmt *writes[WRITE_COUNT];
    struct stanch_sqlite_read reads[READ_SLOTS];
    int lock_fd;
    int reserve_fd; /* -1: given back */
    int64_t reserve_bytes;
    int wal_frames; /* commit thread: frames in the log after the last commit */
    int reset_retry_frames, checkpoint_at_frames;
};

int stanch_store_sqlite_open_with(const char *dir, int create, int read_only,
                                  const struct stanch_sqlite_options *options, struct stanch_store **ret,
                                  struct stanch_err *err);

/* store_sqlite.c */
void stanch_sqlite__close(struct stanch_store *store);
struct stanch_sqlite *stanch_sqlite__of(struct stanch_store *store);
/** A column's text; "" where a damaged row has none. borrowed until the next step. */
const char *stanch_sqlite__text(sqlite3_stmt *stmt, int column);
/** An error of SQLite in our words. Returns the code: FULL, BUSY, CORRUPT or STORE. */
int stanch_sqlite__error(sqlite3 *db, int sqlite_rc, struct stanch_err *err, const char *what);

/* store_sqlite_schema.c */
int stanch_sqlite__schema(sqlite3 *db, bool create, struct stanch_err *err);
/** A value of the table meta. ret: new; NULL when there is none, and on error. */
int stanch_sqlite__meta(sqlite3 *db, const char *key, char **ret, struct stanch_err *err);
int stanch_sqlite__set_meta(sqlite3 *db, const char *key, const char *value, struct stanch_err *err);

/* store_sqlite_commit.c */
int stanch_sqlite__prepare_writes(struct stanch_sqlite *self, struct stanch_err *err);
int stanch_sqlite__commit(struct stanch_store *store, const struct stanch_write *write, struct stanch_err *err);
bool stanch_sqlite__maintain(struct stanch_store *store);
void stanch_sqlite__checkpoint(struct stanch_store *store);

/* store_sqlite_read.c */
extern const struct stanch_store_ops stanch_sqlite__ops;
void stanch_sqlite__drop_reads(struct stanch_sqlite *self);

/* store_guard.c: the files beside the database */
int stanch_guard_dir(const char *dir, int create, struct stanch_err *err);
/** Lock the store for this process. ret_fd: keeps the lock until it is closed. returns 0 | STANCH_E_CONFLICT */
int stanch_guard_lock(const char *dir, int *ret_fd, struct stanch_err *err);
/** returns a descriptor, or -1 when the space is not there. */
int stanch_guard_reserve(const char *dir, int64_t bytes);
void stanch_guard_release(const char *dir, int *fd);
bool stanch_guard_is_suspect(const char *dir);
/** What a full check found; new, NULL when it found nothing, or none was made. */
char *stanch_guard_read_damage(const char *dir);
void stanch_guard_set_suspect(const char *dir, bool value);
/** The mark of a restore that is under way: until it is gone nobody opens the store for writing. */
int stanch_guard_set_restoring(const char *dir, bool value, struct stanch_err *err);
/** returns 0 | STANCH_E_STORE a restore was interrupted */
int stanch_guard_check_restoring(const char *dir, struct stanch_err *err);

#endif
