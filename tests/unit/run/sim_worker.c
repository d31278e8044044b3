/* sim_worker.c: a worker that wants what its program says: one thing after the other, or branches side by side as
 * `parallel` has them (script/README.md: wants come when all branches are blocked, answers one at a time). What it was
 * answered goes into what it says next, so that a replay that was answered otherwise asks otherwise.
 *
 *   a want: {"op","args","raise"?}   raise: an error in its answer ends the run
 *   "$seen" as a note's text: a digest of all answers so far;   "$last" as a mitigation: the last one applied
 */
#include "run/model.h"
#include "run/sim_world.h"
#include <stdio.h>
#include <string.h>

#define MAX_BRANCHES 4

struct branch {
    json_t *list; /* new */
    size_t at;
    int64_t waits; /* n of the want that is out; 0: none */
};

struct sim_worker {
    struct sim_worker *next;
    struct sim *sim;
    struct stanch_worker_events events;
    void *ctx;
    char run[32];
    json_t *program;
    size_t at; /* in the program: what the branches do */
    struct branch branches[MAX_BRANCHES];
    size_t branch_count;
    int64_t wanted, delivered;
    uint64_t seen;
    char last[32]; /* mitigation */
    char error[120];
    bool busy; /* a timer is out */
    bool gone; /* killed */
};

static void drop_branches(struct sim_worker *worker)
{
    for (size_t i = 0; i < worker->branch_count; i++)
        json_decref(worker->branches[i].list);
    worker->branch_count = 0;
}

static void free_worker(struct sim_worker *worker)
{
    struct sim_worker **at = &worker->sim->workers;
    while (*at && *at != worker)
        at = &(*at)->next;
    if (*at)
        *at = worker->next;
    drop_branches(worker);
    json_decref(worker->program);
    free(worker);
}

/* ---- what it wants ---- */

static json_t *make_want(struct sim_worker *worker, const json_t *item)
{
    json_t *want = json_deep_copy(item);
    json_t *args = json_object_get(want, "args");
    char seen[20];
    (void)snprintf(seen, sizeof seen, "%016llx", (unsigned long long)worker->seen);
    if (strcmp(stanch_json_str(args, "text", ""), "$seen") == 0)
        json_object_set_new(args, "text", json_string(seen));
    if (strcmp(stanch_json_str(args, "mitigation", ""), "$last") == 0)
        json_object_set_new(args, "mitigation", json_string(worker->last));
    json_object_del(want, "raise");
    json_object_set_new(want, "n", json_integer(++worker->wanted));
    json_object_set_new(want, "file", json_string("book.lua"));
    json_object_set_new(want, "line", json_integer(worker->wanted));
    return want;
}

static void begin_item(struct sim_worker *worker)
{
    json_t *item = json_array_get(worker->program, worker->at);
    json_t *lists = json_object_get(item, "parallel");
    worker->branch_count = lists ? json_array_size(lists) : 1;
    for (size_t i = 0; i < worker->branch_count; i++) {
        json_t *list = lists ? json_incref(json_array_get(lists, i)) : json_pack("[O]", item);
        worker->branches[i] = (struct branch){.list = list};
    }
}

/* Let every branch go on until it is blocked or over. returns how many are blocked */
static int run_branches(struct sim_worker *worker, json_t *wants)
{
    int blocked = 0;
    for (size_t i = 0; i < worker->branch_count; i++) {
        struct branch *branch = &worker->branches[i];
        if (!branch->waits && branch->at < json_array_size(branch->list)) {
            json_array_append_new(wants, make_want(worker, json_array_get(branch->list, branch->at++)));
            branch->waits = worker->wanted;
        }
        blocked += branch->waits != 0;
    }
    return blocked;
}

static void end(struct sim_worker *worker, int rc, const char *text)
{
    struct stanch_worker_events events = worker->events;
    void *ctx = worker->ctx;
    struct stanch_err err = {0};
    if (rc < 0)
        stanch_err_set(&err, rc, "%s", text);
    STANCH_AUTO_JSON json_t *result = rc == 0                 ? json_string("end")
                                      : rc == STANCH_E_SCRIPT ? json_pack("{s:s, s:s}", "kind", "remote", "text", text)
                                                              : NULL;
    free_worker(worker);
    events.on_end(ctx, rc, &err, result);
}

