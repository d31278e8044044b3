/* err.c: the one table of errors, and the text of one of them. */
#include "base/err.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#undef stanch_err_set
#undef stanch_err_errno

static const struct {
    const char *word;
    int http;
    int exit_code;
} err_table[STANCH_E_POS_COUNT] = {
    [STANCH_OK] = {"ok", 200, 0},
#define STANCH_ERR(name, http, exit_code, word) [STANCH_E_POS_##name] = {word, http, exit_code},
#include "base/err.def"
#undef STANCH_ERR
};

static int position(int code)
{
    int pos = -code;
    return pos >= 0 && pos < (int)STANCH_E_POS_COUNT ? pos : (int)STANCH_E_POS_INTERNAL;
}

int stanch_err_set(struct stanch_err *err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return code;
}

int stanch_err_wrap(struct stanch_err *err, const char *fmt, ...)
{
    if (!err)
        return STANCH_E_INTERNAL;
    char inner[sizeof err->text];
    memcpy(inner, err->text, sizeof inner);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text)
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", inner);
    return err->code;
}

int stanch_err_errno(struct stanch_err *err, int code, int errnum, const char *fmt, ...)
{
    if (!err)
        return code;
    err->code = code;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err->text) {
        char reason[128];
        const char *text = strerror_r(errnum, reason, sizeof reason);
        (void)snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", text);
    }
    return code;
}

const char *stanch_err_word(int code)
{
    return err_table[position(code)].word;
}

int stanch_err_from_word(const char *word)
{
    for (int i = 1; word && i < (int)STANCH_E_POS_COUNT; i++)
        if (strcmp(err_table[i].word, word) == 0)
            return -i;
    return 0;
}

int stanch_err_http(int code)
{
    return err_table[position(code)].http;
}

int stanch_err_exit(int code)
{
    return err_table[position(code)].exit_code;
}
