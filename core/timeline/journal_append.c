/* journal_append.c: check, seal, fold, queue. Everything that can fail comes first; a batch that is refused has
 * changed nothing: chain heads and documents are staged in the batch and become the journal's at the end. */
#include "timeline/journal_inside.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/fold.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

/* When the disk is full, or too much waits: nothing may start, but what was started must find its end. So a batch is
 * taken then if it tells of something that has already happened, and all else in it only goes along with that. */
enum standing { STARTS, GOES_ALONG, HAS_HAPPENED };

static enum standing standing_of(const char *kind)
{
    static const char *const happened[] = {
        "action.verified",
        "step.unknown",
        "mitigation.applied",
        "mitigation.undone",
        "mitigation.kept",
        "mitigation.undo-failed",
        "mitigation.undo-unknown",
        "mitigation.overdue",
        "run.succeeded",
        "run.failed",
        "run.cancelled",
        "run.parked",
        "run.waiting",
        "run.resolved",
        "run.eased",
        "action.unneeded",
        "action.observed",
        "stop.engaged",
        "stop.released",
        "approval.expired",
        "approval.voided",
        "approval.denied",
        "daemon.stopped",
        "run.woken",
        "notice.told",
        "notice.closed",
        "notice.failed",
        "notice.dropped",
        "paging.failing",
        "paging.recovered",
        "drill.missed",
        "drill.told",
        "drill.untold",
    };
    static const char *const along[] = {
        "approval.requested", "step.waiting",    "step.resolved",  "step.checked",       "step.verified",
        "run.resumed",        "step.orphaned",   "step.settled",   "mitigation.ordered", "breaker.counted",
        "breaker.opened",     "breaker.cleared", "breaker.closed", "breaker.noted",      "incident.changed",
    };
    const char *verb = strrchr(kind, '.');
    if (verb && (strcmp(verb, ".answered") == 0 || strcmp(verb, ".ended") == 0))
        return HAS_HAPPENED;
    for (size_t i = 0; i < sizeof happened / sizeof *happened; i++)
        if (strcmp(happened[i], kind) == 0)
            return HAS_HAPPENED;
    for (size_t i = 0; i < sizeof along / sizeof *along; i++)
        if (strcmp(along[i], kind) == 0)
            return GOES_ALONG;
    return STARTS;
}

static bool is_outcome(const struct stanch_batch *batch)
{
    bool has_happened = false;
    for (size_t i = 0; i < batch->count; i++) {
        enum standing standing = standing_of(batch->entries[i].kind);
        if (standing == STARTS)
            return false;
        has_happened = has_happened || standing == HAS_HAPPENED;
    }
    return has_happened;
}

/* Whole numbers that came as reals read back from canonical text as integers, and beyond 2^53 as text
 * (json.h). Make them so before the fold sees them, so that what is in memory is what is read back. Returns a new
 * value, or NULL when nothing had to change. */
static json_t *settle_numbers(const json_t *value)
{
    if (json_is_real(value)) {
        double real = json_real_value(value);
        if (!isfinite(real) || real != floor(real) || fabs(real) >= 1e21)
            return NULL;
        if (fabs(real) <= (double)STANCH_JSON_SAFE_INT)
            return json_integer((json_int_t)real);
        char text[32];
        (void)snprintf(text, sizeof text, "%.0f", real);
        return json_string(text);
    }
    json_t *settled = NULL, *member, *changed;
    const char *key;
    size_t i;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)(uintptr_t)value, key, member) if ((changed = settle_numbers(member)))
        {
            settled = settled ? settled : json_copy((json_t *)(uintptr_t)value);
            json_object_set_new(settled, key, changed);
        }
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, member) if ((changed = settle_numbers(member)))
        {
            settled = settled ? settled : json_copy((json_t *)(uintptr_t)value);
            json_array_set_new(settled, i, changed);
        }
    }
    return settled;
}

static bool is_utf8(const char *text)
{
    json_t *value = json_string(text);
    json_decref(value);
    return value != NULL;
}

