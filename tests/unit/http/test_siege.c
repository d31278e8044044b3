/* test_siege.c: D8, short form: 500 connections that trickle, bodies over every limit, connections opened and thrown
 * away, readers that do not read; beside them an honest client on TCP and one on the control socket must be served,
 * memory must stay bounded, and afterwards every descriptor must be back. */
#include "serving.h"
#include "base/times.h"
#include <dirent.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>

#define SLOW 500
#ifdef STANCH_ASAN
#define LATE_MS 1000
#else
#define LATE_MS 250
#endif

#define MAX_BEATS 64
#define BEAT_MS   5
#define STALL_MS  20 /* so late nobody is whom only the siege keeps waiting: the processor was not there */

struct siege {
    struct serving *server;
    volatile bool over;
    int rounds;
};

static int dial_from(struct serving *s, int host)
{
    struct sockaddr_in from = {.sin_family = AF_INET},
                       to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    from.sin_addr.s_addr = htonl(0x7f000000u + (unsigned)host); /* 127.0.0.host: the cap is per address */
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int yes = 1;
    /* else bind looks for a port among thousands in TIME_WAIT, and it is that which takes the machine's time */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    (void)bind(fd, (struct sockaddr *)(void *)&from, sizeof from);
    (void)connect(fd, (struct sockaddr *)(void *)&to, sizeof to);
    return fd;
}

static void *trickle(void *ctx)
{
    struct siege *siege = ctx;
    int fds[SLOW];
    for (int i = 0; i < SLOW; i++)
        fds[i] = dial_from(siege->server, 2 + i % 4);
    while (!siege->over) {
        for (int i = 0; i < SLOW; i++)
            (void)!send(fds[i], i % 2 ? "G" : "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 1,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
        usleep(200000);
    }
    for (int i = 0; i < SLOW; i++)
        close(fds[i]);
    return NULL;
}

static void *pour(void *ctx)
{
    struct siege *siege = ctx;
    static char junk[65536];
    static const char *const heads[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nX: ",
    };
    while (!siege->over) {
        int fd = dial_from(siege->server, 6);
        const char *head = heads[siege->rounds++ % 4];
        struct pollfd ready = {.fd = fd, .events = POLLOUT};
        (void)poll(&ready, 1, 1000);
        (void)!send(fd, head, strlen(head), MSG_NOSIGNAL);
        for (int i = 0; i < 64; i++)
            if (send(fd, junk, sizeof junk, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                break;
        close(fd);
        usleep(2000);
    }
    return NULL;
}

static void *churn(void *ctx)
{
    struct siege *siege = ctx;
    while (!siege->over) {
        close(dial_from(siege->server, 7));
        usleep(1000);
    }
    return NULL;
}

/* Whoever sleeps is woken at once, however busy the server and its besiegers are; who is not was without a processor, which
 * others had, on this machine or beside it. */
static _Atomic int64_t stalled_ms;

static void *beat(void *ctx)
{
    struct siege *siege = ctx;
    while (!siege->over) {
        int64_t began = stanch_mono_now_ms();
        usleep(BEAT_MS * 1000);
        int64_t late = stanch_mono_now_ms() - began - BEAT_MS;
        if (late > STALL_MS)
            stalled_ms += late;
    }
    return NULL;
}

/* One on each processor. returns how many */
static int start_beats(struct siege *siege, pthread_t *ret)
{
    cpu_set_t all, one;
    int count = 0;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && count < MAX_BEATS; cpu++) {
        if (!CPU_ISSET(cpu, &all))
            continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_create(&ret[count], NULL, beat, siege);
        assert_int_equal(pthread_setaffinity_np(ret[count++], sizeof one, &one), 0);
    }
    return count;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *in = fopen("/proc/self/statm", "re");
    assert_int_equal(fscanf(in, "%ld %ld", &pages, &resident), 2);
    (void)fclose(in);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* returns the milliseconds that an honest request took, but for those in which the machine was not there */
static int64_t probe(struct serving *s, bool local)
{
    int64_t began = stanch_mono_now_ms(), stalled_before = stalled_ms;
    int fd = local ? dial_local(s) : dial(s);
    say(fd, "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    close(fd);
    if (!strstr(answer, "HTTP/1.1 200"))
        fail_msg("an honest client on %s got: %s", local ? "the control socket" : "TCP", answer);
    int64_t took = stanch_mono_now_ms() - began;
    if (took > LATE_MS)
        usleep(4 * STALL_MS * 1000); /* until who was stalled beside it has said so */
    return took - (stalled_ms - stalled_before);
}

static int setup(void **state)
{
    return start_serving(state, &(struct stanch_http_config){.header_ms = 2000, .body_ms = 2000, .idle_ms = 2000});
}

static void honest_clients_are_served_during_a_siege(void **state)
{
    static struct siege siege; /* outlives a failed assertion: the attackers still run */
    siege = (struct siege){.server = *state};
    pthread_t attackers[3], beats[MAX_BEATS];
    int before_fds = count_fds();
    long before_kib = resident_kib(), most_kib = 0;
    int late = 0;
    pthread_create(&attackers[0], NULL, trickle, &siege);
    pthread_create(&attackers[1], NULL, pour, &siege);
    pthread_create(&attackers[2], NULL, churn, &siege);
    int beat_count = start_beats(&siege, beats);
    for (int i = 0; i < 100; i++) {
        late += probe(*state, i % 2) > LATE_MS;
        most_kib = resident_kib() > most_kib ? resident_kib() : most_kib;
        usleep(20000);
    }
    siege.over = true;
    for (int i = 0; i < 3; i++)
        pthread_join(attackers[i], NULL);
    for (int i = 0; i < beat_count; i++)
        pthread_join(beats[i], NULL);
    assert_true(siege.rounds > 8);
    print_message("late: %d of 100; stalled: %lld ms; memory: %ld KiB\n", late, (long long)stalled_ms,
                  most_kib - before_kib);
    assert_true(late <= 3); /* p97 */
#ifndef STANCH_ASAN
    assert_true(most_kib - before_kib < 64 * 1024);
#else
    (void)before_kib;
#endif
    int64_t until = stanch_mono_now_ms() + 5000;
    while (count_fds() > before_fds && stanch_mono_now_ms() < until)
        usleep(20000);
    assert_int_equal(count_fds(), before_fds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(honest_clients_are_served_during_a_siege, setup, stop_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
