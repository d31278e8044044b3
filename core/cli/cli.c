/* cli.c: the entry: words and options to a command, its result to an exit code. */
#include "cli/cli.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "cli/room.h"
#include <argp.h>
#include <errno.h>
#include <curl/curl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY(key)                                                                                                      \
    ((key) == STANCH_CLI__PARAM || (key) == STANCH_CLI__HEADER || (key) == STANCH_CLI__ROLE ||                         \
     (key) == STANCH_CLI__TARGET)

enum { SOCKET = 0x200, SERVER, JSON, HELP = 'h', VERSION = 0x203, DRILL };

static const struct argp_option options[] = {
    {"socket", SOCKET, "PATH", 0, "the daemon's control socket", 0},
    {"server", SERVER, "URL", 0, "a daemon elsewhere, with the token in STANCH_TOKEN", 0},
    {"drill", DRILL, NULL, 0, "the drill that is under way, and not what is real", 0},
    {"json", JSON, NULL, 0, "JSON for programs", 0},
    {"help", HELP, NULL, 0, "this help", 0},
    {"version", VERSION, NULL, 0, "the version", 0},
    {"source", STANCH_CLI__SOURCE, "NAME", 0, "the event source's instance", 0},
    {"header", STANCH_CLI__HEADER, "LINE", 0, "a header of the webhook, as \"Authorization: Bearer ...\"", 0},
    {"severity", STANCH_CLI__SEVERITY, "SEV", 0, "sev1 to sev4", 0},
    {"title", STANCH_CLI__TITLE, "TEXT", 0, "the incident's title", 0},
    {"state", STANCH_CLI__STATE, "STATE", 0, "the incident's state", 0},
    {"role", STANCH_CLI__ROLE, "ROLE", 0, "ic, lead, comms or scribe; for `set`: ROLE=WHO", 0},
    {"note", STANCH_CLI__NOTE, "TEXT", 0, "a note that is kept with it", 0},
    {"reason", STANCH_CLI__REASON, "TEXT", 0, "why", 0},
    {"incident", STANCH_CLI__INCIDENT, "INC", 0, "only of, or for, this incident", 0},
    {"param", STANCH_CLI__PARAM, "NAME=VALUE", 0, "a parameter of the runbook; JSON, or else text", 0},
    {"plan", STANCH_CLI__PLAN, "DIGEST", 0, "the plan that is approved", 0},
    {"store", STANCH_CLI__STORE, "DIR", 0, "read this store, with the daemon dead or alive", 0},
    {"checkpoint", STANCH_CLI__CHECKPOINT, "FILE", 0, "signed heads from before: a file, or git:REPO", 0},
    {"chain", STANCH_CLI__CHAIN, "INC", 0, "only this incident", 0},
    {"offline", STANCH_CLI__OFFLINE, "DIR", 0, "read this store, with the daemon dead or alive", 0},
    {"limit", STANCH_CLI__LIMIT, "N", 0, "how many at most (100)", 0},
    {"state-dir", STANCH_CLI__STATE_DIR_OPTION, "DIR", 0, "where the daemon keeps its state", 0},
    {"before", STANCH_CLI__BEFORE, "WHEN", 0, "what ended earlier: 90d ago, or before a time", 0},
    {"target", STANCH_CLI__TARGET, "TARGET", 0, "what is touched, as a plan names it", 0},
    {"runbook", STANCH_CLI__RUNBOOK, "NAME", 0, "the runbook", 0},
    {"effect", STANCH_CLI__EFFECT, "WORD", 0, "mitigate (when it is not given) or undo", 0},
    {"instance", STANCH_CLI__INSTANCE, "NAME", 0, "the plugin instance", 0},
    {"for", STANCH_CLI__FOR, "TIME", 0, "for how long: 20m, 2h", 0},
    {"because", STANCH_CLI__BECAUSE, "TEXT", 0, "why", 0},
    {"of", STANCH_CLI__OF, "WHO", 0, "the holder, when that is somebody else", 0},
    {"reach", STANCH_CLI__REACH, "SHARE", 0, "the plan's reach, 0 to 1; not known when it is not given", 0},
    {"tag", STANCH_CLI__TAG, "TAG", 0, "a tag that the plan has; not known when none is given", 0},
    {"person", STANCH_CLI__PERSON, "NAME", 0, "who acts with the token; left out: a program", 0},
    {"may", STANCH_CLI__MAY, "WORD", 0, "read, respond, approve or admin", 0},
    {"expires", STANCH_CLI__EXPIRES, "WHEN", 0, "after a time (90d), or at one (2027-03-01T00:00:00Z)", 0},
    {"to", STANCH_CLI__TO, "PERSON", 0, "who gets the role", 0},
    {"digest", STANCH_CLI__DIGEST, "DIGEST", 0, "of the runbook, as `runbook show` tells it", 0},
    {"config", STANCH_CLI__CONFIG, "FILE", 0,
     "the configuration (of a folder's tests and drills its own stanch.lua, if it has one; else "
     "/etc/stanch/stanch.lua)",
     0},
    {"plugins", STANCH_CLI__PLUGINS, "DIR", 0, "where the plugins are, if not where the configuration says", 0},
    {"filter", STANCH_CLI__FILTER, "TEXT", 0, "only what has this in its path or name", 0},
    {"jobs", STANCH_CLI__JOBS, "N", 0, "so many processes (one for each core)", 0},
    {"junit", STANCH_CLI__JUNIT, "FILE", 0, "a report for programs that read JUnit's XML", 0},
    {"out", STANCH_CLI__OUT, "FILE", 0, "write it there; a file that is there already stays as it is", 0},
    {"commit", STANCH_CLI__COMMIT, "ID", 0, "runbooks of this commit, of the store or of the repository's clone", 0},
    {"since", STANCH_CLI__SINCE, "WHEN", 0, "only what came since: 90d ago, or a time", 0},
    {"keep", STANCH_CLI__KEEP, "DIR", 0, "the folder of kept results of drills", 0},
    {"markdown", STANCH_CLI__MARKDOWN, "FILE", 0, "the report as Markdown into this file", 0},
    {"html", STANCH_CLI__HTML, "FILE", 0, "the report as a page into this file", 0},
    {"owner", STANCH_CLI__OWNER, "WHO", 0, "who sees to it", 0},
    {"due", STANCH_CLI__DUE, "DATE", 0, "by when: 2027-01-31", 0},
    {"kind", STANCH_CLI__KIND, "KIND", 0, "virtual, exercise or staging", 0},
    {"speed", STANCH_CLI__SPEED, "N", 0, "so many times as fast as a clock: 1 to 60", 0},
    {"yes", STANCH_CLI__YES, NULL, 0, "do not ask; needs --plan", 0},
    {"all", STANCH_CLI__ALL, NULL, 0, "all: details, and what is closed", 0},
    {"check", STANCH_CLI__CHECK, NULL, 0, "only compare", 0},
    {"break-glass", STANCH_CLI__BREAK_GLASS, NULL, 0,
     "approve without the role, where the policy lets you; needs --reason", 0},
    {"forced", STANCH_CLI__FORCED, NULL, 0, "what was approved by breaking the glass", 0},
    {"faults", STANCH_CLI__FAULTS, NULL, 0,
     "each test again with every plugin call failing, silent, lost, without host", 0},
    {"crash", STANCH_CLI__CRASH, NULL, 0, "each test again, killed after every commit", 0},
    {"cover", STANCH_CLI__COVER, NULL, 0, "which lines of the runbooks were run", 0},
    {"mutate", STANCH_CLI__MUTATE, NULL, 0, "change the runbooks in many small ways: does a test notice?", 0},
    {"tap", STANCH_CLI__TAP, NULL, 0, "as TAP, for programs", 0},
    {"untagged", STANCH_CLI__UNTAGGED, NULL, 0, "a plan that has no tags, which is known", 0},
    {0},
};

