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
#include "plugin/host.h"
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
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

struct transfer {
    struct stanch_host_work work;
    struct stanch_call *call;
    struct stanch_host_http *http;
    const struct stanch_host_place *place;
    void (*on_ended)(struct stanch_call *, void *, const struct stanch_http_exchange *);
    void *ctx;
    CURL *easy;
    struct curl_slist *headers;
    struct stanch_timer *refusal; /* when there was nothing to start: tell it later */
    struct stanch_buf body;
    uint64_t max_body;
    json_t *answer_headers;
    size_t header_bytes;
    char why[400];
    char curl_why[CURL_ERROR_SIZE];
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

static void free_transfer(struct transfer *t)
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
    free_transfer(container_of(work, struct transfer, work));
}

static void end_transfer(struct transfer *t, struct stanch_http_exchange *exchange)
{
    struct stanch_call *call = t->call;
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
    struct transfer *t = ctx;
    struct stanch_http_exchange exchange = {.ended = STANCH_HTTP_NOT_SENT};
    t->refusal = NULL;
    end_transfer(t, &exchange);
}

/* The order cannot be followed: NOT_SENT, later. */
static void refuse(struct transfer *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct transfer *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(t->why, sizeof t->why, fmt, args);
    va_end(args);
    if (!t->refusal)
        t->refusal = stanch_timer_start(t->http->instance->loop, 0, on_refusal, t);
}

static void describe_end(struct transfer *t, CURLcode code, bool was_sent)
{
    const char *detail = t->curl_why[0] ? t->curl_why : curl_easy_strerror(code);
    char refused[sizeof t->why];
    memcpy(refused, t->why, sizeof refused);
    if (refused[0])
        detail = refused;
    (void)snprintf(t->why, sizeof t->why, "%s://%.120s:%d: %.200s (%s)", t->place->scheme, t->place->host,
                   t->place->port, detail, was_sent ? "the request may have arrived" : "nothing was sent");
}

static void on_done(struct transfer *t, CURLcode code)
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
        struct transfer *t = NULL;
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
    struct transfer *t = ctx;
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

static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    struct transfer *t = ctx;
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
    const char *before = stanch_json_str(t->answer_headers, name, NULL);
    json_t *value = header_value(at, (size_t)(end - at));
    if (before) { /* repeated: one list, as RFC 9110 5.3 reads it */
        json_t *both = json_sprintf("%s, %s", before, json_string_value(value));
        json_decref(value);
        value = both;
    }
    json_object_set_new(t->answer_headers, name, value); /* a name that is no UTF-8 is left out */
    return len;
}

/* The address that curl is about to connect to: checked here, after the look-up, so that no second look-up
 * can lead elsewhere. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = ctx;
    char why[300];
    (void)purpose;
    if (!stanch_host__address_ok(t->place, &address->addr, why)) {
        (void)snprintf(t->why, sizeof t->why, "%s", why);
        return CURL_SOCKET_BAD;
    }
    t->why[0] = '\0';
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* ---- from the order to the transfer ---- */

static bool is_token(const char *text)
{
    size_t len =
        strspn(text, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return len > 0 && text[len] == '\0';
}

static bool has_control(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return true;
    return false;
}

static bool set_url(struct transfer *t, const char *text)
{
    CURLU *url = curl_url();
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, text, 0);
    bool is_whole = code == CURLUE_OK && curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK;
    if (!is_whole)
        refuse(t, "the URL is refused: %s", curl_url_strerror(code));
    else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        refuse(t, "the URL is refused: a user name in it");
    else if (!(t->place =
                   stanch_host__place_find(t->call->instance, scheme, host, (int)strtol(port, NULL, 10))))
        refuse(t, "%s://%.120s:%s is refused: no setting with \"format\":\"url\" names it", scheme, host,
               port);
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_url_cleanup(url);
    if (t->place)
        curl_easy_setopt(t->easy, CURLOPT_URL, text);
    return t->place != NULL;
}

static bool add_header(struct transfer *t, const char *name, const char *value, size_t len)
{
    static const char *const own[] = {"host", "content-length", "transfer-encoding", "connection", NULL};
    for (const char *const *o = own; *o; o++)
        if (strcasecmp(*o, name) == 0)
            return refuse(t, "the header %s is the host's own", name), false;
    if (!is_token(name) || has_control(value, len))
        return refuse(t, "the header %.60s is refused: a character in it", name), false;
    STANCH_AUTO_FREE char *line =
        len ? stanch_asprintf("%s: %.*s", name, (int)len, value) : stanch_asprintf("%s;", name);
    t->headers = curl_slist_append(t->headers, line);
    explicit_bzero(line, strlen(line));
    return true;
}

