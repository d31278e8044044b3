/* exchange.h: what the files of this folder share: server, connection, request. Nobody else includes it.
 *
 *   accept -> connection (deadline, caps) -> request: head -> body -> waiting (suspended) -> answering ->
 * idle
 *                                                                          \-> streaming (suspended when
 * empty)
 */
#ifndef STANCH_HTTP_EXCHANGE_H
#define STANCH_HTTP_EXCHANGE_H
#include "base/buf.h"
#include "http/http.h"
#include <microhttpd.h>
#include <netinet/in.h>
#include <uv.h>

#define STANCH_HTTP__MAX_HEADERS   100
#define STANCH_HTTP__BODIES_BYTES  (32u << 20) /* the memory of all bodies being taken in, together */
#define STANCH_HTTP__DISCARD_BYTES (1u << 20)  /* of a refused body, so that the client gets to read the answer */
#define STANCH_HTTP__STREAM_BYTES  (1u << 20)
#define STANCH_HTTP__SPARE         64 /* connections over the cap that are told so */

struct stanch_http {
    struct stanch_loop *loop;
    struct stanch_http_config config; /* numbers and mark_name: the other texts are not kept */
    void (*on_request)(void *ctx, struct stanch_http_request *request);
    void *ctx;
    struct stanch_http__server *tcp, *local;
    char *socket_path;
    char *mark; /* the value of config.mark_name; NULL: none */
    int port;
    bool draining;
    size_t buffered_bytes; /* the memory of bodies being taken in */
    int streams;
    int64_t requests, refused, over_cap, timed_out, body_bytes;
};

struct stanch_http__server { /* one daemon of the library */
    struct stanch_http *http;
    struct MHD_Daemon *mhd;
    uv_poll_t poll;
    uv_timer_t due; /* the library's own timeouts */
    uv_idle_t busy; /* the library has more to do at once */
    int busy_rounds;
    uv_timer_t tick; /* deadlines and heartbeats; runs while there are connections */
    int open_handles;
    bool local, stopping;
    struct stanch_http__connection *first;
    int count;
};

enum stanch_http__stage {
    STANCH_HTTP__HEADER,
    STANCH_HTTP__BODY,
    STANCH_HTTP__LINGER, /* told what is wrong; the rest of the body is thrown away */
    STANCH_HTTP__WAITING,
    STANCH_HTTP__ANSWERING,
    STANCH_HTTP__STREAMING,
    STANCH_HTTP__IDLE
};

struct stanch_http__connection {
    struct stanch_http__connection *prev, *next;
    struct stanch_http__server *server;
    struct MHD_Connection *mhd;
    struct stanch_http_request *request; /* the one under way */
    int fd;
    char remote[INET6_ADDRSTRLEN];
    uid_t uid;
    enum stanch_http__stage stage;
    int64_t began_mono_ms; /* this stage */
    int64_t due_mono_ms;   /* of this stage; 0: none */
    int64_t seen_mono_ms;  /* of the last heartbeat */
    bool suspended;
    bool cut; /* refused or timed out: whatever still comes is not looked at */
};

struct stanch_http__refusal {
    int status;
    const char *word;
    char detail[400];
    char where[120];
};

struct stanch_http_request {
    struct stanch_loop *loop;
    struct stanch_http *http;                   /* only while there is a connection */
    struct stanch_http__connection *connection; /* NULL once the client or the server is gone */
    char *target;                               /* as it came */
    char *method, *path, *raw_query;
    json_t *query, *headers;
    struct stanch_buf body;
    size_t discarded;
    bool head_seen, dispatched, answered, in_handler;
    bool is_refused;
    struct stanch_http__refusal refusal;
    struct MHD_Response *response;
    int status;
    bool is_stream, stream_ended;
    struct stanch_buf out; /* of the stream */
    void (*on_gone)(void *ctx);
    void *gone_ctx;
};

/* listen.c */
int stanch_http__listen_tcp(const char *listen, int *ret_fd, int *ret_port, struct stanch_err *err);
int stanch_http__listen_unix(const char *path, int *ret_fd, struct stanch_err *err);

/* server.c. listen_fd: taken, also on error */
int stanch_http__server_start(struct stanch_http *http, int listen_fd, bool local, struct stanch_http__server **ret,
                              struct stanch_err *err);
void stanch_http__server_stop(struct stanch_http__server *server);
void stanch_http__resume(struct stanch_http__connection *connection);
void stanch_http__suspend(struct stanch_http__connection *connection);
void stanch_http__stage(struct stanch_http__connection *connection, enum stanch_http__stage stage);
/* Say it with bytes of our own, while the library cannot answer: between the head and the end of the body. */
void stanch_http__tell(struct stanch_http__connection *connection, const struct stanch_http__refusal *refusal);
void stanch_http__cut(struct stanch_http__connection *connection);

/* request.c */
void *stanch_http__on_target(void *ctx, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result stanch_http__on_handler(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                                        const char *version, const char *upload, size_t *upload_len, void **con_cls);
void stanch_http__on_completed(void *ctx, struct MHD_Connection *mhd, void **con_cls,
                               enum MHD_RequestTerminationCode how);
void stanch_http__request_gone(struct stanch_http_request *request);

/* answer.c */
/* The header that every answer carries. */
void stanch_http__mark(const struct stanch_http_request *request, struct MHD_Response *response);
void stanch_http__answered(struct stanch_http_request *request);
enum MHD_Result stanch_http__queue(struct stanch_http_request *request);
enum MHD_Result stanch_http__queue_refusal(struct stanch_http_request *request,
                                           const struct stanch_http__refusal *refusal);

/* stream.c */
void stanch_http__stream_heartbeat(struct stanch_http_request *request);

/* check.c */
int stanch_http__check_head(struct stanch_http_request *request, struct MHD_Connection *mhd, const char *version,
                            struct stanch_http__refusal *ret);

/* target.c: path and query out of the request target. returns 0 | -1 with ret filled */
int stanch_http__split_target(struct stanch_http_request *request, struct stanch_http__refusal *ret);

/* problem.c. ret: new, the document */
json_t *stanch_http__problem(int status, const char *word, const char *detail, const char *where);
int stanch_http__refuse(struct stanch_http__refusal *ret, int status, const char *word, const char *where,
                        const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* A whole answer as bytes on the wire. */
void stanch_http__problem_wire(const struct stanch_http__refusal *refusal, struct stanch_buf *out);
const char *stanch_http__reason(int status);

#endif
