/* drill.c: drill run | list | show | compare | finding | done | from. A process of its own plays and reads what is kept
 * (serve_rehearse_drill.c); only `from` asks a daemon: for an incident that happened. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <string.h>

#define WORDS 24

/* ---- the process ---- */

struct words {
    char *words[WORDS];
    int count;
};

static void add(struct words *words, const char *word)
{
    if (words->count < WORDS - 1)
        words->words[words->count++] = stanch_strdup(word);
}

static void add_option(struct words *words, const char *name, const char *value)
{
    if (!value)
        return;
    add(words, name);
    add(words, value);
}

/* folder: of the simulated world, the last word; NULL: files only. ret: new. Mistakes are on stderr already: only the code is handed on */
static int ask(struct stanch_cli *cli, const char *verb, const char *folder, json_t **ret)
{
    struct words words = {0};
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_FREE char *config = folder ? stanch_cli__config_of(cli, folder) : NULL;
    add(&words, "rehearse");
    add(&words, "drill");
    add(&words, verb);
    add_option(&words, "--config", config);
    add_option(&words, "--plugins", stanch_cli__value(cli, STANCH_CLI__PLUGINS));
    add_option(&words, "--keep", stanch_cli__value(cli, STANCH_CLI__KEEP));
    add_option(&words, "--kind", stanch_cli__value(cli, STANCH_CLI__KIND));
    add_option(&words, "--owner", stanch_cli__value(cli, STANCH_CLI__OWNER));
    add_option(&words, "--due", stanch_cli__value(cli, STANCH_CLI__DUE));
    add(&words, "--");
    for (int i = 0; i < cli->arg_count && !(folder && folder == cli->args[i]); i++)
        add(&words, cli->args[i]);
    if (folder)
        add(&words, folder);
    int rc = stanch_cli__run_self(cli, words.words, &text);
    for (int i = 0; i < words.count; i++)
        free(words.words[i]);
    return rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, &cli->err);
}

/* ---- output ---- */

/* is_new: what is there already stays as it is. */
int stanch_cli__write_file(struct stanch_cli *cli, const char *path, const char *text, bool is_new)
{
    FILE *out = fopen(path, is_new ? "wxe" : "we");
    if (!out && errno == EEXIST)
        return stanch_err_set(&cli->err, STANCH_E_CONFLICT, "%s is there already", path);
    if (!out)
        return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "cannot write %s", path);
    (void)fputs(text, out);
    int failed = ferror(out);
    return fclose(out) != 0 || failed ? stanch_err_set(&cli->err, STANCH_E_SYSTEM, "%s could not be written", path) : 0;
}

/* shown: {member, "markdown", "html"?}. What goes into a file is not printed. */
static int say(struct stanch_cli *cli, const json_t *shown, const char *member)
{
    const char *markdown = stanch_json_str(shown, "markdown", "");
    const char *path = stanch_cli__value(cli, STANCH_CLI__MARKDOWN), *page = stanch_cli__value(cli, STANCH_CLI__HTML);
    int rc = path ? stanch_cli__write_file(cli, path, markdown, false) : 0;
    if (rc == 0 && page)
        rc = stanch_cli__write_file(cli, page, stanch_json_str(shown, "html", ""), false);
    if (rc == 0 && !stanch_cli__said_json(cli, json_object_get(shown, member)) && !path && !page)
        stanch_cli__say_lines(cli, markdown);
    return rc;
}

/* ---- commands ---- */

static int run_run(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *shown = NULL;
    int rc = ask(cli, "run", cli->arg_count > 1 ? cli->args[1] : ".", &shown);
    rc = rc ? rc : say(cli, shown, "report");
    if (rc != 0 || stanch_json_bool(shown, "good", false))
        return rc;
    const json_t *report = json_object_get(shown, "report");
    int64_t met = stanch_json_int(report, "met", 0), of = stanch_json_int(report, "of", 0);
    return stanch_err_set(&cli->err, STANCH_E_SCRIPT, "%s%lld of %lld promises were missed",
                          json_object_get(report, "broken") ? "the scenario broke off, " : "", (long long)(of - met),
                          (long long)of);
}

static void say_table(const struct stanch_cli *cli, const json_t *rows, const char *heads, const char *members,
                      const char *nothing)
{
    struct stanch_cli__table *table = stanch_cli__table_new(heads);
    for (size_t i = 0; i < json_array_size(rows); i++)
        stanch_cli__table_row(table, json_array_get(rows, i), members);
    stanch_cli__table_print(cli, table, nothing);
}

static int run_list(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *listed = NULL;
    int rc = ask(cli, "list", cli->arg_count ? cli->args[0] : ".", &listed);
    if (rc != 0)
        return rc;
    const json_t *errors = json_object_get(listed, "errors");
    if (!stanch_cli__said_json(cli, listed)) {
        say_table(cli, json_object_get(listed, "drills"), "NAME KIND ALERTS PEOPLE FILE LINE SUMMARY",
                  "name kind alerts people file line summary", "there is no drill in the folder's drills/");
        if (json_object_get(listed, "results")) {
            stanch_cli__say(cli, "\n");
            say_table(cli, json_object_get(listed, "results"), "RESULT DRILL MET OF FINDINGS",
                      "result drill met of findings", "no result is kept");
        }
    }
    if (json_array_size(errors) == 0)
        return 0;
    return stanch_err_set(&cli->err, STANCH_E_SCRIPT, "%.900s",
                          stanch_json_str(json_array_get(errors, 0), "text", "a file could not be read"));
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *shown = NULL;
    int rc = ask(cli, "show", NULL, &shown);
    return rc ? rc : say(cli, shown, "report");
}

