/* bench_runs.c: whole runs. Alerts are posted, their runs hit the target that is here, and end.
 *
 *   bench_runs PORT PATH TOKEN TARGET_PORT SOCKET RUNS STEPS ROUNDS SEED
 *
 * A round posts RUNS alerts at once; it is over when each of their runs has hit the target STEPS times. With a SOCKET
 * (of the API; "-": none) its stream is followed, and a round is over when it has told the end of each run too: then
 * all that belongs to them is committed. Prints p50_us of the rounds, per_s (steps), hits. */
#include "bench.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define REST_MS     10
#define MAX_PEERS   512

struct peer {
    int fd;
    bool is_used;
    struct bench_message message;
};

struct bench {
    int epoll, listener, stream; /* stream -1: not followed */
    struct peer webhook, targets[MAX_PEERS];
    char told[65536]; /* the end of what the stream said: a word may come in two parts */
    size_t told_len;
    int64_t hits, answers, ends;
    struct bench_times rounds;
};

static void watch(struct bench *bench, int fd, void *ptr)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr};
    if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        bench_die_errno("epoll_ctl");
}

static void take_target(struct bench *bench)
{
    struct peer *peer = bench->targets;
    while (peer < bench->targets + MAX_PEERS && peer->is_used)
        peer++;
    if (peer == bench->targets + MAX_PEERS)
        bench_die("the target has more than %d connections", MAX_PEERS);
    peer->is_used = true;
    peer->message.len = 0;
    peer->fd = accept4(bench->listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer->fd < 0)
        bench_die_errno("accept");
    watch(bench, peer->fd, peer);
}

static void take_hit(struct bench *bench, struct peer *peer)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int rc = bench_read(peer->fd, &peer->message);
    if (rc < 0) {
        close(peer->fd);
        peer->is_used = false;
    } else if (rc > 0) {
        bench->hits++;
        peer->message.len = 0;
        bench_write_all(peer->fd, answer, sizeof answer - 1);
    }
}

/* An answer may hold only a part of what came: alerts are posted one behind the other. */
static void take_answers(struct bench *bench)
{
    int rc = bench_read(bench->webhook.fd, &bench->webhook.message);
    if (rc < 0)
        bench_die("the webhook closed its connection");
    if (rc == 0)
        return;
    if (bench_status(&bench->webhook.message) != 202)
        bench_die("the webhook refused the alert: %.300s", bench->webhook.message.bytes);
    bench->answers++;
    bench->webhook.message.len = 0;
}

static void take_stream(struct bench *bench)
{
    static const char word[] = "\"run.succeeded\"";
    ssize_t n = recv(bench->stream, bench->told + bench->told_len, sizeof bench->told - 1 - bench->told_len, 0);
    if (n <= 0)
        bench_die("the stream ended");
    bench->told_len += (size_t)n;
    bench->told[bench->told_len] = 0;
    char *at = bench->told, *found;
    while ((found = strstr(at, word))) {
        bench->ends++;
        at = found + sizeof word - 1;
    }
    if (strstr(at, "\"run.failed\""))
        bench_die("a run failed: %.2000s", at);
    size_t left = strlen(at), keep = left < sizeof word ? left : sizeof word;
    memmove(bench->told, at + left - keep, keep);
    bench->told_len = keep;
}

static bool turn(struct bench *bench, int timeout_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(bench->epoll, events, 64, timeout_ms);
    for (int i = 0; i < n; i++) {
        void *ptr = events[i].data.ptr;
        if (!ptr)
            take_target(bench);
        else if (ptr == &bench->webhook)
            take_answers(bench);
        else if (ptr == &bench->stream)
            take_stream(bench);
        else
            take_hit(bench, ptr);
    }
    return n > 0;
}

static void post(struct bench *bench, const char *path, const char *token, uint64_t id)
{
    char name[40];
    const char *body, *request;
    int64_t before = bench->answers;
    (void)snprintf(name, sizeof name, "Hit%016llx", (unsigned long long)id);
    size_t len = bench_alert(name, id, &body);
    len = bench_post(path, token, body, len, &request);
    bench_write_all(bench->webhook.fd, request, len);
    while (bench->answers == before)
        if (!turn(bench, PATIENCE_MS))
            bench_die("no answer for %d s", PATIENCE_MS / 1000);
}

static void follow(struct bench *bench, const char *path)
{
    static const char request[] = "GET /v1/stream HTTP/1.1\r\nHost: stanch\r\nAccept: text/event-stream\r\n\r\n";
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    bench->stream = -1;
    if (strcmp(path, "-") == 0)
        return;
    if (strlen(path) >= sizeof address.sun_path)
        bench_die("%s is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path));
    bench->stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bench->stream < 0 || connect(bench->stream, (struct sockaddr *)&address, sizeof address) < 0)
        bench_die_errno(path);
    bench_write_all(bench->stream, request, sizeof request - 1);
    ssize_t n = recv(bench->stream, bench->told, sizeof bench->told - 1, 0); /* it is there: nothing is missed */
    if (n < 15 || strncmp(bench->told, "HTTP/1.1 200", 12) != 0)
        bench_die("no stream at %s", path);
    watch(bench, bench->stream, &bench->stream);
}

static void rest(struct bench *bench)
{
    int64_t until = bench_now_ns() + REST_MS * 1000000, left;
    while ((left = until - bench_now_ns()) > 0)
        (void)turn(bench, (int)(left / 1000000) + 1);
}

int main(int argc, char **argv)
{
    if (argc != 10)
        bench_die("usage: bench_runs PORT PATH TOKEN TARGET_PORT SOCKET RUNS STEPS ROUNDS SEED");
    static struct bench bench;
    int64_t runs = bench_number(argv[6], "RUNS"), steps = bench_number(argv[7], "STEPS");
    int64_t rounds = bench_number(argv[8], "ROUNDS"), warm_up = rounds / 10 + (rounds > 1), took_ns = 0;
    uint64_t seed = (uint64_t)bench_number(argv[9], "SEED") << 32;
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    bench.listener = bench_listen((int)bench_number(argv[4], "TARGET_PORT"));
    bench.webhook.fd = bench_connect((int)bench_number(argv[1], "PORT"));
    watch(&bench, bench.listener, NULL);
    watch(&bench, bench.webhook.fd, &bench.webhook);
    follow(&bench, argv[5]);
    for (int64_t i = 0; i < warm_up + rounds; i++) {
        int64_t hits = bench.hits + runs * steps, ends = bench.ends + (bench.stream < 0 ? 0 : runs);
        int64_t begin = bench_now_ns();
        for (int64_t run = 0; run < runs; run++)
            post(&bench, argv[2], argv[3], seed | (uint64_t)(i * runs + run));
        while (bench.hits < hits || bench.ends < ends)
            if (!turn(&bench, PATIENCE_MS))
                bench_die("%lld of %lld hits, %lld of %lld ends; then nothing for %d s", (long long)bench.hits,
                          (long long)hits, (long long)bench.ends, (long long)ends, PATIENCE_MS / 1000);
        if (i >= warm_up) {
            bench_add(&bench.rounds, bench_now_ns() - begin);
            took_ns += bench_now_ns() - begin;
        }
        rest(&bench);
    }
    bench_print("p50_us", bench_percentile_us(&bench.rounds, 50));
    bench_print("per_s", (double)(rounds * runs * steps) / ((double)took_ns / 1e9));
    bench_print("hits", (double)bench.hits);
    bench_times_done(&bench.rounds);
    return 0;
}
