/* health.c: how things stand, for people, for the load balancer, and for Prometheus (text format 0.0.4). */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static json_t *read_status(const struct stanch_api__call *call)
{
    json_t *status = stanch_flow_status(call->api->flow);
    json_object_set_new(status, "http", stanch_http_counters(call->api->http));
    if (!json_object_get(status, "journal"))
        json_object_set_new(status, "journal", stanch_journal_health(call->api->journal));
    return status;
}

void stanch_api__status(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = read_status(call);
    stanch_api__answer(call, status);
}

void stanch_api__healthz(struct stanch_api__call *call)
{
    stanch_http_answer(call->request, 200, "text/plain; charset=utf-8", "ok\n", 3, NULL);
    stanch_api__call_free(call);
}

void stanch_api__readyz(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = stanch_flow_status(call->api->flow);
    bool ready = stanch_json_bool(status, "ready", false) && !call->api->draining;
    STANCH_AUTO_JSON json_t *why = json_deep_copy(json_object_get(status, "why"));
    if (call->api->draining && json_is_array(why))
        json_array_append_new(why, json_string("stanch is shutting down"));
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:b, s:O?}", "ready", ready, "why", why);
    stanch_http_answer_json(call->request, ready ? 200 : 503, answer);
    stanch_api__call_free(call);
}

void stanch_api__openapi(struct stanch_api__call *call)
{
    stanch_http_answer(call->request, 200, "application/json", stanch_api__openapi_text, stanch_api__openapi_len, NULL);
    stanch_api__call_free(call);
}

struct figure {
    const char *path; /* in the status: "journal.queued" */
    const char *name, *type, *help;
    double scale;
};

static const struct figure figures[] = {
    {"ready", "stanch_ready", "gauge", "1 when stanch takes and handles events.", 1},
    {"stopped", "stanch_stopped", "gauge", "1 while the stop switch holds all automation back.", 1},
    {"book.age_ms", "stanch_book_age_seconds", "gauge", "Time since the repository of runbooks was last heard of.",
     0.001},
    {"uptime_ms", "stanch_uptime_seconds", "gauge", "Time since the start.", 0.001},
    {"runs.open", "stanch_runs_open", "gauge", "Runs that are open.", 1},
    {"runs.parked", "stanch_runs_parked", "gauge", "Runs that wait for a person.", 1},
    {"runs.going", "stanch_runs_going", "gauge", "Runs that go, and do not wait for a person.", 1},
    {"queue.waiting", "stanch_runs_queued", "gauge", "Runs that wait for their turn.", 1},
    {"queue.asking", "stanch_runs_asking", "gauge", "Runs that wait for a person's word in a storm.", 1},
    {"queue.oldest_ms", "stanch_runs_queued_oldest_seconds", "gauge", "How long the oldest run waits.", 0.001},
    {"storm.on", "stanch_storm", "gauge", "1 while alerts start no run before a person was asked.", 1},
    {"storm.starts", "stanch_storm_starts", "gauge", "Runs that alerts wanted to start within limits.storm.within.", 1},
    {"approvals", "stanch_approvals_open", "gauge", "Questions that wait for an answer.", 1},
    {"mitigations", "stanch_mitigations_in_force", "gauge", "Mitigations that are in force.", 1},
    {"holds", "stanch_holds", "gauge", "Targets that people hold by hand.", 1},
    {"journal.queued", "stanch_journal_queued", "gauge", "Batches that wait for their commit.", 1},
    {"journal.oldest_ms", "stanch_journal_queued_oldest_seconds", "gauge", "How long the oldest batch waits.", 0.001},
    {"journal.queued_bytes", "stanch_journal_queued_bytes", "gauge", "Bytes that wait for their commit.", 1},
    {"journal.commits", "stanch_journal_commits_total", "counter", "Commits.", 1},
    {"journal.syncs", "stanch_journal_syncs_total", "counter", "Syncs to stable storage.", 1},
    {"journal.entries", "stanch_journal_entries_total", "counter", "Entries committed.", 1},
    {"journal.wal_bytes", "stanch_journal_wal_bytes", "gauge", "Size of the write-ahead log.", 1},
    {"journal.commit_p50_us", "stanch_journal_commit_p50_seconds", "gauge", "Median time of a commit.", 1e-6},
    {"journal.commit_p99_us", "stanch_journal_commit_p99_seconds", "gauge", "99th percentile of a commit.", 1e-6},
    {"journal.read_only", "stanch_journal_read_only", "gauge", "1 when nothing can be recorded.", 1},
    {"journal.full", "stanch_journal_disk_full", "gauge", "1 when the disk is full.", 1},
    {"journal.locked", "stanch_journal_locked", "gauge", "1 while another process holds the store locked.", 1},
    {"checkpoints.failing", "stanch_checkpoints_failing", "gauge", "Places where checkpoints cannot be kept now.", 1},
    {"checkpoints.age_ms", "stanch_checkpoints_age_seconds", "gauge",
     "Time since the last checkpoint at the place that is furthest behind.", 0.001},
    {"paging.failing", "stanch_paging_failing", "gauge", "Instances that cannot page people now.", 1},
    {"paging.waiting", "stanch_paging_waiting", "gauge", "Questions and pages that are still to be told.", 1},
    {"paging.told", "stanch_paging_told_total", "counter", "What people were told by paging since the start.", 1},
    {"paging.failures", "stanch_paging_failures_total", "counter", "Calls that told nobody since the start.", 1},
    {"check.damaged", "stanch_store_damaged", "gauge", "1 when the last full check found the store damaged.", 1},
    {"http.requests", "stanch_http_requests_total", "counter", "Requests whose head was read.", 1},
    {"http.refused", "stanch_http_refused_total", "counter", "Requests answered with a problem.", 1},
    {"http.over_cap", "stanch_http_over_cap_total", "counter", "Connections refused by a cap.", 1},
    {"http.timed_out", "stanch_http_timed_out_total", "counter", "Requests that did not come in time.", 1},
    {"http.connections", "stanch_http_connections", "gauge", "Connections that are open.", 1},
    {"http.streams", "stanch_http_streams", "gauge", "Live streams that are open.", 1},
    {"http.body_bytes", "stanch_http_body_bytes_total", "counter", "Bytes of bodies taken in.", 1},
};

