/* check.c: what is wrong with a head, as far as the library lets it be seen. It repairs more than it should
 * (bare LF, folded lines; README.md lists them), so everything that could let two readers disagree about
 * where a request ends is refused here and the connection is closed. Source: RFC 9110 5.5, 5.6.2; RFC
 * 9112 3.2, 6.1, 6.3, 11.2. */
#include "http/exchange.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>
#include <strings.h>

struct head {
    struct stanch_http_request *request;
    struct stanch_http__refusal *refusal;
    int count, hosts, lengths, encodings;
    bool is_bad;
};

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return len > 0;
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static void keep(json_t *headers, const char *name, size_t name_len, const char *value, size_t value_len)
{
    STANCH_AUTO_FREE char *key = stanch_strndup(name, name_len);
    STANCH_AUTO_BUF struct stanch_buf joined = {0};
    for (char *c = key; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    const char *before = stanch_json_str(headers, key, NULL);
    if (before)
        stanch_buf_printf(&joined, "%s, ", before);
    stanch_buf_add(&joined, value, value_len);
    /* ISO 8859-1 bytes are legal in a value and no use to us: such a header is as good as absent */
    json_t *text = json_stringn(stanch_buf_str(&joined), joined.len);
    if (text)
        json_object_set_new(headers, key, text);
}

static int refuse(struct head *head, int status, const char *word, const char *where, const char *detail)
{
    head->is_bad = true;
    return stanch_http__refuse(head->refusal, status, word, where, "%s", detail);
}

static int check_special(struct head *head, const char *name, const char *value)
{
    if (strcasecmp(name, "host") == 0 && ++head->hosts > 1)
        return refuse(head, 400, "invalid", "header Host", "more than one Host");
    if (strcasecmp(name, "content-length") == 0) {
        if (++head->lengths > 1)
            return refuse(head, 400, "invalid", "header Content-Length", "more than one Content-Length");
        if (strlen(value) > 18 || strspn(value, "0123456789") != strlen(value) || !*value)
            return refuse(head, 400, "invalid", "header Content-Length", "Content-Length is not a plain number");
    }
    if (strcasecmp(name, "transfer-encoding") == 0) {
        if (++head->encodings > 1 || strcasecmp(value, "chunked") != 0)
            return refuse(head, 400, "invalid", "header Transfer-Encoding",
                          "the only transfer encoding understood is one \"chunked\"");
    }
    if (strcasecmp(name, "content-encoding") == 0 && strcasecmp(value, "identity") != 0)
        return refuse(head, 415, "media-type", "header Content-Encoding",
                      "compressed bodies are refused; send it without Content-Encoding");
    return 0;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                 const char *value, size_t value_len)
{
    (void)kind;
    struct head *head = ctx;
    const char *text = value ? value : "";
    if (++head->count > STANCH_HTTP__MAX_HEADERS) {
        refuse(head, 431, "too-large", "headers", "more than 100 headers");
        return MHD_NO;
    }
    if (!is_token(name, name_len)) {
        refuse(head, 400, "invalid", "headers", "a header's name holds a character that names may not have");
        return MHD_NO;
    }
    if (has_control(text, value ? value_len : 0)) {
        head->is_bad = true;
        stanch_http__refuse(head->refusal, 400, "invalid", "headers",
                            "the value of header %.60s holds a NUL or another control character", name);
        return MHD_NO;
    }
    if (check_special(head, name, text) != 0)
        return MHD_NO;
    keep(head->request->headers, name, name_len, text, value ? value_len : 0);
    return MHD_YES;
}

static int check_whole(struct head *head, const char *version)
{
    if (head->lengths > 0 && head->encodings > 0)
        return refuse(head, 400, "invalid", "header Transfer-Encoding",
                      "both Content-Length and Transfer-Encoding: the end of the body is ambiguous");
    if (strcmp(version, "HTTP/1.1") != 0 && head->encodings > 0)
        return refuse(head, 400, "invalid", "header Transfer-Encoding", "Transfer-Encoding needs HTTP/1.1");
    if (strcmp(version, "HTTP/1.1") == 0 && head->hosts == 0)
        return refuse(head, 400, "invalid", "header Host", "HTTP/1.1 needs a Host header");
    return 0;
}

int stanch_http__check_head(struct stanch_http_request *request, struct MHD_Connection *mhd, const char *version,
                            struct stanch_http__refusal *ret)
{
    struct head head = {.request = request, .refusal = ret};
    request->headers = json_object();
    if (!is_token(request->method, strlen(request->method)) || strlen(request->method) > 20)
        return stanch_http__refuse(ret, 400, "invalid", "request line", "the method is no method");
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return stanch_http__refuse(ret, 505, "invalid", "request line", "only HTTP/1.1 and HTTP/1.0 are spoken");
    const union MHD_ConnectionInfo *size = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (size && size->header_size > request->http->config.max_header_bytes)
        return stanch_http__refuse(ret, 431, "too-large", "headers", "the headers are %zu bytes; %zu are the limit",
                                   size->header_size, request->http->config.max_header_bytes);
    MHD_get_connection_values_n(mhd, MHD_HEADER_KIND, on_header, &head);
    if (head.is_bad || check_whole(&head, version) != 0)
        return -1;
    return stanch_http__split_target(request, ret);
}
