/* engine.h: the engine of runs, as its own files see it. Flow uses run.h; nobody else includes this.
 *
 *   run --want--> op --answer--> step.answered --> worker
 *                  |
 *                  +-- simple.c   now, random, note, decide, page, sleep: answered by core itself
 *                  +-- changes.c  recent_changes: out of the journal
 *                  +-- symptom.c  check, verify, wait_for: reads, polled
 *                  +-- ask.c      ask: a free question to a role
 *                  +-- action.c   action: read; or plan -> gate.c -> (approval.c) -> target.c -> effect.c
 *                  |   (and action_*.c, act.c: action.h)  \-- limits.c, breaker.c, autonomy.c    (explain.c asks the same)
 *                  +-- undo.c     undo of a mitigation: by a run, a person, a lease end; undo_effect.c: from its intent on
 *   soak.c         an incident's symptoms, sampled until they were good for a while
 *   by_hand.c      what people hold by hand: the gate asks      in_force.c  and for what others have in force there
 *
 * A run that waits costs disk only (rest.c): in memory are the runs that are under way, and nothing of the others.
 *
 *   started --> under way --all its ops wait for a person or a time--> rests
 *                  ^------- its answer, its time, its end: read back ----'
 *
 * "run.rested" says in the journal that a run needs nobody until then; "run.woken" that it does. Between them it
 * has no object here, and a restart does not read it: after kill -9 only runs under way are taken up, so that every
 * intent without outcome is looked after before anything else, however many wait. When a run, an approval or a lease
 * is due the store knows (model/fold.h, stanch_fold_due); due.c has one timer, for the earliest of all.
 *
 * An op lives from its want to its answer, with or without a worker: a waiting run has no worker
 * (PROMISES.md 1.5: resume is a new worker, fed the journal). The journal holds each op's progress, so that
 * it can be taken up again after a crash (`recover` of its kind).
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_ENGINE_H
#define STANCH_RUN_ENGINE_H
#include "base/buf.h"
#include "base/json.h"
#include "base/loop.h"
#include "run/run.h"
#include "run/stop.h"
#include "run/target.h"
#include "run/world.h"
#include "timeline/journal.h"
#include "rule/policy.h"
#include <stdbool.h>

#define STANCH_CLOCK_SLACK_MS 60000 /* less is no jump of a clock */

struct stanch_op;

struct stanch_op_kind {
    const char *name;
    /** Begin. The want is op->want. Answers now or later. */
    void (*start)(struct stanch_op *op);
    /** Take up again after a restart; doc: the step's document (state asked, planned, sent, acted, unknown).
     */
    void (*recover)(struct stanch_op *op, const json_t *doc);
    /** A person answered this op's approval. */
    void (*decided)(struct stanch_op *op, const char *decision, const char *by, const char *note);
    /** Its approval expired or was voided from outside. */
    void (*expired)(struct stanch_op *op);
    /** The run has ended: let go of what can be let go of. Returns true when the op may be freed now, its question
     * voided; false when it must live on until its effect has an outcome (then it frees itself). */
    bool (*cancel)(struct stanch_op *op);
    void (*done)(struct stanch_op *op); /* free op->state */
    /** stanch ends now: put into the batch what of this op will not be known. Returns true when it did. NULL: nothing. */
    bool (*left)(struct stanch_op *op, struct stanch_batch *batch);
};

