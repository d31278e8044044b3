/* journal.h: append, commit, read, follow. The one way into the store (PROMISES.md 1.0, 1.8, 1.9).
 *
 *   append(batch) --> folded in memory, chain heads advance --> queue --> commit thread: one transaction for
 *   all that waits --> loop thread: on_committed of each batch in order, then followers, entry by entry
 *
 * What is appended is visible at once to STANCH_VIEW_APPENDED (the engine decides on it); the doors read
 * STANCH_VIEW_COMMITTED. Nothing leaves the process before the on_committed of its batch.
 * A commit that fails, or a store that cannot be read where something is decided, ends the process with
 * STANCH_EXIT_STORE (what is on disk is then unknown: restart, read again); a full disk is retried once after releasing
 * the reserve. A damaged store is not repaired: it takes nothing more, and is still read.
 * Thread: loop thread for every function here. Only this folder includes sqlite3.h.
 */
#ifndef STANCH_TIMELINE_JOURNAL_H
#define STANCH_TIMELINE_JOURNAL_H
#include "base/buf.h"
#include "base/loop.h"
#include "model/entry.h"

#define STANCH_EXIT_STORE 74 /* the journal could not commit; restart reads what is really there */

struct stanch_journal;
struct stanch_store; /* store.h: SQLite, or memory */

enum stanch_view { STANCH_VIEW_APPENDED, STANCH_VIEW_COMMITTED };

/** Open on a store. store: taken, also on error. Reads chain heads and counters. ret: new.
 *  returns 0 | STANCH_E_CORRUPT | STANCH_E_STORE */
int stanch_journal_open(struct stanch_loop *loop, struct stanch_store *store, struct stanch_journal **ret,
                        struct stanch_err *err);
/** Commit all that waits, call what is due, stop the threads, close the store. Accepts NULL. */
void stanch_journal_close(struct stanch_journal *journal);

/* A batch: entries, blobs, all or nothing. */
struct stanch_batch;
struct stanch_batch *stanch_batch_new(void);
/** For a batch that is not appended. Accepts NULL. */
void stanch_batch_free(struct stanch_batch *batch);
/** chain, kind, by, run: copied; run may be NULL. data: taken, an object. */
void stanch_batch_add(struct stanch_batch *batch, const char *chain, const char *kind, const char *by, const char *run,
                      json_t *data);
/** Keep bytes under their SHA-256 (hex); the same bytes twice cost one row. copied. */
void stanch_batch_blob(struct stanch_batch *batch, const char id_hex[65], const void *bytes, size_t len);

/** Append. batch: taken, also on error. on_committed: may be NULL; called exactly once, later, in order of
 *  append; never if the result is not 0. It may append, but not close the journal.
 *  returns 0 | STANCH_E_BUSY the queue is full (half of it, for events), or another process holds the store locked | STANCH_E_FULL the disk
 *  is full and only batches of outcomes are taken (kinds `*.answered`, and what else tells of something that has
 *  happened already: see standing_of in journal_append.c) | STANCH_E_STORE read only, or damaged | STANCH_E_CORRUPT
 *  damage was found just now | STANCH_E_INVALID an entry
 *  that has no canonical form, does not name its noun, or is of a kind that is not in kind.def; then nothing is
 *  appended. */
int stanch_journal_append(struct stanch_journal *journal, struct stanch_batch *batch, void (*on_committed)(void *ctx),
                          void *ctx, struct stanch_err *err);

/** Would an append be taken now? outcomes: of a batch that tells of what has happened already.
 *  returns 0 | what append would return: STANCH_E_FULL, _BUSY, _STORE */
int stanch_journal_takes(struct stanch_journal *journal, bool outcomes, struct stanch_err *err);
/** The same for a batch that begins with event.received. Events may fill half of the queue: the rest is for what runs
 *  have to say, so that accepting does not stop acting. */
int stanch_journal_takes_events(struct stanch_journal *journal, struct stanch_err *err);

/** The store is known to be damaged (it was opened for reading only because of that): say so to whoever appends or asks
 *  for health. what: copied. */
void stanch_journal_call_damaged(struct stanch_journal *journal, const char *what);

/** Call `fn` on the loop thread once everything appended before is committed. */
void stanch_journal_barrier(struct stanch_journal *journal, void (*fn)(void *ctx), void *ctx);

/** Let go of what is only cached of the store. */
void stanch_journal_forget(struct stanch_journal *journal);

/** The next id of a prefix: "INC" -> "INC-8". Never used twice, also when the batch fails (gaps are fine);
 *  durable with the batch that uses it. ret: 32 bytes */
void stanch_journal_next_id(struct stanch_journal *journal, const char *prefix, char ret[32]);

