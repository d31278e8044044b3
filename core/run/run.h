/* run.h: the engine of runs, as flow sees it: start, cancel, decide, undo.
 * Flow     match -> [run -> step -> guard -> action] -> timeline.   Callers: flow.c.
 * Owner    the engine owns live runs; the journal owns what they are.
 * Thread   loop thread.
 */
#ifndef STANCH_RUN_RUN_H
#define STANCH_RUN_RUN_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STANCH_ABOUT_STORM "storm" /* what the questions of stanch_engine_ask are about */

struct stanch_engine;
struct stanch_run;
struct stanch_world;
struct stanch_journal;
struct stanch_policy;
struct stanch_batch;
struct stanch_people;
struct stanch_role_change;

struct stanch_engine_config {
    char *state_dir;      /* where the stop switch is; copied */
    int64_t fresh_for_ms; /* a longer gap since a run last acted: ask before the next mitigation */
    int64_t approval_expires_ms;
    int64_t max_steps;      /* of one run */
    int64_t worker_idle_ms; /* the worker of a waiting run ends after this */
    int64_t epoch;          /* of the store; goes to the plugin with every effect */
    int64_t newest_ms;      /* when the journal's newest entry of earlier lives was written; 0: there is none */
    const struct stanch_people *people; /* who may answer; borrowed; NULL: whoever comes in */
    bool pages; /* somebody tells people of pages (page/): they are open until their incident is over */
};

typedef void (*stanch_engine_done)(void *ctx, int rc, const struct stanch_err *err, const json_t *result);

/** journal, world, policy: borrowed, must outlive it. config: copied. ret: new. */
struct stanch_engine *stanch_engine_new(struct stanch_journal *journal, struct stanch_world *world,
                                        struct stanch_policy *policy, const struct stanch_engine_config *config);
/** Ends nothing in the world: open runs stay open in the journal. Call when no callback can come any more. */
void stanch_engine_free(struct stanch_engine *engine);

/** Load every open run, question and mitigation from the journal and go on. */
int stanch_engine_recover(struct stanch_engine *engine, struct stanch_err *err);
/** No new steps; calls under way may finish (PROMISES.md 1.7). */
void stanch_engine_drain(struct stanch_engine *engine);
/** What the gate would say of an action now: what the policy says, which of its rules why, and all that stands against it beside
 *  them. Nothing is done or recorded. input: {"instance","action","targets"?:[text],"tags"?:[text],"severity"?,"runbook"?,"incident"?,"effect"?:"mitigate"|"undo","reach"?:0..1,
 *  "risk"?: raised by a runbook, "holds"?: the name that its runs hold}. ret: {"verdict":"runs"|"asks"|"forbidden","risk","role","quorum","expires_ms","why","declared_risk","plugin",
 *  "environment","rules":[...as in rule/policy.h],"now":{"against":[sentence],"stops":[as stanch_stop_list, with "text"],
 *  "holds":[{"id","target","holder","reason","ends_ms","until","text"}],"conflicts":[{"id","text"}],
 *  "limits":[{"name","about"?,"used","of","full":bool,"frees_in_ms"?}],
 *  "breakers":[{"runbook","target","state":"open"|"counting"|"closed","used","of","step","why","frees_in_ms"?}]}}; new. returns 0 | STANCH_E_NOT_FOUND no such instance, action or incident |
 *  STANCH_E_INVALID it changes nothing, or a word is unknown */
int stanch_engine_explain(struct stanch_engine *engine, const json_t *input, json_t **ret, struct stanch_err *err);
/** There is no more time: append what is still out, that is calls whose outcome is not known (PROMISES.md 1.7). Once, before
 *  stanch_engine_halt. A store that takes no more is logged; the next start finds the intents all the same. */
void stanch_engine_leave(struct stanch_engine *engine);
/** The end of the process is near: whatever still comes back changes nothing any more, and nothing is called or
 *  appended. After it the world may be freed, then the journal flushed, then the engine freed. */
