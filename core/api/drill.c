/* drill.c: drills: begun, the coming ones, and the report of one that is over. */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

/* What is of kind "staging" acts, where that may be: it is for who may answer questions. */
void stanch_api__begin_drill(struct stanch_api__call *call)
{
    struct stanch_err err = {0};
    bool acts = strcmp(stanch_json_str(call->body, "kind", ""), "staging") == 0;
    if (acts && stanch_api__require(call, STANCH_MAY_APPROVE, " of kind staging", &err) < 0)
        stanch_api__fail(call, &err, NULL);
    else
        stanch_api__change(call);
}

static void fail(struct stanch_api__call *call, int rc, const struct stanch_err *err)
{
    stanch_api__fail_with(call, rc, err, rc == STANCH_E_NOT_FOUND ? "path" : NULL);
}

static void answer_text(struct stanch_api__call *call, const char *type, const char *text)
{
    stanch_http_answer(call->request, call->route->status, type, text, strlen(text), NULL);
    stanch_api__call_free(call);
}

static void ask(struct stanch_api__call *call, const char *command, stanch_flow_done done)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *input = json_object();
    stanch_json_set_str(input, "drill", call->parts[0]);
    int rc = stanch_flow_do(call->api->flow, call->who.name, command, input, done, call, &err);
    if (rc != 0)
        fail(call, rc, &err);
}

/* ---- the coming ones ---- */

static void on_coming(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_api__call *call = ctx;
    if (rc != 0) {
        fail(call, rc, err);
        return;
    }
    const json_t *coming = json_object_get(result, "coming");
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(coming); i++)
        json_array_append_new(items, stanch_api__view(json_array_get(coming, i)));
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:o}", "items", items);
    stanch_api__answer(call, answer);
}

void stanch_api__coming_drills(struct stanch_api__call *call)
{
    ask(call, "drill.coming", on_coming);
}

static void on_calendar(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_api__call *call = ctx;
    if (rc != 0)
        fail(call, rc, err);
    else
        answer_text(call, "text/calendar; charset=utf-8", stanch_json_str(result, "calendar", ""));
}

void stanch_api__drill_calendar(struct stanch_api__call *call)
{
    ask(call, "drill.coming", on_calendar);
}

/* ---- a report ---- */

static void on_report(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_api__call *call = ctx;
    struct stanch_err own = {0};
    enum stanch_api__form form;
    if (rc != 0) {
        fail(call, rc, err);
    } else if (stanch_api__read_form(call, STANCH_API__JSON | STANCH_API__MARKDOWN | STANCH_API__HTML, &form, &own) <
               0) {
        stanch_api__fail(call, &own, "query");
    } else if (form == STANCH_API__HTML) {
        answer_text(call, "text/html; charset=utf-8", stanch_json_str(result, "html", ""));
    } else if (form == STANCH_API__MARKDOWN) {
        answer_text(call, "text/markdown; charset=utf-8", stanch_json_str(result, "markdown", ""));
    } else {
        stanch_http_answer_json(call->request, call->route->status, json_object_get(result, "report"));
        stanch_api__call_free(call);
    }
}

void stanch_api__drill_report(struct stanch_api__call *call)
{
    ask(call, "drill.report", on_report);
}
