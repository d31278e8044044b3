/* cover.c: the lines that were run: one byte for each line of each source. */
#include "script/cover.h"
#include "base/buf.h"
#include "base/mem.h"
#include <lauxlib.h>
#include <string.h>

enum line_state { LINE_NOT_RUN, LINE_RUN, LINE_TOLD };

struct cover_file {
    const char *path; /* borrowed from the source */
    unsigned char *lines;
    size_t count; /* of lines; 1 is the first */
    bool has_news;
};

struct stanch_cover {
    struct cover_file *files;
    int count, last; /* last: where the last line was */
};

/* At least as many as Lua counts: it takes "\r\n" for one. */
static size_t count_lines(const struct stanch_vm_source *source)
{
    size_t lines = 1;
    for (size_t i = 0; i < source->len; i++)
        lines += source->text[i] == '\n' || source->text[i] == '\r';
    return lines;
}

void stanch_cover_start(struct stanch_vm *vm)
{
    struct stanch_cover *cover = STANCH_NEW(struct stanch_cover);
    cover->count = vm->source_count;
    cover->files = stanch_alloc((size_t)(cover->count + 1) * sizeof *cover->files);
    for (int i = 0; i < cover->count; i++) {
        struct cover_file *file = &cover->files[i];
        file->path = vm->sources[i].path;
        file->count = count_lines(&vm->sources[i]);
        file->lines = stanch_alloc(file->count + 1);
    }
    vm->cover = cover;
    lua_sethook(vm->L, lua_gethook(vm->L), lua_gethookmask(vm->L) | LUA_MASKLINE, lua_gethookcount(vm->L));
}

static struct cover_file *find_file(struct stanch_cover *cover, const char *path)
{
    if (cover->count > 0 && strcmp(cover->files[cover->last].path, path) == 0)
        return &cover->files[cover->last];
    for (int i = 0; i < cover->count; i++) {
        if (strcmp(cover->files[i].path, path) == 0) {
            cover->last = i;
            return &cover->files[i];
        }
    }
    return NULL;
}

void stanch_cover_mark(struct stanch_vm *vm, lua_State *L, lua_Debug *ar)
{
    if (!vm->cover || ar->currentline < 1 || !lua_getinfo(L, "S", ar) || ar->source[0] != '@')
        return;
    struct cover_file *file = find_file(vm->cover, ar->source + 1);
    if (!file || (size_t)ar->currentline > file->count || file->lines[ar->currentline] != LINE_NOT_RUN)
        return;
    file->lines[ar->currentline] = LINE_RUN;
    file->has_news = true;
}

static json_t *take_lines(struct cover_file *file)
{
    json_t *list = json_array();
    for (size_t line = 1; line <= file->count; line++) {
        if (file->lines[line] != LINE_RUN)
            continue;
        file->lines[line] = LINE_TOLD;
        json_array_append_new(list, json_integer((json_int_t)line));
    }
    file->has_news = false;
    return list;
}

json_t *stanch_cover_take(struct stanch_vm *vm)
{
    json_t *news = NULL;
    for (int i = 0; vm->cover && i < vm->cover->count; i++) {
        struct cover_file *file = &vm->cover->files[i];
        if (!file->has_news)
            continue;
        if (!news)
            news = json_object();
        json_object_set_new(news, file->path, take_lines(file));
    }
    return news;
}

/* ---- all lines ---- */

static int write_dump(lua_State *L, const void *bytes, size_t len, void *ctx)
{
    (void)L;
    stanch_buf_add(ctx, bytes, len);
    return 0;
}

/* returns false: the format is unknown */
static bool add_lines(lua_State *L, const struct stanch_vm_source *source, json_t *into)
{
    STANCH_AUTO_FREE char *name = stanch_asprintf("@%s", source->path);
    STANCH_AUTO_BUF struct stanch_buf dump = {0};
    json_t *lines = NULL;
    bool is_code = luaL_loadbufferx(L, source->text, source->len, name, "t") == LUA_OK;
    if (is_code && lua_dump(L, write_dump, &dump, 0) == 0)
        lines = stanch_cover_lines_of(dump.data, dump.len, source->text, source->len);
    lua_pop(L, 1);
    if (lines)
        json_object_set_new(into, source->path, lines);
    return lines || !is_code;
}

json_t *stanch_cover_lines(struct stanch_vm *vm)
{
    json_t *all = json_object();
    for (int i = 0; i < vm->source_count; i++) {
        if (add_lines(vm->L, &vm->sources[i], all))
            continue;
        json_decref(all);
        return NULL;
    }
    return all;
}
