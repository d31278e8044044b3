/* flow.h: the sentence. An event belongs to an incident; a match answers with a run; a run asks for steps; a
 * step is allowed, sent to a plugin, and answered; each of these is in the timeline before the next begins.
 *
 *   event -> incident -> match -> run -> step -> guard -> (approval) -> action -> verify -> timeline
 *
 * The doors (api/) come in through here and nowhere else: stanch_flow_receive for a webhook, stanch_flow_do
 * for everything that a person or program asks for. What they show they read from the journal (committed
 * view).
 * Thread: loop thread.
 */
#ifndef STANCH_FLOW_H
#define STANCH_FLOW_H
#include "base/err.h"
#include "base/loop.h"
#include <jansson.h>
#include <stdbool.h>

struct stanch_flow;
struct stanch_journal;
struct stanch_plugins;
struct stanch_runner;

/** Called exactly once, later. rc 0: result is borrowed. Everything the result tells is committed. */
typedef void (*stanch_flow_done)(void *ctx, int rc, const struct stanch_err *err, const json_t *result);

struct stanch_webhook {
    const char *source;    /* instance name, from the path */
    const json_t *headers; /* {"lower-case-name":"value"}; borrowed */
    const char *query;     /* raw query text, or "" */
    const char *remote;    /* address of the peer */
    bool trusted;          /* a token for this source came with it: its own credential is not looked at */
    const void *body;      /* raw bytes; copied */
    size_t body_len;
};
/** A webhook: verify and normalise in the plugin host, then commit; done with 0 means 202: durable.
 *  result: {"delivery":id,"events":[{"id","state","repeat":bool,"incident":id|null,"runs":[id],"why"?:text}]}
 *  errors: STANCH_E_NOT_FOUND no such source; UNAUTHORIZED; INVALID; TOO_LARGE; BUSY, UNAVAILABLE, FULL, STORE
 *  (503, nothing stored or unknown: try again) */
int stanch_flow_receive(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                        void *ctx, struct stanch_err *err);

/** What the source makes of a body, whatever credential it carries: nothing is recorded, nothing starts.
 *  result: {"events":[...],"truncated":n}, as its plugin says it. errors: NOT_FOUND; UNAVAILABLE; INVALID, ... */
int stanch_flow_test_source(struct stanch_flow *flow, const struct stanch_webhook *webhook, stanch_flow_done done,
                            void *ctx, struct stanch_err *err);

/** A command. by: the principal ("uid:0", "person:alice"). input: borrowed object. One function and one
 * table, so that there is one place where a change is allowed or refused.
 *
 *   command             input -> result
 *   incident.declare    {"title","severity"?,"note"?} -> incident
 *   incident.set        {"incident","title"?,"severity"?,"state"?,"roles"?:{"ic":who}} -> incident
 *   incident.role       {"incident","role","person"?,"reason"?} -> incident (person left out: the caller takes it)
 *   incident.resolve    {"incident","reason"?} -> incident; without a reason it may be "monitoring" first (incident/soak.h)
 *   incident.note       {"incident","text"} -> entry      incident.decide  {"incident","text"} -> entry
 *   incident.merge      {"incident","into"} -> incident
 *   run.start           {"runbook","incident"?,"params"?:{},"title"?} -> run
 *   run.cancel          {"run","reason"?} -> run
 *   approval.decide     {"approval","decision":"approve"|"deny"|CHOICE,"plan"?:digest,"note"?,"break_glass"?:bool} -> approval
 *   step.resolve        {"step":"R-3/2","happened":"happened"|"did-not"|"abandon","note"?} -> step
 *   mitigation.undo     {"mitigation","reason"?} -> mitigation (when the undo has its outcome)
 *   mitigation.extend   {"mitigation","for_ms","reason"?} -> mitigation
 *   mitigation.keep     {"mitigation","reason"?} -> mitigation (it has no end any more)
 *   breaker.close       {"runbook","target","because"?} -> breaker
 *   runbook.sync        {} -> {"commit","changed":bool}
 *   runbook.accept      {"runbook","digest","because"?} -> {"runbook","digest","digests","accepted_by","because"}
 *   runbook.lint        {"files":[{"path","text"}]} -> {"ok","errors":[{"path","line","text"}],"warnings":[...],
 *                       "runbooks":[name]}
 *   plugin.enable       {"instance"} -> instance
 *   plugin.check        {"instance"} -> {"instance","ok":bool,"checks":[{"name","ok","text"}]}, as its plugin says
 *   store.check         {} -> {"ok","entries","chains","differences","what"?} (when every page is looked at)
 *   reload              {} -> {"policy":digest|null,"people":n|null} (the files of policy and people are read again)
 *   hold.take           {"target","for_ms"?,"reason"?} -> hold     hold.release    {"target","of"?,"reason"?} -> hold
 *   drill.begin         {"name","kind"?,"speed"?} -> drill (when people can come in; a virtual one: when it is over)
 *   drill.end           {"drill","why"?} -> drill (when it is over)
 *   drill.coming        {} -> {"coming":[{"plan","name","kind","at_ms","drill"?}],"calendar":text}
 *   drill.report        {"drill"} -> {"report":{...},"markdown":text,"html":text}
 *   stop                {"reason","level"?,"name"?,"for_ms"?} -> status; level "instance", "runbook" or "target"
 *   resume              {"reason"?,"level"?,"name"?} -> status
 */
