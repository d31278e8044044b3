/* model_rows.c: each row as it comes onto the disk, held against what was before it. */
#include "run/model_inside.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- what all rows need ---- */

void model__touch(struct model *model, const struct seen *seen)
{
    struct model_run *run = model__run(model, seen->row->run ? seen->row->run : "");
    if (run)
        run->touched_ms = seen->row->at_ms;
}

/* The place of one more. */
int model__room(const struct model *model, int *count, int max)
{
    if (*count == max)
        model__breach(model, "the model is too small: more than %d", max);
    return (*count)++;
}

bool model__is_in_batch(const struct seen *seen, const char *kind, const char *what)
{
    for (size_t i = 0; i < seen->batch->row_count; i++)
        if (strcmp(seen->batch->rows[i].kind, kind) == 0 && strstr(seen->batch->rows[i].data, what))
            return true;
    return false;
}

bool model__is_mitigation(const char *action)
{
    return strncmp(action, "set_", 4) == 0;
}

/* ---- runs and steps ---- */

static void on_run_started(struct model *model, const struct seen *seen)
{
    struct model_run *run = &model->runs[model__room(model, &model->run_count, MODEL_RUNS)];
    COPY(run->id, text_of(seen, "run"));
    run->touched_ms = seen->row->at_ms;
}

static void on_run_parked(struct model *model, const struct seen *seen)
{
    struct model_run *run = model__run(model, text_of(seen, "run"));
    run->stuck = stanch_json_bool(seen->data, "stuck", false);
    if (strstr(text_of(seen, "why"), "another question"))
        model__breach(model, "1.5: %s diverged: %s", run->id, text_of(seen, "why"));
}

static void on_run_resolved(struct model *model, const struct seen *seen)
{
    model__run(model, text_of(seen, "run"))->resolved = true;
}

static void on_run_ended(struct model *model, const struct seen *seen)
{
    struct model_run *run = model__run(model, text_of(seen, "run"));
    if (run->ended)
        model__breach(model, "%s ended twice", run->id);
    run->ended = true;
    run->stuck = false;
    run->succeeded = strcmp(seen->row->kind, "run.succeeded") == 0;
    for (int i = 0; run->succeeded && i < model->step_count; i++)
        if (strcmp(model->steps[i].run, run->id) == 0 && !model->steps[i].answered)
            model__breach(model, "%s succeeded while %s had no answer", run->id, model->steps[i].id);
}

static void on_asked(struct model *model, const struct seen *seen)
{
    struct model_run *run = model__run(model, text_of(seen, "run"));
    if (model__step(model, text_of(seen, "step")))
        model__breach(model, "%s was asked twice", text_of(seen, "step"));
    if (run->ended || run->stuck)
        model__breach(model, "%s asked although its run does not go on", text_of(seen, "step"));
    struct model_step *step = &model->steps[model__room(model, &model->step_count, MODEL_MAX)];
    COPY(step->id, text_of(seen, "step"));
    COPY(step->run, run->id);
    COPY(step->op, text_of(seen, "op"));
    step->until_ms = stanch_json_int(seen->data, "until_ms", 0);
    step->retries = stanch_json_int(json_object_get(seen->data, "args"), "retry", 0);
    model__touch(model, seen);
}

/* The answer must be what became of the deed. */
static void check_answer(struct model *model, const struct seen *seen)
{
    const struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    const json_t *answer = json_object_get(seen->data, "answer"), *ok = json_object_get(answer, "ok");
    const char *kind = stanch_json_str(json_object_get(answer, "error"), "kind", "");
    bool done = ok || strcmp(kind, "unverified") == 0;
    if (!deed)
        return;
    if (ok && stanch_json_bool(ok, "no_change", false) && deed->intents > 0)
        model__breach(model, "%s says that there was nothing to change, and had an intent", deed->owner);
    if (done && deed->result != RESULT_DONE)
        model__breach(model, "%s is answered as done, and was not", deed->owner);
    if (!done && deed->result != RESULT_FAILED && !deed->says_not)
        model__breach(model, "%s is answered as failed (%s), and did not fail", deed->owner, kind);
    bool counts = !model__is_repeatable(deed) || strcmp(deed->action, "set_idempotent") == 0;
    if (counts && deed->effects != (done ? 1 : 0))
        model__breach(model, "%s is answered as %s and had %d effects", deed->owner, done ? "done" : "failed",
                      deed->effects);
}

