/* server.c: one daemon of the library on the loop: its epoll descriptor is polled by uv, MHD_run does the
 * rest.
 *
 * The four rules (each was measured to matter): a stream with nothing to say suspends its connection in the
 * reader instead of returning 0; the timer is never armed at 0 ms; suspended connections are resumed for a
 * heartbeat, because they notice neither a client that left nor their timeout; all are resumed before the
 * daemon stops.
 *
 * Deadlines are ours: the library's timeout starts again with every byte, so one byte a second would hold a
 * connection for ever. */
#include "http/exchange.h"
#include "base/log.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 2000 /* with a body, once places are short */
#define BUSY_ROUNDS 256

static void on_busy(uv_idle_t *idle);
static void on_due(uv_timer_t *timer);

/* One round of the library, then the loop's other descriptors get their turn: a busy TCP side must not hold up the
 * control socket. More to do at once is the idle handle's, not a 0 ms timer's; a round that never comes to an end
 * is slowed down to 1 ms. */
static void pump(struct stanch_http__server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    MHD_run(server->mhd);
    bool has_timeout = MHD_get_timeout(server->mhd, &wait_ms) == MHD_YES;
    if (has_timeout && wait_ms == 0 && ++server->busy_rounds < BUSY_ROUNDS) {
        uv_idle_start(&server->busy, on_busy);
        return;
    }
    server->busy_rounds = 0;
    uv_idle_stop(&server->busy);
    if (has_timeout)
        uv_timer_start(&server->due, on_due, wait_ms < 1 ? 1 : wait_ms, 0);
    else
        uv_timer_stop(&server->due);
}

static void on_busy(uv_idle_t *idle)
{
    pump(container_of(idle, struct stanch_http__server, busy));
}

static void on_due(uv_timer_t *timer)
{
    pump(container_of(timer, struct stanch_http__server, due));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    pump(container_of(poll, struct stanch_http__server, poll));
}

void stanch_http__suspend(struct stanch_http__connection *connection)
{
    connection->suspended = true;
    connection->seen_mono_ms = stanch_loop_mono_ms(connection->server->http->loop);
    MHD_suspend_connection(connection->mhd);
}

void stanch_http__resume(struct stanch_http__connection *connection)
{
    if (!connection->suspended)
        return;
    connection->suspended = false;
    MHD_resume_connection(connection->mhd);
    /* the library's own wake-up can be swallowed by a run that is under way: make sure of one more */
    if (!connection->server->stopping)
        uv_idle_start(&connection->server->busy, on_busy);
}

void stanch_http__stage(struct stanch_http__connection *connection, enum stanch_http__stage stage)
{
    const struct stanch_http_config *config = &connection->server->http->config;
    int64_t limit_ms[] = {
        [STANCH_HTTP__HEADER] = config->header_ms,
        [STANCH_HTTP__BODY] = config->body_ms,
        [STANCH_HTTP__WAITING] = 0,
        [STANCH_HTTP__ANSWERING] = 2 * config->idle_ms,
        [STANCH_HTTP__LINGER] = config->body_ms < 2000 ? config->body_ms : 2000,
        [STANCH_HTTP__STREAMING] = 0,
        [STANCH_HTTP__IDLE] = config->idle_ms,
    };
    connection->stage = stage;
    connection->began_mono_ms = stanch_loop_mono_ms(connection->server->http->loop);
    connection->due_mono_ms = limit_ms[stage] ? connection->began_mono_ms + limit_ms[stage] : 0;
}

