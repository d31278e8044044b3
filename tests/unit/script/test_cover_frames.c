/* What core takes from a worker that tells its lines, or says that it does: the worker is not trusted. It is this test. */
#include "worker_kit.h"
#include "script/runner_worker.h"
#include <sys/socket.h>

struct stand {
    struct stanch_runner runner; /* without a process */
    struct stanch_worker *worker;
    int fd; /* the worker's end */
    int frames;
    json_t *wants; /* of the last frame */
    int rc;
    bool ended;
    struct stanch_err err;
};

static void on_wants(void *ctx, const json_t *wants)
{
    struct stand *stand = ctx;
    stand->frames++;
    json_decref(stand->wants);
    stand->wants = json_deep_copy(wants);
    stanch_loop_stop(stand->runner.loop);
}

static void on_end(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct stand *stand = ctx;
    (void)result;
    stand->ended = true;
    stand->rc = rc;
    stand->err = *err;
    stanch_loop_stop(stand->runner.loop);
}

static void begin(struct stand *stand, bool covers)
{
    static const struct stanch_worker_events events = {on_wants, on_end};
    struct stanch_err err;
    int fds[2];
    memset(stand, 0, sizeof *stand);
    stand->runner.loop = stanch_loop_new(&err);
    stand->runner.limits = stanch_runner_default_limits;
    stand->worker = STANCH_NEW(struct stanch_worker);
    stand->worker->runner = &stand->runner;
    stand->worker->events = events;
    stand->worker->ctx = stand;
    stand->worker->covers = covers;
    stand->worker->start_head = json_object();
    stanch_worker__link(&stand->runner, stand->worker);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    stand->fd = fds[1];
    stanch_worker__on_started(stand->worker, 1, fds[0]);
}

static void end(struct stand *stand)
{
    stanch_worker__free_all(&stand->runner);
    stanch_loop_free(stand->runner.loop);
    json_decref(stand->wants);
    close(stand->fd);
}

/* Send one frame and wait until core has heard of it. head: as JSON with ' for " */
static void send_frame(struct stand *stand, const char *head)
{
    struct stanch_err err;
    char *text = stanch_strdup(head);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *value = json_loads(text, 0, NULL);
    assert_non_null(value);
    assert_int_equal(stanch_frame_send(stand->fd, value, "{}", 2, &err), 0);
    json_decref(value);
    free(text);
    stanch_loop_run(stand->runner.loop);
}

static void expect_refused(bool covers, const char *wants)
{
    struct stand stand;
    char *head = stanch_asprintf("{'t':'wants','wants':%s}", wants);
    begin(&stand, covers);
    send_frame(&stand, head);
    if (!stand.ended || stand.rc != STANCH_E_PROTOCOL)
        fail_msg("%s was taken", wants);
    assert_int_equal(stand.frames, 0);
    assert_string_equal(stand.err.text, "the worker sent what it may not: wants of an unknown form");
    end(&stand);
    free(head);
}

static void who_was_not_asked_may_not_tell(void **state)
{
    (void)state;
    expect_refused(false, "[{'covered':{'a.lua':[1]}}]");
    expect_refused(false, "[{'n':1,'op':'note','args':{}},{'covered':{'a.lua':[1]}}]");
}

static void lines_of_an_unknown_form_are_refused(void **state)
{
    (void)state;
    expect_refused(true, "[]");
    expect_refused(true, "[{'covered':{'a.lua':[1]}},{'n':1,'op':'note','args':{}}]"); /* not the last */
    expect_refused(true, "[{'covered':{'a.lua':[1]}},{'covered':{'a.lua':[2]}}]");
    expect_refused(true, "[{'covered':{'a.lua':[1]},'n':1}]");
    expect_refused(true, "[{'covered':[1]}]");
    expect_refused(true, "[{'covered':{'a.lua':1}}]");
    expect_refused(true, "[{'covered':{'a.lua':[0]}}]");
    expect_refused(true, "[{'covered':{'a.lua':[1,'2']}}]");
    expect_refused(true, "[{'covered':{'a.lua':[1.5]}}]");
}

static void lines_go_along_with_wants(void **state)
{
    struct stand stand;
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *ok = json_pack("{s:{}}", "ok");
    (void)state;
    begin(&stand, true);
    send_frame(&stand, "{'t':'wants','wants':[{'n':1,'op':'now','args':{}},{'n':2,'op':'now','args':{}},"
                       "{'covered':{'a.lua':[1,2]}}]}");
    assert_int_equal(json_array_size(stand.wants), 3); /* as it is */
    assert_int_equal(stand.worker->owed, 2);
    assert_int_equal(stanch_worker_answer(stand.worker, 1, ok, &err), 0);
    assert_int_equal(stanch_worker_answer(stand.worker, 2, ok, &err), STANCH_E_INTERNAL);
    send_frame(&stand, "{'t':'wants','wants':[{'covered':{'a.lua':[3]}}]}"); /* no new want, one is still owed */
    assert_int_equal(stand.frames, 2);
    assert_int_equal(stanch_worker_answer(stand.worker, 2, ok, &err), 0);
    send_frame(&stand, "{'t':'wants','wants':[{'covered':{'a.lua':[4]}}]}");
    assert_int_equal(stand.frames, 3);
    assert_int_equal(stanch_worker_answer(stand.worker, 2, ok, &err), STANCH_E_INTERNAL); /* nothing is owed */
    assert_non_null(stand.worker->wall);                                                  /* and its time runs */
    send_frame(&stand, "{'t':'end','ok':true}");
    assert_true(stand.ended);
    assert_int_equal(stand.rc, 0);
    end(&stand);
}

static void after_the_last_lines_only_the_end_may_come(void **state)
{
    struct stand stand;
    (void)state;
    begin(&stand, true);
    send_frame(&stand, "{'t':'wants','wants':[{'covered':{'a.lua':[1]}}]}");
    assert_int_equal(stand.frames, 1);
    send_frame(&stand, "{'t':'wants','wants':[{'covered':{'a.lua':[2]}}]}");
    assert_int_equal(stand.frames, 1);
    assert_int_equal(stand.rc, STANCH_E_PROTOCOL);
    end(&stand);
}

static void as_many_wants_as_ever(void **state)
{
    struct stand stand;
    STANCH_AUTO_BUF struct stanch_buf head = {0};
    (void)state;
    stanch_buf_text(&head, "{'t':'wants','wants':[");
    for (int i = 1; i <= 128; i++)
        stanch_buf_printf(&head, "{'n':%d,'op':'now','args':{}},", i);
    stanch_buf_text(&head, "{'covered':{'a.lua':[1]}}]}");
    begin(&stand, true);
    send_frame(&stand, stanch_buf_str(&head));
    assert_int_equal(stand.frames, 1);
    end(&stand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_was_not_asked_may_not_tell), cmocka_unit_test(lines_of_an_unknown_form_are_refused),
        cmocka_unit_test(lines_go_along_with_wants),      cmocka_unit_test(after_the_last_lines_only_the_end_may_come),
        cmocka_unit_test(as_many_wants_as_ever),
    };
    return cmocka_run_group_tests_name("script/cover_frames", tests, NULL, NULL);
}
