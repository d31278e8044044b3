/* test_hostile.c: bytes that no honest client sends (PROMISES.md T4 to T6, D8). Every refusal that is ours is
 * a problem document that says what is wrong where, and the connection closes. The last two tests hold
 * README.md's list of what the library does without asking. */
#include "serving.h"
#include "base/times.h"

#define HOST "Host: x\r\n"

static int setup(void **state)
{
    return start_serving(
        state, &(struct stanch_http_config){.max_body_bytes = 1000, .max_header_bytes = 4096, .body_ms = 300});
}

static int setup_default(void **state)
{
    return start_serving(state, &(struct stanch_http_config){0});
}

struct row {
    const char *text;
    size_t len;
    int status;
    const char *where;
};
#define ROW(text, status, where)                                                                                       \
    {                                                                                                                  \
        text, sizeof text - 1, status, where                                                                           \
    }

static const struct row refused[] = {
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "header Content-Length"),
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "header Content-Length"),
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
        "header Transfer-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", 400,
        "header Transfer-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
        "header Transfer-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "header Transfer-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400,
        "header Transfer-Encoding"),
    ROW("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "header Transfer-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 415,
        "header Content-Encoding"),
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", 413, "header Content-Length"),
    ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999\r\n\r\n", 413, "header Content-Length"),
    ROW("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "header Host"),
    ROW("GET / HTTP/1.1\r\n\r\n", 400, "header Host"),
    ROW("GET / HTTP/1.1\r\n" HOST "X-A: a\x01z\r\n\r\n", 400, "headers"),
    ROW("GET / HTTP/1.1\r\n" HOST "X-A: a\x1b[31mz\r\n\r\n", 400, "headers"),
    ROW("GET / HTTP/1.1\r\n" HOST "X A: 1\r\n\r\n", 400, "headers"),
    ROW("GET / HTTP/1.1\r\n" HOST "X@A: 1\r\n\r\n", 400, "headers"),
    ROW("GET / HTTP/1.1\r\n" HOST "X\xc3\xa9: 1\r\n\r\n", 400, "headers"),
    ROW("GET /%00 HTTP/1.1\r\n" HOST "\r\n", 400, "path"),
    ROW("GET /a%2fb HTTP/1.1\r\n" HOST "\r\n", 400, "path"),
    ROW("GET /%zz HTTP/1.1\r\n" HOST "\r\n", 400, "path"),
    ROW("GET /%ff HTTP/1.1\r\n" HOST "\r\n", 400, "path"),
    ROW("GET /?a=%00 HTTP/1.1\r\n" HOST "\r\n", 400, "query"),
    ROW("GET http://x/ HTTP/1.1\r\n" HOST "\r\n", 400, "request target"),
    ROW("G\x7fT / HTTP/1.1\r\n" HOST "\r\n", 400, "request line"),
};

static void check(struct serving *s, const struct row *row)
{
    STANCH_AUTO_FREE char *answer = talk(s, row->text, row->len);
    STANCH_AUTO_JSON json_t *doc = body_of(answer);
    char line[64];
    (void)snprintf(line, sizeof line, "HTTP/1.1 %d ", row->status);
    if (strncmp(answer, line, strlen(line)) != 0 || strcmp(stanch_json_str(doc, "where", ""), row->where) != 0 ||
        !strstr(answer, "application/problem+json") || !strstr(answer, "Connection: close"))
        fail_msg("expected %d at %s for\n%s\ngot\n%s", row->status, row->where, row->text, answer);
    assert_true(strlen(stanch_json_str(doc, "detail", "")) > 10);
}

static void refuses_and_says_what_is_wrong_where(void **state)
{
    struct serving *s = *state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        check(s, &refused[i]);
    assert_int_equal(s->seen, 0);
}

static void refuses_too_many_and_too_long_headers(void **state)
{
    STANCH_AUTO_BUF struct stanch_buf many = {0}, longer = {0};
    stanch_buf_text(&many, "GET / HTTP/1.1\r\n" HOST);
    for (int i = 0; i < 100; i++)
        stanch_buf_printf(&many, "X-%d: 1\r\n", i);
    stanch_buf_text(&many, "\r\n");
    stanch_buf_text(&longer, "GET / HTTP/1.1\r\n" HOST "X: ");
    for (int i = 0; i < 5000; i++)
        stanch_buf_char(&longer, 'x');
    stanch_buf_text(&longer, "\r\n\r\n");
    check(*state, &(struct row){many.data, many.len, 431, "headers"});
    check(*state, &(struct row){longer.data, longer.len, 431, "headers"});
    assert_int_equal(((struct serving *)*state)->seen, 0);
}

