/* api.c: from a request to its handler, and the one place where it is decided who may. */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <pwd.h>
#include <stdio.h>
#include <string.h>

void stanch_api__call_free(struct stanch_api__call *call)
{
    for (int i = 0; i < STANCH_API__PARTS; i++)
        free(call->parts[i]);
    json_decref(call->body);
    free(call);
}

void stanch_api__fail(struct stanch_api__call *call, const struct stanch_err *err, const char *where)
{
    stanch_http_answer_problem_at(call->request, err, where, NULL);
    stanch_api__call_free(call);
}

void stanch_api__answer(struct stanch_api__call *call, const json_t *value)
{
    STANCH_AUTO_JSON json_t *view = stanch_api__view(value);
    stanch_http_answer_json(call->request, call->route->status, view);
    stanch_api__call_free(call);
}

static bool is_plain_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("._-", *c)))
            return false;
    return *name != 0;
}

/* Who is at the other end of the control socket: the kernel says the uid, the machine's users its name. */
static void name_peer(uid_t uid, char ret[160])
{
    struct passwd entry, *found = NULL;
    char room[4096];
    (void)snprintf(ret, 160, "uid:%u", (unsigned)uid);
    if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found && is_plain_name(found->pw_name) &&
        strlen(found->pw_name) < 140)
        (void)snprintf(ret, 160, "person:%s", found->pw_name);
}

/* The one decision. Until people, roles and tokens exist, the socket's mode (0660, in the daemon's directory) says
 * who may change and look; over TCP only what carries its own credential or tells nothing. */
static int authorize(struct stanch_api__call *call, struct stanch_err *err)
{
    bool is_local = stanch_http_is_local(call->request);
    if (is_local)
        name_peer(stanch_http_peer_uid(call->request), call->by);
    switch (call->route->who) {
    case STANCH_API__ANYONE:
    case STANCH_API__SOURCE:
        return 0;
    case STANCH_API__LOCAL:
        if (is_local)
            return 0;
    }
    return stanch_err_set(err, STANCH_E_FORBIDDEN,
                          "%s %s is answered only over the Unix socket; over TCP there are events, health and metrics",
                          call->route->method, call->route->pattern);
}

static int prepare(struct stanch_api__call *call, char where[120], struct stanch_err *err)
{
    int rc = authorize(call, err);
    if (rc != 0)
        return rc;
    if (call->route->changes && call->api->draining)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "stanch is shutting down; nothing new is taken");
    return call->route->body ? stanch_api__read_body(call, &call->body, where, err) : 0;
}

static void refuse_route(struct stanch_http_request *request, const struct stanch_err *err, const char *allow)
{
    STANCH_AUTO_JSON json_t *extra = *allow ? json_pack("{s:s}", "Allow", allow) : NULL;
    stanch_http_answer_problem_at(request, err, NULL, extra);
}

static void on_request(void *ctx, struct stanch_http_request *request)
{
    struct stanch_api__call *call = STANCH_NEW(struct stanch_api__call);
    struct stanch_err err = {0};
    char allow[64], where[120] = "";
    call->api = ctx;
    call->request = request;
    if (stanch_api__route_find(stanch_http_method(request), stanch_http_path(request), &call->route, call->parts, allow,
                               &err) != 0) {
        refuse_route(request, &err, allow);
        stanch_api__call_free(call);
    } else if (prepare(call, where, &err) != 0) {
        stanch_api__fail(call, &err, where);
    } else {
        call->route->handle(call);
    }
}

int stanch_api_start(struct stanch_loop *loop, const struct stanch_http_config *config, struct stanch_flow *flow,
                     struct stanch_journal *journal, struct stanch_api **ret, struct stanch_err *err)
{
    struct stanch_api *api = STANCH_NEW(struct stanch_api);
    api->loop = loop;
    api->flow = flow;
    api->journal = journal;
    int rc = stanch_http_start(loop, config, on_request, api, &api->http, err);
    if (rc != 0) {
        free(api);
        return rc;
    }
    *ret = api;
    return 0;
}

void stanch_api_drain(struct stanch_api *api)
{
    api->draining = true;
}

void stanch_api_free(struct stanch_api *api)
{
    if (!api)
        return;
    stanch_api__live_end_all(api);
    stanch_http_free(api->http);
    free(api);
}

int stanch_api_port(const struct stanch_api *api)
{
    return stanch_http_port(api->http);
}
