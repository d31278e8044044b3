/* change.c: plan, apply, verify, undo, reconcile of an action that the configuration lists.
 *
 *   plan   run `plan` (reads) -> from; to: the value then, and exactly what would be run
 *   apply  run `plan` again --not `from`--> stale         undo  --not as apply left it--> stale
 *            '--> run the command -> how it ended                 '--> run `undo` -> how it ended
 *
 * What tells whether it is so: with a `to` (or a plan in JSON) the plan's command itself, compared; else `verify`.
 */
#include "exec.h"
#include <string.h>

static bool has_json_plan(struct sdk_call *call)
{
    const char *prints = json_string_value(json_object_get(exec_step(call, "plan"), "prints"));
    return prints && strcmp(prints, "json") == 0;
}

/* ---- reading how it is now ---- */

struct exec_state {
    json_t *from; /* {} | {"text"} | {"value"} */
    json_t *more; /* what else a plan in JSON says: to, impact, reach, no_change */
    void (*fn)(struct sdk_call *call, const struct exec_state *now);
};

static void on_state(struct sdk_call *call, const struct sdk_run_result *result)
{
    struct exec_state *now = sdk_kept(call);
    if (!exec_read_ok(call, "plan", result))
        return;
    now->from = sdk_hold(call, exec_said(call, result, has_json_plan(call)));
    if (!now->from)
        return; /* answered */
    if (has_json_plan(call)) {
        now->more = json_object_get(now->from, "value");
        json_t *value = json_object_get(now->more, "from");
        if (!value) {
            sdk_fail(call, "protocol", "plan of %s printed no object with the member \"from\"", sdk_action(call));
            return;
        }
        now->from = sdk_hold(call, json_pack("{s:O}", "value", value));
    }
    now->fn(call, now);
}

/* Run the plan's command and call fn with what it says; without one, call it at once. */
static void read_state(struct sdk_call *call, void (*fn)(struct sdk_call *call, const struct exec_state *now))
{
    struct exec_state *now = sdk_memory(call, sizeof *now);
    now->fn = fn;
    now->from = sdk_hold(call, json_object());
    sdk_keep(call, now);
    if (exec_step(call, "plan"))
        exec_run(call, "plan", NULL, on_state);
    else
        fn(call, now);
}

/* ---- plan ---- */

/* {"command","args","env","secrets"}: exactly what would be run. new; NULL: the call was answered */
static json_t *what_runs(struct sdk_call *call, const char *step, const json_t *from)
{
    json_t *args = exec_fill_args(call, step, from, true), *env = args ? exec_fill_env(call) : NULL;
    if (!env) {
        json_decref(args);
        return NULL;
    }
    json_t *out = json_pack("{s:s, s:o, s:o}", "command", exec_command(call, step), "args", args, "env", env);
    if (json_object_get(exec_action(call), "secret_env"))
        json_object_set(out, "secrets", json_object_get(exec_action(call), "secret_env"));
    return out;
}

/* The value that will be there, and what is run for it. new; NULL: the call was answered */
static json_t *target(struct sdk_call *call, const json_t *from, const json_t *value)
{
    const char *to = json_string_value(json_object_get(exec_action(call), "to"));
    json_t *out = what_runs(call, "", from);
    out = out ? json_pack("{s:o}", "runs", out) : NULL;
    if (out && to) {
        const char *text = exec_fill(call, to, EXEC_PLAIN, NULL, true, "to");
        if (text)
            json_object_set_new(out, "text", json_string(text));
        else {
            json_decref(out);
            return NULL;
        }
    }
    if (out && value)
        json_object_set(out, "value", (json_t *)(uintptr_t)value);
    return out;
}

/* Whether a value ({"text"} or {"value"}) is that of the plan's from or to. */
static bool is_value(const json_t *now, const json_t *planned)
{
    const char *member = json_object_get(now, "text") ? "text" : "value";
    return json_equal(json_object_get(now, member), json_object_get(planned, member)) != 0;
}

