/* flow_life.c: from new to free, and what is looked at every second: what was counted, the switch, the
 * clock, the queue. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "incident/roles.h"
#include "run/stop.h"
#include <string.h>

#define TICK_MS        1000
#define CLOCK_JUMP_MS  60000
#define STOOD_STILL_MS 5000

/* ---- every second: the switch, the clock ---- */

static void append_one(struct stanch_flow *flow, const char *kind, const char *by, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, by, NULL, data);
    struct stanch_err err;
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "%s could not be recorded: %s", kind, err.text);
}

static void look_at_clock(struct stanch_flow *flow)
{
    int64_t offset = stanch_flow__now(flow) - stanch_loop_mono_ms(flow->loop);
    int64_t jump = offset - flow->wall_minus_mono_ms;
    flow->wall_minus_mono_ms = offset;
    if (jump <= CLOCK_JUMP_MS && jump >= -CLOCK_JUMP_MS)
        return;
    stanch_flow__count(flow, "clock_jumps");
    stanch_log(STANCH_LOG_WARN, "flow", "the wall clock jumped jump_ms=%lld", (long long)jump);
    append_one(flow, "daemon.clock-jumped", STANCH_BY_STANCH, json_pack("{s:I}", "jump_ms", (json_int_t)jump));
}

static int keep_time(void *ctx, const struct stanch_entry *entry)
{
    *(int64_t *)ctx = entry->at_ms;
    return 0;
}

/* What the wall clock did while stanch was down shows only when it was set back: the journal is from later then. */
int64_t stanch_flow_check_clock(struct stanch_loop *loop, struct stanch_journal *journal, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *heads = stanch_journal_heads(journal);
    struct stanch_entry_query query = {.limit = 1};
    int64_t newest = 0;
    struct stanch_err err;
    for (size_t i = 0; i < json_array_size(heads); i++)
        if (strcmp(stanch_json_str(json_array_get(heads, i), "chain", ""), "*") == 0)
            query.after_seq = stanch_json_int(json_array_get(heads, i), "n", 1) - 1;
    if (stanch_journal_entries(journal, &query, keep_time, &newest, &err) < 0)
        return 0; /* whoever needs the entries says that they cannot be read */
    int64_t jump = stanch_loop_wall_ms(loop) - newest;
    if (newest && jump < -CLOCK_JUMP_MS)
        stanch_batch_add(batch, STANCH_CHAIN_NONE, "daemon.clock-jumped", STANCH_BY_STANCH, NULL,
                         json_pack("{s:I, s:s}", "jump_ms", (json_int_t)jump, "when", "while stanch was down"));
    return newest;
}

/* The process was stopped, or the machine suspended: the world went on without us. */
static void look_whether_awake(struct stanch_flow *flow)
{
    int64_t now = stanch_loop_mono_ms(flow->loop), gap = now - flow->ticked_mono_ms - TICK_MS;
    flow->ticked_mono_ms = now;
    if (gap < STOOD_STILL_MS)
        return;
    stanch_log(STANCH_LOG_WARN, "flow", "stood still ms=%lld", (long long)gap);
    stanch_engine_stood_still(flow->engine, gap);
}

static void on_tick(void *ctx)
{
    struct stanch_flow *flow = ctx;
    flow->tick = stanch_timer_start(flow->loop, TICK_MS, on_tick, flow);
    look_whether_awake(flow);
    stanch_flow__flush_counts(flow);
    stanch_flow__look_at_stops(flow);
    look_at_clock(flow);
    stanch_wait__look(flow);
    stanch_flow__look_at_calendars(flow);
    if (flow->has_unmatched && flow->catalogue)
        stanch_flow__match_waiting(flow);
    stanch_flow__storm_tick(flow);
    stanch_flow__give_turns(flow);
}

static void on_room(void *ctx)
{
    stanch_flow__give_turns(ctx);
}

/* ---- life ---- */

