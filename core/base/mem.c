/* mem.c: allocation that cannot fail softly; see mem.h for why. */
#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Noreturn void end_without_memory(void)
{
    static const char text[] = "stanch: out of memory; ending, the journal is safe\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(STANCH_EXIT_NOMEM);
}

void *stanch_alloc(size_t bytes)
{
    void *ptr = calloc(1, bytes ? bytes : 1);
    if (!ptr)
        end_without_memory();
    return ptr;
}

void *stanch_realloc(void *ptr, size_t bytes)
{
    void *grown = realloc(ptr, bytes ? bytes : 1);
    if (!grown)
        end_without_memory();
    return grown;
}

char *stanch_strdup(const char *text)
{
    return text ? stanch_strndup(text, strlen(text)) : NULL;
}

char *stanch_strndup(const char *text, size_t len)
{
    char *copy = stanch_alloc(len + 1);
    if (len)
        memcpy(copy, text, len);
    return copy;
}

char *stanch_asprintf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *text = NULL;
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        end_without_memory();
    return text;
}

void stanch_cleanup_free(void *ptr_to_ptr)
{
    free(*(void **)ptr_to_ptr);
}