void stanch_http__tell(struct stanch_http__connection *connection, const struct stanch_http__refusal *refusal)
{
    STANCH_AUTO_BUF struct stanch_buf wire = {0};
    stanch_http__problem_wire(refusal, &wire);
    /* a few hundred bytes into an empty send buffer; a client that lets even these not pass loses them */
    (void)!send(connection->fd, wire.data, wire.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    connection->server->http->refused++;
    stanch_http__stage(connection, STANCH_HTTP__LINGER);
}

void stanch_http__cut(struct stanch_http__connection *connection)
{
    connection->cut = true;
    connection->due_mono_ms = 0;
    (void)shutdown(connection->fd, SHUT_RDWR); /* the library reads the end and closes */
}

static void time_out(struct stanch_http__connection *connection)
{
    struct stanch_http__refusal refusal = {0};
    if (connection->stage == STANCH_HTTP__HEADER)
        stanch_http__refuse(&refusal, 408, "timeout", "headers", "the headers did not come in time");
    else if (connection->stage == STANCH_HTTP__BODY)
        stanch_http__refuse(&refusal, 408, "timeout", "body", "the body did not come in time");
    if (refusal.status) {
        connection->server->http->timed_out++;
        stanch_http__tell(connection, &refusal);
    }
    stanch_http__cut(connection);
}

static void look_at(struct stanch_http__connection *connection, int64_t now_mono_ms)
{
    int64_t heartbeat_ms = connection->server->http->config.heartbeat_ms;
    if (connection->suspended && now_mono_ms - connection->seen_mono_ms >= heartbeat_ms) {
        if (connection->request && connection->request->is_stream)
            stanch_http__stream_heartbeat(connection->request);
        else
            stanch_http__resume(connection);
    } else if (!connection->suspended && connection->due_mono_ms && now_mono_ms >= connection->due_mono_ms) {
        time_out(connection);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct stanch_http__server *server = container_of(timer, struct stanch_http__server, tick);
    int64_t now_mono_ms = stanch_loop_mono_ms(server->http->loop);
    for (struct stanch_http__connection *c = server->first; c; c = c->next)
        look_at(c, now_mono_ms);
    if (!server->first)
        uv_timer_stop(timer);
    pump(server);
}

static void read_peer(struct stanch_http__connection *connection)
{
    struct sockaddr_storage at = {0};
    socklen_t len = sizeof at;
    connection->uid = (uid_t)-1;
    (void)snprintf(connection->remote, sizeof connection->remote, "%s", connection->server->local ? "unix" : "?");
    if (connection->server->local) {
        struct ucred peer = {0};
        socklen_t peer_len = sizeof peer;
        if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_len) == 0)
            connection->uid = peer.uid;
    } else if (getpeername(connection->fd, (struct sockaddr *)&at, &len) == 0) {
        const void *address = at.ss_family == AF_INET6 ? (const void *)&((struct sockaddr_in6 *)(void *)&at)->sin6_addr
                                                       : (const void *)&((struct sockaddr_in *)(void *)&at)->sin_addr;
        (void)inet_ntop(at.ss_family, address, connection->remote, sizeof connection->remote);
    }
}

/* How many are being served, of all (remote NULL) or of one address. */
static int count_served(const struct stanch_http__server *server, const char *remote)
{
    int count = 0;
    for (const struct stanch_http__connection *c = server->first; c; c = c->next)
        count += !c->cut && (!remote || strcmp(c->remote, remote) == 0);
    return count;
}

/* How readily a connection gives up its place: one that idles, one whose headers are not there yet, one whose body
 * takes longer than honest ones do. Within a rank the one that has been at it longest. */
static int rank_of(const struct stanch_http__connection *connection, int64_t now_mono_ms)
{
    if (connection->cut || connection->suspended)
        return 0;
    switch (connection->stage) {
    case STANCH_HTTP__IDLE:
        return 3;
    case STANCH_HTTP__HEADER:
        return 2;
    case STANCH_HTTP__BODY:
    case STANCH_HTTP__LINGER:
        return now_mono_ms - connection->began_mono_ms > PATIENCE_MS;
    default:
        return 0;
    }
}

/* All places are taken: slow clients must not keep honest ones out, so one of theirs is taken. */
static bool evict_for(const struct stanch_http__connection *newcomer)
{
    int64_t now_mono_ms = stanch_loop_mono_ms(newcomer->server->http->loop);
    struct stanch_http__connection *victim = NULL;
    int best = 0;
    for (struct stanch_http__connection *c = newcomer->server->first; c; c = c->next) {
        int rank = c == newcomer ? 0 : rank_of(c, now_mono_ms);
        if (rank > best || (rank == best && victim && c->began_mono_ms < victim->began_mono_ms)) {
            best = rank;
            victim = c;
        }
    }
    if (victim)
        stanch_http__cut(victim);
    return victim != NULL;
}

/* Over a cap the client is told so at once, on a connection that the spare places were kept for. */
static void check_caps(struct stanch_http__connection *connection)
{
    const struct stanch_http__server *server = connection->server;
    const struct stanch_http_config *config = &server->http->config;
    struct stanch_http__refusal refusal = {0};
    if (!server->local && count_served(server, connection->remote) > config->max_per_address)
        stanch_http__refuse(&refusal, 503, "busy", "connections", "all %d connections of your address are taken",
                            config->max_per_address);
    else if (count_served(server, NULL) > config->max_connections && !evict_for(connection))
        stanch_http__refuse(&refusal, 503, "busy", "connections", "all %d connections are taken",
                            config->max_connections);
    if (!refusal.status)
        return;
    server->http->over_cap++;
    stanch_http__tell(connection, &refusal);
    stanch_http__cut(connection);
}

