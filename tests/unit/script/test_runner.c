/* Processes that die, hang or lie: a worker, the runner, and what core makes of it. */
#include "worker_kit.h"
#include "base/times.h"
#include "script/jail.h"
#include "script/runner_worker.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const struct stanch_runner_limits limits = {
    .memory_bytes = 96 << 20, .cpu_ms = 1000, .wall_ms = 2000, .source_bytes = 4096};

#define FILE_TEXT                                                                                                      \
    "runbook 't' { summary = 's', owner = 'o', on = alert { alertname = 'A' }, uses = {},\n"                           \
    "run = function() note 'a' return 'done' end }"

static int begin(void **state)
{
    struct kit *kit = STANCH_NEW(struct kit);
    kit_start(kit, &limits);
    *state = kit;
    return 0;
}

static int end(void **state)
{
    kit_stop(*state);
    free(*state);
    return 0;
}

static void start_file(struct kit *kit, struct act *act)
{
    struct stanch_source source = {"a.lua", FILE_TEXT, sizeof FILE_TEXT - 1};
    json_t *input = act_input();
    act_start(kit, act, input, &source, 1);
    json_decref(input);
}

/* Turn the loop until a condition holds; the deadline is far off and only for a test that fails. */
#define until(kit, condition)                                                                                          \
    do {                                                                                                               \
        int64_t deadline__ = stanch_mono_now_ms() + 15000;                                                             \
        while (!(condition)) {                                                                                         \
            if (stanch_mono_now_ms() > deadline__)                                                                     \
                fail_msg("never: %s", #condition);                                                                     \
            turn(kit);                                                                                                 \
        }                                                                                                              \
    } while (0)

static void on_tick(void *ctx)
{
    stanch_loop_stop(ctx);
}

static void turn(struct kit *kit)
{
    struct stanch_timer *tick = stanch_timer_start(kit->loop, 5, on_tick, kit->loop);
    (void)tick;
    stanch_loop_run(kit->loop);
}

static json_t *never(struct act *act, const json_t *want)
{
    (void)act;
    (void)want;
    return NULL;
}

/* The first of its workers that core knows; 0: none. */
static int worker_pid(struct kit *kit)
{
    return kit->runner->first ? kit->runner->first->pid : 0;
}

/* The newest child of the runner; 0: none. */
static int newest_child(struct kit *kit)
{
    char path[64];
    int runner = stanch_runner_pid(kit->runner), pid = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/task/%d/children", runner, runner);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1)
        continue;
    (void)fclose(file);
    return pid;
}

static void read_status(int pid, const char *name, char *ret, size_t size)
{
    char path[64], line[256];
    (void)snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    ret[0] = 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            (void)snprintf(ret, size, "%s", line + strlen(name) + 2);
    (void)fclose(file);
}

static int count_fds(int pid)
{
    char path[64];
    int count = 0;
    (void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir))
        count += e->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void a_worker_holds_its_channel_and_nothing_else(void **state)
{
    struct act act = {.answer = never};
    char text[64];
    start_file(*state, &act);
    until(*state, json_array_size(act.wants) == 1);
    int pid = worker_pid(*state);
    assert_true(pid > 0);
    if (!STANCH_JAIL_SANITIZED) {
        read_status(pid, "Seccomp", text, sizeof text);
        assert_int_equal(atoi(text), 2);
        read_status(pid, "NoNewPrivs", text, sizeof text);
        assert_int_equal(atoi(text), 1);
        int fds = count_fds(pid);
        if (fds >= 0) /* a process that is not dumpable shows them to root only */
            assert_int_equal(fds, 1);
    }
    stanch_worker_kill(act.worker);
    until(*state, worker_pid(*state) == 0);
    assert_false(act.ended); /* killed by its owner: it is told nothing */
    act_done(&act);
}

/* The spare: the next worker is the process that stood ready; one that died is no loss. */
static void a_worker_stands_ready(void **state)
{
    struct kit *kit = *state;
    int spare = 0;
    for (int i = 0; i < 3; i++) {
        struct act act = {.answer = never};
        start_file(kit, &act);
        until(kit, json_array_size(act.wants) == 1);
        int pid = worker_pid(kit);
        if (i == 1)
            assert_int_equal(pid, spare);
        if (i == 2)
            assert_int_not_equal(pid, spare);
        until(kit, (spare = newest_child(kit)) != pid);
        if (i == 1) {
            char text[64];
            kill(spare, SIGKILL);
            until(kit, newest_child(kit) != spare);
            read_status(pid, "State", text, sizeof text);
            assert_true(text[0] != 'Z'); /* another one's death is not its own */
        }
        act.answer = NULL;
        act_answer_next(&act);
        until(kit, act.ended);
        assert_int_equal(act.rc, 0);
        act_done(&act);
    }
}

static void a_waiting_worker_is_not_over_its_time(void **state)
{
    struct act act = {.answer = never};
    start_file(*state, &act);
    int64_t began = stanch_mono_now_ms();
    until(*state, stanch_mono_now_ms() - began > limits.wall_ms + 200);
    assert_false(act.ended);
    act.answer = NULL;
    act_answer_next(&act);
    until(*state, act.ended);
    assert_int_equal(act.rc, 0);
    assert_string_equal(json_string_value(act.result), "done");
    act_done(&act);
}

static void a_stopped_worker_is_over_its_time(void **state)
{
    struct act act = {.answer = never};
    start_file(*state, &act);
    until(*state, json_array_size(act.wants) == 1);
    int pid = worker_pid(*state);
    kill(pid, SIGSTOP);
    act.answer = NULL;
    act_answer_next(&act);
    until(*state, act.ended);
    assert_int_equal(act.rc, STANCH_E_TIMEOUT);
    until(*state, worker_pid(*state) == 0);
    act_done(&act);
}

/* The loop was busy for longer than a worker may compute: what the worker sent meanwhile counts, not when it is read. */
static void a_busy_loop_does_not_end_a_worker(void **state)
{
    struct act act = {.answer = never};
    start_file(*state, &act);
    until(*state, json_array_size(act.wants) == 1);
    act.answer = NULL;
    act_answer_next(&act);
    int64_t began = stanch_mono_now_ms();
    while (stanch_mono_now_ms() - began < limits.wall_ms + 200)
        continue;
    until(*state, act.ended);
    assert_int_equal(act.rc, 0);
    act_done(&act);
}

static void a_worker_that_dies_is_crashed(void **state)
{
#if STANCH_JAIL_SANITIZED /* which has a handler of its own for the others */
    static const int signals[] = {SIGKILL};
#else
    static const int signals[] = {SIGSEGV, SIGKILL, SIGBUS};
#endif
    int runner = stanch_runner_pid(((struct kit *)*state)->runner);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct act act = {.answer = never};
        start_file(*state, &act);
        until(*state, json_array_size(act.wants) == 1);
        kill(worker_pid(*state), signals[i]);
        until(*state, act.ended);
        assert_int_equal(act.rc, STANCH_E_CRASHED);
        act_done(&act);
    }
    assert_int_equal(stanch_runner_pid(((struct kit *)*state)->runner), runner);
}

