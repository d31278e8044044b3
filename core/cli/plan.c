/* plan.c: runbook plan. A run that only says what it would do: the daemon reads the real world and changes nothing
 * (run/autonomy.h). This starts it, waits until it is over, and tells its steps as what would happen.
 *
 *   POST /v1/runs {"observe":true} --> until it has ended --> a row of the story for each step
 */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>
#include <time.h>

#define LOOK_EVERY_MS 100
#define WAIT_MS       120000 /* unless --for says otherwise */

/* ---- the story ---- */

static json_t *row_of(const json_t *step, const char *what)
{
    return json_pack("{s:O?, s:s}", "step", json_object_get(step, "id"), "what", what);
}

static void copy(json_t *to, const json_t *from, const char *name, const char *as)
{
    json_t *value = json_object_get(from, name);
    if (value && !json_is_null(value))
        json_object_set(to, as, value);
}

/* An action that was only to be observed: with its plan, or (it would tell somebody) without one. */
static json_t *tell_would(const json_t *step)
{
    const json_t *plan = json_object_get(step, "plan");
    json_t *row = row_of(step, plan ? "would act" : "would tell");
    copy(row, step, "instance", "instance");
    copy(row, step, "action", "action");
    copy(row, step, "would_args", "args");
    static const char *const of_plan[] = {"targets", "from", "to", "by_hand", "undo_by_hand", "reach"};
    static const char *const of_step[] = {"impact", "because", "risk"};
    for (size_t i = 0; i < sizeof of_plan / sizeof *of_plan; i++)
        copy(row, plan, of_plan[i], of_plan[i]);
    for (size_t i = 0; i < sizeof of_step / sizeof *of_step; i++)
        copy(row, step, of_step[i], of_step[i]);
    json_object_set_new(row, "asks", json_boolean(json_object_get(step, "would_ask") != NULL));
    copy(row, step, "would_ask", "why");
    copy(row, step, "would_role", "role");
    copy(row, step, "would_quorum", "quorum");
    return row;
}

static json_t *tell_action(const json_t *step)
{
    const json_t *args = json_object_get(step, "args"), *ok = json_object_get(json_object_get(step, "answer"), "ok");
    const json_t *error = json_object_get(json_object_get(step, "answer"), "error");
    if (json_object_get(step, "would_args"))
        return tell_would(step);
    json_t *row = row_of(step, error                                      ? "fails"
                               : stanch_json_bool(ok, "no_change", false) ? "nothing to change"
                                                                          : "read");
    copy(row, args, "instance", "instance");
    copy(row, args, "action", "action");
    copy(row, args, "args", "args");
    copy(row, ok, "value", "value");
    copy(row, error, "text", "why");
    copy(row, step, "impact", "impact");
    return row;
}

