/* roles.h: who holds which role in an incident: ic, lead, comms, scribe. One person may hold several.
 *
 *   declared --> who is on call is given the role --take, handoff, assign--> another person holds it
 *
 * Without a people file (people NULL) whoever may come in may give any of the four roles to anybody.
 * Flow     Callers: incident.c, flow_command.c, run/ (who answers for the pool takes the role).
 * Thread   loop thread.
 */
#ifndef STANCH_INCIDENT_ROLES_H
#define STANCH_INCIDENT_ROLES_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct stanch_batch;
struct stanch_journal;
struct stanch_people;

#define STANCH_ROLE_IC   "ic"
#define STANCH_ROLE_POOL "pool" /* no role: a question that anyone of the pool may answer, by taking its role */

/** A role gets another holder. */
struct stanch_role_change {
    char incident[64];
    char role[16];
    char holder[160]; /* "person:ada" */
    char former[160]; /* ""; nobody */
    char why[400];    /* "": not said */
};

/** Is it one of the four? */
bool stanch_role_is(const char *word);
/** Who holds it; "": nobody. incident: its document, or NULL. borrowed */
const char *stanch_role_holder(const json_t *incident, const char *role);
/** Is this one of the pool? An empty pool is all who may approve. by: "person:ada" */
bool stanch_role_is_in_pool(const struct stanch_people *people, const char *by);

/** May `by` give the role to this person now? input: {"incident","role","person"?: by when left out,"reason"?}.
 *  A role that is free: who may respond (ic: who may approve). One that is held: its holder; the incident's IC, for another
 *  role; else one of the pool, with a reason. The person must be in the people file, and may respond (ic: approve).
 *  returns 0 | STANCH_E_NOT_FOUND no such incident | STANCH_E_INVALID no such role or person, no reason |
 *  STANCH_E_FORBIDDEN | STANCH_E_CONFLICT that person holds it already */
int stanch_role_check(struct stanch_journal *journal, const struct stanch_people *people, const char *by,
                      const json_t *input, struct stanch_role_change *ret, struct stanch_err *err);
/** Put incident.assigned into the batch. */
void stanch_role_put(const struct stanch_role_change *change, const char *by, struct stanch_batch *batch);

/* Who knows who is on call, calendars too. */
struct stanch_roster {
    /** ret: "person:ada", or "": nobody is */
    void (*on_call)(void *ctx, const char *role, int64_t at_ms, char ret[160]);
    void *ctx;
};
/** An incident is declared in this batch: who is on call gets each role. roster: NULL: by the people file alone. by: who declared
 *  it. A person who declared it by hand and may approve becomes IC when nobody is on call for that. No-op without a people file. */
void stanch_role_put_on_call(const struct stanch_people *people, const struct stanch_roster *roster,
                             const char *incident, const char *by, int64_t now_ms, struct stanch_batch *batch);

#endif
