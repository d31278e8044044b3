/* declare_unused.c: parameters that a runbook declares and its `run` never looks at. Told from the words of the file, and
 * only where nothing else can be meant: a false alarm is worse than a miss. So nothing is said when
 *   - a `run` of the file is not written as `run = function(incident, p)` in its place;
 *   - `p` is used in any way but `p.name` and `p["name"]`: handed on, copied, walked over;
 *   - the name stands anywhere in the file behind a dot, or as a text other than that of label "name". */
#include "script/declare_check.h"
#include "script/scan.h"
#include "script/vm.h"
#include <string.h>

#define RUNS_MAX 32

struct runs {
    struct stanch_token p[RUNS_MAX]; /* the second parameter of each; len 0: it has none */
    int count, runbooks;
    bool is_unclear;
};

/* After `run`: `= function(a, b`. */
static void read_run(struct stanch_scan *scan, struct runs *runs)
{
    static const char *const head[] = {"=", "function", "("};
    struct stanch_scan ahead = *scan;
    struct stanch_token token;
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        if (!stanch_scan__next(&ahead, &token) || !stanch_scan__is(&token, head[i]))
            return; /* another `run` than a runbook's */
    if (runs->count == RUNS_MAX) {
        runs->is_unclear = true;
        return;
    }
    struct stanch_token *p = &runs->p[runs->count++];
    *p = (struct stanch_token){0};
    for (int n = 1; stanch_scan__next(&ahead, &token) && !stanch_scan__is(&token, ")");
         n += stanch_scan__is(&token, ","))
        if (stanch_scan__is(&token, "..."))
            runs->is_unclear = true;
        else if (n == 2 && token.kind == STANCH_TOKEN_WORD)
            *p = token;
    *scan = ahead;
}

static void read_runs(const struct stanch_vm_source *source, struct runs *ret)
{
    struct stanch_scan scan = {source->text, source->text + source->len};
    struct stanch_token token;
    while (stanch_scan__next(&scan, &token)) {
        ret->runbooks += stanch_scan__is(&token, "runbook");
        if (stanch_scan__is(&token, "run"))
            read_run(&scan, ret);
        else if (stanch_scan__is(&token, "_ENV") || stanch_scan__is(&token, "_G"))
            ret->is_unclear = true;
    }
    ret->is_unclear = ret->is_unclear || ret->count != ret->runbooks;
}

/* Is the word the `p` of some run, and not where it is declared? */
static bool is_p(const struct runs *runs, const struct stanch_token *word)
{
    bool is_it = false;
    for (int i = 0; i < runs->count; i++) {
        const struct stanch_token *p = &runs->p[i];
        if (word->from == p->from)
            return false;
        is_it = is_it || (p->len == word->len && p->len > 0 && memcmp(p->from, word->from, p->len) == 0);
    }
    return is_it;
}

/* Behind `p`: does a member follow, whose name is plain? */
static bool is_plain_member(struct stanch_scan ahead)
{
    struct stanch_token token;
    if (!stanch_scan__next(&ahead, &token))
        return false;
    if (stanch_scan__is(&token, "."))
        return true;
    if (!stanch_scan__is(&token, "[") || !stanch_scan__next(&ahead, &token) || token.kind != STANCH_TOKEN_TEXT)
        return false;
    return !memchr(token.from, '\\', token.len) && stanch_scan__next(&ahead, &token) && stanch_scan__is(&token, "]");
}

/* All names that are looked at anywhere: behind a dot, or as a text. returns false: what `p` is used for is not clear */
static bool find_used(const struct stanch_vm_source *source, const struct runs *runs, json_t *used)
{
    struct stanch_scan scan = {source->text, source->text + source->len};
    struct stanch_token token, before = {0}, former = {0};
    for (; stanch_scan__next(&scan, &token); former = before, before = token) {
        bool is_member = stanch_scan__is(&before, ".") || stanch_scan__is(&before, ":");
        bool is_label =
            stanch_scan__is(&before, "label") || (stanch_scan__is(&before, "(") && stanch_scan__is(&former, "label"));
        bool is_name = is_member || (token.kind == STANCH_TOKEN_TEXT && !is_label);
        json_t *name = is_name ? json_stringn(token.from, token.len) : NULL;
        if (name)
            json_object_set_new(used, json_string_value(name), json_true());
        json_decref(name);
        if (token.kind == STANCH_TOKEN_WORD && !is_member && is_p(runs, &token) && !is_plain_member(scan))
            return false;
    }
    return true;
}

/* The line of `name =`, from the runbook's own on; that one when it is not written so. */
static int line_of(const struct stanch_vm_source *source, const char *name, int from_line)
{
    struct stanch_scan scan = {source->text, source->text + source->len};
    struct stanch_token token;
    const char *counted = source->text;
    int line = 1;
    while (stanch_scan__next(&scan, &token)) {
        for (; counted < token.from; counted++)
            line += *counted == '\n';
        struct stanch_scan ahead = scan;
        struct stanch_token next;
        if (line >= from_line && stanch_scan__is(&token, name) && stanch_scan__next(&ahead, &next) &&
            stanch_scan__is(&next, "="))
            return line;
    }
    return from_line;
}

static void warn_unused(struct stanch_check *check, const struct stanch_vm_source *source, const char *name)
{
    int line = check->line;
    size_t before = stanch_check_enter(check, name);
    check->line = line_of(source, name, line);
    stanch_check_warn(check, "`run` never looks at it: use it as p.%.60s, or leave it out", name);
    check->line = line;
    stanch_check_leave(check, before);
}

void stanch_check_unused(struct stanch_check *check, const json_t *params)
{
    const struct stanch_vm *vm = stanch_vm_of(check->L);
    struct runs runs = {0};
    const struct stanch_vm_source *source = NULL;
    if (!check->warnings || json_object_size(params) == 0)
        return;
    for (int i = 0; i < vm->source_count; i++)
        if (strcmp(vm->sources[i].path, check->file) == 0)
            source = &vm->sources[i];
    if (!source)
        return;
    read_runs(source, &runs);
    json_t *used = json_object();
    const char *name;
    json_t *param;
    bool is_clear = !runs.is_unclear && find_used(source, &runs, used);
    size_t before = stanch_check_enter(check, "params");
    json_object_foreach((json_t *)(uintptr_t)params, name, param)
    {
        if (is_clear && !json_object_get(used, name))
            warn_unused(check, source, name);
    }
    stanch_check_leave(check, before);
    json_decref(used);
}
