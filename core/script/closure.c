/* closure.c: finds `require "name"` in the text, wherever it stands: what runs later requires later, and is not seen when the
 * file is read. Comments and texts are passed over as Lua does. */
#include "script/closure.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "script/scan.h"
#include <string.h>

struct closure {
    const struct stanch_vm_source *sources;
    int count;
    bool *inside; /* by source */
    bool any;
};

/* ---- what is required ---- */

/* After `require`: ret: the name, when it stands there as a plain text; then that is passed over. */
static bool read_name(struct stanch_scan *scan, char *ret, size_t size)
{
    struct stanch_scan ahead = *scan;
    struct stanch_token token;
    stanch_scan__next(&ahead, &token);
    bool called = stanch_scan__is(&token, "(");
    if (called)
        stanch_scan__next(&ahead, &token);
    if (token.kind != STANCH_TOKEN_TEXT || token.is_long || token.len == 0 || token.len >= size ||
        memchr(token.from, '\\', token.len))
        return false;
    memcpy(ret, token.from, token.len);
    ret[token.len] = 0;
    if (called && (!stanch_scan__next(&ahead, &token) || !stanch_scan__is(&token, ")")))
        return false; /* `require("a" .. b)` is no plain text */
    *scan = ahead;
    return true;
}

static void add(struct closure *closure, const char *name)
{
    char path[256];
    if (!stanch_module_path(name, path, sizeof path))
        return; /* it raises */
    for (int i = 0; i < closure->count; i++)
        if (strcmp(closure->sources[i].path, path) == 0)
            closure->inside[i] = true;
}

static void read_source(const struct stanch_vm_source *source, struct closure *closure)
{
    struct stanch_scan scan = {source->text, source->text + source->len};
    struct stanch_token token;
    char name[256];
    while (stanch_scan__next(&scan, &token)) {
        bool is_require = stanch_scan__is(&token, "require");
        if (is_require && read_name(&scan, name, sizeof name))
            add(closure, name);
        else if (is_require || stanch_scan__is(&token, "_ENV") || stanch_scan__is(&token, "_G"))
            closure->any = true;
    }
}

/* ---- the digest ---- */

static int compare_paths(const void *a, const void *b)
{
    const struct stanch_vm_source *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

static void digest_all(const struct closure *closure, char ret_hex[65])
{
    STANCH_AUTO_FREE const struct stanch_vm_source **list = stanch_alloc((size_t)(closure->count + 1) * sizeof *list);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    size_t count = 0;
    for (int i = 0; i < closure->count; i++)
        if (closure->inside[i])
            list[count++] = &closure->sources[i];
    qsort(list, count, sizeof *list, compare_paths);
    for (size_t i = 0; i < count; i++) {
        stanch_digest_hex(list[i]->text, list[i]->len, ret_hex);
        if (count == 1)
            return;
        stanch_buf_printf(&text, "%s %s\n", ret_hex, list[i]->path);
    }
    stanch_digest_hex(stanch_buf_str(&text), text.len, ret_hex);
}

void stanch_closure_digest(const struct stanch_vm_source *sources, int count, const char *path, char ret_hex[65])
{
    STANCH_AUTO_FREE bool *inside = stanch_alloc((size_t)(count + 1) * sizeof *inside);
    STANCH_AUTO_FREE bool *was_read = stanch_alloc((size_t)(count + 1) * sizeof *was_read);
    struct closure closure = {sources, count, inside, false};
    bool found = false, more = true;
    ret_hex[0] = 0;
    for (int i = 0; i < count; i++) {
        inside[i] = strcmp(sources[i].path, path) == 0;
        was_read[i] = false;
        found = found || inside[i];
    }
    while (more) {
        more = false;
        for (int i = 0; i < count; i++) {
            inside[i] = inside[i] || closure.any;
            if (!inside[i] || was_read[i])
                continue;
            was_read[i] = more = true;
            if (!closure.any)
                read_source(&sources[i], &closure);
        }
    }
    for (int i = 0; i < count && closure.any; i++)
        inside[i] = true;
    if (found)
        digest_all(&closure, ret_hex);
}
