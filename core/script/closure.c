/* closure.c: finds `require "name"` in the text, wherever it stands: what runs later requires later, and is not seen when the
 * file is read. Comments and texts are passed over as Lua does. */
#include "script/closure.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include <ctype.h>
#include <string.h>

struct scan {
    const char *at, *end;
};

struct closure {
    const struct stanch_vm_source *sources;
    int count;
    bool *inside; /* by source */
    bool any;
};

/* ---- passing over what is no code ---- */

/* "[[", "[=[": how many signs; -1: it is none */
static int long_bracket(const struct scan *scan)
{
    const char *p = scan->at + 1;
    while (p < scan->end && *p == '=')
        p++;
    return scan->at < scan->end && *scan->at == '[' && p < scan->end && *p == '[' ? (int)(p - scan->at - 1) : -1;
}

static void pass_long(struct scan *scan, int level)
{
    for (scan->at += level + 2; scan->at < scan->end; scan->at++) {
        if (*scan->at != ']')
            continue;
        const char *p = scan->at + 1;
        while (p < scan->end && *p == '=')
            p++;
        if (p < scan->end && *p == ']' && p - scan->at - 1 == level) {
            scan->at = p + 1;
            return;
        }
    }
}

static void pass_comment(struct scan *scan)
{
    scan->at += 2;
    int level = scan->at < scan->end ? long_bracket(scan) : -1;
    if (level >= 0)
        pass_long(scan, level);
    else
        while (scan->at < scan->end && *scan->at != '\n')
            scan->at++;
}

static void pass_text(struct scan *scan)
{
    char quote = *scan->at++;
    while (scan->at < scan->end && *scan->at != quote && *scan->at != '\n')
        scan->at += *scan->at == '\\' && scan->at + 1 < scan->end ? 2 : 1;
    if (scan->at < scan->end)
        scan->at++;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static void pass_space(struct scan *scan)
{
    while (scan->at < scan->end && isspace((unsigned char)*scan->at))
        scan->at++;
}

/* ---- what is required ---- */

/* After `require`: ret: the name, when it stands there as a plain text. */
static bool read_name(struct scan *scan, char *ret, size_t size)
{
    pass_space(scan);
    bool called = scan->at < scan->end && *scan->at == '(';
    if (called) {
        scan->at++;
        pass_space(scan);
    }
    if (scan->at >= scan->end || (*scan->at != '"' && *scan->at != '\''))
        return false;
    const char *from = scan->at + 1;
    pass_text(scan);
    size_t len = scan->at > from ? (size_t)(scan->at - 1 - from) : 0;
    if (len == 0 || len >= size || memchr(from, '\\', len))
        return false;
    memcpy(ret, from, len);
    ret[len] = 0;
    pass_space(scan);
    return !called || (scan->at < scan->end && *scan->at == ')'); /* `require("a" .. b)` is no plain text */
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

static void read_word(struct scan *scan, struct closure *closure)
{
    const char *from = scan->at;
    char name[256];
    while (scan->at < scan->end && is_word(*scan->at))
        scan->at++;
    size_t len = (size_t)(scan->at - from);
    bool is_require = len == 7 && memcmp(from, "require", 7) == 0;
    bool is_globals = (len == 4 && memcmp(from, "_ENV", 4) == 0) || (len == 2 && memcmp(from, "_G", 2) == 0);
    if (is_require && read_name(scan, name, sizeof name))
        add(closure, name);
    else if (is_require || is_globals)
        closure->any = true;
}

static void read_source(const struct stanch_vm_source *source, struct closure *closure)
{
    struct scan scan = {source->text, source->text + source->len};
    while (scan.at < scan.end) {
        int level = *scan.at == '[' ? long_bracket(&scan) : -1;
        if (scan.end - scan.at > 1 && scan.at[0] == '-' && scan.at[1] == '-')
            pass_comment(&scan);
        else if (*scan.at == '"' || *scan.at == '\'')
            pass_text(&scan);
        else if (level >= 0)
            pass_long(&scan, level);
        else if (is_word(*scan.at))
            read_word(&scan, closure);
        else
            scan.at++;
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
