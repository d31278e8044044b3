/* runner_worker.h: inside of script/: core's record of one worker, and the runner's of itself.
 *
 *   FORKING --worker frame--> SERVING --end frame--> ENDED (told) --exit frame--> gone
 *      |                         |--channel closed, no end frame--> DYING --exit frame--> told, gone
 *      |                         '--over its time: kill, told --> ENDED
 *      '--exit frame: told, gone
 *   stanch_worker_kill in any state: silent, ENDED; gone at the exit frame
 * Thread: loop thread.
 */
#ifndef STANCH_SCRIPT_RUNNER_WORKER_H
#define STANCH_SCRIPT_RUNNER_WORKER_H
#include "script/runner.h"
#include "wire/channel.h"
#include <stdbool.h>

struct stanch_runner {
    struct stanch_loop *loop;
    char *exe;
    struct stanch_runner_limits limits;
    struct stanch_child *child; /* NULL: down */
    struct stanch_timer *restart;
    int64_t started_mono_ms;
    int64_t back_off_ms;
    struct stanch_worker *first;
    int worker_count;
    int64_t last_id;
};

struct stanch_worker {
    struct stanch_worker *next, *prev;
    struct stanch_runner *runner;
    int64_t id;
    int pid; /* 0: not started yet */
    struct stanch_worker_events events;
    void *ctx;
    json_t *start_head; /* until the channel is there */
    struct stanch_buf start_sources;
    struct stanch_channel *channel;
    struct stanch_timer *wall;    /* runs while the worker computes */
    struct stanch_timer *confirm; /* runs while a kill is not confirmed */
    int owed;                     /* wants that core has not answered */
    bool listens;                 /* it sent wants and got no answer since */
    bool covers;                  /* it was asked which lines it runs */
    bool told_last;               /* its last lines came: only its end may follow */
    bool told;                    /* on_end was called, or the owner does not want it */
    bool doomed;                  /* its runner died */
    bool channel_over;
    bool has_exited;
    bool kill_sent;
    int exit_status;
    char exit_text[120];
};

/** Into the runner's list; and out of it, freed. */
void stanch_worker__link(struct stanch_runner *runner, struct stanch_worker *worker);
void stanch_worker__drop(struct stanch_worker *worker);
/** The worker computes from now on: its time runs. */
void stanch_worker__start_wall(struct stanch_worker *worker);
/** Find by id. NULL: unknown. */
struct stanch_worker *stanch_worker__find(struct stanch_runner *runner, int64_t id);
/** Frames of the runner that concern one worker. fd: taken. */
void stanch_worker__on_started(struct stanch_worker *worker, int pid, int fd);
void stanch_worker__on_exited(struct stanch_worker *worker, int status, const char *text);
/** The runner is gone, and all workers with it. */
void stanch_worker__end_all(struct stanch_runner *runner);
/** Tell nothing, free all. */
void stanch_worker__free_all(struct stanch_runner *runner);

#endif