/* One step in the making. */
struct stanch_op {
    struct stanch_op *next;
    struct stanch_engine *engine;
    struct stanch_run *run; /* NULL: asked by a person or by a lease end; or the run has ended under it */
    const struct stanch_op_kind *kind;
    char id[48]; /* step id "R-3/2"; for an undo without a run: the mitigation's */
    char run_id[32];
    char chain[64]; /* incident */
    int64_t n;
    json_t *want; /* {"op","args","file","line"} */
    bool asked;   /* step.asked is appended */
    bool cancelled;
    bool granted;      /* op->approval was granted and is not consumed yet */
    bool by_person;    /* a person ordered it: passes the stop switch */
    char approval[32]; /* the question that is open, or "" */
    struct stanch_timer *timer;
    int64_t late_ms; /* it came due so long before this process began */
    int64_t due_ms;  /* a sleep: when it ends, by stanch_engine__steady; 0: its timer is for something else */
    struct stanch_hold *hold;
    int calls;   /* plugin calls and barriers under way: it is not freed before they came back */
    bool over;   /* answered; freed when calls is 0 */
    void *state; /* of the kind */
    void *kept;  /* freed with the op: what a call that is still out points to */
};

struct stanch_step_record {
    char *op;
    char *args; /* canonical */
    char *file;
    int64_t line;
    json_t *answer; /* NULL: not yet */
    int64_t order;  /* of its answer within the run, from 1; 0: not yet */
};

enum stanch_run_state { STANCH_RUN_RUNNING, STANCH_RUN_PARKED, STANCH_RUN_ENDED };

struct stanch_run {
    struct stanch_run *next, *prev;
    struct stanch_engine *engine;
    char id[32];
    char chain[64]; /* its incident */
    json_t *doc;    /* data of run.started */
    enum stanch_run_state state;
    struct stanch_step_record *steps;
    int64_t step_count;
    int64_t answered; /* how many steps have an answer */
    struct stanch_worker *worker;
    bool blocked;      /* the worker waits for an answer */
    int64_t wanted;    /* wants that this worker has put */
    int64_t fed;       /* answers that the last worker of it had got when it was let go; -1: none yet */
    int64_t delivered; /* answers that this worker has got, in their order */
    int deaths;
    int64_t death_at;           /* answers delivered when the worker died last */
    json_t *symptom_seen;       /* the last sample of its symptom: {"result","value","at_ms"}; NULL: none yet */
    json_t *applied;            /* ids of the mitigations that it applied since it was started or read back */
    bool resolved;              /* its alert has resolved meanwhile */
    int64_t firing;             /* alerts of it that still fire: the one that started it, and those that joined */
    bool going;                 /* counted by turn.c */
    int64_t gap_ms;             /* how long it lay still before a restart took it up again; 0: it was fresh */
    bool gap_unknown;           /* the wall clock was set back while stanch was down: nobody can tell */
    int64_t acted_ms;           /* wall clock of its last step */
    int64_t acted_mono_ms;      /* boot clock of its last step in this life */
    struct stanch_timer *timer; /* try to start a worker again */
    struct stanch_timer *idle;  /* then: end the worker, rest */
    int64_t stirs;              /* grows with what is appended for its steps and questions */
    bool ready;                 /* waits in engine->ready for a worker */
    json_t *held;               /* wants whose record was refused (disk full, store locked): begun again later */
    struct stanch_timer *hold_timer;
};

struct stanch_lease; /* mitigation.c: a lease that has ended and whose symptom is asked for */
struct stanch_ready; /* ready.c: runs that wait for a worker, by id */
struct stanch_watch; /* symptom.c */
struct stanch_sent;  /* limits.c */
struct stanch_soak;  /* soak.c: an incident whose symptoms are asked for */

