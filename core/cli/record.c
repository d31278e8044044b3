/* record.c: runbook record. A run that is over, out of its timeline, as a test with the answers that it got.
 * Nothing is asked but the API; secrets are in no entry, so there is none to leave out. */
#include "cli/record.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/room.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

/* ---- questions and answers ---- */

static json_t *question_of(const struct stanch_cli__record *record, const char *approval)
{
    for (size_t i = 0; i < json_array_size(record->questions); i++) {
        json_t *question = json_array_get(record->questions, i);
        if (strcmp(stanch_json_str(question, "id", ""), approval) == 0)
            return question;
    }
    return NULL;
}

static void on_requested(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    bool left_out = !stanch_cli__is_of_policy(data);
    const char *id = stanch_json_str(data, "approval", "");
    json_t *question = json_pack("{s:s, s:s, s:s, s:s, s:I, s:b, s:{}}", "id", id, "role",
                                 stanch_json_str(data, "of_role", stanch_json_str(data, "role", "ic")), "about",
                                 stanch_json_str(data, "about", ""), "outcome", "pending", "at_ms",
                                 (json_int_t)stanch_json_int(entry, "at_ms", 0), "left_out", left_out, "said");
    stanch_json_set_str(question, "instance", stanch_json_str(data, "instance", NULL));
    stanch_json_set_str(question, "action", stanch_json_str(data, "action", NULL));
    json_array_append_new(record->questions, question);
    if (left_out)
        json_array_append_new(record->left_out,
                              json_sprintf("%s, which asked because of what was outside of the run: %s", id,
                                           stanch_json_str(data, "why", "")));
}

static void on_said(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    const char *kind = strchr(stanch_json_str(entry, "kind", "."), '.') + 1, *by = stanch_json_str(entry, "by", "");
    json_t *question = question_of(record, stanch_json_str(data, "approval", ""));
    if (!question)
        return;
    bool denies = strcmp(kind, "denied") == 0, chooses = strcmp(kind, "answered") == 0;
    const char *decision = denies ? "deny" : chooses ? stanch_json_str(data, "decision", "") : "approve";
    const char *name = strncmp(by, "person:", 7) == 0 ? by + 7 : by;
    int64_t after_ms = stanch_json_int(entry, "at_ms", 0) - stanch_json_int(question, "at_ms", 0);
    json_t *said = json_pack("{s:s, s:I}", "decision", decision, "after_ms", (json_int_t)(after_ms > 0 ? after_ms : 0));
    if (*stanch_json_str(data, "note", ""))
        stanch_json_set_str(said, "note", stanch_json_str(data, "note", NULL));
    json_object_set_new(json_object_get(question, "said"), name, said);
    if (strcmp(stanch_json_str(question, "about", ""), "keep") == 0 && strcmp(decision, "undo") == 0)
        (void)snprintf(record->undone_by, sizeof record->undone_by, "%s", by);
    if (denies && stanch_json_bool(question, "left_out", false))
        json_array_append_new(record->left_out, json_sprintf("%s was denied: the test goes on where the run did not",
                                                             stanch_json_str(question, "id", "")));
}

static void on_closed(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    const char *kind = strchr(stanch_json_str(entry, "kind", "."), '.') + 1;
    json_t *question = question_of(record, stanch_json_str(data, "approval", ""));
    bool granted = strcmp(kind, "granted") == 0 || strcmp(kind, "forced") == 0 || strcmp(kind, "consumed") == 0;
    if (question)
        stanch_json_set_str(question, "outcome", granted ? "approved" : kind);
}

static void on_answered(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    on_said(record, entry, data);
    on_closed(record, entry, data);
}

/* ---- what was said, and the end ---- */

/* An id of this store is another one in a test. */
static bool names_an_id(const char *text)
{
    static const char *const kinds[] = {"INC-", "R-", "M-", "A-", "E-", "H-"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        for (const char *at = strstr(text, kinds[i]); at; at = strstr(at + 1, kinds[i]))
            if (isdigit((unsigned char)at[strlen(kinds[i])]) && (at == text || !isalnum((unsigned char)at[-1])))
                return true;
    }
    return false;
}

