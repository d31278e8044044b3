/* test_exchange.c: requests that are fine, answers now and later, streams, peers, deadlines, caps. */
#include "serving.h"

static int setup(void **state)
{
    return start_serving(state, &(struct stanch_http_config){0});
}

static int setup_hasty(void **state)
{
    return start_serving(
        state, &(struct stanch_http_config){.header_ms = 300, .body_ms = 300, .idle_ms = 400, .heartbeat_ms = 200});
}

static int setup_narrow(void **state)
{
    return start_serving(state, &(struct stanch_http_config){.max_per_address = 2, .max_connections = 3});
}

static void hands_over_what_came(void **state)
{
    STANCH_AUTO_FREE char *answer =
        TALK(*state, "POST /a%20b/c?q=x%26y+z&q=2 HTTP/1.1\r\nHost: x\r\nX-Two: 1\r\nx-two: 2\r\n"
                     "Content-Length: 3\r\nConnection: close\r\n\r\nabc");
    STANCH_AUTO_JSON json_t *body = body_of(answer);
    char digest[65];
    stanch_digest_hex("abc", 3, digest);
    assert_non_null(strstr(answer, "HTTP/1.1 200"));
    assert_string_equal(stanch_json_str(body, "method", ""), "POST");
    assert_string_equal(stanch_json_str(body, "path", ""), "/a b/c");
    assert_string_equal(stanch_json_str(body, "q", ""), "x&y z");
    assert_string_equal(stanch_json_str(body, "raw_query", ""), "q=x%26y+z&q=2");
    assert_string_equal(stanch_json_str(json_object_get(body, "headers"), "x-two", ""), "1, 2");
    assert_string_equal(stanch_json_str(body, "digest", ""), digest);
    assert_string_equal(stanch_json_str(body, "remote", ""), "127.0.0.1");
    assert_false(stanch_json_bool(body, "local", true));
}

