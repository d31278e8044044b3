/* backtest.c: the journal's entries, oldest first, page by page. What was decided for an event (`event.matched`) stands right behind
 * it, in the same batch; an event that came before there was a commit was matched later: its document has that by now. What was
 * stopped stands between them, as it was said. */
#include "drill/backtest.h"
#include "base/json.h"
#include "base/mem.h"
#include "drill/stopped.h"
#include "drill/tally.h"
#include "run/run.h"
#include <stdlib.h>
#include <string.h>

#define PAGE 1000

struct backtest {
    const struct stanch_backtest_spec *spec;
    struct stanch_virtual *virtual;
    struct stanch_stopped *stopped;
    struct stanch_verdict *verdicts;
    struct stanch_tally *tally;
    json_t *event; /* received; what was decided for it comes next */
    int64_t last_seq;
    int read; /* of this page */
};

/* ---- one event ---- */

/* Before it is told what would be, it is as it was: this version takes over from the other one. */
static void recall(struct backtest *test, const json_t *decided, const char *incident)
{
    for (int i = 0; i < test->spec->catalogue->count; i++)
        if (stanch_tally_had_started(test->tally, i, decided))
            stanch_virtual_recall(test->virtual, test->event, incident, i);
}

static void decide(struct backtest *test, const json_t *decided, const char *incident)
{
    int64_t received_ms = stanch_json_int(test->event, "received_ms", 0);
    if (received_ms < test->spec->since_ms) {
        recall(test, decided, incident);
    } else {
        stanch_virtual_take(test->virtual, test->event, incident, stanch_stopped_at(test->stopped, received_ms),
                            test->verdicts);
        stanch_tally_add(test->tally, test->event, test->verdicts, decided);
    }
    json_decref(test->event);
    test->event = NULL;
}

/* What became of an event that was not matched when it came, as far as that is known. */
static void decide_late(struct backtest *test)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(test->spec->journal, STANCH_VIEW_COMMITTED, "event",
                                                      stanch_json_str(test->event, "event", ""));
    decide(test, doc, stanch_json_str(doc, "incident", NULL));
}

static int on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct backtest *test = ctx;
    test->last_seq = entry->seq;
    test->read++;
    if (strcmp(entry->kind, "event.received") == 0) {
        if (test->event)
            decide_late(test);
        test->event = json_incref(entry->data);
    } else if (test->event && strcmp(entry->kind, "event.matched") == 0 &&
               strcmp(stanch_json_str(entry->data, "event", ""), stanch_json_str(test->event, "event", "")) == 0) {
        if (stanch_json_bool(entry->data, "matched", true))
            decide(test, entry->data, stanch_json_str(entry->data, "incident", NULL));
        else
            decide_late(test);
    } else {
        stanch_stopped_hear(test->stopped, entry);
    }
    return 0;
}

/* ---- where to begin ---- */

struct probe {
    bool found;
    int64_t at_ms;
};

static int on_probed(void *ctx, const struct stanch_entry *entry)
{
    *(struct probe *)ctx = (struct probe){true, entry->at_ms};
    return 1;
}

/* Was the first entry behind `seq` written before? returns 1 yes | 0 no, or there is none | an error */
static int is_before(struct stanch_journal *journal, int64_t seq, int64_t at_ms, struct stanch_err *err)
{
    struct stanch_entry_query query = {.after_seq = seq, .limit = 1};
    struct probe probe = {0};
    int rc = stanch_journal_entries(journal, &query, on_probed, &probe, err);
    return rc < 0 ? rc : probe.found && probe.at_ms < at_ms;
}

/* Entries behind ret are those of that time and later, and a few before. */
static int find_begin(struct stanch_journal *journal, int64_t at_ms, int64_t *ret, struct stanch_err *err)
{
    int64_t low = 0, high = 1;
    int rc = is_before(journal, 0, at_ms, err);
    *ret = 0;
    if (rc <= 0)
        return rc;
    while ((rc = is_before(journal, high, at_ms, err)) > 0) {
        low = high;
        high *= 2;
    }
    while (rc >= 0 && high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        rc = is_before(journal, middle, at_ms, err);
        *(rc > 0 ? &low : &high) = middle;
    }
    *ret = low;
    return rc < 0 ? rc : 0;
}

/* ---- all ---- */

static int read_all(struct backtest *test, struct stanch_err *err)
{
    struct stanch_entry_query query = {.limit = PAGE};
    int64_t reach_ms = stanch_virtual_reach_ms(test->virtual), since_ms = test->spec->since_ms;
    int rc = since_ms > reach_ms ? find_begin(test->spec->journal, since_ms - reach_ms, &test->last_seq, err) : 0;
    rc = rc ? rc : stanch_stopped_recall(test->stopped, test->spec->journal, test->last_seq, err);
    for (test->read = PAGE; rc == 0 && test->read == PAGE;) {
        test->read = 0;
        query.after_seq = test->last_seq;
        rc = stanch_journal_entries(test->spec->journal, &query, on_entry, test, err);
    }
    if (rc == 0 && test->event)
        decide_late(test);
    return rc;
}

/* By the policy, and by what people have accepted until now. */
static json_t *autonomies_of(const struct stanch_backtest_spec *spec)
{
    json_t *autonomies = json_array();
    for (int i = 0; i < spec->catalogue->count; i++) {
        const json_t *declared = spec->catalogue->runbooks[i].declared;
        const char *name = stanch_json_str(declared, "name", "");
        STANCH_AUTO_JSON json_t *accepted = stanch_journal_get(spec->journal, STANCH_VIEW_COMMITTED, "runbook", name);
        json_array_append_new(
            autonomies, stanch_autonomy_told(spec->policy, accepted, name, stanch_json_str(declared, "digest", "")));
    }
    return autonomies;
}

static json_t *report_of(const struct backtest *test)
{
    json_t *report = json_pack(
        "{s:s, s:I, s:[s, s, s]}", "commit", test->spec->catalogue->commit, "since_ms",
        (json_int_t)test->spec->since_ms, "assumed",
        "a run is over as soon as it has started: how long it would have taken is not known, so at_once, holds and "
        "limits.max_runs hold nothing back",
        "what people had stopped then holds starts of this version too, and no storm made anything wait for a person",
        "runbooks are accepted as they are by now");
    stanch_tally_tell(test->tally, report);
    return report;
}

int stanch_backtest(const struct stanch_backtest_spec *spec, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *autonomies = autonomies_of(spec);
    struct backtest test = {
        .spec = spec,
        .virtual = stanch_virtual_new(spec->catalogue, json_object_get(spec->config, "incidents")),
        .stopped = stanch_stopped_new(),
        .verdicts = stanch_alloc(((size_t)spec->catalogue->count + 1) * sizeof *test.verdicts),
        .tally = stanch_tally_new(spec->catalogue, autonomies, json_object_get(spec->config, "limits"), spec->listed),
    };
    int rc = read_all(&test, err);
    if (rc == 0)
        *ret = report_of(&test);
    json_decref(test.event);
    stanch_tally_free(test.tally);
    free(test.verdicts);
    stanch_stopped_free(test.stopped);
    stanch_virtual_free(test.virtual);
    return rc;
}
