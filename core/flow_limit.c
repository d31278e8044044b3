/* flow_limit.c: limits of a runbook's starts by alerts: cooldown, at_most, and what only one run may hold. Counted on the boot
 * clock; those before this process are read back out of the journal when a runbook with such a limit is first asked for, as far as
 * the limit reaches.
 *
 *   flow->starts: {runbook: {"reach": how far back it is known, ms, "at": [boot clock of its starts]}} */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "rule/starts.h"
#include "run/run.h"
#include <string.h>

#define PAGE 500

void stanch_flow__note_start(struct stanch_flow *flow, const char *runbook)
{
    json_t *at = json_object_get(json_object_get(flow->starts, runbook), "at");
    if (at) /* else it has no limit, or it will be read back */
        stanch_starts_note(at, stanch_loop_mono_ms(flow->loop));
}

/* One page of runs, the newest first. returns how many of them are within reach, or an error */
static int read_page(struct stanch_flow *flow, const char *runbook, int64_t reach_ms, int64_t *before,
                     size_t *ret_count, json_t *at, struct stanch_err *err)
{
    struct stanch_noun_query query = {.noun = "run", .open = -1, .before_seq = *before, .limit = PAGE};
    STANCH_AUTO_JSON json_t *page = NULL;
    int rc = stanch_journal_list(flow->journal, &query, &page, err), within = 0;
    int64_t now = stanch_flow__now(flow), mono = stanch_loop_mono_ms(flow->loop);
    *ret_count = json_array_size(page);
    for (size_t i = 0; i < *ret_count; i++) {
        const json_t *run = json_array_get(page, i);
        int64_t age = now - stanch_json_int(run, "created_ms", 0);
        *before = stanch_json_int(run, "seq", 0);
        if (age < 0)
            age = 0; /* the clock was set back meanwhile */
        within += age < reach_ms;
        if (age < reach_ms && strcmp(stanch_json_str(run, "runbook", ""), runbook) == 0 &&
            strcmp(stanch_json_str(run, "state", ""), "held") != 0 && !stanch_json_bool(run, "observe", false))
            json_array_insert_new(at, 0, json_integer(mono - age));
    }
    return rc < 0 ? rc : within;
}

int stanch_flow__recall_starts(struct stanch_flow *flow, const json_t *declared, struct stanch_err *err)
{
    const char *runbook = stanch_json_str(declared, "name", "");
    int64_t reach_ms = stanch_starts_reach_ms(declared), before = 0;
    const json_t *known = json_object_get(flow->starts, runbook);
    if (reach_ms == 0 || stanch_json_int(known, "reach", -1) >= reach_ms)
        return 0;
    STANCH_AUTO_JSON json_t *at = json_array();
    size_t count = PAGE;
    int within = 1;
    while (count == PAGE && within > 0 && json_array_size(at) <= STANCH_STARTS_MAX) {
        within = read_page(flow, runbook, reach_ms, &before, &count, at, err);
        if (within < 0)
            return within;
    }
    json_object_set_new(flow->starts, runbook, json_pack("{s:I, s:O}", "reach", (json_int_t)reach_ms, "at", at));
    return 0;
}

bool stanch_flow__is_over_limit(struct stanch_flow *flow, const json_t *declared, char why[200])
{
    struct stanch_err err;
    if (stanch_flow__recall_starts(flow, declared, &err) < 0) {
        (void)snprintf(why, 200, "when it started before could not be read: %.120s", err.text);
        return true;
    }
    const json_t *starts = json_object_get(json_object_get(flow->starts, stanch_json_str(declared, "name", "")), "at");
    const char *holds = stanch_json_str(json_object_get(declared, "limits"), "holds", NULL);
    const char *holder = holds ? stanch_engine_holder(flow->engine, holds) : NULL;
    if (holder) {
        (void)snprintf(why, 200, "%s holds %s", holder, holds);
        return true;
    }
    return stanch_starts_judge(declared, starts, stanch_loop_mono_ms(flow->loop), why) != STANCH_STARTS_MAY;
}
