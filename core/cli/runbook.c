/* runbook.c: runbook list | show | lint | sync. */
#include "cli/room.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>
#include <unistd.h>

static int run_list(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *answer = NULL;
    json_t *item;
    size_t i;
    int rc = stanch_cli__get(cli, "/v1/runbooks", &answer);
    if (rc != 0 || stanch_cli__said_json(cli, answer))
        return rc;
    const json_t *book = json_object_get(answer, "book");
    stanch_cli__field(cli, "commit", json_object_get(book, "commit"));
    stanch_cli__field(cli, "state", json_object_get(book, "state"));
    stanch_cli__field(cli, "why", json_object_get(book, "why"));
    if (json_object_get(book, "age_ms")) {
        char age[32];
        stanch_duration_text(stanch_json_int(book, "age_ms", 0) / 1000 * 1000, age);
        STANCH_AUTO_FREE char *text = stanch_asprintf("the repository was last heard of %s ago", age);
        STANCH_AUTO_JSON json_t *shown = json_string(text);
        stanch_cli__field(cli, "age", shown);
    }
    struct stanch_cli__table *table = stanch_cli__table_new("NAME OWNER PATH SUMMARY");
    json_array_foreach(json_object_get(answer, "items"), i, item)
        stanch_cli__table_row(table, item, "name owner path summary");
    stanch_cli__table_print(cli, table, "no runbooks are loaded");
    return 0;
}

static void show_runbook(const struct stanch_cli *cli, const json_t *doc)
{
    const json_t *autonomy = json_object_get(doc, "autonomy");
    stanch_cli__show(cli, doc, "name summary owner path commit digest");
    stanch_cli__field(cli, "autonomy", json_object_get(autonomy, "mode"));
    stanch_cli__field(cli, "", json_object_get(autonomy, "why"));
    stanch_cli__show(cli, doc, "on uses params limits symptom");
    stanch_cli__say(cli, "\n");
    stanch_cli__say_lines(cli, stanch_json_str(doc, "source", ""));
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runbooks/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    int rc = stanch_cli__get(cli, path, &doc);
    if (rc != 0 || cli->json)
        return rc ? rc : stanch_cli__show(cli, doc, "");
    show_runbook(cli, doc);
    return 0;
}

/* Accepting binds what was seen: the digest that is sent is the one that was shown. */
static int send_accept(struct stanch_cli *cli, const char *digest)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runbooks/%s/accept", cli->args[0]);
    STANCH_AUTO_JSON json_t *body = json_pack("{s:s}", "digest", digest);
    STANCH_AUTO_JSON json_t *doc = NULL;
    stanch_json_set_str(body, "because", stanch_cli__value(cli, STANCH_CLI__BECAUSE));
    int rc = stanch_cli__send(cli, "POST", path, body, &doc);
    return rc ? rc : stanch_cli__show(cli, doc, "runbook state digest accepted_by because");
}

static int run_accept(struct stanch_cli *cli)
{
    const char *digest = stanch_cli__value(cli, STANCH_CLI__DIGEST);
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runbooks/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *doc = NULL;
    if (digest)
        return send_accept(cli, digest);
    if (!isatty(STDIN_FILENO))
        return stanch_err_set(&cli->err, STANCH_E_REFUSED,
                              "not a terminal, so nobody can be asked; give --digest, as `runbook show` tells it");
    int rc = stanch_cli__get(cli, path, &doc);
    if (rc != 0)
        return rc;
    show_runbook(cli, doc);
    if (!stanch_cli__ask_yes(cli, "Accept the runbook as it stands here"))
        return stanch_err_set(&cli->err, STANCH_E_CANCELLED, "not accepted");
    return send_accept(cli, stanch_json_str(doc, "digest", ""));
}

static int on_source(void *ctx, const char *name, struct stanch_buf *text, struct stanch_err *err)
{
    json_t *content = json_stringn(stanch_buf_str(text), text->len);
    if (!content)
        return stanch_err_set(err, STANCH_E_INVALID, "%s is not UTF-8", name);
    json_array_append_new(ctx, json_pack("{s:s, s:o}", "path", name, "text", content));
    return 0;
}

/* Whatever is too large or too many is for the daemon to say, which loads them. */
static int read_sources(struct stanch_cli *cli, const char *folder, json_t *files)
{
    static const struct stanch_folder_rules rules = {.ending = ".lua", .max_depth = 8};
    int rc = stanch_folder_read(folder, &rules, on_source, files, &cli->err);
    if (rc == STANCH_E_NOT_FOUND || rc == STANCH_E_SYSTEM)
        rc = cli->err.code = STANCH_E_INVALID; /* the argument is wrong; the daemon was not asked */
    return rc;
}

static void say_findings(const struct stanch_cli *cli, const json_t *list, const char *kind)
{
    json_t *item;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        STANCH_AUTO_FREE char *path = stanch_cli__one_line(json_object_get(item, "path"));
        STANCH_AUTO_FREE char *text = stanch_cli__one_line(json_object_get(item, "text"));
        stanch_cli__say(cli, "%s:%lld: %s: %s\n", path, (long long)stanch_json_int(item, "line", 0), kind, text);
    }
}

static int run_lint(struct stanch_cli *cli)
{
    json_t *files = json_array();
    STANCH_AUTO_JSON json_t *body = json_pack("{s:o}", "files", files);
    STANCH_AUTO_JSON json_t *found = NULL;
    int rc = read_sources(cli, cli->args[0], files);
    if (rc == 0 && json_array_size(files) == 0)
        rc = stanch_err_set(&cli->err, STANCH_E_INVALID, "no .lua file is in %s", cli->args[0]);
    if (rc == 0)
        rc = stanch_cli__send(cli, "POST", "/v1/runbooks/lint", body, &found);
    if (rc != 0)
        return rc;
    if (!stanch_cli__said_json(cli, found)) {
        say_findings(cli, json_object_get(found, "errors"), "error");
        say_findings(cli, json_object_get(found, "warnings"), "warning");
        stanch_cli__say(cli, "%zu files, %zu runbooks, %zu errors, %zu warnings\n", json_array_size(files),
                        json_array_size(json_object_get(found, "runbooks")),
                        json_array_size(json_object_get(found, "errors")),
                        json_array_size(json_object_get(found, "warnings")));
    }
    return stanch_json_bool(found, "ok", false)
               ? 0
               : stanch_err_set(&cli->err, STANCH_E_SCRIPT, "these runbooks would be refused");
}

static int run_sync(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *answer = NULL;
    int rc = stanch_cli__send(cli, "POST", "/v1/runbooks/sync", NULL, &answer);
    return rc ? rc : stanch_cli__show(cli, answer, "commit changed state why");
}

const struct stanch_cli__command stanch_cli__runbook_commands[] = {
    {"runbook", "list", "", 0, 0, "", "what is loaded, and from which commit", run_list},
    {"runbook", "show", "NAME", 1, 1, "", "one runbook with its source", run_show},
    {"runbook", "accept", "NAME", 1, 1, "digest because", "show it, ask, let it act as it is now", run_accept},
    {"runbook", "lint", "DIR", 1, 1, "", "check a folder's runbooks without loading them", run_lint},
    {"runbook", "sync", "", 0, 0, "", "look at the repository now", run_sync},
    {0},
};
