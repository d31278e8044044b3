/* serve_keep.c: a place is idle, busy (its process runs), or waits for its next time: the schedule's, or sooner after a
 * failure. A place that has what is committed already is left alone. */
#include "serve_keep.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/times.h"
#include "plugin/secret_open.h"
#include "serve_errand.h"
#include "timeline/store.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define FIRST_MS          2000 /* after the start: the first events come before the first checkpoint */
#define FIRST_RETRY_MS    5000
#define SEND_DEADLINE_MS  60000
#define CHECK_DEADLINE_MS (6 * 3600 * 1000)
#define FINISH_MS         5000

struct place {
    struct stanch_keep *keep;
    char *to; /* as `offline checkpoint --to` takes it */
    struct stanch_errand *errand;
    struct stanch_timer *timer;
    int64_t retry_ms; /* 0: it worked last time */
    int64_t entries;  /* of the last checkpoint there; -1: none yet */
    int64_t kept_mono_ms, kept_wall_ms, failures;
    int64_t sent_entries;
    char why[300];
};

/* Somebody who asked for the check and waits. */
struct asker {
    struct asker *next;
    stanch_flow_done done;
    void *ctx;
};

struct stanch_keep {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_keep_config config;
    char *exe, *state_dir;
    int64_t every_ms, began_mono_ms;
    struct place places[3];
    int place_count;
    struct stanch_errand *check;
    struct asker *askers;
    json_t *verdict; /* of the last check; NULL: none yet */
    char check_state[12];
    int64_t checked_ms;
    bool is_finishing;
};

/* ---- checkpoints ---- */

static void on_time(void *ctx);

static int64_t count_entries(const struct stanch_keep *keep)
{
    STANCH_AUTO_JSON json_t *health = stanch_journal_health(keep->journal);
    return stanch_json_int(health, "entries", 0);
}

static void wait_for(struct place *place, int64_t ms)
{
    stanch_timer_stop(place->keep->loop, &place->timer);
    if (!place->keep->is_finishing)
        place->timer = stanch_timer_start(place->keep->loop, ms, on_time, place);
}

static void tell_kept(struct place *place)
{
    if (place->retry_ms)
        stanch_log(STANCH_LOG_INFO, "keep", "checkpoints are kept again to=%s", place->to);
    place->retry_ms = 0;
    place->why[0] = 0;
    place->entries = place->sent_entries;
    place->kept_mono_ms = stanch_loop_mono_ms(place->keep->loop);
    place->kept_wall_ms = stanch_loop_wall_ms(place->keep->loop);
    wait_for(place, place->keep->every_ms);
}

static void tell_failed(struct place *place, const char *why)
{
    static const char own[] = "stanch: ";
    const char *text = strncmp(why, own, sizeof own - 1) == 0 ? why + sizeof own - 1 : why;
    int64_t every_ms = place->keep->every_ms, first_ms = every_ms < FIRST_RETRY_MS ? every_ms : FIRST_RETRY_MS;
    place->failures++;
    (void)snprintf(place->why, sizeof place->why, "%.*s", (int)strcspn(text, "\n"), text);
    if (!place->retry_ms)
        stanch_log(STANCH_LOG_WARN, "keep",
                   "a checkpoint could not be kept to=%s: %s; tried again, nothing waits for it", place->to,
                   place->why);
    place->retry_ms = place->retry_ms ? place->retry_ms * 2 : first_ms;
    if (place->retry_ms > every_ms)
        place->retry_ms = every_ms;
    wait_for(place, place->retry_ms);
}

static void on_sent(void *ctx, int code, const char *said, const char *complained)
{
    struct place *place = ctx;
    (void)said;
    place->errand = NULL;
    if (code == 0)
        tell_kept(place);
    else
        tell_failed(place, code < 0 ? "it did not answer in time" : complained);
}

static int open_token(const struct place *place, int *ret_fd, struct stanch_err *err)
{
    const json_t *token = json_object_get(place->keep->config.checkpoints, "token");
    *ret_fd = -1;
    if (strncmp(place->to, "http", 4) != 0 || !stanch_secret_is(token))
        return 0;
    return stanch_secret_open(token, "checkpoints.token", ret_fd, err);
}

static void send_to(struct place *place)
{
    struct stanch_keep *keep = place->keep;
    struct stanch_err err = {0};
    int fd;
    place->sent_entries = count_entries(keep);
    int rc = open_token(place, &fd, &err);
    const char *words[] = {"offline",
                           "checkpoint",
                           "--attached",
                           "--store",
                           keep->state_dir,
                           "--to",
                           place->to,
                           fd >= 0 ? "--token-fd" : NULL,
                           "3",
                           NULL};
    if (rc == 0)
        rc = stanch_errand_start(keep->loop, keep->exe, words, fd, SEND_DEADLINE_MS, on_sent, place, &place->errand,
                                 &err);
    if (rc < 0)
        tell_failed(place, err.text);
}

