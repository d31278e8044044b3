/* flow_parts.h: the sentence's own parts, as its files share them. Doors include flow.h only.
 * Files    flow.c (events in), flow_match.c, flow_turn.c, flow_limit.c and flow_storm.c (runs begin), flow_why.c (why they did
 *          not), flow_door.c (webhooks), flow_book.c (commits), flow_accept.c (runbooks as they are, accepted), flow_command.c (what people ask for),
 *          flow_role.c (who holds a role), flow_plugin.c (one plugin instance), flow_stop.c (the switch and its levels),
 *          flow_reply.c (the answer), flow_wait.c (who waits for a commit), flow_calendar.c (who is on call, what is
 *          frozen), flow_count.c (what is counted), flow_status.c (how things stand), flow_life.c (from new to free, and
 *          every second).
 * Thread   loop thread.
 */
#ifndef STANCH_FLOW_PARTS_H
#define STANCH_FLOW_PARTS_H
#include "book/book.h"
#include "catalogue.h"
#include "flow.h"
#include "incident/incident.h"
#include "people/people.h"
#include "plugin/plugin.h"
#include "run/run.h"
#include "timeline/journal.h"

/* A caller who waits for a commit; part of what owns it. */
struct stanch_wait {
    struct stanch_wait *next;
    struct stanch_flow *flow;
    stanch_flow_done done; /* NULL: told already */
    void *ctx;
    int64_t until_mono_ms;
};

struct stanch_calendar;
struct stanch_policy;

/* flow_door.c: a webhook from the door to its commit. */
struct stanch_delivery {
    struct stanch_delivery *next; /* while its source has not answered */
    struct stanch_wait wait;      /* from append on */
    struct stanch_flow *flow;
    stanch_flow_done done;
    void *ctx;
    char source[64];
    char remote[64];
    char id[27];
    int64_t received_ms;
    char raw_hex[65];
    void *body;
    size_t body_len;
    json_t *result; /* {"delivery","events":[...]} */
    json_t *began;  /* data of run.started */
    json_t *events; /* as the source gave them, while they wait for a turn of the loop */
};

struct stanch_flow_config {
    const json_t *config; /* as evaluated (script/DECLARATIONS.md); borrowed, must outlive the flow */
    const char *exe;      /* path of this executable */
    const char *state_dir;
    const struct stanch_policy *policy; /* borrowed, like people: must outlive the flow */
    const struct stanch_people *people; /* NULL: there is no people file */
};

#define STANCH_STORM_SLOTS 60

/* flow_storm.c: how many runs alerts wanted to start lately, and what follows from it. */
struct stanch_storm {
    bool on;
    int64_t starts[STANCH_STORM_SLOTS];
    int64_t slot;          /* of the last look */
    int64_t calm_since_ms; /* boot clock; 0: it is not calm */
};

/* flow_turn.c: a run that has not begun. All else is in the journal. */
struct stanch_waiting {
    struct stanch_waiting *next;
    json_t *doc; /* what decides on its turn, out of the run's document */
    bool asking; /* waits for a person's word */
    bool asked;  /* ... and stands on an open question */
};

/* Who keeps the store (serve_keep.c) and the setup (serve_setup.c); what flow tells of them and may ask of them. */
struct stanch_flow_keeper {
    /** Add to the status, and to the reasons for not being ready. */
    void (*status)(void *ctx, json_t *status, json_t *why);
    /** Check the whole store; done as in flow.h, the result is the verdict. */
    int (*check)(void *ctx, stanch_flow_done done, void *done_ctx, struct stanch_err *err);
    /** Read policy and people file again; done as in flow.h, the result says what was loaded. */
    int (*reload)(void *ctx, const char *by, stanch_flow_done done, void *done_ctx, struct stanch_err *err);
    /** A command about drills (gameday/), as flow.h has them. NULL: there are none here */
    int (*drill)(void *ctx, const char *by, const char *command, const json_t *input, stanch_flow_done done,
                 void *done_ctx, struct stanch_err *err);
    void *ctx;
};

