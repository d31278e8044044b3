/* model.c: calls, effects, answers, life; and what must be so when all is quiet. */
#include "run/model_inside.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void model__breach(const struct model *model, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fail_msg("STANCH_SEED=%llu: row %lld: %s", (unsigned long long)model->seed, (long long)model->rows, text);
    abort();
}

struct model *model_new(uint64_t seed)
{
    struct model *model = STANCH_NEW(struct model);
    model->seed = seed;
    model->trace = getenv("STANCH_TRACE") != NULL;
    stanch_chain_check_init(&model->chain, true, &model->found);
    return model;
}

static void free_question(struct question *question)
{
    json_decref(question->people);
    json_decref(question->said);
    json_decref(question->listed);
}

void model_free(struct model *model)
{
    stanch_chain_check_done(&model->chain);
    for (int i = 0; i < model->question_count; i++)
        free_question(&model->questions[i]);
    for (int i = 0; i < model->run_count; i++)
        for (int k = 0; k < MODEL_ANSWERS; k++)
            free(model->runs[i].texts[k]);
    free(model);
}

void model_clock(struct model *model, struct stanch_loop *loop)
{
    model->loop = loop;
}

int64_t model_rows(const struct model *model)
{
    return model->rows;
}

/* ---- finding ---- */

struct deed *model__deed_by_key(struct model *model, const char *key)
{
    for (int i = 0; i < model->deed_count; i++)
        if (strcmp(model->deeds[i].key, key) == 0)
            return &model->deeds[i];
    return NULL;
}

struct deed *model__deed_of(struct model *model, const char *owner, bool undo)
{
    for (int i = 0; i < model->deed_count; i++)
        if (model->deeds[i].undo == undo && strcmp(model->deeds[i].owner, owner) == 0)
            return &model->deeds[i];
    return NULL;
}

struct question *model__question(struct model *model, const char *id)
{
    for (int i = 0; i < model->question_count; i++)
        if (strcmp(model->questions[i].id, id) == 0)
            return &model->questions[i];
    return NULL;
}

struct model_step *model__step(struct model *model, const char *id)
{
    for (int i = 0; i < model->step_count; i++)
        if (strcmp(model->steps[i].id, id) == 0)
            return &model->steps[i];
    return NULL;
}

struct model_run *model__run(struct model *model, const char *id)
{
    for (int i = 0; i < model->run_count; i++)
        if (strcmp(model->runs[i].id, id) == 0)
            return &model->runs[i];
    return NULL;
}

struct held *model__held(struct model *model, const char *id)
{
    for (int i = 0; i < model->held_count; i++)
        if (strcmp(model->held[i].id, id) == 0)
            return &model->held[i];
    return NULL;
}

bool model__is_repeatable(const struct deed *deed)
{
    return strcmp(deed->action, "set_convergent") == 0 || strcmp(deed->action, "set_blind") == 0 ||
           strcmp(deed->action, "set_forever") == 0 || strcmp(deed->action, "set_idempotent") == 0;
}

/* ---- life ---- */

void model_started(struct model *model, int64_t epoch, const char *auto_risk)
{
    if (epoch <= model->epoch)
        model__breach(model, "I8: the epoch went from %lld to %lld", (long long)model->epoch, (long long)epoch);
    model->epoch = epoch;
    (void)snprintf(model->auto_risk, sizeof model->auto_risk, "%s", auto_risk);
    if (model->trace)
        print_message("---- life %lld, auto %s\n", (long long)epoch, auto_risk);
}

void model_died(struct model *model)
{
    for (int i = 0; i < model->deed_count; i++) {
        struct deed *deed = &model->deeds[i];
        if (!deed->open)
            continue;
        deed->told = TOLD_LOST; /* whether it was called, and what the plugin said: nobody wrote it down */
        deed->look = NOT_LOOKED;
    }
    for (int i = 0; i < model->run_count; i++) { /* what workers saw and the disk did not is gone with both */
        struct model_run *run = &model->runs[i];
        for (int64_t k = run->answered + 1; k < MODEL_ANSWERS; k++) {
            free(run->texts[k]);
            run->texts[k] = NULL;
            run->delivered[k] = false;
        }
    }
}

