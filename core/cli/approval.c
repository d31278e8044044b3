/* approval.c: approvals, approve, deny, answer. Approving shows the plan first, and sends the digest of what was
 * shown: nobody approves something else than what stood on the screen. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>
#include <unistd.h>

static int run_list(struct stanch_cli *cli)
{
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    if (stanch_cli__flag(cli, STANCH_CLI__FORCED))
        return stanch_cli__list(cli, "/v1/approvals?forced=true", "ID INCIDENT AGE BY ROLE REASON",
                                "id incident created~ decided_by role note", "nobody broke the glass");
    return stanch_cli__list(cli, all ? "/v1/approvals?open=all" : "/v1/approvals",
                            "ID STATE ABOUT ROLE INCIDENT RUN RISK EXPIRES BECAUSE",
                            "id state about role incident run risk expires^ because", "nothing waits for an answer");
}

static int read_approval(struct stanch_cli *cli, json_t **ret)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/approvals/%s", cli->args[0]);
    return stanch_cli__get(cli, path, ret);
}

static void show_expiry(const struct stanch_cli *cli, const json_t *approval)
{
    char text[32];
    int64_t left_ms = stanch_json_int(approval, "expires_ms", 0) - stanch_wall_now_ms();
    if (stanch_json_int(approval, "expires_ms", 0) <= 0 ||
        strcmp(stanch_json_str(approval, "state", ""), "pending") != 0)
        return;
    stanch_duration_text(left_ms > 0 ? left_ms - left_ms % 1000 : 0, text);
    stanch_cli__field_text(cli, "expires in", text);
}

static void show_reach(const struct stanch_cli *cli, const json_t *plan)
{
    double reach = stanch_json_real(plan, "reach", -1);
    char text[32];
    if (reach < 0)
        return;
    (void)snprintf(text, sizeof text, "%.3g %% of the whole", reach * 100);
    stanch_cli__field_text(cli, "reach", text);
}

static void show_what(const struct stanch_cli *cli, const json_t *approval)
{
    STANCH_AUTO_FREE char *instance = stanch_cli__one_line(json_object_get(approval, "instance"));
    STANCH_AUTO_FREE char *action = stanch_cli__one_line(json_object_get(approval, "action"));
    STANCH_AUTO_FREE char *args = stanch_cli__one_line(json_object_get(approval, "args"));
    STANCH_AUTO_FREE char *what = stanch_asprintf("%s.%s %s", instance, action, args);
    if (*action)
        stanch_cli__field_text(cli, "what", what);
}

/* The card: what, where, from, to; what it means; how to take it back; why; and how sure all that is. */
static void show_card(const struct stanch_cli *cli, const json_t *approval)
{
    static const struct {
        const char *name, *member;
    } of_plan[] = {{"where", "targets"},
                   {"from", "from"},
                   {"to", "to"},
                   {"tags", "tags"},
                   {"impact", "impact"},
                   {"undo", "undo"},
                   {"undo by hand", "undo_by_hand"},
                   {"by hand", "by_hand"}},
      of_approval[] = {{"because", "because"}, {"risk", "risk"},       {"why", "why"},
                       {"rules", "rules"},     {"symptom", "symptom"}, {"choices", "choices"}};
    const json_t *plan = json_object_get(approval, "plan");
    stanch_cli__show(cli, approval, "id state about role of_role incident run step");
    show_what(cli, approval);
    for (size_t i = 0; i < sizeof of_plan / sizeof *of_plan; i++)
        stanch_cli__field(cli, of_plan[i].name, json_object_get(plan, of_plan[i].member));
    show_reach(cli, plan);
    for (size_t i = 0; i < sizeof of_approval / sizeof *of_approval; i++)
        stanch_cli__field(cli, of_approval[i].name, json_object_get(approval, of_approval[i].member));
    stanch_cli__field(cli, "mitigations", json_object_get(approval, "mitigations"));
    show_expiry(cli, approval);
    stanch_cli__field(cli, "plan", json_object_get(approval, "plan_digest"));
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *approval = NULL;
    int rc = read_approval(cli, &approval);
    if (rc != 0 || stanch_cli__said_json(cli, approval))
        return rc;
    show_card(cli, approval);
    return 0;
}

