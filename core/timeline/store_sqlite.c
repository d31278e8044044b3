/* store_sqlite.c: open and close. The order of opening: directory, owner's lock, database, schema, epoch, reserve;
 * whatever fails, stanch_sqlite__close undoes what was done. */
#include "timeline/store_sqlite.h"
#include "timeline/sign.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct stanch_sqlite *stanch_sqlite__of(struct stanch_store *store)
{
    return container_of(store, struct stanch_sqlite, base);
}

int stanch_sqlite__error(sqlite3 *db, int sqlite_rc, struct stanch_err *err, const char *what)
{
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_rc);
    switch (sqlite_rc & 0xff) {
    case SQLITE_FULL:
        return stanch_err_set(err, STANCH_E_FULL, "%s: the disk is full", what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return stanch_err_set(err, STANCH_E_BUSY, "%s: another process holds the database locked", what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return stanch_err_set(err, STANCH_E_CORRUPT, "%s: the database is damaged (%s)", what, why);
    default:
        return stanch_err_set(err, STANCH_E_STORE, "%s: %s (SQLite %d)", what, why, sqlite_rc);
    }
}

const char *stanch_sqlite__text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

static int on_wal(void *ctx, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    struct stanch_sqlite *self = ctx;
    self->wal_frames = frames;
    return SQLITE_OK;
}

static sqlite3_mem_methods memory; /* SQLite's own, of which two are replaced */

static void *allocate(int bytes)
{
    void *ptr = memory.xMalloc(bytes);
    if (!ptr)
        stanch_mem_end();
    return ptr;
}

static void *reallocate(void *ptr, int bytes)
{
    void *grown = memory.xRealloc(ptr, bytes);
    if (!grown)
        stanch_mem_end();
    return grown;
}

/* A text that SQLite has no memory for comes back as NULL, like one that is not there. Where SQLite runs already (a test
 * put its VFS in) it stays as it is. */
static void end_without_memory(void)
{
    sqlite3_mem_methods ending;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory) != SQLITE_OK)
        return;
    ending = memory;
    ending.xMalloc = allocate;
    ending.xRealloc = reallocate;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &ending);
}

static int open_connection(struct stanch_sqlite *self, const char *path, int flags, sqlite3 **ret,
                           struct stanch_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, end_without_memory);
    int rc = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX, *self->vfs ? self->vfs : NULL);
    if (rc != SQLITE_OK)
        return stanch_sqlite__error(*ret, rc, err, "the database cannot be opened");
    sqlite3_extended_result_codes(*ret, 1);
    sqlite3_busy_timeout(*ret, self->busy_ms);
    rc = sqlite3_exec(*ret,
                      "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA foreign_keys = ON;"
                      " PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
                      NULL, NULL, NULL);
    if (rc == SQLITE_OK && stanch_is_sabotaged("sync-skipped"))
        rc = sqlite3_exec(*ret, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : stanch_sqlite__error(*ret, rc, err, "the database cannot be read");
}

static int use_wal(sqlite3 *db, struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA journal_mode = WAL", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    bool is_wal = rc == SQLITE_ROW && strcmp(stanch_sqlite__text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    if (is_wal)
        return 0;
    if (rc == SQLITE_ROW)
        return stanch_err_set(err, STANCH_E_STORE,
                              "the file system under the store cannot keep a write-ahead log (is it a network "
                              "file system?); put the state directory on a local disk");
    return stanch_sqlite__error(db, rc, err, "the write-ahead log cannot be used");
}

/* After a commit that failed: look at every page before anything is built on them. The mark stays until a full check,
 * in the background, finds all whole. */
