/* store_sqlite_commit.c: one transaction for all that waits; and what keeps the write-ahead log small.
 * Automatic checkpoints on the commit path cost p99 11 ms, a passive one in another thread alone lets the log grow
 * without end: so passive in its thread, and a reset by the commit thread at 32 MiB. */
#include "timeline/store_sqlite.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "model/fold.h"
#include <stdio.h>
#include <string.h>

static const char *const write_sql[WRITE_COUNT] = {
    [WRITE_BEGIN] = "BEGIN IMMEDIATE",
    [WRITE_EPOCH] = "SELECT value FROM meta WHERE key = 'epoch'",
    [WRITE_HEAD_NEW] = "INSERT INTO head (chain, n, hash) VALUES (?1, ?2, ?3)",
    [WRITE_HEAD] = "UPDATE head SET n = ?2, hash = ?3 WHERE chain = ?1 AND n = ?4 AND hash = ?5",
    [WRITE_ENTRY] = "INSERT INTO entry (seq, chain, n, at_ms, kind, by, run, data, prev, hash, link)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [WRITE_DOC] = "INSERT INTO doc (noun, id, chain, open, seq, text, sum, due)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
                  " ON CONFLICT (noun, id) DO UPDATE SET chain = excluded.chain, open = excluded.open,"
                  " seq = excluded.seq, text = excluded.text, sum = excluded.sum, due = excluded.due",
    /* what the indices are made of stays as it is: they are left alone */
    [WRITE_DOC_TEXT] = "UPDATE doc SET text = ?6, sum = ?7"
                       " WHERE noun = ?1 AND id = ?2 AND chain = ?3 AND open = ?4 AND seq = ?5 AND due IS ?8",
    [WRITE_NO_DOCS] = "DELETE FROM doc",
    [WRITE_BLOB] = "INSERT INTO blob (id, bytes) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING",
    [WRITE_COUNTER] = "INSERT INTO counter (prefix, value) VALUES (?1, ?2)"
                      " ON CONFLICT (prefix) DO UPDATE SET value = max(value, excluded.value)",
    [WRITE_COMMIT] = "COMMIT",
    [WRITE_ROLLBACK] = "ROLLBACK",
};

int stanch_sqlite__prepare_writes(struct stanch_sqlite *self, struct stanch_err *err)
{
    for (int i = 0; i < WRITE_COUNT; i++) {
        int rc = sqlite3_prepare_v3(self->writer, write_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &self->writes[i], NULL);
        if (rc != SQLITE_OK)
            return stanch_sqlite__error(self->writer, rc, err, "the database has not the tables of stanch");
    }
    return 0;
}

static void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    if (text)
        sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, at);
}

