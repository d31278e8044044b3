/* drill_keep.c: kept results: a folder of files NAME-NUMBER.json, and what people found in them. A file is written whole under
 * another name first, so that nobody reads half of one. */
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "drill/drill.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES    (16u << 20)
#define MAX_SLUG     80
#define MAX_NUMBER   1000000
#define MAX_FINDINGS 200
#define MAX_TEXT     2000

/* ---- names ---- */

/* A drill's name as a part of a file's; new */
static char *slug_of(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    for (const char *at = name; *at && text.len < MAX_SLUG; at++)
        if (strchr(plain, *at))
            stanch_buf_char(&text, *at);
        else if (text.len > 0 && text.data[text.len - 1] != '-')
            stanch_buf_char(&text, '-');
    while (text.len > 0 && text.data[text.len - 1] == '-')
        text.data[--text.len] = 0;
    return stanch_strdup(text.len ? stanch_buf_str(&text) : "drill");
}

/* "checkout-3", or the path of its file; new */
static char *path_of(const char *folder, const char *result)
{
    size_t len = strlen(result);
    bool has_end = len > 5 && strcmp(result + len - 5, ".json") == 0;
    if (!folder || strchr(result, '/'))
        return stanch_asprintf("%s%s", result, has_end ? "" : ".json");
    return stanch_asprintf("%s/%s%s", folder, result, has_end ? "" : ".json");
}

/* ---- reading ---- */

static int read_result(const char *path, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = stanch_file_read(path, MAX_BYTES, &text, err);
    rc = rc ? rc : stanch_json_parse(stanch_buf_str(&text), text.len, &stanch_json_own_limits, ret, err);
    if (rc < 0)
        return stanch_err_wrap(err, "%s", path);
    if (json_is_string(json_object_get(*ret, "drill")) && json_is_integer(json_object_get(*ret, "number")) &&
        json_is_object(json_object_get(*ret, "report")) && json_is_array(json_object_get(*ret, "findings")))
        return 0;
    json_decref(*ret);
    *ret = NULL;
    return stanch_err_set(err, STANCH_E_INVALID, "%s is not the result of a drill", path);
}

static void name_result(json_t *result)
{
    STANCH_AUTO_FREE char *slug = slug_of(stanch_json_str(result, "drill", ""));
    json_object_set_new(result, "result",
                        json_sprintf("%s-%lld", slug, (long long)stanch_json_int(result, "number", 0)));
}

static int compare_results(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int names = strcmp(stanch_json_str(x, "drill", ""), stanch_json_str(y, "drill", ""));
    int64_t n = stanch_json_int(x, "number", 0), m = stanch_json_int(y, "number", 0);
    return names ? names : (n > m) - (n < m);
}

static json_t *sorted(const json_t *list)
{
    size_t count = json_array_size(list);
    json_t *all = json_array();
    STANCH_AUTO_FREE json_t **items = stanch_alloc((count + 1) * sizeof(json_t *));
    for (size_t i = 0; i < count; i++)
        items[i] = json_array_get(list, i);
    qsort(items, count, sizeof(json_t *), compare_results);
    for (size_t i = 0; i < count; i++)
        json_array_append(all, items[i]);
    return all;
}

static int read_folder(DIR *dir, const char *folder, const char *name, json_t *list, struct stanch_err *err)
{
    struct dirent *found;
    int rc = 0;
    while (rc == 0 && (found = readdir(dir))) {
        size_t len = strlen(found->d_name);
        json_t *result = NULL;
        if (found->d_name[0] == '.' || len < 6 || strcmp(found->d_name + len - 5, ".json") != 0)
            continue;
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", folder, found->d_name);
        rc = read_result(path, &result, err);
        if (rc < 0)
            return rc;
        if (!name || strcmp(stanch_json_str(result, "drill", ""), name) == 0) {
            name_result(result);
            json_array_append(list, result);
        }
        json_decref(result);
    }
    return rc;
}

int stanch_drill_kept(const char *folder, const char *name, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *list = json_array();
    DIR *dir = opendir(folder);
    if (!dir && errno != ENOENT)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the folder %s could not be read", folder);
    int rc = dir ? read_folder(dir, folder, name, list, err) : 0;
    if (dir)
        closedir(dir);
    if (rc == 0)
        *ret = sorted(list);
    return rc;
}

/* ---- writing ---- */

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return -1;
        bytes += put;
        len -= (size_t)put;
    }
    return 0;
}

/* into: a name that is not taken, or (may_replace) one that is. returns 0 | STANCH_E_CONFLICT it is taken | STANCH_E_SYSTEM */
static int put_file(const char *folder, const char *into, const json_t *result, bool may_replace,
                    struct stanch_err *err)
{
    STANCH_AUTO_FREE char *text = json_dumps(result, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    STANCH_AUTO_FREE char *draft = stanch_asprintf("%s/.drill-XXXXXX", folder);
    int fd = mkostemp(draft, O_CLOEXEC), rc = 0;
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "nothing can be written into %s", folder);
    (void)fchmod(fd, 0644);
    if (write_all(fd, text, strlen(text)) < 0 || write_all(fd, "\n", 1) < 0 || fsync(fd) < 0)
        rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be written", into);
    close(fd);
    if (rc == 0 && (may_replace ? rename(draft, into) : link(draft, into)) < 0)
        rc = stanch_err_errno(err, errno == EEXIST ? STANCH_E_CONFLICT : STANCH_E_SYSTEM, errno,
                              "%s could not be written", into);
    (void)unlink(draft);
    return rc;
}