static int run_compare(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *all = NULL, *compared = json_array();
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = ask(cli, "compare", NULL, &all);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        json_array_append(compared, json_object_get(one, "compared"));
        stanch_buf_printf(&text, "%s%s", i ? "\n" : "", stanch_json_str(one, "markdown", ""));
    }
    STANCH_AUTO_JSON json_t *shown = json_pack("{s:O, s:s}", "compared", compared, "markdown", stanch_buf_str(&text));
    return rc ? rc : say(cli, shown, "compared");
}

static int run_finding(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *answer = NULL;
    int rc = ask(cli, cli->command->verb, NULL, &answer);
    return rc ? rc : stanch_cli__show(cli, json_object_get(answer, "finding"), "n text owner due done");
}

/* ---- from an incident ---- */

static int read_runs(struct stanch_cli *cli, const char *incident, json_t **ret)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/incidents/%s/runs", incident);
    STANCH_AUTO_JSON json_t *page = NULL;
    int rc = stanch_cli__get(cli, path, &page);
    *ret = json_array();
    for (size_t i = 0; rc == 0 && i < json_array_size(json_object_get(page, "items")); i++) {
        const char *id = stanch_json_str(json_array_get(json_object_get(page, "items"), i), "id", "");
        STANCH_AUTO_FREE char *of = stanch_cli__path("/v1/runs/%s", id);
        json_t *run = NULL;
        rc = stanch_cli__get(cli, of, &run);
        json_array_append_new(*ret, run ? run : json_null());
    }
    return rc;
}

/* What its alerts were: those that declared it or joined it. One that was pruned is left out. */
static int read_events(struct stanch_cli *cli, const json_t *entries, json_t **ret)
{
    int rc = 0;
    *ret = json_array();
    for (size_t i = 0; rc == 0 && i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *kind = stanch_json_str(entry, "kind", "");
        const char *id = stanch_json_str(json_object_get(entry, "data"), "event", "");
        bool is_alert = strcmp(kind, "incident.declared") == 0 || strcmp(kind, "incident.joined") == 0;
        if (!is_alert || !*id)
            continue;
        STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/events/%s", id);
        json_t *event = NULL;
        rc = stanch_cli__get(cli, path, &event);
        if (rc == 0)
            json_array_append_new(*ret, event);
        if (rc == STANCH_E_NOT_FOUND)
            rc = 0;
    }
    return rc;
}

static int read_told(struct stanch_cli *cli, const char *incident, json_t *told)
{
    STANCH_AUTO_FREE char *itself = stanch_cli__path("/v1/incidents/%s", incident);
    STANCH_AUTO_FREE char *report = stanch_cli__path("/v1/incidents/%s/report", incident);
    json_t *value = NULL;
    int rc = stanch_cli__get(cli, itself, &value);
    if (rc != 0)
        return rc;
    json_object_set_new(told, "incident", value);
    rc = stanch_cli__get(cli, report, &value);
    if (rc != 0)
        return rc;
    json_object_set_new(told, "report", value);
    STANCH_AUTO_FREE char *timeline = stanch_cli__path("/v1/incidents/%s/timeline", incident);
    rc = stanch_cli__read_all(cli, timeline, &value);
    if (rc != 0)
        return rc;
    json_object_set_new(told, "entries", value);
    rc = read_events(cli, json_object_get(told, "entries"), &value);
    json_object_set_new(told, "events", value);
    if (rc != 0)
        return rc;
    rc = read_runs(cli, incident, &value);
    json_object_set_new(told, "runs", value);
    return rc;
}

static int run_from(struct stanch_cli *cli)
{
    const char *path = stanch_cli__value(cli, STANCH_CLI__OUT);
    STANCH_AUTO_JSON json_t *told = json_object();
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = read_told(cli, cli->args[0], told);
    if (rc != 0)
        return rc;
    stanch_cli__write_drill(told, &text);
    if (path)
        return stanch_cli__write_file(cli, path, stanch_buf_str(&text), true);
    if (fwrite(stanch_buf_str(&text), 1, text.len, cli->out) != text.len)
        return stanch_err_set(&cli->err, STANCH_E_SYSTEM, "the output could not be written");
    return 0;
}

const struct stanch_cli__command stanch_cli__drill_commands[] = {
    {"drill", "run", "NAME|FILE [DIR]", 1, 2, "config plugins kind keep markdown html",
     "play a drill of a folder's runbooks in a simulated world; its report", run_run},
    {"drill", "list", "[DIR]", 0, 1, "config plugins keep", "which drills there are; with --keep their results",
     run_list},
    {"drill", "show", "RESULT", 1, 1, "keep markdown html", "the report of a kept result", run_show},
    {"drill", "compare", "[NAME]", 0, 1, "keep markdown", "the last results of one drill side by side", run_compare},
    {"drill", "finding", "RESULT TEXT", 2, 2, "keep owner due", "an action item of a result", run_finding},
    {"drill", "done", "RESULT N", 2, 2, "keep", "an action item is done", run_finding},
    {"drill", "from", "INC", 1, 1, "out", "a drill out of an incident that happened", run_from},
    {0},
};
