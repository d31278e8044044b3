/* hold.c: hold, holds, release: what people take by hand. While it is held, what stanch would do there by itself asks. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static void say_under_way(const struct stanch_cli *cli, const json_t *hold)
{
    STANCH_AUTO_FREE char *busy = stanch_cli__one_line(json_object_get(hold, "under_way"));
    if (json_array_size(json_object_get(hold, "under_way")) > 0)
        stanch_cli__say(cli, "on its way there, and not called back: %s\n", busy);
}

static int run_hold(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *hold = NULL;
    stanch_json_set_str(body, "target", cli->args[0]);
    stanch_json_set_str(body, "reason", stanch_cli__because(cli));
    int rc = stanch_cli__set_for(cli, body);
    if (rc == 0)
        rc = stanch_cli__send(cli, "POST", "/v1/holds", body, &hold);
    if (rc != 0 || stanch_cli__said_json(cli, hold))
        return rc;
    STANCH_AUTO_FREE char *target = stanch_cli__one_line(json_object_get(hold, "target"));
    STANCH_AUTO_FREE char *holder = stanch_cli__one_line(json_object_get(hold, "holder"));
    stanch_cli__say(cli, "%s: %s holds %s until %s, fencing number %lld\n", stanch_json_str(hold, "id", ""), holder,
                    target, stanch_json_str(hold, "until", ""), (long long)stanch_json_int(hold, "fence", 0));
    say_under_way(cli, hold);
    return 0;
}

static int run_holds(struct stanch_cli *cli)
{
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    return stanch_cli__list(cli, all ? "/v1/holds?open=all" : "/v1/holds", "ID STATE TARGET HOLDER FENCE ENDS REASON",
                            "id state target holder fence ends^ reason", all ? "no holds" : "nothing is held by hand");
}

static int run_release(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *hold = NULL;
    stanch_json_set_str(body, "target", cli->args[0]);
    stanch_json_set_str(body, "reason", stanch_cli__because(cli));
    stanch_json_set_str(body, "of", stanch_cli__value(cli, STANCH_CLI__OF));
    int rc = stanch_cli__send(cli, "POST", "/v1/holds/release", body, &hold);
    if (rc != 0 || stanch_cli__said_json(cli, hold))
        return rc;
    STANCH_AUTO_FREE char *target = stanch_cli__one_line(json_object_get(hold, "target"));
    stanch_cli__say(cli, "%s is released; what asked meanwhile still waits for its answer (`stanch approvals`)\n",
                    target);
    return 0;
}

const struct stanch_cli__command stanch_cli__hold_commands[] = {
    {"hold", NULL, "TARGET", 1, 1, "for because", "take a target by hand: what stanch would do there by itself asks",
     run_hold},
    {"holds", NULL, "", 0, 0, "all limit", "what is held by hand, by whom, until when", run_holds},
    {"release", NULL, "TARGET", 1, 1, "of because", "let go of it", run_release},
    {0},
};
