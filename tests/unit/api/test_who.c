/* test_who.c: every route, asked by everybody, over TCP and over the socket (PROMISES.md D6, T24). What a route needs is
 * written by hand in test_routes.c and held to the table there. */
#include "fakes.h"

#define LATER 4102444800000 /* 2100 */

/* The token of NAME is "stanch_NAME". */
static json_t *token(const char *name, const char *person, const char *may, int64_t expires_ms)
{
    STANCH_AUTO_FREE char *text = stanch_asprintf(STANCH_TOKEN_PREFIX "%s", name);
    char hash[65];
    stanch_token_hash(text, hash);
    json_t *one =
        json_pack("{s:s, s:s, s:I, s:s}", "name", name, "hash", hash, "expires_ms", (json_int_t)expires_ms, "may", may);
    stanch_json_set_str(one, "person", person);
    return one;
}

static json_t *events_token(void)
{
    json_t *one = token("events", NULL, "", LATER);
    json_object_del(one, "may");
    json_object_set_new(one, "source", json_string("am"));
    return one;
}

static struct stanch_people *make_people(int64_t uid, const char *may)
{
    STANCH_AUTO_JSON json_t *data = json_pack(
        "{s:[{s:s, s:s, s:I}, {s:s, s:s}, {s:s, s:s}], s:[o, o, o, o, o, o, o, o, o]}", "people", "name", "me", "may",
        may, "uid", (json_int_t)uid, "name", "ada", "may", "admin", "name", "reader", "may", "read", "tokens",
        token("read", "ada", "read", LATER), token("respond", "ada", "respond", LATER),
        token("approve", "ada", "approve", LATER), token("admin", "ada", "admin", LATER),
        token("old", "ada", "admin", 1), token("program", NULL, "read", LATER), token("pusher", NULL, "respond", LATER),
        token("overreach", "reader", "admin", LATER), events_token());
    struct stanch_people *people = NULL;
    struct stanch_err err = {0};
    if (stanch_people_new(data, &people, &err) < 0)
        fail_msg("%s", err.text);
    return people;
}

