/* soak.h: when is an incident over? When the symptoms of its runs were good for a while (the soak), or a person says why. Here is
 * what is found out for that; run/soak.c measures.
 *
 *   open --resolve, with a reason--------------------------------------------> resolved
 *     \--resolve--> monitoring, watched --all symptoms good for the soak--> resolved, in the name of who asked
 *                        |   ^ \-- one is not good (no data is not): the soak begins anew
 *                        \--another state by hand, something in force at the end--> open, watched no longer
 *
 * In the incident's document: "soak" is what was asked for: {"by","asked_ms","lasts_ms","every_ms","runs": how many runs the
 * symptoms are of,"symptoms":[{"runbooks","symptom"}]}; "soaked" how it stands: {"due_ms","since_ms": good since, 0: it is not,
 * "bad_ms","sampled_ms","samples","breaks"}; "soaking" the same for people. Times are those of stanch_engine__steady.
 * Flow     Callers: incident.c, run/soak.c.   Calls: timeline/.
 * Thread   loop thread.
 */
#ifndef STANCH_INCIDENT_SOAK_H
#define STANCH_INCIDENT_SOAK_H
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

struct stanch_batch;
struct stanch_journal;

/** ids: its own, and those of the incidents that were merged into it: it stands for them. incident: its document. new */
json_t *stanch_incident_chains(const json_t *incident);
/** How many runs have begun in an incident, and in those that were merged into it. */
int64_t stanch_soak_runs(struct stanch_journal *journal, const json_t *incident);
/** The symptoms that the runbooks of these runs declare: [{"runbooks":"a, b","symptom":{}}]; of a runbook the newest run
 *  that has one tells, and what two declare alike is one. ret_runs: how many runs were seen; it is less than stanch_soak_runs while the newest are not
 *  committed yet. ret: new. returns 0 | what the journal said */
int stanch_soak_symptoms(struct stanch_journal *journal, const json_t *incident, json_t **ret, int64_t *ret_runs,
                         struct stanch_err *err);
/** {"by","lasts_ms","every_ms","runs","symptoms"} out of them; new. symptoms: borrowed */
json_t *stanch_soak_new(const char *by, int64_t lasts_ms, int64_t runs, const json_t *symptoms);
/** What is in force in it, and in those that were merged into it: ids, a hundred of each at most. ret: new. returns 0 | what the
 *  journal said */
int stanch_soak_in_force(struct stanch_journal *journal, const json_t *incident, json_t **ret, struct stanch_err *err);
/** Take what is known of a soak out of the document: members of an entry's data. */
void stanch_soak_end(json_t *data);

#endif
