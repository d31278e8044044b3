/* room.h: what the files of this folder share. The command line is a client of the API and nothing else: it asks
 * over the control socket (or a server's URL with a token), prints tables for people and JSON for programs.
 *
 *   words -> command (a row of a noun's table) -> options that it takes -> request -> answer -> table | JSON -> exit code
 */
#ifndef STANCH_CLI_ROOM_H
#define STANCH_CLI_ROOM_H
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define STANCH_CLI__SOCKET    "/run/stanch/control.sock"
#define STANCH_CLI__STATE_DIR "/var/lib/stanch"

/* Options with a value that a command may take; each once but for param and header. */
enum stanch_cli__option {
    STANCH_CLI__SOURCE = 0x100,
    STANCH_CLI__HEADER,
    STANCH_CLI__SEVERITY,
    STANCH_CLI__TITLE,
    STANCH_CLI__STATE,
    STANCH_CLI__ROLE,
    STANCH_CLI__NOTE,
    STANCH_CLI__REASON,
    STANCH_CLI__INCIDENT,
    STANCH_CLI__PARAM,
    STANCH_CLI__PLAN,
    STANCH_CLI__STORE,
    STANCH_CLI__CHECKPOINT,
    STANCH_CLI__CHAIN,
    STANCH_CLI__OFFLINE,
    STANCH_CLI__LIMIT,
    STANCH_CLI__STATE_DIR_OPTION,
    STANCH_CLI__BEFORE,
    STANCH_CLI__TARGET,
    STANCH_CLI__RUNBOOK,
    STANCH_CLI__EFFECT,
    STANCH_CLI__REACH,
    STANCH_CLI__TAG,
    STANCH_CLI__PERSON,
    STANCH_CLI__MAY,
    STANCH_CLI__EXPIRES,
    STANCH_CLI__TO,
    STANCH_CLI__INSTANCE,
    STANCH_CLI__FOR,
    STANCH_CLI__BECAUSE,
    STANCH_CLI__OF,
    STANCH_CLI__DIGEST,
    STANCH_CLI__CONFIG,
    STANCH_CLI__PLUGINS,
    STANCH_CLI__FILTER,
    STANCH_CLI__JOBS,
    STANCH_CLI__JUNIT,
    STANCH_CLI__OUT,
    STANCH_CLI__COMMIT,
    STANCH_CLI__SINCE,
    STANCH_CLI__KEEP,
    STANCH_CLI__MARKDOWN,
    STANCH_CLI__HTML,
    STANCH_CLI__OWNER,
    STANCH_CLI__DUE,
    STANCH_CLI__KIND,
    STANCH_CLI__SPEED,
    STANCH_CLI__OPTIONS_END,
    STANCH_CLI__YES = STANCH_CLI__OPTIONS_END, /* flags */
    STANCH_CLI__ALL,
    STANCH_CLI__CHECK,
    STANCH_CLI__BREAK_GLASS,
    STANCH_CLI__FORCED,
    STANCH_CLI__FAULTS,
    STANCH_CLI__CRASH,
    STANCH_CLI__COVER,
    STANCH_CLI__MUTATE,
    STANCH_CLI__TAP,
    STANCH_CLI__UNTAGGED,
    STANCH_CLI__END
};
#define STANCH_CLI__MANY 32 /* --param, --header, --role, --target */
#define STANCH_CLI__ARGS 8

struct stanch_cli;

struct stanch_cli__command {
    const char *noun, *verb; /* verb NULL: the noun alone */
    const char *args;        /* as help shows them: "INC TEXT" */
    int min_args, max_args;
    const char *options; /* names of those it takes: "severity note" */
    const char *help;
    int (*run)(struct stanch_cli *cli);
};
/* Ended by a row without a noun. */
extern const struct stanch_cli__command stanch_cli__event_commands[], stanch_cli__incident_commands[],
    stanch_cli__run_commands[], stanch_cli__approval_commands[], stanch_cli__mitigation_commands[],
    stanch_cli__runbook_commands[], stanch_cli__timeline_commands[], stanch_cli__plugin_commands[],
    stanch_cli__switch_commands[], stanch_cli__config_commands[], stanch_cli__completion_commands[],
    stanch_cli__store_commands[], stanch_cli__source_commands[], stanch_cli__change_commands[],
    stanch_cli__policy_commands[], stanch_cli__people_commands[], stanch_cli__hold_commands[],
    stanch_cli__breaker_commands[], stanch_cli__test_commands[], stanch_cli__why_commands[],
    stanch_cli__plan_commands[], stanch_cli__record_commands[], stanch_cli__backtest_commands[],
    stanch_cli__drill_commands[], stanch_cli__gameday_commands[];

