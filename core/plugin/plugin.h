/* plugin.h: core's side of plugins: a registry of instances, one host process each, and calls to them.
 * Never hears of runs: it gets a call and a completion. Only this folder has dlopen and the SDK's headers.
 *
 * Outcomes (PROMISES.md 1.3): only an explicit failure from the plugin is FAILED; a timeout, a reply lost, a host
 * that died are UNKNOWN.
 * Thread: loop thread.
 */
#ifndef STANCH_PLUGIN_PLUGIN_H
#define STANCH_PLUGIN_PLUGIN_H
#include "base/loop.h"
#include <jansson.h>
#include <stdbool.h>

struct stanch_plugins;
struct stanch_plugin_call;

/** exe: this executable; plugin_dir: where NAME.so files are; state_dir: where an instance that needs one gets a
 *  directory of its own, plugins/NAME (NULL: nowhere, such an instance cannot be opened); lock_path: a file whose lock every host inherits
 *  and holds, so that a new core can wait until the hosts of an old one are gone (PROMISES.md 1.13). ret: new.
 *  Ends the hosts of an earlier core first; returns when that lock was obtained (bounded: 5 s).
 *  returns 0 | STANCH_E_SYSTEM | STANCH_E_TIMEOUT */
int stanch_plugins_new(struct stanch_loop *loop, const char *exe, const char *plugin_dir, const char *state_dir,
                       const char *lock_path, struct stanch_plugins **ret, struct stanch_err *err);
/** Kills all hosts; calls under way are not answered any more. What is asked afterwards hears that there is no instance: a door that is
 *  still open may ask until it is closed. Accepts NULL. */
void stanch_plugins_halt(struct stanch_plugins *plugins);
/** Halts them first. Accepts NULL. */
void stanch_plugins_free(struct stanch_plugins *plugins);

/** Start an instance. config: borrowed: {"name","plugin","environment","settings":{...},"line"?}; a secret is
 *  {"$secret":{"file":path}} or {"$secret":{"env":name}}: opened here, handed to the host as a descriptor, its
 *  value never kept. The host is started again with back-off when it dies; after 5 deaths within 10 minutes the
 *  instance is disabled until it is enabled by a person.
 *  returns 0 | STANCH_E_INVALID (text names the key path: "settings.token: ..."; the caller adds where) | STANCH_E_NOT_FOUND (no such plugin) | STANCH_E_SYSTEM */
int stanch_plugins_add(struct stanch_plugins *plugins, const json_t *config, struct stanch_err *err);
/** Start a disabled instance again (a person decided so); its deaths are forgotten. No-op when it is not disabled.
 *  returns 0 | STANCH_E_NOT_FOUND */
int stanch_plugins_enable(struct stanch_plugins *plugins, const char *instance, struct stanch_err *err);
/** Called once when every instance added so far has said hello or failed to. err: the first failure (its text
 *  begins with the line, if that is known, plugin and name), or code 0. */
void stanch_plugins_when_ready(struct stanch_plugins *plugins, void (*fn)(void *ctx, const struct stanch_err *err),
                               void *ctx);

/** Turn the loop until that is so. loop: theirs. returns 0 | the code of the first failure, err set */
int stanch_plugins_await(struct stanch_loop *loop, struct stanch_plugins *plugins, struct stanch_err *err);

/** What an instance declares and how it is; borrowed until the next call of the loop; NULL: no such instance, or no
 *  plugins (any more).
 *  {"name","plugin","version","digest","environment","state":"starting"|"up"|"down"|"disabled","why"?,"restarts",
 *   ("down": will be started again by itself; "disabled": waits for stanch_plugins_enable, after 5 deaths within 10
 *   minutes or when the plugin refused to be opened; "params" is a whole schema: {"type":"object","properties","required"})
 *   "actions":{"drain":{"effect":"mitigate","class":"convergent","risk":"low","summary","params":{JSON Schema},
 *     "has":{"plan":true,"apply":true,...},"deadline_ms","settle_ms","verify_ms","undo_risk"?,"no_undo_because"?}},
 *   "sources":{"webhook":{"summary"}}} */