static void on_go(void *ctx)
{
    struct sim_worker *worker = ctx;
    worker->busy = false;
    if (worker->gone) {
        free_worker(worker);
        return;
    }
    if (worker->sim->worker_dies && worker->sim->worker_dies(worker->sim)) {
        end(worker, STANCH_E_CRASHED, "it died");
        return;
    }
    STANCH_AUTO_JSON json_t *wants = json_array();
    for (;;) {
        if (worker->branch_count == 0 && worker->at == json_array_size(worker->program)) {
            end(worker, 0, "");
            return;
        }
        if (worker->branch_count == 0)
            begin_item(worker);
        if (run_branches(worker, wants) > 0)
            break;
        if (worker->error[0]) { /* raised when all branches have ended */
            char text[120];
            memcpy(text, worker->error, sizeof text);
            end(worker, STANCH_E_SCRIPT, text);
            return;
        }
        drop_branches(worker);
        worker->at++;
    }
    worker->events.on_wants(worker->ctx, wants);
}

static void go_soon(struct sim_worker *worker)
{
    worker->busy = true;
    stanch_timer_start(worker->sim->loop, worker->sim->jitter ? sim_dice(worker->sim, 20) : 1, on_go, worker);
}

/* ---- what it is told ---- */

static void digest(uint64_t *hash, const char *text)
{
    for (; *text; text++) /* FNV-1a */
        *hash = (*hash ^ (unsigned char)*text) * 1099511628211u;
}

int sim__worker_start(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                      void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err)
{
    struct sim *sim = ctx;
    sim->worker_starts++;
    if (sim->no_workers)
        return stanch_err_set(err, STANCH_E_BUSY, "64 workers are running already");
    if (sim->jitter && sim_dice(sim, 20) == 0)
        return stanch_err_set(err, sim_dice(sim, 2) ? STANCH_E_BUSY : STANCH_E_UNAVAILABLE, "no worker now");
    struct sim_worker *worker = STANCH_NEW(struct sim_worker);
    worker->sim = sim;
    worker->events = *events;
    worker->ctx = worker_ctx;
    (void)snprintf(worker->run, sizeof worker->run, "%s", stanch_json_str(spec->input, "run", ""));
    json_t *own = json_object_get(sim->programs, worker->run);
    worker->program = json_deep_copy(own ? own : sim->program);
    worker->seen = 14695981039346656037u;
    worker->next = sim->workers;
    sim->workers = worker;
    *ret = (struct stanch_worker *)(void *)worker;
    go_soon(worker);
    return 0;
}

static struct branch *branch_that_waits(struct sim_worker *worker, int64_t n)
{
    for (size_t i = 0; i < worker->branch_count; i++)
        if (worker->branches[i].waits == n)
            return &worker->branches[i];
    return NULL;
}

int sim__worker_answer(void *ctx, struct stanch_worker *handle, int64_t n, const json_t *answer, struct stanch_err *err)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)handle;
    struct sim *sim = ctx;
    struct stanch_buf text = {0};
    stanch_json_canonical(answer, &text, err);
    worker->delivered++;
    if (sim->model && !sim->dead)
        model_delivered(sim->model, worker->run, worker->delivered, n, stanch_buf_str(&text));
    struct branch *branch = branch_that_waits(worker, n);
    if (!branch) {
        stanch_buf_done(&text);
        return stanch_err_set(err, STANCH_E_INTERNAL, "an answer to no question");
    }
    digest(&worker->seen, stanch_buf_str(&text));
    stanch_buf_done(&text);
    const char *mitigation = stanch_json_str(json_object_get(answer, "ok"), "mitigation", NULL);
    if (mitigation)
        (void)snprintf(worker->last, sizeof worker->last, "%s", mitigation);
    const json_t *error = json_object_get(answer, "error");
    branch->waits = 0;
    if (error && stanch_json_bool(json_array_get(branch->list, branch->at - 1), "raise", false)) {
        branch->at = json_array_size(branch->list);
        (void)snprintf(worker->error, sizeof worker->error, "raised: %.100s", stanch_json_str(error, "text", ""));
    }
    go_soon(worker);
    return 0;
}

void sim__worker_kill(void *ctx, struct stanch_worker *handle)
{
    struct sim_worker *worker = (struct sim_worker *)(void *)handle;
    (void)ctx;
    if (!worker->busy)
        free_worker(worker);
    else
        worker->gone = true;
}

void sim__end_workers(struct sim *sim)
{
    for (struct sim_worker *worker = sim->workers, *next; worker; worker = next) {
        next = worker->next;
        sim__worker_kill(sim, (struct stanch_worker *)(void *)worker);
    }
}
