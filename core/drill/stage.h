/* stage.h: what all rehearsals of a process share: the real loop and runner, what the operator's files say, what the plugins
 * declare, and the files of the folder of runbooks. Nothing of it can reach the world: there is no plugin host.
 *
 *   configuration, policy, declarations, folder --> [stage] --> rehearsal.h: one scenario in a world of its own
 *
 * Thread: loop thread.
 */
#ifndef STANCH_DRILL_STAGE_H
#define STANCH_DRILL_STAGE_H
#include "base/loop.h"
#include "book/book.h"
#include "run/world.h"
#include "script/runner.h"
#include <jansson.h>
#include <stdbool.h>

struct stanch_stage {
    struct stanch_loop *loop;     /* real: only workers are on it; borrowed */
    struct stanch_runner *runner; /* borrowed */
    const json_t *config;         /* as evaluated; borrowed, like policy (NULL: there is none) */
    const json_t *policy;
    json_t *described;              /* instance -> what its plugin declares (plugin.h: stanch_plugins_declared) */
    struct stanch_book_file *files; /* of the folder, by path, scenarios last; what they point to is owned */
    struct stanch_source *sources;  /* the same; borrowed from files */
    int file_count;
    int book_count; /* of those that are no scenarios: what the repository would offer */
    json_t *load_input,
        *loaded; /* what a worker made of the runbooks, and for what it was asked: they are the same for each play; or NULL */
    char commit[65]; /* digest of all of them; or the one that they are of */
};

/** Read all *.lua below `folder`. described: taken. ret: finish with stanch_stage_close,
 *  also after an error. returns 0 | as stanch_folder_read */
int stanch_stage_open(const char *folder, json_t *described, struct stanch_stage *ret, struct stanch_err *err);
/** The same of files that are at hand: copied. */
void stanch_stage_open_files(const struct stanch_source *sources, int count, const char *commit, json_t *described,
                             struct stanch_stage *ret);
/** One more file, of anywhere, as `name` below the folder; in place of the folder's, if it has one of that name. returns as above */
int stanch_stage_add(struct stanch_stage *stage, const char *path, const char *name, struct stanch_err *err);
void stanch_stage_close(struct stanch_stage *stage);

/** Is it a file of tests or drills? */
bool stanch_stage_is_scenario(const char *path);
/** Is it a file that runs come from: neither of scenarios, nor policy, nor configuration? */
bool stanch_stage_is_runbook(const char *path);
/** Which lines of each file hold code that a run could run: {path:[line]}. ret: new. returns 0 | what the runner says */
int stanch_stage_lines(struct stanch_stage *stage, json_t **ret, struct stanch_err *err);
/** Start a worker of kind "scenario" for a file, with what it may `require`. returns as stanch_worker_start */
int stanch_stage_start(struct stanch_stage *stage, const json_t *input, const struct stanch_worker_events *events,
                       void *ctx, struct stanch_worker **ret, struct stanch_err *err);
/** What the scenarios of one file declare (scenario.lua), in order. returns 0 | STANCH_E_SCRIPT the text names file and line */
int stanch_stage_list(struct stanch_stage *stage, const char *path, json_t **ret, struct stanch_err *err);

#endif
