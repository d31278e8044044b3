/* loop_sim.c: virtual time. Timers with the same due time fire in the order in which they were started. */
#include "base/loop_sim.h"
#include "base/mem.h"

struct deferred {
    struct deferred *next;
    stanch_loop_fn fn;
    void *ctx;
};

struct stanch_timer {
    struct stanch_timer *next;
    int64_t due_mono_ms;
    stanch_loop_fn fn;
    void *ctx;
};

struct loop_sim {
    struct stanch_loop base;
    int64_t wall_ms, mono_ms;
    struct deferred *first, **last;
    struct stanch_timer *timers; /* by due time */
};

static struct loop_sim *of(struct stanch_loop *loop)
{
    return container_of(loop, struct loop_sim, base);
}

static int64_t get_wall(struct stanch_loop *loop)
{
    return of(loop)->wall_ms;
}

static int64_t get_mono(struct stanch_loop *loop)
{
    return of(loop)->mono_ms;
}

static struct stanch_timer *start_timer(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn, void *ctx)
{
    struct stanch_timer *timer = STANCH_NEW(struct stanch_timer);
    timer->due_mono_ms = of(loop)->mono_ms + (delay_ms > 1 ? delay_ms : 1);
    timer->fn = fn;
    timer->ctx = ctx;
    struct stanch_timer **at = &of(loop)->timers;
    while (*at && (*at)->due_mono_ms <= timer->due_mono_ms)
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    return timer;
}

static void stop_timer(struct stanch_loop *loop, struct stanch_timer *timer)
{
    for (struct stanch_timer **at = &of(loop)->timers; *at; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            free(timer);
            return;
        }
    }
}

static void defer(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct deferred *d = STANCH_NEW(struct deferred);
    d->fn = fn;
    d->ctx = ctx;
    *of(loop)->last = d;
    of(loop)->last = &d->next;
}

static void forget(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct loop_sim *self = of(loop);
    struct deferred **at = &self->first;
    while (*at) {
        struct deferred *d = *at;
        if (d->fn == fn && d->ctx == ctx) {
            *at = d->next;
            free(d);
        } else {
            at = &d->next;
        }
    }
    self->last = at;
}

static const struct stanch_loop_ops sim_ops = {
    .wall_ms = get_wall,
    .mono_ms = get_mono,
    .timer_start = start_timer,
    .timer_stop = stop_timer,
    .defer = defer,
    .forget = forget,
};

struct stanch_loop *stanch_loop_sim_new(int64_t wall_ms, int64_t mono_ms)
{
    struct loop_sim *self = STANCH_NEW(struct loop_sim);
    self->base.ops = &sim_ops;
    self->wall_ms = wall_ms;
    self->mono_ms = mono_ms;
    self->last = &self->first;
    return &self->base;
}

static bool run_deferred(struct loop_sim *self)
{
    struct deferred *d = self->first;
    if (!d)
        return false;
    self->first = d->next;
    if (!self->first)
        self->last = &self->first;
    stanch_loop_fn fn = d->fn;
    void *ctx = d->ctx;
    free(d);
    fn(ctx);
    return true;
}

static void fire_first_timer(struct loop_sim *self)
{
    struct stanch_timer *timer = self->timers;
    self->timers = timer->next;
    if (timer->due_mono_ms > self->mono_ms) {
        self->wall_ms += timer->due_mono_ms - self->mono_ms;
        self->mono_ms = timer->due_mono_ms;
    }
    stanch_loop_fn fn = timer->fn;
    void *ctx = timer->ctx;
    free(timer);
    fn(ctx);
}

bool stanch_loop_sim_step(struct stanch_loop *loop)
{
    struct loop_sim *self = of(loop);
    if (run_deferred(self))
        return true;
    if (!self->timers)
        return false;
    fire_first_timer(self);
    return true;
}

void stanch_loop_sim_settle(struct stanch_loop *loop)
{
    struct loop_sim *self = of(loop);
    while (run_deferred(self) || (self->timers && self->timers->due_mono_ms <= self->mono_ms))
        if (!self->first && self->timers && self->timers->due_mono_ms <= self->mono_ms)
            fire_first_timer(self);
}

int64_t stanch_loop_sim_next_ms(struct stanch_loop *loop)
{
    const struct loop_sim *self = of(loop);
    if (self->first)
        return 0;
    if (!self->timers)
        return -1;
    int64_t left = self->timers->due_mono_ms - self->mono_ms;
    return left > 0 ? left : 0;
}

void stanch_loop_sim_advance(struct stanch_loop *loop, int64_t ms)
{
    struct loop_sim *self = of(loop);
    int64_t until = self->mono_ms + ms;
    for (;;) {
        if (run_deferred(self))
            continue;
        if (!self->timers || self->timers->due_mono_ms > until)
            break;
        fire_first_timer(self);
    }
    self->wall_ms += until - self->mono_ms;
    self->mono_ms = until;
}

void stanch_loop_sim_free(struct stanch_loop *loop)
{
    if (!loop)
        return;
    struct loop_sim *self = of(loop);
    while (self->first) {
        struct deferred *d = self->first;
        self->first = d->next;
        free(d);
    }
    while (self->timers) {
        struct stanch_timer *timer = self->timers;
        self->timers = timer->next;
        free(timer);
    }
    free(self);
}
