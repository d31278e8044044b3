/* test_views.c: what is shown: lists and their pages, documents, the timeline, figures, the live stream. */
#include "fakes.h"

static char chain_one[] = "INC-1", chain_two[] = "INC-2";

static void put_doc(const char *key, json_t *doc)
{
    json_object_set_new(the->docs, key, doc);
}

static void webhooks_pass_as_they_came(void **state)
{
    (void)state;
    assert_int_equal(
        call(false, "POST", "/v1/events/am%20x?a=1%20", "X-Sig: q\r\nContent-Type: text/x\r\n", "{broken", NULL), 202);
    assert_string_equal(stanch_json_str(last_asked(), "source", ""), "am x");
    assert_string_equal(stanch_json_str(last_asked(), "query", ""), "a=1%20");
    assert_string_equal(stanch_json_str(json_object_get(last_asked(), "headers"), "x-sig", ""), "q");
    assert_int_equal(stanch_json_int(last_asked(), "len", 0), 7);
}

static void lists_are_paged_and_filtered(void **state)
{
    STANCH_AUTO_JSON json_t *first = NULL, *second = NULL, *open = NULL;
    (void)state;
    for (int i = 1; i <= 5; i++) {
        char key[40];
        (void)snprintf(key, sizeof key, "approval/A-%d", i);
        put_doc(key, json_pack("{s:s, s:i, s:b, s:I, s:I}", "id", key + 9, "seq", i, "open", i > 1, "expires_ms",
                               (json_int_t)1700000000000, "within_ms", (json_int_t)5000));
    }
    assert_int_equal(call(true, "GET", "/v1/approvals?limit=3&open=all", NULL, NULL, &first), 200);
    const json_t *newest = json_array_get(json_object_get(first, "items"), 0);
    assert_string_equal(stanch_json_str(newest, "id", ""), "A-5");
    assert_string_equal(stanch_json_str(newest, "expires", ""), "2023-11-14T22:13:20.000Z");
    assert_null(json_object_get(newest, "within")); /* a duration is no time of day */
    assert_int_equal(stanch_json_int(first, "next", 0), 3);
    assert_int_equal(call(true, "GET", "/v1/approvals?limit=3&open=all&before=3", NULL, NULL, &second), 200);
    assert_int_equal(json_array_size(json_object_get(second, "items")), 2);
    assert_true(json_is_null(json_object_get(second, "next")));
    assert_int_equal(call(true, "GET", "/v1/approvals", NULL, NULL, &open), 200);
    assert_int_equal(json_array_size(json_object_get(open, "items")), 4); /* only what is open, unless asked */
}

static void a_run_shows_its_steps_in_order(void **state)
{
    STANCH_AUTO_JSON json_t *run = NULL;
    (void)state;
    put_doc("run/R-1", json_pack("{s:s}", "id", "R-1"));
    put_doc("step/R-1/1", json_pack("{s:s, s:i}", "id", "R-1/1", "n", 1));
    put_doc("step/R-1/2", json_pack("{s:s, s:i}", "id", "R-1/2", "n", 2));
    put_doc("step/R-11/1", json_pack("{s:s, s:i}", "id", "R-11/1", "n", 1));
    assert_int_equal(call(true, "GET", "/v1/runs/R-1", NULL, NULL, &run), 200);
    const json_t *steps = json_object_get(run, "steps");
    assert_int_equal(json_array_size(steps), 2);
    assert_int_equal(stanch_json_int(json_array_get(steps, 1), "n", 0), 2);
}

static void what_cannot_be_read_is_not_missing(void **state)
{
    static const char *const paths[] = {"/v1/runs/R-1", "/v1/events/E-1", "/v1/incidents/INC-1/timeline",
                                        "/v1/incidents/INC-1/runs"};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        STANCH_AUTO_JSON json_t *missing = NULL, *unreadable = NULL;
        assert_int_equal(call(true, "GET", paths[i], NULL, NULL, &missing), 404);
        the->unreadable = true;
        assert_int_equal(call(true, "GET", paths[i], NULL, NULL, &unreadable), 503);
        the->unreadable = false;
        assert_string_equal(stanch_json_str(unreadable, "code", ""), "store");
        assert_non_null(strstr(stanch_json_str(unreadable, "detail", ""), "disk I/O"));
    }
}

