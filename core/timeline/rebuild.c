/* rebuild.c: every document again, out of the entries. Documents are a stored copy of what the fold can tell, for
 * speed; this is the proof that they are only that, and the way to them when the copy is damaged. */
#include "timeline/store_sqlite.h"
#include "timeline/verify.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/fold.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  1000
#define NAMED 20 /* so many differences are named in the log */

struct rebuild {
    struct stanch_store *store;
    json_t *docs; /* "noun\x1fid" -> {"noun","id","chain","open","doc"} */
    int64_t after_seq, differences;
    int count, rc;
    struct stanch_err *err;
};

static json_t *get_doc(void *ctx, const char *noun, const char *id)
{
    struct rebuild *rebuild = ctx;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *item = json_object_get(rebuild->docs, key);
    return item ? json_copy(json_object_get(item, "doc")) : NULL;
}

static void put_doc(void *ctx, const char *noun, const char *id, const char *chain, bool open, json_t *doc)
{
    struct rebuild *rebuild = ctx;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *item = json_object();
    json_object_set_new(item, "noun", json_string(noun));
    json_object_set_new(item, "id", json_string(id));
    json_object_set_new(item, "chain", json_string(chain));
    json_object_set_new(item, "open", json_boolean(open));
    json_object_set_new(item, "doc", doc);
    json_object_set_new_nocheck(rebuild->docs, key, item);
}

static int on_row(void *ctx, const struct stanch_row *row)
{
    struct rebuild *rebuild = ctx;
    struct stanch_fold_port port = {get_doc, put_doc, rebuild};
    struct stanch_entry entry;
    rebuild->rc = stanch_store_entry(row, &entry, rebuild->err);
    if (rebuild->rc < 0)
        return 1;
    stanch_fold(&entry, &port);
    json_decref(entry.data);
    rebuild->count++;
    rebuild->after_seq = row->seq;
    return 0;
}

static int fold_all(struct rebuild *rebuild)
{
    do {
        rebuild->count = 0;
        struct stanch_entry_query query = {.after_seq = rebuild->after_seq, .limit = PAGE};
        int rc = rebuild->store->ops->rows(rebuild->store, &query, on_row, rebuild, rebuild->err);
        if (rc < 0 || rebuild->rc < 0)
            return rc < 0 ? rc : rebuild->rc;
    } while (rebuild->count == PAGE);
    return 0;
}

static void count_difference(struct rebuild *rebuild, const char *noun, const char *id, const char *what)
{
    if (rebuild->differences++ < NAMED)
        stanch_log(STANCH_LOG_WARN, "timeline", "%s %s: %s", noun, id, what);
}

static int64_t due_of(sqlite3_stmt *stmt, int column)
{
    bool none = sqlite3_column_type(stmt, column) == SQLITE_NULL;
    return none ? STANCH_DUE_NEVER : sqlite3_column_int64(stmt, column);
}

/* Hold one stored document against the computed one, and take that one off the list. */
static void compare_doc(struct rebuild *rebuild, sqlite3_stmt *stmt)
{
    const char *noun = stanch_sqlite__text(stmt, 0), *id = stanch_sqlite__text(stmt, 1);
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s\x1f%s", noun, id);
    json_t *item = json_object_get(rebuild->docs, key);
    if (!item) {
        count_difference(rebuild, noun, id, "is stored, but no entry tells of it");
        return;
    }
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char sum[65];
    const json_t *doc = json_object_get(item, "doc");
    bool is_same = stanch_json_canonical(doc, &text, NULL) == 0;
    stanch_digest_hex(text.data, text.len, sum);
    is_same = is_same && strcmp(stanch_buf_str(&text), stanch_sqlite__text(stmt, 2)) == 0 &&
              strcmp(stanch_json_str(item, "chain", ""), stanch_sqlite__text(stmt, 3)) == 0 &&
              stanch_json_bool(item, "open", true) == (sqlite3_column_int(stmt, 4) == 1) &&
              stanch_json_int(doc, "seq", 0) == sqlite3_column_int64(stmt, 5) &&
              strcmp(sum, stanch_sqlite__text(stmt, 6)) == 0 && stanch_fold_due(noun, doc) == due_of(stmt, 7);
    if (!is_same)
        count_difference(rebuild, noun, id, "the stored document is not what its entries tell");
    json_object_set_new(item, "met", json_true());
}

static int compare_all(struct rebuild *rebuild, sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "SELECT noun, id, text, chain, open, seq, sum, due FROM doc NOT INDEXED", -1, &stmt,
                                NULL);
    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
            compare_doc(rebuild, stmt);
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE)
        return stanch_sqlite__error(db, rc, rebuild->err, "the documents cannot be read");
    const char *key;
    json_t *item;
    json_object_foreach(rebuild->docs, key, item) if (!json_object_get(item, "met"))
        count_difference(rebuild, stanch_json_str(item, "noun", ""), stanch_json_str(item, "id", ""),
                         "entries tell of it, but it is not stored");
    return 0;
}

