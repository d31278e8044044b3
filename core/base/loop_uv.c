/* loop_uv.c: the real loop. Deferred and posted calls share one queue under a mutex, woken by one uv_async;
 * a batch is taken whole, so a deferred call that defers again cannot starve the poll.
 *
 * libuv's timers stand still while the machine is suspended. After each poll the loop looks whether the boot clock has
 * run away from libuv's; if so, it has slept, and every timer comes that much sooner. */
#include "base/loop.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include <pthread.h>
#include <signal.h>
#include <uv.h>

#define SLEPT_MS 1000 /* less is only the time between two looks at two clocks */

struct deferred {
    struct deferred *next;
    stanch_loop_fn fn;
    void *ctx;
};

struct loop_uv {
    struct stanch_loop base;
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t polled;
    int64_t suspended_ms; /* the boot clock minus libuv's */
    struct stanch_timer *timers;
    pthread_mutex_t lock;
    struct deferred *first, **last;
    struct deferred *running; /* the batch that is being called; loop thread only */
};

struct stanch_timer {
    uv_timer_t uv;
    struct stanch_timer *next, **at; /* in the loop's list */
    stanch_loop_fn fn;
    void *ctx;
};

static struct loop_uv *of(struct stanch_loop *loop)
{
    return container_of(loop, struct loop_uv, base);
}

static int64_t get_wall(struct stanch_loop *loop)
{
    (void)loop;
    return stanch_wall_now_ms();
}

static int64_t get_mono(struct stanch_loop *loop)
{
    (void)loop;
    return stanch_mono_now_ms();
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(container_of((uv_timer_t *)handle, struct stanch_timer, uv));
}

static void unlink_timer(struct stanch_timer *timer)
{
    *timer->at = timer->next;
    if (timer->next)
        timer->next->at = timer->at;
}

static void on_timer(uv_timer_t *uv)
{
    struct stanch_timer *timer = container_of(uv, struct stanch_timer, uv);
    unlink_timer(timer);
    stanch_loop_fn fn = timer->fn;
    void *ctx = timer->ctx;
    uv_close((uv_handle_t *)uv, on_timer_closed);
    fn(ctx);
}

static struct stanch_timer *start_timer(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn, void *ctx)
{
    struct stanch_timer *timer = STANCH_NEW(struct stanch_timer);
    timer->fn = fn;
    timer->ctx = ctx;
    timer->next = of(loop)->timers;
    timer->at = &of(loop)->timers;
    if (timer->next)
        timer->next->at = &timer->next;
    of(loop)->timers = timer;
    uv_timer_init(&of(loop)->uv, &timer->uv);
    uv_update_time(&of(loop)->uv);
    /* at least 1 ms: a 0 ms timer that is armed again in its own callback starves libuv 1.44 */
    uv_timer_start(&timer->uv, on_timer, delay_ms < 1 ? 1 : (uint64_t)delay_ms, 0);
    return timer;
}

static void stop_timer(struct stanch_loop *loop, struct stanch_timer *timer)
{
    (void)loop;
    unlink_timer(timer);
    uv_timer_stop(&timer->uv);
    uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
}

static int64_t measure_suspended(void)
{
    int64_t now = stanch_is_sabotaged("timer-by-wall-clock") ? stanch_wall_now_ms() : stanch_mono_now_ms();
    return now - (int64_t)(uv_hrtime() / 1000000);
}

static int by_due(const void *a, const void *b)
{
    uint64_t x = uv_timer_get_due_in(&(*(struct stanch_timer *const *)a)->uv);
    uint64_t y = uv_timer_get_due_in(&(*(struct stanch_timer *const *)b)->uv);
    return x < y ? -1 : x > y;
}

/* Those that came due meanwhile fire in the order in which they did. */
static void hasten_timers(struct loop_uv *loop, int64_t slept_ms)
{
    size_t count = 0, i = 0;
    for (struct stanch_timer *timer = loop->timers; timer; timer = timer->next)
        count++;
    STANCH_AUTO_FREE struct stanch_timer **timers = stanch_alloc((count + 1) * sizeof(struct stanch_timer *));
    for (struct stanch_timer *timer = loop->timers; timer; timer = timer->next)
        timers[i++] = timer;
    qsort(timers, count, sizeof *timers, by_due);
    for (i = 0; i < count; i++) {
        int64_t left = (int64_t)uv_timer_get_due_in(&timers[i]->uv) - slept_ms;
        uv_timer_start(&timers[i]->uv, on_timer, left < 1 ? 1 : (uint64_t)left, 0);
    }
}

