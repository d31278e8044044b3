/* model_inside.h: what the model holds of each noun: model.c (calls, effects, life), model_rows.c (rows), model_deeds.c (rows
 * about intents and outcomes). */
#ifndef STANCH_TESTS_MODEL_INSIDE_H
#define STANCH_TESTS_MODEL_INSIDE_H
#include "base/json.h"
#include "run/model.h"
#include "timeline/chain_check.h"
#include <stdio.h>

#define MODEL_MAX     512
#define MODEL_RUNS    16
#define MODEL_FRESH   300000 /* fresh_for of the simulated engine */
#define MODEL_ANSWERS 128

enum told { TOLD_NOTHING, TOLD_DONE, TOLD_FAILED, TOLD_FAILED_RETRY, TOLD_LOST };
enum look { NOT_LOOKED, IT_DID, IT_DID_NOT, CANNOT_TELL };
enum result { NO_RESULT, RESULT_DONE, RESULT_FAILED, RESULT_UNKNOWN };

/* Something that may change the world: one key at the remote, with the intents that were written for it. */
struct deed {
    char key[80], owner[48] /* step, or mitigation for an undo */, run[32], action[32], target[32], by[64];
    bool undo;
    bool open; /* an intent without outcome */
    int intents, calls /* of this intent */, effects;
    int64_t retries; /* that the runbook allows */
    enum told told;
    enum look look;
    enum result result;
    bool doubt;                   /* an attempt's outcome was never known */
    bool says_happened, says_not; /* a person */
};

struct question {
    char id[32], about[16], run[32], step[48], digest[80];
    bool pending, granted, consumed;
    char decision[24];
    int64_t quorum, expires_ms, granted_ms;
    json_t *people; /* who approved */
    json_t *said;   /* "who what" */
    json_t *listed; /* the mitigations that it is about */
};

struct model_step {
    char id[48], run[32], op[24];
    int64_t until_ms, retries;
    bool answered;
};

struct model_run {
    char id[32];
    bool ended, succeeded, stuck, resolved;
    int64_t touched_ms; /* when it, or a person about it, did something */
    int64_t answered;
    int64_t of[MODEL_ANSWERS]; /* step of each answer, by order from 1 */
    char *texts[MODEL_ANSWERS];
    bool delivered[MODEL_ANSWERS]; /* to a worker, before it is on the disk: then it may still be lost */
};

struct held { /* a mitigation */
    char id[32], run[32], step[48], action[32], target[32];
    bool in_force, undoing;
    int64_t lease_ends_ms;
    int overdue;
    bool asked;   /* keep or undo? */
    bool ordered; /* undo, said a person; and it has not begun */
};

struct model {
    uint64_t seed;
    bool trace;
    struct stanch_loop *loop;
    struct stanch_verify_result found;
    struct stanch_chain_check chain;
    int64_t rows, epoch, written_epoch;
    char auto_risk[8];
    bool stopped, conflicts_ask;
    int64_t last_good_ms; /* when the symptom was last seen good */
    struct deed deeds[MODEL_MAX];
    struct question questions[MODEL_MAX];
    struct model_step steps[MODEL_MAX];
    struct model_run runs[MODEL_RUNS];
    struct held held[MODEL_MAX];
    int deed_count, question_count, step_count, run_count, held_count;
};

void model__breach(const struct model *model, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
struct deed *model__deed_by_key(struct model *model, const char *key);
struct deed *model__deed_of(struct model *model, const char *owner, bool undo);
struct question *model__question(struct model *model, const char *id);
struct model_step *model__step(struct model *model, const char *id);
struct model_run *model__run(struct model *model, const char *id);
struct held *model__held(struct model *model, const char *id);
/** May the plugin be asked to do it twice, whatever became of the first? */
bool model__is_repeatable(const struct deed *deed);

/* model_rows.c: one row, and the batch it came with. */
struct seen {
    const struct stanch_row *row;
    const json_t *data;
    const struct stanch_write *batch;
};

static inline const char *text_of(const struct seen *seen, const char *key)
{
    return stanch_json_str(seen->data, key, "");
}

#define COPY(to, from) ((void)snprintf(to, sizeof(to), "%s", from))

/** Its run did something, or a person about it. */
void model__touch(struct model *model, const struct seen *seen);
/** The place of one more. */
int model__room(const struct model *model, int *count, int max);
/** Is there a row of this kind in the same batch, which has this text in its data? */
bool model__is_in_batch(const struct seen *seen, const char *kind, const char *what);
bool model__is_mitigation(const char *action);

/* model_deeds.c */
void model__on_sent(struct model *model, const struct seen *seen);
void model__on_undoing(struct model *model, const struct seen *seen);
void model__on_outcome(struct model *model, const struct seen *seen);
void model__on_undo_ended(struct model *model, const struct seen *seen);
void model__on_unknown(struct model *model, const struct seen *seen);
void model__on_told(struct model *model, const struct seen *seen);
void model__on_applied(struct model *model, const struct seen *seen);
void model__on_overdue(struct model *model, const struct seen *seen);

#endif
