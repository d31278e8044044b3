/* test_tamper.c: every kind of change to what is written is found, and the first bad entry is named (campaign D12).
 * The timeline is made once; each case works on a copy of its database, with the triggers dropped. STANCH_LONG=1: 1,000
 * rows and every row instead of some. */
#include "timeline/tamper.h"
#include <fcntl.h>

static int set_up(void **state)
{
    (void)state;
    make_timeline(getenv("STANCH_LONG") ? 1008 : 304);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    drop_timeline();
    return 0;
}

/* Change a copy with SQL; the first bad entry must be `seq`. */
__attribute__((format(printf, 3, 4))) static void tamper(int64_t seq, const char *checkpoint_path, const char *fmt, ...)
{
    char sql[4000];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, args);
    va_end(args);
    sqlite3 *db = open_copy();
    run_sql(db, sql);
    sqlite3_close(db);
    struct stanch_verify_result result = verify(copy, checkpoint_path);
    if (result.bad_seq != seq)
        fail_msg("%s: named entry %lld (%s), not %lld", sql, (long long)result.bad_seq, result.what, (long long)seq);
    assert_true(result.what[0] != 0);
}

static json_t *entry_at(int64_t seq)
{
    struct stanch_store *store;
    json_t *value = NULL;
    assert_int_equal(stanch_store_sqlite_open(original, 0, 1, &store, NULL), 0);
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_prepare_v2(stanch_sqlite__of(store)->reader, "SELECT chain, n FROM entry WHERE seq = ?1",
                                        -1, &stmt, NULL),
                     SQLITE_OK);
    sqlite3_bind_int64(stmt, 1, seq);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    value =
        json_pack("{s:s,s:I}", "chain", sqlite3_column_text(stmt, 0), "n", (json_int_t)sqlite3_column_int64(stmt, 1));
    sqlite3_finalize(stmt);
    stanch_store_close(store);
    return value;
}

static void what_is_whole_verifies(void **state)
{
    (void)state;
    fresh_copy();
    struct stanch_verify_result result = verify(copy, checkpoint);
    assert_int_equal(result.bad_seq, 0);
    assert_int_equal(result.entries, rows);
    assert_int_equal(result.chains, 8);
    assert_int_equal(verify(copy, early).bad_seq, 0);
    assert_int_equal(verify(checkpoint, early).bad_seq, 0);
    assert_int_equal(verify(early, NULL).bad_seq, 0);
    assert_int_equal(stanch_timeline_verify(copy, "INC-3", checkpoint, &result, NULL), 0);
    assert_int_equal(result.bad_seq, 0);
    assert_int_equal(result.chains, 1);
    assert_int_equal(stanch_timeline_verify(copy, "INC-99", NULL, &result, NULL), STANCH_E_NOT_FOUND);
}

static void a_change_of_any_field_is_named(void **state)
{
    (void)state;
    static const char *const changes[] = {
        "chain = 'INC-77'",
        "chain = CASE chain WHEN 'INC-1' THEN 'INC-2' ELSE 'INC-1' END",
        "n = n + 1",
        "n = n + 100",
        "n = 0",
        "at_ms = at_ms + 1",
        "kind = CASE kind WHEN 'step.noted' THEN 'step.decided' ELSE 'step.noted' END",
        "by = by || ' '",
        "run = CASE WHEN run IS NULL THEN 'R-1' ELSE NULL END",
        "run = ''",
        "data = replace(data, '}', ' }')",
        "data = json_set(data, '$.more', 1)",
        "prev = 'x'",
        "prev = replace('" STANCH_HASH_ZERO "', '0', '1')",
        "hash = '" STANCH_HASH_ZERO "'",
        "hash = substr(hash, 2)",
        "link = '" STANCH_HASH_ZERO "'",
    };
    for (int seq = 1; seq <= rows; seq += getenv("STANCH_LONG") ? 7 : seq < 3 || seq > rows - 3 ? 1 : 60)
        for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
            tamper(seq, NULL, "UPDATE entry SET %s WHERE seq = %d", changes[i], seq);
}

static void one_changed_character_is_named_with_its_chain(void **state)
{
    (void)state;
    for (int seq = 5; seq <= rows; seq += 50) {
        tamper(seq, NULL, "UPDATE entry SET data = replace(data, substr(data, 3, 1), 'Z') WHERE seq = %d", seq);
        STANCH_AUTO_JSON json_t *entry = entry_at(seq);
        struct stanch_verify_result result = verify(copy, NULL);
        assert_string_equal(result.bad_chain, stanch_json_str(entry, "chain", ""));
        assert_int_equal(result.bad_n, stanch_json_int(entry, "n", 0));
        assert_non_null(strstr(result.what, "altered"));
    }
}