static const json_t *dig(const json_t *value, const char *path)
{
    while (value && *path) {
        size_t len = strcspn(path, ".");
        value = json_object_getn(value, path, len);
        path += len + (path[len] == '.');
    }
    return value;
}

/* A number, a bool, or something that is there (1) or null (0). */
static double number_of(const json_t *value)
{
    if (json_is_number(value))
        return json_number_value(value);
    return json_is_true(value) || json_is_object(value) ? 1 : 0;
}

static void write_head(struct stanch_buf *out, const char *name, const char *type, const char *help)
{
    stanch_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_counters(struct stanch_buf *out, const json_t *counters)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)counters, key, value)
    {
        STANCH_AUTO_FREE char *name = stanch_asprintf("stanch_%s_total", key);
        STANCH_AUTO_FREE char *help = stanch_asprintf("%s since the start.", key);
        for (char *c = help; *c; c++)
            *c = *c == '_' ? ' ' : *c;
        write_head(out, name, "counter", help);
        stanch_buf_printf(out, "%s %.0f\n", name, number_of(value));
    }
}

static void write_label(struct stanch_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            stanch_buf_char(out, '\\');
        if (*text == '\n')
            stanch_buf_text(out, "\\n");
        else
            stanch_buf_char(out, *text);
    }
}

static void write_each(struct stanch_buf *out, const json_t *plugins, const char *name, const char *type,
                       const char *help, int64_t (*number)(const json_t *plugin))
{
    size_t i;
    json_t *plugin;
    if (json_array_size(plugins) == 0)
        return;
    write_head(out, name, type, help);
    json_array_foreach((json_t *)(uintptr_t)plugins, i, plugin)
    {
        stanch_buf_printf(out, "%s{instance=\"", name);
        write_label(out, stanch_json_str(plugin, "name", ""));
        stanch_buf_printf(out, "\"} %lld\n", (long long)number(plugin));
    }
}

static int64_t is_up(const json_t *plugin)
{
    return strcmp(stanch_json_str(plugin, "state", ""), "up") == 0;
}

static int64_t is_disabled(const json_t *plugin)
{
    return strcmp(stanch_json_str(plugin, "state", ""), "disabled") == 0;
}

static int64_t restarts(const json_t *plugin)
{
    return stanch_json_int(plugin, "restarts", 0);
}

static void write_plugins(struct stanch_buf *out, const json_t *plugins)
{
    write_each(out, plugins, "stanch_plugin_up", "gauge", "1 when the plugin instance answers.", is_up);
    write_each(out, plugins, "stanch_plugin_disabled", "gauge", "1 when it died too often and waits for a person.",
               is_disabled);
    write_each(out, plugins, "stanch_plugin_restarts_total", "counter", "How often its host was started again.",
               restarts);
}

static void write_stops(struct stanch_buf *out, const json_t *stops)
{
    write_head(out, "stanch_stop_set", "gauge",
               "1 while all automation of this instance, runbook or target is stopped.");
    for (size_t i = 0; i < json_array_size(stops); i++) {
        const json_t *stop = json_array_get(stops, i);
        stanch_buf_printf(out, "stanch_stop_set{level=\"%s\",name=\"", stanch_json_str(stop, "level", ""));
        write_label(out, stanch_json_str(stop, "name", stanch_json_str(stop, "file", "")));
        stanch_buf_text(out, "\"} 1\n");
    }
}

void stanch_api__metrics(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = read_status(call);
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        const json_t *value = dig(status, figures[i].path);
        if (!value)
            continue;
        write_head(&out, figures[i].name, figures[i].type, figures[i].help);
        stanch_buf_printf(&out, "%s %.15g\n", figures[i].name, number_of(value) * figures[i].scale);
    }
    write_counters(&out, json_object_get(status, "counters"));
    write_plugins(&out, json_object_get(status, "plugins"));
    write_stops(&out, json_object_get(status, "stops"));
    stanch_http_answer(call->request, 200, "text/plain; version=0.0.4; charset=utf-8", stanch_buf_str(&out), out.len,
                       NULL);
    stanch_api__call_free(call);
}
