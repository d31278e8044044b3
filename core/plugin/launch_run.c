/* launch_run.c: one command.
 *
 *   run --spawn--> [going] --exit--> [over: its group is killed, the pipes are read out] --> ended
 *                     |  deadline, or the host ends it: SIGTERM to the group; after the grace: SIGKILL
 *
 * A command leads a session and a group of its own. When it has ended, for whatever reason, its group is killed; what
 * left the group is a child of this process by then (it is the reaper), and is killed when no other command is going. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/launch.h"
#include "stanch/plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define READ_OUT_MS 500 /* of what a killed group's pipes still hold */

struct output {
    uv_pipe_t pipe;
    struct stanch_launch_run *run;
    struct stanch_buf bytes;
    bool is_open;
};

struct stanch_launch_run {
    struct stanch_launch_run *next, **at;
    struct stanch_launch *launch;
    int64_t id;
    uv_process_t process;
    uv_pipe_t input;
    uv_write_t write;
    struct stanch_buf given;
    struct output out[2];
    struct stanch_timer *timer; /* deadline, grace, or reading out */
    int64_t grace_ms;
    size_t max_output;
    bool is_cut_ok, is_cut, was_killed, has_exited, is_silent;
    int code, signal;
    int open_handles;
    char why[400];
    char chunk[16384];
};

/* ---- the end ---- */

static void free_run(struct stanch_launch_run *run)
{
    stanch_buf_done(&run->given);
    stanch_buf_done(&run->out[0].bytes);
    stanch_buf_done(&run->out[1].bytes);
    free(run);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct stanch_launch_run *run = handle->data;
    if (--run->open_handles == 0)
        free_run(run);
}

static void answer(struct stanch_launch *launch, int64_t id, uint32_t how, int code, bool is_cut, const char *why,
                   const struct stanch_buf *out, const struct stanch_buf *errors)
{
    STANCH_AUTO_BUF struct stanch_buf all = {0};
    if (out && out->len)
        stanch_buf_add(&all, out->data, out->len);
    if (errors && errors->len)
        stanch_buf_add(&all, errors->data, errors->len);
    json_t *head = json_pack("{s:s, s:I, s:i, s:i, s:b, s:I, s:s}", "t", "ended", "id", (json_int_t)id, "how", (int)how,
                             "code", code, "cut", is_cut, "out", (json_int_t)(out ? out->len : 0), "why", why);
    (void)stanch_channel_send(launch->link, head, stanch_buf_str(&all), all.len, NULL);
    json_decref(head);
}

static void tell_core(struct stanch_launch *launch, const char *what, int pid)
{
    json_t *head = json_pack("{s:s, s:i}", "t", what, "pid", pid);
    (void)stanch_channel_send(launch->core, head, NULL, 0, NULL);
    json_decref(head);
}

static bool is_main(const struct stanch_launch *launch, int pid)
{
    for (const struct stanch_launch_run *run = launch->runs; run; run = run->next)
        if (run->process.pid == pid)
            return true;
    return false;
}

/* Kill and reap the children that are no command: what commands left behind. returns how many there were. */
static int kill_strays(const struct stanch_launch *launch)
{
    int pid = 0, count = 0;
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *list = fopen(path, "re");
    while (list && fscanf(list, "%d", &pid) == 1) {
        if (is_main(launch, pid))
            continue;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        count++;
    }
    if (list)
        (void)fclose(list);
    return count;
}

static void finish(struct stanch_launch_run *run)
{
    struct stanch_launch *launch = run->launch;
    uint32_t how = run->was_killed ? STANCH_RUN_KILLED : run->signal ? STANCH_RUN_SIGNALLED : STANCH_RUN_EXITED;
    stanch_timer_stop(launch->loop, &run->timer);
    *run->at = run->next;
    if (run->next)
        run->next->at = run->at;
    launch->count--;
    while (launch->count == 0 && kill_strays(launch) > 0)
        continue; /* their children become ours in turn */
    if (how == STANCH_RUN_SIGNALLED)
        (void)snprintf(run->why, sizeof run->why, "the command was ended by signal %d (%s)", run->signal,
                       strsignal(run->signal));
    if (!run->is_silent)
        answer(launch, run->id, how, run->signal ? run->signal : run->code, run->is_cut, run->why, &run->out[0].bytes,
               &run->out[1].bytes);
    tell_core(launch, "gone", run->process.pid);
    uv_close((uv_handle_t *)&run->process, on_handle_closed);
    for (int i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&run->out[i].pipe, on_handle_closed);
    if (!uv_is_closing((uv_handle_t *)&run->input))
        uv_close((uv_handle_t *)&run->input, on_handle_closed);
}

static void check_over(struct stanch_launch_run *run)
{
    if (run->has_exited && !run->out[0].is_open && !run->out[1].is_open)
        finish(run);
}

