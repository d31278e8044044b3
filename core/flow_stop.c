/* flow_stop.c: the switch and its levels, as flow sees them: set and released by people, or by hand in the state directory,
 * which is looked at every second; and their ends. What is stopped is files (run/stop.h); what is kept here is what was said
 * of them.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/times.h"
#include "flow_parts.h"
#include "run/stop.h"
#include <string.h>

#define FOR_MAX_MS (366LL * 24 * 3600 * 1000)
#define WORD_MAX   200 /* bytes of each word in a sentence that comes out of a file */

static void say(struct stanch_flow *flow, const char *kind, const char *by, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, by, NULL, data);
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "%s by %s could not be recorded: %s", kind, by, err.text);
}

/* ---- everything ---- */

static void look_at_switch(struct stanch_flow *flow)
{
    bool set = stanch_stop_is_set(flow->state_dir);
    if (set == flow->stopped)
        return;
    flow->stopped = set;
    STANCH_AUTO_JSON json_t *said = stanch_stop_read(flow->state_dir);
    if (set)
        say(flow, "stop.engaged", STANCH_BY_STANCH,
            json_pack("{s:s, s:s}", "reason", stanch_json_str(said, "reason", ""), "set_by",
                      stanch_json_str(said, "by", "")));
    else
        say(flow, "stop.released", STANCH_BY_STANCH, json_pack("{s:s}", "reason", "the file was removed by hand"));
}

/* ---- levels ---- */

static json_t *about(const json_t *stop, const char *reason)
{
    json_t *data = json_object();
    static const char *const members[] = {"level", "name", "file", "until", "until_ms"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(stop, members[i]))
            json_object_set(data, members[i], json_object_get(stop, members[i]));
    stanch_json_set_str(data, "reason", reason);
    return data;
}

static void say_engaged(struct stanch_flow *flow, const json_t *stop, const char *by)
{
    json_t *data = about(stop, stanch_json_str(stop, "reason", ""));
    stanch_json_set_str(data, "set_by", stanch_json_str(stop, "by", ""));
    say(flow, "stop.engaged", by, data);
    json_object_set(flow->stops, stanch_json_str(stop, "file", ""), (json_t *)(uintptr_t)stop);
}

static void say_released(struct stanch_flow *flow, const json_t *stop, const char *by, const char *reason)
{
    json_t *data = about(stop, reason);
    json_object_del(data, "until");
    json_object_del(data, "until_ms");
    say(flow, "stop.released", by, data);
}

/* Why it holds nothing back any more. new */
static char *why_over(const struct stanch_flow *flow, const json_t *stop)
{
    const char *by = stanch_json_str(stop, "released_by", NULL), *why = stanch_json_str(stop, "released_because", "");
    if (by)
        return stanch_asprintf("by %.*s, by hand while stanch did not answer%s%.*s", (int)stanch_text_cut(by, WORD_MAX),
                               by, *why ? ": " : "", (int)stanch_text_cut(why, WORD_MAX), why);
    return stanch_strdup(stanch_json_int(stop, "until_ms", 0) < flow->began_ms
                             ? "its time was over while stanch was down"
                             : "its time is over");
}

/* It holds nothing back any more. That is said once, then its file goes; while nothing can be recorded it stays. */
static void end_stop(struct stanch_flow *flow, const json_t *stop, int64_t now_ms)
{
    const char *file = stanch_json_str(stop, "file", "");
    struct stanch_err err;
    if (!stanch_json_bool(json_object_get(flow->stops, file), "over", false)) {
        if (stanch_journal_takes(flow->journal, true, NULL) < 0)
            return;
        STANCH_AUTO_FREE char *why = why_over(flow, stop);
        say_released(flow, stop, STANCH_BY_STANCH, why);
        json_object_set_new(flow->stops, file, json_pack("{s:b}", "over", 1));
    }
    int rc = stanch_stop_end(flow->state_dir, stop, now_ms, &err);
    if (rc == 0 || rc == STANCH_E_CONFLICT) /* set again: the next look says so */
        json_object_del(flow->stops, file);
    else
        stanch_log(STANCH_LOG_WARN, "flow", "a stop is over, but %s", err.text);
}

static bool has_file(const json_t *stops, const char *file)
{
    for (size_t i = 0; i < json_array_size(stops); i++)
        if (strcmp(stanch_json_str(json_array_get(stops, i), "file", ""), file) == 0)
            return true;
    return false;
}

static void forget_removed(struct stanch_flow *flow, const json_t *stops, const char *by, const char *reason)
{
    const char *file;
    json_t *known;
    void *next;
    json_object_foreach_safe(flow->stops, next, file, known)
    {
        if (has_file(stops, file))
            continue;
        if (!stanch_json_bool(known, "over", false))
            say_released(flow, known, by, reason);
        json_object_del(flow->stops, file);
    }
}

/* by: who has changed something just now; what changed by itself was done by hand. */
static void look_at_levels(struct stanch_flow *flow, const char *by, const char *reason)
{
    STANCH_AUTO_JSON json_t *stops = stanch_stop_levels(flow->state_dir);
    int64_t now_ms = stanch_engine_stop_clock(flow->engine);
    for (size_t i = 0; i < json_array_size(stops); i++) {
        const json_t *stop = json_array_get(stops, i);
        if (stanch_stop_is_over(stop, now_ms))
            end_stop(flow, stop, now_ms);
        else if (!json_equal(stop, json_object_get(flow->stops, stanch_json_str(stop, "file", ""))))
            say_engaged(flow, stop, by);
    }
    forget_removed(flow, stops, by, reason);
}

