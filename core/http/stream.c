/* stream.c: server-sent events. The library pulls: while there is something to say the reader copies it, else
 * it suspends the connection, and the next event (or heartbeat) resumes it. Source: HTML Living Standard 9.2.
 */
#include "http/exchange.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static ssize_t on_read(void *ctx, uint64_t at, char *into, size_t room)
{
    struct stanch_http_request *request = ctx;
    (void)at;
    if (request->out.len > 0) {
        size_t len = request->out.len < room ? request->out.len : room;
        memcpy(into, request->out.data, len);
        stanch_buf_drop(&request->out, len);
        return (ssize_t)len;
    }
    if (request->stream_ended || !request->connection || request->connection->server->stopping)
        return MHD_CONTENT_READER_END_OF_STREAM;
    stanch_http__suspend(request->connection);
    return 0;
}

static void on_begun_gone(void *ctx)
{
    stanch_http__request_gone(ctx);
}

void stanch_http_stream_start(struct stanch_http_request *request, void (*on_gone)(void *ctx), void *ctx)
{
    request->is_stream = true;
    request->answered = true;
    request->on_gone = on_gone;
    request->gone_ctx = ctx;
    if (!request->connection) { /* the client left before the stream began */
        stanch_loop_defer(request->loop, on_begun_gone, request);
        return;
    }
    request->http->streams++;
    request->status = 200;
    stanch_buf_text(&request->out, ":\n\n"); /* the head goes out at once */
    request->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, on_read, request, NULL);
    if (!request->response)
        stanch_mem_end();
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    stanch_http__mark(request, request->response);
    if (!request->in_handler)
        stanch_http__resume(request->connection);
}

static void add_field(struct stanch_buf *out, const char *name, const char *text)
{
    while (text) { /* one line each: a line break inside a field would begin another one */
        size_t len = strcspn(text, "\r\n");
        stanch_buf_printf(out, "%s: ", name);
        stanch_buf_add(out, text, len);
        stanch_buf_char(out, '\n');
        text = text[len] ? text + len + 1 : NULL;
    }
}

int stanch_http_stream_send(struct stanch_http_request *request, const char *id, const char *event, const char *data,
                            struct stanch_err *err)
{
    if (request->out.len + strlen(data) > STANCH_HTTP__STREAM_BYTES)
        return stanch_err_set(err, STANCH_E_BUSY, "a slow reader: more than 1 MiB of events waits");
    add_field(&request->out, "id", id);
    add_field(&request->out, "event", event);
    add_field(&request->out, "data", data);
    stanch_buf_char(&request->out, '\n');
    if (request->connection && !request->in_handler)
        stanch_http__resume(request->connection);
    return 0;
}

void stanch_http__stream_heartbeat(struct stanch_http_request *request)
{
    if (request->out.len == 0)
        stanch_buf_text(&request->out, ":\n\n");
    stanch_http__resume(request->connection);
}

void stanch_http_stream_end(struct stanch_http_request *request)
{
    request->stream_ended = true;
    if (request->connection && !request->in_handler)
        stanch_http__resume(request->connection);
}
