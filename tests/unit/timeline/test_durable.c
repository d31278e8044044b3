/* test_durable.c: what was acknowledged is there after a kill at any moment, also when the kill takes every write that
 * was not synced; and what happens when a sync fails or the disk is full. STANCH_LONG=1: the long form.
 * Each life of a daemon is a forked child: it appends, tells the commits over a pipe, and ends as the case wants. */
#include "timeline/world.h"
#include "timeline/vfs_faulty.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

struct life {
    const char *dir, *vfs;
    int64_t reserve_bytes;
    int batches; /* 0: until killed */
    int told_fd;
    /* while it lives */
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_timer *again;
    int appended, committed;
};

struct told {
    struct life *life;
    char id[32];
};

static void append_next(struct life *life);

static void on_told(void *ctx)
{
    struct told *told = ctx;
    struct life *life = told->life;
    life->committed++;
    if (write(life->told_fd, told->id, sizeof told->id) != (ssize_t)sizeof told->id)
        _exit(99);
    free(told);
    if (life->batches && life->committed == life->batches)
        stanch_loop_stop(life->loop);
    append_next(life);
}

static void on_again(void *ctx)
{
    struct life *life = ctx;
    life->again = NULL;
    append_next(life);
}

static void append_next(struct life *life)
{
    while ((!life->batches || life->appended < life->batches) && life->appended < life->committed + 24) {
        struct told *told = STANCH_NEW(struct told);
        told->life = life;
        stanch_journal_next_id(life->journal, "R", told->id);
        struct stanch_batch *batch = stanch_batch_new();
        stanch_batch_add(batch, "INC-1", "run.started", "stanch", told->id,
                         json_pack("{s:s,s:s,s:s}", "run", told->id, "runbook", "rb", "because",
                                   "the quick brown fox jumps over the lazy dog, again and again"));
        stanch_batch_add(batch, "-", "step.noted", "stanch", told->id, json_pack("{s:s}", "text", told->id));
        int rc = stanch_journal_append(life->journal, batch, on_told, told, NULL);
        if (rc == STANCH_E_FULL) { /* until there is a reserve again */
            free(told);
            if (!life->again)
                life->again = stanch_timer_start(life->loop, 20, on_again, life);
            return;
        }
        if (rc == STANCH_E_STORE) { /* the commit thread is about to end the process */
            free(told);
            return;
        }
        if (rc < 0)
            _exit(98);
        life->appended++;
    }
}

static void live(struct life *life)
{
    struct stanch_sqlite_options options = {.vfs = life->vfs, .reserve_bytes = life->reserve_bytes, .busy_ms = 2000};
    struct stanch_store *store;
    struct stanch_err err = {0};
    stanch_log_set_level((enum stanch_log_level) - 1); /* what fails here is meant to */
    int rc = stanch_store_sqlite_open_with(life->dir, 1, 0, &options, &store, &err);
    life->loop = stanch_loop_new(NULL);
    if (rc == 0)
        rc = stanch_journal_open(life->loop, store, &life->journal, &err);
    if (rc < 0)
        _exit(rc == STANCH_E_STORE || rc == STANCH_E_FULL ? 97 : 96); /* 97: said at open, nothing was promised */
    append_next(life);
    stanch_loop_run(life->loop);
    stanch_journal_close(life->journal);
    stanch_loop_free(life->loop);
    vfs_forget_all();
    _exit(0);
}

static pid_t begin_life(struct life life, int *ret_fd)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(fds[0]);
        life.told_fd = fds[1];
        live(&life);
    }
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

/* All ids that were acknowledged, until the pipe ends. */
static json_t *read_told(int fd, json_t *acknowledged)
{
    char id[32];
    while (read(fd, id, sizeof id) == (ssize_t)sizeof id)
        json_array_append_new(acknowledged, json_string(id));
    close(fd);
    return acknowledged;
}

/* What a restart finds: all that was acknowledged; chains that verify; documents that the entries tell.
 * returns how many acknowledged ones are lost */
