/* virtual.h: alerts against a catalogue in virtual time: what would each runbook have done? The decisions are those of flow
 * (flow_match.c: start_or_hold), by the same functions; what is counted is kept here instead of in the journal. No runbook's
 * body runs: a run that starts is over at once.
 *
 *   event --triggers--> stops --> parameters --> group --> cooldown, at_most --> started
 *
 * Time passes with the events: each is taken at its own receipt; where their clock was set back, none passes.
 * Memory: the starts that limits still count, and the runs that alerts still could join. Thread: loop thread.
 */
#ifndef STANCH_DRILL_VIRTUAL_H
#define STANCH_DRILL_VIRTUAL_H
#include "catalogue.h"

struct stanch_virtual;

enum stanch_became { STANCH_BECAME_NONE, STANCH_BECAME_HELD, STANCH_BECAME_JOINED, STANCH_BECAME_STARTED };

struct stanch_verdict {
    enum stanch_became became;
    const char *by; /* held: "max_age", "stop", "parameter", "cooldown", "at_most"; static; else NULL */
    char why[300];  /* the first condition that did not hold, UTF-8; empty when it started or joined */
};

/** catalogue: borrowed, must outlive it. incidents: "incidents" of the configuration, borrowed likewise; NULL: left out. new */
struct stanch_virtual *stanch_virtual_new(const struct stanch_catalogue *catalogue, const json_t *incidents);
void stanch_virtual_free(struct stanch_virtual *self);

/** How far back what happened can count: the longest of all windows. */
int64_t stanch_virtual_reach_ms(const struct stanch_virtual *self);
/** One more event. incident: to which it belonged; NULL: to none, one of its own correlation is taken instead. stops: what is
 *  stopped, as stanch_stop_list gives it; NULL: nothing. ret: a verdict for each runbook of the catalogue, in its order. */
void stanch_virtual_take(struct stanch_virtual *self, const json_t *event, const char *incident, const json_t *stops,
                         struct stanch_verdict *ret);
/** An event that started a run of the i-th runbook before all this: its windows are filled by that. */
void stanch_virtual_recall(struct stanch_virtual *self, const json_t *event, const char *incident, int i);

#endif
