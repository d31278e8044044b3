/* switch.c: stop, resume, status. stop works with the daemon dead too: then it sets the switch itself, the synced
 * file that the daemon looks for (PROMISES.md 1.15); that of one instance, runbook or target is set and released through
 * `stanch offline stop` and `resume`, which know the names of their files. */
#include "cli/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "base/user.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_dir(struct stanch_cli *cli, const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;
    if (fd < 0 || fsync(fd) != 0)
        rc = stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "%s could not be synced", dir);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int write_file(struct stanch_cli *cli, const char *path, const struct stanch_buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = 0;
    if (fd < 0 && errno == EEXIST)
        return 0; /* set already; whoever set it first stands in it */
    if (fd < 0)
        return stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "the switch %s could not be made", path);
    /* even a file that stays empty is the switch: what counts is that it is there */
    if (write(fd, text->data, text->len) != (ssize_t)text->len || fsync(fd) != 0)
        rc = stanch_err_errno(&cli->err, STANCH_E_SYSTEM, errno, "the switch %s is set, but may not be synced", path);
    close(fd);
    return rc;
}

/* The daemon runs as its own user and must be able to read and remove what root made. */
static void give_to_owner(const char *dir, const char *path)
{
    struct stat info;
    if (geteuid() == 0 && stat(dir, &info) == 0)
        (void)!lchown(path, info.st_uid, info.st_gid);
}

static const char *state_dir_of(const struct stanch_cli *cli)
{
    const char *dir = stanch_cli__value(cli, STANCH_CLI__STATE_DIR_OPTION);
    if (!dir)
        dir = getenv("STANCH_STATE_DIR");
    return dir && *dir ? dir : STANCH_CLI__STATE_DIR;
}

static int stop_by_hand(struct stanch_cli *cli, const char *reason)
{
    const char *dir = state_dir_of(cli);
    char at[32];
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stop", dir);
    char by[STANCH_USER_NAME];
    stanch_user_name(STANCH_USER_LIST, getuid(), by);
    stanch_time_text(stanch_wall_now_ms(), at);
    STANCH_AUTO_JSON json_t *said = json_pack("{s:s, s:s, s:s}", "reason", reason, "by", by, "at", at);
    stanch_json_write(said, &text);
    stanch_buf_char(&text, '\n');
    int rc = write_file(cli, path, &text);
    if (rc == 0) {
        give_to_owner(dir, path);
        rc = sync_dir(cli, dir);
    }
    if (rc == 0 && !stanch_cli__said_json(cli, said))
        stanch_cli__say(cli, "the daemon does not answer; the switch is set by hand: %s\n", path);
    return rc;
}

/* ---- levels ---- */

struct level {
    const char *level, *name; /* NULL: everything */
};

static int read_level(struct stanch_cli *cli, struct level *ret)
{
    const struct level given[] = {{"instance", stanch_cli__value(cli, STANCH_CLI__INSTANCE)},
                                  {"runbook", stanch_cli__value(cli, STANCH_CLI__RUNBOOK)},
                                  {"target", cli->many_count ? cli->many[0] : NULL}};
    int count = cli->many_count > 1 ? 1 : 0;
    *ret = (struct level){NULL, NULL};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        if (!given[i].name)
            continue;
        *ret = given[i];
        count++;
    }
    if (count > 1)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "one of --instance, --runbook and --target, once");
    if (ret->level && !*ret->name)
        return stanch_err_set(&cli->err, STANCH_E_INVALID, "--%s says no name", ret->level);
    if (!ret->level && stanch_cli__value(cli, STANCH_CLI__FOR))
        return stanch_err_set(&cli->err, STANCH_E_INVALID,
                              "--for goes with --instance, --runbook or --target: the stop of everything ends by "
                              "`stanch resume` alone");
    return 0;
}

static int stop_level_by_hand(struct stanch_cli *cli, const struct level *level, const json_t *body)
{
    const char *dir = state_dir_of(cli);
    char by[STANCH_USER_NAME];
    stanch_user_name(STANCH_USER_LIST, getuid(), by);
    STANCH_AUTO_FREE char *for_ms = stanch_asprintf("%lld", (long long)stanch_json_int(body, "for_ms", 0));
    STANCH_AUTO_JSON json_t *said = NULL;
    int rc = stanch_cli__ask_offline(cli, "stop", dir,
                                     (const char *const[]){"--level", level->level, "--name", level->name, "--reason",
                                                           stanch_json_str(body, "reason", ""), "--by", by, "--for-ms",
                                                           for_ms, NULL},
                                     &said);
    if (rc > 0)
        return stanch_err_set(&cli->err, STANCH_E_SYSTEM, "the stop could not be set in %s", dir);
    if (rc == 0 && !stanch_cli__said_json(cli, said))
        stanch_cli__say(cli, "the daemon does not answer; the stop is set by hand, in %s/stops\n", dir);
    return rc;
}

