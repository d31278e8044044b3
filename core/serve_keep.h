/* serve_keep.h: what keeps the store trustworthy beside the daemon's work: signed checkpoints of all chain heads on a
 * schedule to places outside of the store, and the full check after an error of the store or on request. All of it is
 * done by processes of their own (`stanch offline`, serve_errand.h): an outage of a place delays nothing, is said in
 * status, metrics and log, and tried again.
 *
 *   every, and at shutdown --> offline checkpoint --> file | git | webhook, each place by itself
 *   store was suspect, or asked for --> offline check --> good | damaged: readiness, metric, sentence; on_damage
 *
 * Thread: loop thread.
 */
#ifndef STANCH_SERVE_KEEP_H
#define STANCH_SERVE_KEEP_H
#include "base/loop.h"
#include "flow_parts.h"
#include <jansson.h>

struct stanch_keep;
struct stanch_store;

struct stanch_keep_config {
    const char *exe, *state_dir;
    const json_t *checkpoints;  /* the section of the configuration, or null; borrowed, must outlive it */
    struct stanch_store *store; /* of the journal */
    bool reads_only;            /* the store is damaged: no checkpoints of it, no check by itself */
    /** The full check found damage. Called once. */
    void (*on_damage)(void *ctx, const char *what);
    void *ctx;
};

/** journal: borrowed, must outlive it. Begins at once. ret: new. returns 0 | STANCH_E_INVALID a token */
int stanch_keep_start(struct stanch_loop *loop, struct stanch_journal *journal, const struct stanch_keep_config *config,
                      struct stanch_keep **ret, struct stanch_err *err);
/** What flow tells of it, and may ask of it. */
struct stanch_flow_keeper stanch_keep_port(struct stanch_keep *keep);
/** One checkpoint more to each place, of all that is committed; turns the loop until done, some seconds at most. */
void stanch_keep_finish(struct stanch_keep *keep);
/** Ends what is under way. Accepts NULL. */
void stanch_keep_free(struct stanch_keep *keep);

#endif
