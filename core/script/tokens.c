/* tokens.c: see tokens.h. */
#include "script/tokens.h"
#include "base/mem.h"
#include <limits.h>
#include <string.h>

struct scan {
    const char *path;
    const char *at, *end;
    int line;
    struct stanch_token *tokens;
    int count, room;
    struct stanch_err *err;
};

/* ASCII, whatever the locale is */
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

/* The byte that comes `ahead` bytes later; 0: the end. There is no NUL in the text. */
static char peek(const struct scan *scan, int ahead)
{
    return ahead < scan->end - scan->at ? scan->at[ahead] : 0;
}

/* Past "\n", "\r", "\r\n" or "\n\r", each of which is one line's end. */
static void pass_break(struct scan *scan)
{
    char next = peek(scan, 1);
    scan->at += is_break(next) && next != *scan->at ? 2 : 1;
    scan->line++;
}

static int refuse(const struct scan *scan, int line, const char *what)
{
    return stanch_err_set(scan->err, STANCH_E_INVALID, "%s:%d: %s", scan->path, line, what);
}

/* ---- strings and comments ---- */

/* "[[", "[==[": how many signs; -1: it is none */
static int long_level(const struct scan *scan)
{
    int level = 0;
    while (peek(scan, level + 1) == '=')
        level++;
    return peek(scan, 0) == '[' && peek(scan, level + 1) == '[' ? level : -1;
}

static bool closes(const struct scan *scan, int level)
{
    for (int i = 1; i <= level; i++)
        if (peek(scan, i) != '=')
            return false;
    return peek(scan, 0) == ']' && peek(scan, level + 1) == ']';
}

static int pass_long(struct scan *scan, int level, const char *what)
{
    int from = scan->line;
    scan->at += level + 2;
    while (scan->at < scan->end && !closes(scan, level)) {
        if (is_break(*scan->at))
            pass_break(scan);
        else
            scan->at++;
    }
    if (scan->at == scan->end)
        return refuse(scan, from, what);
    scan->at += level + 2;
    return 0;
}

static int pass_comment(struct scan *scan)
{
    scan->at += 2;
    int level = long_level(scan);
    if (level >= 0)
        return pass_long(scan, level, "the comment that begins here is not ended");
    while (scan->at < scan->end && !is_break(*scan->at))
        scan->at++;
    return 0;
}

/* \u{XXX}: below 2^31 */
static bool pass_code_point(struct scan *scan)
{
    unsigned long value = 0;
    bool has_digit = false;
    scan->at++;
    if (peek(scan, 0) != '{')
        return false;
    for (scan->at++; is_hex(peek(scan, 0)); scan->at++) {
        char c = *scan->at;
        value = value * 16 + (unsigned long)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
        has_digit = true;
        if (value > 0x7FFFFFFFUL)
            return false;
    }
    if (!has_digit || peek(scan, 0) != '}')
        return false;
    scan->at++;
    return true;
}

/* \ddd: up to 255 */
static bool pass_byte(struct scan *scan)
{
    int value = 0;
    for (int i = 0; i < 3 && is_digit(peek(scan, 0)); i++, scan->at++)
        value = value * 10 + (*scan->at - '0');
    return value <= 255;
}

/* At a backslash. returns false: there is no such escape */
static bool pass_escape(struct scan *scan)
{
    char c = peek(scan, 1);
    scan->at++;
    if (c && strchr("abfnrtv\\\"'", c)) {
        scan->at++;
        return true;
    }
    if (is_break(c)) {
        pass_break(scan);
        return true;
    }
    if (c == 'x' && is_hex(peek(scan, 1)) && is_hex(peek(scan, 2))) {
        scan->at += 3;
        return true;
    }
    if (c == 'z') {
        scan->at++;
        while (scan->at < scan->end && strchr(" \t\v\f\n\r", *scan->at)) {
            if (is_break(*scan->at))
                pass_break(scan);
            else
                scan->at++;
        }
        return true;
    }
    return c == 'u' ? pass_code_point(scan) : is_digit(c) && pass_byte(scan);
}

