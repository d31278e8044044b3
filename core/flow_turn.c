/* flow_turn.c: when a run may start. A match answers with one of:
 *
 *   run.joined    a run of the same runbook and key began a moment ago: it is for this alert too
 *   run.started   there is room
 *   run.queued    there is none, by the caps: it waits for its turn    --room--> run.started
 *   run.asking    in a storm: it waits for a person (flow_storm.c)     --yes---> run.queued    --no--> run.held
 *   run.held      the queue is full, or it waited until its alert was too old or had resolved
 *
 * The queue is rows in the journal; what is here only tells whose turn it is. Caps count runs that are going
 * (run/turn.c). Of each cap a quarter is kept for incidents that have no run going under it, and turns go to the incident
 * with the fewest runs, so that one incident with hundreds of runs, or with stuck ones, does not delay another.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "flow_parts.h"
#include "model/fold.h"
#include "rule/starts.h"
#include "run/stop.h"
#include <string.h>

#define DEFAULT_AT_ONCE 16

static int64_t limit(const struct stanch_flow *flow, const char *name, int64_t otherwise)
{
    return stanch_json_int(json_object_get(flow->config, "limits"), name, otherwise);
}

/* ---- the queue ---- */

static void add_waiting(struct stanch_flow *flow, const json_t *run, const char *incident, bool asking)
{
    static const char *const kept[] = {"run",   "runbook",     "at_once", "start_before_ms", "queued_ms",
                                       "holds", "on_resolved", "firing",  "params",          "because"};
    struct stanch_waiting *waiting = STANCH_NEW(struct stanch_waiting);
    waiting->asking = asking;
    waiting->doc = json_object();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *member = json_object_get(run, kept[i]);
        if (member)
            json_object_set(waiting->doc, kept[i], member);
    }
    json_object_set_new(waiting->doc, "incident", json_string(incident));
    struct stanch_waiting **end = &flow->waiting;
    while (*end)
        end = &(*end)->next;
    *end = waiting;
    flow->waiting_count++;
}

static void free_waiting(struct stanch_waiting *waiting)
{
    json_decref(waiting->doc);
    free(waiting);
}

static void drop_waiting(struct stanch_flow *flow, struct stanch_waiting *waiting)
{
    for (struct stanch_waiting **at = &flow->waiting; *at; at = &(*at)->next) {
        if (*at == waiting) {
            *at = waiting->next;
            flow->waiting_count--;
            free_waiting(waiting);
            return;
        }
    }
}

void stanch_flow__waiting_free(struct stanch_flow *flow)
{
    while (flow->waiting)
        drop_waiting(flow, flow->waiting);
}

struct stanch_waiting *stanch_flow__waiting(struct stanch_flow *flow, const char *run)
{
    for (struct stanch_waiting *waiting = flow->waiting; waiting; waiting = waiting->next)
        if (strcmp(stanch_json_str(waiting->doc, "run", ""), run) == 0)
            return waiting;
    return NULL;
}

int stanch_flow__leave_queue(struct stanch_flow *flow, struct stanch_waiting *waiting, const char *kind, const char *by,
                             const char *why)
{
    const char *run = stanch_json_str(waiting->doc, "run", "");
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(
        batch, stanch_json_str(waiting->doc, "incident", STANCH_CHAIN_NONE), kind, by, run,
        json_pack("{s:s, s:s, s:s}", "run", run, "runbook", stanch_json_str(waiting->doc, "runbook", ""), "why", why));
    int rc = stanch_journal_append(flow->journal, batch, NULL, NULL, &err);
    if (rc < 0) {
        stanch_log(STANCH_LOG_WARN, "flow", "%s stays in the queue: %s", run, err.text);
        return rc;
    }
    stanch_flow__count(flow, "runs_dropped");
    drop_waiting(flow, waiting);
    return 0;
}

/* ---- joining ---- */

/* The run that is for this key: of the batch in the making, or of the journal. new */
static json_t *run_of_group(struct stanch_flow *flow, const char *group)
{
    json_t *draft = json_object_get(flow->draft, group);
    if (draft)
        return json_incref(draft);
    STANCH_AUTO_FREE char *id = stanch_asprintf("group:%s", group);
    STANCH_AUTO_JSON json_t *key = stanch_journal_see(flow->journal, "key", id);
    const char *run = stanch_json_str(key, "run", NULL);
    return run ? stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "run", run) : NULL;
}