struct stanch_flow {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_plugins *plugins;
    struct stanch_world *world;
    struct stanch_engine *engine;
    struct stanch_incidents *incidents;
    struct stanch_book *book;
    struct stanch_catalogue *catalogue; /* NULL: no commit accepted yet */
    const json_t *config;
    const struct stanch_policy *policy;
    const struct stanch_people *people; /* NULL: there is no people file */
    struct stanch_calendar *calendars;  /* flow_calendar.c */
    char *state_dir;
    char *exe;
    struct stanch_flow_keeper keeper; /* status NULL: there is none */
    json_t *counters;
    json_t *repeats;      /* event id -> count, not yet in the journal */
    json_t *refusals;     /* source and kind of error -> {"source","remote","why","since_ms","more"} */
    json_t *buckets;      /* source -> {"tokens","at_ms"} */
    json_t *starts;       /* flow_limit.c */
    json_t *instances;    /* what workers may know of the plugins; NULL: to be made anew */
    char *instances_text; /* the same, canonical: kept once as a blob, named by runs */
    char instances_hex[65];
    struct stanch_timer *tick;
    int64_t began_ms; /* wall clock */
    int64_t began_mono_ms;
    int64_t ticked_mono_ms;
    int64_t wall_minus_mono_ms; /* a jump of it is a step of the wall clock */
    bool stopped;               /* as the last look at the switch said */
    json_t *stops;              /* and at those of levels, by file: what was said of them */
    bool has_unmatched;         /* events that came before the runbooks could not be matched yet */
    struct stanch_late_match *late;
    bool draining;
    bool halted;                       /* the world is about to go */
    struct stanch_delivery *receiving; /* flow_door.c: their sources have not answered */
    int receiving_count;
    struct stanch_delivery *answered, *answered_last; /* their sources have; they wait for a turn of the loop */
    bool turn_open;
    int64_t turn_began_ms;
    struct stanch_wait *waits; /* flow_wait.c */
    json_t *draft;             /* what the batch in the making did to runs that others of it may join: group -> run */
    struct stanch_waiting *waiting; /* in the order in which they came */
    int waiting_count;
    struct stanch_storm storm;
    /* book */
    char book_state[16]; /* "none", "ok", "away", "refused" */
    char book_why[1200];
    char accepted_commit[72];
    bool is_first_book; /* no commit was ever accepted: what the first one holds is */
    int64_t accepted_at_ms;
    int64_t contact_mono_ms; /* when the repository was last heard of */
    json_t *candidate;       /* files of the commit that is being checked: {"commit","summary","files":[...]} */
};

/** Before anything else is appended: daemon.clock-jumped into the batch when the journal ends later than now. Returns when
 *  its newest entry was written; 0: it has none. */
int64_t stanch_flow_check_clock(struct stanch_loop *loop, struct stanch_journal *journal, struct stanch_batch *batch);

/** ret: new. All are borrowed and must outlive it. plugins: NULL in a rehearsal, where no webhook comes in. Reads counters of
 *  limits back. */
int stanch_flow_new(struct stanch_loop *loop, struct stanch_journal *journal, struct stanch_plugins *plugins,
                    struct stanch_world *world, struct stanch_engine *engine, const struct stanch_flow_config *config,
                    struct stanch_flow **ret, struct stanch_err *err);
/** Load the last accepted commit from the journal, then follow the repository. Plugins must be ready. */
int stanch_flow_start(struct stanch_flow *flow, struct stanch_err *err);
/** keeper: copied; all zero: there is none any more. */
void stanch_flow_keep(struct stanch_flow *flow, struct stanch_flow_keeper keeper);
/** Judge this commit as if the repository had offered it: for a rehearsal, which has none. revision: borrowed. What came of it
 *  is in the status ("book"). */
void stanch_flow_offer(struct stanch_flow *flow, const struct stanch_revision *revision);
/** Take events in as if their source had given them: for a rehearsal, whose sources are no plugins. events: borrowed, as a source
 *  gives them; raw: what is kept as the body. done: as in flow.h */
void stanch_flow_take_events(struct stanch_flow *flow, const char *source, const json_t *events, const char *raw,
                             stanch_flow_done done, void *ctx);
