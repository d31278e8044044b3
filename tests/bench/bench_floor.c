/* bench_floor.c: what this machine gives without Stanch.
 *
 *   bench_floor fdatasync DIR N     appends of 4 KiB, each with its sync: p50_us, p99_us
 *   bench_floor socketpair - N      there and back between two processes, 64 bytes: p50_us, p99_us
 *   bench_floor sqlite DIR N        rows in batches of 100, WAL, synchronous FULL: per_s */
#include "bench.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void print_times(struct bench_times *times)
{
    bench_print("p50_us", bench_percentile_us(times, 50));
    bench_print("p99_us", bench_percentile_us(times, 99));
    bench_times_done(times);
}

static void fdatasyncs(const char *dir, int64_t count)
{
    static char page[4096];
    char path[4096];
    struct bench_times times = {0};
    (void)snprintf(path, sizeof path, "%s/floor-append", dir);
    memset(page, 'x', sizeof page);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        bench_die_errno(path);
    for (int64_t i = 0; i < count; i++) {
        int64_t begin = bench_now_ns();
        if (write(fd, page, sizeof page) != (ssize_t)sizeof page || fdatasync(fd) < 0)
            bench_die_errno("append");
        bench_add(&times, bench_now_ns() - begin);
    }
    close(fd);
    (void)unlink(path);
    print_times(&times);
}

static void echo(int fd)
{
    char bytes[64];
    while (recv(fd, bytes, sizeof bytes, MSG_WAITALL) == (ssize_t)sizeof bytes)
        bench_write_all(fd, bytes, sizeof bytes);
    _exit(0);
}

static void socketpairs(int64_t count)
{
    char bytes[64] = {0};
    int ends[2];
    struct bench_times times = {0};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        bench_die_errno("socketpair");
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        echo(ends[1]);
    }
    close(ends[1]);
    for (int64_t i = 0; i < count; i++) {
        int64_t begin = bench_now_ns();
        bench_write_all(ends[0], bytes, sizeof bytes);
        if (recv(ends[0], bytes, sizeof bytes, MSG_WAITALL) != (ssize_t)sizeof bytes)
            bench_die_errno("recv");
        bench_add(&times, bench_now_ns() - begin);
    }
    close(ends[0]);
    (void)waitpid(pid, NULL, 0);
    print_times(&times);
}

static void must(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        bench_die("sqlite: %s", sqlite3_errmsg(db));
}

static void insert_batch(sqlite3 *db, sqlite3_stmt *insert)
{
    static char row[301];
    memset(row, 'x', sizeof row - 1);
    must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
    for (int i = 0; i < 100; i++) {
        must(db, sqlite3_bind_text(insert, 1, row, sizeof row - 1, SQLITE_STATIC));
        must(db, sqlite3_step(insert));
        must(db, sqlite3_reset(insert));
    }
    must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
}

static void rows(const char *dir, int64_t count)
{
    char path[4096];
    sqlite3 *db = NULL;
    sqlite3_stmt *insert = NULL;
    (void)snprintf(path, sizeof path, "%s/floor.db", dir);
    (void)unlink(path);
    must(db, sqlite3_open(path, &db));
    must(db, sqlite3_exec(db,
                          "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                          "CREATE TABLE entry (seq INTEGER PRIMARY KEY, data TEXT NOT NULL) STRICT",
                          NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "INSERT INTO entry (data) VALUES (?)", -1, &insert, NULL));
    int64_t batches = count / 100 + 1, begin = bench_now_ns();
    for (int64_t i = 0; i < batches; i++)
        insert_batch(db, insert);
    bench_print("per_s", (double)batches * 100 / ((double)(bench_now_ns() - begin) / 1e9));
    sqlite3_finalize(insert);
    sqlite3_close(db);
    (void)unlink(path);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_die("usage: bench_floor fdatasync|socketpair|sqlite DIR N");
    int64_t count = bench_number(argv[3], "N");
    if (strcmp(argv[1], "fdatasync") == 0)
        fdatasyncs(argv[2], count);
    else if (strcmp(argv[1], "socketpair") == 0)
        socketpairs(count);
    else if (strcmp(argv[1], "sqlite") == 0)
        rows(argv[2], count);
    else
        bench_die("what is \"%s\"?", argv[1]);
    return 0;
}
