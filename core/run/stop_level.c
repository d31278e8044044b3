/* stop_level.c: stops of one plugin instance, one runbook, one target: a synced file each, in a folder.
 *
 *   stops/ --names, what stands in them--> levels --stop.c: without those that are over, with the switch--> list --> find
 *
 * All that cannot be read errs towards stopped.
 */
#include "run/stop.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER   "stops"
#define FILE_MAX 220 /* bytes of a file's name that we make */
#define SAID_MAX 65536
#define WHY_MAX  200 /* bytes of a name in a sentence */
#define BY_HAND  "the file was made by hand"

static const char *const levels[] = {"instance", "runbook", "target"};
#define LEVELS (sizeof levels / sizeof *levels)

int stanch_stop_check(const char *level, const char *name, struct stanch_err *err)
{
    bool known = false;
    for (size_t i = 0; i < LEVELS; i++)
        known = known || strcmp(levels[i], level) == 0;
    if (!known)
        return stanch_err_set(err, STANCH_E_INVALID, "level: \"%.40s\" is none; they are instance, runbook and target",
                              level);
    if (!*name || strlen(name) > STANCH_STOP_NAME_MAX)
        return stanch_err_set(err, STANCH_E_INVALID, "name: says which %s, in at most %d bytes", level,
                              STANCH_STOP_NAME_MAX);
    return 0;
}

/* ---- the name of the file ---- */

static bool is_plain(unsigned char c)
{
    return c < 0x80 && (isalnum(c) || strchr("._-:", c));
}