int stanch_flow_do(struct stanch_flow *flow, const char *by, const char *command, const json_t *input,
                   stanch_flow_done done, void *ctx, struct stanch_err *err);

/** A door refused somebody: an entry (the first of a kind at once, those of the next minute as one more). by: "" when it is
 *  nobody; what: "POST /v1/stop"; both bounded in number by their callers. */
void stanch_flow_note_refused(struct stanch_flow *flow, const char *by, const char *what, const char *remote,
                              const struct stanch_err *err);

/** How things stand, for readiness, metrics, `stanch status`. new:
 *  {"ready":bool,"why":[text],"stopped":null|{"reason","by","at"},"stops":[{"level","name"?,"file",
 *  "reason","by","at","until"?,"until_ms"?,"known":bool}],"journal":{...},"plugins":[...],
 *   "book":{"commit","accepted_at","state":"ok"|"away"|"refused"|"none","why"?},"runs":{"open","parked","going"},
 *  "queue":{"waiting","asking","oldest_ms","bound"},"storm":{"on","starts","enter","leave"},
 *   "approvals":n,"mitigations":n,"holds":n,"counters":{"events_received","events_repeated","events_refused","runs_started",
 *   "actions_sent","actions_failed","actions_unknown","questions_asked",...},"version","uptime_ms","state_dir",
 *   "checkpoints"?:{"every_ms","age_ms","failing":n,"places":[{"to","state":"kept"|"failing"|"none","at"?,"entries"?,
 *   "failures","why"?}]},
 *   "calendars"?:[{"name","state":"read"|"away"|"none","now":[summary]|null,"read"?,"why"?}],
 *   "paging"?:{"waiting","failing","told","failures","via":[{"instance","state","why"?,...}]},"check":{"state":"none"|"running"|"good"|"damaged"|"failed","damaged":bool,"at"?,"verdict"?}} */
json_t *stanch_flow_status(struct stanch_flow *flow);
/** Which runbooks were considered for an event, and what became of each; the reasons are those that were recorded when it
 *  was decided. ret: new:
 *  {"event","name","state","source","received_ms","incident"?,"count"?,"says":sentences,"commit"?,"accepted_ms"?,"in_use":bool,
 *   "considered":[{"runbook","outcome":"no match"|"held"|"started"|"joined"|"queued"|"asking"|"matched","why"?,"run"?,
 *                  "run_state"?,"autonomy"?}],
 *   "now"?:{"commit","accepted_ms"?,"considered":[{"runbook","outcome":"no match"|"refused"|"would match","why"?}]}}
 *  matched: it is of an earlier release, which did not record what became of it. now: the triggers of the runbooks that are
 *  in use, when those are others than then, asked as if the event came now as it came then; limits are not asked again.
 *  returns 0 | STANCH_E_NOT_FOUND | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_flow_why(struct stanch_flow *flow, const char *event, json_t **ret, struct stanch_err *err);
/** The loaded runbooks with their declarations: [{"name","path","commit","digest","summary","owner","on":[...],
 *  "uses":[...],"params":{},"limits":{},"symptom":{},
 *  "autonomy":{"mode","accepted","asks","why"}}], new. */
json_t *stanch_flow_runbooks(struct stanch_flow *flow);

#endif
