/* report.c: the entries of an incident and of what was merged into it, in the order of the store, page by page. First it
 * is found what was merged into it; then one page of each chain is held, and the entry with the lowest seq comes next; what was
 * around it comes last (around.c). */
#include "report/room.h"
#include <stdio.h>

#define PAGE 250

static void clear_page(struct stanch_report__source *source)
{
    for (int i = 0; i < source->count; i++) {
        struct stanch_entry *entry = &source->page[i];
        free((void *)(uintptr_t)entry->kind);
        free((void *)(uintptr_t)entry->by);
        free((void *)(uintptr_t)entry->run);
        json_decref(entry->data);
    }
    source->count = source->at = 0;
}

static void add_source(struct stanch_report *report, const char *chain)
{
    for (int i = 0; i < report->source_count; i++)
        if (strcmp(report->sources[i].chain, chain) == 0)
            return;
    if (!*chain || strlen(chain) >= sizeof report->sources[0].chain || report->source_count == STANCH_REPORT__CHAINS) {
        report->left_out++;
        return;
    }
    struct stanch_report__source *source = &report->sources[report->source_count++];
    (void)snprintf(source->chain, sizeof source->chain, "%s", chain);
    source->page = stanch_alloc(PAGE * sizeof *source->page);
}

int stanch_report_new(struct stanch_journal *journal, const char *incident, struct stanch_report **ret,
                      struct stanch_err *err)
{
    json_t *doc = NULL;
    int rc = stanch_journal_find(journal, "incident", incident, &doc, err);
    if (rc == STANCH_E_NOT_FOUND)
        return stanch_err_set(err, rc, "no incident %.100s", incident);
    if (rc < 0)
        return rc;
    struct stanch_report *report = STANCH_NEW(struct stanch_report);
    report->journal = journal;
    report->doc = doc;
    (void)snprintf(report->incident, sizeof report->incident, "%s", stanch_json_str(doc, "id", incident));
    json_t **const objects[] = {&report->alerts, &report->held, &report->waits,
                                &report->runs,   &report->acts, &report->by_mitigation};
    for (size_t i = 0; i < sizeof objects / sizeof *objects; i++)
        *objects[i] = json_object();
    report->terms = json_array();
    report->rows = json_array();
    report->around = json_array();
    add_source(report, report->incident);
    *ret = report;
    return 0;
}

void stanch_report_free(struct stanch_report *report)
{
    if (!report)
        return;
    for (int i = 0; i < report->source_count; i++) {
        clear_page(&report->sources[i]);
        free(report->sources[i].page);
    }
    json_t *const values[] = {report->doc,      report->event,    report->alerts, report->terms, report->held,
                              report->rows,     report->runs,     report->waits,  report->acts,  report->by_mitigation,
                              report->declared, report->resolved, report->around};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        json_decref(values[i]);
    free(report);
}

/* ---- what the parts share ---- */

void stanch_report__fold(struct stanch_report *report, const struct stanch_entry *entry,
                         const struct stanch_report__row *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].kind, entry->kind) == 0)
            table[i].fold(report, entry);
}

json_t *stanch_report__track(struct stanch_report *report, json_t *list, const char *id)
{
    json_t *facts = json_object_get(list, id);
    if (facts)
        return facts;
    if (!*id || json_object_size(list) >= STANCH_REPORT__LIST) {
        report->left_out++;
        return NULL;
    }
    facts = json_object();
    json_object_set_new(list, id, facts);
    return facts;
}

void stanch_report__take(json_t *facts, const json_t *data, const char *const *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_t *member = json_object_get(data, members[i]);
        if (member && !json_is_null(member))
            json_object_set(facts, members[i], member);
    }
}

void stanch_report__at(json_t *facts, const char *member, int64_t at_ms)
{
    json_object_set_new(facts, member, json_integer(at_ms));
}

/* ---- the timeline ---- */

static void drop_middle(struct stanch_report *report)
{
    if (json_array_size(report->rows) <= STANCH_REPORT__ROWS)
        return;
    json_array_remove(report->rows, STANCH_REPORT__ROWS / 2);
    report->rows_left_out++;
}

json_t *stanch_report__row_of(const struct stanch_report *report, const struct stanch_entry *entry)
{
    STANCH_AUTO_FREE char *text = stanch_report__text(report, entry);
    STANCH_AUTO_FREE char *who = stanch_report__who(report, entry->chain, entry->by);
    json_t *row = json_pack("{s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "seq", (json_int_t)entry->seq, "at_ms",
                            (json_int_t)entry->at_ms, "since_ms", (json_int_t)(entry->at_ms - report->first_ms), "kind",
                            entry->kind, "by", entry->by, "who", who, "text", text);
    stanch_json_set_str(row, "run", entry->run);
    return row;
}

