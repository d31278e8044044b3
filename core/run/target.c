/* target.c: a queue of holds; a hold begins when none before it shares a target. Quadratic in the number of
 * holds under way, which is bounded by the calls under way. */
#include "run/target.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <stdbool.h>
#include <string.h>

struct stanch_hold {
    struct stanch_hold *next;
    json_t *names;
    void (*on_held)(void *ctx);
    void *ctx;
    bool held;
};

struct stanch_targets {
    struct stanch_loop *loop;
    struct stanch_hold *first;
    bool looking; /* a look is deferred */
    bool freed;
};

struct stanch_targets *stanch_targets_new(struct stanch_loop *loop)
{
    struct stanch_targets *targets = STANCH_NEW(struct stanch_targets);
    targets->loop = loop;
    return targets;
}

static void free_hold(struct stanch_hold *hold)
{
    json_decref(hold->names);
    free(hold);
}

void stanch_targets_free(struct stanch_targets *targets)
{
    if (!targets)
        return;
    while (targets->first) {
        struct stanch_hold *hold = targets->first;
        targets->first = hold->next;
        free_hold(hold);
    }
    if (targets->looking)
        targets->freed = true; /* the deferred look frees it */
    else
        free(targets);
}

static bool share_a_name(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < json_array_size(a); i++)
        for (size_t j = 0; j < json_array_size(b); j++)
            if (json_equal(json_array_get(a, i), json_array_get(b, j)))
                return true;
    return false;
}

static struct stanch_hold *next_free(const struct stanch_targets *targets)
{
    for (struct stanch_hold *hold = targets->first; hold; hold = hold->next) {
        bool free_now = !hold->held;
        for (const struct stanch_hold *h = targets->first; free_now && h != hold; h = h->next)
            free_now = !share_a_name(h->names, hold->names);
        if (free_now)
            return hold;
    }
    return NULL;
}

static void on_look(void *ctx)
{
    struct stanch_targets *targets = ctx;
    struct stanch_hold *hold;
    /* `looking` stays set while callbacks run, so that none of them defers a second look or frees us */
    while (!targets->freed && (hold = next_free(targets))) {
        hold->held = true;
        hold->on_held(hold->ctx);
    }
    targets->looking = false;
    if (targets->freed)
        free(targets);
}

static void look_soon(struct stanch_targets *targets)
{
    if (targets->looking)
        return;
    targets->looking = true;
    stanch_loop_defer(targets->loop, on_look, targets);
}

static void put(struct stanch_targets *targets, struct stanch_hold **at, const json_t *names,
                void (*on_held)(void *ctx), void *ctx, struct stanch_hold **ret)
{
    struct stanch_hold *hold = STANCH_NEW(struct stanch_hold);
    hold->names = json_deep_copy(names);
    hold->on_held = on_held;
    hold->ctx = ctx;
    hold->next = *at;
    *at = hold;
    *ret = hold;
    look_soon(targets);
}

void stanch_targets_hold(struct stanch_targets *targets, const json_t *names, void (*on_held)(void *ctx), void *ctx,
                         struct stanch_hold **ret)
{
    struct stanch_hold **end = &targets->first;
    while (*end)
        end = &(*end)->next;
    put(targets, end, names, on_held, ctx, ret);
}

void stanch_targets_hold_again(struct stanch_targets *targets, const json_t *names, void (*on_held)(void *ctx),
                               void *ctx, struct stanch_hold **ret)
{
    if (stanch_is_sabotaged("target-free-after-restart"))
        names = NULL;
    put(targets, &targets->first, names, on_held, ctx, ret);
}

void stanch_targets_release(struct stanch_targets *targets, struct stanch_hold **hold)
{
    if (!*hold)
        return;
    for (struct stanch_hold **at = &targets->first; *at; at = &(*at)->next) {
        if (*at == *hold) {
            *at = (*hold)->next;
            free_hold(*hold);
            break;
        }
    }
    *hold = NULL;
    look_soon(targets);
}
