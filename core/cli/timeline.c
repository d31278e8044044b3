/* timeline.c: timeline show | verify | export | rebuild. show tells the story; the others work on the store itself,
 * with the daemon dead or alive, through this executable's own offline door. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>
#include <time.h>

struct story {
    const struct stanch_cli *cli;
    int64_t first_ms;
    char date[16];
};

static void say_date(struct story *story, int64_t at_ms)
{
    char text[32];
    stanch_time_text(at_ms, text);
    text[10] = 0;
    if (strcmp(text, story->date) == 0)
        return;
    memcpy(story->date, text, sizeof story->date - 1);
    stanch_cli__say(story->cli, "%s%s%s (UTC)\n", stanch_cli__bold(story->cli), text, stanch_cli__plain(story->cli));
}

/* "+0.25s" of the first minute, then "+3m12s" */
static char *since_text(int64_t ms)
{
    char text[32];
    if (ms < 60000)
        return stanch_asprintf("+%lld.%02llds", (long long)(ms / 1000), (long long)(ms % 1000 / 10));
    stanch_duration_text(ms - ms % 1000, text);
    return stanch_asprintf("+%s", text);
}

/* "person:ann" is ann, "run:R-3" is R-3 */
static const char *short_name(const char *by)
{
    const char *colon = strchr(by, ':');
    return colon && colon[1] ? colon + 1 : by;
}

static void say_entry(struct story *story, const json_t *entry)
{
    int64_t at_ms = stanch_json_int(entry, "at_ms", 0);
    bool is_detail = strcmp(stanch_json_str(entry, "level", ""), "detail") == 0;
    char clock[32];
    if (!story->first_ms)
        story->first_ms = at_ms;
    say_date(story, at_ms);
    stanch_time_text(at_ms, clock);
    STANCH_AUTO_FREE char *since = since_text(at_ms - story->first_ms);
    STANCH_AUTO_FREE char *who = stanch_cli__one_line(json_object_get(entry, "by"));
    STANCH_AUTO_FREE char *text = stanch_cli__one_line(json_object_get(entry, "text"));
    /* most sentences begin with who: with the name, as the column has it */
    size_t prefix = (size_t)(short_name(who) - who);
    const char *sentence = prefix && strncmp(text, who, strlen(who)) == 0 ? text + prefix : text;
    const char *dim = is_detail && story->cli->colour ? "\x1b[2m" : "";
    stanch_cli__say(story->cli, "%.12s %9s  %-10s %s%s%s%s\n", clock + 11, since, short_name(who),
                    json_object_get(entry, "run") ? "  " : "", dim, sentence, stanch_cli__plain(story->cli));
}

static int tell(struct stanch_cli *cli, const json_t *entries)
{
    struct story story = {.cli = cli};
    json_t *entry;
    size_t i;
    if (stanch_cli__said_json(cli, entries))
        return 0;
    json_array_foreach((json_t *)(uintptr_t)entries, i, entry) say_entry(&story, entry);
    if (json_array_size(entries) == 0)
        stanch_cli__say(cli, "no entries\n");
    return 0;
}

static const char *given_store(const struct stanch_cli *cli)
{
    return stanch_cli__value(cli, STANCH_CLI__STORE);
}

/* What to add to an offline call for "--chain INC", from the option or the first word. */
static const char *given_chain(const struct stanch_cli *cli)
{
    const char *chain = stanch_cli__value(cli, STANCH_CLI__CHAIN);
    return chain ? chain : cli->arg_count ? cli->args[0] : NULL;
}

/* Run `offline VERB --store DIR [--chain INC] [--checkpoint PLACE] [--check]`. ret may be NULL. */
static int go_offline(struct stanch_cli *cli, const char *verb, const char *checkpoint, struct stanch_buf *ret)
{
    STANCH_AUTO_FREE char *store = NULL;
    const char *more[8] = {0};
    int count = 0;
    int rc = stanch_cli__find_store(cli, &store);
    if (rc != 0)
        return rc;
    if (given_chain(cli)) {
        more[count++] = "--chain";
        more[count++] = given_chain(cli);
    }
    if (checkpoint) {
        more[count++] = "--checkpoint";
        more[count++] = checkpoint;
    }
    if (stanch_cli__flag(cli, STANCH_CLI__CHECK))
        more[count++] = "--check";
    return stanch_cli__go_offline(cli, verb, store, more, ret);
}

static bool is_wanted(const struct stanch_cli *cli, const json_t *entry)
{
    return json_object_get(entry, "seq") &&
           (stanch_cli__flag(cli, STANCH_CLI__ALL) || strcmp(stanch_json_str(entry, "level", ""), "headline") == 0);
}

/* The export, line by line; its last line is the checkpoint. */
static int read_offline(struct stanch_cli *cli, json_t *entries)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = go_offline(cli, "export", NULL, &text);
    const char *at = stanch_buf_str(&text);
    while (rc == 0 && *at) {
        size_t len = strcspn(at, "\n");
        json_t *entry = NULL;
        rc = stanch_json_parse(at, len, &stanch_json_own_limits, &entry, &cli->err);
        if (rc == 0 && is_wanted(cli, entry))
            json_array_append(entries, entry);
        json_decref(entry);
        at += len + (at[len] == '\n');
    }
    return rc;
}

