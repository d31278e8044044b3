/* frame.h: what travels between the processes: a small JSON head and an optional raw attachment.
 *
 *   byte 0   u32 little endian: length of the head, in bytes
 *   byte 4   u32 little endian: length of the attachment, in bytes (0: none)
 *   byte 8   head: one JSON object; its member "t" (text) names the kind of frame
 *   ...      attachment: raw bytes, never wrapped in JSON
 *
 * A length over the limit is a broken peer: STANCH_E_PROTOCOL, and the channel is closed.
 * Knows no loop. Thread: any; a reader belongs to one.
 */
#ifndef STANCH_WIRE_FRAME_H
#define STANCH_WIRE_FRAME_H
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

#define STANCH_FRAME_MAX_HEAD       (4u << 20)
#define STANCH_FRAME_MAX_ATTACHMENT (16u << 20)

struct stanch_frame {
    json_t *head;           /* owned by the frame */
    const char *attachment; /* borrowed from the reader until its next call; NULL when there is none */
    size_t attachment_len;
};

/** Append one encoded frame. head: borrowed, an object. returns 0 | STANCH_E_TOO_LARGE */
int stanch_frame_encode(const json_t *head, const void *attachment, size_t len, struct stanch_buf *out,
                        struct stanch_err *err);

struct stanch_frame_reader {
    struct stanch_buf in;
    size_t used; /* bytes of `in` that belong to the frame given last */
};
void stanch_frame_reader_done(struct stanch_frame_reader *reader);
/** Add what was read from the channel. Bytes are copied. */
void stanch_frame_reader_feed(struct stanch_frame_reader *reader, const void *bytes, size_t len);
/** Take the next whole frame. returns 1 and fills ret (release it with stanch_frame_done) | 0 more bytes are
 *  needed | STANCH_E_PROTOCOL a length over the limit, or a head that is not an object with "t" */
int stanch_frame_reader_next(struct stanch_frame_reader *reader, struct stanch_frame *ret, struct stanch_err *err);
void stanch_frame_done(struct stanch_frame *frame);

/* Blocking transport, for the processes without a loop (runner, worker, book). */
/** Write one frame whole. returns 0 | STANCH_E_IO-like: STANCH_E_SYSTEM, STANCH_E_CRASHED (peer gone) */
int stanch_frame_send(int fd, const json_t *head, const void *attachment, size_t len, struct stanch_err *err);
/** Wait for one frame. returns 1 | 0 the peer closed between frames | STANCH_E_PROTOCOL | STANCH_E_SYSTEM */
int stanch_frame_receive(int fd, struct stanch_frame_reader *reader, struct stanch_frame *ret, struct stanch_err *err);

#endif