static void on_read_out_late(void *ctx)
{
    struct stanch_launch_run *run = ctx;
    run->timer = NULL;
    finish(run);
}

static void on_exit_(uv_process_t *process, int64_t code, int signal)
{
    struct stanch_launch_run *run = process->data;
    run->has_exited = true;
    run->code = (int)code;
    run->signal = signal;
    (void)kill(-process->pid, SIGKILL);
    stanch_timer_stop(run->launch->loop, &run->timer);
    run->timer = stanch_timer_start(run->launch->loop, READ_OUT_MS, on_read_out_late, run);
    check_over(run);
}

/* ---- ending it ---- */

static void on_grace_over(void *ctx)
{
    struct stanch_launch_run *run = ctx;
    run->timer = NULL;
    (void)kill(-run->process.pid, SIGKILL);
}

static void end_run(struct stanch_launch_run *run, const char *why)
{
    if (run->was_killed || run->has_exited)
        return;
    run->was_killed = true;
    (void)snprintf(run->why, sizeof run->why, "%s", why);
    (void)kill(-run->process.pid, SIGTERM);
    stanch_timer_stop(run->launch->loop, &run->timer);
    run->timer = stanch_timer_start(run->launch->loop, run->grace_ms, on_grace_over, run);
}

static void on_deadline(void *ctx)
{
    struct stanch_launch_run *run = ctx;
    run->timer = NULL;
    end_run(run, "the command did not end by its deadline, and was ended; what it did is not known");
}

void stanch_launch__end(struct stanch_launch *launch, int64_t id)
{
    for (struct stanch_launch_run *run = launch->runs; run; run = run->next)
        if (run->id == id) {
            run->is_silent = true;
            end_run(run, "nobody waits for it");
        }
}

void stanch_launch__kill_all(struct stanch_launch *launch)
{
    for (struct stanch_launch_run *run = launch->runs; run; run = run->next)
        (void)kill(-run->process.pid, SIGKILL);
    while (launch->runs) { /* the loop reaps them */
        launch->runs->is_silent = true;
        stanch_loop_run_once(launch->loop);
    }
    while (kill_strays(launch) > 0)
        continue;
}

/* ---- what it says ---- */

static void on_need_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stanch_launch_run *run = handle->data;
    (void)suggested;
    *buf = uv_buf_init(run->chunk, sizeof run->chunk);
}

static void on_output(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct output *out = container_of((uv_pipe_t *)stream, struct output, pipe);
    struct stanch_launch_run *run = out->run;
    if (n == 0)
        return;
    if (n < 0) {
        uv_read_stop(stream);
        out->is_open = false;
        check_over(run);
        return;
    }
    size_t room = run->max_output - out->bytes.len, take = (size_t)n < room ? (size_t)n : room;
    if (take)
        stanch_buf_add(&out->bytes, buf->base, take);
    if (take == (size_t)n)
        return;
    run->is_cut = true;
    if (!run->is_cut_ok)
        end_run(run, "the command wrote more than its limit, and was ended; what it did is not known");
}

static void on_input_written(uv_write_t *write, int status)
{
    struct stanch_launch_run *run = write->handle->data;
    (void)status; /* a command that does not read all of it is its own matter */
    if (!uv_is_closing((uv_handle_t *)&run->input))
        uv_close((uv_handle_t *)&run->input, on_handle_closed);
}

/* ---- the start ---- */

/* Only what the configuration names, and what nobody but its owner or root could have changed. */
static const char *refuse(const struct stanch_launch *launch, const char *command)
{
    struct stat st;
    if (command[0] != '/' || !json_object_get(launch->commands, command))
        return "refused: no setting with \"format\":\"command\" names it";
    if (launch->count >= STANCH_LAUNCH_MAX_RUNS)
        return "too many commands of this instance are going already";
    if (stat(command, &st) < 0)
        return "it is not there";
    if (!S_ISREG(st.st_mode) || access(command, X_OK) < 0)
        return "it is no file that can be executed";
    if (st.st_mode & 022 || (st.st_uid != 0 && st.st_uid != geteuid()))
        return "refused: others than root and the user of stanch can change it; chmod go-w, chown root";
    return NULL;
}

/* {"A":"b"} as NULL-ended "A=b" list; new */
static char **make_list(const json_t *env, const char *first, const json_t *args)
{
    size_t count = json_object_size(env) + json_array_size(args) + 2, n = 0, i;
    char **list = stanch_alloc(count * sizeof *list);
    const char *name;
    json_t *value;
    if (first)
        list[n++] = stanch_strdup(first);
    json_array_foreach((json_t *)(uintptr_t)args, i, value) list[n++] = stanch_strdup(json_string_value(value));
    json_object_foreach((json_t *)(uintptr_t)env, name, value) list[n++] =
        stanch_asprintf("%s=%s", name, json_string_value(value));
    return list;
}

