/* flow_door.c: a webhook on its way to its plugin and back, before it is stored. How many may be on that way is bounded,
 * and so is what a source may send, and how long one turn of the loop is theirs.
 */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "flow_parts.h"
#include <string.h>

#define RECEIVE_DEADLINE_MS 5000
#define RECEIVING_MAX       256 /* webhooks that are not appended yet */
#define TURN_MS             5

static void forget_receiving(struct stanch_delivery *delivery)
{
    for (struct stanch_delivery **at = &delivery->flow->receiving; *at; at = &(*at)->next) {
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
        struct stanch_delivery *delivery = flow->answered;
        flow->answered = delivery->next;
        if (!flow->answered)
            flow->answered_last = NULL;
        flow->receiving_count--;
        stanch_flow__store(delivery, delivery->events);
    }
}

static void store_in_turn(struct stanch_delivery *delivery, json_t *events)
{
    struct stanch_flow *flow = delivery->flow;
    if (!flow->answered && has_time(flow)) {
        flow->receiving_count--;
        stanch_flow__store(delivery, events);
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
    struct stanch_delivery *delivery = ctx;
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
    stanch_delivery__refuse(delivery, &err);
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
    if (!flow->plugins)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "no event comes into a drill but those of its scenario");
    const json_t *described = stanch_plugins_describe(flow->plugins, instance);
    *ret = only_source(described);
    if (described && strcmp(stanch_json_str(described, "state", ""), "up") != 0)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the source \"%s\" is %s; send it again", instance,
                              stanch_json_str(described, "state", "down"));
    if (!described || !*ret)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no source \"%.60s\" in the configuration", instance);
    return 0;
}

/* Hand a webhook to its plugin. is_test: a person tries it; neither then nor when it is trusted its credential is looked at. */
static int ask_source(struct stanch_flow *flow, const struct stanch_webhook *webhook, const char *source, bool is_test,
                      void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer), void *ctx,
                      struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:O, s:s, s:s}", "source", source, "headers", webhook->headers,
                                               "query", webhook->query, "remote", webhook->remote);
    if (is_test)
        json_object_set_new(input, "test", json_true());
    if (webhook->trusted)
        json_object_set_new(input, "trusted", json_true());
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

static struct stanch_delivery *new_delivery(struct stanch_flow *flow, const struct stanch_webhook *webhook,
                                            stanch_flow_done done, void *ctx)
{
    struct stanch_delivery *delivery = STANCH_NEW(struct stanch_delivery);
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
    return delivery;
}

void stanch_flow_take_events(struct stanch_flow *flow, const char *source, const json_t *events, const char *raw,
                             stanch_flow_done done, void *ctx)
{
    const struct stanch_webhook webhook = {.source = source, .remote = "", .body = raw, .body_len = strlen(raw)};
    stanch_flow__store(new_delivery(flow, &webhook, done, ctx), events);
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
    struct stanch_delivery *delivery = new_delivery(flow, webhook, done, ctx);
    rc = ask_source(flow, webhook, source, false, on_received, delivery, err);
    if (rc < 0) {
        stanch_delivery__free(delivery);
        return rc;
    }
    delivery->next = flow->receiving;
    flow->receiving = delivery;
    flow->receiving_count++;
    return 0;
}

static void refuse_list(struct stanch_delivery **list)
{
    while (*list) {
        struct stanch_err err;
        struct stanch_delivery *delivery = *list;
        *list = delivery->next;
        stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down; send it again");
        stanch_delivery__refuse(delivery, &err);
    }
}

void stanch_flow__close_door(struct stanch_flow *flow)
{
    stanch_loop_forget(flow->loop, on_turn, flow);
    refuse_list(&flow->receiving);
    refuse_list(&flow->answered);
}
