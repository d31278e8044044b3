/* breaker.c: breakers, breaker close: where a runbook did not help, so that it asks before it tries there again. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"

static int run_list(struct stanch_cli *cli)
{
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    return stanch_cli__list(
        cli, all ? "/v1/breakers?open=all" : "/v1/breakers", "RUNBOOK TARGET STATE COUNT HOW CLOSES LAST WHY",
        "runbook target state count tally closes^ step why", all ? "nothing was counted" : "no breaker is open");
}

static int run_close(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s, s:s}", "runbook", cli->args[0], "target", cli->args[1]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    stanch_json_set_str(body, "because", stanch_cli__value(cli, STANCH_CLI__BECAUSE));
    int rc = stanch_cli__send(cli, "POST", "/v1/breakers/close", body, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "runbook target state closed_why");
}

const struct stanch_cli__command stanch_cli__breaker_commands[] = {
    {"breakers", NULL, "", 0, 0, "all limit", "what asks because a runbook did not help there", run_list},
    {"breaker", "close", "RUNBOOK TARGET", 2, 2, "because", "let it try there again without asking", run_close},
    {0},
};
