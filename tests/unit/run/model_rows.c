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

struct seen {
    const struct stanch_row *row;
    const json_t *data;
    const struct stanch_write *batch;
};

static const char *text_of(const struct seen *seen, const char *key)
{
    return stanch_json_str(seen->data, key, "");
}

#define COPY(to, from) ((void)snprintf(to, sizeof(to), "%s", from))

static void touch(struct model *model, const struct seen *seen)
{
    struct model_run *run = model__run(model, seen->row->run ? seen->row->run : "");
    if (run)
        run->touched_ms = seen->row->at_ms;
}

/* The place of one more. */
static int room(const struct model *model, int *count, int max)
{
    if (*count == max)
        model__breach(model, "the model is too small: more than %d", max);
    return (*count)++;
}

/* ---- runs and steps ---- */

static void on_run_started(struct model *model, const struct seen *seen)
{
    struct model_run *run = &model->runs[room(model, &model->run_count, MODEL_RUNS)];
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
    struct model_step *step = &model->steps[room(model, &model->step_count, MODEL_MAX)];
    COPY(step->id, text_of(seen, "step"));
    COPY(step->run, run->id);
    COPY(step->op, text_of(seen, "op"));
    step->until_ms = stanch_json_int(seen->data, "until_ms", 0);
    step->retries = stanch_json_int(json_object_get(seen->data, "args"), "retry", 0);
    touch(model, seen);
}

static bool is_mitigation(const char *action)
{
    return strncmp(action, "set_", 4) == 0;
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
    touch(model, seen);
}

/* ---- intents ---- */

static bool is_in_batch(const struct seen *seen, const char *kind, const char *what)
{
    for (size_t i = 0; i < seen->batch->row_count; i++)
        if (strcmp(seen->batch->rows[i].kind, kind) == 0 && strstr(seen->batch->rows[i].data, what))
            return true;
    return false;
}

/* PROMISES.md 1.3: a second intent for the same thing. */
static bool may_follow(const struct seen *seen, const struct deed *deed, int64_t attempt)
{
    if (deed->undo && attempt == 1) /* ordered anew */
        return deed->result == RESULT_FAILED || model__is_repeatable(deed) ||
               strncmp(text_of(seen, "by"), "person:", 7) == 0 || is_in_batch(seen, "approval.consumed", "");
    if (model__is_repeatable(deed) || deed->look == IT_DID_NOT)
        return deed->result == RESULT_FAILED || deed->result == RESULT_UNKNOWN;
    bool never_left = deed->calls == 0 && deed->told == TOLD_NOTHING;
    return (deed->told == TOLD_FAILED_RETRY || never_left) && deed->intents <= deed->retries;
}

static void check_free(struct model *model, const struct deed *deed)
{
    for (int i = 0; i < model->deed_count; i++) {
        const struct deed *other = &model->deeds[i];
        if (other != deed && other->open && *deed->target && strcmp(other->target, deed->target) == 0)
            model__breach(model, "1.4: an intent of %s on %s while that of %s is open", deed->owner, deed->target,
                          other->owner);
    }
}

static void open_intent(struct model *model, const struct seen *seen, struct deed *deed)
{
    int64_t attempt = stanch_json_int(seen->data, "attempt", 0);
    int64_t epoch = stanch_json_int(seen->data, "epoch", model->epoch);
    if (deed->open)
        model__breach(model, "I3: a second intent of %s before the outcome of the first", deed->owner);
    if (deed->intents > 0 && !may_follow(seen, deed, attempt))
        model__breach(model, "I3: intent %d of %s (%s), told %d, looked %d, ended %d", deed->intents + 1, deed->owner,
                      deed->action, (int)deed->told, (int)deed->look, (int)deed->result);
    if (epoch != model->epoch || epoch < model->written_epoch)
        model__breach(model, "I8: an intent of %s under epoch %lld", deed->owner, (long long)epoch);
    model->written_epoch = epoch;
    deed->open = true;
    deed->intents++;
    deed->calls = 0;
    deed->told = TOLD_NOTHING;
    deed->look = NOT_LOOKED;
    deed->result = NO_RESULT;
    check_free(model, deed);
}

static struct deed *deed_for(struct model *model, const char *key, const char *owner, bool undo)
{
    struct deed *deed = model__deed_by_key(model, key);
    if (deed)
        return deed;
    deed = &model->deeds[room(model, &model->deed_count, MODEL_MAX)];
    COPY(deed->key, key);
    COPY(deed->owner, owner);
    deed->undo = undo;
    return deed;
}

