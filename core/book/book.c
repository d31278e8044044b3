/* book.c: core's side of the book process.
 *
 *            poll, sync                     candidate
 *   IDLE ---------------> FETCHING ---------------------> JUDGING --accept, refuse--> IDLE
 *     ^                      | current, fault, process died, deadline
 *     +----------------------+
 *
 * One question is under way at a time, with all that it needs: the process keeps nothing, so a new one goes on where
 * a killed one was. A sync that comes while one is under way waits for the next (the branch may have moved since).
 * What was told last is kept, so that a fault that lasts is told once.
 */
#include "book/book.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "book/names.h"
#include "book/revision.h"
#include "wire/channel.h"
#include <string.h>

#define DEFAULT_DEADLINE_MS 60000
#define FIRST_BACKOFF_MS    1000
#define LAST_BACKOFF_MS     60000

enum state { IDLE, FETCHING, JUDGING };

struct sync {
    struct sync *next;
    void (*on_done)(void *ctx, int rc, const struct stanch_err *err);
    void *ctx;
};

struct stanch_book {
    struct stanch_loop *loop;
    struct stanch_book_events events;
    void *ctx;
    char *exe;
    json_t *question; /* the frame "fetch", kept up to date */
    int64_t poll_ms, deadline_ms, backoff_ms;

    enum state state;
    struct stanch_child *child;
    struct stanch_timer *timer;   /* IDLE: the next poll; FETCHING: the deadline */
    struct stanch_err no_process; /* FETCHING without a child: why */
    struct sync *served, *waiting;
    char *offered;           /* JUDGING */
    struct stanch_err fault; /* told last; code 0: none */
    char *fault_commit;
    int telling; /* inside of callbacks: what they start is begun afterwards */
    bool gone;
};

static void on_timer(void *ctx);
static const struct stanch_child_events child_events;

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const char *known(const struct stanch_book *book, const char *which)
{
    return stanch_json_str(book->question, which, NULL);
}

static void set_known(struct stanch_book *book, const char *which, const char *commit)
{
    json_object_set_new(book->question, which, commit ? json_string(commit) : json_null());
}

static void drop_syncs(struct sync *first)
{
    for (struct sync *next; first; first = next) {
        next = first->next;
        free(first);
    }
}

static void release(struct stanch_book *book)
{
    drop_syncs(book->served);
    drop_syncs(book->waiting);
    json_decref(book->question);
    free(book->exe);
    free(book->offered);
    free(book->fault_commit);
    free(book);
}

/* Asking. */

static int start_process(struct stanch_book *book, struct stanch_err *err)
{
    const char *argv[] = {book->exe, "book", NULL};
    struct stanch_child_spec spec = {.argv = argv};
    return stanch_child_start(book->loop, &spec, &child_events, book, &book->child, err);
}

static void begin_fetch(struct stanch_book *book)
{
    book->state = FETCHING;
    stanch_timer_stop(book->loop, &book->timer);
    book->served = book->waiting;
    book->waiting = NULL;
    struct stanch_err *err = &book->no_process;
    int rc = book->child ? 0 : start_process(book, err);
    if (rc == 0)
        rc = stanch_channel_send(stanch_child_channel(book->child), book->question, NULL, 0, err);
    if (rc < 0) { /* told later, never from inside of the starter */
        stanch_child_free(book->child);
        book->child = NULL;
    }
    book->timer = stanch_timer_start(book->loop, rc < 0 ? 0 : book->deadline_ms, on_timer, book);
}

/* What comes next, when nobody is being told anything any more. */
static void go_on(struct stanch_book *book)
{
    if (book->telling)
        return;
    if (book->gone) {
        release(book);
        return;
    }
    if (book->state != IDLE)
        return;
    int64_t pause_ms = book->backoff_ms ? book->backoff_ms : book->poll_ms;
    if (book->waiting)
        begin_fetch(book);
    else if (!book->timer && pause_ms > 0)
        book->timer = stanch_timer_start(book->loop, pause_ms, on_timer, book);
}

/* Telling. */

static void answer_syncs(struct stanch_book *book, int rc, const struct stanch_err *err)
{
    while (book->served && !book->gone) {
        struct sync *sync = book->served;
        book->served = sync->next;
        sync->on_done(sync->ctx, rc, err);
        free(sync);
    }
}

static void remember_fault(struct stanch_book *book, const char *commit, const struct stanch_err *err)
{
    char *kept = stanch_strdup(commit);
    free(book->fault_commit);
    book->fault_commit = kept;
    book->fault = err ? *err : (struct stanch_err){0};
}

