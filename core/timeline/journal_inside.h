/* journal_inside.h: what the files of the journal share. See journal.h for the picture. */
#ifndef STANCH_TIMELINE_JOURNAL_INSIDE_H
#define STANCH_TIMELINE_JOURNAL_INSIDE_H
#include "timeline/store_ops.h"
#include <pthread.h>

#define QUEUE_MAX_BATCHES 10000
#define QUEUE_MAX_BYTES   (8 * 1024 * 1024) /* well below the reserve: what waits must fit there */
#define DURATIONS         512
#define HEADS_MAX         2048 /* chains in one generation */
#define RECENT_MAX        256  /* documents in one generation */
#define ABSENT_MAX        1000

struct stanch_batch {
    struct stanch_batch *next;
    struct stanch_entry *entries; /* texts are owned */
    size_t count, cap;
    struct stanch_blob_row *blobs; /* id and bytes are owned */
    size_t blob_count;
    void (*on_committed)(void *ctx);
    void *ctx;

    /* from append on */
    int64_t number;            /* batches are numbered in order of append */
    struct stanch_write write; /* what the commit thread sees; it touches nothing else */
    struct stanch_row *rows;
    struct stanch_doc_row *docs;
    struct stanch_counter_row *counters;
    struct stanch_head_row *heads;
    size_t head_count;
    json_t *folded; /* "noun\x1fid" -> {"chain","open","doc"}: the documents that it changes */
    size_t bytes;
    bool is_outcome;
    int64_t queued_us; /* monotonic */
};

struct stanch_follower {
    struct stanch_follower *next;
    void (*fn)(void *ctx, const struct stanch_entry *entry);
    void *ctx;
    bool is_gone;
};

struct stanch_journal {
    struct stanch_loop *loop;
    struct stanch_store *store;

    /* loop thread */
    /* chain -> {"n","hash","batch"}, as appended: those that changed last, in two generations, and all that are not
     * committed; the others are in the store */
    json_t *heads, *heads_before;
    int64_t told_number; /* of the last batch that is told as committed */
    json_t *overlay;     /* as stanch_batch.folded: what is appended and not yet committed */
    /* As the overlay, of batches that may be committed: what was changed last is read next. Two generations, so that
     * it stays small: a full `recent` becomes `recent_before`. */
    json_t *recent, *recent_before;
    /* What the store is known not to have, so that it is not asked: keys as in the overlay, and ids that were given
     * out and not used yet. Nobody else writes to it. */
    json_t *absent, *fresh;
    json_t *counters; /* prefix -> value */
    json_t *dirty;    /* prefix -> value: not yet in a batch */
    int64_t next_number;
    struct stanch_follower *followers;
    int delivering;
    bool is_closing, inline_due;

    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct stanch_batch *queue, **queue_last;
    size_t queued, queued_bytes;
    struct stanch_batch *committing; /* what the commit thread has taken; it only reads it */
    struct stanch_batch *done, **done_last;
    bool is_posted, is_stopping;
    bool is_dead, is_damaged, is_full, is_locked;
    char why[400]; /* why it is dead, damaged, full or locked */
    int64_t commits, syncs, entries;
    int64_t durations_us[DURATIONS];
    size_t duration_count;

    /* commit thread */
    int64_t refill_at_ms;

    bool has_threads;
    pthread_t commit_thread, checkpoint_thread;
    pthread_cond_t checkpoint_wake;
    bool checkpoint_due;    /* the log is long */
    bool is_uncheckpointed; /* something was committed since the last one */
    void (*on_failed)(struct stanch_journal *journal, const struct stanch_err *err); /* see stanch_journal__on_failed */
};

/** Replace what happens when a commit fails (default: log it, end the process with STANCH_EXIT_STORE). Called on the
 *  commit thread; when it returns, the journal is dead: nothing is committed any more. For tests. */
void stanch_journal__on_failed(struct stanch_journal *journal,
                               void (*fn)(struct stanch_journal *journal, const struct stanch_err *err));
/** The document as appended (overlay, then store). ret: new. returns 0 | STANCH_E_NOT_FOUND | ... */
int stanch_journal__doc(struct stanch_journal *journal, const struct stanch_batch *batch, const char *noun,
                        const char *id, json_t **ret, struct stanch_err *err);

/* journal_commit.c */
void stanch_journal__start(struct stanch_journal *journal);
void stanch_journal__stop(struct stanch_journal *journal);
/** What decides reads the store, and nothing may be decided on what could not be read: an error of reading ends the
 *  process as one of committing does; a damaged store takes nothing more, and what is in it can still be read.
 *  Returns rc, an error but NOT_FOUND. Does not return unless the store is damaged or on_failed is replaced. */
int stanch_journal__unreadable(struct stanch_journal *journal, int rc, const struct stanch_err *err);
/** How long the oldest batch waits for its commit. Lock held. */
int64_t stanch_journal__oldest_ms(const struct stanch_journal *journal);
/** Put a sealed batch into the queue. batch: taken. */
void stanch_journal__enqueue(struct stanch_journal *journal, struct stanch_batch *batch);

#endif
