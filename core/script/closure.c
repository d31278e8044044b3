/* closure.c: finds `require "name"` in the text, wherever it stands: what runs later requires later, and is not seen when the
 * file is read. Comments and texts are passed over as Lua does. */
#include "script/closure.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "script/tokens.h"
#include <string.h>

struct closure {
    const struct stanch_vm_source *sources;
    int count;
    bool *inside; /* by source */
    bool any;
};

/* ---- what is required ---- */

/* After `require`, from token i: ret: the name, when it stands there as a plain text. returns the token behind; -1: it does not */
static int read_name(const struct stanch_tokens *tokens, int i, char *ret, size_t size)
{
    bool called = stanch_token_is(stanch_tokens_at(tokens, i), "(");
    const struct stanch_token *token = stanch_tokens_at(tokens, called ? ++i : i);
    const char *name;
    size_t len;
    if (!stanch_token_is_string(token, &name, &len) || *token->at == '[' || len == 0 || len >= size ||
        memchr(name, '\\', len))
        return -1;
    memcpy(ret, name, len);
    ret[len] = 0;
    i++;
    if (!called)
        return i;
    return stanch_token_is(stanch_tokens_at(tokens, i), ")") ? i + 1 : -1; /* `require("a" .. b)` is no plain text */
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

/* Where the words end that Lua knows, nobody can tell what comes: then it may be any file. */
static void read_source(const struct stanch_vm_source *source, struct closure *closure)
{
    STANCH_AUTO_TOKENS struct stanch_tokens tokens = {0};
    char name[256];
    if (stanch_tokens_read(source->path, source->text, source->len, &tokens, NULL) < 0)
        closure->any = true;
    for (int i = 0, behind; i < tokens.count; i = behind) {
        const struct stanch_token *token = &tokens.list[i];
        bool is_require = stanch_token_is(token, "require");
        behind = is_require ? read_name(&tokens, i + 1, name, sizeof name) : -1;
        if (behind > 0)
            add(closure, name);
        else if (is_require || stanch_token_is(token, "_ENV") || stanch_token_is(token, "_G"))
            closure->any = true;
        behind = behind > 0 ? behind : i + 1;
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
