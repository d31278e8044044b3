/* virtual.c: what limits have to remember, for each runbook. */
#include "drill/virtual.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "rule/starts.h"
#include "run/stop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEW_GROUPS 1024 /* what is over is looked for when there are more, and twice as many as the last look left */

/* What one runbook's limits remember. */
struct memory {
    json_t *at;     /* times of its starts, within reach */
    json_t *groups; /* key -> when its run was created */
    size_t look_at; /* groups, before what is over is dropped */
};

struct stanch_virtual {
    const struct stanch_catalogue *catalogue;
    const json_t *incidents;
    struct memory *memories; /* as many as runbooks */
    int64_t now_ms;          /* virtual: grows only */
    int64_t received_ms;     /* of the last event, by its own clock */
};

struct stanch_virtual *stanch_virtual_new(const struct stanch_catalogue *catalogue, const json_t *incidents)
{
    struct stanch_virtual *self = STANCH_NEW(struct stanch_virtual);
    self->catalogue = catalogue;
    self->incidents = incidents;
    self->memories = stanch_alloc(((size_t)catalogue->count + 1) * sizeof *self->memories);
    for (int i = 0; i < catalogue->count; i++)
        self->memories[i] = (struct memory){json_array(), json_object(), FEW_GROUPS};
    return self;
}

void stanch_virtual_free(struct stanch_virtual *self)
{
    if (!self)
        return;
    for (int i = 0; i < self->catalogue->count; i++) {
        json_decref(self->memories[i].at);
        json_decref(self->memories[i].groups);
    }
    free(self->memories);
    free(self);
}

int64_t stanch_virtual_reach_ms(const struct stanch_virtual *self)
{
    int64_t reach_ms = 0;
    for (int i = 0; i < self->catalogue->count; i++) {
        const json_t *declared = self->catalogue->runbooks[i].declared;
        int64_t starts = stanch_starts_reach_ms(declared), group = stanch_starts_group_within_ms(declared);
        reach_ms = starts > reach_ms ? starts : reach_ms;
        reach_ms = group > reach_ms ? group : reach_ms;
    }
    return reach_ms;
}

/* ---- time ---- */

static void pass_time(struct stanch_virtual *self, const json_t *event)
{
    int64_t received_ms = stanch_json_int(event, "received_ms", self->received_ms);
    int64_t passed_ms = received_ms - self->received_ms;
    if (self->now_ms == 0)
        self->now_ms = received_ms;
    else if (passed_ms > 0)
        self->now_ms += passed_ms;
    self->received_ms = received_ms;
}

/* ---- what is over ---- */

static void drop_starts(json_t *at, int64_t over_ms)
{
    while (json_array_size(at) && json_integer_value(json_array_get(at, 0)) <= over_ms)
        json_array_remove(at, 0);
}

static void drop_groups(struct memory *memory, const json_t *declared, int64_t now_ms)
{
    const char *key;
    json_t *created;
    void *next;
    if (json_object_size(memory->groups) < memory->look_at)
        return;
    json_object_foreach_safe(memory->groups, next, key, created)
    {
        if (!stanch_starts_joins(declared, json_integer_value(created), now_ms))
            json_object_del(memory->groups, key);
    }
    memory->look_at = FEW_GROUPS + 2 * json_object_size(memory->groups);
}

static void note_start(const struct stanch_virtual *self, const json_t *declared, const char *group,
                       struct memory *memory)
{
    int64_t reach_ms = stanch_starts_reach_ms(declared);
    if (reach_ms > 0) {
        drop_starts(memory->at, self->now_ms - reach_ms);
        stanch_starts_note(memory->at, self->now_ms);
    }
    if (*group && stanch_starts_group_within_ms(declared) > 0) {
        drop_groups(memory, declared, self->now_ms);
        json_object_set_new(memory->groups, group, json_integer(self->now_ms));
    }
}

/* ---- one event ---- */

