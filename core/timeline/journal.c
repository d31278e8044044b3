/* journal.c: open, close, ids, and reading. */
#include "timeline/journal_inside.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 500 /* documents that are read together, of however many */

int stanch_journal_open(struct stanch_loop *loop, struct stanch_store *store, struct stanch_journal **ret,
                        struct stanch_err *err)
{
    int64_t entries;
    char link[65];
    int rc = store->ops->head(store, STANCH_CHAIN_ALL, &entries, link, err);
    if (rc < 0) {
        stanch_store_close(store);
        return rc;
    }
    struct stanch_journal *journal = STANCH_NEW(struct stanch_journal);
    journal->loop = loop;
    journal->store = store;
    journal->heads = json_object();
    journal->heads_before = json_object();
    journal->told_number = -1;
    journal->overlay = json_object();
    journal->recent = json_object();
    journal->recent_before = json_object();
    journal->absent = json_object();
    journal->fresh = json_object();
    journal->counters = json_object();
    journal->dirty = json_object();
    journal->entries = entries;
    stanch_journal__start(journal);
    *ret = journal;
    return 0;
}

void stanch_journal_close(struct stanch_journal *journal)
{
    if (!journal)
        return;
    stanch_journal__stop(journal);
    while (journal->followers) {
        struct stanch_follower *follower = journal->followers;
        journal->followers = follower->next;
        free(follower);
    }
    json_decref(journal->heads);
    json_decref(journal->heads_before);
    json_decref(journal->overlay);
    json_decref(journal->recent);
    json_decref(journal->recent_before);
    json_decref(journal->absent);
    json_decref(journal->fresh);
    json_decref(journal->counters);
    json_decref(journal->dirty);
    stanch_store_close(journal->store);
    free(journal);
}

void stanch_journal_barrier(struct stanch_journal *journal, void (*fn)(void *ctx), void *ctx)
{
    struct stanch_batch *batch = stanch_batch_new();
    batch->on_committed = fn;
    batch->ctx = ctx;
    stanch_journal__enqueue(journal, batch);
}

void stanch_journal_forget(struct stanch_journal *journal)
{
    json_t **const caches[] = {&journal->recent, &journal->recent_before, &journal->absent, &journal->fresh};
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) {
        json_decref(*caches[i]);
        *caches[i] = json_object();
    }
}

static void remember(json_t *set, const char *key)
{
    if (json_object_size(set) >= ABSENT_MAX)
        json_object_clear(set);
    json_object_set_new_nocheck(set, key, json_true());
}

void stanch_journal_next_id(struct stanch_journal *journal, const char *prefix, char ret[32])
{
    const json_t *known = json_object_get(journal->counters, prefix);
    int64_t value = json_integer_value(known);
    struct stanch_err err = {0};
    int rc = known ? 0 : journal->store->ops->counter(journal->store, prefix, &value, &err);
    if (rc < 0) /* of a damaged store nothing is appended any more, so the id will not be used */
        (void)stanch_journal__unreadable(journal, rc, &err);
    value++;
    json_object_set_new(journal->counters, prefix, json_integer(value));
    json_object_set_new(journal->dirty, prefix, json_integer(value));
    (void)snprintf(ret, 32, "%s-%" PRId64, prefix, value);
    remember(journal->fresh, ret);
}

/* What is in memory of it: the batch's own, appended, or changed lately; NULL: ask the store. borrowed */
static json_t *find_in_memory(struct stanch_journal *journal, const struct stanch_batch *batch, const char *key)
{
    const json_t *item = batch ? json_object_get(batch->folded, key) : NULL;
    if (!item)
        item = json_object_get(journal->overlay, key);
    if (!item)
        item = json_object_get(journal->recent, key);
    if (!item)
        item = json_object_get(journal->recent_before, key);
    return json_object_get(item, "doc");
}

static int read_from_store(struct stanch_journal *journal, const char *key, const char *noun, const char *id,
                           json_t **ret, struct stanch_err *err)
{
    if (json_object_get(journal->fresh, id) || json_object_get(journal->absent, key))
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no %s %s", noun, id);
    int rc = journal->store->ops->doc(journal->store, noun, id, ret, err);
    if (rc < 0 && stanch_is_sabotaged("read-error-is-nothing"))
        return STANCH_E_NOT_FOUND;
    if (rc == STANCH_E_NOT_FOUND && !journal->store->read_only)
        remember(journal->absent, key);
    return rc < 0 && rc != STANCH_E_NOT_FOUND ? stanch_journal__unreadable(journal, rc, err) : rc;
}

