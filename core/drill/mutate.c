/* mutate.c: one pass over the tokens; each that can be changed gives a copy of the text with that change. */
#include "drill/mutate.h"
#include "base/buf.h"
#include "base/mem.h"
#include "script/tokens.h"
#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define SOURCE_MAX_BYTES (1u << 20)   /* a worker takes 128 KiB (script/runner.h) */
#define ALL_MAX_BYTES    (256u << 20) /* a run of tests holds them all */
#define SHOWN_BYTES      60

struct making {
    const char *path, *text;
    size_t len;
    const json_t *actions;
    struct stanch_tokens tokens;
    int *begins; /* of each token before: begin_of */
    struct stanch_mutant *mutants;
    int count, room;
    size_t bytes;
};

/* The token, or NULL outside of the text. */
static const struct stanch_token *at(const struct making *making, int i)
{
    return stanch_tokens_at(&making->tokens, i);
}

static bool is_at(const struct making *making, int i, const char *text)
{
    return stanch_token_is(at(making, i), text);
}

/* A copy of the text with `with` in place of the `len` bytes at `from`. what: taken */
static void add(struct making *making, const char *from, size_t len, const char *with, int line, char *what)
{
    struct stanch_buf text = {0};
    if (making->count == making->room) {
        making->room = making->room ? making->room * 2 : 32;
        making->mutants = stanch_realloc(making->mutants, (size_t)making->room * sizeof *making->mutants);
    }
    stanch_buf_reserve(&text, making->len + strlen(with));
    stanch_buf_add(&text, making->text, (size_t)(from - making->text));
    stanch_buf_text(&text, with);
    stanch_buf_add(&text, from + len, (size_t)(making->text + making->len - from) - len);
    making->bytes += text.len;
    making->mutants[making->count++] =
        (struct stanch_mutant){.path = making->path, .line = line, .what = what, .text = stanch_buf_take(&text)};
}

/* ---- words and signs ---- */

static const struct {
    const char *from, *to;
} turned[] = {
    {"<=", ">"}, {">=", "<"}, {"==", "~="}, {"~=", "=="}, {"<", ">="}, {">", "<="}, {"and", "or"}, {"or", "and"},
};

static bool turn_sign(struct making *making, int i)
{
    const struct stanch_token *token = at(making, i);
    for (size_t k = 0; k < sizeof turned / sizeof *turned; k++) {
        if (!stanch_token_is(token, turned[k].from))
            continue;
        if (is_at(making, i - 1, "[")) /* no program; and "[==" would not even be words */
            return true;
        add(making, token->at, token->len, turned[k].to, token->line,
            stanch_asprintf("%s became %s", turned[k].from, turned[k].to));
        return true;
    }
    return false;
}

/* `local a <const>, b <close>`: returns the index behind the list of names. Its < and > compare nothing, and what comes after
 * it calls nothing. */
static int pass_names(const struct making *making, int i)
{
    int from = i;
    while (stanch_token_is_name(at(making, i))) {
        i++;
        if (is_at(making, i, "<") && stanch_token_is_name(at(making, i + 1)) && is_at(making, i + 2, ">"))
            i += 3;
        if (!is_at(making, i, ","))
            break;
        i++;
    }
    for (int k = from; k < i; k++)
        making->begins[k] = -1;
    return i;
}

/* ---- ranges ---- */

/* `bad = "> 0.05"` in a table. As rule/range.c reads them: the sign is the first in the text. */
static void turn_range(struct making *making, int i)
{
    static const struct {
        const char *from, *to;
    } signs[] = {{">=", "<"}, {"<=", ">"}, {"==", "!="}, {"!=", "=="}, {">", "<="}, {"<", ">="}};
    const struct stanch_token *key = at(making, i), *value = at(making, i + 2);
    bool is_key = is_at(making, i, "bad") || is_at(making, i, "good") || is_at(making, i, "becomes");
    bool in_table = is_at(making, i - 1, "{") || is_at(making, i - 1, ",") || is_at(making, i - 1, ";");
    if (!is_key || !in_table || !is_at(making, i + 1, "=") || !value || value->kind != STANCH_TOKEN_STRING ||
        *value->at == '[')
        return;
    const char *range = value->at + 1;
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++) {
        int len = (int)strlen(signs[k].from);
        if (strncmp(range, signs[k].from, (size_t)len) != 0)
            continue;
        int rest = (int)strspn(range + len, " 0123456789+-.eE"); /* the closing quote ends it */
        if (rest == 0 || rest > SHOWN_BYTES || (size_t)(rest + len + 2) != value->len)
            return; /* no range */
        add(making, range, (size_t)len, signs[k].to, value->line,
            stanch_asprintf("%.*s = \"%s%.*s\" became \"%s%.*s\"", (int)key->len, key->at, signs[k].from, rest,
                            range + len, signs[k].to, rest, range + len));
        return;
    }
}

/* ---- calls ---- */

/* What follows a callee: "(...)", "{ ... }" or a string; NULL: it is not called. */
static const char *shown_arguments(const struct making *making, int i)
{
    const struct stanch_token *token = at(making, i);
    if (!token)
        return NULL;
    if (token->kind == STANCH_TOKEN_STRING)
        return " \"...\"";
    return stanch_token_is(token, "(") ? "(...)" : stanch_token_is(token, "{") ? " { ... }" : NULL;
}

/* Where the expression begins that ends with token `i`, and can be called or indexed: `haproxy "x".backend["b"]`. -1: there is
 * none. Those of the tokens before are known. */
