/* both_stores.h: a journal on SQLite, and one in memory: every test of such a file runs on both. */
#ifndef TEST_TIMELINE_BOTH_STORES_H
#define TEST_TIMELINE_BOTH_STORES_H
#include "timeline/world.h"

struct fixture {
    struct stanch_loop *loop;
    char *dir; /* NULL: memory */
    struct stanch_journal *journal;
};

static int set_up(void **state, bool memory)
{
    stanch_digest_init();
    struct fixture *f = STANCH_NEW(struct fixture);
    f->loop = stanch_loop_new(NULL);
    f->dir = memory ? NULL : new_dir();
    f->journal = open_journal(f->loop, f->dir);
    *state = f;
    return 0;
}

static int set_up_sqlite(void **state)
{
    return set_up(state, false);
}

static int set_up_memory(void **state)
{
    return set_up(state, true);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    stanch_journal_close(f->journal);
    stanch_loop_free(f->loop);
    if (f->dir)
        drop_dir(f->dir);
    free(f);
    return 0;
}

UNUSED static json_t *get(struct fixture *f, enum stanch_view view, const char *noun, const char *id)
{
    return stanch_journal_get(f->journal, view, noun, id);
}

UNUSED static int count_entry(void *ctx, const struct stanch_entry *entry)
{
    int64_t *count = ctx;
    char hash[65];
    struct stanch_entry copy = *entry;
    (void)snprintf(hash, sizeof hash, "%s", entry->hash);
    assert_int_equal(stanch_entry_seal(&copy, NULL), 0);
    assert_string_equal(copy.hash, hash); /* what is read back still has its hash: also 2.0 and 1e20 */
    (*count)++;
    return 0;
}

UNUSED static int64_t count(struct fixture *f, struct stanch_entry_query query)
{
    int64_t found = 0;
    query.limit = query.limit ? query.limit : 1000;
    assert_int_equal(stanch_journal_entries(f->journal, &query, count_entry, &found, NULL), 0);
    return found;
}

#define ON_BOTH(test)                                                                                                  \
    {#test "/sqlite", test, set_up_sqlite, tear_down, NULL},                                                           \
    {                                                                                                                  \
#test "/memory", test, set_up_memory, tear_down, NULL                                                          \
    }

#endif
