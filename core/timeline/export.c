/* export.c: entries as JSON lines, and the signed heads behind them. Read in pages: no snapshot is held while a slow
 * reader takes the lines. The checkpoint is of exactly the lines that were written. */
#include "timeline/sign.h"
#include "timeline/store_sqlite.h"
#include "timeline/verify.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define PAGE 500

struct export
{
    FILE *out;
    json_t *heads; /* chain -> {"chain","n","hash"} of what is written */
    crypto_hash_sha256_state digest;
    int64_t until_seq, after_seq, entries;
    int count;
    bool ends;
    char link[65];
    struct stanch_err *err;
    int rc;
};

static void keep_head(json_t *heads, const char *chain, int64_t n, const char *hash)
{
    json_t *head = json_object();
    json_object_set_new(head, "chain", json_string(chain));
    json_object_set_new(head, "n", json_integer(n));
    json_object_set_new(head, "hash", json_string(hash));
    json_object_set_new(heads, chain, head);
}

static int write_line(struct export *export, const json_t *value, bool is_digested)
{
    STANCH_AUTO_BUF struct stanch_buf line = {0};
    int rc = stanch_json_canonical(value, &line, export->err);
    if (rc < 0)
        return rc;
    stanch_buf_char(&line, '\n');
    if (is_digested)
        crypto_hash_sha256_update(&export->digest, (const unsigned char *)line.data, line.len);
    if (fwrite(line.data, 1, line.len, export->out) != line.len)
        return stanch_err_errno(export->err, STANCH_E_SYSTEM, errno, "the export cannot be written");
    return 0;
}

static int on_row(void *ctx, const struct stanch_row *row)
{
    struct export *export = ctx;
    struct stanch_entry entry;
    if (row->seq > export->until_seq) {
        export->ends = true;
        return 1;
    }
    export->rc = stanch_store_entry(row, &entry, export->err);
    if (export->rc < 0)
        return 1;
    STANCH_AUTO_JSON json_t *value = stanch_entry_json(&entry);
    json_decref(entry.data);
    export->rc = write_line(export, value, true);
    export->count++;
    export->entries++;
    export->after_seq = row->seq;
    keep_head(export->heads, row->chain, row->n, row->hash);
    (void)snprintf(export->link, sizeof export->link, "%s", row->link);
    return export->rc < 0;
}

static int write_entries(struct stanch_store *store, const char *chain, struct export *export)
{
    do {
        export->count = 0;
        struct stanch_entry_query query = {.chain = chain, .after_seq = export->after_seq, .limit = PAGE};
        int rc = store->ops->rows(store, &query, on_row, export, export->err);
        if (rc < 0 || export->rc < 0)
            return rc < 0 ? rc : export->rc;
    } while (export->count == PAGE && !export->ends);
    return 0;
}

static int write_checkpoint(struct stanch_store *store, const char *dir, const char *chain, struct export *export)
{
    unsigned char raw[32];
    char digest[65], at[32];
    crypto_hash_sha256_final(&export->digest, raw);
    stanch_hex(raw, sizeof raw, digest);
    int64_t now_ms = stanch_wall_now_ms();
    stanch_time_text(now_ms, at);
    if (!chain && export->entries)
        keep_head(export->heads, STANCH_CHAIN_ALL, export->after_seq, export->link);
    STANCH_AUTO_FREE char *id = NULL;
    int rc = stanch_sqlite__meta(stanch_sqlite__of(store)->reader, "store", &id, export->err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *checkpoint = json_object();
    json_object_set_new(checkpoint, "at", json_string(at));
    json_object_set_new(checkpoint, "store", json_string(id ? id : ""));
    json_object_set_new(checkpoint, "entries", json_integer(export->entries));
    json_object_set_new(checkpoint, "digest", json_string(digest));
    stanch_json_set_str(checkpoint, "chain", chain);
    json_t *heads = json_array(), *head;
    const char *name;
    json_object_foreach(export->heads, name, head) json_array_append(heads, head);
    json_object_set_new(checkpoint, "heads", heads);
    STANCH_AUTO_JSON json_t *signed_checkpoint = NULL;
    rc = stanch_sign_checkpoint(dir, checkpoint, &signed_checkpoint, export->err);
    return rc < 0 ? rc : write_line(export, signed_checkpoint, false);
}

int stanch_timeline_export(const char *store_dir, const char *chain, FILE *out, struct stanch_err *err)
{
    struct stanch_store *store;
    int rc = stanch_store_sqlite_open(store_dir, 0, 1, &store, err);
    if (rc < 0)
        return rc;
    struct export export = {.out = out, .err = err, .heads = json_object()};
    crypto_hash_sha256_init(&export.digest);
    char link[65];
    rc = store->ops->head(store, STANCH_CHAIN_ALL, &export.until_seq, link, err);
    if (rc == 0)
        rc = write_entries(store, chain, &export);
    if (rc == 0 && chain && export.entries == 0)
        rc = stanch_err_set(err, STANCH_E_NOT_FOUND, "the timeline has no entry of %s", chain);
    if (rc == 0)
        rc = write_checkpoint(store, store_dir, chain, &export);
    if (rc == 0 && fflush(out) != 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the export cannot be written");
    json_decref(export.heads);
    stanch_store_close(store);
    return rc;
}
