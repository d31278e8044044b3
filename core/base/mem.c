/* mem.c: allocation that cannot fail softly; see mem.h for why. */
#include "base/mem.h"
#include "base/sabotage.h"
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

_Noreturn void stanch_mem_end(void)
{
    static const char text[] = "stanch: out of memory; ending, the journal is safe\n";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(STANCH_EXIT_NOMEM);
}

void stanch_mem_check(int errnum)
{
    if (errnum == ENOMEM)
        stanch_mem_end();
}

/* What an allocation gave; without memory this is where the process ends. */
static void *there(void *ptr)
{
    if (!ptr && !stanch_is_sabotaged("nomem-is-null"))
        stanch_mem_end();
    return ptr;
}

void *stanch_mem_malloc(size_t bytes)
{
    return there(malloc(bytes ? bytes : 1));
}

void *stanch_mem_calloc(size_t count, size_t bytes)
{
    return there(calloc(count && bytes ? count : 1, count && bytes ? bytes : 1));
}

void *stanch_mem_realloc(void *ptr, size_t bytes)
{
    return there(realloc(ptr, bytes ? bytes : 1));
}

char *stanch_mem_strdup(const char *text)
{
    return text ? there(strdup(text)) : NULL;
}

void stanch_mem_init(void)
{
    json_set_alloc_funcs(stanch_mem_malloc, free);
    (void)uv_replace_allocator(stanch_mem_malloc, stanch_mem_realloc, stanch_mem_calloc,
                               free); /* fails on a NULL only */
}

void *stanch_alloc(size_t bytes)
{
    return stanch_mem_calloc(1, bytes);
}

void *stanch_realloc(void *ptr, size_t bytes)
{
    return stanch_mem_realloc(ptr, bytes);
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
        stanch_mem_end();
    return text;
}

void stanch_cleanup_free(void *ptr_to_ptr)
{
    free(*(void **)ptr_to_ptr);
}
