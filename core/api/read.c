/* read.c: views of what is committed. */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static bool is_open_by_default(const char *noun)
{
    return strcmp(noun, "approval") == 0 || strcmp(noun, "mitigation") == 0 || strcmp(noun, "hold") == 0 ||
           strcmp(noun, "breaker") == 0;
}

static int read_open(const struct stanch_api__call *call, int *ret, struct stanch_err *err)
{
    const char *text = stanch_http_query(call->request, "open");
    if (!text)
        *ret = is_open_by_default(call->route->command) ? 1 : -1;
    else if (strcmp(text, "true") == 0)
        *ret = 1;
    else if (strcmp(text, "false") == 0)
        *ret = 0;
    else if (strcmp(text, "all") == 0)
        *ret = -1;
    else
        return stanch_err_set(err, STANCH_E_INVALID, "open=%.40s: expected true, false or all", text);
    return 0;
}

static int read_query(const struct stanch_api__call *call, struct stanch_noun_query *ret, struct stanch_err *err)
{
    int64_t limit = 0, before = 0;
    ret->noun = call->route->command;
    ret->chain = stanch_http_query(call->request, "incident");
    int rc = read_open(call, &ret->open, err);
    if (rc == 0)
        rc = stanch_api__query_int(call, "limit", 1, 1000, 100, &limit, err);
    if (rc == 0)
        rc = stanch_api__query_int(call, "before", 0, INT64_MAX, 0, &before, err);
    ret->limit = (int)limit;
    ret->before_seq = before;
    return rc;
}

/* {"items":[...],"next":seq|null}: the next page is ?before=next. */
static json_t *page(const json_t *docs, int limit)
{
    json_t *items = json_array();
    json_t *doc;
    size_t i;
    int64_t last_seq = 0;
    json_array_foreach(docs, i, doc)
    {
        json_array_append_new(items, stanch_api__view(doc));
        last_seq = stanch_json_int(doc, "seq", 0);
    }
    bool is_full = limit > 0 && json_array_size(docs) >= (size_t)limit && last_seq > 0;
    return json_pack("{s:o, s:o}", "items", items, "next", is_full ? json_integer(last_seq) : json_null());
}

static void answer_list(struct stanch_api__call *call, const struct stanch_noun_query *query)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *docs = NULL, *answer = NULL;
    if (stanch_journal_list(call->api->journal, query, &docs, &err) != 0) {
        stanch_api__fail(call, &err, NULL);
        return;
    }
    answer = page(docs, query->limit);
    stanch_api__answer(call, answer);
}

/* What was approved by breaking the glass: for review, so it stays listed whatever became of it. */
static int read_forced(const struct stanch_api__call *call, struct stanch_noun_query *ret, struct stanch_err *err)
{
    const char *text =
        strcmp(call->route->command, "approval") == 0 ? stanch_http_query(call->request, "forced") : NULL;
    if (!text)
        return 0;
    if (strcmp(text, "true") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "forced=%.40s: expected true", text);
    ret->noun = "forced";
    ret->open = -1;
    return 0;
}

void stanch_api__list(struct stanch_api__call *call)
{
    struct stanch_noun_query query = {0};
    struct stanch_err err = {0};
    if (read_query(call, &query, &err) != 0 || read_forced(call, &query, &err) != 0)
        stanch_api__fail(call, &err, "query");
    else
        answer_list(call, &query);
}

json_t *stanch_api__find(struct stanch_api__call *call, const char *noun)
{
    struct stanch_err err;
    json_t *doc = NULL;
    int rc = stanch_journal_find(call->api->journal, noun, call->parts[0], &doc, &err);
    if (rc == 0)
        return doc;
    if (rc == STANCH_E_NOT_FOUND)
        stanch_err_set(&err, rc, "no %s %.100s", noun, call->parts[0]);
    stanch_api__fail(call, &err, rc == STANCH_E_NOT_FOUND ? "path" : NULL);
    return NULL;
}

void stanch_api__get(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *doc = stanch_api__find(call, call->route->command);
    if (doc)
        stanch_api__answer(call, doc);
}

void stanch_api__runs_of(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *incident = stanch_api__find(call, "incident");
    struct stanch_noun_query query = {0};
    struct stanch_err err = {0};
    if (!incident)
        return;
    if (read_query(call, &query, &err) != 0) {
        stanch_api__fail(call, &err, "query");
        return;
    }
    query.chain = call->parts[0];
    answer_list(call, &query);
}

void stanch_api__why(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *told = NULL;
    struct stanch_err err = {0};
    int rc = stanch_flow_why(call->api->flow, call->parts[0], &told, &err);
    if (rc < 0)
        stanch_api__fail(call, &err, rc == STANCH_E_NOT_FOUND ? "path" : NULL);
    else
        stanch_api__answer(call, told);
}

static json_t *steps_of(const struct stanch_api__call *call, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *prefix = stanch_asprintf("%s/", call->parts[0]);
    STANCH_AUTO_JSON json_t *docs = NULL;
    const struct stanch_noun_query query = {.noun = "step", .id_prefix = prefix, .open = -1, .limit = 1000};
    if (stanch_journal_list(call->api->journal, &query, &docs, err) != 0)
        return NULL;
    json_t *steps = json_array();
    for (size_t i = json_array_size(docs); i-- > 0;) /* they come newest first */
        json_array_append_new(steps, stanch_api__view(json_array_get(docs, i)));
    return steps;
}

void stanch_api__get_run(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *doc = stanch_api__find(call, "run");
    struct stanch_err err = {0};
    json_t *steps = doc ? steps_of(call, &err) : NULL;
    if (!doc)
        return;
    if (!steps) {
        stanch_api__fail(call, &err, NULL);
        return;
    }
    json_object_set_new(doc, "steps", steps);
    stanch_api__answer(call, doc);
}

/* One of a list by its "name"; ends the call when there is none. borrowed from the list */
static json_t *named(struct stanch_api__call *call, const json_t *list, const char *noun)
{
    struct stanch_err err;
    json_t *item;
    size_t i;
    json_array_foreach(list, i, item)
    {
        if (strcmp(stanch_json_str(item, "name", ""), call->parts[0]) == 0)
            return item;
    }
    stanch_err_set(&err, STANCH_E_NOT_FOUND, "no %s %.100s", noun, call->parts[0]);
    stanch_api__fail(call, &err, "path");
    return NULL;
}

void stanch_api__runbooks(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = stanch_flow_status(call->api->flow);
    json_t *runbooks = stanch_flow_runbooks(call->api->flow), *item;
    size_t i;
    json_array_foreach(runbooks, i, item) json_object_del(item, "source");
    STANCH_AUTO_JSON json_t *answer =
        json_pack("{s:o, s:O?}", "items", runbooks, "book", json_object_get(status, "book"));
    stanch_api__answer(call, answer);
}

void stanch_api__runbook(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *runbooks = stanch_flow_runbooks(call->api->flow);
    const json_t *found = named(call, runbooks, "runbook");
    if (found)
        stanch_api__answer(call, found);
}

void stanch_api__plugins(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = stanch_flow_status(call->api->flow);
    json_t *plugins = json_object_get(status, "plugins");
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:o}", "items", plugins ? json_incref(plugins) : json_array());
    stanch_api__answer(call, answer);
}

void stanch_api__plugin(struct stanch_api__call *call)
{
    STANCH_AUTO_JSON json_t *status = stanch_flow_status(call->api->flow);
    const json_t *found = named(call, json_object_get(status, "plugins"), "plugin instance");
    if (found)
        stanch_api__answer(call, found);
}
