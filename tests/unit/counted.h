/* counted.h: how long something may take, as the timers of a loop tell it: what they were set to, and not by how much a
 * loaded machine was late. What it is to wait for, and how often, can so be held against a promise on any machine.
 *
 *     struct counted time;
 *     count_time(&time, loop);     a timer that fires moves time.ms to when it was due
 *     ...
 *     counted_done(&time);         after the loop was freed
 */
#ifndef STANCH_TEST_COUNTED_H
#define STANCH_TEST_COUNTED_H
#include "base/loop.h"
#include "base/mem.h"
#include <stdlib.h>

struct counted {
    int64_t ms; /* since count_time */
    const struct stanch_loop_ops *under;
    struct stanch_loop_ops ops;
    struct counted_timer *timers;
};

struct counted_timer {
    struct counted_timer *next;
    struct counted *time;
    stanch_loop_fn fn;
    void *ctx;
    int64_t due_ms;
};

static struct counted *counted; /* the loop's operations know only the loop */

static inline void on_counted(void *ctx)
{
    struct counted_timer *timer = ctx;
    if (timer->due_ms > timer->time->ms)
        timer->time->ms = timer->due_ms;
    timer->fn(timer->ctx);
}

static inline struct stanch_timer *start_counted(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn,
                                                 void *ctx)
{
    struct counted_timer *timer = STANCH_NEW(struct counted_timer);
    *timer = (struct counted_timer){counted->timers, counted, fn, ctx, counted->ms + delay_ms};
    counted->timers = timer;
    return counted->under->timer_start(loop, delay_ms, on_counted, timer);
}

static inline void count_time(struct counted *time, struct stanch_loop *loop)
{
    *time = (struct counted){.under = loop->ops, .ops = *loop->ops};
    time->ops.timer_start = start_counted;
    loop->ops = &time->ops;
    counted = time;
}

/* Accepts one that was never counted: {0}. */
static inline void counted_done(struct counted *time)
{
    for (struct counted_timer *timer; (timer = time->timers); free(timer))
        time->timers = timer->next;
}

#endif
