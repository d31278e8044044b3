/* pagerduty.c: pages people through PagerDuty's Events API v2. An event is about a key (PagerDuty's dedup_key): what is
 * triggered, acknowledged and resolved under one key is one incident there, however often it is sent. */
#include "stanch/sdk.h"
#include <stdlib.h>
#include <string.h>

#define MAX_SUMMARY 1024   /* characters that PagerDuty keeps */
#define MAX_EVENT   512000 /* bytes that it takes */
#define MAX_ANSWER  (64 << 10)

#define TEXT(limit) "\"type\":\"string\",\"minLength\":1,\"maxLength\":" limit
#define KEY         "\"key\":{" TEXT("255")
#define ENDS        "\"effect\":\"notify\",\"class\":\"idempotent\",\"deadline_ms\":20000,"

static const char declaration[] =
    "{\"name\":\"pagerduty\",\"version\":\"0.1.0\",\"summary\":\"PagerDuty: page people, by its Events API v2\","
    "\"settings\":{"
    "\"url\":{\"type\":\"string\",\"format\":\"url\",\"required\":true,"
    "\"summary\":\"https://events.pagerduty.com or https://events.eu.pagerduty.com\"},"
    "\"routing_key\":{\"type\":\"string\",\"secret\":true,\"required\":true,"
    "\"summary\":\"the integration key of an Events API v2 integration\"},"
    "\"source\":{" TEXT(
        "255") ",\"summary\":\"where pages say that they come from (stanch)\"},"
               "\"client\":{" TEXT(
                   "255") ",\"summary\":\"the name that PagerDuty shows for the link back (Stanch)\"},"
                          "\"client_url\":{" TEXT(
                              "2048") ",\"pattern\":\"^https?://\",\"summary\":\"where that link leads, when a page "
                                      "has "
                                      "none of its own\"},"
                                      "\"ca_file\":{\"type\":\"string\",\"format\":\"ca-file\",\"summary\":"
                                      "\"certificates to trust instead of the "
                                      "system's\"}},"
                                      "\"check\":{\"summary\":\"PagerDuty can be reached\",\"deadline_ms\":10000},"
                                      "\"actions\":{"
                                      "\"trigger\":{\"summary\":\"page: open an incident, or add to the one that is "
                                      "open under the key\"," ENDS "\"params\":{"
                                      "\"summary\":{\"type\":\"string\",\"minLength\":1,\"summary\":\"what people read "
                                      "first; cut at 1024 characters\"}," KEY
                                      ",\"summary\":\"what the page is about: the same key is the same incident; one "
                                      "of its own when it is left out\"},"
                                      "\"severity\":{\"type\":\"string\",\"enum\":[\"critical\",\"error\",\"warning\","
                                      "\"info\",\"sev1\",\"sev2\","
                                      "\"sev3\",\"sev4\"],\"summary\":\"PagerDuty's, or an incident's: sev1 to sev4 "
                                      "are sent in the order of the other "
                                      "four; critical when it is left out\"},"
                                      "\"source\":{" TEXT(
                                          "255") ",\"summary\":\"what is affected; the setting when it is left out\"},"
                                                 "\"component\":{" TEXT("255") "},\"group\":{" TEXT(
                                                     "255") "},\"class\":{" TEXT("255") "},"
                                                                                        "\"link\":{" TEXT(
                                                                                            "2048") ",\"pattern\":\"^"
                                                                                                    "https?://"
                                                                                                    "\",\"summary\":"
                                                                                                    "\"where to look "
                                                                                                    "and answer\"},"
                                                                                                    "\"details\":{"
                                                                                                    "\"type\":"
                                                                                                    "\"object\","
                                                                                                    "\"additionalProper"
                                                                                                    "ties\":{\"type\":"
                                                                                                    "\"any\"},"
                                                                                                    "\"summary\":"
                                                                                                    "\"shown with the "
                                                                                                    "incident "
                                                                                                    "(custom_details)"
                                                                                                    "\"}},\"required\":"
                                                                                                    "[\"summary\"]},"
                                                                                                    "\"acknowledge\":{"
                                                                                                    "\"summary\":\"say "
                                                                                                    "that somebody is "
                                                                                                    "at it: no further "
                                                                                                    "escalation\"," ENDS
                                                                                                    "\"params\":{" KEY
                                                                                                    ",\"summary\":\"of "
                                                                                                    "the "
                                                                                                    "trigger\"}},"
                                                                                                    "\"required\":["
                                                                                                    "\"key\"]},"
                                                                                                    "\"resolve\":{"
                                                                                                    "\"summary\":\"end "
                                                                                                    "the incident "
                                                                                                    "under the "
                                                                                                    "key\"," ENDS
                                                                                                    "\"params\":{" KEY
                                                                                                    ",\"summary\":\"of "
                                                                                                    "the "
                                                                                                    "trigger\"}},"
                                                                                                    "\"required\":["
                                                                                                    "\"key\"]}}}";

/* ---- what is sent ---- */

static const char *severity_of(const struct sdk_call *call)
{
    static const char *const as[][2] = {{"sev1", "critical"}, {"sev2", "error"}, {"sev3", "warning"}, {"sev4", "info"}};
    const char *word = sdk_arg_str(call, "severity", "critical");
    for (size_t i = 0; i < sizeof as / sizeof *as; i++)
        if (strcmp(as[i][0], word) == 0)
            return as[i][1];
    return word;
}

