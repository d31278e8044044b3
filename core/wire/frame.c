/* frame.c: the codec of frames, and its blocking transport. */
#include "wire/frame.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PREFIX 8

static void put_u32(char *at, size_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)((v >> (8 * i)) & 0xff);
}

static size_t get_u32(const char *at)
{
    size_t v = 0;
    for (int i = 3; i >= 0; i--)
        v = v << 8 | (unsigned char)at[i];
    return v;
}

int stanch_frame_encode(const json_t *head, const void *attachment, size_t len, struct stanch_buf *out,
                        struct stanch_err *err)
{
    size_t start = out->len;
    char prefix[PREFIX] = {0};
    stanch_buf_add(out, prefix, PREFIX);
    stanch_json_write(head, out);
    size_t head_len = out->len - start - PREFIX;
    if (head_len > STANCH_FRAME_MAX_HEAD || len > STANCH_FRAME_MAX_ATTACHMENT) {
        out->len = start;
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "a frame of %zu + %zu bytes is over the limit of %u + %u",
                              head_len, len, STANCH_FRAME_MAX_HEAD, STANCH_FRAME_MAX_ATTACHMENT);
    }
    put_u32(out->data + start, head_len);
    put_u32(out->data + start + 4, len);
    if (len)
        stanch_buf_add(out, attachment, len);
    return 0;
}

void stanch_frame_reader_done(struct stanch_frame_reader *reader)
{
    stanch_buf_done(&reader->in);
    reader->used = 0;
}

void stanch_frame_reader_feed(struct stanch_frame_reader *reader, const void *bytes, size_t len)
{
    if (reader->used) {
        stanch_buf_drop(&reader->in, reader->used);
        reader->used = 0;
    }
    stanch_buf_add(&reader->in, bytes, len);
}

int stanch_frame_reader_next(struct stanch_frame_reader *reader, struct stanch_frame *ret, struct stanch_err *err)
{
    const char *at = stanch_buf_str(&reader->in) + reader->used;
    size_t have = reader->in.len - reader->used;
    if (have < PREFIX)
        return 0;
    size_t head_len = get_u32(at), len = get_u32(at + 4);
    if (head_len > STANCH_FRAME_MAX_HEAD || len > STANCH_FRAME_MAX_ATTACHMENT)
        return stanch_err_set(err, STANCH_E_PROTOCOL, "a frame that claims %zu + %zu bytes", head_len, len);
    if (have < PREFIX + head_len + len)
        return 0;
    json_t *head = NULL;
    struct stanch_err why;
    if (stanch_json_parse(at + PREFIX, head_len, &stanch_json_own_limits, &head, &why) < 0)
        return stanch_err_set(err, STANCH_E_PROTOCOL, "a frame whose head is %s", why.text);
    if (!json_is_string(json_object_get(head, "t"))) {
        json_decref(head);
        return stanch_err_set(err, STANCH_E_PROTOCOL, "a frame without a kind");
    }
    *ret = (struct stanch_frame){head, len ? at + PREFIX + head_len : NULL, len};
    reader->used += PREFIX + head_len + len;
    return 1;
}

void stanch_frame_done(struct stanch_frame *frame)
{
    json_decref(frame->head);
    *frame = (struct stanch_frame){0};
}

int stanch_frame_send(int fd, const json_t *head, const void *attachment, size_t len, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    int rc = stanch_frame_encode(head, attachment, len, &out, err);
    if (rc < 0)
        return rc;
    for (size_t done = 0; done < out.len;) {
        ssize_t n = send(fd, out.data + done, out.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return stanch_err_errno(err, errno == EPIPE || errno == ECONNRESET ? STANCH_E_CRASHED : STANCH_E_SYSTEM,
                                    errno, "the channel could not be written");
        done += (size_t)n;
    }
    return 0;
}

int stanch_frame_receive(int fd, struct stanch_frame_reader *reader, struct stanch_frame *ret, struct stanch_err *err)
{
    for (;;) {
        int rc = stanch_frame_reader_next(reader, ret, err);
        if (rc != 0)
            return rc;
        char bytes[65536];
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the channel could not be read");
        if (n == 0) {
            if (reader->in.len > reader->used)
                return stanch_err_set(err, STANCH_E_PROTOCOL, "the channel closed inside a frame");
            return 0;
        }
        stanch_frame_reader_feed(reader, bytes, (size_t)n);
    }
}
