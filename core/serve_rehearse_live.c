/* serve_rehearse_live.c: the process of a drill with people: a daemon of its own, beside the real one, in a world that is made up.
 *
 *   rehearse live NAME --config FILE --store DIR --commit X [--plugins DIR] --drill D-3 --kind exercise --speed 60 --dir DIR
 *       --keep DIR --socket PATH [--listen ADDRESS] [--url URL] [--via NAME]... [--after WHY]
 *
 *   daemon --fd 3--> {"t":"begin","proxy_hash"?}  {"t":"go"}  {"t":"end","why"}  {"t":"reload"}  {"t":"paged","n","outcome","code","text","retry"}
 *          <-------- {"t":"up","port"}  {"t":"page","n","instance","op","action","input","deadline_ms"}
 *                    {"t":"over","report"}  {"t":"refused","code","text"}
 *
 * It has no plugin host, no setting and no secret of one, but for what a staging drill may have (serve_staging.c); what it would page
 * goes to the daemon, which tells it through its own instances. People come in by doors of its own, with the people file of the
 * daemon. When the daemon goes, it ends. With --after it plays nothing: it puts away what one left that died, and says why it is over.
 */
#include "api/api.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "drill/drill.h"
#include "flow.h"
#include "page/pager.h"
#include "people/people.h"
#include "serve_rehearse_parts.h"
#include "serve_staging.h"
#include "setup.h"
#include "wire/channel.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL_FD 3
#define MAX_VIA    32
#define BEGIN_MS   10000

/* A page that the daemon was asked to tell. */
struct told {
    struct told *next;
    int64_t n;
    void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer);
    void *ctx;
};

struct exercise {
    const char *name, *config_path, *plugins, *store, *commit, *drill, *kind, *speed, *dir, *keep, *socket, *listen,
        *url, *after;
    const char *via[MAX_VIA];
    int via_count;
    struct stanch_stage *stage;
    struct stanch_channel *channel;
    struct stanch_people *people;
    struct stanch_setup *setup;  /* of the people file that is read again; NULL: none is */
    struct stanch_plugins *real; /* hosts; NULL: there is none, and only a staging drill has one */
    struct stanch_api *api;
    struct stanch_pager *pager;
    json_t *config, *paging;
    struct told *told;
    int64_t last_n;
    bool may_begin, may_go, is_late, is_alone, is_over;
    char proxy_hash[65];
    char why[300]; /* it is to end; "": it goes on */
};

/* ---- words ---- */

static int read_words(int argc, char **argv, struct exercise *ret, struct stanch_err *err)
{
    struct {
        const char *word, **value;
    } words[] = {{"--config", &ret->config_path}, {"--plugins", &ret->plugins}, {"--store", &ret->store},
                 {"--commit", &ret->commit},      {"--drill", &ret->drill},     {"--kind", &ret->kind},
                 {"--speed", &ret->speed},        {"--dir", &ret->dir},         {"--keep", &ret->keep},
                 {"--socket", &ret->socket},      {"--listen", &ret->listen},   {"--url", &ret->url},
                 {"--after", &ret->after}};
    for (int i = 0; i < argc; i++) {
        const char **value = NULL;
        for (size_t k = 0; k < sizeof words / sizeof *words; k++)
            value = strcmp(argv[i], words[k].word) == 0 ? words[k].value : value;
        if (strcmp(argv[i], "--via") == 0 && ret->via_count < MAX_VIA)
            value = &ret->via[ret->via_count++];
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (!value && !ret->name && argv[i][0] != '-')
            ret->name = argv[i];
        else
            return stanch_err_set(err, STANCH_E_INVALID, "live: %s is not understood", argv[i]);
    }
    return ret->name && ret->config_path && ret->store && ret->commit && ret->drill && ret->kind && ret->dir &&
                   ret->socket
               ? 0
               : stanch_err_set(err, STANCH_E_INVALID, "live: it is begun by the daemon");
}

/* ---- the people file, again ---- */

/* The daemon took it: what it does not say any more does not hold here either. */
static void on_people(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct exercise *self = ctx;
    struct stanch_people *people = NULL;
    struct stanch_err why = *err;
    self->setup = NULL;
    rc = rc < 0 ? rc : stanch_people_new(result, &people, &why);
    if (rc == 0)
        stanch_people_become(self->people, people);
    else if (!self->why[0])
        (void)snprintf(self->why, sizeof self->why, "the people file changed and could not be read: %.200s", why.text);
}