static int run_show(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *entries = NULL;
    bool all = stanch_cli__flag(cli, STANCH_CLI__ALL);
    STANCH_AUTO_FREE char *path =
        stanch_cli__path(all ? "/v1/incidents/%s/timeline" : "/v1/incidents/%s/timeline?level=headline", cli->args[0]);
    int rc = 0;
    if (given_store(cli)) {
        entries = json_array();
        rc = read_offline(cli, entries);
        if (rc == 0 && json_array_size(entries) == 0)
            rc = stanch_err_set(&cli->err, STANCH_E_NOT_FOUND, "no incident %s in this store", cli->args[0]);
    } else {
        rc = stanch_cli__read_all(cli, path, &entries);
    }
    return rc ? rc : tell(cli, entries);
}

static int say_verdict(struct stanch_cli *cli, const json_t *verdict, const char *checkpoint)
{
    bool ok = stanch_json_bool(verdict, "ok", false);
    const char *chain = stanch_json_str(verdict, "bad_chain", "");
    STANCH_AUTO_FREE char *what = stanch_cli__one_line(json_object_get(verdict, "what"));
    if (!stanch_cli__said_json(cli, verdict))
        stanch_cli__say(cli, "%s%lld entries in %lld chains%s%s%s\n", ok ? "ok: " : "",
                        (long long)stanch_json_int(verdict, "entries", 0),
                        (long long)stanch_json_int(verdict, "chains", 0), ok ? ", nothing altered" : " read",
                        checkpoint ? "; held against the checkpoint of " : "", checkpoint ? checkpoint : "");
    if (ok)
        return 0;
    return stanch_err_set(&cli->err, STANCH_E_CORRUPT, "%s entry %lld (seq %lld): %s", chain,
                          (long long)stanch_json_int(verdict, "bad_n", 0),
                          (long long)stanch_json_int(verdict, "bad_seq", 0), what);
}

/* The checkpoint to hold it against: the one that is given; else, of a running daemon, the first of its places that
 * can be read back and has one. ret: new, or NULL: none */
static int find_checkpoint(struct stanch_cli *cli, char **ret)
{
    const char *given = stanch_cli__value(cli, STANCH_CLI__CHECKPOINT);
    STANCH_AUTO_JSON json_t *status = NULL;
    size_t i;
    json_t *place;
    *ret = stanch_strdup(given);
    if (given || given_store(cli))
        return 0;
    int rc = stanch_cli__get(cli, "/v1/status", &status);
    if (rc != 0)
        return stanch_err_wrap(&cli->err, "--store DIR reads a store without the daemon");
    json_array_foreach(json_object_get(json_object_get(status, "checkpoints"), "places"), i, place)
    {
        const char *to = stanch_json_str(place, "to", "");
        if (!*ret && json_object_get(place, "entries") && strncmp(to, "http", 4) != 0)
            *ret = stanch_strdup(to);
    }
    return 0;
}

static int run_verify(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *checkpoint = NULL;
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_JSON json_t *verdict = NULL;
    int rc = find_checkpoint(cli, &checkpoint);
    if (rc == 0)
        rc = go_offline(cli, "verify", checkpoint, &text);
    if (rc == 0)
        rc = stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, &verdict, &cli->err);
    return rc ? rc : say_verdict(cli, verdict, checkpoint);
}

static int run_export(struct stanch_cli *cli)
{
    return go_offline(cli, "export", NULL, NULL); /* it is JSON lines, always, and as they are stored */
}

static int run_rebuild(struct stanch_cli *cli)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_JSON json_t *answer = NULL;
    if (!given_store(cli))
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--store DIR says which store; the daemon must be stopped");
    int rc = go_offline(cli, "rebuild", NULL, &text);
    if (rc == 0)
        rc = stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, &answer, &cli->err);
    if (rc != 0 || stanch_cli__said_json(cli, answer))
        return rc;
    int64_t differences = stanch_json_int(answer, "differences", 0);
    stanch_cli__say(cli, "%lld documents differed from their entries\n", (long long)differences);
    if (differences > 0 && stanch_cli__flag(cli, STANCH_CLI__CHECK))
        return stanch_err_set(&cli->err, STANCH_E_CORRUPT, "timeline rebuild --store DIR writes them anew");
    return 0;
}

static int run_prune(struct stanch_cli *cli)
{
    const char *before = stanch_cli__value(cli, STANCH_CLI__BEFORE);
    bool only_look = stanch_cli__flag(cli, STANCH_CLI__CHECK);
    STANCH_AUTO_JSON json_t *answer = NULL;
    if (!given_store(cli) || !before)
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--store DIR says which store (the daemon must be stopped), --before 90d until when");
    int rc =
        stanch_cli__ask_offline(cli, "prune", given_store(cli),
                                (const char *const[]){"--before", before, only_look ? "--check" : NULL, NULL}, &answer);
    if (rc != 0 || stanch_cli__said_json(cli, answer))
        return rc;
    stanch_cli__say(cli, "%s%lld entries of %lld incidents and %lld events\n", only_look ? "would go: " : "pruned ",
                    (long long)stanch_json_int(answer, "entries", 0),
                    (long long)stanch_json_int(answer, "incidents", 0),
                    (long long)stanch_json_int(answer, "events", 0));
    return 0;
}

const struct stanch_cli__command stanch_cli__timeline_commands[] = {
    {"timeline", "show", "INC", 1, 1, "all store", "the story of an incident; --all: with details", run_show},
    {"timeline", "verify", "[INC]", 0, 1, "store chain checkpoint", "is it what was written?", run_verify},
    {"timeline", "export", "[INC]", 0, 1, "store chain", "JSON lines, ended by a signed checkpoint", run_export},
    {"timeline", "prune", "", 0, 0, "store before check", "remove whole incidents that ended long ago", run_prune},
    {"timeline", "rebuild", "", 0, 0, "store check", "compute what is shown anew from the entries", run_rebuild},
    {0},
};
