/* bench_server.c: the least that a webhook's server on libuv does: the references that Stanch is held against.
 *
 *   bench_server plain|durable|parse FILE
 *
 * plain: answers 202 when the request is whole. durable: appends the body to FILE and answers after fdatasync, one sync
 * for all that came in meanwhile. parse: durable, and jansson reads the body first. Prints its port; ends on SIGTERM. */
#include "bench.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

struct server;
struct connection {
    uv_tcp_t tcp;
    struct server *server;
    struct connection *next; /* in the group that waits for its sync */
    bool waits, closed;
    size_t len;
    char bytes[16384];
};

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_work_t work;
    bool is_durable, parses, syncing;
    int file;
    struct connection *waiting, *syncing_group;
    char *group; /* bodies of those that wait */
    size_t group_len, group_room, written_len;
    char *written;
};

static void on_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    connection->closed = true;
    if (!connection->waits)
        free(connection);
}

static void answer(struct connection *connection)
{
    static char text[] = "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}\n";
    uv_buf_t buf = uv_buf_init(text, sizeof text - 1);
    connection->len = 0;
    if (uv_try_write((uv_stream_t *)&connection->tcp, &buf, 1) != (int)buf.len)
        bench_die("an answer of %zu bytes did not go out", buf.len);
}

/* ---- group commit ---- */

static void sync_group(uv_work_t *work)
{
    struct server *server = work->data;
    if (write(server->file, server->written, server->written_len) != (ssize_t)server->written_len ||
        fdatasync(server->file) < 0)
        bench_die_errno("append");
}

static void start_sync(struct server *server);

static void on_synced(uv_work_t *work, int status)
{
    struct server *server = work->data;
    struct connection *connection = server->syncing_group, *next;
    (void)status;
    server->syncing = false;
    server->syncing_group = NULL;
    if (server->waiting)
        start_sync(server); /* the next group is on its way while this one is answered */
    for (; connection; connection = next) {
        next = connection->next;
        connection->waits = false;
        if (connection->closed)
            free(connection);
        else
            answer(connection);
    }
}

static void start_sync(struct server *server)
{
    char *spare = server->written;
    size_t spare_room = spare ? server->group_room : 0;
    server->written = server->group;
    server->written_len = server->group_len;
    server->group = spare_room == server->group_room ? spare : NULL;
    if (!server->group && !(server->group = malloc(server->group_room)))
        bench_die("out of memory");
    server->group_len = 0;
    server->syncing_group = server->waiting;
    server->waiting = NULL;
    server->syncing = true;
    uv_queue_work(&server->loop, &server->work, sync_group, on_synced);
}

static void append(struct connection *connection, const char *body, size_t len)
{
    struct server *server = connection->server;
    if (server->group_len + len > server->group_room)
        bench_die("the group is too large");
    memcpy(server->group + server->group_len, body, len);
    server->group_len += len;
    connection->waits = true;
    connection->next = server->waiting;
    server->waiting = connection;
    if (!server->syncing)
        start_sync(server);
}

/* ---- requests ---- */

static void take_request(struct connection *connection, const char *body, size_t len)
{
    if (connection->server->parses) {
        json_t *value = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
        if (!value)
            bench_die("the body is no JSON");
        json_decref(value);
    }
    if (connection->server->is_durable)
        append(connection, body, len);
    else
        answer(connection);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *buf = uv_buf_init(connection->bytes + connection->len, (unsigned)(sizeof connection->bytes - 1 - connection->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *connection = stream->data;
    (void)buf;
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    connection->len += (size_t)n;
    connection->bytes[connection->len] = 0;
    const char *end = strstr(connection->bytes, "\r\n\r\n");
    const char *field = strcasestr(connection->bytes, "\r\ncontent-length:");
    if (!end)
        return;
    size_t body = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
    if (connection->len >= (size_t)(end - connection->bytes) + 4 + body)
        take_request(connection, end + 4, body);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct connection *connection = calloc(1, sizeof *connection);
    if (status < 0 || !connection)
        bench_die("a connection could not be taken");
    connection->server = server;
    uv_tcp_init(&server->loop, &connection->tcp);
    connection->tcp.data = connection;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) < 0)
        bench_die("accept");
    uv_tcp_nodelay(&connection->tcp, 1);
    uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read);
}

static void open_file(struct server *server, const char *path)
{
    server->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    server->group_room = 8u << 20;
    server->group = malloc(server->group_room);
    if (server->file < 0 || !server->group)
        bench_die_errno(path);
}

int main(int argc, char **argv)
{
    static struct server server;
    struct sockaddr_in address;
    struct sockaddr_storage bound;
    int len = sizeof bound;
    if (argc != 3)
        bench_die("usage: bench_server plain|durable|parse FILE");
    server.parses = strcmp(argv[1], "parse") == 0;
    server.is_durable = server.parses || strcmp(argv[1], "durable") == 0;
    server.work.data = server.listener.data = &server;
    open_file(&server, argv[2]);
    uv_loop_init(&server.loop);
    uv_tcp_init(&server.loop, &server.listener);
    server.listener.data = &server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_bind(&server.listener, (const struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&server.listener, 128, on_connection) < 0)
        bench_die("listen");
    uv_tcp_getsockname(&server.listener, (struct sockaddr *)&bound, &len);
    (void)printf("%d\n", ntohs(((struct sockaddr_in *)&bound)->sin_port));
    (void)fflush(stdout);
    return uv_run(&server.loop, UV_RUN_DEFAULT);
}
