/* test_reading.c: what is read out of the journal: entries, documents, all of them, those that are due; on SQLite and in
 * memory. */
#include "timeline/both_stores.h"

static void entries_are_read_by_chain_run_and_level(void **state)
{
    struct fixture *f = *state;
    append_mixed(f->journal, 160);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "INC-1", "step.noted", "run:R-3", "R-3", json_pack("{s:s}", "text", "x"));
    assert_int_equal(stanch_journal_append(f->journal, batch, NULL, NULL, NULL), 0);
    settle(f->loop, f->journal);
    assert_int_equal(count(f, (struct stanch_entry_query){0}), 161);
    assert_int_equal(count(f, (struct stanch_entry_query){.after_seq = 100}), 61);
    assert_int_equal(count(f, (struct stanch_entry_query){.limit = 10}), 10);
    assert_int_equal(count(f, (struct stanch_entry_query){.chain = "-"}), 40);
    assert_int_equal(count(f, (struct stanch_entry_query){.chain = "INC-1"}), 19);
    assert_int_equal(count(f, (struct stanch_entry_query){.chain = "INC-1", .headlines_only = 1}), 13);
    assert_int_equal(count(f, (struct stanch_entry_query){.run = "R-3"}), 1);
    assert_int_equal(count(f, (struct stanch_entry_query){.chain = "INC-9"}), 0);
    assert_int_equal(count(f, (struct stanch_entry_query){.until_seq = 100}), 100);
    assert_int_equal(count(f, (struct stanch_entry_query){.after_seq = 90, .until_seq = 100}), 10);
    assert_int_equal(count(f, (struct stanch_entry_query){.after_seq = 100, .until_seq = 100}), 0);
    assert_int_equal(count(f, (struct stanch_entry_query){.kind_prefix = "step."}), 61);
    assert_int_equal(count(f, (struct stanch_entry_query){.kind_prefix = "step.noted", .until_seq = 160}), 20);
    assert_int_equal(count(f, (struct stanch_entry_query){.kind_prefix = "step.noted", .after_seq = 160}), 1);
    assert_int_equal(count(f, (struct stanch_entry_query){.kind_prefix = "nothing"}), 0);
    assert_int_equal(count(f, (struct stanch_entry_query){.kind_prefix = ""}), 161);
}

static size_t listed(struct fixture *f, struct stanch_noun_query query, const char *first)
{
    json_t *docs;
    query.limit = query.limit ? query.limit : 1000;
    assert_int_equal(stanch_journal_list(f->journal, &query, &docs, NULL), 0);
    size_t size = json_array_size(docs);
    if (first)
        assert_string_equal(stanch_json_str(json_array_get(docs, 0), "id", ""), first);
    for (size_t i = 1; i < size; i++)
        assert_true(stanch_json_int(json_array_get(docs, i), "seq", 0) <
                    stanch_json_int(json_array_get(docs, i - 1), "seq", 0));
    json_decref(docs);
    return size;
}

static void documents_are_listed_newest_first(void **state)
{
    struct fixture *f = *state;
    append_mixed(f->journal, 160); /* runs R-0..R-19, every third is parked */
    settle(f->loop, f->journal);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = -1}, "R-19"), 20);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = 1}, "R-18"), 7);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = 0}, "R-19"), 13);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = -1, .limit = 3}, "R-19"), 3);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = -1, .chain = "INC-2"}, "R-15"), 3);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "run", .open = 1, .chain = "INC-2"}, "R-15"), 1);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "step", .open = -1, .id_prefix = "R-1/"}, "R-1/1"),
                     1);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "step", .open = -1, .id_prefix = "R-1"}, NULL), 11);
    STANCH_AUTO_JSON json_t *run = get(f, STANCH_VIEW_COMMITTED, "run", "R-10");
    assert_int_equal(
        listed(f, (struct stanch_noun_query){.noun = "run", .open = -1, .before_seq = stanch_json_int(run, "seq", 0)},
               "R-9"),
        10);
    assert_int_equal(listed(f, (struct stanch_noun_query){.noun = "nothing", .open = -1}, NULL), 0);
}

struct walk {
    int seen, until;
    int64_t last_seq;
};

static int see(void *ctx, const json_t *doc, struct stanch_err *err)
{
    struct walk *walk = ctx;
    assert_true(stanch_json_int(doc, "seq", 0) < walk->last_seq);
    walk->last_seq = stanch_json_int(doc, "seq", 0);
    return ++walk->seen < walk->until ? 0 : stanch_err_set(err, STANCH_E_BUSY, "enough");
}