static void knows_the_peer_of_the_control_socket(void **state)
{
    struct serving *s = *state;
    struct stat info;
    int fd = dial_local(s);
    say(fd, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    STANCH_AUTO_JSON json_t *body = body_of(answer);
    close(fd);
    assert_true(stanch_json_bool(body, "local", false));
    assert_int_equal(stanch_json_int(body, "uid", -5), (int64_t)getuid());
    assert_string_equal(stanch_json_str(body, "remote", ""), "unix");
    assert_int_equal(stat(s->path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0660);
}

static void replaces_a_stale_socket_but_not_a_live_one(void **state)
{
    struct serving *s = *state;
    struct stanch_err err = {0};
    struct stanch_loop *loop = stanch_loop_new(&err);
    struct stanch_http *http = NULL;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stanch_http_config config = {.socket_path = s->path};
    assert_int_equal(stanch_http_start(loop, &config, on_test_request, s, &http, &err), STANCH_E_SYSTEM);
    assert_non_null(strstr(err.text, "another process answers"));
    assert_int_equal(access(s->path, F_OK), 0);
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/stale", s->dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&at, sizeof at), 0);
    close(fd); /* as a killed daemon leaves it */
    config.socket_path = at.sun_path;
    assert_int_equal(stanch_http_start(loop, &config, on_test_request, s, &http, &err), 0);
    stanch_http_free(http);
    assert_int_equal(access(at.sun_path, F_OK), -1);
    stanch_loop_free(loop);
}

static void answers_later_and_keeps_the_connection(void **state)
{
    int fd = dial(*state);
    for (int i = 0; i < 3; i++) {
        say(fd, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
        STANCH_AUTO_FREE char *answer = hear(fd, "later");
        assert_non_null(strstr(answer, "HTTP/1.1 200"));
    }
    close(fd);
}

static void takes_a_chunked_body(void **state)
{
    const char *text = "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                       "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    STANCH_AUTO_FREE char *answer = talk(*state, text, strlen(text));
    STANCH_AUTO_JSON json_t *body = body_of(answer);
    assert_int_equal(stanch_json_int(body, "body_len", 0), 5);
}

static void says_continue_to_who_asks(void **state)
{
    int fd = dial(*state);
    say(fd, "POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: "
            "close\r\n\r\n");
    STANCH_AUTO_FREE char *first = hear(fd, "\r\n\r\n");
    assert_non_null(strstr(first, "HTTP/1.1 100"));
    say(fd, "ok");
    STANCH_AUTO_FREE char *second = hear(fd, NULL);
    assert_non_null(strstr(second, "\"body_len\":2"));
    close(fd);
}

static void words_a_problem(void **state)
{
    const char *text = "GET /problem HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    STANCH_AUTO_FREE char *answer = talk(*state, text, strlen(text));
    STANCH_AUTO_JSON json_t *body = body_of(answer);
    assert_non_null(strstr(answer, "HTTP/1.1 503"));
    assert_non_null(strstr(answer, "application/problem+json"));
    assert_non_null(strstr(answer, "Retry-After: "));
    assert_string_equal(stanch_json_str(body, "detail", ""), "the queue is full");
    assert_string_equal(stanch_json_str(body, "where", ""), "queue");
    assert_string_equal(stanch_json_str(body, "type", ""), "/problems/busy");
    assert_int_equal(stanch_json_int(body, "status", 0), 503);
}

static void streams_events_and_notices_who_left(void **state)
{
    struct serving *s = *state;
    int fd = dial(s);
    say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    STANCH_AUTO_FREE char *answer = hear(fd, "two");
    assert_non_null(strstr(answer, "text/event-stream"));
    assert_non_null(strstr(answer, "id: 7\nevent: entry\ndata: one\ndata: two"));
    STANCH_AUTO_FREE char *beat = hear(fd, ":\n\n"); /* nothing is said: the heartbeat is */
    assert_non_null(strstr(beat, ":\n\n"));
    close(fd);
    await(s, &s->gone, 1);
}

static void a_slow_reader_of_a_stream_is_told_to_its_sender(void **state)
{
    struct serving *s = *state;
    int fd = dial(s);
    say(fd, "GET /flood HTTP/1.1\r\nHost: x\r\n\r\n");
    await(s, &s->gone, 1);
    assert_int_equal(s->flood_code, STANCH_E_BUSY);
    STANCH_AUTO_FREE char *all = hear(fd, "0\r\n\r\n"); /* what was queued arrives, and the stream ends */
    assert_non_null(strstr(all, "event: flood"));
    close(fd);
}

static void cuts_slow_headers_slow_bodies_and_idlers(void **state)
{
    struct serving *s = *state;
    int header = dial(s), body = dial(s), idle = dial(s);
    say(header, "GET / HTTP/1.1\r\nHost:");
    say(body, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
    say(idle, "GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
    STANCH_AUTO_FREE char *of_header = hear(header, NULL);
    STANCH_AUTO_FREE char *of_body = hear(body, NULL);
    STANCH_AUTO_FREE char *of_idle = hear(idle, NULL);
    assert_non_null(strstr(of_header, "HTTP/1.1 408"));
    assert_non_null(strstr(of_header, "\"where\":\"headers\""));
    assert_non_null(strstr(of_body, "HTTP/1.1 408"));
    assert_non_null(strstr(of_body, "\"where\":\"body\""));
    assert_non_null(strstr(of_idle, "HTTP/1.1 200"));
    assert_null(strstr(of_idle, "408"));
    close(header);
    close(body);
    close(idle);
    assert_int_equal(s->seen, 1);
}

static void a_trickle_does_not_reset_the_deadline(void **state)
{
    int fd = dial(*state);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    int sent = 0;
    for (; sent < 200; sent++) { /* a byte every 50 ms would hold an idle timeout for ever */
        say(fd, "G");
        if (poll(&ready, 1, 50) == 1)
            break;
    }
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    close(fd);
    assert_true(sent < 100);
    assert_non_null(strstr(answer, "HTTP/1.1 408"));
}

static void over_the_cap_is_told_so(void **state)
{
    struct serving *s = *state;
    int a = dial(s), b = dial(s);
    say(a, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    say(b, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    STANCH_AUTO_FREE char *of_a = hear(a, "body_len");
    STANCH_AUTO_FREE char *of_b = hear(b, "body_len");
    assert_non_null(of_a);
    assert_non_null(of_b);
    int over = dial(s);
    STANCH_AUTO_FREE char *of_over = hear(over, NULL);
    assert_non_null(strstr(of_over, "HTTP/1.1 503"));
    assert_non_null(strstr(of_over, "Retry-After"));
    int local = dial_local(s); /* the control socket has its own places */
    say(local, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    STANCH_AUTO_FREE char *of_local = hear(local, "body_len");
    assert_non_null(strstr(of_local, "HTTP/1.1 200"));
    close(a);
    close(b);
    close(over);
    close(local);
}

static void stops_with_requests_and_streams_under_way(void **state)
{
    struct serving *s = *state;
    int waits = dial(s), streams = dial(s);
    say(waits, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
    say(streams, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
    await(s, &s->seen, 2);
    struct stanch_http_request *held = s->held;
    stanch_loop_post(s->loop, stop_on_loop, s);
    pthread_join(s->thread, NULL);
    s->http = NULL;
    STANCH_AUTO_FREE char *of_waits = hear(waits, NULL);
    STANCH_AUTO_FREE char *of_streams = hear(streams, NULL);
    assert_non_null(strstr(of_waits, "HTTP/1.1 503"));
    assert_non_null(strstr(of_streams, "data: two"));
    assert_int_equal(s->gone, 1);
    stanch_http_answer(held, 200, "text/plain", "x", 1, NULL); /* into the void, and freed */
    close(waits);
    close(streams);
    stanch_loop_free(s->loop);
    rmdir(s->dir);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hands_over_what_came, setup, stop_serving),
        cmocka_unit_test_setup_teardown(knows_the_peer_of_the_control_socket, setup, stop_serving),
        cmocka_unit_test_setup_teardown(replaces_a_stale_socket_but_not_a_live_one, setup, stop_serving),
        cmocka_unit_test_setup_teardown(answers_later_and_keeps_the_connection, setup, stop_serving),
        cmocka_unit_test_setup_teardown(takes_a_chunked_body, setup, stop_serving),
        cmocka_unit_test_setup_teardown(says_continue_to_who_asks, setup, stop_serving),
        cmocka_unit_test_setup_teardown(words_a_problem, setup, stop_serving),
        cmocka_unit_test_setup_teardown(streams_events_and_notices_who_left, setup_hasty, stop_serving),
        cmocka_unit_test_setup_teardown(a_slow_reader_of_a_stream_is_told_to_its_sender, setup, stop_serving),
        cmocka_unit_test_setup_teardown(cuts_slow_headers_slow_bodies_and_idlers, setup_hasty, stop_serving),
        cmocka_unit_test_setup_teardown(a_trickle_does_not_reset_the_deadline, setup_hasty, stop_serving),
        cmocka_unit_test_setup_teardown(over_the_cap_is_told_so, setup_narrow, stop_serving),
        cmocka_unit_test_setup(stops_with_requests_and_streams_under_way, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