static int pass_string(struct scan *scan)
{
    char quote = *scan->at++;
    int from = scan->line;
    while (scan->at < scan->end && *scan->at != quote && !is_break(*scan->at)) {
        if (*scan->at != '\\')
            scan->at++;
        else if (!pass_escape(scan))
            return refuse(scan, scan->line,
                          scan->at < scan->end ? "Lua knows no such escape in a string" : "this string is not ended");
    }
    if (peek(scan, 0) != quote)
        return refuse(scan, from, "the string that begins here is not ended");
    scan->at++;
    return 0;
}

/* ---- numbers, names, signs ---- */

static int count_digits(struct scan *scan, bool hex)
{
    const char *from = scan->at;
    while (hex ? is_hex(peek(scan, 0)) : is_digit(peek(scan, 0)))
        scan->at++;
    return scan->at > from;
}

static int pass_number(struct scan *scan)
{
    bool hex = peek(scan, 0) == '0' && (peek(scan, 1) | 0x20) == 'x', is_good = true;
    scan->at += hex ? 2 : 0;
    int digits = count_digits(scan, hex);
    if (peek(scan, 0) == '.') {
        scan->at++;
        digits += count_digits(scan, hex);
    }
    if ((peek(scan, 0) | 0x20) == (hex ? 'p' : 'e')) {
        scan->at++;
        scan->at += peek(scan, 0) == '-' || peek(scan, 0) == '+';
        is_good = count_digits(scan, false);
    }
    char next = peek(scan, 0); /* "3x", "1..2", "0x1p4.5": Lua reads on, and refuses the whole */
    if (!is_good || !digits || is_letter(next) || is_digit(next) || next == '.')
        return refuse(scan, scan->line, "this number is malformed");
    return 0;
}

static void pass_name(struct scan *scan)
{
    while (is_letter(peek(scan, 0)) || is_digit(peek(scan, 0)))
        scan->at++;
}

static int pass_sign(struct scan *scan)
{
    static const char *const signs[] = {"...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t len = strlen(signs[i]);
        if ((size_t)(scan->end - scan->at) >= len && memcmp(scan->at, signs[i], len) == 0) {
            scan->at += len;
            return 0;
        }
    }
    if (!strchr("+-*/%^#&~|<>=(){}[];:,.", *scan->at))
        return refuse(scan, scan->line, "a character that has no meaning in Lua");
    if (*scan->at == '[' && peek(scan, 1) == '=')
        return refuse(scan, scan->line, "the long bracket that begins here is not whole");
    scan->at++;
    return 0;
}

static int pass_token(struct scan *scan, enum stanch_token_kind *ret)
{
    char c = *scan->at;
    int level = c == '[' ? long_level(scan) : -1;
    *ret = STANCH_TOKEN_STRING;
    if (level >= 0)
        return pass_long(scan, level, "the string that begins here is not ended");
    if (c == '"' || c == '\'')
        return pass_string(scan);
    *ret = STANCH_TOKEN_NUMBER;
    if (is_digit(c) || (c == '.' && is_digit(peek(scan, 1))))
        return pass_number(scan);
    *ret = STANCH_TOKEN_SIGN;
    if (!is_letter(c))
        return pass_sign(scan);
    *ret = STANCH_TOKEN_NAME;
    pass_name(scan);
    return 0;
}

/* ---- all of it ---- */

