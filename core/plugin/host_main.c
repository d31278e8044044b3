/* host_main.c: the process `stanch plugin-host`. Its channel to core is descriptor 3, secrets come as further
 * ones, and it holds the lock's descriptor until it is gone.
 *
 *   start --open frame--> load --> hello | failed --> calls ... --> the channel closes --> close, end
 *
 * What the plugin writes to its standard output and error goes into the log, scrubbed, as log frames. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/host.h"
#include "plugin/plugin.h"
#include <curl/curl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define CHANNEL_FD 3

struct host_process {
    struct stanch_instance instance;
    uv_pipe_t said; /* what the plugin prints */
    char line[2048];
    size_t line_len;
    bool has_said;
};

/* ---- what the plugin prints ---- */

static void flush_line(struct host_process *host)
{
    if (host->line_len)
        stanch_host__log(&host->instance, 2, "printed: %.*s", (int)host->line_len, host->line);
    host->line_len = 0;
}

static void on_need_line(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct host_process *host = container_of((uv_pipe_t *)handle, struct host_process, said);
    (void)suggested;
    *buf = uv_buf_init(host->line + host->line_len, (unsigned)(sizeof host->line - host->line_len));
}

static void on_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct host_process *host = container_of((uv_pipe_t *)stream, struct host_process, said);
    char *newline;
    (void)buf;
    if (n <= 0)
        return;
    host->line_len += (size_t)n;
    while ((newline = memchr(host->line, '\n', host->line_len))) {
        size_t used = (size_t)(newline - host->line) + 1, rest = host->line_len - used;
        host->line_len = used - 1;
        flush_line(host);
        memmove(host->line, newline + 1, rest);
        host->line_len = rest;
    }
    if (host->line_len == sizeof host->line)
        flush_line(host);
}

static int catch_output(struct host_process *host)
{
#ifndef STANCH_ASAN /* a sanitizer's report must be seen even though the process dies of it */
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    (void)dup2(ends[1], 1);
    (void)dup2(ends[1], 2);
    close(ends[1]);
    (void)fcntl(2, F_SETFL, fcntl(2, F_GETFL) | O_NONBLOCK); /* a full pipe loses text, it never blocks */
    uv_pipe_init(stanch_loop_uv(host->instance.loop), &host->said, 0);
    if (uv_pipe_open(&host->said, ends[0]) < 0)
        return -1;
    host->has_said = true;
    return uv_read_start((uv_stream_t *)&host->said, on_need_line, on_said);
#else
    (void)on_need_line;
    (void)on_said;
    (void)host;
    return 0;
#endif
}

/* ---- open ---- */

static void say_failed(struct stanch_instance *instance, const struct stanch_err *err)
{
    json_t *head = json_pack("{s:s, s:s, s:s}", "t", "failed", "kind", stanch_err_word(err->code), "text", err->text);
    json_t *clean = head ? stanch_scrub_json(instance->scrub, head) : json_pack("{s:s}", "t", "failed");
    (void)stanch_channel_send(instance->channel, clean, NULL, 0, NULL);
    json_decref(head);
    json_decref(clean);
}

static void say_hello(struct stanch_instance *instance, const char *digest)
{
    json_t *head = json_pack("{s:s, s:s, s:O, s:b}", "t", "hello", "digest", digest, "declaration",
                             instance->declaration, "declares_by_settings", instance->plugin->declare != NULL);
    (void)stanch_channel_send(instance->channel, head, NULL, 0, NULL);
    json_decref(head);
}

static int read_secrets(struct stanch_instance *instance, const json_t *list, struct stanch_err *err)
{
    size_t i;
    json_t *one;
    int rc = 0;
    json_array_foreach((json_t *)(uintptr_t)list, i, one)
    {
        int one_rc = stanch_host__secret_read(instance, stanch_json_str(one, "setting", ""),
                                              (int)stanch_json_int(one, "fd", -1), rc ? NULL : err);
        rc = rc ? rc : one_rc;
    }
    return rc;
}

static int open_instance(struct stanch_instance *instance, const json_t *head, char ret_digest[65],
                         struct stanch_err *err)
{
    int link_fd = (int)stanch_json_int(head, "launch_fd", -1);
    int rc = read_secrets(instance, json_object_get(head, "secrets"), err);
    instance->state_dir = stanch_strdup(stanch_json_str(head, "state_dir", NULL));
    if (link_fd >= 0)
        rc = rc ? rc : stanch_host__launcher_open(instance, link_fd, err);
    return rc ? rc : stanch_host__load(instance, stanch_json_str(head, "so", ""), ret_digest, err);
}

