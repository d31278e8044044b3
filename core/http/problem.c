/* problem.c: a refusal as a document (RFC 9457): what is wrong, where, and what code a program can act on. */
#include "http/exchange.h"
#include "base/json.h"
#include <stdarg.h>
#include <stdio.h>

const char *stanch_http__reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].status == status)
            return table[i].text;
    return "Error";
}

json_t *stanch_http__problem(int status, const char *word, const char *detail, const char *where)
{
    STANCH_AUTO_BUF struct stanch_buf type = {0};
    stanch_buf_printf(&type, "/problems/%s", word);
    json_t *doc = json_pack("{s:s, s:s, s:i, s:s}", "type", stanch_buf_str(&type), "title", stanch_http__reason(status),
                            "status", status, "code", word);
    json_t *text = json_string(detail); /* NULL when it is not UTF-8: a text of ours that quotes the client's */
    json_object_set_new(doc, "detail", text ? text : json_string("the request is not valid UTF-8"));
    if (where && *where)
        stanch_json_set_str(doc, "where", where);
    return doc;
}

int stanch_http__refuse(struct stanch_http__refusal *ret, int status, const char *word, const char *where,
                        const char *fmt, ...)
{
    va_list args;
    ret->status = status;
    ret->word = word;
    (void)snprintf(ret->where, sizeof ret->where, "%s", where ? where : "");
    va_start(args, fmt);
    (void)vsnprintf(ret->detail, sizeof ret->detail, fmt, args);
    va_end(args);
    return -1;
}

void stanch_http__problem_wire(const struct stanch_http__refusal *refusal, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *doc =
        stanch_http__problem(refusal->status, refusal->word, refusal->detail, refusal->where);
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    stanch_json_write(doc, &body);
    stanch_buf_printf(out, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %zu\r\n",
                      refusal->status, stanch_http__reason(refusal->status), body.len);
    if (refusal->status == 503 || refusal->status == 429)
        stanch_buf_text(out, "Retry-After: 5\r\n");
    stanch_buf_text(out, "Connection: close\r\n\r\n");
    stanch_buf_add(out, body.data, body.len);
}
