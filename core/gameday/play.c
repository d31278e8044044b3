/* play.c: one drill: its process (serve_rehearse_live.c), what it would page, how it ends. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "gameday/desk_parts.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BEGIN_MS 60000 /* until people can come in */
#define END_MS   60000 /* from the word to its end: what a staging drill left is taken back meanwhile */
#define PAGE_MS  60000
#define AFTER_MS 240000 /* what puts away has to wait for, and to take back */
#define WORDS    96

bool stanch_play__is_live(const struct stanch_play *play)
{
    return strcmp(play->kind, "virtual") != 0;
}

/* ---- its end ---- */

static void free_play(struct stanch_play *play)
{
    struct stanch_play **at = &play->desk->plays;
    while (*at && *at != play)
        at = &(*at)->next;
    if (*at)
        *at = play->next;
    stanch_timer_stop(play->desk->loop, &play->late);
    stanch_child_free(play->child);
    free(play);
}

static void tell_waiting(struct stanch_play *play, int code, const char *why)
{
    struct stanch_err err;
    stanch_err_set(&err, code, "%s", why);
    if (play->done)
        play->done(play->ctx, code, &err, NULL);
    if (play->on_end)
        play->on_end(play->end_ctx, code, &err, NULL);
    play->done = play->on_end = NULL;
}

/* It never began. */
static void say_missed(struct stanch_play *play, int code)
{
    stanch_log(STANCH_LOG_WARN, "drill", "%s (%s) could not begin: %s", play->id, play->name, play->why);
    if (play->was_announced) {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(play->desk->journal, "drill", play->id);
        json_t *data = json_pack("{s:s}", "why", play->why);
        stanch_json_set_str(data, "at", stanch_json_str(doc, "at", NULL));
        stanch_desk__append(play, "drill.missed", data, NULL, NULL);
    }
    tell_waiting(play, code, play->why);
    play->is_over = true;
}

/* report: NULL: there is none */
static void say_over(struct stanch_play *play, const json_t *report)
{
    json_t *data = json_object();
    const char *why = stanch_json_str(report, "ended", report ? NULL : play->why);
    const char *broken = stanch_json_str(report, "broken", NULL);
    stanch_json_set_str(data, "why", broken ? broken : why);
    stanch_json_set_str(data, "result", stanch_json_str(report, "result", NULL));
    if (report) {
        json_object_set(data, "met", json_object_get(report, "met"));
        json_object_set(data, "of", json_object_get(report, "of"));
    }
    stanch_json_set_str(data, "left", stanch_json_str(report, "left", NULL));
    play->is_over = true;
    stanch_log(STANCH_LOG_INFO, "drill", "%s (%s) is over", play->id, play->name);
    stanch_desk_done done = play->on_end ? play->on_end : play->done;
    void *ctx = play->on_end ? play->end_ctx : play->ctx;
    play->on_end = play->done = NULL;
    stanch_desk__append(play, "drill.ended", data, done, ctx);
}

/* ---- what it says ---- */

static struct stanch_play *find_play(const struct stanch_desk *desk, const char *id)
{
    struct stanch_play *play = desk->plays;
    while (play && strcmp(play->id, id) != 0)
        play = play->next;
    return play;
}

struct started {
    struct stanch_desk *desk;
    char id[32];
    stanch_desk_done done; /* NULL: nobody waits */
    void *ctx;
};

/* That it begins is on the disk: now it may. */
static void on_started(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct started *started = ctx;
    struct stanch_play *play = started->desk->is_halted ? NULL : find_play(started->desk, started->id);
    STANCH_AUTO_JSON json_t *go = json_pack("{s:s}", "t", "go");
    struct stanch_err own;
    if (play && rc < 0)
        stanch_play__end(play, "its beginning could not be recorded");
    else if (play && stanch_channel_send(stanch_child_channel(play->child), go, NULL, 0, &own) < 0)
        stanch_play__end(play, "it could not be told to begin");
    if (started->done)
        started->done(started->ctx, rc, err, result);
    free(started);
}

static void record_start(struct stanch_play *play, json_t *data)
{
    struct started *started = STANCH_NEW(struct started);
    *started = (struct started){.desk = play->desk, .done = play->done, .ctx = play->ctx};
    (void)snprintf(started->id, sizeof started->id, "%s", play->id);
    play->done = NULL;
    stanch_desk__append(play, "drill.started", data, on_started, started);
}

