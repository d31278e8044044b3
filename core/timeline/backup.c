/* backup.c: copies are made by SQLite's backup interface under one snapshot, so that a daemon goes on committing; its
 * log cannot be reset meanwhile and grows by what is written in that time. */
#include "timeline/backup.h"
#include "timeline/checkpoint.h"
#include "timeline/verify.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The epoch of a store that cannot be read any more is not known: no store is opened so often. */
#define EPOCH_LEAP 1000000

static char *path_of(const char *dir, const char *name)
{
    return stanch_asprintf("%s/%s", dir, name);
}

/* ---- a copy ---- */

static int copy_pages(sqlite3 *from, sqlite3 *to, struct stanch_err *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return stanch_sqlite__error(to, sqlite3_errcode(to), err, "the copy cannot begin");
    int rc;
    do
        rc = sqlite3_backup_step(backup, 1024);
    while (rc == SQLITE_OK);
    int end = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && end == SQLITE_OK)
        return 0;
    return stanch_sqlite__error(to, end != SQLITE_OK ? end : rc, err, "the copy");
}

/* One file, without a log beside it. */
static int settle_copy(sqlite3 *db, int64_t epoch, struct stanch_err *err)
{
    char sql[160];
    (void)snprintf(sql, sizeof sql, "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA;");
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (rc == SQLITE_OK && epoch) {
        (void)snprintf(sql, sizeof sql, "UPDATE meta SET value = '%" PRId64 "' WHERE key = 'epoch'", epoch);
        rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? 0 : stanch_sqlite__error(db, rc, err, "the copy cannot be finished");
}

static int sync_path(const char *path, int flags, struct stanch_err *err)
{
    int fd = open(path, flags | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    int errnum = errno;
    if (fd >= 0)
        close(fd);
    return synced ? 0 : stanch_err_errno(err, STANCH_E_STORE, errnum, "%s cannot be synced", path);
}

/* Copy the database of `store` to the file `path`. epoch: 0 keeps it. */
static int copy_store(struct stanch_store *store, const char *path, int64_t epoch, struct stanch_err *err)
{
    sqlite3 *reader = stanch_sqlite__of(store)->reader, *copy = NULL;
    (void)unlink(path);
    int sql = sqlite3_open_v2(path, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int rc = sql == SQLITE_OK ? 0 : stanch_sqlite__error(copy, sql, err, "the copy cannot be made");
    if (rc == 0)
        (void)chmod(path, 0600);
    if (rc == 0 && sqlite3_exec(reader, "BEGIN; SELECT count(*) FROM meta", NULL, NULL, NULL) != SQLITE_OK)
        rc = stanch_sqlite__error(reader, sqlite3_errcode(reader), err, "the store cannot be read");
    if (rc == 0)
        rc = copy_pages(reader, copy, err);
    (void)sqlite3_exec(reader, "COMMIT", NULL, NULL, NULL); /* a reader's: only ends its snapshot */
    if (rc == 0)
        rc = settle_copy(copy, epoch, err);
    sqlite3_close(copy);
    return rc == 0 ? sync_path(path, O_RDONLY, err) : rc;
}

static int read_epoch(struct stanch_store *store, int64_t *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *epoch = NULL;
    int rc = stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "epoch", &epoch, err);
    *ret = epoch ? strtoll(epoch, NULL, 10) : 0;
    return rc;
}

static int describe(struct stanch_store *store, struct stanch_backup_result *ret, struct stanch_err *err)
{
    char link[65];
    STANCH_AUTO_FREE char *name = NULL;
    int rc = stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "store", &name, err);
    if (rc == 0)
        rc = read_epoch(store, &ret->epoch, err);
    (void)snprintf(ret->store, sizeof ret->store, "%s", name ? name : "");
    return rc == 0 ? store->ops->head(store, STANCH_CHAIN_ALL, &ret->entries, link, err) : rc;
}

static int check_whole(const char *dir, const char *checkpoint, const char *what, struct stanch_err *err)
{
    struct stanch_verify_result result = {0};
    int rc = stanch_timeline_verify(dir, NULL, checkpoint, &result, err);
    if (rc < 0)
        return stanch_err_wrap(err, "%s", what);
    if (!result.bad_seq)
        return 0;
    return stanch_err_set(err, STANCH_E_CORRUPT, "%s does not verify: %s entry %" PRId64 " (seq %" PRId64 "): %s", what,
                          result.bad_chain, result.bad_n, result.bad_seq, result.what);
}

/* ---- backup ---- */

static int make_empty_dir(const char *path, struct stanch_err *err)
{
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno != EEXIST)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the directory %s cannot be made", path);
    DIR *dir = opendir(path);
    if (!dir)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "%s", path);
    bool is_empty = true;
    for (struct dirent *item; (item = readdir(dir));)
        is_empty = is_empty && (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0);
    closedir(dir);
    return is_empty
               ? 0
               : stanch_err_set(err, STANCH_E_CONFLICT, "%s is not empty; a backup needs a directory of its own", path);
}

