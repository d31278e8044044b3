/* flow.c: the sentence. One function per arrow:
 *
 *   stanch_flow_receive   a webhook -> its plugin (signature, normal form)      on_received
 *   take_event            event -> incident -> match -> runs, one batch         flow_match.c
 *   on_stored             committed -> 202, and the runs begin                  run/
 *
 * A repeat costs no row: it is counted in memory and flushed now and then; that count is all that a crash may
 * lose.
 */
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "flow_parts.h"
#include "run/stop.h"
#include <string.h>

#define RECEIVE_DEADLINE_MS 5000
#define RECEIVING_MAX       256 /* webhooks that are not appended yet */
#define TURN_MS             5
#define TICK_MS             1000
#define CLOCK_JUMP_MS       60000

struct delivery {
    struct delivery *next;   /* while its source has not answered */
    struct stanch_wait wait; /* from append on */
    struct stanch_flow *flow;
    stanch_flow_done done;
    void *ctx;
    char source[64];
    char remote[64];
    char id[27];
    int64_t received_ms;
    char raw_hex[65];
    void *body;
    size_t body_len;
    json_t *result; /* {"delivery","events":[...]} */
    json_t *began;  /* data of run.started */
    json_t *events; /* as the source gave them, while they wait for a turn of the loop */
};

int64_t stanch_flow__now(struct stanch_flow *flow)
{
    return stanch_loop_wall_ms(flow->loop);
}

void stanch_flow__count(struct stanch_flow *flow, const char *counter)
{
    json_object_set_new(flow->counters, counter, json_integer(stanch_json_int(flow->counters, counter, 0) + 1));
}

static void free_delivery(struct delivery *delivery)
{
    free(delivery->body);
    json_decref(delivery->result);
    json_decref(delivery->began);
    json_decref(delivery->events);
    free(delivery);
}

static void refuse(struct delivery *delivery, const struct stanch_err *err)
{
    stanch_flow__count(delivery->flow, "events_refused");
    stanch_log(STANCH_LOG_WARN, "flow", "webhook refused source=%s remote=%s kind=%s: %s", delivery->source,
               delivery->remote, stanch_err_word(err->code), err->text);
    delivery->done(delivery->ctx, err->code, err, NULL);
    free_delivery(delivery);
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
    json_object_set_new(flow->repeats, event, json_integer(stanch_json_int(flow->repeats, event, 0) + 1));
}

/* The firing event that this one resolves; "" when it was never seen. */
static void find_firing(struct stanch_flow *flow, const char *source, const json_t *event, char ret[32])
{
    char key[65];
    ret[0] = 0;
    if (event_key(source, event, "firing", key, NULL) < 0)
        return;
    STANCH_AUTO_JSON json_t *known = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "key", key);
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
static int take_event(struct delivery *delivery, size_t i, const json_t *given, json_t *seen,
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
    struct delivery *delivery = ctx;
    stanch_wait__end(&delivery->wait, delivery->result);
    free_delivery(delivery);
}

static void tell_resolved(struct stanch_flow *flow, const json_t *resolves)
{
    for (size_t i = 0; i < json_array_size(resolves); i++) {
        const char *id = json_string_value(json_array_get(resolves, i));
        STANCH_AUTO_JSON json_t *event = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "event", id);
        const json_t *runs = json_object_get(event, "runs");
        for (size_t r = 0; r < json_array_size(runs); r++)
            stanch_flow__run_resolved(flow, json_string_value(json_array_get(runs, r)));
    }
}

static void store(struct delivery *delivery, const json_t *events)
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
            refuse(delivery, &err);
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
        refuse(delivery, &err);
        return;
    }
    stanch_wait__begin(flow, &delivery->wait, delivery->done, delivery->ctx);
    /* a run may begin now: nothing of it leaves the process before this batch is committed */
    stanch_flow__begin_all(flow, delivery->began);
    tell_resolved(flow, resolves);
    if (is_early)
        on_stored(delivery);
}

static void forget_receiving(struct delivery *delivery)
{
    for (struct delivery **at = &delivery->flow->receiving; *at; at = &(*at)->next) {
        if (*at == delivery) {
            *at = delivery->next;
            return;
        }
    }
}

static void on_turn(void *ctx);

