/* gameday.c: drills of the daemon: drill begin | end | report, drills. Those that a folder holds are played by drill.c. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static void say_how_to_come_in(const struct stanch_cli *cli, const json_t *drill)
{
    const char *name = stanch_json_str(drill, "name", "");
    if (!stanch_json_str(drill, "socket", NULL))
        return;
    stanch_cli__say(
        cli,
        "%s (%s, %s) has begun. In it: `stanch --drill status`, `stanch --drill approvals`, `stanch --drill "
        "approve A-1`. Its end: `stanch drill end %s`\n",
        stanch_json_str(drill, "id", ""), name, stanch_json_str(drill, "kind", ""), stanch_json_str(drill, "id", ""));
}

static int say_ended(struct stanch_cli *cli, const json_t *drill)
{
    const char *why = stanch_json_str(drill, "why", NULL);
    stanch_cli__say(cli, "%s (%s) is over%s%s. Promises met: %lld of %lld. `stanch drill report %s`\n",
                    stanch_json_str(drill, "id", ""), stanch_json_str(drill, "name", ""), why ? ": " : "",
                    why ? why : "", (long long)stanch_json_int(drill, "met", 0),
                    (long long)stanch_json_int(drill, "of", 0), stanch_json_str(drill, "id", ""));
    return 0;
}

static int run_begin(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *drill = NULL;
    const char *speed = stanch_cli__value(cli, STANCH_CLI__SPEED);
    char *end = NULL;
    long times = speed ? strtol(speed, &end, 10) : 0;
    if (speed && (!*speed || *end))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--speed takes a whole number from 1 to 60, not %.40s",
                              speed);
    stanch_json_set_str(body, "name", cli->args[0]);
    stanch_json_set_str(body, "kind", stanch_cli__value(cli, STANCH_CLI__KIND));
    if (speed)
        json_object_set_new(body, "speed", json_integer(times));
    cli->timeout_s = 0;
    int rc = stanch_cli__send(cli, "POST", "/v1/drills", body, &drill);
    if (rc != 0 || stanch_cli__said_json(cli, drill))
        return rc;
    if (strcmp(stanch_json_str(drill, "state", ""), "ended") == 0)
        return say_ended(cli, drill);
    say_how_to_come_in(cli, drill);
    return 0;
}

static int run_end(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/drills/%s/end", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_object();
    STANCH_AUTO_JSON json_t *drill = NULL;
    stanch_json_set_str(body, "why", stanch_cli__because(cli));
    cli->timeout_s = 0;
    int rc = stanch_cli__send(cli, "POST", path, body, &drill);
    if (rc != 0 || stanch_cli__said_json(cli, drill))
        return rc;
    return say_ended(cli, drill);
}

/* In a form of its own into a file, when there is one. */
static int keep_as(struct stanch_cli *cli, const char *path, const char *format, const char *file)
{
    STANCH_AUTO_FREE char *url = stanch_asprintf("%s?format=%s", path, format);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = file ? stanch_cli__get_text(cli, url, &text) : 0;
    return rc || !file ? rc : stanch_cli__write_file(cli, file, stanch_buf_str(&text), false);
}

static int run_report(struct stanch_cli *cli)
{
    const char *markdown = stanch_cli__value(cli, STANCH_CLI__MARKDOWN),
               *html = stanch_cli__value(cli, STANCH_CLI__HTML);
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/drills/%s/report", cli->args[0]);
    STANCH_AUTO_FREE char *as_text = stanch_asprintf("%s?format=markdown", path);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_JSON json_t *report = NULL;
    int rc = keep_as(cli, path, "markdown", markdown);
    rc = rc ? rc : keep_as(cli, path, "html", html);
    if (rc == 0 && cli->json) {
        rc = stanch_cli__get(cli, path, &report);
        (void)(rc || stanch_cli__said_json(cli, report));
    } else if (rc == 0 && !markdown && !html) {
        rc = stanch_cli__get_text(cli, as_text, &text);
        if (rc == 0)
            stanch_cli__say_lines(cli, stanch_buf_str(&text));
    }
    return rc;
}

/* What comes by the schedule, then what is and was. */
static int run_drills(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *coming = NULL;
    if (!cli->json && !stanch_cli__flag(cli, STANCH_CLI__ALL)) {
        int rc = stanch_cli__get(cli, "/v1/drills/coming", &coming);
        if (rc != 0)
            return rc;
    }
    const json_t *items = json_object_get(coming, "items");
    if (json_array_size(items) > 0) {
        struct stanch_cli__table *table = stanch_cli__table_new("COMING DRILL KIND PLAN ID WHY");
        for (size_t i = 0; i < json_array_size(items); i++)
            stanch_cli__table_row(table, json_array_get(items, i), "at name kind plan drill why");
        stanch_cli__table_print(cli, table, "");
        stanch_cli__say(cli, "\n");
    }
    return stanch_cli__list(cli, "/v1/drills?open=all", "ID STATE DRILL KIND AT MET OF WHY",
                            "id state name kind at met of why", "no drill of this daemon yet");
}

const struct stanch_cli__command stanch_cli__gameday_commands[] = {
    {"drill", "begin", "NAME", 1, 1, "kind speed",
     "the daemon plays it with people (exercise, staging), or without (virtual)", run_begin},
    {"drill", "end", "D", 1, 1, "because reason", "end one that is under way", run_end},
    {"drill", "report", "D", 1, 1, "markdown html", "how one of the daemon's was", run_report},
    {"drills", NULL, "", 0, 0, "all limit", "the daemon's: those that come, those that were", run_drills},
    {0},
};
