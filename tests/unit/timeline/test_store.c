/* test_store.c: who owns the store, what is refused at open, and that documents are only what entries tell. */
#include "timeline/world.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static struct stanch_loop *loop;
static char *dir;

static int set_up(void **state)
{
    (void)state;
    stanch_digest_init();
    loop = stanch_loop_new(NULL);
    dir = new_dir();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stanch_loop_free(loop);
    drop_dir(dir);
    return 0;
}

static int try_open(int create, int read_only, struct stanch_err *err)
{
    struct stanch_store *store = NULL;
    int rc = stanch_store_sqlite_open(dir, create, read_only, &store, err);
    if (rc == 0)
        stanch_store_close(store);
    return rc;
}

static void make_store(int entries)
{
    struct stanch_journal *journal = open_journal(loop, dir);
    if (entries)
        append_mixed(journal, entries);
    stanch_journal_close(journal);
}

static void run_sql(const char *sql)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    sqlite3 *db;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static void a_second_owner_is_refused_with_the_firsts_pid(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    struct stanch_journal *journal = open_journal(loop, dir);
    STANCH_AUTO_FREE char *pid = stanch_asprintf("process %ld ", (long)getpid());
    assert_int_equal(try_open(1, 0, &err), STANCH_E_CONFLICT); /* the lock is of the open file, not of the process */
    assert_non_null(strstr(err.text, pid));
    assert_non_null(strstr(err.text, "stop that process"));
    assert_int_equal(try_open(0, 1, &err), 0); /* reading goes on beside it */
    stanch_journal_close(journal);
    assert_int_equal(try_open(1, 0, &err), 0);
}