static void add_row(struct stanch_report *report, const struct stanch_entry *entry)
{
    const struct stanch_kind *kind = stanch_kind_find(entry->kind);
    if (kind && kind->level != STANCH_HEADLINE)
        return;
    json_t *row = stanch_report__row_of(report, entry);
    if (strcmp(entry->chain, report->incident) != 0)
        stanch_json_set_str(row, "incident", entry->chain);
    json_array_append_new(report->rows, row);
    drop_middle(report);
}

/* Roles stand in a row as they were before its entry. */
static void take_entry(struct stanch_report *report, const struct stanch_entry *entry)
{
    if (!report->first_ms) {
        report->first_ms = entry->at_ms;
        report->first_seq = entry->seq;
    }
    report->last_seq = entry->seq;
    add_row(report, entry);
    stanch_report__people(report, entry);
    stanch_report__runs(report, entry);
    stanch_report__waits(report, entry);
    stanch_report__acts(report, entry);
}

/* ---- pages ---- */

struct looking {
    struct stanch_report *report;
    int count;
};

static int on_looked(void *ctx, const struct stanch_entry *entry)
{
    struct looking *looking = ctx;
    looking->count++;
    looking->report->look_after_seq = entry->seq;
    if (strcmp(entry->kind, "incident.absorbed") == 0)
        add_source(looking->report, stanch_json_str(entry->data, "merged", ""));
    return 0;
}

static int look_for_merged(struct stanch_report *report, struct stanch_err *err)
{
    struct looking looking = {.report = report};
    const struct stanch_entry_query query = {.chain = report->sources[report->looked_at].chain,
                                             .after_seq = report->look_after_seq,
                                             .headlines_only = 1,
                                             .limit = PAGE};
    int rc = stanch_journal_entries(report->journal, &query, on_looked, &looking, err);
    if (rc < 0)
        return rc;
    if (looking.count < PAGE) {
        report->looked_at++;
        report->look_after_seq = 0;
    }
    return 1;
}

static int on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_report__source *source = ctx;
    struct stanch_entry *copy = &source->page[source->count++];
    *copy = *entry;
    copy->chain = source->chain;
    copy->kind = stanch_strdup(entry->kind);
    copy->by = stanch_strdup(entry->by);
    copy->run = stanch_strdup(entry->run);
    copy->data = json_incref(entry->data);
    source->after_seq = entry->seq;
    return 0;
}

static int fill(struct stanch_report *report, struct stanch_report__source *source, struct stanch_err *err)
{
    const struct stanch_entry_query query = {.chain = source->chain, .after_seq = source->after_seq, .limit = PAGE};
    clear_page(source);
    int rc = stanch_journal_entries(report->journal, &query, on_entry, source, err);
    source->ended = source->count < PAGE;
    return rc < 0 ? rc : 1;
}

/* Of which chain is the next entry? ret_empty: a chain whose page must be read first. NULL: all is read. */
static struct stanch_report__source *next_source(struct stanch_report *report, struct stanch_report__source **ret_empty)
{
    struct stanch_report__source *next = NULL;
    *ret_empty = NULL;
    for (int i = 0; i < report->source_count; i++) {
        struct stanch_report__source *source = &report->sources[i];
        bool is_empty = source->at == source->count;
        if (is_empty && !source->ended)
            *ret_empty = source;
        if (!is_empty && (!next || source->page[source->at].seq < next->page[next->at].seq))
            next = source;
    }
    return next;
}

/* What is said of the incident as a whole is as new as its last entry. */
static int end_reading(struct stanch_report *report, struct stanch_err *err)
{
    json_t *doc = NULL;
    int rc = stanch_journal_find(report->journal, "incident", report->incident, &doc, err);
    if (rc < 0)
        return rc;
    json_decref(report->doc);
    report->doc = doc;
    return 0;
}

int stanch_report_read(struct stanch_report *report, struct stanch_err *err)
{
    struct stanch_report__source *empty, *next;
    if (report->looked_at < report->source_count)
        return look_for_merged(report, err);
    while ((next = next_source(report, &empty)) && !empty)
        take_entry(report, &next->page[next->at++]);
    if (empty)
        return fill(report, empty, err);
    int rc = stanch_report__look_around(report, err);
    return rc ? rc : end_reading(report, err);
}

int stanch_report_make(struct stanch_journal *journal, const char *incident, int64_t now_ms, json_t **ret,
                       struct stanch_err *err)
{
    struct stanch_report *report;
    int rc = stanch_report_new(journal, incident, &report, err);
    if (rc < 0)
        return rc;
    for (rc = 1; rc > 0;)
        rc = stanch_report_read(report, err);
    if (rc == 0)
        *ret = stanch_report_json(report, now_ms);
    stanch_report_free(report);
    return rc;
}