static int find_lost(const char *dir, const json_t *acknowledged)
{
    struct stanch_verify_result result;
    struct stanch_err err = {0};
    struct stanch_store *store;
    int64_t differences = -1;
    int rc = stanch_store_sqlite_open(dir, 1, 0, &store, &err);
    if (rc < 0)
        return -1;
    int lost = 0;
    size_t i;
    json_t *id;
    json_array_foreach(acknowledged, i, id)
    {
        json_t *doc = NULL;
        lost += store->ops->doc(store, "run", json_string_value(id), &doc, &err) < 0;
        json_decref(doc);
    }
    stanch_store_close(store);
    if (stanch_timeline_verify(dir, NULL, NULL, &result, &err) < 0 || result.bad_seq != 0)
        return -1;
    if (stanch_timeline_rebuild(dir, 1, &differences, &err) < 0 || differences != 0)
        return -1;
    return lost;
}

static int is_long(void)
{
    return getenv("STANCH_LONG") != NULL;
}

static void wait_for_first(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 20000), 1);
}

static int kill_many(const char *vfs_name, int kills, int *ret_acknowledged)
{
    char *dir = new_dir();
    STANCH_AUTO_JSON json_t *acknowledged = json_array();
    unsigned seed = (unsigned)getpid();
    int lost = 0, total = 0;
    for (int i = 0; i < kills && lost == 0; i++) {
        int fd, status;
        if (i % 10 == 9) { /* a store of many lives, but not of all: checking it takes its time */
            drop_dir(dir);
            dir = new_dir();
            total += (int)json_array_size(acknowledged);
            json_array_clear(acknowledged);
        }
        pid_t pid = begin_life((struct life){.dir = dir, .vfs = vfs_name}, &fd);
        wait_for_first(fd);
        struct timespec moment = {.tv_nsec = (long)(rand_r(&seed) % 20000) * 1000}; /* the kill comes at any moment */
        nanosleep(&moment, NULL);
        kill(pid, SIGKILL);
        read_told(fd, acknowledged);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        lost = find_lost(dir, acknowledged);
    }
    *ret_acknowledged = total + (int)json_array_size(acknowledged);
    drop_dir(dir);
    return lost;
}

static void a_kill_loses_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    int acknowledged, kills = is_long() ? 1000 : 50;
    assert_int_equal(kill_many(NULL, kills, &acknowledged), 0);
    assert_true(acknowledged >= kills);
}

static void nor_when_the_kill_takes_all_unsynced_writes(void **state)
{
    (void)state;
    int acknowledged, kills = is_long() ? 500 : 25;
    vfs.lies_about_sync = false;
    assert_int_equal(kill_many("faulty", kills, &acknowledged), 0);
    assert_true(acknowledged >= kills);
}

/* The test above must notice a journal that does not sync. */
static void a_sync_that_is_left_out_is_noticed(void **state)
{
    (void)state;
    int acknowledged;
    vfs.lies_about_sync = true;
    assert_int_not_equal(kill_many("faulty", 5, &acknowledged), 0);
    vfs.lies_about_sync = false;
}

/* A kill right before and right behind each commit, and before a checkpoint. */
static void a_kill_at_each_crash_point_loses_nothing(void **state)
{
    (void)state;
    static const char *const points[] = {"journal.before-commit", "journal.after-commit", "journal.before-checkpoint"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        for (int nth = 1; nth <= 3; nth++) {
            char *dir = new_dir();
            STANCH_AUTO_FREE char *wanted = stanch_asprintf("%s:%d", points[i], nth);
            STANCH_AUTO_JSON json_t *acknowledged = json_array();
            int fd, status;
            setenv("STANCH_CRASH", wanted, 1);
            pid_t pid = begin_life((struct life){.dir = dir, .vfs = "faulty"}, &fd);
            unsetenv("STANCH_CRASH");
            read_told(fd, acknowledged);
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), SIGKILL);
            if (i > 0 || nth > 1) /* there is a store to look at, and what was told is in it */
                assert_int_equal(find_lost(dir, acknowledged), 0);
            if (strcmp(wanted, "journal.before-commit:1") == 0)
                assert_int_equal(json_array_size(acknowledged), 0);
            drop_dir(dir);
        }
}

