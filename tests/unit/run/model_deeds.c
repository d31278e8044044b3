/* model_deeds.c: the rows about what may change the world: intents, their outcomes, what is in force; each held against what
 * was before it. */
#include "run/model_inside.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* PROMISES.md 1.3: a second intent for the same thing. */
static bool may_follow(const struct seen *seen, const struct deed *deed, int64_t attempt)
{
    if (deed->undo && attempt == 1) /* ordered anew */
        return deed->result == RESULT_FAILED || model__is_repeatable(deed) ||
               strncmp(text_of(seen, "by"), "person:", 7) == 0 || model__is_in_batch(seen, "approval.consumed", "");
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
    deed = &model->deeds[model__room(model, &model->deed_count, MODEL_MAX)];
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
    if (!model__is_in_batch(seen, "approval.consumed", quoted))
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

void model__on_sent(struct model *model, const struct seen *seen)
{
    const char *action = text_of(seen, "action");
    struct deed *deed = deed_for(model, text_of(seen, "key"), text_of(seen, "step"), false);
    struct model_run *run = model__run(model, seen->row->run);
    struct model_step *step = model__step(model, text_of(seen, "step"));
    COPY(deed->action, action);
    COPY(deed->run, seen->row->run);
    if (model__is_mitigation(action)) /* a notice changes no target */
        COPY(deed->target, stanch_json_str(json_object_get(seen->data, "sent_args"), "target", ""));
    if (!step || step->answered || run->ended)
        model__breach(model, "an intent of %s, which is not open", deed->owner);
    deed->retries = step->retries;
    open_intent(model, seen, deed);
    if (!model__is_mitigation(action) || deed->intents > 1)
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

void model__on_undoing(struct model *model, const struct seen *seen)
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
    if (must_ask(model, deed->action) && !model__is_in_batch(seen, "approval.consumed", "\"approval\""))
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

void model__on_outcome(struct model *model, const struct seen *seen)
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

void model__on_undo_ended(struct model *model, const struct seen *seen)
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

void model__on_unknown(struct model *model, const struct seen *seen)
{
    struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->open || (deed->result != RESULT_UNKNOWN && !deed->doubt))
        model__breach(model, "%s is said to be unknown, and is not", text_of(seen, "step"));
    deed->result = RESULT_UNKNOWN;
}

void model__on_told(struct model *model, const struct seen *seen)
{
    struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->result != RESULT_UNKNOWN)
        model__breach(model, "%s was resolved, and was not unknown", text_of(seen, "step"));
    deed->says_happened = strcmp(text_of(seen, "happened"), "happened") == 0;
    deed->says_not = !deed->says_happened;
}

void model__on_applied(struct model *model, const struct seen *seen)
{
    const struct deed *deed = model__deed_of(model, text_of(seen, "step"), false);
    if (!deed || deed->result != RESULT_DONE)
        model__breach(model, "%s is in force, and its step was not done", text_of(seen, "mitigation"));
    struct held *held = &model->held[model__room(model, &model->held_count, MODEL_MAX)];
    COPY(held->id, text_of(seen, "mitigation"));
    COPY(held->run, seen->row->run);
    COPY(held->step, deed->owner);
    COPY(held->action, deed->action);
    COPY(held->target, deed->target);
    held->in_force = true;
    held->lease_ends_ms = stanch_json_int(seen->data, "lease_ends_ms", 0);
}

void model__on_overdue(struct model *model, const struct seen *seen)
{
    struct held *held = model__held(model, text_of(seen, "mitigation"));
    if (++held->overdue > 1)
        model__breach(model, "1.10: the lease of %s ended twice", held->id);
    if (seen->row->at_ms < held->lease_ends_ms)
        model__breach(model, "1.10: the lease of %s ended early", held->id);
}