static void free_list(char **list)
{
    for (char **one = list; *one; one++) {
        explicit_bzero(*one, strlen(*one)); /* a secret may stand in it */
        free(*one);
    }
    free(list);
}

/* Pipes and no socket pairs: a script may open /dev/stderr. ends: [i][0] is read, [i][1] written. */
static int make_pipes(int ends[3][2])
{
    for (int i = 0; i < 3; i++)
        if (pipe2(ends[i], O_CLOEXEC) < 0) {
            while (i-- > 0) {
                close(ends[i][0]);
                close(ends[i][1]);
            }
            return -1;
        }
    return 0;
}

static int spawn(struct stanch_launch_run *run, const json_t *head, int ends[3][2])
{
    const char *command = stanch_json_str(head, "command", "");
    char **args = make_list(NULL, command, json_object_get(head, "args"));
    char **env = make_list(json_object_get(head, "env"), NULL, NULL);
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_INHERIT_FD, .data.fd = ends[0][0]},
        {.flags = UV_INHERIT_FD, .data.fd = ends[1][1]},
        {.flags = UV_INHERIT_FD, .data.fd = ends[2][1]},
        {.flags = UV_INHERIT_FD, .data.fd = run->launch->lock_fd}, /* a new core waits for the end of what acts */
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_,
        .file = command,
        .args = args,
        .env = env,
        .cwd = run->launch->dir,
        .flags = UV_PROCESS_DETACHED,
        .stdio_count = run->launch->lock_fd < 0 ? 3 : 4,
        .stdio = stdio,
    };
    int rc = uv_spawn(stanch_loop_uv(run->launch->loop), &run->process, &options);
    free_list(args);
    free_list(env);
    return rc;
}

static void open_pipe(struct stanch_launch_run *run, uv_pipe_t *pipe, int fd)
{
    uv_pipe_init(stanch_loop_uv(run->launch->loop), pipe, 0);
    pipe->data = run;
    run->open_handles++;
    (void)uv_pipe_open(pipe, fd);
}

static void follow(struct stanch_launch_run *run, int ends[3][2])
{
    struct stanch_launch *launch = run->launch;
    open_pipe(run, &run->input, ends[0][1]);
    for (int i = 0; i < 2; i++) {
        run->out[i].run = run;
        run->out[i].is_open = true;
        open_pipe(run, &run->out[i].pipe, ends[i + 1][0]);
        (void)uv_read_start((uv_stream_t *)&run->out[i].pipe, on_need_chunk, on_output);
    }
    uv_buf_t bytes = uv_buf_init(run->given.data ? run->given.data : run->chunk, (unsigned)run->given.len);
    if (uv_write(&run->write, (uv_stream_t *)&run->input, &bytes, 1, on_input_written) < 0)
        uv_close((uv_handle_t *)&run->input, on_handle_closed);
    run->next = launch->runs;
    run->at = &launch->runs;
    if (run->next)
        run->next->at = &run->next;
    launch->runs = run;
    launch->count++;
    tell_core(launch, "group", run->process.pid);
}

static struct stanch_launch_run *new_run(struct stanch_launch *launch, const json_t *head, const void *input,
                                         size_t len)
{
    struct stanch_launch_run *run = STANCH_NEW(struct stanch_launch_run);
    run->launch = launch;
    run->id = stanch_json_int(head, "id", 0);
    run->grace_ms = stanch_json_int(head, "grace_ms", 1000);
    run->max_output = (size_t)stanch_json_int(head, "max_output", 1 << 18);
    run->is_cut_ok = stanch_json_bool(head, "is_cut_ok", false);
    run->process.data = run;
    run->open_handles = 1;
    if (len)
        stanch_buf_add(&run->given, input, len);
    return run;
}

void stanch_launch__run(struct stanch_launch *launch, const json_t *head, const void *input, size_t len)
{
    const char *command = stanch_json_str(head, "command", ""), *why = refuse(launch, command);
    int ends[3][2], rc = 0;
    char text[400];
    if (!why && make_pipes(ends) < 0)
        why = strerror(errno);
    struct stanch_launch_run *run = why ? NULL : new_run(launch, head, input, len);
    if (run && (rc = spawn(run, head, ends)) < 0)
        why = uv_strerror(rc);
    for (int i = 0; run && i < 3; i++) {
        close(ends[i][i != 0]);
        if (why)
            close(ends[i][i == 0]);
    }
    if (!why) {
        follow(run, ends);
        run->timer = stanch_timer_start(launch->loop, stanch_json_int(head, "deadline_ms", 1000), on_deadline, run);
        return;
    }
    (void)snprintf(text, sizeof text, "%.200s: %.150s (nothing was started)", command, why);
    answer(launch, stanch_json_int(head, "id", 0), STANCH_RUN_NOT_STARTED, 0, false, text, NULL, NULL);
    if (run)
        uv_close((uv_handle_t *)&run->process, on_handle_closed);
}