int stanch_flow_new(struct stanch_loop *loop, struct stanch_journal *journal, struct stanch_plugins *plugins,
                    struct stanch_world *world, struct stanch_engine *engine, const struct stanch_flow_config *config,
                    struct stanch_flow **ret, struct stanch_err *err)
{
    struct stanch_flow *flow = STANCH_NEW(struct stanch_flow);
    flow->loop = loop;
    flow->journal = journal;
    flow->plugins = plugins;
    flow->world = world;
    flow->engine = engine;
    flow->config = config->config;
    flow->policy = config->policy;
    flow->people = config->people;
    flow->state_dir = stanch_strdup(config->state_dir);
    flow->exe = stanch_strdup(config->exe);
    flow->counters = json_object();
    flow->repeats = json_object();
    flow->refusals = json_object();
    flow->buckets = json_object();
    flow->starts = json_object();
    flow->draft = json_object();
    flow->stops = json_object();
    flow->began_ms = stanch_flow__now(flow);
    flow->began_mono_ms = flow->ticked_mono_ms = stanch_loop_mono_ms(loop);
    flow->wall_minus_mono_ms = stanch_flow__now(flow) - flow->began_mono_ms;
    (void)snprintf(flow->book_state, sizeof flow->book_state, "none");
    int rc = stanch_incidents_new(journal, json_object_get(flow->config, "incidents"), flow->people,
                                  &(struct stanch_roster){stanch_flow__on_call, flow}, &flow->incidents, err);
    if (rc < 0) {
        stanch_flow_free(flow);
        return rc;
    }
    *ret = flow;
    return 0;
}

int stanch_flow_start(struct stanch_flow *flow, struct stanch_err *err)
{
    static const struct stanch_engine_hooks hooks = {on_room, stanch_flow__storm_decided, stanch_flow__calendars_now};
    stanch_engine_hook(flow->engine, &hooks, flow);
    stanch_flow__recall_waiting(flow);
    stanch_flow__storm_recall(flow);
    if (strcmp(flow->state_dir, STANCH_STOP_NOWHERE) != 0)
        stanch_stop_prepare(flow->state_dir);
    stanch_flow__look_at_stops(flow);
    stanch_flow__look_at_calendars(flow);
    flow->ticked_mono_ms = stanch_loop_mono_ms(flow->loop);
    flow->tick = stanch_timer_start(flow->loop, TICK_MS, on_tick, flow);
    return stanch_flow__follow(flow, err);
}

void stanch_flow_drain(struct stanch_flow *flow)
{
    flow->draining = true;
    stanch_timer_stop(flow->loop, &flow->tick);
    stanch_flow__flush_counts(flow);
    stanch_engine_drain(flow->engine);
}

int stanch_flow_receiving(const struct stanch_flow *flow)
{
    return flow->receiving_count;
}

void stanch_flow_halt(struct stanch_flow *flow)
{
    flow->draining = true;
    stanch_book_free(flow->book);
    flow->book = NULL;
    flow->plugins = NULL; /* they go before the doors do */
    flow->halted = true;
    stanch_flow__close_door(flow);
}

void stanch_flow_free(struct stanch_flow *flow)
{
    if (!flow)
        return;
    stanch_timer_stop(flow->loop, &flow->tick);
    stanch_flow__forget_late(flow);
    stanch_flow__calendars_free(flow);
    stanch_book_free(flow->book);
    stanch_catalogue_free(flow->catalogue);
    stanch_incidents_free(flow->incidents);
    json_decref(flow->counters);
    json_decref(flow->repeats);
    json_decref(flow->refusals);
    json_decref(flow->buckets);
    json_decref(flow->starts);
    json_decref(flow->draft);
    json_decref(flow->stops);
    stanch_flow__waiting_free(flow);
    json_decref(flow->candidate);
    json_decref(flow->instances);
    free(flow->instances_text);
    free(flow->state_dir);
    free(flow->exe);
    free(flow);
}
