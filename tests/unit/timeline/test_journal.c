/* test_journal.c: append, commit, views, order; on SQLite and in memory. */
#include "timeline/both_stores.h"

static void appended_is_seen_by_the_engine_and_not_by_the_doors(void **state)
{
    struct fixture *f = *state;
    bool committed = false;
    assert_int_equal(append_with(f->journal, "INC-1", "incident.declared",
                                 "{'incident':'INC-1','title':'checkout','severity':'sev1'}", on_flag, &committed,
                                 NULL),
                     0);
    assert_false(committed); /* never from inside the call */
    STANCH_AUTO_JSON json_t *doc = get(f, STANCH_VIEW_APPENDED, "incident", "INC-1");
    assert_string_equal(stanch_json_str(doc, "state", ""), "investigating");
    assert_string_equal(stanch_json_str(doc, "title", ""), "checkout");
    if (!f->dir) /* with a commit thread it may be on disk already */
        assert_null(get(f, STANCH_VIEW_COMMITTED, "incident", "INC-1"));
    pump_until(f->loop, &committed);
    STANCH_AUTO_JSON json_t *after = get(f, STANCH_VIEW_COMMITTED, "incident", "INC-1");
    assert_true(json_equal(doc, after));
    assert_int_equal(json_object_size(f->journal->overlay), 0); /* no copy stays in memory */
}

/* The document that a caller gets is its own. */
static void a_document_is_the_callers(void **state)
{
    struct fixture *f = *state;
    append(f->journal, "INC-1", "incident.declared", "{'incident':'INC-1','roles':{'ic':'alice'}}");
    STANCH_AUTO_JSON json_t *mine = get(f, STANCH_VIEW_APPENDED, "incident", "INC-1");
    json_object_set_new(json_object_get(mine, "roles"), "ic", json_string("mallory"));
    STANCH_AUTO_JSON json_t *again = get(f, STANCH_VIEW_APPENDED, "incident", "INC-1");
    assert_string_equal(stanch_json_str(json_object_get(again, "roles"), "ic", ""), "alice");
}

struct order {
    struct fixture *f;
    int next, followed;
    int64_t last_seq;
    bool failed;
};
struct place {
    struct order *order;
    int number;
};

static void on_place(void *ctx)
{
    struct place *place = ctx;
    place->order->failed |= place->order->next != place->number;
    place->order->next++;
    char id[32];
    (void)snprintf(id, sizeof id, "R-%d", place->number);
    json_t *doc = get(place->order->f, STANCH_VIEW_COMMITTED, "run", id);
    place->order->failed |= !doc; /* what is acknowledged is in the committed view */
    json_decref(doc);
}

static void on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct order *order = ctx;
    order->failed |= entry->seq != order->last_seq + 1;
    order->last_seq = entry->seq;
    order->followed++;
}

static void commits_are_told_in_order(void **state)
{
    enum { N = 500 };
    struct fixture *f = *state;
    struct order order = {.f = f};
    static struct place places[N];
    struct stanch_follower *follower = stanch_journal_follow(f->journal, on_entry, &order);
    for (int i = 0; i < N; i++) {
        places[i] = (struct place){&order, i};
        char data[64];
        (void)snprintf(data, sizeof data, "{'run':'R-%d','runbook':'rb'}", i);
        assert_int_equal(
            append_with(f->journal, i % 2 ? "INC-1" : "-", "run.started", data, on_place, &places[i], NULL), 0);
    }
    settle(f->loop, f->journal);
    assert_int_equal(order.next, N);
    assert_int_equal(order.followed, N);
    assert_false(order.failed);
    stanch_journal_unfollow(f->journal, follower);
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(f->journal);
    assert_int_equal(stanch_json_int(health, "entries", 0), N);
    assert_int_equal(stanch_json_int(health, "queued", -1), 0);
    assert_true(stanch_json_int(health, "syncs", 0) < N); /* group commit */
}