static void on_time(void *ctx)
{
    struct place *place = ctx;
    place->timer = NULL;
    if (place->entries == count_entries(place->keep) && !place->retry_ms)
        tell_kept(place); /* nothing is new */
    else
        send_to(place);
}

static void add_place(struct stanch_keep *keep, const char *key, const char *prefix)
{
    const char *where = stanch_json_str(keep->config.checkpoints, key, NULL);
    if (!where || keep->config.reads_only)
        return;
    struct place *place = &keep->places[keep->place_count++];
    place->keep = keep;
    place->entries = -1;
    place->to = stanch_asprintf("%s%s", prefix, where);
    place->kept_mono_ms = keep->began_mono_ms;
    wait_for(place, keep->every_ms < FIRST_MS ? keep->every_ms : FIRST_MS);
}

/* ---- the full check ---- */

static void answer_askers(struct stanch_keep *keep, int rc, const struct stanch_err *err)
{
    while (keep->askers) {
        struct asker *asker = keep->askers;
        keep->askers = asker->next;
        asker->done(asker->ctx, rc, err, rc == 0 ? keep->verdict : NULL);
        free(asker);
    }
}

static void tell_verdict(struct stanch_keep *keep)
{
    bool is_good = stanch_json_bool(keep->verdict, "ok", false);
    (void)snprintf(keep->check_state, sizeof keep->check_state, "%s", is_good ? "good" : "damaged");
    stanch_log(is_good ? STANCH_LOG_INFO : STANCH_LOG_ERROR, "keep", "the store was checked entries=%lld: %s",
               (long long)stanch_json_int(keep->verdict, "entries", 0),
               is_good ? "all is whole" : stanch_json_str(keep->verdict, "what", "it is damaged"));
    if (is_good)
        stanch_store_trust(keep->config.store);
    answer_askers(keep, 0, NULL);
    if (!is_good)
        keep->config.on_damage(keep->config.ctx, stanch_json_str(keep->verdict, "what", "it is damaged"));
}

static void on_checked(void *ctx, int code, const char *said, const char *complained)
{
    struct stanch_keep *keep = ctx;
    struct stanch_err err = {0};
    json_t *verdict = NULL;
    keep->check = NULL;
    keep->checked_ms = stanch_loop_wall_ms(keep->loop);
    if (code == 0 && stanch_json_parse(said, strlen(said), &stanch_json_own_limits, &verdict, &err) == 0) {
        json_decref(keep->verdict);
        keep->verdict = verdict;
        tell_verdict(keep);
        return;
    }
    (void)snprintf(keep->check_state, sizeof keep->check_state, "failed");
    stanch_err_set(&err, STANCH_E_STORE, "the check of the store did not come to its end: %.200s",
                   code < 0 ? "it was ended" : complained);
    stanch_log(STANCH_LOG_ERROR, "keep", "%s", err.text);
    answer_askers(keep, err.code, &err);
}

static int start_check(struct stanch_keep *keep, struct stanch_err *err)
{
    const char *words[] = {"offline", "check", "--attached", "--store", keep->state_dir, NULL};
    if (keep->check)
        return 0;
    int rc =
        stanch_errand_start(keep->loop, keep->exe, words, -1, CHECK_DEADLINE_MS, on_checked, keep, &keep->check, err);
    if (rc == 0)
        (void)snprintf(keep->check_state, sizeof keep->check_state, "running");
    return rc;
}

/* ---- what flow tells and asks ---- */

static int ask_check(void *ctx, stanch_flow_done done, void *done_ctx, struct stanch_err *err)
{
    struct stanch_keep *keep = ctx;
    int rc = start_check(keep, err);
    if (rc < 0)
        return rc;
    struct asker *asker = STANCH_NEW(struct asker), **last = &keep->askers;
    *asker = (struct asker){.done = done, .ctx = done_ctx};
    while (*last)
        last = &(*last)->next;
    *last = asker;
    return 0;
}

static json_t *place_status(const struct place *place)
{
    char at[32];
    stanch_time_text(place->kept_wall_ms, at);
    json_t *status = json_pack("{s:s, s:s, s:I}", "to", place->to, "state",
                               place->retry_ms      ? "failing"
                               : place->entries < 0 ? "none"
                                                    : "kept",
                               "failures", (json_int_t)place->failures);
    if (place->entries >= 0) {
        json_object_set_new(status, "at", json_string(at));
        json_object_set_new(status, "entries", json_integer(place->entries));
    }
    stanch_json_set_str(status, "why", place->retry_ms ? place->why : NULL);
    return status;
}

