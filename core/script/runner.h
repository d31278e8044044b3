/* runner.h: core's side of the runner: start a worker for one activation, answer what it wants, kill it.
 *
 *   core --start--> runner --fork--> worker;  worker <==frames==> core over a socketpair of its own
 *
 * Everything that is Lua happens in a worker: a run, and the evaluation of runbooks, policy and configuration.
 * A worker is single use. It sends `wants` when all of its branches are blocked; core gives exactly one answer,
 * then waits for the next `wants` (a list that may be empty while other answers are outstanding), so that the
 * order of answers, which is the journal's order, is the only order there is. A replay is the same exchange: the
 * worker does not know whether an answer is new or from the journal.
 * Thread: loop thread. Only this folder includes lua.h.
 */
#ifndef STANCH_SCRIPT_RUNNER_H
#define STANCH_SCRIPT_RUNNER_H
#include "base/loop.h"
#include <jansson.h>

/* The version of the language of runbooks: what makes a recorded run ask otherwise raises it (tests/golden/README.md).
 * Runs that began under OLDEST or later are replayed; others are parked when stanch starts. */
#define STANCH_LANGUAGE        1
#define STANCH_LANGUAGE_OLDEST 1

struct stanch_runner;
struct stanch_worker;

struct stanch_runner_limits {
    int64_t memory_bytes; /* of a worker, beyond what the runner has mapped; default 256 MiB */
    int64_t cpu_ms;       /* CPU time of one activation; default 2,000 */
    int64_t wall_ms;      /* time without a want, while core owes no answer; default 10,000 */
    size_t source_bytes;  /* one source file; default 128 KiB (M2, M13 in PROMISES.md section 4) */
    int64_t
        confirm_ms; /* until the runner has said that a worker that was to end is gone, else it is killed; 0: 1,000 */
};
extern const struct stanch_runner_limits stanch_runner_default_limits;

/** Start the runner process; it is started again with back-off when it dies. exe: path of this executable,
 *  copied. ret: new. returns 0 | STANCH_E_SYSTEM */
int stanch_runner_start(struct stanch_loop *loop, const char *exe, const struct stanch_runner_limits *limits,
                        struct stanch_runner **ret, struct stanch_err *err);
/** Kill all workers and the runner. Accepts NULL. */
void stanch_runner_free(struct stanch_runner *runner);
int stanch_runner_pid(const struct stanch_runner *runner);

/* One source file handed to a worker. */
struct stanch_source {
    const char *path; /* in the repository: "checkout.lua" */
    const char *text;
    size_t len;
};

struct stanch_worker_spec {
    /** "run" | "load" (declarations of runbooks) | "config" | "policy"; script/README.md has the input and
     *  result of each. */
    const char *kind;
    json_t *input;                       /* borrowed */
    const struct stanch_source *sources; /* borrowed, for the time of the call */
    int source_count;
};

struct stanch_worker_events {
    /** All branches are blocked. wants: borrowed array of new ones, numbered on: [{"n":1,"op":"action",
     *  "args":{...},"file":"checkout.lua","line":31}]. May be empty.
     *  With "cover" in the input its last element may be {"covered":{"checkout.lua":[3,4]}}: lines that were run and not
     *  told before. Where that is all while nothing is to be answered, the end comes next. */
    void (*on_wants)(void *ctx, const json_t *wants);
    /** The end, exactly once; the worker is gone afterwards (the handle is freed).
     *  rc 0: result is what the activation returned (borrowed).
     *  STANCH_E_SCRIPT: an error in Lua; result {"kind","text","file","line","traceback"}.
     *  STANCH_E_TIMEOUT: over its CPU or wall time. STANCH_E_CRASHED: died (a signal, out of memory).
     *  STANCH_E_PROTOCOL: it sent what it may not. */
    void (*on_end)(void *ctx, int rc, const struct stanch_err *err, const json_t *result);
};

/** Start one activation. ret: shared handle, valid until on_end or stanch_worker_kill.
 *  returns 0 | STANCH_E_TOO_LARGE (a source, or the input) | STANCH_E_BUSY (too many workers: 96) |
 *  STANCH_E_UNAVAILABLE (the runner is down; it comes back) */
int stanch_worker_start(struct stanch_runner *runner, const struct stanch_worker_spec *spec,
                        const struct stanch_worker_events *events, void *ctx, struct stanch_worker **ret,
                        struct stanch_err *err);
/** Answer want `n`. answer: borrowed: {"ok":value} or {"error":{"kind","text",...}}; travels as canonical JSON
 *  in the attachment. Only one answer between two on_wants (inside on_wants, or later), and only while one is owed.
 *  returns 0 | STANCH_E_CRASHED (gone; on_end comes) | STANCH_E_INVALID (not JSON that can be kept) |
 *  STANCH_E_TOO_LARGE | STANCH_E_INTERNAL (a second answer) */
int stanch_worker_answer(struct stanch_worker *worker, int64_t n, const json_t *answer, struct stanch_err *err);
/** SIGKILL, by the runner; no callback comes any more. When the runner does not confirm in time (confirm_ms), the runner
 *  itself is killed. Accepts NULL. */
void stanch_worker_kill(struct stanch_worker *worker);

/** The process `stanch runner` (channel on descriptor 3). returns the exit code. */
int stanch_runner_main(void);

#endif
