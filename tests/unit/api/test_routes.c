/* test_routes.c: which routes there are, who may, and what a body may hold. */
#include "fakes.h"
#include <pwd.h>

/* Written by hand, and held to the table: a new route must say here what one must be allowed to (T24). */
static const char *const expected[] = {
    "nothing POST /v1/events/{source}",
    "read GET /v1/events",
    "read GET /v1/events/{id}",
    "read GET /v1/events/{id}/why",
    "read GET /v1/changes",
    "read GET /v1/changes/{id}",
    "respond POST /v1/sources/{name}/test",
    "read GET /v1/incidents",
    "respond POST /v1/incidents",
    "read GET /v1/incidents/{id}",
    "respond PATCH /v1/incidents/{id}",
    "read GET /v1/incidents/{id}/timeline",
    "read GET /v1/incidents/{id}/report",
    "respond POST /v1/incidents/{id}/timeline",
    "respond POST /v1/incidents/{id}/merge",
    "respond POST /v1/incidents/{id}/roles",
    "read GET /v1/incidents/{id}/runs",
    "respond POST /v1/incidents/{id}/runs",
    "read GET /v1/runs",
    "respond POST /v1/runs",
    "read GET /v1/runs/{id}",
    "respond POST /v1/runs/{id}/cancel",
    "approve POST /v1/steps/{run}/{n}/resolve",
    "read GET /v1/approvals",
    "read GET /v1/approvals/{id}",
    "approve POST /v1/approvals/{id}",
    "read GET /v1/mitigations",
    "read GET /v1/mitigations/{id}",
    "approve POST /v1/mitigations/{id}/undo",
    "approve POST /v1/mitigations/{id}/extend",
    "approve POST /v1/mitigations/{id}/keep",
    "read GET /v1/holds",
    "respond POST /v1/holds",
    "respond POST /v1/holds/release",
    "read GET /v1/holds/{id}",
    "read GET /v1/breakers",
    "approve POST /v1/breakers/close",
    "read GET /v1/drills",
    "respond POST /v1/drills",
    "read GET /v1/drills/coming",
    "read GET /v1/drills/calendar",
    "read GET /v1/drills/{id}",
    "read GET /v1/drills/{id}/report",
    "respond POST /v1/drills/{id}/end",
    "read GET /v1/runbooks",
    "admin POST /v1/runbooks/sync",
    "read POST /v1/runbooks/lint",
    "read GET /v1/runbooks/{name}",
    "approve POST /v1/runbooks/{name}/accept",
    "read GET /v1/plugins",
    "read GET /v1/plugins/{name}",
    "admin POST /v1/plugins/{name}/enable",
    "respond POST /v1/plugins/{name}/check",
    "read POST /v1/policy/explain",
    "admin POST /v1/store/check",
    "admin POST /v1/reload",
    "respond POST /v1/stop",
    "approve POST /v1/resume",
    "read GET /v1/people",
    "read GET /v1/whoami",
    "read GET /v1/stream",
    "read GET /v1/status",
    "nothing GET /v1/openapi.json",
    "nothing GET /healthz",
    "nothing GET /readyz",
    "nothing GET /metrics",
};
#define EXPECTED ((int)(sizeof expected / sizeof *expected))

static void every_route_is_expected_and_described(void **state)
{
    STANCH_AUTO_JSON json_t *openapi = json_loads(stanch_api__openapi_text, 0, NULL);
    const json_t *paths = json_object_get(openapi, "paths");
    int count = 0;
    size_t described = 0;
    const char *key;
    json_t *path;
    const struct stanch_api__route *table = stanch_api__route_table(&count);
    (void)state;
    assert_int_equal(count, EXPECTED);
    for (int i = 0; i < count; i++) {
        char line[200], method[10] = "";
        (void)snprintf(line, sizeof line, "%s %s %s", stanch_may_word(table[i].needs), table[i].method,
                       table[i].pattern);
        assert_string_equal(line, expected[i]);
        for (size_t c = 0; table[i].method[c]; c++)
            method[c] = (char)(table[i].method[c] | 0x20);
        const json_t *op = json_object_get(json_object_get(paths, table[i].pattern), method);
        if (!op)
            fail_msg("%s is not in openapi.json", line);
        assert_string_equal(stanch_json_str(op, "x-may", ""), stanch_may_word(table[i].needs));
        char status[8];
        (void)snprintf(status, sizeof status, "%d", table[i].status);
        assert_non_null(json_object_get(json_object_get(op, "responses"), status));
    }
    json_object_foreach((json_t *)(uintptr_t)paths, key, path) described += json_object_size(path);
    assert_int_equal(described, count); /* and nothing is described that is not there */
}

