/* offline.c: what works on a store with the daemon dead or alive: verify, export, rebuild, the mitigations in force.
 * A door for the command line (`stanch offline ...`), which prints for people; this prints JSON.
 *
 *   offline verify      --store DIR [--chain INC] [--checkpoint FILE]     {"ok","chains","entries","bad_seq",...}
 *   offline export      --store DIR [--chain INC]                         JSON lines
 *   offline rebuild     --store DIR [--check]                             {"differences"}; the daemon must be stopped
 *   offline mitigations --store DIR [--open]                              [mitigation, ...]
 */
#include "base/json.h"
#include "base/loop.h"
#include "timeline/journal.h"
#include "timeline/store.h"
#include "timeline/verify.h"
#include <stdio.h>
#include <string.h>

int stanch_offline_main(int argc, char **argv);

struct words {
    const char *verb, *store, *chain, *checkpoint;
    int check, open;
};

static int read_words(int argc, char **argv, struct words *ret, struct stanch_err *err)
{
    ret->verb = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; i++) {
        const char **value = strcmp(argv[i], "--store") == 0        ? &ret->store
                             : strcmp(argv[i], "--chain") == 0      ? &ret->chain
                             : strcmp(argv[i], "--checkpoint") == 0 ? &ret->checkpoint
                                                                    : NULL;
        if (value && i + 1 < argc)
            *value = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            ret->check = 1;
        else if (strcmp(argv[i], "--open") == 0)
            ret->open = 1;
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

static int verify(const struct words *words, struct stanch_err *err)
{
    struct stanch_verify_result result = {0};
    int rc = stanch_timeline_verify(words->store, words->chain, words->checkpoint, &result, err);
    if (rc != 0)
        return rc;
    STANCH_AUTO_JSON json_t *answer = json_pack("{s:b, s:I, s:I}", "ok", result.what[0] == 0, "chains",
                                                (json_int_t)result.chains, "entries", (json_int_t)result.entries);
    if (result.what[0]) {
        json_object_set_new(answer, "bad_seq", json_integer(result.bad_seq));
        json_object_set_new(answer, "bad_n", json_integer(result.bad_n));
        stanch_json_set_str(answer, "bad_chain", result.bad_chain);
        stanch_json_set_str(answer, "what", result.what);
    }
    say(answer);
    return 0;
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

static int list_mitigations(const struct words *words, struct stanch_loop *loop, struct stanch_err *err)
{
    struct stanch_store *store = NULL;
    struct stanch_journal *journal = NULL;
    STANCH_AUTO_JSON json_t *docs = NULL;
    const struct stanch_noun_query query = {.noun = "mitigation", .open = words->open ? 1 : -1, .limit = 1000};
    int rc = stanch_store_sqlite_open(words->store, 0, 1, &store, err);
    if (rc == 0)
        rc = stanch_journal_open(loop, store, &journal, err);
    if (rc == 0)
        rc = stanch_journal_list(journal, &query, &docs, err);
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

static int run(const struct words *words, struct stanch_err *err)
{
    if (strcmp(words->verb, "verify") == 0)
        return verify(words, err);
    if (strcmp(words->verb, "export") == 0)
        return stanch_timeline_export(words->store, words->chain, stdout, err);
    if (strcmp(words->verb, "rebuild") == 0)
        return rebuild(words, err);
    if (strcmp(words->verb, "mitigations") == 0)
        return mitigations(words, err);
    return stanch_err_set(err, STANCH_E_INVALID, "offline: no such command \"%s\"", words->verb);
}

int stanch_offline_main(int argc, char **argv)
{
    struct words words = {0};
    struct stanch_err err = {0};
    int rc = read_words(argc, argv, &words, &err);
    if (rc == 0)
        rc = run(&words, &err);
    if (rc == 0 && fflush(stdout) != 0)
        rc = stanch_err_set(&err, STANCH_E_SYSTEM, "the output could not be written");
    if (rc != 0)
        (void)fprintf(stderr, "stanch: %s\n", err.text);
    return stanch_err_exit(rc);
}