static void read_people_again(struct exercise *self)
{
    STANCH_AUTO_FREE char *path = stanch_setup_path(self->config, "people", self->config_path);
    struct stanch_err err = {0};
    if (!path || !self->people)
        return; /* before it has begun, it reads it anyway */
    stanch_setup_cancel(STANCH_TAKE(self->setup));
    if (stanch_setup_begin(self->stage->runner, "people", path, on_people, self, &self->setup, &err) < 0)
        on_people(self, err.code, &err, NULL);
}

/* ---- the daemon ---- */

static void send_frame(struct exercise *self, json_t *frame)
{
    struct stanch_err err;
    if (self->channel && !self->is_alone && stanch_channel_send(self->channel, frame, NULL, 0, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "drill", "the daemon could not be told: %s", err.text);
    json_decref(frame);
}

static void take_told(struct exercise *self, const json_t *frame)
{
    struct told **at = &self->told;
    int64_t n = stanch_json_int(frame, "n", 0);
    while (*at && (*at)->n != n)
        at = &(*at)->next;
    struct told *told = *at;
    if (!told)
        return;
    *at = told->next;
    int code = stanch_err_from_word(stanch_json_str(frame, "code", ""));
    struct stanch_plugin_answer answer = {
        .outcome = (enum stanch_outcome)stanch_json_int(frame, "outcome", STANCH_OUTCOME_UNKNOWN),
        .retry = stanch_json_bool(frame, "retry", false)};
    if (answer.outcome != STANCH_OUTCOME_DONE)
        stanch_err_set(&answer.err, code < 0 ? code : STANCH_E_UNAVAILABLE, "%s", stanch_json_str(frame, "text", ""));
    told->on_answer(told->ctx, &answer);
    free(told);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct exercise *self = ctx;
    const char *type = stanch_json_str(head, "t", "");
    (void)attachment;
    (void)len;
    (void)fd; /* none comes: the channel passes none */
    if (strcmp(type, "begin") == 0) {
        self->may_begin = true;
        (void)snprintf(self->proxy_hash, sizeof self->proxy_hash, "%s", stanch_json_str(head, "proxy_hash", ""));
    } else if (strcmp(type, "end") == 0 && !self->why[0]) {
        (void)snprintf(self->why, sizeof self->why, "%s", stanch_json_str(head, "why", "it was ended"));
    } else if (strcmp(type, "paged") == 0) {
        take_told(self, head);
    } else if (strcmp(type, "go") == 0) {
        self->may_go = true;
    } else if (strcmp(type, "reload") == 0) {
        read_people_again(self);
    }
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct exercise *self = ctx;
    self->is_alone = true;
    if (!self->why[0])
        (void)snprintf(self->why, sizeof self->why, "the daemon that played it ended while it went on%s%.200s",
                       why->text[0] ? ": " : "", why->text);
}

static void on_late(void *ctx)
{
    ((struct exercise *)ctx)->is_late = true;
}

static int meet_daemon(struct exercise *self, struct stanch_err *err)
{
    static const struct stanch_channel_events events = {on_frame, on_closed};
    struct stanch_loop *loop = self->stage->loop;
    int rc = stanch_channel_open(loop, CHANNEL_FD, 0, &events, self, &self->channel, err);
    struct stanch_timer *late = rc == 0 ? stanch_timer_start(loop, BEGIN_MS, on_late, self) : NULL;
    while (rc == 0 && !self->may_begin && !self->is_late && !self->why[0])
        stanch_loop_run_next(loop);
    if (!self->is_late)
        stanch_timer_stop(loop, &late);
    return rc < 0 || self->may_begin ? rc
                                     : stanch_err_set(err, STANCH_E_UNAVAILABLE, "the daemon did not say to begin: %s",
                                                      self->is_late ? "it took too long" : self->why);
}

/* ---- pages ---- */

static const json_t *describe(void *ctx, const char *instance)
{
    return json_object_get(((struct exercise *)ctx)->stage->described, instance);
}

static int tell(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err)
{
    struct exercise *self = ctx;
    (void)ret;
    if (self->is_alone)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the daemon went away");
    struct told *told = STANCH_NEW(struct told);
    *told = (struct told){.next = self->told, .n = ++self->last_n, .on_answer = on_answer, .ctx = call_ctx};
    self->told = told;
    send_frame(self, json_pack("{s:s, s:I, s:s, s:s, s:s, s:O, s:I}", "t", "page", "n", (json_int_t)told->n, "instance",
                               request->instance, "op", request->op, "action", request->action, "input", request->input,
                               "deadline_ms", (json_int_t)request->deadline_ms));
    return 0;
}

static void forget_told(struct exercise *self)
{
    while (self->told) {
        struct told *told = self->told;
        self->told = told->next;
        free(told);
    }
}

/* ---- the doors ---- */

static int open_doors(struct exercise *self, struct stanch_flow *flow, struct stanch_journal *journal,
                      struct stanch_err *err)
{
    STANCH_AUTO_FREE char *mark = stanch_asprintf("%s %s", self->drill, self->kind);
    const struct stanch_http_config http = {
        .listen = self->listen,
        .socket_path = self->socket,
        .max_body_bytes = (size_t)stanch_json_int(json_object_get(self->config, "limits"), "max_body_bytes", 1 << 20),
        .mark_name = "X-Stanch-Drill",
        .mark = mark,
    };
    const struct stanch_api_proxy proxy = {.secret_hash = self->proxy_hash[0] ? self->proxy_hash : NULL,
                                           .user =
                                               stanch_json_str(json_object_get(self->config, "proxy"), "user", NULL)};
    return stanch_api_start(self->stage->loop, &http, flow, journal, self->people, &proxy, &self->api, err);
}

/* Nothing happens in it before the daemon has it on its disk that it begins. */
static int await_word(struct exercise *self, struct stanch_err *err)
{
    send_frame(self, json_pack("{s:s, s:i}", "t", "up", "port", stanch_api_port(self->api)));
    while (!self->may_go && !self->why[0])
        stanch_loop_run_next(self->stage->loop);
    return self->may_go ? 0 : stanch_err_set(err, STANCH_E_UNAVAILABLE, "%s", self->why);
}

static void on_down(void *ctx)
{
    struct exercise *self = ctx;
    stanch_pager_halt(self->pager);
    stanch_api_free(STANCH_TAKE(self->api));
    forget_told(self);
    stanch_pager_free(STANCH_TAKE(self->pager));
}

static int on_up(void *ctx, struct stanch_loop *loop, struct stanch_flow *flow, struct stanch_journal *journal,
                 struct stanch_err *err)
{
    struct exercise *self = ctx;
    const struct stanch_pager_port port = {describe, tell, self};
    int rc = stanch_pager_start(loop, journal, self->paging, &port, &self->pager, err);
    if (self->after) {
        rc = rc ? rc : stanch_pager_end_killed(self->pager, err); /* before it asks anybody anew */
        self->is_over = true;
    } else {
        rc = rc ? rc : open_doors(self, flow, journal, err);
        rc = rc ? rc : await_word(self, err);
    }
    if (rc < 0)
        on_down(self);
    return rc;
}

static const char *is_over(void *ctx)
{
    const struct exercise *self = ctx;
    return self->why[0] ? self->why : NULL;
}

/* What it paged is over for people: nobody's telephone goes on ringing for it. */
static bool is_told(void *ctx)
{
    struct exercise *self = ctx;
    struct stanch_err err = {0};
    if (!self->is_over && stanch_pager_end(self->pager, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "drill", "its pages could not be read: %s", err.text);
    self->is_over = true;
    STANCH_AUTO_JSON json_t *status = stanch_pager_status(self->pager);
    return self->is_alone || stanch_json_int(status, "waiting", 0) == 0;
}

/* ---- what is real ---- */

static int open_real(void *ctx, const json_t *scenario, struct stanch_plugins **ret, struct stanch_err *err)
{
    struct exercise *self = ctx;
    const struct stanch_staging staging = {self->stage->loop, self->config, self->plugins, self->dir};
    int rc = stanch_staging_open(&staging, json_object_get(scenario, "instances"), &self->real, err);
    *ret = self->real;
    return rc;
}

static void close_real(void *ctx)
{
    stanch_plugins_free(STANCH_TAKE(((struct exercise *)ctx)->real));
}

/* ---- the play ---- */

static int load_people(struct exercise *self, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_setup_path(self->config, "people", self->config_path);
    STANCH_AUTO_JSON json_t *data = NULL;
    int rc = path ? stanch_setup_evaluate(self->stage->loop, self->stage->runner, "people", path, &data, err) : 0;
    if (rc < 0 || !path)
        return rc;
    rc = stanch_people_new(data, &self->people, err);
    return rc < 0 ? stanch_err_wrap(err, "%s", path) : 0;
}

/* The same configuration, in which all is marked. */
static void mark_config(struct exercise *self)
{
    json_t *incidents = NULL;
    self->config = json_deep_copy(self->stage->config);
    incidents = json_object_get(self->config, "incidents");
    if (!json_is_object(incidents))
        json_object_set_new(self->config, "incidents", incidents = json_object());
    json_object_set_new(incidents, "mark", json_string("DRILL: "));
    json_t *via = json_array();
    for (int i = 0; i < self->via_count; i++)
        json_array_append_new(via, json_string(self->via[i]));
    self->paging = json_pack("{s:o, s:s}", "via", via, "drill", self->drill);
    stanch_json_set_str(self->paging, "url", self->url);
    json_object_set(self->config, "paging", self->paging);
    self->stage->config = self->config;
}

static int keep_as(const struct exercise *self, const char *as, const struct stanch_buf *text, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/report.%s", self->dir, as);
    return stanch_file_write(path, text->len ? text->data : "", text->len, err);
}

/* For whoever looks later: the daemon, or somebody with a browser. */
static int keep_report(const struct exercise *self, const json_t *report, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf json = {0}, markdown = {0}, html = {0};
    stanch_json_write(report, &json);
    stanch_drill_markdown(report, &markdown);
    stanch_drill_html(report, &html);
    int rc = keep_as(self, "md", &markdown, err);
    rc = rc ? rc : keep_as(self, "html", &html, err);
    return rc ? rc : keep_as(self, "json", &json, err);
}

static int play(struct exercise *self, struct stanch_err *err)
{
    const struct stanch_rehearsal_live live = {.speed = self->speed ? atoi(self->speed) : 1,
                                               .people = self->people,
                                               .dir = self->dir,
                                               .open_real = strcmp(self->kind, "staging") == 0 ? open_real : NULL,
                                               .close_real = close_real,
                                               .on_up = on_up,
                                               .on_down = on_down,
                                               .over = is_over,
                                               .is_told = is_told,
                                               .ctx = self};
    const struct stanch_drill_options options = {
        .which = self->name, .keep = self->keep, .kind = self->kind, .id = self->drill, .live = &live};
    STANCH_AUTO_JSON json_t *report = NULL;
    int rc = self->after ? stanch_drill_after(self->stage, &options, self->after, &report, err)
                         : stanch_drill_run(self->stage, &options, &report, err);
    if (!report)
        return rc;
    if (rc == 0 && json_object_get(report, "drill")) /* of one that died too early there is none */
        rc = keep_report(self, report, err);
    if (rc < 0) /* what is still in force at real instances is said all the same */
        stanch_log(STANCH_LOG_ERROR, "drill", "%s: its report could not be kept: %s", self->drill, err->text);
    send_frame(self, json_pack("{s:s, s:O}", "t", "over", "report", report));
    return 0;
}

/* Until the daemon has read it all. */
static void say_goodbye(struct exercise *self)
{
    while (self->channel && !self->is_alone && stanch_channel_queued(self->channel) > 0)
        stanch_loop_run_next(self->stage->loop);
    stanch_channel_close(STANCH_TAKE(self->channel));
}

static int on_stage(void *ctx, struct stanch_stage *stage, struct stanch_err *err)
{
    struct exercise *self = ctx;
    const json_t *before = stage->config;
    self->stage = stage;
    int rc = meet_daemon(self, err);
    if (rc == 0) {
        mark_config(self);
        rc = self->after ? 0 : load_people(self, err);
    }
    rc = rc ? rc : play(self, err);
    if (rc < 0)
        send_frame(self, json_pack("{s:s, s:s, s:s}", "t", "refused", "code", stanch_err_word(rc), "text", err->text));
    say_goodbye(self);
    stage->config = before;
    stanch_setup_cancel(self->setup);
    stanch_people_free(self->people);
    json_decref(self->config);
    json_decref(self->paging);
    return rc;
}

int stanch_rehearse__live(int argc, char **argv, struct stanch_err *err)
{
    struct exercise self = {0};
    (void)fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC); /* no process of ours has it: its end is ours */
    int rc = read_words(argc, argv, &self, err);
    if (rc < 0)
        return rc;
    const struct stanch_rehearse_files files = {
        .config = self.config_path, .plugins = self.plugins, .store = self.store, .commit = self.commit};
    return stanch_rehearse__on_stage(&files, on_stage, &self, err);
}
