/* flow.c: the sentence. One function per arrow:
 *
 *   stanch_flow_receive   a webhook -> its plugin (signature, normal form)      flow_door.c
 *   take_event            event -> incident -> match -> runs, one batch         flow_match.c, flow_turn.c
 *   on_stored             committed -> 202, and the runs begin                  run/
 *
 * A repeat costs no row: it is counted in memory and flushed now and then (flow_count.c); that count is all that a
 * crash may lose.
 */
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "flow_parts.h"
#include <string.h>

int64_t stanch_flow__now(struct stanch_flow *flow)
{
    return stanch_loop_wall_ms(flow->loop);
}

void stanch_flow__count(struct stanch_flow *flow, const char *counter)
{
    json_object_set_new(flow->counters, counter, json_integer(stanch_json_int(flow->counters, counter, 0) + 1));
}

void stanch_delivery__free(struct stanch_delivery *delivery)
{
    free(delivery->body);
    json_decref(delivery->result);
    json_decref(delivery->began);
    json_decref(delivery->events);
    free(delivery);
}

void stanch_delivery__refuse(struct stanch_delivery *delivery, const struct stanch_err *err)
{
    stanch_flow__count(delivery->flow, "events_refused");
    stanch_log(STANCH_LOG_WARN, "flow", "webhook refused source=%s remote=%s kind=%s: %s", delivery->source,
               delivery->remote, stanch_err_word(err->code), err->text);
    stanch_flow__note_refusal(delivery->flow, delivery->source, delivery->remote, err);
    delivery->done(delivery->ctx, err->code, err, NULL);
    stanch_delivery__free(delivery);
}

/* ---- event -> incident -> match ---- */

static bool is_change(const json_t *event)
{
    return strcmp(stanch_json_str(event, "kind", "alert"), "change") == 0;
}

static int check_event(const json_t *event, size_t i, struct stanch_err *err)
{
    const char *state = stanch_json_str(event, "state", "");
    const json_t *labels = json_object_get(event, "labels");
    bool good = *stanch_json_str(event, "fingerprint", "") && json_is_integer(json_object_get(event, "starts_at_ms")) &&
                (strcmp(state, "firing") == 0 || strcmp(state, "resolved") == 0 || strcmp(state, "happened") == 0) &&
                (!labels || json_is_object(labels));
    if (!good)
        return stanch_err_set(err, STANCH_E_PROTOCOL,
                              "the source's event %zu lacks fingerprint, starts_at_ms, state or labels", i);
    bool says_what = *stanch_json_str(json_object_get(event, "change"), "kind", "");
    if (is_change(event) != says_what)
        return stanch_err_set(err, STANCH_E_PROTOCOL,
                              "the source's event %zu must say in \"change\" what changed, if it is a change", i);
    return 0;
}

static int event_key(const char *source, const json_t *event, const char *state, char ret[65], struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *key =
        json_pack("{s:s, s:O, s:O, s:s}", "source", source, "fingerprint", json_object_get(event, "fingerprint"),
                  "starts_at_ms", json_object_get(event, "starts_at_ms"), "state", state);
    return stanch_json_digest("stanch.event", 1, key, ret, err);
}

static void count_repeat(struct stanch_flow *flow, const char *event)
{
    stanch_flow__count(flow, "events_repeated");
    stanch_flow__note_repeat(flow, event);
}

/* The firing event that this one resolves; "" when it was never seen. */
static void find_firing(struct stanch_flow *flow, const char *source, const json_t *event, char ret[32])
{
    char key[65];
    ret[0] = 0;
    if (event_key(source, event, "firing", key, NULL) < 0)
        return;
    STANCH_AUTO_JSON json_t *known = stanch_journal_see(flow->journal, "key", key);
    (void)snprintf(ret, 32, "%s", stanch_json_str(known, "event", ""));
}

static json_t *told(const char *id, const char *state, bool repeat, const char *incident, json_t *runs)
{
    return json_pack("{s:s, s:s, s:b, s:s?, s:o}", "id", id, "state", state, "repeat", repeat, "incident",
                     incident && *incident ? incident : NULL, "runs", runs ? runs : json_array());
}

/* Kept for recent_changes; it starts nothing, and is no incident's. event: taken */
static void take_change(json_t *event, struct stanch_batch *batch, json_t *events)
{
    json_array_append_new(
        events, told(stanch_json_str(event, "id", ""), stanch_json_str(event, "state", ""), false, NULL, NULL));
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "change.received", STANCH_BY_STANCH, NULL, event);
}

