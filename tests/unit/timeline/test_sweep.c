/* test_sweep.c: campaign D12: all changes of all kinds to a timeline of 1,000 entries; each must be found, and where it is
 * local its first bad entry named. By itself a quick test; STANCH_SWEEP=STRIDE:SEED counts, one `name value` a line, for
 * tests/campaign/d12_tamper.py. */
#include "timeline/tamper.h"
#include <inttypes.h>
#include <time.h>

enum { FIELDS, DELETES, SWAPS, INSERTS, PREFIXES, TAILS, RECOMPUTED, MIDDLES, CHECKPOINTS, KINDS };
static const char *const names[KINDS] = {"fields", "deletes",    "swaps",   "inserts",    "prefixes",
                                         "tails",  "recomputed", "middles", "checkpoints"};
static struct {
    int cases, found, named;
} counts[KINDS];
static int stride = 97;
static unsigned long long noise = 1;
static sqlite3 *db; /* of the copy: changed and put back case by case */

static int any(int below)
{
    noise = noise * 6364136223846793005ull + 1442695040888963407ull;
    return (int)((noise >> 33) % (unsigned long long)below);
}

static void count(int kind, const char *what, int64_t expected, const struct stanch_verify_result *result)
{
    bool found = result->bad_seq != 0 && result->what[0], named = result->bad_seq == expected;
    counts[kind].cases++;
    counts[kind].found += found;
    counts[kind].named += found && named;
    if (!found || !named)
        (void)fprintf(stderr, "%s: %.160s: named %" PRId64 " (%s), not %" PRId64 "\n", names[kind], what,
                      result->bad_seq, result->what, expected);
}

static void begin_copy(void)
{
    char sql[300];
    db = open_copy();
    (void)snprintf(sql, sizeof sql, "PRAGMA journal_mode = MEMORY; ATTACH '%s/stanch.db' AS pristine", original);
    run_sql(db, sql);
}

/* Change, verify, put the rows from..to back (0, 0: all rows). */
__attribute__((format(printf, 5, 6))) static void try_change(int kind, int64_t expected, int from, int to,
                                                             const char *fmt, ...)
{
    char sql[1000], back[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sql, sizeof sql, fmt, args);
    va_end(args);
    run_sql(db, "BEGIN");
    run_sql(db, sql);
    run_sql(db, "COMMIT");
    struct stanch_verify_result result = verify(copy, NULL);
    count(kind, sql, expected, &result);
    if (to)
        (void)snprintf(back, sizeof back,
                       "BEGIN; DELETE FROM main.entry WHERE seq IN (%d, %d) OR seq > %d; INSERT INTO main.entry SELECT "
                       "* FROM pristine.entry WHERE seq IN (%d, %d); COMMIT",
                       from, to, rows, from, to);
    else
        (void)snprintf(back, sizeof back,
                       "BEGIN; DELETE FROM main.entry; INSERT INTO main.entry SELECT * FROM pristine.entry; COMMIT");
    run_sql(db, back);
}

static void sweep_fields(void)
{
    static const char *const changes[] = {
        "chain = CASE chain WHEN 'INC-1' THEN 'INC-2' ELSE 'INC-1' END",
        "n = n + 1",
        "at_ms = at_ms + 1",
        "kind = CASE kind WHEN 'step.noted' THEN 'step.decided' ELSE 'step.noted' END",
        "by = by || 'x'",
        "run = CASE WHEN run IS NULL THEN 'R-1' ELSE NULL END",
        "data = json_set(data, '$.more', 1)",
        "prev = replace(prev, substr(prev, 1, 1), CASE substr(prev, 1, 1) WHEN 'f' THEN 'e' ELSE 'f' END)",
        "hash = replace(hash, substr(hash, 9, 1), CASE substr(hash, 9, 1) WHEN '0' THEN '1' ELSE '0' END)",
        "link = replace(link, substr(link, 9, 1), CASE substr(link, 9, 1) WHEN '0' THEN '1' ELSE '0' END)",
        "seq = seq + 100000",
    };
    for (int seq = 1; seq <= rows; seq++)
        for (int i = 0; i < (int)(sizeof changes / sizeof *changes); i++)
            if ((seq * 11 + i) % stride == 0)
                try_change(FIELDS, seq, seq, seq, "UPDATE entry SET %s WHERE seq = %d", changes[i], seq);
}

#define COLUMNS "chain, n, at_ms, kind, by, run, data, prev, hash, link"

#define SWAP                                                                                                           \
    "UPDATE entry SET seq = -1 WHERE seq = %d; UPDATE entry SET seq = %d WHERE seq = %d; UPDATE entry SET seq = %d "   \
    "WHERE seq = -1"