/* Text that may hold what a label said, cut at the border of a character. */
static void say(struct stanch_verdict *verdict, const char *text)
{
    size_t len = strlen(text);
    if (len >= sizeof verdict->why) {
        len = sizeof verdict->why - 1;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    memcpy(verdict->why, text, len);
    verdict->why[len] = 0;
}

static void hold(struct stanch_verdict *verdict, const char *by, const char *why)
{
    verdict->became = STANCH_BECAME_HELD;
    verdict->by = by;
    say(verdict, why);
}

/* Does a stop hold it? */
static bool is_stopped(const json_t *stops, const json_t *declared, struct stanch_verdict *verdict)
{
    const json_t *stop = stanch_stop_find_start(stops, stanch_json_str(declared, "name", ""));
    STANCH_AUTO_FREE char *why = stop ? stanch_stop_why(stop) : NULL;
    if (why)
        hold(verdict, "stop", why);
    return why != NULL;
}

static void start_or_hold(const struct stanch_virtual *self, const json_t *declared, const json_t *event,
                          const char *incident, struct memory *memory, struct stanch_verdict *ret)
{
    char group[65] = "", why[200] = "";
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *params = NULL;
    if (stanch_params_resolve(json_object_get(declared, "params"), event, NULL, &params, &err) < 0) {
        hold(ret, "parameter", err.text);
        return;
    }
    if (stanch_starts_group(declared, event, params, incident, group, NULL) < 0)
        group[0] = 0;
    const json_t *created = *group ? json_object_get(memory->groups, group) : NULL;
    if (created && stanch_starts_joins(declared, json_integer_value(created), self->now_ms)) {
        ret->became = STANCH_BECAME_JOINED;
        return;
    }
    enum stanch_starts may = stanch_starts_judge(declared, memory->at, self->now_ms, why);
    if (may != STANCH_STARTS_MAY) {
        hold(ret, may == STANCH_STARTS_COOLDOWN ? "cooldown" : "at_most", why);
        return;
    }
    ret->became = STANCH_BECAME_STARTED;
    note_start(self, declared, group, memory);
}

/* An event that belonged to no incident would have got one by now: that of its correlation. */
static const char *incident_of(const struct stanch_virtual *self, const json_t *event, const char *incident,
                               char room[80])
{
    char correlation[65];
    if (incident)
        return incident;
    if (stanch_incident_correlation(self->incidents, event, correlation) < 0)
        correlation[0] = 0;
    (void)snprintf(room, 80, "would-be %s", correlation);
    return room;
}

void stanch_virtual_take(struct stanch_virtual *self, const json_t *event, const char *incident, const json_t *stops,
                         struct stanch_verdict *ret)
{
    char room[80], why[256];
    const char *belongs_to = NULL;
    int64_t at_ms = stanch_json_int(event, "received_ms", self->received_ms);
    pass_time(self, event);
    for (int i = 0; i < self->catalogue->count; i++) {
        const struct stanch_runbook *runbook = &self->catalogue->runbooks[i];
        ret[i].became = STANCH_BECAME_NONE;
        ret[i].by = NULL;
        ret[i].why[0] = 0;
        enum stanch_match match = stanch_flow__triggers(runbook, event, at_ms, why);
        if (match == STANCH_MATCH && is_stopped(stops, runbook->declared, &ret[i]))
            continue;
        if (match == STANCH_MATCH) {
            belongs_to = belongs_to ? belongs_to : incident_of(self, event, incident, room);
            start_or_hold(self, runbook->declared, event, belongs_to, &self->memories[i], &ret[i]);
        } else if (match == STANCH_MATCH_TOO_OLD) {
            hold(&ret[i], "max_age", why);
        } else {
            say(&ret[i], why);
        }
    }
}

void stanch_virtual_recall(struct stanch_virtual *self, const json_t *event, const char *incident, int i)
{
    char room[80], group[65] = "";
    const json_t *declared = self->catalogue->runbooks[i].declared;
    STANCH_AUTO_JSON json_t *params = NULL;
    struct stanch_err err = {0};
    pass_time(self, event);
    if (stanch_params_resolve(json_object_get(declared, "params"), event, NULL, &params, &err) < 0 ||
        stanch_starts_group(declared, event, params, incident_of(self, event, incident, room), group, NULL) < 0)
        group[0] = 0; /* by this version it has no key: nothing joins it */
    note_start(self, declared, group, &self->memories[i]);
}