void stanch_engine_halt(struct stanch_engine *engine);
/** The policy that it was given says something else now: what its limits count is read back from the journal. */
int stanch_engine_policy_changed(struct stanch_engine *engine, struct stanch_err *err);
/** Effects whose outcome is still out. */
int stanch_engine_calls(const struct stanch_engine *engine);

/** The id of a live run that declares `limits.holds = name`; NULL: nobody holds it. borrowed. */
const char *stanch_engine_holder(const struct stanch_engine *engine, const char *name);

/* What the engine tells flow. */
struct stanch_engine_hooks {
    /** A run has ended, or waits for a person now: another one may have its turn. Once for many. */
    void (*on_room)(void *ctx);
    /** A question of stanch_engine_ask was decided. question: its document; borrowed. */
    void (*on_decided)(void *ctx, const json_t *question, bool approved, const char *by);
    /** What is under way in the calendars that the policy names: as `during` of rule/policy.h; new. NULL: nothing is known. */
    json_t *(*calendars)(void *ctx);
};
void stanch_engine_hook(struct stanch_engine *engine, const struct stanch_engine_hooks *hooks, void *ctx);
/** How many runs are going: begun, not ended, and not waiting for a person. NULL: of any runbook, of any incident. */
int stanch_engine_going(const struct stanch_engine *engine, const char *runbook, const char *incident);
/** How many runs have begun and wait for a person. */
int stanch_engine_waiting(const struct stanch_engine *engine);
/** Put a question that no step waits for into the batch; on_decided tells the answer. card: {"plan","because",...},
 *  borrowed; its plan is bound by plan_digest; about STANCH_ABOUT_STORM. ret: the id of the approval. */
void stanch_engine_ask(struct stanch_engine *engine, const char *chain, const json_t *card, const char *plan_digest,
                       struct stanch_batch *batch, char ret[32]);

/** A run whose run.started is appended: go. started: data of that entry; borrowed. */
void stanch_engine_begin(struct stanch_engine *engine, const json_t *started, const char *incident);
/** Another alert has joined the run (`run.joined` is appended). */
void stanch_engine_joined(struct stanch_engine *engine, const char *run);
/** An alert of the run has resolved; once none of them fires, `on_resolved` of PROMISES.md 1.14 holds. */
void stanch_engine_resolved(struct stanch_engine *engine, const char *run);
/** This process stood still for so long (stopped, or the machine suspended): like a restart after such a gap. */
void stanch_engine_stood_still(struct stanch_engine *engine, int64_t gap_ms);
/** returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT (ended already) */
int stanch_engine_cancel(struct stanch_engine *engine, const char *run, const char *by, const char *reason,
                         struct stanch_err *err);

/** What a person says to a question. */
struct stanch_answer {
    const char *by;
    const char *decision; /* "approve", "deny", or one of the question's choices */
    const char *plan;     /* the digest that the person saw; needed where the question has one */
    const char *note;     /* or NULL */
    bool break_glass;     /* approve without holding the role; needs a note, and the policy's leave */
};
/** A person decides an open question; the one function that releases a held step. Who may is decided in authority.h.
 *  returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT (decided, expired) | STANCH_E_STALE (another plan) | STANCH_E_INVALID (no
 *  such choice) | STANCH_E_FORBIDDEN (not for this one to say) | STANCH_E_STOPPED */
int stanch_engine_decide(struct stanch_engine *engine, const char *approval, const struct stanch_answer *answer,
                         struct stanch_err *err);
/** A role of an incident gets another holder in this batch: put into it what that means for the questions that wait for the
 *  role. They stay open, for the new holder; what the former one had agreed to no longer counts. change: borrowed. No-op
 *  without a people file. returns 0 | STANCH_E_STORE */
int stanch_engine_role_changed(struct stanch_engine *engine, const struct stanch_role_change *change,
                               struct stanch_batch *batch, struct stanch_err *err);
