/* store_memory.c: a store that is gone when closed: drills, tests, simulation. It keeps what SQLite would keep, as
 * text, so that what is read back went through the same canonical form. Commits on the loop thread. */
#include "timeline/store_ops.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/fold.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct memory {
    struct stanch_store base;
    struct stanch_row *rows; /* owned copies, row seq - 1 */
    size_t row_count, row_cap;
    json_t *nouns;    /* noun -> id -> {"chain","open","seq","text"} */
    json_t *heads;    /* chain -> {"chain","n","hash"} */
    json_t *counters; /* prefix -> value */
    struct stanch_blob_row *blobs;
    size_t blob_count;
    json_t *blob_places; /* id -> index in blobs */
};

static struct memory *of(struct stanch_store *store)
{
    return container_of(store, struct memory, base);
}

static void keep_row(struct memory *self, const struct stanch_row *row)
{
    if (self->row_count == self->row_cap) {
        self->row_cap = self->row_cap ? self->row_cap * 2 : 64;
        self->rows = stanch_realloc(self->rows, self->row_cap * sizeof *self->rows);
    }
    struct stanch_row *copy = &self->rows[self->row_count++];
    *copy = *row;
    copy->chain = stanch_strdup(row->chain);
    copy->kind = stanch_strdup(row->kind);
    copy->by = stanch_strdup(row->by);
    copy->run = stanch_strdup(row->run);
    copy->data = stanch_strndup(row->data, row->data_len);
    copy->prev = stanch_strdup(row->prev);
    copy->hash = stanch_strdup(row->hash);
    copy->link = stanch_strdup(row->link);
}

static void keep_doc(struct memory *self, const struct stanch_doc_row *doc)
{
    json_t *of_noun = json_object_get(self->nouns, doc->noun);
    if (!of_noun) {
        of_noun = json_object();
        json_object_set_new(self->nouns, doc->noun, of_noun);
    }
    json_t *kept = json_object();
    json_object_set_new(kept, "chain", json_string(doc->chain));
    json_object_set_new(kept, "open", json_boolean(doc->open));
    json_object_set_new(kept, "seq", json_integer(doc->seq));
    if (doc->due_ms != STANCH_DUE_NEVER)
        json_object_set_new(kept, "due_ms", json_integer(doc->due_ms));
    json_object_set_new(kept, "text", json_stringn_nocheck(doc->text, doc->len));
    json_object_set_new(of_noun, doc->id, kept);
}

static const struct stanch_blob_row *find_blob(struct memory *self, const char *id)
{
    int64_t place = stanch_json_int(self->blob_places, id, -1);
    return place < 0 ? NULL : &self->blobs[place];
}

static void keep_blob(struct memory *self, const struct stanch_blob_row *blob)
{
    if (find_blob(self, blob->id))
        return;
    json_object_set_new(self->blob_places, blob->id, json_integer((json_int_t)self->blob_count));
    self->blobs = stanch_realloc(self->blobs, (self->blob_count + 1) * sizeof *self->blobs);
    self->blobs[self->blob_count++] = (struct stanch_blob_row){
        .id = stanch_strdup(blob->id), .bytes = stanch_strndup(blob->bytes, blob->len), .len = blob->len};
}

static void keep_head(struct memory *self, const struct stanch_head_row *head)
{
    json_t *kept = json_object();
    json_object_set_new(kept, "chain", json_string(head->chain));
    json_object_set_new(kept, "n", json_integer(head->n));
    json_object_set_new(kept, "hash", json_string(head->hash));
    json_object_set_new(self->heads, head->chain, kept);
}

static int commit(struct stanch_store *store, const struct stanch_write *write, struct stanch_err *err)
{
    (void)err;
    struct memory *self = of(store);
    for (size_t i = 0; i < write->row_count; i++)
        keep_row(self, &write->rows[i]);
    for (size_t i = 0; i < write->doc_count; i++)
        keep_doc(self, &write->docs[i]);
    for (size_t i = 0; i < write->blob_count; i++)
        keep_blob(self, &write->blobs[i]);
    for (size_t i = 0; i < write->counter_count; i++)
        json_object_set_new(self->counters, write->counters[i].prefix, json_integer(write->counters[i].value));
    for (size_t i = 0; i < write->head_count; i++)
        keep_head(self, &write->heads[i]);
    return 0;
}

