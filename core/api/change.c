/* change.c: what changes something. Every one goes through flow; the answer comes when it is committed. */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static void on_done(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_api__call *call = ctx;
    if (rc == 0)
        stanch_api__answer(call, result);
    else
        stanch_api__fail_with(call, rc, err, NULL);
}

static void take_body(struct stanch_api__call *call,
                      int (*take)(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                                  void *ctx, struct stanch_err *err))
{
    struct stanch_err err = {0};
    size_t len = 0;
    STANCH_AUTO_JSON json_t *headers = stanch_http_headers(call->request);
    const void *body = stanch_http_body(call->request, &len);
    const struct stanch_webhook webhook = {
        .source = call->parts[0],
        .headers = headers,
        .query = stanch_http_raw_query(call->request),
        .remote = stanch_http_remote(call->request),
        .body = body,
        .body_len = len,
        .trusted = call->who.source[0] != 0,
    };
    if (take(call->api->flow, &webhook, on_done, call, &err) != 0)
        stanch_api__fail(call, &err, NULL);
}

void stanch_api__receive(struct stanch_api__call *call)
{
    struct stanch_err err = {0};
    if (stanch_api__authorize_source(call, &err) != 0) {
        stanch_api__fail(call, &err, NULL);
        return;
    }
    take_body(call, stanch_flow_receive);
}

void stanch_api__test_source(struct stanch_api__call *call)
{
    take_body(call, stanch_flow_test_source);
}

static void run_command(struct stanch_api__call *call, const char *command, const json_t *input)
{
    struct stanch_err err = {0};
    if (stanch_flow_do(call->api->flow, call->who.name, command, input, on_done, call, &err) != 0)
        stanch_api__fail(call, &err, NULL);
}

void stanch_api__change(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *input = json_copy(call->body);
    stanch_json_set_str(input, call->route->ids ? call->route->ids : "", call->route->ids ? call->parts[0] : NULL);
    run_command(call, call->route->command, input);
}

/* Who answers the IC's questions is for who may answer: also a token may be for less than its person. */
static int check_ic(struct stanch_api__call *call, bool is_ic, struct stanch_err *err)
{
    return is_ic ? stanch_api__require(call, STANCH_MAY_APPROVE, " of the ic", err) : 0;
}

void stanch_api__give_role(struct stanch_api__call *call)
{
    struct stanch_err err = {0};
    if (check_ic(call, strcmp(stanch_json_str(call->body, "role", ""), "ic") == 0, &err) < 0)
        stanch_api__fail(call, &err, NULL);
    else
        stanch_api__change(call);
}

void stanch_api__patch_incident(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *input = json_copy(call->body);
    struct stanch_err err;
    bool resolves = strcmp(stanch_json_str(input, "state", ""), "resolved") == 0;
    stanch_json_set_str(input, "incident", call->parts[0]);
    if (resolves) {
        json_object_del(input, "state");
        json_object_del(input, "reason");
        if (json_object_size(input) > 1) {
            stanch_err_set(&err, STANCH_E_INVALID, "resolving takes nothing beside it but a \"reason\"");
            stanch_api__fail(call, &err, "state");
            return;
        }
        stanch_json_set_str(input, "reason", stanch_json_str(call->body, "reason", NULL));
    } else if (json_object_size(call->body) == 0) {
        stanch_err_set(&err, STANCH_E_INVALID, "nothing to change");
        stanch_api__fail(call, &err, "body");
        return;
    }
    if (check_ic(call, json_object_get(json_object_get(call->body, "roles"), "ic") != NULL, &err) < 0) {
        stanch_api__fail(call, &err, NULL);
        return;
    }
    run_command(call, resolves ? "incident.resolve" : "incident.set", input);
}

void stanch_api__add_entry(struct stanch_api__call *call)
{
    struct stanch_err err;
    const char *kind = stanch_json_str(call->body, "kind", "");
    bool is_note = strcmp(kind, "note") == 0;
    STANCH_AUTO_JSON json_t *input =
        json_pack("{s:s, s:s}", "incident", call->parts[0], "text", stanch_json_str(call->body, "text", ""));
    if (!is_note && strcmp(kind, "decide") != 0) {
        stanch_err_set(&err, STANCH_E_INVALID, "\"kind\" is \"note\" or \"decide\"");
        stanch_api__fail(call, &err, "kind");
        return;
    }
    run_command(call, is_note ? "incident.note" : "incident.decide", input);
}

void stanch_api__resolve_step(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *input = json_copy(call->body);
    STANCH_AUTO_FREE char *step = stanch_asprintf("%s/%s", call->parts[0], call->parts[1]);
    stanch_json_set_str(input, "step", step);
    run_command(call, call->route->command, input);
}
