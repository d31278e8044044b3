/* exec.c: commands that the operator's configuration lists, as actions. A runbook gives typed arguments; it can neither
 * name a command nor add an argument, and no shell ever sees them. */
#include "exec.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

/* The layout makes a staircase of texts between macros. */
/* clang-format off */
#define TEXT(about)        "{\"type\":\"string\",\"minLength\":1,\"summary\":\"" about "\"}"
#define WORD(words, about) "{\"type\":\"string\",\"enum\":[" words "],\"summary\":\"" about "\"}"
#define WHOLE(low, high, about)                                                                                        \
    "{\"type\":\"integer\",\"minimum\":" low ",\"maximum\":" high ",\"summary\":\"" about "\"}"
#define TEXTS(about)       "{\"type\":\"object\",\"summary\":\"" about "\",\"additionalProperties\":{\"type\":\"string\"}}"
#define RISK(about)        WORD("\"low\",\"medium\",\"high\"", about)
#define PRINTS             "\"prints\":" WORD("\"text\",\"json\"", "what it prints (text)")
#define COMMAND(about)                                                                                                 \
    "\"command\":{\"type\":\"string\",\"format\":\"command\",\"summary\":\"" about "\"},"                              \
    "\"args\":{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":\"string\"},"                                   \
    "\"summary\":\"its arguments, with places\"}"
/* plan, verify, undo, reconcile */
#define STEP(about, more)                                                                                              \
    "{\"type\":\"object\",\"summary\":\"" about "\",\"properties\":{"                                                  \
    COMMAND("absolute path; the action's own when it is not set") more "}}"

#define OF_ALL                                                                                                         \
    "\"summary\":" TEXT("one line: what it does") ","                                                                  \
    "\"effect\":" WORD("\"read\",\"mitigate\",\"notify\"", "mitigate when it is not set") ","                          \
    "\"class\":" WORD("\"read-only\",\"convergent\",\"idempotent\",\"reconcilable\",\"unprotected\"",                  \
                      "whether it may be sent again; below") ","                                                       \
    "\"risk\":" RISK("required for a mitigation") ","                                                                  \
    "\"undo_risk\":" RISK("of undoing, when it differs") ","                                                           \
    COMMAND("absolute path of what is run; only root and the user of stanch may be able to change the file") ","
#define OF_PARAMETERS                                                                                                  \
    "\"type\":" WORD("\"string\",\"integer\",\"number\",\"boolean\"", "string when it is not set") ","                 \
    "\"summary\":" TEXT("one line") ","                                                                                \
    "\"pattern\":" TEXT("a regular expression (PCRE2), anchored") ","                                                                \
    "\"enum\":{\"type\":\"array\",\"minItems\":1,\"summary\":\"the only values\"},"                                    \
    "\"minimum\":{\"type\":\"number\"},\"maximum\":{\"type\":\"number\"},"                                             \
    "\"minLength\":{\"type\":\"integer\",\"minimum\":0},"                                                              \
    "\"maxLength\":{\"type\":\"integer\",\"minimum\":1,\"summary\":\"1000 when it is not set\"},"                      \
    "\"may_be_option\":{\"type\":\"boolean\",\"summary\":\"an argument may begin with - because of it\"}"
#define OF_STEPS                                                                                                       \
    "\"plan\":" STEP("reads how it is now, and prints it", "," PRINTS) ","                                             \
    "\"to\":" TEXT("what plan prints when it is done") ","                                                             \
    "\"no_plan_because\":" TEXT("why there is no plan") ","                                                            \
    "\"verify\":" STEP("exits with 0 when it is so, with 1 when it is not",                                            \
                       ",\"expect\":" TEXT("what it has to print, too, when it is so")) ","                            \
    "\"undo\":" STEP("takes it back", ",\"by_hand\":" TEXT("what a person would type")) ","                            \
    "\"no_undo_because\":" TEXT("why there is no undo") ","                                                            \
    "\"reconcile\":" STEP("exits with 0 when it happened, with 1 when it did not", "") ","
#define OF_THE_REST                                                                                                    \
    "\"targets\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":" TEXT("one of them") ","                \
    "\"summary\":\"what is locked meanwhile; the action as a whole when it is not set\"},"                             \
    "\"impact\":" TEXT("one line for the approver") ","                                                                \
    "\"by_hand\":" TEXT("what a person would type; the command itself when it is not set") ","                         \
    PRINTS ","                                                                                                         \
    "\"unchanged_exits\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":255},"          \
    "\"summary\":\"exit codes that say for certain: nothing has changed\"},"                                           \
    "\"max_output\":" WHOLE("1", "1048576", "bytes, of standard output and of standard error each (65536)") ","        \
    "\"deadline_ms\":" WHOLE("2000", "600000", "of one call (30000)") ","                                              \
    "\"settle_ms\":" WHOLE("0", "600000", "until a read shows the effect")

#define SECRET(n) ",\"secret" n "\":{\"type\":\"string\",\"secret\":true,\"summary\":\"a secret for secret_env\"}"

static const char declaration[] =
    "{\"name\":\"exec\",\"version\":\"0.1.0\",\"summary\":\"commands that the configuration lists, as actions\","
    "\"check\":{\"summary\":\"every command is there and can be executed\"},"
    "\"settings\":{\"actions\":{\"type\":\"object\",\"required\":true,\"summary\":\"the actions, by name\","
    "\"additionalProperties\":{\"type\":\"object\",\"required\":[\"summary\",\"class\",\"command\"],\"properties\":{" OF_ALL
    "\"params\":{\"type\":\"object\",\"summary\":\"what a runbook gives; all of them must be given\","
    "\"additionalProperties\":{\"type\":\"object\",\"properties\":{" OF_PARAMETERS "}}},"
    "\"env\":" TEXTS("all that is in the environment of its commands; no PATH unless it is said here") ","
    "\"secret_env\":" TEXTS("and the secrets that are: TOKEN = \\\"secret1\\\"") ","
    OF_STEPS OF_THE_REST "}}}"
    SECRET("1") SECRET("2") SECRET("3") SECRET("4") SECRET("5") SECRET("6") SECRET("7") SECRET("8") "}}";
/* clang-format on */

/* ---- check ---- */

static void check_command(struct sdk_call *call, const char *name, const char *path)
{
    bool can_run = access(path, X_OK) == 0;
    sdk_check(call, name, can_run, "%s: %s", path, can_run ? "there, and can be executed" : strerror(errno));
}

static void check(struct sdk_call *call)
{
    static const char *const steps[] = {"plan", "verify", "undo", "reconcile"};
    const char *name;
    json_t *action;
    json_object_foreach(json_object_get(sdk_settings(sdk_instance(call)), "actions"), name, action)
    {
        check_command(call, name, json_string_value(json_object_get(action, "command")));
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            const json_t *own = json_object_get(json_object_get(action, steps[i]), "command");
            if (own)
                check_command(call, sdk_text(call, "%s %s", name, steps[i]), json_string_value(own));
        }
    }
    sdk_checked(call);
}

static const struct sdk_handler handlers[] = {
    {"check", STANCH_OP_CHECK, check},          {"*", STANCH_OP_READ, exec_read},
    {"*", STANCH_OP_PLAN, exec_plan},           {"*", STANCH_OP_APPLY, exec_apply},
    {"*", STANCH_OP_VERIFY, exec_verify},       {"*", STANCH_OP_UNDO, exec_undo},
    {"*", STANCH_OP_RECONCILE, exec_reconcile}, {0},
};
static const struct sdk_plugin plugin = {.declaration = declaration, .handlers = handlers, .declare = exec_declare};
STANCH_PLUGIN(plugin)
