/* request.c: one exchange, from its target to the last byte of its answer.
 *
 * Two own it: the library until it says "completed", and the caller of on_request until it has answered (a
 * stream: until it ended or on_gone was called). The later of the two frees it; whoever answers a client that
 * has left answers into the void. */
#include "http/exchange.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define BODY_STEP  65536u /* by which the memory of a body grows */
#define SMALL_STEP 4096u  /* of one that is smaller than that */

static void free_request(struct stanch_http_request *request)
{
    if (request->response)
        MHD_destroy_response(request->response);
    free(request->target);
    free(request->method);
    free(request->path);
    free(request->raw_query);
    json_decref(request->query);
    json_decref(request->headers);
    stanch_buf_done(&request->body);
    stanch_buf_done(&request->out);
    free(request);
}

static void forget_body(struct stanch_http_request *request)
{
    request->http->buffered_bytes -= request->body.cap;
    stanch_buf_done(&request->body);
}

void stanch_http__request_gone(struct stanch_http_request *request)
{
    bool held = request->dispatched && !request->answered;
    if (request->connection) {
        request->http->buffered_bytes -= request->body.cap;
        request->http->streams -= request->is_stream;
        request->connection->request = NULL;
        request->connection = NULL;
    }
    if (request->is_stream) {
        held = false;
        if (!request->stream_ended && request->on_gone)
            request->on_gone(request->gone_ctx);
    }
    if (!held)
        free_request(request);
}

void *stanch_http__on_target(void *ctx, const char *uri, struct MHD_Connection *mhd)
{
    struct stanch_http__server *server = ctx;
    struct stanch_http__connection *connection =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    struct stanch_http_request *request = STANCH_NEW(struct stanch_http_request);
    request->http = server->http;
    request->loop = server->http->loop;
    request->connection = connection;
    request->target = stanch_strdup(uri);
    connection->request = request;
    if (connection->stage == STANCH_HTTP__IDLE)
        stanch_http__stage(connection, STANCH_HTTP__HEADER);
    return request;
}

void stanch_http__on_completed(void *ctx, struct MHD_Connection *mhd, void **con_cls,
                               enum MHD_RequestTerminationCode how)
{
    struct stanch_http_request *request = *con_cls;
    (void)ctx;
    (void)mhd;
    (void)how;
    if (!request)
        return;
    struct stanch_http__connection *connection = request->connection;
    *con_cls = NULL;
    stanch_http__request_gone(request);
    if (connection && !connection->cut)
        stanch_http__stage(connection, STANCH_HTTP__IDLE);
}

static int check_length(struct stanch_http_request *request, struct stanch_http__refusal *ret)
{
    const char *text = stanch_http_header(request, "content-length");
    size_t limit = request->http->config.max_body_bytes;
    if (!text || strtoull(text, NULL, 10) <= limit)
        return 0;
    return stanch_http__refuse(ret, 413, "too-large", "header Content-Length",
                               "the body is %s bytes; %zu are the limit", text, limit);
}

/* A body that is refused while it comes: the answer goes out at once, what still comes is thrown away up to a
 * bound, then the connection is closed. Who closes with bytes unread resets it, and the client never sees
 * why. */
static void refuse_body(struct stanch_http_request *request)
{
    request->is_refused = true;
    forget_body(request);
    stanch_http__tell(request->connection, &request->refusal);
}

static bool is_body_coming(const struct stanch_http_request *request)
{
    const char *length = stanch_http_header(request, "content-length");
    if (request->refusal.status == 400 || stanch_http_header(request, "expect"))
        return false; /* where it ends is not known; or the client waits for leave to send */
    return stanch_http_header(request, "transfer-encoding") || (length && strcmp(length, "0") != 0);
}

static enum MHD_Result take_head(struct stanch_http_request *request, struct MHD_Connection *mhd, const char *method,
                                 const char *version)
{
    struct stanch_http__refusal *refusal = &request->refusal;
    request->head_seen = true;
    request->http->requests++;
    request->method = stanch_strdup(method);
    stanch_http__stage(request->connection, STANCH_HTTP__BODY);
    int rc = stanch_http__check_head(request, mhd, version, refusal);
    if (rc == 0 && (request->http->draining || request->connection->server->stopping))
        rc = stanch_http__refuse(refusal, 503, "unavailable", NULL, "stanch is shutting down; try again");
    if (rc == 0)
        rc = check_length(request, refusal);
    if (rc == 0)
        return MHD_YES;
    if (!is_body_coming(request))
        return stanch_http__queue_refusal(request, refusal);
    refuse_body(request);
    return MHD_YES;
}

/* What a body takes of memory when so many bytes come to it: what grows by doubling would take up to twice of what is counted. */
static size_t room_for(const struct stanch_buf *body, size_t more)
{
    size_t need = body->len + more + 1, step = need > BODY_STEP ? BODY_STEP : SMALL_STEP;
    return need <= body->cap ? body->cap : (need + step - 1) / step * step;
}

