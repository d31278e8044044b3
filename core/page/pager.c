/* pager.c: what happens to subjects reaches every way; pages end with their incident; from start to free. */
#include "page/room.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

/* ---- pages end with their incident ---- */

struct closing {
    struct stanch_pager *pager;
    struct stanch_batch *batch;
    int count;
};

static void close_page(void *ctx, const json_t *doc)
{
    struct closing *closing = ctx;
    const char *chain = stanch_json_str(doc, "incident", STANCH_CHAIN_NONE);
    STANCH_AUTO_JSON json_t *incident =
        stanch_journal_get(closing->pager->journal, STANCH_VIEW_COMMITTED, "incident", chain);
    if (!incident || stanch_json_bool(incident, "open", true))
        return;
    stanch_batch_add(closing->batch, chain, "page.closed", STANCH_BY_STANCH, NULL,
                     json_pack("{s:s, s:s+}", "page", stanch_json_str(doc, "id", ""), "why", "its incident is ",
                               stanch_json_str(incident, "state", "")));
    closing->count++;
}

static int close_pages(struct stanch_pager *pager, const char *chain, struct stanch_err *err)
{
    struct closing closing = {.pager = pager, .batch = stanch_batch_new()};
    int rc = stanch_page__each_open(pager->journal, "page", chain, NULL, close_page, &closing, err);
    if (rc == 0 && closing.count > 0)
        (void)stanch_page__append(pager, closing.batch); /* left open otherwise: looked at again at the next start */
    else
        stanch_batch_free(closing.batch);
    return rc;
}

static bool is_via(const struct stanch_pager *pager, const char *name)
{
    const json_t *via = json_object_get(pager->paging, "via");
    for (size_t i = 0; i < json_array_size(via); i++)
        if (strcmp(json_string_value(json_array_get(via, i)), name) == 0)
            return true;
    return false;
}

/* An instance that is no longer in the configuration hears of nothing: what is over is closed without a word to it. */
static void close_foreign(void *ctx, const json_t *doc)
{
    struct closing *closing = ctx;
    const char *about = stanch_json_str(doc, "about", "");
    if (is_via(closing->pager, stanch_json_str(doc, "instance", "")))
        return;
    STANCH_AUTO_JSON json_t *subject = stanch_journal_get(closing->pager->journal, STANCH_VIEW_COMMITTED,
                                                          stanch_page__is_page(about) ? "page" : "approval", about);
    if (subject && stanch_json_bool(subject, "open", true))
        return;
    stanch_batch_add(closing->batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "notice.dropped",
                     STANCH_BY_STANCH, NULL,
                     json_pack("{s:O, s:O, s:s}", "notice", json_object_get(doc, "id"), "instance",
                               json_object_get(doc, "instance"), "about", about));
    closing->count++;
}

static int drop_foreign(struct stanch_pager *pager, struct stanch_err *err)
{
    struct closing closing = {.pager = pager, .batch = stanch_batch_new()};
    int rc = stanch_page__each_open(pager->journal, "notice", NULL, NULL, close_foreign, &closing, err);
    if (rc == 0 && closing.count > 0)
        (void)stanch_page__append(pager, closing.batch);
    else
        stanch_batch_free(closing.batch);
    return rc;
}

static void on_ending(void *ctx)
{
    struct stanch_pager *pager = ctx;
    struct stanch_err err = {0};
    const char *chain;
    json_t *value;
    pager->ending = NULL;
    json_object_foreach(pager->ended, chain, value)
    {
        if (close_pages(pager, chain, &err) < 0)
            stanch_log(STANCH_LOG_ERROR, "page", "pages of %s could not be read: %s", chain, err.text);
    }
    json_object_clear(pager->ended);
}

/* ---- news ---- */

static void on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_pager *pager = ctx;
    const char *subject = NULL;
    if (strncmp(entry->kind, "approval.", 9) == 0)
        subject = stanch_json_str(entry->data, "approval", NULL);
    else if (strncmp(entry->kind, "page.", 5) == 0)
        subject = stanch_json_str(entry->data, "page", NULL);
    for (struct stanch_way *way = subject ? pager->ways : NULL; way; way = way->next)
        stanch_way__enqueue(way, subject);
    if (strcmp(entry->kind, "incident.resolved") != 0 && strcmp(entry->kind, "incident.merged") != 0)
        return;
    json_object_set_new(pager->ended, entry->chain, json_true());
    if (!pager->ending)
        pager->ending = stanch_timer_start(pager->loop, 0, on_ending, pager);
}

