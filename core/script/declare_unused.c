/* declare_unused.c: parameters that a runbook declares and its `run` never looks at. Told from the words of the file, and
 * only where nothing else can be meant: a false alarm is worse than a miss. So nothing is said when
 *   - a `run` of the file is not written as `run = function(incident, p)` in its place;
 *   - `p` is used in any way but `p.name` and `p["name"]`: handed on, copied, walked over;
 *   - the name stands anywhere in the file behind a dot, or as a text other than that of label "name". */
#include "script/declare_check.h"
#include "script/tokens.h"
#include "script/vm.h"
#include <string.h>

#define RUNS_MAX 32

struct runs {
    const struct stanch_token *p[RUNS_MAX]; /* the second parameter of each; NULL: it has none */
    int count, runbooks;
    bool is_unclear;
};

/* Behind `run`: `= function(a, b`. returns the token behind the parameters; i: it is another `run` than a runbook's */
static int read_run(const struct stanch_tokens *tokens, int i, struct runs *runs)
{
    static const char *const head[] = {"=", "function", "("};
    const int heads = sizeof head / sizeof *head;
    for (int k = 0; k < heads; k++)
        if (!stanch_token_is(stanch_tokens_at(tokens, i + k), head[k]))
            return i;
    if (runs->count == RUNS_MAX) {
        runs->is_unclear = true;
        return i;
    }
    const struct stanch_token **p = &runs->p[runs->count++], *token;
    *p = NULL;
    i += heads;
    for (int n = 1; (token = stanch_tokens_at(tokens, i)) && !stanch_token_is(token, ")"); i++) {
        if (stanch_token_is(token, "..."))
            runs->is_unclear = true;
        else if (n == 2 && stanch_token_is_name(token))
            *p = token;
        n += stanch_token_is(token, ",");
    }
    return i;
}

static void read_runs(const struct stanch_tokens *tokens, struct runs *ret)
{
    for (int i = 0; i < tokens->count;) {
        const struct stanch_token *token = &tokens->list[i++];
        ret->runbooks += stanch_token_is(token, "runbook");
        if (stanch_token_is(token, "run"))
            i = read_run(tokens, i, ret);
        else if (stanch_token_is(token, "_ENV") || stanch_token_is(token, "_G"))
            ret->is_unclear = true;
    }
    ret->is_unclear = ret->is_unclear || ret->count != ret->runbooks;
}

/* Is the name the `p` of some run, and not where it is declared? */
static bool is_p(const struct runs *runs, const struct stanch_token *name)
{
    bool is_it = false;
    for (int i = 0; i < runs->count; i++) {
        const struct stanch_token *p = runs->p[i];
        if (name == p)
            return false;
        is_it = is_it || (p && p->len == name->len && memcmp(p->at, name->at, p->len) == 0);
    }
    return is_it;
}

/* From the token behind `p` on: is it a member whose name is plain? */
static bool is_plain_member(const struct stanch_tokens *tokens, int i)
{
    const char *text;
    size_t len;
    if (stanch_token_is(stanch_tokens_at(tokens, i), "."))
        return true;
    return stanch_token_is(stanch_tokens_at(tokens, i), "[") &&
           stanch_token_is_string(stanch_tokens_at(tokens, i + 1), &text, &len) && !memchr(text, '\\', len) &&
           stanch_token_is(stanch_tokens_at(tokens, i + 2), "]");
}

/* All names that are looked at anywhere: behind a dot, or as a text. returns false: what `p` is used for is not clear */
static bool find_used(const struct stanch_tokens *tokens, const struct runs *runs, json_t *used)
{
    for (int i = 0; i < tokens->count; i++) {
        const struct stanch_token *token = &tokens->list[i], *before = stanch_tokens_at(tokens, i - 1);
        bool is_member = stanch_token_is(before, ".") || stanch_token_is(before, ":");
        bool is_label = stanch_token_is(before, "label") ||
                        (stanch_token_is(before, "(") && stanch_token_is(stanch_tokens_at(tokens, i - 2), "label"));
        const char *text = token->at;
        size_t len = token->len;
        bool is_looked_at = is_member || (stanch_token_is_string(token, &text, &len) && !is_label);
        json_t *name = is_looked_at ? json_stringn(text, len) : NULL;
        if (name)
            json_object_set_new(used, json_string_value(name), json_true());
        json_decref(name);
        if (stanch_token_is_name(token) && !is_member && is_p(runs, token) && !is_plain_member(tokens, i + 1))
            return false;
    }
    return true;
}

/* The line of `name =`, from the runbook's own on; that one when it is not written so. */
static int line_of(const struct stanch_tokens *tokens, const char *name, int from_line)
{
    for (int i = 0; i < tokens->count; i++) {
        const struct stanch_token *token = &tokens->list[i];
        if (token->line >= from_line && stanch_token_is(token, name) &&
            stanch_token_is(stanch_tokens_at(tokens, i + 1), "="))
            return token->line;
    }
    return from_line;
}

static void warn_unused(struct stanch_check *check, const struct stanch_tokens *tokens, const char *name)
{
    int line = check->line;
    size_t before = stanch_check_enter(check, name);
    check->line = line_of(tokens, name, line);
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
    struct stanch_tokens tokens = {0};
    if (!source || stanch_tokens_read(source->path, source->text, source->len, &tokens, NULL) < 0)
        return;
    read_runs(&tokens, &runs);
    json_t *used = json_object();
    const char *name;
    json_t *param;
    bool is_clear = !runs.is_unclear && find_used(&tokens, &runs, used);
    size_t before = stanch_check_enter(check, "params");
    json_object_foreach((json_t *)(uintptr_t)params, name, param)
    {
        if (is_clear && !json_object_get(used, name))
            warn_unused(check, &tokens, name);
    }
    stanch_check_leave(check, before);
    json_decref(used);
    stanch_tokens_done(&tokens);
}
