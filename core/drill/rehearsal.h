/* rehearsal.h: one scenario, played by the engine that acts in production, in virtual time.
 *
 *   alerts, changes, people --> flow --> engine --> [scene: the scenario's own world answers for every plugin]
 *         ^                                                     |
 *         '------ virtual time moves only when no worker computes and nothing is deferred
 *
 * The journal, the policy, the gate, approvals, leases, replay: all of it is the real code on a store in memory. What is not
 * there: plugin hosts, sockets, the repository, the people file. Runs' workers and the scenario's are real processes.
 * Files    rehearsal.c (life, time, death), scene.c (the world), actor.c (its workers), cast.c (the people), seen.c (what happened, for the verdict).
 * Thread   loop thread; synchronous.
 */
#ifndef STANCH_DRILL_REHEARSAL_H
#define STANCH_DRILL_REHEARSAL_H
#include "drill/stage.h"

struct stanch_journal;

/* What is made to go wrong, once: the call of this number (from 1; 0: none). */
enum stanch_upset {
    STANCH_UPSET_NONE,
    STANCH_UPSET_FAILS,   /* the plugin says no, for good */
    STANCH_UPSET_SILENT,  /* no answer until the deadline; nothing happened */
    STANCH_UPSET_LOST,    /* it happened, and the answer was lost */
    STANCH_UPSET_NO_HOST, /* the host is down: nothing is sent, for a while */
};
#define STANCH_UPSET_COUNT 5

struct stanch_rehearsal_spec {
    const json_t *scenario;              /* one of stanch_stage_list; borrowed */
    int index;                           /* its number in its file, from 1 */
    const struct stanch_source *sources; /* instead of the stage's (a mutant); NULL: the stage's */
    enum stanch_upset upset;
    int upset_call;
    int crash_at; /* the process dies right after this commit (from 1), and is started again; 0: it does not */
    bool cover;   /* tell which lines ran */
    /* At the end, with the journal still there: what of it is wanted, as "told" of the result (new); NULL: nothing. */
    json_t *(*tell)(const json_t *scenario, struct stanch_journal *journal, int64_t began_ms, int64_t now_ms);
};

/** Play it. ret: new:
 *  {"failures":[text], "outcome", "seen":{...as expectations see it (README.md)}, "commits":n, "calls":[{"instance","action","op"}],
 *   "effects":[{"instance","action","op","args","key","at_ms"}], "took_ms":virtual, "covered":{path:{line:true}},
 *   "broken"?:text of what is wrong with the scenario itself, "hung"?:true, "told"?:what `tell` told}
 *  returns 0 (also when it failed) | STANCH_E_SCRIPT the scenario could not be played | STANCH_E_INVALID the runbooks would be
 *  refused | what the runner says */
int stanch_rehearse(struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec, json_t **ret,
                    struct stanch_err *err);

/** The word for people: "failing", "silent", "lost", "no host". static */
const char *stanch_upset_word(enum stanch_upset upset);

#endif
