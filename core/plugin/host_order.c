/* host_order.c: what a plugin ordered by HTTP, checked and set: URL, method, headers. What is wrong is
 * refused before anything leaves. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/transfer.h"
#include <string.h>
#include <strings.h>

static bool is_token(const char *text)
{
    size_t len = strspn(text, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return len > 0 && text[len] == '\0';
}

bool stanch_host__has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return true;
    return false;
}

static bool set_url(struct stanch_host_transfer *t, const char *text)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    bool is_whole = code == CURLUE_OK && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (!is_whole)
        stanch_host__http_refuse(t, "the URL is refused: %s", curl_url_strerror(code));
    else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        stanch_host__http_refuse(t, "the URL is refused: a user name in it");
    else if (!(t->place = stanch_host__place_find(t->call->instance, scheme, host, (int)strtol(port, NULL, 10))))
        stanch_host__http_refuse(t, "%s://%.120s:%s is refused: no setting with \"format\":\"url\" names it", scheme,
                                 host, port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(url);
    if (t->place)
        curl_easy_setopt(t->easy, CURLOPT_URL, text);
    return t->place != NULL;
}

bool stanch_host__http_header(struct stanch_host_transfer *t, const char *name, const char *value, size_t len)
{
    static const char *const own[] = {"host", "content-length", "transfer-encoding", "connection", NULL};
    for (const char *const *o = own; *o; o++)
        if (strcasecmp(*o, name) == 0)
            return stanch_host__http_refuse(t, "the header %s is the host's own", name), false;
    if (!is_token(name) || stanch_host__has_control(value, len))
        return stanch_host__http_refuse(t, "the header %.60s is refused: a character in it", name), false;
    STANCH_AUTO_FREE char *line =
        len ? stanch_asprintf("%s: %.*s", name, (int)len, value) : stanch_asprintf("%s;", name);
    t->headers = curl_slist_append(t->headers, line);
    explicit_bzero(line, strlen(line));
    return true;
}

static bool set_headers(struct stanch_host_transfer *t, struct stanch_text text)
{
    const char *name;
    json_t *value, *headers = NULL;
    struct stanch_err err;
    bool ok = true;
    if (text.len == 0)
        return true;
    if (stanch_json_parse(text.data, text.len, &stanch_json_own_limits, &headers, &err) < 0)
        return stanch_host__http_refuse(t, "the headers are no JSON object: %s", err.text), false;
    json_object_foreach(headers, name, value) if (ok) ok =
        json_is_string(value) ? stanch_host__http_header(t, name, json_string_value(value), json_string_length(value))
                              : (stanch_host__http_refuse(t, "the header %.60s is not a text", name), false);
    json_decref(headers);
    return ok;
}

static bool set_method(struct stanch_host_transfer *t, const struct stanch_http_order *order)
{
    STANCH_AUTO_FREE char *method = stanch_strndup(order->method.data ? order->method.data : "", order->method.len);
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!is_token(method) || strcmp(method, "CONNECT") == 0)
        return stanch_host__http_refuse(t, "\"%.40s\" is no method", method), false;
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    if (order->body.len || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)order->body.len);
        curl_easy_setopt(t->easy, CURLOPT_COPYPOSTFIELDS, order->body.len ? order->body.data : "");
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, is_read ? 0L : 1L);
    return true;
}

bool stanch_host__http_follow(struct stanch_host_transfer *t, const char *url, const struct stanch_http_order *order)
{
    /* curl would sign this line, which it does not send; a signed body is too small for it to say Expect */
    if (order->sigv4.len == 0)
        t->headers = curl_slist_append(t->headers, "Expect:");
    return set_url(t, url) && set_headers(t, order->headers) && stanch_host__http_credentials(t, order) &&
           set_method(t, order);
}