static int check_entry(struct stanch_entry *entry, struct stanch_err *err)
{
    const struct stanch_kind *kind = entry->kind ? stanch_kind_find(entry->kind) : NULL;
    if (!kind)
        return stanch_err_set(err, STANCH_E_INVALID, "\"%s\" is no kind of entry (kind.def)",
                              entry->kind ? entry->kind : "");
    if (!json_is_object(entry->data))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: the data of an entry is an object", entry->kind);
    if (!entry->chain || !*entry->chain || strcmp(entry->chain, STANCH_CHAIN_ALL) == 0 || !is_utf8(entry->chain))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: not the name of a chain", entry->kind);
    if (!entry->by || !*entry->by || !is_utf8(entry->by) || (entry->run && !is_utf8(entry->run)))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: an entry says by whom it is, in UTF-8", entry->kind);
    const char *id = kind->noun ? stanch_json_str(entry->data, kind->id, NULL) : NULL;
    if (kind->noun && (!id || !*id))
        return stanch_err_set(err, STANCH_E_INVALID, "%s: the data must name the %s in \"%s\"", entry->kind, kind->noun,
                              kind->id);
    return 0;
}

/* Check all entries and write their data in canonical form. */
static int check_batch(struct stanch_batch *batch, struct stanch_err *err)
{
    batch->rows = stanch_alloc((batch->count + 1) * sizeof *batch->rows);
    for (size_t i = 0; i < batch->count; i++) {
        struct stanch_entry *entry = &batch->entries[i];
        int rc = check_entry(entry, err);
        if (rc < 0)
            return rc;
        json_t *settled = settle_numbers(entry->data);
        if (settled) {
            json_decref(entry->data);
            entry->data = settled;
        }
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        rc = stanch_json_canonical(entry->data, &text, err);
        if (rc < 0)
            (void)stanch_err_wrap(err, "%s", entry->kind);
        if (rc < 0)
            return rc;
        batch->rows[i].data_len = text.len;
        batch->rows[i].data = stanch_buf_take(&text);
        batch->write.row_count = i + 1;
        batch->bytes += batch->rows[i].data_len + 512;
    }
    for (size_t i = 0; i < batch->blob_count; i++)
        batch->bytes += batch->blobs[i].len;
    batch->is_outcome = is_outcome(batch);
    return 0;
}

static bool is_over(const struct stanch_journal *journal, size_t part)
{
    return journal->queued >= QUEUE_MAX_BATCHES / part || journal->queued_bytes >= QUEUE_MAX_BYTES / part;
}

