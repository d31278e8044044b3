/* offline.c: what works on a store with the daemon dead or alive, in a process of its own: for the command line
 * (`stanch offline ...`), which prints for people, and for the daemon (serve_keep.c); this prints JSON.
 *
 *   offline verify      --store DIR [--chain INC] [--checkpoint PLACE]    {"ok","chains","entries","bad_seq",...}
 *   offline check       --store DIR                                       the same, and {"differences"} of documents
 *   offline export      --store DIR [--chain INC]                         JSON lines
 *   offline rebuild     --store DIR [--check]                             {"differences"}; the daemon must be stopped
 *   offline mitigations --store DIR [--open]                              [mitigation, ...]
 *   offline checkpoint  --store DIR [--to PLACE] [--token-fd N]           the signed checkpoint, or {"at","entries"}
 *   offline backup      --store DIR --to DIR                              {"store","at","entries","epoch"}
 *   offline prune       --store DIR --before AGE|TIME [--check]           {"incidents","events","entries"}; the daemon
 *                                                                         must be stopped
 *   offline stop        --store DIR --level WORD --name NAME --reason TEXT --by WHO --for-ms N   {"level","name",...}
 *   offline resume      --store DIR --level WORD --name NAME --by WHO [--reason TEXT]            {"level","name",...}
 *   offline restore     --store DIR --from DIR                            the same and "aside"; no daemon may run
 *
 * PLACE: see offline_place.h. --attached: ends with the process that started it.
 */
#include "offline.h"
#include "base/json.h"
#include "base/loop.h"
#include "timeline/journal.h"
#include "base/mem.h"
#include "base/times.h"
#include "offline_place.h"
#include "run/stop.h"
#include "timeline/backup.h"
#include "timeline/checkpoint.h"
#include "timeline/prune.h"
#include "timeline/store.h"
#include "timeline/verify.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

struct words {
    const char *verb, *store, *chain, *checkpoint, *to, *from, *token_fd, *before, *level, *name, *reason, *by, *for_ms;
    bool check, open, attached;
};

static int read_words(int argc, char **argv, struct words *ret, struct stanch_err *err)
{
    ret->verb = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++) {
        const char **value = strcmp(argv[i], "--store") == 0        ? &ret->store
                             : strcmp(argv[i], "--chain") == 0      ? &ret->chain
                             : strcmp(argv[i], "--checkpoint") == 0 ? &ret->checkpoint
                             : strcmp(argv[i], "--to") == 0         ? &ret->to
                             : strcmp(argv[i], "--from") == 0       ? &ret->from
                             : strcmp(argv[i], "--before") == 0     ? &ret->before
                             : strcmp(argv[i], "--token-fd") == 0   ? &ret->token_fd
                             : strcmp(argv[i], "--level") == 0      ? &ret->level
                             : strcmp(argv[i], "--name") == 0       ? &ret->name
                             : strcmp(argv[i], "--reason") == 0     ? &ret->reason
                             : strcmp(argv[i], "--by") == 0         ? &ret->by
                             : strcmp(argv[i], "--for-ms") == 0     ? &ret->for_ms
                                                                    : NULL;
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            ret->check = true;
        else if (strcmp(argv[i], "--open") == 0)
            ret->open = true;
        else if (strcmp(argv[i], "--attached") == 0)
            ret->attached = true;
        else
            return stanch_err_set(err, STANCH_E_INVALID, "offline: %s is not understood", argv[i]);
    }
    return ret->store ? 0 : stanch_err_set(err, STANCH_E_INVALID, "offline: --store DIR is missing");
}

static void say(const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_json_write(value, &text);
    (void)puts(stanch_buf_str(&text));
}

static json_t *verdict_json(const struct stanch_verify_result *result)
{
    json_t *verdict = json_pack("{s:b, s:I, s:I}", "ok", result->what[0] == 0, "chains", (json_int_t)result->chains,
                                "entries", (json_int_t)result->entries);
    if (result->what[0]) {
        json_object_set_new(verdict, "bad_seq", json_integer(result->bad_seq));
        json_object_set_new(verdict, "bad_n", json_integer(result->bad_n));
        stanch_json_set_str(verdict, "bad_chain", result->bad_chain);
        stanch_json_set_str(verdict, "what", result->what);
    }
    return verdict;
}