/* Run a statement that returns no row. returns SQLite's code; SQLITE_OK when done */
static int run(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    int reset = sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

static int write_entries(struct stanch_sqlite *self, const struct stanch_write *write)
{
    sqlite3_stmt *stmt = self->writes[WRITE_ENTRY];
    int rc = SQLITE_OK;
    for (size_t i = 0; i < write->row_count && rc == SQLITE_OK; i++) {
        const struct stanch_row *row = &write->rows[i];
        sqlite3_bind_int64(stmt, 1, row->seq);
        bind_text(stmt, 2, row->chain);
        sqlite3_bind_int64(stmt, 3, row->n);
        sqlite3_bind_int64(stmt, 4, row->at_ms);
        bind_text(stmt, 5, row->kind);
        bind_text(stmt, 6, row->by);
        bind_text(stmt, 7, row->run);
        sqlite3_bind_text(stmt, 8, row->data, (int)row->data_len, SQLITE_STATIC);
        bind_text(stmt, 9, row->prev);
        bind_text(stmt, 10, row->hash);
        bind_text(stmt, 11, row->link);
        rc = run(stmt);
    }
    return rc;
}

static int write_doc(sqlite3_stmt *stmt, const struct stanch_doc_row *doc, const char *sum)
{
    bind_text(stmt, 1, doc->noun);
    bind_text(stmt, 2, doc->id);
    bind_text(stmt, 3, doc->chain);
    sqlite3_bind_int(stmt, 4, doc->open);
    sqlite3_bind_int64(stmt, 5, doc->seq);
    sqlite3_bind_text(stmt, 6, doc->text, (int)doc->len, SQLITE_STATIC);
    bind_text(stmt, 7, sum);
    if (doc->due_ms != STANCH_DUE_NEVER)
        sqlite3_bind_int64(stmt, 8, doc->due_ms);
    else
        sqlite3_bind_null(stmt, 8);
    return run(stmt);
}

static int write_docs(struct stanch_sqlite *self, const struct stanch_write *write)
{
    int rc = write->replaces_docs ? run(self->writes[WRITE_NO_DOCS]) : SQLITE_OK;
    int64_t new_from = write->row_count ? write->rows[0].seq : INT64_MAX;
    for (size_t i = 0; i < write->doc_count && rc == SQLITE_OK; i++) {
        const struct stanch_doc_row *doc = &write->docs[i];
        char sum[65];
        stanch_digest_hex(doc->text, doc->len, sum);
        bool is_old = doc->seq < new_from && !write->replaces_docs;
        if (is_old)
            rc = write_doc(self->writes[WRITE_DOC_TEXT], doc, sum);
        if (rc == SQLITE_OK && (!is_old || sqlite3_changes(self->writer) == 0))
            rc = write_doc(self->writes[WRITE_DOC], doc, sum);
    }
    return rc;
}

static int write_rest(struct stanch_sqlite *self, const struct stanch_write *write)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < write->blob_count && rc == SQLITE_OK; i++) {
        bind_text(self->writes[WRITE_BLOB], 1, write->blobs[i].id);
        sqlite3_bind_blob64(self->writes[WRITE_BLOB], 2, write->blobs[i].bytes, write->blobs[i].len, SQLITE_STATIC);
        rc = run(self->writes[WRITE_BLOB]);
    }
    for (size_t i = 0; i < write->counter_count && rc == SQLITE_OK; i++) {
        bind_text(self->writes[WRITE_COUNTER], 1, write->counters[i].prefix);
        sqlite3_bind_int64(self->writes[WRITE_COUNTER], 2, write->counters[i].value);
        rc = run(self->writes[WRITE_COUNTER]);
    }
    return rc;
}

/* Compare and set the heads: if somebody else wrote in between, nothing is written. */
static int write_heads(struct stanch_sqlite *self, const struct stanch_write *write, struct stanch_err *err)
{
    for (size_t i = 0; i < write->head_count; i++) {
        const struct stanch_head_row *head = &write->heads[i];
        sqlite3_stmt *stmt = self->writes[head->from_n == 0 ? WRITE_HEAD_NEW : WRITE_HEAD];
        bind_text(stmt, 1, head->chain);
        sqlite3_bind_int64(stmt, 2, head->n);
        bind_text(stmt, 3, head->hash);
        if (head->from_n != 0) {
            sqlite3_bind_int64(stmt, 4, head->from_n);
            bind_text(stmt, 5, head->from_hash);
        }
        int rc = run(stmt);
        if (rc != SQLITE_OK && rc != SQLITE_CONSTRAINT && (rc & 0xff) != SQLITE_CONSTRAINT)
            return stanch_sqlite__error(self->writer, rc, err, "a chain's head cannot be written");
        if (rc != SQLITE_OK || sqlite3_changes(self->writer) != 1)
            return stanch_err_set(err, STANCH_E_STORE,
                                  "chain %s is not where this process left it (entry %lld): another process has "
                                  "written to the store",
                                  head->chain, (long long)head->from_n);
    }
    return 0;
}

