/* sim_world.c: life and death of the simulated process, and its disk. */
#include "run/sim_world.h"
#include "base/digest.h"
#include "run/model.h"
#include "run/stop.h"
#include "timeline/store_ops.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

uint64_t sim_random(struct sim *sim)
{
    /* splitmix64; source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014) */
    uint64_t z = (sim->seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int sim_dice(struct sim *sim, int below)
{
    return (int)(sim_random(sim) % (uint64_t)below);
}

bool sim__dies(struct sim *sim)
{
    if (sim->die_in > 0 && --sim->die_in == 0)
        sim->dead = true;
    return sim->dead;
}

/* ---- the disk: a store in memory that stays when the process ends; what a dead process writes does not arrive ---- */

static struct sim *sim_of(struct stanch_store *disk)
{
    return container_of((struct stanch_store_ops *)(uintptr_t)disk->ops, struct sim, disk_ops);
}

static int commit(struct stanch_store *disk, const struct stanch_write *write, struct stanch_err *err)
{
    struct sim *sim = sim_of(disk);
    if (sim__dies(sim))
        return 0;
    int rc = sim->memory_ops->commit(disk, write, err);
    if (sim->model)
        model_committed(sim->model, write);
    sim__dies(sim);
    return rc;
}

static void close_nothing(struct stanch_store *disk)
{
    (void)disk;
}

static struct stanch_store *disk_new(struct sim *sim)
{
    struct stanch_store *disk = stanch_store_memory_new();
    sim->memory_ops = disk->ops;
    sim->disk_ops = *disk->ops;
    sim->disk_ops.commit = commit;
    sim->disk_ops.close = close_nothing;
    disk->ops = &sim->disk_ops;
    return disk;
}

static void disk_free(struct sim *sim)
{
    if (!sim->memory_ops)
        return;
    sim->disk->ops = sim->memory_ops;
    stanch_store_close(sim->disk);
}

/* ---- the loop of the journal: what it defers takes as long as a sync ---- */

struct waiting {
    struct waiting *next;
    struct disk_loop *of;
    stanch_loop_fn fn;
    void *ctx;
    struct stanch_timer *timer;
};

struct disk_loop {
    struct stanch_loop base;
    struct sim *sim;
    struct waiting *first;
};

static struct disk_loop *of_disk(struct stanch_loop *loop)
{
    return container_of(loop, struct disk_loop, base);
}

static int64_t get_wall(struct stanch_loop *loop)
{
    return stanch_loop_wall_ms(of_disk(loop)->sim->loop);
}

static int64_t get_mono(struct stanch_loop *loop)
{
    return stanch_loop_mono_ms(of_disk(loop)->sim->loop);
}

static struct stanch_timer *start_timer(struct stanch_loop *loop, int64_t delay_ms, stanch_loop_fn fn, void *ctx)
{
    return stanch_timer_start(of_disk(loop)->sim->loop, delay_ms, fn, ctx);
}

static void stop_timer(struct stanch_loop *loop, struct stanch_timer *timer)
{
    stanch_timer_stop(of_disk(loop)->sim->loop, &timer);
}

static void on_synced(void *ctx)
{
    struct waiting *waiting = ctx;
    struct waiting **at = &waiting->of->first;
    while (*at != waiting)
        at = &(*at)->next;
    *at = waiting->next;
    stanch_loop_fn fn = waiting->fn;
    void *fn_ctx = waiting->ctx;
    free(waiting);
    fn(fn_ctx);
}

static void defer(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct disk_loop *self = of_disk(loop);
    if (!self->sim->jitter || sim_dice(self->sim, 2)) { /* before what else is deferred, or some time after it */
        stanch_loop_defer(self->sim->loop, fn, ctx);
        return;
    }
    struct waiting *waiting = STANCH_NEW(struct waiting);
    *waiting = (struct waiting){.next = self->first, .of = self, .fn = fn, .ctx = ctx};
    waiting->timer = stanch_timer_start(self->sim->loop, sim_dice(self->sim, 8), on_synced, waiting);
    self->first = waiting;
}

static void forget(struct stanch_loop *loop, stanch_loop_fn fn, void *ctx)
{
    struct disk_loop *self = of_disk(loop);
    for (struct waiting **at = &self->first; *at;) {
        struct waiting *waiting = *at;
        if (waiting->fn != fn || waiting->ctx != ctx) {
            at = &waiting->next;
            continue;
        }
        *at = waiting->next;
        stanch_timer_stop(self->sim->loop, &waiting->timer);
        free(waiting);
    }
    stanch_loop_forget(self->sim->loop, fn, ctx);
}

static const struct stanch_loop_ops disk_loop_ops = {get_wall, get_mono, start_timer, stop_timer, defer, forget};

static struct stanch_loop *disk_loop_new(struct sim *sim)
{
    struct disk_loop *self = STANCH_NEW(struct disk_loop);
    self->base.ops = &disk_loop_ops;
    self->sim = sim;
    return &self->base;
}

/* ---- life and death ---- */

static void make_policy(struct sim *sim)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *policy =
        json_pack("{s:s, s:s, s:{s:{s:s, s:i, s:i}}, s:[]}", "auto", sim->auto_risk, "conflicts",
                  sim->conflicts ? sim->conflicts : "allow", "approve", "low", "role", "ic", "expires_ms", 900000,
                  "quorum", sim->quorum, "rules");
    if (sim->policy_more)
        json_object_update(policy, (json_t *)(uintptr_t)sim->policy_more);
    STANCH_AUTO_JSON json_t *guards = sim->guards ? json_loads(sim->guards, 0, NULL) : NULL;
    json_object_update(policy, guards);
    if (stanch_policy_new(policy, &sim->policy, &err) < 0)
        (void)fprintf(stderr, "policy: %s\n", err.text);
}

static int start(struct sim *sim, struct stanch_err *err)
{
    sim->generation++;
    sim->dead = false;
    sim->die_in = 0;
    if (sim->memory_ops)
        sim->disk->epoch = sim->generation;
    int rc = stanch_journal_open(sim->disk_loop, sim->disk, &sim->journal, err);
    if (rc < 0)
        return rc;
    make_policy(sim);
    struct stanch_engine_config config = {.state_dir = sim->state_dir,
                                          .fresh_for_ms = 300000,
                                          .approval_expires_ms = 900000,
                                          .max_steps = 100,
                                          .worker_idle_ms = sim->idle_ms,
                                          .epoch = sim->generation,
                                          .people = sim->people};
    if (sim->model)
        model_started(sim->model, sim->generation, sim->auto_risk);
    sim->engine = stanch_engine_new(sim->journal, &sim->world, sim->policy, &config);
    return stanch_engine_recover(sim->engine, err);
}

void sim_start(struct sim *sim)
{
    struct stanch_err err = {0};
    if (start(sim, &err) < 0)
        (void)fprintf(stderr, "%s\n", err.text);
}

void sim_kill(struct sim *sim)
{
    sim->dead = true;
    stanch_engine_halt(sim->engine);
    sim__end_workers(sim);
    sim__strand_calls(sim);
    stanch_loop_sim_settle(sim->loop);
    stanch_journal_close(sim->journal); /* barriers come back to nobody */
    stanch_loop_sim_settle(sim->loop);
    stanch_engine_free(sim->engine);
    stanch_loop_sim_settle(sim->loop);
    stanch_policy_free(sim->policy);
    if (sim->model)
        model_died(sim->model);
}

void sim_crash(struct sim *sim)
{
    sim_kill(sim);
    sim_start(sim);
}

static void prepare(struct sim *sim, const char *auto_risk, struct model *model, struct stanch_store *store)
{
    memset(sim, 0, sizeof *sim);
    stanch_digest_init();
    const char *below = getenv("TMPDIR");
    (void)snprintf(sim->state_dir, sizeof sim->state_dir, "%s/stanch-sim-XXXXXX", below ? below : "/tmp");
    if (!mkdtemp(sim->state_dir))
        abort();
    sim->loop = stanch_loop_sim_new(1763690562000, 1000000);
    sim->disk_loop = disk_loop_new(sim);
    sim->disk = store ? store : disk_new(sim);
    sim->auto_risk = auto_risk;
    sim->quorum = 1;
    sim->idle_ms = 2000;
    sim->call_ms = 5;
    sim->model = model;
    if (model)
        model_clock(model, sim->loop);
    sim->remote = json_object();
    sim->program = json_array();
    sim->programs = json_object();
    sim->describes = sim__describe_fx();
    sim->world = (struct stanch_world){"sim",           sim->loop,         sim,
                                       sim__describe,   sim__check_args,   sim__call,
                                       sim__cancel,     sim__worker_start, sim__worker_answer,
                                       sim__worker_kill};
}

/* A commit of runbooks and an open incident, in a store that is new. */
static void declare(struct sim *sim)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *known = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, "incident", "INC-1");
    if (known)
        return;
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "-", "book.accepted", "stanch", NULL,
                     json_pack("{s:s, s:[]}", "commit", "c0ffee", "files"));
    stanch_batch_add(batch, "INC-1", "incident.declared", "stanch", NULL,
                     json_pack("{s:s, s:s, s:s}", "incident", "INC-1", "title", "t", "severity", "sev2"));
    stanch_journal_append(sim->journal, batch, NULL, NULL, &err);
    stanch_loop_sim_settle(sim->loop);
}