static int check_suspect(struct stanch_sqlite *self, struct stanch_err *err)
{
    if (!stanch_guard_is_suspect(self->dir))
        return 0;
    STANCH_AUTO_FREE char *damage = stanch_guard_read_damage(self->dir);
    if (damage && !self->takes_damaged)
        return stanch_err_set(err, STANCH_E_CORRUPT, "a full check found it damaged: %s", damage);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(self->writer, "PRAGMA quick_check(1)", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    const char *said = rc == SQLITE_ROW ? stanch_sqlite__text(stmt, 0) : sqlite3_errmsg(self->writer);
    bool is_good = rc == SQLITE_ROW && strcmp(said, "ok") == 0;
    if (!is_good)
        stanch_err_set(err, STANCH_E_CORRUPT, "the database is damaged (%s)", said);
    sqlite3_finalize(stmt);
    return is_good ? 0 : STANCH_E_CORRUPT;
}

/* The newest entry must be the one that the head names. */
static int check_tail(sqlite3 *db, struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "SELECT (SELECT max(seq) FROM entry) IS (SELECT n FROM head WHERE chain = '*') AND"
                                " (SELECT link FROM entry ORDER BY seq DESC LIMIT 1) IS"
                                " (SELECT hash FROM head WHERE chain = '*')",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    int64_t agrees = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        return stanch_sqlite__error(db, rc, err, "the newest entry cannot be read");
    if (!agrees)
        return stanch_err_set(err, STANCH_E_CORRUPT,
                              "the newest entry is not the one that the store's head names; "
                              "`stanch timeline verify` tells where it begins");
    return 0;
}

static int take_ownership(struct stanch_sqlite *self, struct stanch_err *err)
{
    int sql = sqlite3_exec(self->writer, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    if (sql != SQLITE_OK)
        return stanch_sqlite__error(self->writer, sql, err, "the store cannot be taken over");
    STANCH_AUTO_FREE char *old = NULL, *id = NULL;
    int rc = stanch_sqlite__meta(self->writer, "epoch", &old, err);
    if (rc == 0)
        rc = stanch_sqlite__meta(self->writer, "store", &id, err);
    self->base.epoch = (old ? strtoll(old, NULL, 10) : 0) + 1;
    char text[32];
    (void)snprintf(text, sizeof text, "%" PRId64, self->base.epoch);
    if (rc == 0)
        rc = stanch_sqlite__set_meta(self->writer, "epoch", text, err);
    if (rc == 0 && !id) {
        unsigned char random[16];
        char hex[33];
        stanch_random_bytes(random, sizeof random);
        stanch_hex(random, sizeof random, hex);
        rc = stanch_sqlite__set_meta(self->writer, "store", hex, err);
    }
    if (rc == 0)
        rc = stanch_sign_prepare(self->dir, self->writer, err);
    sql = sqlite3_exec(self->writer, rc == 0 ? "COMMIT" : "ROLLBACK", NULL, NULL, NULL);
    if (rc == 0 && sql != SQLITE_OK)
        rc = stanch_sqlite__error(self->writer, sql, err, "the store cannot be taken over");
    return rc;
}

static int open_for_writing(struct stanch_sqlite *self, const char *path, int create, struct stanch_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    int rc = open_connection(self, path, flags, &self->writer, err);
    struct stat info;
    if (rc == 0 && create &&
        (stat(path, &info) < 0 || info.st_size == 0)) /* for prune, which gives room back in steps */
        (void)sqlite3_exec(self->writer, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL);
    if (rc == 0)
        rc = use_wal(self->writer, err);
    if (rc == 0 && create)
        (void)chmod(path, 0600);
    if (rc == 0)
        rc = check_suspect(self, err);
    if (rc == 0)
        rc = stanch_sqlite__schema(self->writer, create, err);
    if (rc == 0)
        rc = check_tail(self->writer, err);
    if (rc == 0)
        rc = take_ownership(self, err);
    if (rc == STANCH_E_FULL && self->reserve_bytes) { /* started on a full disk: that is what the reserve is for */
        stanch_guard_release(self->dir, &self->reserve_fd);
        rc = take_ownership(self, err);
    }
    if (rc == 0)
        rc = stanch_sqlite__prepare_writes(self, err);
    if (rc == 0)
        rc = open_connection(self, path, SQLITE_OPEN_READWRITE, &self->checkpointer, err);
    if (rc == 0)
        rc = open_connection(self, path, SQLITE_OPEN_READWRITE, &self->reader, err);
    if (rc < 0)
        return rc;
    sqlite3_exec(self->reader, "PRAGMA query_only = ON", NULL, NULL, NULL);
    sqlite3_wal_hook(self->writer, on_wal, self);
    return 0;
}

/* A copy on a medium that cannot be written has no log and needs none. */
static int open_for_reading(struct stanch_sqlite *self, const char *path, struct stanch_err *err)
{
    int rc = open_connection(self, path, SQLITE_OPEN_READONLY, &self->reader, err);
    if (rc == 0)
        rc = stanch_sqlite__schema(self->reader, false, err);
    STANCH_AUTO_FREE char *wal = stanch_asprintf("%s-wal", path);
    if (rc != STANCH_E_STORE || access(wal, F_OK) == 0)
        return rc;
    sqlite3_close(self->reader);
    self->reader = NULL;
    STANCH_AUTO_FREE char *uri = stanch_asprintf("file:%s?immutable=1", path);
    rc = open_connection(self, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, &self->reader, err);
    return rc == 0 ? stanch_sqlite__schema(self->reader, false, err) : rc;
}

void stanch_sqlite__close(struct stanch_store *store)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    for (int i = 0; i < WRITE_COUNT; i++)
        sqlite3_finalize(self->writes[i]);
    stanch_sqlite__drop_reads(self);
    sqlite3_close(self->reader);
    sqlite3_close(self->checkpointer);
    sqlite3_close(self->writer);
    if (self->reserve_fd >= 0)
        close(self->reserve_fd);
    if (self->lock_fd >= 0)
        close(self->lock_fd);
    free(self->dir);
    free(self);
}

int stanch_store_sqlite_open_with(const char *dir, int create, int read_only,
                                  const struct stanch_sqlite_options *options, struct stanch_store **ret,
                                  struct stanch_err *err)
{
    int rc = stanch_guard_dir(dir, create && !read_only, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    if (!read_only && (rc = stanch_guard_check_restoring(dir, err)) < 0)
        return rc;
    if (!(create && !read_only) && access(path, F_OK) < 0)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no store at %s (no stanch.db in it)", dir);
    struct stanch_sqlite *self = STANCH_NEW(struct stanch_sqlite);
    self->base.ops = &stanch_sqlite__ops;
    self->base.read_only = read_only;
    self->dir = stanch_strdup(dir);
    (void)snprintf(self->vfs, sizeof self->vfs, "%s", options->vfs ? options->vfs : "");
    self->busy_ms = options->busy_ms;
    self->takes_damaged = options->takes_damaged;
    self->reserve_bytes = options->reserve_bytes;
    self->lock_fd = self->reserve_fd = -1;
    if (!read_only)
        rc = stanch_guard_lock(dir, &self->lock_fd, err);
    if (rc == 0)
        rc = read_only ? open_for_reading(self, path, err) : open_for_writing(self, path, create, err);
    if (rc < 0) {
        stanch_sqlite__close(&self->base);
        (void)stanch_err_wrap(err, "the store %s", dir);
        return rc;
    }
    *ret = &self->base;
    return 0;
}

int stanch_store_sqlite_open(const char *dir, int create, int read_only, struct stanch_store **ret,
                             struct stanch_err *err)
{
    static const struct stanch_sqlite_options options = {.reserve_bytes = STANCH_SQLITE_RESERVE, .busy_ms = 2000};
    return stanch_store_sqlite_open_with(dir, create, read_only, &options, ret, err);
}
