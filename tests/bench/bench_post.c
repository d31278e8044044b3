/* bench_post.c: what Debian's `webhook` runs for an alert: one POST to the target.
 *
 *   bench_post TARGET_PORT INSTANCE */
#include "bench.h"
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        bench_die("usage: bench_post TARGET_PORT INSTANCE");
    static struct bench_message answer;
    char path[128];
    const char *request;
    (void)snprintf(path, sizeof path, "/hit/%s", argv[2]);
    int fd = bench_connect((int)bench_number(argv[1], "TARGET_PORT")), rc;
    size_t len = bench_post(path, "none", "{}", 2, &request);
    bench_write_all(fd, request, len);
    while ((rc = bench_read(fd, &answer)) == 0)
        continue;
    close(fd);
    return rc < 0 || bench_status(&answer) != 200;
}