struct stanch_engine {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_world *world;
    struct stanch_policy *policy;
    struct stanch_engine_config config;
    struct stanch_targets *targets;
    struct stanch_run *runs, *runs_last;
    struct stanch_op *ops;
    struct stanch_lease *leases;
    struct stanch_ready *ready, **ready_end;
    struct stanch_timer *ready_pause; /* runs: nobody is given a worker */
    int worker_count;
    int gone;                  /* runs that are out of memory since it was given back to the system */
    struct stanch_timer *calm; /* then it is, when no run is under way */
    bool is_serving;           /* a look at `ready` is deferred */
    int64_t began_ms;          /* wall clock: what acted before lay still while nobody was there */
    bool set_back; /* the journal ended later than the wall clock was then: steady goes on from the journal */
    int64_t woke_ms, stood_ms; /* wall clock of the last time that it had stood still, and for how long */
    int64_t steady_ms;         /* what stanch_engine__steady adds to the boot clock */
    int64_t swept_ms;          /* all that was due until then has been looked at */
    int64_t alarm_ms;          /* when the timer below fires */
    struct stanch_timer *alarm;
    bool is_sweeping;
    struct stanch_watch *samples; /* outside of runs */
    struct stanch_soak *soaks;
    struct stanch_revision_files *revision; /* cache of one */
    char instances_hex[65];                 /* cache of one: what a run's plugins declared when it began */
    json_t *instances;
    struct stanch_sent *sent; /* limits.c: mitigations that left lately, the newest first */
    int64_t effects;          /* effects that have ended: a plan older than one of them is made again */
    bool draining;            /* no new steps */
    bool halted;              /* the end: callbacks that still come change nothing */
    json_t *by_hand;          /* by_hand.c: target -> id of its hold */
    json_t *in_force;         /* in_force.c: target -> {id of a mitigation: its run} */
    json_t *counters;
    json_t *going; /* turn.c: how many runs are going, in all, by runbook, by incident */
    struct stanch_engine_hooks hooks;
    void *hooks_ctx;
    bool room_due; /* on_room is deferred */
};

/* engine.c */
void stanch_engine__count(struct stanch_engine *engine, const char *counter);
int64_t stanch_engine__now(struct stanch_engine *engine);
/** The wall clock of the start plus what has passed since: never steps while the process lives. All that is due later
 *  goes by it (PROMISES.md 1.10). */
int64_t stanch_engine__steady(struct stanch_engine *engine);
/** Append; an error that says the store takes no more is logged and given back. */
int stanch_engine__append(struct stanch_engine *engine, struct stanch_batch *batch, void (*on_committed)(void *ctx),
                          void *ctx, struct stanch_err *err);
struct stanch_run *stanch_engine__run(struct stanch_engine *engine, const char *id);
/** Why a stop holds back what this is about (PROMISES.md 1.15); NULL: none does. new */
char *stanch_engine__stopped(struct stanch_engine *engine, const struct stanch_stop_about *about);

/** A step whose run has ended, and whose outcome is still to come (step.orphaned): take it up again. */
void stanch_action__recover_orphan(struct stanch_engine *engine, const json_t *orphan);

/* op.c */
struct stanch_op *stanch_op__new(struct stanch_engine *engine, struct stanch_run *run,
                                 const struct stanch_op_kind *kind, int64_t n, const json_t *want);
/** Take up an op that the journal holds already. doc: the step's document. */
void stanch_op__recover(struct stanch_op *op, const json_t *doc);
/** Put step.asked into the batch unless it is appended already. extra: members merged into its data; taken;
 * NULL. */
void stanch_op__ask(struct stanch_op *op, struct stanch_batch *batch, json_t *extra);
/** Its run got stuck before anything of this step was recorded: it asks for nothing any more. */
bool stanch_op__is_stuck(const struct stanch_op *op);
/** The end of an op: batch (taken; NULL: a new one) gets step.asked if it is missing and step.answered, is
 * appended, the run goes on. answer: taken: {"ok":...} or {"error":{...}}. The op must not be touched
 * afterwards. */
