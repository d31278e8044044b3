/* tally.c: each event's verdicts beside the rows that were recorded for it, by the runbooks' names.
 *
 * A start is a run that came to be because of the alert; whether it then waited for its turn or for a person is another matter.
 * What was held then and starts now is a difference, whatever held it: a storm, a limit, a stop of which the timeline does not tell. */
#include "drill/tally.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/going.h"
#include <string.h>

static const char *const holders[] = {"max_age", "stop", "parameter", "cooldown", "at_most"};
#define HOLDERS (sizeof holders / sizeof *holders)

struct counts { /* of one runbook */
    int64_t matched, started, joined, held[HOLDERS], first_ms, last_ms;
    int64_t then_started, then_joined, then_held;
};

struct list {
    int64_t count;
    json_t *listed;
};

struct stanch_tally {
    const struct stanch_catalogue *catalogue;
    const json_t *autonomies;
    size_t max_listed;
    struct counts *counts; /* as many as runbooks */
    struct stanch_going *going;
    json_t *places;      /* name -> its place in the catalogue */
    json_t *gone;        /* name -> {"started","joined","held"} */
    const json_t **rows; /* what was recorded of each runbook of the catalogue, for the event at hand */
    int64_t events, not_told, from_ms, until_ms;
    struct list fired, would_start, would_not;
};

/* What was, of one runbook. */
struct then {
    enum stanch_became became;
    bool told; /* else only that it matched: an earlier release did not record what came of it */
    const char *word, *why, *run;
};

static const char *name_of(const struct stanch_tally *tally, int i)
{
    return stanch_json_str(tally->catalogue->runbooks[i].declared, "name", "");
}

struct stanch_tally *stanch_tally_new(const struct stanch_catalogue *catalogue, const json_t *autonomies,
                                      const json_t *limits, size_t listed)
{
    struct stanch_tally *tally = STANCH_NEW(struct stanch_tally);
    size_t room = (size_t)catalogue->count + 1;
    tally->catalogue = catalogue;
    tally->autonomies = autonomies;
    tally->max_listed = listed;
    tally->counts = stanch_alloc(room * sizeof *tally->counts);
    memset(tally->counts, 0, room * sizeof *tally->counts);
    tally->rows = stanch_alloc(room * sizeof *tally->rows);
    tally->going = stanch_going_new(catalogue, limits);
    tally->places = json_object();
    tally->gone = json_object();
    tally->fired.listed = json_array();
    tally->would_start.listed = json_array();
    tally->would_not.listed = json_array();
    for (int i = 0; i < catalogue->count; i++)
        json_object_set_new(tally->places, name_of(tally, i), json_integer(i));
    return tally;
}

void stanch_tally_free(struct stanch_tally *tally)
{
    if (!tally)
        return;
    stanch_going_free(tally->going);
    free(tally->counts);
    free(tally->rows);
    json_decref(tally->places);
    json_decref(tally->gone);
    json_decref(tally->fired.listed);
    json_decref(tally->would_start.listed);
    json_decref(tally->would_not.listed);
    free(tally);
}

/* ---- what was ---- */

static struct then then_of(const json_t *row, const json_t *decided)
{
    struct then then = {.told = true, .word = "not there", .why = "the runbook was not there"};
    if (!stanch_json_bool(decided, "matched", false)) {
        then.word = "not matched";
        then.why = "no commit of the runbooks was accepted when it came";
        return then;
    }
    if (!row)
        return then;
    bool match = stanch_json_bool(row, "match", false);
    const char *outcome = stanch_json_str(row, "outcome", NULL);
    then.told = outcome || !match;
    then.word = outcome ? outcome : match ? "matched" : "no match";
    then.why = stanch_json_str(row, "why", NULL);
    then.run = stanch_json_str(row, "run", NULL);
    if (outcome)
        then.became = strcmp(outcome, "held") == 0     ? STANCH_BECAME_HELD
                      : strcmp(outcome, "joined") == 0 ? STANCH_BECAME_JOINED
                                                       : STANCH_BECAME_STARTED; /* started, queued, asking */
    return then;
}

