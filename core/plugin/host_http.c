/* host_http.c: HTTP for plugins: one place for destinations, addresses, TLS, redirects, deadlines and limits.
 *
 *   order --check--> transfer --curl--> ANSWERED | NOT_SENT | LOST --> on_ended, from the loop
 *
 * Whether the request may have reached the remote is told by what curl wrote: not one byte of the request
 * means NOT_SENT (refused, not resolved, TLS not agreed), else what ended without a whole answer is LOST. A
 * request that is no GET or HEAD gets a connection of its own, since curl repeats by itself what failed on a
 * kept one. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/transfer.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define DEFAULT_MAX_BODY (4u << 20)
#define MAX_BODY         (64u << 20)
#define MAX_HEADERS      (256u << 10)
#define MAX_URL          16384

struct stanch_host_http {
    struct stanch_instance *instance;
    CURLM *multi;
    struct stanch_timer *timer;
    bool is_kick_wanted, is_kicked; /* curl wants to go on at once; a deferred call is on its way */
    int sockets;                    /* uv handles that are open */
};

struct watched { /* one socket of curl's on the loop */
    uv_poll_t poll;
    curl_socket_t fd;
    struct stanch_host_http *http;
};

/* ---- curl on the loop ---- */

static void take_finished(struct stanch_host_http *http);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = container_of(poll, struct watched, poll);
    struct stanch_host_http *http = watched->http;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0, running = 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    (void)curl_multi_socket_action(http->multi, watched->fd, flags, &running);
    take_finished(http);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct watched *watched = container_of((uv_poll_t *)handle, struct watched, poll);
    watched->http->sockets--;
    free(watched);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct stanch_host_http *http = ctx;
    struct watched *watched = socket_ctx;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            uv_poll_stop(&watched->poll);
            uv_close((uv_handle_t *)&watched->poll, on_poll_closed);
            curl_multi_assign(http->multi, fd, NULL);
        }
        return 0;
    }
    if (!watched) {
        watched = STANCH_NEW(struct watched);
        watched->fd = fd;
        watched->http = http;
        http->sockets++;
        uv_poll_init(stanch_loop_uv(http->instance->loop), &watched->poll, fd);
        curl_multi_assign(http->multi, fd, watched);
    }
    return uv_poll_start(&watched->poll, events, on_poll) < 0 ? -1 : 0;
}

static void on_timeout(void *ctx)
{
    struct stanch_host_http *http = ctx;
    int running = 0;
    http->timer = NULL;
    http->is_kick_wanted = false;
    (void)curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    take_finished(http);
}

static void on_kick(void *ctx)
{
    struct stanch_host_http *http = ctx;
    http->is_kicked = false;
    if (http->is_kick_wanted)
        on_timeout(http);
}

/* At once means at once: a timer would cost a millisecond at the start of every transfer. */
static int on_timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
    struct stanch_host_http *http = ctx;
    (void)multi;
    stanch_timer_stop(http->instance->loop, &http->timer);
    http->is_kick_wanted = timeout_ms == 0;
    if (http->is_kick_wanted && !http->is_kicked) {
        http->is_kicked = true;
        stanch_loop_defer(http->instance->loop, on_kick, http);
    }
    if (timeout_ms > 0)
        http->timer = stanch_timer_start(http->instance->loop, timeout_ms, on_timeout, http);
    return 0;
}

struct stanch_host_http *stanch_host__http_new(struct stanch_instance *instance)
{
    struct stanch_host_http *http = STANCH_NEW(struct stanch_host_http);
    http->instance = instance;
    http->multi = curl_multi_init();
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, 16L);
    return http;
}

void stanch_host__http_free(struct stanch_host_http *http)
{
    if (!http)
        return;
    curl_multi_cleanup(http->multi);
    http->is_kick_wanted = false;
    stanch_timer_stop(http->instance->loop, &http->timer);
    while (http->sockets > 0 || http->is_kicked)
        stanch_loop_run_once(http->instance->loop);
    free(http);
}

/* ---- one transfer ---- */