void stanch_flow_drain(struct stanch_flow *flow);
/** Webhooks whose source has not answered yet. */
int stanch_flow_receiving(const struct stanch_flow *flow);
/** Before the plugin hosts are freed: ends the book and refuses the webhooks that are still out. */
void stanch_flow_halt(struct stanch_flow *flow);
void stanch_flow_free(struct stanch_flow *flow);

/* flow_reply.c: a caller that is told once something is committed, with a noun's document as the result. */
struct stanch_reply;
struct stanch_reply *stanch_reply__new(struct stanch_flow *flow, stanch_flow_done done, void *ctx, const char *noun,
                                       const char *id);
/** Append (batch: taken) and tell the caller when it is committed. returns 0, or the error of append: the
 * caller is not told then. reply: taken. */
int stanch_reply__append(struct stanch_reply *reply, struct stanch_batch *batch, struct stanch_err *err);
/** Tell the caller when all that is appended now is committed. */
void stanch_reply__barrier(struct stanch_reply *reply);
/** Give this as the result instead of the noun. result: taken. */
void stanch_reply__result(struct stanch_reply *reply, json_t *result);

void stanch_flow__count(struct stanch_flow *flow, const char *counter);
int64_t stanch_flow__now(struct stanch_flow *flow);
/** A plugin came up or changed: what workers may know of it is made anew. */
void stanch_flow_plugins_changed(struct stanch_flow *flow);
/** What the world's instances are; none any more once it is about to go. new */
json_t *stanch_flow__list_instances(const struct stanch_flow *flow);
/** new: the same of what plugin.h: stanch_plugins_list lists */
json_t *stanch_flow__describe(const json_t *list);
/** new: what a worker may know of the instances: {name:{"plugin","environment","actions":{...}}} */
json_t *stanch_flow__instances(struct stanch_flow *flow);

/* flow_wait.c */
void stanch_wait__begin(struct stanch_flow *flow, struct stanch_wait *wait, stanch_flow_done done, void *ctx);
/** It is committed: the caller is told, unless it was told meanwhile that it took too long. */
void stanch_wait__end(struct stanch_wait *wait, const json_t *result);
/** It was not appended: the caller is told in another way. */
void stanch_wait__forget(struct stanch_wait *wait);
/** Now and then: tell those who have waited too long. */
void stanch_wait__look(struct stanch_flow *flow);

/* flow.c */
void stanch_delivery__free(struct stanch_delivery *delivery);
/** Answer it with the error, log it, free it. */
void stanch_delivery__refuse(struct stanch_delivery *delivery, const struct stanch_err *err);
/** Its events become one batch; it is answered, and freed, when that is committed. events: borrowed */
void stanch_flow__store(struct stanch_delivery *delivery, const json_t *events);

/* flow_calendar.c */
/** Ask those that are due. */
void stanch_flow__look_at_calendars(struct stanch_flow *flow);
void stanch_flow__calendars_free(struct stanch_flow *flow);
/** Who is on call for a role at an instant: the role's calendar says it, else the people file. ctx: the flow. ret:
 *  "person:ada", or "" */
void stanch_flow__on_call(void *ctx, const char *role, int64_t at_ms, char ret[160]);
/** What is under way: {calendar: [summaries], or null: not known}; new. ctx: the flow */
json_t *stanch_flow__calendars_now(void *ctx);
/** [{"name","state":"read"|"away"|"none","now":as above,"read_ms"?,"why"?}]; new */
json_t *stanch_flow__calendars_status(const struct stanch_flow *flow);

/* flow_door.c */
/** Refuse what is on its way: the plugins are about to go. */
void stanch_flow__close_door(struct stanch_flow *flow);

/* flow_match.c */
/** Events are put into a new batch from here on. */
void stanch_flow__new_batch(struct stanch_flow *flow);
/** One new event: event.received, its incident, what it starts, into the batch. event: taken. began: data of
 *  run.started of each, to begin once appended: appended to. told: what the sender is told: appended to. */
void stanch_flow__take(struct stanch_flow *flow, json_t *event, struct stanch_batch *batch, json_t *began,
                       json_t *told);