/* new */
static char *file_of(const char *level, const char *name)
{
    struct stanch_buf out = {0};
    stanch_buf_printf(&out, "%s:", level);
    for (const unsigned char *at = (const unsigned char *)name; *at; at++) {
        if (is_plain(*at))
            stanch_buf_char(&out, (char)*at);
        else
            stanch_buf_printf(&out, "%%%02X", *at);
    }
    if (out.len > FILE_MAX) {
        char hex[65];
        stanch_digest_hex(name, strlen(name), hex);
        stanch_buf_clear(&out);
        stanch_buf_printf(&out, "%s:~%s", level, hex);
    }
    return stanch_buf_take(&out);
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Made by hand, a name may hold any byte as it is. new */
static char *decode(const char *text)
{
    struct stanch_buf out = {0};
    while (*text) {
        int high = *text == '%' ? hex_digit(text[1]) : -1, low = high >= 0 ? hex_digit(text[2]) : -1;
        bool is_escape = low >= 0 && (high || low);
        stanch_buf_char(&out, is_escape ? (char)(high * 16 + low) : *text);
        text += is_escape ? 3 : 1;
    }
    return stanch_buf_take(&out);
}

/* The level that a file's name begins with; NULL: none. ret_rest: what stands behind it. */
static const char *level_of(const char *file, const char **ret_rest)
{
    for (size_t i = 0; i < LEVELS; i++) {
        size_t len = strlen(levels[i]);
        if (strncmp(file, levels[i], len) == 0 && file[len] == ':' && file[len + 1]) {
            *ret_rest = file + len + 1;
            return levels[i];
        }
    }
    return NULL;
}

/* ---- reading ---- */

/* What stands in it, when that is an object; NULL: it cannot be read, or says nothing. new */
static json_t *read_said(int folder, const char *file)
{
    char text[SAID_MAX];
    struct stat info;
    json_t *said = NULL;
    int fd = folder < 0 ? -1 : openat(folder, file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t len = fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    if (len <= 0 || stanch_json_parse(text, (size_t)len, &stanch_json_own_limits, &said, NULL) < 0)
        return NULL;
    if (json_is_object(said))
        return said;
    json_decref(said);
    return NULL;
}

static void set_text(json_t *stop, const char *key, const json_t *said, const char *otherwise)
{
    stanch_json_set_str(stop, key, stanch_json_str(said, key, otherwise));
}

/* Its name stands in the file, for it is too long for the file's. */
static const char *long_name(const char *rest, const json_t *said)
{
    const char *name = stanch_json_str(said, "name", "");
    char hex[65];
    stanch_digest_hex(name, strlen(name), hex);
    return strcmp(rest + 1, hex) == 0 ? name : NULL;
}

/* A file of the folder that is no stop of a level: it stops everything. new */
static json_t *not_understood(const char *file, const char *why)
{
    json_t *stop =
        json_pack("{s:s, s:s, s:s, s:s}", "level", STANCH_STOP_EVERYTHING, "reason", why, "by", "unknown", "at", "");
    json_t *text = json_string(file); /* NULL: it is no UTF-8 */
    json_object_set_new(stop, "file", text ? text : json_string("?"));
    return stop;
}

static json_t *read_stop(int folder, const char *file)
{
    const char *rest = NULL, *level = level_of(file, &rest);
    json_t *is_text = json_string(file);
    bool readable = level && is_text;
    json_decref(is_text);
    if (!readable)
        return not_understood(file, "the name of this file in " FOLDER "/ says no instance:NAME, runbook:NAME or "
                                    "target:NAME, so everything is stopped; remove the file when that is not meant");
    STANCH_AUTO_JSON json_t *said = read_said(folder, file);
    STANCH_AUTO_FREE char *decoded = decode(rest);
    const char *name = *rest == '~' ? long_name(rest, said) : decoded;
    json_t *stop = json_pack("{s:s, s:s}", "level", level, "file", file);
    json_t *name_text = name ? json_string(name) : NULL; /* NULL: any name of the level */
    if (name_text)
        json_object_set_new(stop, "name", name_text);
    set_text(stop, "reason", said, said ? "no reason given" : BY_HAND);
    set_text(stop, "by", said, "unknown");
    set_text(stop, "at", said, "");
    set_text(stop, "released_by", said, NULL);
    set_text(stop, "released_because", said, NULL);
    int64_t until_ms = stanch_json_int(said, "until_ms", 0);
    if (until_ms > 0 && until_ms < STANCH_JSON_SAFE_INT) {
        char until[32];
        stanch_time_text(until_ms, until);
        json_object_set_new(stop, "until_ms", json_integer(until_ms));
        stanch_json_set_str(stop, "until", until);
    }
    return stop;
}

static int is_no_dot(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

json_t *stanch_stop_levels(const char *state_dir)
{
    json_t *list = json_array();
    if (strcmp(state_dir, STANCH_STOP_NOWHERE) == 0)
        return list;
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/" FOLDER, state_dir);
    struct dirent **names = NULL;
    int count = scandir(path, &names, is_no_dot, alphasort);
    if (count < 0)
        stanch_mem_check(errno);
    if (count < 0 && errno != ENOENT)
        json_array_append_new(list,
                              not_understood("", "the folder " FOLDER "/ cannot be read, so everything is stopped"));
    int folder = count > 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1; /* without it, they have no end */
    for (int i = 0; i < count; i++) {
        json_array_append_new(list, read_stop(folder, names[i]->d_name));
        free(names[i]);
    }
    free(names);
    if (folder >= 0)
        close(folder);
    return list;
}

bool stanch_stop_is_over(const json_t *stop, int64_t now_ms)
{
    int64_t until_ms = stanch_json_int(stop, "until_ms", 0);
    return until_ms > 0 && until_ms <= now_ms;
}

/* ---- writing ---- */

void stanch_stop_prepare(const char *state_dir)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/" FOLDER, state_dir);
    (void)mkdir(path, 0700);
}

/* Open the folder; make: it is made when it is not there. returns a descriptor | STANCH_E_NOT_FOUND | STANCH_E_SYSTEM */
static int open_folder(const char *state_dir, bool make, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/" FOLDER, state_dir);
    int above = -1;
    if (make && mkdir(path, 0700) == 0) {
        above = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (above < 0 || fsync(above) < 0) /* the stop is written all the same */
            (void)stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be synced", state_dir);
    }
    if (above >= 0)
        close(above);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0)
        return folder;
    return stanch_err_errno(err, errno == ENOENT ? STANCH_E_NOT_FOUND : STANCH_E_SYSTEM, errno,
                            "the folder of stops, %s, could not be opened", path);
}

static int sync_folder(int folder, struct stanch_err *err)
{
    return fsync(folder) == 0
               ? 0
               : stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the folder of stops could not be synced");
}

/* Its being there is the stop: one that cannot be filled is left, and has no end. */
static int write_file(int folder, const char *file, const char *name, const struct stanch_buf *text,
                      struct stanch_err *err)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the stop %s could not be set", file);
    bool ok = write(fd, text->data, text->len) == (ssize_t)text->len && fsync(fd) == 0;
    int why = errno;
    close(fd);
    return ok ? 0 : stanch_err_errno(err, STANCH_E_SYSTEM, why, "the stop %s could not be written", file);
}

