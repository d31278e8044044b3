/* loop_sim.h: a loop in virtual time, for drills, tests and simulation. Time moves only when nothing else can: first
 * all that is deferred, in order; then the clock goes to the earliest timer. No thread, no descriptor.
 */
#ifndef STANCH_BASE_LOOP_SIM_H
#define STANCH_BASE_LOOP_SIM_H
#include "base/loop.h"
#include <stdbool.h>

/** new; wall and boot clock begin at these. */
struct stanch_loop *stanch_loop_sim_new(int64_t wall_ms, int64_t mono_ms);
/** Drops what is deferred and all timers. Accepts NULL. */
void stanch_loop_sim_free(struct stanch_loop *loop);
/** Do the next thing. returns false when there is nothing left to do. */
bool stanch_loop_sim_step(struct stanch_loop *loop);
/** Do all that is due without moving the clock. */
void stanch_loop_sim_settle(struct stanch_loop *loop);
/** Milliseconds until the earliest timer; 0: something is due or deferred; -1: there is nothing. */
int64_t stanch_loop_sim_next_ms(struct stanch_loop *loop);
/** Go on until the clock has moved by `ms`. */
void stanch_loop_sim_advance(struct stanch_loop *loop, int64_t ms);

#endif
