/* policy.c: policy explain: would it run, would it ask, and which rule says so. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* "edge.drain" into instance and action. */
static int split_action(struct stanch_cli *cli, json_t *body)
{
    const char *word = cli->args[0], *dot = strchr(word, '.');
    if (!dot || dot == word || !dot[1])
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "\"%.80s\" is not an action; write INSTANCE.ACTION, as a runbook does: edge.drain", word);
    json_object_set_new(body, "instance", json_stringn(word, (size_t)(dot - word)));
    json_object_set_new(body, "action", json_string(dot + 1));
    return 0;
}

static int add_reach(struct stanch_cli *cli, json_t *body)
{
    const char *text = stanch_cli__value(cli, STANCH_CLI__REACH);
    char *end = NULL;
    double reach = text ? strtod(text, &end) : 0;
    if (text && (end == text || *end || !(reach >= 0 && reach <= 1)))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--reach \"%.40s\": expected a number from 0 to 1", text);
    if (text)
        json_object_set_new(body, "reach", json_real(reach));
    return 0;
}

static void say_verdict(const struct stanch_cli *cli, const json_t *told)
{
    struct stanch_cli__table *table = stanch_cli__table_new("LINE RULE RISK VERDICT BECAUSE");
    const json_t *rule;
    size_t i;
    stanch_cli__show(cli, told, "verdict why declared_risk plugin environment");
    if (strcmp(stanch_json_str(told, "verdict", ""), "asks") == 0)
        stanch_cli__show(cli, told, "role quorum");
    stanch_cli__field(cli, "autonomy", json_object_get(json_object_get(told, "autonomy"), "mode"));
    stanch_cli__field(cli, "", json_object_get(json_object_get(told, "autonomy"), "why"));
    stanch_cli__say(cli, "\n");
    json_array_foreach(json_object_get(told, "rules"), i, rule)
        stanch_cli__table_row(table, rule, "line name risk verdict because");
    stanch_cli__table_print(cli, table, "the policy has no rules");
}

static int run_explain(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_object(), *told = NULL;
    int rc = split_action(cli, body);
    rc = rc ? rc : add_reach(cli, body);
    if (rc < 0)
        return rc;
    stanch_json_set_str(body, "severity", stanch_cli__value(cli, STANCH_CLI__SEVERITY));
    stanch_json_set_str(body, "runbook", stanch_cli__value(cli, STANCH_CLI__RUNBOOK));
    stanch_json_set_str(body, "effect", stanch_cli__value(cli, STANCH_CLI__EFFECT));
    for (int i = 0; i < cli->many_count; i++) {
        if (i == 0)
            json_object_set_new(body, "targets", json_array());
        json_array_append_new(json_object_get(body, "targets"), json_string(cli->many[i]));
    }
    rc = stanch_cli__send(cli, "POST", "/v1/policy/explain", body, &told);
    if (rc == 0 && !stanch_cli__said_json(cli, told))
        say_verdict(cli, told);
    return rc;
}

const struct stanch_cli__command stanch_cli__policy_commands[] = {
    {"policy", "explain", "INSTANCE.ACTION", 1, 1, "target severity runbook effect reach",
     "would it run, ask or be refused, and which rules say so", run_explain},
    {0},
};
