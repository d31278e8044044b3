/* desk.c: which drill may begin, what ends one, and what is said of them. */
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "gameday/desk_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_REPORT_BYTES (32u << 20)

/* ---- what is said ---- */

struct told {
    struct stanch_desk *desk;
    char id[32];
    stanch_desk_done done;
    void *ctx;
};

static void on_committed(void *ctx)
{
    struct told *told = ctx;
    struct stanch_err err = {0};
    json_t *doc = NULL;
    int rc = stanch_journal_find(told->desk->journal, "drill", told->id, &doc, &err);
    told->done(told->ctx, rc, &err, doc);
    json_decref(doc);
    free(told);
}

void stanch_desk__append(struct stanch_play *play, const char *kind, json_t *data, stanch_desk_done done, void *ctx)
{
    struct stanch_desk *desk = play->desk;
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    struct told *told = done ? STANCH_NEW(struct told) : NULL;
    stanch_json_set_str(data, "drill", play->id);
    stanch_json_set_str(data, "name", play->name);
    stanch_json_set_str(data, "kind", play->kind);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, play->by, NULL, data);
    if (told)
        *told = (struct told){.desk = desk, .done = done, .ctx = ctx};
    if (told)
        (void)snprintf(told->id, sizeof told->id, "%s", play->id);
    if (stanch_journal_append(desk->journal, batch, told ? on_committed : NULL, told, &err) == 0)
        return;
    stanch_log(STANCH_LOG_ERROR, "drill", "%s of %s could not be recorded: %s", kind, play->id, err.text);
    if (told)
        done(ctx, err.code, &err, NULL);
    free(told);
}

/* ---- what is real ---- */

static bool is_grave(const json_t *incident)
{
    const char *severity = stanch_json_str(incident, "severity", "");
    return stanch_json_bool(incident, "open", false) &&
           (strcmp(severity, "sev1") == 0 || strcmp(severity, "sev2") == 0);
}

static char *name_incident(const json_t *incident)
{
    return stanch_asprintf("a real %s is on: %s, %.120s", stanch_json_str(incident, "severity", ""),
                           stanch_json_str(incident, "id", ""), stanch_json_str(incident, "title", ""));
}

static int find_grave(void *ctx, const json_t *doc, struct stanch_err *err)
{
    (void)ctx;
    if (!is_grave(doc))
        return 0;
    STANCH_AUTO_FREE char *why = name_incident(doc);
    return stanch_err_set(err, STANCH_E_CONFLICT, "%s", why);
}

/* An incident comes up, or gets worse, or a stop is engaged: then nobody has time for drills. */
static void on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_desk *desk = ctx;
    bool is_incident = strncmp(entry->kind, "incident.", 9) == 0, is_stop = strcmp(entry->kind, "stop.engaged") == 0;
    if (!desk->plays || (!is_incident && !is_stop))
        return;
    STANCH_AUTO_JSON json_t *incident =
        is_incident ? stanch_journal_get(desk->journal, STANCH_VIEW_COMMITTED, "incident", entry->chain) : NULL;
    STANCH_AUTO_FREE char *grave = incident && is_grave(incident) ? name_incident(incident) : NULL;
    bool stops_all = is_stop && !stanch_json_str(entry->data, "level", NULL);
    for (struct stanch_play *play = desk->plays; play; play = play->next) {
        if (grave && stanch_play__is_live(play))
            stanch_play__end(play, grave);
        else if (stops_all && strcmp(play->kind, "staging") == 0)
            stanch_play__end(play, "all automation was stopped");
    }
}

/* ---- begin, end ---- */

static struct stanch_play *find_live(const struct stanch_desk *desk)
{
    struct stanch_play *play = desk->plays;
    while (play && (play->is_over || !stanch_play__is_live(play)))
        play = play->next;
    return play;
}

static int check_input(const json_t *input, struct stanch_err *err)
{
    const char *name = stanch_json_str(input, "name", ""), *kind = stanch_json_str(input, "kind", "exercise");
    int64_t speed = stanch_json_int(input, "speed", 1);
    if (!*name || strlen(name) > 150 || name[0] == '-')
        return stanch_err_set(err, STANCH_E_INVALID,
                              "name: which drill? it has 1 to 150 characters, and does not begin with a dash");
    if (strcmp(kind, "virtual") != 0 && strcmp(kind, "exercise") != 0 && strcmp(kind, "staging") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "kind: expected virtual, exercise or staging, not \"%.40s\"",
                              kind);
    if (speed < 1 || speed > 60 || (speed > 1 && strcmp(kind, "staging") == 0))
        return stanch_err_set(err, STANCH_E_INVALID, "speed: expected 1 to 60 of an exercise, and 1 of what is real");
    return 0;
}