/* PROMISES.md 1.4: consumed in the batch of the intent, granted for this plan by enough people, not expired. */
static void check_consumed(struct model *model, const struct seen *seen, const char *approval, const char *digest)
{
    struct question *question = model__question(model, approval);
    char quoted[48];
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", approval);
    if (!question || !question->granted)
        model__breach(model, "I4: an intent on %s, which is not granted", approval);
    if (!is_in_batch(seen, "approval.consumed", quoted))
        model__breach(model, "I4: %s is not consumed with its intent", approval);
    if (digest && strcmp(question->digest, digest) != 0)
        model__breach(model, "I4: %s was given for another plan", approval);
    if (seen->row->at_ms > question->expires_ms)
        model__breach(model, "1.4: %s was used %lld ms after it expired", approval,
                      (long long)(seen->row->at_ms - question->expires_ms));
    if (seen->row->at_ms - question->granted_ms > MODEL_FRESH)
        model__breach(model, "1.14: %s was granted %lld s before it was used", approval,
                      (long long)(seen->row->at_ms - question->granted_ms) / 1000);
}

static bool must_ask(const struct model *model, const char *action)
{
    return strcmp(model->auto_risk, "none") == 0 || strcmp(action, "set_risky") == 0;
}

static bool fights(const struct model *model, const struct deed *deed)
{
    for (int i = 0; i < model->held_count; i++) {
        const struct held *held = &model->held[i];
        if ((held->in_force || held->undoing) && strcmp(held->target, deed->target) == 0 &&
            strcmp(held->run, deed->run) != 0)
            return true;
    }
    return false;
}

static void on_sent(struct model *model, const struct seen *seen)
{
    const char *action = text_of(seen, "action");
    struct deed *deed = deed_for(model, text_of(seen, "key"), text_of(seen, "step"), false);
    struct model_run *run = model__run(model, seen->row->run);
    struct model_step *step = model__step(model, text_of(seen, "step"));
    COPY(deed->action, action);
    COPY(deed->run, seen->row->run);
    if (is_mitigation(action)) /* a notice changes no target */
        COPY(deed->target, stanch_json_str(json_object_get(seen->data, "sent_args"), "target", ""));
    if (!step || step->answered || run->ended)
        model__breach(model, "an intent of %s, which is not open", deed->owner);
    deed->retries = step->retries;
    open_intent(model, seen, deed);
    if (!is_mitigation(action) || deed->intents > 1)
        return;
    const char *consumed = stanch_json_str(seen->data, "consumed", NULL);
    if (consumed)
        check_consumed(model, seen, consumed, text_of(seen, "plan_digest"));
    else if (must_ask(model, action))
        model__breach(model, "1.4: %s (%s) did not ask", deed->owner, action);
    else if (model->conflicts_ask && fights(model, deed))
        model__breach(model, "1.15: %s fights with another run's mitigation, and did not ask", deed->owner);
    else if (run->resolved)
        model__breach(model, "1.14: the alert of %s has resolved, and %s did not ask", run->id, deed->owner);
    else if (seen->row->at_ms - run->touched_ms > MODEL_FRESH)
        model__breach(model, "1.14: %s acts after %lld s and did not ask", deed->owner,
                      (long long)(seen->row->at_ms - run->touched_ms) / 1000);
}

static void on_undoing(struct model *model, const struct seen *seen)
{
    struct held *held = model__held(model, text_of(seen, "mitigation"));
    if (!held || (!held->in_force && !held->undoing))
        model__breach(model, "%s is undone, and is not in force", text_of(seen, "mitigation"));
    struct deed *deed = deed_for(model, text_of(seen, "undo_key"), held->id, true);
    const char *by = text_of(seen, "by");
    COPY(deed->action, text_of(seen, "action"));
    COPY(deed->target, held->target);
    open_intent(model, seen, deed);
    COPY(deed->by, by);
    held->undoing = true;
    held->ordered = false;
    held->asked |= strncmp(by, "person:", 7) == 0; /* who ordered it hears how it ended */
    if (strncmp(by, "person:", 7) == 0 || stanch_json_int(seen->data, "attempt", 0) > 1)
        return;
    if (strcmp(by, "stanch") == 0 && (!held->lease_ends_ms || seen->row->at_ms < held->lease_ends_ms))
        model__breach(model, "1.16: %s is undone before its lease has ended", held->id);
    if (strcmp(by, "stanch") == 0 && model->last_good_ms < held->lease_ends_ms)
        model__breach(model, "1.16: %s is undone, and nobody saw the symptom good", held->id);
    if (must_ask(model, deed->action) && !is_in_batch(seen, "approval.consumed", "\"approval\""))
        model__breach(model, "1.16: the undo of %s by %s did not ask", held->id, by);
}

