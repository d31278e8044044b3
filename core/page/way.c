/* way.c: one instance that people are paged through: its queue, its one call, its outages.
 *
 *   subject --enqueue--> queue --pump--> nothing to tell: dropped
 *                          |               trigger, and many lately: held --> one page for all of them
 *                          +--------------> call --done--> noted in the journal, the next one
 *                                             \--failed--> back-off, said; for good: given up, said
 *
 * Bounds: MAX_QUEUED subjects; what is over it is found again in the journal when there is room.
 */
#include "page/room.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define MAX_QUEUED     1000
#define LOOKS          64 /* subjects of the queue that are looked at in one turn of the loop */
#define OWN_WITHIN_MS  60000
#define TOGETHER_MS    10000           /* between two pages for many */
#define REMIND_MS      (5 * 60 * 1000) /* between two reminders of one page for many */
#define FIRST_RETRY_MS 1000
#define LAST_RETRY_MS  60000
#define FOR_GOOD       3 /* tries of what asking again does not help */
#define GIVE_UP_MS     (24 * 3600 * 1000)
#define DEADLINE_MS    20000

/* ---- the queue ---- */

static void pump(struct stanch_way *way);

static void on_look(void *ctx)
{
    struct stanch_way *way = ctx;
    way->timer = NULL;
    pump(way);
}

/* Later, never from inside of a follower: telling appends. */
static void look_soon(struct stanch_way *way)
{
    if (!way->timer && !way->pager->is_halted)
        way->timer = stanch_timer_start(way->pager->loop, 0, on_look, way);
}

void stanch_way__enqueue(struct stanch_way *way, const char *subject)
{
    if (json_object_get(way->queue, subject))
        return;
    if (json_object_size(way->queue) + json_object_size(way->held) >= MAX_QUEUED)
        way->is_over_bound = true; /* recalled when there is room */
    else
        json_object_set_new(way->queue, subject, json_true());
    look_soon(way);
}

void stanch_way__drop(struct stanch_way *way, const char *subject)
{
    json_object_del(way->queue, subject);
    json_object_del(way->held, subject);
    json_object_del(way->tries, subject);
}

/* ---- the answer ---- */

static void on_retry(void *ctx)
{
    struct stanch_way *way = ctx;
    way->retry = NULL;
    pump(way);
}

static void finish_told(struct stanch_way *way)
{
    bool is_trigger = way->step == STANCH_PAGE__ASKED;
    way->told++;
    way->retry_ms = 0;
    way->why[0] = 0;
    if (way->is_failing) {
        way->is_failing = false;
        stanch_log(STANCH_LOG_INFO, "page", "%s pages people again", way->name);
        stanch_page__say(way, "paging.recovered", NULL);
    }
    if (is_trigger && stanch_page__is_for_many(way->key)) {
        way->together_ms = stanch_loop_mono_ms(way->pager->loop);
        (void)snprintf(way->group, sizeof way->group, "%s", way->key);
        stanch_page__count_member(way, way->key, (int)json_array_size(way->subjects));
    } else if (way->step == STANCH_PAGE__REMINDED && stanch_page__is_for_many(way->key)) {
        json_object_set_new(way->reminded, way->key, json_integer(stanch_loop_mono_ms(way->pager->loop)));
    } else if (is_trigger) {
        way->own_ms[way->own_at++ % STANCH_PAGE__OWN] = stanch_loop_mono_ms(way->pager->loop);
    } else if (way->step == STANCH_PAGE__OVER && stanch_page__is_for_many(way->key)) {
        stanch_page__count_member(way, way->key, -1);
    }
    stanch_page__note_told(way, way->step == STANCH_PAGE__OVER ? "notice.closed" : "notice.told");
}

/* helps: asking again can help. A subject that nothing helps goes behind the others, and is given up after a while. */
static void count_try(struct stanch_way *way, const char *subject, bool helps)
{
    int64_t now = stanch_loop_mono_ms(way->pager->loop);
    json_t *tries = json_object_get(way->tries, subject);
    if (!tries) {
        tries = json_pack("{s:i, s:I}", "bad", 0, "since_ms", (json_int_t)now);
        json_object_set_new(way->tries, subject, tries);
    }
    int64_t bad = stanch_json_int(tries, "bad", 0) + !helps;
    json_object_set_new(tries, "bad", json_integer(bad));
    if (bad >= FOR_GOOD || now - stanch_json_int(tries, "since_ms", now) >= GIVE_UP_MS) {
        stanch_page__note_one(way, subject, "notice.failed", way->step, way->key, way->why);
        stanch_way__drop(way, subject);
    } else if (!json_object_get(way->held, subject)) {
        json_object_del(way->queue, subject);
        json_object_set_new(way->queue, subject, json_true());
    }
}

