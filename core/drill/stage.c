/* stage.c: the folder, and who declares what in it. */
#include "drill/stage.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/json.h"
#include "base/mem.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILES      2000
#define MAX_FILE_BYTES (128u << 10) /* as the repository's */

static const struct stanch_folder_rules sources_of_folder = {".lua", 8, MAX_FILES, MAX_FILE_BYTES};

/* ---- files ---- */

/* text: taken */
static void add_file(struct stanch_stage *stage, const char *name, struct stanch_buf *text)
{
    stage->files = stanch_realloc(stage->files, (size_t)(stage->file_count + 1) * sizeof *stage->files);
    struct stanch_book_file *file = &stage->files[stage->file_count++];
    *file = (struct stanch_book_file){.path = stanch_strdup(name), .len = text->len};
    stanch_digest_hex(stanch_buf_str(text), text->len, file->blob_hex);
    file->bytes = stanch_buf_take(text);
}

static int on_file(void *ctx, const char *name, struct stanch_buf *text, struct stanch_err *err)
{
    (void)err;
    add_file(ctx, name, text);
    return 0;
}

bool stanch_stage_is_scenario(const char *path)
{
    static const char ending[] = "_test.lua";
    size_t len = strlen(path), n = sizeof ending - 1;
    return (len > n && strcmp(path + len - n, ending) == 0) || strncmp(path, "drills/", 7) == 0 ||
           strncmp(path, "tests/", 6) == 0;
}

bool stanch_stage_is_runbook(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return !stanch_stage_is_scenario(path) && strcmp(name, "policy.lua") != 0 && strcmp(name, "stanch.lua") != 0 &&
           strcmp(name, "people.lua") != 0;
}

static int compare_files(const void *a, const void *b)
{
    const struct stanch_book_file *one = a, *other = b;
    int later = stanch_stage_is_scenario(one->path) - stanch_stage_is_scenario(other->path);
    return later ? later : strcmp(one->path, other->path);
}

static void list_sources(struct stanch_stage *stage)
{
    if (stage->file_count > 0)
        qsort(stage->files, (size_t)stage->file_count, sizeof *stage->files, compare_files);
    free(stage->sources);
    stage->book_count = 0;
    stage->sources = stanch_alloc(((size_t)stage->file_count + 1) * sizeof *stage->sources);
    for (int i = 0; i < stage->file_count; i++) {
        const struct stanch_book_file *file = &stage->files[i];
        stage->sources[i] = (struct stanch_source){file->path, file->bytes, file->len};
        stage->book_count += !stanch_stage_is_scenario(file->path);
    }
}

/* What stands for the commit: the same files are the same one. */
static void name_commit(struct stanch_stage *stage)
{
    STANCH_AUTO_BUF struct stanch_buf all = {0};
    for (int i = 0; i < stage->file_count; i++)
        stanch_buf_printf(&all, "%s %s\n", stage->files[i].blob_hex, stage->files[i].path);
    stanch_digest_hex(stanch_buf_str(&all), all.len, stage->commit);
}

int stanch_stage_open(const char *folder, json_t *described, struct stanch_stage *ret, struct stanch_err *err)
{
    ret->described = described;
    int rc = stanch_folder_read(folder, &sources_of_folder, on_file, ret, err);
    if (rc < 0)
        return rc;
    list_sources(ret);
    name_commit(ret);
    return 0;
}

void stanch_stage_open_files(const struct stanch_source *sources, int count, const char *commit, json_t *described,
                             struct stanch_stage *ret)
{
    ret->described = described;
    ret->files = stanch_alloc(((size_t)count + 1) * sizeof *ret->files);
    for (int i = 0; i < count; i++) {
        char *bytes = stanch_alloc(sources[i].len + 1);
        memcpy(bytes, sources[i].text, sources[i].len);
        bytes[sources[i].len] = 0;
        ret->files[i] =
            (struct stanch_book_file){.path = stanch_strdup(sources[i].path), .bytes = bytes, .len = sources[i].len};
        stanch_digest_hex(bytes, sources[i].len, ret->files[i].blob_hex);
        ret->file_count++;
    }
    list_sources(ret);
    (void)snprintf(ret->commit, sizeof ret->commit, "%s", commit);
}

static void drop_file(struct stanch_stage *stage, const char *name)
{
    for (int i = 0; i < stage->file_count; i++) {
        if (strcmp(stage->files[i].path, name) != 0)
            continue;
        free((char *)(uintptr_t)stage->files[i].path);
        free((char *)(uintptr_t)stage->files[i].bytes);
        stage->files[i] = stage->files[--stage->file_count];
        return;
    }
}