/* In one turn of the loop only so much time goes to webhooks, whatever has come: runs, timers and the control socket
 * have theirs in between. */
static bool has_time(struct stanch_flow *flow)
{
    int64_t now = stanch_loop_mono_ms(flow->loop);
    if (!flow->turn_open) {
        flow->turn_open = true;
        flow->turn_began_ms = now;
        stanch_loop_defer(flow->loop, on_turn, flow);
    }
    return now - flow->turn_began_ms < TURN_MS;
}

static void on_turn(void *ctx)
{
    struct stanch_flow *flow = ctx;
    flow->turn_open = false;
    while (flow->answered && has_time(flow)) {
        struct delivery *delivery = flow->answered;
        flow->answered = delivery->next;
        if (!flow->answered)
            flow->answered_last = NULL;
        flow->receiving_count--;
        store(delivery, delivery->events);
    }
}

static void store_in_turn(struct delivery *delivery, json_t *events)
{
    struct stanch_flow *flow = delivery->flow;
    if (!flow->answered && has_time(flow)) {
        flow->receiving_count--;
        store(delivery, events);
        return;
    }
    delivery->events = json_incref(events);
    delivery->next = NULL;
    if (flow->answered_last)
        flow->answered_last->next = delivery;
    else
        flow->answered = delivery;
    flow->answered_last = delivery;
}

static void on_received(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct delivery *delivery = ctx;
    forget_receiving(delivery);
    struct stanch_err err = answer->err;
    json_t *events = json_object_get(answer->value, "events");
    if (answer->outcome == STANCH_OUTCOME_DONE && json_is_array(events)) {
        store_in_turn(delivery, events);
        return;
    }
    delivery->flow->receiving_count--;
    if (answer->outcome == STANCH_OUTCOME_DONE)
        stanch_err_set(&err, STANCH_E_PROTOCOL, "the source answered without events");
    else if (answer->outcome == STANCH_OUTCOME_UNKNOWN)
        err.code = STANCH_E_UNAVAILABLE; /* nothing is stored: trying again is safe */
    refuse(delivery, &err);
}

/* ---- the door ---- */

/* A token bucket per source: over it the webhook is shed before anything is done. */
static bool is_over_rate(struct stanch_flow *flow, const char *source)
{
    int64_t rate = stanch_json_int(json_object_get(flow->config, "limits"), "events_per_s", 1000);
    int64_t now = stanch_loop_mono_ms(flow->loop);
    const json_t *bucket = json_object_get(flow->buckets, source);
    double tokens = stanch_json_real(bucket, "tokens", (double)rate);
    tokens += (double)(now - stanch_json_int(bucket, "at_ms", now)) * (double)rate / 1000.0;
    if (tokens > (double)rate)
        tokens = (double)rate;
    bool over = tokens < 1;
    json_object_set_new(flow->buckets, source,
                        json_pack("{s:f, s:I}", "tokens", over ? tokens : tokens - 1, "at_ms", (json_int_t)now));
    return over;
}

static const char *only_source(const json_t *described)
{
    return json_object_iter_key(json_object_iter((json_t *)(uintptr_t)json_object_get(described, "sources")));
}

/* The source in the plugin of an instance, if it is up. returns 0 | STANCH_E_UNAVAILABLE | STANCH_E_NOT_FOUND */
static int find_source(struct stanch_flow *flow, const char *instance, const char **ret, struct stanch_err *err)
{
    const json_t *described = stanch_plugins_describe(flow->plugins, instance);
    *ret = only_source(described);
    if (described && strcmp(stanch_json_str(described, "state", ""), "up") != 0)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the source \"%s\" is %s; send it again", instance,
                              stanch_json_str(described, "state", "down"));
    if (!described || !*ret)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no source \"%.60s\" in the configuration", instance);
    return 0;
}

/* Hand a webhook to its plugin. is_test: its credential is not looked at */
static int ask_source(struct stanch_flow *flow, const struct stanch_webhook *webhook, const char *source, bool is_test,
                      void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer), void *ctx,
                      struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:O, s:s, s:s}", "source", source, "headers", webhook->headers,
                                               "query", webhook->query, "remote", webhook->remote);
    if (is_test)
        json_object_set_new(input, "test", json_true());
    struct stanch_plugin_request request = {.instance = webhook->source,
                                            .op = "receive",
                                            .action = source,
                                            .input = input,
                                            .body = webhook->body,
                                            .body_len = webhook->body_len,
                                            .deadline_ms = RECEIVE_DEADLINE_MS};
    return stanch_plugins_call(flow->plugins, &request, on_answer, ctx, NULL, err);
}

