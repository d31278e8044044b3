/* http.h: transport of HTTP on libmicrohttpd under the loop, and nothing more: no route, no noun.
 * Two servers: TCP and the Unix control socket, so that slow clients cannot starve the control socket.
 * Refuses what it can see of bad framing (two lengths, length with chunks, odd header names), over-long headers,
 * bodies over the limit (before buffering), content encodings, and too many connections; each with a problem
 * document (RFC 9457). The four rules of PROMISES.md section 4 on suspending hold here.
 * Source: RFC 9110, RFC 9112, RFC 9457. Thread: loop thread.
 */
#ifndef STANCH_HTTP_HTTP_H
#define STANCH_HTTP_HTTP_H
#include "base/loop.h"
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

struct stanch_http;
struct stanch_http_request; /* an exchange: from the whole request to the answer */

struct stanch_http_config {
    const char *listen;      /* "127.0.0.1:8470", "[::1]:8470"; or NULL */
    const char *socket_path; /* Unix socket, mode 0660 in a directory the caller made; or NULL */
    size_t max_body_bytes;   /* default 1 MiB */
    size_t max_header_bytes; /* default 16 KiB */
    int max_connections;     /* default 512 */
    int max_per_address;     /* default 128 */
    int64_t idle_ms;         /* default 60,000 */
    int64_t header_ms;       /* default 10,000: from the first byte (or the accept) to the end of the headers */
    int64_t body_ms;         /* default 30,000: from the end of the headers to the end of the body */
    int64_t heartbeat_ms;    /* default 15,000: how often a stream and a waiting request are looked at */
    const char *mark_name;   /* a header that every answer carries, and its value; NULL: none; the name is borrowed */
    const char *mark;        /* copied */
};

/** on_request: the whole request is there; answer with exactly one of the stanch_http_* below, now or later (then
 *  the connection is suspended meanwhile). ret: new. returns 0 | STANCH_E_SYSTEM (address in use, ...) */
int stanch_http_start(struct stanch_loop *loop, const struct stanch_http_config *config,
                      void (*on_request)(void *ctx, struct stanch_http_request *request), void *ctx,
                      struct stanch_http **ret, struct stanch_err *err);
/** No new connections or requests (503, Connection: close); those under way may finish. */
void stanch_http_drain(struct stanch_http *http);
/** Resume all, stop, free. Accepts NULL. */
void stanch_http_free(struct stanch_http *http);
/** The port that TCP really has (for listen "127.0.0.1:0"). 0: no TCP. */
int stanch_http_port(const struct stanch_http *http);

const char *stanch_http_method(const struct stanch_http_request *request);
const char *stanch_http_path(const struct stanch_http_request *request);                   /* decoded, without query */
const char *stanch_http_query(const struct stanch_http_request *request, const char *key); /* decoded; NULL: absent */
const char *stanch_http_raw_query(const struct stanch_http_request *request);
const char *stanch_http_header(const struct stanch_http_request *request,
                               const char *name);                       /* any case; NULL: absent */
json_t *stanch_http_headers(const struct stanch_http_request *request); /* new: {"lower-case":"value"} */
const void *stanch_http_body(const struct stanch_http_request *request, size_t *ret_len);
const char *stanch_http_remote(const struct stanch_http_request *request); /* "127.0.0.1", or "unix" */
bool stanch_http_is_local(const struct stanch_http_request *request);      /* came over the Unix socket */
uid_t stanch_http_peer_uid(const struct stanch_http_request *request);     /* of the Unix peer (SO_PEERCRED) */

/** Answer. type: "application/json", ...; body: copied. extra: NULL or {"Header-Name":"value"}. */
void stanch_http_answer(struct stanch_http_request *request, int status, const char *type, const void *body, size_t len,
                        const json_t *extra);
/** Answer with JSON. value: borrowed. */
void stanch_http_answer_json(struct stanch_http_request *request, int status, const json_t *value);
/** Answer with a problem document: status and title from the code, detail from the text; 503 and 429 carry
 *  Retry-After. */
void stanch_http_answer_problem(struct stanch_http_request *request, const struct stanch_err *err);

/** As above, with the place that is wrong ("header Content-Length", "title"), the document's member "where", and
 *  more headers. Both may be NULL. extra: borrowed, {"Header-Name":"value"}. */
void stanch_http_answer_problem_at(struct stanch_http_request *request, const struct stanch_err *err, const char *where,
                                   const json_t *extra);
/** Counters for metrics, all since start but `connections` and `streams` (now): {"requests","refused","over_cap",
 *  "timed_out","connections","streams","body_bytes"}. new. */
json_t *stanch_http_counters(const struct stanch_http *http);

/** Begin server-sent events. on_gone: the client left (found at the latest by the heartbeat every 15 s), or the
 *  server stops; called once; the request is invalid afterwards. */
void stanch_http_stream_start(struct stanch_http_request *request, void (*on_gone)(void *ctx), void *ctx);
/** One event. id may be NULL. returns 0 | STANCH_E_BUSY (more than 1 MiB waits: a slow reader; end it) */
int stanch_http_stream_send(struct stanch_http_request *request, const char *id, const char *event, const char *data,
                            struct stanch_err *err);
void stanch_http_stream_end(struct stanch_http_request *request);

#endif
