/* ask.c: a free question from a runbook to a role. */
#include "run/autonomy.h"
#include "base/mem.h"
#include <string.h>

static void start(struct stanch_op *op)
{
    const json_t *args = stanch_op__args(op);
    if (stanch_autonomy__observes(op->run)) {
        stanch_op__answer_error(op, "observed", "%s: nobody is asked",
                                stanch_autonomy__is_plan(op->run) ? "this run only says what it would do"
                                                                  : "the policy lets this runbook only observe");
        return;
    }
    STANCH_AUTO_JSON json_t *card = json_pack("{s:s}", "because", stanch_json_str(args, "text", ""));
    STANCH_AUTO_JSON json_t *yes_no = json_pack("[s,s]", "yes", "no");
    const json_t *choices = json_object_get(args, "choices");
    struct stanch_question_spec spec = {.about = "ask",
                                        .role = stanch_json_str(args, "role", "ic"),
                                        .quorum = 1,
                                        .expires_ms = stanch_json_int(args, "within_ms", 0),
                                        .card = card,
                                        .choices = json_array_size(choices) ? choices : yes_no};
    struct stanch_batch *batch = stanch_batch_new();
    char id[32];
    stanch_approval__request(op->engine, op, op->chain, op->run_id, &spec, batch, id);
    stanch_op__ask(op, batch, json_pack("{s:s}", "approval", id));
    struct stanch_err err;
    if (stanch_engine__append(op->engine, batch, NULL, NULL, &err) < 0 && !stanch_op__hold(op, err.code))
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s", err.text);
}

static void recover(struct stanch_op *op, const json_t *doc)
{
    (void)doc;
    STANCH_AUTO_JSON json_t *approval =
        stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", op->approval);
    const char *decision = stanch_json_str(approval, "decision", NULL);
    if (decision) /* answered, and the process ended before the step was */
        op->kind->decided(op, decision, stanch_json_str(approval, "decided_by", ""),
                          stanch_json_str(approval, "note", ""));
}

static void decided(struct stanch_op *op, const char *decision, const char *by, const char *note)
{
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, op->chain, "run.resumed", by, op->run_id,
                     json_pack("{s:s, s:n}", "run", op->run_id, "waits_for"));
    op->approval[0] = 0;
    stanch_op__answer(op, batch, json_pack("{s:{s:s, s:s, s:s}}", "ok", "choice", decision, "by", by, "note", note));
}

static void expired(struct stanch_op *op)
{
    stanch_op__answer_error(op, "timeout", "nobody answered in time");
}

const struct stanch_op_kind stanch_op_ask = {
    .name = "ask", .start = start, .recover = recover, .decided = decided, .expired = expired};
