/* sim_world.h: a world for tests of the engine, in virtual time: a disk that a crash does not take, a plugin "fx"
 * whose remote is a table of values with a log of effects, and workers that are a tree of wants instead of Lua. Each
 * misbehaves when told to, and the process can die at any instant.
 *
 *   engine --append--> journal --(a commit takes a while)--> disk      what a model may watch: model.h
 *          --call----> fx --> remote                                   dies: between two steps of the loop, before and
 *          --start---> worker                                          after a write, before and after an effect
 *
 * sim_world.c  life, death, disk      sim_plugin.c  fx      sim_worker.c  workers
 */
#ifndef STANCH_TESTS_SIM_WORLD_H
#define STANCH_TESTS_SIM_WORLD_H
#include "base/json.h"
#include "base/loop_sim.h"
#include "base/mem.h"
#include "rule/policy.h"
#include "run/run.h"
#include "run/world.h"
#include "timeline/store_ops.h"

#define SIM_MAX_EFFECTS 1024

/* What a plugin call does next, chosen by the test (or by a seed). */
enum sim_fate {
    SIM_FINE,
    SIM_FAILS,          /* and says that trying again can help */
    SIM_FAILS_FOR_GOOD, /* plan, apply, undo, read; a verify says never */
    SIM_LOST_BEFORE,    /* unknown, nothing happened */
    SIM_LOST_AFTER,     /* unknown, it happened */
    SIM_LATE,           /* unknown, and it happens a little later, within the settle time */
    SIM_CANNOT_TELL,    /* reconcile; a read has no data; a verify does not hold */
    SIM_AWAY,           /* the host is down: nothing is sent */
};

/* What came into the remote. */
struct sim_effect {
    char key[80];
    char op[8];
    int value;
};

struct sim_call;
struct sim_worker;
struct model;

struct sim {
    struct stanch_world world;
    struct stanch_loop *loop;
    struct stanch_store *disk;                 /* outlives the process */
    const struct stanch_store_ops *memory_ops; /* NULL: the disk is another store, which ends with the journal */
    struct stanch_store_ops disk_ops;          /* those of memory, with deaths */
    struct stanch_loop *disk_loop;             /* what is deferred on it waits for the disk */
    struct stanch_journal *journal;            /* of this life of the process, like policy and engine */
    struct stanch_policy *policy;
    struct stanch_engine *engine;
    const char *auto_risk; /* of the next policy */
    const char *conflicts; /* and what it says of them; NULL: "allow" */
    int quorum;
    const json_t *policy_more;          /* members of the next policy, over the others; NULL: none */
    const struct stanch_people *people; /* of the next engine; NULL: there is no people file */
    const char *guards;                 /* JSON: more members of the next policy (rule/guards.h); NULL: none */
    double reach;                       /* what plans say of theirs; 0: nothing */
    json_t *tags;                       /* what plans say of their target's; NULL: nothing */
    json_t *remote;                     /* target -> value */
    double symptom;                     /* what fx.metric reads */
    json_t *program;                    /* what a run's worker wants: [want or {"parallel":[[want,...],...]}] */
    json_t *programs;                   /* run -> program, when it has one of its own */
    json_t *describes;
    bool no_workers; /* the runner has none to give */
    int worker_starts;
    struct sim_effect effects[SIM_MAX_EFFECTS];
    int effect_count;
    enum sim_fate (*fate)(struct sim *sim, const char *op, const char *action);
    bool (*worker_dies)(struct sim *sim);
    int64_t call_ms;
    int64_t idle_ms; /* of the next engine: how soon a run that waits goes out of memory */
    bool jitter;     /* calls, commits and workers take a random while */
    uint64_t seed;
    int generation; /* life of the process; its epoch */
    int die_in;     /* places to pass until the process dies in the middle of what it does; 0: it does not */
    bool dead;      /* it has died there; the test must call sim_crash */
    struct sim_call *calls;
    struct sim_worker *workers;
    struct model *model; /* NULL: nobody watches */
    char state_dir[64];
};

/** auto_risk: the highest risk that runs without asking. model: borrowed, or NULL. */
void sim_init(struct sim *sim, const char *auto_risk, struct model *model);
/** On another store than the disk in memory; it commits inline. taken. returns as stanch_journal_open */
int sim_init_on(struct sim *sim, const char *auto_risk, struct stanch_store *store, struct stanch_err *err);
void sim_done(struct sim *sim);
/** The process dies: what is not committed is gone; calls under way reach the remote or they don't. */
void sim_kill(struct sim *sim);
/** It comes back: on the disk and the remote as they are now. */
void sim_start(struct sim *sim);
/** Both. */
void sim_crash(struct sim *sim);
/** Go on for `ms`; returns early when the process has died. */
void sim_advance(struct sim *sim, int64_t ms);

/** A run whose program is sim->programs[id], or sim->program. more: members of run.started; taken; may be NULL. */
void sim_begin(struct sim *sim, const char *id, json_t *more);
void sim_want(struct sim *sim, json_t *want); /* taken */
/** new; a want of fx.ACTION */
json_t *sim_set(const char *action, const char *target, int value);
void sim_state_of(struct sim *sim, const char *noun, const char *id, char ret[32]);
uint64_t sim_random(struct sim *sim);
/** 0 .. below-1 */
int sim_dice(struct sim *sim, int below);
/** Has this key come into the remote? How often. */
int sim_effects_of(const struct sim *sim, const char *key, const char *op);

/* Between the files of the world. */
/** A place where the process may die. returns true when it is dead: do nothing that leaves it. */
bool sim__dies(struct sim *sim);
json_t *sim__describe_fx(void);
const json_t *sim__describe(void *ctx, const char *instance);
int sim__check_args(void *ctx, const char *instance, const char *action, const json_t *args, struct stanch_err *err);
int sim__call(void *ctx, const struct stanch_plugin_request *request,
              void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
              struct stanch_plugin_call **ret, struct stanch_err *err);
void sim__cancel(void *ctx, struct stanch_plugin_call *call);
/** The process is gone: each call that is out reaches the remote or it does not. */
void sim__strand_calls(struct sim *sim);
int sim__worker_start(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                      void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err);
int sim__worker_answer(void *ctx, struct stanch_worker *handle, int64_t n, const json_t *answer,
                       struct stanch_err *err);
void sim__worker_kill(void *ctx, struct stanch_worker *handle);
void sim__end_workers(struct sim *sim);

#endif
