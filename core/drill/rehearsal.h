/* rehearsal.h: one scenario, played by the engine that acts in production, in virtual time or, live, with people and a clock.
 *
 *   alerts, changes, people --> flow --> engine --> [scene: the scenario's own world answers for every plugin]
 *         ^                                                     |
 *         '------ virtual time moves only when no worker computes and nothing is deferred
 *
 * The journal, the policy, the gate, approvals, leases, replay: all of it is the real code on a store in memory. What is not
 * there: plugin hosts, sockets, the repository, the people file. Runs' workers and the scenario's are real processes.
 * Of kind staging some instances are real: their calls go to hosts, and what is in force there is taken back when it is over.
 * Live (struct stanch_rehearsal_live): the clock is a clock's, up to sixty times as fast; nobody of the scenario's people is played: who
 * opens the doors in on_up lets real ones in.
 * Files    rehearsal.c (life, time, death), rehearsal_live.c (a clock's time, and when it is over), scene.c (the world), actor.c (its
 *          workers), cast.c (the people), seen.c (what happened, for the verdict).
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
    STANCH_UPSET_TWICE,   /* it is carried out and answered twice; only of what may be repeated, stanch_may_repeat */
};
#define STANCH_UPSET_COUNT 6

/** May it come into the world twice for one intent? As long as its plugin is right about its class (PROMISES.md 1.2). effect: {"op",
 *  "class",...} */
bool stanch_may_repeat(const json_t *effect);

struct stanch_flow;
struct stanch_people;
struct stanch_plugins;

/* Played with real people. */
struct stanch_rehearsal_live {
    int speed;                          /* how many times as fast as a clock: 1 to 60 */
    const struct stanch_people *people; /* who there is; NULL: whoever can reach it; borrowed */
    const char *dir;                    /* where it is recorded, and where its stop switch could be; borrowed */
    const char *mark;                   /* what the titles of its incidents begin with */
    /** Which instances are real: hosts of these, under the names that the runbooks have for them. It is asked first. ret: theirs, borrowed
     *  until close_real; left NULL when none is. returns 0 | it is not played. NULL: nothing is real */
    int (*open_real)(void *ctx, const json_t *scenario, struct stanch_plugins **ret, struct stanch_err *err);
    void (*close_real)(void *ctx);
    /** It lives: these are there until on_down. loop: the virtual one. returns 0 | it is not played */
    int (*on_up)(void *ctx, struct stanch_loop *loop, struct stanch_flow *flow, struct stanch_journal *journal,
                 struct stanch_err *err);
    void (*on_down)(void *ctx);
    /** Asked between all that happens: why is it over now? NULL: it goes on. borrowed */
    const char *(*over)(void *ctx);
    /** It is over: do people know? Asked until they do, ten seconds at most (a minute after one that was killed). NULL: nobody was told anything */
    bool (*is_told)(void *ctx);
    void *ctx;
};

struct stanch_rehearsal_spec {
    const json_t *scenario;              /* one of stanch_stage_list; borrowed */
    int index;                           /* its number in its file, from 1 */
    const struct stanch_source *sources; /* instead of the stage's (a mutant); NULL: the stage's */
    enum stanch_upset upset;
    int upset_call;
    int crash_at; /* the process dies right after this commit (from 1), and is started again; 0: it does not */
    bool cover;   /* tell which lines ran */
    const struct stanch_rehearsal_live
        *live; /* NULL: in virtual time, with the scenario's people; else none of the upsets above */
    /* At the end, with the journal still there: what of it is wanted, as "told" of the result (new); NULL: nothing. */
    json_t *(*tell)(const json_t *scenario, struct stanch_journal *journal, int64_t began_ms, int64_t now_ms);
};

/** Play it. ret: new:
 *  {"failures":[text], "outcome", "seen":{...as expectations see it (README.md)}, "commits":n, "calls":[{"instance","action","op","class"}],
 *   "effects":[{"instance","action","op","args","key","at_ms"}], "took_ms":virtual, "covered":{path:{line:true}},
 *   "broken"?:text of what is wrong with the scenario itself, "hung"?:true, "told"?:what `tell` told, "ended"?:why it was
 *   over before its time, "begins"?:text of the wall clock, live,
 *   "left"?:what of real instances could not be taken back}
 *  returns 0 (also when it failed) | STANCH_E_SCRIPT the scenario could not be played | STANCH_E_INVALID the runbooks would be
 *  refused | what the runner says */
int stanch_rehearse(struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec, json_t **ret,
                    struct stanch_err *err);

/** What one left whose process died while it was played (live->dir): its runs are cancelled, what is in force at real instances is taken
 *  back, and people are told that it is over. Nothing else happens in it. on_up has no flow then: nobody comes in. The process that had its
 *  store may be about to end: it is waited for. ret: new: as of stanch_rehearse, of what came of it until it died, but for "failures":
 *  its world died with it, so that is not judged; "told" is missing when it died before it had its runbooks.
 *  returns 0 | as stanch_rehearse | STANCH_E_CONFLICT that process does not end */
int stanch_rehearse_after(struct stanch_stage *stage, const struct stanch_rehearsal_spec *spec, json_t **ret,
                          struct stanch_err *err);

/** The word for people: "failing", "silent", "lost", "no host", "twice". static */
const char *stanch_upset_word(enum stanch_upset upset);

#endif
