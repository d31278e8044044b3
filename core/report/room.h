/* room.h: what the files of this folder share: the report in the making. Nobody else includes it.
 *
 *   entry --> row of the timeline (before it is folded: roles as they were)
 *         \-> people.c: roles, who acted first   acts.c: mitigations, symptom   waits.c: questions   runs.c: runs
 *
 * Every list is bounded; what is over the bound is counted in `left_out`.
 */
#ifndef STANCH_REPORT_ROOM_H
#define STANCH_REPORT_ROOM_H
#include "report/report.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define STANCH_REPORT__CHAINS 32   /* the incident, and what was merged into it */
#define STANCH_REPORT__LIST   500  /* questions, runs, mitigations, terms, names of alerts: of each */
#define STANCH_REPORT__ROWS   2000 /* of the timeline: the first and the last half */

/* Committed entries of one chain, a page ahead. */
struct stanch_report__source {
    char chain[64];
    int64_t after_seq;
    struct stanch_entry *page; /* copied */
    int count, at;
    bool ended;
};

struct stanch_report {
    struct stanch_journal *journal;
    char incident[64];
    json_t *doc;
    struct stanch_report__source sources[STANCH_REPORT__CHAINS];
    int source_count, looked_at; /* sources up to looked_at are searched for what was merged into them */
    int64_t look_after_seq;

    struct stanch_report_times times;
    int64_t first_ms, last_seq, monitoring_ms, merged_ms;
    char mitigated_run[32]; /* whose symptom was good */
    json_t *event;          /* the document of the first alert; NULL: none */
    json_t *alerts;         /* name -> how often it fired */
    json_t *terms;          /* [{"role","who","from_ms","until_ms","incident","why"?}] */
    json_t *held;           /* "INC-1/ic" -> its open term */
    json_t *rows;           /* timeline */
    json_t *around;         /* rows of no incident */
    int64_t first_seq;
    int64_t around_seq;    /* looked around up to there; 0: not yet */
    json_t *waits;         /* approval -> facts */
    json_t *runs;          /* run -> facts */
    json_t *acts;          /* step -> facts of a mitigation that was sent */
    json_t *by_mitigation; /* "M-1" -> its step */
    int64_t rows_left_out, left_out;
    json_t *declared, *resolved; /* {"who","reason"?} */
};

struct stanch_report__row {
    const char *kind;
    void (*fold)(struct stanch_report *report, const struct stanch_entry *entry);
};
void stanch_report__fold(struct stanch_report *report, const struct stanch_entry *entry,
                         const struct stanch_report__row *table, size_t count);
/* One of each file: what an entry means to it. */
void stanch_report__people(struct stanch_report *report, const struct stanch_entry *entry);
void stanch_report__acts(struct stanch_report *report, const struct stanch_entry *entry);
void stanch_report__waits(struct stanch_report *report, const struct stanch_entry *entry);
void stanch_report__runs(struct stanch_report *report, const struct stanch_entry *entry);

/* A row of the timeline. new */
json_t *stanch_report__row_of(const struct stanch_report *report, const struct stanch_entry *entry);
/* One window of what was around it, between its first entry and its last one. returns 1 there is more | 0 | STANCH_E_STORE | STANCH_E_CORRUPT */
int stanch_report__look_around(struct stanch_report *report, struct stanch_err *err);

/* The facts kept under an id; made when there are none, NULL when there is no more room. borrowed */
json_t *stanch_report__track(struct stanch_report *report, json_t *list, const char *id);
/* Copy members of an entry's data that are there. */
void stanch_report__take(json_t *facts, const json_t *data, const char *const *members, size_t count);
void stanch_report__at(json_t *facts, const char *member, int64_t at_ms);

/* Who it is, for people, with the role held at that moment: "IC ann", "ann", "run R-3", "stanch". new */
char *stanch_report__who(const struct stanch_report *report, const char *chain, const char *by);
const char *stanch_report__role_word(const char *role); /* "IC", "technical lead"; an unknown one as it is */
bool stanch_report__is_person(const char *by);
/* An entry's sentence with names in place of principals. new */
char *stanch_report__text(const struct stanch_report *report, const struct stanch_entry *entry);

/* The sentences that are made from facts. now_ms as in report.h. new: [text] */
json_t *stanch_report__summary(const struct stanch_report *report, int64_t now_ms);
json_t *stanch_report__suggestions(const struct stanch_report *report, const json_t *waits);

/* text.c: outside text as one line of Markdown that means nothing but its letters. */
void stanch_report__escape(const char *text, struct stanch_buf *out);
/* "4m12s", "250ms"; new */
char *stanch_report__duration(int64_t ms);

#endif