static void on_answered(struct model *model, const struct seen *seen)
{
    struct model_step *step = model__step(model, text_of(seen, "step"));
    struct model_run *run = model__run(model, text_of(seen, "run"));
    int64_t order = stanch_json_int(seen->data, "order", 0), n = stanch_json_int(seen->data, "n", 0);
    if (!step || step->answered)
        model__breach(model, "I3: %s was answered %s", text_of(seen, "step"), step ? "twice" : "before it asked");
    step->answered = true;
    if (run->ended || order != run->answered + 1)
        model__breach(model, "%s is answer %lld of %s, after %lld%s", step->id, (long long)order, run->id,
                      (long long)run->answered, run->ended ? " and its end" : "");
    struct stanch_buf text = {0};
    struct stanch_err err;
    stanch_json_canonical(json_object_get(seen->data, "answer"), &text, &err);
    if (run->delivered[order] && (run->of[order] != n || strcmp(run->texts[order], stanch_buf_str(&text)) != 0))
        model__breach(model, "1.5: a worker saw another answer %lld than the journal has", (long long)order);
    free(run->texts[order]);
    run->texts[order] = stanch_buf_take(&text);
    run->of[order] = n;
    run->answered = order;
    if (strcmp(step->op, "sleep") == 0 && seen->row->at_ms < step->until_ms)
        model__breach(model, "1.10: %s woke %lld ms early", step->id, (long long)(step->until_ms - seen->row->at_ms));
    check_answer(model, seen);
    model__touch(model, seen);
}

/* ---- questions ---- */

static void on_requested(struct model *model, const struct seen *seen)
{
    struct question *question = &model->questions[model__room(model, &model->question_count, MODEL_MAX)];
    COPY(question->id, text_of(seen, "approval"));
    COPY(question->about, text_of(seen, "about"));
    COPY(question->run, text_of(seen, "run"));
    COPY(question->step, text_of(seen, "step"));
    COPY(question->digest, text_of(seen, "plan_digest"));
    question->pending = true;
    question->quorum = stanch_json_int(seen->data, "quorum", 1);
    question->expires_ms = stanch_json_int(seen->data, "expires_ms", 0);
    question->people = json_object();
    question->said = json_object();
    json_t *listed = json_object_get(seen->data, "mitigations");
    question->listed = json_incref(listed);
    for (size_t i = 0; i < json_array_size(listed); i++) {
        struct held *held = model__held(model, stanch_json_str(json_array_get(listed, i), "id", ""));
        if (held && strcmp(question->about, "keep") == 0)
            held->asked = true;
    }
}

static bool lists(const json_t *listed, const char *id)
{
    for (size_t i = 0; i < json_array_size(listed); i++)
        if (strcmp(stanch_json_str(json_array_get(listed, i), "id", ""), id) == 0)
            return true;
    return false;
}

static void on_decided(struct model *model, const struct seen *seen)
{
    struct question *question = model__question(model, text_of(seen, "approval"));
    const char *kind = seen->row->kind;
    if (!question || !question->pending)
        model__breach(model, "I4: %s of %s, which is not open", kind, text_of(seen, "approval"));
    if (seen->row->at_ms > question->expires_ms)
        model__breach(model, "1.4: %s was decided after it expired", question->id);
    COPY(question->decision, text_of(seen, "decision"));
    char said[64];
    (void)snprintf(said, sizeof said, "%s %s", text_of(seen, "decided_by"), question->decision);
    json_object_set_new(question->said, said, json_true());
    if (strcmp(question->decision, "approve") == 0)
        json_object_set_new(question->people, text_of(seen, "decided_by"), json_true());
    model__touch(model, seen);
    if (strcmp(kind, "approval.supported") == 0)
        return;
    question->pending = false;
    question->granted = strcmp(kind, "approval.granted") == 0;
    question->granted_ms = seen->row->at_ms;
    if (strcmp(question->about, "keep") == 0 && strcmp(question->decision, "undo") == 0)
        for (int i = 0; i < model->held_count; i++)
            model->held[i].ordered |=
                model->held[i].in_force && !model->held[i].undoing && lists(question->listed, model->held[i].id);
    if (question->granted && (int64_t)json_object_size(question->people) < question->quorum)
        model__breach(model, "1.4: %s needs %lld people and had %zu", question->id, (long long)question->quorum,
                      json_object_size(question->people));
}

