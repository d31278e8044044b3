/* runner_start.c: begin one activation: what may be given to a worker, and the two frames that start it: `fork` to the
 * runner now, `start` to the worker as soon as its channel has come. */
#include "base/json.h"
#include "base/mem.h"
#include "script/runner_worker.h"
#include "wire/frame.h"
#include <string.h>

#define MAX_WORKERS     96 /* core runs 64; some are on their way out, and the daemon itself asks for a few */
#define START_MAX_BYTES (8u << 20)

static int check_sources(const struct stanch_runner *runner, const struct stanch_worker_spec *spec,
                         struct stanch_err *err)
{
    size_t total = 0;
    for (int i = 0; i < spec->source_count; i++) {
        if (spec->sources[i].len > runner->limits.source_bytes)
            return stanch_err_set(err, STANCH_E_TOO_LARGE, "%s has %zu bytes; a source file may have %zu",
                                  spec->sources[i].path, spec->sources[i].len, runner->limits.source_bytes);
        total += spec->sources[i].len;
    }
    if (total > START_MAX_BYTES)
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "the sources have %zu bytes together; %u are allowed", total,
                              START_MAX_BYTES);
    return 0;
}

static int encode_start(struct stanch_worker *worker, const struct stanch_worker_spec *spec, struct stanch_err *err)
{
    json_t *metas = json_array();
    for (int i = 0; i < spec->source_count; i++) {
        const struct stanch_source *source = &spec->sources[i];
        json_array_append_new(metas, json_pack("{s:s, s:I}", "path", source->path, "len", (json_int_t)source->len));
        stanch_buf_add(&worker->start_sources, source->text, source->len);
    }
    worker->start_head =
        json_pack("{s:s, s:s, s:O?, s:o}", "t", "start", "kind", spec->kind, "input", spec->input, "sources", metas);
    STANCH_AUTO_BUF struct stanch_buf probe = {0}; /* so that "too large" is said now, not by a dead worker */
    int rc = stanch_frame_encode(worker->start_head, NULL, 0, &probe, err);
    if (rc == 0) { /* the caller may change its input after the call */
        json_t *copy = json_deep_copy(worker->start_head);
        json_decref(worker->start_head);
        worker->start_head = copy;
    }
    return rc;
}

int stanch_worker_start(struct stanch_runner *runner, const struct stanch_worker_spec *spec,
                        const struct stanch_worker_events *events, void *ctx, struct stanch_worker **ret,
                        struct stanch_err *err)
{
    if (!runner->child)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "the runner is down; it is being started again");
    if (runner->worker_count >= MAX_WORKERS)
        return stanch_err_set(err, STANCH_E_BUSY, "%d workers are running already", MAX_WORKERS);
    int rc = check_sources(runner, spec, err);
    if (rc < 0)
        return rc;
    struct stanch_worker *worker = STANCH_NEW(struct stanch_worker);
    worker->runner = runner;
    worker->id = ++runner->last_id;
    worker->events = *events;
    worker->ctx = ctx;
    worker->covers = strcmp(spec->kind, "run") == 0 && json_is_true(json_object_get(spec->input, "cover"));
    stanch_worker__link(runner, worker);
    rc = encode_start(worker, spec, err);
    if (rc == 0) {
        STANCH_AUTO_JSON json_t *head =
            json_pack("{s:s, s:I, s:I, s:I}", "t", "fork", "id", (json_int_t)worker->id, "memory_bytes",
                      (json_int_t)runner->limits.memory_bytes, "cpu_ms", (json_int_t)runner->limits.cpu_ms);
        rc = stanch_channel_send(stanch_child_channel(runner->child), head, NULL, 0, err);
    }
    if (rc < 0) {
        stanch_worker__drop(worker);
        return rc == STANCH_E_CRASHED ? stanch_err_set(err, STANCH_E_UNAVAILABLE, "the runner is down; it comes back")
                                      : rc;
    }
    stanch_worker__start_wall(worker);
    *ret = worker;
    return 0;
}
