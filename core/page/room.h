/* room.h: what the files of this folder share. Inside page/ only.
 * Files    pager.c (news reaches every way; start to free), way.c (one instance: queue, call, outage), told.c (what the
 *          journal knows of it), card.c (what it says).
 * Subject  the id of a question or of a page (P-3). Step: what an instance was told of it, or should be.
 */
#ifndef STANCH_PAGE_ROOM_H
#define STANCH_PAGE_ROOM_H
#include "page/pager.h"
#include "page/send.h"
#include "timeline/journal.h"
#include <jansson.h>
#include <stdbool.h>

/* What an instance was told of a subject, or should be. */
enum stanch_page__step {
    STANCH_PAGE__NOTHING,
    STANCH_PAGE__ASKED,
    STANCH_PAGE__ACKNOWLEDGED,
    STANCH_PAGE__OVER,
    STANCH_PAGE__REMINDED /* asked, and it ends soon; of a page for many: one of it does */
};

struct stanch_page__card {
    enum stanch_page__step step;
    const char *key;        /* what the receiver tells pages apart by */
    const json_t *subject;  /* the document of the question or page; of a group: an array of such */
    const json_t *incident; /* its incident's; NULL: it has none */
    const char *url;        /* where people find stanch; NULL: no link */
    const char *drill;      /* the id of the drill that it is of, so that it says so; NULL: it is real */
    bool is_page;           /* a runbook's page, not a question */
};

/* ---- card.c ---- */

/** Which action of a described instance tells of this step; NULL: it cannot page. ret_is_send: it is a `send` that takes
 *  the step as `event`. static */
const char *stanch_page__action(const json_t *described, enum stanch_page__step step, bool *ret_is_send);
/** The arguments of that action. new */
json_t *stanch_page__args(const struct stanch_page__card *card, bool is_send);

#define STANCH_PAGE__OWN 10 /* pages of their own within a minute: what comes then is told together */

/* An instance that people are paged through. */
struct stanch_way {
    struct stanch_way *next;
    struct stanch_pager *pager;
    const char *name;                 /* in the configuration */
    json_t *queue;                    /* subject -> true, in their order */
    json_t *held;                     /* subject -> true: they wait to be told together */
    json_t *tries;                    /* subject -> {"bad","since_ms"} */
    json_t *members;                  /* key of a page for many -> how many notices of it are open */
    json_t *reminded;                 /* key of a page for many -> boot clock of its last reminder, in this life */
    json_t *unwritten;                /* notice -> its data: told, and the journal did not take it */
    char group[80];                   /* the key of the page for many that is open; "": none */
    int64_t own_ms[STANCH_PAGE__OWN]; /* boot clock of the last pages of their own */
    int own_at;
    int64_t together_ms; /* ... of the last page for many; 0: none yet */
    bool is_busy, is_failing, is_over_bound;
    struct stanch_timer *timer;      /* the next look */
    struct stanch_timer *retry;      /* after a failure: not before */
    struct stanch_timer *group_time; /* the next page for many */
    int64_t retry_ms;
    int64_t told, failures;
    char why[300];
    /* the call that is out */
    json_t *subjects; /* array of ids */
    enum stanch_page__step step;
    char key[80];
};

struct stanch_pager {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    const json_t *paging;
    struct stanch_pager_port port;
    struct stanch_way *ways;
    struct stanch_follower *follower;
    json_t *ended; /* incidents whose pages are over */
    struct stanch_timer *ending;
    bool is_over;     /* for people: stanch_pager_end */
    json_t *may_know; /* subject -> true: told maybe, its answer lost with a process: stanch_pager_end_killed */
    bool is_halted;
};

/* ---- told.c ---- */

bool stanch_page__is_page(const char *subject);
/** Is this the key of a page for many? */
bool stanch_page__is_for_many(const char *key);
/** Its document, committed. new, or NULL */
json_t *stanch_page__read_subject(const struct stanch_way *way, const char *subject);
/** The notice as it was told, recorded or not. new, or NULL: nothing was told */
json_t *stanch_page__read_notice(const struct stanch_way *way, const char *subject);
/** What is to be told now. doc, notice: as these two. */
enum stanch_page__step stanch_page__step_of(const struct stanch_way *way, const json_t *doc, const json_t *notice);
/** Members of the page for many of that key: more or fewer. */
void stanch_page__count_member(struct stanch_way *way, const char *key, int by);
/** Append; what is not taken is logged. batch: taken. returns whether it was taken */
bool stanch_page__append(struct stanch_pager *pager, struct stanch_batch *batch);
/** Note that the way knows this of a subject now. told: for "notice.told". why: may be NULL */
void stanch_page__note_one(struct stanch_way *way, const char *subject, const char *kind, enum stanch_page__step told,
                           const char *key, const char *why);
/** The same of all subjects of the call that was out; each is looked at again. */
void stanch_page__note_told(struct stanch_way *way, const char *kind);
/** An entry about the way itself. why: may be NULL */
void stanch_page__say(struct stanch_way *way, const char *kind, const char *why);
/** Every open document of a noun, committed, the newest first. chain, prefix: only those; may be NULL.
 *  returns as stanch_journal_list */
int stanch_page__each_open(struct stanch_journal *journal, const char *noun, const char *chain, const char *prefix,
                           void (*fn)(void *ctx, const json_t *doc), void *ctx, struct stanch_err *err);
/** Enqueue all of which something is to be told. */
int stanch_page__recall(struct stanch_way *way, struct stanch_err *err);

/* ---- way.c ---- */

/** name: borrowed. new; free with stanch_way__free */
struct stanch_way *stanch_way__new(struct stanch_pager *pager, const char *name);
/** No timer of it fires any more. */
void stanch_way__stop(struct stanch_way *way);
void stanch_way__free(struct stanch_way *way);
/** Something happened to a subject: it is looked at later, never from inside of this. */
void stanch_way__enqueue(struct stanch_way *way, const char *subject);
void stanch_way__drop(struct stanch_way *way, const char *subject);
/** new; its part of the status */
json_t *stanch_way__status(const struct stanch_way *way);

#endif