/* One event into the batch. resolves: the firing event that it ends, appended for the engine to hear of. */
static int take_event(struct stanch_delivery *delivery, size_t i, const json_t *given, json_t *seen,
                      struct stanch_batch *batch, json_t *resolves, struct stanch_err *err)
{
    struct stanch_flow *flow = delivery->flow;
    const char *state = stanch_json_str(given, "state", "");
    char key[65];
    int rc = check_event(given, i, err);
    if (rc == 0)
        rc = event_key(delivery->source, given, state, key, err);
    if (rc < 0)
        return rc;
    json_t *events = json_object_get(delivery->result, "events");
    STANCH_AUTO_JSON json_t *known = stanch_journal_see(flow->journal, "key", key);
    const char *twin = known ? stanch_json_str(known, "event", "") : stanch_json_str(seen, key, NULL);
    if (twin) {
        if (!is_change(given))
            count_repeat(flow, twin);
        json_array_append_new(events, told(twin, state, true, NULL, NULL));
        return 0;
    }
    char id[32];
    stanch_journal_next_id(flow->journal, "E", id);
    json_object_set_new(seen, key, json_string(id));
    json_t *event = json_copy((json_t *)(uintptr_t)given); /* its members are only read from here on */
    json_object_set_new(event, "event", json_string(id));
    json_object_set_new(event, "id", json_string(id));
    json_object_set_new(event, "key", json_string(key));
    json_object_set_new(event, "source", json_string(delivery->source));
    json_object_set_new(event, "delivery", json_string(delivery->id));
    json_object_set_new(event, "raw", json_string(delivery->raw_hex));
    json_object_set_new(event, "received_ms", json_integer(delivery->received_ms));
    json_object_set_new(event, "severity", json_string(stanch_incident_severity(flow->incidents, event)));
    if (is_change(event))
        take_change(event, batch, events);
    else
        stanch_flow__take(flow, event, batch, delivery->began, events);
    if (strcmp(state, "resolved") == 0) {
        char firing[32];
        find_firing(flow, delivery->source, given, firing);
        if (*firing)
            json_array_append_new(resolves, json_string(firing));
    }
    stanch_flow__count(flow, "events_received");
    return 0;
}

/* ---- committed ---- */

static void on_stored(void *ctx)
{
    struct stanch_delivery *delivery = ctx;
    stanch_wait__end(&delivery->wait, delivery->result);
    stanch_delivery__free(delivery);
}

static void tell_resolved(struct stanch_flow *flow, const json_t *resolves)
{
    for (size_t i = 0; i < json_array_size(resolves); i++) {
        const char *id = json_string_value(json_array_get(resolves, i));
        STANCH_AUTO_JSON json_t *event = stanch_journal_see(flow->journal, "event", id);
        const json_t *runs = json_object_get(event, "runs");
        for (size_t r = 0; r < json_array_size(runs); r++)
            stanch_flow__run_resolved(flow, json_string_value(json_array_get(runs, r)));
    }
}

void stanch_flow__store(struct stanch_delivery *delivery, const json_t *events)
{
    struct stanch_flow *flow = delivery->flow;
    struct stanch_batch *batch = stanch_batch_new();
    STANCH_AUTO_JSON json_t *resolves = json_array();
    STANCH_AUTO_JSON json_t *seen = json_object();
    struct stanch_err err = {0};
    stanch_flow__new_batch(flow);
    for (size_t i = 0; i < json_array_size(events); i++) {
        if (take_event(delivery, i, json_array_get(events, i), seen, batch, resolves, &err) < 0) {
            stanch_batch_free(batch);
            stanch_delivery__refuse(delivery, &err);
            return;
        }
    }
    if (json_object_size(seen) == 0) { /* nothing but repeats: acknowledged once what they repeat is committed */
        stanch_batch_free(batch);
        stanch_wait__begin(flow, &delivery->wait, delivery->done, delivery->ctx);
        stanch_journal_barrier(flow->journal, on_stored, delivery);
        return;
    }
    stanch_batch_blob(batch, delivery->raw_hex, delivery->body, delivery->body_len);
    bool is_early = stanch_is_sabotaged("ack-before-commit");
    if (stanch_journal_append(flow->journal, batch, is_early ? NULL : on_stored, delivery, &err) < 0) {
        stanch_delivery__refuse(delivery, &err);
        return;
    }
    stanch_wait__begin(flow, &delivery->wait, delivery->done, delivery->ctx);
    /* a run may begin now: nothing of it leaves the process before this batch is committed */
    stanch_flow__begin_all(flow, delivery->began);
    tell_resolved(flow, resolves);
    if (is_early)
        on_stored(delivery);
}
