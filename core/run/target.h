/* target.h: one holder per target. The lock is taken before the plan that is applied and held until the
 * outcome; a waiting approval holds none. In memory: the journal tells after a crash what was under way.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_TARGET_H
#define STANCH_RUN_TARGET_H
#include "base/loop.h"
#include <jansson.h>
#include <stdint.h>

struct stanch_targets;
struct stanch_hold;

struct stanch_targets *stanch_targets_new(struct stanch_loop *loop);
void stanch_targets_free(struct stanch_targets *targets);
/** Wait for all of `names` (array of text); those who wait get them in the order in which they asked.
 *  on_held: called once, later. ret: shared handle, valid until released. */
void stanch_targets_hold(struct stanch_targets *targets, const json_t *names, void (*on_held)(void *ctx), void *ctx,
                         struct stanch_hold **ret);
/** After a restart: as stanch_targets_hold for what was held when the process ended, whose outcome is still out. It goes
 *  before all who wait. */
void stanch_targets_hold_again(struct stanch_targets *targets, const json_t *names, void (*on_held)(void *ctx),
                               void *ctx, struct stanch_hold **ret);
/** Let go, or stop waiting; after it on_held is not called. NULL is accepted; the pointer is cleared. */
void stanch_targets_release(struct stanch_targets *targets, struct stanch_hold **hold);

#endif
