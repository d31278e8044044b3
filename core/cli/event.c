/* event.c: event send | list | show. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>

int stanch_cli__read_file(struct stanch_cli *cli, const char *path, struct stanch_buf *ret)
{
    char some[65536];
    size_t got;
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *in = is_stdin ? stdin : fopen(path, "rbe");
    if (!in)
        return stanch_err_errno(&cli->err, STANCH_E_INVALID, errno, "cannot read %s", path);
    while ((got = fread(some, 1, sizeof some, in)) > 0)
        stanch_buf_add(ret, some, got);
    int rc = ferror(in) ? stanch_err_errno(&cli->err, STANCH_E_INVALID, errno, "cannot read %s", path) : 0;
    if (!is_stdin)
        (void)fclose(in);
    return rc;
}

static void say_event(const struct stanch_cli *cli, const json_t *event)
{
    STANCH_AUTO_FREE char *id = stanch_cli__one_line(json_object_get(event, "id"));
    STANCH_AUTO_FREE char *state = stanch_cli__one_line(json_object_get(event, "state"));
    STANCH_AUTO_FREE char *incident = stanch_cli__one_line(json_object_get(event, "incident"));
    STANCH_AUTO_FREE char *why = stanch_cli__one_line(json_object_get(event, "why"));
    size_t runs = json_array_size(json_object_get(event, "runs"));
    stanch_cli__say(cli, "%s %s%s%s%s", id, state, stanch_json_bool(event, "repeat", false) ? ", a repeat" : "",
                    *incident ? ", " : "", incident);
    for (size_t i = 0; i < runs; i++) {
        STANCH_AUTO_FREE char *run = stanch_cli__one_line(json_array_get(json_object_get(event, "runs"), i));
        stanch_cli__say(cli, ", run %s", run);
    }
    stanch_cli__say(cli, "%s%s\n", *why ? ": " : "", why);
}

static int run_send(struct stanch_cli *cli)
{
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    STANCH_AUTO_JSON json_t *answer = NULL;
    const char *source = stanch_cli__value(cli, STANCH_CLI__SOURCE);
    json_t *event;
    size_t i;
    if (!source)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--source NAME says which source the event comes from");
    int rc = stanch_cli__read_file(cli, cli->args[0], &body);
    if (rc != 0)
        return rc;
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/events/%s", source);
    rc = stanch_cli__send_raw(cli, path, stanch_buf_str(&body), body.len, &answer);
    if (rc != 0 || stanch_cli__said_json(cli, answer))
        return rc;
    json_array_foreach(json_object_get(answer, "events"), i, event) say_event(cli, event);
    return 0;
}

static int run_list(struct stanch_cli *cli)
{
    const char *incident = stanch_cli__value(cli, STANCH_CLI__INCIDENT);
    STANCH_AUTO_FREE char *path =
        incident ? stanch_cli__path("/v1/events?incident=%s", incident) : stanch_strdup("/v1/events");
    return stanch_cli__list(cli, path, "ID STATE SOURCE INCIDENT AGE COUNT NAME",
                            "id state source incident created~ count name", "no events");
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/events/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__get(cli, path, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "id kind state name labels source starts_at count incident why");
}

const struct stanch_cli__command stanch_cli__event_commands[] = {
    {"event", "send", "FILE|-", 1, 1, "source header", "post a webhook's body", run_send},
    {"event", "list", "", 0, 0, "incident limit", "events, newest first", run_list},
    {"event", "show", "EVENT", 1, 1, "", "one event", run_show},
    {0},
};