static int resume_level_by_hand(struct stanch_cli *cli, const struct level *level, const json_t *body)
{
    const char *dir = state_dir_of(cli), *reason = stanch_json_str(body, "reason", NULL);
    char by[STANCH_USER_NAME];
    stanch_user_name(STANCH_USER_LIST, getuid(), by);
    STANCH_AUTO_JSON json_t *said = NULL;
    int rc = stanch_cli__ask_offline(cli, "resume", dir,
                                     (const char *const[]){"--level", level->level, "--name", level->name, "--by", by,
                                                           reason ? "--reason" : NULL, reason, NULL},
                                     &said);
    if (rc == stanch_err_exit(STANCH_E_NOT_FOUND))
        return stanch_err_set(&cli->err, STANCH_E_NOT_FOUND, "no stop of this %s is in %s", level->level, dir);
    if (rc > 0)
        return stanch_err_set(&cli->err, STANCH_E_SYSTEM, "the stop could not be released in %s", dir);
    if (rc == 0 && !stanch_cli__said_json(cli, said))
        stanch_cli__say(cli, "the daemon does not answer; the stop is released by hand, in %s/stops\n", dir);
    return rc;
}

static void say_level(const struct stanch_cli *cli, const json_t *stop)
{
    STANCH_AUTO_FREE char *name = stanch_cli__one_line(json_object_get(stop, "name"));
    STANCH_AUTO_FREE char *by = stanch_cli__one_line(json_object_get(stop, "by"));
    STANCH_AUTO_FREE char *reason = stanch_cli__one_line(json_object_get(stop, "reason"));
    const char *level = stanch_json_str(stop, "level", ""), *until = stanch_json_str(stop, "until", NULL);
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("%s %s, by %s%s%s: %s%s", strcmp(level, "all") == 0 ? "everything" : level,
                        json_object_get(stop, "name") ? name : "", by, until ? ", until " : "", until ? until : "",
                        reason, stanch_json_bool(stop, "known", true) ? "" : " (none of this name is known here now)");
    stanch_cli__field_text(cli, "stopped", text);
}

static void say_switch(const struct stanch_cli *cli, const json_t *status)
{
    const json_t *stopped = json_object_get(status, "stopped");
    if (json_is_object(stopped)) {
        stanch_cli__say(cli, "%sSTOPPED%s: stanch starts nothing by itself\n", cli->colour ? "\x1b[31m" : "",
                        stanch_cli__plain(cli));
        stanch_cli__field(cli, "reason", json_object_get(stopped, "reason"));
        stanch_cli__field(cli, "by", json_object_get(stopped, "by"));
        stanch_cli__field(cli, "at", json_object_get(stopped, "at"));
    } else if (json_array_size(json_object_get(status, "stops")) == 0) {
        stanch_cli__say(cli, "not stopped\n");
    }
    for (size_t i = 0; i < json_array_size(json_object_get(status, "stops")); i++)
        say_level(cli, json_array_get(json_object_get(status, "stops"), i));
}

static int flip(struct stanch_cli *cli, const char *path, const json_t *body)
{
    STANCH_AUTO_JSON json_t *status = NULL;
    int rc = stanch_cli__send(cli, "POST", path, body, &status);
    if (rc == 0 && !stanch_cli__said_json(cli, status))
        say_switch(cli, status);
    return rc;
}

/* Whatever the daemon's trouble is (dead, hanging, its disk full), the file still stops it; but who may not, may not. */
static bool is_its_trouble(int rc)
{
    return rc != 0 && stanch_err_http(rc) >= 500;
}