static void say_up(struct stanch_play *play, const json_t *frame)
{
    json_t *data = json_object();
    play->is_up = true;
    play->port = (int)stanch_json_int(frame, "port", 0);
    stanch_json_set_str(data, "commit", play->commit);
    if (play->speed > 1)
        json_object_set_new(data, "speed", json_integer(play->speed));
    if (stanch_play__is_live(play)) {
        stanch_timer_stop(play->desk->loop, &play->late);
        stanch_json_set_str(data, "socket", play->desk->socket);
    }
    stanch_log(STANCH_LOG_INFO, "drill", "%s (%s, %s) begins", play->id, play->name, play->kind);
    if (stanch_play__is_live(play))
        record_start(play, data);
    else
        stanch_desk__append(play, "drill.started", data, NULL, NULL);
}

struct stanch_page_out {
    struct stanch_page_out *next;
    struct stanch_desk *desk;
    char id[32]; /* of the drill */
    int64_t n;
};

static void answer_page(const struct stanch_desk *desk, const char *id, int64_t n,
                        const struct stanch_plugin_answer *answer)
{
    struct stanch_play *play = find_play(desk, id);
    struct stanch_err err;
    if (!play || desk->is_halted)
        return;
    STANCH_AUTO_JSON json_t *frame =
        json_pack("{s:s, s:I, s:i, s:s, s:s, s:b}", "t", "paged", "n", (json_int_t)n, "outcome", (int)answer->outcome,
                  "code", stanch_err_word(answer->err.code), "text", answer->err.text, "retry", answer->retry);
    if (stanch_channel_send(stanch_child_channel(play->child), frame, NULL, 0, &err) < 0)
        stanch_log(STANCH_LOG_WARN, "drill", "%s does not hear of its pages: %s", id, err.text);
}

static void drop_page(struct stanch_page_out *page)
{
    struct stanch_page_out **at = &page->desk->pages;
    while (*at != page)
        at = &(*at)->next;
    *at = page->next;
    free(page);
}

static void on_paged(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_page_out *page = ctx;
    answer_page(page->desk, page->id, page->n, answer);
    drop_page(page);
}

/* Only what tells people something, and only through instances that the operator named for it. */
static int check_page(const struct stanch_desk *desk, const struct stanch_plugin_request *request,
                      struct stanch_err *err)
{
    const json_t *described = desk->port.pager.describe(desk->port.pager.ctx, request->instance);
    const json_t *action = json_object_get(json_object_get(described, "actions"), request->action);
    bool is_via = false;
    for (size_t i = 0; i < json_array_size(desk->via); i++)
        is_via |= strcmp(json_string_value(json_array_get(desk->via, i)), request->instance) == 0;
    if (is_via && strcmp(request->op, "read") == 0 && strcmp(stanch_json_str(action, "effect", ""), "notify") == 0)
        return 0;
    if (is_via && !action)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the plugin is %s",
                              stanch_json_str(described, "state", "not there"));
    return stanch_err_set(err, STANCH_E_REFUSED, "a drill may only page, through paging.via; not %s %s.%s", request->op,
                          request->instance, request->action);
}

static void send_page(struct stanch_play *play, const json_t *frame)
{
    struct stanch_desk *desk = play->desk;
    struct stanch_plugin_answer failed = {.outcome = STANCH_OUTCOME_FAILED};
    int64_t deadline_ms = stanch_json_int(frame, "deadline_ms", PAGE_MS);
    const struct stanch_plugin_request request = {.instance = stanch_json_str(frame, "instance", ""),
                                                  .op = stanch_json_str(frame, "op", ""),
                                                  .action = stanch_json_str(frame, "action", ""),
                                                  .input = json_object_get(frame, "input"),
                                                  .deadline_ms = deadline_ms < PAGE_MS ? deadline_ms : PAGE_MS};
    struct stanch_page_out *page = STANCH_NEW(struct stanch_page_out);
    *page = (struct stanch_page_out){.next = desk->pages, .desk = desk, .n = stanch_json_int(frame, "n", 0)};
    (void)snprintf(page->id, sizeof page->id, "%s", play->id);
    desk->pages = page;
    int rc = check_page(desk, &request, &failed.err);
    rc = rc ? rc : desk->port.pager.call(desk->port.pager.ctx, &request, on_paged, page, NULL, &failed.err);
    if (rc == 0)
        return;
    failed.retry = rc == STANCH_E_UNAVAILABLE || rc == STANCH_E_BUSY;
    answer_page(desk, play->id, page->n, &failed);
    drop_page(page);
}