/* What later events of the same batch find. */
static void draft_group(struct stanch_flow *flow, const char *group, const char *run, int64_t created_ms,
                        int64_t joined, int64_t firing)
{
    json_object_set_new(flow->draft, group,
                        json_pack("{s:s, s:I, s:I, s:I}", "id", run, "created_ms", (json_int_t)created_ms, "joined",
                                  (json_int_t)joined, "firing", (json_int_t)firing));
}

static bool join(struct stanch_flow *flow, const struct stanch_runbook *runbook, const char *group, const json_t *event,
                 const char *incident, struct stanch_batch *batch, json_t *ret_runs, json_t *began)
{
    if (stanch_starts_group_within_ms(runbook->declared) == 0 || stanch_is_sabotaged("group-ignored"))
        return false;
    STANCH_AUTO_JSON json_t *run = run_of_group(flow, group);
    int64_t created = stanch_json_int(run, "created_ms", 0);
    /* the clock may have been set back: how long ago is not known then */
    if (!run || !stanch_starts_joins(runbook->declared, created, stanch_flow__now(flow)))
        return false;
    const char *id = stanch_json_str(run, "id", "");
    int64_t joined = stanch_json_int(run, "joined", 0) + 1, firing = stanch_json_int(run, "firing", 1) + 1;
    stanch_batch_add(batch, incident, "run.joined", STANCH_BY_STANCH, id,
                     json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "run", id, "runbook",
                               stanch_json_str(runbook->declared, "name", ""), "joined_event",
                               stanch_json_str(event, "id", ""), "joined_name",
                               stanch_json_str(event, "name", "an alert"), "joined", (json_int_t)joined, "firing",
                               (json_int_t)firing));
    json_array_append_new(ret_runs, json_string(id));
    json_array_append_new(began, json_pack("{s:s}", "joined", id));
    draft_group(flow, group, id, created, joined, firing);
    return true;
}

bool stanch_flow__join(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *event,
                       const json_t *params, const char *incident, struct stanch_batch *batch, json_t *ret_runs,
                       json_t *began, char ret_group[65])
{
    if (stanch_starts_group(runbook->declared, event, params, incident, ret_group, NULL) < 0) {
        ret_group[0] = 0;
        return false;
    }
    return join(flow, runbook, ret_group, event, incident, batch, ret_runs, began);
}

/* ---- room ---- */

/* Going in the engine, and begun in the batch that is in the making. */
static int64_t going(const struct stanch_flow *flow, const json_t *began, const char *runbook, const char *incident)
{
    int64_t count = stanch_engine_going(flow->engine, runbook, incident);
    for (size_t i = 0; i < json_array_size(began); i++) {
        const json_t *one = json_array_get(began, i), *data = json_object_get(one, "data");
        if (!data || json_object_get(one, "waits"))
            continue;
        count += (!runbook || strcmp(stanch_json_str(data, "runbook", ""), runbook) == 0) &&
                 (!incident || strcmp(stanch_json_str(one, "incident", ""), incident) == 0);
    }
    return count;
}

/* Is one more below the cap? A quarter of it is kept for incidents that have none. */
static bool is_below(int64_t cap, int64_t all, int64_t of_incident)
{
    return all < (of_incident > 0 ? cap - cap / 4 : cap);
}

static bool has_room(const struct stanch_flow *flow, const json_t *run, const char *incident, const json_t *began,
                     char why[200])
{
    const char *runbook = stanch_json_str(run, "runbook", "");
    int64_t max_runs = limit(flow, "max_runs", 64), at_once = stanch_json_int(run, "at_once", DEFAULT_AT_ONCE);
    if (stanch_is_sabotaged("run-cap-ignored"))
        return true;
    int64_t all = going(flow, began, NULL, NULL), of_runbook = going(flow, began, runbook, NULL);
    if (!is_below(max_runs, all, going(flow, began, NULL, incident))) {
        (void)snprintf(why, 200, "%lld runs are going, limits.max_runs is %lld%s", (long long)all, (long long)max_runs,
                       all < max_runs ? "; the rest is kept for other incidents" : "");
        return false;
    }
    if (!is_below(at_once, of_runbook, going(flow, began, runbook, incident))) {
        (void)snprintf(why, 200, "%lld runs of it are going, its limits.at_once is %lld%s", (long long)of_runbook,
                       (long long)at_once, of_runbook < at_once ? "; the rest is kept for other incidents" : "");
        return false;
    }
    return true;
}

static int waiting_in(const struct stanch_flow *flow, const json_t *began)
{
    int count = flow->waiting_count;
    for (size_t i = 0; i < json_array_size(began); i++)
        count += json_object_get(json_array_get(began, i), "waits") != NULL;
    return count;
}

