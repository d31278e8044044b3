/* argocd.h: what the files of this plugin share.
 * Flow   a call -> freeze.c | rollback_plan.c, rollback.c -> app.c asks Argo CD, one application at a time
 */
#ifndef ARGOCD_H
#define ARGOCD_H
#include "stanch/sdk.h"

/* app.c */
typedef void (*argocd_app_fn)(struct sdk_call *call, const json_t *app);
typedef void (*argocd_answer_fn)(struct sdk_call *call, const struct sdk_http_answer *answer);
/** Read the application that the arguments name, or answer the call: "refused" when it or its project is not in the
 * allow-lists. has_changed: this call has changed something already, so what cannot be read is unknown. */
void argocd_read(struct sdk_call *call, bool has_changed, argocd_app_fn fn);
/** Set spec.syncPolicy.automated from what `app` has to `value` (null: no such member), on the condition that it is
 * still as in `app`. */
void argocd_set_automated(struct sdk_call *call, const json_t *app, const json_t *value, argocd_answer_fn fn);
/** POST .../rollback to that entry of the history. */
void argocd_roll(struct sdk_call *call, json_int_t id, bool is_dry_run, argocd_answer_fn fn);
/** spec.syncPolicy.automated; borrowed; JSON null when there is none. */
const json_t *argocd_automated(const json_t *app);
/** Whether Argo CD syncs by itself: "automated" is there, and its "enabled" is anything but false. */
bool argocd_is_automatic(const json_t *app);
bool argocd_is_busy(const json_t *app); /* an operation is under way, or asked for */
/** The newest entry of the history, and that of an id; NULL. */
const json_t *argocd_newest(const json_t *app);
const json_t *argocd_entry(const json_t *app, json_int_t id);
/** Whether two entries are the same deployment: revisions and sources. */
bool argocd_is_same(const json_t *a, const json_t *b);
/** Whether the newest entry is that deployment of a plan. Argo CD keeps the last entries only (revisionHistoryLimit), and a
 * rollback to the oldest of them pushes it out: then the revisions tell. */
bool argocd_is_there(const json_t *app, const json_t *deployment);
json_int_t argocd_id(const json_t *entry);
/** {"id","revision"} of an entry, or with "revisions". new */
json_t *argocd_deployment(const json_t *entry);
const char *argocd_text_at(const json_t *value, const char *pointer); /* "" when there is none */
const char *argocd_target(struct sdk_call *call);

/* freeze.c */
void argocd_freeze_plan(struct sdk_call *call);
void argocd_freeze_change(struct sdk_call *call); /* apply, undo */
void argocd_freeze_verify(struct sdk_call *call);
void argocd_freeze_reconcile(struct sdk_call *call);

/* rollback_plan.c, rollback.c */
void argocd_rollback_plan(struct sdk_call *call);
void argocd_rollback_change(struct sdk_call *call); /* apply, undo */
void argocd_rollback_verify(struct sdk_call *call);
void argocd_rollback_reconcile(struct sdk_call *call);

#endif