/* What is locked meanwhile. new; NULL: the call was answered */
static json_t *targets_of(struct sdk_call *call)
{
    const json_t *list = json_object_get(exec_action(call), "targets");
    json_t *out = json_array();
    for (size_t i = 0; out && i < json_array_size(list); i++) {
        const char *text =
            exec_fill(call, json_string_value(json_array_get(list, i)), EXEC_PLAIN, NULL, true, "targets");
        if (text) {
            json_array_append_new(out, json_string(text));
        } else {
            json_decref(out);
            out = NULL;
        }
    }
    if (out && !list)
        json_array_append_new(out, json_sprintf("exec:%s/%s", sdk_instance_name(sdk_instance(call)), sdk_action(call)));
    return out;
}

static const char *impact_of(struct sdk_call *call, const json_t *more, const char *by_hand)
{
    const char *said = json_string_value(json_object_get(more, "impact"));
    const char *own = json_string_value(json_object_get(exec_action(call), "impact"));
    const char *why = json_string_value(json_object_get(exec_action(call), "no_plan_because"));
    const char *text = said  ? said
                       : own ? exec_fill(call, own, EXEC_PLAIN, NULL, true, "impact")
                             : sdk_text(call, "runs: %s", by_hand);
    return text && why ? sdk_text(call, "%s (nothing was read before: %s)", text, why) : text;
}

static double reach_of(const json_t *more)
{
    const json_t *reach = json_object_get(more, "reach");
    double value = json_is_number(reach) ? json_number_value(reach) : -1;
    return value >= 0 && value <= 1 ? value : -1;
}

static void on_plan(struct sdk_call *call, const struct exec_state *now)
{
    bool has_undo = exec_step(call, "undo") != NULL, must_say_to = has_json_plan(call);
    const json_t *said_to = json_object_get(now->more, "to");
    if (must_say_to && !said_to) {
        sdk_fail(call, "protocol", "plan of %s printed no member \"to\"", sdk_action(call));
        return;
    }
    json_t *to = sdk_hold(call, target(call, now->from, said_to));
    json_t *undo = to ? has_undo ? what_runs(call, "undo", now->from) : json_object() : NULL;
    json_t *targets = sdk_hold(call, undo ? targets_of(call) : NULL);
    const char *by_hand = targets ? exec_by_hand(call, "", now->from) : NULL;
    const char *undo_by_hand = by_hand && has_undo ? exec_by_hand(call, "undo", now->from) : NULL;
    const char *impact = by_hand ? impact_of(call, now->more, by_hand) : NULL;
    sdk_hold(call, undo);
    if (!impact || (has_undo && !undo_by_hand))
        return; /* answered */
    sdk_plan(call, &(struct sdk_plan){
                       .targets = json_incref(targets),
                       .from = json_incref(now->from),
                       .to = json_incref(to),
                       .undo = json_incref(undo),
                       .by_hand = by_hand,
                       .undo_by_hand = undo_by_hand,
                       .impact = impact,
                       .reach = reach_of(now->more),
                       .observed = now->more ? json_incref(now->more) : NULL,
                       .no_change = exec_can_compare(exec_action(call)) && is_value(now->from, to),
                   });
}

void exec_plan(struct sdk_call *call)
{
    read_state(call, on_plan);
}

/* ---- apply ---- */

static bool check_plan(struct sdk_call *call)
{
    if (json_is_object(sdk_plan_member(call, "from")) && json_is_object(sdk_plan_member(call, "to")))
        return true;
    sdk_fail(call, "invalid", "plan: from and to were expected; make the plan again");
    return false;
}

static void on_apply(struct sdk_call *call, const struct exec_state *now)
{
    const json_t *from = sdk_plan_member(call, "from"), *to = sdk_plan_member(call, "to");
    json_t *again = sdk_hold(call, what_runs(call, "", from));
    if (!again)
        return;
    if (!json_equal(now->from, from))
        sdk_fail(call, "stale", "plan of %s says something else now than when it was planned", sdk_action(call));
    else if (!json_equal(again, json_object_get(to, "runs")))
        sdk_fail(call, "stale", "the configuration of %s is another than when it was planned", sdk_action(call));
    else if (exec_can_compare(exec_action(call)) && is_value(now->from, to))
        sdk_done(call, json_pack("{s:b}", "no_change", 1));
    else
        exec_run(call, "", from, exec_changed);
}

void exec_apply(struct sdk_call *call)
{
    if (check_plan(call))
        read_state(call, on_apply);
}

