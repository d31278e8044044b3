/* backtest.c: backtest: the recorded events against another version of the runbooks. A process of its own reads the store
 * (serve_backtest.c); this shows what it found. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define WORDS 16

/* ---- asked ---- */

static void add_value(char **words, int *used, const char *word, const char *value)
{
    if (!value)
        return;
    words[(*used)++] = stanch_strdup(word);
    words[(*used)++] = stanch_strdup(value);
}

static int ask(struct stanch_cli *cli, const char *store, json_t **ret)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    char *words[WORDS] = {NULL};
    int used = 0;
    const char *config = stanch_cli__value(cli, STANCH_CLI__CONFIG);
    words[used++] = stanch_strdup("rehearse");
    words[used++] = stanch_strdup("backtest");
    if (cli->arg_count)
        words[used++] = stanch_strdup(cli->args[0]);
    add_value(words, &used, "--store", store);
    add_value(words, &used, "--config", config ? config : "/etc/stanch/stanch.lua");
    add_value(words, &used, "--plugins", stanch_cli__value(cli, STANCH_CLI__PLUGINS));
    add_value(words, &used, "--commit", stanch_cli__value(cli, STANCH_CLI__COMMIT));
    add_value(words, &used, "--since", stanch_cli__value(cli, STANCH_CLI__SINCE));
    add_value(words, &used, "--limit", stanch_cli__value(cli, STANCH_CLI__LIMIT));
    int rc = stanch_cli__run_self(cli, words, &text);
    for (int i = 0; i < used; i++)
        free(words[i]);
    return rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, &cli->err);
}

/* ---- told ---- */

static void say_range(const struct stanch_cli *cli, const json_t *report)
{
    char from[32], until[32];
    stanch_time_text(stanch_json_int(report, "from_ms", 0), from);
    stanch_time_text(stanch_json_int(report, "until_ms", 0), until);
    STANCH_AUTO_FREE char *commit = stanch_cli__one_line(json_object_get(report, "commit"));
    int64_t events = stanch_json_int(report, "events", 0);
    stanch_cli__say(cli, "%lld events against %.12s", (long long)events, commit);
    if (events)
        stanch_cli__say(cli, ", %s to %s", from, until);
    stanch_cli__say(cli, "\n\n");
}

/* "cooldown 12, at_most 3". new */
static char *held_text(const json_t *held)
{
    struct stanch_buf text = {0};
    const char *by;
    json_t *count;
    json_object_foreach((json_t *)(uintptr_t)held, by, count)
        stanch_buf_printf(&text, "%s%s %lld", text.len ? ", " : "", by, (long long)json_integer_value(count));
    return stanch_buf_take(&text);
}

static void add_row(struct stanch_cli__table *table, const json_t *runbook)
{
    STANCH_AUTO_JSON json_t *shown = json_copy((json_t *)(uintptr_t)runbook);
    STANCH_AUTO_FREE char *held = held_text(json_object_get(runbook, "held"));
    const json_t *autonomy = json_object_get(runbook, "autonomy");
    bool by_hand = stanch_json_bool(runbook, "by_hand", false), asks = stanch_json_bool(autonomy, "asks", false);
    STANCH_AUTO_FREE char *mode = stanch_asprintf(
        "%s%s", stanch_json_str(autonomy, "mode", ""),
        asks && strcmp(stanch_json_str(autonomy, "mode", ""), "auto") == 0 ? ", asks until accepted" : "");
    json_object_set_new(shown, "held", json_string(held && *held ? held : "-"));
    json_object_set(shown, "then", json_object_get(json_object_get(runbook, "then"), "started"));
    json_object_set_new(shown, "mode", json_string(by_hand ? "by hand only" : mode));
    stanch_cli__table_row(table, shown, "runbook matched started joined held then mode");
}

static void say_runbooks(const struct stanch_cli *cli, const json_t *report)
{
    struct stanch_cli__table *table =
        stanch_cli__table_new("RUNBOOK MATCHED WOULD-START JOINED HELD-BY STARTED-THEN MODE");
    const json_t *runbooks = json_object_get(report, "runbooks");
    const char *name;
    json_t *seen;
    for (size_t i = 0; i < json_array_size(runbooks); i++)
        add_row(table, json_array_get(runbooks, i));
    json_object_foreach(json_object_get(report, "gone"), name, seen)
    {
        STANCH_AUTO_JSON json_t *row = json_pack("{s:s, s:O, s:s}", "runbook", name, "then",
                                                 json_object_get(seen, "started"), "mode", "not in this version");
        stanch_cli__table_row(table, row, "runbook matched started joined held then mode");
    }
    stanch_cli__table_print(cli, table, "there is no runbook in it");
}