static void the_timeline_comes_as_json_and_as_lines(void **state)
{
    STANCH_AUTO_JSON json_t *page = NULL;
    (void)state;
    put_doc("incident/INC-1", json_pack("{s:s}", "id", "INC-1"));
    for (int i = 0; i < 3; i++)
        commit_one(chain_one);
    commit_one(chain_two);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1/timeline?limit=2&after=1", NULL, NULL, &page), 200);
    const json_t *entries = json_object_get(page, "items");
    assert_int_equal(json_array_size(entries), 2);
    assert_int_equal(stanch_json_int(json_array_get(entries, 0), "seq", 0), 2);
    assert_int_equal(stanch_json_int(page, "next", 0), 3);
    int fd = dial_local(&the->client);
    say(fd, "GET /v1/incidents/INC-1/timeline?format=jsonl HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    STANCH_AUTO_FREE char *text = hear(fd, NULL);
    close(fd);
    assert_non_null(strstr(text, "application/jsonl"));
    assert_non_null(strstr(text, "}\n{"));
    assert_null(strstr(text, "INC-2"));
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-9/timeline", NULL, NULL, NULL), 404);
}

static void why_is_told_of_an_event(void **state)
{
    STANCH_AUTO_JSON json_t *why = NULL;
    (void)state;
    assert_int_equal(call(true, "GET", "/v1/events/E-1/why", NULL, NULL, &why), 200);
    assert_string_equal(stanch_json_str(why, "event", ""), "E-1");
    assert_int_equal(call(true, "GET", "/v1/events/E-9/why", NULL, NULL, NULL), 404);
}

/* Page after page, at a turn of the loop each; what is asked for decides on the form. */
static void the_report_comes_as_json_and_as_markdown(void **state)
{
    STANCH_AUTO_JSON json_t *report = NULL;
    (void)state;
    put_doc("incident/INC-1", json_pack("{s:s, s:s}", "id", "INC-1", "title", "it burns"));
    for (int i = 0; i < 600; i++)
        commit_one(chain_one);
    commit_one(chain_two);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1/report", NULL, NULL, &report), 200);
    assert_int_equal(json_array_size(json_object_get(report, "timeline")), 600);
    int fd = dial_local(&the->client);
    say(fd, "GET /v1/incidents/INC-1/report HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: text/markdown\r\n\r\n");
    STANCH_AUTO_FREE char *text = hear(fd, NULL);
    close(fd);
    assert_non_null(strstr(text, "text/markdown"));
    assert_non_null(strstr(text, "# INC-1: it burns\n"));
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1/report?format=pdf", NULL, NULL, NULL), 400);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-9/report", NULL, NULL, NULL), 404);
}

static void make_endless(void *ctx)
{
    (void)ctx;
    the->endless = true;
}

static void make_ending(void *ctx)
{
    (void)ctx;
    the->endless = false;
}

static void count_readings(void *ctx)
{
    (void)ctx;
    see_readings();
    note(&the->client, &the->counted);
}

/* Once the loop has come to it: what it did before is done. */
static int readings_now(void)
{
    int before = the->counted;
    stanch_loop_post(the->client.loop, count_readings, NULL);
    await(&the->client, &the->counted, before + 1);
    return the->readings;
}

static int ask_for_report(void)
{
    int fd = dial_local(&the->client);
    say(fd, "GET /v1/incidents/INC-1/report HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    return fd;
}

/* Four timelines without an end: the others still have their turn, and a fifth is told to come again. */
static void long_reports_hold_nobody_up_and_are_few(void **state)
{
    STANCH_AUTO_JSON json_t *busy = NULL;
    int fds[4];
    (void)state;
    put_doc("incident/INC-1", json_pack("{s:s}", "id", "INC-1"));
    commit_one(chain_one);
    stanch_loop_post(the->client.loop, make_endless, NULL);
    for (int i = 0; i < 4; i++)
        fds[i] = ask_for_report();
    await(&the->client, &the->readings, 4);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1", NULL, NULL, NULL), 200);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1/report", NULL, NULL, &busy), 503);
    assert_string_equal(stanch_json_str(busy, "code", ""), "busy");
    stanch_loop_post(the->client.loop, make_ending, NULL);
    for (int i = 0; i < 4; i++) {
        STANCH_AUTO_FREE char *answer = hear(fds[i], NULL);
        assert_non_null(strstr(answer, "HTTP/1.1 200"));
        close(fds[i]);
    }
    assert_int_equal(readings_now(), 0); /* an answer and the end of its reading are one turn of the loop */
}

/* The server ends in the middle of one, whose client has gone besides. */
static void a_report_in_the_making_ends_with_the_server(void **state)
{
    (void)state;
    put_doc("incident/INC-1", json_pack("{s:s}", "id", "INC-1"));
    commit_one(chain_one);
    stanch_loop_post(the->client.loop, make_endless, NULL);
    int stays = ask_for_report(), goes = ask_for_report();
    await(&the->client, &the->readings, 2);
    close(goes);
    stop_fakes(NULL);
    STANCH_AUTO_FREE char *answer = hear(stays, NULL);
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    close(stays);
}