static void sweep_places(void)
{
    for (int seq = 1; seq <= rows; seq += stride) {
        int other = 1 + any(rows);
        try_change(DELETES, seq, seq, seq, "DELETE FROM entry WHERE seq = %d", seq);
        if (seq < rows)
            try_change(SWAPS, seq, seq, seq + 1, SWAP, seq, seq, seq + 1, seq + 1);
        if (other != seq)
            try_change(SWAPS, seq < other ? seq : other, seq, other, SWAP, seq, seq, other, other);
        try_change(INSERTS, rows + 1, rows + 1, rows + 1,
                   "INSERT INTO entry SELECT %d, " COLUMNS " FROM entry WHERE seq = %d", rows + 1, seq);
    }
    int step = stride * 8;
    for (int seq = 2; seq <= rows; seq += step) {
        try_change(INSERTS, seq, 0, 0,
                   "UPDATE entry SET seq = -(seq + 1) WHERE seq >= %d; UPDATE entry SET seq = -seq WHERE seq < 0;"
                   "INSERT INTO entry SELECT %d, " COLUMNS " FROM entry WHERE seq = %d",
                   seq, seq, 1 + any(seq - 1));
        try_change(DELETES, seq, 0, 0, /* and the places behind it are closed up */
                   "DELETE FROM entry WHERE seq = %d; UPDATE entry SET seq = -(seq - 1) WHERE seq > %d;"
                   "UPDATE entry SET seq = -seq WHERE seq < 0",
                   seq, seq);
        try_change(PREFIXES, 1, 0, 0, "DELETE FROM entry WHERE seq < %d", seq);
        try_change(PREFIXES, 1, 0, 0,
                   "DELETE FROM entry WHERE seq < %d; UPDATE entry SET seq = -(seq - %d) WHERE seq > 0; UPDATE entry "
                   "SET seq = -seq",
                   seq, seq - 1);
    }
}

/* Somebody who computes hashes anew, but not all: what he wrote does not go on into what he left. */
static void sweep_middles(void)
{
    for (int i = 0; i < 200 / stride + 3; i++) {
        int from = 2 + any(rows - 4), to = from + any(rows - from - 1);
        char change[200];
        (void)snprintf(change, sizeof change, "UPDATE entry SET data = json_set(data, '$.more', 1) WHERE seq = %d",
                       from);
        run_sql(db, "BEGIN");
        run_sql(db, change);
        json_decref(forge_rows(db, from, to));
        run_sql(db, "COMMIT");
        struct stanch_verify_result result = verify(copy, NULL);
        count(MIDDLES, change, to + 1, &result);
        run_sql(db, "BEGIN; DELETE FROM main.entry; INSERT INTO main.entry SELECT * FROM pristine.entry; COMMIT");
    }
}

static void sweep_tails(void)
{
    for (int keep = rows - 1; keep >= 0; keep -= stride * 4) {
        cut_tail(keep);
        struct stanch_verify_result result = verify(copy, checkpoint);
        count(TAILS, "a cut tail", keep + 1, &result);
    }
}

/* All hashes anew: found against a checkpoint; which entry was first cannot be known by then. */
static void sweep_recomputed(void)
{
    for (int i = 0; i < 100 / stride + 3; i++) {
        int seq = 1 + any(rows);
        char change[300];
        if (i % 2)
            (void)snprintf(change, sizeof change,
                           "DELETE FROM entry WHERE seq = %d; UPDATE entry SET seq = -(seq - 1) WHERE seq > %d; UPDATE "
                           "entry SET seq = -seq WHERE seq < 0",
                           seq, seq);
        else
            (void)snprintf(change, sizeof change, "UPDATE entry SET data = json_set(data, '$.more', 1) WHERE seq = %d",
                           seq);
        forge(change);
        struct stanch_verify_result result = verify(copy, checkpoint);
        count(RECOMPUTED, change, result.bad_seq >= seq ? result.bad_seq : -1, &result);
    }
}

/* ---- checkpoints that are not what they say ---- */

static void write_line(const char *path, const json_t *value)
{
    FILE *out = fopen(path, "w");
    json_dumpf(value, out, JSON_COMPACT);
    assert_int_equal(fclose(out), 0);
}

/* A checkpoint that must not be taken for one. */
static void try_checkpoint(const char *what, const json_t *value)
{
    struct stanch_verify_result result = {0};
    struct stanch_err err = {0};
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/forged.jsonl", copy);
    write_line(path, value);
    int rc = stanch_timeline_verify(copy, NULL, path, &result, &err);
    counts[CHECKPOINTS].cases++;
    counts[CHECKPOINTS].found += rc == STANCH_E_INVALID;
    counts[CHECKPOINTS].named += rc == STANCH_E_INVALID;
    if (rc != STANCH_E_INVALID)
        (void)fprintf(stderr, "checkpoints: %s was taken\n", what);
    (void)unlink(path);
}

