/* around.c: what went on beside the incident and is of none: automation that was stopped, plugins that were away, storms, runbooks that
 * could not be taken, a clock that jumped. The entries of no incident are many (every event is one), so they are looked at window
 * by window, by their kinds. */
#include "report/room.h"

#define WINDOW 1000

static bool is_of_stanch(const char *kind)
{
    static const char *const families[] = {"stop.", "plugin.", "storm.", "book.", "reload.", "daemon."};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(kind, families[i], strlen(families[i])) == 0)
            return true;
    return false;
}

static int on_entry(void *ctx, const struct stanch_entry *entry)
{
    struct stanch_report *report = ctx;
    if (!is_of_stanch(entry->kind))
        return 0;
    if (json_array_size(report->around) >= STANCH_REPORT__LIST)
        report->left_out++;
    else
        json_array_append_new(report->around, stanch_report__row_of(report, entry));
    return 0;
}

int stanch_report__look_around(struct stanch_report *report, struct stanch_err *err)
{
    if (!report->around_seq)
        report->around_seq = report->first_seq;
    if (report->around_seq >= report->last_seq)
        return 0;
    int64_t left = report->last_seq - report->around_seq;
    const struct stanch_entry_query query = {.chain = STANCH_CHAIN_NONE,
                                             .after_seq = report->around_seq,
                                             .until_seq = report->around_seq + (left < WINDOW ? left : WINDOW),
                                             .headlines_only = 1,
                                             .limit = WINDOW};
    report->around_seq = query.until_seq;
    int rc = stanch_journal_entries(report->journal, &query, on_entry, report, err);
    return rc < 0 ? rc : 1;
}