/* ---- life ---- */

int stanch_pager_check(const json_t *paging, const struct stanch_pager_port *port, struct stanch_err *err)
{
    const json_t *via = json_object_get(paging, "via");
    for (size_t i = 0; i < json_array_size(via); i++) {
        const char *name = json_string_value(json_array_get(via, i));
        const json_t *described = port->describe(port->ctx, name);
        bool is_send;
        if (strcmp(stanch_json_str(described, "state", ""), "up") == 0 &&
            !stanch_page__action(described, STANCH_PAGE__ASKED, &is_send))
            return stanch_err_set(err, STANCH_E_INVALID,
                                  "paging.via: %s \"%s\" cannot page: it has neither the notices trigger, acknowledge "
                                  "and resolve nor send",
                                  stanch_json_str(described, "plugin", ""), name);
    }
    return 0;
}

int stanch_pager_start(struct stanch_loop *loop, struct stanch_journal *journal, const json_t *paging,
                       const struct stanch_pager_port *port, struct stanch_pager **ret, struct stanch_err *err)
{
    struct stanch_pager *pager = STANCH_NEW(struct stanch_pager);
    struct stanch_way **last = &pager->ways;
    const json_t *via = json_object_get(paging, "via");
    pager->loop = loop;
    pager->journal = journal;
    pager->paging = paging;
    pager->port = *port;
    pager->ended = json_object();
    pager->may_know = json_object();
    pager->follower = stanch_journal_follow(journal, on_entry, pager);
    int rc = close_pages(pager, NULL, err);
    if (rc == 0)
        rc = drop_foreign(pager, err);
    for (size_t i = 0; rc == 0 && i < json_array_size(via); i++, last = &(*last)->next) {
        *last = stanch_way__new(pager, json_string_value(json_array_get(via, i)));
        rc = stanch_page__recall(*last, err);
    }
    if (rc < 0) {
        stanch_pager_free(pager);
        return rc;
    }
    *ret = pager;
    return 0;
}

int stanch_pager_end(struct stanch_pager *pager, struct stanch_err *err)
{
    int rc = 0;
    pager->is_over = true;
    for (struct stanch_way *way = pager->ways; rc == 0 && way; way = way->next) {
        json_object_clear(way->held);
        rc = stanch_page__recall(way, err);
    }
    return rc;
}

static void add_open(void *ctx, const json_t *doc)
{
    json_object_set_new(ctx, stanch_json_str(doc, "id", ""), json_true());
}

int stanch_pager_end_killed(struct stanch_pager *pager, struct stanch_err *err)
{
    int rc = stanch_page__each_open(pager->journal, "approval", NULL, NULL, add_open, pager->may_know, err);
    rc = rc ? rc : stanch_page__each_open(pager->journal, "page", NULL, NULL, add_open, pager->may_know, err);
    return rc ? rc : stanch_pager_end(pager, err);
}

json_t *stanch_pager_status(const struct stanch_pager *pager)
{
    json_t *list = json_array();
    int64_t waiting = 0, failing = 0, told = 0, failures = 0;
    for (const struct stanch_way *way = pager->ways; way; way = way->next) {
        json_t *one = stanch_way__status(way);
        waiting += stanch_json_int(one, "waiting", 0);
        failing += way->is_failing;
        told += way->told;
        failures += way->failures;
        json_array_append_new(list, one);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "waiting", (json_int_t)waiting, "failing", (json_int_t)failing,
                     "told", (json_int_t)told, "failures", (json_int_t)failures, "via", list);
}

void stanch_pager_halt(struct stanch_pager *pager)
{
    if (!pager || pager->is_halted)
        return;
    pager->is_halted = true;
    stanch_journal_unfollow(pager->journal, pager->follower);
    stanch_timer_stop(pager->loop, &pager->ending);
    for (struct stanch_way *way = pager->ways; way; way = way->next)
        stanch_way__stop(way);
}

void stanch_pager_free(struct stanch_pager *pager)
{
    if (!pager)
        return;
    stanch_pager_halt(pager);
    while (pager->ways) {
        struct stanch_way *way = pager->ways;
        pager->ways = way->next;
        stanch_way__free(way);
    }
    json_decref(pager->ended);
    json_decref(pager->may_know);
    free(pager);
}