void sim_init(struct sim *sim, const char *auto_risk, struct model *model)
{
    prepare(sim, auto_risk, model, NULL);
    sim_start(sim);
    declare(sim);
}

int sim_init_on(struct sim *sim, const char *auto_risk, struct stanch_store *store, struct stanch_err *err)
{
    prepare(sim, auto_risk, NULL, store);
    int rc = start(sim, err);
    if (rc == 0)
        declare(sim);
    return rc;
}

static void clear_stops(const struct sim *sim)
{
    STANCH_AUTO_JSON json_t *stops = stanch_stop_levels(sim->state_dir);
    STANCH_AUTO_FREE char *folder = stanch_asprintf("%s/stops", sim->state_dir);
    for (size_t i = 0; i < json_array_size(stops); i++) {
        STANCH_AUTO_FREE char *path =
            stanch_asprintf("%s/%s", folder, stanch_json_str(json_array_get(stops, i), "file", ""));
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

void sim_done(struct sim *sim)
{
    struct stanch_err err;
    sim_kill(sim);
    stanch_loop_sim_advance(sim->loop, 60000);
    disk_free(sim);
    stanch_loop_sim_free(sim->loop);
    free(container_of(sim->disk_loop, struct disk_loop, base));
    json_decref(sim->remote);
    json_decref(sim->tags);
    json_decref(sim->program);
    json_decref(sim->programs);
    json_decref(sim->describes);
    stanch_stop_clear(sim->state_dir, &err);
    clear_stops(sim);
    (void)rmdir(sim->state_dir);
}

static void on_marker(void *ctx)
{
    *(bool *)ctx = true;
}

void sim_advance(struct sim *sim, int64_t ms)
{
    bool reached = false;
    struct stanch_timer *marker = stanch_timer_start(sim->loop, ms, on_marker, &reached);
    while (!reached && !sim->dead)
        stanch_loop_sim_step(sim->loop);
    if (!reached)
        stanch_timer_stop(sim->loop, &marker);
}

/* ---- runs ---- */

void sim_want(struct sim *sim, json_t *want)
{
    json_array_append_new(sim->program, want);
}

json_t *sim_set(const char *action, const char *target, int value)
{
    return json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:i}, s:s}}", "op", "action", "args", "instance", "fx", "action",
                     action, "args", "target", target, "value", value, "because", "test");
}

