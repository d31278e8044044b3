/* folder.c: first all names, then the files in order: a name that is wrong is told before anything was read. */
#include "base/folder.h"
#include "base/file.h"
#include "base/mem.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ---- */

struct walk {
    const char *folder;
    const struct stanch_folder_rules *rules;
    char **names;
    int count, room;
    struct stanch_err *err;
};

static bool is_text(const char *name)
{
    json_t *text = json_string(name); /* jansson takes nothing but UTF-8 */
    json_decref(text);
    return text;
}

static bool is_wanted(const struct walk *walk, const char *name)
{
    size_t len = strlen(name), end = strlen(walk->rules->ending);
    return len > end && strcmp(name + len - end, walk->rules->ending) == 0;
}

/* name: taken */
static int add_name(struct walk *walk, char *name)
{
    if (walk->count == walk->room) {
        walk->room = walk->room ? walk->room * 2 : 64;
        walk->names = stanch_realloc(walk->names, (size_t)walk->room * sizeof *walk->names);
    }
    walk->names[walk->count++] = name;
    if (!is_text(name))
        return stanch_err_set(walk->err, STANCH_E_INVALID, "the name of a file in the folder %s is not UTF-8",
                              walk->folder);
    if (walk->rules->max_files > 0 && walk->count > walk->rules->max_files)
        return stanch_err_set(walk->err, STANCH_E_TOO_LARGE, "more than %d files are in the folder %s",
                              walk->rules->max_files, walk->folder);
    return 0;
}

static int not_read(const struct walk *walk, const char *folder)
{
    stanch_mem_check(errno);
    return stanch_err_errno(walk->err, STANCH_E_NOT_FOUND, errno, "the folder %s could not be read", folder);
}

/* below: "", or the path of a folder in it with a slash behind. Deeper folders are not many: max_depth bounds the recursion. */
static int list_names(struct walk *walk, const char *below, int depth)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", walk->folder, below);
    const char *here = *below ? path : walk->folder;
    DIR *dir = opendir(here);
    struct dirent *found;
    int rc = 0;
    if (!dir)
        return not_read(walk, here);
    while (rc == 0 && (errno = 0, found = readdir(dir))) {
        struct stat info;
        if (found->d_name[0] == '.' || fstatat(dirfd(dir), found->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(info.st_mode) && depth < walk->rules->max_depth) {
            STANCH_AUTO_FREE char *deeper = stanch_asprintf("%s%s/", below, found->d_name);
            rc = list_names(walk, deeper, depth + 1);
        } else if (S_ISREG(info.st_mode) && is_wanted(walk, found->d_name))
            rc = add_name(walk, stanch_asprintf("%s%s", below, found->d_name));
    }
    if (rc == 0 && errno != 0)
        rc = not_read(walk, here);
    closedir(dir);
    return rc;
}

/* ---- files ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_one(const struct walk *walk, const char *name, stanch_folder_file on_file, void *ctx)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/%s", walk->folder, name);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    size_t max_bytes = walk->rules->max_file_bytes ? walk->rules->max_file_bytes : SIZE_MAX;
    int rc = stanch_file_read(path, max_bytes, &text, walk->err);
    return rc ? rc : on_file(ctx, name, &text, walk->err);
}

int stanch_folder_read(const char *folder, const struct stanch_folder_rules *rules, stanch_folder_file on_file,
                       void *ctx, struct stanch_err *err)
{
    struct walk walk = {.folder = folder, .rules = rules, .err = err};
    int rc = list_names(&walk, "", 0);
    if (rc == 0 && walk.count > 0)
        qsort(walk.names, (size_t)walk.count, sizeof *walk.names, compare_names);
    for (int i = 0; i < walk.count && rc == 0; i++)
        rc = read_one(&walk, walk.names[i], on_file, ctx);
    for (int i = 0; i < walk.count; i++)
        free(walk.names[i]);
    free(walk.names);
    return rc;
}
