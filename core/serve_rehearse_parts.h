/* serve_rehearse_parts.h: `stanch rehearse` as its files share it. */
#ifndef STANCH_SERVE_REHEARSE_PARTS_H
#define STANCH_SERVE_REHEARSE_PARTS_H
#include "base/err.h"
#include "drill/stage.h"
#include <jansson.h>

struct stanch_rehearse_files {
    const char *folder, *config, *plugins; /* plugins: NULL: where the configuration says */
    const char *store, *commit;            /* instead of the folder: the commit of the store; else NULL */
};
typedef int (*stanch_rehearse_use)(void *ctx, struct stanch_stage *stage, struct stanch_err *err);
/** Put the simulated world together, use it, take it down. returns what could not be begun | what `use` returns */
int stanch_rehearse__on_stage(const struct stanch_rehearse_files *files, stanch_rehearse_use use, void *ctx,
                              struct stanch_err *err);

/** `rehearse drill WORDS`: prints one JSON value (serve_rehearse_drill.c). */
int stanch_rehearse__drill(int argc, char **argv, struct stanch_err *err);

/** `rehearse live WORDS`: the process of a drill with people (serve_rehearse_live.c). */
int stanch_rehearse__live(int argc, char **argv, struct stanch_err *err);

/** Run these words (argv[0] is "rehearse") in so many processes of this executable, each with a slice of the tests, and put their
 *  reports together. ret: new. returns 0 | the first that could not begin: err has no text then, and what it says is on stderr, once */
int stanch_rehearse__in_jobs(int argc, char **argv, int jobs, json_t **ret, struct stanch_err *err);

/* serve_backtest.c: what a backtest is asked; all are words as given, NULL: not given. */
struct stanch_rehearse_past {
    const char *store, *commit, *since, *listed;
};
/** The files of a commit, of the store or of the clone beside it. described: taken; ret: as of stanch_stage_open. returns 0 |
 *  STANCH_E_NOT_FOUND neither knows it | STANCH_E_INVALID | STANCH_E_CONFLICT not one alone | as the store and book/past.h */
int stanch_rehearse__stage_commit(struct stanch_loop *loop, const struct stanch_rehearse_past *past,
                                  const json_t *config, json_t *described, struct stanch_stage *ret,
                                  struct stanch_err *err);
/** drill/backtest.h on the stage's files. ret: new. returns 0 | STANCH_E_INVALID the files would be refused | ... */
int stanch_rehearse__backtest(struct stanch_stage *stage, const struct stanch_rehearse_past *past, json_t **ret,
                              struct stanch_err *err);

#endif