/** Undo a mitigation by a person's order; passes the stop switch. done: once, with the mitigation. */
int stanch_engine_undo(struct stanch_engine *engine, const char *by, const char *mitigation, const char *reason,
                       stanch_engine_done done, void *ctx, struct stanch_err *err);

#define STANCH_LEASE_MIN_MS 60000LL
#define STANCH_LEASE_MAX_MS (30 * 86400000LL)
/** A person moves the end of what is in force: for_ms from now on; 0: it has none any more. Its entries are put into the batch;
 *  a question about its end is answered by them. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT not in force, or being taken
 *  back | STANCH_E_INVALID */
int stanch_engine_extend(struct stanch_engine *engine, const char *by, const char *mitigation, int64_t for_ms,
                         const char *reason, struct stanch_batch *batch, struct stanch_err *err);
/** An incident is resolved once its symptoms were good for a while, in the name of `by`; until then it is "monitoring", and they
 *  are sampled. soak: as stanch_incident_resolve gives it; taken. It goes on in the name of who asked first. returns 0 | what the
 *  journal says */
int stanch_engine_soak(struct stanch_engine *engine, const char *by, const char *incident, json_t *soak,
                       struct stanch_err *err);
/** A hold by hand, as somebody asks for it. */
struct stanch_hold_words {
    const char *by;
    const char *target; /* as plans name it */
    const char *reason; /* or "" */
    int64_t for_ms;     /* 24 h at most; 0: an hour */
};
/** Take a target by hand: until its end nothing that stanch starts by itself happens there before somebody was asked. Who holds
 *  it already extends it, and never shortens it. ret_id: of the hold; its number grows with every hold of this store. returns
 *  0 | STANCH_E_INVALID | STANCH_E_CONFLICT another holds it; the text names who | STANCH_E_REFUSED too many are held | what
 *  the journal says */
int stanch_engine_hold(struct stanch_engine *engine, const struct stanch_hold_words *words, char ret_id[32],
                       struct stanch_err *err);
/** Let go of it. of: the holder, from whoever is another one; or NULL. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT
 *  another holds it | what the journal says */
int stanch_engine_release(struct stanch_engine *engine, const char *by, const char *target, const char *of,
                          const char *reason, char ret_id[32], struct stanch_err *err);

/** All that is stopped now, as stanch_stop_list gives it. The end of a stop is reached when the wall clock says so, and
 *  as much time has passed: a clock that was set forward ends none. new */
json_t *stanch_engine_stops(struct stanch_engine *engine);
/** The clock by which that is decided. */
int64_t stanch_engine_stop_clock(struct stanch_engine *engine);

/** How much of its own a runbook may do as it is now. ret new: {"mode":"auto"|"suggest"|"observe","accepted":bool,"asks":bool,
 *  "why":text}. digest: of the runbook; NULL: not known, and not asked about. */
json_t *stanch_engine_autonomy(const struct stanch_engine *engine, const char *runbook, const char *digest);
/** The same without an engine. accepted: the journal's document of noun "runbook", NULL: none. new */
json_t *stanch_autonomy_told(const struct stanch_policy *policy, const json_t *accepted, const char *runbook,
                             const char *digest);
/** Put into the batch that a runbook is accepted with this digest, by a person or (the first of a store) by stanch. */
void stanch_engine_accept(struct stanch_engine *engine, const char *by, const char *runbook, const char *digest,
                          const char *because, struct stanch_batch *batch);

/** A person closes the breaker of a runbook on a target (run/breaker.h). batch: takes the entry.
 *  returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT (it is not open) */
int stanch_engine_close_breaker(struct stanch_engine *engine, const char *by, const char *runbook, const char *target,
                                const char *because, struct stanch_batch *batch, struct stanch_err *err);

/** Counters of effects and questions, for status. borrowed. */
const json_t *stanch_engine_counters(const struct stanch_engine *engine);

#endif
