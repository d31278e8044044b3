/* store.c: store backup | restore | check: the store as a whole. All work on the store itself, in a process of their own,
 * beside a running daemon; restore only without one. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <unistd.h>

/* A path that means the same for the child, and in what is said. new */
static char *whole_path(const char *path)
{
    char here[4096];
    if (*path == '/' || !getcwd(here, sizeof here))
        return stanch_strdup(path);
    return stanch_asprintf("%s/%s", here, path);
}

static int run_backup(struct stanch_cli *cli)
{
    STANCH_AUTO_FREE char *store = NULL;
    STANCH_AUTO_FREE char *to = whole_path(cli->args[0]);
    STANCH_AUTO_JSON json_t *made = NULL;
    int rc = stanch_cli__find_store(cli, &store);
    if (rc == 0)
        rc = stanch_cli__ask_offline(cli, "backup", store, (const char *const[]){"--to", to, NULL}, &made);
    if (rc != 0 || stanch_cli__said_json(cli, made))
        return rc;
    stanch_cli__say(cli, "%lld entries copied to %s and verified; the store's signing key is not in it\n",
                    (long long)stanch_json_int(made, "entries", 0), to);
    return 0;
}

/* Where the store goes: --store, --state-dir, STANCH_STATE_DIR, or the default; no daemon is asked, none may run. */
static const char *restored_store(const struct stanch_cli *cli)
{
    const char *given = stanch_cli__value(cli, STANCH_CLI__STORE);
    const char *env = getenv("STANCH_STATE_DIR");
    return given ? given : env && *env ? env : STANCH_CLI__STATE_DIR;
}

static int run_restore(struct stanch_cli *cli)
{
    const char *store = restored_store(cli);
    STANCH_AUTO_JSON json_t *done = NULL;
    int rc = stanch_cli__ask_offline(cli, "restore", store, (const char *const[]){"--from", cli->args[0], NULL}, &done);
    if (rc != 0 || stanch_cli__said_json(cli, done))
        return rc;
    const char *aside = stanch_json_str(done, "aside", NULL);
    stanch_cli__say(cli, "%s holds the %lld entries of the backup, its epoch is %lld\n", store,
                    (long long)stanch_json_int(done, "entries", 0), (long long)stanch_json_int(done, "epoch", 0));
    if (aside)
        stanch_cli__say(cli, "what was there before is kept in %s/%s\n", store, aside);
    stanch_cli__say(cli, "the stop switch is set: what was done after the backup is not in it. Start the daemon, look "
                         "at `stanch mitigations` and `stanch run list`, then `stanch resume`\n");
    return 0;
}

/* The daemon makes it in the background, and goes by it; with --store it is made here. */
static int run_check(struct stanch_cli *cli)
{
    const char *store = stanch_cli__value(cli, STANCH_CLI__STORE);
    STANCH_AUTO_JSON json_t *verdict = NULL;
    cli->timeout_s = 0;
    int rc = store ? stanch_cli__ask_offline(cli, "check", store, NULL, &verdict)
                   : stanch_cli__send(cli, "POST", "/v1/store/check", NULL, &verdict);
    if (rc != 0)
        return rc;
    STANCH_AUTO_FREE char *what = stanch_cli__one_line(json_object_get(verdict, "what"));
    bool ok = stanch_json_bool(verdict, "ok", false);
    if (!stanch_cli__said_json(cli, verdict))
        stanch_cli__say(cli, "%s%lld entries in %lld chains%s\n", ok ? "ok: " : "",
                        (long long)stanch_json_int(verdict, "entries", 0),
                        (long long)stanch_json_int(verdict, "chains", 0),
                        ok ? ", every page, chain and document is whole" : " read");
    return ok ? 0 : stanch_err_set(&cli->err, STANCH_E_CORRUPT, "%s", what);
}

const struct stanch_cli__command stanch_cli__store_commands[] = {
    {"store", "backup", "DIR", 1, 1, "store", "copy the store, beside a running daemon; verified", run_backup},
    {"store", "restore", "DIR", 1, 1, "store", "put a backup in its place; the daemon must be stopped", run_restore},
    {"store", "check", "", 0, 0, "store", "look at every page, chain and document", run_check},
    {0},
};