static int decide(struct stanch_cli *cli, const char *decision, const char *plan)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/approvals/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "decision", decision);
    STANCH_AUTO_JSON json_t *approval = NULL;
    stanch_json_set_str(body, "plan", plan);
    stanch_json_set_str(body, "note", stanch_cli__value(cli, STANCH_CLI__NOTE));
    if (stanch_cli__flag(cli, STANCH_CLI__BREAK_GLASS)) {
        stanch_json_set_str(body, "note", stanch_cli__value(cli, STANCH_CLI__REASON));
        json_object_set_new(body, "break_glass", json_true());
    }
    int rc = stanch_cli__send(cli, "POST", path, body, &approval);
    if (rc != 0 || stanch_cli__said_json(cli, approval))
        return rc;
    STANCH_AUTO_FREE char *state = stanch_cli__one_line(json_object_get(approval, "state"));
    stanch_cli__say(cli, "%s: %s\n", cli->args[0], *state ? state : decision);
    return 0;
}

bool stanch_cli__ask_yes(const struct stanch_cli *cli, const char *question)
{
    char line[64];
    stanch_cli__say(cli, "\n%s? [y/N] ", question);
    (void)fflush(cli->out);
    return fgets(line, sizeof line, stdin) && (strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0);
}

static int run_approve(struct stanch_cli *cli)
{
    const char *digest = stanch_cli__value(cli, STANCH_CLI__PLAN);
    STANCH_AUTO_JSON json_t *approval = NULL;
    if (stanch_cli__flag(cli, STANCH_CLI__BREAK_GLASS) != (stanch_cli__value(cli, STANCH_CLI__REASON) != NULL))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--break-glass and --reason TEXT go together");
    if (stanch_cli__flag(cli, STANCH_CLI__YES)) {
        if (!digest)
            return stanch_err_set(&cli->err, STANCH_E_INVALID,
                                  "--yes needs --plan DIGEST: the digest of the plan that you have seen");
        return decide(cli, "approve", digest);
    }
    int rc = read_approval(cli, &approval);
    if (rc != 0)
        return rc;
    const char *shown = stanch_json_str(approval, "plan_digest", NULL);
    if (!isatty(STDIN_FILENO))
        return stanch_err_set(&cli->err, STANCH_E_REFUSED,
                              "not a terminal, so nobody can be asked; approve with --yes --plan DIGEST");
    if (digest && shown && strcmp(digest, shown) != 0)
        return stanch_err_set(&cli->err, STANCH_E_STALE, "the plan is another one by now: %s", shown);
    show_card(cli, approval);
    if (!stanch_cli__ask_yes(cli, "Approve exactly this"))
        return stanch_err_set(&cli->err, STANCH_E_CANCELLED, "not approved; %s waits on", cli->args[0]);
    return decide(cli, "approve", shown);
}

static int run_deny(struct stanch_cli *cli)
{
    return decide(cli, "deny", NULL);
}

static int run_answer(struct stanch_cli *cli)
{
    return decide(cli, cli->args[1], stanch_cli__value(cli, STANCH_CLI__PLAN));
}

const struct stanch_cli__command stanch_cli__approval_commands[] = {
    {"approvals", NULL, "", 0, 0, "all forced limit", "what waits for an answer; --forced: what was forced", run_list},
    {"approvals", "show", "ID", 1, 1, "", "one question with its plan", run_show},
    {"approve", NULL, "ID", 1, 1, "yes plan note break-glass reason", "show the plan, ask, approve it", run_approve},
    {"deny", NULL, "ID", 1, 1, "note", "deny it, finally", run_deny},
    {"answer", NULL, "ID CHOICE", 2, 2, "plan note", "answer a question of another kind", run_answer},
    {0},
};
