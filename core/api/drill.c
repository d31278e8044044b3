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
    struct stanch_err unknown;
    if (!err || err->code == 0) {
        stanch_err_set(&unknown, rc, "%s", stanch_err_word(rc));
        err = &unknown;
    }
    stanch_api__fail(call, err, rc == STANCH_E_NOT_FOUND ? "path" : NULL);
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

/* "format" says it; else what is accepted first. returns 0 | STANCH_E_INVALID */
static int read_format(const struct stanch_api__call *call, const char **ret, struct stanch_err *err)
{
    static const struct {
        const char *format, *type;
    } known[] = {{"json", "application/json"}, {"markdown", "text/markdown"}, {"html", "text/html"}};
    const char *format = stanch_http_query(call->request, "format");
    const char *accept = stanch_http_header(call->request, "accept");
    *ret = known[0].format;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (format ? strcmp(format, known[i].format) == 0
                   : accept && strncmp(accept, known[i].type, strlen(known[i].type)) == 0) {
            *ret = known[i].format;
            return 0;
        }
    }
    return format ? stanch_err_set(err, STANCH_E_INVALID, "format=%.40s: expected json, markdown or html", format) : 0;
}

static void on_report(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stanch_api__call *call = ctx;
    struct stanch_err own = {0};
    const char *format = NULL;
    if (rc != 0) {
        fail(call, rc, err);
    } else if (read_format(call, &format, &own) < 0) {
        stanch_api__fail(call, &own, "query");
    } else if (strcmp(format, "json") == 0) {
        stanch_http_answer_json(call->request, call->route->status, json_object_get(result, "report"));
        stanch_api__call_free(call);
    } else {
        bool is_page = strcmp(format, "html") == 0;
        answer_text(call, is_page ? "text/html; charset=utf-8" : "text/markdown; charset=utf-8",
                    stanch_json_str(result, format, ""));
    }
}

void stanch_api__drill_report(struct stanch_api__call *call)
{
    ask(call, "drill.report", on_report);
}