const char *stanch_cli__option_at(int step)
{
    return options[step].name;
}

const char *stanch_cli__value(const struct stanch_cli *cli, enum stanch_cli__option option)
{
    return cli->values[option - STANCH_CLI__SOURCE];
}

bool stanch_cli__flag(const struct stanch_cli *cli, enum stanch_cli__option option)
{
    return cli->flags[option - STANCH_CLI__OPTIONS_END];
}

const char *stanch_cli__because(const struct stanch_cli *cli)
{
    const char *because = stanch_cli__value(cli, STANCH_CLI__BECAUSE);
    return because ? because : stanch_cli__value(cli, STANCH_CLI__REASON);
}

int stanch_cli__set_for(struct stanch_cli *cli, json_t *body)
{
    const char *text = stanch_cli__value(cli, STANCH_CLI__FOR);
    int64_t for_ms = 0;
    if (!text)
        return 0;
    int rc = stanch_duration_parse(text, &for_ms, &cli->err);
    if (rc != 0)
        return stanch_err_wrap(&cli->err, "--for");
    json_object_set_new(body, "for_ms", json_integer(for_ms));
    return 0;
}

struct words { /* what the command line held, before the command is known */
    struct stanch_cli *cli;
    const char *words[STANCH_CLI__ARGS + 2];
    int count;
    int used[64]; /* options given, to be checked against the command's */
    int used_count;
    bool version;
};