static void close_intent(struct model *model, struct deed *deed, enum result result)
{
    bool failed = deed->told == TOLD_FAILED || deed->told == TOLD_FAILED_RETRY || deed->look == IT_DID_NOT ||
                  (deed->calls == 0 && deed->told == TOLD_NOTHING);
    bool done = deed->told == TOLD_DONE || deed->look == IT_DID || deed->says_happened;
    bool told = deed->told != TOLD_LOST || deed->look == IT_DID || deed->look == IT_DID_NOT;
    if (!deed->open && !deed->says_happened)
        model__breach(model, "an outcome of %s without an open intent", deed->owner);
    if ((result == RESULT_DONE && !done) || (result == RESULT_FAILED && !failed) ||
        (result == RESULT_UNKNOWN && told && !deed->doubt))
        model__breach(model, "1.3: %s ended as %d; told %d, looked %d, calls %d", deed->owner, (int)result,
                      (int)deed->told, (int)deed->look, deed->calls);
    deed->open = false;
    deed->result = result;
    deed->doubt |= result == RESULT_UNKNOWN;
}

static void on_outcome(struct model *model, const struct seen *seen)
{
    const char *outcome = text_of(seen, "outcome");
    struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed)
        model__breach(model, "I2: an outcome of %s without an intent", text_of(seen, "step"));
    close_intent(model, deed,
                 strcmp(outcome, "done") == 0     ? RESULT_DONE
                 : strcmp(outcome, "failed") == 0 ? RESULT_FAILED
                                                  : RESULT_UNKNOWN);
}

static void on_undo_ended(struct model *model, const struct seen *seen)
{
    struct held *held = model__held(model, text_of(seen, "mitigation"));
    struct deed *deed = model__deed_of(model, held->id, true);
    const char *kind = seen->row->kind;
    enum result result = strcmp(kind, "mitigation.undone") == 0        ? RESULT_DONE
                         : strcmp(kind, "mitigation.undo-failed") == 0 ? RESULT_FAILED
                                                                       : RESULT_UNKNOWN;
    if (!deed)
        model__breach(model, "I2: %s without an intent", kind);
    close_intent(model, deed, result);
    held->undoing = false;
    held->in_force = result != RESULT_DONE;
}

static void on_unknown(struct model *model, const struct seen *seen)
{
    struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->open || (deed->result != RESULT_UNKNOWN && !deed->doubt))
        model__breach(model, "%s is said to be unknown, and is not", text_of(seen, "step"));
    deed->result = RESULT_UNKNOWN;
}

static void on_told(struct model *model, const struct seen *seen)
{
    struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->result != RESULT_UNKNOWN)
        model__breach(model, "%s was resolved, and was not unknown", text_of(seen, "step"));
    deed->says_happened = strcmp(text_of(seen, "happened"), "happened") == 0;
    deed->says_not = !deed->says_happened;
}

static void on_applied(struct model *model, const struct seen *seen)
{
    const struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->result != RESULT_DONE)
        model__breach(model, "%s is in force, and its step was not done", text_of(seen, "mitigation"));
    struct held *held = &model->held[room(model, &model->held_count, MODEL_MAX)];
    COPY(held->id, text_of(seen, "mitigation"));
    COPY(held->run, seen->row->run);
    COPY(held->step, deed->owner);
    COPY(held->action, deed->action);
    COPY(held->target, deed->target);
    held->in_force = true;
    held->lease_ends_ms = stanch_json_int(seen->data, "lease_ends_ms", 0);
}

static void on_overdue(struct model *model, const struct seen *seen)
{
    struct held *held = model__held(model, text_of(seen, "mitigation"));
    if (++held->overdue > 1)
        model__breach(model, "1.10: the lease of %s ended twice", held->id);
    if (seen->row->at_ms < held->lease_ends_ms)
        model__breach(model, "1.10: the lease of %s ended early", held->id);
}

/* ---- questions ---- */

static void on_requested(struct model *model, const struct seen *seen)
{
    struct question *question = &model->questions[room(model, &model->question_count, MODEL_MAX)];
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
    touch(model, seen);
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
    if (expired && strcmp(question->about, "ask") != 0 && !is_in_batch(seen, "approval.requested", "\"again\""))
        model__breach(model, "1.4: %s expired, and nobody is asked anew", question->id);
    if (consumed && !is_in_batch(seen, "action.sent", "\"step\"") &&
        !is_in_batch(seen, "mitigation.undoing", "\"mitigation\""))
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
    {"step.unknown", on_unknown},
    {"step.resolved", on_told},
    {"action.sent", on_sent},
    {"action.answered", on_outcome},
    {"mitigation.applied", on_applied},
    {"mitigation.undoing", on_undoing},
    {"mitigation.undone", on_undo_ended},
    {"mitigation.undo-failed", on_undo_ended},
    {"mitigation.undo-unknown", on_undo_ended},
    {"mitigation.overdue", on_overdue},
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