static void a_bad_batch_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct stanch_err err = {0};
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "INC-1", "incident.declared", "stanch", NULL, json_pack("{s:s}", "incident", "INC-1"));
    stanch_batch_add(batch, "INC-1", "incident.exploded", "stanch", NULL, json_object());
    assert_int_equal(stanch_journal_append(f->journal, batch, on_flag, NULL, &err), STANCH_E_INVALID);
    assert_non_null(strstr(err.text, "incident.exploded"));
    assert_int_equal(append_with(f->journal, "INC-1", "run.started", "{'runbook':'x'}", NULL, NULL, &err),
                     STANCH_E_INVALID); /* names no run */
    assert_int_equal(append_with(f->journal, "*", "step.noted", "{'text':'x'}", NULL, NULL, &err), STANCH_E_INVALID);
    assert_int_equal(append_with(f->journal, "-", "step.noted", "{'text':9007199254740993}", NULL, NULL, &err),
                     STANCH_E_INVALID);
    assert_int_equal(append_with(f->journal, "-", "step.noted", "['text']", NULL, NULL, &err), STANCH_E_INVALID);
    assert_null(get(f, STANCH_VIEW_APPENDED, "incident", "INC-1"));
    append(f->journal, "INC-1", "incident.declared", "{'incident':'INC-1'}");
    settle(f->loop, f->journal);
    STANCH_AUTO_JSON json_t *heads = stanch_journal_heads(f->journal);
    assert_int_equal(json_array_size(heads), 2); /* "*" and INC-1 */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(stanch_json_int(json_array_get(heads, i), "n", 0), 1);
}

static void ids_are_never_used_twice(void **state)
{
    struct fixture *f = *state;
    char id[32];
    stanch_journal_next_id(f->journal, "INC", id);
    assert_string_equal(id, "INC-1");
    stanch_journal_next_id(f->journal, "INC", id);
    stanch_journal_next_id(f->journal, "R", id);
    assert_string_equal(id, "R-1");
    append(f->journal, "INC-2", "incident.declared", "{'incident':'INC-2'}");
    if (f->dir) {
        stanch_journal_close(f->journal);
        f->journal = open_journal(f->loop, f->dir);
    }
    stanch_journal_next_id(f->journal, "INC", id);
    assert_string_equal(id, "INC-3");
    stanch_journal_next_id(f->journal, "R", id);
    assert_string_equal(id, "R-2");
}

static void bytes_are_kept_once_under_their_digest(void **state)
{
    struct fixture *f = *state;
    char id[65];
    const char body[] = "raw\0body";
    stanch_digest_hex(body, sizeof body, id);
    for (int i = 0; i < 2; i++) {
        struct stanch_batch *batch = stanch_batch_new();
        stanch_batch_blob(batch, id, body, sizeof body);
        assert_int_equal(stanch_journal_append(f->journal, batch, NULL, NULL, NULL), 0);
        STANCH_AUTO_BUF struct stanch_buf waiting = {0};
        assert_int_equal(stanch_journal_blob(f->journal, id, &waiting, NULL), 0);
        assert_memory_equal(waiting.data, body, sizeof body);
        settle(f->loop, f->journal);
    }
    STANCH_AUTO_BUF struct stanch_buf kept = {0};
    assert_int_equal(stanch_journal_blob(f->journal, id, &kept, NULL), 0);
    assert_int_equal(kept.len, sizeof body);
    assert_int_equal(stanch_journal_blob(f->journal, STANCH_HASH_ZERO, &kept, NULL), STANCH_E_NOT_FOUND);
}

/* What was only cached is asked of the store again; what waits for its commit stays. */
static void what_is_cached_can_be_forgotten(void **state)
{
    struct fixture *f = *state;
    append(f->journal, "INC-1", "incident.declared", "{'incident':'INC-1','title':'one'}");
    settle(f->loop, f->journal);
    append(f->journal, "INC-2", "incident.declared", "{'incident':'INC-2','title':'two'}");
    stanch_journal_forget(f->journal);
    for (int i = 0; i < 2; i++) {
        static const char *const ids[] = {"INC-1", "INC-2", "INC-3"};
        static const char *const titles[] = {"one", "two", ""};
        for (size_t k = 0; k < 3; k++) {
            STANCH_AUTO_JSON json_t *doc = stanch_journal_get(f->journal, STANCH_VIEW_APPENDED, "incident", ids[k]);
            assert_string_equal(stanch_json_str(doc, "title", ""), titles[k]);
        }
        settle(f->loop, f->journal);
        stanch_journal_forget(f->journal);
    }
}

/* What waits is committed and told by close, from its own stack, and never again. */
static void close_commits_and_tells(void **state)
{
    struct fixture *f = *state;
    bool committed = false;
    assert_int_equal(append_with(f->journal, "-", "step.noted", "{'text':'x'}", on_flag, &committed, NULL), 0);
    stanch_journal_close(f->journal);
    assert_true(committed);
    stanch_loop_run_once(f->loop);
    f->journal = open_journal(f->loop, f->dir);
}