static void a_runner_that_dies_comes_back(void **state)
{
    struct kit *kit = *state;
    struct act acts[3] = {{.answer = never}, {.answer = never}, {.answer = never}}, again = {0};
    for (int i = 0; i < 3; i++)
        start_file(kit, &acts[i]);
    until(kit, json_array_size(acts[0].wants) + json_array_size(acts[1].wants) + json_array_size(acts[2].wants) == 3);
    int runner = stanch_runner_pid(kit->runner), worker = worker_pid(kit);
    kill(runner, SIGKILL);
    for (int i = 0; i < 3; i++) {
        until(kit, acts[i].ended);
        assert_int_equal(acts[i].rc, STANCH_E_CRASHED);
        act_done(&acts[i]);
    }
    until(kit, kill(worker, 0) < 0 || ({
                   char text[64];
                   read_status(worker, "State", text, sizeof text);
                   text[0] == 'Z' || text[0] == 'X';
               }));
    struct stanch_worker_spec spec = {"run", NULL, NULL, 0};
    struct stanch_worker *none;
    if (stanch_runner_pid(kit->runner) == 0)
        assert_int_equal(stanch_worker_start(kit->runner, &spec, &act_events, NULL, &none, NULL), STANCH_E_UNAVAILABLE);
    until(kit, stanch_runner_pid(kit->runner) != 0);
    assert_int_not_equal(stanch_runner_pid(kit->runner), runner);
    start_file(kit, &again);
    until(kit, again.ended);
    assert_int_equal(again.rc, 0);
    act_done(&again);
}

static void a_runner_that_hangs_is_killed(void **state)
{
    struct kit *kit = *state;
    struct act act = {.answer = never}, other = {.answer = never};
    start_file(kit, &act);
    start_file(kit, &other);
    until(kit, json_array_size(act.wants) + json_array_size(other.wants) == 2);
    int runner = stanch_runner_pid(kit->runner);
    kill(runner, SIGSTOP);
    count_time(&kit->time, kit->loop);
    stanch_worker_kill(act.worker);
    until(kit, other.ended); /* its runner was killed under it */
    assert_int_equal(other.rc, STANCH_E_CRASHED);
    assert_true(kit->time.ms < 3000);
    until(kit, stanch_runner_pid(kit->runner) != 0 && stanch_runner_pid(kit->runner) != runner);
    assert_false(act.ended);
    act_done(&act);
    act_done(&other);
}

