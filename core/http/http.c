/* http.c: the two servers together. */
#include "http/http.h"
#include "http/exchange.h"
#include "base/mem.h"
#include <string.h>
#include <unistd.h>

static void set_defaults(struct stanch_http_config *config)
{
    config->listen = config->socket_path = NULL; /* borrowed texts; not needed again */
    config->max_body_bytes = config->max_body_bytes ? config->max_body_bytes : 1u << 20;
    config->max_header_bytes = config->max_header_bytes ? config->max_header_bytes : 16384;
    config->max_connections = config->max_connections ? config->max_connections : 512;
    config->max_per_address = config->max_per_address ? config->max_per_address : 128;
    config->idle_ms = config->idle_ms ? config->idle_ms : 60000;
    config->header_ms = config->header_ms ? config->header_ms : 10000;
    config->body_ms = config->body_ms ? config->body_ms : 30000;
    config->heartbeat_ms = config->heartbeat_ms ? config->heartbeat_ms : 15000;
}

static int start_tcp(struct stanch_http *http, const char *listen, struct stanch_err *err)
{
    int fd = -1;
    int rc = stanch_http__listen_tcp(listen, &fd, &http->port, err);
    return rc ? rc : stanch_http__server_start(http, fd, false, &http->tcp, err);
}

static int start_local(struct stanch_http *http, const char *path, struct stanch_err *err)
{
    int fd = -1;
    int rc = stanch_http__listen_unix(path, &fd, err);
    if (rc != 0)
        return rc;
    http->socket_path = stanch_strdup(path); /* ours to remove from here on */
    return stanch_http__server_start(http, fd, true, &http->local, err);
}

int stanch_http_start(struct stanch_loop *loop, const struct stanch_http_config *config,
                      void (*on_request)(void *ctx, struct stanch_http_request *request), void *ctx,
                      struct stanch_http **ret, struct stanch_err *err)
{
    struct stanch_http *http = STANCH_NEW(struct stanch_http);
    int rc = 0;
    http->loop = loop;
    http->config = *config;
    http->on_request = on_request;
    http->ctx = ctx;
    set_defaults(&http->config);
    http->mark = config->mark_name ? stanch_strdup(config->mark) : NULL;
    if (config->socket_path)
        rc = start_local(http, config->socket_path, err);
    if (rc == 0 && config->listen)
        rc = start_tcp(http, config->listen, err);
    if (rc != 0) {
        stanch_http_free(http);
        return rc;
    }
    *ret = http;
    return 0;
}

void stanch_http_drain(struct stanch_http *http)
{
    http->draining = true;
}

void stanch_http_free(struct stanch_http *http)
{
    if (!http)
        return;
    if (http->socket_path)
        (void)unlink(http->socket_path);
    stanch_http__server_stop(http->tcp);
    stanch_http__server_stop(http->local);
    free(http->socket_path);
    free(http->mark);
    free(http);
}

int stanch_http_port(const struct stanch_http *http)
{
    return http->port;
}

json_t *stanch_http_counters(const struct stanch_http *http)
{
    int connections = (http->tcp ? http->tcp->count : 0) + (http->local ? http->local->count : 0);
    return json_pack("{s:I, s:I, s:I, s:I, s:i, s:i, s:I}", "requests", (json_int_t)http->requests, "refused",
                     (json_int_t)http->refused, "over_cap", (json_int_t)http->over_cap, "timed_out",
                     (json_int_t)http->timed_out, "connections", connections, "streams", http->streams, "body_bytes",
                     (json_int_t)http->body_bytes);
}
