/* haproxy.c: mitigations through HAProxy's runtime API (stats socket, level admin): take a server out of
 * rotation, change its weight, bring it back. All changes are lost when HAProxy is reloaded: README.md. */
#include "haproxy.h"
#include <string.h>

#define NAME_RULE "\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9_.:-]+$\",\"maxLength\":200"
#define SERVER_PARAMS                                                                                                  \
    "\"backend\":{" NAME_RULE ",\"summary\":\"the backend's name\"},"                                                  \
    "\"server\":{" NAME_RULE ",\"summary\":\"the server's name in that backend\"}"
#define CHANGES                                                                                                        \
    "\"class\":\"convergent\",\"deadline_ms\":5000,"                                                                   \
    "\"ops\":[\"plan\",\"apply\",\"verify\",\"undo\",\"reconcile\"]"

static const char declaration[] =
    "{\"name\":\"haproxy\",\"version\":\"0.1.0\","
    "\"summary\":\"HAProxy's runtime API: drain, maintenance, weight, entries of maps\","
    "\"settings\":{"
    "\"socket\":{\"type\":\"string\",\"format\":\"address\","
    "\"summary\":\"the stats socket, level admin: unix:/run/haproxy.sock or tcp:127.0.0.1:9999\"},"
    "\"sockets\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"format\":\"address\"},\"minItems\":1,"
    "\"maxItems\":32,"
    "\"summary\":\"or many, of processes that serve the same: each change is made on all of them\"},"
    "\"maps\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"minLength\":1},\"minItems\":1,"
    "\"summary\":\"the only maps that may be touched, as the configuration names their files; none when it is not "
    "set\"},"
    "\"backends\":{\"type\":\"array\",\"items\":{" NAME_RULE "},\"minItems\":1,"
    "\"summary\":\"the only backends that may be touched or read; all when it is not set\"}},"
    "\"check\":{\"summary\":\"the socket, its level, and the backends that are configured\",\"deadline_ms\":5000},"
    "\"actions\":{"
    "\"states\":{\"summary\":\"every server of a backend: state, weight, sessions, whether it serves\","
    "\"effect\":\"read\",\"class\":\"read-only\",\"deadline_ms\":5000,"
    "\"params\":{\"backend\":{" NAME_RULE ",\"summary\":\"the backend's name\"}},\"required\":[\"backend\"]},"
    "\"drain\":{\"summary\":\"no new requests to a server; what runs there finishes\","
    "\"effect\":\"mitigate\",\"risk\":\"low\"," CHANGES ",\"params\":{" SERVER_PARAMS "},"
    "\"required\":[\"backend\",\"server\"]},"
    "\"maintenance\":{\"summary\":\"take a server out, its checks too; clients that stick to it move\","
    "\"effect\":\"mitigate\",\"risk\":\"medium\"," CHANGES ",\"params\":{" SERVER_PARAMS "},"
    "\"required\":[\"backend\",\"server\"]},"
    "\"ready\":{\"summary\":\"bring a server back into rotation, with the weight it has\","
    "\"effect\":\"mitigate\",\"risk\":\"low\",\"undo_risk\":\"medium\"," CHANGES ",\"params\":{" SERVER_PARAMS
    "},\"required\":[\"backend\",\"server\"]},"
    "\"weight\":{\"summary\":\"set a server's weight, 0 to 256\","
    "\"effect\":\"mitigate\",\"risk\":\"low\"," CHANGES ",\"params\":{" SERVER_PARAMS
    ",\"weight\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":256,\"summary\":\"absolute; 0: no new requests\"}},"
    "\"required\":[\"backend\",\"server\",\"weight\"]},"
    "\"map_set\":{\"summary\":\"set the value of a key in a map; a key that is not there is added\","
    "\"effect\":\"mitigate\",\"risk\":\"medium\"," CHANGES ",\"params\":{"
    "\"map\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"the file, as the configuration names it\"},"
    "\"key\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"one word\"},"
    "\"value\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"one word\"}},"
    "\"required\":[\"map\",\"key\",\"value\"]},"
    "\"reapply\":{\"summary\":\"make a change anew where a reload has lost it; where it is still there it stays\","
    "\"effect\":\"mitigate\",\"risk\":\"medium\"," CHANGES ",\"params\":{"
    "\"action\":{\"type\":\"string\",\"enum\":[\"drain\",\"maintenance\",\"ready\",\"weight\",\"map_set\"],"
    "\"summary\":\"which one; the others as they were given to it\"}," SERVER_PARAMS ","
    "\"weight\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":256,\"summary\":\"of weight\"},"
    "\"map\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"of map_set\"},"
    "\"key\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"of map_set\"},"
    "\"value\":{\"type\":\"string\",\"maxLength\":400,\"summary\":\"of map_set\"}},"
    "\"required\":[\"action\"]}}}";

static const char *check_sockets(struct sdk_instance *instance)
{
    const json_t *list = json_object_get(sdk_settings(instance), "sockets");
    if (!list == !sdk_setting(instance, "socket", NULL))
        return "socket: one socket, or sockets: a list of them, was expected: one of the two";
    for (size_t i = 0; i < json_array_size(list); i++)
        for (size_t j = 0; j < i; j++)
            if (json_equal(json_array_get(list, i), json_array_get(list, j)))
                return sdk_why(instance, "sockets[%zu]: the same as sockets[%zu]", i + 1, j + 1);
    return NULL;
}