static json_t *checkpoint_status(const struct stanch_keep *keep)
{
    json_t *places = json_array();
    int64_t now = stanch_loop_mono_ms(keep->loop), oldest = now, failing = 0;
    for (int i = 0; i < keep->place_count; i++) {
        const struct place *place = &keep->places[i];
        oldest = place->kept_mono_ms < oldest ? place->kept_mono_ms : oldest;
        failing += place->retry_ms > 0;
        json_array_append_new(places, place_status(place));
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "every_ms", (json_int_t)keep->every_ms, "age_ms",
                     (json_int_t)(now - oldest), "failing", (json_int_t)failing, "places", places);
}

static void tell_status(void *ctx, json_t *status, json_t *why)
{
    const struct stanch_keep *keep = ctx;
    char at[32];
    bool is_damaged = strcmp(keep->check_state, "damaged") == 0;
    if (keep->place_count)
        json_object_set_new(status, "checkpoints", checkpoint_status(keep));
    json_t *check = json_pack("{s:s, s:b}", "state", keep->check_state, "damaged", is_damaged);
    if (keep->checked_ms) {
        stanch_time_text(keep->checked_ms, at);
        json_object_set_new(check, "at", json_string(at));
    }
    if (keep->verdict)
        json_object_set(check, "verdict", keep->verdict);
    json_object_set_new(status, "check", check);
    if (is_damaged) {
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("the store is damaged: %s", stanch_json_str(keep->verdict, "what", "the check says so"));
        json_array_append_new(why, json_string(text));
    }
}

struct stanch_flow_keeper stanch_keep_port(struct stanch_keep *keep)
{
    return (struct stanch_flow_keeper){.status = tell_status, .check = ask_check, .ctx = keep};
}

/* ---- life ---- */

/* A token that cannot be read is a mistake in the configuration: said at the start. */
static int try_token(const struct stanch_keep *keep, struct stanch_err *err)
{
    for (int i = 0; i < keep->place_count; i++) {
        int fd;
        int rc = open_token(&keep->places[i], &fd, err);
        if (rc < 0)
            return rc;
        if (fd >= 0)
            close(fd);
    }
    return 0;
}

int stanch_keep_start(struct stanch_loop *loop, struct stanch_journal *journal, const struct stanch_keep_config *config,
                      struct stanch_keep **ret, struct stanch_err *err)
{
    struct stanch_keep *keep = STANCH_NEW(struct stanch_keep);
    keep->loop = loop;
    keep->journal = journal;
    keep->config = *config;
    keep->exe = stanch_strdup(config->exe);
    keep->state_dir = stanch_strdup(config->state_dir);
    keep->every_ms = stanch_json_int(config->checkpoints, "every_ms", 3600000);
    keep->began_mono_ms = stanch_loop_mono_ms(loop);
    (void)snprintf(keep->check_state, sizeof keep->check_state, "none");
    add_place(keep, "file", "file:");
    add_place(keep, "git", "git:");
    add_place(keep, "webhook", "");
    int rc = try_token(keep, err);
    if (rc == 0 && !config->reads_only && stanch_store_is_suspect(config->store))
        rc = start_check(keep, err);
    if (rc < 0) {
        stanch_keep_free(keep);
        return rc;
    }
    *ret = keep;
    return 0;
}

static bool is_busy(const struct stanch_keep *keep)
{
    for (int i = 0; i < keep->place_count; i++)
        if (keep->places[i].errand)
            return true;
    return false;
}

static void on_enough(void *ctx)
{
    *(bool *)ctx = true;
}

void stanch_keep_finish(struct stanch_keep *keep)
{
    bool enough = false;
    if (!keep || !keep->place_count)
        return;
    keep->is_finishing = true;
    for (int i = 0; i < keep->place_count; i++) {
        struct place *place = &keep->places[i];
        stanch_timer_stop(keep->loop, &place->timer);
        stanch_errand_free(place->errand); /* it may be of before */
        place->errand = NULL;
        if (place->entries != count_entries(keep))
            send_to(place);
    }
    struct stanch_timer *timer = stanch_timer_start(keep->loop, FINISH_MS, on_enough, &enough);
    while (is_busy(keep) && !enough)
        uv_run(stanch_loop_uv(keep->loop), UV_RUN_ONCE);
    if (!enough)
        stanch_timer_stop(keep->loop, &timer);
    for (int i = 0; i < keep->place_count; i++)
        if (keep->places[i].errand || keep->places[i].retry_ms)
            stanch_log(STANCH_LOG_WARN, "keep", "the last checkpoint could not be kept to=%s", keep->places[i].to);
}

void stanch_keep_free(struct stanch_keep *keep)
{
    if (!keep)
        return;
    for (int i = 0; i < keep->place_count; i++) {
        stanch_timer_stop(keep->loop, &keep->places[i].timer);
        stanch_errand_free(keep->places[i].errand);
        free(keep->places[i].to);
    }
    stanch_errand_free(keep->check);
    struct stanch_err err;
    stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down");
    answer_askers(keep, err.code, &err);
    json_decref(keep->verdict);
    free(keep->exe);
    free(keep->state_dir);
    free(keep);
}