/* "title:s! note:s" as "title! note", from a described body. */
static void write_members(const json_t *schema, struct stanch_buf *out)
{
    const char *key;
    json_t *value, *needed;
    size_t i;
    json_object_foreach(json_object_get(schema, "properties"), key, value)
    {
        const char *type = stanch_json_str(value, "type", "");
        bool is_needed = false;
        json_array_foreach(json_object_get(schema, "required"), i, needed) is_needed |=
            strcmp(json_string_value(needed), key) == 0;
        stanch_buf_printf(out, "%s%s:%c%s", out->len ? " " : "", key, type[0], is_needed ? "!" : "");
    }
}

static void bodies_are_described_as_they_are_taken(void **state)
{
    STANCH_AUTO_JSON json_t *openapi = json_loads(stanch_api__openapi_text, 0, NULL);
    int count = 0, bodies = 0;
    const struct stanch_api__route *table = stanch_api__route_table(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        STANCH_AUTO_BUF struct stanch_buf members = {0};
        const json_t *ops = json_object_get(json_object_get(openapi, "paths"), table[i].pattern);
        const json_t *op = json_object_get(ops, table[i].method[1] == 'A' ? "patch" : "post");
        if (!table[i].body)
            continue;
        bodies++;
        const json_t *content = json_object_get(json_object_get(op, "requestBody"), "content");
        write_members(json_object_get(json_object_get(content, "application/json"), "schema"), &members);
        assert_string_equal(stanch_buf_str(&members), table[i].body);
    }
    assert_true(bodies > 10);
}

/* Without a people file, every route over TCP and over the socket: who may not is told so, and flow hears nothing of it.
 * With one: test_who.c. */
static void the_authorisation_table_holds(void **state)
{
    (void)state;
    for (int i = 0; i < EXPECTED; i++) {
        char method[10], path[100], concrete[140];
        assert_int_equal(sscanf(expected[i], "%*s %9s %99s", method, path), 2);
        size_t to = 0;
        for (const char *c = path; *c; c++) { /* {x} becomes 1 */
            concrete[to++] = *c == '{' ? '1' : *c;
            if (*c == '{')
                c = strchr(c, '}');
        }
        concrete[to] = 0;
        if (strcmp(concrete, "/v1/stream") == 0)
            continue; /* does not end; below */
        size_t before = json_array_size(the->asked);
        int over_tcp = call(false, method, concrete, NULL, strcmp(method, "GET") ? "{}" : NULL, NULL);
        if (strncmp(expected[i], "nothing ", 8) != 0) {
            assert_int_equal(over_tcp, 403);
            assert_int_equal(json_array_size(the->asked), before);
        } else {
            assert_true(over_tcp == 202 || over_tcp == 200 || over_tcp == 503);
        }
        assert_int_not_equal(call(true, method, concrete, NULL, strcmp(method, "GET") ? "{}" : NULL, NULL), 403);
    }
    assert_int_equal(call(false, "GET", "/v1/stream", NULL, NULL, NULL), 403);
}

static void a_change_names_the_peer_and_its_input(void **state)
{
    STANCH_AUTO_JSON json_t *body = NULL;
    struct passwd *me = getpwuid(getuid());
    STANCH_AUTO_FREE char *by = me ? stanch_asprintf("person:%s", me->pw_name) : stanch_asprintf("uid:%u", getuid());
    (void)state;
    assert_int_equal(
        call(true, "POST", "/v1/approvals/A-1", NULL, "{\"decision\":\"approve\",\"plan\":\"abc\"}", &body), 200);
    assert_string_equal(stanch_json_str(body, "id", ""), "X-1");
    assert_string_equal(stanch_json_str(last_asked(), "by", ""), by);
    assert_string_equal(stanch_json_str(last_asked(), "command", ""), "approval.decide");
    const json_t *input = json_object_get(last_asked(), "input");
    assert_string_equal(stanch_json_str(input, "approval", ""), "A-1");
    assert_string_equal(stanch_json_str(input, "plan", ""), "abc");
    assert_int_equal(call(true, "POST", "/v1/steps/R-3/2/resolve", NULL, "{\"happened\":\"did-not\"}", NULL), 200);
    assert_string_equal(stanch_json_str(json_object_get(last_asked(), "input"), "step", ""), "R-3/2");
    assert_int_equal(
        call(true, "PATCH", "/v1/incidents/INC-1", NULL, "{\"state\":\"resolved\",\"reason\":\"x\"}", NULL), 200);
    assert_string_equal(stanch_json_str(last_asked(), "command", ""), "incident.resolve");
    assert_int_equal(call(true, "PATCH", "/v1/incidents/INC-1", NULL, "{\"severity\":\"sev1\"}", NULL), 200);
    assert_string_equal(stanch_json_str(last_asked(), "command", ""), "incident.set");
    assert_int_equal(
        call(true, "POST", "/v1/incidents/INC-1/timeline", NULL, "{\"kind\":\"decide\",\"text\":\"roll back\"}", NULL),
        201);
    assert_string_equal(stanch_json_str(last_asked(), "command", ""), "incident.decide");
    assert_int_equal(call(true, "POST", "/v1/runbooks/sync", NULL, NULL, NULL), 200);
    assert_string_equal(stanch_json_str(last_asked(), "command", ""), "runbook.sync");
}

