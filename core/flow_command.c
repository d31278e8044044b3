/* flow_command.c: what people and programs ask for: one table, so that there is one place where a change is
 * taken or refused. Each answers once what it changed is committed. */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include <string.h>

struct command {
    struct stanch_flow *flow;
    const char *by;
    const json_t *input;
    stanch_flow_done done;
    void *ctx;
};

static int reply_with(const struct command *c, struct stanch_batch *batch, const char *noun, const char *id,
                      struct stanch_err *err)
{
    return stanch_reply__append(stanch_reply__new(c->flow, c->done, c->ctx, noun, id), batch, err);
}

static int incident_declare(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    char id[64];
    int rc = stanch_incident_declare(c->flow->incidents, c->by, c->input, stanch_flow__now(c->flow), batch, id, err);
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    return reply_with(c, batch, "incident", id, err);
}

/* A command whose one entry belongs to the incident in the input. */
static int finish_incident(const struct command *c, int rc, struct stanch_batch *batch, struct stanch_err *err)
{
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    return reply_with(c, batch, "incident", stanch_json_str(c->input, "incident", ""), err);
}

static int incident_role(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    return finish_incident(c, stanch_flow__give_role(c->flow, c->by, c->input, batch, err), batch, err);
}

/* Where there are people a role is no plain member: each is given as by incident.role. */
static int incident_set(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    STANCH_AUTO_JSON json_t *rest = json_copy((json_t *)(uintptr_t)c->input);
    bool has_roles = c->flow->people && json_object_size(json_object_get(rest, "roles")) > 0;
    int rc = has_roles ? stanch_flow__give_roles(c->flow, c->by, rest, batch, err) : 0;
    if (has_roles) {
        json_object_del(rest, "roles");
        json_object_del(rest, "reason");
    }
    if (rc == 0 && !(has_roles && json_object_size(rest) == 1))
        rc = stanch_incident_set(c->flow->incidents, c->by, rest, batch, err);
    return finish_incident(c, rc, batch, err);
}

static int incident_resolve(const struct command *c, struct stanch_err *err)
{
    const char *id = stanch_json_str(c->input, "incident", "");
    struct stanch_batch *batch = stanch_batch_new();
    json_t *soak = NULL;
    int rc = stanch_incident_resolve(c->flow->incidents, c->by, c->input, stanch_flow__now(c->flow), batch, &soak, err);
    if (rc < 0 || !soak)
        return finish_incident(c, rc, batch, err);
    stanch_batch_free(batch);
    rc = stanch_engine_soak(c->flow->engine, c->by, id, soak, err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "incident", id));
    return rc;
}

static int incident_note(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    return finish_incident(c, stanch_incident_say(c->flow->incidents, c->by, "incident.noted", c->input, batch, err),
                           batch, err);
}

static int incident_decide(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    return finish_incident(c, stanch_incident_say(c->flow->incidents, c->by, "incident.decided", c->input, batch, err),
                           batch, err);
}

static int incident_merge(const struct command *c, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    return finish_incident(c, stanch_incident_merge(c->flow->incidents, c->by, c->input, batch, err), batch, err);
}

static int check_incident(struct stanch_flow *flow, const char *id, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "incident", id);
    const char *state = stanch_json_str(doc, "state", "");
    if (!doc)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no incident \"%.60s\"", id);
    if (strcmp(state, "resolved") == 0 || strcmp(state, "merged") == 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s is %s; a run needs an open incident", id, state);
    return 0;
}