/* Nothing was handed over but the plugin's path, and for what is declared by the settings those that are not secret.
 * Which secrets there are is known by name, so that the settings can be checked as if they were opened. */
static int declare_instance(struct stanch_instance *instance, const json_t *head, char ret_digest[65],
                            struct stanch_err *err)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(head, "secrets"), i, one)
        json_object_set_new(instance->secret_names, stanch_json_str(one, "setting", ""), json_true());
    int rc = stanch_host__seal(err);
    return rc ? rc
              : stanch_host__load_declaration(instance, stanch_json_str(head, "so", ""),
                                              json_object_get(head, "settings") != NULL, ret_digest, err);
}

static void begin_instance(struct stanch_instance *instance, const json_t *head)
{
    struct stanch_err err = {0};
    char digest[65];
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    const json_t *settings = json_object_get(head, "settings");
    instance->name = stanch_strdup(stanch_json_str(head, "instance", ""));
    instance->settings = settings ? json_deep_copy(settings) : json_object();
    stanch_json_write(instance->settings, &text);
    instance->settings_text = stanch_buf_take(&text);
    int rc = stanch_json_bool(head, "declare", false) ? declare_instance(instance, head, digest, &err)
                                                      : open_instance(instance, head, digest, &err);
    if (rc < 0)
        say_failed(instance, &err);
    else
        say_hello(instance, digest);
}

/* ---- the channel ---- */

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_instance *instance = ctx;
    const char *kind = stanch_json_str(head, "t", "");
    if (fd >= 0)
        close(fd);
    if (strcmp(kind, "open") == 0 && !instance->name)
        begin_instance(instance, head);
    else if (strcmp(kind, "call") == 0)
        stanch_host__call_start(instance, head, attachment, len);
    else if (strcmp(kind, "cancel") == 0)
        stanch_host__call_cancel(instance, stanch_json_int(head, "id", 0));
}

static void on_channel_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_instance *instance = ctx;
    (void)why; /* core is gone, or lets go: there is nobody to tell */
    instance->is_over = true;
    stanch_loop_stop(instance->loop);
}

static void free_process(struct host_process *host)
{
    struct stanch_instance *instance = &host->instance;
    instance->is_over = true;
    stanch_host__call_free_all(instance);
    stanch_host__launcher_close(instance);
    stanch_host__unload(instance);
    stanch_host__http_free(instance->http);
    stanch_host__places_free(instance);
    stanch_host__secret_free_all(instance);
    stanch_scrub_free(instance->scrub);
    json_decref(instance->secret_names);
    json_decref(instance->declaration);
    json_decref(instance->settings);
    free(instance->settings_text);
    free(instance->state_dir);
    free(instance->name);
    stanch_channel_close(instance->channel);
    if (host->has_said)
        uv_close((uv_handle_t *)&host->said, NULL);
    stanch_loop_free(instance->loop);
    curl_global_cleanup();
    free(host);
}

int stanch_plugin_host_main(void)
{
    static const struct stanch_channel_events events = {on_frame, on_channel_closed};
    struct host_process *host = STANCH_NEW(struct host_process);
    struct stanch_instance *instance = &host->instance;
    struct stanch_err err;
    if (fcntl(CHANNEL_FD, F_GETFD) < 0) {
        (void)fprintf(stderr, "stanch plugin-host is started by `stanch serve`; it has no use of its own\n");
        free(host);
        return 2;
    }
    (void)fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
    stanch_digest_init();
    (void)curl_global_init_mem(CURL_GLOBAL_DEFAULT, stanch_mem_malloc, free, stanch_mem_realloc, stanch_mem_strdup,
                               stanch_mem_calloc);
    instance->scrub = stanch_scrub_new();
    instance->secret_names = json_object();
    instance->loop = stanch_loop_new(&err);
    if (!instance->loop || stanch_host__harden(&err) < 0 ||
        stanch_channel_open(instance->loop, CHANNEL_FD, 0, &events, instance, &instance->channel, &err) < 0) {
        (void)fprintf(stderr, "stanch plugin-host: %s\n", err.text);
        return 1;
    }
    instance->http = stanch_host__http_new(instance);
    stanch_host__bind(instance);
    if (catch_output(host) < 0)
        stanch_host__log(instance, 1, "what the plugin prints is not caught");
    stanch_loop_run(instance->loop);
    free_process(host);
    return 0;
}
