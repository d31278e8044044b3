/* revision.h: the files of a used commit, out of the journal: no run needs git again (PROMISES.md 1.6).
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_REVISION_H
#define STANCH_RUN_REVISION_H
#include "script/runner.h"
#include "timeline/journal.h"

struct stanch_revision_files {
    char commit[72];
    struct stanch_source *sources; /* paths and texts are owned */
    int count;
};

/** Read them. ret: new. returns 0 | STANCH_E_NOT_FOUND (the commit was never accepted) | STANCH_E_CORRUPT */
int stanch_revision_load(struct stanch_journal *journal, const char *commit, struct stanch_revision_files **ret,
                         struct stanch_err *err);
void stanch_revision_free(struct stanch_revision_files *revision);

#endif
