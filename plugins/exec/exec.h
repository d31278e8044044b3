/* exec.h: what the files of this plugin share.
 * Flow   settings -> declare.c makes actions of them.   A call -> fill.c makes an argument list of a template and the
 *        call's arguments -> step.c runs it and judges how it ended -> change.c plan, apply, verify, undo, reconcile.
 * Words  A step is one command of an action: the action itself (which applies, or reads), "plan", "verify", "undo",
 *        "reconcile". A template is a text of the configuration with places in it: "--service={service}".
 */
#ifndef EXEC_H
#define EXEC_H
#include "stanch/sdk.h"

/* ---- declare.c ---- */

/** As sdk_plugin.declare. */
const char *exec_declare(const json_t *settings, json_t **ret_more);
/** Whether verify, undo and reconcile can tell by the plan's command alone, which is then what reads the state back. */
bool exec_can_compare(const json_t *action);

/* ---- fill.c ---- */

/* How a template is filled. */
enum exec_fill {
    EXEC_PLAIN,    /* for people: as it is */
    EXEC_ARGUMENT, /* one element of an argument list: must not become an option by what is put in */
    EXEC_SHELL,    /* a line for a person's shell: what is put in is quoted */
};
/** Fill a template from the call's arguments; {from} comes from `from`, the plan's (NULL: there is none).
 *  is_shown: {key} stays as it is. where: the key path, for the error.
 *  returns NULL when it cannot be: then the call was answered ("invalid"). */
const char *exec_fill(struct sdk_call *call, const char *template, enum exec_fill how, const json_t *from,
                      bool is_shown, const char *where);
/** A step's arguments, without the command. new; NULL: the call was answered */
json_t *exec_fill_args(struct sdk_call *call, const char *step, const json_t *from, bool is_shown);
/** Its environment, the secrets left out. new; NULL: the call was answered */
json_t *exec_fill_env(struct sdk_call *call);
/** The step as a line for a person's shell: its by_hand, or the command with all its arguments; NULL: as above. */
const char *exec_by_hand(struct sdk_call *call, const char *step, const json_t *from);

/* ---- step.c ---- */

/** The call's action, as the settings have it. */
const json_t *exec_action(struct sdk_call *call);
/** A step of it; NULL: not declared. "": the action itself. */
const json_t *exec_step(struct sdk_call *call, const char *step);
/** The absolute path of a step's command: its own, or the action's. */
const char *exec_command(struct sdk_call *call, const char *step);
/** Run a step and call fn; or answer the call. from: as for exec_fill. */
void exec_run(struct sdk_call *call, const char *step, const json_t *from,
              void (*fn)(struct sdk_call *call, const struct sdk_run_result *result));
/** Whether a step that only reads has ended with 0. Otherwise answers the call: failed, nothing has changed. */
bool exec_read_ok(struct sdk_call *call, const char *step, const struct sdk_run_result *result);
/** What a reading step says: {"text":...} or {"value":...} of what it printed. new; NULL: the call was answered */
json_t *exec_said(struct sdk_call *call, const struct sdk_run_result *result, bool is_json);
/** Answer by how a change ended: done with 0; failed only when it certainly changed nothing; else unknown. */
void exec_changed(struct sdk_call *call, const struct sdk_run_result *result);
/** The handler of actions whose effect is read or notify. */
void exec_read(struct sdk_call *call);

/* ---- change.c ---- */

void exec_plan(struct sdk_call *call);
void exec_apply(struct sdk_call *call);
void exec_verify(struct sdk_call *call);
void exec_undo(struct sdk_call *call);
void exec_reconcile(struct sdk_call *call);

#endif
