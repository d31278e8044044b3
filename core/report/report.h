/* report.h: an incident told back: the draft of its postmortem, out of its timeline and nothing else.
 *
 *   journal --entries, a page a call--> report --facts--> JSON --> Markdown
 *
 * What is not in the timeline is not in the report: impact, contributing factors and action items are left for people to
 * fill in. It blames nobody: in prose a role stands before a name.
 * Shapes   the JSON: README.md of this folder
 * Owner    the caller; a report reads the journal that it was made with, which must outlive it.
 * Thread   loop thread.
 */
#ifndef STANCH_REPORT_REPORT_H
#define STANCH_REPORT_REPORT_H
#include "base/buf.h"
#include "timeline/journal.h"

struct stanch_report;

/** Begin the report of an incident. ret: new.
 *  returns 0 | STANCH_E_NOT_FOUND no such incident | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_report_new(struct stanch_journal *journal, const char *incident, struct stanch_report **ret,
                      struct stanch_err *err);
/** Read on, one page at most, so that a long timeline does not hold the loop. What was merged into the incident is read
 *  with it, in the order in which it happened.
 *  returns 1 there is more | 0 all is read | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_report_read(struct stanch_report *report, struct stanch_err *err);
/** Accepts NULL. */
void stanch_report_free(struct stanch_report *report);

/* When things happened, of one incident; 0: it did not happen (yet). */
struct stanch_report_times {
    int64_t began_ms;        /* what the first alert says of its beginning; a report by hand has none */
    int64_t declared_ms;     /* the incident was declared: the start, from which all else is measured */
    int64_t acknowledged_ms; /* a person did something about it, or decided */
    int64_t applied_ms;      /* the first mitigation was applied */
    int64_t
        mitigated_ms; /* the symptom was good after that, and was not seen bad again; else a person said "monitoring" */
    int64_t resolved_ms; /* it was resolved, and not opened again */
};
void stanch_report_times(const struct stanch_report *report, struct stanch_report_times *ret);
/** The same as they are read: [{"what":"detect"|"acknowledge"|"first mitigation"|"mitigate"|"resolve","at_ms":n|null,
 *  "took_ms":n|null}]; detect is measured from began_ms, the others from declared_ms. new */
json_t *stanch_report_measured(const struct stanch_report *report);
/** What waited on whom: every question to people, in the order in which they were asked. now_ms: until when an open one
 *  has waited. new: [{"approval","about","what","role","of_role"?,"run"?,"asked_ms","ended_ms":n|null,"waited_ms",
 *  "outcome":"approved"|"forced"|"denied"|"answered"|"expired"|"voided"|"pending","by":[who],"note"?,"why"?,"answer"?}] */
json_t *stanch_report_waits(const struct stanch_report *report, int64_t now_ms);

/** All of it. now_ms: the time of the incident's world, for what is not over. new */
json_t *stanch_report_json(const struct stanch_report *report, int64_t now_ms);
/** Read all pages at once, for a journal in memory (drills, tests). ret: new. returns as _new and _read */
int stanch_report_make(struct stanch_journal *journal, const char *incident, int64_t now_ms, json_t **ret,
                       struct stanch_err *err);
/** Append the report as Markdown (CommonMark, tables as GitHub has them). report: what stanch_report_json made. Texts of
 *  alerts, labels and people are escaped: they make no heading, link, HTML, mention or column. */
void stanch_report_markdown(const json_t *report, struct stanch_buf *out);
/** The same for any text from outside: one line of Markdown that means nothing but its letters, also within a table. */
void stanch_report_escape(const char *text, struct stanch_buf *out);
/** The same in HTML, in an element or between quotes: no tag, no reference, no end of the attribute. */
void stanch_report_escape_html(const char *text, struct stanch_buf *out);

#endif
