/* loop.h: the seam for clock and loop. The engine knows time, timers and "later" only through this.
 * Two kinds: the real one on libuv, and a simulated one (loop_sim.h) whose time moves when nothing else can.
 * Callbacks come on the loop thread, later, never from inside the call that started them.
 * Thread: the loop thread, but for stanch_loop_post.
 */
#ifndef STANCH_BASE_LOOP_H
#define STANCH_BASE_LOOP_H
#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

struct stanch_loop;
struct stanch_timer;
typedef void (*stanch_loop_fn)(void *ctx);

struct stanch_loop_ops {
    int64_t (*wall_ms)(struct stanch_loop *loop);
    int64_t (*mono_ms)(struct stanch_loop *loop);
    struct stanch_timer *(*timer_start)(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn, void *ctx);
    void (*timer_stop)(struct stanch_loop *loop, struct stanch_timer *timer);
    void (*defer)(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx);
    void (*forget)(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx);
};
struct stanch_loop {
    const struct stanch_loop_ops *ops;
};

/** Milliseconds since 1970 UTC; may step. */
static inline int64_t stanch_loop_wall_ms(struct stanch_loop *loop)
{
    return loop->ops->wall_ms(loop);
}
/** Milliseconds of CLOCK_BOOTTIME; never steps, counts suspend. */
static inline int64_t stanch_loop_mono_ms(struct stanch_loop *loop)
{
    return loop->ops->mono_ms(loop);
}
/** Call `fn` once after `delay_ms` of the boot clock (0 or less: as soon as possible): no step of the wall clock moves
 *  it, a suspended machine does. The timer is gone when `fn` is called.
 *  returns: shared handle, valid until it fires or is stopped */
static inline struct stanch_timer *stanch_timer_start(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn,
                                                      void *ctx)
{
    return loop->ops->timer_start(loop, delay_ms, fn, ctx);
}
/** Stop and forget; NULL is accepted, and the caller's pointer is cleared. After it `fn` is never called. */
static inline void stanch_timer_stop(struct stanch_loop *loop, struct stanch_timer **timer)
{
    if (*timer)
        loop->ops->timer_stop(loop, *timer);
    *timer = NULL;
}
/** Call `fn` from the loop, soon; calls keep their order. */
static inline void stanch_loop_defer(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    loop->ops->defer(loop, fn, ctx);
}
/** Drop what is deferred or posted with this `fn` and `ctx` and not yet called: for owners that end. After it
 *  `fn` is not called for what was deferred or posted before. */
static inline void stanch_loop_forget(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    if (loop->ops->forget)
        loop->ops->forget(loop, fn, ctx);
}

/* The real loop. */
struct uv_loop_s;
/** new; or NULL with err set (STANCH_E_SYSTEM). */
struct stanch_loop *stanch_loop_new(struct stanch_err *err);
/** Frees a real loop; all handles must be closed; pending deferred calls are dropped. Accepts NULL. */
void stanch_loop_free(struct stanch_loop *loop);
/** Run until stanch_loop_stop or until nothing is left to wait for. */
void stanch_loop_run(struct stanch_loop *loop);
/** Wait for what comes next, and run it. */
void stanch_loop_run_next(struct stanch_loop *loop);
/** Run what is ready without waiting, once (for tests and shutdown). */
void stanch_loop_run_once(struct stanch_loop *loop);
void stanch_loop_stop(struct stanch_loop *loop);
/** Call `fn` on the loop thread; may be called from any thread. Order of one thread is kept. */
void stanch_loop_post(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx);
/** borrowed; the uv loop under a real loop. */
struct uv_loop_s *stanch_loop_uv(struct stanch_loop *loop);

#endif