/* One life with the Nth call failing. returns its exit code, -1 when a signal ended it */
static int live_with_fault(const char *dir, enum vfs_fault fault, int at, int64_t reserve_bytes, json_t *acknowledged)
{
    int fd, status;
    vfs.fault = fault;
    vfs.fault_at = at;
    *vfs.calls = 0;
    pid_t pid =
        begin_life((struct life){.dir = dir, .vfs = "faulty", .batches = 60, .reserve_bytes = reserve_bytes}, &fd);
    vfs.fault = VFS_NO_FAULT;
    read_told(fd, acknowledged);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Every call of the scenario fails once. returns how many calls ended the process with the store's code */
static int sweep(enum vfs_fault fault, int step)
{
    int ended = 0, code = -2;
    bool came_through = false;
    for (int at = 1; !came_through; at += step) {
        assert_true(at < 3000);
        char *dir = new_dir();
        STANCH_AUTO_JSON json_t *acknowledged = json_array();
        code = live_with_fault(dir, fault, at, 65536, acknowledged);
        if (code != 0 && code != STANCH_EXIT_STORE && code != 97)
            fail_msg("fault %d at call %d: the process ended with %d", fault, at, code);
        ended += code == STANCH_EXIT_STORE;
        if (code != 97 && find_lost(dir, acknowledged) != 0)
            fail_msg("fault %d at call %d: something acknowledged is lost", fault, at);
        if (code == 0)
            assert_int_equal(json_array_size(acknowledged), 60);
        came_through = *vfs.calls < at; /* the scenario has no such call any more */
        drop_dir(dir);
    }
    return ended;
}

static void a_failed_sync_ends_the_process_and_loses_nothing(void **state)
{
    (void)state;
    assert_true(sweep(VFS_SYNC_ERROR, 1) > 0);
    assert_true(sweep(VFS_SYNC_KEPT, is_long() ? 1 : 5) > 0);
    assert_true(sweep(VFS_SYNC_TORN, is_long() ? 1 : 5) > 0);
}

static void a_failed_write_ends_the_process_and_loses_nothing(void **state)
{
    (void)state;
    assert_true(sweep(VFS_WRITE_ERROR, is_long() ? 1 : 11) > 0);
}

static void one_full_write_is_retried_from_the_reserve(void **state)
{
    (void)state;
    assert_int_equal(sweep(VFS_WRITE_FULL, is_long() ? 5 : 41), 0);
}

/* The disk is full as long as the reserve stands on it. */
static void a_full_disk_takes_outcomes_and_nothing_else(void **state)
{
    (void)state;
    char *dir = new_dir();
    STANCH_AUTO_FREE char *reserve = stanch_asprintf("%s/stanch.reserve", dir);
    struct stanch_sqlite_options options = {.vfs = "faulty", .reserve_bytes = 1 << 20, .busy_ms = 100};
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_err err = {0};
    vfs_forget_all();
    vfs.full_while = NULL;
    assert_int_equal(stanch_store_sqlite_open_with(dir, 1, 0, &options, &store, &err), 0);
    assert_int_equal(stanch_journal_open(loop, store, &journal, &err), 0);
    append(journal, "INC-1", "run.started", "{'run':'R-1','runbook':'rb'}");
    settle(loop, journal);
    assert_int_equal(access(reserve, F_OK), 0);

    stanch_log_set_level((enum stanch_log_level) - 1);
    vfs.full_while = reserve;
    char *large = stanch_alloc(200001); /* more than a log that began anew has room for */
    memset(large, 'x', 200000);
    STANCH_AUTO_FREE char *data = stanch_asprintf("{'run':'R-2','runbook':'rb','note':'%s'}", large);
    free(large);
    append(journal, "INC-1", "run.started", data); /* the same batch, once more */
    settle(loop, journal);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(journal, STANCH_VIEW_COMMITTED, "run", "R-2");
    assert_non_null(doc);
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
    assert_true(stanch_json_bool(health, "full", false));
    assert_non_null(strstr(stanch_json_str(health, "why", ""), "full"));
    assert_int_equal(append_with(journal, "INC-1", "action.sent", "{'step':'R-1/1'}", NULL, NULL, &err), STANCH_E_FULL);
    assert_non_null(strstr(err.text, "full"));
    append(journal, "INC-1", "action.answered", "{'step':'R-1/1','outcome':'done'}");
    settle(loop, journal);

    vfs.full_while = NULL; /* somebody makes room: the reserve is made again, and intents are taken */
    int64_t until = stanch_mono_now_ms() + 10000;
    while (append_with(journal, "INC-1", "action.sent", "{'step':'R-1/2'}", NULL, NULL, &err) == STANCH_E_FULL) {
        assert_true(stanch_mono_now_ms() < until);
        append(journal, "INC-1", "action.answered", "{'step':'R-1/1','outcome':'done'}");
        settle(loop, journal);
    }
    settle(loop, journal);
    assert_int_equal(access(reserve, F_OK), 0);
    stanch_journal_close(journal);
    stanch_loop_free(loop);
    stanch_log_set_level(STANCH_LOG_ERROR);
    vfs_forget_all();
    drop_dir(dir);
}

static bool failed;
static struct stanch_err failed_with;
static void on_failed(struct stanch_journal *journal, const struct stanch_err *err)
{
    (void)journal;
    failed_with = *err;
    failed = true;
}

/* A commit that failed is unknown (M16): nobody is told, nothing is tried again. */
static void a_failed_commit_is_not_told_and_not_retried(void **state)
{
    (void)state;
    char *dir = new_dir();
    struct stanch_sqlite_options options = {.vfs = "faulty", .busy_ms = 100};
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_store *store;
    struct stanch_journal *journal;
    struct stanch_err err = {0};
    bool told = false;
    vfs_forget_all();
    assert_int_equal(stanch_store_sqlite_open_with(dir, 1, 0, &options, &store, &err), 0);
    assert_int_equal(stanch_journal_open(loop, store, &journal, &err), 0);
    stanch_journal__on_failed(journal, on_failed);
    vfs.fault = VFS_SYNC_ERROR;
    *vfs.calls = 0;
    vfs.fault_at = 1;
    assert_int_equal(append_with(journal, "-", "step.noted", "{'text':'x'}", on_flag, &told, NULL), 0);
    for (int64_t until = stanch_mono_now_ms() + 10000; stanch_mono_now_ms() < until;) {
        stanch_loop_run_once(loop);
        STANCH_AUTO_JSON json_t *health = stanch_journal_health(journal);
        if (stanch_json_bool(health, "read_only", false))
            break;
    }
    assert_int_equal(append_with(journal, "-", "step.noted", "{'text':'y'}", NULL, NULL, &err), STANCH_E_STORE);
    vfs.fault = VFS_NO_FAULT;
    stanch_journal_close(journal);
    assert_true(failed);
    assert_int_equal(failed_with.code, STANCH_E_STORE);
    assert_false(told);
    STANCH_AUTO_FREE char *suspect = stanch_asprintf("%s/stanch.suspect", dir);
    assert_int_equal(access(suspect, F_OK), 0);
    assert_int_equal(stanch_store_sqlite_open(dir, 0, 0, &store, &err), 0); /* looks at every page, and goes on */
    assert_true(stanch_store_is_suspect(store)); /* until the full check has found all whole */
    stanch_store_trust(store);
    assert_int_not_equal(access(suspect, F_OK), 0);
    stanch_store_condemn(store, "a page is torn");
    stanch_store_close(store);
    assert_int_equal(stanch_store_sqlite_open(dir, 0, 0, &store, &err), STANCH_E_CORRUPT);
    assert_non_null(strstr(err.text, "a page is torn"));
    assert_int_equal(stanch_store_trust_dir(dir, &err), 0);
    assert_int_equal(stanch_store_sqlite_open(dir, 0, 0, &store, &err), 0);
    stanch_store_close(store);
    stanch_loop_free(loop);
    vfs_forget_all();
    drop_dir(dir);
}

int main(void)
{
    stanch_digest_init();
    stanch_log_set_level(STANCH_LOG_ERROR);
    vfs_register();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_loses_nothing_that_was_acknowledged),
        cmocka_unit_test(nor_when_the_kill_takes_all_unsynced_writes),
        cmocka_unit_test(a_sync_that_is_left_out_is_noticed),
        cmocka_unit_test(a_kill_at_each_crash_point_loses_nothing),
        cmocka_unit_test(a_failed_sync_ends_the_process_and_loses_nothing),
        cmocka_unit_test(a_failed_write_ends_the_process_and_loses_nothing),
        cmocka_unit_test(one_full_write_is_retried_from_the_reserve),
        cmocka_unit_test(a_full_disk_takes_outcomes_and_nothing_else),
        cmocka_unit_test(a_failed_commit_is_not_told_and_not_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