static void on_text(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    bool pages = strcmp(stanch_json_str(entry, "kind", ""), "page.requested") == 0;
    json_t *text = json_object_get(data, "text");
    if (json_is_string(text) && !names_an_id(json_string_value(text)))
        json_array_append(pages ? record->pages : record->notes, text);
}

static void on_end(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    record->ended_ms = stanch_json_int(entry, "at_ms", 0);
    if (strstr(stanch_json_str(data, "why", ""), "on_resolved = stop"))
        record->resolved_ms = record->ended_ms;
}

static void on_resolved(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    if (stanch_json_int(data, "firing", 0) == 0)
        record->resolved_ms = stanch_json_int(entry, "at_ms", 0);
}

static void on_joined(struct stanch_cli__record *record, const json_t *entry, const json_t *data)
{
    (void)entry;
    json_array_append_new(record->left_out, json_sprintf("%s, another alert that joined the run",
                                                         stanch_json_str(data, "joined_event", "")));
}

static void take_entry(struct stanch_cli__record *record, const json_t *entry)
{
    static const struct {
        const char *kind;
        void (*take)(struct stanch_cli__record *record, const json_t *entry, const json_t *data);
    } takers[] = {
        {"approval.requested", on_requested},
        {"approval.granted", on_answered},
        {"approval.forced", on_answered},
        {"approval.denied", on_answered},
        {"approval.answered", on_answered},
        {"approval.supported", on_said},
        {"approval.expired", on_closed},
        {"approval.voided", on_closed},
        {"approval.consumed", on_closed},
        {"step.noted", on_text},
        {"step.decided", on_text},
        {"page.requested", on_text},
        {"run.succeeded", on_end},
        {"run.failed", on_end},
        {"run.cancelled", on_end},
        {"run.resolved", on_resolved},
        {"run.eased", on_resolved},
        {"run.joined", on_joined},
    };
    const char *kind = stanch_json_str(entry, "kind", "");
    const json_t *data = json_object_get(entry, "data");
    for (size_t i = 0; i < sizeof takers / sizeof *takers; i++)
        if (strcmp(kind, takers[i].kind) == 0)
            takers[i].take(record, entry, data);
    stanch_cli__record_plugins(record, entry);
}

/* What a person undid of it in between has no run in its entry. */
static bool is_of_run(const struct stanch_cli__record *record, const json_t *entry)
{
    const json_t *data = json_object_get(entry, "data");
    return strcmp(stanch_json_str(entry, "run", ""), record->id) == 0 ||
           json_object_get(record->mitigations, stanch_json_str(data, "mitigation", "")) != NULL;
}

/* ---- the run ---- */

static int check_run(struct stanch_cli *cli, const json_t *run)
{
    const char *id = stanch_json_str(run, "id", ""), *state = stanch_json_str(run, "state", ""),
               *why = stanch_json_str(run, "why", "");
    bool is_cancelled = strcmp(state, "cancelled") == 0;
    if (stanch_json_bool(run, "observe", false))
        return stanch_err_set(&cli->err, STANCH_E_REFUSED, "%s is a plan: it did nothing that could be recorded", id);
    if (strcmp(state, "held") == 0)
        return stanch_err_set(&cli->err, STANCH_E_REFUSED, "%s did not start: there is nothing to record", id);
    if (!is_cancelled && strcmp(state, "succeeded") != 0 && strcmp(state, "failed") != 0)
        return stanch_err_set(&cli->err, STANCH_E_CONFLICT, "%s is %s: only a run that is over can be recorded", id,
                              state);
    if (is_cancelled && !strstr(why, "on_resolved = stop") && !strstr(why, "abandoned after an unknown outcome"))
        return stanch_err_set(&cli->err, STANCH_E_REFUSED, "%s was cancelled by hand (%s): a test has no word for that",
                              id, why);
    return 0;
}

/* Did the event start other runs too? Then the test starts this one alone, by its parameters. */
static int count_runs(struct stanch_cli *cli, const json_t *run, bool *ret_several)
{
    const char *id = stanch_json_str(json_object_get(run, "event"), "id", NULL);
    STANCH_AUTO_JSON json_t *event = NULL;
    *ret_several = false;
    if (!id)
        return 0;
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/events/%s", id);
    int rc = stanch_cli__get(cli, path, &event);
    if (rc == STANCH_E_NOT_FOUND) /* pruned */
        return 0;
    *ret_several = json_array_size(json_object_get(event, "runs")) > 1;
    return rc;
}

