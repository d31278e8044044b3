/* channel.c: frames on libuv. A channel that is closed lives on until libuv has let go of its handle and all
 * writes have come back; `gone` marks that time, in which nothing is told to anybody. */
#include "wire/channel.h"
#include "base/crash.h"
#include "base/mem.h"
#include <stdbool.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define MAX_QUEUED (64u << 20)

struct stanch_channel {
    uv_pipe_t pipe;
    struct stanch_loop *loop;
    struct stanch_channel_events events;
    void *ctx;
    struct stanch_frame_reader reader;
    size_t queued;
    bool gone; /* closed by its owner: no callback any more */
    bool over; /* on_closed was told */
    char chunk[65536];
};

struct write_op {
    uv_write_t uv;
    struct stanch_channel *channel;
    struct stanch_buf bytes;
};

static void on_pipe_closed(uv_handle_t *handle)
{
    struct stanch_channel *channel = container_of((uv_pipe_t *)handle, struct stanch_channel, pipe);
    stanch_frame_reader_done(&channel->reader);
    free(channel);
}

static void tell_over(struct stanch_channel *channel, const struct stanch_err *why)
{
    uv_read_stop((uv_stream_t *)&channel->pipe);
    if (channel->gone || channel->over)
        return;
    channel->over = true;
    channel->events.on_closed(channel->ctx, why);
}

static void on_need_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct stanch_channel *channel = container_of((uv_pipe_t *)handle, struct stanch_channel, pipe);
    *buf = uv_buf_init(channel->chunk, sizeof channel->chunk);
}

/* libuv hands over one descriptor at a time; accept it into a throw-away pipe and keep a duplicate. */
static void on_acceptor_closed(uv_handle_t *handle)
{
    free(handle);
}

static int take_passed_fd(struct stanch_channel *channel)
{
    if (uv_pipe_pending_count(&channel->pipe) == 0)
        return -1;
    uv_pipe_t *acceptor = STANCH_NEW(uv_pipe_t);
    uv_pipe_init(channel->pipe.loop, acceptor, 0);
    int fd = -1;
    uv_os_fd_t raw;
    if (uv_accept((uv_stream_t *)&channel->pipe, (uv_stream_t *)acceptor) == 0 &&
        uv_fileno((uv_handle_t *)acceptor, &raw) == 0)
        fd = fcntl(raw, F_DUPFD_CLOEXEC, 3); /* as uv set it: no child inherits it */
    uv_close((uv_handle_t *)acceptor, on_acceptor_closed);
    return fd;
}

static void give_frames(struct stanch_channel *channel)
{
    while (!channel->gone && !channel->over) {
        struct stanch_frame frame;
        struct stanch_err err;
        int rc = stanch_frame_reader_next(&channel->reader, &frame, &err);
        if (rc == 0)
            return;
        if (rc < 0) {
            tell_over(channel, &err);
            return;
        }
        int fd = json_is_true(json_object_get(frame.head, "fd")) ? take_passed_fd(channel) : -1;
        channel->events.on_frame(channel->ctx, frame.head, frame.attachment, frame.attachment_len, fd);
        stanch_frame_done(&frame);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct stanch_channel *channel = container_of((uv_pipe_t *)stream, struct stanch_channel, pipe);
    if (n == 0 || channel->gone)
        return;
    if (n < 0) {
        struct stanch_err why = {0};
        if (n != UV_EOF && n != UV_ECONNRESET)
            stanch_err_set(&why, STANCH_E_SYSTEM, "the channel could not be read: %s", uv_strerror((int)n));
        else if (channel->reader.in.len > channel->reader.used)
            stanch_err_set(&why, STANCH_E_CRASHED, "the channel closed inside a frame");
        tell_over(channel, &why);
        return;
    }
    stanch_frame_reader_feed(&channel->reader, buf->base, (size_t)n);
    give_frames(channel);
}

int stanch_channel_open(struct stanch_loop *loop, int fd, int passes_fds, const struct stanch_channel_events *events,
                        void *ctx, struct stanch_channel **ret, struct stanch_err *err)
{
    struct stanch_channel *channel = STANCH_NEW(struct stanch_channel);
    channel->loop = loop;
    channel->events = *events;
    channel->ctx = ctx;
    uv_pipe_init(stanch_loop_uv(loop), &channel->pipe, passes_fds);
    int rc = uv_pipe_open(&channel->pipe, fd);
    if (rc < 0)
        close(fd);
    else
        rc = uv_read_start((uv_stream_t *)&channel->pipe, on_need_chunk, on_read);
    if (rc < 0) {
        stanch_err_set(err, STANCH_E_SYSTEM, "a channel could not be opened: %s", uv_strerror(rc));
        stanch_channel_close(channel);
        return STANCH_E_SYSTEM;
    }
    *ret = channel;
    return 0;
}

static void on_written(uv_write_t *uv, int status)
{
    struct write_op *op = container_of(uv, struct write_op, uv);
    (void)status; /* a failed write is followed by the end of reading, which tells it */
    op->channel->queued -= op->bytes.len;
    stanch_buf_done(&op->bytes);
    free(op);
}

/* Tests kill the process in the middle of a frame. */
static void torn_point(struct stanch_channel *channel, const struct stanch_buf *bytes)
{
    uv_os_fd_t fd = -1;
    if (channel->queued == 0 && uv_fileno((uv_handle_t *)&channel->pipe, &fd) == 0)
        stanch_crash_torn("wire.torn-send", fd, bytes->data, bytes->len);
}

int stanch_channel_send(struct stanch_channel *channel, const json_t *head, const void *attachment, size_t len,
                        struct stanch_err *err)
{
    if (channel->over)
        return stanch_err_set(err, STANCH_E_CRASHED, "the channel is closed");
    if (channel->queued > MAX_QUEUED)
        return stanch_err_set(err, STANCH_E_BUSY, "the process behind the channel does not read");
    struct stanch_buf bytes = {0};
    int rc = stanch_frame_encode(head, attachment, len, &bytes, err);
    if (rc < 0) {
        stanch_buf_done(&bytes);
        return rc;
    }
    torn_point(channel, &bytes);
    if (channel->queued == 0) { /* the common case: it fits into the socket's buffer, at once */
        uv_buf_t whole = uv_buf_init(bytes.data, (unsigned)bytes.len);
        int n = uv_try_write((uv_stream_t *)&channel->pipe, &whole, 1);
        if (n > 0)
            stanch_buf_drop(&bytes, (size_t)n);
        if (bytes.len == 0) {
            stanch_buf_done(&bytes);
            return 0;
        }
    }
    struct write_op *op = STANCH_NEW(struct write_op);
    op->channel = channel;
    op->bytes = bytes;
    channel->queued += bytes.len;
    uv_buf_t whole = uv_buf_init(op->bytes.data, (unsigned)op->bytes.len);
    rc = uv_write(&op->uv, (uv_stream_t *)&channel->pipe, &whole, 1, on_written);
    if (rc < 0) {
        on_written(&op->uv, rc);
        return stanch_err_set(err, STANCH_E_CRASHED, "the channel could not be written: %s", uv_strerror(rc));
    }
    return 0;
}

size_t stanch_channel_queued(const struct stanch_channel *channel)
{
    return channel->queued;
}

void stanch_channel_close(struct stanch_channel *channel)
{
    if (!channel || channel->gone)
        return;
    channel->gone = true;
    uv_close((uv_handle_t *)&channel->pipe, on_pipe_closed);
}
