/* rehearsal_parts.h: a rehearsal as its own files share it. */
#ifndef STANCH_DRILL_REHEARSAL_PARTS_H
#define STANCH_DRILL_REHEARSAL_PARTS_H
#include "base/loop_sim.h"
#include "drill/rehearsal.h"
#include "flow_parts.h"
#include "timeline/store_ops.h"

struct stanch_actor; /* a worker of a run, seen from here */
struct stanch_cue;   /* something that comes at its time: an alert, a change, a start, an answer */
struct stanch_ask;   /* a call that waits for the scenario's world */

struct stanch_rehearsal {
    struct stanch_stage *stage;
    const struct stanch_rehearsal_spec *spec;
    struct stanch_loop *loop; /* virtual; outlives the process, like disk */
    struct stanch_store *disk;
    const struct stanch_store_ops *memory_ops;
    struct stanch_store_ops disk_ops; /* those of memory; they count, and the process dies of them */
    struct stanch_world world;
    /* of this life of the process */
    struct stanch_journal *journal;
    struct stanch_policy *policy;
    struct stanch_engine *engine;
    struct stanch_flow *flow;
    struct stanch_follower *follower;
    int life;
    int commits; /* over all lives, from the moment the runbooks were loaded */
    bool counts; /* it has come so far */
    bool dead;
    struct stanch_actor *actors;
    json_t *covered;
    /* scene.c */
    struct stanch_worker *scene; /* NULL: not there yet, or over */
    bool scene_listens;          /* it waits for a question */
    int64_t scene_n;             /* of its want */
    struct stanch_ask *asks;     /* the first one is with it, when it does not listen */
    json_t *calls, *effects;     /* what was asked of plugins, what came into the world */
    json_t *keys;                /* "apply KEY" -> how often it came */
    json_t *away;                /* the instances, as they are when their hosts are down */
    const char *no_host;         /* the one that was made to be away until then; NULL: none */
    int64_t no_host_until_ms;
    struct stanch_plugins *real;  /* of instances that are real; NULL: none is */
    struct stanch_ask *real_asks; /* calls that are with them */
    json_t *told;                 /* what `tell` told */
    int orders_out;               /* to take something back, that have no outcome yet */
    char left[600];               /* what of them is still in force; "": nothing */
    json_t *verdict;
    char broken[600];
    char ended[300]; /* why it was over before its time; "": it was not */
    bool is_up;      /* who lets people in knows of it */
    int out;         /* calls and answers of people that have not come back */
    /* cast.c */
    struct stanch_cue *cues;
    int cues_left; /* not given yet */
    int64_t began_ms;
    int64_t entries, looked_at; /* told so far; when it was looked last whether all is quiet */
    bool was_quiet;
};

/* rehearsal.c */
/** Does any worker compute? Then time stands still. */
bool stanch_rehearsal__computes(const struct stanch_rehearsal *r);
int64_t stanch_rehearsal__elapsed_ms(const struct stanch_rehearsal *r);
/** Something is wrong with the scenario itself; the first word stays. */
void stanch_rehearsal__break(struct stanch_rehearsal *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Do one thing that needs no time: what is deferred or due, a worker's next word. returns false: only the clock is left to move */
bool stanch_rehearsal__goes_on_now(struct stanch_rehearsal *r);

/* rehearsal_live.c */
/** Play until it is over: everything has come and is settled, its time is up, or somebody ended it. */
void stanch_rehearsal__play_live(struct stanch_rehearsal *r);
/** Order that all runs end where they are: they do nothing more. */
void stanch_rehearsal__cancel_runs(struct stanch_rehearsal *r);
/** Take back what is in force at real instances: nobody has it on their mind when the drill is over. */
void stanch_rehearsal__take_back(struct stanch_rehearsal *r);
/** Until people know that it is over, or do not hear of it in time. */
void stanch_rehearsal__wait_told(struct stanch_rehearsal *r, int64_t within_ms);

/* actor.c */
/** stanch_world.worker_start, _answer, _kill; ctx: the rehearsal */
int stanch_actor__start(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                        void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err);
int stanch_actor__answer(void *ctx, struct stanch_worker *handle, int64_t n, const json_t *answer,
                         struct stanch_err *err);
void stanch_actor__kill(void *ctx, struct stanch_worker *handle);
bool stanch_actor__computes(const struct stanch_rehearsal *r);
/** No worker computes: hand over what one of them came to, the one that was started first. Who was faster on this machine is of no
 *  weight, so that the same scenario is the same story. returns false when nothing is there to hand over */
bool stanch_actor__hand_over(struct stanch_rehearsal *r);
/** The process has died: what they came to is of no use to anybody. */
void stanch_actor__kill_all(struct stanch_rehearsal *r);

/* scene.c */
void stanch_scene__fill_world(struct stanch_rehearsal *r);
int stanch_scene__start(struct stanch_rehearsal *r, struct stanch_err *err);
/** Ask how it was: r->verdict is set when it has answered. seen: shared */
void stanch_scene__judge(struct stanch_rehearsal *r, json_t *seen);
/** What a person says: on_said: once, later, with {"decision","after_ms"?,"note"?}; never when the process dies before. */
void stanch_scene__ask_person(struct stanch_rehearsal *r, json_t *question,
                              void (*on_said)(void *ctx, const json_t *said), void *ctx);
void stanch_scene__free(struct stanch_rehearsal *r);

/* cast.c */
/** All that comes by itself, from now on. */
void stanch_cast__begin(struct stanch_rehearsal *r);
/** A new life: what was sent and not acknowledged is sent again, and open questions are looked at. */
void stanch_cast__again(struct stanch_rehearsal *r);
void stanch_cast__on_entry(void *ctx, const struct stanch_entry *entry);
void stanch_cast__free(struct stanch_rehearsal *r);

/* seen.c */
/** new */
json_t *stanch_seen(struct stanch_rehearsal *r);
/** Is there nothing left that could happen without somebody who is not coming? */
bool stanch_seen_is_quiet(struct stanch_rehearsal *r);
/** Has all come that comes by itself, and is nothing left for real people to do: no run, no question and no incident is open? */
bool stanch_seen_is_settled(struct stanch_rehearsal *r);

#endif