static json_t *tell_said(const json_t *step, const char *what)
{
    const json_t *args = json_object_get(step, "args");
    json_t *row = row_of(step, what);
    static const char *const names[] = {"role", "text", "choices", "ms"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        copy(row, args, names[i], names[i]);
    return row;
}

static json_t *tell_looked(const json_t *step)
{
    const json_t *ok = json_object_get(json_object_get(step, "answer"), "ok");
    json_t *row = row_of(step, "looked");
    copy(row, ok, "result", "result");
    copy(row, ok, "value", "value");
    copy(row, ok, "why", "why");
    return row;
}

/* NULL: nothing that a person wants to know */
static json_t *tell(const json_t *step)
{
    static const struct {
        const char *op, *what;
    } said[] = {
        {"note", "note"}, {"decide", "decides"}, {"page", "would page"}, {"ask", "would ask"}, {"sleep", "would wait"}};
    const char *op = stanch_json_str(step, "op", "");
    if (strcmp(op, "action") == 0)
        return tell_action(step);
    if (strcmp(op, "check") == 0 || strcmp(op, "verify") == 0 || strcmp(op, "wait_for") == 0)
        return tell_looked(step);
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        if (strcmp(op, said[i].op) == 0)
            return tell_said(step, said[i].what);
    return NULL;
}

static json_t *story_of(const json_t *run)
{
    json_t *story = json_array(), *step;
    size_t i;
    json_array_foreach(json_object_get(run, "steps"), i, step)
    {
        json_t *row = tell(step);
        if (row)
            json_array_append_new(story, row);
    }
    return story;
}

/* ---- for people ---- */

static void say_field(const struct stanch_cli *cli, const json_t *row, const char *name, const char *label)
{
    const json_t *value = json_object_get(row, name);
    if (!value)
        return;
    STANCH_AUTO_FREE char *text = stanch_cli__one_line(value);
    stanch_cli__say(cli, "      %-9s %s\n", label, text);
}

static void say_would(const struct stanch_cli *cli, const json_t *row)
{
    static const char *const shown[] = {"because", "targets", "from", "to", "impact", "risk"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        say_field(cli, row, shown[i], shown[i]);
    say_field(cli, row, "by_hand", "by hand");
    if (strcmp(stanch_json_str(row, "what", ""), "would tell") == 0)
        return;
    if (!stanch_json_bool(row, "asks", false)) {
        stanch_cli__say(cli, "      nobody would be asked\n");
        return;
    }
    STANCH_AUTO_FREE char *role = stanch_cli__one_line(json_object_get(row, "role"));
    STANCH_AUTO_FREE char *why = stanch_cli__one_line(json_object_get(row, "why"));
    int64_t quorum = stanch_json_int(row, "quorum", 1);
    stanch_cli__say(cli, "      %-9s the %s", "asks", role);
    if (quorum > 1)
        stanch_cli__say(cli, ", %lld people", (long long)quorum);
    stanch_cli__say(cli, ": %s\n", why);
}

/* What stands on the line of a row, after what it is. new */
static char *line_of(const json_t *row)
{
    STANCH_AUTO_FREE char *text = stanch_cli__one_line(json_object_get(row, "text"));
    STANCH_AUTO_FREE char *role = stanch_cli__one_line(json_object_get(row, "role"));
    STANCH_AUTO_FREE char *args = stanch_cli__one_line(json_object_get(row, "args"));
    STANCH_AUTO_FREE char *why = stanch_cli__one_line(json_object_get(row, "why"));
    STANCH_AUTO_FREE char *value = stanch_cli__one_line(json_object_get(row, "value"));
    STANCH_AUTO_FREE char *name =
        stanch_asprintf("%s.%s", stanch_json_str(row, "instance", ""), stanch_json_str(row, "action", ""));
    const char *what = stanch_json_str(row, "what", "");
    if (strcmp(what, "would wait") == 0) {
        char duration[32];
        stanch_duration_text(stanch_json_int(row, "ms", 0), duration);
        return stanch_strdup(duration);
    }
    if (strcmp(what, "looked") == 0)
        return stanch_asprintf("the symptom is %s%s%s%s", stanch_json_str(row, "result", "not known"),
                               *value ? " (" : "", value, *value ? ")" : "");
    if (json_object_get(row, "role") && !json_object_get(row, "instance"))
        return stanch_asprintf("%s: %s", role, text);
    if (json_object_get(row, "text"))
        return stanch_strdup(text);
    if (strcmp(what, "fails") == 0)
        return stanch_asprintf("%s %s: %s", name, args, why);
    return stanch_asprintf("%s %s%s%s", name, args, *value ? " -> " : "", value);
}

static void say_row(const struct stanch_cli *cli, const json_t *row)
{
    STANCH_AUTO_FREE char *line = line_of(row);
    STANCH_AUTO_JSON json_t *shown = json_string(line);
    STANCH_AUTO_FREE char *clean = stanch_cli__one_line(shown);
    const char *what = stanch_json_str(row, "what", "");
    bool acts = strcmp(what, "would act") == 0;
    stanch_cli__say(cli, "  %s%-17s %s%s\n", acts ? stanch_cli__bold(cli) : "", what, clean,
                    acts ? stanch_cli__plain(cli) : "");
    if (acts || strcmp(what, "would tell") == 0)
        say_would(cli, row);
    if (strcmp(what, "would ask") == 0)
        stanch_cli__say(cli, "      what comes after depends on the answer\n");
}

static void say_plan(const struct stanch_cli *cli, const json_t *plan)
{
    size_t acts = 0, asks = 0, i;
    json_t *row;
    stanch_cli__show(cli, plan, "runbook commit run params autonomy would_not_start");
    stanch_cli__say(cli, "\n");
    json_array_foreach(json_object_get(plan, "story"), i, row)
    {
        bool is_act = strcmp(stanch_json_str(row, "what", ""), "would act") == 0;
        acts += is_act;
        asks += is_act && stanch_json_bool(row, "asks", false);
        say_row(cli, row);
    }
    stanch_cli__say(cli, "\n%zu actions, %zu of them would ask. Nothing was changed, and nobody was told.\n", acts,
                    asks);
    if (acts > 0)
        stanch_cli__say(cli, "So the symptom stays as it is: each later step is shown as if the earlier ones had not "
                             "helped, and what waits was not waited for.\n");
}

/* ---- the run ---- */

static bool is_over(const json_t *run)
{
    const char *state = stanch_json_str(run, "state", "");
    return strcmp(state, "running") != 0 && strcmp(state, "queued") != 0;
}

static int read_wait(struct stanch_cli *cli, int64_t *ret_ms)
{
    const char *text = stanch_cli__value(cli, STANCH_CLI__FOR);
    *ret_ms = WAIT_MS;
    if (!text || stanch_duration_parse(text, ret_ms, &cli->err) == 0)
        return 0;
    return stanch_err_wrap(&cli->err, "--for");
}

/* ret: the run with its steps; new */
static int wait_for_end(struct stanch_cli *cli, const char *id, int64_t wait_ms, json_t **ret)
{
    static const struct timespec pause = {.tv_nsec = LOOK_EVERY_MS * 1000000L};
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runs/%s", id);
    for (int64_t waited_ms = 0;; waited_ms += LOOK_EVERY_MS) {
        int rc = stanch_cli__get(cli, path, ret);
        if (rc != 0 || is_over(*ret))
            return rc;
        json_decref(*ret);
        *ret = NULL;
        if (waited_ms >= wait_ms)
            return stanch_err_set(
                &cli->err, STANCH_E_TIMEOUT,
                "%s still reads; it changes nothing: `stanch run show %s` tells it, `stanch run cancel "
                "%s` ends it",
                id, id, id);
        (void)nanosleep(&pause, NULL);
    }
}

/* That it would ask is no failure, also where only the answer could tell what comes next. */
static int judge(struct stanch_cli *cli, const json_t *run)
{
    const char *kind = stanch_json_str(json_object_get(run, "error"), "kind", "");
    if (strcmp(stanch_json_str(run, "state", ""), "succeeded") == 0 || strcmp(kind, "observed") == 0)
        return 0;
    return stanch_err_set(&cli->err, STANCH_E_SCRIPT, "the plan is not whole, it ended as %s: %s",
                          stanch_json_str(run, "state", "?"), stanch_json_str(run, "why", "no reason is told"));
}

static json_t *plan_of(const json_t *run)
{
    static const char *const kept[] = {"runbook", "path", "commit",   "params",
                                       "state",   "why",  "autonomy", "would_not_start"};
    json_t *plan = json_pack("{s:O, s:o}", "run", json_object_get(run, "id"), "story", story_of(run));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        copy(plan, run, kept[i], kept[i]);
    return plan;
}

static int run_plan(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s, s:b}", "runbook", cli->args[0], "observe", 1);
    STANCH_AUTO_JSON json_t *started = NULL, *run = NULL;
    json_t *params = NULL;
    int64_t wait_ms = 0;
    int rc = read_wait(cli, &wait_ms);
    rc = rc ? rc : stanch_cli__read_params(cli, &params);
    if (rc != 0)
        return rc;
    json_object_set_new(body, "params", params);
    stanch_json_set_str(body, "incident", stanch_cli__value(cli, STANCH_CLI__INCIDENT));
    rc = stanch_cli__send(cli, "POST", "/v1/runs", body, &started);
    rc = rc ? rc : wait_for_end(cli, stanch_json_str(started, "id", ""), wait_ms, &run);
    if (rc != 0)
        return rc;
    STANCH_AUTO_JSON json_t *plan = plan_of(run);
    if (!stanch_cli__said_json(cli, plan))
        say_plan(cli, plan);
    return judge(cli, run);
}

const struct stanch_cli__command stanch_cli__plan_commands[] = {
    {"runbook", "plan", "NAME", 1, 1, "param incident for", "what it would do now; reads, and changes nothing",
     run_plan},
    {0},
};
