/* store_ops.h: what every kind of store does; inside timeline/ only.
 * Callers  journal*.c, verify, export, rebuild.   Implementations  store_sqlite*.c, store_memory.c.
 * Thread   commit, maintain, use_reserve and refill_reserve: the commit thread (the loop thread when
 *          commits_inline); checkpoint: the checkpoint thread; all others: the loop thread, with a connection of
 *          its own. No function but commit holds anything when it returns.
 */
#ifndef STANCH_TIMELINE_STORE_OPS_H
#define STANCH_TIMELINE_STORE_OPS_H
#include "base/buf.h"
#include "timeline/journal.h"
#include "timeline/store.h"

#define STANCH_CHAIN_ALL "*" /* the chain of all entries in the order of the store; n is seq, the hash is the link */

/* One row of the table of entries. All members are borrowed. */
struct stanch_row {
    int64_t seq, n, at_ms;
    const char *chain, *kind, *by, *run;
    const char *data; /* canonical text */
    size_t data_len;
    const char *prev, *hash;
    const char *link; /* SHA-256 over the link before, seq and hash: the order of the store is chained too */
};
struct stanch_doc_row {
    const char *noun, *id, *chain;
    int open;
    int64_t seq;
    int64_t due_ms;   /* stanch_fold_due */
    const char *text; /* canonical text */
    size_t len;
};
struct stanch_blob_row {
    const char *id;
    const void *bytes;
    size_t len;
};
struct stanch_counter_row {
    const char *prefix;
    int64_t value;
};
/* A chain's head must be (from_n, from_hash) and becomes (n, hash): compare and set. */
struct stanch_head_row {
    const char *chain;
    int64_t from_n, n;
    const char *from_hash, *hash;
};

/* What one batch writes, or many (merge.h). */
struct stanch_write {
    const struct stanch_row *rows;
    const struct stanch_doc_row *docs;
    const struct stanch_blob_row *blobs;
    const struct stanch_counter_row *counters;
    const struct stanch_head_row *heads;
    size_t row_count, doc_count, blob_count, counter_count, head_count;
    bool replaces_docs; /* all stored documents go first (rebuild) */
};

struct stanch_store_ops {
    bool commits_inline; /* commit is quick and is called on the loop thread, deferred: no thread is started */

    /** All of it in one transaction, durable on return.
     *  returns 0 | STANCH_E_BUSY locked by another process, nothing was written | STANCH_E_FULL no space, nothing
     *  was written | STANCH_E_CORRUPT | STANCH_E_STORE: what is on disk is unknown */
    int (*commit)(struct stanch_store *store, const struct stanch_write *write, struct stanch_err *err);
    /** After a commit: what keeps the files small. Returns true when the log is long enough for a checkpoint. */
    bool (*maintain)(struct stanch_store *store);
    /** Give the reserved space back to the file system; false when there was none. */
    bool (*use_reserve)(struct stanch_store *store);
    /** Reserve again; true when the reserve is whole, or none is wanted. */
    bool (*refill_reserve)(struct stanch_store *store);
    /** Called before the process ends because the store failed: the next open must check all. Any thread. */
    void (*suspect)(struct stanch_store *store);
    /** Copy what is committed out of the write-ahead log. */
    void (*checkpoint)(struct stanch_store *store);

    /* Committed state. ret_: new. */
    int (*head)(struct stanch_store *store, const char *chain, int64_t *ret_n, char ret_hash[65],
                struct stanch_err *err); /* 0 and zeros when there is none */
    int (*heads)(struct stanch_store *store, json_t **ret, struct stanch_err *err);
    int (*counter)(struct stanch_store *store, const char *prefix, int64_t *ret_value, struct stanch_err *err);
    int (*doc)(struct stanch_store *store, const char *noun, const char *id, json_t **ret, struct stanch_err *err);
    int (*list)(struct stanch_store *store, const struct stanch_noun_query *query, json_t **ret,
                struct stanch_err *err);
    /** How many documents of a noun are open. */
    int (*count)(struct stanch_store *store, const char *noun, int64_t *ret, struct stanch_err *err);
    int (*due)(struct stanch_store *store, const struct stanch_due_query *query, json_t **ret, struct stanch_err *err);
    int (*rows)(struct stanch_store *store, const struct stanch_entry_query *query,
                int (*each)(void *ctx, const struct stanch_row *row), void *ctx, struct stanch_err *err);
    int (*blob)(struct stanch_store *store, const char *id, struct stanch_buf *ret, struct stanch_err *err);
    int64_t (*wal_bytes)(struct stanch_store *store);
    void (*close)(struct stanch_store *store);
};

/* What every store begins with. */
struct stanch_store {
    const struct stanch_store_ops *ops;
    int64_t epoch;
    bool read_only;
};

void stanch_store_close(struct stanch_store *store);
/** The link of an entry: SHA-256 of "stanch.link 1 SEQ PREV HASH". ret: 65 bytes */
void stanch_store_link(int64_t seq, const char *prev_link, const char *hash, char ret[65]);
/** Is the kind a headline? Unknown kinds are. */
bool stanch_store_is_headline(const char *kind);
/** Parse a row's data. returns 0 | STANCH_E_CORRUPT */
int stanch_store_parse(const char *text, size_t len, json_t **ret, struct stanch_err *err);
/** Fill an entry from a row; data is parsed (new), all else is borrowed from the row. returns 0 | STANCH_E_CORRUPT */
int stanch_store_entry(const struct stanch_row *row, struct stanch_entry *ret, struct stanch_err *err);

#endif