static error_t take_value(struct words *words, int key, const char *value, struct argp_state *state)
{
    struct stanch_cli *cli = words->cli;
    if (words->used_count < 64)
        words->used[words->used_count++] = key;
    if (key >= STANCH_CLI__OPTIONS_END) {
        cli->flags[key - STANCH_CLI__OPTIONS_END] = true;
    } else if (MANY(key) || key == STANCH_CLI__TAG) {
        int *count = key == STANCH_CLI__TAG ? &cli->tag_count : &cli->many_count;
        if (*count == STANCH_CLI__MANY) {
            argp_error(state, "more than %d of one option", STANCH_CLI__MANY);
            return EINVAL;
        }
        (key == STANCH_CLI__TAG ? cli->tags : cli->many)[(*count)++] = value;
    } else {
        cli->values[key - STANCH_CLI__SOURCE] = value;
    }
    return 0;
}

static error_t on_option(int key, char *value, struct argp_state *state)
{
    struct words *words = state->input;
    struct stanch_cli *cli = words->cli;
    if (key >= STANCH_CLI__SOURCE && key < STANCH_CLI__END)
        return take_value(words, key, value, state);
    switch (key) {
    case SOCKET:
        cli->socket = value;
        return 0;
    case SERVER:
        cli->server = value;
        return 0;
    case DRILL:
        cli->in_drill = true;
        return 0;
    case JSON:
        cli->json = true;
        return 0;
    case HELP:
        cli->help = true;
        return 0;
    case VERSION:
        words->version = true;
        return 0;
    case ARGP_KEY_ARG:
        if (words->count == STANCH_CLI__ARGS + 2) {
            argp_error(state, "too many words");
            return EINVAL;
        }
        words->words[words->count++] = value;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static bool is_row(const struct stanch_cli__command *row, const struct words *words)
{
    return words->count > 0 && strcmp(row->noun, words->words[0]) == 0 &&
           (!row->verb || (words->count > 1 && strcmp(row->verb, words->words[1]) == 0));
}

/* The row with a verb wins over the noun alone ("approvals show A-1" over "approvals"). */
static const struct stanch_cli__command *find_command(const struct words *words)
{
    const struct stanch_cli__command *row, *alone = NULL;
    for (int i = 0; (row = stanch_cli__command_at(i)); i++) {
        if (!is_row(row, words))
            continue;
        if (row->verb)
            return row;
        alone = row;
    }
    return alone;
}

static const char *option_name(int key)
{
    for (int i = 0; options[i].name; i++)
        if (options[i].key == key)
            return options[i].name;
    return "?";
}

static bool takes_option(const struct stanch_cli__command *command, const char *name)
{
    const char *at = command->options;
    size_t len = strlen(name);
    while (*at) {
        size_t word = strcspn(at, " ");
        if (word == len && strncmp(at, name, len) == 0)
            return true;
        at += word + strspn(at + word, " ");
    }
    return false;
}

static int check_words(struct stanch_cli *cli, const struct words *words)
{
    const struct stanch_cli__command *command = cli->command;
    int skip = command->verb ? 2 : 1;
    for (int i = skip; i < words->count && cli->arg_count < STANCH_CLI__ARGS; i++)
        cli->args[cli->arg_count++] = words->words[i];
    if (cli->arg_count < command->min_args || words->count - skip > command->max_args)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "expected: stanch %s%s%s %s", command->noun,
                              command->verb ? " " : "", command->verb ? command->verb : "", command->args);
    for (int i = 0; i < words->used_count; i++)
        if (!takes_option(command, option_name(words->used[i])))
            return stanch_err_set(&cli->err, STANCH_E_INVALID, "stanch %s%s%s takes no --%s", command->noun,
                                  command->verb ? " " : "", command->verb ? command->verb : "",
                                  option_name(words->used[i]));
    return 0;
}

static int finish(struct stanch_cli *cli, int rc)
{
    STANCH_AUTO_BUF struct stanch_buf clean = {0};
    if (fflush(cli->out) != 0 && rc == 0)
        rc = stanch_err_set(&cli->err, STANCH_E_SYSTEM, "the output could not be written");
    if (rc >= 0)
        return rc; /* 0, or the exit code of a command of its own kind */
    stanch_cli__clean(cli->err.text, &clean);
    (void)fprintf(stderr, "stanch: %s\n", stanch_buf_str(&clean));
    return stanch_err_exit(rc);
}

static int unknown_command(struct stanch_cli *cli, const struct words *words)
{
    if (words->count == 0) {
        stanch_cli__write_help(cli, stderr);
        return 2;
    }
    return finish(cli, stanch_err_set(&cli->err, STANCH_E_INVALID, "no command \"%s%s%s\"; stanch --help lists them",
                                      words->words[0], words->count > 1 ? " " : "",
                                      words->count > 1 ? words->words[1] : ""));
}

static void look_around(struct stanch_cli *cli)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    (void)setlocale(LC_CTYPE, "C.UTF-8"); /* for the width of characters */
    cli->out = stdout;
    cli->colour = isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
    cli->socket = getenv("STANCH_SOCKET");
    if (!cli->socket || !*cli->socket)
        cli->socket = STANCH_CLI__SOCKET;
}