static int check_free(struct stanch_desk *desk, const char *kind, struct stanch_err *err)
{
    const struct stanch_play *live = find_live(desk);
    const struct stanch_noun_query open = {.noun = "incident", .open = 1, .limit = 1};
    if (strcmp(kind, "virtual") == 0)
        return 0;
    if (live && live->is_after)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "%s (%s) was killed: what it left is put away first", live->id,
                              live->name);
    if (live)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s (%s) is under way; `stanch drill end %s` ends it", live->id,
                              live->name, live->id);
    if (strcmp(kind, "staging") == 0 && desk->port.is_stopped(desk->port.ctx))
        return stanch_err_set(err, STANCH_E_STOPPED, "all automation is stopped, also where a drill would act");
    return stanch_journal_each(desk->journal, &open, find_grave, NULL, err);
}

int stanch_desk_begin(struct stanch_desk *desk, const char *by, const json_t *input, stanch_desk_done done, void *ctx,
                      struct stanch_err *err)
{
    const char *kind = stanch_json_str(input, "kind", "exercise"), *known = stanch_json_str(input, "drill", "");
    int rc = check_input(input, err);
    if (rc == 0 && !*desk->port.commit(desk->port.ctx))
        rc = stanch_err_set(err, STANCH_E_UNAVAILABLE, "no commit of the runbooks is in use yet");
    rc = rc ? rc : check_free(desk, kind, err);
    if (rc < 0)
        return rc;
    struct stanch_play *play = STANCH_NEW(struct stanch_play);
    *play = (struct stanch_play){.desk = desk,
                                 .speed = (int)stanch_json_int(input, "speed", 1),
                                 .was_announced = *known,
                                 .done = done,
                                 .ctx = ctx};
    if (*known)
        (void)snprintf(play->id, sizeof play->id, "%s", known);
    else
        stanch_journal_next_id(desk->journal, "D", play->id);
    (void)snprintf(play->name, sizeof play->name, "%s", stanch_json_str(input, "name", ""));
    (void)snprintf(play->kind, sizeof play->kind, "%s", kind);
    (void)snprintf(play->by, sizeof play->by, "%s", by);
    (void)snprintf(play->commit, sizeof play->commit, "%s", desk->port.commit(desk->port.ctx));
    rc = stanch_play__start(play, err);
    if (rc < 0)
        free(play);
    return rc;
}

int stanch_desk_end(struct stanch_desk *desk, const char *by, const json_t *input, stanch_desk_done done, void *ctx,
                    struct stanch_err *err)
{
    const char *id = stanch_json_str(input, "drill", "");
    struct stanch_play *play = desk->plays;
    while (play && (strcmp(play->id, id) != 0 || play->is_over))
        play = play->next;
    if (!play)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no drill \"%.40s\" under way", id);
    if (play->on_end)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is being ended already", id);
    const char *reason = stanch_json_str(input, "why", NULL);
    STANCH_AUTO_FREE char *why = stanch_asprintf("%s ended it%s%.200s", by, reason ? ": " : "", reason ? reason : "");
    play->on_end = done;
    play->end_ctx = ctx;
    stanch_play__end(play, why);
    return 0;
}

static int read_report(const struct stanch_desk *desk, const char *id, const char *as, struct stanch_buf *ret,
                       struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/drills/%s/report.%s", desk->state_dir, id, as);
    return stanch_file_read(path, MAX_REPORT_BYTES, ret, err);
}

int stanch_desk_report(const struct stanch_desk *desk, const char *id, json_t **ret, struct stanch_err *err)
{
    json_t *doc = NULL;
    int rc = stanch_journal_find(desk->journal, "drill", id, &doc, err);
    bool is_open = stanch_json_bool(doc, "open", false);
    json_decref(doc);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *report = NULL;
    STANCH_AUTO_BUF struct stanch_buf json = {0}, markdown = {0}, html = {0};
    rc = read_report(desk, id, "json", &json, err);
    rc = rc ? rc : read_report(desk, id, "md", &markdown, err);
    rc = rc ? rc : read_report(desk, id, "html", &html, err);
    if (rc == STANCH_E_NOT_FOUND)
        return stanch_err_set(err, rc, "there is no report of %s%s", id, is_open ? ": it is not over" : "");
    rc = rc ? rc : stanch_json_parse(stanch_buf_str(&json), json.len, &stanch_json_own_limits, &report, err);
    if (rc == 0)
        *ret = json_pack("{s:O, s:s, s:s}", "report", report, "markdown", stanch_buf_str(&markdown), "html",
                         stanch_buf_str(&html));
    return rc;
}

