/* host_exchange.c: one question and one answer over a stream: connect, send, read to the end, close.
 *
 *   look up --> connect --> write, read --> the peer closes: ANSWERED
 *      |           |             '--> an error, a limit, no byte at all: LOST
 *      '-----------'--> NOT_SENT
 */
#include "base/mem.h"
#include "plugin/host.h"
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define DEFAULT_MAX_ANSWER (4u << 20)
#define MAX_ANSWER         (64u << 20)

struct exchange {
    struct stanch_host_work work;
    struct stanch_call *call; /* NULL: abandoned; what is open closes, nobody is told */
    void (*on_ended)(struct stanch_call *, void *, uint32_t, struct stanch_text, struct stanch_text);
    void *ctx;
    struct stanch_loop *loop;
    const struct stanch_host_place *place;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    };
    bool is_open;    /* the handle has to be closed */
    bool is_waiting; /* a look-up has not come back */
    uv_getaddrinfo_t lookup;
    uv_connect_t connect;
    uv_write_t write;
    struct stanch_timer *refusal;
    struct stanch_buf send, answer;
    uint64_t max_answer;
    char why[400];
    char chunk[16384];
};

static void free_exchange(struct exchange *x)
{
    stanch_buf_done(&x->send);
    stanch_buf_done(&x->answer);
    free(x);
}

static void on_closed(uv_handle_t *handle)
{
    struct exchange *x = handle->data;
    x->is_open = false;
    if (!x->is_waiting)
        free_exchange(x);
}

/* Let go of what is open; the last thing that comes back frees. */
static void release(struct exchange *x)
{
    x->call = NULL;
    stanch_timer_stop(x->loop, &x->refusal);
    if (x->is_waiting)
        uv_cancel((uv_req_t *)&x->lookup);
    if (x->is_open) {
        if (!uv_is_closing(&x->handle))
            uv_close(&x->handle, on_closed);
    } else if (!x->is_waiting) {
        free_exchange(x);
    }
}

static void abandon(struct stanch_host_work *work)
{
    release(container_of(work, struct exchange, work));
}

static void finish(struct exchange *x, uint32_t ended)
{
    struct stanch_call *call = x->call;
    struct stanch_text answer = {stanch_buf_str(&x->answer), x->answer.len}, why = {x->why, strlen(x->why)};
    stanch_host__work_remove(&x->work);
    x->call = NULL;
    x->on_ended(call, x->ctx, ended, answer, why);
    release(x);
}

static void fail(struct exchange *x, uint32_t ended, const char *detail)
{
    (void)snprintf(x->why, sizeof x->why, "%.200s: %.150s (%s)", x->place ? x->place->text : "exchange", detail,
                   ended == STANCH_HTTP_NOT_SENT ? "nothing was sent" : "the request may have arrived");
    finish(x, ended);
}

static void on_need_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct exchange *x = handle->data;
    (void)suggested;
    *buf = uv_buf_init(x->chunk, sizeof x->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct exchange *x = stream->data;
    if (!x->call || n == 0)
        return;
    if (n > 0 && x->answer.len + (size_t)n > x->max_answer)
        fail(x, STANCH_HTTP_LOST, "the answer is over its limit");
    else if (n > 0)
        stanch_buf_add(&x->answer, buf->base, (size_t)n);
    else if (n == UV_EOF && x->answer.len == 0)
        fail(x, STANCH_HTTP_LOST, "the peer closed without an answer");
    else if (n == UV_EOF)
        finish(x, STANCH_HTTP_ANSWERED);
    else
        fail(x, STANCH_HTTP_LOST, uv_strerror((int)n));
}

static void on_written(uv_write_t *req, int status)
{
    struct exchange *x = req->data;
    if (x->call && status < 0 && x->answer.len == 0)
        fail(x, STANCH_HTTP_LOST, uv_strerror(status));
}