static void a_removed_entry_is_named(void **state)
{
    (void)state;
    for (int seq = 1; seq <= rows; seq += seq < 10 ? 1 : 17) {
        tamper(seq, NULL, "DELETE FROM entry WHERE seq = %d", seq);
        STANCH_AUTO_JSON json_t *entry = entry_at(seq);
        struct stanch_verify_result result = verify(copy, NULL);
        assert_string_equal(result.bad_chain, stanch_json_str(entry, "chain", ""));
        assert_int_equal(result.bad_n, stanch_json_int(entry, "n", 0));
        /* and when the places behind it were closed up */
        if (seq < rows)
            tamper(seq, NULL,
                   "DELETE FROM entry WHERE seq = %d; UPDATE entry SET seq = -(seq - 1) WHERE seq > %d;"
                   "UPDATE entry SET seq = -seq WHERE seq < 0",
                   seq, seq);
    }
}

static void swapped_entries_are_named(void **state)
{
    (void)state;
    static const int pairs[][2] = {{1, 2}, {3, 4}, {5, 6}, {9, 17}, {10, 200}, {2, 300}, {303, 304}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        tamper(pairs[i][0], NULL,
               "UPDATE entry SET seq = -1 WHERE seq = %d; UPDATE entry SET seq = %d WHERE seq = %d;"
               "UPDATE entry SET seq = %d WHERE seq = -1",
               pairs[i][0], pairs[i][0], pairs[i][1], pairs[i][1]);
    tamper(20, NULL, /* all but the place: the numbers of the chain are exchanged too */
           "UPDATE entry SET n = n + 1 WHERE seq = 20; UPDATE entry SET n = n - 1 WHERE seq = 21");
    tamper(20, NULL, "UPDATE entry SET seq = 5000 WHERE seq = 20");
    tamper(rows, NULL, "UPDATE entry SET seq = 5000 WHERE seq = %d", rows);
    tamper(1, NULL, "UPDATE entry SET seq = -3 WHERE seq = 20");
}

#define COLUMNS "chain, n, at_ms, kind, by, run, data, prev, hash, link"

static void inserted_and_doubled_entries_are_named(void **state)
{
    (void)state;
    tamper(rows + 1, NULL, "INSERT INTO entry SELECT %d, " COLUMNS " FROM entry WHERE seq = 12", rows + 1);
    tamper(rows + 1, NULL, "INSERT INTO entry SELECT %d, " COLUMNS " FROM entry WHERE seq = %d", rows + 1, rows);
    for (int seq = 2; seq <= rows; seq += 43)
        tamper(seq, NULL,
               "UPDATE entry SET seq = -(seq + 1) WHERE seq >= %d; UPDATE entry SET seq = -seq WHERE seq < 0;"
               "INSERT INTO entry SELECT %d, " COLUMNS " FROM entry WHERE seq = %d",
               seq, seq, seq - 1);
}

static void a_cut_tail_is_found_against_a_checkpoint(void **state)
{
    (void)state;
    tamper(rows - 9, NULL, "DELETE FROM entry WHERE seq > %d", rows - 10); /* the store's own heads tell */
    static const char again[] =
        "DELETE FROM entry WHERE seq > %d; DELETE FROM head;"
        "INSERT INTO head SELECT chain, n, hash FROM entry e WHERE n = (SELECT max(n) FROM entry WHERE chain = "
        "e.chain);"
        "INSERT INTO head SELECT '*', seq, link FROM entry ORDER BY seq DESC LIMIT 1; DELETE FROM doc";
    for (int cut = 1; cut < rows; cut += 37) {
        tamper(rows - cut + 1, checkpoint, again, rows - cut);
        struct stanch_verify_result result = verify(copy, checkpoint);
        assert_non_null(strstr(result.what, "tail cut"));
        assert_int_equal(verify(copy, NULL).bad_seq, 0); /* nobody can see it without one */
    }
    tamper(2, checkpoint, again, 1); /* whole chains are gone */
    tamper(1, checkpoint, again, 0);
    tamper(rows / 2, early, again, rows / 2 - 1);
}

static void a_recomputed_timeline_is_found_against_a_checkpoint(void **state)
{
    (void)state;
    struct stanch_verify_result result;
    struct stanch_err err = {0};
    forge("UPDATE entry SET data = json_set(data, '$.more', 1) WHERE seq = 20");
    assert_int_equal(verify(copy, NULL).bad_seq, 0); /* it is consistent in itself */
    result = verify(copy, early);
    assert_true(result.bad_seq >= 20);
    assert_non_null(strstr(result.what, "checkpoint"));
    assert_int_not_equal(verify(copy, checkpoint).bad_seq, 0);
    forge("DELETE FROM entry WHERE chain = 'INC-2'; UPDATE entry SET seq = seq + 100000;"
          "UPDATE entry SET seq = (SELECT count(*) FROM entry e WHERE e.seq <= entry.seq)");
    assert_int_equal(verify(copy, NULL).bad_seq, 0);
    assert_int_not_equal(verify(copy, checkpoint).bad_seq, 0);
    /* with a key of his own he can sign, but the store never had that key, and the checkpoint is kept elsewhere */
    STANCH_AUTO_FREE char *forged = stanch_asprintf("%s/forged.jsonl", copy);
    FILE *out = fopen(forged, "w");
    STANCH_AUTO_FREE char *other = new_dir();
    struct stanch_store *store;
    assert_int_equal(stanch_store_sqlite_open(other, 1, 0, &store, &err), 0);
    STANCH_AUTO_JSON json_t *value = NULL;
    STANCH_AUTO_FREE char *id = NULL;
    assert_int_equal(stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "store", &id, NULL), 0);
    assert_int_equal(stanch_sign_checkpoint(other, json_pack("{s:s,s:[]}", "store", id, "heads"), &value, &err), 0);
    json_dumpf(value, out, JSON_COMPACT);
    assert_int_equal(fclose(out), 0);
    stanch_store_close(store);
    assert_int_equal(stanch_timeline_verify(copy, NULL, forged, &result, &err), STANCH_E_INVALID);
    assert_non_null(strstr(err.text, "was made of store"));
    json_decref(json_object_get(value, "checkpoint"));
    unlink(forged);
    drop_dir(STANCH_TAKE(other));
}