/* new; NULL: a word is wrong */
static json_t *read_flip(struct stanch_cli *cli, struct level *ret, const char *otherwise)
{
    json_t *body = json_object();
    int rc = read_level(cli, ret);
    if (rc == 0)
        rc = stanch_cli__set_for(cli, body);
    if (rc != 0) {
        json_decref(body);
        return NULL;
    }
    const char *reason = stanch_cli__because(cli);
    stanch_json_set_str(body, "reason", reason ? reason : otherwise);
    stanch_json_set_str(body, "level", ret->level);
    stanch_json_set_str(body, "name", ret->name);
    return body;
}

static int run_stop(struct stanch_cli *cli)
{
    struct level level;
    STANCH_AUTO_JSON json_t *body = read_flip(cli, &level, cli->arg_count ? cli->args[0] : "no reason given");
    if (!body)
        return cli->err.code;
    cli->timeout_s = 5;
    int rc = flip(cli, "/v1/stop", body);
    if (!is_its_trouble(rc) || cli->server)
        return rc;
    struct stanch_err first = cli->err;
    rc = level.level ? stop_level_by_hand(cli, &level, body) : stop_by_hand(cli, stanch_json_str(body, "reason", ""));
    return rc == 0 ? 0 : stanch_err_wrap(&cli->err, "%s; and by hand (--state-dir DIR)", first.text);
}

static int run_resume(struct stanch_cli *cli)
{
    struct level level;
    STANCH_AUTO_JSON json_t *body = read_flip(cli, &level, NULL);
    if (!body)
        return cli->err.code;
    cli->timeout_s = level.level ? 5 : 0;
    int rc = flip(cli, "/v1/resume", body);
    if (rc != STANCH_E_UNREACHABLE || cli->server ||
        !level.level) /* what it answers holds, also that it is in trouble */
        return rc;
    struct stanch_err first = cli->err;
    rc = resume_level_by_hand(cli, &level, body);
    return rc == 0 ? 0 : stanch_err_wrap(&cli->err, "%s; and by hand (--state-dir DIR)", first.text);
}

static void say_counts(const struct stanch_cli *cli, const json_t *status)
{
    const json_t *runs = json_object_get(status, "runs");
    STANCH_AUTO_FREE char *text = stanch_asprintf(
        "%lld open (%lld parked), %lld questions, %lld mitigations in force",
        (long long)stanch_json_int(runs, "open", 0), (long long)stanch_json_int(runs, "parked", 0),
        (long long)stanch_json_int(status, "approvals", 0), (long long)stanch_json_int(status, "mitigations", 0));
    stanch_cli__field_text(cli, "runs", text);
    if (stanch_json_int(status, "holds", 0) > 0)
        stanch_cli__field(cli, "held by hand", json_object_get(status, "holds"));
}

static void say_queue(const struct stanch_cli *cli, const json_t *status)
{
    const json_t *queue = json_object_get(status, "queue"), *storm = json_object_get(status, "storm");
    char age[32];
    int64_t waiting = stanch_json_int(queue, "waiting", 0), asking = stanch_json_int(queue, "asking", 0);
    int64_t oldest_ms = stanch_json_int(queue, "oldest_ms", 0);
    stanch_duration_text(oldest_ms - oldest_ms % 1000, age);
    STANCH_AUTO_FREE char *text = stanch_asprintf("%lld wait for their turn, %lld for a person; the oldest for %s",
                                                  (long long)waiting, (long long)asking, age);
    STANCH_AUTO_FREE char *mode = stanch_asprintf(
        "yes: %lld runs were to start lately; alerts start none before a person was asked (`stanch approvals`)",
        (long long)stanch_json_int(storm, "starts", 0));
    if (stanch_json_bool(storm, "on", false))
        stanch_cli__field_text(cli, "storm", mode);
    if (waiting + asking > 0)
        stanch_cli__field_text(cli, "queue", text);
}

/* Where checkpoints are kept, and what the full check said. */
static void say_kept(const struct stanch_cli *cli, const json_t *status)
{
    const json_t *check = json_object_get(status, "check");
    size_t i;
    json_t *place;
    json_array_foreach(json_object_get(json_object_get(status, "checkpoints"), "places"), i, place)
    {
        STANCH_AUTO_FREE char *to = stanch_cli__one_line(json_object_get(place, "to"));
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("%s %s %s", to, stanch_json_str(place, "state", ""), stanch_json_str(place, "at", ""));
        stanch_cli__field_text(cli, "checkpoint", text);
        stanch_cli__field(cli, "", json_object_get(place, "why"));
    }
    if (strcmp(stanch_json_str(check, "state", "none"), "none") != 0)
        stanch_cli__field(cli, "check", json_object_get(check, "state"));
    stanch_cli__field(cli, "", json_object_get(json_object_get(check, "verdict"), "what"));
}

