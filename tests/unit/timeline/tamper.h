/* tamper.h: a timeline that is made once, and copies of it to change as somebody who can write the database would.
 * Used by test_tamper.c (each kind of change) and test_sweep.c (all of them, counted: campaign D12). */
#ifndef TEST_TIMELINE_TAMPER_H
#define TEST_TIMELINE_TAMPER_H
#include "timeline/world.h"
#include "timeline/checkpoint.h"
#include "timeline/sign.h"

static int rows;
static char *original, *copy;    /* store directories */
static char *database;           /* of the copy */
static char *checkpoint, *early; /* exports of all, and of when it had half of the entries */

UNUSED static void export_to(const char *path, const char *chain)
{
    FILE *out = fopen(path, "w");
    struct stanch_err err = {0};
    if (stanch_timeline_export(original, chain, out, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(fclose(out), 0);
}

/* count: a multiple of 16; one more comes to it, with a blob */
UNUSED static void make_timeline(int count)
{
    rows = count;
    original = new_dir();
    copy = new_dir();
    database = stanch_asprintf("%s/stanch.db", copy);
    checkpoint = stanch_asprintf("%s/checkpoint.jsonl", original);
    early = stanch_asprintf("%s/early.jsonl", original);
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, original);
    append_mixed(journal, rows / 2);
    stanch_journal_close(journal);
    export_to(early, NULL);
    journal = open_journal(loop, original);
    append_mixed(journal, rows / 2);
    struct stanch_batch *batch = stanch_batch_new();
    char id[65];
    stanch_digest_hex("body", 4, id);
    stanch_batch_add(batch, "-", "event.refused", "stanch", NULL, json_pack("{s:s}", "body", id));
    stanch_batch_blob(batch, id, "body", 4);
    assert_int_equal(stanch_journal_append(journal, batch, NULL, NULL, NULL), 0);
    stanch_journal_close(journal);
    stanch_loop_free(loop);
    export_to(checkpoint, NULL);
    rows++;
}

UNUSED static void drop_timeline(void)
{
    free(database);
    free(checkpoint);
    free(early);
    drop_dir(original);
    drop_dir(copy);
}

UNUSED static void fresh_copy(void)
{
    STANCH_AUTO_FREE char *from = stanch_asprintf("%s/stanch.db", original);
    copy_file(from, database);
}

UNUSED static sqlite3 *open_copy(void)
{
    sqlite3 *db;
    fresh_copy();
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; DROP TRIGGER "
                                  "entry_is_never_changed; DROP TRIGGER entry_is_never_deleted",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    return db;
}

UNUSED static void run_sql(sqlite3 *db, const char *sql)
{
    char *why = NULL;
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
}

UNUSED static struct stanch_verify_result verify(const char *path, const char *checkpoint_path)
{
    struct stanch_verify_result result;
    struct stanch_err err = {0};
    if (stanch_timeline_verify(path, NULL, checkpoint_path, &result, &err) < 0)
        fail_msg("%s", err.text);
    return result;
}

/* Keep what a row says of its place as what the next ones build upon. */
UNUSED static void pass_row(json_t *heads, sqlite3_stmt *row, char link[65])
{
    json_object_set_new(heads, (const char *)sqlite3_column_text(row, 1),
                        json_pack("{s:I,s:s}", "n", (json_int_t)sqlite3_column_int64(row, 7), "hash",
                                  (const char *)sqlite3_column_text(row, 8)));
    (void)snprintf(link, 65, "%s", (const char *)sqlite3_column_text(row, 9));
}

/* Compute the hashes of the rows from..to anew, as somebody without the key can. */
UNUSED static json_t *forge_rows(sqlite3 *db, int64_t from, int64_t to)
{
    sqlite3_stmt *read, *write;
    json_t *heads = json_object();
    char link[65] = STANCH_HASH_ZERO;
    assert_int_equal(sqlite3_prepare_v2(db,
                                        "SELECT seq, chain, at_ms, kind, by, run, data, n, hash, link FROM entry"
                                        " ORDER BY seq",
                                        -1, &read, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "UPDATE entry SET n = ?1, prev = ?2, hash = ?3, link = ?4 WHERE seq = ?5",
                                        -1, &write, NULL),
                     SQLITE_OK);
    while (sqlite3_step(read) == SQLITE_ROW) {
        const char *chain = (const char *)sqlite3_column_text(read, 1);
        const json_t *head = json_object_get(heads, chain);
        struct stanch_entry entry = {.seq = sqlite3_column_int64(read, 0),
                                     .chain = chain,
                                     .n = stanch_json_int(head, "n", 0) + 1,
                                     .at_ms = sqlite3_column_int64(read, 2),
                                     .kind = (const char *)sqlite3_column_text(read, 3),
                                     .by = (const char *)sqlite3_column_text(read, 4),
                                     .run = (const char *)sqlite3_column_text(read, 5)};
        if (entry.seq < from || entry.seq > to) {
            pass_row(heads, read, link);
            continue;
        }
        (void)snprintf(entry.prev, 65, "%s", stanch_json_str(head, "hash", STANCH_HASH_ZERO));
        assert_int_equal(stanch_entry_seal_text(&entry, (const char *)sqlite3_column_text(read, 6),
                                                (size_t)sqlite3_column_bytes(read, 6), NULL),
                         0);
        stanch_store_link(entry.seq, link, entry.hash, link);
        json_object_set_new(heads, chain, json_pack("{s:I,s:s}", "n", (json_int_t)entry.n, "hash", entry.hash));
        json_object_set_new(heads, "*", json_pack("{s:I,s:s}", "n", (json_int_t)entry.seq, "hash", link));
        sqlite3_bind_int64(write, 1, entry.n);
        sqlite3_bind_text(write, 2, entry.prev, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(write, 3, entry.hash, -1, SQLITE_TRANSIENT);
        sqlite3_bind_text(write, 4, link, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(write, 5, entry.seq);
        assert_int_equal(sqlite3_step(write), SQLITE_DONE);
        sqlite3_reset(write);
    }
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return heads;
}

/* A timeline by somebody who computed all hashes anew: `change` and all that follows from it. */
UNUSED static void forge(const char *change)
{
    sqlite3 *db = open_copy();
    run_sql(db, change);
    run_sql(db, "BEGIN; DELETE FROM head");
    STANCH_AUTO_JSON json_t *heads = forge_rows(db, INT64_MIN, INT64_MAX);
    const char *chain;
    json_t *head;
    json_object_foreach(heads, chain, head)
    {
        char sql[300];
        (void)snprintf(sql, sizeof sql, "INSERT INTO head VALUES ('%s', %lld, '%s')", chain,
                       (long long)stanch_json_int(head, "n", 0), stanch_json_str(head, "hash", ""));
        run_sql(db, sql);
    }
    run_sql(db, "COMMIT");
    sqlite3_close(db);
}

/* The tail behind `keep` is cut, and the store's own heads are put right. */
UNUSED static void cut_tail(int keep)
{
    char sql[600];
    sqlite3 *db = open_copy();
    (void)snprintf(sql, sizeof sql,
                   "BEGIN; DELETE FROM entry WHERE seq > %d; DELETE FROM head;"
                   "INSERT INTO head SELECT chain, n, hash FROM entry e WHERE n = (SELECT max(n) FROM entry WHERE "
                   "chain = e.chain);"
                   "INSERT INTO head SELECT '*', seq, link FROM entry ORDER BY seq DESC LIMIT 1; DELETE FROM doc;"
                   "COMMIT",
                   keep);
    run_sql(db, sql);
    sqlite3_close(db);
}

#endif