void stanch_page__forget_all(struct stanch_desk *desk)
{
    while (desk->pages)
        drop_page(desk->pages);
}

/* Why it is over; of what puts away: why that could not be. */
static void note_why(struct stanch_play *play, const char *text)
{
    size_t len = play->is_after ? strlen(play->why) : 0;
    (void)snprintf(play->why + len, sizeof play->why - len, "%s%s",
                   play->is_after ? "; what it left could not be put away: " : "", text);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_play *play = ctx;
    const char *type = stanch_json_str(head, "t", "");
    (void)attachment;
    (void)len;
    (void)fd; /* none comes: the channel passes none */
    if (play->is_over)
        return;
    if (strcmp(type, "up") == 0 && !play->is_up) {
        say_up(play, head);
    } else if (strcmp(type, "page") == 0 && play->is_up) {
        send_page(play, head);
    } else if (strcmp(type, "over") == 0) {
        if (!play->is_up)
            say_up(play, json_object_get(head, "report")); /* a virtual one: it was played at once */
        say_over(play, json_object_get(head, "report"));
    } else if (strcmp(type, "refused") == 0) {
        int code = stanch_err_from_word(stanch_json_str(head, "code", ""));
        note_why(play, stanch_json_str(head, "text", ""));
        if (play->is_up)
            say_over(play, NULL);
        else
            say_missed(play, code < 0 ? code : STANCH_E_INVALID);
    }
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    (void)ctx;
    (void)why; /* its exit says it */
}

static void on_exit_of(void *ctx, int status)
{
    struct stanch_play *play = ctx;
    if (play->is_over) {
        free_play(play);
        return;
    }
    STANCH_AUTO_FREE char *died = stanch_asprintf("its process ended (%d) before it said how it was", status);
    if (play->is_after || !play->why[0])
        note_why(play, died);
    if (play->is_up && !play->is_after && stanch_play__is_live(play)) {
        stanch_play__put_away(play);
        return;
    }
    if (play->is_up)
        say_over(play, NULL);
    else
        say_missed(play, STANCH_E_CRASHED);
    free_play(play);
}

/* ---- the process ---- */

struct words {
    const char *words[WORDS];
    int count;
};

static void add(struct words *words, const char *name, const char *value)
{
    if (!value || words->count + 3 >= WORDS)
        return;
    if (name)
        words->words[words->count++] = name;
    words->words[words->count++] = value;
}

static int make_dirs(const char *state_dir, const char *own, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *drills = stanch_asprintf("%s/drills", state_dir);
    const char *const dirs[] = {drills, own};
    for (size_t i = 0; i < 2; i++)
        if (mkdir(dirs[i], 0700) < 0 && errno != EEXIST)
            return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the directory %s could not be made", dirs[i]);
    return 0;
}

/* One that had begun when the daemon died, before that was said, begins anew: what it left stays beside it. */
static int clear_place(const char *dir, struct stanch_err *err)
{
    struct stat info;
    if (stat(dir, &info) < 0)
        return 0;
    for (int n = 1; n < 1000; n++) {
        STANCH_AUTO_FREE char *beside = stanch_asprintf("%s-before-%d", dir, n);
        if (stat(beside, &info) == 0)
            continue;
        return rename(dir, beside) == 0
                   ? 0
                   : stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be moved aside", dir);
    }
    return stanch_err_set(err, STANCH_E_SYSTEM, "%s has been begun too often", dir);
}

static void on_late(void *ctx)
{
    struct stanch_play *play = ctx;
    play->late = NULL;
    if (!play->why[0])
        (void)snprintf(play->why, sizeof play->why, "it had not begun within %d s", BEGIN_MS / 1000);
    stanch_child_kill(play->child);
}

static int spawn(struct stanch_play *play, const char *dir, const char *keep, struct stanch_err *err)
{
    static const struct stanch_child_events events = {{on_frame, on_closed}, on_exit_of};
    struct stanch_desk *desk = play->desk;
    STANCH_AUTO_FREE char *speed = stanch_asprintf("%d", play->speed);
    struct words words = {{desk->exe, "rehearse", "live", play->name}, 4};
    add(&words, "--config", desk->config_path);
    add(&words, "--plugins", desk->plugin_dir);
    add(&words, "--store", desk->state_dir);
    add(&words, "--commit", play->commit);
    add(&words, "--drill", play->id);
    add(&words, "--kind", play->kind);
    add(&words, "--speed", speed);
    add(&words, "--dir", dir);
    add(&words, "--keep", keep);
    add(&words, "--socket", desk->socket);
    add(&words, "--listen", desk->listen);
    add(&words, "--url", desk->url);
    for (size_t i = 0; i < json_array_size(desk->via); i++)
        add(&words, "--via", json_string_value(json_array_get(desk->via, i)));
    if (play->is_after)
        add(&words, "--after", play->why);
    words.words[words.count] = NULL;
    /* only a staging drill has secrets to open, which may be named by the environment */
    const struct stanch_child_spec spec = {
        .argv = words.words, .env = strcmp(play->kind, "staging") == 0 ? (const char *const *)environ : NULL};
    return stanch_child_start(desk->loop, &spec, &events, play, &play->child, err);
}

