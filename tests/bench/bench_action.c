/* bench_action.c: from a POST to the action's arrival at its target. The target's server is here, so that one clock sees
 * both ends.
 *
 *   bench_action PORT PATH TOKEN TARGET_PORT REQUESTS SEED     alerts
 *   bench_action PORT - TOKEN TARGET_PORT FILE 1               the requests in FILE, a line each: AWAITED TAB PATH TAB BODY
 *
 * One request at a time; the next one is sent when the last was answered, its action arrived, and a short time is over
 * in which the rest of it (verify, the end of the run or of the hook's process) can go by. Prints p50_us, p99_us,
 * answer_p50_us (until the webhook's own answer), arrived, other (arrivals that nobody waited for: they must be 0). */
#include "bench.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define REST_MS     10
#define PATIENCE_MS 30000
#define MAX_PEERS   64

struct peer { /* a connection to the target, or ours to the webhook */
    int fd;
    bool is_used;
    struct bench_message message;
};

struct bench {
    int epoll, listener;
    struct peer webhook, targets[MAX_PEERS];
    char awaited[64]; /* how the target that will be hit is called */
    int64_t sent_ns, arrived_ns, answered_ns;
    int64_t arrived, other;
    struct bench_times arrivals, answers;
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

/* A request at the target: POST /hit/INSTANCE */
static void take_hit(struct bench *bench, struct peer *peer)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int rc = bench_read(peer->fd, &peer->message);
    if (rc < 0) {
        close(peer->fd);
        peer->is_used = false;
        return;
    }
    if (rc == 0)
        return;
    const char *hit = strstr(peer->message.bytes, "/hit/");
    if (hit && bench->arrived_ns == 0 && strncmp(hit + 5, bench->awaited, strlen(bench->awaited)) == 0) {
        bench->arrived_ns = bench_now_ns();
        bench->arrived++;
    } else {
        bench->other++;
    }
    peer->message.len = 0;
    bench_write_all(peer->fd, answer, sizeof answer - 1);
}

static void take_answer(struct bench *bench)
{
    int rc = bench_read(bench->webhook.fd, &bench->webhook.message);
    if (rc < 0)
        bench_die("the webhook closed its connection");
    if (rc == 0)
        return;
    if (bench_status(&bench->webhook.message) / 100 != 2)
        bench_die("the webhook refused the alert: %.300s", bench->webhook.message.bytes);
    bench->answered_ns = bench_now_ns();
    bench->webhook.message.len = 0;
}

/* Whether anything came within that time. */
static bool turn(struct bench *bench, int timeout_ms)
{
    struct epoll_event events[16];
    int n = epoll_wait(bench->epoll, events, 16, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct peer *peer = events[i].data.ptr;
        if (!peer)
            take_target(bench);
        else if (peer == &bench->webhook)
            take_answer(bench);
        else
            take_hit(bench, peer);
    }
    return n > 0;
}

static void rest(struct bench *bench)
{
    int64_t until = bench_now_ns() + REST_MS * 1000000, left;
    while ((left = until - bench_now_ns()) > 0)
        (void)turn(bench, (int)(left / 1000000) + 1);
}

static void measure(struct bench *bench, const char *path, const char *token, const char *body, size_t body_len)
{
    const char *request;
    size_t len = bench_post(path, token, body, body_len, &request);
    bench->arrived_ns = bench->answered_ns = 0;
    bench->sent_ns = bench_now_ns();
    bench_write_all(bench->webhook.fd, request, len);
    while (bench->arrived_ns == 0 || bench->answered_ns == 0)
        if (!turn(bench, PATIENCE_MS))
            bench_die("no %s for %d s", bench->answered_ns ? "action" : "answer", PATIENCE_MS / 1000);
    bench_add(&bench->arrivals, bench->arrived_ns - bench->sent_ns);
    bench_add(&bench->answers, bench->answered_ns - bench->sent_ns);
    rest(bench);
}

static void measure_alerts(struct bench *bench, char **argv)
{
    int64_t requests = bench_number(argv[5], "REQUESTS"), warm_up = requests / 10 + 1;
    uint64_t seed = (uint64_t)bench_number(argv[6], "SEED") << 32;
    for (int64_t i = 0; i < warm_up + requests; i++) {
        uint64_t id = seed | (uint64_t)i;
        char name[40];
        const char *body;
        (void)snprintf(name, sizeof name, "Hit%016llx", (unsigned long long)id);
        (void)snprintf(bench->awaited, sizeof bench->awaited, "i%016llx", (unsigned long long)id);
        size_t len = bench_alert(name, id, &body);
        measure(bench, argv[2], argv[3], body, len);
        if (i == warm_up - 1)
            bench->arrivals.count = bench->answers.count = 0;
    }
}

/* The first tenth is for warming up. */
static void measure_file(struct bench *bench, const char *path, const char *token)
{
    char line[8192];
    FILE *file = fopen(path, "re");
    int64_t lines = 0, done = 0;
    if (!file)
        bench_die_errno(path);
    while (fgets(line, sizeof line, file))
        lines++;
    rewind(file);
    while (fgets(line, sizeof line, file)) {
        char *to = strchr(line, '\t'), *body = to ? strchr(to + 1, '\t') : NULL;
        if (!body)
            bench_die("%s: not AWAITED TAB PATH TAB BODY: %.80s", path, line);
        *to = *body++ = 0;
        body[strcspn(body, "\n")] = 0;
        (void)snprintf(bench->awaited, sizeof bench->awaited, "%s", line);
        measure(bench, to + 1, token, body, strlen(body));
        if (++done == lines / 10)
            bench->arrivals.count = bench->answers.count = 0;
    }
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 7)
        bench_die("usage: bench_action PORT PATH|- TOKEN TARGET_PORT REQUESTS|FILE SEED");
    static struct bench bench;
    bench.epoll = epoll_create1(EPOLL_CLOEXEC);
    bench.listener = bench_listen((int)bench_number(argv[4], "TARGET_PORT"));
    bench.webhook.fd = bench_connect((int)bench_number(argv[1], "PORT"));
    watch(&bench, bench.listener, NULL);
    watch(&bench, bench.webhook.fd, &bench.webhook);
    if (strcmp(argv[2], "-") == 0)
        measure_file(&bench, argv[5], argv[3]);
    else
        measure_alerts(&bench, argv);
    bench_print("p50_us", bench_percentile_us(&bench.arrivals, 50));
    bench_print("p99_us", bench_percentile_us(&bench.arrivals, 99));
    bench_print("answer_p50_us", bench_percentile_us(&bench.answers, 50));
    bench_print("arrived", (double)bench.arrived);
    bench_print("other", (double)bench.other);
    bench_times_done(&bench.arrivals);
    bench_times_done(&bench.answers);
    return bench.other > 0;
}