static void end_with_fault(struct stanch_book *book, const char *commit, const struct stanch_err *err)
{
    struct stanch_err why = *err;
    bool is_new = book->fault.code != why.code || !same_text(book->fault_commit, commit) ||
                  strcmp(book->fault.text, why.text) != 0;
    stanch_timer_stop(book->loop, &book->timer);
    book->state = IDLE;
    remember_fault(book, commit, &why);
    book->telling++;
    if (is_new)
        book->events.on_fault(book->ctx, commit, &why);
    answer_syncs(book, why.code, &why);
    book->telling--;
    go_on(book);
}

static void end_as_current(struct stanch_book *book, const char *commit)
{
    if (!same_text(commit, known(book, "accepted"))) { /* the refused one: that is still how things are */
        struct stanch_err why = {STANCH_E_REFUSED, ""};
        stanch_err_set(&why, STANCH_E_REFUSED, "commit %.12s was refused: %s", commit,
                       stanch_json_str(book->question, "why", ""));
        end_with_fault(book, commit, &why);
        return;
    }
    stanch_timer_stop(book->loop, &book->timer);
    book->state = IDLE;
    remember_fault(book, NULL, NULL);
    book->telling++;
    book->events.on_current(book->ctx, commit);
    answer_syncs(book, 0, NULL);
    book->telling--;
    go_on(book);
}

static void end_with_candidate(struct stanch_book *book, const struct stanch_revision *revision)
{
    stanch_timer_stop(book->loop, &book->timer);
    book->state = JUDGING;
    free(book->offered);
    book->offered = stanch_strdup(revision->commit);
    remember_fault(book, NULL, NULL);
    book->telling++;
    book->events.on_candidate(book->ctx, revision);
    answer_syncs(book, 0, NULL);
    book->telling--;
    go_on(book);
}

/* The process, its answers and its end. */

static void end_without_process(struct stanch_book *book, const struct stanch_err *why)
{
    stanch_child_free(book->child);
    book->child = NULL;
    book->backoff_ms = book->backoff_ms ? book->backoff_ms * 2 : FIRST_BACKOFF_MS;
    if (book->backoff_ms > LAST_BACKOFF_MS)
        book->backoff_ms = LAST_BACKOFF_MS;
    end_with_fault(book, NULL, why);
}

static void on_timer(void *ctx)
{
    struct stanch_book *book = ctx;
    book->timer = NULL;
    if (book->state == IDLE) {
        begin_fetch(book);
        return;
    }
    struct stanch_err why;
    if (!book->child) {
        why = book->no_process;
        end_without_process(book, &why);
        return;
    }
    stanch_child_free(book->child); /* it may be stuck in a system call that nothing but a signal ends */
    book->child = NULL;
    stanch_err_set(&why, STANCH_E_UNREACHABLE, "the fetch took longer than %lld ms and was given up",
                   (long long)book->deadline_ms);
    end_with_fault(book, NULL, &why);
}

static void take_fault(struct stanch_book *book, const json_t *head)
{
    struct stanch_err why;
    int code = stanch_err_from_word(stanch_json_str(head, "code", ""));
    stanch_err_set(&why, code ? code : STANCH_E_INTERNAL, "%s", stanch_json_str(head, "text", "no reason given"));
    end_with_fault(book, stanch_json_str(head, "commit", NULL), &why);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_book *book = ctx;
    (void)fd; /* the channel takes none */
    const char *kind = stanch_json_str(head, "t", "");
    struct stanch_err why;
    if (book->state != FETCHING) {
        stanch_log(STANCH_LOG_WARN, "book", "the book process spoke without being asked kind=%s", kind);
        stanch_child_kill(book->child);
        return;
    }
    if (strcmp(kind, "fault") == 0) {
        book->backoff_ms = 0;
        take_fault(book, head);
    } else if (strcmp(kind, "current") == 0 && stanch_json_str(head, "commit", NULL)) {
        book->backoff_ms = 0;
        end_as_current(book, stanch_json_str(head, "commit", NULL));
    } else {
        struct stanch_revision revision = {0};
        int rc = stanch_revision_read(head, attachment, len, &revision, &why);
        if (rc == 0) {
            book->backoff_ms = 0;
            end_with_candidate(book, &revision);
        } else {
            end_without_process(book, &why);
        }
        stanch_revision_done(&revision);
    }
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_book *book = ctx;
    if (why->code)
        stanch_log(STANCH_LOG_WARN, "book", "the channel of the book process: %s", why->text);
    stanch_child_kill(book->child); /* on_exit follows */
}

