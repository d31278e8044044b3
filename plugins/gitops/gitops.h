/* gitops.h: a deploy repository's branch, put back by commits and pushes.
 *
 *   gitops.c   declaration, settings     job.c    the thread that may wait; deadlines     repo.c   clone, fetch, ssh
 *   stream.c   TLS for https
 *   push.c     push, only onto the head that was planned against       history.c  commits, trailers, migrations
 *   tree.c     trees and their differences   change.c  what a revert or a freeze makes of a head
 *   plan.c     plan, log, head, check        act.c     apply, verify, undo, reconcile
 *
 * Thread   what takes a job runs on the worker's thread and touches nothing of the SDK; only job.c sees both.
 * Errors   0, or -1 after gitops_fail (or gitops_unknown) has put the answer into the job.
 * Owner    texts made with gitops_text live as long as the job.
 */
#ifndef GITOPS_H
#define GITOPS_H
#include <git2.h>
#include <pthread.h>
#include <stanch/sdk.h>
#include <stdatomic.h>

#define GITOPS_MAX_FILES    500  /* that one change may touch: what an approver could still look through */
#define GITOPS_MAX_WALK     5000 /* commits that are looked through for one that is not named */
#define GITOPS_KEY_TRAILER  "Stanch-Key"
#define GITOPS_DATA_TRAILER "Stanch-Migration"

struct gitops_job;

/* An instance: settings as they came, the worker, the clone (the worker's only). */
struct gitops {
    const char *name, *url, *branch, *author_name, *author_email, *freeze_file, *freeze_content;
    char *remote;                     /* what libgit2 connects to: the url, or the directory */
    char *user;                       /* at the remote; NULL for a directory */
    char *key;                        /* ssh: the private key, or NULL */
    char *token;                      /* https: or NULL */
    const char *directory;            /* NULL: url is used */
    const char *ca_file;              /* https: NULL: the system's certificates */
    const json_t *paths, *migrations; /* arrays of text, or NULL */
    const char *state_dir;
    char *ref, *clone_dir;
    pthread_t worker;
    pthread_mutex_t lock; /* queue, running, is_stopping, the jobs' state */
    pthread_cond_t wake;
    struct gitops_job *queue, *running, *spent;
    bool is_stopping;
    atomic_uint objects;        /* received by the fetch that is going on */
    atomic_llong moved_mono_ms; /* when something last came from the remote */
    git_repository *repo;
};

enum gitops_outcome { GITOPS_DONE, GITOPS_FAILED, GITOPS_UNKNOWN };

struct gitops_job {
    struct gitops_job *next;
    struct gitops *gitops;
    uint32_t op;
    char *action, *key, *reconciles;
    json_t *args, *plan; /* the job's own copies */
    int64_t deadline_mono_ms;
    bool is_over; /* under the lock: the answer is there */
    atomic_bool is_cut;
    /* the answer */
    enum gitops_outcome outcome;
    const char *kind, *why;
    bool is_retry;
    json_t *value;
    /* of the connection */
    bool was_asked_key, is_key_refused, is_sent;
    const char *bad_host_key, *bad_certificate, *elsewhere, *rejected;
    char said[600]; /* by the remote, for people */
    size_t said_len;
    struct gitops_memory *memory;
};

/* ---- job.c ---- */