/* The memory of the bodies of one address. */
static size_t held_by(const struct stanch_http__connection *one)
{
    size_t held = 0;
    for (const struct stanch_http__connection *c = one->server->first; c; c = c->next)
        held += c->request && strcmp(c->remote, one->remote) == 0 ? c->request->body.cap : 0;
    return held;
}

/* Nobody takes all of it: half is the most for one address, a quarter is left for the control socket. */
static bool is_room_for(const struct stanch_http_request *request, size_t bytes)
{
    const struct stanch_http__connection *connection = request->connection;
    size_t all = request->http->buffered_bytes + bytes;
    if (connection->server->local)
        return all <= STANCH_HTTP__BODIES_BYTES;
    return all <= STANCH_HTTP__BODIES_BYTES / 4 * 3 && held_by(connection) + bytes <= STANCH_HTTP__BODIES_BYTES / 2;
}

static int check_body(struct stanch_http_request *request, size_t more)
{
    struct stanch_http *http = request->http;
    if (request->body.len + more > http->config.max_body_bytes)
        return stanch_http__refuse(&request->refusal, 413, "too-large", "body",
                                   "the body is over the limit of %zu bytes", http->config.max_body_bytes);
    if (!is_room_for(request, room_for(&request->body, more) - request->body.cap))
        return stanch_http__refuse(&request->refusal, 503, "busy", "body", "too many bodies are coming in at once");
    return 0;
}

static enum MHD_Result take_body(struct stanch_http_request *request, const char *bytes, size_t *len)
{
    size_t more = *len;
    *len = 0;
    if (!request->is_refused && check_body(request, more) != 0)
        refuse_body(request);
    if (request->is_refused) {
        request->discarded += more;
        return request->discarded <= STANCH_HTTP__DISCARD_BYTES ? MHD_YES : MHD_NO;
    }
    size_t room = room_for(&request->body, more);
    request->http->buffered_bytes += room - request->body.cap;
    stanch_buf_grow(&request->body, room);
    stanch_buf_add(&request->body, bytes, more);
    request->http->body_bytes += (int64_t)more;
    return MHD_YES;
}

static enum MHD_Result dispatch(struct stanch_http_request *request)
{
    request->dispatched = true;
    request->in_handler = true;
    stanch_http__stage(request->connection, STANCH_HTTP__WAITING);
    request->http->on_request(request->http->ctx, request);
    request->in_handler = false;
    return MHD_YES;
}

static enum MHD_Result go_on(struct stanch_http_request *request)
{
    struct stanch_http__refusal stopping;
    if (request->is_refused)
        return MHD_NO; /* told already; all of the body is read: the connection closes without a reset */
    if (!request->dispatched)
        dispatch(request);
    if (request->response)
        return stanch_http__queue(request);
    if (request->connection->server->stopping) {
        stanch_http__refuse(&stopping, 503, "unavailable", NULL,
                            "stanch is shutting down; whether this was done is not known here");
        return stanch_http__queue_refusal(request, &stopping);
    }
    stanch_http__suspend(request->connection);
    return MHD_YES;
}

enum MHD_Result stanch_http__on_handler(void *ctx, struct MHD_Connection *mhd, const char *url, const char *method,
                                        const char *version, const char *upload, size_t *upload_len, void **con_cls)
{
    struct stanch_http_request *request = *con_cls;
    (void)ctx;
    (void)url;
    if (!request || !request->connection || request->connection->cut)
        return MHD_NO;
    if (!request->head_seen)
        return take_head(request, mhd, method, version);
    if (*upload_len > 0)
        return take_body(request, upload, upload_len);
    return go_on(request);
}

const char *stanch_http_method(const struct stanch_http_request *request)
{
    return request->method;
}

const char *stanch_http_path(const struct stanch_http_request *request)
{
    return request->path;
}

const char *stanch_http_query(const struct stanch_http_request *request, const char *key)
{
    return stanch_json_str(request->query, key, NULL);
}

const char *stanch_http_raw_query(const struct stanch_http_request *request)
{
    return request->raw_query;
}

const char *stanch_http_header(const struct stanch_http_request *request, const char *name)
{
    char key[64];
    size_t len = strlen(name);
    if (len >= sizeof key)
        return NULL;
    for (size_t i = 0; i <= len; i++)
        key[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    return stanch_json_str(request->headers, key, NULL);
}

json_t *stanch_http_headers(const struct stanch_http_request *request)
{
    return json_deep_copy(request->headers);
}

const void *stanch_http_body(const struct stanch_http_request *request, size_t *ret_len)
{
    *ret_len = request->body.len;
    return stanch_buf_str(&request->body);
}

const char *stanch_http_remote(const struct stanch_http_request *request)
{
    return request->connection ? request->connection->remote : "gone";
}

bool stanch_http_is_local(const struct stanch_http_request *request)
{
    return request->connection && request->connection->server->local;
}

uid_t stanch_http_peer_uid(const struct stanch_http_request *request)
{
    return request->connection ? request->connection->uid : (uid_t)-1;
}