/* A new one is written in its place; one that is there is replaced whole, so that at no instant there is none. */
static int put_file(int folder, const char *file, const struct stanch_buf *text, struct stanch_err *err)
{
    static const char beside[] = ".new"; /* a name with a dot is no stop */
    if (faccessat(folder, file, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return write_file(folder, file, file, text, err);
    int rc = write_file(folder, file, beside, text, err);
    if (rc == 0 && renameat(folder, beside, folder, file) < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the stop %s could not be set", file);
    return rc;
}

/* By its name, or by that of its file when that alone can be read. */
static bool is_of(const json_t *stop, const char *level, const char *name)
{
    STANCH_AUTO_FREE char *file = file_of(level, name);
    return strcmp(stanch_json_str(stop, "level", ""), level) == 0 &&
           (strcmp(stanch_json_str(stop, "name", ""), name) == 0 ||
            strcmp(stanch_json_str(stop, "file", ""), file) == 0);
}

/* Is it set already, for at least as long? */
static bool lasts(const char *state_dir, const struct stanch_stop *stop)
{
    STANCH_AUTO_JSON json_t *all = stanch_stop_levels(state_dir);
    for (size_t i = 0; i < json_array_size(all); i++) {
        int64_t until_ms = stanch_json_int(json_array_get(all, i), "until_ms", 0);
        if (is_of(json_array_get(all, i), stop->level, stop->name) &&
            (until_ms == 0 || (stop->until_ms != 0 && stop->until_ms <= until_ms)))
            return true;
    }
    return false;
}

static void write_said(const struct stanch_stop *stop, struct stanch_buf *out)
{
    char at[32], until[32];
    stanch_time_text(stop->at_ms, at);
    STANCH_AUTO_JSON json_t *said = json_pack("{s:s, s:s, s:s, s:s, s:s}", "level", stop->level, "name", stop->name,
                                              "reason", stop->reason, "by", stop->by, "at", at);
    if (stop->until_ms > 0) {
        stanch_time_text(stop->until_ms, until);
        json_object_set_new(said, "until_ms", json_integer(stop->until_ms));
        stanch_json_set_str(said, "until", until);
    }
    if (said) /* a reason that is no UTF-8 stands in none, and the stop has no end */
        stanch_json_write(said, out);
    stanch_buf_char(out, '\n');
}

int stanch_stop_set_level(const char *state_dir, const struct stanch_stop *stop, struct stanch_err *err)
{
    int rc = stanch_stop_check(stop->level, stop->name, err);
    int folder = rc < 0 ? rc : open_folder(state_dir, true, err);
    if (folder < 0)
        return folder;
    if (!lasts(state_dir, stop)) {
        STANCH_AUTO_FREE char *file = file_of(stop->level, stop->name);
        STANCH_AUTO_BUF struct stanch_buf text = {0};
        write_said(stop, &text);
        rc = put_file(folder, file, &text, err);
    }
    if (rc == 0)
        rc = sync_folder(folder, err);
    close(folder);
    return rc;
}

int stanch_stop_give_to_owner(const char *state_dir, struct stanch_err *err)
{
    struct stat owner;
    if (geteuid() != 0)
        return 0;
    int folder = open_folder(state_dir, false, err), failed = 0;
    if (folder < 0)
        return folder;
    failed |= stat(state_dir, &owner) < 0 || fchown(folder, owner.st_uid, owner.st_gid) < 0;
    STANCH_AUTO_JSON json_t *all = stanch_stop_levels(state_dir);
    for (size_t i = 0; i < json_array_size(all) && !failed; i++)
        failed |= fchownat(folder, stanch_json_str(json_array_get(all, i), "file", ""), owner.st_uid, owner.st_gid,
                           AT_SYMLINK_NOFOLLOW) < 0 &&
                  errno != ENOENT;
    int rc = failed ? stanch_err_errno(err, STANCH_E_SYSTEM, errno,
                                       "it is written, but could not be given to the "
                                       "daemon's user")
                    : 0;
    close(folder);
    return rc;
}

static int remove_file(int folder, const char *file, const json_t *found, const struct stanch_stop *stop,
                       struct stanch_err *err)
{
    (void)found, (void)stop;
    if (unlinkat(folder, file, 0) < 0 && errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the stop %s could not be removed", file);
    return 0;
}

#define LONG_OVER_MS 1 /* whatever the clock says when the daemon is back */

static int release_file(int folder, const char *file, const json_t *found, const struct stanch_stop *stop,
                        struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *said = json_deep_copy(found);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    json_object_del(said, "file");
    json_object_del(said, "until");
    stanch_json_set_str(said, "name", stop->name);
    json_object_set_new(said, "until_ms", json_integer(LONG_OVER_MS));
    stanch_json_set_str(said, "released_by", stop->by);
    stanch_json_set_str(said, "released_because", stop->reason);
    stanch_json_write(said, &text);
    stanch_buf_char(&text, '\n');
    return put_file(folder, file, &text, err);
}

/* Every file of this level and name that is not over at stop->at_ms. returns 0 | STANCH_E_NOT_FOUND there is none | ... */
static int each_file(const char *state_dir, const struct stanch_stop *stop,
                     int (*act)(int folder, const char *file, const json_t *found, const struct stanch_stop *stop,
                                struct stanch_err *err),
                     struct stanch_err *err)
{
    int rc = stanch_stop_check(stop->level, stop->name, err), count = 0;
    int folder = rc < 0 ? rc : open_folder(state_dir, false, err);
    if (folder < 0 && folder != STANCH_E_NOT_FOUND)
        return folder;
    STANCH_AUTO_JSON json_t *all = folder < 0 ? NULL : stanch_stop_levels(state_dir);
    for (size_t i = 0; i < json_array_size(all) && rc == 0; i++) {
        const json_t *one = json_array_get(all, i);
        if (!is_of(one, stop->level, stop->name) || stanch_stop_is_over(one, stop->at_ms))
            continue;
        count++;
        rc = act(folder, stanch_json_str(one, "file", ""), one, stop, err);
    }
    if (rc == 0 && count)
        rc = sync_folder(folder, err);
    if (folder >= 0)
        close(folder);
    if (rc == 0 && !count)
        rc = stanch_err_set(err, STANCH_E_NOT_FOUND, "%s \"%.*s\" is not stopped; `stanch status` says what is",
                            stop->level, (int)stanch_text_cut(stop->name, WHY_MAX), stop->name);
    return rc;
}

int stanch_stop_clear_level(const char *state_dir, const char *level, const char *name, struct stanch_err *err)
{
    const struct stanch_stop stop = {.level = level, .name = name};
    return each_file(state_dir, &stop, remove_file, err);
}

int stanch_stop_release_level(const char *state_dir, const struct stanch_stop *stop, struct stanch_err *err)
{
    return each_file(state_dir, stop, release_file, err);
}

int stanch_stop_end(const char *state_dir, const json_t *stop, int64_t now_ms, struct stanch_err *err)
{
    const char *file = stanch_json_str(stop, "file", "");
    static const char aside[] = ".over";
    int folder = open_folder(state_dir, false, err), rc = 0;
    if (folder < 0)
        return folder;
    if (renameat(folder, file, folder, aside) < 0) {
        rc = errno == ENOENT ? 0 : stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be removed", file);
        close(folder);
        return rc;
    }
    STANCH_AUTO_JSON json_t *said = read_said(folder, aside);
    if (!stanch_stop_is_over(said, now_ms)) { /* set again by hand since it was read */
        rc = renameat(folder, aside, folder, file) == 0 ? STANCH_E_CONFLICT : STANCH_E_SYSTEM;
        stanch_err_set(err, rc, "%s was set again", file);
    } else if (unlinkat(folder, aside, 0) < 0) {
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be removed", file);
    } else {
        rc = sync_folder(folder, err);
    }
    close(folder);
    return rc;
}