/* Its place is there. */
static int launch(struct stanch_play *play, const char *dir, const char *keep, int64_t within_ms,
                  struct stanch_err *err)
{
    struct stanch_desk *desk = play->desk;
    STANCH_AUTO_JSON json_t *begin = json_pack("{s:s}", "t", "begin");
    stanch_json_set_str(begin, "proxy_hash", desk->proxy_hash[0] ? desk->proxy_hash : NULL);
    int rc = spawn(play, dir, keep, err);
    if (rc == 0 && (rc = stanch_channel_send(stanch_child_channel(play->child), begin, NULL, 0, err)) < 0)
        stanch_child_free(STANCH_TAKE(play->child));
    if (rc == 0)
        play->late = stanch_timer_start(desk->loop, within_ms, on_late, play);
    return rc;
}

static void enlist(struct stanch_play *play)
{
    play->next = play->desk->plays;
    play->desk->plays = play;
}

int stanch_play__start(struct stanch_play *play, struct stanch_err *err)
{
    struct stanch_desk *desk = play->desk;
    STANCH_AUTO_FREE char *dir = stanch_asprintf("%s/drills/%s", desk->state_dir, play->id);
    STANCH_AUTO_FREE char *keep = stanch_asprintf("%s/drills/kept", desk->state_dir);
    int rc = clear_place(dir, err);
    rc = rc ? rc : make_dirs(desk->state_dir, dir, err);
    rc = rc ? rc : make_dirs(desk->state_dir, keep, err);
    rc = rc ? rc : launch(play, dir, keep, BEGIN_MS, err);
    if (rc == 0)
        enlist(play);
    return rc;
}

void stanch_play__put_away(struct stanch_play *play)
{
    struct stanch_desk *desk = play->desk;
    struct stanch_err err;
    STANCH_AUTO_FREE char *dir = stanch_asprintf("%s/drills/%s", desk->state_dir, play->id);
    STANCH_AUTO_FREE char *keep = stanch_asprintf("%s/drills/kept", desk->state_dir);
    if (find_play(desk, play->id) != play)
        enlist(play);
    stanch_timer_stop(desk->loop, &play->late);
    stanch_child_free(STANCH_TAKE(play->child));
    play->is_after = true;
    stanch_log(STANCH_LOG_WARN, "drill", "%s (%s): %s; what it left is put away", play->id, play->name, play->why);
    if (stanch_play__is_live(play) && play->commit[0] && launch(play, dir, keep, AFTER_MS, &err) == 0)
        return;
    if (stanch_play__is_live(play))
        note_why(play, play->commit[0] ? err.text : "from which runbooks it was played is not known");
    say_over(play, NULL);
    free_play(play);
}

void stanch_play__end(struct stanch_play *play, const char *why)
{
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *frame = json_pack("{s:s, s:s}", "t", "end", "why", why);
    if (play->is_ending || play->is_over || play->is_after)
        return;
    play->is_ending = true;
    (void)snprintf(play->why, sizeof play->why, "%s", why);
    if (stanch_channel_send(stanch_child_channel(play->child), frame, NULL, 0, &err) < 0)
        stanch_child_kill(play->child);
    stanch_timer_stop(play->desk->loop, &play->late);
    play->late = stanch_timer_start(play->desk->loop, END_MS, on_late, play);
}

void stanch_play__reload(struct stanch_play *play)
{
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *frame = json_pack("{s:s}", "t", "reload");
    if (play->is_after)
        return;
    if (stanch_channel_send(stanch_child_channel(play->child), frame, NULL, 0, &err) < 0)
        stanch_play__end(play, "it could not be told that the people file has changed");
}

void stanch_play__leave(struct stanch_play *play)
{
    tell_waiting(play, STANCH_E_UNAVAILABLE, "stanch is shutting down");
    stanch_child_abandon(STANCH_TAKE(play->child));
    free_play(play);
}
