/* timeline.c: entries, as a page of JSON or as JSON lines. */
#include "api/room.h"
#include "base/json.h"
#include <string.h>

struct reading {
    json_t *items;
    struct stanch_buf lines;
    bool as_lines;
    int count;
    int64_t last_seq;
};

static int on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct reading *reading = ctx;
    json_t *value = stanch_entry_json(entry);
    reading->count++;
    reading->last_seq = entry->seq;
    if (reading->as_lines) {
        stanch_json_write(value, &reading->lines);
        stanch_buf_char(&reading->lines, '\n');
        json_decref(value);
    } else {
        json_array_append_new(reading->items, value);
    }
    return 0;
}

static int read_query(const struct stanch_api__call *call, struct stanch_entry_query *ret, bool *ret_as_lines,
                      struct stanch_err *err)
{
    int64_t limit = 0;
    const char *level = stanch_http_query(call->request, "level");
    const char *format = stanch_http_query(call->request, "format");
    if (level && strcmp(level, "headline") != 0 && strcmp(level, "detail") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "level=%.40s: expected headline or detail", level);
    if (format && strcmp(format, "json") != 0 && strcmp(format, "jsonl") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "format=%.40s: expected json or jsonl", format);
    int rc = stanch_api__query_int(call, "limit", 1, 1000, 1000, &limit, err);
    if (rc == 0)
        rc = stanch_api__query_int(call, "after", 0, INT64_MAX, 0, &ret->after_seq, err);
    ret->chain = call->parts[0];
    ret->run = stanch_http_query(call->request, "run");
    ret->headlines_only = level && strcmp(level, "headline") == 0;
    ret->limit = (int)limit;
    *ret_as_lines = format && strcmp(format, "jsonl") == 0;
    return rc;
}

/* Else the call has ended. */
static bool chain_exists(struct stanch_api__call *call)
{
    if (strcmp(call->parts[0], STANCH_CHAIN_NONE) == 0)
        return true;
    STANCH_AUTO_JSON json_t *incident = stanch_api__find(call, "incident");
    return incident != NULL;
}

static void answer(struct stanch_api__call *call, struct reading *reading, int limit)
{
    if (reading->as_lines) {
        stanch_http_answer(call->request, 200, "application/jsonl", stanch_buf_str(&reading->lines), reading->lines.len,
                           NULL);
        stanch_api__call_free(call);
        return;
    }
    STANCH_AUTO_JSON json_t *page = json_pack("{s:O, s:o}", "items", reading->items, "next",
                                              reading->count >= limit ? json_integer(reading->last_seq) : json_null());
    stanch_api__answer(call, page);
}

void stanch_api__timeline(struct stanch_api__call *call)
{
    struct reading reading = {.items = json_array()};
    struct stanch_entry_query query = {0};
    struct stanch_err err = {0};
    if (!chain_exists(call))
        goto done;
    if (read_query(call, &query, &reading.as_lines, &err) != 0)
        stanch_api__fail(call, &err, "query");
    else if (stanch_journal_entries(call->api->journal, &query, on_entry, &reading, &err) != 0)
        stanch_api__fail(call, &err, NULL);
    else
        answer(call, &reading, query.limit);
done:
    json_decref(reading.items);
    stanch_buf_done(&reading.lines);
}