static void what_is_too_much_is_refused(void **state)
{
    struct kit *kit = *state;
    struct stanch_err err;
    static char large[5000];
    memset(large, ' ', sizeof large);
    struct stanch_source source = {"large.lua", large, sizeof large};
    struct stanch_worker_spec spec = {"run", NULL, &source, 1};
    struct stanch_worker *worker;
    assert_int_equal(stanch_worker_start(kit->runner, &spec, &act_events, NULL, &worker, &err), STANCH_E_TOO_LARGE);
    assert_non_null(strstr(err.text, "large.lua has 5000 bytes"));

    struct act acts[96] = {{0}};
    for (int i = 0; i < 96; i++) {
        acts[i].answer = never;
        start_file(kit, &acts[i]);
    }
    struct stanch_worker_spec one = {"run", NULL, NULL, 0};
    assert_int_equal(stanch_worker_start(kit->runner, &one, &act_events, NULL, &worker, &err), STANCH_E_BUSY);
    for (int i = 0; i < 96; i++)
        stanch_worker_kill(acts[i].worker);
    for (int i = 0; i < 96; i++)
        act_done(&acts[i]);
    struct act after = {0};
    until(kit, stanch_worker_start(kit->runner, &one, &act_events, &after, &worker, &err) == 0);
    stanch_worker_kill(worker);
}

/* A runner that lies: what it and its worker send is written down here. */
static const char liar[] =
    "#!/usr/bin/python3\n"
    "import socket, struct, json, sys\n"
    "core = socket.socket(fileno=3)\n"
    "def frame(head, attachment=b''):\n"
    "    h = json.dumps(head).encode()\n"
    "    return struct.pack('<II', len(h), len(attachment)) + h + attachment\n"
    "def read(s):\n"
    "    prefix = s.recv(8, socket.MSG_WAITALL)\n"
    "    if not prefix: sys.exit()\n"
    "    h, a = struct.unpack('<II', prefix)\n"
    "    head = json.loads(s.recv(h, socket.MSG_WAITALL))\n"
    "    return head, s.recv(a, socket.MSG_WAITALL) if a else b''\n"
    "want = lambda n: {'n': n, 'op': 'note', 'args': {}}\n"
    "lies = [b'\\xff' * 64, frame({'t': 'nothing'}), frame({'t': 'wants', 'wants': 'x'}), frame({'t': 'wants', "
    "'wants': []}),\n"
    "        frame({'t': 'wants', 'wants': [{'n': 0, 'op': 'x', 'args': {}}]}), frame({'t': 'wants', 'wants': [want(i "
    "+ 1) for i in range(500)]}),\n"
    "        frame({'t': 'end', 'ok': True}, b'{]'), frame({'t': 'end', 'ok': True}), "
    "b'\\x04\\0\\0\\0\\0\\0\\0\\0{}{}', frame({'t': 'wants'})[:12]]\n"
    "while True:\n"
    "    head, _ = read(core)\n"
    "    if head['t'] == 'kill':\n"
    "        core.sendall(frame({'t': 'exit', 'id': head['id'], 'status': 137}))\n"
    "        continue\n"
    "    mine, theirs = socket.socketpair()\n"
    "    socket.send_fds(core, [frame({'t': 'worker', 'id': head['id'], 'pid': 0, 'fd': True})], [theirs.fileno()])\n"
    "    theirs.close()\n"
    "    read(mine)\n"
    "    lie = lies.pop(0)\n"
    "    mine.sendall(lie)\n"
    "    mine.close()\n";

static void a_worker_that_lies_is_cut_off(void **state)
{
    char path[] = "/tmp/stanch-liar-XXXXXX";
    struct kit kit = {.loop = ((struct kit *)*state)->loop};
    struct stanch_err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, liar, sizeof liar - 1) == (ssize_t)sizeof liar - 1);
    fchmod(fd, 0700);
    close(fd);
    assert_int_equal(stanch_runner_start(kit.loop, path, &limits, &kit.runner, &err), 0);
    for (int i = 0; i < 10; i++) {
        struct act act = {.answer = never};
        start_file(&kit, &act);
        until(&kit, act.ended);
        if (act.rc != (i < 9 ? STANCH_E_PROTOCOL : STANCH_E_CRASHED)) /* the last one breaks off in a frame: it died */
            fail_msg("lie %d: %d %s", i, act.rc, act.err.text);
        act_done(&act);
    }
    stanch_runner_free(kit.runner);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_holds_its_channel_and_nothing_else),
        cmocka_unit_test(a_worker_stands_ready),
        cmocka_unit_test(a_waiting_worker_is_not_over_its_time),
        cmocka_unit_test(a_busy_loop_does_not_end_a_worker),
        cmocka_unit_test(a_stopped_worker_is_over_its_time),
        cmocka_unit_test(a_worker_that_dies_is_crashed),
        cmocka_unit_test(a_runner_that_dies_comes_back),
        cmocka_unit_test(a_runner_that_hangs_is_killed),
        cmocka_unit_test(what_is_too_much_is_refused),
        cmocka_unit_test(a_worker_that_lies_is_cut_off),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
