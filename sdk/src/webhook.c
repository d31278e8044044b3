/* webhook.c: credentials and bodies of webhooks, normalised events, times. */
#define _XOPEN_SOURCE 700
#include "inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *sdk_header(const struct sdk_call *call, const char *name)
{
    return json_string_value(json_object_get(json_object_get(call->input, "headers"), name));
}

const char *sdk_query(const struct sdk_call *call)
{
    const char *text = json_string_value(json_object_get(call->input, "query"));
    return text ? text : "";
}

bool sdk_is_test(const struct sdk_call *call)
{
    return json_is_true(json_object_get(call->input, "test")) || json_is_true(json_object_get(call->input, "trusted"));
}

const char *sdk_remote(const struct sdk_call *call)
{
    const char *text = json_string_value(json_object_get(call->input, "remote"));
    return text ? text : "";
}

const char *sdk_body(const struct sdk_call *call, size_t *ret_len)
{
    struct stanch_text body = sdk_host(call)->call_body(call->handle);
    *ret_len = body.len;
    return body.data ? body.data : "";
}

/* What follows the scheme in the Authorization header; NULL when another one, or none, was sent. */
static const char *authorization(const struct sdk_call *call, const char *scheme)
{
    const char *header = sdk_header(call, "authorization");
    size_t len = strlen(scheme);
    if (!header || strncasecmp(header, scheme, len) != 0 || header[len] != ' ')
        return NULL;
    return header + len + strspn(header + len, " ");
}

bool sdk_bearer_ok(const struct sdk_call *call, const char *secret)
{
    struct stanch_text want = sdk_host(call)->secret(call->instance->handle, sdk_span(secret));
    const char *given = authorization(call, "Bearer");
    return given && want.len > 0 && sdk_host(call)->secret_equal(want, sdk_span(given)) != 0;
}

bool sdk_basic_ok(const struct sdk_call *call, const char *user, const char *password)
{
    const struct stanch_host *host = sdk_host(call);
    struct stanch_text want = host->secret(call->instance->handle, sdk_span(password));
    const char *want_user = sdk_setting(call->instance, user, NULL);
    const char *given = authorization(call, "Basic");
    if (!given || !want_user || want.len == 0)
        return false;
    size_t len = 0;
    const char *pair = sdk_base64_decode((struct sdk_call *)(uintptr_t)call, given, &len); /* its memory only */
    const char *colon = pair ? memchr(pair, ':', len) : NULL;
    uint32_t equal = 0;
    if (colon) {
        struct stanch_text name = {pair, (uint64_t)(colon - pair)};
        struct stanch_text pass = {colon + 1, len - name.len - 1};
        equal = host->secret_equal(want, pass) & host->secret_equal(sdk_span(want_user), name);
    }
    return equal != 0;
}

bool sdk_hmac_hex(const struct sdk_call *call, const char *secret, const void *data, size_t len, char ret_hex[65])
{
    uint8_t raw[32];
    struct stanch_text bytes = {data, len};
    if (sdk_host(call)->hmac_sha256(call->instance->handle, sdk_span(secret), bytes, raw) == 0)
        return false;
    for (size_t i = 0; i < sizeof raw; i++)
        (void)snprintf(ret_hex + 2 * i, 3, "%02x", raw[i]);
    return true;
}

bool sdk_equal(const struct sdk_call *call, const char *a, const char *b)
{
    return sdk_host(call)->secret_equal(sdk_span(a), sdk_span(b)) != 0;
}

bool sdk__is_too_deep(const char *json, size_t len, int max)
{
    int depth = 0;
    bool in_text = false;
    for (size_t i = 0; i < len; i++) {
        char c = json[i];
        if (in_text && c == '\\')
            i++;
        else if (c == '"')
            in_text = !in_text;
        else if (!in_text && (c == '{' || c == '['))
            depth++;
        else if (!in_text && (c == '}' || c == ']'))
            depth--;
        if (depth > max)
            return true;
    }
    return false;
}