/* A token, or what stands between them. */
static int pass_next(struct scan *scan)
{
    char c = *scan->at;
    if (is_break(c)) {
        pass_break(scan);
        return 0;
    }
    if (strchr(" \t\v\f", c)) {
        scan->at++;
        return 0;
    }
    if (c == '-' && peek(scan, 1) == '-')
        return pass_comment(scan);
    if (scan->count == scan->room) {
        scan->room = scan->room ? scan->room * 2 : 256;
        scan->tokens = stanch_realloc(scan->tokens, (size_t)scan->room * sizeof *scan->tokens);
    }
    struct stanch_token *token = &scan->tokens[scan->count++];
    *token = (struct stanch_token){.at = scan->at, .line = scan->line, .partner = -1};
    int rc = pass_token(scan, &token->kind);
    token->len = (size_t)(scan->at - token->at);
    return rc;
}

static bool is_pair(const struct stanch_token *open, const struct stanch_token *close)
{
    return strchr("([{", *open->at) - "([{" == strchr(")]}", *close->at) - ")]}";
}

/* No recursion: a hostile text nests as deep as it is long. */
static void pair_brackets(struct stanch_token *tokens, int count)
{
    STANCH_AUTO_FREE int *open = stanch_alloc((size_t)(count + 1) * sizeof *open);
    int depth = 0;
    for (int i = 0; i < count; i++) {
        if (tokens[i].kind != STANCH_TOKEN_SIGN || tokens[i].len != 1)
            continue;
        if (strchr("([{", *tokens[i].at))
            open[depth++] = i;
        if (!strchr(")]}", *tokens[i].at) || depth == 0)
            continue;
        int other = open[--depth];
        if (is_pair(&tokens[other], &tokens[i])) {
            tokens[other].partner = i;
            tokens[i].partner = other;
        }
    }
}

int stanch_tokens_read(const char *path, const char *text, size_t len, struct stanch_tokens *ret,
                       struct stanch_err *err)
{
    struct scan scan = {.path = path, .at = text, .end = text + len, .line = 1, .err = err};
    int rc = 0;
    if (len >= INT_MAX / 2)
        return stanch_err_set(err, STANCH_E_INVALID, "%s:1: the source is too long", path);
    const char *nul = len > 0 ? memchr(text, 0, len) : NULL;
    while (nul && scan.at < nul) { /* to its line */
        if (is_break(*scan.at))
            pass_break(&scan);
        else
            scan.at++;
    }
    if (nul)
        return refuse(&scan, scan.line, "there is a NUL byte");
    while (rc == 0 && scan.at < scan.end)
        rc = pass_next(&scan);
    if (rc < 0) {
        free(scan.tokens);
        return rc;
    }
    pair_brackets(scan.tokens, scan.count);
    *ret = (struct stanch_tokens){scan.tokens, scan.count};
    return 0;
}

void stanch_tokens_done(struct stanch_tokens *tokens)
{
    free(tokens->list);
    *tokens = (struct stanch_tokens){0};
}

const struct stanch_token *stanch_tokens_at(const struct stanch_tokens *tokens, int i)
{
    return i >= 0 && i < tokens->count ? &tokens->list[i] : NULL;
}

bool stanch_token_is(const struct stanch_token *token, const char *text)
{
    return token && token->kind != STANCH_TOKEN_STRING && strlen(text) == token->len &&
           memcmp(token->at, text, token->len) == 0;
}

bool stanch_token_is_name(const struct stanch_token *token)
{
    static const char *const keywords[] = {"and",      "break",  "do",   "else", "elseif", "end",  "false", "for",
                                           "function", "goto",   "if",   "in",   "local",  "nil",  "not",   "or",
                                           "repeat",   "return", "then", "true", "until",  "while"};
    if (!token || token->kind != STANCH_TOKEN_NAME)
        return false;
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (stanch_token_is(token, keywords[i]))
            return false;
    return true;
}

bool stanch_token_is_string(const struct stanch_token *token, const char **ret, size_t *ret_len)
{
    size_t mark = 1;
    if (!token || token->kind != STANCH_TOKEN_STRING)
        return false;
    if (*token->at == '[')
        mark = strspn(token->at + 1, "=") + 2;
    *ret = token->at + mark;
    *ret_len = token->len - 2 * mark;
    return true;
}