static void what_stands_beside_the_entries_is_checked_too(void **state)
{
    (void)state;
    tamper(rows, NULL, "UPDATE blob SET bytes = CAST('Body' AS BLOB)");
    tamper(2, NULL,
           "UPDATE doc SET text = replace(text, 'E-0', 'E-9') WHERE noun = 'event' AND id = 'E-0'; UPDATE doc "
           "SET seq = 2 WHERE noun = 'event' AND id = 'E-0'");
    tamper(rows + 1, NULL, "UPDATE head SET hash = '%s' WHERE chain = '*'", STANCH_HASH_ZERO);
    tamper(rows + 1, NULL, "DELETE FROM head WHERE chain = 'INC-4'");
    tamper(rows + 1, NULL, "UPDATE head SET n = n + 1 WHERE chain = 'INC-4'");
    tamper(rows, NULL, "UPDATE head SET n = n - 1 WHERE chain = '*'");
}

/* Where the bytes of entry `seq` stand in the file: its hash is unlike anything else. */
static long find_bytes(const char *bytes, long size, const char *text, long from)
{
    const void *at = memmem(bytes + from, (size_t)(size - from), text, strlen(text));
    return at ? (long)((const char *)at - bytes) : -1;
}

static void one_flipped_byte_in_the_file_is_found(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *from = stanch_asprintf("%s/stanch.db", original);
    FILE *file = fopen(from, "rb");
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    STANCH_AUTO_FREE char *bytes = stanch_alloc((size_t)size);
    rewind(file);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    fclose(file);
    sqlite3 *db;
    sqlite3_stmt *stmt;
    assert_int_equal(sqlite3_open(from, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT seq, data, hash FROM entry", -1, &stmt, NULL), SQLITE_OK);
    int found = 0;
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        int64_t seq = sqlite3_column_int64(stmt, 0);
        if (seq % 29 != 0)
            continue;
        /* in the row itself: data, prev, hash, link follow each other */
        STANCH_AUTO_FREE char *row = stanch_asprintf("%s", (const char *)sqlite3_column_text(stmt, 2));
        long hash_at = -1;
        for (long at = find_bytes(bytes, size, row, 0); at >= 0; at = find_bytes(bytes, size, row, at + 1))
            if (at > 200 && memcmp(bytes + at - 64 - sqlite3_column_bytes(stmt, 1), sqlite3_column_text(stmt, 1),
                                   (size_t)sqlite3_column_bytes(stmt, 1)) == 0)
                hash_at = at;
        assert_true(hash_at > 0);
        long places[] = {hash_at, hash_at + 63, hash_at - 1, hash_at - 64, hash_at - 66, hash_at + 64 + 10};
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            fresh_copy();
            int fd = open(database, O_WRONLY | O_CLOEXEC);
            char flipped = (char)(bytes[places[i]] ^ 1);
            assert_int_equal(pwrite(fd, &flipped, 1, places[i]), 1);
            close(fd);
            assert_int_equal(verify(copy, NULL).bad_seq, seq);
            found++;
        }
    }
    sqlite3_finalize(stmt);
    sqlite3_close(db);
    assert_true(found > 50);
    /* any other byte: found, or it is one that nothing reads (free space); never a crash */
    for (long at = 0; at < size; at += size / 97) {
        fresh_copy();
        int fd = open(database, O_WRONLY | O_CLOEXEC);
        char flipped = (char)(bytes[at] ^ 0x10);
        assert_int_equal(pwrite(fd, &flipped, 1, at), 1);
        close(fd);
        struct stanch_verify_result result;
        (void)stanch_timeline_verify(copy, NULL, NULL, &result, NULL);
    }
}