/* The signed heads of the copy, by the key of the original. */
static int write_checkpoint(const char *store_dir, const char *to, const char *path, struct stanch_backup_result *ret,
                            struct stanch_err *err)
{
    struct stanch_store *copy;
    STANCH_AUTO_JSON json_t *value = NULL;
    int rc = stanch_store_sqlite_open(to, 0, 1, &copy, err);
    if (rc < 0)
        return rc;
    rc = describe(copy, ret, err);
    if (rc == 0)
        rc = stanch_checkpoint_make(copy, store_dir, &value, err);
    stanch_store_close(copy);
    if (rc < 0)
        return rc;
    (void)snprintf(ret->at, sizeof ret->at, "%s", stanch_json_str(json_object_get(value, "checkpoint"), "at", ""));
    return stanch_checkpoint_append(path, value, err);
}

int stanch_store_backup(const char *store_dir, const char *to, struct stanch_backup_result *ret, struct stanch_err *err)
{
    struct stanch_store *store;
    STANCH_AUTO_FREE char *database = path_of(to, "stanch.db");
    STANCH_AUTO_FREE char *checkpoint = path_of(to, "checkpoint.jsonl");
    *ret = (struct stanch_backup_result){0};
    int rc = stanch_store_sqlite_open(store_dir, 0, 1, &store, err);
    if (rc < 0)
        return rc;
    rc = make_empty_dir(to, err);
    if (rc == 0) {
        rc = copy_store(store, database, 0, err);
        if (rc == 0)
            rc = write_checkpoint(store_dir, to, checkpoint, ret, err);
        if (rc == 0)
            rc = check_whole(to, checkpoint, "the copy", err);
        if (rc == 0)
            rc = sync_path(to, O_RDONLY | O_DIRECTORY, err);
        if (rc < 0) {
            (void)unlink(database);
            (void)unlink(checkpoint);
        }
    }
    stanch_store_close(store);
    return rc;
}

/* ---- restore ---- */

/* What the present store's epoch is; a store that cannot be read is leapt over. */
static int64_t epoch_after(const char *store_dir, int64_t of_backup)
{
    struct stanch_store *old;
    STANCH_AUTO_FREE char *database = path_of(store_dir, "stanch.db");
    int64_t epoch = 0;
    if (access(database, F_OK) < 0)
        return of_backup + EPOCH_LEAP; /* nothing there, or moved aside by a restore that was interrupted */
    if (stanch_store_sqlite_open(store_dir, 0, 1, &old, NULL) == 0) {
        (void)read_epoch(old, &epoch, NULL);
        stanch_store_close(old);
    }
    return epoch ? (epoch > of_backup ? epoch : of_backup) + 1 : of_backup + EPOCH_LEAP;
}