struct stanch_cli {
    FILE *out;
    bool colour; /* a terminal, and neither NO_COLOR nor TERM=dumb */
    bool json, help;
    bool flags[STANCH_CLI__END - STANCH_CLI__OPTIONS_END];
    const char *socket, *server;
    char *drill_socket; /* where `socket` points then */
    bool in_drill;      /* the daemon of a drill is meant */
    bool is_marked;     /* it was said that an answer is of a drill */
    long timeout_s;     /* of an exchange; 0: as long as it takes (an undo may take minutes) */
    const char *values[STANCH_CLI__OPTIONS_END - STANCH_CLI__SOURCE];
    const char *many[STANCH_CLI__MANY]; /* --param, --header, --role, --target: the command takes one of them */
    int many_count;
    const char *tags[STANCH_CLI__MANY]; /* --tag */
    int tag_count;
    const char *args[STANCH_CLI__ARGS];
    int arg_count;
    const struct stanch_cli__command *command;
    struct stanch_err err;
};
const char *stanch_cli__value(const struct stanch_cli *cli, enum stanch_cli__option option); /* NULL: not given */
bool stanch_cli__flag(const struct stanch_cli *cli, enum stanch_cli__option option);
const char *stanch_cli__because(const struct stanch_cli *cli); /* --because, or --reason; NULL: neither is given */
/* --for into for_ms of the body, when it is given. returns 0 | STANCH_E_INVALID */
int stanch_cli__set_for(struct stanch_cli *cli, json_t *body);
/* --param n=3 is the number 3, --param name=eu1 the text: JSON where it is JSON. ret: new (run.c). returns 0 | STANCH_E_INVALID */
int stanch_cli__read_params(struct stanch_cli *cli, json_t **ret);

/* table.c: all commands. step: 0, 1, ...; NULL at the end */
const struct stanch_cli__command *stanch_cli__command_at(int step);
/* A word that names an option: "--yes"; NULL at the end. */
const char *stanch_cli__option_at(int step);
void stanch_cli__write_help(const struct stanch_cli *cli, FILE *out);

/* client.c: one exchange. path: with its query. ret: new; may be NULL. Errors carry the problem document's text.
 * returns 0 | STANCH_E_UNREACHABLE no daemon answers | the code of the problem */