/* side: "then" or "now": whose reason is told */
static void say_differences(const struct stanch_cli *cli, const json_t *report, const char *list, const char *side,
                            const char *title)
{
    const json_t *all = json_object_get(report, list), *listed = json_object_get(all, "listed");
    long long count = (long long)stanch_json_int(all, "count", 0), more = count - (long long)json_array_size(listed);
    stanch_cli__say(cli, "\n%s: %lld\n", title, count);
    if (json_array_size(listed) == 0)
        return;
    struct stanch_cli__table *table = stanch_cli__table_new("EVENT AT NAME RUNBOOK THEN NOW BECAUSE");
    for (size_t i = 0; i < json_array_size(listed); i++) {
        const json_t *one = json_array_get(listed, i);
        char at[32];
        stanch_time_text(stanch_json_int(one, "at_ms", 0), at);
        STANCH_AUTO_JSON json_t *row = json_copy((json_t *)(uintptr_t)one);
        json_object_set_new(row, "at", json_string(at));
        json_object_set(row, "was", json_object_get(json_object_get(one, "then"), "outcome"));
        json_object_set(row, "is", json_object_get(json_object_get(one, "now"), "outcome"));
        json_object_set(row, "why", json_object_get(json_object_get(one, side), "why"));
        stanch_cli__table_row(table, row, "event at name runbook was is why");
    }
    stanch_cli__table_print(cli, table, "");
    if (more > 0)
        stanch_cli__say(cli, "and %lld more (--limit lists more)\n", more);
}

/* A limit on runs that are going, and what a person must know of them to tell. */
static void say_untold(const struct stanch_cli *cli, const char *runbook, const json_t *untold)
{
    STANCH_AUTO_FREE char *limit = stanch_cli__one_line(json_object_get(untold, "limit"));
    long long before = (long long)stanch_json_int(untold, "before", 1);
    char took[32];
    stanch_duration_text(stanch_json_int(untold, "closest_ms", 0), took);
    stanch_cli__say(cli, "  %s: %s would have held a start if the %lld before it took longer than %s\n", runbook, limit,
                    before, took);
}

static void say_storm(const struct stanch_cli *cli, const json_t *storm)
{
    char within[32];
    long long starts = (long long)stanch_json_int(storm, "starts", 0);
    stanch_duration_text(stanch_json_int(storm, "within_ms", 0), within);
    if (starts)
        stanch_cli__say(cli,
                        "  all: %lld starts or more would have been a storm (over %lld within %s) and asked first\n",
                        starts, (long long)stanch_json_int(storm, "enter", 0), within);
}

static void say_assumed(const struct stanch_cli *cli, const json_t *report)
{
    const json_t *runbooks = json_object_get(report, "runbooks"), *assumed = json_object_get(report, "assumed");
    const json_t *of_all = json_object_get(report, "cannot_tell");
    stanch_cli__say(cli, "\nAssumed:\n");
    for (size_t i = 0; i < json_array_size(assumed); i++)
        stanch_cli__say(cli, "  %s\n", json_string_value(json_array_get(assumed, i)));
    for (size_t i = 0; i < json_array_size(runbooks); i++) {
        const json_t *runbook = json_array_get(runbooks, i), *untold = json_object_get(runbook, "cannot_tell");
        STANCH_AUTO_FREE char *name = stanch_cli__one_line(json_object_get(runbook, "runbook"));
        for (size_t k = 0; k < json_array_size(untold); k++)
            say_untold(cli, name, json_array_get(untold, k));
    }
    for (size_t k = 0; k < json_array_size(of_all); k++)
        say_untold(cli, "all", json_array_get(of_all, k));
    say_storm(cli, json_object_get(report, "storm"));
    long long not_told = (long long)stanch_json_int(report, "not_told", 0);
    if (not_told)
        stanch_cli__say(cli, "  what came of %lld matches then was not recorded (an earlier release)\n", not_told);
}

static int run_backtest(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *store = NULL;
    STANCH_AUTO_JSON json_t *report = NULL;
    if (!cli->arg_count == !stanch_cli__value(cli, STANCH_CLI__COMMIT))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "backtest: give a folder of runbooks, or --commit ID");
    int rc = stanch_cli__find_store(cli, &store);
    rc = rc ? rc : ask(cli, store, &report);
    if (rc != 0 || stanch_cli__said_json(cli, report))
        return rc;
    say_range(cli, report);
    say_runbooks(cli, report);
    say_differences(cli, report, "would_start", "then", "Would have started, did not then");
    say_differences(cli, report, "would_not", "now", "Started then, would not now");
    say_assumed(cli, report);
    return 0;
}

const struct stanch_cli__command stanch_cli__backtest_commands[] = {
    {"backtest", NULL, "[DIR]", 0, 1, "commit since store config plugins limit",
     "what another version of the runbooks would have done with the recorded events", run_backtest},
    {0},
};
