/* test_prune.c: whole ended incidents go and say so; what is open or in force stays; nobody else can make entries go. */
#include "timeline/tamper.h"
#include "timeline/prune.h"

#define DAY_MS (86400 * 1000LL)

/* INC-1 ended; INC-2 ended with a mitigation in force; INC-3 open. E-1 is of INC-1, E-2 of none, E-3 of INC-3. */
static void live(const char *dir, int rounds)
{
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, dir);
    append(journal, "-", "daemon.started", "{'version':'1','pid':1,'epoch':1}");
    append(journal, "-", "event.received", "{'event':'E-1','key':'k1','source':'am','title':'A'}");
    append(journal, "INC-1", "incident.declared", "{'incident':'INC-1','title':'A'}");
    append(journal, "INC-1", "event.matched", "{'event':'E-1','incident':'INC-1','matched':true}");
    append(journal, "-", "event.received", "{'event':'E-2','key':'k2','source':'am','title':'B','matched':true}");
    append(journal, "-", "event.repeated", "{'event':'E-2','count':3}");
    append(journal, "INC-2", "incident.declared", "{'incident':'INC-2','title':'B'}");
    append(journal, "INC-1", "run.started", "{'run':'R-1','runbook':'rb','event_key':'k1','path':'a.lua'}");
    append(journal, "INC-2", "mitigation.applied", "{'mitigation':'M-1','instance':'fx','action':'drain'}");
    append(journal, "INC-3", "incident.declared", "{'incident':'INC-3','title':'C'}");
    append(journal, "-", "event.received", "{'event':'E-3','key':'k3','source':'am','title':'C'}");
    append(journal, "INC-3", "event.matched", "{'event':'E-3','incident':'INC-3','matched':true}");
    for (int i = 0; i < rounds; i++)
        append(journal, i % 2 ? "INC-1" : "INC-3", "step.noted", "{'text':'a note that takes some room in the store'}");
    append(journal, "INC-1", "run.succeeded", "{'run':'R-1','runbook':'rb'}");
    append(journal, "INC-1", "incident.resolved", "{'incident':'INC-1'}");
    append(journal, "INC-2", "incident.resolved", "{'incident':'INC-2'}");
    stanch_journal_close(journal);
    stanch_loop_free(loop);
}

static int prune_later(const char *dir, struct stanch_prune_result *ret, struct stanch_err *err)
{
    int64_t now = stanch_wall_now_ms() + 30 * DAY_MS; /* what is here is old by then */
    return stanch_timeline_prune(dir, now - 8 * DAY_MS, now, "uid:0", false, ret, err);
}

static void assert_whole(const char *path, const char *checkpoint_path)
{
    struct stanch_verify_result result = verify(path, checkpoint_path);
    if (result.bad_seq)
        fail_msg("%s: seq %lld of %s: %s", path, (long long)result.bad_seq, result.bad_chain, result.what);
}

static int set_up(void **state)
{
    (void)state;
    original = new_dir();
    copy = new_dir();
    database = stanch_asprintf("%s/stanch.db", copy);
    checkpoint = stanch_asprintf("%s/checkpoint.jsonl", original);
    live(original, 40);
    export_to(checkpoint, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(database);
    free(checkpoint);
    drop_dir(original);
    drop_dir(copy);
    return 0;
}

static void assert_gone(const char *dir, const char *noun, const char *id, bool gone)
{
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, dir);
    json_t *doc = stanch_journal_get(journal, STANCH_VIEW_COMMITTED, noun, id);
    if ((doc == NULL) != gone)
        fail_msg("%s %s is %s", noun, id, gone ? "there" : "gone");
    json_decref(doc);
    stanch_journal_close(journal);
    stanch_loop_free(loop);
}