static int move_aside(const char *store_dir, const char *aside, struct stanch_err *err)
{
    static const char *const names[] = {"stanch.db", "stanch.db-wal", "stanch.db-shm"};
    STANCH_AUTO_FREE char *dir = path_of(store_dir, aside);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return stanch_err_errno(err, STANCH_E_STORE, errno, "the directory %s cannot be made", dir);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        STANCH_AUTO_FREE char *from = path_of(store_dir, names[i]);
        STANCH_AUTO_FREE char *to = path_of(dir, names[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return stanch_err_errno(err, STANCH_E_STORE, errno, "%s cannot be moved aside", from);
    }
    return sync_path(dir, O_RDONLY | O_DIRECTORY, err);
}

/* Between the mark and its removal the store opens for nobody. */
static int swap(const char *store_dir, const char *restored, struct stanch_backup_result *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *database = path_of(store_dir, "stanch.db");
    bool has_old = access(database, F_OK) == 0;
    char at[32];
    stanch_time_text(stanch_wall_now_ms(), at);
    int rc = stanch_guard_set_restoring(store_dir, true, err);
    if (rc == 0 && has_old) {
        (void)snprintf(ret->aside, sizeof ret->aside, "before-restore-%s", at);
        rc = move_aside(store_dir, ret->aside, err);
    }
    if (rc == 0 && rename(restored, database) < 0)
        rc = stanch_err_errno(err, STANCH_E_STORE, errno, "%s cannot be put in its place", restored);
    if (rc == 0)
        rc = sync_path(store_dir, O_RDONLY | O_DIRECTORY, err);
    if (rc == 0)
        rc = stanch_guard_set_restoring(store_dir, false, err);
    if (rc == 0)
        stanch_guard_set_suspect(store_dir, false);
    return rc;
}

static int check_backup(const char *from, struct stanch_backup_result *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *checkpoint = path_of(from, "checkpoint.jsonl");
    STANCH_AUTO_JSON json_t *value = NULL;
    bool has_checkpoint = access(checkpoint, F_OK) == 0;
    int rc = check_whole(from, has_checkpoint ? checkpoint : NULL, "the backup", err);
    if (rc == 0 && has_checkpoint && stanch_checkpoint_read(checkpoint, &value, NULL) == 0)
        (void)snprintf(ret->at, sizeof ret->at, "%s", stanch_json_str(json_object_get(value, "checkpoint"), "at", ""));
    return rc;
}

static int restore_locked(struct stanch_store *backup, const char *store_dir,
                          int (*before_swap)(void *ctx, const struct stanch_backup_result *result,
                                             struct stanch_err *err),
                          void *ctx, struct stanch_backup_result *ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *restored = path_of(store_dir, "stanch.db.restored");
    ret->epoch = epoch_after(store_dir, ret->epoch);
    int rc = copy_store(backup, restored, ret->epoch, err);
    if (rc == 0 && before_swap)
        rc = before_swap(ctx, ret, err);
    if (rc == 0)
        rc = swap(store_dir, restored, ret, err);
    if (rc < 0)
        (void)unlink(restored);
    return rc;
}

int stanch_store_restore(const char *from, const char *store_dir,
                         int (*before_swap)(void *ctx, const struct stanch_backup_result *result,
                                            struct stanch_err *err),
                         void *ctx, struct stanch_backup_result *ret, struct stanch_err *err)
{
    struct stanch_store *backup;
    int lock = -1;
    *ret = (struct stanch_backup_result){0};
    int rc = stanch_guard_dir(store_dir, 1, err);
    if (rc == 0)
        rc = stanch_guard_lock(store_dir, &lock, err);
    if (rc == 0)
        rc = check_backup(from, ret, err);
    if (rc == 0)
        rc = stanch_store_sqlite_open(from, 0, 1, &backup, err);
    if (rc == 0) {
        rc = describe(backup, ret, err);
        if (rc == 0)
            rc = restore_locked(backup, store_dir, before_swap, ctx, ret, err);
        stanch_store_close(backup);
    }
    if (lock >= 0)
        close(lock);
    return rc;
}