static int run_start(const struct command *c, struct stanch_err *err)
{
    struct stanch_flow *flow = c->flow;
    const char *name = stanch_json_str(c->input, "runbook", "");
    const struct stanch_runbook *runbook = stanch_catalogue_find(flow->catalogue, name);
    if (!runbook)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no runbook \"%.80s\" loaded%s", name,
                              flow->catalogue ? "" : ": no commit of the repository is accepted yet");
    bool only_plans = stanch_json_bool(c->input, "observe", false);
    STANCH_AUTO_FREE char *stopped = stanch_flow__stopped(flow, stanch_json_str(runbook->declared, "name", name));
    if (stopped && !only_plans)
        return stanch_err_set(err, STANCH_E_STOPPED, "%s: `stanch resume` first", stopped);
    struct stanch_batch *batch = stanch_batch_new();
    char incident[64];
    (void)snprintf(incident, sizeof incident, "%s", stanch_json_str(c->input, "incident", ""));
    int rc = 0;
    if (*incident) {
        rc = check_incident(flow, incident, err);
    } else if (!only_plans) { /* a plan is of no incident: nobody is told of it */
        STANCH_AUTO_FREE char *title = stanch_asprintf("%s started by hand", name);
        STANCH_AUTO_JSON json_t *input = json_pack("{s:s}", "title", stanch_json_str(c->input, "title", title));
        rc = stanch_incident_declare(flow->incidents, c->by, input, stanch_flow__now(flow), batch, incident, err);
    }
    STANCH_AUTO_JSON json_t *began = json_array();
    const json_t *data = NULL;
    if (rc == 0) {
        data = (only_plans ? stanch_flow__start_plan : stanch_flow__start_run)(
            flow, runbook, json_object_get(c->input, "params"), incident, c->by, batch, began, err);
        rc = data ? 0 : err->code;
    }
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    rc = reply_with(c, batch, "run", stanch_json_str(data, "run", ""), err);
    if (rc == 0)
        stanch_flow__begin_all(flow, began);
    return rc;
}

static int run_cancel(const struct command *c, struct stanch_err *err)
{
    const char *run = stanch_json_str(c->input, "run", "");
    const char *reason = stanch_json_str(c->input, "reason", "");
    struct stanch_waiting *waiting = stanch_flow__waiting(c->flow, run);
    if (waiting) {
        if (stanch_flow__leave_queue(c->flow, waiting, "run.cancelled", c->by, *reason ? reason : "no reason given") <
            0)
            return stanch_err_set(err, STANCH_E_STORE, "%s could not be taken out of the queue; try again", run);
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "run", run));
        return 0;
    }
    int rc = stanch_engine_cancel(c->flow->engine, run, c->by, reason, err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "run", run));
    return rc;
}

/* A refusal that a person should find again in the story. */
static void note_refused_answer(const struct command *c, const char *id, const char *decision,
                                const struct stanch_err *why)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(c->flow->journal, STANCH_VIEW_APPENDED, "approval", id);
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err own;
    stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "approval.refused", c->by, NULL,
                     json_pack("{s:s, s:s, s:s}", "approval", id, "decision", decision, "why", why->text));
    if (stanch_journal_append(c->flow->journal, batch, NULL, NULL, &own) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "a refusal could not be recorded: %s", own.text);
}

static int decide(const struct command *c, const char *id, const struct stanch_answer *answer, struct stanch_err *err)
{
    int rc = stanch_engine_decide(c->flow->engine, id, answer, err);
    if (rc == STANCH_E_STALE || rc == STANCH_E_STOPPED || rc == STANCH_E_CONFLICT || rc == STANCH_E_FORBIDDEN)
        note_refused_answer(c, id, answer->decision, err);
    return rc;
}

static int approval_decide(const struct command *c, struct stanch_err *err)
{
    const char *id = stanch_json_str(c->input, "approval", "");
    const struct stanch_answer answer = {.by = c->by,
                                         .decision = stanch_json_str(c->input, "decision", ""),
                                         .plan = stanch_json_str(c->input, "plan", NULL),
                                         .note = stanch_json_str(c->input, "note", NULL),
                                         .break_glass = stanch_json_bool(c->input, "break_glass", false)};
    int rc = decide(c, id, &answer, err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "approval", id));
    return rc;
}

static int step_resolve(const struct command *c, struct stanch_err *err)
{
    const char *id = stanch_json_str(c->input, "step", "");
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(c->flow->journal, STANCH_VIEW_APPENDED, "step", id);
    if (!step)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no step \"%.60s\"", id);
    if (strcmp(stanch_json_str(step, "state", ""), "unknown") != 0)
        return stanch_err_set(err, STANCH_E_CONFLICT, "the outcome of %s is not unknown: it is %s", id,
                              stanch_json_str(step, "state", ""));
    const struct stanch_answer answer = {.by = c->by,
                                         .decision = stanch_json_str(c->input, "happened", ""),
                                         .note = stanch_json_str(c->input, "note", NULL)};
    int rc = decide(c, stanch_json_str(step, "approval", ""), &answer, err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "step", id));
    return rc;
}

