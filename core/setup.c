/* setup.c: a worker evaluates the file; what it found is told whole. */
#include "setup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#define MAX_FILE_BYTES (128u << 10)

/* ---- the file ---- */

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void print_errors(const json_t *errors)
{
    for (size_t i = 0; i < json_array_size(errors); i++) {
        const json_t *error = json_array_get(errors, i);
        const char *path = stanch_json_str(error, "path", "");
        (void)fprintf(stderr, "%s:%lld: %s%s%s\n", stanch_json_str(error, "file", "?"),
                      (long long)stanch_json_int(error, "line", 0), path, *path ? ": " : "",
                      stanch_json_str(error, "text", ""));
    }
}

/* ---- one evaluation ---- */

struct stanch_setup {
    char *path;
    struct stanch_worker *worker;
    stanch_setup_done done;
    void *ctx;
};

static void end(struct stanch_setup *setup, int rc, const struct stanch_err *err, const json_t *result)
{
    stanch_setup_done done = setup->done;
    void *ctx = setup->ctx;
    free(setup->path);
    free(setup);
    done(ctx, rc, err, result);
}

static void on_wants(void *ctx, const json_t *wants)
{
    (void)ctx;
    (void)wants;
}

static void on_end(void *ctx, int rc, const struct stanch_err *why, const json_t *result)
{
    struct stanch_setup *setup = ctx;
    struct stanch_err err = {0};
    const json_t *errors = json_object_get(result, "errors");
    size_t mistakes = json_array_size(errors);
    if (mistakes) {
        print_errors(errors);
        rc = stanch_err_set(&err, STANCH_E_INVALID, "%s has %zu mistake%s, the first in line %lld: %s", setup->path,
                            mistakes, mistakes == 1 ? "" : "s",
                            (long long)stanch_json_int(json_array_get(errors, 0), "line", 0),
                            stanch_json_str(json_array_get(errors, 0), "text", ""));
    } else if (rc < 0) {
        err = *why;
        if (err.code == STANCH_E_SCRIPT)
            err.code = STANCH_E_INVALID;
        rc = err.code;
    }
    end(setup, rc, &err, rc < 0 ? NULL : result);
}

int stanch_setup_begin(struct stanch_runner *runner, const char *kind, const char *path, stanch_setup_done done,
                       void *ctx, struct stanch_setup **ret, struct stanch_err *err)
{
    static const struct stanch_worker_events events = {on_wants, on_end};
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = stanch_file_read(path, MAX_FILE_BYTES, &text, err);
    if (rc < 0)
        return rc;
    struct stanch_source source = {file_name(path), stanch_buf_str(&text), text.len};
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s}", "file", source.path);
    struct stanch_worker_spec spec = {.kind = kind, .input = input, .sources = &source, .source_count = 1};
    struct stanch_setup *setup = STANCH_NEW(struct stanch_setup);
    *setup = (struct stanch_setup){.path = stanch_strdup(path), .done = done, .ctx = ctx};
    *ret = setup;
    rc = stanch_worker_start(runner, &spec, &events, setup, &setup->worker, err);
    if (rc == 0)
        return 0;
    *ret = NULL;
    free(setup->path);
    free(setup);
    return stanch_err_wrap(err, "%s", path);
}

void stanch_setup_cancel(struct stanch_setup *setup)
{
    if (!setup)
        return;
    stanch_worker_kill(setup->worker);
    free(setup->path);
    free(setup);
}

struct evaluation {
    bool ended;
    int rc;
    struct stanch_err err;
    json_t *result;
};

static void on_evaluated(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct evaluation *evaluation = ctx;
    evaluation->ended = true;
    evaluation->rc = rc;
    evaluation->err = *err;
    evaluation->result = result ? json_deep_copy(result) : NULL;
}

int stanch_setup_evaluate(struct stanch_loop *loop, struct stanch_runner *runner, const char *kind, const char *path,
                          json_t **ret, struct stanch_err *err)
{
    struct evaluation evaluation = {0};
    struct stanch_setup *setup = NULL;
    int rc = stanch_setup_begin(runner, kind, path, on_evaluated, &evaluation, &setup, err);
    if (rc < 0)
        return rc;
    while (!evaluation.ended)
        uv_run(stanch_loop_uv(loop), UV_RUN_ONCE);
    if (evaluation.rc < 0)
        *err = evaluation.err;
    else
        *ret = evaluation.result;
    return evaluation.rc;
}

/* ---- where ---- */

char *stanch_setup_path(const json_t *config, const char *key, const char *config_path)
{
    const char *named = stanch_json_str(config, key, NULL);
    if (!named)
        return NULL;
    const char *slash = strrchr(config_path, '/');
    if (*named == '/' || !slash)
        return stanch_strdup(named);
    return stanch_asprintf("%.*s/%s", (int)(slash - config_path), config_path, named);
}

char *stanch_setup_plugin_dir(const json_t *config, const char *given, const char *exe)
{
    const char *slash = strrchr(exe, '/'), *named = given ? given : stanch_json_str(config, "plugin_dir", NULL);
    return named ? stanch_strdup(named) : stanch_asprintf("%.*s/../lib/stanch", slash ? (int)(slash - exe) : 0, exe);
}
