/* report.c: the draft of an incident's postmortem, as JSON or Markdown. Its timeline is read a page at a turn of the loop,
 * so that however long it is the others have theirs.
 *
 *   request --> reading --page--> later --page--> later ... --> answer
 */
#include "api/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "report/report.h"
#include <stdlib.h>
#include <string.h>

#define READINGS 4 /* at once: each keeps what it has read */

struct stanch_api__reading {
    struct stanch_api__reading *next;
    struct stanch_api *api;
    struct stanch_api__call *call;
    struct stanch_report *report;
    bool as_markdown;
};

static void drop(struct stanch_api__reading *reading)
{
    struct stanch_api__reading **at = &reading->api->readings;
    while (*at != reading)
        at = &(*at)->next;
    *at = reading->next;
    reading->api->reading_count--;
    stanch_report_free(reading->report);
    free(reading);
}

static void answer(struct stanch_api__reading *reading)
{
    struct stanch_api__call *call = reading->call;
    STANCH_AUTO_JSON json_t *report = stanch_report_json(reading->report, stanch_loop_wall_ms(reading->api->loop));
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    if (!reading->as_markdown) {
        stanch_api__answer(call, report);
        return;
    }
    stanch_report_markdown(report, &text);
    stanch_http_answer(call->request, call->route->status, "text/markdown; charset=utf-8", stanch_buf_str(&text),
                       text.len, NULL);
    stanch_api__call_free(call);
}

static void on_page(void *ctx)
{
    struct stanch_api__reading *reading = ctx;
    struct stanch_err err = {0};
    int rc = stanch_report_read(reading->report, &err);
    if (rc > 0) {
        stanch_loop_defer(reading->api->loop, on_page, reading);
        return;
    }
    if (rc < 0)
        stanch_api__fail(reading->call, &err, NULL);
    else
        answer(reading);
    drop(reading);
}

static int begin(struct stanch_api__call *call, struct stanch_err *err, const char **ret_where)
{
    struct stanch_report *report;
    struct stanch_api *api = call->api;
    enum stanch_api__form form;
    *ret_where = "query";
    int rc = stanch_api__read_form(call, STANCH_API__JSON | STANCH_API__MARKDOWN, &form, err);
    if (rc < 0)
        return rc;
    *ret_where = NULL;
    if (api->reading_count >= READINGS)
        return stanch_err_set(err, STANCH_E_BUSY, "%d reports are being made already; try again in a moment", READINGS);
    rc = stanch_report_new(api->journal, call->parts[0], &report, err);
    if (rc == STANCH_E_NOT_FOUND)
        *ret_where = "path";
    if (rc < 0)
        return rc;
    struct stanch_api__reading *reading = STANCH_NEW(struct stanch_api__reading);
    *reading = (struct stanch_api__reading){api->readings, api, call, report, form == STANCH_API__MARKDOWN};
    api->readings = reading;
    api->reading_count++;
    stanch_loop_defer(api->loop, on_page, reading);
    return 0;
}

void stanch_api__report(struct stanch_api__call *call)
{
    struct stanch_err err = {0};
    const char *where;
    if (begin(call, &err, &where) < 0)
        stanch_api__fail(call, &err, where);
}

void stanch_api__readings_end_all(struct stanch_api *api)
{
    while (api->readings) {
        struct stanch_api__reading *reading = api->readings;
        struct stanch_err err;
        stanch_loop_forget(api->loop, on_page, reading);
        stanch_err_set(&err, STANCH_E_UNAVAILABLE, "stanch is shutting down; ask again");
        stanch_api__fail(reading->call, &err, NULL);
        drop(reading);
    }
}
