/* verify.c: a store. Entries are read in pages up to the newest at the begin, so that a running daemon can go on and
 * no snapshot is held; entries are never changed, so the pages fit together. */
#include "timeline/verify.h"
#include "timeline/chain_check.h"
#include "timeline/checkpoint.h"
#include "timeline/sign.h"
#include "timeline/verify_export.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PAGE 1000

struct pages {
    struct stanch_chain_check *check;
    int64_t until_seq;
    int64_t after_seq;
    int count;
    bool ends;
};

static int on_row(void *ctx, const struct stanch_row *row)
{
    struct pages *pages = ctx;
    pages->count++;
    pages->after_seq = row->seq;
    pages->ends = row->seq > pages->until_seq || !stanch_chain_check_row(pages->check, row);
    return pages->ends;
}

static int read_pages(struct stanch_store *store, const char *chain, struct pages *pages, struct stanch_err *err)
{
    do {
        pages->count = 0;
        struct stanch_entry_query query = {.chain = chain, .after_seq = pages->after_seq, .limit = PAGE};
        int rc = store->ops->rows(store, &query, on_row, pages, err);
        if (rc < 0)
            return rc;
    } while (pages->count == PAGE && !pages->ends);
    return 0;
}

static sqlite3 *reader_of(struct stanch_store *store)
{
    return stanch_sqlite__of(store)->reader;
}

/* Run a query for its first row; each(ctx, stmt) for every row. returns SQLite's code */
static int query_each(sqlite3 *db, const char *sql, bool (*each)(struct stanch_chain_check *, sqlite3_stmt *),
                      struct stanch_chain_check *check)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        if (rc != SQLITE_ROW || !each(check, stmt))
            break;
    }
    sqlite3_finalize(stmt);
    return rc;
}

static bool on_tail(struct stanch_chain_check *check, sqlite3_stmt *stmt)
{
    int64_t last = sqlite3_column_int64(stmt, 0), head = sqlite3_column_int64(stmt, 1);
    if (last > head)
        stanch_chain_check_name(check, stanch_sqlite__text(stmt, 2), sqlite3_column_int64(stmt, 3), head + 1,
                                "inserted: it stands behind the last entry that the store's head names");
    return false;
}

/* Rows behind the head, in one statement, so that a daemon that writes meanwhile does not matter. */
static int check_tail(sqlite3 *db, struct stanch_chain_check *check)
{
    return query_each(db,
                      "SELECT (SELECT max(seq) FROM entry), h.n, e.chain, e.n"
                      " FROM (SELECT coalesce((SELECT n FROM head WHERE chain = '*'), 0) AS n) h"
                      " JOIN entry e ON e.seq = (SELECT min(seq) FROM entry WHERE seq > h.n)",
                      on_tail, check);
}

static bool on_blob(struct stanch_chain_check *check, sqlite3_stmt *stmt)
{
    char actual[65];
    const char *id = stanch_sqlite__text(stmt, 0);
    const void *bytes = sqlite3_column_blob(stmt, 1);
    stanch_digest_hex(bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, 1), actual);
    if (strcmp(actual, id) == 0)
        return true;
    int64_t seq = check->last_seq + 1, n = 0;
    STANCH_AUTO_FREE char *chain = stanch_strdup(STANCH_CHAIN_NONE);
    sqlite3_stmt *owner = NULL; /* the first entry that names these bytes */
    if (sqlite3_prepare_v2(sqlite3_db_handle(stmt),
                           "SELECT seq, chain, n FROM entry WHERE instr(data, ?1) ORDER BY seq LIMIT 1", -1, &owner,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_text(owner, 1, id, -1, SQLITE_STATIC);
        if (sqlite3_step(owner) == SQLITE_ROW) {
            seq = sqlite3_column_int64(owner, 0);
            free(chain);
            chain = stanch_strdup(stanch_sqlite__text(owner, 1));
            n = sqlite3_column_int64(owner, 2);
        }
    }
    sqlite3_finalize(owner);
    stanch_chain_check_name(check, chain, n, seq, "altered: the bytes kept under %s are others", id);
    return false;
}

static bool on_doc(struct stanch_chain_check *check, sqlite3_stmt *stmt)
{
    char actual[65];
    stanch_digest_hex(stanch_sqlite__text(stmt, 3), (size_t)sqlite3_column_bytes(stmt, 3), actual);
    if (strcmp(actual, stanch_sqlite__text(stmt, 4)) == 0)
        return true;
    stanch_chain_check_name(check, stanch_sqlite__text(stmt, 2), 0, sqlite3_column_int64(stmt, 5),
                            "altered: the document of %s %s is damaged, its entries are not; `stanch timeline "
                            "rebuild` makes it again",
                            stanch_sqlite__text(stmt, 0), stanch_sqlite__text(stmt, 1));
    return false;
}

static bool on_integrity(struct stanch_chain_check *check, sqlite3_stmt *stmt)
{
    const char *said = stanch_sqlite__text(stmt, 0);
    if (strcmp(said, "ok") != 0)
        stanch_chain_check_name(check, STANCH_CHAIN_ALL, 0, check->last_seq + 1,
                                "altered: the database is damaged (%.150s)", said);
    return false;
}

