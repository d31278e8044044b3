/* serving.h: a real server on a thread of its own, and a client that sends the bytes it is told to. */
#ifndef TESTS_HTTP_SERVING_H
#define TESTS_HTTP_SERVING_H
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "http/http.h"

struct serving {
    struct stanch_loop *loop;
    struct stanch_http *http;
    struct stanch_http_config config;
    char dir[64], path[100];
    int port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started;
    int seen, gone; /* requests that reached the handler, streams whose client left; under lock */
    struct stanch_http_request *held;
    struct stanch_http_request *stream;
    int flood_code;
};

static inline void note(struct serving *s, int *counter)
{
    pthread_mutex_lock(&s->lock);
    (*counter)++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static inline void await(struct serving *s, const int *counter, int at_least)
{
    pthread_mutex_lock(&s->lock);
    while (*counter < at_least)
        pthread_cond_wait(&s->changed, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static inline void answer_later(void *ctx)
{
    struct serving *s = ctx;
    stanch_http_answer(s->held, 200, "text/plain", "later", 5, NULL);
}

static inline void on_stream_gone(void *ctx)
{
    struct serving *s = ctx;
    s->stream = NULL;
    note(s, &s->gone);
}

static inline void flood(void *ctx)
{
    struct serving *s = ctx;
    char line[10000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = 0;
    s->flood_code = 0;
    for (int i = 0; i < 1000 && s->stream && s->flood_code == 0; i++)
        s->flood_code = stanch_http_stream_send(s->stream, NULL, "flood", line, NULL);
    if (s->stream)
        stanch_http_stream_end(s->stream);
    s->stream = NULL;
    note(s, &s->gone);
}

/* What the handler saw, as JSON, so that the client's side can assert it. */
static inline void echo(struct stanch_http_request *request)
{
    size_t len = 0;
    const void *body = stanch_http_body(request, &len);
    char digest[65];
    stanch_digest_hex(body, len, digest);
    STANCH_AUTO_JSON json_t *value = json_pack(
        "{s:s, s:s, s:s, s:o, s:I, s:s, s:s, s:b, s:I}", "method", stanch_http_method(request), "path",
        stanch_http_path(request), "raw_query", stanch_http_raw_query(request), "headers", stanch_http_headers(request),
        "body_len", (json_int_t)len, "digest", digest, "remote", stanch_http_remote(request), "local",
        stanch_http_is_local(request), "uid", (json_int_t)stanch_http_peer_uid(request));
    stanch_json_set_str(value, "q", stanch_http_query(request, "q"));
    stanch_http_answer_json(request, 200, value);
}

static inline void on_test_request(void *ctx, struct stanch_http_request *request)
{
    struct serving *s = ctx;
    const char *path = stanch_http_path(request);
    struct stanch_err err;
    if (strcmp(path, "/later") == 0) {
        s->held = request;
        stanch_timer_start(s->loop, 20, answer_later, s);
    } else if (strcmp(path, "/never") == 0) {
        s->held = request;
    } else if (strcmp(path, "/problem") == 0) {
        stanch_err_set(&err, STANCH_E_BUSY, "the queue is full");
        stanch_http_answer_problem_at(request, &err, "queue", NULL);
    } else if (strcmp(path, "/stream") == 0 || strcmp(path, "/flood") == 0) {
        s->stream = request;
        stanch_http_stream_start(request, on_stream_gone, s);
        if (path[1] == 'f')
            stanch_timer_start(s->loop, 1, flood, s);
        else
            stanch_http_stream_send(request, "7", "entry", "one\ntwo", NULL);
    } else {
        echo(request);
    }
    note(s, &s->seen);
}

static inline void *serve(void *ctx)
{
    struct serving *s = ctx;
    stanch_loop_run(s->loop);
    return NULL;
}

static inline int start_serving(void **state, const struct stanch_http_config *config)
{
    struct serving *s = STANCH_NEW(struct serving);
    struct stanch_err err = {0};
    stanch_digest_init();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    (void)snprintf(s->dir, sizeof s->dir, "/tmp/stanch-http-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    (void)snprintf(s->path, sizeof s->path, "%s/control", s->dir);
    s->config = *config;
    s->config.listen = "127.0.0.1:0";
    s->config.socket_path = s->path;
    s->loop = stanch_loop_new(&err);
    if (stanch_http_start(s->loop, &s->config, on_test_request, s, &s->http, &err) != 0) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    s->port = stanch_http_port(s->http);
    pthread_create(&s->thread, NULL, serve, s);
    *state = s;
    return 0;
}

static inline void stop_on_loop(void *ctx)
{
    struct serving *s = ctx;
    stanch_http_free(s->http);
    stanch_loop_stop(s->loop);
}

static inline int stop_serving(void **state)
{
    struct serving *s = *state;
    stanch_loop_post(s->loop, stop_on_loop, s);
    pthread_join(s->thread, NULL);
    stanch_loop_free(s->loop);
    rmdir(s->dir);
    free(s);
    return 0;
}

static inline int dial(struct serving *s)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&at, sizeof at), 0);
    return fd;
}

static inline int dial_local(struct serving *s)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, s->path, strlen(s->path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&at, sizeof at), 0);
    return fd;
}

static inline void put(int fd, const void *bytes, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t n = send(fd, (const char *)bytes + done, len - done, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server closed: what it said is read next */
        done += (size_t)n;
    }
}

static inline void say(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* Read until `until` was seen, or to the end. Fails the test after 20 s. */
static inline char *hear(int fd, const char *until)
{
    struct stanch_buf all = {0};
    char some[4096];
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, 20000), 1);
        ssize_t n = recv(fd, some, sizeof some, 0);
        if (n <= 0)
            break;
        stanch_buf_add(&all, some, (size_t)n);
        if (until && strstr(stanch_buf_str(&all), until))
            break;
    }
    return stanch_buf_take(&all);
}

/* Send and read to the end of the connection. new */
static inline char *talk(struct serving *s, const void *bytes, size_t len)
{
    int fd = dial(s);
    put(fd, bytes, len);
    char *answer = hear(fd, NULL);
    close(fd);
    return answer;
}

#define TALK(s, text) talk(s, text, sizeof text - 1)

static inline json_t *body_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");
    return body ? json_loads(body + 4, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
}
#endif