const json_t *stanch_plugins_describe(struct stanch_plugins *plugins, const char *instance);
/** All instances, in order of configuration; plugins NULL: none. new array of the above. */
json_t *stanch_plugins_list(struct stanch_plugins *plugins);
/** What instances declare, without opening any: a host is started for each plugin with no settings, no secrets, no state
 *  directory, and no way to reach or change anything; it tells the plugin's declaration, and is gone when this returns.
 *  A plugin that declares by its settings (sdk/README.md: http, exec) is asked a second time, with those that are not
 *  secret; it is not opened either. Not from inside a callback: turns the loop until it is done.
 *  instances: borrowed, as in the configuration: an array of what stanch_plugins_add takes. ret: new: {name: what
 *  stanch_plugins_describe would give, its state "up"}; empty when there are none.
 *  returns 0 | STANCH_E_INVALID | STANCH_E_NOT_FOUND (no such plugin) | STANCH_E_SYSTEM | STANCH_E_CRASHED |
 *  STANCH_E_TIMEOUT (no hello within 15 s); the text begins with the line, if that is known, plugin and name, of the
 *  first instance that failed */
int stanch_plugins_declared(struct stanch_loop *loop, const char *exe, const char *plugin_dir, const json_t *instances,
                            json_t **ret, struct stanch_err *err);

/** Be told when an instance's state changes (up, down, disabled). One listener. */
void stanch_plugins_on_change(struct stanch_plugins *plugins,
                              void (*fn)(void *ctx, const char *instance, const char *state, const char *why),
                              void *ctx);

enum stanch_outcome { STANCH_OUTCOME_DONE, STANCH_OUTCOME_FAILED, STANCH_OUTCOME_UNKNOWN };

struct stanch_plugin_answer {
    enum stanch_outcome outcome;
    json_t *value;         /* DONE: what the plugin answered; borrowed */
    struct stanch_err err; /* FAILED, UNKNOWN: why */
    bool retry;            /* FAILED: the plugin says that trying again can help */
    int64_t retry_after_ms;
    int64_t took_us;
};

struct stanch_plugin_request {
    const char *instance;
    const char *op;      /* "plan" | "apply" | "verify" | "undo" | "reconcile" | "read" | "receive" | "check" */
    const char *action;  /* or the source, for "receive"; "check" for "check" */
    const json_t *input; /* borrowed: {"args":{},"plan":{},"key":text,"epoch":n,...}; sdk/README.md */
    const void *body;    /* raw attachment: the webhook's bytes, for "receive" */
    size_t body_len;
    int64_t deadline_ms; /* from now; then UNKNOWN */
};

/** Check arguments against the action's JSON Schema (the subset that sdk/README.md names).
 *  returns 0 | STANCH_E_INVALID (text names the argument and what was expected) | STANCH_E_NOT_FOUND */
int stanch_plugins_check_args(struct stanch_plugins *plugins, const char *instance, const char *action,
                              const json_t *args, struct stanch_err *err);

/** As stanch_plugins_check_args, for one that is only described. described: one value of stanch_plugins_declared. */
int stanch_described_check_args(const json_t *described, const char *action, const json_t *args,
                                struct stanch_err *err);

/** Call. on_answer: exactly once, later, at the latest 1 s after the deadline.
 *  ret: shared handle until on_answer; may be NULL.
 *  returns 0 | STANCH_E_NOT_FOUND (instance, action, op) | STANCH_E_UNAVAILABLE (host down, disabled: nothing was
 *  sent) | STANCH_E_BUSY (256 calls of that instance under way) | STANCH_E_TOO_LARGE (over the frame's limit) */
int stanch_plugins_call(struct stanch_plugins *plugins, const struct stanch_plugin_request *request,
                        void (*on_answer)(void *ctx, const struct stanch_plugin_answer *answer), void *ctx,
                        struct stanch_plugin_call **ret, struct stanch_err *err);
/** Ask the plugin to give up; on_answer still comes (FAILED with STANCH_E_CANCELLED if the plugin says that
 *  nothing happened, else as it was). */
void stanch_plugin_call_cancel(struct stanch_plugin_call *call);

/** The process `stanch plugin-host` (channel on descriptor 3). returns the exit code. */
int stanch_plugin_host_main(void);
/** The process `stanch plugin-launch`: runs the commands that an instance's settings name. returns the exit code. */
int stanch_plugin_launch_main(void);

#endif