static void what_ended_goes_and_the_rest_verifies(void **state)
{
    (void)state;
    struct stanch_prune_result result;
    struct stanch_err err = {0};
    int64_t differences = -1;
    STANCH_AUTO_FREE char *after = stanch_asprintf("%s/after.jsonl", original);
    if (prune_later(original, &result, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(result.incidents, 1);
    assert_int_equal(result.events, 2);
    assert_int_equal(result.entries, 5 + 20 + 3); /* of INC-1, its notes, and of E-1 and E-2 */
    assert_whole(original, NULL);
    assert_whole(original, checkpoint); /* the one from before the prune */
    assert_int_equal(stanch_timeline_rebuild(original, 1, &differences, &err), 0);
    assert_int_equal(differences, 0);
    assert_gone(original, "incident", "INC-1", true);
    assert_gone(original, "run", "R-1", true);
    assert_gone(original, "key", "k1", true);
    assert_gone(original, "key", "k2", true);
    assert_gone(original, "mitigation", "M-1", false);
    assert_gone(original, "incident", "INC-2", false);
    assert_gone(original, "event", "E-3", false);
    export_to(after, NULL);
    assert_whole(after, NULL);
    assert_whole(after, checkpoint);
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, original); /* the store goes on */
    append(journal, "INC-3", "step.noted", "{'text':'later'}");
    append(journal, "-", "daemon.stopped", "{}");
    stanch_journal_close(journal);
    stanch_loop_free(loop);
    assert_int_equal(prune_later(original, &result, &err), 0);
    assert_int_equal(result.entries, 0);
    assert_whole(original, NULL);
}

static void only_the_store_s_key_lets_entries_go(void **state)
{
    (void)state;
    struct stanch_prune_result result;
    assert_int_equal(prune_later(original, &result, NULL), 0);
    export_to(checkpoint, NULL);
    /* one more cut than was signed, all hashes computed anew */
    static const char widen[] =
        "DELETE FROM entry WHERE chain = 'INC-2' AND n = 1;"
        "UPDATE entry SET data = json_insert(data, '$.prune.cuts[#]', json('[\"INC-2\",1,1,\"x\"]')) WHERE kind = "
        "'timeline.pruned'";
    forge(widen);
    assert_int_not_equal(verify(copy, NULL).bad_seq, 0);
    assert_int_not_equal(verify(copy, checkpoint).bad_seq, 0);
    /* a prune that never was: signed as a checkpoint, which the forger has seen */
    forge("UPDATE entry SET data = json_remove(data, '$.signature') WHERE kind = 'timeline.pruned'");
    assert_int_not_equal(verify(copy, NULL).bad_seq, 0);
    sqlite3 *db = open_copy();
    run_sql(db, "DELETE FROM entry WHERE seq = (SELECT min(seq) FROM entry WHERE chain = 'INC-3')");
    sqlite3_close(db);
    assert_int_not_equal(verify(copy, NULL).bad_seq, 0);
}

static void what_is_young_or_owned_is_refused(void **state)
{
    (void)state;
    struct stanch_prune_result result;
    struct stanch_err err = {0};
    int64_t now = stanch_wall_now_ms();
    assert_int_equal(stanch_timeline_prune(original, now - DAY_MS, now, "uid:0", false, &result, &err),
                     STANCH_E_REFUSED);
    assert_int_equal(stanch_timeline_prune(original, now - 8 * DAY_MS, now, "uid:0", false, &result, &err), 0);
    assert_int_equal(result.entries, 0); /* all of it is of today */
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, original);
    assert_int_equal(prune_later(original, &result, &err), STANCH_E_CONFLICT);
    stanch_journal_close(journal);
    stanch_loop_free(loop);
}

static int64_t file_size(const char *dir)
{
    struct stat info;
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.db", dir);
    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

static void the_room_goes_back_to_the_file_system(void **state)
{
    (void)state;
    struct stanch_prune_result result;
    struct stanch_loop *loop = stanch_loop_new(NULL);
    struct stanch_journal *journal = open_journal(loop, original);
    for (int i = 0; i < 4000; i++)
        append(journal, "INC-1", "step.noted", "{'text':'a note that takes some room in the store'}");
    stanch_journal_close(journal);
    stanch_loop_free(loop);
    int64_t before = file_size(original);
    assert_int_equal(prune_later(original, &result, NULL), 0);
    assert_true(file_size(original) < before / 2);
    assert_whole(original, NULL);
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
    stanch_digest_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_ended_goes_and_the_rest_verifies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_store_s_key_lets_entries_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_young_or_owned_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_room_goes_back_to_the_file_system, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