static void free_transfer(struct stanch_host_transfer *t)
{
    if (t->easy) {
        curl_multi_remove_handle(t->http->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    stanch_timer_stop(t->http->instance->loop, &t->refusal);
    curl_slist_free_all(t->headers);
    stanch_buf_done(&t->body);
    json_decref(t->answer_headers);
    free(t);
}

static void abandon(struct stanch_host_work *work)
{
    free_transfer(container_of(work, struct stanch_host_transfer, work));
}

/* Repeated ones become one list, as RFC 9110 5.3 reads them. */
static void join_headers(struct stanch_host_transfer *t)
{
    const char *name;
    json_t *value;
    json_object_foreach(t->answer_headers, name, value)
    {
        STANCH_AUTO_BUF struct stanch_buf all = {0};
        for (size_t i = 0; i < json_array_size(value); i++)
            stanch_buf_printf(&all, "%s%s", i ? ", " : "", json_string_value(json_array_get(value, i)));
        if (json_is_array(value))
            json_object_set_new(t->answer_headers, name, json_string(stanch_buf_str(&all)));
    }
}

static void end_transfer(struct stanch_host_transfer *t, struct stanch_http_exchange *exchange)
{
    struct stanch_call *call = t->call;
    join_headers(t);
    char *headers = json_dumps(t->answer_headers, JSON_COMPACT);
    exchange->size = sizeof *exchange;
    exchange->headers = (struct stanch_text){headers, strlen(headers)};
    exchange->body = (struct stanch_text){stanch_buf_str(&t->body), t->body.len};
    exchange->why = (struct stanch_text){t->why, strlen(t->why)};
    stanch_host__work_remove(&t->work);
    t->on_ended(call, t->ctx, exchange);
    free(headers);
    free_transfer(t);
}

static void on_refusal(void *ctx)
{
    struct stanch_host_transfer *t = ctx;
    struct stanch_http_exchange exchange = {.ended = STANCH_HTTP_NOT_SENT};
    t->refusal = NULL;
    end_transfer(t, &exchange);
}

void stanch_host__http_refuse(struct stanch_host_transfer *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    if (!t->refusal)
        t->refusal = stanch_timer_start(t->http->instance->loop, 0, on_refusal, t);
}

static void describe_end(struct stanch_host_transfer *t, CURLcode code, bool was_sent)
{
    const char *detail = t->curl_why[0] ? t->curl_why : curl_easy_strerror(code);
    char refused[sizeof t->why];
    memcpy(refused, t->why, sizeof refused);
    if (refused[0])
        detail = refused;
    (void)snprintf(t->why, sizeof t->why, "%s://%.120s:%d: %.200s (%s)", t->place->scheme, t->place->host,
                   t->place->port, detail, was_sent ? "the request may have arrived" : "nothing was sent");
}

static void on_done(struct stanch_host_transfer *t, CURLcode code)
{
    struct stanch_http_exchange exchange = {0};
    long sent = 0, status = 0;
    curl_off_t uploaded = 0, retry_after = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(t->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
    if (code == CURLE_OK && status > 0) {
        exchange.ended = STANCH_HTTP_ANSWERED;
        exchange.status = (uint32_t)status;
        if (retry_after > 0)
            exchange.retry_after_ms = (uint32_t)(retry_after > 86400 ? 86400 : retry_after) * 1000;
    } else {
        exchange.ended = sent > 0 || uploaded > 0 ? STANCH_HTTP_LOST : STANCH_HTTP_NOT_SENT;
        describe_end(t, code, exchange.ended == STANCH_HTTP_LOST);
    }
    end_transfer(t, &exchange);
}

static void take_finished(struct stanch_host_http *http)
{
    CURLMsg *message;
    int left = 0;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct stanch_host_transfer *t = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)(void *)&t);
        on_done(t, code);
    }
}

/* ---- what curl hands over ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct stanch_host_transfer *t = ctx;
    size_t len = size * count;
    if (t->body.len + len > t->max_body) {
        (void)snprintf(t->why, sizeof t->why, "the answer is over the limit of %llu bytes",
                       (unsigned long long)t->max_body);
        return 0;
    }
    stanch_buf_add(&t->body, bytes, len);
    return len;
}

/* A header's value as JSON text; bytes that are no UTF-8 become '?'. */
static json_t *header_value(const char *at, size_t len)
{
    json_t *value = json_stringn(at, len);
    if (value)
        return value;
    STANCH_AUTO_FREE char *copy = stanch_strndup(at, len);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)copy[i] >= 0x80 || copy[i] == '\0')
            copy[i] = '?';
    return json_stringn(copy, len);
}