static void finish_failed(struct stanch_way *way, const char *why, bool helps)
{
    size_t i;
    json_t *subject;
    way->failures++;
    (void)snprintf(way->why, sizeof way->why, "%s", why);
    if (!way->is_failing) {
        way->is_failing = true;
        stanch_log(STANCH_LOG_WARN, "page", "%s cannot page people: %s; tried again, nothing waits for it", way->name,
                   why);
        stanch_page__say(way, "paging.failing", way->why);
    }
    json_array_foreach(way->subjects, i, subject) count_try(way, json_string_value(subject), helps);
    way->retry_ms = way->retry_ms ? way->retry_ms * 2 : FIRST_RETRY_MS;
    if (way->retry_ms > LAST_RETRY_MS)
        way->retry_ms = LAST_RETRY_MS;
    way->retry = stanch_timer_start(way->pager->loop, way->retry_ms, on_retry, way);
}

static void on_answer(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_way *way = ctx;
    if (way->pager->is_halted)
        return;
    way->is_busy = false;
    if (answer->outcome == STANCH_OUTCOME_DONE)
        finish_told(way);
    else /* unknown: it may have arrived; under the same key it is the same page */
        finish_failed(way, answer->err.text, answer->retry || answer->outcome == STANCH_OUTCOME_UNKNOWN);
    json_decref(STANCH_TAKE(way->subjects));
    look_soon(way);
}

/* ---- telling ---- */

/* way->subjects, ->step and ->key are set. card: borrowed */
static void tell(struct stanch_way *way, const struct stanch_page__card *card)
{
    struct stanch_pager *pager = way->pager;
    struct stanch_err err = {0};
    bool is_send = false;
    const json_t *described = pager->port.describe(pager->port.ctx, way->name);
    const char *action = stanch_page__action(described, way->step, &is_send);
    int rc = STANCH_E_UNAVAILABLE;
    if (action) {
        json_t *args = stanch_page__args(card, is_send);
        /* the same for each try of this step, in every life of the daemon */
        STANCH_AUTO_FREE char *once =
            stanch_asprintf("%s%s%s/%d/%s", card->drill ? card->drill : "", card->drill ? "/" : "", way->key,
                            (int)way->step, json_string_value(json_array_get(way->subjects, 0)));
        STANCH_AUTO_JSON json_t *input = json_pack("{s:o, s:s}", "args", args, "key", once);
        const struct stanch_plugin_request request = {
            .instance = way->name, .op = "read", .action = action, .input = input, .deadline_ms = DEADLINE_MS};
        rc = pager->port.call(pager->port.ctx, &request, on_answer, way, NULL, &err);
    } else {
        stanch_err_set(&err, rc, "the plugin is %s", stanch_json_str(described, "state", "not there"));
    }
    way->is_busy = rc == 0;
    if (rc == 0)
        return;
    finish_failed(way, err.text, rc != STANCH_E_TOO_LARGE && rc != STANCH_E_INVALID);
    json_decref(STANCH_TAKE(way->subjects));
}

static json_t *incident_of(const struct stanch_way *way, const json_t *doc)
{
    const char *incident = stanch_json_str(doc, "incident", NULL);
    return incident ? stanch_journal_get(way->pager->journal, STANCH_VIEW_COMMITTED, "incident", incident) : NULL;
}

/* The drill that all of this is of; NULL: it is real. */
static const char *drill_of(const struct stanch_way *way)
{
    return stanch_json_str(way->pager->paging, "drill", NULL);
}

static const char *url_of(const struct stanch_way *way)
{
    return stanch_json_str(way->pager->paging, "url", NULL);
}

static void tell_one(struct stanch_way *way, const char *subject, const json_t *doc, enum stanch_page__step step,
                     const char *key)
{
    STANCH_AUTO_JSON json_t *incident = incident_of(way, doc);
    way->subjects = json_pack("[s]", subject);
    way->step = step;
    (void)snprintf(way->key, sizeof way->key, "%s", key);
    bool many = stanch_page__is_for_many(key);
    STANCH_AUTO_JSON json_t *all = many ? json_pack("[O]", doc) : NULL;
    const struct stanch_page__card card = {.step = step,
                                           .key = way->key,
                                           .subject = many ? all : doc,
                                           .incident = incident,
                                           .url = url_of(way),
                                           .drill = drill_of(way),
                                           .is_page = !many && stanch_page__is_page(subject)};
    tell(way, &card);
}

/* ---- many at once ---- */

static bool is_crowded(const struct stanch_way *way)
{
    int64_t oldest = way->own_ms[way->own_at % STANCH_PAGE__OWN];
    return way->own_at >= STANCH_PAGE__OWN && stanch_loop_mono_ms(way->pager->loop) - oldest < OWN_WITHIN_MS;
}

