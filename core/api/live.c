/* live.c: server-sent events: every entry as it is committed. A client that comes back with Last-Event-ID first gets
 * what it missed, page by page at the pace it reads, and then follows; nothing is left out or told twice.
 *
 *   catching up (pages, paced) --caught up--> following --slow reader--> ended (it comes back with its last id)
 */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PAGE     200
#define RETRY_MS 50
#define GIVE_UP  600 /* retries without one entry read: 30 s */

struct stanch_api__live {
    struct stanch_api__live *next;
    struct stanch_api *api;
    struct stanch_http_request *request;
    struct stanch_follower *follower;
    struct stanch_timer *timer;
    char *chain; /* only this incident; NULL: all */
    int64_t last_seq;
    int sent, retries;
    bool is_full, gone;
};

static void end(struct stanch_api__live *live)
{
    struct stanch_api *api = live->api;
    struct stanch_api__live **at = &api->live;
    while (*at != live)
        at = &(*at)->next;
    *at = live->next;
    api->live_count--;
    if (live->follower)
        stanch_journal_unfollow(api->journal, live->follower);
    stanch_timer_stop(api->loop, &live->timer);
    if (!live->gone)
        stanch_http_stream_end(live->request);
    free(live->chain);
    free(live);
}

static void on_gone(void *ctx)
{
    struct stanch_api__live *live = ctx;
    live->gone = true;
    end(live);
}

static int send_entry(struct stanch_api__live *live, const struct stanch_entry *entry)
{
    STANCH_AUTO_JSON json_t *value = stanch_entry_json(entry);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char id[32];
    (void)snprintf(id, sizeof id, "%lld", (long long)entry->seq);
    stanch_json_write(value, &text);
    int rc = stanch_http_stream_send(live->request, id, "entry", stanch_buf_str(&text), NULL);
    if (rc == 0)
        live->last_seq = entry->seq;
    return rc;
}

static void on_late_end(void *ctx)
{
    struct stanch_api__live *live = ctx;
    live->timer = NULL;
    end(live);
}

static void on_followed(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_api__live *live = ctx;
    if (entry->seq <= live->last_seq || (live->chain && strcmp(live->chain, entry->chain) != 0) || live->timer)
        return;
    if (send_entry(live, entry) != 0) /* not from here: the journal is walking its followers */
        live->timer = stanch_timer_start(live->api->loop, 0, on_late_end, live);
}

static int on_page_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_api__live *live = ctx;
    live->is_full = send_entry(live, entry) != 0;
    live->sent += !live->is_full;
    return live->is_full;
}

static void on_page(void *ctx)
{
    struct stanch_api__live *live = ctx;
    struct stanch_err err;
    const struct stanch_entry_query query = {.chain = live->chain, .after_seq = live->last_seq, .limit = PAGE};
    live->timer = NULL;
    live->sent = 0;
    live->is_full = false;
    int rc = stanch_journal_entries(live->api->journal, &query, on_page_entry, live, &err);
    live->retries = live->sent > 0 ? 0 : live->retries + 1;
    if (rc < 0 || live->retries > GIVE_UP)
        end(live);
    else if (!live->is_full && live->sent < PAGE)
        live->follower = stanch_journal_follow(live->api->journal, on_followed, live);
    else
        live->timer = stanch_timer_start(live->api->loop, live->is_full ? RETRY_MS : 0, on_page, live);
}

static int read_last_id(const struct stanch_api__call *call, int64_t *ret, struct stanch_err *err)
{
    const char *text = stanch_http_header(call->request, "last-event-id");
    char *tail = NULL;
    if (!text)
        return stanch_api__query_int(call, "after", 0, INT64_MAX, -1, ret, err);
    errno = 0;
    *ret = strtoll(text, &tail, 10);
    if (errno || tail == text || *tail || *ret < 0)
        return stanch_err_set(err, STANCH_E_INVALID, "Last-Event-ID: expected the id of an entry, a number");
    return 0;
}

void stanch_api__stream(struct stanch_api__call *call)
{
    struct stanch_api *api = call->api;
    struct stanch_err err = {0};
    int64_t after_seq = -1;
    if (read_last_id(call, &after_seq, &err) != 0) {
        stanch_api__fail(call, &err, "header Last-Event-ID");
        return;
    }
    if (api->live_count >= STANCH_API__STREAMS || api->draining) {
        stanch_err_set(&err, STANCH_E_BUSY, "all %d live streams are taken", STANCH_API__STREAMS);
        stanch_api__fail(call, &err, NULL);
        return;
    }
    struct stanch_api__live *live = STANCH_NEW(struct stanch_api__live);
    live->api = api;
    live->request = call->request;
    live->chain = stanch_strdup(stanch_http_query(call->request, "incident"));
    live->next = api->live;
    api->live = live;
    api->live_count++;
    stanch_http_stream_start(call->request, on_gone, live);
    stanch_api__call_free(call);
    if (after_seq >= 0) {
        live->last_seq = after_seq;
        live->timer = stanch_timer_start(api->loop, 0, on_page, live);
    } else {
        live->follower = stanch_journal_follow(api->journal, on_followed, live);
    }
}

void stanch_api__live_end_all(struct stanch_api *api)
{
    while (api->live)
        end(api->live);
}