/* A header that is repeated is an array until all are there: joined one by one, those of a hostile remote would be copied
 * again and again. A name that is no UTF-8 is left out. value: taken */
static void keep_header(struct stanch_host_transfer *t, const char *name, json_t *value)
{
    json_t *before = json_object_get(t->answer_headers, name);
    if (json_is_array(before))
        json_array_append_new(before, value);
    else
        json_object_set_new(t->answer_headers, name, before ? json_pack("[O, o]", before, value) : value);
}

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct stanch_host_transfer *t = ctx;
    size_t len = size * count;
    char *colon = memchr(line, ':', len);
    t->header_bytes += len;
    if (t->header_bytes > MAX_HEADERS) {
        (void)snprintf(t->why, sizeof t->why, "the answer's headers are over %u bytes", MAX_HEADERS);
        return 0;
    }
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
        json_object_clear(t->answer_headers); /* the one before was 100 Continue or the like */
    if (!colon || memcmp(line, "HTTP/", 5) == 0)
        return len;
    STANCH_AUTO_FREE char *name = stanch_strndup(line, (size_t)(colon - line));
    for (char *p = name; *p; p++)
        *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    char *at = colon + 1, *end = line + len;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    while (end > at && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' '))
        end--;
    keep_header(t, name, header_value(at, (size_t)(end - at)));
    return len;
}

/* The address that curl is about to connect to: checked here, after the look-up, so that no second look-up
 * can lead elsewhere. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct stanch_host_transfer *t = ctx;
    char why[300];
    (void)purpose;
    if (!stanch_host__address_ok(t->place, &address->addr, why)) {
        (void)snprintf(t->why, sizeof t->why, "%s", why);
        return CURL_SOCKET_BAD;
    }
    t->why[0] = '\0';
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static void set_options(struct stanch_host_transfer *t, long timeout_ms)
{
    CURL *easy = t->easy;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_why);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (t->call->instance->ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, t->call->instance->ca_file);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "stanch/" STANCH_VERSION);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
}

static long timeout_of(const struct stanch_call *call, uint32_t wanted_ms)
{
    int64_t left = call->deadline_mono_ms - stanch_loop_mono_ms(call->instance->loop);
    if (wanted_ms && wanted_ms < left)
        left = wanted_ms;
    return left < 1 ? 1 : (long)left;
}

void stanch_host__http_start(struct stanch_call *call, const struct stanch_http_order *given,
                             void (*on_ended)(struct stanch_call *, void *, const struct stanch_http_exchange *),
                             void *ctx)
{
    struct stanch_http_order copy = {0}, *order = &copy; /* a plugin of an older minor has a shorter one */
    memcpy(&copy, given, given->size < sizeof copy ? given->size : sizeof copy);
    struct stanch_host_transfer *t = STANCH_NEW(struct stanch_host_transfer);
    STANCH_AUTO_FREE char *url = stanch_strndup(order->url.data ? order->url.data : "", order->url.len);
    t->work.abandon = abandon;
    t->call = call;
    t->http = call->instance->http;
    t->on_ended = on_ended;
    t->ctx = ctx;
    t->answer_headers = json_object();
    t->max_body = order->max_body ? order->max_body : DEFAULT_MAX_BODY;
    t->max_body = t->max_body > MAX_BODY ? MAX_BODY : t->max_body;
    t->easy = curl_easy_init();
    stanch_host__work_add(call, &t->work);
    if (strlen(url) != order->url.len || order->url.len > MAX_URL || stanch_host__has_control(url, order->url.len))
        stanch_host__http_refuse(t, "the URL is refused: a control character in it, or over %d bytes", MAX_URL);
    else if (stanch_host__http_follow(t, url, order)) {
        set_options(t, timeout_of(call, order->deadline_ms));
        curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
        curl_multi_add_handle(t->http->multi, t->easy);
    }
}
