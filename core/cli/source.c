/* source.c: source test: what a source makes of a sample, before the sender is pointed at it. */
#include "cli/room.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"

static void say_event(const struct stanch_cli *cli, const json_t *event)
{
    stanch_cli__show(cli, event, "kind state name summary fingerprint");
    STANCH_AUTO_FREE char *at = stanch_cli__one_line(json_object_get(event, "starts_at"));
    stanch_cli__field_text(cli, "starts_at", at);
    stanch_cli__show(cli, event, "labels annotations change link");
    stanch_cli__say(cli, "\n");
}

static int run_test(struct stanch_cli *cli)
{
    STANCH_AUTO_BUF struct stanch_buf body = {0};
    STANCH_AUTO_JSON json_t *answer = NULL;
    json_t *event;
    size_t i;
    int rc = stanch_cli__read_file(cli, cli->args[1], &body);
    if (rc != 0)
        return rc;
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/sources/%s/test", cli->args[0]);
    rc = stanch_cli__send_raw(cli, path, stanch_buf_str(&body), body.len, &answer);
    if (rc != 0 || stanch_cli__said_json(cli, answer))
        return rc;
    const json_t *events = json_object_get(answer, "events");
    json_array_foreach(events, i, event) say_event(cli, event);
    size_t count = json_array_size(events);
    stanch_cli__say(cli, "%zu event%s; nothing was recorded, and no credential was checked\n", count,
                    count == 1 ? "" : "s");
    return 0;
}

const struct stanch_cli__command stanch_cli__source_commands[] = {
    {"source", "test", "SOURCE FILE|-", 2, 2, "header", "what a source makes of a sample", run_test},
    {0},
};