static void on_group_time(void *ctx)
{
    struct stanch_way *way = ctx;
    way->group_time = NULL;
    pump(way);
}

/* How bad the worst of them is. new, or NULL */
static json_t *worst_incident(const struct stanch_way *way, const json_t *docs)
{
    json_t *worst = NULL, *doc;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)docs, i, doc)
    {
        json_t *one = incident_of(way, doc);
        if (one &&
            (!worst || strcmp(stanch_json_str(one, "severity", "z"), stanch_json_str(worst, "severity", "z")) < 0)) {
            json_decref(worst);
            worst = json_incref(one);
        }
        json_decref(one);
    }
    return worst;
}

/* One page for all that is held; a group that is open takes them in: who has it knows that there is much to do. */
static void tell_together(struct stanch_way *way)
{
    STANCH_AUTO_JSON json_t *docs = json_array();
    json_t *subjects = json_array(), *value;
    const char *subject;
    void *next;
    json_object_foreach_safe(way->held, next, subject, value)
    {
        STANCH_AUTO_JSON json_t *doc = stanch_page__read_subject(way, subject),
                                *notice = stanch_page__read_notice(way, subject);
        if (stanch_page__step_of(way, doc, notice) == STANCH_PAGE__ASKED) {
            json_array_append(docs, doc);
            json_array_append_new(subjects, json_string(subject));
        } else {
            json_object_del(way->held, subject);
        }
    }
    if (json_array_size(subjects) == 0) {
        json_decref(subjects);
        return;
    }
    way->subjects = subjects;
    way->step = STANCH_PAGE__ASKED;
    if (way->group[0])
        (void)snprintf(way->key, sizeof way->key, "%s", way->group);
    else
        (void)snprintf(way->key, sizeof way->key, "many-%s", json_string_value(json_array_get(subjects, 0)));
    STANCH_AUTO_JSON json_t *incident = worst_incident(way, docs);
    const struct stanch_page__card card = {.step = way->step,
                                           .key = way->key,
                                           .subject = docs,
                                           .incident = incident,
                                           .url = url_of(way),
                                           .drill = drill_of(way)};
    tell(way, &card);
}

struct crowd {
    const struct stanch_way *way;
    const char *key;
    json_t *questions;
};

static void add_waiting(void *ctx, const json_t *notice)
{
    struct crowd *crowd = ctx;
    const char *subject = stanch_json_str(notice, "about", "");
    if (stanch_page__is_page(subject) || strcmp(stanch_json_str(notice, "key", ""), crowd->key) != 0)
        return;
    json_t *doc = stanch_page__read_subject(crowd->way, subject);
    if (doc && stanch_json_bool(doc, "open", true))
        json_array_append(crowd->questions, doc);
    json_decref(doc);
}

/* All of it once more, for one that ends soon. doc: of that one */
static void remind_together(struct stanch_way *way, const char *subject, const json_t *doc, const char *key)
{
    STANCH_AUTO_FREE char *own = stanch_asprintf("%s/", way->name);
    STANCH_AUTO_JSON json_t *questions = json_array();
    struct crowd crowd = {way, key, questions};
    struct stanch_err err = {0};
    int rc = stanch_page__each_open(way->pager->journal, "notice", NULL, own, add_waiting, &crowd, &err);
    if (rc < 0 || json_array_size(questions) == 0) { /* that one waits in any case */
        json_array_clear(questions);
        json_array_append(questions, (json_t *)(uintptr_t)doc);
    }
    STANCH_AUTO_JSON json_t *incident = worst_incident(way, questions);
    way->subjects = json_pack("[s]", subject);
    way->step = STANCH_PAGE__REMINDED;
    (void)snprintf(way->key, sizeof way->key, "%s", key);
    const struct stanch_page__card card = {.step = way->step,
                                           .key = way->key,
                                           .subject = questions,
                                           .incident = incident,
                                           .url = url_of(way),
                                           .drill = drill_of(way)};
    tell(way, &card);
}

/* Of many that end at about the same time the first one reminds of all; the others are known with it. */
static void remind_member(struct stanch_way *way, const char *subject, const json_t *doc, const char *key)
{
    int64_t last_ms = stanch_json_int(way->reminded, key, 0);
    if (!last_ms || stanch_loop_mono_ms(way->pager->loop) - last_ms >= REMIND_MS) {
        remind_together(way, subject, doc, key);
        return;
    }
    stanch_page__note_one(way, subject, "notice.told", STANCH_PAGE__REMINDED, key, NULL);
    stanch_way__drop(way, subject);
}

static void see_to_held(struct stanch_way *way)
{
    if (json_object_size(way->held) == 0 || way->group_time)
        return;
    int64_t left = way->together_ms ? way->together_ms + TOGETHER_MS - stanch_loop_mono_ms(way->pager->loop) : 0;
    if (left > 0)
        way->group_time = stanch_timer_start(way->pager->loop, left, on_group_time, way);
    else
        tell_together(way);
}