const char *stanch_flow__turn(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *event,
                              const char *incident, json_t *began, json_t *data, char why[200])
{
    const char *kind = "run.started";
    json_object_set_new(
        data, "at_once",
        json_integer(stanch_json_int(json_object_get(runbook->declared, "limits"), "at_once", DEFAULT_AT_ONCE)));
    if (stanch_flow__storm_start(flow)) {
        kind = "run.asking";
        (void)snprintf(why, 200, "it matched in a storm, a person is asked");
    } else if (!has_room(flow, data, incident, began, why)) {
        kind = "run.queued";
    }
    if (strcmp(kind, "run.started") == 0)
        return kind;
    int64_t max_queued = limit(flow, "max_queued", 1000);
    if (waiting_in(flow, began) >= max_queued && !stanch_is_sabotaged("queue-unbounded")) {
        (void)snprintf(why, 200, "%lld runs wait already, limits.max_queued is %lld", (long long)max_queued,
                       (long long)max_queued);
        return NULL;
    }
    json_object_set_new(data, "queued_ms", json_integer(stanch_flow__now(flow)));
    json_object_set_new(data, "why", json_string(why));
    if (runbook->triggers && event)
        json_object_set_new(data, "start_before_ms",
                            json_integer(stanch_triggers_fresh_until(runbook->triggers, event)));
    stanch_flow__count(flow, strcmp(kind, "run.queued") == 0 ? "runs_queued" : "runs_asking");
    return kind;
}

void stanch_flow__began(struct stanch_flow *flow, json_t *began, const char *kind, const char *incident, json_t *data)
{
    json_t *one = json_pack("{s:O, s:s}", "data", data, "incident", incident);
    if (strcmp(kind, "run.started") != 0)
        json_object_set_new(one, "waits", json_string(kind));
    json_array_append_new(began, one);
    const char *group = stanch_json_str(data, "group", NULL);
    if (group)
        draft_group(flow, group, stanch_json_str(data, "run", ""), stanch_flow__now(flow), 0, 1);
}

/* ---- appended ---- */

static void join_one(struct stanch_flow *flow, const char *run)
{
    struct stanch_waiting *waiting = stanch_flow__waiting(flow, run);
    stanch_flow__count(flow, "runs_joined");
    if (waiting)
        json_object_set_new(waiting->doc, "firing", json_integer(stanch_json_int(waiting->doc, "firing", 1) + 1));
    else
        stanch_engine_joined(flow->engine, run);
}

void stanch_flow__begin_all(struct stanch_flow *flow, const json_t *began)
{
    for (size_t i = 0; i < json_array_size(began); i++) {
        const json_t *one = json_array_get(began, i), *data = json_object_get(one, "data");
        const char *incident = stanch_json_str(one, "incident", STANCH_CHAIN_NONE);
        const char *waits = stanch_json_str(one, "waits", NULL), *joined = stanch_json_str(one, "joined", NULL);
        if (joined)
            join_one(flow, joined);
        else if (waits)
            add_waiting(flow, data, incident, strcmp(waits, "run.asking") == 0);
        else
            stanch_engine_begin(flow->engine, data, incident);
    }
}

/* ---- turns ---- */

static bool can_start(const struct stanch_flow *flow, const struct stanch_waiting *waiting, const json_t *stops)
{
    char why[200];
    const char *runbook = stanch_json_str(waiting->doc, "runbook", "");
    const char *holds = stanch_json_str(waiting->doc, "holds", NULL);
    return !waiting->asking && !stanch_stop_find_start(stops, runbook) &&
           !(holds && stanch_engine_holder(flow->engine, holds)) &&
           has_room(flow, waiting->doc, stanch_json_str(waiting->doc, "incident", ""), NULL, why);
}

/* The oldest one of the incident that has the fewest runs going. */
static struct stanch_waiting *whose_turn(const struct stanch_flow *flow, const json_t *stops)
{
    struct stanch_waiting *best = NULL;
    int fewest = 0;
    for (struct stanch_waiting *waiting = flow->waiting; waiting; waiting = waiting->next) {
        int runs = stanch_engine_going(flow->engine, NULL, stanch_json_str(waiting->doc, "incident", ""));
        if ((!best || runs < fewest) && can_start(flow, waiting, stops)) {
            best = waiting;
            fewest = runs;
        }
    }
    return best;
}

