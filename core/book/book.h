/* book.h: core's side of the book process, which fetches and reads the git repository of runbooks.
 *
 *   core --follow/sync--> book --candidate{commit, files}--> core checks (lint) --accept|refuse--> book
 *
 * book clones bare into the state directory, follows one branch, and hands over the checked files of a new
 * commit. It refuses by itself what git can tell: not a fast-forward, symlinks, submodules, bad names, sizes
 * (PROMISES.md D11). Whether the runbooks are right is core's decision; until it accepts, the old commit stays.
 * Thread: loop thread. Only this folder includes git2.h.
 */
#ifndef STANCH_BOOK_BOOK_H
#define STANCH_BOOK_BOOK_H
#include "base/loop.h"
#include <jansson.h>
#include <stdbool.h>

struct stanch_book;

struct stanch_book_file {
    const char *path;  /* relative to the configured folder: "checkout.lua" */
    char blob_hex[65]; /* SHA-256 of the bytes (not git's id) */
    const char *bytes;
    size_t len;
};
struct stanch_revision {
    const char *commit;  /* full object id, hex */
    const char *summary; /* first line of its message */
    const char *author;
    int64_t commit_at_ms;
    const struct stanch_book_file *files;
    int file_count;
};

struct stanch_book_config {
    const char *exe;      /* path of this executable */
    const char *repo_dir; /* where the bare clone lives */
    const char *url;      /* file path, file://, https:// or ssh:// */
    const char *branch;
    const char *folder;   /* "" or a folder inside the repository */
    int64_t poll_ms;      /* 0: only on sync */
    int64_t deadline_ms;  /* for one fetch; default 60,000 */
    bool allow_rewrite;   /* follow also what is not a fast-forward */
    const char *accepted; /* commit accepted last, from the journal; NULL: none */
};

struct stanch_book_events {
    /** A new commit to judge; answer with stanch_book_accept or _refuse. revision: borrowed. */
    void (*on_candidate)(void *ctx, const struct stanch_revision *revision);
    /** The repository could not be read, or the commit was refused by book itself. kind of err:
     *  STANCH_E_UNREACHABLE, STANCH_E_REFUSED (not a fast-forward, tree rules; commit may be NULL),
     *  STANCH_E_NOT_FOUND (no such branch, empty), STANCH_E_CRASHED. Told once per change of state. */
    void (*on_fault)(void *ctx, const char *commit, const struct stanch_err *err);
    /** Fetched; the branch is at `commit`, which is the accepted one. */
    void (*on_current)(void *ctx, const char *commit);
};

/** ret: new. config: copied. returns 0 | STANCH_E_SYSTEM */
int stanch_book_start(struct stanch_loop *loop, const struct stanch_book_config *config,
                      const struct stanch_book_events *events, void *ctx, struct stanch_book **ret,
                      struct stanch_err *err);
/** Fetch now. on_done: called once: 0 (candidate was told, or current), or the fault. */
int stanch_book_sync(struct stanch_book *book, void (*on_done)(void *ctx, int rc, const struct stanch_err *err),
                     void *ctx, struct stanch_err *err);
void stanch_book_accept(struct stanch_book *book, const char *commit);
/** The commit is not taken; it is not offered again until the branch moves. */
void stanch_book_refuse(struct stanch_book *book, const char *commit, const char *why);
/** Kills the process; syncs under way are not told any more. Accepts NULL. */
void stanch_book_free(struct stanch_book *book);

/** The process `stanch book` (channel on descriptor 3). returns the exit code. */
int stanch_book_main(void);

#endif