static void bodies_that_are_refused(void **state)
{
    static const struct {
        const char *body, *where;
        int status;
    } rows[] = {
        {"", "title", 400},
        {"{", "body", 400},
        {"[]", "body", 400},
        {"{\"title\":1}", "title", 400},
        {"{\"title\":\"a\",\"title\":\"b\"}", "body", 400},
        {"{\"title\":\"a\",\"other\":1}", "other", 400},
        {"{\"title\":\"\xff\xfe\"}", "body", 400},
        {"{\"title\":\"\xed\xa0\x80\"}", "body", 400},
        {"{\"title\":\"a\\u0000b\"}", "body", 400},
        {"{\"title\":1e999}", "body", 400},
        {"{\"title\":\"a\"} x", "body", 400},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        STANCH_AUTO_JSON json_t *doc = NULL;
        int status = call(true, "POST", "/v1/incidents", NULL, rows[i].body, &doc);
        if (status != rows[i].status || strcmp(stanch_json_str(doc, "where", ""), rows[i].where) != 0)
            fail_msg("%s: got %d at %s", rows[i].body, status, stanch_json_str(doc, "where", ""));
        assert_true(strlen(stanch_json_str(doc, "detail", "")) > 5);
    }
    STANCH_AUTO_BUF struct stanch_buf deep = {0};
    STANCH_AUTO_JSON json_t *doc = NULL;
    for (int i = 0; i < 100000; i++)
        stanch_buf_char(&deep, '[');
    assert_int_equal(call(true, "POST", "/v1/incidents", NULL, stanch_buf_str(&deep), &doc), 413);
    assert_non_null(strstr(stanch_json_str(doc, "detail", ""), "nested deeper than 64"));
    assert_int_equal(call(true, "POST", "/v1/incidents", "Content-Type: text/plain\r\n", "{\"title\":\"x\"}", NULL),
                     415);
    assert_int_equal(json_array_size(the->asked), 0);
}

static void paths_and_methods_that_are_not(void **state)
{
    STANCH_AUTO_JSON json_t *doc = NULL;
    (void)state;
    assert_int_equal(call(true, "GET", "/v1/nothing", NULL, NULL, &doc), 404);
    assert_int_equal(call(true, "GET", "/v1/incidents/", NULL, NULL, NULL), 404);
    assert_int_equal(call(true, "GET", "/v1/incidents/INC-1", NULL, NULL, NULL), 404);
    assert_int_equal(call(true, "GET", "/v1/incidents?limit=0", NULL, NULL, NULL), 400);
    assert_int_equal(call(true, "GET", "/v1/incidents?open=maybe", NULL, NULL, NULL), 400);
    int fd = dial_local(&the->client);
    say(fd, "DELETE /v1/incidents HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    close(fd);
    assert_non_null(strstr(answer, "HTTP/1.1 405"));
    assert_non_null(strstr(answer, "Allow: GET, POST"));
}

static void errors_of_flow_become_problems(void **state)
{
    (void)state;
    json_decref(the->answer);
    the->answer = NULL;
    for (int late = 0; late < 2; late++) {
        STANCH_AUTO_JSON json_t *doc = NULL;
        the->answers_late = late;
        stanch_err_set(&the->error, STANCH_E_STALE, "the plan changed meanwhile");
        assert_int_equal(call(true, "POST", "/v1/approvals/A-1", NULL, "{\"decision\":\"approve\"}", &doc), 409);
        assert_string_equal(stanch_json_str(doc, "detail", ""), "the plan changed meanwhile");
        assert_string_equal(stanch_json_str(doc, "code", ""), "stale");
        stanch_err_set(&the->error, STANCH_E_FULL, "the disk is full");
        assert_int_equal(call(false, "POST", "/v1/events/am", NULL, "{}", NULL), 503);
    }
}

static void drain_on_loop(void *ctx)
{
    stanch_api_drain(ctx);
}

static void draining_refuses_changes_and_shows_views(void **state)
{
    (void)state;
    stanch_loop_post(the->client.loop, drain_on_loop, the->api);
    assert_int_equal(call(true, "POST", "/v1/stop", NULL, "{\"reason\":\"x\"}", NULL), 503);
    assert_int_equal(call(false, "POST", "/v1/events/am", NULL, "{}", NULL), 503);
    assert_int_equal(call(true, "GET", "/v1/incidents", NULL, NULL, NULL), 200);
    assert_int_equal(call(false, "GET", "/healthz", NULL, NULL, NULL), 200);
    assert_int_equal(json_array_size(the->asked), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_fakes, stop_fakes)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_expected_and_described),
        cmocka_unit_test(bodies_are_described_as_they_are_taken),
        TEST(the_authorisation_table_holds),
        TEST(a_change_names_the_peer_and_its_input),
        TEST(bodies_that_are_refused),
        TEST(paths_and_methods_that_are_not),
        TEST(errors_of_flow_become_problems),
        TEST(draining_refuses_changes_and_shows_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