static void on_polled(uv_check_t *check)
{
    struct loop_uv *loop = container_of(check, struct loop_uv, polled);
    int64_t suspended = measure_suspended(), slept = suspended - loop->suspended_ms;
    if (slept < SLEPT_MS)
        return;
    loop->suspended_ms = suspended;
    uv_update_time(&loop->uv);
    hasten_timers(loop, slept);
}

static void run_deferred(struct loop_uv *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct deferred *d = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    pthread_mutex_unlock(&loop->lock);
    loop->running = d;
    while ((d = loop->running)) {
        loop->running = d->next;
        stanch_loop_fn fn = d->fn;
        void *ctx = d->ctx;
        free(d);
        fn(ctx);
    }
}

static void drop_from(struct deferred **list, stanch_loop_fn fn, void *ctx)
{
    while (*list) {
        struct deferred *d = *list;
        if (d->fn != fn || d->ctx != ctx) {
            list = &d->next;
            continue;
        }
        *list = d->next;
        free(d);
    }
}

static void forget(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct loop_uv *self = of(loop);
    drop_from(&self->running, fn, ctx);
    pthread_mutex_lock(&self->lock);
    drop_from(&self->first, fn, ctx);
    self->last = &self->first;
    while (*self->last)
        self->last = &(*self->last)->next;
    pthread_mutex_unlock(&self->lock);
}

static void on_wake(uv_async_t *async)
{
    run_deferred(container_of(async, struct loop_uv, wake));
}

void stanch_loop_post(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct loop_uv *self = of(loop);
    struct deferred *d = STANCH_NEW(struct deferred);
    d->fn = fn;
    d->ctx = ctx;
    pthread_mutex_lock(&self->lock);
    *self->last = d;
    self->last = &d->next;
    pthread_mutex_unlock(&self->lock);
    uv_async_send(&self->wake);
}

static const struct stanch_loop_ops uv_ops = {
    .wall_ms = get_wall,
    .mono_ms = get_mono,
    .timer_start = start_timer,
    .timer_stop = stop_timer,
    .defer = stanch_loop_post,
    .forget = forget,
};

struct stanch_loop *stanch_loop_new(struct stanch_err *err)
{
    struct loop_uv *self = STANCH_NEW(struct loop_uv);
    self->base.ops = &uv_ops;
    self->last = &self->first;
    int rc = uv_loop_init(&self->uv);
    if (rc == 0)
        rc = uv_async_init(&self->uv, &self->wake, on_wake);
    if (rc == 0)
        rc = uv_check_init(&self->uv, &self->polled);
    if (rc == 0)
        rc = uv_check_start(&self->polled, on_polled);
    if (rc < 0) {
        stanch_err_set(err, STANCH_E_SYSTEM, "no event loop: %s", uv_strerror(rc));
        free(self);
        return NULL;
    }
    uv_unref((uv_handle_t *)&self->polled);
    self->suspended_ms = measure_suspended();
    pthread_mutex_init(&self->lock, NULL);
    signal(SIGPIPE, SIG_IGN); /* libuv writes with write(2); a peer that died is an error value, not our end */
    return &self->base;
}

void stanch_loop_free(struct stanch_loop *loop)
{
    if (!loop)
        return;
    struct loop_uv *self = of(loop);
    uv_close((uv_handle_t *)&self->wake, NULL);
    uv_close((uv_handle_t *)&self->polled, NULL);
    uv_run(&self->uv, UV_RUN_DEFAULT);
    while (self->first) {
        struct deferred *d = self->first;
        self->first = d->next;
        free(d);
    }
    uv_loop_close(&self->uv);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

void stanch_loop_run(struct stanch_loop *loop)
{
    uv_run(&of(loop)->uv, UV_RUN_DEFAULT);
}

void stanch_loop_run_next(struct stanch_loop *loop)
{
    uv_run(&of(loop)->uv, UV_RUN_ONCE);
}

void stanch_loop_run_once(struct stanch_loop *loop)
{
    uv_run(&of(loop)->uv, UV_RUN_NOWAIT);
}

void stanch_loop_stop(struct stanch_loop *loop)
{
    uv_stop(&of(loop)->uv);
}

struct uv_loop_s *stanch_loop_uv(struct stanch_loop *loop)
{
    return &of(loop)->uv;
}
