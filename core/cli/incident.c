/* incident.c: incident list | show | declare | set | take | handoff | assign | note | decide | merge | resolve | report.
 */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define FIELDS "id state soaking severity title roles created runs events merged_into"

static int run_list(struct stanch_cli *cli)
{
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    return stanch_cli__list(cli, all ? "/v1/incidents" : "/v1/incidents?open=true", "ID STATE SEV AGE TITLE",
                            "id state severity created~ title", all ? "no incidents" : "no open incidents");
}

static int show_answer(struct stanch_cli *cli, int rc, const json_t *doc)
{
    return rc ? rc : stanch_cli__show(cli, doc, FIELDS);
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__get(cli, path, &doc);
    return show_answer(cli, rc, doc);
}

static int change(struct stanch_cli *cli, const char *method, const char *path, const json_t *body)
{
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__send(cli, method, path, body, &doc);
    return show_answer(cli, rc, doc);
}

static int run_declare(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "title", cli->args[0]);
    stanch_json_set_str(body, "severity", stanch_cli__value(cli, STANCH_CLI__SEVERITY));
    stanch_json_set_str(body, "note", stanch_cli__value(cli, STANCH_CLI__NOTE));
    return change(cli, "POST", "/v1/incidents", body);
}

static int read_roles(struct stanch_cli *cli, json_t *body)
{
    json_t *roles = json_object();
    for (int i = 0; i < cli->many_count; i++) {
        const char *equals = strchr(cli->many[i], '=');
        if (!equals || equals == cli->many[i]) {
            json_decref(roles);
            return stanch_err_set(&cli->err, STANCH_E_INVALID, "--role %s: expected ROLE=WHO", cli->many[i]);
        }
        json_object_setn_new(roles, cli->many[i], (size_t)(equals - cli->many[i]), json_string(equals + 1));
    }
    if (json_object_size(roles) > 0)
        json_object_set(body, "roles", roles);
    json_decref(roles);
    return 0;
}

static int run_set(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    stanch_json_set_str(body, "title", stanch_cli__value(cli, STANCH_CLI__TITLE));
    stanch_json_set_str(body, "severity", stanch_cli__value(cli, STANCH_CLI__SEVERITY));
    stanch_json_set_str(body, "state", stanch_cli__value(cli, STANCH_CLI__STATE));
    int rc = read_roles(cli, body);
    if (rc == 0 && json_object_size(body) == 0)
        rc = stanch_err_set(&cli->err, STANCH_E_INVALID,
                            "nothing to set: --title, --severity, --state or --role ROLE=WHO");
    return rc ? rc : change(cli, "PATCH", path, body);
}

/* person NULL: the caller */
static int give_role(struct stanch_cli *cli, const char *role, const char *person)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s/roles", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "role", role);
    stanch_json_set_str(body, "person", person);
    stanch_json_set_str(body, "reason", stanch_cli__value(cli, STANCH_CLI__REASON));
    return change(cli, "POST", path, body);
}

static int run_take(struct stanch_cli *cli)
{
    return give_role(cli, cli->many_count > 0 ? cli->many[0] : "ic", NULL);
}

static int run_give(struct stanch_cli *cli)
{
    const char *person = stanch_cli__value(cli, STANCH_CLI__TO);
    if (cli->many_count != 1 || !person)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "say which role, and who gets it: --role ic --to grace");
    return give_role(cli, cli->many[0], person);
}

static int add_entry(struct stanch_cli *cli, const char *kind)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s/timeline", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s, s:s}", "kind", kind, "text", cli->args[1]);
    STANCH_AUTO_JSON json_t *entry = NULL;
    int rc = stanch_cli__send(cli, "POST", path, body, &entry);
    if (rc != 0 || stanch_cli__said_json(cli, entry))
        return rc;
    STANCH_AUTO_FREE char *text = stanch_cli__one_line(json_object_get(entry, "text"));
    stanch_cli__say(cli, "%s: %s\n", cli->args[0], *text ? text : "done");
    return 0;
}

static int run_note(struct stanch_cli *cli)
{
    return add_entry(cli, "note");
}

static int run_decide(struct stanch_cli *cli)
{
    return add_entry(cli, "decide");
}

static int run_merge(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s/merge", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "into", cli->args[1]);
    return change(cli, "POST", path, body);
}

static int run_resolve(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "state", "resolved");
    stanch_json_set_str(body, "reason", stanch_cli__because(cli));
    return change(cli, "PATCH", path, body);
}

static int run_report(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path(
        cli->json ? "/v1/incidents/%s/report" : "/v1/incidents/%s/report?format=markdown", cli->args[0]);
    STANCH_AUTO_JSON json_t *report = NULL;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = cli->json ? stanch_cli__get(cli, path, &report) : stanch_cli__get_text(cli, path, &text);
    if (rc == 0 && !stanch_cli__said_json(cli, report))
        stanch_cli__say_lines(cli, stanch_buf_str(&text));
    return rc;
}

const struct stanch_cli__command stanch_cli__incident_commands[] = {
    {"incident", "list", "", 0, 0, "all limit", "what is open; --all: all", run_list},
    {"incident", "show", "INC", 1, 1, "", "one incident", run_show},
    {"incident", "declare", "TITLE", 1, 1, "severity note", "declare an incident", run_declare},
    {"incident", "set", "INC", 1, 1, "title severity state role", "change what is known of it", run_set},
    {"incident", "take", "INC", 1, 1, "role reason", "take a role: the IC's, or --role; from a holder with --reason",
     run_take},
    {"incident", "handoff", "INC", 1, 1, "role to reason", "hand a role that you hold to somebody else", run_give},
    {"incident", "assign", "INC", 1, 1, "role to reason", "give a role to somebody", run_give},
    {"incident", "note", "INC TEXT", 2, 2, "", "add a note to its timeline", run_note},
    {"incident", "decide", "INC TEXT", 2, 2, "", "add a decision to its timeline", run_decide},
    {"incident", "merge", "INC INTO", 2, 2, "", "merge it into another one", run_merge},
    {"incident", "resolve", "INC", 1, 1, "because reason",
     "it is over: at once with --because, else when its symptoms stayed good", run_resolve},
    {"incident", "report", "INC", 1, 1, "", "the draft of its postmortem: Markdown, or --json", run_report},
    {0},
};