static void on_connected(uv_connect_t *req, int status)
{
    struct exchange *x = req->data;
    if (!x->call)
        return;
    if (status < 0) {
        fail(x, STANCH_HTTP_NOT_SENT, uv_strerror(status));
        return;
    }
    uv_buf_t bytes = uv_buf_init(x->send.data ? x->send.data : x->chunk, (unsigned)x->send.len);
    x->write.data = x;
    int rc = uv_write(&x->write, &x->stream, &bytes, 1, on_written);
    rc = rc < 0 ? rc : uv_read_start(&x->stream, on_need_chunk, on_read);
    if (rc < 0)
        fail(x, STANCH_HTTP_LOST, uv_strerror(rc));
}

static void connect_tcp(struct exchange *x, const struct addrinfo *found)
{
    char why[300] = "the name has no address";
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        if (!stanch_host__address_ok(x->place, a->ai_addr, why))
            continue;
        uv_tcp_init(stanch_loop_uv(x->loop), &x->tcp);
        x->is_open = true;
        x->handle.data = x;
        x->connect.data = x;
        int rc = uv_tcp_connect(&x->connect, &x->tcp, a->ai_addr, on_connected);
        if (rc < 0)
            fail(x, STANCH_HTTP_NOT_SENT, uv_strerror(rc));
        return;
    }
    fail(x, STANCH_HTTP_NOT_SENT, why);
}

static void on_looked_up(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct exchange *x = req->data;
    x->is_waiting = false;
    if (!x->call)
        free_exchange(x);
    else if (status < 0)
        fail(x, STANCH_HTTP_NOT_SENT, uv_strerror(status));
    else
        connect_tcp(x, found);
    uv_freeaddrinfo(found);
}

static void on_refusal(void *ctx)
{
    struct exchange *x = ctx;
    x->refusal = NULL;
    finish(x, STANCH_HTTP_NOT_SENT);
}

static void refuse(struct exchange *x, const char *why, const char *detail)
{
    (void)snprintf(x->why, sizeof x->why, "%.200s %.150s", why, detail);
    x->refusal = stanch_timer_start(x->loop, 0, on_refusal, x);
}

static void start_unix(struct exchange *x)
{
    uv_pipe_init(stanch_loop_uv(x->loop), &x->pipe, 0);
    x->is_open = true;
    x->handle.data = x;
    x->connect.data = x;
    uv_pipe_connect(&x->connect, &x->pipe, x->place->text + 5, on_connected);
}

static void start_tcp(struct exchange *x)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char port[12];
    (void)snprintf(port, sizeof port, "%d", x->place->port);
    x->lookup.data = x;
    int rc = uv_getaddrinfo(stanch_loop_uv(x->loop), &x->lookup, on_looked_up, x->place->host, port, &hints);
    if (rc < 0)
        refuse(x, "the look-up failed:", uv_strerror(rc));
    else
        x->is_waiting = true;
}

static const struct stanch_host_place *find_place(struct stanch_instance *instance, struct stanch_text address)
{
    for (const struct stanch_host_place *p = instance->places; p; p = p->next)
        if (strlen(p->text) == address.len && memcmp(p->text, address.data, address.len) == 0 &&
            (strcmp(p->scheme, "unix") == 0 || strcmp(p->scheme, "tcp") == 0))
            return p;
    return NULL;
}

void stanch_host__exchange_start(
    struct stanch_call *call, struct stanch_text address, struct stanch_text send, uint64_t max_answer,
    void (*on_ended)(struct stanch_call *, void *, uint32_t, struct stanch_text, struct stanch_text), void *ctx)
{
    struct exchange *x = STANCH_NEW(struct exchange);
    STANCH_AUTO_FREE char *text = stanch_strndup(address.data ? address.data : "", address.len);
    x->work.abandon = abandon;
    x->call = call;
    x->on_ended = on_ended;
    x->ctx = ctx;
    x->loop = call->instance->loop;
    x->max_answer = max_answer ? max_answer : DEFAULT_MAX_ANSWER;
    x->max_answer = x->max_answer > MAX_ANSWER ? MAX_ANSWER : x->max_answer;
    if (send.len)
        stanch_buf_add(&x->send, send.data, send.len);
    stanch_host__work_add(call, &x->work);
    x->place = find_place(call->instance, address);
    if (!x->place)
        refuse(x, "refused: no setting with \"format\":\"address\" has the value", text);
    else if (strcmp(x->place->scheme, "unix") == 0)
        start_unix(x);
    else
        start_tcp(x);
}
