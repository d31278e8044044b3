/* journal_commit.c: the two threads behind the journal, and what comes back to the loop.
 *
 *   queue --(commit thread: one transaction for all that waits)--> done --(posted)--> on_committed, followers
 *
 * The commit thread sees only the `write` of a batch. A store that commits inline has no threads: the same steps
 * run deferred on the loop. */
#include "timeline/journal_inside.h"
#include "base/crash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include "timeline/merge.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define GROUP_MAX_BATCHES   1000
#define GROUP_MAX_BYTES     (4 * 1024 * 1024)
#define LOCKED_RETRY_MS     50
#define LOCKED_STOP_TRIES   2 /* while stopping: then what waits is given up, as by a kill */
#define REFILL_EVERY_MS     1000
#define CHECKPOINT_QUIET_MS 1000

struct group {
    struct stanch_batch *first, **last;
    size_t count, bytes;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void wait_ms(struct stanch_journal *journal, pthread_cond_t *cond, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(cond, &journal->lock, &until);
}

int64_t stanch_journal__oldest_ms(const struct stanch_journal *journal)
{
    const struct stanch_batch *oldest = journal->committing ? journal->committing : journal->queue;
    return oldest ? (now_us() - oldest->queued_us) / 1000 : 0;
}

/* Take what waits from the head of the queue. Lock held. */
static struct group take_group(struct stanch_journal *journal)
{
    struct group group = {.first = journal->queue};
    group.last = &group.first;
    while (*group.last && group.count < GROUP_MAX_BATCHES && group.bytes < GROUP_MAX_BYTES) {
        group.count++;
        group.bytes += (*group.last)->bytes;
        group.last = &(*group.last)->next;
    }
    journal->queue = *group.last;
    *group.last = NULL;
    if (!journal->queue)
        journal->queue_last = &journal->queue;
    journal->committing = group.first;
    return group;
}

static int commit_writes(struct stanch_journal *journal, const struct group *group, struct stanch_err *err)
{
    STANCH_AUTO_FREE const struct stanch_write **writes = stanch_alloc((group->count + 1) * sizeof(void *));
    size_t count = 0;
    for (const struct stanch_batch *batch = group->first; batch; batch = batch->next)
        if (batch->count || batch->blob_count || batch->write.counter_count)
            writes[count++] = &batch->write;
    if (count == 0)
        return 0; /* only barriers */
    struct stanch_write merged;
    stanch_write__merge(writes, count, &merged);
    stanch_crash_point("journal.before-commit");
    int rc = journal->store->ops->commit(journal->store, &merged, err);
    stanch_write__done(&merged);
    if (rc == 0)
        stanch_crash_point("journal.after-commit");
    return rc;
}

static void say(struct stanch_journal *journal, bool *flag, bool value, const char *why)
{
    pthread_mutex_lock(&journal->lock);
    bool changed = *flag != value;
    *flag = value;
    if (value)
        (void)snprintf(journal->why, sizeof journal->why, "%s", why);
    pthread_mutex_unlock(&journal->lock);
    if (changed)
        stanch_log(value ? STANCH_LOG_ERROR : STANCH_LOG_INFO, "timeline", "%s",
                   value ? why : "the store takes entries again");
}

/* Locked by another process: nothing was written; wait and do it again. */
static int commit_when_unlocked(struct stanch_journal *journal, const struct group *group, struct stanch_err *err)
{
    for (int tries = 0;; tries++) {
        int rc = commit_writes(journal, group, err);
        if (rc != STANCH_E_BUSY) {
            say(journal, &journal->is_locked, false, "");
            return rc;
        }
        say(journal, &journal->is_locked, true, err->text);
        pthread_mutex_lock(&journal->lock);
        bool gives_up = journal->is_stopping && tries >= LOCKED_STOP_TRIES;
        if (!gives_up)
            wait_ms(journal, &journal->wake, LOCKED_RETRY_MS);
        pthread_mutex_unlock(&journal->lock);
        if (gives_up)
            return rc;
    }
}

static int commit_group(struct stanch_journal *journal, const struct group *group, struct stanch_err *err)
{
    int rc = commit_when_unlocked(journal, group, err);
    if (rc != STANCH_E_FULL || !journal->store->ops->use_reserve(journal->store))
        return rc;
    say(journal, &journal->is_full, true, err->text);
    journal->refill_at_ms = stanch_mono_now_ms() + REFILL_EVERY_MS;
    return commit_when_unlocked(journal, group, err);
}

static void try_refill(struct stanch_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool due = journal->is_full && stanch_mono_now_ms() >= journal->refill_at_ms;
    pthread_mutex_unlock(&journal->lock);
    if (!due)
        return;
    journal->refill_at_ms = stanch_mono_now_ms() + REFILL_EVERY_MS;
    if (journal->store->ops->refill_reserve(journal->store))
        say(journal, &journal->is_full, false, "");
}

static void end_process(struct stanch_journal *journal, const struct stanch_err *err)
{
    (void)journal;
    stanch_log(STANCH_LOG_ERROR, "timeline",
               "the store failed, what is on disk is unknown; ending, a restart reads what is there: %s", err->text);
    _exit(STANCH_EXIT_STORE);
}

void stanch_journal__on_failed(struct stanch_journal *journal,
                               void (*fn)(struct stanch_journal *journal, const struct stanch_err *err))
{
    pthread_mutex_lock(&journal->lock);
    journal->on_failed = fn;
    pthread_mutex_unlock(&journal->lock);
}

/* The journal is dead; on_failed, or the end of the process. */
static void die(struct stanch_journal *journal, const struct stanch_err *err)
{
    if (err->code != STANCH_E_BUSY && err->code != STANCH_E_FULL) /* with these it is known: nothing was written */
        journal->store->ops->suspect(journal->store);
    pthread_mutex_lock(&journal->lock);
    journal->is_dead = true;
    journal->committing = NULL;
    (void)snprintf(journal->why, sizeof journal->why, "%s", err->text);
    void (*on_failed)(struct stanch_journal *, const struct stanch_err *) = journal->on_failed;
    pthread_mutex_unlock(&journal->lock);
    (on_failed ? on_failed : end_process)(journal, err);
}

int stanch_journal__unreadable(struct stanch_journal *journal, int rc, const struct stanch_err *err)
{
    struct stanch_err unsaid = {0};
    if (journal->store->read_only)
        return rc; /* nothing is decided here */
    if (!err) {
        stanch_err_set(&unsaid, rc, "a read failed");
        err = &unsaid;
    }
    if (rc != STANCH_E_CORRUPT) {
        die(journal, err);
        return rc;
    }
    stanch_journal_call_damaged(journal, err->text);
    return rc;
}

void stanch_journal_call_damaged(struct stanch_journal *journal, const char *what)
{
    char why[400];
    (void)snprintf(why, sizeof why,
                   "the store is damaged, so nothing is recorded and no action starts (what is in it can still be read "
                   "and exported): %s",
                   what);
    say(journal, &journal->is_damaged, true, why);
}

static void fail(struct stanch_journal *journal, struct group *group, const struct stanch_err *err)
{
    die(journal, err);
    pthread_mutex_lock(&journal->lock); /* back into the queue: freed when the journal closes */
    *group->last = journal->queue;
    if (!journal->queue)
        journal->queue_last = group->last;
    journal->queue = group->first;
    pthread_mutex_unlock(&journal->lock);
}

static int64_t count_entries(const struct group *group)
{
    int64_t count = 0;
    for (const struct stanch_batch *batch = group->first; batch; batch = batch->next)
        count += (int64_t)batch->count;
    return count;
}

static void on_done(void *ctx);

static void hand_back(struct stanch_journal *journal, struct group *group, int64_t took_us)
{
    pthread_mutex_lock(&journal->lock);
    int64_t entries = count_entries(group);
    journal->commits += (int64_t)group->count;
    journal->syncs += entries > 0;
    journal->entries += entries;
    journal->durations_us[journal->duration_count++ % DURATIONS] = took_us;
    journal->queued -= group->count;
    journal->queued_bytes -= group->bytes;
    journal->committing = NULL;
    *journal->done_last = group->first;
    journal->done_last = group->last;
    bool post = !journal->is_posted && journal->has_threads;
    journal->is_posted = true;
    if (!journal->is_uncheckpointed)
        pthread_cond_signal(&journal->checkpoint_wake);
    journal->is_uncheckpointed = true;
    pthread_mutex_unlock(&journal->lock);
    if (post)
        stanch_loop_post(journal->loop, on_done, journal);
}

/* Commit what waits; false when there is nothing, or nothing can be committed any more. */
static bool commit_some(struct stanch_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool can = journal->queue && !journal->is_dead;
    struct group group = {0};
    if (can)
        group = take_group(journal);
    pthread_mutex_unlock(&journal->lock);
    if (!can)
        return false;
    struct stanch_err err = {0};
    int64_t begin = now_us();
    if (commit_group(journal, &group, &err) < 0 && !stanch_is_sabotaged("ack-on-failed-commit")) {
        fail(journal, &group, &err);
        return false;
    }
    hand_back(journal, &group, now_us() - begin);
    if (journal->store->ops->maintain(journal->store)) {
        pthread_mutex_lock(&journal->lock);
        journal->checkpoint_due = true;
        pthread_cond_signal(&journal->checkpoint_wake);
        pthread_mutex_unlock(&journal->lock);
    }
    return true;
}

static void *run_commits(void *ctx)
{
    struct stanch_journal *journal = ctx;
    for (;;) {
        while (commit_some(journal))
            try_refill(journal);
        try_refill(journal);
        pthread_mutex_lock(&journal->lock);
        bool ends = journal->is_stopping && (!journal->queue || journal->is_dead);
        if (!ends && (!journal->queue || journal->is_dead)) {
            if (journal->is_full)
                wait_ms(journal, &journal->wake, REFILL_EVERY_MS);
            else
                pthread_cond_wait(&journal->wake, &journal->lock);
        }
        pthread_mutex_unlock(&journal->lock);
        if (ends)
            return NULL;
    }
}

/* Wait until the log is long, or until there is something in it and nothing was committed for a while. Lock held. */
static void wait_for_checkpoint(struct stanch_journal *journal)
{
    while (!journal->is_stopping && !journal->checkpoint_due) {
        int64_t commits = journal->commits;
        if (!journal->is_uncheckpointed)
            pthread_cond_wait(&journal->checkpoint_wake, &journal->lock);
        else
            wait_ms(journal, &journal->checkpoint_wake, CHECKPOINT_QUIET_MS);
        if (journal->is_uncheckpointed && journal->commits == commits)
            return;
    }
}

/* Off the commit path: copies the log into the database while commits go on. Pages that are written again and again
 * are copied once, so it waits until the log is long. */
static void *run_checkpoints(void *ctx)
{
    struct stanch_journal *journal = ctx;
    pthread_mutex_lock(&journal->lock);
    while (!journal->is_stopping) {
        wait_for_checkpoint(journal);
        if (journal->is_stopping)
            break;
        journal->checkpoint_due = false;
        journal->is_uncheckpointed = false;
        pthread_mutex_unlock(&journal->lock);
        stanch_crash_point("journal.before-checkpoint");
        journal->store->ops->checkpoint(journal->store);
        pthread_mutex_lock(&journal->lock);
    }
    pthread_mutex_unlock(&journal->lock);
    return NULL;
}

static void tell_followers(struct stanch_journal *journal, const struct stanch_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        for (struct stanch_follower *follower = journal->followers; follower; follower = follower->next)
            if (!follower->is_gone)
                follower->fn(follower->ctx, &batch->entries[i]);
}

/* What is committed needs no copy in memory, unless a later batch changed it again. */
static void drop_overlay(struct stanch_journal *journal, const struct stanch_batch *batch)
{
    if (batch->number > journal->told_number) /* a barrier has no number */
        journal->told_number = batch->number;
    const char *key;
    json_t *item;
    json_object_foreach(batch->folded, key, item) if (json_object_get(journal->overlay, key) == item)
        json_object_del(journal->overlay, key);
}

static void sweep_followers(struct stanch_journal *journal)
{
    struct stanch_follower **link = &journal->followers;
    while (*link) {
        struct stanch_follower *follower = *link;
        if (!follower->is_gone) {
            link = &follower->next;
            continue;
        }
        *link = follower->next;
        free(follower);
    }
}

static void deliver(struct stanch_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    struct stanch_batch *batch = journal->done;
    journal->done = NULL;
    journal->done_last = &journal->done;
    journal->is_posted = false;
    pthread_mutex_unlock(&journal->lock);
    journal->delivering++;
    for (struct stanch_batch *next; batch; batch = next) {
        next = batch->next;
        if (batch->folded)
            drop_overlay(journal, batch);
        if (batch->on_committed)
            batch->on_committed(batch->ctx);
        tell_followers(journal, batch);
        stanch_batch_free(batch);
    }
    if (--journal->delivering == 0)
        sweep_followers(journal);
}

static void on_done(void *ctx)
{
    deliver(ctx);
}

static void on_inline(void *ctx)
{
    struct stanch_journal *journal = ctx;
    journal->inline_due = false;
    while (commit_some(journal))
        ;
    try_refill(journal);
    deliver(journal);
}

void stanch_journal__enqueue(struct stanch_journal *journal, struct stanch_batch *batch)
{
    batch->queued_us = now_us();
    pthread_mutex_lock(&journal->lock);
    *journal->queue_last = batch;
    journal->queue_last = &batch->next;
    journal->queued++;
    journal->queued_bytes += batch->bytes;
    pthread_cond_signal(&journal->wake);
    pthread_mutex_unlock(&journal->lock);
    if (journal->has_threads || journal->inline_due)
        return;
    journal->inline_due = true;
    stanch_loop_defer(journal->loop, on_inline, journal);
}

void stanch_journal__start(struct stanch_journal *journal)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->wake, &attr);
    pthread_cond_init(&journal->checkpoint_wake, &attr);
    pthread_condattr_destroy(&attr);
    journal->queue_last = &journal->queue;
    journal->done_last = &journal->done;
    if (journal->store->ops->commits_inline || journal->store->read_only)
        return;
    if (!journal->store->ops->refill_reserve(journal->store))
        say(journal, &journal->is_full, true,
            "there is no room on the disk for the store's reserve; free some space there: until then only outcomes are "
            "recorded and nothing new starts");
    journal->has_threads = true;
    if (pthread_create(&journal->commit_thread, NULL, run_commits, journal) != 0 ||
        pthread_create(&journal->checkpoint_thread, NULL, run_checkpoints, journal) != 0) {
        stanch_log(STANCH_LOG_ERROR, "timeline", "the journal's threads do not start: %s", strerror(errno));
        _exit(STANCH_EXIT_STORE);
    }
}

void stanch_journal__stop(struct stanch_journal *journal)
{
    if (journal->has_threads) {
        pthread_mutex_lock(&journal->lock);
        journal->is_stopping = true;
        pthread_cond_broadcast(&journal->wake);
        pthread_cond_broadcast(&journal->checkpoint_wake);
        pthread_mutex_unlock(&journal->lock);
        pthread_join(journal->commit_thread, NULL);
        pthread_join(journal->checkpoint_thread, NULL);
    }
    journal->is_closing = true;
    while (commit_some(journal)) /* barriers of a store without threads */
        ;
    stanch_loop_forget(journal->loop, on_done, journal);
    stanch_loop_forget(journal->loop, on_inline, journal);
    deliver(journal);
    while (journal->queue) {
        struct stanch_batch *batch = journal->queue;
        journal->queue = batch->next;
        stanch_batch_free(batch);
    }
    pthread_cond_destroy(&journal->wake);
    pthread_cond_destroy(&journal->checkpoint_wake);
    pthread_mutex_destroy(&journal->lock);
}
