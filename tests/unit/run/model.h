/* model.h: what the engine may do, written apart from it: a watcher of the three things that are true outside of the
 * process: what is on the disk, what was called, what came into the remote. It knows nothing of how the engine works,
 * holds each row and each call against the promises as it comes, and fails the test at the first breach.
 *
 *   I1 acknowledged is stored          I5 numbers have no gap        (PROMISES.md section 3, D14)
 *   I2 intent before effect            I6 the chain is what it says
 *   I3 at most one effect              I7 nothing waits for nothing
 *   I4 an approval is for one plan     I8 the epoch only grows
 *
 * What it holds of each noun is at the top of model.c. STANCH_TRACE=1 prints what it sees.
 */
#ifndef STANCH_TESTS_MODEL_H
#define STANCH_TESTS_MODEL_H
#include "base/loop.h"
#include "plugin/plugin.h"
#include "timeline/store_ops.h"

struct model;

/** seed: what a breach prints. loop: the clock; borrowed, may come later with model_clock. new */
struct model *model_new(uint64_t seed);
void model_free(struct model *model);
void model_clock(struct model *model, struct stanch_loop *loop);

/* ---- what the world tells it ---- */
/** A life of the process begins, under this epoch and policy (the highest risk that runs without asking). */
void model_started(struct model *model, int64_t epoch, const char *auto_risk);
void model_died(struct model *model);
/** A write is on the disk: one batch, or many. */
void model_committed(struct model *model, const struct stanch_write *write);

struct model_call {
    const char *op, *action, *target;
    const json_t *input;
};
void model_called(struct model *model, const struct model_call *call);
void model_answered(struct model *model, const struct model_call *call, const struct stanch_plugin_answer *answer);
/** Something came into the remote. */
void model_effect(struct model *model, const char *key, const char *op);
/** A worker of `run` got its `order`th answer: that of step `n`. text: canonical. */
void model_delivered(struct model *model, const char *run, int64_t order, int64_t n, const char *text);

/* ---- what the test tells it ---- */
/** A decision was acknowledged to the person who made it. */
void model_acknowledged(struct model *model, const char *approval, const char *by, const char *decision);
/** From now on a mitigation on a target where another run's is in force must ask. */
void model_conflicts_ask(struct model *model);
void model_stop_is(struct model *model, bool set);
/** Did this step's effect come into the remote? For a person who looks. */
bool model_happened(const struct model *model, const char *step);
/** All has been quiet for long: whatever is open says what it waits for. */
void model_at_rest(struct model *model);
/** Every question was answered too: nothing is open but what is stuck. */
void model_at_end(struct model *model);
/** Rows seen. */
int64_t model_rows(const struct model *model);

#endif