static const char *open_instance(struct sdk_instance *instance, void **ret_state)
{
    const json_t *list = json_object_get(sdk_settings(instance), "backends");
    const json_t *maps = json_object_get(sdk_settings(instance), "maps");
    *ret_state = NULL;
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!haproxy_is_name(json_string_value(json_array_get(list, i))))
            return sdk_why(instance, "backends[%zu]: no name of HAProxy: A-Z a-z 0-9 - _ . : were expected", i + 1);
    for (size_t i = 0; i < json_array_size(maps); i++)
        if (!haproxy_is_map_file(json_string_value(json_array_get(maps, i))))
            return sdk_why(instance, "maps[%zu]: no file name that can stand in a command of HAProxy", i + 1);
    return check_sockets(instance);
}

static json_t *states_of(const struct haproxy_view *view)
{
    struct haproxy_capacity all = haproxy_capacity(&view->backend);
    json_t *servers = json_array();
    for (size_t i = 0; i < view->backend.count; i++)
        json_array_append_new(servers, haproxy_server_json(&view->backend, &view->backend.servers[i]));
    return json_pack("{s:s, s:I, s:I, s:{s:I, s:i, s:b}, s:o}", "socket", view->address, "pid",
                     (json_int_t)view->process.pid, "started_at_ms", (json_int_t)view->process.started_at_ms, "serving",
                     "weight", (json_int_t)all.weight, "servers", all.servers, "backup", all.is_backup, "servers",
                     servers);
}

/* The first process as it is, and beside it what all of them say. */
static void on_states(struct sdk_call *call, struct haproxy_work *work)
{
    json_t *out = states_of(&work->views[0]), *processes = json_array();
    for (size_t i = 0; i < work->count; i++)
        json_array_append_new(processes, states_of(&work->views[i]));
    json_object_set_new(out, "backend", json_string(work->backend_name));
    json_object_set_new(out, "as_of_ms", json_integer(sdk_now_ms(call)));
    if (work->count > 1)
        json_object_set(out, "processes", processes);
    json_decref(processes);
    sdk_done(call, out);
}

static void read_states(struct sdk_call *call)
{
    haproxy_read(call, on_states);
}

/* ---- check: one socket after the other ---- */

struct check {
    size_t at;
    const char *address;
};

static void check_next(struct sdk_call *call);

/* "level", or "level unix:/run/a.sock" when there are many. */
static const char *row(struct sdk_call *call, const char *name)
{
    const struct check *check = sdk_kept(call);
    return haproxy_socket_count(sdk_instance(call)) > 1 ? sdk_text(call, "%s %s", name, check->address) : name;
}

/* Changing needs the level admin, and the socket says its level only since 2.7: a server that there cannot be is asked to
 * change, which HAProxy refuses for its name when the level would do, and for the level when it would not. */
static void on_level(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    (void)len;
    if (ended != STANCH_HTTP_ANSWERED)
        sdk_check(call, row(call, "level"), false, "%s", why);
    else if (strstr(answer, "Permission denied"))
        sdk_check(call, row(call, "level"), false,
                  "this socket may not change anything: configure it with `level admin`");
    else
        sdk_check(call, row(call, "level"), true, "it may change servers");
    check_next(call);
}

static void check_backends(struct sdk_call *call, const char *known)
{
    const json_t *list = json_object_get(sdk_settings(sdk_instance(call)), "backends");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        const char *line = sdk_text(call, "\n%s\n", name);
        bool is_there = strstr(sdk_text(call, "\n%s", known), line) != NULL;
        sdk_check(call, row(call, sdk_text(call, "backend %s", name)), is_there,
                  is_there ? "there" : "HAProxy has no such backend");
    }
}

static void on_backends(struct sdk_call *call, uint32_t ended, const char *answer, size_t len, const char *why)
{
    const struct check *check = sdk_kept(call);
    (void)len;
    bool is_good = ended == STANCH_HTTP_ANSWERED && answer[0] == '#';
    sdk_check(call, row(call, "socket"), is_good, "%s",
              is_good ? "HAProxy answers"
              : *why  ? why
                      : "what answers is no HAProxy");
    if (!is_good) {
        check_next(call);
        return;
    }
    check_backends(call, answer);
    sdk_exchange(call, check->address, "set server stanch-check/none weight 1\n", 0, on_level);
}

static void check_next(struct sdk_call *call)
{
    struct check *check = sdk_kept(call);
    if (check->at == haproxy_socket_count(sdk_instance(call))) {
        sdk_checked(call);
        return;
    }
    check->address = haproxy_socket(sdk_instance(call), check->at++);
    sdk_exchange(call, check->address, "show backend\n", 0, on_backends);
}

static void check(struct sdk_call *call)
{
    sdk_keep(call, sdk_memory(call, sizeof(struct check)));
    check_next(call);
}

#define CHANGE_HANDLERS(action)                                                                                        \
    {action, STANCH_OP_PLAN, haproxy_plan}, {action, STANCH_OP_APPLY, haproxy_apply},                                  \
        {action, STANCH_OP_VERIFY, haproxy_verify}, {action, STANCH_OP_UNDO, haproxy_undo},                            \
    {                                                                                                                  \
        action, STANCH_OP_RECONCILE, haproxy_reconcile                                                                 \
    }

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},
    {"states", STANCH_OP_READ, read_states},
    CHANGE_HANDLERS("drain"),
    CHANGE_HANDLERS("maintenance"),
    CHANGE_HANDLERS("ready"),
    CHANGE_HANDLERS("weight"),
    CHANGE_HANDLERS("map_set"),
    CHANGE_HANDLERS("reapply"),
    {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .open = open_instance};
STANCH_PLUGIN(plugin)