int stanch_journal__doc(struct stanch_journal *journal, const struct stanch_batch *batch, const char *noun,
                        const char *id, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *doc = find_in_memory(journal, batch, key);
    if (!doc)
        return read_from_store(journal, key, noun, id, ret, err);
    *ret = batch ? json_copy(doc) : json_deep_copy(doc); /* the fold replaces members, it changes none */
    return 0;
}

static void tell_unreadable(int rc, const char *noun, const char *id, const struct stanch_err *err)
{
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        stanch_log(STANCH_LOG_ERROR, "timeline", "%s %s cannot be read: %s", noun, id, err->text);
}

json_t *stanch_journal_see(struct stanch_journal *journal, const char *noun, const char *id)
{
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *doc = json_incref(find_in_memory(journal, NULL, key));
    struct stanch_err err = {0};
    if (!doc)
        tell_unreadable(read_from_store(journal, key, noun, id, &doc, &err), noun, id, &err);
    return doc;
}

int stanch_journal_find(struct stanch_journal *journal, const char *noun, const char *id, json_t **ret,
                        struct stanch_err *err)
{
    return journal->store->ops->doc(journal->store, noun, id, ret, err);
}

json_t *stanch_journal_get(struct stanch_journal *journal, enum stanch_view view, const char *noun, const char *id)
{
    json_t *doc = NULL;
    struct stanch_err err = {0};
    int rc = view == STANCH_VIEW_APPENDED ? stanch_journal__doc(journal, NULL, noun, id, &doc, &err)
                                          : journal->store->ops->doc(journal->store, noun, id, &doc, &err);
    tell_unreadable(rc, noun, id, &err);
    return doc;
}

int stanch_journal_list(struct stanch_journal *journal, const struct stanch_noun_query *query, json_t **ret,
                        struct stanch_err *err)
{
    struct stanch_noun_query bounded = *query;
    bounded.limit = query->limit < 1 ? 1 : query->limit > 1000 ? 1000 : query->limit;
    bool by_id_only = strcmp(query->noun, "key") == 0 || strcmp(query->noun, "step") == 0;
    if (by_id_only && !query->id_prefix)
        return stanch_err_set(err, STANCH_E_INVALID, "%ss are listed by the beginning of their id", query->noun);
    int rc = journal->store->ops->list(journal->store, &bounded, ret, err);
    return rc < 0 ? stanch_journal__unreadable(journal, rc, err) : rc;
}

