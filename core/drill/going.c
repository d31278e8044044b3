/* going.c: the last n starts: of each runbook, of each name that is held, of all. */
#include "drill/going.h"
#include "base/json.h"
#include "base/mem.h"
#include "rule/starts.h"
#include <stdlib.h>
#include <string.h>

struct closest { /* n starts and one more */
    int64_t *ring;
    int n;
    int64_t seen, closest_ms; /* closest_ms: known when more than n were seen */
};

struct stanch_going {
    const struct stanch_catalogue *catalogue;
    struct closest *at_once; /* of each runbook; n 0: no limit */
    struct closest *holds;   /* as many names as are held */
    int *held;               /* of each runbook: which of them; -1: none */
    int hold_count;
    struct closest max_runs, storm; /* of all */
    int64_t cap, enter, within_ms, in_storm;
};

static const json_t *limits_of(const struct stanch_catalogue *catalogue, int i)
{
    return json_object_get(catalogue->runbooks[i].declared, "limits");
}

static void begin(struct closest *closest, int64_t n)
{
    closest->n = (int)(n < 0 ? 0 : n > STANCH_STARTS_MAX ? STANCH_STARTS_MAX : n);
    closest->ring = stanch_alloc(((size_t)closest->n + 1) * sizeof *closest->ring);
}

/* returns how long ago the n-th start before this one was; -1: there were not as many */
static int64_t note(struct closest *closest, int64_t at_ms)
{
    if (closest->n == 0)
        return -1;
    int64_t *slot = &closest->ring[closest->seen % closest->n];
    int64_t apart_ms = at_ms > *slot ? at_ms - *slot : 0;
    if (closest->seen == closest->n || (closest->seen > closest->n && apart_ms < closest->closest_ms))
        closest->closest_ms = apart_ms;
    *slot = at_ms;
    return closest->seen++ >= closest->n ? apart_ms : -1;
}

/* Of all runs a cap lets so many go, whoever asks: a quarter is kept for other incidents (flow_turn.c). */
static int64_t below(int64_t cap)
{
    return cap - cap / 4;
}

static void begin_all(struct stanch_going *going, const json_t *limits)
{
    const json_t *storm = json_object_get(limits, "storm");
    going->cap = stanch_json_int(limits, "max_runs", 64);
    going->enter = stanch_json_int(storm, "enter", 60);
    going->within_ms = stanch_json_int(storm, "within_ms", 60000);
    begin(&going->max_runs, going->cap > STANCH_STARTS_MAX ? 0 : below(going->cap));
    begin(&going->storm, going->enter > STANCH_STARTS_MAX ? 0 : going->enter);
}

/* Runbooks that hold the same name hold each other up. */
static int place_of(const struct stanch_going *going, int upto, const char *holds)
{
    for (int i = 0; i < upto; i++)
        if (strcmp(stanch_json_str(limits_of(going->catalogue, i), "holds", ""), holds) == 0)
            return going->held[i];
    return -1;
}

struct stanch_going *stanch_going_new(const struct stanch_catalogue *catalogue, const json_t *limits)
{
    struct stanch_going *going = STANCH_NEW(struct stanch_going);
    size_t room = (size_t)catalogue->count + 1;
    going->catalogue = catalogue;
    going->at_once = stanch_alloc(room * sizeof *going->at_once);
    going->holds = stanch_alloc(room * sizeof *going->holds);
    going->held = stanch_alloc(room * sizeof *going->held);
    memset(going->at_once, 0, room * sizeof *going->at_once);
    memset(going->holds, 0, room * sizeof *going->holds);
    begin_all(going, limits);
    for (int i = 0; i < catalogue->count; i++) {
        const json_t *own = limits_of(catalogue, i);
        const char *holds = stanch_json_str(own, "holds", NULL);
        begin(&going->at_once[i], below(stanch_json_int(own, "at_once", 0)));
        going->held[i] = holds ? place_of(going, i, holds) : -1;
        if (holds && going->held[i] < 0) {
            begin(&going->holds[going->hold_count], 1);
            going->held[i] = going->hold_count++;
        }
    }
    return going;
}

void stanch_going_free(struct stanch_going *going)
{
    if (!going)
        return;
    for (int i = 0; i < going->catalogue->count; i++)
        free(going->at_once[i].ring);
    for (int i = 0; i < going->hold_count; i++)
        free(going->holds[i].ring);
    free(going->at_once);
    free(going->holds);
    free(going->held);
    free(going->max_runs.ring);
    free(going->storm.ring);
    free(going);
}

void stanch_going_note(struct stanch_going *going, int i, int64_t at_ms)
{
    (void)note(&going->at_once[i], at_ms);
    (void)note(&going->max_runs, at_ms);
    if (going->held[i] >= 0)
        (void)note(&going->holds[going->held[i]], at_ms);
    int64_t ago_ms = note(&going->storm, at_ms);
    going->in_storm += ago_ms >= 0 && ago_ms < going->within_ms;
}

static void tell(const struct closest *closest, json_t *limit, json_t *told)
{
    if (closest->n > 0 && closest->seen > closest->n)
        json_array_append_new(told, json_pack("{s:O, s:i, s:I}", "limit", limit, "before", closest->n, "closest_ms",
                                              (json_int_t)closest->closest_ms));
    json_decref(limit);
}

json_t *stanch_going_tell(const struct stanch_going *going, int i)
{
    const json_t *limits = limits_of(going->catalogue, i);
    json_t *told = json_array();
    tell(&going->at_once[i], json_sprintf("at_once = %lld", (long long)stanch_json_int(limits, "at_once", 0)), told);
    if (going->held[i] >= 0)
        tell(&going->holds[going->held[i]], json_sprintf("holds = %s", stanch_json_str(limits, "holds", "")), told);
    return told;
}

void stanch_going_tell_all(const struct stanch_going *going, json_t *report)
{
    json_t *told = json_array();
    tell(&going->max_runs, json_sprintf("limits.max_runs = %lld", (long long)going->cap), told);
    json_object_set_new(report, "cannot_tell", told);
    json_object_set_new(report, "storm",
                        json_pack("{s:I, s:I, s:I}", "enter", (json_int_t)going->enter, "within_ms",
                                  (json_int_t)going->within_ms, "starts", (json_int_t)going->in_storm));
}