static bool set_headers(struct transfer *t, struct stanch_text text)
{
    const char *name;
    json_t *value, *headers = NULL;
    struct stanch_err err;
    bool ok = true;
    t->headers = curl_slist_append(t->headers, "Expect:");
    if (text.len == 0)
        return true;
    if (stanch_json_parse(text.data, text.len, &stanch_json_own_limits, &headers, &err) < 0)
        return refuse(t, "the headers are no JSON object: %s", err.text), false;
    json_object_foreach(headers, name, value) if (ok) ok =
        json_is_string(value) ? add_header(t, name, json_string_value(value), json_string_length(value))
                              : (refuse(t, "the header %.60s is not a text", name), false);
    json_decref(headers);
    return ok;
}

/* Whether that setting is declared as a secret, set or not. */
static bool is_secret_setting(struct stanch_instance *instance, const char *name)
{
    const json_t *setting = json_object_get(json_object_get(instance->declaration, "settings"), name);
    return stanch_json_bool(setting, "secret", false);
}

static bool set_bearer(struct transfer *t, struct stanch_text name_text)
{
    STANCH_AUTO_FREE char *name = stanch_strndup(name_text.data ? name_text.data : "", name_text.len);
    if (name_text.len == 0)
        return true;
    if (!is_secret_setting(t->call->instance, name))
        return refuse(t, "bearer: \"%s\" is no secret setting", name), false;
    const struct stanch_host_secret *secret =
        stanch_host__secret_find(t->call->instance, name, name_text.len);
    if (!secret)
        return true; /* not set: without credentials */
    STANCH_AUTO_FREE char *value = stanch_asprintf("Bearer %s", secret->value);
    if (has_control(secret->value, secret->len))
        return refuse(t, "the secret %s has a control character in it", name), false;
    bool ok = add_header(t, "Authorization", value, strlen(value));
    explicit_bzero(value, strlen(value));
    return ok;
}

static bool set_basic(struct transfer *t, struct stanch_text pair)
{
    struct stanch_instance *instance = t->call->instance;
    STANCH_AUTO_FREE char *user_name = stanch_strndup(pair.data ? pair.data : "", pair.len);
    char *colon = strchr(user_name, ':');
    if (pair.len == 0)
        return true;
    if (!colon || !is_secret_setting(instance, colon + 1))
        return refuse(t, "basic: \"%s\" is not SETTING:SECRET", user_name), false;
    *colon = '\0';
    const char *user = stanch_json_str(instance->settings, user_name, NULL);
    const struct stanch_host_secret *secret =
        stanch_host__secret_find(instance, colon + 1, strlen(colon + 1));
    if (!user || !secret)
        return true;
    curl_easy_setopt(t->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(t->easy, CURLOPT_USERNAME, user);
    curl_easy_setopt(t->easy, CURLOPT_PASSWORD, secret->value);
    return true;
}

static bool set_method(struct transfer *t, const struct stanch_http_order *order)
{
    STANCH_AUTO_FREE char *method =
        stanch_strndup(order->method.data ? order->method.data : "", order->method.len);
    bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!is_token(method) || strcmp(method, "CONNECT") == 0)
        return refuse(t, "\"%.40s\" is no method", method), false;
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

static void set_options(struct transfer *t, long timeout_ms)
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

void stanch_host__http_start(struct stanch_call *call, const struct stanch_http_order *order,
                             void (*on_ended)(struct stanch_call *, void *,
                                              const struct stanch_http_exchange *),
                             void *ctx)
{
    struct transfer *t = STANCH_NEW(struct transfer);
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
    if (order->size < sizeof *order)
        refuse(t, "the order is of another ABI");
    else if (strlen(url) != order->url.len || order->url.len > MAX_URL || has_control(url, order->url.len))
        refuse(t, "the URL is refused: a control character in it, or over %d bytes", MAX_URL);
    else if (set_url(t, url) && set_headers(t, order->headers) && set_bearer(t, order->bearer) &&
             set_basic(t, order->basic) && set_method(t, order)) {
        set_options(t, timeout_of(call, order->deadline_ms));
        curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
        curl_multi_add_handle(t->http->multi, t->easy);
    }
}