static const struct {
    const char *headers;
    bool local;
    enum stanch_may may;
    int refused;
    const char *name; /* as entries call it; "nobody" */
} callers[] = {
    {NULL, false, STANCH_MAY_NOTHING, 401, "nobody"},
    {NULL, true, STANCH_MAY_RESPOND, 403, "person:me"},
    {"Authorization: Bearer stanch_none\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Bearer stanch_none\r\n", true, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Bearer \r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Basic stanch_admin\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: stanch_admin\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Bearer stanch_admin, Bearer stanch_read\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Bearer stanch_old\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"Authorization: Bearer stanch_read\r\n", false, STANCH_MAY_READ, 403, "person:ada"},
    {"Authorization: bearer   stanch_read\r\n", true, STANCH_MAY_READ, 403, "person:ada"},
    {"Authorization: Bearer stanch_respond\r\n", false, STANCH_MAY_RESPOND, 403, "person:ada"},
    {"Authorization: Bearer stanch_approve\r\n", false, STANCH_MAY_APPROVE, 403, "person:ada"},
    {"Authorization: Bearer stanch_admin\r\n", false, STANCH_MAY_ADMIN, 403, "person:ada"},
    {"Authorization: Bearer stanch_admin\r\n", true, STANCH_MAY_ADMIN, 403, "person:ada"},
    {"Authorization: Bearer stanch_program\r\n", false, STANCH_MAY_READ, 403, "token:program"},
    {"Authorization: Bearer stanch_pusher\r\n", false, STANCH_MAY_RESPOND, 403, "token:pusher"},
    {"Authorization: Bearer stanch_overreach\r\n", false, STANCH_MAY_READ, 403, "person:reader"},
    {"X-Stanch-Proxy: the proxy's secret\r\nX-Forwarded-User: reader\r\n", false, STANCH_MAY_READ, 403,
     "person:reader"},
    {"X-Stanch-Proxy: the proxy's secret\r\nX-Forwarded-User: ada\r\n", false, STANCH_MAY_ADMIN, 403, "person:ada"},
    {"X-Stanch-Proxy: the proxy's secret\r\nX-Forwarded-User: ada\r\nAuthorization: Bearer stanch_read\r\n", false,
     STANCH_MAY_READ, 403, "person:ada"},
    {"X-Stanch-Proxy: the proxy's secret\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"X-Stanch-Proxy: another secret\r\nX-Forwarded-User: ada\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"X-Stanch-Proxy: \r\nX-Forwarded-User: ada\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
    {"X-Stanch-Proxy: the proxy's secret\r\nX-Forwarded-User: stranger\r\n", false, STANCH_MAY_NOTHING, 403, "nobody"},
    {"X-Stanch-Proxy: the proxy's secret\r\nX-Forwarded-User: ada\r\n", true, STANCH_MAY_RESPOND, 403, "person:me"},
    {"Authorization: Bearer stanch_events\r\n", false, STANCH_MAY_NOTHING, 403, "token:events"},
    {"X-Forwarded-User: ada\r\nX-Remote-User: ada\r\nRemote-User: ada\r\n", false, STANCH_MAY_NOTHING, 401, "nobody"},
};

/* {x} becomes 1 */
static void fill(const char *pattern, char ret[140])
{
    for (const char *c = pattern; *c; c++) {
        *ret++ = *c == '{' ? '1' : *c;
        if (*c == '{')
            c = strchr(c, '}');
    }
    *ret = 0;
}

static void ask_route(const struct stanch_api__route *route, size_t who)
{
    char path[140], expected[300];
    bool is_get = strcmp(route->method, "GET") == 0, is_good = callers[who].may >= route->needs;
    bool has_token =
        callers[who].headers && strstr(callers[who].headers, "earer") && strstr(callers[who].headers, " stanch_");
    if (strcmp(route->pattern, "/v1/events/{source}") == 0 && has_token && !strstr(callers[who].headers, "Basic"))
        is_good = false; /* what is a token here is for events of its source, or for none */
    fill(route->pattern, path);
    if (is_good && strcmp(path, "/v1/stream") == 0)
        return; /* does not end */
    size_t before = json_array_size(the->asked);
    the->refused[0] = 0;
    int status = call(callers[who].local, route->method, path, callers[who].headers, is_get ? NULL : "{}", NULL);
    if (is_good ? status == 401 || status == 403 : status != callers[who].refused)
        fail_msg("%s %s by caller %zu: %d", route->method, path, who, status);
    if (is_good)
        return;
    assert_int_equal(json_array_size(the->asked), before); /* flow hears nothing of it, but that it was refused */
    (void)snprintf(expected, sizeof expected, "%s %s %s %s", status == 401 ? "unauthorized" : "forbidden",
                   callers[who].name, route->method, route->pattern);
    assert_string_equal(the->refused, expected);
}

static int start_me(void **state)
{
    return start_fakes_for(state, make_people(getuid(), "respond"));
}

static void everybody_asks_every_route(void **state)
{
    int count = 0;
    const struct stanch_api__route *table = stanch_api__route_table(&count);
    (void)state;
    for (int i = 0; i < count; i++)
        for (size_t who = 0; who < sizeof callers / sizeof *callers; who++)
            ask_route(&table[i], who);
}

static void entries_name_the_person_and_not_the_token(void **state)
{
    STANCH_AUTO_JSON json_t *body = NULL;
    (void)state;
    assert_int_equal(
        call(false, "POST", "/v1/stop", "Authorization: Bearer stanch_respond\r\n", "{\"reason\":\"x\"}", NULL), 200);
    assert_string_equal(stanch_json_str(last_asked(), "by", ""), "person:ada");
    assert_int_equal(
        call(false, "POST", "/v1/stop", "Authorization: Bearer stanch_pusher\r\n", "{\"reason\":\"x\"}", NULL), 200);
    assert_string_equal(stanch_json_str(last_asked(), "by", ""), "token:pusher");
    assert_int_equal(call(true, "GET", "/v1/whoami", NULL, NULL, &body), 200);
    assert_string_equal(stanch_json_str(body, "name", ""), "person:me");
    assert_string_equal(stanch_json_str(body, "may", ""), "respond");
}

static void people_are_shown_without_what_is_secret(void **state)
{
    STANCH_AUTO_JSON json_t *body = NULL;
    (void)state;
    assert_int_equal(call(true, "GET", "/v1/people", NULL, NULL, &body), 200);
    assert_int_equal(json_array_size(json_object_get(body, "people")), 3);
    STANCH_AUTO_FREE char *text = json_dumps(body, 0);
    assert_null(strstr(text, "hash"));
    assert_null(strstr(text, "uid"));
    assert_null(strstr(text, "stanch_"));
}

static int start_without_me(void **state)
{
    return start_fakes_for(state, make_people((int64_t)getuid() + 1, "admin"));
}

/* Not root either: who is somebody is said in the people file. */
static void a_uid_that_is_nobody(void **state)
{
    STANCH_AUTO_JSON json_t *body = NULL;
    (void)state;
    assert_int_equal(call(true, "GET", "/v1/incidents", NULL, NULL, &body), 403);
    assert_non_null(strstr(stanch_json_str(body, "detail", ""), "is nobody in the people file"));
    assert_int_equal(call(true, "GET", "/healthz", NULL, NULL, NULL), 200);
    assert_int_equal(call(true, "GET", "/v1/incidents", "Authorization: Bearer stanch_read\r\n", NULL, NULL), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everybody_asks_every_route, start_me, stop_fakes),
        cmocka_unit_test_setup_teardown(entries_name_the_person_and_not_the_token, start_me, stop_fakes),
        cmocka_unit_test_setup_teardown(people_are_shown_without_what_is_secret, start_me, stop_fakes),
        cmocka_unit_test_setup_teardown(a_uid_that_is_nobody, start_without_me, stop_fakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