/** Put a run that a person starts into the batch; it passes the caps. returns its data, borrowed from began, or NULL with err set. */
const json_t *stanch_flow__start_run(struct stanch_flow *flow, const struct stanch_runbook *runbook,
                                     const json_t *given, const char *incident, const char *by,
                                     struct stanch_batch *batch, json_t *began, struct stanch_err *err);
/** The same for a run that only says what it would do (run/autonomy.h: is_plan): of no incident, and no start that a limit counts. incident:
 *  whose severity the policy is asked with; "": none. */
const json_t *stanch_flow__start_plan(struct stanch_flow *flow, const struct stanch_runbook *runbook,
                                      const json_t *given, const char *incident, const char *by,
                                      struct stanch_batch *batch, json_t *began, struct stanch_err *err);
/** Does one of the runbook's triggers match? now_ms: when it is asked. why: the first condition that does not hold. */
enum stanch_match stanch_flow__triggers(const struct stanch_runbook *runbook, const json_t *event, int64_t now_ms,
                                        char why[256]);
/** Match what came in before there was a commit: what is committed; what could not be is left for the next tick. */
void stanch_flow__match_waiting(struct stanch_flow *flow);
/** The same, once all that was appended until now is committed, and so can be found. Once in a life. */
void stanch_flow__match_waiting_soon(struct stanch_flow *flow);
void stanch_flow__forget_late(struct stanch_flow *flow);

/* flow_turn.c */
/** A run of the same runbook and key that began a moment ago takes the event in: into the batch, and its id to
 *  ret_runs. ret_group: digest of the key. returns false: there is none */
bool stanch_flow__join(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *event,
                       const json_t *params, const char *incident, struct stanch_batch *batch, json_t *ret_runs,
                       json_t *began, char ret_group[65]);
/** How an alert's run begins: the kind of its first entry, "run.started", "run.queued" or "run.asking"; NULL: not at all,
 *  why says it. data: gets what the queue needs. */
const char *stanch_flow__turn(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *event,
                              const char *incident, json_t *began, json_t *data, char why[200]);
/** Note a run whose first entry, of this kind, is in the batch; data: shared. */
void stanch_flow__began(struct stanch_flow *flow, json_t *began, const char *kind, const char *incident, json_t *data);
/** The batch is appended: the runs begin, wait, or take in what has joined. */
void stanch_flow__begin_all(struct stanch_flow *flow, const json_t *began);
/** Start what has waited and now has room. */
void stanch_flow__give_turns(struct stanch_flow *flow);
/** One that waits; NULL: none of this id does. */
struct stanch_waiting *stanch_flow__waiting(struct stanch_flow *flow, const char *run);
/** It will not begin. kind: "run.held" or "run.cancelled". waiting: freed, unless it could not be recorded (not 0). */
int stanch_flow__leave_queue(struct stanch_flow *flow, struct stanch_waiting *waiting, const char *kind, const char *by,
                             const char *why);
void stanch_flow__run_resolved(struct stanch_flow *flow, const char *run);
void stanch_flow__recall_waiting(struct stanch_flow *flow);
/** Does a run wait for a person's word because of a storm? */
bool stanch_flow__is_asking(const struct stanch_flow *flow);
void stanch_flow__waiting_free(struct stanch_flow *flow);
/** new: {"waiting","asking","oldest_ms","bound"} */
json_t *stanch_flow__queue_status(const struct stanch_flow *flow);

/* flow_role.c */
/** incident.role: check it, and put into the batch who holds the role now, and what that means for open questions. input as
 *  stanch_role_check's. */
int stanch_flow__give_role(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_batch *batch,
                           struct stanch_err *err);
/** The same for each of {"incident","roles":{role:person},"reason"?}; the batch is of no use when one is refused. */
int stanch_flow__give_roles(struct stanch_flow *flow, const char *by, const json_t *input, struct stanch_batch *batch,
                            struct stanch_err *err);

/* flow_count.c */
void stanch_flow__note_repeat(struct stanch_flow *flow, const char *event);
/** A webhook was refused: an entry for the first of its source and kind of error, one more for all within the next minute.
 *  What was only too early (busy, shutting down, the store takes nothing) is no refusal. */