/* Everything anew, in one transaction, through the store's own way of writing. */
static int write_all(struct rebuild *rebuild)
{
    size_t count = json_object_size(rebuild->docs), i = 0;
    STANCH_AUTO_FREE struct stanch_doc_row *docs = stanch_alloc((count + 1) * sizeof *docs);
    const char *key;
    json_t *item;
    int rc = 0;
    json_object_foreach(rebuild->docs, key, item)
    {
        const json_t *doc = json_object_get(item, "doc");
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        if (rc == 0)
            rc = stanch_json_canonical(doc, &text, rebuild->err);
        size_t len = text.len;
        docs[i++] = (struct stanch_doc_row){.noun = stanch_json_str(item, "noun", ""),
                                            .id = stanch_json_str(item, "id", ""),
                                            .chain = stanch_json_str(item, "chain", ""),
                                            .open = stanch_json_bool(item, "open", true),
                                            .seq = stanch_json_int(doc, "seq", 0),
                                            .due_ms = stanch_fold_due(stanch_json_str(item, "noun", ""), doc),
                                            .text = stanch_buf_take(&text),
                                            .len = len};
    }
    const struct stanch_write write = {.docs = docs, .doc_count = count, .replaces_docs = true};
    if (rc == 0)
        rc = rebuild->store->ops->commit(rebuild->store, &write, rebuild->err);
    for (size_t k = 0; k < i; k++)
        free((void *)(uintptr_t)docs[k].text);
    return rc;
}

static int run(struct rebuild *rebuild, bool compare_only)
{
    struct stanch_sqlite *sqlite = stanch_sqlite__of(rebuild->store);
    /* entries and documents of one snapshot, beside a daemon that writes */
    int sql = sqlite3_exec(sqlite->reader, "BEGIN", NULL, NULL, NULL);
    if (sql != SQLITE_OK)
        return stanch_sqlite__error(sqlite->reader, sql, rebuild->err, "the store cannot be read");
    int rc = fold_all(rebuild);
    if (rc == 0)
        rc = compare_all(rebuild, sqlite->reader);
    sqlite3_exec(sqlite->reader, "COMMIT", NULL, NULL, NULL);
    if (rc < 0 || compare_only || rebuild->differences == 0)
        return rc;
    return write_all(rebuild);
}

int stanch_timeline_rebuild(const char *store_dir, int compare_only, int64_t *ret_differences, struct stanch_err *err)
{
    struct rebuild rebuild = {.err = err, .docs = json_object()};
    static const struct stanch_sqlite_options options = {.busy_ms = 2000, .takes_damaged = true};
    int rc = stanch_store_sqlite_open_with(store_dir, 0, compare_only, &options, &rebuild.store, err);
    if (rc == 0) {
        rc = run(&rebuild, compare_only);
        stanch_store_close(rebuild.store);
    }
    json_decref(rebuild.docs);
    if (rc == 0)
        *ret_differences = rebuild.differences;
    return rc;
}

/* ---- what is left of a damaged store ---- */

/* Read on behind what cannot be read, in leaps that double. returns how many places were skipped at most */
static int64_t fold_what_is_left(struct rebuild *rebuild)
{
    int64_t until = 0, skipped = 0, leap = 1;
    char link[65];
    if (rebuild->store->ops->head(rebuild->store, STANCH_CHAIN_ALL, &until, link, NULL) < 0)
        until = INT64_MAX / 2;
    while (rebuild->after_seq < until) {
        int64_t before = rebuild->after_seq;
        rebuild->rc = 0;
        if (fold_all(rebuild) == 0)
            break;
        leap = rebuild->after_seq > before ? 1 : leap * 2;
        rebuild->after_seq += leap;
        skipped += leap;
    }
    return skipped;
}

static int compare_seq(const void *a, const void *b)
{
    int64_t x = stanch_json_int(*(json_t *const *)a, "seq", 0), y = stanch_json_int(*(json_t *const *)b, "seq", 0);
    return (y > x) - (y < x);
}

static json_t *pick(const struct rebuild *rebuild, const char *noun, bool open_only)
{
    size_t count = 0;
    STANCH_AUTO_FREE json_t **found = stanch_alloc((json_object_size(rebuild->docs) + 1) * sizeof(json_t *));
    const char *key;
    json_t *item, *list = json_array();
    json_object_foreach(rebuild->docs, key, item)
    {
        bool wanted = strcmp(stanch_json_str(item, "noun", ""), noun) == 0;
        if (wanted && (!open_only || stanch_json_bool(item, "open", true)))
            found[count++] = json_object_get(item, "doc");
    }
    qsort(found, count, sizeof(json_t *), compare_seq);
    for (size_t i = 0; i < count; i++)
        json_array_append(list, found[i]);
    return list;
}

int stanch_timeline_salvage(const char *store_dir, const char *noun, int open_only, json_t **ret, char ret_lost[200],
                            struct stanch_err *err)
{
    struct stanch_err why = {0};
    struct rebuild rebuild = {.err = &why, .docs = json_object()};
    int rc = stanch_store_sqlite_open(store_dir, 0, 1, &rebuild.store, err);
    ret_lost[0] = 0;
    if (rc == 0) {
        int64_t skipped = fold_what_is_left(&rebuild);
        if (skipped)
            (void)snprintf(ret_lost, 200, "up to %" PRId64 " entries could not be read (%.100s)", skipped, why.text);
        *ret = pick(&rebuild, noun, open_only);
        stanch_store_close(rebuild.store);
    }
    json_decref(rebuild.docs);
    return rc;
}