static void on_exit_of_process(void *ctx, int status)
{
    struct stanch_book *book = ctx;
    struct stanch_err why;
    if (status > 128)
        stanch_err_set(&why, STANCH_E_CRASHED, "the book process was ended by signal %d", status - 128);
    else
        stanch_err_set(&why, STANCH_E_CRASHED, "the book process ended with exit code %d%s", status,
                       status == STANCH_EXIT_NOMEM ? " (out of memory)" : "");
    if (book->state == FETCHING) {
        end_without_process(book, &why);
        return;
    }
    stanch_log(STANCH_LOG_WARN, "book", "%s; the next fetch starts another one", why.text);
    stanch_child_free(book->child);
    book->child = NULL;
}

static const struct stanch_child_events child_events = {
    .channel = {.on_frame = on_frame, .on_closed = on_closed},
    .on_exit = on_exit_of_process,
};

/* The owner's side. */

/* "/a/b/" and "a/b" are the same folder. new. */
static char *trim_folder(const char *folder)
{
    while (folder && *folder == '/')
        folder++;
    char *trimmed = stanch_strdup(folder ? folder : "");
    for (size_t len = strlen(trimmed); len > 0 && trimmed[len - 1] == '/'; len--)
        trimmed[len - 1] = 0;
    return trimmed;
}

int stanch_book_start(struct stanch_loop *loop, const struct stanch_book_config *config,
                      const struct stanch_book_events *events, void *ctx, struct stanch_book **ret,
                      struct stanch_err *err)
{
    struct stanch_book *book = STANCH_NEW(struct stanch_book);
    book->loop = loop;
    book->events = *events;
    book->ctx = ctx;
    book->exe = stanch_strdup(config->exe);
    book->poll_ms = config->poll_ms;
    book->deadline_ms = config->deadline_ms > 0 ? config->deadline_ms : DEFAULT_DEADLINE_MS;
    STANCH_AUTO_FREE char *folder = trim_folder(config->folder);
    book->question = json_pack("{s:s,s:s,s:s,s:s,s:s,s:b,s:s?}", "t", "fetch", "repo_dir", config->repo_dir, "url",
                               config->url, "branch", config->branch, "folder", folder, "allow_rewrite",
                               (int)config->allow_rewrite, "accepted", config->accepted);
    int rc = book->question ? 0 : stanch_err_set(err, STANCH_E_INVALID, "the repository's address is not UTF-8");
    if (rc == 0)
        rc = start_process(book, err);
    if (rc < 0) {
        release(book);
        return rc;
    }
    begin_fetch(book);
    *ret = book;
    return 0;
}

int stanch_book_sync(struct stanch_book *book, void (*on_done)(void *ctx, int rc, const struct stanch_err *err),
                     void *ctx, struct stanch_err *err)
{
    (void)err; /* what can fail fails later, and is told to on_done */
    struct sync *sync = STANCH_NEW(struct sync);
    sync->on_done = on_done;
    sync->ctx = ctx;
    struct sync **last = &book->waiting;
    while (*last)
        last = &(*last)->next;
    *last = sync;
    go_on(book);
    return 0;
}

static bool end_judging(struct stanch_book *book, const char *commit)
{
    if (book->state != JUDGING || !same_text(book->offered, commit)) {
        stanch_log(STANCH_LOG_WARN, "book", "a judgement on a commit that was not offered commit=%s", commit);
        return false;
    }
    book->state = IDLE;
    return true;
}

void stanch_book_accept(struct stanch_book *book, const char *commit)
{
    if (!end_judging(book, commit))
        return;
    set_known(book, "accepted", commit);
    set_known(book, "refused", NULL);
    go_on(book);
}

void stanch_book_refuse(struct stanch_book *book, const char *commit, const char *why)
{
    if (!end_judging(book, commit))
        return;
    STANCH_AUTO_FREE char *clean = stanch_names_clean_text(why);
    struct stanch_err fault;
    set_known(book, "refused", commit);
    set_known(book, "why", clean);
    stanch_err_set(&fault, STANCH_E_REFUSED, "commit %.12s was refused: %s", commit, clean);
    remember_fault(book, commit, &fault); /* core knows it: not told again */
    go_on(book);
}

void stanch_book_free(struct stanch_book *book)
{
    if (!book || book->gone)
        return;
    book->gone = true;
    stanch_timer_stop(book->loop, &book->timer);
    stanch_child_free(book->child);
    book->child = NULL;
    go_on(book);
}