void model_conflicts_ask(struct model *model)
{
    model->conflicts_ask = true;
}

void model_stop_is(struct model *model, bool set)
{
    model->stopped = set;
    if (model->trace)
        print_message("     the switch is %s\n", set ? "set" : "released");
}

/* ---- calls ---- */

static bool is_change(const struct model_call *call)
{
    return strcmp(call->op, "apply") == 0 || strcmp(call->op, "undo") == 0 ||
           (strcmp(call->op, "read") == 0 && strcmp(call->action, "tell") == 0);
}

static void check_change(struct model *model, const struct model_call *call, struct deed *deed)
{
    if (!deed || !deed->open)
        model__breach(model, "I2: %s %s %s without an intent on the disk", call->op, call->action, call->target);
    if (++deed->calls > 1)
        model__breach(model, "I3: %s of %s was called twice for one intent", call->op, deed->owner);
    if (stanch_json_int(call->input, "epoch", 0) != model->epoch)
        model__breach(model, "I8: %s of %s under another epoch", call->op, deed->owner);
    if (model->stopped && strncmp(deed->by, "person:", 7) != 0)
        model__breach(model, "1.15: %s of %s left while the switch was set", call->op, deed->owner);
    deed->told = TOLD_NOTHING;
    deed->look = NOT_LOOKED;
}

void model_called(struct model *model, const struct model_call *call)
{
    struct deed *deed = model__deed_by_key(model, stanch_json_str(call->input, "key", ""));
    if (model->trace)
        print_message("     call %s %s %s (%s)\n", call->op, call->action, call->target, deed ? deed->owner : "");
    if (is_change(call))
        check_change(model, call, deed);
    else if (strcmp(call->op, "reconcile") == 0 && (!deed || !deed->open))
        model__breach(model, "1.3: looked for the outcome of an intent that is not open");
}

static void note_answer(struct deed *deed, const struct stanch_plugin_answer *answer)
{
    deed->told = answer->outcome == STANCH_OUTCOME_DONE      ? TOLD_DONE
                 : answer->outcome == STANCH_OUTCOME_UNKNOWN ? TOLD_LOST
                 : answer->retry                             ? TOLD_FAILED_RETRY
                                                             : TOLD_FAILED;
}

void model_answered(struct model *model, const struct model_call *call, const struct stanch_plugin_answer *answer)
{
    struct deed *deed = model__deed_by_key(model, stanch_json_str(call->input, "key", ""));
    const char *state = stanch_json_str(answer->value, "state", "");
    if (is_change(call) && deed)
        note_answer(deed, answer);
    if (strcmp(call->op, "reconcile") == 0 && deed)
        deed->look = strcmp(state, "done") == 0 ? IT_DID : strcmp(state, "not-done") == 0 ? IT_DID_NOT : CANNOT_TELL;
    if (strcmp(call->action, "metric") == 0 && json_is_number(json_object_get(answer->value, "value")) &&
        stanch_json_real(answer->value, "value", 9) < 1)
        model->last_good_ms = stanch_loop_wall_ms(model->loop);
    if (model->trace)
        print_message("     answer %s %s %s: %d %s\n", call->op, call->action, call->target, (int)answer->outcome,
                      state);
}

void model_effect(struct model *model, const char *key, const char *op)
{
    struct deed *deed = model__deed_by_key(model, key);
    if (!deed)
        model__breach(model, "I2: an effect (%s) without an intent", op);
    deed->effects++;
    if (model->trace)
        print_message("     effect %s of %s\n", op, deed->owner);
    if (deed->effects > deed->intents)
        model__breach(model, "I3: %s of %s had %d effects for %d intents", op, deed->owner, deed->effects,
                      deed->intents);
    if (deed->effects > 1 && !deed->undo && !model__is_repeatable(deed))
        model__breach(model, "I3: %s of %s (%s) had %d effects", op, deed->owner, deed->action, deed->effects);
}

