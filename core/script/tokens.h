/* tokens.h: the source of a runbook as Lua's words: names, numbers, strings, signs, each with its place.
 *
 * Lua is asked nothing and runs nothing: this is for who looks for words where they are code (closure.c, declare_unused.c), or
 * changes a text and wants the rest of it to stay as it is, byte for byte (drill/mutate.c). It refuses what Lua's own scanner
 * refuses, and NUL bytes; whether the words make a program is not its business.
 * Source: Lua 5.4 reference manual, section 3.1.
 * Thread: any.
 */
#ifndef STANCH_SCRIPT_TOKENS_H
#define STANCH_SCRIPT_TOKENS_H
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>

enum stanch_token_kind {
    STANCH_TOKEN_NAME, /* keywords too */
    STANCH_TOKEN_NUMBER,
    STANCH_TOKEN_STRING, /* with its quotes or brackets */
    STANCH_TOKEN_SIGN,
};

struct stanch_token {
    enum stanch_token_kind kind;
    const char *at; /* in the text */
    size_t len;
    int line;
    int partner; /* of a bracket ( [ {: the index of the other one; -1: it has none, or is no bracket */
};

struct stanch_tokens {
    struct stanch_token *list;
    int count;
};

/** Take the text apart. path: for the error; text: borrowed, the tokens point into it. ret: to be ended with _done.
 *  returns 0 | STANCH_E_INVALID ("checkout.lua:3: the string that begins here is not ended") */
int stanch_tokens_read(const char *path, const char *text, size_t len, struct stanch_tokens *ret,
                       struct stanch_err *err);
/** Accepts an empty one. */
void stanch_tokens_done(struct stanch_tokens *tokens);
#define STANCH_AUTO_TOKENS __attribute__((cleanup(stanch_tokens_done)))

/** The token of this index; NULL: it is outside of the text. */
const struct stanch_token *stanch_tokens_at(const struct stanch_tokens *tokens, int i);
/** Is the token this very word or sign? NULL: it is not. */
bool stanch_token_is(const struct stanch_token *token, const char *text);
/** A name that is no keyword. NULL: it is not. */
bool stanch_token_is_name(const struct stanch_token *token);
/** Is it a string? ret: what stands between its quotes or brackets, escapes as they are written. NULL: it is not. */
bool stanch_token_is_string(const struct stanch_token *token, const char **ret, size_t *ret_len);

#endif