int stanch_drill_keep(const char *folder, json_t *result, char **ret_name, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *slug = slug_of(stanch_json_str(result, "drill", ""));
    int rc = STANCH_E_CONFLICT;
    if (mkdir(folder, 0755) < 0 && errno != EEXIST)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "the folder %s could not be made", folder);
    for (int64_t number = 1; rc == STANCH_E_CONFLICT && number < MAX_NUMBER; number++) {
        STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s-%lld.json", folder, slug, (long long)number);
        if (access(path, F_OK) == 0)
            continue;
        json_object_set_new(result, "number", json_integer(number));
        rc = put_file(folder, path, result, false, err);
        if (rc == 0)
            *ret_name = stanch_asprintf("%s-%lld", slug, (long long)number);
    }
    return rc;
}

static json_t *before(const json_t *kept, int64_t number)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(kept); i++)
        if (stanch_json_int(json_array_get(kept, i), "number", 0) < number)
            json_array_append(list, json_array_get(kept, i));
    return list;
}

/* ---- one of them ---- */

/* Beside which others it is kept; new */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? stanch_strndup(path, (size_t)(slash - path)) : stanch_strdup(".");
}

int stanch_drill_read(const char *folder, const char *result, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(folder, result);
    STANCH_AUTO_FREE char *beside = folder_of(path);
    STANCH_AUTO_JSON json_t *kept = NULL;
    int rc = read_result(path, ret, err);
    if (rc < 0)
        return rc;
    rc = stanch_drill_kept(*beside ? beside : "/", stanch_json_str(*ret, "drill", ""), &kept, err);
    if (rc < 0) {
        json_decref(*ret);
        *ret = NULL;
        return rc;
    }
    STANCH_AUTO_JSON json_t *older = before(kept, stanch_json_int(*ret, "number", 0));
    json_t *report = json_object_get(*ret, "report");
    name_result(*ret);
    json_object_set(report, "result", json_object_get(*ret, "result"));
    json_array_append(older, *ret); /* its own findings too */
    stanch_drill_add_past(report, older);
    return 0;
}

static int check_finding(const json_t *finding, struct stanch_err *err)
{
    int64_t at_ms;
    const char *due = stanch_json_str(finding, "due", ""), *text = stanch_json_str(finding, "text", "");
    STANCH_AUTO_FREE char *midnight = stanch_asprintf("%sT00:00:00Z", due);
    if (!*text || strlen(text) > MAX_TEXT)
        return stanch_err_set(err, STANCH_E_INVALID, "a finding is a text of %d bytes at most", MAX_TEXT);
    if (!*stanch_json_str(finding, "owner", ""))
        return stanch_err_set(err, STANCH_E_INVALID, "--owner WHO: who sees to it?");
    if (strlen(due) != 10 || stanch_time_parse(midnight, &at_ms, NULL) < 0)
        return stanch_err_set(err, STANCH_E_INVALID, "--due DATE: expected a date as 2027-01-31");
    return 0;
}

int stanch_drill_find(const char *folder, const char *result, const json_t *finding, json_t **ret,
                      struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(folder, result);
    STANCH_AUTO_FREE char *beside = folder_of(path);
    STANCH_AUTO_JSON json_t *kept = NULL;
    int rc = check_finding(finding, err);
    rc = rc ? rc : read_result(path, &kept, err);
    if (rc < 0)
        return rc;
    json_t *findings = json_object_get(kept, "findings");
    if (json_array_size(findings) >= MAX_FINDINGS)
        return stanch_err_set(err, STANCH_E_REFUSED, "%d findings are enough for one drill", MAX_FINDINGS);
    STANCH_AUTO_JSON json_t *made = json_pack("{s:I}", "n", (json_int_t)json_array_size(findings) + 1);
    json_object_update(made, (json_t *)(uintptr_t)finding);
    json_object_set_new(made, "done", json_false());
    json_array_append(findings, made);
    rc = put_file(*beside ? beside : "/", path, kept, true, err);
    if (rc == 0)
        *ret = json_incref(made);
    return rc;
}

int stanch_drill_done(const char *folder, const char *result, int64_t n, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = path_of(folder, result);
    STANCH_AUTO_FREE char *beside = folder_of(path);
    STANCH_AUTO_JSON json_t *kept = NULL;
    int rc = read_result(path, &kept, err);
    if (rc < 0)
        return rc;
    json_t *finding = n > 0 ? json_array_get(json_object_get(kept, "findings"), (size_t)n - 1) : NULL;
    if (!finding)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s has no finding %lld", path, (long long)n);
    json_object_set_new(finding, "done", json_true());
    rc = put_file(*beside ? beside : "/", path, kept, true, err);
    if (rc == 0)
        *ret = json_incref(finding);
    return rc;
}