void sim_begin(struct sim *sim, const char *id, json_t *more)
{
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *data = json_pack("{s:s, s:s, s:s, s:s, s:s, s:{}, s:[]}", "run", id, "runbook", "book",
                                              "path", "book.lua", "commit", "c0ffee", "seed", id, "params", "uses");
    const char *name;
    json_t *declared;
    json_object_foreach(json_object_get(json_object_get(sim->describes, "fx"), "actions"), name, declared)
    {
        (void)declared;
        if (strcmp(name, "unused") != 0)
            json_array_append_new(json_object_get(data, "uses"),
                                  json_pack("{s:s, s:s}", "instance", "fx", "action", name));
    }
    if (more)
        json_object_update(data, more);
    json_decref(more);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, "INC-1", "run.started", "stanch", id, json_incref(data));
    stanch_journal_append(sim->journal, batch, NULL, NULL, &err);
    stanch_engine_begin(sim->engine, data, "INC-1");
}

void sim_state_of(struct sim *sim, const char *noun, const char *id, char ret[32])
{
    STANCH_AUTO_JSON json_t *doc_of = stanch_journal_get(sim->journal, STANCH_VIEW_APPENDED, noun, id);
    (void)snprintf(ret, 32, "%s", stanch_json_str(doc_of, "state", "none"));
}
