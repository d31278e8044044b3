/* store_sqlite_schema.c: the tables. One append-only rowid table of entries (it commits three times faster than one
 * clustered by chain); everything else follows from it: heads, documents. */
#include "timeline/store_sqlite.h"
#include "base/mem.h"
#include <inttypes.h>

#define DOC_DUE "CREATE INDEX doc_due ON doc (noun, due, seq) WHERE due IS NOT NULL;"

static const char schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE entry ("
    "  seq INTEGER PRIMARY KEY, chain TEXT NOT NULL, n INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
    "  kind TEXT NOT NULL, by TEXT NOT NULL, run TEXT, data TEXT NOT NULL,"
    "  prev TEXT NOT NULL, hash TEXT NOT NULL, link TEXT NOT NULL) STRICT;"
    "CREATE INDEX entry_chain ON entry (chain);" /* and the rowid, which is seq */
    "CREATE INDEX entry_run ON entry (run) WHERE run IS NOT NULL;"
    "CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry"
    "  BEGIN SELECT raise(ABORT, 'entries are never changed'); END;"
    "CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry"
    "  BEGIN SELECT raise(ABORT, 'entries are never deleted'); END;"
    "CREATE TABLE head (chain TEXT PRIMARY KEY, n INTEGER NOT NULL, hash TEXT NOT NULL) WITHOUT ROWID, STRICT;"
    "CREATE TABLE doc ("
    "  noun TEXT NOT NULL, id TEXT NOT NULL, chain TEXT NOT NULL, open INTEGER NOT NULL, seq INTEGER NOT NULL,"
    "  text TEXT NOT NULL, sum TEXT NOT NULL, due INTEGER) STRICT;"
    "CREATE UNIQUE INDEX doc_key ON doc (noun, id);"
    "CREATE INDEX doc_seq ON doc (noun, seq) WHERE " STANCH_SQLITE_LISTED ";"
    "CREATE INDEX doc_open ON doc (noun, seq) WHERE " STANCH_SQLITE_LISTED " AND open = 1;"
    "CREATE INDEX doc_chain ON doc (chain, noun, seq) WHERE " STANCH_SQLITE_LISTED ";" DOC_DUE
    "CREATE TABLE blob (id TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE counter (prefix TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID, STRICT;";

static int64_t read_pragma(sqlite3 *db, const char *sql, int *ret_rc)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;
    *ret_rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (*ret_rc == SQLITE_OK) {
        int rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            value = sqlite3_column_int64(stmt, 0);
        else if (rc != SQLITE_DONE)
            *ret_rc = rc;
    }
    sqlite3_finalize(stmt);
    return value;
}

static int create_schema(sqlite3 *db, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *sql =
        stanch_asprintf("BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", schema,
                        STANCH_SQLITE_APPLICATION, STANCH_SQLITE_SCHEMA);
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : stanch_sqlite__error(db, rc, err, "the tables cannot be made");
}

/* Schema 1 did not know when a noun is due: as stanch_fold_due says it of what such a store can hold. */
static const char from_1[] =
    "BEGIN IMMEDIATE; ALTER TABLE doc ADD COLUMN due INTEGER; " DOC_DUE
    "UPDATE doc SET due = CASE noun WHEN 'run' THEN 0 WHEN 'approval' THEN text ->> 'expires_ms' ELSE"
    "  CASE WHEN text ->> 'state' = 'undoing' THEN 0 WHEN text ->> 'overdue' THEN NULL ELSE text ->> 'lease_ends_ms' "
    "END"
    "  END WHERE open = 1 AND noun IN ('run', 'approval', 'mitigation');"
    "PRAGMA user_version = 2; COMMIT;";
/* Schema 2 did not tell runs that have not begun from those that wait for a person. */
static const char from_2[] = "BEGIN IMMEDIATE; UPDATE doc SET due = -2 WHERE noun = 'run' AND open = 1 AND text ->> "
                             "'state' IN ('queued', 'asking');"
                             "PRAGMA user_version = 3; COMMIT;";

static int bring_up_to_date(sqlite3 *db, int64_t version, struct stanch_err *err)
{
    int rc = version < 2 ? sqlite3_exec(db, from_1, NULL, NULL, NULL) : SQLITE_OK;
    rc = rc == SQLITE_OK ? sqlite3_exec(db, from_2, NULL, NULL, NULL) : rc;
    if (rc == SQLITE_OK)
        return 0;
    rc = stanch_sqlite__error(db, rc, err, "the store's tables cannot be brought up to date");
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int stanch_sqlite__schema(sqlite3 *db, bool create, struct stanch_err *err)
{
    int rc;
    int64_t tables = read_pragma(db, "SELECT count(*) FROM sqlite_schema", &rc);
    if (rc != SQLITE_OK)
        return stanch_sqlite__error(db, rc, err, "the database cannot be read");
    if (tables == 0 && create)
        return create_schema(db, err);
    int64_t application = read_pragma(db, "PRAGMA application_id", &rc);
    if (rc == SQLITE_OK && application != STANCH_SQLITE_APPLICATION)
        return stanch_err_set(err, STANCH_E_CORRUPT,
                              "this database was not made by stanch (application id %" PRId64 ")", application);
    int64_t version = rc == SQLITE_OK ? read_pragma(db, "PRAGMA user_version", &rc) : 0;
    if (rc != SQLITE_OK)
        return stanch_sqlite__error(db, rc, err, "the database cannot be read");
    if (version > STANCH_SQLITE_SCHEMA)
        return stanch_err_set(err, STANCH_E_STORE,
                              "the store has schema %" PRId64 ", written by a newer release of stanch; this one "
                              "knows schema %d: install the newer release, or restore the store from before",
                              version, STANCH_SQLITE_SCHEMA);
    return version < STANCH_SQLITE_SCHEMA && !sqlite3_db_readonly(db, "main") ? bring_up_to_date(db, version, err) : 0;
}

int stanch_sqlite__meta(sqlite3 *db, const char *key, char **ret, struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = ?1", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    *ret = rc == SQLITE_ROW ? stanch_strdup(stanch_sqlite__text(stmt, 0)) : NULL;
    int read = rc == SQLITE_ROW || rc == SQLITE_DONE
                   ? 0
                   : stanch_sqlite__error(db, rc, err, "the store's own values cannot be read");
    sqlite3_finalize(stmt);
    return read;
}

int stanch_sqlite__set_meta(sqlite3 *db, const char *key, const char *value, struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "INSERT INTO meta (key, value) VALUES (?1, ?2)"
                                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                                -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? 0 : stanch_sqlite__error(db, rc, err, "the store's own values cannot be written");
}