static int verify(const struct words *words, struct stanch_err *err)
{
    struct stanch_verify_result result = {0};
    STANCH_AUTO_FREE char *checkpoint = NULL;
    int rc = words->checkpoint ? stanch_place_fetch(words->checkpoint, words->store, &checkpoint, err) : 0;
    if (rc == 0)
        rc = stanch_timeline_verify(words->store, words->chain, checkpoint, &result, err);
    if (rc != 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = verdict_json(&result);
    say(answer);
    return 0;
}

/* All that can be looked at: pages, chains, blobs, and whether each document is what its entries tell. */
static int check(const struct words *words, struct stanch_err *err)
{
    struct stanch_verify_result result = {0};
    int64_t differences = 0;
    int rc = stanch_timeline_verify(words->store, NULL, NULL, &result, err);
    if (rc == 0 && !result.bad_seq)
        rc = stanch_timeline_rebuild(words->store, 1, &differences, err);
    if (rc != 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = verdict_json(&result);
    json_object_set_new(answer, "differences", json_integer(differences));
    if (differences) {
        STANCH_AUTO_FREE char *what =
            stanch_asprintf("%lld documents are not what their entries tell; with the daemon stopped `stanch timeline "
                            "rebuild --store DIR` makes them again",
                            (long long)differences);
        json_object_set_new(answer, "ok", json_false());
        stanch_json_set_str(answer, "what", what);
    } else if (!words->attached && !result.bad_seq) {
        rc = stanch_store_trust_dir(words->store, err);
    }
    if (rc == 0 || rc == STANCH_E_CONFLICT) /* a daemon that owns it makes checks of its own */
        say(answer);
    return rc == STANCH_E_CONFLICT ? 0 : rc;
}

static int rebuild(const struct words *words, struct stanch_err *err)
{
    int64_t differences = 0;
    int rc = stanch_timeline_rebuild(words->store, words->check, &differences, err);
    if (rc != 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:I}", "differences", (json_int_t)differences);
    say(answer);
    return 0;
}

/* The documents of a noun; from the entries alone when the documents are damaged. */
static int read_docs(struct stanch_journal *journal, const char *store, const char *noun, bool open_only, json_t **ret,
                     struct stanch_err *err)
{
    const struct stanch_noun_query query = {.noun = noun, .open = open_only ? 1 : -1, .limit = 1000};
    char lost[200] = "";
    int rc = journal ? stanch_journal_list(journal, &query, ret, err) : STANCH_E_CORRUPT;
    if (rc != STANCH_E_CORRUPT)
        return rc;
    rc = stanch_timeline_salvage(store, noun, open_only, ret, lost, err);
    if (rc == 0)
        (void)fprintf(stderr, "stanch: the store is damaged; this is computed from its entries%s%s\n",
                      *lost ? ": " : ", all of which could be read", lost);
    return rc;
}

static const json_t *find_by_id(const json_t *docs, const char *id)
{
    size_t i;
    json_t *doc;
    json_array_foreach(docs, i, doc) if (strcmp(stanch_json_str(doc, "id", ""), id) == 0) return doc;
    return NULL;
}

/* Who answers for each: the run's runbook and its owner. */
static void add_owners(struct stanch_journal *journal, const char *store, json_t *mitigations)
{
    static const char *const copied[] = {"runbook", "owner"};
    STANCH_AUTO_JSON json_t *salvaged = NULL;
    char lost[200];
    size_t i;
    json_t *mitigation;
    json_array_foreach(mitigations, i, mitigation)
    {
        const char *id = stanch_json_str(mitigation, "run", "");
        STANCH_AUTO_JSON json_t *stored =
            journal ? stanch_journal_get(journal, STANCH_VIEW_COMMITTED, "run", id) : NULL;
        if (!stored && !salvaged && stanch_timeline_salvage(store, "run", 0, &salvaged, lost, NULL) < 0)
            salvaged = json_array();
        const json_t *run = stored ? stored : find_by_id(salvaged, id);
        for (size_t k = 0; k < sizeof copied / sizeof *copied; k++)
            stanch_json_set_str(mitigation, copied[k], stanch_json_str(run, copied[k], NULL));
    }
}

static int list_mitigations(const struct words *words, struct stanch_loop *loop, struct stanch_err *err)
{
    struct stanch_store *store = NULL;
    struct stanch_journal *journal = NULL;
    STANCH_AUTO_JSON json_t *docs = NULL;
    int rc = stanch_store_sqlite_open(words->store, 0, 1, &store, err);
    if (rc < 0)
        return rc;
    rc = stanch_journal_open(loop, store, &journal, err); /* a head that cannot be read: salvage goes without */
    if (rc == 0 || rc == STANCH_E_CORRUPT)
        rc = read_docs(journal, words->store, "mitigation", words->open, &docs, err);
    add_owners(journal, words->store, docs);
    stanch_journal_close(journal);
    if (rc == 0)
        say(docs);
    return rc;
}

static int mitigations(const struct words *words, struct stanch_err *err)
{
    struct stanch_loop *loop = stanch_loop_new(err);
    int rc = loop ? list_mitigations(words, loop, err) : STANCH_E_SYSTEM;
    stanch_loop_free(loop);
    return rc;
}

static int checkpoint(const struct words *words, struct stanch_err *err)
{
    struct stanch_store *store;
    STANCH_AUTO_JSON json_t *value = NULL;
    int rc = stanch_store_sqlite_open(words->store, 0, 1, &store, err);
    if (rc < 0)
        return rc;
    rc = stanch_checkpoint_make(store, words->store, &value, err);
    stanch_store_close(store);
    if (rc == 0 && words->to)
        rc = stanch_place_send(words->to, words->store, words->token_fd ? atoi(words->token_fd) : -1, value, err);
    if (rc < 0)
        return rc;
    const json_t *made = json_object_get(value, "checkpoint");
    STANCH_AUTO_JSON json_t *answer =
        json_pack("{s:O, s:O}", "at", json_object_get(made, "at"), "entries", json_object_get(made, "entries"));
    say(words->to ? answer : value);
    return 0;
}

static void say_backup(const struct stanch_backup_result *result)
{
    STANCH_AUTO_JSON json_t *answer =
        json_pack("{s:s, s:s, s:I, s:I}", "store", result->store, "at", result->at, "entries",
                  (json_int_t)result->entries, "epoch", (json_int_t)result->epoch);
    stanch_json_set_str(answer, "aside", result->aside[0] ? result->aside : NULL);
    say(answer);
}

static int backup(const struct words *words, struct stanch_err *err)
{
    struct stanch_backup_result result;
    if (!words->to)
        return stanch_err_set(err, STANCH_E_INVALID, "offline: --to DIR is missing");
    int rc = stanch_store_backup(words->store, words->to, &result, err);
    if (rc == 0)
        say_backup(&result);
    return rc;
}

/* The store goes back in time, the world does not: what was done since is not known to it, so nothing may go on by
 * itself before a person has looked. */
static int hold_all(void *ctx, const struct stanch_backup_result *result, struct stanch_err *err)
{
    const struct words *words = ctx;
    char by[32];
    (void)snprintf(by, sizeof by, "uid:%u", (unsigned)getuid());
    STANCH_AUTO_FREE char *reason =
        stanch_asprintf("the store was restored from a backup of %s: what was done since then is not in it; look at "
                        "what is in force and at the open runs before `stanch resume`",
                        result->at[0] ? result->at : "an unknown time");
    return stanch_stop_set(words->store, reason, by, stanch_wall_now_ms(), err);
}

static int restore(const struct words *words, struct stanch_err *err)
{
    struct stanch_backup_result result;
    if (!words->from)
        return stanch_err_set(err, STANCH_E_INVALID, "offline: --from DIR is missing");
    int rc = stanch_store_restore(words->from, words->store, hold_all, (void *)(uintptr_t)words, &result, err);
    if (rc == 0)
        say_backup(&result);
    return rc;
}

static int prune(const struct words *words, struct stanch_err *err)
{
    struct stanch_prune_result result = {0};
    int64_t now_ms = stanch_wall_now_ms(), before_ms = 0;
    char by[32];
    (void)snprintf(by, sizeof by, "uid:%u", (unsigned)getuid());
    int rc = words->before
                 ? stanch_time_parse_ago(words->before, now_ms, &before_ms, err)
                 : stanch_err_set(err, STANCH_E_INVALID, "--before says until when: 90d, or 2026-01-31T00:00:00Z");
    if (rc == 0)
        rc = stanch_timeline_prune(words->store, before_ms, now_ms, by, words->check, &result, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:I, s:I, s:I}", "incidents", (json_int_t)result.incidents, "events",
                                                (json_int_t)result.events, "entries", (json_int_t)result.entries);
    say(answer);
    return 0;
}

/* The switch of one level, by hand: `stanch stop` with the daemon dead. */
static int stop(const struct words *words, struct stanch_err *err)
{
    if (!words->level || !words->name || !words->reason || !words->by)
        return stanch_err_set(err, STANCH_E_INVALID, "offline: --level, --name, --reason or --by is missing");
    long long for_ms = words->for_ms ? atoll(words->for_ms) : 0;
    struct stanch_stop stop = {.level = words->level,
                               .name = words->name,
                               .reason = words->reason,
                               .by = words->by,
                               .at_ms = stanch_wall_now_ms()};
    stop.until_ms = for_ms > 0 ? stop.at_ms + for_ms : 0;
    int rc = stanch_stop_set_level(words->store, &stop, err);
    if (rc == 0)
        rc = stanch_stop_give_to_owner(words->store, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer =
        json_pack("{s:s, s:s, s:s, s:s}", "level", stop.level, "name", stop.name, "reason", stop.reason, "by", stop.by);
    if (stop.until_ms)
        json_object_set_new(answer, "until_ms", json_integer(stop.until_ms));
    say(answer);
    return 0;
}

/* Its release: `stanch resume` with the daemon dead. */
static int resume(const struct words *words, struct stanch_err *err)
{
    if (!words->level || !words->name || !words->by)
        return stanch_err_set(err, STANCH_E_INVALID, "offline: --level, --name or --by is missing");
    const struct stanch_stop stop = {.level = words->level,
                                     .name = words->name,
                                     .reason = words->reason,
                                     .by = words->by,
                                     .at_ms = stanch_wall_now_ms()};
    int rc = stanch_stop_release_level(words->store, &stop, err);
    if (rc == 0)
        rc = stanch_stop_give_to_owner(words->store, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:s, s:s, s:s, s:s*}", "level", stop.level, "name", stop.name, "by",
                                                stop.by, "reason", stop.reason);
    say(answer);
    return 0;
}

static int export(const struct words *words, struct stanch_err *err)
{
    return stanch_timeline_export(words->store, words->chain, stdout, err);
}

static const struct {
    const char *name;
    int (*act)(const struct words *words, struct stanch_err *err);
} verbs[] = {
    {"prune", prune},           {"verify", verify},
    {"check", check},           {"export", export},
    {"rebuild", rebuild},       {"mitigations", mitigations},
    {"checkpoint", checkpoint}, {"backup", backup},
    {"restore", restore},       {"stop", stop},
    {"resume", resume},
};

static int run(const struct words *words, struct stanch_err *err)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, words->verb) == 0)
            return verbs[i].act(words, err);
    return stanch_err_set(err, STANCH_E_INVALID, "offline: no such command \"%s\"", words->verb);
}

int stanch_offline_main(int argc, char **argv)
{
    struct words words = {0};
    struct stanch_err err = {0};
    int rc = read_words(argc, argv, &words, &err);
    if (words.attached)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (rc == 0)
        rc = run(&words, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = stanch_err_set(&err, STANCH_E_SYSTEM, "the output could not be written");
    if (rc != 0)
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    return stanch_err_exit(rc);
}