int stanch_cli__get(struct stanch_cli *cli, const char *path, json_t **ret);
/* What is no JSON. ret: appended to, as it came: not yet clean */
int stanch_cli__get_text(struct stanch_cli *cli, const char *path, struct stanch_buf *ret);
int stanch_cli__send(struct stanch_cli *cli, const char *method, const char *path, const json_t *body, json_t **ret);
int stanch_cli__send_raw(struct stanch_cli *cli, const char *path, const char *body, size_t len, json_t **ret);
/* A whole file, "-" is stdin. ret: appended to. returns 0 | STANCH_E_INVALID (event.c) */
int stanch_cli__read_file(struct stanch_cli *cli, const char *path, struct stanch_buf *ret);
/* new; every %s is escaped as part of a path or query */
char *stanch_cli__path(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* text.c: data on a terminal (T29): C0, DEL, C1, bidi and invisible controls never get there */
void stanch_cli__clean(const char *text, struct stanch_buf *out);
/* new; a value on one line: texts as they are, all else as JSON; cleaned */
char *stanch_cli__one_line(const json_t *value);
int stanch_cli__width(const char *clean); /* columns that it takes */

/* print.c */
struct stanch_cli__table;
/* heads: "ID STATE TITLE" */
struct stanch_cli__table *stanch_cli__table_new(const char *heads);
/* A row from members of a document: "id state title"; "x~" is an age out of the member x_ms, "x^" the time left. */
void stanch_cli__table_row(struct stanch_cli__table *table, const json_t *doc, const char *members);
/* Print and free. nothing: what is said instead of an empty table. */
void stanch_cli__table_print(const struct stanch_cli *cli, struct stanch_cli__table *table, const char *nothing);
/* With --json print the value and return true: the command has done its work. */
bool stanch_cli__said_json(const struct stanch_cli *cli, const json_t *value);
/* "name   value", left out when the value is NULL or null */
void stanch_cli__field(const struct stanch_cli *cli, const char *name, const json_t *value);
void stanch_cli__field_text(const struct stanch_cli *cli, const char *name, const char *text);
/* printf whose text arguments are ours; data goes through stanch_cli__one_line first. */
void stanch_cli__say(const struct stanch_cli *cli, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* is_new: what is there already stays as it is (drill.c). returns 0 | STANCH_E_CONFLICT | STANCH_E_SYSTEM */
int stanch_cli__write_file(struct stanch_cli *cli, const char *path, const char *text, bool is_new);
/* Markdown as it comes, line by line, each made safe for a terminal. */
void stanch_cli__say_lines(const struct stanch_cli *cli, const char *text);
const char *stanch_cli__paint(const struct stanch_cli *cli, const char *state); /* escape for a state, or "" */
const char *stanch_cli__bold(const struct stanch_cli *cli);
const char *stanch_cli__plain(const struct stanch_cli *cli);

/* A yes or no at the terminal; ends in "? [y/N] " (approval.c). */
bool stanch_cli__ask_yes(const struct stanch_cli *cli, const char *question);

/* list.c: the page of a list, whole (all pages up to --limit); a document shown as fields */
int stanch_cli__list(struct stanch_cli *cli, const char *path, const char *heads, const char *members,
                     const char *nothing);
int stanch_cli__read_all(struct stanch_cli *cli, const char *path, json_t **ret);
int stanch_cli__show(const struct stanch_cli *cli, const json_t *doc, const char *members);

/* offline.c: this executable again, for what works on a store with the daemon dead. ret: its output, may be NULL
 * (then it goes where ours goes). returns its exit code, or a negative STANCH_E_* */
int stanch_cli__run_self(struct stanch_cli *cli, char *const argv[], struct stanch_buf *ret);
/** The configuration for what is played of a folder's runbooks (test.c): --config, else the folder's own stanch.lua when there is one,
 * else the daemon's. new */
char *stanch_cli__config_of(const struct stanch_cli *cli, const char *folder);
/** `rehearse VERB FOLDER` with the command's options (test.c). ret: what it reports; new. returns as above */
int stanch_cli__rehearse(struct stanch_cli *cli, const char *verb, const char *folder, json_t **ret);
/** A scenario in Lua out of what the API tells of an incident (drill_lua.c): {"incident":{...},"report":{...},"entries":[...],
 *  "events":[...],"runs":[...]}. It is played by `drill run` as it is. out: appended to */
void stanch_cli__write_drill(const json_t *told, struct stanch_buf *out);
/** Its world (drill_world.c): `local world = ...` */
void stanch_cli__write_world(const json_t *told, struct stanch_buf *out);
/** The store to work on: --store, or the running daemon's. ret: new */
int stanch_cli__find_store(struct stanch_cli *cli, char **ret);
/** `offline VERB --store DIR ...`: more is a NULL-ended list of further words, or NULL. ret as above. */
int stanch_cli__go_offline(struct stanch_cli *cli, const char *verb, const char *store, const char *const *more,
                           struct stanch_buf *ret);
/** The same, its output parsed. ret: new */
int stanch_cli__ask_offline(struct stanch_cli *cli, const char *verb, const char *store, const char *const *more,
                            json_t **ret);

#endif