void stanch_flow__note_refusal(struct stanch_flow *flow, const char *source, const char *remote,
                               const struct stanch_err *err);
/** Write what was counted. */
void stanch_flow__flush_counts(struct stanch_flow *flow);

/* flow_storm.c */
/** An alert wants to start a run: counted. returns true: not by itself, there is a storm */
bool stanch_flow__storm_start(struct stanch_flow *flow);
/** Every second: is it over; ask about the runs that wait for a person. */
void stanch_flow__storm_tick(struct stanch_flow *flow);
void stanch_flow__storm_recall(struct stanch_flow *flow);
/** stanch_engine_hooks.on_decided; ctx: the flow. */
void stanch_flow__storm_decided(void *ctx, const json_t *question, bool approved, const char *by);
/** new: {"on","starts","enter","leave"} */
json_t *stanch_flow__storm_status(struct stanch_flow *flow);

/* flow_stop.c */
/** Every second, and at the start: what was stopped and released by hand, and what is over. */
void stanch_flow__look_at_stops(struct stanch_flow *flow);
/** Why nothing of this runbook may start; NULL: it may. new */
char *stanch_flow__stopped(struct stanch_flow *flow, const char *runbook);
/** new: the stops of levels that hold now, as stanch_stop_list gives them, with "known" */
json_t *stanch_flow__stops_status(struct stanch_flow *flow);
/** Commands, see flow.h; the result is the status. input: {"reason"?}, of everything; or {"level","name","reason"?,"for_ms"?}.
 *  returns 0 | STANCH_E_INVALID | STANCH_E_SYSTEM */
int stanch_flow__stop(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                      struct stanch_err *err);
/** input: {"reason"?}, or {"level","name","reason"?}. returns 0 | STANCH_E_INVALID | STANCH_E_NOT_FOUND | STANCH_E_SYSTEM */
int stanch_flow__resume(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                        struct stanch_err *err);

/* flow_plugin.c: commands, see flow.h. input: {"instance"} */
int stanch_flow__enable_plugin(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done,
                               void *ctx, struct stanch_err *err);
/** A read, which leaves no entry: it says how things are now, and changes nothing. */
int stanch_flow__check_plugin(struct stanch_flow *flow, const json_t *input, stanch_flow_done done, void *ctx,
                              struct stanch_err *err);

/* flow_book.c */
int stanch_flow__follow(struct stanch_flow *flow, struct stanch_err *err);
int stanch_flow__sync(struct stanch_flow *flow, stanch_flow_done done, void *ctx, struct stanch_err *err);
int stanch_flow__lint(struct stanch_flow *flow, const json_t *input, stanch_flow_done done, void *ctx,
                      struct stanch_err *err);

/* flow_limit.c: how often a runbook may start */
/** A run of it has started, or waits for its turn. */
void stanch_flow__note_start(struct stanch_flow *flow, const char *runbook);
/** Read back what it has started before this process, as far as its limits reach. returns 0 | what the journal said */
int stanch_flow__recall_starts(struct stanch_flow *flow, const json_t *declared, struct stanch_err *err);
/** May an alert not start it now? why: written when it may not. */
bool stanch_flow__is_over_limit(struct stanch_flow *flow, const json_t *declared, char why[200]);

/* flow_accept.c: runbooks as they are, accepted */
/** new: {name: digest} */
json_t *stanch_flow__digests(const struct stanch_catalogue *catalogue);
void stanch_flow__accept_all(struct stanch_flow *flow, const struct stanch_catalogue *catalogue, const char *because,
                             struct stanch_batch *batch);
/** A store of an earlier release, which asked nobody: what is in use counts as accepted. */
void stanch_flow__accept_kept(struct stanch_flow *flow, const struct stanch_catalogue *catalogue);
/** runbook.accept, see flow.h. A digest that is not that of the loaded runbook is STANCH_E_STALE, and an entry. */
int stanch_flow__accept(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done, void *ctx,
                        struct stanch_err *err);
/** Add to the answer of policy.explain what holds for its runbook. */
void stanch_flow__explain_runbook(struct stanch_flow *flow, const json_t *input, json_t *told);

#endif