static void begin(struct stanch_cli__record *record, const json_t *run)
{
    *record = (struct stanch_cli__record){.run = run,
                                          .id = stanch_json_str(run, "id", ""),
                                          .steps = json_object(),
                                          .questions = json_array(),
                                          .replies = json_object(),
                                          .mitigations = json_object(),
                                          .changes = json_object(),
                                          .actions = json_array(),
                                          .notes = json_array(),
                                          .pages = json_array(),
                                          .in_force = json_object(),
                                          .left_out = json_array()};
}

static void done(struct stanch_cli__record *record)
{
    json_t *const owned[] = {record->steps,    record->questions, record->replies, record->mitigations,
                             record->changes,  record->actions,   record->notes,   record->pages,
                             record->in_force, record->left_out};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        json_decref(owned[i]);
}

static int write_test(struct stanch_cli *cli, const char *path, const struct stanch_buf *text)
{
    FILE *out = fopen(path, "wxe");
    if (!out && errno == EEXIST)
        return stanch_err_set(&cli->err, STANCH_E_CONFLICT, "%s is there already", path);
    if (!out)
        return stanch_err_errno(&cli->err, STANCH_E_INVALID, errno, "cannot write %s", path);
    bool ok = fwrite(stanch_buf_str((struct stanch_buf *)(uintptr_t)text), 1, text->len, out) == text->len;
    ok = fclose(out) == 0 && ok;
    if (ok)
        return 0;
    int rc = stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "cannot write %s", path);
    (void)remove(path); /* half a test is none */
    return rc;
}

static int check_out(struct stanch_cli *cli, const char *path)
{
    static const char END[] = "_test.lua";
    size_t len = path ? strlen(path) : 0;
    if (!path || (len > strlen(END) && strcmp(path + len - strlen(END), END) == 0))
        return 0;
    return stanch_err_set(&cli->err, STANCH_E_INVALID, "--out %s: tests are in files whose names end in %s", path, END);
}

static int say_test(struct stanch_cli *cli, const struct stanch_cli__record *record, bool several)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    const char *path = stanch_cli__value(cli, STANCH_CLI__OUT);
    stanch_cli__lua_test(record, several, &text);
    int rc = path ? write_test(cli, path, &text) : 0;
    STANCH_AUTO_JSON json_t *told = json_pack("{s:s, s:s*, s:O, s:s}", "run", record->id, "out", path, "left_out",
                                              record->left_out, "test", stanch_buf_str(&text));
    if (rc != 0 || stanch_cli__said_json(cli, told))
        return rc;
    if (path)
        stanch_cli__say(cli, "%s is a test in %s now\n", record->id, path);
    else
        stanch_cli__say(cli, "%s", stanch_buf_str(&text));
    return 0;
}

static int run_record(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *path = stanch_cli__path("/v1/runs/%s", cli->args[0]);
    STANCH_AUTO_JSON json_t *run = NULL, *entries = NULL;
    bool several = false;
    int rc = check_out(cli, stanch_cli__value(cli, STANCH_CLI__OUT));
    rc = rc ? rc : stanch_cli__get(cli, path, &run);
    rc = rc ? rc : check_run(cli, run);
    rc = rc ? rc : count_runs(cli, run, &several);
    if (rc != 0)
        return rc;
    STANCH_AUTO_FREE char *story = stanch_cli__path("/v1/incidents/%s/timeline", stanch_json_str(run, "incident", "-"));
    rc = stanch_cli__read_all(cli, story, &entries);
    if (rc != 0)
        return rc;
    struct stanch_cli__record record;
    begin(&record, run);
    for (size_t i = 0; i < json_array_size(entries); i++)
        if (is_of_run(&record, json_array_get(entries, i)))
            take_entry(&record, json_array_get(entries, i));
    rc = say_test(cli, &record, several);
    done(&record);
    return rc;
}

const struct stanch_cli__command stanch_cli__record_commands[] = {
    {"runbook", "record", "RUN", 1, 1, "out", "a run that happened as a test, with its answers", run_record},
    {0},
};