static int read_head(struct stanch_store *store, const char *chain, int64_t *ret_n, char ret_hash[65],
                     struct stanch_err *err)
{
    (void)err;
    const json_t *head = json_object_get(of(store)->heads, chain);
    *ret_n = stanch_json_int(head, "n", 0);
    (void)snprintf(ret_hash, 65, "%s", stanch_json_str(head, "hash", STANCH_HASH_ZERO));
    return 0;
}

static int read_heads(struct stanch_store *store, json_t **ret, struct stanch_err *err)
{
    (void)err;
    const char *chain;
    json_t *head, *all = json_array();
    json_object_foreach(of(store)->heads, chain, head) json_array_append_new(all, json_deep_copy(head));
    *ret = all;
    return 0;
}

static int read_counter(struct stanch_store *store, const char *prefix, int64_t *ret_value, struct stanch_err *err)
{
    (void)err;
    *ret_value = stanch_json_int(of(store)->counters, prefix, 0);
    return 0;
}

static int read_doc(struct stanch_store *store, const char *noun, const char *id, json_t **ret, struct stanch_err *err)
{
    json_t *text = json_object_get(json_object_get(json_object_get(of(store)->nouns, noun), id), "text");
    if (!text)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "no %s %s", noun, id);
    return stanch_store_parse(json_string_value(text), json_string_length(text), ret, err);
}

static int compare_newest_first(const void *a, const void *b)
{
    int64_t seq_a = stanch_json_int(*(json_t *const *)a, "seq", 0);
    int64_t seq_b = stanch_json_int(*(json_t *const *)b, "seq", 0);
    return (seq_a < seq_b) - (seq_a > seq_b);
}

static bool is_listed(const struct stanch_noun_query *query, const char *id, const json_t *kept)
{
    if (query->chain && strcmp(stanch_json_str(kept, "chain", ""), query->chain) != 0)
        return false;
    if (query->id_prefix && strncmp(id, query->id_prefix, strlen(query->id_prefix)) != 0)
        return false;
    if (query->open >= 0 && stanch_json_bool(kept, "open", true) != (query->open == 1))
        return false;
    return query->before_seq <= 0 || stanch_json_int(kept, "seq", 0) < query->before_seq;
}

static int parse_found(json_t *const *found, size_t count, int limit, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *docs = json_array();
    for (size_t i = 0; i < count && i < (size_t)limit; i++) {
        json_t *text = json_object_get(found[i], "text"), *doc;
        int rc = stanch_store_parse(json_string_value(text), json_string_length(text), &doc, err);
        if (rc < 0)
            return rc;
        json_array_append_new(docs, doc);
    }
    *ret = STANCH_TAKE(docs);
    return 0;
}

static int list(struct stanch_store *store, const struct stanch_noun_query *query, json_t **ret, struct stanch_err *err)
{
    json_t *of_noun = json_object_get(of(store)->nouns, query->noun);
    size_t count = 0;
    STANCH_AUTO_FREE json_t **found = stanch_alloc((json_object_size(of_noun) + 1) * sizeof *found);
    const char *id;
    json_t *kept;
    json_object_foreach(of_noun, id, kept) if (is_listed(query, id, kept)) found[count++] = kept;
    qsort(found, count, sizeof(json_t *), compare_newest_first);
    return parse_found(found, count, query->limit, ret, err);
}

static int count_open(struct stanch_store *store, const char *noun, int64_t *ret, struct stanch_err *err)
{
    const char *id;
    json_t *kept;
    (void)err;
    *ret = 0;
    json_object_foreach(json_object_get(of(store)->nouns, noun), id, kept) *ret += stanch_json_bool(kept, "open", true);
    return 0;
}

static int compare_due(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int64_t due_x = stanch_json_int(x, "due_ms", 0), due_y = stanch_json_int(y, "due_ms", 0);
    return due_x == due_y ? -compare_newest_first(a, b) : due_x < due_y ? -1 : 1;
}

static bool is_due(const struct stanch_due_query *query, const json_t *kept)
{
    int64_t due_ms = stanch_json_int(kept, "due_ms", STANCH_DUE_NEVER);
    if (due_ms == STANCH_DUE_NEVER || due_ms < query->after_ms || due_ms > query->until_ms)
        return false;
    return due_ms > query->after_ms || (query->after_seq > 0 && stanch_json_int(kept, "seq", 0) > query->after_seq);
}