static void an_owner_that_was_killed_leaves_no_lock(void **state)
{
    (void)state;
    int fds[2], status;
    char byte;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
        struct stanch_store *store;
        if (stanch_store_sqlite_open(dir, 1, 0, &store, NULL) == 0 && write(fds[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    int rc = try_open(1, 0, NULL);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rc, STANCH_E_CONFLICT);
    assert_int_equal(try_open(1, 0, NULL), 0);
    close(fds[0]);
}

/* A process that an owner forked has the lock until it is another program: it may outlive a kill by a moment. */
static void what_a_killed_owner_had_just_forked_is_waited_for(void **state)
{
    (void)state;
    int up[2], down[2], status;
    char byte;
    assert_int_equal(pipe(up) | pipe(down), 0);
    pid_t owner = fork();
    if (owner == 0) {
        struct stanch_store *store;
        if (stanch_store_sqlite_open(dir, 1, 0, &store, NULL) < 0)
            _exit(1);
        if (fork() > 0)
            (void)kill(getpid(), SIGKILL);
        if (write(up[1], "x", 1) == 1 && read(down[0], &byte, 1) == 1)
            (void)usleep(50000); /* it lives while the store is being opened */
        _exit(0);
    }
    assert_int_equal(waitpid(owner, &status, 0), owner);
    assert_int_equal(read(up[0], &byte, 1), 1);
    assert_int_equal(write(down[1], "x", 1), 1);
    assert_int_equal(try_open(1, 0, NULL), 0);
    for (int i = 0; i < 2; i++) {
        close(up[i]);
        close(down[i]);
    }
}

static void the_epoch_grows_with_every_owner(void **state)
{
    (void)state;
    for (int64_t epoch = 1; epoch < 4; epoch++) {
        struct stanch_store *store;
        assert_int_equal(stanch_store_sqlite_open(dir, 1, 0, &store, NULL), 0);
        assert_int_equal(stanch_store_epoch(store), epoch);
        stanch_store_close(store);
    }
}

static bool failed;
static char failed_with[300];
static void on_failed(struct stanch_journal *journal, const struct stanch_err *err)
{
    (void)journal;
    (void)snprintf(failed_with, sizeof failed_with, "%s", err->text);
    failed = true;
}

static void wait_for_failure(struct stanch_journal *journal)
{
    bool dead = false;
    for (int64_t until = stanch_mono_now_ms() + 10000; !dead && stanch_mono_now_ms() < until;) {
        stanch_loop_run_once(loop);
        STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
        dead = stanch_json_bool(health, "read_only", false);
    }
    assert_true(dead);
}

/* Another owner (the lock file was deleted by hand, say): what the first one writes is not taken. */
static void a_former_owner_writes_nothing(void **state)
{
    (void)state;
    bool told = false;
    struct stanch_journal *journal = open_journal(loop, dir);
    failed = false;
    stanch_journal__on_failed(journal, on_failed);
    run_sql("UPDATE meta SET value = '77' WHERE key = 'epoch'");
    assert_int_equal(append_with(journal, "-", "step.noted", "{'text':'x'}", on_flag, &told, NULL), 0);
    wait_for_failure(journal);
    stanch_journal_close(journal);
    assert_true(failed);
    assert_false(told);
    assert_non_null(strstr(failed_with, "another process owns the store"));
    struct stanch_verify_result result;
    assert_int_equal(stanch_timeline_verify(dir, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.entries, 0);
}

static void a_head_that_moved_is_not_overwritten(void **state)
{
    (void)state;
    struct stanch_journal *journal = open_journal(loop, dir);
    append(journal, "INC-1", "incident.declared", "{'incident':'INC-1'}");
    settle(loop, journal);
    failed = false;
    stanch_journal__on_failed(journal, on_failed);
    run_sql("UPDATE head SET n = 9 WHERE chain = 'INC-1'");
    assert_int_equal(append_with(journal, "INC-1", "step.noted", "{'text':'x'}", NULL, NULL, NULL), 0);
    wait_for_failure(journal);
    stanch_journal_close(journal);
    assert_non_null(strstr(failed_with, "chain INC-1"));
}

static void a_locked_database_is_waited_for(void **state)
{
    (void)state;
    struct stanch_sqlite_options options = {.busy_ms = 20};
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_err err = {0};
    assert_int_equal(stanch_store_sqlite_open_with(dir, 1, 0, &options, &store, &err), 0);
    assert_int_equal(stanch_journal_open(loop, store, &journal, &err), 0);
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    bool told = false;
    stanch_log_set_level((enum stanch_log_level) - 1);
    assert_int_equal(append_with(journal, "-", "step.noted", "{'text':'x'}", on_flag, &told, NULL), 0);
    int rc = 0;
    for (int64_t until = stanch_mono_now_ms() + 10000; rc == 0 && stanch_mono_now_ms() < until;) {
        stanch_loop_run_once(loop);
        STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
        if (json_is_string(json_object_get(health, "why")))
            rc = append_with(journal, "-", "step.noted", "{'text':'y'}", NULL, NULL, &err);
    }
    assert_int_equal(rc, STANCH_E_BUSY); /* 503 at the door, while it lasts */
    assert_non_null(strstr(err.text, "locked"));
    assert_false(told);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    pump_until(loop, &told);
    append(journal, "-", "step.noted", "{'text':'z'}");
    stanch_log_set_level(STANCH_LOG_ERROR);
    stanch_journal_close(journal);
}

static void what_cannot_be_opened_is_said(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    assert_int_equal(try_open(0, 0, &err), STANCH_E_NOT_FOUND);
    assert_int_equal(try_open(0, 1, &err), STANCH_E_NOT_FOUND);
    make_store(40);
    run_sql("PRAGMA user_version = 4");
    assert_int_equal(try_open(1, 0, &err), STANCH_E_STORE);
    assert_non_null(strstr(err.text, "newer release"));
    assert_int_equal(try_open(0, 1, &err), STANCH_E_STORE);
    run_sql("PRAGMA user_version = 3; PRAGMA application_id = 1");
    assert_int_equal(try_open(1, 0, &err), STANCH_E_CORRUPT);
    assert_non_null(strstr(err.text, "not made by stanch"));
}

static void a_damaged_store_opens_for_reading_only(void **state)
{
    (void)state;
    struct stanch_err err = {0};
    make_store(40);
    run_sql("DROP TRIGGER entry_is_never_deleted; DELETE FROM entry WHERE seq = 40");
    assert_int_equal(try_open(1, 0, &err), STANCH_E_CORRUPT);
    assert_non_null(strstr(err.text, "timeline verify"));
    struct stanch_store *store;
    struct stanch_journal *journal;
    assert_int_equal(stanch_store_sqlite_open(dir, 0, 1, &store, &err), 0);
    assert_int_equal(stanch_journal_open(loop, store, &journal, &err), 0);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(journal, STANCH_VIEW_APPENDED, "incident", "INC-1");
    assert_non_null(doc);
    assert_int_equal(append_with(journal, "-", "step.noted", "{'text':'x'}", NULL, NULL, &err), STANCH_E_STORE);
    assert_non_null(strstr(err.text, "reading only"));
    settle(loop, journal);
    stanch_journal_close(journal);
    FILE *out = fopen("/dev/null", "w");
    assert_int_equal(stanch_timeline_export(dir, NULL, out, &err), 0);
    fclose(out);

    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "garbage garbage garbage", 23, 0), 23);
    close(fd);
    assert_int_equal(try_open(1, 0, &err), STANCH_E_CORRUPT);
    struct stanch_verify_result result;
    assert_int_equal(stanch_timeline_verify(dir, NULL, NULL, &result, &err), 0);
    assert_int_not_equal(result.bad_seq, 0);
}

static void entries_resist_an_accident(void **state)
{
    (void)state;
    make_store(8);
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(db, "UPDATE entry SET by = 'x'", NULL, NULL, NULL), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(db, "DELETE FROM entry", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void only_the_owner_reads_the_files(void **state)
{
    (void)state;
    make_store(8);
    static const char *const names[] = {"stanch.db", "stanch.key", "stanch.lock", "stanch.reserve"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct stat info;
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", dir, names[i]);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
    }
}

static int64_t rebuild(int compare_only)
{
    int64_t differences = -1;
    struct stanch_err err = {0};
    if (stanch_timeline_rebuild(dir, compare_only, &differences, &err) < 0)
        fail_msg("%s", err.text);
    return differences;
}

static void documents_are_what_the_entries_tell(void **state)
{
    (void)state;
    make_store(800);
    assert_int_equal(rebuild(1), 0);
    stanch_log_set_level((enum stanch_log_level) - 1);
    static const char *const plants[] = {
        "UPDATE doc SET text = replace(text, 'running', 'walking'), sum = 'x' WHERE id = 'R-1' AND noun = 'run'",
        "UPDATE doc SET text = json_set(text, '$.x', 1) WHERE id = 'R-1' AND noun = 'run'",
        "UPDATE doc SET open = 1 - open WHERE id = 'R-1' AND noun = 'run'",
        "UPDATE doc SET chain = 'INC-9' WHERE id = 'R-1' AND noun = 'run'",
        "UPDATE doc SET due = 9999 WHERE id = 'R-1' AND noun = 'run'",
        "UPDATE doc SET seq = 9999 WHERE id = 'R-1' AND noun = 'run'",
        "DELETE FROM doc WHERE id = 'R-1' AND noun = 'run'",
        "INSERT INTO doc VALUES ('run', 'R-9999', '-', 1, 1, '{}', '', NULL)",
    };
    for (size_t i = 0; i < sizeof plants / sizeof *plants; i++) {
        run_sql(plants[i]);
        assert_int_equal(rebuild(1), 1);
        assert_int_equal(rebuild(1), 1); /* comparing changes nothing */
        assert_int_equal(rebuild(0), 1);
        assert_int_equal(rebuild(1), 0);
    }
    run_sql("DELETE FROM doc");
    assert_true(rebuild(0) > 100);
    assert_int_equal(rebuild(1), 0);
    stanch_log_set_level(STANCH_LOG_ERROR);
    struct stanch_verify_result result;
    assert_int_equal(stanch_timeline_verify(dir, NULL, NULL, &result, NULL), 0);
    assert_int_equal(result.bad_seq, 0);
}

static void a_store_of_schema_1_is_brought_up_to_date(void **state)
{
    (void)state;
    make_store(800);
    struct stanch_journal *journal = open_journal(loop, dir);
    append(journal, "-", "run.started", "{'run':'R-7'}");
    append(journal, "-", "approval.requested", "{'approval':'A-7','expires_ms':70}");
    append(journal, "-", "mitigation.applied", "{'mitigation':'M-7','lease_ends_ms':70}");
    append(journal, "-", "mitigation.applied", "{'mitigation':'M-8','lease_ends_ms':80}");
    append(journal, "-", "mitigation.undoing", "{'mitigation':'M-8'}");
    append(journal, "-", "mitigation.overdue", "{'mitigation':'M-9','lease_ends_ms':80,'overdue':true}");
    append(journal, "-", "run.queued", "{'run':'R-8'}");
    append(journal, "-", "run.asking", "{'run':'R-9'}");
    stanch_journal_close(journal);
    run_sql("DROP INDEX doc_due; ALTER TABLE doc DROP COLUMN due; PRAGMA user_version = 1");
    make_store(0);
    assert_int_equal(rebuild(1), 0);
    run_sql("SELECT due FROM doc");
}

static void a_document_that_was_damaged_is_not_acted_on(void **state)
{
    (void)state;
    make_store(8);
    run_sql("UPDATE doc SET text = replace(text, 'parked', 'p4rked')");
    struct stanch_journal *journal = open_journal(loop, dir);
    struct stanch_err err = {0};
    stanch_log_set_level((enum stanch_log_level) - 1);
    assert_null(stanch_journal_get(journal, STANCH_VIEW_COMMITTED, "run", "R-0"));
    /* nor is anything folded onto it */
    assert_int_equal(append_with(journal, "INC-1", "run.failed", "{'run':'R-0'}", NULL, NULL, &err), STANCH_E_CORRUPT);
    stanch_log_set_level(STANCH_LOG_ERROR);
    /* and from there on nothing is recorded, outcomes neither, until somebody has looked; all can be read */
    assert_int_equal(append_with(journal, "-", "step.answered", "{'step':'R-9/1'}", NULL, NULL, &err), STANCH_E_STORE);
    assert_non_null(strstr(err.text, "damaged"));
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
    assert_true(stanch_json_bool(health, "read_only", false));
    assert_non_null(strstr(stanch_json_str(health, "why", ""), "rebuild"));
    STANCH_AUTO_JSON json_t *heads = stanch_journal_heads(journal);
    assert_true(json_array_size(heads) > 0);
    stanch_journal_close(journal);
}

/* No room for the reserve: nothing starts that could not be recorded, until there is. */
static void without_its_reserve_it_takes_only_outcomes(void **state)
{
    (void)state;
    STANCH_AUTO_FREE char *reserve = stanch_asprintf("%s/stanch.reserve", dir);
    assert_int_equal(mkdir(reserve, 0700), 0); /* in its place stands something else */
    stanch_log_set_level((enum stanch_log_level) - 1);
    struct stanch_journal *journal = open_journal(loop, dir);
    struct stanch_err err = {0};
    assert_int_equal(append_with(journal, "-", "action.sent", "{'step':'R-1/1'}", NULL, NULL, &err), STANCH_E_FULL);
    append(journal, "-", "action.answered", "{'step':'R-1/1'}");
    settle(loop, journal);
    assert_int_equal(rmdir(reserve), 0);
    int64_t until = stanch_mono_now_ms() + 10000;
    while (append_with(journal, "-", "action.sent", "{'step':'R-1/1'}", NULL, NULL, &err) == STANCH_E_FULL) {
        assert_true(stanch_mono_now_ms() < until);
        stanch_loop_run_once(loop);
    }
    stanch_log_set_level(STANCH_LOG_ERROR);
    assert_int_equal(access(reserve, F_OK), 0);
    stanch_journal_close(journal);
}

/* Verify, export and compare beside a daemon that writes. */
static void tools_work_beside_a_running_daemon(void **state)
{
    (void)state;
    struct stanch_journal *journal = open_journal(loop, dir);
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/export.jsonl", dir);
    for (int i = 0; i < 5; i++) {
        append_mixed(journal, 80);
        struct stanch_verify_result result;
        struct stanch_err err = {0};
        if (stanch_timeline_verify(dir, NULL, i ? path : NULL, &result, &err) < 0)
            fail_msg("%s", err.text);
        if (result.bad_seq)
            fail_msg("%s", result.what);
        FILE *out = fopen(path, "w");
        assert_int_equal(stanch_timeline_export(dir, NULL, out, &err), 0);
        fclose(out);
        assert_int_equal(stanch_timeline_verify(path, NULL, NULL, &result, &err), 0);
        assert_int_equal(result.bad_seq, 0);
        assert_int_equal(rebuild(1), 0);
    }
    stanch_journal_close(journal);
}

static int64_t append_large(struct stanch_journal *journal, int count)
{
    STANCH_AUTO_FREE char *filler = stanch_alloc(100001);
    memset(filler, 'x', 100000);
    for (int i = 0; i < count; i++) {
        struct stanch_batch *batch = stanch_batch_new();
        stanch_batch_add(batch, "-", "step.noted", "stanch", NULL, json_pack("{s:s}", "text", filler));
        assert_int_equal(stanch_journal_append(journal, batch, NULL, NULL, NULL), 0);
        if (i % 20 == 19)
            settle(loop, journal);
    }
    settle(loop, journal);
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
    return stanch_json_int(health, "wal_bytes", 0);
}

/* A reader that holds its snapshot makes the log grow; once it lets go, the next commits reset the log, though nothing
 * is ever closed. */
static void the_log_is_reset_when_it_is_long(void **state)
{
    (void)state;
    struct stanch_journal *journal = open_journal(loop, dir);
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM entry", NULL, NULL, NULL), SQLITE_OK);
    assert_true(append_large(journal, 400) > STANCH_SQLITE_WAL_MAX);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    int64_t until = stanch_mono_now_ms() + 20000;
    while (append_large(journal, 20) > STANCH_SQLITE_WAL_MAX)
        assert_true(stanch_mono_now_ms() < until);
    stanch_journal_close(journal);
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_second_owner_is_refused_with_the_firsts_pid),
        TEST(an_owner_that_was_killed_leaves_no_lock),
        TEST(what_a_killed_owner_had_just_forked_is_waited_for),
        TEST(the_epoch_grows_with_every_owner),
        TEST(a_former_owner_writes_nothing),
        TEST(a_head_that_moved_is_not_overwritten),
        TEST(a_locked_database_is_waited_for),
        TEST(what_cannot_be_opened_is_said),
        TEST(a_damaged_store_opens_for_reading_only),
        TEST(entries_resist_an_accident),
        TEST(only_the_owner_reads_the_files),
        TEST(documents_are_what_the_entries_tell),
        TEST(a_store_of_schema_1_is_brought_up_to_date),
        TEST(a_document_that_was_damaged_is_not_acted_on),
        TEST(without_its_reserve_it_takes_only_outcomes),
        TEST(tools_work_beside_a_running_daemon),
        TEST(the_log_is_reset_when_it_is_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