static void says_how_things_stand(void **state)
{
    STANCH_AUTO_JSON json_t *ready = NULL, *status = NULL, *book = NULL, *one = NULL;
    (void)state;
    assert_int_equal(call(false, "GET", "/healthz", NULL, NULL, NULL), 200);
    assert_int_equal(call(false, "GET", "/readyz", NULL, NULL, &ready), 503);
    assert_string_equal(json_string_value(json_array_get(json_object_get(ready, "why"), 0)), "no commit yet");
    assert_int_equal(call(true, "GET", "/v1/status", NULL, NULL, &status), 200);
    assert_non_null(json_object_get(status, "http"));
    assert_non_null(json_object_get(status, "journal"));
    assert_int_equal(call(true, "GET", "/v1/runbooks", NULL, NULL, &book), 200);
    assert_null(json_object_get(json_array_get(json_object_get(book, "items"), 0), "source"));
    assert_int_equal(call(true, "GET", "/v1/runbooks/checkout", NULL, NULL, &one), 200);
    assert_string_equal(stanch_json_str(one, "source", ""), "runbook {}");
    assert_int_equal(call(true, "GET", "/v1/runbooks/other", NULL, NULL, NULL), 404);
    assert_int_equal(call(true, "GET", "/v1/plugins/none", NULL, NULL, NULL), 404);
}

static void figures_are_in_the_form_of_prometheus(void **state)
{
    (void)state;
    int fd = dial(&the->client);
    say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    STANCH_AUTO_FREE char *text = hear(fd, NULL);
    close(fd);
    assert_non_null(strstr(text, "text/plain; version=0.0.4"));
    assert_non_null(strstr(text, "\n# TYPE stanch_events_received_total counter\nstanch_events_received_total 42\n"));
    assert_non_null(strstr(text, "\nstanch_ready 0\n"));
    assert_non_null(strstr(text, "\nstanch_stopped 0\n"));
    assert_non_null(strstr(text, "\nstanch_runs_parked 1\n"));
    assert_non_null(strstr(text, "\nstanch_uptime_seconds 1.5\n"));
    assert_non_null(strstr(text, "\nstanch_journal_entries_total 7\n"));
    assert_non_null(strstr(text, "\nstanch_plugin_up{instance=\"ed\\\"ge\"} 1\n"));
}

static void the_stream_resumes_where_it_was_and_follows(void **state)
{
    (void)state;
    for (int i = 0; i < 700; i++) /* some pages of what was missed */
        commit_one(i % 2 ? chain_two : chain_one);
    int fd = dial_local(&the->client);
    say(fd, "GET /v1/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 100\r\n\r\n");
    await(&the->client, &the->followers, 1);
    stanch_loop_post(the->client.loop, commit_one, chain_one);
    STANCH_AUTO_FREE char *text = hear(fd, "id: 701\n");
    close(fd);
    int expect = 101;
    for (const char *at = text; (at = strstr(at, "\nid: ")); at++)
        assert_int_equal(atoi(at + 5), expect++); /* none left out, none twice */
    assert_int_equal(expect, 702);
}

static void a_stream_of_one_incident(void **state)
{
    (void)state;
    int fd = dial_local(&the->client);
    say(fd, "GET /v1/stream?incident=INC-2 HTTP/1.1\r\nHost: x\r\n\r\n");
    await(&the->client, &the->followers, 1);
    stanch_loop_post(the->client.loop, commit_one, chain_one);
    stanch_loop_post(the->client.loop, commit_one, chain_two);
    STANCH_AUTO_FREE char *text = hear(fd, "INC-2");
    close(fd);
    assert_null(strstr(text, "INC-1"));
    assert_int_equal(call(true, "GET", "/v1/stream", "Last-Event-ID: x\r\n", NULL, NULL), 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_fakes, stop_fakes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(webhooks_pass_as_they_came),
        TEST(lists_are_paged_and_filtered),
        TEST(a_run_shows_its_steps_in_order),
        TEST(what_cannot_be_read_is_not_missing),
        TEST(the_timeline_comes_as_json_and_as_lines),
        TEST(why_is_told_of_an_event),
        TEST(the_report_comes_as_json_and_as_markdown),
        TEST(long_reports_hold_nobody_up_and_are_few),
        cmocka_unit_test_setup(a_report_in_the_making_ends_with_the_server, start_fakes),
        TEST(says_how_things_stand),
        TEST(figures_are_in_the_form_of_prometheus),
        TEST(the_stream_resumes_where_it_was_and_follows),
        TEST(a_stream_of_one_incident),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