static int begin_of(const struct making *making, int i)
{
    const struct stanch_token *token = at(making, i);
    int open = token->partner, before = i > 0 ? making->begins[i - 1] : -1;
    if (token->kind == STANCH_TOKEN_STRING)
        return before;
    if (stanch_token_is_name(token)) {
        if (is_at(making, i - 1, ".") || is_at(making, i - 1, ":"))
            return i > 1 ? making->begins[i - 2] : -1;
        return is_at(making, i - 1, "goto") ? -1 : i;
    }
    if (open < 0 || open > i || is_at(making, open - 1, "function"))
        return -1;
    before = open > 0 ? making->begins[open - 1] : -1;
    if (before > 0 && is_at(making, before - 1, "function")) /* the parameters of a function with a name */
        return -1;
    return before < 0 && stanch_token_is(token, ")") ? open : before; /* an expression in brackets, or a call */
}

/* `haproxy "x".drain`: the tokens as they stand, what is between them as one space. new */
static char *show(const struct making *making, int from, int to)
{
    struct stanch_buf shown = {0};
    for (int i = from; i <= to; i++) {
        const struct stanch_token *token = at(making, i);
        if (i > from && at(making, i - 1)->at + at(making, i - 1)->len < token->at)
            stanch_buf_char(&shown, ' ');
        stanch_buf_add(&shown, token->at, token->len);
    }
    size_t cut = stanch_text_cut(stanch_buf_str(&shown), SHOWN_BYTES);
    json_t *text = json_stringn(stanch_buf_str(&shown), cut);
    if (!text || memchr(stanch_buf_str(&shown), '\n', shown.len)) /* not for eyes: the last name does */
        cut = 0;
    json_decref(text);
    char *ret = cut == shown.len ? stanch_strdup(stanch_buf_str(&shown))
                                 : stanch_asprintf("%.*s...%.*s", (int)cut, stanch_buf_str(&shown),
                                                   (int)at(making, to)->len, at(making, to)->at);
    stanch_buf_done(&shown);
    return ret;
}

/* Put `type` in place of the callee, and as many line ends as were in it; the blank keeps the last of them from becoming one
 * with a "\r" behind it. */
static void leave_out(struct making *making, int from, int to)
{
    const char *arguments = shown_arguments(making, to + 1);
    if (!arguments || from < 0 || is_at(making, from - 1, "function"))
        return;
    const char *begin = at(making, from)->at, *end = at(making, to)->at + at(making, to)->len;
    STANCH_AUTO_BUF struct stanch_buf with = {0};
    STANCH_AUTO_FREE char *callee = show(making, from, to);
    if (begin > making->text && (isalnum((unsigned char)begin[-1]) || begin[-1] == '_' || begin[-1] == '.'))
        stanch_buf_char(&with, ' '); /* "return(f).drain { }" */
    stanch_buf_text(&with, "type");
    for (int line = at(making, from)->line; line < at(making, to)->line; line++)
        stanch_buf_text(&with, line + 1 < at(making, to)->line ? "\n" : "\n ");
    add(making, begin, (size_t)(end - begin), stanch_buf_str(&with), at(making, to)->line,
        stanch_asprintf("%s%s is left out", callee, arguments));
}

static bool is_action(const struct making *making, const struct stanch_token *token)
{
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)making->actions, i, name)
    {
        if (json_is_string(name) && stanch_token_is(token, json_string_value(name)))
            return true;
    }
    return false;
}

static void leave_out_call(struct making *making, int i)
{
    bool is_member = is_at(making, i - 1, "."), is_method = is_at(making, i - 1, ":");
    if (is_member && is_action(making, at(making, i)) && shown_arguments(making, i + 1))
        leave_out(making, making->begins[i], i);
    else if (!is_member && !is_method && (is_at(making, i, "undo") || is_at(making, i, "page")))
        leave_out(making, i, i);
}

/* ---- all ---- */

static int change_all(struct making *making, struct stanch_err *err)
{
    for (int i = 0; i < making->tokens.count; i++) {
        const struct stanch_token *token = at(making, i);
        making->begins[i] = begin_of(making, i);
        if (stanch_token_is(token, "local"))
            i = pass_names(making, i + 1) - 1;
        else if (stanch_token_is(token, "not"))
            add(making, token->at, token->len, "not not", token->line, stanch_strdup("not became not not"));
        else if (!turn_sign(making, i) && stanch_token_is_name(token)) {
            turn_range(making, i);
            leave_out_call(making, i);
        }
        if (making->bytes > ALL_MAX_BYTES)
            return stanch_err_set(err, STANCH_E_TOO_LARGE, "%s: its mutants have over %u MiB together", making->path,
                                  ALL_MAX_BYTES >> 20);
    }
    return 0;
}

int stanch_mutants_make(const char *path, const char *text, size_t len, const json_t *actions,
                        struct stanch_mutant **ret, int *ret_count, struct stanch_err *err)
{
    struct making making = {.path = path, .text = text, .len = len, .actions = actions};
    if (len > SOURCE_MAX_BYTES)
        return stanch_err_set(err, STANCH_E_TOO_LARGE, "%s has %zu bytes; %u can be changed", path, len,
                              SOURCE_MAX_BYTES);
    int rc = stanch_tokens_read(path, text, len, &making.tokens, err);
    if (rc < 0)
        return rc;
    making.begins = stanch_alloc((size_t)(making.tokens.count + 1) * sizeof *making.begins);
    rc = change_all(&making, err);
    free(making.begins);
    stanch_tokens_done(&making.tokens);
    if (rc < 0) {
        stanch_mutants_free(making.mutants, making.count);
        return rc;
    }
    *ret = making.mutants;
    *ret_count = making.count;
    return 0;
}

void stanch_mutants_free(struct stanch_mutant *mutants, int count)
{
    for (int i = 0; i < count; i++) {
        free(mutants[i].what);
        free(mutants[i].text);
    }
    free(mutants);
}