static int due(struct stanch_store *store, const struct stanch_due_query *query, json_t **ret, struct stanch_err *err)
{
    json_t *of_noun = json_object_get(of(store)->nouns, query->noun);
    size_t count = 0;
    STANCH_AUTO_FREE json_t **found = stanch_alloc((json_object_size(of_noun) + 1) * sizeof *found);
    const char *id;
    json_t *kept;
    json_object_foreach(of_noun, id, kept) if (is_due(query, kept)) found[count++] = kept;
    qsort(found, count, sizeof(json_t *), compare_due);
    return parse_found(found, count, query->limit, ret, err);
}

static int read_rows(struct stanch_store *store, const struct stanch_entry_query *query,
                     int (*each)(void *ctx, const struct stanch_row *row), void *ctx, struct stanch_err *err)
{
    (void)err;
    struct memory *self = of(store);
    int left = query->limit;
    for (size_t i = query->after_seq > 0 ? (size_t)query->after_seq : 0; i < self->row_count && left > 0; i++) {
        struct stanch_row row = self->rows[i];
        if (query->until_seq > 0 && row.seq > query->until_seq)
            break;
        if (query->chain && strcmp(query->chain, row.chain) != 0)
            continue;
        if (query->run && (!row.run || strcmp(query->run, row.run) != 0))
            continue;
        if (query->kind_prefix && strncmp(row.kind, query->kind_prefix, strlen(query->kind_prefix)) != 0)
            continue;
        if (query->headlines_only && !stanch_store_is_headline(row.kind))
            continue;
        left--;
        if (each(ctx, &row))
            break;
    }
    return 0;
}

static int read_blob(struct stanch_store *store, const char *id, struct stanch_buf *ret, struct stanch_err *err)
{
    const struct stanch_blob_row *blob = find_blob(of(store), id);
    if (!blob)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "no bytes are kept under %s", id);
    stanch_buf_add(ret, blob->bytes, blob->len);
    return 0;
}

static void free_row(struct stanch_row *row)
{
    const char *texts[] = {row->chain, row->kind, row->by, row->run, row->data, row->prev, row->hash, row->link};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((void *)(uintptr_t)texts[i]);
}

static void close_store(struct stanch_store *store)
{
    struct memory *self = of(store);
    for (size_t i = 0; i < self->row_count; i++)
        free_row(&self->rows[i]);
    for (size_t i = 0; i < self->blob_count; i++) {
        free((void *)(uintptr_t)self->blobs[i].id);
        free((void *)(uintptr_t)self->blobs[i].bytes);
    }
    free(self->rows);
    free(self->blobs);
    json_decref(self->blob_places);
    json_decref(self->nouns);
    json_decref(self->heads);
    json_decref(self->counters);
    free(self);
}

static bool no_checkpoint(struct stanch_store *store)
{
    (void)store;
    return false;
}

static void do_nothing(struct stanch_store *store)
{
    (void)store;
}

static bool has_no_reserve(struct stanch_store *store)
{
    (void)store;
    return false;
}

static bool needs_no_reserve(struct stanch_store *store)
{
    (void)store;
    return true;
}

static int64_t has_no_log(struct stanch_store *store)
{
    (void)store;
    return 0;
}

static const struct stanch_store_ops memory_ops = {
    .commits_inline = true,
    .commit = commit,
    .maintain = no_checkpoint,
    .use_reserve = has_no_reserve,
    .refill_reserve = needs_no_reserve,
    .suspect = do_nothing,
    .checkpoint = do_nothing,
    .head = read_head,
    .heads = read_heads,
    .counter = read_counter,
    .doc = read_doc,
    .list = list,
    .count = count_open,
    .due = due,
    .rows = read_rows,
    .blob = read_blob,
    .wal_bytes = has_no_log,
    .close = close_store,
};

struct stanch_store *stanch_store_memory_new(void)
{
    struct memory *self = STANCH_NEW(struct memory);
    self->base.ops = &memory_ops;
    self->base.epoch = 1;
    self->nouns = json_object();
    self->heads = json_object();
    self->counters = json_object();
    self->blob_places = json_object();
    return &self->base;
}