static void a_reopened_store_goes_on(void **state)
{
    struct fixture *f = *state;
    append_mixed(f->journal, 80);
    STANCH_AUTO_JSON json_t *before = get(f, STANCH_VIEW_APPENDED, "incident", "INC-3");
    stanch_journal_close(f->journal);
    f->journal = open_journal(f->loop, f->dir);
    STANCH_AUTO_JSON json_t *after = get(f, STANCH_VIEW_APPENDED, "incident", "INC-3");
    assert_true(json_equal(before, after));
    append_mixed(f->journal, 80);
    settle(f->loop, f->journal);
    assert_int_equal(count(f, (struct stanch_entry_query){0}), 160);
    assert_int_equal(stanch_store_epoch(f->journal->store), 2);
}

struct chatty {
    struct fixture *f;
    int left;
    bool done;
};

static void on_chatty(void *ctx)
{
    struct chatty *chatty = ctx;
    if (chatty->left-- == 0) {
        chatty->done = true;
        return;
    }
    assert_int_equal(append_with(chatty->f->journal, "-", "step.noted", "{'text':'x'}", on_chatty, chatty, NULL), 0);
}

static void a_callback_may_append(void **state)
{
    struct chatty chatty = {.f = *state, .left = 20};
    on_chatty(&chatty);
    pump_until(chatty.f->loop, &chatty.done);
    assert_int_equal(count(chatty.f, (struct stanch_entry_query){0}), 20);
}

static struct stanch_follower *leaving;
static int left_after;
static void on_leave(void *ctx, const struct stanch_entry *entry)
{
    (void)entry;
    struct fixture *f = ctx;
    left_after++;
    stanch_journal_unfollow(f->journal, leaving);
}

static void a_follower_may_leave_while_it_is_told(void **state)
{
    struct fixture *f = *state;
    left_after = 0;
    leaving = stanch_journal_follow(f->journal, on_leave, f);
    append(f->journal, "-", "step.noted", "{'text':'x'}");
    append(f->journal, "-", "step.noted", "{'text':'y'}");
    settle(f->loop, f->journal);
    assert_int_equal(left_after, 1);
}

static int follow_chain(void *ctx, const struct stanch_entry *entry)
{
    int64_t *n = ctx;
    assert_int_equal(entry->n, ++*n);
    return 0;
}

/* More chains than are kept in memory: each goes on where it was, committed or not. */
static void many_chains_go_on(void **state)
{
    struct fixture *f = *state;
    char chain[32];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            (void)snprintf(chain, sizeof chain, "C-%d", i);
            append(f->journal, chain, "step.noted", "{'text':'x'}");
        }
        append(f->journal, "C-1", "step.noted", "{'text':'x'}"); /* in memory nothing is committed yet */
        settle(f->loop, f->journal);
    }
    int64_t of_first = 0, of_last = 0;
    struct stanch_err err;
    struct stanch_entry_query first = {.chain = "C-1", .limit = 100}, last = {.chain = "C-4999", .limit = 100};
    assert_int_equal(stanch_journal_entries(f->journal, &first, follow_chain, &of_first, &err), 0);
    assert_int_equal(stanch_journal_entries(f->journal, &last, follow_chain, &of_last, &err), 0);
    assert_int_equal(of_first, 6);
    assert_int_equal(of_last, 3);
}

static void open_documents_are_counted(void **state)
{
    struct fixture *f = *state;
    append(f->journal, "INC-1", "incident.declared", "{'incident':'INC-1','title':'a','severity':'sev1'}");
    append(f->journal, "INC-2", "incident.declared", "{'incident':'INC-2','title':'b','severity':'sev1'}");
    append(f->journal, "INC-1", "incident.resolved", "{'incident':'INC-1'}");
    settle(f->loop, f->journal);
    assert_int_equal(stanch_journal_count(f->journal, "incident"), 1);
    assert_int_equal(stanch_journal_count(f->journal, "run"), 0);
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        ON_BOTH(appended_is_seen_by_the_engine_and_not_by_the_doors),
        ON_BOTH(a_document_is_the_callers),
        ON_BOTH(commits_are_told_in_order),
        ON_BOTH(a_bad_batch_changes_nothing),
        ON_BOTH(ids_are_never_used_twice),
        ON_BOTH(bytes_are_kept_once_under_their_digest),
        ON_BOTH(what_is_cached_can_be_forgotten),
        ON_BOTH(close_commits_and_tells),
        ON_BOTH(a_callback_may_append),
        ON_BOTH(many_chains_go_on),
        ON_BOTH(open_documents_are_counted),
        ON_BOTH(a_follower_may_leave_while_it_is_told),
        cmocka_unit_test_setup_teardown(a_reopened_store_goes_on, set_up_sqlite, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
