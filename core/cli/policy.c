/* policy.c: policy explain: would it run, would it ask, and which rule says so. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
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

/* What `words` holds becomes a list of the body, when there is any. */
static void add_list(json_t *body, const char *member, const char *const *words, int count)
{
    if (count > 0)
        json_object_set_new(body, member, json_array());
    for (int i = 0; i < count; i++)
        json_array_append_new(json_object_get(body, member), json_string(words[i]));
}

static int add_tags(struct stanch_cli *cli, json_t *body)
{
    bool untagged = stanch_cli__flag(cli, STANCH_CLI__UNTAGGED);
    if (untagged && cli->tag_count > 0)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--untagged says that there are no tags: leave --tag out");
    if (untagged)
        json_object_set_new(body, "tags", json_array());
    add_list(body, "tags", cli->tags, cli->tag_count);
    return 0;
}

/* A limit or a breaker as a row: when there is room again is a span. */
static void add_row(struct stanch_cli__table *table, const json_t *fact, const char *members)
{
    STANCH_AUTO_JSON json_t *row = json_copy((json_t *)(uintptr_t)fact);
    int64_t frees_ms = stanch_json_int(fact, "frees_in_ms", 0);
    char text[32];
    stanch_duration_text((frees_ms + 999) / 1000 * 1000, text);
    if (frees_ms > 0)
        stanch_json_set_str(row, "frees", text);
    stanch_json_set_str(row, "name", stanch_json_str(row, "name", "breaker"));
    stanch_cli__table_row(table, row, members);
}

/* What stands against it beside the rules, and how full the limits are that are about it. */
static void say_now(const struct stanch_cli *cli, const json_t *now)
{
    const json_t *fact, *against = json_object_get(now, "against");
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)against, i, fact) stanch_cli__field(cli, i == 0 ? "now" : "", fact);
    const json_t *limits = json_object_get(now, "limits"), *breakers = json_object_get(now, "breakers");
    if (json_array_size(limits) + json_array_size(breakers) == 0)
        return;
    stanch_cli__say(cli, "\n");
    struct stanch_cli__table *table = stanch_cli__table_new("LIMIT ABOUT USED OF FREES");
    json_array_foreach((json_t *)(uintptr_t)limits, i, fact) add_row(table, fact, "name about used of frees");
    json_array_foreach((json_t *)(uintptr_t)breakers, i, fact) add_row(table, fact, "name target used of frees");
    stanch_cli__table_print(cli, table, "");
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
    say_now(cli, json_object_get(told, "now"));
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
    rc = rc ? rc : add_tags(cli, body);
    if (rc < 0)
        return rc;
    stanch_json_set_str(body, "severity", stanch_cli__value(cli, STANCH_CLI__SEVERITY));
    stanch_json_set_str(body, "runbook", stanch_cli__value(cli, STANCH_CLI__RUNBOOK));
    stanch_json_set_str(body, "incident", stanch_cli__value(cli, STANCH_CLI__INCIDENT));
    stanch_json_set_str(body, "effect", stanch_cli__value(cli, STANCH_CLI__EFFECT));
    add_list(body, "targets", cli->many, cli->many_count);
    rc = stanch_cli__send(cli, "POST", "/v1/policy/explain", body, &told);
    if (rc == 0 && !stanch_cli__said_json(cli, told))
        say_verdict(cli, told);
    return rc;
}

const struct stanch_cli__command stanch_cli__policy_commands[] = {
    {"policy", "explain", "INSTANCE.ACTION", 1, 1, "target tag untagged severity runbook incident effect reach",
     "would it run, ask or be refused now, and what says so", run_explain},
    {0},
};