struct test {
    stanch_flow_done done;
    void *ctx;
};

static void on_tested(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct test *test = ctx;
    if (answer->outcome == STANCH_OUTCOME_DONE)
        test->done(test->ctx, 0, NULL, answer->value);
    else
        test->done(test->ctx, answer->err.code, &answer->err, NULL);
    free(test);
}

int stanch_flow_test_source(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                            void *ctx, struct stanch_err *err)
{
    const char *source;
    int rc = find_source(flow, webhook->source, &source, err);
    if (rc < 0)
        return rc;
    struct test *test = STANCH_NEW(struct test);
    *test = (struct test){done, ctx};
    rc = ask_source(flow, webhook, source, true, on_tested, test, err);
    if (rc < 0)
        free(test);
    return rc;
}

int stanch_flow_receive(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                        void *ctx, struct stanch_err *err)
{
    const char *source;
    if (flow->draining)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "stanch is shutting down; send it again");
    int rc = stanch_journal_takes_events(flow->journal, err);
    if (rc < 0) {
        stanch_flow__count(flow, "events_shed");
        return rc;
    }
    rc = find_source(flow, webhook->source, &source, err);
    if (rc < 0)
        return rc;
    if (flow->receiving_count >= RECEIVING_MAX) {
        stanch_flow__count(flow, "events_shed");
        return stanch_err_set(err, STANCH_E_BUSY, "%d webhooks wait to be read already; send it again", RECEIVING_MAX);
    }
    if (is_over_rate(flow, webhook->source)) {
        stanch_flow__count(flow, "events_shed");
        return stanch_err_set(err, STANCH_E_BUSY, "the source \"%s\" sends more than its rate; send it again",
                              webhook->source);
    }
    struct delivery *delivery = STANCH_NEW(struct delivery);
    delivery->flow = flow;
    delivery->done = done;
    delivery->ctx = ctx;
    (void)snprintf(delivery->source, sizeof delivery->source, "%s", webhook->source);
    (void)snprintf(delivery->remote, sizeof delivery->remote, "%s", webhook->remote);
    delivery->received_ms = stanch_flow__now(flow);
    stanch_ulid(delivery->received_ms, delivery->id);
    stanch_digest_hex(webhook->body, webhook->body_len, delivery->raw_hex);
    delivery->body = stanch_strndup(webhook->body, webhook->body_len);
    delivery->body_len = webhook->body_len;
    delivery->began = json_array();
    delivery->result = json_pack("{s:s, s:[]}", "delivery", delivery->id, "events");
    rc = ask_source(flow, webhook, source, false, on_received, delivery, err);
    if (rc < 0) {
        free_delivery(delivery);
        return rc;
    }
    delivery->next = flow->receiving;
    flow->receiving = delivery;
    flow->receiving_count++;
    return 0;
}

/* ---- every second: repeats, the switch, the clock ---- */

static void flush_repeats(struct stanch_flow *flow)
{
    if (json_object_size(flow->repeats) == 0)
        return;
    struct stanch_batch *batch = stanch_batch_new();
    const char *event;
    json_t *count;
    json_object_foreach(flow->repeats, event, count)
    {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "event", event);
        stanch_batch_add(
            batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "event.repeated", STANCH_BY_STANCH, NULL,
            json_pack("{s:s, s:O, s:s}", "event", event, "count", count, "name", stanch_json_str(doc, "name", "")));
    }
    struct stanch_err err;
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) == 0)
        json_object_clear(flow->repeats);
}

static void append_one(struct stanch_flow *flow, const char *kind, const char *by, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, by, NULL, data);
    struct stanch_err err;
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "%s could not be recorded: %s", kind, err.text);
}