/* An entry timeline.pruned that this store's key signed. With a checkpoint: by the same key, or older than it. */
static bool is_signed_here(const json_t *data, int64_t seq, sqlite3 *db, const json_t *signed_checkpoint)
{
    STANCH_AUTO_FREE char *name = stanch_asprintf("key:%s", stanch_json_str(data, "key", ""));
    STANCH_AUTO_FREE char *known = NULL;
    STANCH_AUTO_FREE char *store = NULL;
    const json_t *prune = json_object_get(data, "prune");
    if (stanch_sqlite__meta(db, name, &known, NULL) < 0 || stanch_sqlite__meta(db, "store", &store, NULL) < 0 ||
        !known || !store || strcmp(store, stanch_json_str(prune, "store", "")) != 0)
        return false;
    const json_t *checkpoint = json_object_get(signed_checkpoint, "checkpoint");
    bool is_trusted = !signed_checkpoint || seq <= stanch_json_int(checkpoint, "entries", 0) ||
                      strcmp(stanch_json_str(signed_checkpoint, "key", ""), stanch_json_str(data, "key", "")) == 0;
    return is_trusted && stanch_sign_is_good_as(data, "prune");
}

/* What was pruned is known before the first entry is read. */
static int read_prunes(sqlite3 *db, const json_t *signed_checkpoint, struct stanch_chain_check *check,
                       struct stanch_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT seq, data FROM entry WHERE kind = 'timeline.pruned' ORDER BY seq", -1,
                                &stmt, NULL);
    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(stmt);
        STANCH_AUTO_JSON json_t *data = NULL;
        if (rc == SQLITE_ROW &&
            stanch_store_parse(stanch_sqlite__text(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1), &data, NULL) == 0 &&
            is_signed_here(data, sqlite3_column_int64(stmt, 0), db, signed_checkpoint))
            stanch_chain_check_pruned(check, json_object_get(data, "prune"));
        if (rc != SQLITE_ROW)
            break;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? 0 : stanch_sqlite__error(db, rc, err, "the entries cannot be read");
}

static void name_damage(struct stanch_chain_check *check, const char *why)
{
    stanch_chain_check_name(check, STANCH_CHAIN_ALL, 0, check->last_seq + 1,
                            "altered: the database is damaged here (%.180s)", why);
}

/* What stands beside the entries. */
static void check_beside(sqlite3 *db, struct stanch_chain_check *check)
{
    int rc = check_tail(db, check);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        rc = query_each(db, "SELECT id, bytes FROM blob", on_blob, check);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        rc = query_each(db, "SELECT noun, id, chain, text, sum, seq FROM doc", on_doc, check);
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        rc = query_each(db, "PRAGMA integrity_check(1)", on_integrity, check);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        name_damage(check, sqlite3_errmsg(db));
}

static int64_t newest(const json_t *heads)
{
    size_t i;
    json_t *head;
    json_array_foreach(heads, i, head) if (strcmp(stanch_json_str(head, "chain", ""), STANCH_CHAIN_ALL) ==
                                           0) return stanch_json_int(head, "n", 0);
    return INT64_MAX; /* that the head is missing is told after all entries are read */
}

/* err: not NULL, here and below: the text of what is damaged goes into the result. */
static int check_entries(struct stanch_store *store, const char *chain, struct stanch_chain_check *check,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *heads = NULL;
    int rc = store->ops->heads(store, &heads, err);
    struct pages pages = {.check = check, .until_seq = newest(heads), .after_seq = INT64_MIN};
    if (rc == 0)
        rc = read_pages(store, chain, &pages, err);
    if (rc == STANCH_E_CORRUPT) {
        name_damage(check, err->text);
        return 0;
    }
    if (rc < 0)
        return rc;
    if (chain && json_object_size(check->heads) == 0 && !check->result->bad_seq && !json_object_size(check->expected))
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "the timeline has no entry of %s", chain);
    (void)stanch_chain_check_end(check);
    (void)stanch_chain_check_heads(check, heads, chain);
    if (!chain && !check->result->bad_seq)
        check_beside(reader_of(store), check);
    return 0;
}

static int verify_store(const char *dir, const char *chain, const char *checkpoint_path,
                        struct stanch_verify_result *ret, struct stanch_err *err)
{
    struct stanch_store *store;
    struct stanch_chain_check check;
    stanch_chain_check_init(&check, !chain, ret);
    int rc = stanch_store_sqlite_open(dir, 0, 1, &store, err);
    if (rc < 0) {
        if (rc == STANCH_E_CORRUPT)
            name_damage(&check, err->text);
        stanch_chain_check_done(&check);
        return rc == STANCH_E_CORRUPT ? 0 : rc;
    }
    STANCH_AUTO_JSON json_t *signed_checkpoint = NULL;
    if (checkpoint_path) {
        rc = stanch_checkpoint_read(checkpoint_path, &signed_checkpoint, err);
        if (rc == 0)
            rc = stanch_checkpoint_belongs(signed_checkpoint, reader_of(store), err);
        if (rc == 0)
            stanch_chain_check_expect(
                &check, json_object_get(json_object_get(signed_checkpoint, "checkpoint"), "heads"), chain);
    }
    if (rc == 0)
        rc = read_prunes(reader_of(store), signed_checkpoint, &check, err);
    if (rc == STANCH_E_CORRUPT) { /* where it is, is told by reading on */
        rc = 0;
    }
    if (rc == 0)
        rc = check_entries(store, chain, &check, err);
    stanch_store_close(store);
    stanch_chain_check_done(&check);
    return rc;
}

int stanch_timeline_verify(const char *path, const char *chain, const char *checkpoint_path,
                           struct stanch_verify_result *ret, struct stanch_err *err)
{
    struct stat info;
    struct stanch_err why = {0};
    if (stat(path, &info) < 0)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s: there is no store and no export there", path);
    if (!S_ISDIR(info.st_mode))
        return stanch_verify_export(path, chain, checkpoint_path, ret, err);
    int rc = verify_store(path, chain, checkpoint_path, ret, &why);
    return rc < 0 ? stanch_err_set(err, rc, "%s", why.text) : 0;
}
