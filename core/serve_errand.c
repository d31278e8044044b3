/* serve_errand.c: a child with two pipes. It is over when it has ended and both pipes are read to their end; its memory
 * goes when the last of its handles is closed. */
#include "serve_errand.h"
#include "base/buf.h"
#include "base/mem.h"
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define WORDS     20
#define MAX_BYTES (16u << 20)

struct stanch_errand {
    struct stanch_loop *loop;
    stanch_errand_done on_done;
    void *ctx;
    uv_process_t process;
    uv_pipe_t pipes[2]; /* stdout, stderr */
    struct stanch_buf texts[2];
    struct stanch_timer *deadline;
    int open;  /* handles that are not closed */
    int waits; /* what must still happen: the end, and two ends of pipes */
    int code;
    bool is_told;
    char chunk[16384];
};

static void on_closed(uv_handle_t *handle)
{
    struct stanch_errand *errand = handle->data;
    if (--errand->open > 0)
        return;
    stanch_buf_done(&errand->texts[0]);
    stanch_buf_done(&errand->texts[1]);
    free(errand);
}

static void close_handle(struct stanch_errand *errand, uv_handle_t *handle)
{
    if (handle->data == errand && !uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void close_all(struct stanch_errand *errand)
{
    stanch_timer_stop(errand->loop, &errand->deadline);
    close_handle(errand, (uv_handle_t *)&errand->process);
    close_handle(errand, (uv_handle_t *)&errand->pipes[0]);
    close_handle(errand, (uv_handle_t *)&errand->pipes[1]);
}

static void happened(struct stanch_errand *errand)
{
    if (--errand->waits > 0 || errand->is_told)
        return;
    errand->is_told = true;
    close_all(errand);
    errand->on_done(errand->ctx, errand->code, stanch_buf_str(&errand->texts[0]), stanch_buf_str(&errand->texts[1]));
}

static void on_exit_of_child(uv_process_t *process, int64_t status, int number)
{
    struct stanch_errand *errand = process->data;
    errand->code = number ? -1 : (int)status;
    happened(errand);
}

static void on_deadline(void *ctx)
{
    struct stanch_errand *errand = ctx;
    errand->deadline = NULL;
    (void)uv_process_kill(&errand->process, SIGKILL); /* its end comes as any other */
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *ret)
{
    struct stanch_errand *errand = handle->data;
    (void)size;
    *ret = uv_buf_init(errand->chunk, sizeof errand->chunk);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct stanch_errand *errand = stream->data;
    struct stanch_buf *text = &errand->texts[(uv_pipe_t *)stream == &errand->pipes[1]];
    if (len > 0 && text->len < MAX_BYTES)
        stanch_buf_add(text, bytes->base, (size_t)len);
    if (len >= 0)
        return;
    (void)uv_read_stop(stream);
    happened(errand);
}

static int spawn(struct stanch_errand *errand, const char *exe, const char *const *words, int pass_fd)
{
    char *argv[WORDS + 2] = {stanch_strdup(exe)};
    int count = 1;
    for (; words[count - 1] && count <= WORDS; count++)
        argv[count] = stanch_strdup(words[count - 1]);
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&errand->pipes[0]},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&errand->pipes[1]},
        {.flags = UV_INHERIT_FD, .data.fd = pass_fd},
    };
    char *no_env[] = {NULL}; /* there may be secrets in ours */
    uv_process_options_t options = {.exit_cb = on_exit_of_child,
                                    .file = exe,
                                    .args = argv,
                                    .env = no_env,
                                    .stdio = stdio,
                                    .stdio_count = pass_fd >= 0 ? 4 : 3};
    int rc = uv_spawn(stanch_loop_uv(errand->loop), &errand->process, &options);
    for (int i = 0; i < count; i++)
        free(argv[i]);
    return rc;
}

int stanch_errand_start(struct stanch_loop *loop, const char *exe, const char *const *words, int pass_fd,
                        int64_t deadline_ms, stanch_errand_done on_done, void *ctx, struct stanch_errand **ret,
                        struct stanch_err *err)
{
    struct stanch_errand *errand = STANCH_NEW(struct stanch_errand);
    errand->loop = loop;
    errand->on_done = on_done;
    errand->ctx = ctx;
    errand->open = errand->waits = 3;
    for (int i = 0; i < 2; i++) {
        uv_pipe_init(stanch_loop_uv(loop), &errand->pipes[i], 0);
        errand->pipes[i].data = errand;
    }
    errand->process.data = errand;
    int rc = spawn(errand, exe, words, pass_fd);
    if (pass_fd >= 0)
        close(pass_fd);
    if (rc < 0) {
        close_all(errand);
        return stanch_err_set(err, STANCH_E_SYSTEM, "no process could be started: %s", uv_strerror(rc));
    }
    for (int i = 0; i < 2; i++)
        uv_read_start((uv_stream_t *)&errand->pipes[i], on_alloc, on_read);
    errand->deadline = stanch_timer_start(loop, deadline_ms, on_deadline, errand);
    *ret = errand;
    return 0;
}

void stanch_errand_free(struct stanch_errand *errand)
{
    if (!errand || errand->is_told)
        return;
    errand->is_told = true;
    (void)uv_process_kill(&errand->process, SIGKILL);
    close_all(errand);
}
