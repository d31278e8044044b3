/* flow_status.c: how things stand, for readiness, metrics and `stanch status`. */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "flow_parts.h"
#include "run/stop.h"
#include <string.h>

static void say_why(json_t *why, const char *text)
{
    json_array_append_new(why, json_string(text));
}

static json_t *book_status(const struct stanch_flow *flow)
{
    char at[32];
    stanch_time_text(flow->accepted_at_ms, at);
    json_t *book = json_pack("{s:s}", "state", flow->book_state);
    if (flow->accepted_commit[0]) {
        json_object_set_new(book, "commit", json_string(flow->accepted_commit));
        json_object_set_new(book, "accepted_at", json_string(at));
        json_object_set_new(book, "age_ms", json_integer(stanch_loop_mono_ms(flow->loop) - flow->contact_mono_ms));
    }
    if (flow->book_why[0])
        json_object_set_new(book, "why", json_string(flow->book_why));
    return book;
}

static void check_plugins(const json_t *plugins, json_t *why)
{
    for (size_t i = 0; i < json_array_size(plugins); i++) {
        const json_t *plugin = json_array_get(plugins, i);
        const char *state = stanch_json_str(plugin, "state", "");
        if (strcmp(state, "up") == 0)
            continue;
        STANCH_AUTO_FREE char *text = stanch_asprintf("plugin %s is %s: %s", stanch_json_str(plugin, "name", ""), state,
                                                      stanch_json_str(plugin, "why", "?"));
        say_why(why, text);
    }
}

void stanch_flow_keep(struct stanch_flow *flow, struct stanch_flow_keeper keeper)
{
    flow->keeper = keeper;
}

json_t *stanch_flow_status(struct stanch_flow *flow)
{
    json_t *why = json_array();
    json_t *journal = stanch_journal_health(flow->journal);
    json_t *plugins = stanch_flow__list_instances(flow);
    if (flow->draining)
        say_why(why, "shutting down");
    if (stanch_json_bool(journal, "read_only", false) || stanch_json_bool(journal, "full", false) ||
        stanch_json_bool(journal, "locked", false))
        say_why(why, stanch_json_str(journal, "why", "the journal takes nothing"));
    if (json_is_object(json_object_get(flow->config, "runbooks")) && !flow->catalogue)
        say_why(why, flow->book_why[0] ? flow->book_why : "no commit of the runbooks is loaded yet");
    check_plugins(plugins, why);
    json_t *kept = json_object();
    if (flow->keeper.status)
        flow->keeper.status(flow->keeper.ctx, kept, why);
    json_t *counters = json_deep_copy(flow->counters);
    json_object_update(counters, (json_t *)(uintptr_t)stanch_engine_counters(flow->engine));
    json_t *stopped = stanch_stop_read(flow->state_dir);
    json_t *status = json_pack(
        "{s:b, s:o, s:o, s:o, s:o, s:o, s:{s:I, s:i, s:i}, s:I, s:I, s:o, s:o, s:o, s:s, s:I, s:s}", "ready",
        json_array_size(why) == 0, "why", why, "stopped", stopped ? stopped : json_null(), "journal", journal,
        "plugins", plugins, "book", book_status(flow), "runs", "open", stanch_journal_count(flow->journal, "run"),
        "parked", stanch_engine_waiting(flow->engine), "going", stanch_engine_going(flow->engine, NULL, NULL),
        "approvals", stanch_journal_count(flow->journal, "approval"), "mitigations",
        stanch_journal_count(flow->journal, "mitigation"), "queue", stanch_flow__queue_status(flow), "storm",
        stanch_flow__storm_status(flow), "counters", counters, "version", STANCH_VERSION, "uptime_ms",
        (json_int_t)(stanch_loop_mono_ms(flow->loop) - flow->began_mono_ms), "state_dir", flow->state_dir);
    json_object_set_new(status, "holds", json_integer(stanch_journal_count(flow->journal, "hold")));
    json_object_set_new(status, "stops", stanch_flow__stops_status(flow));
    json_object_update(status, kept);
    json_decref(kept);
    if (flow->calendars)
        json_object_set_new(status, "calendars", stanch_flow__calendars_status(flow));
    return status;
}

json_t *stanch_flow_runbooks(struct stanch_flow *flow)
{
    json_t *list = json_array();
    for (int i = 0; flow->catalogue && i < flow->catalogue->count; i++) {
        json_t *one = json_deep_copy(flow->catalogue->runbooks[i].declared);
        json_object_set_new(one, "commit", json_string(flow->catalogue->commit));
        json_object_set_new(
            one, "autonomy",
            stanch_engine_autonomy(flow->engine, stanch_json_str(one, "name", ""), stanch_json_str(one, "digest", "")));
        json_array_append_new(list, one);
    }
    return list;
}
