/* serve_drills.c: the drills of the daemon: what plays them, put together with the rest.
 *
 *   command, schedule --> desk --> a process of its own; its pages --> the daemon's instances
 */
#include "base/json.h"
#include "base/mem.h"
#include "run/stop.h"
#include "serve_parts.h"
#include <stdlib.h>
#include <string.h>

static const char *commit_in_use(void *ctx)
{
    return ((const struct stanch_daemon *)ctx)->flow->accepted_commit;
}

static bool is_stopped(void *ctx)
{
    STANCH_AUTO_JSON json_t *said =
        stanch_stop_read(stanch_json_str(((const struct stanch_daemon *)ctx)->config, "state_dir", ""));
    return said != NULL;
}

/* Beside the daemon's own: "control.sock" -> "drill.sock". new */
static char *socket_beside(const char *socket)
{
    const char *slash = strrchr(socket, '/');
    return stanch_asprintf("%.*sdrill.sock", slash ? (int)(slash - socket) + 1 : 0, socket);
}

static const json_t *via_of(const struct stanch_daemon *daemon)
{
    return json_object_get(json_object_get(daemon->config, "paging"), "via");
}

/* Its time has come. */
static int begin_announced(void *ctx, const json_t *drill, struct stanch_err *err)
{
    struct stanch_daemon *daemon = ctx;
    STANCH_AUTO_JSON json_t *input = json_pack(
        "{s:s, s:s, s:s, s:I}", "drill", stanch_json_str(drill, "id", ""), "name", stanch_json_str(drill, "name", ""),
        "kind", stanch_json_str(drill, "kind", ""), "speed", (json_int_t)stanch_json_int(drill, "speed", 1));
    return stanch_desk_begin(daemon->desk, STANCH_BY_STANCH, input, NULL, NULL, err);
}

static int start_desk(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const json_t *drills = json_object_get(daemon->config, "drills");
    STANCH_AUTO_FREE char *socket = socket_beside(stanch_json_str(daemon->config, "socket", ""));
    char proxy_hash[65] = "";
    int rc = stanch_daemon__hash_proxy_secret(daemon, proxy_hash, err);
    const struct stanch_desk_config config = {.exe = daemon->exe,
                                              .config_path = daemon->options.config,
                                              .state_dir = stanch_json_str(daemon->config, "state_dir", ""),
                                              .socket = socket,
                                              .listen = stanch_json_str(drills, "listen", NULL),
                                              .url = stanch_json_str(drills, "url", NULL),
                                              .proxy_hash = proxy_hash[0] ? proxy_hash : NULL,
                                              .via = via_of(daemon)};
    const struct stanch_desk_port port = {stanch_daemon__pager_port(daemon), commit_in_use, is_stopped, daemon};
    return rc ? rc : stanch_desk_start(daemon->loop, daemon->journal, &config, &port, &daemon->desk, err);
}

int stanch_daemon__start_drills(struct stanch_daemon *daemon, struct stanch_err *err)
{
    const json_t *drills = json_object_get(daemon->config, "drills");
    const char *url = stanch_json_str(json_object_get(daemon->config, "paging"), "url", NULL);
    const struct stanch_schedule_port port = {begin_announced, daemon};
    const struct stanch_pager_port instances = stanch_daemon__pager_port(daemon);
    if (daemon->damaged)
        return 0;
    int rc = start_desk(daemon, err);
    rc = rc ? rc
            : stanch_herald_start(daemon->loop, daemon->journal, json_object_get(drills, "tell"), url, &instances,
                                  &daemon->herald, err);
    return rc ? rc
              : stanch_schedule_start(daemon->loop, daemon->journal, json_object_get(drills, "schedule"), &port,
                                      &daemon->schedule, err);
}

/* All that is asked for is at hand: it is told from inside of the call's own turn, later, as flow.h says. */
struct told {
    stanch_flow_done done;
    void *ctx;
    json_t *result;
};

static void tell_now(void *ctx)
{
    struct told *told = ctx;
    told->done(told->ctx, 0, NULL, told->result);
    json_decref(told->result);
    free(told);
}

/* result: taken */
static void tell_later(struct stanch_daemon *daemon, json_t *result, stanch_flow_done done, void *ctx)
{
    struct told *told = STANCH_NEW(struct told);
    *told = (struct told){done, ctx, result};
    stanch_loop_defer(daemon->loop, tell_now, told);
}

static int tell_coming(struct stanch_daemon *daemon, stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf calendar = {0};
    int rc = stanch_schedule_feed(daemon->schedule, &calendar, err);
    if (rc == 0)
        tell_later(daemon,
                   json_pack("{s:o, s:s}", "coming", stanch_schedule_coming(daemon->schedule), "calendar",
                             stanch_buf_str(&calendar)),
                   done, ctx);
    return rc;
}

static int tell_report(struct stanch_daemon *daemon, const json_t *input, stanch_flow_done done, void *ctx,
                       struct stanch_err *err)
{
    json_t *report = NULL;
    int rc = stanch_desk_report(daemon->desk, stanch_json_str(input, "drill", ""), &report, err);
    if (rc == 0)
        tell_later(daemon, report, done, ctx);
    return rc;
}

int stanch_daemon__drill(void *ctx, const char *by, const char *command, const json_t *input, stanch_flow_done done,
                         void *done_ctx, struct stanch_err *err)
{
    struct stanch_daemon *daemon = ctx;
    if (!daemon->desk)
        return stanch_err_set(err, STANCH_E_STORE, "the store is damaged: there are no drills");
    if (strcmp(command, "begin") == 0)
        return stanch_desk_begin(daemon->desk, by, input, done, done_ctx, err);
    if (strcmp(command, "end") == 0)
        return stanch_desk_end(daemon->desk, by, input, done, done_ctx, err);
    if (strcmp(command, "coming") == 0)
        return tell_coming(daemon, done, done_ctx, err);
    if (strcmp(command, "report") == 0)
        return tell_report(daemon, input, done, done_ctx, err);
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no command \"drill.%.40s\"", command);
}

void stanch_daemon__tell_drill(const struct stanch_daemon *daemon, json_t *status)
{
    json_t *drill = daemon->desk ? stanch_desk_status(daemon->desk) : NULL;
    if (drill)
        json_object_set_new(status, "drill", drill);
}

void stanch_daemon__halt_drills(struct stanch_daemon *daemon)
{
    stanch_schedule_free(STANCH_TAKE(daemon->schedule));
    stanch_herald_halt(daemon->herald);
    stanch_desk_halt(daemon->desk);
}

void stanch_daemon__free_drills(struct stanch_daemon *daemon)
{
    stanch_herald_free(daemon->herald);
    stanch_desk_free(daemon->desk);
}