static int start_waiting(struct stanch_flow *flow, struct stanch_waiting *waiting)
{
    char run[32], incident[64];
    (void)snprintf(run, sizeof run, "%s", stanch_json_str(waiting->doc, "run", ""));
    (void)snprintf(incident, sizeof incident, "%s", stanch_json_str(waiting->doc, "incident", ""));
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(
        batch, incident, "run.started", STANCH_BY_STANCH, run,
        json_pack("{s:s, s:s, s:s, s:n, s:n}", "run", run, "runbook", stanch_json_str(waiting->doc, "runbook", ""),
                  "because", stanch_json_str(waiting->doc, "because", "its turn has come"), "why", "start_before_ms"));
    int rc = stanch_journal_append(flow->journal, batch, NULL, NULL, &err);
    if (rc < 0)
        return rc; /* the next tick tries again */
    drop_waiting(flow, waiting);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "run", run);
    stanch_engine_begin(flow->engine, doc, incident);
    return 0;
}

static void drop_overdue(struct stanch_flow *flow)
{
    int64_t now = stanch_flow__now(flow);
    for (struct stanch_waiting *waiting = flow->waiting, *next; waiting; waiting = next) {
        next = waiting->next;
        int64_t before = stanch_json_int(waiting->doc, "start_before_ms", 0);
        if (!waiting->asking && before && now > before &&
            stanch_flow__leave_queue(flow, waiting, "run.held", STANCH_BY_STANCH,
                                     "it waited for its turn until its alert was older than max_age") < 0)
            return;
    }
}

void stanch_flow__give_turns(struct stanch_flow *flow)
{
    struct stanch_waiting *waiting;
    if (!flow->waiting || flow->draining)
        return;
    drop_overdue(flow);
    STANCH_AUTO_JSON json_t *stops = stanch_engine_stops(flow->engine);
    while ((waiting = whose_turn(flow, stops)))
        if (start_waiting(flow, waiting) < 0)
            return;
}

/* An alert of a run has resolved; one that has not begun need not any more. */
void stanch_flow__run_resolved(struct stanch_flow *flow, const char *run)
{
    struct stanch_waiting *waiting = stanch_flow__waiting(flow, run);
    if (!waiting) {
        stanch_engine_resolved(flow->engine, run);
        return;
    }
    int64_t firing = stanch_json_int(waiting->doc, "firing", 1) - 1;
    json_object_set_new(waiting->doc, "firing", json_integer(firing));
    if (firing <= 0 && strcmp(stanch_json_str(waiting->doc, "on_resolved", "ask"), "continue") != 0)
        (void)stanch_flow__leave_queue(flow, waiting, "run.held", STANCH_BY_STANCH,
                                       "its alert has resolved before it started");
}

/* ---- read back ---- */

void stanch_flow__recall_waiting(struct stanch_flow *flow)
{
    struct stanch_due_query query = {
        .noun = "run", .after_ms = STANCH_DUE_QUEUED - 1, .until_ms = STANCH_DUE_QUEUED, .limit = 1000};
    size_t count = 1000;
    while (count == 1000) {
        STANCH_AUTO_JSON json_t *page = NULL;
        struct stanch_err err;
        if (stanch_journal_due(flow->journal, &query, &page, &err) < 0) {
            stanch_log(STANCH_LOG_ERROR, "flow", "the runs that wait could not be read: %s", err.text);
            return;
        }
        count = json_array_size(page);
        for (size_t i = 0; i < count; i++) {
            const json_t *run = json_array_get(page, i);
            add_waiting(flow, run, stanch_json_str(run, "incident", STANCH_CHAIN_NONE),
                        strcmp(stanch_json_str(run, "state", ""), "asking") == 0);
        }
        query.after_ms = STANCH_DUE_QUEUED;
        query.after_seq = stanch_json_int(json_array_get(page, count ? count - 1 : 0), "seq", 0);
    }
}

bool stanch_flow__is_asking(const struct stanch_flow *flow)
{
    const struct stanch_waiting *waiting = flow->waiting;
    while (waiting && !waiting->asking)
        waiting = waiting->next;
    return waiting != NULL;
}

json_t *stanch_flow__queue_status(const struct stanch_flow *flow)
{
    int64_t oldest = 0, now = stanch_loop_wall_ms(flow->loop);
    int asking = 0;
    for (const struct stanch_waiting *waiting = flow->waiting; waiting; waiting = waiting->next) {
        int64_t age = now - stanch_json_int(waiting->doc, "queued_ms", now);
        oldest = age > oldest ? age : oldest;
        asking += waiting->asking;
    }
    return json_pack("{s:i, s:i, s:I, s:I}", "waiting", flow->waiting_count - asking, "asking", asking, "oldest_ms",
                     (json_int_t)oldest, "bound", (json_int_t)limit(flow, "max_queued", 1000));
}