bool stanch_tally_had_started(const struct stanch_tally *tally, int i, const json_t *decided)
{
    const json_t *considered = json_object_get(decided, "considered");
    for (size_t r = 0; r < json_array_size(considered); r++) {
        const json_t *row = json_array_get(considered, r);
        if (strcmp(stanch_json_str(row, "runbook", ""), name_of(tally, i)) != 0)
            continue;
        struct then then = then_of(row, decided);
        return then.became == STANCH_BECAME_STARTED || !then.told;
    }
    return false;
}

/* ---- lists ---- */

static const char *word_of(enum stanch_became outcome)
{
    static const char *const words[] = {"no match", "held", "joined", "started"};
    return words[outcome];
}

static void set_text(json_t *obj, const char *key, const char *text)
{
    if (text && *text)
        json_object_set_new(obj, key, json_string(text));
}

/* verdict: NULL: the runbook is not in this version */
static void list_one(const struct stanch_tally *tally, struct list *list, const json_t *event, const char *runbook,
                     const struct then *then, const struct stanch_verdict *verdict, const char *autonomy)
{
    list->count++;
    if (json_array_size(list->listed) >= tally->max_listed)
        return;
    json_t *was = json_pack("{s:s}", "outcome", then->word);
    json_t *now = json_pack("{s:s}", "outcome", verdict ? word_of(verdict->became) : "not there");
    set_text(was, "why", then->why);
    set_text(was, "run", then->run);
    set_text(now, "by", verdict ? verdict->by : NULL);
    set_text(now, "why", verdict ? verdict->why : "the runbook is not in this version");
    json_t *one = json_pack("{s:s, s:I, s:s, s:s, s:o, s:o}", "event", stanch_json_str(event, "event", ""), "at_ms",
                            (json_int_t)stanch_json_int(event, "received_ms", 0), "name",
                            stanch_json_str(event, "name", ""), "runbook", runbook, "then", was, "now", now);
    set_text(one, "autonomy", autonomy);
    json_array_append_new(list->listed, one);
}

/* ---- one event ---- */

static void count_verdict(struct counts *counts, const struct stanch_verdict *verdict, int64_t at_ms)
{
    for (size_t h = 0; verdict->by && h < HOLDERS; h++)
        counts->held[h] += strcmp(holders[h], verdict->by) == 0;
    bool too_old = verdict->by && strcmp(verdict->by, "max_age") == 0;
    counts->matched += verdict->became != STANCH_BECAME_NONE && !too_old;
    counts->joined += verdict->became == STANCH_BECAME_JOINED;
    if (verdict->became != STANCH_BECAME_STARTED)
        return;
    counts->first_ms = counts->started++ ? counts->first_ms : at_ms;
    counts->last_ms = at_ms;
}

static void count_then(struct counts *counts, const struct then *then)
{
    counts->then_started += then->became == STANCH_BECAME_STARTED;
    counts->then_joined += then->became == STANCH_BECAME_JOINED;
    counts->then_held += then->became == STANCH_BECAME_HELD;
}

static void add_gone(struct stanch_tally *tally, const json_t *event, const json_t *row, const json_t *decided)
{
    const char *name = stanch_json_str(row, "runbook", "");
    struct then then = then_of(row, decided);
    if (then.became == STANCH_BECAME_NONE && then.told)
        return;
    tally->not_told += !then.told;
    json_t *seen = json_object_get(tally->gone, name);
    if (!seen) {
        seen = json_pack("{s:i, s:i, s:i}", "started", 0, "joined", 0, "held", 0);
        json_object_set_new(tally->gone, name, seen);
    }
    if (then.told)
        json_object_set_new(seen, word_of(then.became),
                            json_integer(stanch_json_int(seen, word_of(then.became), 0) + 1));
    if (then.became == STANCH_BECAME_STARTED)
        list_one(tally, &tally->would_not, event, name, &then, NULL, NULL);
}

/* Which row is whose; those of runbooks that are not in this version are told at once. */
static void place_rows(struct stanch_tally *tally, const json_t *event, const json_t *decided)
{
    const json_t *considered = json_object_get(decided, "considered");
    for (int i = 0; i < tally->catalogue->count; i++)
        tally->rows[i] = NULL;
    for (size_t r = 0; r < json_array_size(considered); r++) {
        const json_t *row = json_array_get(considered, r);
        const json_t *place = json_object_get(tally->places, stanch_json_str(row, "runbook", ""));
        if (place)
            tally->rows[json_integer_value(place)] = row;
        else
            add_gone(tally, event, row, decided);
    }
}