/* Change an export's text at the first place of `from` behind line `line`. */
static void tamper_export(int line, const char *from, const char *to, int64_t seq)
{
    char *text = NULL;
    size_t cap = 0;
    ssize_t len;
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/changed.jsonl", copy);
    FILE *in = fopen(checkpoint, "r"), *out = fopen(path, "w");
    for (int number = 1; (len = getline(&text, &cap, in)) > 0; number++) {
        char *at = number == line ? strstr(text, from) : NULL;
        assert_true(number != line || at);
        if (at && !*to && strcmp(from, "{") == 0)
            continue; /* leave the whole line out */
        if (at) {
            fwrite(text, 1, (size_t)(at - text), out);
            (void)fprintf(out, "%s%s", to, at + strlen(from));
        } else {
            fwrite(text, 1, (size_t)len, out);
        }
    }
    free(text);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    struct stanch_verify_result result = verify(path, NULL);
    if (result.bad_seq != seq)
        fail_msg("line %d, %s: named %lld (%s)", line, from, (long long)result.bad_seq, result.what);
    unlink(path);
}

static void an_export_is_checked_like_the_store(void **state)
{
    (void)state;
    tamper_export(20, "\"data\":{", "\"data\":{\"a\":1,", 20);
    tamper_export(20, "\"by\":\"person:alice\"", "\"by\":\"person:bob\"", 20);
    tamper_export(20, "\"seq\":20", "\"seq\":21", 20);
    tamper_export(20, "\"text\":\"", "\"text\":\"Not ", 20);
    tamper_export(20, "\"level\":\"", "\"level\":\"x", 20);
    tamper_export(20, "{", "", 20);             /* a line left out */
    tamper_export(20, "{", "{]", 20);           /* not JSON */
    tamper_export(rows, "{", "", rows);         /* the last entry */
    tamper_export(rows + 1, "{", "", rows + 1); /* the checkpoint itself */
    tamper_export(rows + 1, "\"signature\":\"", "\"signature\":\"00", rows + 1);
    tamper_export(rows + 1, "\"entries\":", "\"entries\":1", rows + 1);
}

static void an_export_of_one_incident_verifies_alone(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/one.jsonl", copy);
    export_to(path, "INC-3");
    struct stanch_verify_result result = verify(path, NULL);
    assert_int_equal(result.bad_seq, 0);
    assert_int_equal(result.chains, 1);
    assert_true(result.entries > 10);
    fresh_copy();
    assert_int_equal(verify(copy, path).bad_seq, 0); /* its last line is a checkpoint of that chain */
    FILE *out = fopen("/dev/null", "w");
    assert_int_equal(stanch_timeline_export(original, "INC-99", out, NULL), STANCH_E_NOT_FOUND);
    fclose(out);
    unlink(path);
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_verifies),
        cmocka_unit_test(a_change_of_any_field_is_named),
        cmocka_unit_test(one_changed_character_is_named_with_its_chain),
        cmocka_unit_test(a_removed_entry_is_named),
        cmocka_unit_test(swapped_entries_are_named),
        cmocka_unit_test(inserted_and_doubled_entries_are_named),
        cmocka_unit_test(a_cut_tail_is_found_against_a_checkpoint),
        cmocka_unit_test(a_recomputed_timeline_is_found_against_a_checkpoint),
        cmocka_unit_test(what_stands_beside_the_entries_is_checked_too),
        cmocka_unit_test(one_flipped_byte_in_the_file_is_found),
        cmocka_unit_test(an_export_is_checked_like_the_store),
        cmocka_unit_test(an_export_of_one_incident_verifies_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