const json_t *sdk_body_json(struct sdk_call *call)
{
    size_t len = 0;
    const char *body = sdk_body(call, &len);
    if (len == 0) {
        sdk_fail(call, "invalid", "the body is empty; a JSON object was expected");
        return NULL;
    }
    if (sdk__is_too_deep(body, len, 64)) {
        sdk_fail(call, "invalid", "the body is nested deeper than 64");
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(body, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (value)
        return sdk_hold(call, value);
    sdk_fail(call, "invalid", "the body is not JSON: line %d, column %d: %s", error.line, error.column, error.text);
    return NULL;
}

static void set_text(json_t *value, const char *member, const char *text)
{
    if (text && *text)
        json_object_set_new(value, member, json_string(text));
}

/* new */
static json_t *write_change(const struct sdk_change *change)
{
    json_t *value = json_object();
    set_text(value, "kind", change->kind && *change->kind ? change->kind : "change");
    set_text(value, "service", change->service);
    set_text(value, "name", change->name);
    set_text(value, "text", change->text);
    set_text(value, "by", change->by);
    set_text(value, "state", change->state);
    set_text(value, "environment", change->environment);
    set_text(value, "commit", change->commit);
    set_text(value, "previous", change->previous);
    set_text(value, "link", change->link);
    return value;
}

void sdk_event(json_t *events, const struct sdk_event *event)
{
    const char *kind = event->kind ? event->kind : "alert";
    const char *state = event->change ? "happened" : event->resolved ? "resolved" : "firing";
    json_t *value = json_object();
    json_object_set_new(value, "kind", json_string(event->change ? "change" : kind));
    if (event->change)
        json_object_set_new(value, "change", write_change(event->change));
    json_object_set_new(value, "fingerprint", json_string(event->fingerprint ? event->fingerprint : ""));
    json_object_set_new(value, "state", json_string(state));
    set_text(value, "severity", event->severity);
    json_object_set_new(value, "starts_at_ms", json_integer(event->starts_at_ms));
    json_object_set_new(value, "ends_at_ms", event->ends_at_ms > 0 ? json_integer(event->ends_at_ms) : json_null());
    json_object_set_new(value, "name", json_string(event->name ? event->name : ""));
    json_object_set_new(value, "summary", json_string(event->summary ? event->summary : ""));
    json_object_set_new(value, "labels", event->labels ? json_deep_copy(event->labels) : json_object());
    json_object_set_new(value, "annotations", event->annotations ? json_deep_copy(event->annotations) : json_object());
    json_object_set_new(value, "link", json_string(event->link ? event->link : ""));
    json_array_append_new(events, value);
}

void sdk_received(struct sdk_call *call, json_t *events, int64_t truncated)
{
    sdk_done(call, json_pack("{s:o, s:I}", "events", events, "truncated", (json_int_t)truncated));
}

/* Days since 1970-01-01 of a proleptic Gregorian date. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* `count` digits and nothing else; -1. */
static int digits(const char **at, int count)
{
    int value = 0;
    for (; count > 0; count--, (*at)++) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool skip(const char **at, const char *one_of)
{
    bool is_there = **at && strchr(one_of, **at);
    *at += is_there;
    return is_there;
}

/* "Z", "+02:00", "-0530" as minutes. */
static bool parse_offset(const char *at, int *ret_minutes)
{
    bool is_west = *at == '-';
    *ret_minutes = 0;
    if (skip(&at, "Zz"))
        return *at == '\0';
    if (!skip(&at, "+-"))
        return false;
    int hours = digits(&at, 2);
    (void)skip(&at, ":");
    int minutes = hours < 0 ? -1 : digits(&at, 2);
    if (*at || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
        return false;
    *ret_minutes = (hours * 60 + minutes) * (is_west ? -1 : 1);
    return true;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

/* ".123456789": as milliseconds; a point needs a digit behind it. */
static bool parse_fraction(const char **at, int64_t *ret_ms)
{
    int64_t unit = 100;
    *ret_ms = 0;
    if (!skip(at, "."))
        return true;
    if (**at < '0' || **at > '9')
        return false;
    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        *ret_ms += (**at - '0') * unit;
    return true;
}

bool sdk_time_parse(const char *text, int64_t *ret_ms)
{
    const char *at = text ? text : "";
    int64_t fraction_ms = 0;
    int offset = 0;
    int year = digits(&at, 4);
    int month = year < 0 || !skip(&at, "-") ? -1 : digits(&at, 2);
    int day = month < 0 || !skip(&at, "-") ? -1 : digits(&at, 2);
    int hour = day < 0 || !skip(&at, "Tt ") ? -1 : digits(&at, 2);
    int minute = hour < 0 || !skip(&at, ":") ? -1 : digits(&at, 2);
    int second = minute < 0 || !skip(&at, ":") ? -1 : digits(&at, 2);
    if (second < 0 || second > 60 || month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
        minute > 59 || !parse_fraction(&at, &fraction_ms) || !parse_offset(at, &offset))
        return false;
    int64_t ms = ((days_of(year, month, day) * 24 + hour) * 60 + minute - offset) * 60000 + second * 1000 + fraction_ms;
    *ret_ms = ms < 0 ? 0 : ms;
    return true;
}