static void compare(struct stanch_tally *tally, const json_t *event, int i, const struct stanch_verdict *verdict,
                    const struct then *then)
{
    bool starts = verdict->became == STANCH_BECAME_STARTED, started = then->became == STANCH_BECAME_STARTED;
    const char *autonomy = stanch_json_str(json_array_get(tally->autonomies, (size_t)i), "mode", NULL);
    if (starts) {
        stanch_going_note(tally->going, i, stanch_json_int(event, "received_ms", 0));
        list_one(tally, &tally->fired, event, name_of(tally, i), then, verdict, autonomy);
    }
    if (!then->told)
        tally->not_told++;
    else if (starts && !started)
        list_one(tally, &tally->would_start, event, name_of(tally, i), then, verdict, autonomy);
    else if (started && !starts)
        list_one(tally, &tally->would_not, event, name_of(tally, i), then, verdict, autonomy);
}

void stanch_tally_add(struct stanch_tally *tally, const json_t *event, const struct stanch_verdict *verdicts,
                      const json_t *decided)
{
    int64_t at_ms = stanch_json_int(event, "received_ms", 0);
    tally->from_ms = tally->events++ ? tally->from_ms : at_ms;
    tally->until_ms = at_ms;
    place_rows(tally, event, decided);
    for (int i = 0; i < tally->catalogue->count; i++) {
        struct then then = then_of(tally->rows[i], decided);
        count_verdict(&tally->counts[i], &verdicts[i], at_ms);
        count_then(&tally->counts[i], &then);
        compare(tally, event, i, &verdicts[i], &then);
    }
}

/* ---- told ---- */

static json_t *tell_runbook(const struct stanch_tally *tally, int i)
{
    const struct stanch_runbook *runbook = &tally->catalogue->runbooks[i];
    const struct counts *counts = &tally->counts[i];
    json_t *held = json_object();
    for (size_t h = 0; h < HOLDERS; h++)
        if (counts->held[h])
            json_object_set_new(held, holders[h], json_integer(counts->held[h]));
    json_t *told = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:o, s:{s:I, s:I, s:I}, s:o}", "runbook",
                             name_of(tally, i), "path", stanch_json_str(runbook->declared, "path", ""), "by_hand",
                             runbook->triggers == NULL, "matched", (json_int_t)counts->matched, "started",
                             (json_int_t)counts->started, "joined", (json_int_t)counts->joined, "held", held, "then",
                             "started", (json_int_t)counts->then_started, "joined", (json_int_t)counts->then_joined,
                             "held", (json_int_t)counts->then_held, "cannot_tell", stanch_going_tell(tally->going, i));
    json_t *autonomy = json_array_get(tally->autonomies, (size_t)i);
    if (autonomy)
        json_object_set(told, "autonomy", autonomy);
    if (counts->started) {
        json_object_set_new(told, "first_ms", json_integer(counts->first_ms));
        json_object_set_new(told, "last_ms", json_integer(counts->last_ms));
    }
    return told;
}

static json_t *tell_list(const struct list *list)
{
    return json_pack("{s:I, s:O}", "count", (json_int_t)list->count, "listed", list->listed);
}

void stanch_tally_tell(const struct stanch_tally *tally, json_t *report)
{
    json_t *runbooks = json_array();
    for (int i = 0; i < tally->catalogue->count; i++)
        json_array_append_new(runbooks, tell_runbook(tally, i));
    json_object_set_new(report, "events", json_integer(tally->events));
    json_object_set_new(report, "not_told", json_integer(tally->not_told));
    if (tally->events) {
        json_object_set_new(report, "from_ms", json_integer(tally->from_ms));
        json_object_set_new(report, "until_ms", json_integer(tally->until_ms));
    }
    json_object_set_new(report, "runbooks", runbooks);
    json_object_set(report, "gone", tally->gone);
    json_object_set_new(report, "fired", tell_list(&tally->fired));
    json_object_set_new(report, "would_start", tell_list(&tally->would_start));
    json_object_set_new(report, "would_not", tell_list(&tally->would_not));
    stanch_going_tell_all(tally->going, report);
}