/* The first so many characters (bytes 10xxxxxx go on with one). */
static const char *cut(struct sdk_call *call, const char *text, size_t max)
{
    size_t chars = 0;
    for (const char *c = text; *c; c++)
        if (((unsigned char)*c & 0xc0) != 0x80 && chars++ == max)
            return sdk_text(call, "%.*s", (int)(c - text), text);
    return text;
}

static void set_text(json_t *into, const char *name, const char *text)
{
    if (text && *text)
        json_object_set_new(into, name, json_string(text));
}

static json_t *payload_of(struct sdk_call *call)
{
    struct sdk_instance *instance = sdk_instance(call);
    static const char *const same[] = {"component", "group", "class"};
    json_t *payload = json_object(), *details = json_object_get(sdk_args(call), "details");
    set_text(payload, "summary", cut(call, sdk_arg_str(call, "summary", ""), MAX_SUMMARY));
    set_text(payload, "source", sdk_arg_str(call, "source", sdk_setting(instance, "source", "stanch")));
    set_text(payload, "severity", severity_of(call));
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        set_text(payload, same[i], sdk_arg_str(call, same[i], NULL));
    if (details)
        json_object_set(payload, "custom_details", details);
    return payload;
}

static const char *key_of(const struct sdk_call *call)
{
    return sdk_arg_str(call, "key", sdk_key(call));
}

static json_t *event_of(struct sdk_call *call)
{
    struct sdk_instance *instance = sdk_instance(call);
    json_t *event =
        json_pack("{s:s, s:s}", "event_action", sdk_action(call), "routing_key", sdk_secret(call, "routing_key"));
    if (!event) /* a key that is no text: it is not PagerDuty's */
        return NULL;
    set_text(event, "dedup_key", key_of(call));
    if (strcmp(sdk_action(call), "trigger") != 0)
        return event;
    const char *link = sdk_arg_str(call, "link", NULL);
    json_object_set_new(event, "payload", payload_of(call));
    set_text(event, "client", sdk_setting(instance, "client", "Stanch"));
    set_text(event, "client_url", link ? link : sdk_setting(instance, "client_url", NULL));
    if (link)
        json_object_set_new(event, "links", json_pack("[{s:s, s:s}]", "href", link, "text", "Look and answer"));
    return event;
}

/* Too much to tell is told in part: a page that is not sent wakes nobody. */
static void fit(json_t *event)
{
    size_t bytes = json_dumpb(event, NULL, 0, JSON_COMPACT);
    if (bytes <= MAX_EVENT)
        return;
    json_object_set_new(json_object_get(event, "payload"), "custom_details",
                        json_pack("{s:s}", "left_out", "the details are longer than PagerDuty takes"));
}

/* ---- sent ---- */

static void refuse(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    json_t *body = sdk_hold(call, json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL));
    const char *message = json_string_value(json_object_get(body, "message"));
    const char *first = json_string_value(json_array_get(json_object_get(body, "errors"), 0));
    sdk_fail(call, "invalid",
             "PagerDuty refuses the event (400)%s%s%s%s; is the routing key of an Events API v2 integration?",
             message ? ": " : "", message ? cut(call, message, 200) : "", first ? ": " : "",
             first ? cut(call, first, 200) : "");
}

static void on_sent(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (answer->ended == STANCH_HTTP_ANSWERED && answer->status == 400) {
        refuse(call, answer);
        return;
    }
    if (!sdk_http_ok(call, answer))
        return;
    json_t *body = sdk_hold(call, json_loadb(answer->body, answer->body_len, JSON_REJECT_DUPLICATES, NULL));
    const char *status = json_string_value(json_object_get(body, "status"));
    const char *key = json_string_value(json_object_get(body, "dedup_key"));
    if (answer->status != 202 || !status || strcmp(status, "success") != 0)
        sdk_unknown(call, "protocol",
                    "%u, and not what PagerDuty answers to an event that it took: is the setting url right?",
                    answer->status);
    else
        sdk_done(call, json_pack("{s:s}", "key", key && *key ? key : key_of(call)));
}

static void send_event(struct sdk_call *call)
{
    json_t *event = event_of(call);
    if (!event) {
        sdk_fail(call, "invalid", "settings.routing_key is no text");
        return;
    }
    fit(event);
    sdk_http_retry(
        call, &(struct sdk_http_order){.method = "POST", .path = "/v2/enqueue", .json = event, .max_body = MAX_ANSWER},
        on_sent);
}

/* ---- check: nothing reads a routing key, and an event would wake somebody ---- */

static void on_reached(struct sdk_call *call, const struct sdk_http_answer *answer)
{
    if (answer->ended != STANCH_HTTP_ANSWERED || answer->status >= 500)
        sdk_check_http(call, "reach PagerDuty", answer);
    else
        sdk_check(call, "reach PagerDuty", true,
                  "it answered; whether the routing key is good only an event tells: trigger one, and resolve it");
    sdk_checked(call);
}

static void check(struct sdk_call *call)
{
    sdk_http_retry(call, &(struct sdk_http_order){.path = "/v2/enqueue", .max_body = MAX_ANSWER}, on_reached);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"trigger", STANCH_OP_READ, send_event},
    {"acknowledge", STANCH_OP_READ, send_event},
    {"resolve", STANCH_OP_READ, send_event},
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers};
STANCH_PLUGIN(plugin)