void stanch_flow__look_at_stops(struct stanch_flow *flow)
{
    look_at_switch(flow);
    look_at_levels(flow, STANCH_BY_STANCH, "the file was removed by hand");
}

char *stanch_flow__stopped(struct stanch_flow *flow, const char *runbook)
{
    STANCH_AUTO_JSON json_t *stops = stanch_engine_stops(flow->engine);
    const json_t *stop = stanch_stop_find_start(stops, runbook);
    return stop ? stanch_stop_why(stop) : NULL;
}

/* Is there an instance, a loaded runbook of this name? What a target is nobody knows beforehand. */
static bool is_known(const struct stanch_flow *flow, const json_t *stop)
{
    const char *level = stanch_json_str(stop, "level", ""), *name = stanch_json_str(stop, "name", NULL);
    if (name && strcmp(level, "instance") == 0)
        return !flow->halted && flow->world->describe(flow->world->ctx, name) != NULL;
    if (name && strcmp(level, "runbook") == 0)
        return stanch_catalogue_find(flow->catalogue, name) != NULL;
    return true;
}

json_t *stanch_flow__stops_status(struct stanch_flow *flow)
{
    STANCH_AUTO_JSON json_t *all = stanch_engine_stops(flow->engine);
    json_t *levels = json_array();
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *stop = json_array_get(all, i);
        if (strcmp(stanch_json_str(stop, "file", ""), "stop") == 0)
            continue; /* told as "stopped" */
        json_object_set_new(stop, "known", json_boolean(is_known(flow, stop)));
        json_array_append(levels, stop);
    }
    return levels;
}

/* ---- as people ask for it ---- */

static int read_stop(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_stop *ret,
                     struct stanch_err *err)
{
    int64_t for_ms = stanch_json_int(input, "for_ms", 0);
    if (json_object_get(input, "for_ms") && (for_ms <= 0 || for_ms > FOR_MAX_MS))
        return stanch_err_set(err, STANCH_E_INVALID, "for_ms: for how long, in milliseconds, a year at most");
    *ret = (struct stanch_stop){.level = stanch_json_str(input, "level", ""),
                                .name = stanch_json_str(input, "name", ""),
                                .reason = stanch_json_str(input, "reason", "no reason given"),
                                .by = by,
                                .at_ms = stanch_flow__now(flow)};
    ret->until_ms = for_ms > 0 ? ret->at_ms + for_ms : 0;
    return stanch_stop_check(ret->level, ret->name, err);
}

static int stop_level(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_err *err)
{
    struct stanch_stop stop;
    int rc = read_stop(flow, by, input, &stop, err);
    stanch_flow__look_at_stops(flow);
    if (rc == 0)
        rc = stanch_stop_set_level(flow->state_dir, &stop, err);
    look_at_levels(flow, by, ""); /* also what was set and could not be synced */
    return rc;
}

static int resume_level(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_err *err)
{
    stanch_flow__look_at_stops(flow);
    int rc = stanch_stop_clear_level(flow->state_dir, stanch_json_str(input, "level", ""),
                                     stanch_json_str(input, "name", ""), err);
    look_at_levels(flow, by, stanch_json_str(input, "reason", "no reason given"));
    return rc;
}

static bool is_of_level(const json_t *input)
{
    return json_object_get(input, "level") || json_object_get(input, "name");
}

static struct stanch_reply *tell_status(struct stanch_flow *flow, stanch_flow_done done, void *ctx)
{
    struct stanch_reply *reply = stanch_reply__new(flow, done, ctx, "", "");
    stanch_reply__result(reply, stanch_flow_status(flow));
    return reply;
}

/* The switch works whatever the store can do: then its entry is missing, and the log says so. data: taken */
static int switch_changed(struct stanch_flow *flow, const char *kind, const char *by, json_t *data,
                          stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    struct stanch_err why = {0};
    if (stanch_journal_takes(flow->journal, true, &why) < 0) {
        json_decref(data);
        stanch_log(STANCH_LOG_ERROR, "flow", "%s by %s could not be recorded: %s", kind, by, why.text);
        stanch_reply__barrier(tell_status(flow, done, ctx));
        return 0;
    }
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, by, NULL, data);
    return stanch_reply__append(tell_status(flow, done, ctx), batch, err);
}

int stanch_flow__stop(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                      struct stanch_err *err)
{
    const char *reason = stanch_json_str(input, "reason", "no reason given");
    int rc;
    if (is_of_level(input)) {
        rc = stop_level(flow, by, input, err);
        if (rc == 0)
            stanch_reply__barrier(tell_status(flow, done, ctx));
        return rc;
    }
    if (json_object_get(input, "for_ms"))
        return stanch_err_set(err, STANCH_E_INVALID, "for_ms: the stop of everything ends by `stanch resume` alone");
    rc = stanch_stop_set(flow->state_dir, reason, by, stanch_flow__now(flow), err);
    if (rc < 0)
        return rc;
    flow->stopped = true;
    return switch_changed(flow, "stop.engaged", by, json_pack("{s:s, s:s}", "reason", reason, "set_by", by), done, ctx,
                          err);
}

int stanch_flow__resume(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                        struct stanch_err *err)
{
    const char *reason = stanch_json_str(input, "reason", "no reason given");
    int rc;
    if (is_of_level(input)) {
        rc = resume_level(flow, by, input, err);
        if (rc == 0)
            stanch_reply__barrier(tell_status(flow, done, ctx));
        return rc;
    }
    rc = stanch_stop_clear(flow->state_dir, err);
    if (rc < 0)
        return rc;
    flow->stopped = false;
    return switch_changed(flow, "stop.released", by, json_pack("{s:s}", "reason", reason), done, ctx, err);
}
