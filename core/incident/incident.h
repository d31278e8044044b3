/* incident.h: to which incident does an event belong? (PROMISES.md 1.2) And what a person changes on one.
 * Everything is put into the caller's batch, so that the match decision, the incident and its runs are one.
 * Flow     event -> [incident] -> match.   Callers: flow.c.   Calls: timeline/.
 * Thread   loop thread.
 */
#ifndef STANCH_INCIDENT_INCIDENT_H
#define STANCH_INCIDENT_INCIDENT_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct stanch_incidents;
struct stanch_journal;
struct stanch_batch;
struct stanch_people;
struct stanch_roster;

/** config:
 * {"correlate":[label],"join_within_ms":n,"reopen_within_ms":n,"soak_for_ms":n,"declare_from":"sev3",
 *  "severity":{"label","map":{},"otherwise","sources":{}},
 *  "mark"?:what all titles begin with}; copied. people: borrowed, must outlive it; NULL: no people file, so
 *  nobody is given a role (roles.h). roster: copied; NULL: the people file alone says who is on call. ret: new. */
int stanch_incidents_new(struct stanch_journal *journal, const json_t *config, const struct stanch_people *people,
                         const struct stanch_roster *roster, struct stanch_incidents **ret, struct stanch_err *err);
void stanch_incidents_free(struct stanch_incidents *incidents);

/** A batch begins: what the one before declared counts only if it was appended. */
void stanch_incidents_new_batch(struct stanch_incidents *incidents);

/** The severity that an event's labels give it: "sev1".."sev4". borrowed from the configuration. */
const char *stanch_incident_severity(const struct stanch_incidents *incidents, const json_t *event);

/** Which events are of one trouble: the digest of the labels that "correlate" of the configuration names. returns 0 |
 *  STANCH_E_INVALID the labels have no canonical form */
int stanch_incident_correlation(const json_t *config, const json_t *event, char ret[65]);

/** Join an open incident whose correlation labels agree inside the join window, open one again that was resolved a short
 * while ago (reopen_within), or declare one; a resolved event only joins. must: declare also when the severity alone would not (a
 * run needs one). ret: the incident's id, or "" when the event stays without one. */
void stanch_incident_for_event(struct stanch_incidents *incidents, const json_t *event, int64_t now_ms, bool must,
                               struct stanch_batch *batch, char ret[64]);

/** Commands; each checks, then puts its entry into the batch. */
int stanch_incident_declare(struct stanch_incidents *incidents, const char *by, const json_t *input, int64_t now_ms,
                            struct stanch_batch *batch, char ret[64], struct stanch_err *err);
/** {"incident","title"?,"severity"?,"state"?,"roles"?} */
int stanch_incident_set(struct stanch_incidents *incidents, const char *by, const json_t *input,
                        struct stanch_batch *batch, struct stanch_err *err);
/** It is over. Refused while mitigations are in force, unless a reason is given. With a reason, or when no run began in it, its
 * entry is put into the batch. Else its symptoms must be good for a while: ret_soak (NULL before) is what stanch_engine_soak
 * takes, and nothing is put; new. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_CONFLICT (it is over, something is in force, no
 * runbook of it has a symptom) | STANCH_E_BUSY (a run of it is only beginning) | what the journal said */
int stanch_incident_resolve(struct stanch_incidents *incidents, const char *by, const json_t *input, int64_t now_ms,
                            struct stanch_batch *batch, json_t **ret_soak, struct stanch_err *err);
/** Put incident.resolved into the batch. data: {"left_in_force","reason"?,"measured"?,...}; taken */
void stanch_incident_put_resolved(const char *id, const char *by, json_t *data, int64_t now_ms,
                                  struct stanch_batch *batch);
/** kind: "incident.noted" or "incident.decided". */
int stanch_incident_say(struct stanch_incidents *incidents, const char *by, const char *kind, const json_t *input,
                        struct stanch_batch *batch, struct stanch_err *err);
int stanch_incident_merge(struct stanch_incidents *incidents, const char *by, const json_t *input,
                          struct stanch_batch *batch, struct stanch_err *err);

#endif
