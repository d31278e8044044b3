/* api.c: from a request to its handler. */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
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

void stanch_api__fail_with(struct stanch_api__call *call, int rc, const struct stanch_err *err, const char *where)
{
    struct stanch_err unknown;
    if (!err || err->code == 0) {
        stanch_err_set(&unknown, rc, "%s", stanch_err_word(rc));
        err = &unknown;
    }
    stanch_api__fail(call, err, where);
}

void stanch_api__answer(struct stanch_api__call *call, const json_t *value)
{
    STANCH_AUTO_JSON json_t *view = stanch_api__view(value);
    stanch_http_answer_json(call->request, call->route->status, view);
    stanch_api__call_free(call);
}

static int prepare(struct stanch_api__call *call, char where[120], struct stanch_err *err)
{
    int rc = stanch_api__authorize(call, err);
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
                     struct stanch_journal *journal, const struct stanch_people *people,
                     const struct stanch_api_proxy *proxy, struct stanch_api **ret, struct stanch_err *err)
{
    struct stanch_api *api = STANCH_NEW(struct stanch_api);
    api->loop = loop;
    api->flow = flow;
    api->journal = journal;
    api->people = people;
    if (proxy->secret_hash)
        (void)snprintf(api->proxy_hash, sizeof api->proxy_hash, "%s", proxy->secret_hash);
    if (proxy->user)
        (void)snprintf(api->proxy_user, sizeof api->proxy_user, "%s", proxy->user);
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
    stanch_api__readings_end_all(api);
    stanch_http_free(api->http);
    free(api);
}

int stanch_api_port(const struct stanch_api *api)
{
    return stanch_http_port(api->http);
}