int stanch_stage_add(struct stanch_stage *stage, const char *path, const char *name, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    drop_file(stage, name);
    int rc = stage->file_count < MAX_FILES
                 ? stanch_file_read(path, MAX_FILE_BYTES, &text, err)
                 : stanch_err_set(err, STANCH_E_TOO_LARGE, "more than %d files with %s", MAX_FILES, path);
    if (rc == 0)
        add_file(stage, name, &text);
    list_sources(stage);
    name_commit(stage); /* also when it is not there: what was dropped is no source any more */
    return rc;
}

void stanch_stage_close(struct stanch_stage *stage)
{
    for (int i = 0; i < stage->file_count; i++) {
        free((char *)(uintptr_t)stage->files[i].path);
        free((char *)(uintptr_t)stage->files[i].bytes);
    }
    free(stage->files);
    free(stage->sources);
    json_decref(stage->described);
    json_decref(stage->load_input);
    json_decref(stage->loaded);
}

/* ---- what a file declares ---- */

int stanch_stage_start(struct stanch_stage *stage, const json_t *input, const struct stanch_worker_events *events,
                       void *ctx, struct stanch_worker **ret, struct stanch_err *err)
{
    const char *path = stanch_json_str(input, "path", "");
    STANCH_AUTO_FREE struct stanch_source *sources = stanch_alloc(((size_t)stage->book_count + 1) * sizeof *sources);
    int count = stage->book_count;
    memcpy(sources, stage->sources, (size_t)count * sizeof *sources);
    for (int i = stage->book_count; i < stage->file_count; i++)
        if (strcmp(stage->sources[i].path, path) == 0)
            sources[count++] = stage->sources[i];
    struct stanch_worker_spec spec = {
        .kind = "scenario", .input = (json_t *)(uintptr_t)input, .sources = sources, .source_count = count};
    return stanch_worker_start(stage->runner, &spec, events, ctx, ret, err);
}

struct listing {
    bool over;
    int rc;
    struct stanch_err err;
    json_t *list;
};

static void on_wants(void *ctx, const json_t *wants)
{
    (void)ctx;
    (void)wants;
}

static void on_listed(void *ctx, int rc, const struct stanch_err *err, const json_t *result)
{
    struct listing *listing = ctx;
    listing->over = true;
    listing->rc = rc;
    if (rc == 0)
        listing->list = json_deep_copy(result);
    else if (json_object_get(result, "line"))
        (void)stanch_err_set(&listing->err, STANCH_E_SCRIPT, "%s:%lld: %s", stanch_json_str(result, "file", "?"),
                             (long long)stanch_json_int(result, "line", 0), stanch_json_str(result, "text", ""));
    else
        listing->err = *err;
}

static const struct stanch_worker_events listing_events = {on_wants, on_listed};

static int await_listing(struct stanch_stage *stage, struct listing *listing, struct stanch_err *err)
{
    while (!listing->over)
        stanch_loop_run_next(stage->loop);
    if (listing->rc < 0)
        *err = listing->err;
    return listing->rc;
}

int stanch_stage_list(struct stanch_stage *stage, const char *path, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:s, s:b}", "path", path, "list", 1);
    struct listing listing = {0};
    struct stanch_worker *worker;
    int rc = stanch_stage_start(stage, input, &listing_events, &listing, &worker, err);
    if (rc < 0)
        return stanch_err_wrap(err, "%s", path);
    rc = await_listing(stage, &listing, err);
    *ret = listing.list;
    return rc;
}

int stanch_stage_lines(struct stanch_stage *stage, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O, s:b}", "instances", stage->described, "cover", 1);
    struct stanch_worker_spec spec = {
        .kind = "load", .input = input, .sources = stage->sources, .source_count = stage->book_count};
    struct listing listing = {0};
    struct stanch_worker *worker;
    int rc = stanch_worker_start(stage->runner, &spec, &listing_events, &listing, &worker, err);
    rc = rc ? rc : await_listing(stage, &listing, err);
    json_t *lines = json_object_get(listing.list, "lines");
    *ret = json_object();
    const char *path;
    json_t *of_file;
    json_object_foreach(lines, path, of_file) if (stanch_stage_is_runbook(path)) json_object_set(*ret, path, of_file);
    json_decref(listing.list);
    return rc;
}