/* ---- the pump ---- */

/* One that was told together with others ends with the last of them. */
static void end_member(struct stanch_way *way, const char *subject, const json_t *doc, const char *key)
{
    if (stanch_json_int(way->members, key, 0) <= 1) {
        tell_one(way, subject, doc, STANCH_PAGE__OVER, key);
        return;
    }
    stanch_page__note_one(way, subject, "notice.closed", STANCH_PAGE__OVER, key, NULL);
    stanch_page__count_member(way, key, -1);
    stanch_way__drop(way, subject);
}

/* One among many is acknowledged: the page for all of them stays as it is. */
static void note_known(struct stanch_way *way, const char *subject, const char *key)
{
    stanch_page__note_one(way, subject, "notice.told", STANCH_PAGE__ACKNOWLEDGED, key, NULL);
    stanch_way__drop(way, subject);
}

static void look(struct stanch_way *way, const char *subject)
{
    STANCH_AUTO_JSON json_t *doc = stanch_page__read_subject(way, subject),
                            *notice = stanch_page__read_notice(way, subject);
    enum stanch_page__step step = stanch_page__step_of(way, doc, notice);
    const char *key = stanch_json_str(notice, "key", subject);
    if (step == STANCH_PAGE__NOTHING) {
        stanch_way__drop(way, subject);
    } else if (step == STANCH_PAGE__ASKED && is_crowded(way)) {
        json_object_set_new(way->held, subject, json_true());
        json_object_del(way->queue, subject);
    } else if (step == STANCH_PAGE__OVER && stanch_page__is_for_many(key)) {
        end_member(way, subject, doc, key);
    } else if (step == STANCH_PAGE__REMINDED && stanch_page__is_for_many(key)) {
        remind_member(way, subject, doc, key);
    } else if (step == STANCH_PAGE__ACKNOWLEDGED && stanch_page__is_for_many(key)) {
        note_known(way, subject, key);
    } else {
        tell_one(way, subject, doc, step, key);
    }
}

static void recall(struct stanch_way *way)
{
    struct stanch_err err = {0};
    if (stanch_page__recall(way, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "page", "what is open could not be read: %s", err.text);
}

static void pump(struct stanch_way *way)
{
    if (way->pager->is_halted)
        return;
    for (int looks = 0; !way->is_busy && !way->retry; looks++) {
        void *first = json_object_iter(way->queue);
        if (!first)
            break;
        if (looks >= LOOKS) {
            look_soon(way);
            return;
        }
        STANCH_AUTO_FREE char *subject = stanch_strdup(json_object_iter_key(first));
        look(way, subject);
    }
    if (way->is_busy || way->retry)
        return;
    see_to_held(way);
    if (!way->is_busy && way->is_over_bound && json_object_size(way->held) == 0)
        recall(way);
}

/* ---- life ---- */

struct stanch_way *stanch_way__new(struct stanch_pager *pager, const char *name)
{
    struct stanch_way *way = STANCH_NEW(struct stanch_way);
    way->pager = pager;
    way->name = name;
    way->queue = json_object();
    way->held = json_object();
    way->tries = json_object();
    way->members = json_object();
    way->reminded = json_object();
    way->unwritten = json_object();
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(pager->journal, STANCH_VIEW_COMMITTED, "paging", name);
    way->is_failing = strcmp(stanch_json_str(doc, "state", ""), "failing") == 0;
    if (way->is_failing)
        (void)snprintf(way->why, sizeof way->why, "%s", stanch_json_str(doc, "why", ""));
    return way;
}

void stanch_way__stop(struct stanch_way *way)
{
    stanch_timer_stop(way->pager->loop, &way->timer);
    stanch_timer_stop(way->pager->loop, &way->retry);
    stanch_timer_stop(way->pager->loop, &way->group_time);
}

void stanch_way__free(struct stanch_way *way)
{
    json_decref(way->queue);
    json_decref(way->held);
    json_decref(way->tries);
    json_decref(way->members);
    json_decref(way->reminded);
    json_decref(way->unwritten);
    json_decref(way->subjects);
    free(way);
}

json_t *stanch_way__status(const struct stanch_way *way)
{
    int64_t waiting = (int64_t)(json_object_size(way->queue) + json_object_size(way->held));
    json_t *status =
        json_pack("{s:s, s:s, s:I, s:I, s:I}", "instance", way->name, "state", way->is_failing ? "failing" : "working",
                  "waiting", (json_int_t)waiting, "told", (json_int_t)way->told, "failures", (json_int_t)way->failures);
    stanch_json_set_str(status, "why", way->is_failing ? way->why : NULL);
    return status;
}