void stanch_op__answer(struct stanch_op *op, struct stanch_batch *batch, json_t *answer);
void stanch_op__answer_ok(struct stanch_op *op, json_t *value);
void stanch_op__answer_error(struct stanch_op *op, const char *kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** new: {"error":{"kind","text"}} */
json_t *stanch_op__error(const char *kind, const char *text);
/** A call or barrier begins / came back. `returned` says false when the op was over meanwhile and is gone
 * now. */
void stanch_op__away(struct stanch_op *op);
bool stanch_op__returned(struct stanch_op *op);
/** What its next entry would say was refused for now (disk full, store locked): nothing has started. Lets go of the op;
 * it is taken up again from the journal, as after a restart, once entries are taken. The op must not be touched
 * afterwards. returns false when rc is no such refusal, or the op belongs to no run: nothing was done. */
bool stanch_op__hold(struct stanch_op *op, int rc);
/** Free an op that has nothing to answer (cancelled, or not of a run). */
void stanch_op__free(struct stanch_op *op);
const json_t *stanch_op__args(const struct stanch_op *op);
/** The runbook that asks for it, or whose mitigation it takes back; NULL: it is not known. borrowed */
const char *stanch_op__runbook(const struct stanch_op *op);
const struct stanch_op_kind *stanch_op__kind(const char *name);
struct stanch_op *stanch_op__by_approval(struct stanch_engine *engine, const char *approval);

/* the kinds */
extern const struct stanch_op_kind stanch_op_now, stanch_op_random, stanch_op_note, stanch_op_decide, stanch_op_page,
    stanch_op_sleep, stanch_op_recent_changes, stanch_op_check, stanch_op_verify, stanch_op_wait_for, stanch_op_ask,
    stanch_op_action, stanch_op_undo;

/* turn.c */
/** The run goes, or it does not: it has ended, is parked, or waits for a person. */
void stanch_run__going(struct stanch_run *run, bool is_going);
/** The same, found out from its state and its steps. */
void stanch_run__recount(struct stanch_run *run);
/** The engine ends: nobody is told of room any more. */
void stanch_turn__unhook(struct stanch_engine *engine);

/* engine.c */
/** A run under way, without steps. doc: borrowed. */
struct stanch_run *stanch_run__new(struct stanch_engine *engine, const json_t *doc, const char *incident);
/** Read back from the journal; steps without an answer are taken up again. */
int stanch_run__load(struct stanch_engine *engine, const json_t *doc, struct stanch_run **ret, struct stanch_err *err);
void stanch_run__unlink(struct stanch_run *run);
void stanch_run__free(struct stanch_run *run);

/* due.c */
/** Something is due then: look at the latest at that time. */
void stanch_engine__due(struct stanch_engine *engine, int64_t at_ms);
/** What is due at 0, the earliest first: under way. each: borrowed documents. */
int stanch_engine__each_under_way(struct stanch_engine *engine, const char *noun,
                                  int (*each)(struct stanch_engine *, const json_t *, struct stanch_err *),
                                  struct stanch_err *err);

/* ready.c: workers are bounded */
/** May a worker be started? Ends one that only rests when there is no other way. */
bool stanch_ready__take_slot(struct stanch_engine *engine);
void stanch_ready__push(struct stanch_run *run);
/** It had its turn and the runner had no worker: it is the first of the next turn, for all of them a moment later. */
void stanch_ready__put_back(struct stanch_run *run);
/** Look soon whether one that waits may have a worker. */
void stanch_ready__serve_soon(struct stanch_engine *engine);
void stanch_ready__free_all(struct stanch_engine *engine);

/* rest.c */
/** Nothing is under way for it that the journal could not tell: it waits for a person or a time. */
bool stanch_run__may_rest(const struct stanch_run *run);
/** End its worker, and let it rest, when it stays idle. */
void stanch_run__idle_soon(struct stanch_run *run);
/** Its worker is ended, and it rests once all of it is committed. */
void stanch_run__rest(struct stanch_run *run);
/** The run, under way: read back when it rested. returns 0 | STANCH_E_NOT_FOUND there is no such open run | ... */
int stanch_run__wake(struct stanch_engine *engine, const char *id, struct stanch_run **ret, struct stanch_err *err);

/* hold.c: what could not be recorded, later */
/** Keep a want of the run until entries are taken again. want: borrowed, with its n. */
void stanch_run__hold(struct stanch_run *run, const json_t *want);
bool stanch_run__holds(const struct stanch_run *run);
void stanch_run__drop_held(struct stanch_run *run);
/* worker.c: a run and its worker */
/** Fill a run that was read back with its steps; docs: {"1":step document,...}; those without an answer are
 * taken up again. */
void stanch_run__load_steps(struct stanch_run *run, const json_t *docs);
void stanch_run__pump(struct stanch_run *run);
void stanch_run__drop_worker(struct stanch_run *run);
/* life.c */
/** Park it: it waits for a person, who cancels it. more: members for run.parked; taken; NULL. */
void stanch_run__park(struct stanch_run *run, const char *why, json_t *more);
void stanch_run__resume(struct stanch_run *run);
/** Park a run that began under a version of the language that this release does not replay (PROMISES.md 1.6): at start
 * when it is in memory, else when it is woken. returns true when it did */
bool stanch_run__park_foreign(struct stanch_run *run);
/** End it: kind "run.succeeded", "run.failed", "run.cancelled"; data: taken. */
void stanch_run__end(struct stanch_run *run, const char *kind, const char *by, json_t *data);

/* approval.c */
#define STANCH_APPROVAL_MAX_MS (24LL * 3600 * 1000) /* no question is open for longer */
struct stanch_question_spec {
    const char *about; /* "action", "undo", "unknown", "freshness", "keep", "ask", "diverged" */
    const char *role;
    int quorum;
    int64_t expires_ms;
    const json_t *card;      /* members for the person: plan, because, risk, why, rules, symptom, ...; borrowed */
    const char *plan_digest; /* or NULL */
    const json_t *choices;   /* or NULL: approve, deny; borrowed */
};
/** Put approval.requested into the batch; it is asked anew when it expires. op may be NULL (then about tells who handles
 * it). ret: the id. */
void stanch_approval__request(struct stanch_engine *engine, struct stanch_op *op, const char *chain, const char *run,
                              const struct stanch_question_spec *spec, struct stanch_batch *batch, char ret[32]);
/** Does the plugin of the question's instance run from the same file as when it was asked? A question without a plugin, and a
 * host that is not there to tell, count as yes. */
bool stanch_approval__is_of_plugin(struct stanch_engine *engine, const json_t *doc);
#define STANCH_ANOTHER_PLUGIN "the plugin is another build than when the question was asked"
/** Close an open question without a person. kind: "approval.voided" or "approval.consumed". */
void stanch_approval__close(struct stanch_engine *engine, const char *id, const char *kind, const char *why,
                            struct stanch_batch *batch);
/** Something is due: a reminder, or its end. returns as below */
int stanch_approval__due(struct stanch_engine *engine, const char *id);
/** Its time is over: not a denial, it is asked anew. returns 0 | what the journal said: try again */
int stanch_approval__expire(struct stanch_engine *engine, const char *id);

/* gate.c */
/* What the gate weighs: a step that is about to act, or what a person asks about. Texts may be "", and are borrowed. */
struct stanch_subject {
    struct stanch_engine *engine;
    const char *instance, *runbook, *chain;
    const char *step, *run; /* its own: what they have done does not stand against it */
    const char *holds;      /* the name that the run declares (`limits.holds`) */
    const json_t *plan;     /* its targets, its reach */
};
struct stanch_gate {
    bool refused; /* why says it */
    bool ask;
    bool observe;     /* nothing leaves: say what it would do */
    const char *kind; /* of the refusal: an error word */
    char why[1000];
    json_t *against; /* what stands against it: id of a hold, a mitigation, a run -> sentence; NULL: nothing */
    json_t *guards;  /* names of limits and the like that ask; NULL: none */
    json_t *facts;   /* NULL, or an object that gets what was looked at, also what does not ask: explain.c */
    struct stanch_policy_decision policy;
};
/** May this effect start? effect: "mitigate" or "undo". by_person: a person ordered it (a lease end or a run
 * does not). ret: finish with stanch_gate__done. */
void stanch_gate__decide(struct stanch_op *op, const char *effect, const json_t *plan, const json_t *declared,
                         const char *action, const char *raised, struct stanch_gate *ret);
/** All that stands against it beside the policy's rules and the run's own grounds: stops, holds, what is in force there, and of a
 *  mitigation that a run would send limits and breakers. */
void stanch_gate__weigh(const struct stanch_subject *about, const char *effect, bool by_run, struct stanch_gate *gate);
/** Something that was looked at, for gate->facts: a member of its list `kind`. taken */
void stanch_gate__fact(struct stanch_gate *gate, const char *kind, json_t *fact);
/** What an instance and its action (as the world describes them) and a plan make of a question to the policy; all else in it is
 *  the caller's. */
void stanch_gate__question(const json_t *declared, const char *effect, const json_t *plan,
                           struct stanch_policy_question *ret);
/** What the plugin says of its action, or of this plan (NULL: of none) when that is more. */
const char *stanch_gate__declared_risk(const char *effect, const json_t *action, const json_t *plan);
/** What is under way in the policy's calendars. new, or NULL */
json_t *stanch_gate__under_way(const struct stanch_engine *engine);
/** The first sentence of what stands against it and did not when this question was asked; NULL: there is none. borrowed from
 *  gate */
const char *stanch_gate__new_against(const struct stanch_gate *gate, const json_t *question);
/** For the card: the ids of what stands against it. new; NULL: nothing */
json_t *stanch_gate__against(const struct stanch_gate *gate);
/** One reason more to ask. */
void stanch_gate__ask_because(struct stanch_gate *gate, const char *reason);
/** The same, for something that counts what has happened: its name stands on the card, so that what holds an action back only
 *  since it was approved is seen. */
void stanch_gate__guard(struct stanch_gate *gate, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Does an approval (its document) tell of all that asks now? */
bool stanch_gate__is_told(const struct stanch_gate *gate, const json_t *approval);
void stanch_gate__done(struct stanch_gate *gate);
/** For how long the grounds of a run, or an approval, are fresh. */
int64_t stanch_gate__fresh_for(const struct stanch_run *run);

/* by_hand.c */
/** The hold that stands on a target; NULL: none. shared: only to be read */
json_t *stanch_by_hand__of(struct stanch_engine *engine, const char *target);
/** "TARGET is held by WHO until T: REASON"; new */
char *stanch_by_hand__why(const json_t *hold);
/** Its time is over, unless it was extended. returns 0 | what the journal said: try again */
int stanch_by_hand__expire(struct stanch_engine *engine, const char *id);
int stanch_by_hand__recover(struct stanch_engine *engine, struct stanch_err *err);

/* in_force.c */
void stanch_in_force__note(struct stanch_engine *engine, const char *id, const char *run, const json_t *targets);
void stanch_in_force__forget(struct stanch_engine *engine, const char *id, const json_t *targets);
int stanch_in_force__recover(struct stanch_engine *engine, struct stanch_err *err);
/** What a mitigation of this subject on its targets would fight with: mitigations of other runs that are in force there, and other
 *  runs that are going and hold the same name. each: its id, and a sentence that names it, its run and its incident. */
void stanch_in_force__conflicts(const struct stanch_subject *about,
                                void (*each)(void *ctx, const char *id, const char *sentence), void *ctx);

/* effect.c: one intent, one call, one outcome */
struct stanch_effect {
    struct stanch_op *op;
    const char *call_op; /* "apply" or "undo" */
    char instance[64], action[64];
    json_t *input; /* {"args","plan","key","epoch","because"} */
    int attempt;
    int64_t deadline_ms, settle_ms;
    int reconcile_tries;
    bool open; /* an intent is appended, its outcome is not */
    bool can_reconcile;
    bool sendable_again; /* class convergent or idempotent */
    bool
        looked; /* may be sent again: failed, reconcile saw that it did not happen; unknown, its class makes that safe */
    bool doubt; /* what became of an earlier attempt was never known: a failure now does not tell */
    /** Put the intent into the batch. */
    void (*intend)(struct stanch_effect *effect, struct stanch_batch *batch);
    /** The outcome, once; after reconciling when it was unknown. value, why: borrowed. */
    void (*ended)(struct stanch_effect *effect, enum stanch_outcome outcome, const json_t *value,
                  const struct stanch_err *why, bool retry);
};
/** Commit the intent, with what else is in the batch (taken), then call. */
void stanch_effect__start(struct stanch_effect *effect, struct stanch_batch *batch);
/** After a restart: an intent without outcome is unknown; ask the plugin what happened. */
void stanch_effect__reconcile(struct stanch_effect *effect);
/** Does an action (as stanch_plugins_describe gives it) have this op? */
bool stanch_effect__declares(const json_t *act, const char *call_op);
/** Fill from the instance's declaration. returns 0 | STANCH_E_NOT_FOUND */
int stanch_effect__prepare(struct stanch_effect *effect, struct stanch_op *op, const char *call_op,
                           const char *instance, const char *action, const json_t *args, const json_t *plan,
                           const char *key_of, struct stanch_err *err);
void stanch_effect__done(struct stanch_effect *effect);

/* mitigation.c */
/** What a step applied, by the committed journal: after a restart, when nothing else remembers it. ret_id: "" nothing */
void stanch_mitigation__of_step(const struct stanch_op *op, char ret_id[32]);
void stanch_mitigation__applied(struct stanch_op *op, const char *instance, const char *action, const json_t *args,
                                const json_t *plan, int64_t lease_ms, const char *because, struct stanch_batch *batch,
                                char ret_id[32]);
/** Take up what is under way with a mitigation: its undo, or the order to undo it. */
void stanch_mitigation__recover(struct stanch_engine *engine, const json_t *doc);
void stanch_mitigation__lease_end(struct stanch_engine *engine, const char *id);
/** The lease has ended and it stays in force: say so, and ask a person: keep or undo. */
void stanch_mitigation__keep_and_ask(struct stanch_engine *engine, const json_t *doc, const char *why);
/** Put into the batch that `by` ordered the undo, so that it is done also when the process ends before it begins. No-op
 * when there is nothing in force. */
void stanch_mitigation__order_undo(struct stanch_engine *engine, const char *id, const char *by, const char *reason,
                                   struct stanch_batch *batch);
/** Put the question into the batch: what a run that is over has left in force, keep or undo? left: array of {"id",...};
 * borrowed. */
void stanch_mitigation__ask_keep(struct stanch_engine *engine, const char *chain, const char *run, const char *because,
                                 const json_t *left, struct stanch_batch *batch);
void stanch_mitigation__forget(struct stanch_engine *engine, const char *id);
/** The undo of a mitigation, ordered by a person (by) or by a lease end (by "stanch"). */
void stanch_undo__start(struct stanch_engine *engine, const json_t *mitigation, const char *by, const char *reason,
                        stanch_engine_done done, void *ctx);
/** Take up an undo that was under way when the process ended, unless its run did. */
void stanch_undo__recover(struct stanch_engine *engine, const json_t *mitigation);
void stanch_mitigation__free_all(struct stanch_engine *engine);
/** new array of {"id","instance","action","because"} that this run left in force. */
json_t *stanch_mitigation__of_run(const struct stanch_run *run);

/* symptom.c */
/** One sample of a symptom outside of a run (a lease end, a soak). on_sample: once: "good", "bad", "between",
 * "no_data"; value: NULL without data, then why says why. */
void stanch_symptom__sample(struct stanch_engine *engine, const json_t *symptom,
                            void (*on_sample)(void *ctx, const char *result, const json_t *value, const char *why),
                            void *ctx);
void stanch_symptom__free_all(struct stanch_engine *engine);

/* soak.c */
/** The symptoms of an incident are to be asked for, unless it is over. returns 0 | what the journal said: try again */
int stanch_soak__due(struct stanch_engine *engine, const char *id);
void stanch_soak__free_all(struct stanch_engine *engine);

#endif
