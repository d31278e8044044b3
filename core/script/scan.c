/* scan.c: tokens of Lua, as far as looking for names needs them. */
#include "script/scan.h"
#include <ctype.h>
#include <string.h>

/* "[[", "[=[": how many signs; -1: it is none */
static int long_bracket(const struct stanch_scan *scan)
{
    const char *p = scan->at + 1;
    while (p < scan->end && *p == '=')
        p++;
    return scan->at < scan->end && *scan->at == '[' && p < scan->end && *p == '[' ? (int)(p - scan->at - 1) : -1;
}

/* ret_len: of what stands inside */
static void pass_long(struct stanch_scan *scan, int level, size_t *ret_len)
{
    const char *from = scan->at + level + 2;
    for (scan->at = from; scan->at < scan->end; scan->at++) {
        if (*scan->at != ']')
            continue;
        const char *p = scan->at + 1;
        while (p < scan->end && *p == '=')
            p++;
        if (p < scan->end && *p == ']' && p - scan->at - 1 == level) {
            *ret_len = (size_t)(scan->at - from);
            scan->at = p + 1;
            return;
        }
    }
    *ret_len = (size_t)(scan->end - from);
}

static void pass_comment(struct stanch_scan *scan)
{
    size_t unused;
    scan->at += 2;
    int level = scan->at < scan->end ? long_bracket(scan) : -1;
    if (level >= 0)
        pass_long(scan, level, &unused);
    else
        while (scan->at < scan->end && *scan->at != '\n')
            scan->at++;
}

static void pass_text(struct stanch_scan *scan, size_t *ret_len)
{
    char quote = *scan->at++;
    const char *from = scan->at;
    while (scan->at < scan->end && *scan->at != quote && *scan->at != '\n')
        scan->at += *scan->at == '\\' && scan->at + 1 < scan->end ? 2 : 1;
    *ret_len = (size_t)(scan->at - from);
    if (scan->at < scan->end)
        scan->at++;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Spaces and comments. */
static void pass_nothing(struct stanch_scan *scan)
{
    for (;;) {
        while (scan->at < scan->end && isspace((unsigned char)*scan->at))
            scan->at++;
        if (scan->end - scan->at < 2 || scan->at[0] != '-' || scan->at[1] != '-')
            return;
        pass_comment(scan);
    }
}

static size_t sign_len(const struct stanch_scan *scan)
{
    size_t len = 1;
    char c = *scan->at;
    if (c != '.' && c != ':')
        return 1;
    while (len < (c == '.' ? 3 : 2) && scan->at + len < scan->end && scan->at[len] == c)
        len++;
    return len;
}

bool stanch_scan__next(struct stanch_scan *scan, struct stanch_token *ret)
{
    pass_nothing(scan);
    *ret = (struct stanch_token){.from = scan->at};
    if (scan->at >= scan->end)
        return false;
    int level = *scan->at == '[' ? long_bracket(scan) : -1;
    if (level >= 0) {
        ret->kind = STANCH_TOKEN_TEXT;
        ret->is_long = true;
        ret->from += level + 2;
        pass_long(scan, level, &ret->len);
    } else if (*scan->at == '"' || *scan->at == '\'') {
        ret->kind = STANCH_TOKEN_TEXT;
        ret->from++;
        pass_text(scan, &ret->len);
    } else if (is_word(*scan->at)) {
        ret->kind = STANCH_TOKEN_WORD;
        while (scan->at < scan->end && is_word(*scan->at))
            scan->at++;
        ret->len = (size_t)(scan->at - ret->from);
    } else {
        ret->kind = STANCH_TOKEN_SIGN;
        ret->len = sign_len(scan);
        scan->at += ret->len;
    }
    return true;
}

bool stanch_scan__is(const struct stanch_token *token, const char *text)
{
    return (token->kind == STANCH_TOKEN_WORD || token->kind == STANCH_TOKEN_SIGN) && token->len == strlen(text) &&
           memcmp(token->from, text, token->len) == 0;
}