/* The switch may be set by hand: then this is where it is said. */
static void look_at_switch(struct stanch_flow *flow)
{
    bool set = stanch_stop_is_set(flow->state_dir);
    if (set == flow->stopped)
        return;
    flow->stopped = set;
    STANCH_AUTO_JSON json_t *said = stanch_stop_read(flow->state_dir);
    if (set)
        append_one(flow, "stop.engaged", STANCH_BY_STANCH,
                   json_pack("{s:s, s:s}", "reason", stanch_json_str(said, "reason", ""), "set_by",
                             stanch_json_str(said, "by", "")));
    else
        append_one(flow, "stop.released", STANCH_BY_STANCH,
                   json_pack("{s:s}", "reason", "the file was removed by hand"));
}

static void look_at_clock(struct stanch_flow *flow)
{
    int64_t offset = stanch_flow__now(flow) - stanch_loop_mono_ms(flow->loop);
    int64_t jump = offset - flow->wall_minus_mono_ms;
    flow->wall_minus_mono_ms = offset;
    if (jump > CLOCK_JUMP_MS || jump < -CLOCK_JUMP_MS)
        append_one(flow, "daemon.clock-jumped", STANCH_BY_STANCH, json_pack("{s:I}", "jump_ms", (json_int_t)jump));
}

static void on_tick(void *ctx)
{
    struct stanch_flow *flow = ctx;
    flow->tick = stanch_timer_start(flow->loop, TICK_MS, on_tick, flow);
    flush_repeats(flow);
    look_at_switch(flow);
    look_at_clock(flow);
    stanch_wait__look(flow);
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
    flow->state_dir = stanch_strdup(config->state_dir);
    flow->exe = stanch_strdup(config->exe);
    flow->counters = json_object();
    flow->repeats = json_object();
    flow->buckets = json_object();
    flow->starts = json_object();
    flow->draft = json_object();
    flow->began_mono_ms = stanch_loop_mono_ms(loop);
    flow->wall_minus_mono_ms = stanch_flow__now(flow) - flow->began_mono_ms;
    (void)snprintf(flow->book_state, sizeof flow->book_state, "none");
    int rc = stanch_incidents_new(journal, json_object_get(flow->config, "incidents"), &flow->incidents, err);
    if (rc < 0) {
        stanch_flow_free(flow);
        return rc;
    }
    stanch_flow__recall_starts(flow);
    *ret = flow;
    return 0;
}

int stanch_flow_start(struct stanch_flow *flow, struct stanch_err *err)
{
    static const struct stanch_engine_hooks hooks = {on_room, stanch_flow__storm_decided};
    stanch_engine_hook(flow->engine, &hooks, flow);
    stanch_flow__recall_waiting(flow);
    stanch_flow__storm_recall(flow);
    look_at_switch(flow);
    flow->tick = stanch_timer_start(flow->loop, TICK_MS, on_tick, flow);
    return stanch_flow__follow(flow, err);
}

void stanch_flow_drain(struct stanch_flow *flow)
{
    flow->draining = true;
    stanch_timer_stop(flow->loop, &flow->tick);
    flush_repeats(flow);
    stanch_engine_drain(flow->engine);
}

int stanch_flow_receiving(const struct stanch_flow *flow)
{
    return flow->receiving_count;
}

static void refuse_all(struct delivery **list)
{
    while (*list) {
        struct stanch_err err;
        struct delivery *delivery = *list;
        *list = delivery->next;
        stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down; send it again");
        refuse(delivery, &err);
    }
}

void stanch_flow_halt(struct stanch_flow *flow)
{
    flow->draining = true;
    stanch_book_free(flow->book);
    flow->book = NULL;
    flow->plugins = NULL; /* they go before the doors do */
    stanch_loop_forget(flow->loop, on_turn, flow);
    refuse_all(&flow->receiving);
    refuse_all(&flow->answered);
}

void stanch_flow_free(struct stanch_flow *flow)
{
    if (!flow)
        return;
    stanch_timer_stop(flow->loop, &flow->tick);
    stanch_book_free(flow->book);
    stanch_catalogue_free(flow->catalogue);
    stanch_incidents_free(flow->incidents);
    json_decref(flow->counters);
    json_decref(flow->repeats);
    json_decref(flow->buckets);
    json_decref(flow->starts);
    json_decref(flow->draft);
    stanch_flow__waiting_free(flow);
    json_decref(flow->candidate);
    json_decref(flow->instances);
    free(flow->instances_text);
    free(flow->state_dir);
    free(flow->exe);
    free(flow);
}