/* ---- verify ---- */

/* What verify says: 1 it is so, 0 it is not, -1: the call was answered. */
static int judge_verify(struct sdk_call *call, const struct sdk_run_result *result)
{
    const char *expect = json_string_value(json_object_get(exec_step(call, "verify"), "expect"));
    const char *want = expect ? exec_fill(call, expect, EXEC_PLAIN, sdk_plan_member(call, "from"), true, "expect") : "";
    if (!want)
        return -1;
    if (result->ended == STANCH_RUN_EXITED && result->code == 1)
        return 0;
    json_t *said = exec_read_ok(call, "verify", result) ? sdk_hold(call, exec_said(call, result, false)) : NULL;
    if (!said)
        return -1;
    return !expect || strcmp(json_string_value(json_object_get(said, "text")), want) == 0;
}

static void on_verify(struct sdk_call *call, const struct sdk_run_result *result)
{
    int is_so = judge_verify(call, result);
    json_t *said = is_so >= 0 ? exec_said(call, result, false) : NULL;
    if (said)
        sdk_holds(call, is_so > 0, said);
}

static void on_compared(struct sdk_call *call, const struct exec_state *now)
{
    sdk_holds(call, is_value(now->from, sdk_plan_member(call, "to")), json_incref(now->from));
}

void exec_verify(struct sdk_call *call)
{
    if (!check_plan(call))
        return;
    if (exec_step(call, "verify"))
        exec_run(call, "verify", sdk_plan_member(call, "from"), on_verify);
    else
        read_state(call, on_compared);
}

/* ---- undo ---- */

static void run_undo(struct sdk_call *call)
{
    exec_run(call, "undo", sdk_plan_member(call, "from"), exec_changed);
}

static void fail_undo(struct sdk_call *call)
{
    const char *by_hand = exec_by_hand(call, "undo", sdk_plan_member(call, "from"));
    if (by_hand)
        sdk_fail(call, "stale",
                 "it is no longer as this left it: somebody changed it since. Nothing was run; by hand: %s", by_hand);
}

static void on_compared_for_undo(struct sdk_call *call, const struct exec_state *now)
{
    if (is_value(now->from, sdk_plan_member(call, "from")))
        sdk_done(call, json_pack("{s:b}", "already", 1));
    else if (is_value(now->from, sdk_plan_member(call, "to")))
        run_undo(call);
    else
        fail_undo(call);
}

static void on_verified_for_undo(struct sdk_call *call, const struct sdk_run_result *result)
{
    int is_so = judge_verify(call, result);
    if (is_so > 0)
        run_undo(call);
    else if (is_so == 0)
        fail_undo(call);
}

void exec_undo(struct sdk_call *call)
{
    if (!check_plan(call))
        return;
    if (exec_can_compare(exec_action(call)))
        read_state(call, on_compared_for_undo);
    else if (exec_step(call, "verify"))
        exec_run(call, "verify", sdk_plan_member(call, "from"), on_verified_for_undo);
    else
        run_undo(call);
}

/* ---- reconcile ---- */

static void on_compared_for_reconcile(struct sdk_call *call, const struct exec_state *now)
{
    bool is_undo = strcmp(sdk_reconciles(call), "undo") == 0;
    const json_t *before = sdk_plan_member(call, is_undo ? "to" : "from");
    const json_t *wanted = sdk_plan_member(call, is_undo ? "from" : "to");
    sdk_reconciled(call, is_value(now->from, wanted)   ? "done"
                         : is_value(now->from, before) ? "not-done"
                                                       : "cannot-tell");
}

static void on_reconcile(struct sdk_call *call, const struct sdk_run_result *result)
{
    bool is_told = result->ended == STANCH_RUN_EXITED && (result->code == 0 || result->code == 1);
    sdk_reconciled(call, !is_told ? "cannot-tell" : result->code == 0 ? "done" : "not-done");
}

void exec_reconcile(struct sdk_call *call)
{
    if (!check_plan(call))
        return;
    if (exec_step(call, "reconcile"))
        exec_run(call, "reconcile", sdk_plan_member(call, "from"), on_reconcile);
    else
        read_state(call, on_compared_for_reconcile);
}