/* Who people are told through; an outage is what it says itself. */
static void say_paging(const struct stanch_cli *cli, const json_t *status)
{
    const json_t *paging = json_object_get(status, "paging");
    size_t i;
    json_t *way;
    json_array_foreach(json_object_get(paging, "via"), i, way)
    {
        bool is_failing = strcmp(stanch_json_str(way, "state", ""), "failing") == 0;
        STANCH_AUTO_FREE char *text = stanch_asprintf("%s %s, %lld waiting", stanch_json_str(way, "instance", ""),
                                                      is_failing ? "cannot page people" : "pages people",
                                                      (long long)stanch_json_int(way, "waiting", 0));
        stanch_cli__field_text(cli, "paging", text);
        stanch_cli__field(cli, "", json_object_get(way, "why"));
    }
}

static void say_calendars(const struct stanch_cli *cli, const json_t *status)
{
    json_t *each;
    size_t i;
    json_array_foreach(json_object_get(status, "calendars"), i, each)
    {
        json_t *now = json_object_get(each, "now");
        STANCH_AUTO_FREE char *on = stanch_cli__one_line(now);
        STANCH_AUTO_FREE char *text =
            stanch_asprintf("%s is %s%s%s", stanch_json_str(each, "name", ""), stanch_json_str(each, "state", ""),
                            json_array_size(now) ? "; now: " : "", json_array_size(now) ? on : "");
        stanch_cli__field_text(cli, "calendar", text);
        stanch_cli__field(cli, "", json_object_get(each, "why"));
    }
}

static int run_reload(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *told = NULL;
    int rc = stanch_cli__send(cli, "POST", "/v1/reload", NULL, &told);
    if (rc != 0 || stanch_cli__said_json(cli, told))
        return rc;
    stanch_cli__field(cli, "policy", json_object_get(told, "policy"));
    stanch_cli__field(cli, "people", json_object_get(told, "people"));
    return 0;
}

/* A drill with people goes on beside what is real. */
static void say_drill(const struct stanch_cli *cli, const json_t *drill)
{
    if (!drill)
        return;
    STANCH_AUTO_FREE char *text =
        stanch_asprintf("%s (%s, %s): `stanch --drill status`", stanch_json_str(drill, "drill", ""),
                        stanch_json_str(drill, "name", ""), stanch_json_str(drill, "kind", ""));
    stanch_cli__field_text(cli, "drill", text);
}

static int run_status(struct stanch_cli *cli)
{
    STANCH_AUTO_JSON json_t *status = NULL;
    json_t *why;
    size_t i;
    int rc = stanch_cli__get(cli, "/v1/status", &status);
    if (rc != 0 || stanch_cli__said_json(cli, status))
        return rc;
    stanch_cli__field_text(cli, "ready", stanch_json_bool(status, "ready", false) ? "yes" : "no");
    json_array_foreach(json_object_get(status, "why"), i, why) stanch_cli__field(cli, "", why);
    say_switch(cli, status);
    say_counts(cli, status);
    say_queue(cli, status);
    const json_t *book = json_object_get(status, "book");
    stanch_cli__field(cli, "runbooks", json_object_get(book, "commit"));
    stanch_cli__field(cli, "book", json_object_get(book, "state"));
    stanch_cli__field(cli, "", json_object_get(book, "why"));
    say_kept(cli, status);
    say_paging(cli, status);
    say_calendars(cli, status);
    say_drill(cli, json_object_get(status, "drill"));
    stanch_cli__field(cli, "version", json_object_get(status, "version"));
    return 0;
}

const struct stanch_cli__command stanch_cli__switch_commands[] = {
    {"stop", NULL, "[REASON]", 0, 1, "instance runbook target for because reason state-dir",
     "nothing starts by itself any more, daemon dead or alive; or nothing about one instance, runbook or target",
     run_stop},
    {"resume", NULL, "", 0, 0, "instance runbook target because reason state-dir",
     "release the switch; or that of one instance, runbook or target, daemon dead or alive", run_resume},
    {"reload", NULL, "", 0, 0, "", "read the files of policy and people again", run_reload},
    {"status", NULL, "", 0, 0, "", "how things stand", run_status},
    {0},
};