static int mitigation_undo(const struct command *c, struct stanch_err *err)
{
    return stanch_engine_undo(c->flow->engine, c->by, stanch_json_str(c->input, "mitigation", ""),
                              stanch_json_str(c->input, "reason", ""), c->done, c->ctx, err);
}

static int move_end(const struct command *c, int64_t for_ms, struct stanch_err *err)
{
    struct stanch_batch *batch = stanch_batch_new();
    const char *id = stanch_json_str(c->input, "mitigation", "");
    int rc =
        stanch_engine_extend(c->flow->engine, c->by, id, for_ms, stanch_json_str(c->input, "reason", NULL), batch, err);
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    return reply_with(c, batch, "mitigation", id, err);
}

static int mitigation_extend(const struct command *c, struct stanch_err *err)
{
    int64_t for_ms = stanch_json_int(c->input, "for_ms", 0);
    return move_end(c, for_ms ? for_ms : 1, err); /* what is too short is refused, and 0 means something else there */
}

static int mitigation_keep(const struct command *c, struct stanch_err *err)
{
    return move_end(c, 0, err);
}

static int hold_take(const struct command *c, struct stanch_err *err)
{
    char id[32];
    const json_t *given = json_object_get(c->input, "for_ms");
    const struct stanch_hold_words words = {.by = c->by,
                                            .target = stanch_json_str(c->input, "target", ""),
                                            .reason = stanch_json_str(c->input, "reason", ""),
                                            .for_ms = json_integer_value(given)};
    if (given && words.for_ms <= 0)
        return stanch_err_set(err, STANCH_E_INVALID, "for_ms: for how long, in milliseconds, 24 h at most");
    int rc = stanch_engine_hold(c->flow->engine, &words, id, err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "hold", id));
    return rc;
}

static int hold_release(const struct command *c, struct stanch_err *err)
{
    char id[32];
    int rc = stanch_engine_release(c->flow->engine, c->by, stanch_json_str(c->input, "target", ""),
                                   stanch_json_str(c->input, "of", NULL), stanch_json_str(c->input, "reason", NULL), id,
                                   err);
    if (rc == 0)
        stanch_reply__barrier(stanch_reply__new(c->flow, c->done, c->ctx, "hold", id));
    return rc;
}

static int breaker_close(const struct command *c, struct stanch_err *err)
{
    const char *runbook = stanch_json_str(c->input, "runbook", ""), *target = stanch_json_str(c->input, "target", "");
    struct stanch_batch *batch = stanch_batch_new();
    int rc = stanch_engine_close_breaker(c->flow->engine, c->by, runbook, target,
                                         stanch_json_str(c->input, "because", "no reason given"), batch, err);
    if (rc < 0) {
        stanch_batch_free(batch);
        return rc;
    }
    STANCH_AUTO_FREE char *id = stanch_asprintf("%s %s", runbook, target);
    struct stanch_reply *reply = stanch_reply__new(c->flow, c->done, c->ctx, "breaker", "");
    rc = stanch_reply__append(reply, batch, err);
    if (rc == 0) /* it is told once that is committed */
        stanch_reply__result(reply, stanch_journal_get(c->flow->journal, STANCH_VIEW_APPENDED, "breaker", id));
    return rc;
}

static int runbook_sync(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__sync(c->flow, c->done, c->ctx, err);
}

static int runbook_accept(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__accept(c->flow, c->by, c->input, c->done, c->ctx, err);
}

static int runbook_lint(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__lint(c->flow, c->input, c->done, c->ctx, err);
}

static int policy_explain(const struct command *c, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *input = json_copy((json_t *)(uintptr_t)c->input);
    const struct stanch_runbook *runbook =
        stanch_catalogue_find(c->flow->catalogue, stanch_json_str(input, "runbook", ""));
    json_t *told = NULL;
    if (runbook)
        stanch_json_set_str(input, "holds",
                            stanch_json_str(json_object_get(runbook->declared, "limits"), "holds", NULL));
    int rc = stanch_engine_explain(c->flow->engine, input, &told, err);
    if (rc < 0)
        return rc;
    stanch_flow__explain_runbook(c->flow, c->input, told);
    struct stanch_reply *reply = stanch_reply__new(c->flow, c->done, c->ctx, "", "");
    stanch_reply__result(reply, told);
    stanch_reply__barrier(reply);
    return 0;
}