static void refuses_a_long_body_that_really_comes(void **state)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_text(&text, "POST / HTTP/1.1\r\n" HOST "Content-Length: 2000000\r\n\r\n");
    for (int i = 0; i < 2000000; i++)
        stanch_buf_char(&text, 'x');
    check(*state, &(struct row){text.data, text.len, 413, "header Content-Length"});
}

static void add_chunks(struct stanch_buf *text, int count)
{
    static const char chunk[1001] = {0};
    for (int i = 0; i < count; i++) {
        stanch_buf_text(text, "3e8\r\n");
        stanch_buf_add(text, chunk, 1000);
        stanch_buf_text(text, "\r\n");
    }
}

static void refuses_chunks_over_the_limit(void **state)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_text(&text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    add_chunks(&text, 2);
    stanch_buf_text(&text, "0\r\n\r\n");
    check(*state, &(struct row){text.data, text.len, 413, "body"});
}

static void does_not_wait_for_the_end_of_endless_chunks(void **state)
{
    struct serving *s = *state;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int fd = dial(s);
    stanch_buf_text(&text, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    add_chunks(&text, 6000);
    put(fd, text.data, text.len); /* 6 MB, and no end: the connection is closed under us */
    STANCH_AUTO_FREE char *answer = hear(fd, NULL);
    assert_true(answer[0] == 0 || strstr(answer, "HTTP/1.1 413"));
    assert_int_equal(s->seen, 0);
    close(fd);
}

static void refuses_expectations_over_the_limit_before_the_body(void **state)
{
    check(*state, &(struct row)ROW("POST / HTTP/1.1\r\n" HOST "Content-Length: 2000\r\nExpect: 100-continue\r\n\r\n",
                                   413, "header Content-Length"));
}

static void a_refused_request_takes_none_behind_it_along(void **state)
{
    struct serving *s = *state;
    STANCH_AUTO_FREE char *answer =
        TALK(s, "POST / HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                "0\r\n\r\nGET /smuggled HTTP/1.1\r\n" HOST "\r\n");
    assert_null(strstr(answer, "smuggled"));
    assert_int_equal(s->seen, 0);
}

static void honest_clients_are_served_beside_slow_ones(void **state)
{
    struct serving *s = *state;
    int slow[100];
    for (int i = 0; i < 100; i++) {
        slow[i] = dial(s);
        say(slow[i], "POST / HTTP/1.1\r\nHo");
    }
    for (int i = 0; i < 20; i++) {
        STANCH_AUTO_FREE char *answer = TALK(s, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
        assert_non_null(strstr(answer, "HTTP/1.1 200"));
    }
    for (int i = 0; i < 100; i++)
        close(slow[i]);
}

/* Accepted although a strict reader would refuse; none of them lets a body end at two places. */
static void the_library_repairs_these(void **state)
{
    struct serving *s = *state;
    STANCH_AUTO_FREE char *bare = TALK(s, "GET / HTTP/1.1\nHost: x\nConnection: close\n\n");
    assert_non_null(strstr(bare, "HTTP/1.1 200"));
    STANCH_AUTO_FREE char *folded = TALK(s, "GET / HTTP/1.1\r\n" HOST "X-A: one\r\n two\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(folded, "HTTP/1.1 200"));
    assert_non_null(strstr(folded, "\"x-atwo\":\"one\"")); /* glued to the name: a header nobody reads */
    STANCH_AUTO_FREE char *nul = TALK(s, "GET / HTTP/1.1\r\n" HOST "X-A: one\0two\r\nConnection: close\r\n\r\n");
    assert_non_null(strstr(nul, "\"x-a\":\"one\"")); /* cut at the NUL */
}

/* Refused by the library itself, in its own words (HTML): not a problem document, but a refusal. */
static void the_library_refuses_these_itself(void **state)
{
    struct serving *s = *state;
    STANCH_AUTO_BUF struct stanch_buf huge = {0};
    stanch_buf_text(&huge, "GET / HTTP/1.1\r\n" HOST "X: ");
    for (int i = 0; i < 200000; i++)
        stanch_buf_char(&huge, 'x');
    STANCH_AUTO_FREE char *of_huge = talk(s, huge.data, huge.len);
    assert_true(of_huge[0] == 0 || strstr(of_huge, "HTTP/1.1 431"));
    STANCH_AUTO_FREE char *chunk =
        TALK(s, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n");
    assert_non_null(strstr(chunk, "HTTP/1.1 400"));
    static const char *const lengths[] = {"-1", "+5", "5, 5", "0x10", "99999999999999999999999", "", "1 1"};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("POST / HTTP/1.1\r\n" HOST "Content-Length: %s\r\n\r\nabcde", lengths[i]);
        STANCH_AUTO_FREE char *answer = talk(s, text, strlen(text));
        if (strncmp(answer, "HTTP/1.1 400", 12) != 0 && strncmp(answer, "HTTP/1.1 413", 12) != 0)
            fail_msg("Content-Length %s got %s", lengths[i], answer);
    }
    STANCH_AUTO_FREE char *garbage = TALK(s, "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n");
    assert_null(strstr(garbage, "200"));
    assert_int_equal(s->seen, 0);
}

#define TOGETHER 64
#define MIB      (1u << 20)

static int count_told(const int *fds)
{
    struct pollfd ready[TOGETHER];
    int count = 0;
    for (int i = 0; i < TOGETHER; i++)
        ready[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    assert_true(poll(ready, TOGETHER, 10) >= 0);
    for (int i = 0; i < TOGETHER; i++)
        count += ready[i].revents != 0;
    return count;
}

/* 16 MiB are for those of one address, in memory taken: 25 of these, where their bytes alone would be 27. */
static void bodies_that_come_together_take_no_more_memory_than_they_may(void **state)
{
    static const char some[600000];
    int fds[TOGETHER], served = 0, told = 0;
    for (int i = 0; i < TOGETHER; i++) {
        fds[i] = dial(*state);
        say(fds[i], "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\nConnection: close\r\n\r\n");
        put(fds[i], some, sizeof some);
    }
    int64_t until = stanch_mono_now_ms() + 20000;
    while (told < TOGETHER - 25 && stanch_mono_now_ms() < until)
        told = count_told(fds);
    assert_true(told >= TOGETHER - 25);
    int local = dial_local(*state); /* there is room for others */
    say(local, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\nConnection: close\r\n\r\n");
    put(local, some, sizeof some);
    put(local, some, MIB - sizeof some);
    STANCH_AUTO_FREE char *answered = hear(local, NULL);
    assert_non_null(strstr(answered, "HTTP/1.1 200"));
    close(local);
    for (int i = 0; i < TOGETHER; i++) {
        put(fds[i], some, MIB - sizeof some);
        STANCH_AUTO_FREE char *answer = hear(fds[i], NULL);
        served += strstr(answer, "HTTP/1.1 200") != NULL;
        assert_true(strstr(answer, "HTTP/1.1 200") || strstr(answer, "too many bodies are coming in at once"));
        close(fds[i]);
    }
    assert_true(served > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_and_says_what_is_wrong_where, setup, stop_serving),
        cmocka_unit_test_setup_teardown(refuses_too_many_and_too_long_headers, setup, stop_serving),
        cmocka_unit_test_setup_teardown(refuses_a_long_body_that_really_comes, setup, stop_serving),
        cmocka_unit_test_setup_teardown(refuses_chunks_over_the_limit, setup, stop_serving),
        cmocka_unit_test_setup_teardown(does_not_wait_for_the_end_of_endless_chunks, setup, stop_serving),
        cmocka_unit_test_setup_teardown(refuses_expectations_over_the_limit_before_the_body, setup, stop_serving),
        cmocka_unit_test_setup_teardown(a_refused_request_takes_none_behind_it_along, setup, stop_serving),
        cmocka_unit_test_setup_teardown(bodies_that_come_together_take_no_more_memory_than_they_may, setup_default,
                                        stop_serving),
        cmocka_unit_test_setup_teardown(honest_clients_are_served_beside_slow_ones, setup_default, stop_serving),
        cmocka_unit_test_setup_teardown(the_library_repairs_these, setup, stop_serving),
        cmocka_unit_test_setup_teardown(the_library_refuses_these_itself, setup, stop_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