int stanch_journal_takes_events(struct stanch_journal *journal, struct stanch_err *err)
{
    int rc = stanch_journal_takes(journal, false, err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&journal->lock);
    if (is_over(journal, 2))
        rc = stanch_err_set(err, STANCH_E_BUSY, "%zu batches wait to be committed; send it again", journal->queued);
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

static bool has_events(const struct stanch_batch *batch)
{
    return batch->count > 0 && strcmp(batch->entries[0].kind, "event.received") == 0;
}

int stanch_journal_takes(struct stanch_journal *journal, bool outcomes, struct stanch_err *err)
{
    int rc = 0;
    if (journal->is_closing)
        return stanch_err_set(err, STANCH_E_STORE, "the journal is closing");
    pthread_mutex_lock(&journal->lock);
    bool is_long = is_over(journal, 1);
    if (journal->is_damaged)
        rc = stanch_err_set(err, STANCH_E_STORE, "%s", journal->why);
    else if (journal->store->read_only)
        rc = stanch_err_set(err, STANCH_E_STORE, "the store is open for reading only");
    else if (journal->is_dead)
        rc = stanch_err_set(err, STANCH_E_STORE, "the journal could not commit: %s", journal->why);
    else if (journal->is_full && !outcomes)
        rc = stanch_err_set(err, STANCH_E_FULL,
                            "the disk under the store is full; free some space there: until then only outcomes are "
                            "recorded and nothing new starts");
    else if (journal->is_locked && !outcomes)
        rc = stanch_err_set(err, STANCH_E_BUSY, "the store is locked: %s", journal->why);
    else if (is_long && !outcomes)
        rc = stanch_err_set(err, STANCH_E_BUSY, "%zu batches wait to be committed; try again", journal->queued);
    pthread_mutex_unlock(&journal->lock);
    return rc;
}

/* The staged head of a chain; begins with the journal's, or the store's. */
static int stage_head(struct stanch_journal *journal, struct stanch_batch *batch, const char *chain,
                      struct stanch_head_row **ret, struct stanch_err *err)
{
    for (size_t i = 0; i < batch->head_count; i++)
        if (strcmp(batch->heads[i].chain, chain) == 0) {
            *ret = &batch->heads[i];
            return 0;
        }
    int64_t n = 0;
    char hash[65];
    const json_t *known = json_object_get(journal->heads, chain);
    if (!known)
        known = json_object_get(journal->heads_before, chain);
    if (known) {
        n = stanch_json_int(known, "n", 0);
        (void)snprintf(hash, sizeof hash, "%s", stanch_json_str(known, "hash", ""));
    } else {
        int rc = journal->store->ops->head(journal->store, chain, &n, hash, err);
        if (rc < 0)
            return stanch_journal__unreadable(journal, rc, err);
    }
    batch->heads = stanch_realloc(batch->heads, (batch->head_count + 1) * sizeof *batch->heads);
    *ret = &batch->heads[batch->head_count++];
    **ret = (struct stanch_head_row){.chain = stanch_strdup(chain),
                                     .from_n = n,
                                     .n = n,
                                     .from_hash = stanch_strdup(hash),
                                     .hash = stanch_strdup(hash)};
    return 0;
}

static void advance(struct stanch_head_row *head, const char *hash)
{
    head->n++;
    free((void *)(uintptr_t)head->hash);
    head->hash = stanch_strdup(hash);
}

/* Give an entry its place in its chain and in the store. */
static int seal(struct stanch_journal *journal, struct stanch_batch *batch, size_t i, int64_t at_ms,
                struct stanch_err *err)
{
    struct stanch_entry *entry = &batch->entries[i];
    struct stanch_row *row = &batch->rows[i];
    struct stanch_head_row *head;
    int rc = stage_head(journal, batch, entry->chain, &head, err);
    if (rc < 0)
        return rc;
    entry->at_ms = at_ms;
    entry->n = head->n + 1;
    (void)snprintf(entry->prev, sizeof entry->prev, "%s", head->hash);
    rc = stanch_entry_seal_text(entry, row->data, row->data_len, err);
    if (rc < 0)
        return rc;
    advance(head, entry->hash);
    rc = stage_head(journal, batch, STANCH_CHAIN_ALL, &head, err);
    if (rc < 0)
        return rc;
    char link[65];
    entry->seq = head->n + 1;
    stanch_store_link(entry->seq, head->hash, entry->hash, link);
    advance(head, link);
    *row = (struct stanch_row){.seq = entry->seq,
                               .n = entry->n,
                               .at_ms = at_ms,
                               .chain = entry->chain,
                               .kind = entry->kind,
                               .by = entry->by,
                               .run = entry->run,
                               .data = row->data,
                               .data_len = row->data_len,
                               .prev = entry->prev,
                               .hash = entry->hash,
                               .link = stanch_strdup(link)};
    return 0;
}

struct folding {
    struct stanch_journal *journal;
    struct stanch_batch *batch;
    struct stanch_err *err;
    int rc;
};

static json_t *get_folded(void *ctx, const char *noun, const char *id)
{
    struct folding *folding = ctx;
    json_t *doc = NULL;
    int rc = stanch_journal__doc(folding->journal, folding->batch, noun, id, &doc, folding->err);
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        folding->rc = rc;
    return doc;
}

static void put_folded(void *ctx, const char *noun, const char *id, const char *chain, bool open, json_t *doc)
{
    struct folding *folding = ctx;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *item = json_object();
    json_object_set_new(item, "chain", json_string(chain));
    json_object_set_new(item, "open", json_boolean(open));
    json_object_set_new(item, "doc", doc);
    json_object_set_new_nocheck(folding->batch->folded, key, item);
    json_object_del(folding->journal->absent, key);
    json_object_del(folding->journal->fresh, id);
}

/* The documents that the batch leaves behind, as rows. */
static int write_docs(struct stanch_batch *batch, struct stanch_err *err)
{
    batch->docs = stanch_alloc((json_object_size(batch->folded) + 1) * sizeof *batch->docs);
    const char *key;
    json_t *item;
    json_object_foreach(batch->folded, key, item)
    {
        const json_t *doc = json_object_get(item, "doc");
        const char *id = strchr(key, '\x1f') + 1;
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        int rc = stanch_json_canonical(doc, &text, err);
        if (rc < 0)
            return rc;
        size_t len = text.len;
        char *noun = stanch_strndup(key, (size_t)(id - key) - 1);
        batch->docs[batch->write.doc_count++] = (struct stanch_doc_row){
            .noun = noun,
            .id = id,
            .chain = stanch_json_str(item, "chain", ""),
            .open = stanch_json_bool(item, "open", true),
            .seq = stanch_json_int(doc, "seq", 0),
            .due_ms = stanch_fold_due(noun, doc),
            .text = stanch_buf_take(&text),
            .len = len,
        };
        batch->bytes += len + 256;
    }
    return 0;
}

static void keep_recent(struct stanch_journal *journal, const struct stanch_batch *batch)
{
    if (json_object_size(journal->recent) >= RECENT_MAX) {
        json_decref(journal->recent_before);
        journal->recent_before = journal->recent;
        journal->recent = json_object();
    }
    json_object_update(journal->recent, batch->folded);
}

/* A full `heads` becomes `heads_before`. What goes then is read from the store again, so it must be committed there. */
static void keep_head(struct stanch_journal *journal, const char *chain, json_t *head)
{
    if (json_object_size(journal->heads) >= HEADS_MAX) {
        json_t *gone = journal->heads_before, *old;
        const char *name;
        journal->heads_before = journal->heads;
        journal->heads = json_object();
        json_object_foreach(gone, name, old)
        {
            if (stanch_json_int(old, "batch", 0) > journal->told_number &&
                !json_object_get(journal->heads_before, name))
                json_object_set(journal->heads, name, old);
        }
        json_decref(gone);
    }
    json_object_set_new(journal->heads, chain, head);
}

/* Staged becomes the journal's: from here on the batch is appended. */
static void adopt(struct stanch_journal *journal, struct stanch_batch *batch)
{
    for (size_t i = 0; i < batch->head_count; i++) {
        json_t *head = json_object();
        json_object_set_new(head, "n", json_integer(batch->heads[i].n));
        json_object_set_new(head, "hash", json_string(batch->heads[i].hash));
        json_object_set_new(head, "batch", json_integer(batch->number));
        keep_head(journal, batch->heads[i].chain, head);
    }
    json_object_update(journal->overlay, batch->folded);
    keep_recent(journal, batch);
    size_t dirty = json_object_size(journal->dirty);
    batch->counters = stanch_alloc((dirty + 1) * sizeof *batch->counters);
    const char *prefix;
    json_t *value;
    json_object_foreach(journal->dirty, prefix, value) batch->counters[batch->write.counter_count++] =
        (struct stanch_counter_row){stanch_strdup(prefix), json_integer_value(value)};
    json_object_clear(journal->dirty);
    struct stanch_write *write = &batch->write;
    write->rows = batch->rows;
    write->docs = batch->docs;
    write->blobs = batch->blobs;
    write->counters = batch->counters;
    write->heads = batch->heads;
    write->blob_count = batch->blob_count;
    write->head_count = batch->head_count;
}

static int seal_and_fold(struct stanch_journal *journal, struct stanch_batch *batch, struct stanch_err *err)
{
    struct folding folding = {.journal = journal, .batch = batch, .err = err};
    struct stanch_fold_port port = {get_folded, put_folded, &folding};
    int64_t at_ms = stanch_loop_wall_ms(journal->loop);
    batch->number = journal->next_number;
    batch->folded = json_object();
    for (size_t i = 0; i < batch->count; i++) {
        int rc = seal(journal, batch, i, at_ms, err);
        if (rc < 0)
            return rc;
        stanch_fold(&batch->entries[i], &port);
        if (folding.rc < 0)
            return folding.rc;
    }
    return write_docs(batch, err);
}

int stanch_journal_append(struct stanch_journal *journal, struct stanch_batch *batch, void (*on_committed)(void *ctx),
                          void *ctx, struct stanch_err *err)
{
    struct stanch_err own = {0};
    err = err ? err : &own;
    batch->on_committed = on_committed;
    batch->ctx = ctx;
    int rc = check_batch(batch, err);
    if (rc == 0)
        rc = has_events(batch) ? stanch_journal_takes_events(journal, err)
                               : stanch_journal_takes(journal, batch->is_outcome, err);
    if (rc == 0)
        rc = seal_and_fold(journal, batch, err);
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    journal->next_number++;
    adopt(journal, batch);
    stanch_journal__enqueue(journal, batch);
    return 0;
}