/** The document of a noun, as committed. What can't be read is an error, and not "there is none".
 *  ret: new. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_journal_find(struct stanch_journal *journal, const char *noun, const char *id, json_t **ret,
                        struct stanch_err *err);
/** The same for who can do without it: NULL when there is none, or (of what is committed) when it can't be read; then that is
 *  logged. What was appended and can't be read ends the process: the engine decides on it. new. */
json_t *stanch_journal_get(struct stanch_journal *journal, enum stanch_view view, const char *noun, const char *id);
/** As appended, without a copy where it is in memory. shared: only to be read, nothing of it may be changed. */
json_t *stanch_journal_see(struct stanch_journal *journal, const char *noun, const char *id);

struct stanch_noun_query {
    const char *noun;      /* "incident", "run", "step", "approval", "mitigation", "event", ... */
    const char *chain;     /* only of this incident; NULL: all */
    const char *id_prefix; /* only ids that begin so ("R-3/"); NULL: all; steps and keys are listed with one only */
    int open;              /* 1 only open, 0 only ended, -1 both */
    int64_t before_seq;    /* only documents whose "seq" (of creation) is lower: the next page; 0: from the newest */
    int limit;             /* 1..1000 */
};
/** Committed documents, newest first (by the seq of their first entry). ret: new, an array. */
int stanch_journal_list(struct stanch_journal *journal, const struct stanch_noun_query *query, json_t **ret,
                        struct stanch_err *err);
/** The same, all of them, however many: read a page at a time, each given once and in that order.
 *  query  its before_seq says where to begin; its limit is not looked at
 *  each   doc: borrowed. What it returns that is not 0 ends the walk: negative with err set, positive when it has seen enough
 *  returns  0 | what `each` returned | STANCH_E_* of a page that could not be read: nothing of that one was given */
int stanch_journal_each(struct stanch_journal *journal, const struct stanch_noun_query *query,
                        int (*each)(void *ctx, const json_t *doc, struct stanch_err *err), void *ctx,
                        struct stanch_err *err);

/* Documents of a noun that are due (model/fold.h) in (after_ms, until_ms], the earliest first. The next page begins
 * after the last document's time and seq. */
struct stanch_due_query {
    const char *noun;
    int64_t after_ms, until_ms;
    int64_t after_seq; /* of those due at after_ms itself: what has a later seq; 0: none of them */
    int limit;
};
/** Committed documents: so what waits is found without being kept in memory. ret: new, an array. */
int stanch_journal_due(struct stanch_journal *journal, const struct stanch_due_query *query, json_t **ret,
                       struct stanch_err *err);

/** How many documents of a noun are open, committed; -1: it cannot be read, and was said. */
int64_t stanch_journal_count(struct stanch_journal *journal, const char *noun);

struct stanch_entry_query {
    const char *chain;       /* NULL: all chains, in the order of the store */
    const char *run;         /* NULL: all */
    const char *kind_prefix; /* only of kinds that begin so ("stop."); NULL: all */
    int64_t after_seq;       /* only later ones */
    int64_t until_seq;       /* and none behind this one; 0: to the end */
    int headlines_only;
    int limit; /* 1..1000: page long reads, a held snapshot stops checkpoints */
};
/** Committed entries in order of seq. `each` gets a borrowed entry; returning non-zero stops.
 *  returns 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_journal_entries(struct stanch_journal *journal, const struct stanch_entry_query *query,
                           int (*each)(void *ctx, const struct stanch_entry *entry), void *ctx, struct stanch_err *err);

/** Bytes kept under an id, committed or waiting. ret: appended to. returns 0 | STANCH_E_NOT_FOUND | _STORE */
int stanch_journal_blob(struct stanch_journal *journal, const char *id_hex, struct stanch_buf *ret,
                        struct stanch_err *err);

/** Tell `fn` every entry once it is committed, in order. What is read as committed may be ahead of what was told:
 *  whoever reads first and then follows compares seq. Returns a handle for unfollow. entry: borrowed. */
struct stanch_follower;
struct stanch_follower *stanch_journal_follow(struct stanch_journal *journal,
                                              void (*fn)(void *ctx, const struct stanch_entry *entry), void *ctx);
void stanch_journal_unfollow(struct stanch_journal *journal, struct stanch_follower *follower);

/** What readiness and metrics show: {"queued","oldest_ms","queued_bytes","commits","syncs","entries","wal_bytes",
 *  "commit_p50_us","commit_p99_us","read_only":bool,"full":bool,"locked":bool,"why":text|null}. new. */
json_t *stanch_journal_health(struct stanch_journal *journal);

/** Head of every chain, committed: [{"chain","n","hash"}], for checkpoints; chain "*" is the order of the whole
 *  store (n is the last seq). new. */
json_t *stanch_journal_heads(struct stanch_journal *journal);

#endif
