/* drill.h: `stanch drill`: a scenario of the folder's drills/, played in virtual time, measured, and held against what good
 * looks like and against the last ones of the same name.
 *
 *   scenario --> rehearsal --journal--> score --> promises --> report (JSON) --> Markdown, a page
 *                                                    |
 *                              kept results (files) -'  NAME-NUMBER.json: the report, and the findings of people
 *
 * A report holds nothing of this machine: no wall clock, no random id. The same files give the same bytes.
 * Nothing of it touches a daemon or its store. DRILLS.md is the manual.
 * Files    drill.c (which one, played), drill_score.c (what the journal says), drill_good.c (promises), drill_told.c (what a
 *          report says), drill_report.c (as Markdown), drill_html.c (as a page), drill_keep.c (results and findings),
 *          drill_past.c (results side by side).
 * Thread   loop thread; synchronous.
 */
#ifndef STANCH_DRILL_DRILL_H
#define STANCH_DRILL_DRILL_H
#include "base/buf.h"
#include "drill/rehearsal.h"

/** Of the scenarios in drills/, and in `file` (NULL: none; it is read as drills/<its last part>). ret: new:
 *  {"drills":[{"name","file","line","kind","summary"?,"owner"?,"alerts":n,"people":n}],"errors":[{"file","text"}]}
 *  returns 0 | what reading the file says */
int stanch_drill_list(struct stanch_stage *stage, json_t **ret, struct stanch_err *err);

struct stanch_drill_options {
    const char *which; /* its name, or a path that ends in ".lua" of a file that holds one */
    const char *keep;  /* the folder of kept results, where this one is put too; NULL: it is not kept */
    const char *kind;  /* how it is played, whatever its scenario says; NULL: as that says */
    const char *id;    /* of the daemon that plays it, "D-7"; NULL: it has none */
    const struct stanch_rehearsal_live *live; /* an exercise needs it, and what is virtual does not take it */
};
/** Put away what one left whose process died, played before from the same runbooks (rehearsal.h), and report what came of it until then.
 *  why: it is over. It is kept as stanch_drill_run would have, once: what had been kept before it died, or by one that put it away and
 *  died too, is the report. ret: new: the report, also when it
 *  could not be kept; {"ended","left"?} of one that died before it had its runbooks; unchanged when it was not put away
 *  returns 0 | STANCH_E_NOT_FOUND | STANCH_E_SYSTEM it could not be kept | as stanch_rehearse_after */
int stanch_drill_after(struct stanch_stage *stage, const struct stanch_drill_options *options, const char *why,
                       json_t **ret, struct stanch_err *err);
/** Play one and report. ret: new: the report (DRILLS.md), also when it could not be kept; unchanged when it was not played
 *  returns 0 | STANCH_E_NOT_FOUND there is no such drill | STANCH_E_INVALID of a kind that is not there, or not there without a daemon; the
 *  runbooks would be refused | STANCH_E_SCRIPT the scenario is wrong | STANCH_E_SYSTEM it could not be kept | what on_up says */
int stanch_drill_run(struct stanch_stage *stage, const struct stanch_drill_options *options, json_t **ret,
                     struct stanch_err *err);
/** Have all promises been met, and was nothing broken? */
bool stanch_drill_is_good(const json_t *report);

/** What the journal says of it (the `tell` of a rehearsal). new */
json_t *stanch_drill_score(const json_t *scenario, struct stanch_journal *journal, int64_t began_ms, int64_t now_ms);
/** Hold the score against the scenario's `good`. seen, failures: of the rehearsal's result. new:
 *  [{"promise","target","measured","met":bool,"target_ms"?,"measured_ms"?,"why"?}] */
json_t *stanch_drill_promises(const json_t *scenario, const json_t *score, const json_t *seen, const json_t *failures);
/** Append as Markdown. */
void stanch_drill_markdown(const json_t *report, struct stanch_buf *out);
/** Append as one HTML document that needs nothing else: no script, no font, no picture from anywhere. The same report gives the
 * same bytes. Texts of the scenario, alerts and people are letters in it, whatever they hold. */
void stanch_drill_html(const json_t *report, struct stanch_buf *out);

/* ---- kept results: {"drill","number","scenario":digest,"runbooks":digest,"report":{...},
 *      "id"?:of the daemon's drill, "findings":[{"n","text","owner","due","done":bool}]} ---- */

/** Put one beside the others, under the next number of its name. result: borrowed; its "number" is set. ret_name: new: "NAME-3".
 *  returns 0 | STANCH_E_SYSTEM */
int stanch_drill_keep(const char *folder, json_t *result, char **ret_name, struct stanch_err *err);
/** Those of a name (NULL: all), by name and number; each with its "result" ("NAME-3"). A folder that is not there holds none. ret: new,
 *  an array. returns 0 | STANCH_E_SYSTEM, STANCH_E_INVALID a file is no result */
int stanch_drill_kept(const char *folder, const char *name, json_t **ret, struct stanch_err *err);
/** One, by its path, or by its name in `folder`. ret: new; its report has "result", "past" and "findings", as
 *  when it was made. */
int stanch_drill_read(const char *folder, const char *result, json_t **ret, struct stanch_err *err);
/** What people found, beside the result. due: YYYY-MM-DD. ret: new: the finding */
int stanch_drill_find(const char *folder, const char *result, const json_t *finding, json_t **ret,
                      struct stanch_err *err);
/** The finding of number n is done. returns 0 | STANCH_E_NOT_FOUND */
int stanch_drill_done(const char *folder, const char *result, int64_t n, json_t **ret, struct stanch_err *err);

/** Put what came before, and what was found in it and is not done, into a report. kept: of the same name, the oldest first. */
void stanch_drill_add_past(json_t *report, const json_t *kept);
/** Results of one name side by side, the last ones. kept: the oldest first. new: {"drill","results":[{"result","met","of","scenario",
 *  "runbooks"}],"rows":[{"what","values":[text]}]} */
json_t *stanch_drill_compare(const json_t *kept);
/** Append that as Markdown. */
void stanch_drill_compare_markdown(const json_t *compared, struct stanch_buf *out);

#endif