/* A quarter of the shortest deadline: with the defaults every second. */
static uint64_t tick_ms(const struct stanch_http__server *server)
{
    const struct stanch_http_config *config = &server->http->config;
    int64_t limits[] = {config->header_ms, config->body_ms, config->idle_ms, config->heartbeat_ms};
    int64_t shortest = 4000;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        shortest = limits[i] < shortest ? limits[i] : shortest;
    return (uint64_t)(shortest < 80 ? 20 : shortest / 4);
}

static void connection_opened(struct stanch_http__server *server, struct MHD_Connection *mhd, void **ret_context)
{
    struct stanch_http__connection *connection = STANCH_NEW(struct stanch_http__connection);
    connection->server = server;
    connection->mhd = mhd;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    read_peer(connection);
    connection->next = server->first;
    if (server->first)
        server->first->prev = connection;
    server->first = connection;
    server->count++;
    stanch_http__stage(connection, STANCH_HTTP__HEADER);
    *ret_context = connection;
    if (server->count == 1)
        uv_timer_start(&server->tick, on_tick, tick_ms(server), tick_ms(server));
    check_caps(connection);
}

static void connection_closed(struct stanch_http__connection *connection)
{
    struct stanch_http__server *server = connection->server;
    if (connection->request) /* the library did not say that this request ended */
        stanch_http__request_gone(connection->request);
    if (connection->prev)
        connection->prev->next = connection->next;
    else
        server->first = connection->next;
    if (connection->next)
        connection->next->prev = connection->prev;
    server->count--;
    free(connection);
}

static void on_connection(void *ctx, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        connection_opened(ctx, mhd, context);
    else if (*context)
        connection_closed(*context);
}

static void on_library_log(void *ctx, const char *fmt, va_list args)
{
    char line[300];
    (void)ctx;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)vsnprintf(line, sizeof line, fmt, args);
#pragma GCC diagnostic pop
    line[strcspn(line, "\n")] = 0;
    stanch_log(STANCH_LOG_DEBUG, "http", "%s", line);
}

static struct MHD_Daemon *start_daemon(struct stanch_http__server *server, int listen_fd)
{
    const struct stanch_http_config *config = &server->http->config;
    /* room for the headers we accept, so that it is us who refuse those that are too long */
    size_t memory = 2 * config->max_header_bytes;
    unsigned idle_s = (unsigned)((config->idle_ms + 999) / 1000);
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
                            stanch_http__on_handler, server, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
                            MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, memory,
                            MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->max_connections + STANCH_HTTP__SPARE,
                            MHD_OPTION_CONNECTION_TIMEOUT, idle_s, MHD_OPTION_URI_LOG_CALLBACK, stanch_http__on_target,
                            server, MHD_OPTION_NOTIFY_COMPLETED, stanch_http__on_completed, server,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_END);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct stanch_http__server *server = handle->data;
    if (--server->open_handles == 0)
        free(server);
}

int stanch_http__server_start(struct stanch_http *http, int listen_fd, bool local, struct stanch_http__server **ret,
                              struct stanch_err *err)
{
    struct stanch_http__server *server = STANCH_NEW(struct stanch_http__server);
    struct uv_loop_s *uv = stanch_loop_uv(http->loop);
    server->http = http;
    server->local = local;
    server->mhd = start_daemon(server, listen_fd);
    if (!server->mhd) {
        free(server);
        return stanch_err_set(err, STANCH_E_SYSTEM,
                              "the HTTP server did not start"); /* the library closes what it was given */
    }
    uv_poll_init(uv, &server->poll, MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd);
    uv_timer_init(uv, &server->due);
    uv_timer_init(uv, &server->tick);
    uv_idle_init(uv, &server->busy);
    server->open_handles = 4;
    server->poll.data = server->due.data = server->tick.data = server->busy.data = server;
    uv_poll_start(&server->poll, UV_READABLE, on_readable);
    *ret = server;
    return 0;
}

void stanch_http__server_stop(struct stanch_http__server *server)
{
    if (!server)
        return;
    server->stopping = true;
    for (struct stanch_http__connection *c = server->first; c; c = c->next)
        stanch_http__resume(c);
    MHD_run(server->mhd); /* what waited is told 503, streams end */
    MHD_run(server->mhd);
    uv_poll_stop(&server->poll);
    uv_close((uv_handle_t *)&server->poll, on_handle_closed);
    uv_close((uv_handle_t *)&server->due, on_handle_closed);
    uv_close((uv_handle_t *)&server->tick, on_handle_closed);
    uv_close((uv_handle_t *)&server->busy, on_handle_closed);
    MHD_stop_daemon(server->mhd);
    server->mhd = NULL;
}
