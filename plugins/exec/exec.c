/* exec.c: commands that the operator's configuration lists, as actions. A runbook gives typed arguments; it can neither
 * name a command nor add an argument, and no shell ever sees them. */
#include "exec.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TEXT(summary_)    "{\"type\":\"string\",\"minLength\":1,\"summary\":\"" summary_ "\"}"
#define COMMAND(summary_) "{\"type\":\"string\",\"format\":\"command\",\"summary\":\"" summary_ "\"}"
#define ARGS              "{\"type\":\"array\",\"maxItems\":100,\"items\":{\"type\":\"string\"},\"summary\":\"its arguments\"}"
#define STEP(summary_, more_)                                                                                          \
    "{\"type\":\"object\",\"summary\":\"" summary_ "\",\"properties\":{\"command\":" COMMAND(                          \
        "absolute path; the action's own when it is not set") ",\"args\":" ARGS more_ "}}"
#define PRINTS    "{\"type\":\"string\",\"enum\":[\"text\",\"json\"],\"summary\":\"what it prints (text)\"}"
#define RISK      "{\"type\":\"string\",\"enum\":[\"low\",\"medium\",\"high\"]}"
#define SECRET(n) "\"secret" n "\":{\"type\":\"string\",\"secret\":true,\"summary\":\"a secret for secret_env\"},"

static const char declaration[] =
    "{\"name\":\"exec\",\"version\":\"0.1.0\",\"summary\":\"commands that the configuration lists, as actions\","
    "\"check\":{\"summary\":\"every command is there and can be executed\"},"
    "\"settings\":{" SECRET("1") SECRET("2") SECRET("3") SECRET("4") SECRET("5") SECRET("6") SECRET("7")
        SECRET(
            "8") "\"actions\":{\"type\":\"object\",\"required\":true,\"summary\":\"the actions, by name\","
                 "\"additionalProperties\":{\"type\":\"object\",\"required\":[\"summary\",\"class\",\"command\"],"
                 "\"properties\":{"
                 "\"summary\":" TEXT(
                     "one line: what it does") ","
                                               "\"effect\":{\"type\":\"string\",\"enum\":[\"read\",\"mitigate\","
                                               "\"notify\"],\"summary\":\"mitigate when it is not "
                                               "set\"},"
                                               "\"class\":{\"type\":\"string\",\"enum\":[\"read-only\",\"convergent\","
                                               "\"idempotent\",\"reconcilable\","
                                               "\"unprotected\"],\"summary\":\"whether it may be sent again; "
                                               "sdk/README.md says what each means\"},"
                                               "\"risk\":" RISK ",\"undo_risk\":" RISK ","
                                               "\"command\":" COMMAND(
                                                   "absolute path of what is run") ",\"args\":" ARGS ","
                                                                                   "\"params\":{\"type\":\"object\","
                                                                                   "\"summary\":\"what a runbook "
                                                                                   "gives; all of them must be given\","
                                                                                   "\"additionalProperties\":{\"type\":"
                                                                                   "\"object\",\"properties\":{"
                                                                                   "\"type\":{\"type\":\"string\","
                                                                                   "\"enum\":[\"string\",\"integer\","
                                                                                   "\"number\",\"boolean\"]},"
                                                                                   "\"summary\":" TEXT(
                                                                                       "one line") ",\"pattern\":" TEXT("POSIX extended, anchored") ","
                                                                                                                                                    "\"enum\":{\"type\":\"array\",\"minItems\":1},"
                                                                                                                                                    "\"minimum\":{\"type\":\"number\"},\"maximum\":{\"type\":\"number\"},"
                                                                                                                                                    "\"minLength\":{\"type\":\"integer\",\"minimum\":0},\"maxLength\":{\"type\":\"integer\",\"minimum\":1},"
                                                                                                                                                    "\"may_be_option\":{\"type\":\"boolean\",\"summary\":\"an argument may begin with - because of it\"}}}},"
                                                                                                                                                    "\"env\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
                                                                                                                                                    "\"summary\":\"all that is in the environment of its commands\"},"
                                                                                                                                                    "\"secret_env\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"},"
                                                                                                                                                    "\"summary\":\"and the secrets that are: TOKEN = \\\"secret1\\\"\"},"
                                                                                                                                                    "\"plan\":" STEP("reads how it is now; prints it",
                                                                                                                                                                     ",\"prints\":" PRINTS) ","
                                                                                                                                                                                            "\"to\":" TEXT("what plan prints when it is done") ","
                                                                                                                                                                                                                                               "\"no_plan_because\":" TEXT("why there is no plan") ","
                                                                                                                                                                                                                                                                                                   "\"verify\":" STEP("0: it is so, 1: it is not", ",\"expect\":{\"type\":\"string\",\"summary\":\"what it prints "
                                                                                                                                                                                                                                                                                                                                                   "when it is so\"}") ","
                                                                                                                                                                                                                                                                                                                                                                       "\"undo\":" STEP("takes it back",
                                                                                                                                                                                                                                                                                                                                                                                        ",\"by_hand\":" TEXT(
                                                                                                                                                                                                                                                                                                                                                                                            "what a person would type")) ","
                                                                                                                                                                                                                                                                                                                                                                                                                         "\"no_undo_because\":" TEXT(
                                                                                                                                                                                                                                                                                                                                                                                                                             "why there is no undo") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                     "\"reconcile\":" STEP(
                                                                                                                                                                                                                                                                                                                                                                                                                                                         "0: it happened, 1: it did not",
                                                                                                                                                                                                                                                                                                                                                                                                                                                         "") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                             "\"targets\":{\"type\":\"array\",\"minItems\":1,\"maxItems\":20,\"items\":" TEXT("what is locked meanwhile") "},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"impact\":" TEXT("one line for the approver") ",\"by_hand\":" TEXT(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "what a person would type") ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"prints\":" PRINTS
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          ","
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"unchanged_exits\":{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":255},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"summary\":\"exit codes that say for certain: nothing has changed\"},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"max_output\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1048576,\"summary\":\"bytes, of each stream "
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "(65536)\"},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"deadline_ms\":{\"type\":\"integer\",\"minimum\":2000,\"maximum\":600000,\"summary\":\"of one call (30000)\"},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"settle_ms\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":600000,"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"summary\":\"until its effect can be read\"}}}}}}";

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