static int check_epoch(struct stanch_sqlite *self, struct stanch_err *err)
{
    sqlite3_stmt *stmt = self->writes[WRITE_EPOCH];
    int rc = sqlite3_step(stmt);
    int64_t epoch = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;
    int reset = sqlite3_reset(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return stanch_sqlite__error(self->writer, reset, err, "the epoch cannot be read");
    if (epoch != self->base.epoch && !stanch_is_sabotaged("epoch-ignored"))
        return stanch_err_set(err, STANCH_E_STORE, "another process owns the store now (epoch %lld, ours is %lld)",
                              (long long)epoch, (long long)self->base.epoch);
    return 0;
}

static int write_all(struct stanch_sqlite *self, const struct stanch_write *write, struct stanch_err *err)
{
    int rc = check_epoch(self, err);
    if (rc == 0)
        rc = write_heads(self, write, err);
    if (rc < 0)
        return rc;
    int sql = write_entries(self, write);
    if (sql == SQLITE_OK)
        sql = write_docs(self, write);
    if (sql == SQLITE_OK)
        sql = write_rest(self, write);
    if (sql != SQLITE_OK)
        return stanch_sqlite__error(self->writer, sql, err, "what is new cannot be written");
    sql = run(self->writes[WRITE_COMMIT]);
    if (sql == SQLITE_IOERR_FSYNC && stanch_is_sabotaged("sync-error-ignored"))
        return 0;
    return sql == SQLITE_OK ? 0 : stanch_sqlite__error(self->writer, sql, err, "the commit failed");
}

int stanch_sqlite__commit(struct stanch_store *store, const struct stanch_write *write, struct stanch_err *err)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    int sql = run(self->writes[WRITE_BEGIN]);
    if (sql != SQLITE_OK)
        return stanch_sqlite__error(self->writer, sql, err, "no transaction can begin");
    int rc = write_all(self, write, err);
    if (rc < 0 && !sqlite3_get_autocommit(self->writer))
        (void)run(self->writes[WRITE_ROLLBACK]); /* nothing more can be done about a rollback that fails */
    return rc;
}

static void reset_log(struct stanch_sqlite *self)
{
    /* A reader that holds its snapshot makes this fail; then again some megabytes later. */
    sqlite3_busy_timeout(self->writer, 20);
    int rc = sqlite3_wal_checkpoint_v2(self->writer, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_busy_timeout(self->writer, self->busy_ms);
    self->reset_retry_frames = rc == SQLITE_OK ? 0 : self->wal_frames + 512;
    if (rc == SQLITE_OK)
        self->wal_frames = 0;
    else if ((rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED)
        stanch_log(STANCH_LOG_WARN, "timeline", "the write-ahead log cannot be reset: %s", sqlite3_errstr(rc));
}

bool stanch_sqlite__maintain(struct stanch_store *store)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    if ((int64_t)self->wal_frames * 4096 >= STANCH_SQLITE_WAL_MAX && self->wal_frames >= self->reset_retry_frames)
        reset_log(self);
    bool is_new = self->wal_frames + STANCH_SQLITE_CHECKPOINT <= self->checkpoint_at_frames; /* the log began anew */
    if (is_new || self->checkpoint_at_frames == 0)
        self->checkpoint_at_frames = STANCH_SQLITE_CHECKPOINT;
    bool is_due = self->wal_frames >= self->checkpoint_at_frames;
    if (is_due)
        self->checkpoint_at_frames = self->wal_frames + STANCH_SQLITE_CHECKPOINT;
    return is_due;
}

void stanch_sqlite__checkpoint(struct stanch_store *store)
{
    struct stanch_sqlite *self = stanch_sqlite__of(store);
    int rc = sqlite3_wal_checkpoint_v2(self->checkpointer, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_BUSY && (rc & 0xff) != SQLITE_LOCKED)
        stanch_log(STANCH_LOG_WARN, "timeline", "a checkpoint failed, the log grows until one succeeds: %s",
                   sqlite3_errstr(rc));
}