static int store_check(const struct command *c, struct stanch_err *err)
{
    if (!c->flow->keeper.check)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "nobody keeps the store");
    return c->flow->keeper.check(c->flow->keeper.ctx, c->done, c->ctx, err);
}

static int reload(const struct command *c, struct stanch_err *err)
{
    if (!c->flow->keeper.reload)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "nothing can be read again now");
    return c->flow->keeper.reload(c->flow->keeper.ctx, c->by, c->done, c->ctx, err);
}

static int ask_drills(const struct command *c, const char *command, struct stanch_err *err)
{
    if (!c->flow->keeper.drill)
        return stanch_err_set(err, STANCH_E_REFUSED, "there are no drills in here");
    return c->flow->keeper.drill(c->flow->keeper.ctx, c->by, command, c->input, c->done, c->ctx, err);
}

static int drill_begin(const struct command *c, struct stanch_err *err)
{
    return ask_drills(c, "begin", err);
}

static int drill_end(const struct command *c, struct stanch_err *err)
{
    return ask_drills(c, "end", err);
}

static int drill_coming(const struct command *c, struct stanch_err *err)
{
    return ask_drills(c, "coming", err);
}

static int drill_report(const struct command *c, struct stanch_err *err)
{
    return ask_drills(c, "report", err);
}

static int plugin_enable(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__enable_plugin(c->flow, c->by, c->input, c->done, c->ctx, err);
}

static int plugin_check(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__check_plugin(c->flow, c->input, c->done, c->ctx, err);
}

static int stop(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__stop(c->flow, c->by, c->input, c->done, c->ctx, err);
}

static int resume(const struct command *c, struct stanch_err *err)
{
    return stanch_flow__resume(c->flow, c->by, c->input, c->done, c->ctx, err);
}

static const struct {
    const char *name;
    int (*act)(const struct command *c, struct stanch_err *err);
    bool without_record; /* it works when nothing can be recorded */
} commands[] = {
    {"incident.declare", incident_declare},
    {"incident.set", incident_set},
    {"incident.role", incident_role},
    {"incident.resolve", incident_resolve},
    {"incident.note", incident_note},
    {"incident.decide", incident_decide},
    {"incident.merge", incident_merge},
    {"run.start", run_start},
    {"run.cancel", run_cancel},
    {"approval.decide", approval_decide},
    {"step.resolve", step_resolve},
    {"mitigation.undo", mitigation_undo},
    {"mitigation.extend", mitigation_extend},
    {"mitigation.keep", mitigation_keep},
    {"hold.take", hold_take},
    {"hold.release", hold_release},
    {"breaker.close", breaker_close},
    {"runbook.sync", runbook_sync},
    {"runbook.accept", runbook_accept},
    {"runbook.lint", runbook_lint, true},
    {"drill.begin", drill_begin},
    {"drill.end", drill_end},
    {"drill.coming", drill_coming, true},
    {"drill.report", drill_report, true},
    {"plugin.enable", plugin_enable},
    {"plugin.check", plugin_check, true},
    {"policy.explain", policy_explain, true},
    {"store.check", store_check, true},
    {"reload", reload},
    {"stop", stop, true},
    {"resume", resume, true},
};

int stanch_flow_do(struct stanch_flow *flow, const char *by, const char *command, const json_t *input,
                   stanch_flow_done done, void *ctx, struct stanch_err *err)
{
    if (flow->draining)
        return stanch_err_set(err, STANCH_E_UNAVAILABLE, "stanch is shutting down");
    struct command c = {flow, by, input, done, ctx};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, command) != 0)
            continue;
        int rc = commands[i].without_record ? 0 : stanch_journal_takes(flow->journal, true, err);
        return rc < 0 ? rc : commands[i].act(&c, err);
    }
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no command \"%.60s\"", command);
}