int stanch_journal_each(struct stanch_journal *journal, const struct stanch_noun_query *query,
                        int (*each)(void *ctx, const json_t *doc, struct stanch_err *err), void *ctx,
                        struct stanch_err *err)
{
    struct stanch_noun_query next = *query;
    size_t count = PAGE;
    next.limit = PAGE;
    while (count == PAGE) {
        STANCH_AUTO_JSON json_t *page = NULL;
        int rc = stanch_journal_list(journal, &next, &page, err);
        if (rc < 0)
            return rc;
        count = json_array_size(page);
        for (size_t i = 0; i < count && rc == 0; i++) {
            const json_t *doc = json_array_get(page, i);
            next.before_seq = stanch_json_int(doc, "seq", 0);
            rc = each(ctx, doc, err);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

int64_t stanch_journal_count(struct stanch_journal *journal, const char *noun)
{
    int64_t count = -1;
    struct stanch_err err = {0};
    int rc = journal->store->ops->count(journal->store, noun, &count, &err);
    if (rc < 0) {
        (void)stanch_journal__unreadable(journal, rc, &err);
        stanch_log(STANCH_LOG_ERROR, "timeline", "the open %ss cannot be counted: %s", noun, err.text);
    }
    return count;
}

int stanch_journal_due(struct stanch_journal *journal, const struct stanch_due_query *query, json_t **ret,
                       struct stanch_err *err)
{
    int rc = journal->store->ops->due(journal->store, query, ret, err);
    return rc < 0 ? stanch_journal__unreadable(journal, rc, err) : rc;
}

struct reading {
    int (*each)(void *ctx, const struct stanch_entry *entry);
    void *ctx;
    struct stanch_err *err;
    int rc;
};

static int on_row(void *ctx, const struct stanch_row *row)
{
    struct reading *reading = ctx;
    struct stanch_entry entry;
    reading->rc = stanch_store_entry(row, &entry, reading->err);
    if (reading->rc < 0)
        return 1;
    int stops = reading->each(reading->ctx, &entry);
    json_decref(entry.data);
    return stops;
}

int stanch_journal_entries(struct stanch_journal *journal, const struct stanch_entry_query *query,
                           int (*each)(void *ctx, const struct stanch_entry *entry), void *ctx, struct stanch_err *err)
{
    struct stanch_entry_query bounded = *query;
    bounded.limit = query->limit < 1 ? 1 : query->limit > 1000 ? 1000 : query->limit;
    struct reading reading = {.each = each, .ctx = ctx, .err = err};
    int rc = journal->store->ops->rows(journal->store, &bounded, on_row, &reading, err);
    return rc < 0 ? rc : reading.rc;
}

/* Bytes that wait are looked for in the queue and among the batches whose commit is not yet told. */
static bool find_waiting(const struct stanch_batch *batch, const char *id_hex, struct stanch_buf *ret)
{
    for (; batch; batch = batch->next)
        for (size_t i = 0; i < batch->blob_count; i++)
            if (strcmp(batch->blobs[i].id, id_hex) == 0) {
                stanch_buf_add(ret, batch->blobs[i].bytes, batch->blobs[i].len);
                return true;
            }
    return false;
}

int stanch_journal_blob(struct stanch_journal *journal, const char *id_hex, struct stanch_buf *ret,
                        struct stanch_err *err)
{
    pthread_mutex_lock(&journal->lock);
    bool found = find_waiting(journal->queue, id_hex, ret) || find_waiting(journal->committing, id_hex, ret) ||
                 find_waiting(journal->done, id_hex, ret);
    pthread_mutex_unlock(&journal->lock);
    int rc = found ? 0 : journal->store->ops->blob(journal->store, id_hex, ret, err);
    return rc < 0 && rc != STANCH_E_NOT_FOUND ? stanch_journal__unreadable(journal, rc, err) : rc;
}

struct stanch_follower *stanch_journal_follow(struct stanch_journal *journal,
                                              void (*fn)(void *ctx, const struct stanch_entry *entry), void *ctx)
{
    struct stanch_follower *follower = STANCH_NEW(struct stanch_follower);
    follower->fn = fn;
    follower->ctx = ctx;
    struct stanch_follower **last = &journal->followers;
    while (*last)
        last = &(*last)->next;
    *last = follower;
    return follower;
}

void stanch_journal_unfollow(struct stanch_journal *journal, struct stanch_follower *follower)
{
    if (!follower)
        return;
    follower->is_gone = true; /* freed once nobody walks the list */
    if (journal->delivering)
        return;
    struct stanch_follower **link = &journal->followers;
    while (*link != follower)
        link = &(*link)->next;
    *link = follower->next;
    free(follower);
}

static int compare_int64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

json_t *stanch_journal_health(struct stanch_journal *journal)
{
    int64_t wal_bytes = journal->store->ops->wal_bytes(journal->store);
    int64_t sorted[DURATIONS];
    json_t *health = json_object();
    pthread_mutex_lock(&journal->lock);
    size_t count = journal->duration_count < DURATIONS ? journal->duration_count : DURATIONS;
    memcpy(sorted, journal->durations_us, count * sizeof *sorted);
    bool is_bad = journal->is_dead || journal->is_damaged || journal->is_full || journal->is_locked;
    json_object_set_new(health, "queued", json_integer((json_int_t)journal->queued));
    json_object_set_new(health, "oldest_ms", json_integer(stanch_journal__oldest_ms(journal)));
    json_object_set_new(health, "queued_bytes", json_integer((json_int_t)journal->queued_bytes));
    json_object_set_new(health, "commits", json_integer(journal->commits));
    json_object_set_new(health, "syncs", json_integer(journal->syncs));
    json_object_set_new(health, "entries", json_integer(journal->entries));
    json_object_set_new(health, "read_only",
                        json_boolean(journal->store->read_only || journal->is_dead || journal->is_damaged));
    json_object_set_new(health, "full", json_boolean(journal->is_full));
    json_object_set_new(health, "locked", json_boolean(journal->is_locked));
    json_object_set_new(health, "why", is_bad ? json_string(journal->why) : json_null());
    pthread_mutex_unlock(&journal->lock);
    qsort(sorted, count, sizeof *sorted, compare_int64);
    json_object_set_new(health, "wal_bytes", json_integer(wal_bytes));
    json_object_set_new(health, "commit_p50_us", json_integer(count ? sorted[count / 2] : 0));
    json_object_set_new(health, "commit_p99_us", json_integer(count ? sorted[count * 99 / 100] : 0));
    return health;
}

json_t *stanch_journal_heads(struct stanch_journal *journal)
{
    json_t *heads = NULL;
    struct stanch_err err = {0};
    if (journal->store->ops->heads(journal->store, &heads, &err) == 0)
        return heads;
    stanch_log(STANCH_LOG_ERROR, "timeline", "the heads of the chains cannot be read: %s", err.text);
    return json_array();
}