static void a_walk_sees_each_once_however_many(void **state)
{
    struct fixture *f = *state;
    struct stanch_batch *batch = stanch_batch_new();
    for (int i = 0; i < 1001; i++) { /* two pages and a bit */
        char id[16];
        (void)snprintf(id, sizeof id, "R-%d", i);
        stanch_batch_add(batch, STANCH_CHAIN_NONE, "run.started", STANCH_BY_STANCH, NULL,
                         json_pack("{s:s}", "run", id));
    }
    assert_int_equal(stanch_journal_append(f->journal, batch, NULL, NULL, NULL), 0);
    settle(f->loop, f->journal);
    const struct stanch_noun_query query = {.noun = "run", .open = -1};
    struct walk all = {.until = 9999, .last_seq = INT64_MAX}, some = {.until = 501, .last_seq = INT64_MAX};
    struct stanch_err err;
    assert_int_equal(stanch_journal_each(f->journal, &query, see, &all, &err), 0);
    assert_int_equal(all.seen, 1001);
    assert_int_equal(stanch_journal_each(f->journal, &query, see, &some, &err), STANCH_E_BUSY);
    assert_int_equal(some.seen, 501);
}

static void assert_due(struct fixture *f, const struct stanch_due_query *query, const char *ids)
{
    char seen[100] = "";
    json_t *docs = NULL;
    assert_int_equal(stanch_journal_due(f->journal, query, &docs, NULL), 0);
    for (size_t i = 0; i < json_array_size(docs); i++) {
        size_t len = strlen(seen);
        (void)snprintf(seen + len, sizeof seen - len, "%s ", stanch_json_str(json_array_get(docs, i), "id", ""));
    }
    json_decref(docs);
    assert_string_equal(seen, ids);
}

static void what_is_due_is_found_in_order_of_its_time(void **state)
{
    struct fixture *f = *state;
    append(f->journal, "-", "approval.requested", "{'approval':'A-1','expires_ms':300}");
    append(f->journal, "-", "approval.requested", "{'approval':'A-2','expires_ms':100}");
    append(f->journal, "-", "approval.requested", "{'approval':'A-3','expires_ms':200}");
    append(f->journal, "-", "approval.requested", "{'approval':'A-4','expires_ms':200}");
    append(f->journal, "-", "approval.requested", "{'approval':'A-5','expires_ms':200}");
    append(f->journal, "-", "approval.denied", "{'approval':'A-3'}");
    append(f->journal, "-", "run.started", "{'run':'R-1'}");
    append(f->journal, "-", "run.started", "{'run':'R-2'}");
    append(f->journal, "-", "run.rested", "{'run':'R-2','rests':true,'wake_ms':150}");
    append(f->journal, "-", "mitigation.applied", "{'mitigation':'M-1','lease_ends_ms':50}");
    append(f->journal, "-", "mitigation.undoing", "{'mitigation':'M-1'}");
    settle(f->loop, f->journal);
    struct stanch_due_query query = {.noun = "approval", .after_ms = 0, .until_ms = 250, .limit = 10};
    assert_due(f, &query, "A-2 A-4 A-5 ");
    query.limit = 2;
    assert_due(f, &query, "A-2 A-4 ");
    STANCH_AUTO_JSON json_t *last = get(f, STANCH_VIEW_COMMITTED, "approval", "A-4");
    query.after_ms = 200;
    query.after_seq = stanch_json_int(last, "seq", 0);
    query.until_ms = INT64_MAX;
    assert_due(f, &query, "A-5 A-1 ");
    assert_due(f, &(struct stanch_due_query){.noun = "approval", .after_ms = 100, .until_ms = 200, .limit = 9},
               "A-4 A-5 ");
    assert_due(f, &(struct stanch_due_query){.noun = "run", .after_ms = -1, .until_ms = 0, .limit = 9}, "R-1 ");
    assert_due(f, &(struct stanch_due_query){.noun = "run", .after_ms = 0, .until_ms = 150, .limit = 9}, "R-2 ");
    assert_due(f, &(struct stanch_due_query){.noun = "mitigation", .after_ms = -1, .until_ms = 0, .limit = 9}, "M-1 ");
}

int main(void)
{
    stanch_log_set_level(STANCH_LOG_ERROR);
    const struct CMUnitTest tests[] = {
        ON_BOTH(entries_are_read_by_chain_run_and_level),
        ON_BOTH(documents_are_listed_newest_first),
        ON_BOTH(a_walk_sees_each_once_however_many),
        ON_BOTH(what_is_due_is_found_in_order_of_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
