/* answer.c: what goes back. An answer given inside on_request is queued when the handler returns; one given
 * later wakes the connection, and the library asks the handler again. */
#include "http/exchange.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

void stanch_http__mark(const struct stanch_http_request *request, struct MHD_Response *response)
{
    const struct stanch_http *http = request->connection ? request->http : NULL; /* gone: nobody reads it */
    if (http && http->mark)
        MHD_add_response_header(response, http->config.mark_name, http->mark);
}

static struct MHD_Response *make(const struct stanch_http_request *request, const char *type, const void *body,
                                 size_t len)
{
    /* MUST_COPY does not write to the bytes; the parameter's type is older than const */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)(uintptr_t)(len ? body : ""), MHD_RESPMEM_MUST_COPY);
    if (!response)
        stanch_mem_end(); /* the library takes no allocator */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    stanch_http__mark(request, response);
    return response;
}

enum MHD_Result stanch_http__queue(struct stanch_http_request *request)
{
    stanch_http__stage(request->connection, request->is_stream ? STANCH_HTTP__STREAMING : STANCH_HTTP__ANSWERING);
    return MHD_queue_response(request->connection->mhd, (unsigned)request->status, request->response);
}

enum MHD_Result stanch_http__queue_refusal(struct stanch_http_request *request,
                                           const struct stanch_http__refusal *refusal)
{
    STANCH_AUTO_JSON json_t *doc =
        stanch_http__problem(refusal->status, refusal->word, refusal->detail, refusal->where);
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    stanch_json_write(doc, &body);
    request->http->refused++;
    request->status = refusal->status;
    request->response = make(request, "application/problem+json", body.data, body.len);
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_CONNECTION, "close");
    if (refusal->status == 503)
        MHD_add_response_header(request->response, MHD_HTTP_HEADER_RETRY_AFTER, "5");
    return stanch_http__queue(request);
}

void stanch_http__answered(struct stanch_http_request *request)
{
    request->answered = true;
    if (!request->connection)
        stanch_http__request_gone(request); /* the client left first: ours is the last word */
    else if (!request->in_handler)
        stanch_http__resume(request->connection);
}

void stanch_http_answer(struct stanch_http_request *request, int status, const char *type, const void *body, size_t len,
                        const json_t *extra)
{
    const char *name;
    json_t *value;
    if (request->response) /* the server stopped meanwhile and said so */
        MHD_destroy_response(request->response);
    request->status = status;
    request->response = make(request, type, body, len);
    json_object_foreach((json_t *)(uintptr_t)extra, name, value)
        MHD_add_response_header(request->response, name, json_string_value(value));
    stanch_http__answered(request);
}

void stanch_http_answer_json(struct stanch_http_request *request, int status, const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    stanch_json_write(value, &body);
    stanch_buf_char(&body, '\n');
    stanch_http_answer(request, status, "application/json", body.data, body.len, NULL);
}

void stanch_http_answer_problem_at(struct stanch_http_request *request, const struct stanch_err *err, const char *where,
                                   const json_t *extra)
{
    int status = stanch_err_http(err->code);
    STANCH_AUTO_JSON json_t *doc = stanch_http__problem(status, stanch_err_word(err->code), err->text, where);
    STANCH_AUTO_JSON json_t *headers = extra ? json_deep_copy(extra) : json_object();
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    stanch_json_write(doc, &body);
    stanch_buf_char(&body, '\n');
    if (request->connection)
        request->http->refused++;
    if (status == 503 || status == 429)
        stanch_json_set_str(headers, "Retry-After", "5");
    else if (status == 401)
        stanch_json_set_str(headers, "WWW-Authenticate", "Bearer");
    stanch_http_answer(request, status, "application/problem+json", body.data, body.len, headers);
}

void stanch_http_answer_problem(struct stanch_http_request *request, const struct stanch_err *err)
{
    stanch_http_answer_problem_at(request, err, NULL, NULL);
}
