/* bench.c: plain and blocking where it can be: what is measured is the other side. */
#include "bench.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void bench_die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    exit(1);
}

void bench_die_errno(const char *what)
{
    bench_die("%s: %s", what, strerror(errno));
}

int64_t bench_number(const char *text, const char *name)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || value < 1)
        bench_die("%s: a number of 1 or more was expected, not \"%s\"", name, text);
    return value;
}

/* ---- samples ---- */

void bench_add(struct bench_times *times, int64_t ns)
{
    if (times->count == times->room) {
        times->room = times->room ? times->room * 2 : 1024;
        times->ns = realloc(times->ns, times->room * sizeof *times->ns);
        if (!times->ns)
            bench_die("out of memory");
    }
    times->ns[times->count++] = ns;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

double bench_percentile_us(struct bench_times *times, int percent)
{
    if (times->count == 0)
        bench_die("nothing was measured");
    qsort(times->ns, times->count, sizeof *times->ns, compare);
    return (double)times->ns[(times->count - 1) * (size_t)percent / 100] / 1000;
}

void bench_times_done(struct bench_times *times)
{
    free(times->ns);
    *times = (struct bench_times){0};
}

void bench_print(const char *name, double value)
{
    (void)printf("%s %.3f\n", name, value);
}

/* ---- an alert ---- */

size_t bench_alert(const char *alertname, uint64_t id, const char **ret_body)
{
    static char body[4096];
    char now[40];
    time_t at = time(NULL);
    struct tm utc;
    gmtime_r(&at, &utc);
    (void)strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    int len = snprintf(
        body, sizeof body,
        "{\"receiver\":\"stanch\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\",\"labels\":{\"alertname\":"
        "\"%s\",\"env\":\"prod\",\"instance\":\"i%016llx\",\"job\":\"checkout\",\"severity\":\"critical\"},"
        "\"annotations\":{\"description\":\"5%% of all requests fail\",\"summary\":\"The checkout answers with "
        "errors\"},\"startsAt\":\"%s\",\"endsAt\":\"0001-01-01T00:00:00Z\",\"generatorURL\":"
        "\"http://prometheus.example:9090/graph?g0.expr=job%%3Acheckout_errors%%3Aratio1m+%%3E+0.05&g0.tab=1\","
        "\"fingerprint\":\"%016llx\"}],\"groupLabels\":{\"alertname\":\"%s\"},\"commonLabels\":{\"alertname\":\"%s\","
        "\"env\":\"prod\"},\"commonAnnotations\":{},\"externalURL\":\"http://alertmanager.example:9093\",\"version\":"
        "\"4\",\"groupKey\":\"{}:{alertname=\\\"%s\\\"}\",\"truncatedAlerts\":0}",
        alertname, (unsigned long long)id, now, (unsigned long long)id, alertname, alertname, alertname);
    *ret_body = body;
    return (size_t)len;
}

size_t bench_post(const char *path, const char *token, const char *body, size_t len, const char **ret_request)
{
    static char request[8192];
    int head = snprintf(request, sizeof request,
                        "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Alertmanager/0.25.0\r\n"
                        "Authorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                        path, token, len);
    if (head < 0 || (size_t)head + len > sizeof request)
        bench_die("the request is too large");
    memcpy(request + head, body, len);
    *ret_request = request;
    return (size_t)head + len;
}

/* ---- sockets ---- */

static struct sockaddr_in loopback(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

int bench_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        bench_die_errno("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

int bench_listen(int port)
{
    struct sockaddr_in address = loopback(port);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0)
        bench_die_errno("listen");
    return fd;
}

void bench_write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0)
            bench_die_errno("send");
        bytes += n;
        len -= (size_t)n;
    }
}

/* ---- messages ---- */

int bench_read(int fd, struct bench_message *message)
{
    ssize_t n = recv(fd, message->bytes + message->len, sizeof message->bytes - 1 - message->len, 0);
    if (n < 0 && errno != ECONNRESET)
        bench_die_errno("recv");
    if (n <= 0)
        return -1;
    message->len += (size_t)n;
    message->bytes[message->len] = 0;
    const char *end = strstr(message->bytes, "\r\n\r\n"), *field = strcasestr(message->bytes, "\r\ncontent-length:");
    if (!end) {
        if (message->len == sizeof message->bytes - 1)
            bench_die("a message's head is too large");
        return 0;
    }
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    size_t whole = (size_t)(end - message->bytes) + 4 + body;
    if (whole >= sizeof message->bytes)
        bench_die("a message of %zu bytes is too large", whole);
    return message->len >= whole;
}

int bench_status(const struct bench_message *message)
{
    return message->len > 12 ? atoi(message->bytes + 9) : 0;
}