/* The drill's socket is beside the daemon's. */
static int choose_drill(struct stanch_cli *cli)
{
    const char *slash = strrchr(cli->socket, '/');
    if (!cli->in_drill)
        return 0;
    if (cli->server)
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--drill goes by the socket; a drill elsewhere has an address of its own: --server URL");
    cli->drill_socket = stanch_asprintf("%.*sdrill.sock", slash ? (int)(slash - cli->socket) + 1 : 0, cli->socket);
    cli->socket = cli->drill_socket;
    return 0;
}

int stanch_cli_main(int argc, char **argv)
{
    struct stanch_cli cli = {0};
    struct words words = {.cli = &cli};
    const struct argp argp = {.options = options, .parser = on_option};
    look_around(&cli);
    int parsed = argp_parse(&argp, argc, argv, ARGP_NO_HELP | ARGP_NO_EXIT, NULL, &words);
    if (parsed == ENOMEM)
        stanch_mem_end(); /* it says nothing of that */
    if (parsed != 0)
        return 2;
    if (words.version) {
        (void)printf("stanch %s\n", STANCH_VERSION);
        return 0;
    }
    if (words.count > 0 && strcmp(words.words[0], "help") == 0) {
        cli.help = true;
        words.count--;
        memmove(words.words, words.words + 1, sizeof words.words - sizeof *words.words);
    }
    cli.command = find_command(&words);
    if (cli.help) {
        if (!cli.command && words.count > 0) /* "incident --help": all of the noun */
            cli.args[cli.arg_count++] = words.words[0];
        stanch_cli__write_help(&cli, stdout);
        return 0;
    }
    if (!cli.command)
        return unknown_command(&cli, &words);
    int rc = check_words(&cli, &words);
    (void)curl_global_init_mem(CURL_GLOBAL_DEFAULT, stanch_mem_malloc, free, stanch_mem_realloc, stanch_mem_strdup,
                               stanch_mem_calloc);
    rc = rc ? rc : choose_drill(&cli);
    if (rc == 0)
        rc = cli.command->run(&cli);
    rc = finish(&cli, rc);
    curl_global_cleanup();
    free(cli.drill_socket);
    return rc;
}
