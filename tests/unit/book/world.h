/* world.h: a real repository made by git, a real book process, and what it told. */
#ifndef TEST_BOOK_WORLD_H
#define TEST_BOOK_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/loop.h"
#include "base/mem.h"
#include "book/book.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum verdict { ACCEPT, REFUSE, LATER };

struct world {
    struct stanch_loop *loop;
    struct stanch_book *book;
    struct stanch_book_config config;
    char dir[64]; /* scratch: DIR/repo is the remote, DIR/clone book's */
    char url[200], clone[100];
    enum verdict verdict;
    int candidates, faults, currents, syncs, syncs_wanted;
    char commit[65];  /* of the last candidate, fault or current */
    char files[4000]; /* "path=content;" of the last candidate */
    char summary[200], author[100];
    struct stanch_err fault, sync_err;
    int sync_rc;
    bool late;
};

/** Run a shell command in the scratch directory; fails the test when it fails. */
void sh(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** First line of a command's output; static. */
const char *line_of(struct world *world, const char *command);
/** Write a file in the work tree of the remote and commit it. */
void commit_file(struct world *world, const char *path, const char *text);

void world_new(void **state); /* a remote with checkout.lua in it, book not started */
void start_book(struct world *world);
void stop_book(struct world *world);
void wait_for(struct world *world, const int *counter, int value);
/** Sync and wait for its end; returns its rc. */
int sync_now(struct world *world);
/** Start and wait for the first candidate; it is accepted. */
void start_and_accept(struct world *world);

int setup(void **state);
int teardown(void **state);

#endif
