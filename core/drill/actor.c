/* actor.c: the workers of a rehearsal's runs, which are real ones.
 *
 *   engine --start--> [actor] --> a real worker; while one computes, virtual time stands still
 *          <--hand over, the one that was started first--'
 */
#include "base/json.h"
#include "base/mem.h"
#include "drill/rehearsal_parts.h"
#include <stdio.h>
#include <string.h>

struct stanch_actor {
    struct stanch_actor *next;
    struct stanch_rehearsal *r;
    struct stanch_worker *worker;
    struct stanch_worker_events events;
    void *ctx;
    json_t *load_input; /* of one that loads the stage's runbooks, as they are: what it comes to is kept; else NULL */
    bool computes;
    int open; /* wants that were not answered */
    /* what it came to, until nobody computes: wants, or its end */
    json_t *wants;
    bool has_ended; /* `worker` is gone */
    int rc;
    struct stanch_err err;
    json_t *result;
};

bool stanch_actor__computes(const struct stanch_rehearsal *r)
{
    for (const struct stanch_actor *actor = r->actors; actor; actor = actor->next)
        if (actor->computes)
            return true;
    return false;
}

static void drop_actor(struct stanch_actor *actor)
{
    struct stanch_actor **at = &actor->r->actors;
    while (*at != actor)
        at = &(*at)->next;
    *at = actor->next;
    json_decref(actor->load_input);
    json_decref(actor->wants);
    json_decref(actor->result);
    free(actor);
}

static void note_covered(struct stanch_rehearsal *r, const json_t *covered)
{
    const char *path;
    json_t *lines;
    json_object_foreach((json_t *)(uintptr_t)covered, path, lines)
    {
        json_t *known = json_object_get(r->covered, path);
        if (!known)
            json_object_set_new(r->covered, path, known = json_object());
        for (size_t i = 0; i < json_array_size(lines); i++) {
            char line[24];
            (void)snprintf(line, sizeof line, "%lld", (long long)json_integer_value(json_array_get(lines, i)));
            json_object_set_new(known, line, json_true());
        }
    }
}

/* The last of the wants may be which lines were run since: that is for us, not for the engine. With nothing else in it, and
 * nothing asked, it is a worker's last word before its end. */
static void on_wants(void *ctx, const json_t *wants)
{
    struct stanch_actor *actor = ctx;
    size_t count = json_array_size(wants);
    const json_t *covered = count ? json_object_get(json_array_get(wants, count - 1), "covered") : NULL;
    STANCH_AUTO_JSON json_t *rest = json_copy((json_t *)(uintptr_t)wants);
    if (covered) {
        note_covered(actor->r, covered);
        json_array_remove(rest, count - 1);
    }
    actor->open += (int)json_array_size(rest);
    if (covered && actor->open == 0)
        return;
    actor->computes = false;
    json_decref(actor->wants);
    actor->wants = STANCH_TAKE(rest);
}

/* Ten thousand plays load it once; what is loaded is never changed. */
static void keep_loaded(struct stanch_stage *stage, json_t *input, const json_t *result)
{
    json_decref(stage->load_input);
    json_decref(stage->loaded);
    stage->load_input = json_incref(input);
    stage->loaded = json_incref((json_t *)(uintptr_t)result);
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_actor *actor = ctx;
    actor->computes = false;
    actor->has_ended = true;
    actor->worker = NULL;
    actor->rc = rc;
    if (err)
        actor->err = *err;
    actor->result = json_incref((json_t *)(uintptr_t)result);
    if (rc == 0 && actor->load_input)
        keep_loaded(actor->r->stage, actor->load_input, result);
    note_covered(actor->r, json_object_get(result, "covered"));
}

/* The one that was started last is the first of the list. */
static struct stanch_actor *first_come(const struct stanch_rehearsal *r)
{
    struct stanch_actor *first = NULL;
    for (struct stanch_actor *actor = r->actors; actor; actor = actor->next)
        if (actor->wants || actor->has_ended)
            first = actor;
    return first;
}

bool stanch_actor__hand_over(struct stanch_rehearsal *r)
{
    struct stanch_actor *actor = first_come(r);
    if (!actor)
        return false;
    STANCH_AUTO_JSON json_t *wants = STANCH_TAKE(actor->wants);
    if (wants) { /* before its end, if both have come; the actor may be gone afterwards */
        actor->events.on_wants(actor->ctx, wants);
        return true;
    }
    STANCH_AUTO_JSON json_t *result = json_incref(actor->result);
    struct stanch_worker_events events = actor->events;
    struct stanch_err err = actor->err;
    void *ctx = actor->ctx;
    int rc = actor->rc;
    drop_actor(actor);
    events.on_end(ctx, rc, &err, result);
    return true;
}

int stanch_actor__start(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                        void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err)
{
    static const struct stanch_worker_events own = {on_wants, on_end};
    struct stanch_rehearsal *r = ctx;
    STANCH_AUTO_JSON json_t *input = json_incref(spec->input);
    struct stanch_worker_spec given = *spec;
    if (r->spec->cover && strcmp(spec->kind, "run") == 0) {
        json_decref(input);
        input = json_copy(spec->input);
        json_object_set_new(input, "cover", json_true());
        given.input = input;
    }
    bool loads = strcmp(spec->kind, "load") == 0 && !r->spec->sources; /* a mutant is another one each time */
    bool is_known = loads && r->stage->loaded && json_equal(r->stage->load_input, spec->input);
    struct stanch_actor *actor = STANCH_NEW(struct stanch_actor);
    *actor = (struct stanch_actor){.r = r, .events = *events, .ctx = worker_ctx, .computes = !is_known};
    actor->has_ended = is_known;
    actor->result = is_known ? json_incref(r->stage->loaded) : NULL;
    actor->load_input = loads && !is_known ? json_incref(spec->input) : NULL;
    int rc = is_known ? 0 : stanch_worker_start(r->stage->runner, &given, &own, actor, &actor->worker, err);
    if (rc < 0) {
        json_decref(actor->load_input);
        free(actor);
        return rc;
    }
    actor->next = r->actors;
    r->actors = actor;
    *ret = (struct stanch_worker *)actor;
    return 0;
}

int stanch_actor__answer(void *ctx, struct stanch_worker *handle, int64_t n, const json_t *answer,
                         struct stanch_err *err)
{
    struct stanch_actor *actor = (struct stanch_actor *)handle;
    (void)ctx;
    if (actor->has_ended)
        return stanch_err_set(err, STANCH_E_CRASHED, "the worker has ended");
    int rc = stanch_worker_answer(actor->worker, n, answer, err);
    actor->computes = rc == 0 || actor->computes;
    actor->open -= rc == 0;
    return rc;
}

void stanch_actor__kill(void *ctx, struct stanch_worker *handle)
{
    struct stanch_actor *actor = (struct stanch_actor *)handle;
    (void)ctx;
    if (!actor)
        return;
    stanch_worker_kill(actor->worker);
    drop_actor(actor);
}

void stanch_actor__kill_all(struct stanch_rehearsal *r)
{
    while (r->actors)
        stanch_actor__kill(r, (struct stanch_worker *)r->actors);
}
