/* target.c: the request target, taken apart by us and not by the library: its own decoding stops at %00 and
 * turns an encoded slash into a separator, so two readers of one request could see two paths. */
#include "http/exchange.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Decode %XX (and + in a query) into out. returns 0 | -1 a bad escape or a control character */
static int decode(const char *text, size_t len, bool is_query, struct stanch_buf *out)
{
    for (size_t i = 0; i < len; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            int high = i + 1 < len ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = high * 16 + low;
            i += 2;
            if (!is_query && c == '/')
                return -1;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        if (c < 0x20 || c == 0x7f)
            return -1;
        stanch_buf_char(out, (char)c);
    }
    return 0;
}

static bool is_utf8(const struct stanch_buf *text)
{
    json_t *probe = json_stringn(stanch_buf_str(text), text->len);
    json_decref(probe);
    return probe != NULL;
}

static int take_pair(json_t *query, const char *pair, size_t len)
{
    STANCH_AUTO_BUF struct stanch_buf key = {0}, value = {0};
    const char *equals = memchr(pair, '=', len);
    size_t key_len = equals ? (size_t)(equals - pair) : len;
    if (decode(pair, key_len, true, &key) != 0)
        return -1;
    if (equals && decode(equals + 1, len - key_len - 1, true, &value) != 0)
        return -1;
    if (!is_utf8(&key) || !is_utf8(&value))
        return -1;
    if (!json_object_get(query, stanch_buf_str(&key)))
        json_object_set_new(query, stanch_buf_str(&key), json_string(stanch_buf_str(&value)));
    return 0;
}

static int split_query(struct stanch_http_request *request)
{
    request->query = json_object();
    const char *at = request->raw_query;
    while (*at) {
        size_t len = strcspn(at, "&");
        if (len > 0 && take_pair(request->query, at, len) != 0)
            return -1;
        at += len;
        if (*at)
            at++;
    }
    return 0;
}

int stanch_http__split_target(struct stanch_http_request *request, struct stanch_http__refusal *ret)
{
    const char *question = strchr(request->target, '?');
    size_t path_len = question ? (size_t)(question - request->target) : strlen(request->target);
    STANCH_AUTO_BUF struct stanch_buf path = {0};
    request->raw_query = stanch_strdup(question ? question + 1 : "");
    if (request->target[0] != '/')
        return stanch_http__refuse(ret, 400, "invalid", "request target", "the request target must begin with /");
    if (decode(request->target, path_len, false, &path) != 0 || !is_utf8(&path))
        return stanch_http__refuse(ret, 400, "invalid", "path",
                                   "the path holds a bad escape, an encoded slash, a control character, or "
                                   "bytes that are not UTF-8");
    request->path = stanch_buf_take(&path);
    if (split_query(request) != 0)
        return stanch_http__refuse(ret, 400, "invalid", "query",
                                   "the query holds a bad escape, a control character, or bytes that are not UTF-8");
    return 0;
}