/** Start the worker, which first brings the clone up to date. returns NULL, or why it could not start. */
const char *gitops_start(struct gitops *gitops);
void gitops_stop(struct gitops *gitops);
/** The handler of every operation: a job for the worker, whose answer is awaited. */
void gitops_call(struct sdk_call *call);
/** Something came from the remote. */
void gitops_moved(struct gitops *gitops);
/** The caller gave up: the job ends soon, and pushes nothing that is not on its way. */
void gitops_cancel(struct sdk_call *call);
/** Text of the job's life. */
const char *gitops_text(struct gitops_job *job, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** It failed: nothing has changed at the remote. kind: static. returns: -1 */
int gitops_fail(struct gitops_job *job, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** As gitops_fail, and trying again can help. */
int gitops_fail_retry(struct gitops_job *job, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int gitops_unknown(struct gitops_job *job, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** What libgit2 said last. */
const char *gitops_git_says(struct gitops_job *job);

/* ---- stream.c ---- */

/** The connections of https, in a process that has no others. returns NULL, or why not. */
const char *gitops_streams_start(void);
/** Whose connections are made from now on. */
void gitops_stream_for(struct gitops_job *job);

/* ---- repo.c ---- */

/** Once per process, before anything of libgit2. known_hosts: the file, or NULL. returns NULL, or why not. */
const char *gitops_library_start(const char *state_dir, const char *known_hosts);
/** The status of HTTP that libgit2 did not expect, out of its words; 0: they are about something else. */
int gitops_http_status(const char *why);
/** Open (or make) the clone; removes what a killed process left. */
int gitops_open_clone(struct gitops *gitops, struct gitops_job *job);
/** A connection for GIT_DIRECTION_FETCH or _PUSH; ret: free with git_remote_free. */
int gitops_connect(struct gitops_job *job, git_direction direction, git_remote_callbacks *callbacks, git_remote **ret);
/** The branch's head as the remote tells it. */
int gitops_remote_head(struct gitops_job *job, git_remote *remote, git_oid *ret);
/** The branch's head, with its history in the clone. */
int gitops_fetch(struct gitops_job *job, git_oid *ret);

/* ---- push.c ---- */

/** Put `commit` at the remote's branch if that is still at `expected`; else failed "stale". Unknown when the push was
 *  sent and no answer came. */
int gitops_push(struct gitops_job *job, const git_oid *commit, const git_oid *expected);
/** Whether the remote takes pushes from us, as far as that can be told without one. returns NULL, or why not. */
const char *gitops_check_push(struct gitops_job *job);

/* ---- history.c ---- */

/** Look through what `head` has and `hide` has not, in no order. fn returns 1: this one; -1: an error.
 *  returns 1 found, 0 not found, 2 not found among the first GITOPS_MAX_WALK, -1 */
int gitops_walk(struct gitops_job *job, const git_oid *head, const git_oid *hide,
                int (*fn)(struct gitops_job *job, git_commit *commit, void *ctx), void *ctx, git_oid *ret);
/** The same for the branch's own line, newest first: from each commit to its first parent. */
int gitops_walk_main(struct gitops_job *job, const git_oid *head,
                     int (*fn)(struct gitops_job *job, git_commit *commit, void *ctx), void *ctx, git_oid *ret);
/** The value of a trailer, as text of the job; NULL: none. */
const char *gitops_trailer(struct gitops_job *job, const git_commit *commit, const char *name);
/** The commit that carries this key; results as gitops_walk. */
int gitops_find_key(struct gitops_job *job, const git_oid *head, const git_oid *hide, const char *key, git_oid *ret);
/** Text that came from a commit, fit for JSON and a line: at most 200 bytes. */
const char *gitops_clean(struct gitops_job *job, const char *text);
const char *gitops_subject(struct gitops_job *job, const git_commit *commit);
json_t *gitops_commit_json(struct gitops_job *job, const git_commit *commit);
/** What is known of data loss when `commit` is reverted on `head`: {"known":bool,"text","migrations":[]} */
int gitops_data(struct gitops_job *job, const git_oid *head, const git_commit *commit, json_t **ret);

/* ---- tree.c ---- */

/** Whether `path` is `root` or beneath it; root NULL or "": true. */
bool gitops_is_beneath(const char *path, const char *root);
/** What differs between two trees; ret: free with git_diff_free. Refused over GITOPS_MAX_FILES. */
int gitops_diff(struct gitops_job *job, const git_oid *from, const git_oid *to, git_diff **ret);
const char *gitops_delta_path(const git_diff_delta *delta);
/** `base` with the files that differ, beneath `root` only, taken from the differences' new side (or, is_back, old). */
int gitops_tree_with(struct gitops_job *job, const git_oid *base, const git_diff *diff, const char *root, bool is_back,
                     git_oid *ret);
/** `base` with one file of this content. */
int gitops_tree_with_file(struct gitops_job *job, const git_oid *base, const char *path, const char *content,
                          git_oid *ret);
/** The first path of diff that is not in `tree` as on the diff's new side; NULL: all are. is_old: as on the old one */
const char *gitops_first_other(struct gitops_job *job, const git_oid *tree, const git_diff *diff, bool is_old);

/* ---- change.c ---- */

struct gitops_change {
    git_oid head, from, to; /* a commit, and the trees before and after */
    git_commit *reverts;    /* NULL for a freeze; free with gitops_change_done */
    const char *subject;    /* of the commit to make */
    const char *trailer;    /* "Stanch-Reverts: ..." */
};

/** What the action makes of this head. */
int gitops_change_make(struct gitops_job *job, const git_oid *head, struct gitops_change *ret);
void gitops_change_done(struct gitops_change *change);
/** A commit of this tree on that parent, with the job's key in a trailer. */
int gitops_commit(struct gitops_job *job, const git_oid *parent, const git_oid *tree, const char *subject,
                  const char *body, git_oid *ret);
/** A member of the plan that is an object id. */
int gitops_plan_id(struct gitops_job *job, const char *side, const char *name, git_oid *ret);
int gitops_tree_of(struct gitops_job *job, const git_oid *commit, git_oid *ret);

/* ---- plan.c, act.c: the operations ---- */

int gitops_plan(struct gitops_job *job);
int gitops_head(struct gitops_job *job);
int gitops_log(struct gitops_job *job);
int gitops_check(struct gitops_job *job);
int gitops_apply(struct gitops_job *job);
int gitops_verify(struct gitops_job *job);
int gitops_undo(struct gitops_job *job);
int gitops_reconcile(struct gitops_job *job);

#define GITOPS_AUTO(type) __attribute__((cleanup(gitops_free_##type))) type
#define GITOPS_FREE(type)                                                                                              \
    static inline void gitops_free_##type(type **one)                                                                  \
    {                                                                                                                  \
        type##_free(*one);                                                                                             \
    }
GITOPS_FREE(git_commit)
GITOPS_FREE(git_tree)
GITOPS_FREE(git_tree_entry)
GITOPS_FREE(git_index)
GITOPS_FREE(git_diff)
GITOPS_FREE(git_diff_stats)
GITOPS_FREE(git_revwalk)
GITOPS_FREE(git_remote)
GITOPS_FREE(git_reference)
GITOPS_FREE(git_repository)
GITOPS_FREE(git_packbuilder)
GITOPS_FREE(git_pathspec)
GITOPS_FREE(git_signature)
GITOPS_FREE(git_object)

#endif