/* ---- answers to workers: the journal's bytes, in the journal's order, in every life ---- */

void model_delivered(struct model *model, const char *id, int64_t order, int64_t n, const char *text)
{
    struct model_run *run = model__run(model, id);
    if (!run || order >= MODEL_ANSWERS)
        return;
    if (!run->texts[order]) {
        run->texts[order] = stanch_strdup(text);
        run->of[order] = n;
        run->delivered[order] = true;
        return;
    }
    if (run->of[order] != n || strcmp(run->texts[order], text) != 0)
        model__breach(model, "1.5: %s got as answer %lld that of step %lld: %s; the journal has step %lld: %s", id,
                      (long long)order, (long long)n, text, (long long)run->of[order], run->texts[order]);
}

void model_acknowledged(struct model *model, const char *approval, const char *by, const char *decision)
{
    const struct question *question = model__question(model, approval);
    char said[64];
    (void)snprintf(said, sizeof said, "%s %s", by, decision);
    if (!question || !json_object_get(question->said, said))
        model__breach(model, "I1: %s of %s was acknowledged and is not on the disk", decision, approval);
}

bool model_happened(const struct model *model, const char *step)
{
    for (int i = 0; i < model->deed_count; i++)
        if (!model->deeds[i].undo && strcmp(model->deeds[i].owner, step) == 0)
            return model->deeds[i].effects > 0;
    return false;
}

/* ---- I7 ---- */

static bool is_asked(const struct model *model, const char *run, const char *step)
{
    for (int i = 0; i < model->question_count; i++) {
        const struct question *question = &model->questions[i];
        if (question->pending && (!run || strcmp(question->run, run) == 0) &&
            (!step || strcmp(question->step, step) == 0))
            return true;
    }
    return false;
}

void model_at_rest(struct model *model)
{
    for (int i = 0; i < model->run_count; i++) {
        const struct model_run *run = &model->runs[i];
        if (!run->ended && !run->stuck && !is_asked(model, run->id, NULL))
            model__breach(model, "I7: %s is open, and neither is stuck nor waits for a person", run->id);
    }
    for (int i = 0; i < model->deed_count; i++) {
        const struct deed *deed = &model->deeds[i];
        if (deed->open)
            model__breach(model, "I7: an intent of %s has no outcome", deed->owner);
        if (!deed->undo && deed->result == RESULT_UNKNOWN && !deed->says_happened && !deed->says_not &&
            !is_asked(model, NULL, deed->owner))
            model__breach(model, "1.3: the outcome of %s is unknown, and nobody is asked", deed->owner);
    }
    for (int i = 0; i < model->held_count; i++) {
        const struct held *held = &model->held[i];
        const struct model_run *run = model__run(model, held->run);
        if (held->ordered && held->in_force)
            model__breach(model, "I1: a person ordered the undo of %s, and nobody does it", held->id);
        if (held->in_force && !held->asked && held->lease_ends_ms &&
            held->lease_ends_ms < stanch_loop_wall_ms(model->loop))
            model__breach(model, "1.16: the lease of %s has ended, it is in force, and nobody was asked", held->id);
        if (held->undoing)
            model__breach(model, "I7: %s is being undone for ever", held->id);
        if (held->in_force && !held->asked && run && run->ended && !run->succeeded)
            model__breach(model, "1.16: %s is in force, its run %s did not succeed, and nobody was asked", held->id,
                          held->run);
    }
}

void model_at_end(struct model *model)
{
    model_at_rest(model);
    for (int i = 0; i < model->run_count; i++)
        if (!model->runs[i].ended)
            model__breach(model, "I7: %s never ends", model->runs[i].id);
    for (int i = 0; i < model->question_count; i++)
        if (model->questions[i].pending)
            model__breach(model, "I7: %s stays open", model->questions[i].id);
}
