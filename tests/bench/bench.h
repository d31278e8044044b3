/* bench.h: what the measuring programs share: the clock, samples, alerts as Alertmanager posts them, and a client's
 * side of HTTP/1.1 with keep-alive. A program that cannot go on says why and ends with 1: a figure that is not
 * measured is not printed.
 */
#ifndef STANCH_BENCH_H
#define STANCH_BENCH_H
#include <stddef.h>
#include <stdint.h>

/** CLOCK_MONOTONIC. */
int64_t bench_now_ns(void);
void bench_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
/** errno's text is added. */
void bench_die_errno(const char *what) __attribute__((noreturn));
/** An argument that must be a number of 1 or more. */
int64_t bench_number(const char *text, const char *name);

/* Times, in order of their measuring. */
struct bench_times {
    int64_t *ns;
    size_t count, room;
};
void bench_add(struct bench_times *times, int64_t ns);
/** Sorts. percent: 50, 99. returns microseconds */
double bench_percentile_us(struct bench_times *times, int percent);
void bench_times_done(struct bench_times *times);
/** One line `name value`, for tests/bench/run to read. */
void bench_print(const char *name, double value);

/** The body of a webhook with one firing alert; `id` makes labels and fingerprint its own.
 *  returns: length; the text is static and holds until the next call */
size_t bench_alert(const char *alertname, uint64_t id, const char **ret_body);
/** A whole POST of that body. ret: static, until the next call */
size_t bench_post(const char *path, const char *token, const char *body, size_t len, const char **ret_request);

/** Connected to 127.0.0.1, without delay. */
int bench_connect(int port);
/** A socket that listens on 127.0.0.1. */
int bench_listen(int port);
void bench_write_all(int fd, const char *bytes, size_t len);

/* One message (answer or request) as it comes in. */
struct bench_message {
    char bytes[16384];
    size_t len;
};
/** Read what is there. returns 1: whole; 0: more is to come; -1: the peer closed. Zero len for the next one. */
int bench_read(int fd, struct bench_message *message);
/** The status of a whole answer. */
int bench_status(const struct bench_message *message);

#endif