/* An order is an order: it is begun, in this life or another. */
static void on_ordered(struct model *model, const struct seen *seen)
{
    model__held(model, text_of(seen, "mitigation"))->ordered = true;
}

static void on_closed(struct model *model, const struct seen *seen)
{
    struct question *question = model__question(model, text_of(seen, "approval"));
    const char *kind = seen->row->kind;
    bool consumed = strcmp(kind, "approval.consumed") == 0, expired = strcmp(kind, "approval.expired") == 0;
    if (!question || (consumed && (!question->granted || question->consumed)) || (expired && !question->pending))
        model__breach(model, "I4: %s of %s, out of its order", kind, text_of(seen, "approval"));
    if (expired && seen->row->at_ms < question->expires_ms)
        model__breach(model, "1.10: %s expired early", question->id);
    if (expired && strcmp(question->about, "ask") != 0 && !model__is_in_batch(seen, "approval.requested", "\"again\""))
        model__breach(model, "1.4: %s expired, and nobody is asked anew", question->id);
    if (consumed && !model__is_in_batch(seen, "action.sent", "\"step\"") &&
        !model__is_in_batch(seen, "mitigation.undoing", "\"mitigation\""))
        model__breach(model, "I4: %s was consumed without an intent", question->id);
    question->pending = false;
    question->consumed |= consumed;
    if (!consumed)
        question->granted = false;
}

/* ---- the table ---- */

static const struct {
    const char *kind;
    void (*on)(struct model *model, const struct seen *seen);
} kinds[] = {
    {"run.started", on_run_started},
    {"run.parked", on_run_parked},
    {"run.resolved", on_run_resolved},
    {"run.succeeded", on_run_ended},
    {"run.failed", on_run_ended},
    {"run.cancelled", on_run_ended},
    {"step.asked", on_asked},
    {"step.answered", on_answered},
    {"step.unknown", model__on_unknown},
    {"step.resolved", model__on_told},
    {"action.sent", model__on_sent},
    {"action.answered", model__on_outcome},
    {"mitigation.applied", model__on_applied},
    {"mitigation.undoing", model__on_undoing},
    {"mitigation.undone", model__on_undo_ended},
    {"mitigation.undo-failed", model__on_undo_ended},
    {"mitigation.undo-unknown", model__on_undo_ended},
    {"mitigation.overdue", model__on_overdue},
    {"mitigation.ordered", on_ordered},
    {"approval.requested", on_requested},
    {"approval.supported", on_decided},
    {"approval.granted", on_decided},
    {"approval.denied", on_decided},
    {"approval.answered", on_decided},
    {"approval.expired", on_closed},
    {"approval.voided", on_closed},
    {"approval.consumed", on_closed},
};

static void see(struct model *model, const struct stanch_write *batch, const struct stanch_row *row)
{
    STANCH_AUTO_JSON json_t *data = NULL;
    struct stanch_err err;
    model->rows++;
    if (model->trace)
        print_message("%4lld %s %s %.*s\n", (long long)row->seq, row->kind, row->by,
                      (int)(row->data_len < 300 ? row->data_len : 300), row->data);
    if (!stanch_chain_check_row(&model->chain, row))
        model__breach(model, "I5, I6: %s", model->found.what);
    if (stanch_store_parse(row->data, row->data_len, &data, &err) < 0)
        model__breach(model, "I6: %s", err.text);
    struct seen seen = {row, data, batch};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind, row->kind) == 0)
            kinds[i].on(model, &seen);
}

void model_committed(struct model *model, const struct stanch_write *write)
{
    for (size_t i = 0; i < write->row_count; i++)
        see(model, write, &write->rows[i]);
}
