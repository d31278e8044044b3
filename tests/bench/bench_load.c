/* bench_load.c: webhooks as fast as they are answered, over CONNECTIONS connections, one request under way on each.
 *
 *   bench_load PORT PATH TOKEN CONNECTIONS REQUESTS new|repeat SEED
 *
 * new: every alert is another one, all of a connection in one incident; repeat: one alert a connection, again and
 * again. The first request of each connection opens its incident and is not counted. Prints p50_us, p99_us, per_s,
 * answered (202, all of them), refused (anything else). */
#include "bench.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct connection {
    int fd;
    int64_t sent_ns;
    uint64_t index, sent;
    struct bench_message answer;
};

struct load {
    const char *path, *token;
    bool repeats;
    uint64_t seed;
    int64_t to_send, answered, refused;
    struct bench_times times;
};

/* The id of an alert: seed, connection, number; the same for all repeats. */
static void send_next(struct load *load, struct connection *connection)
{
    char name[32];
    const char *body, *request;
    uint64_t number = load->repeats ? 0 : connection->sent;
    (void)snprintf(name, sizeof name, "Ack%llu", (unsigned long long)connection->index);
    size_t len = bench_alert(name, load->seed << 32 | connection->index << 24 | number, &body);
    len = bench_post(load->path, load->token, body, len, &request);
    connection->answer.len = 0;
    connection->sent++;
    connection->sent_ns = bench_now_ns();
    bench_write_all(connection->fd, request, len);
}

static bool take_answer(struct load *load, struct connection *connection)
{
    int rc = bench_read(connection->fd, &connection->answer);
    if (rc < 0)
        bench_die("the server closed a connection");
    if (rc == 0)
        return false;
    if (bench_status(&connection->answer) == 202)
        load->answered++;
    else if (load->refused++ == 0)
        (void)fprintf(stderr, "refused: %.300s\n", connection->answer.bytes);
    return true;
}

/* One after the other, so that each connection's incident is there before it counts. */
static void open_all(struct load *load, struct connection *connections, int64_t count, int port)
{
    for (int64_t i = 0; i < count; i++) {
        connections[i].fd = bench_connect(port);
        connections[i].index = (uint64_t)i;
        send_next(load, &connections[i]);
        while (!take_answer(load, &connections[i]))
            continue;
    }
}

static void drive(struct load *load, struct connection *connections, int64_t count)
{
    struct epoll_event events[64];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int64_t under_way = 0;
    for (int64_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
            bench_die_errno("epoll_ctl");
    }
    for (int64_t i = 0; i < count && load->to_send > 0; i++, load->to_send--, under_way++)
        send_next(load, &connections[i]);
    while (under_way > 0) {
        int n = epoll_wait(epoll, events, 64, 30000);
        if (n <= 0)
            bench_die("no answer for 30 s");
        for (int i = 0; i < n; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!take_answer(load, connection))
                continue;
            bench_add(&load->times, bench_now_ns() - connection->sent_ns);
            under_way--;
            if (load->to_send > 0) {
                load->to_send--;
                under_way++;
                send_next(load, connection);
            }
        }
    }
    close(epoll);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        bench_die("usage: bench_load PORT PATH TOKEN CONNECTIONS REQUESTS new|repeat SEED");
    struct load load = {.path = argv[2],
                        .token = argv[3],
                        .repeats = strcmp(argv[6], "repeat") == 0,
                        .seed = (uint64_t)bench_number(argv[7], "SEED") & 0xffffffff,
                        .to_send = bench_number(argv[5], "REQUESTS")};
    int64_t count = bench_number(argv[4], "CONNECTIONS"), requests = load.to_send;
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    if (!connections || count > 255)
        bench_die("CONNECTIONS: 1 to 255");
    open_all(&load, connections, count, (int)bench_number(argv[1], "PORT"));
    int64_t begin = bench_now_ns();
    drive(&load, connections, count);
    double seconds = (double)(bench_now_ns() - begin) / 1e9;
    bench_print("p50_us", bench_percentile_us(&load.times, 50));
    bench_print("p99_us", bench_percentile_us(&load.times, 99));
    bench_print("per_s", (double)requests / seconds);
    bench_print("answered", (double)load.answered);
    bench_print("refused", (double)load.refused);
    for (int64_t i = 0; i < count; i++)
        close(connections[i].fd);
    free(connections);
    bench_times_done(&load.times);
    return load.refused > 0;
}