static json_t *sign_heads(const char *heads_of, const char *key_dir)
{
    struct stanch_store *store;
    json_t *value = NULL;
    assert_int_equal(stanch_store_sqlite_open(heads_of, 0, 1, &store, NULL), 0);
    assert_int_equal(stanch_checkpoint_make(store, key_dir, &value, NULL), 0);
    stanch_store_close(store);
    return value;
}

static void sweep_checkpoints(void)
{
    struct stanch_store *store;
    char *other = new_dir();
    assert_int_equal(stanch_store_sqlite_open(other, 1, 0, &store, NULL), 0);
    stanch_store_close(store);
    cut_tail(rows / 2);
    STANCH_AUTO_JSON json_t *good = sign_heads(original, original);
    STANCH_AUTO_JSON json_t *of_other = sign_heads(other, other);
    STANCH_AUTO_JSON json_t *own_key = sign_heads(copy, other); /* the forger has a key too, but not this store's */
    STANCH_AUTO_JSON json_t *altered = json_deep_copy(good);    /* heads of the forgery under the old signature */
    STANCH_AUTO_JSON json_t *made = sign_heads(copy, other);
    json_object_set(altered, "checkpoint", json_object_get(made, "checkpoint"));
    STANCH_AUTO_JSON json_t *renamed = json_deep_copy(of_other);
    json_object_set(json_object_get(renamed, "checkpoint"), "store",
                    json_object_get(json_object_get(good, "checkpoint"), "store"));
    STANCH_AUTO_JSON json_t *unsigned_one = json_deep_copy(own_key);
    json_object_del(unsigned_one, "signature");
    try_checkpoint("one of another store", of_other);
    try_checkpoint("one signed by another key", own_key);
    try_checkpoint("one whose heads were exchanged", altered);
    try_checkpoint("one of another store under this one's name", renamed);
    try_checkpoint("one without a signature", unsigned_one);
    drop_dir(other);
}

/* ---- how fast ---- */

static double rows_per_second(int *ret_rows)
{
    char *dir = new_dir();
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, dir);
    for (int i = 0; i < 20; i++) {
        append_mixed(journal, 1000);
        settle(loop, journal);
    }
    stanch_journal_close(journal);
    stanch_loop_free(loop);
    double best = 0;
    for (int i = 0; i < 3; i++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin); /* not the wall: others run here too */
        struct stanch_verify_result result = verify(dir, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        assert_int_equal(result.bad_seq, 0);
        *ret_rows = (int)result.entries;
        double rate = (double)result.entries /
                      ((double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
        best = rate > best ? rate : best;
    }
    drop_dir(dir);
    return best;
}

static void sweep(void **state)
{
    (void)state;
    make_timeline(1008);
    begin_copy();
    assert_int_equal(verify(copy, checkpoint).bad_seq, 0);
    sweep_fields();
    sweep_places();
    sweep_middles();
    assert_int_equal(verify(copy, checkpoint).bad_seq, 0); /* all was put back */
    sqlite3_close(db);
    sweep_tails();
    sweep_recomputed();
    sweep_checkpoints();
    drop_timeline();
}

static void print_all(void)
{
    int count = 0;
    double rate = rows_per_second(&count);
    (void)printf("rows %d\nrate %.0f\nrate_rows %d\n", rows, rate, count);
    for (int kind = 0; kind < KINDS; kind++)
        (void)printf("%s.cases %d\n%s.found %d\n%s.named %d\n", names[kind], counts[kind].cases, names[kind],
                     counts[kind].found, names[kind], counts[kind].named);
}

static void every_change_is_found(void **state)
{
    sweep(state);
    for (int kind = 0; kind < KINDS; kind++) {
        assert_true(counts[kind].cases > 0);
        assert_int_equal(counts[kind].found, counts[kind].cases);
        assert_int_equal(counts[kind].named, counts[kind].cases);
    }
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
    const char *wanted = getenv("STANCH_SWEEP");
    const struct CMUnitTest counting[] = {cmocka_unit_test(sweep)}, quick[] = {cmocka_unit_test(every_change_is_found)};
    stanch_digest_init();
    if (!wanted)
        return cmocka_run_group_tests(quick, NULL, NULL);
    if (sscanf(wanted, "%d:%llu", &stride, &noise) != 2 || stride < 1)
        return 2;
    int failed = cmocka_run_group_tests(counting, NULL, NULL);
    if (!failed)
        print_all();
    return failed;
}
