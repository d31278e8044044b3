/* err.h: errors as values.
 * A function returns 0 or a negative STANCH_E_* and, on error, fills the caller's struct stanch_err with a
 * message that a person can act on. The lowest level writes the text, upper ones only add where.
 * Thread: any; a struct stanch_err belongs to one caller.
 */
#ifndef STANCH_BASE_ERR_H
#define STANCH_BASE_ERR_H

enum stanch_err_code {
    STANCH_OK = 0,
#define STANCH_ERR(name, http, exit_code, word) STANCH_E_POS_##name,
#include "err.def"
#undef STANCH_ERR
    STANCH_E_POS_COUNT
};

/* The codes as callers use them: negative, so that `< 0` is an error everywhere. */
enum {
#define STANCH_ERR(name, http, exit_code, word) STANCH_E_##name = -(int)STANCH_E_POS_##name,
#include "err.def"
#undef STANCH_ERR
};

struct stanch_err {
    int code;        /* 0 or STANCH_E_* */
    char text[1000]; /* UTF-8, one line as a rule; cut at the end when too long */
};

/** Set an error. `err` may be NULL (the caller does not want the text). Returns `code`, so that
 *  `return stanch_err_set(err, STANCH_E_INVALID, "port %d: not a port", port);` reads well. */
int stanch_err_set(struct stanch_err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/** Add where: puts the formatted text and ": " before the text that is there. Keeps the code; returns it. */
int stanch_err_wrap(struct stanch_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** As stanch_err_set, with ": " and the text of `errnum` (an errno value) at the end. */
int stanch_err_errno(struct stanch_err *err, int code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#ifdef __clang_analyzer__ /* it reads one file at a time, and has to be told that these return their code */
#define stanch_err_set(err, code, ...)           (stanch_err_set(err, code, __VA_ARGS__), (code))
#define stanch_err_errno(err, code, errnum, ...) (stanch_err_errno(err, code, errnum, __VA_ARGS__), (code))
#endif

/** The word of a code ("not-found"), "ok" for 0, "internal" for one that is unknown. Static text. */
const char *stanch_err_word(int code);
/** The code of a word, 0 when there is none. */
int stanch_err_from_word(const char *word);
/** The HTTP status of a code; 200 for 0, 500 for one that is unknown. */
int stanch_err_http(int code);
/** The exit code of the command line for a code; 0 for 0. */
int stanch_err_exit(int code);

#endif