void stanch_desk_people_changed(struct stanch_desk *desk)
{
    for (struct stanch_play *play = desk->plays; play; play = play->next)
        if (stanch_play__is_live(play))
            stanch_play__reload(play);
}

json_t *stanch_desk_status(const struct stanch_desk *desk)
{
    const struct stanch_play *play = find_live(desk);
    if (!play || !play->is_up || play->is_after)
        return NULL;
    json_t *status = json_pack("{s:s, s:s, s:s, s:i, s:s}", "drill", play->id, "name", play->name, "kind", play->kind,
                               "speed", play->speed, "socket", desk->socket);
    if (play->port)
        json_object_set_new(status, "port", json_integer(play->port));
    return status;
}

/* ---- life ---- */

/* Its process has ended with the daemon that began it, or is about to: what it left is put away, and then it is over. */
static struct stanch_play *recall(struct stanch_desk *desk, const json_t *doc)
{
    struct stanch_play *play = STANCH_NEW(struct stanch_play);
    *play = (struct stanch_play){
        .desk = desk, .speed = (int)stanch_json_int(doc, "speed", 1), .was_announced = true, .is_up = true};
    (void)snprintf(play->id, sizeof play->id, "%s", stanch_json_str(doc, "id", ""));
    (void)snprintf(play->name, sizeof play->name, "%s", stanch_json_str(doc, "name", ""));
    (void)snprintf(play->kind, sizeof play->kind, "%s", stanch_json_str(doc, "kind", ""));
    (void)snprintf(play->commit, sizeof play->commit, "%s", stanch_json_str(doc, "commit", ""));
    (void)snprintf(play->by, sizeof play->by, "%s", STANCH_BY_STANCH);
    (void)snprintf(play->why, sizeof play->why, "the daemon that played it ended while it went on");
    return play;
}

static int find_running(void *ctx, const json_t *doc, struct stanch_err *err)
{
    (void)err;
    if (strcmp(stanch_json_str(doc, "state", ""), "running") == 0)
        json_array_append(ctx, (json_t *)(uintptr_t)doc);
    return 0;
}

static int close_running(struct stanch_desk *desk, struct stanch_err *err)
{
    const struct stanch_noun_query open = {.noun = "drill", .open = 1, .limit = 1};
    STANCH_AUTO_JSON json_t *running = json_array();
    int rc = stanch_journal_each(desk->journal, &open, find_running, running, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(running); i++)
        stanch_play__put_away(recall(desk, json_array_get(running, i)));
    return rc;
}

int stanch_desk_start(struct stanch_loop *loop, struct stanch_journal *journal, const struct stanch_desk_config *config,
                      const struct stanch_desk_port *port, struct stanch_desk **ret, struct stanch_err *err)
{
    struct stanch_desk *desk = STANCH_NEW(struct stanch_desk);
    *desk = (struct stanch_desk){.loop = loop,
                                 .journal = journal,
                                 .exe = stanch_strdup(config->exe),
                                 .config_path = stanch_strdup(config->config_path),
                                 .plugin_dir = config->plugin_dir ? stanch_strdup(config->plugin_dir) : NULL,
                                 .state_dir = stanch_strdup(config->state_dir),
                                 .socket = stanch_strdup(config->socket),
                                 .listen = config->listen ? stanch_strdup(config->listen) : NULL,
                                 .url = config->url ? stanch_strdup(config->url) : NULL,
                                 .via = config->via,
                                 .port = *port};
    if (config->proxy_hash)
        (void)snprintf(desk->proxy_hash, sizeof desk->proxy_hash, "%s", config->proxy_hash);
    int rc = close_running(desk, err);
    if (rc < 0) {
        stanch_desk_free(desk);
        return rc;
    }
    desk->follower = stanch_journal_follow(journal, on_entry, desk);
    *ret = desk;
    return 0;
}

void stanch_desk_halt(struct stanch_desk *desk)
{
    if (!desk)
        return;
    desk->is_halted = true;
    if (desk->follower)
        stanch_journal_unfollow(desk->journal, desk->follower);
    desk->follower = NULL;
    while (desk->plays)
        stanch_play__leave(desk->plays);
}

void stanch_desk_free(struct stanch_desk *desk)
{
    if (!desk)
        return;
    stanch_desk_halt(desk);
    stanch_page__forget_all(desk);
    free(desk->exe);
    free(desk->config_path);
    free(desk->plugin_dir);
    free(desk->state_dir);
    free(desk->socket);
    free(desk->listen);
    free(desk->url);
    free(desk);
}
