/* malloc_faulty.h: the Nth allocation of the process fails, whoever asks: stanch, a library, the C library itself. For the
 * executable or the preloaded object that includes it: what it defines comes before the C library's, or a sanitizer's. */
#ifndef TEST_CAMPAIGN_MALLOC_FAULTY_H
#define TEST_CAMPAIGN_MALLOC_FAULTY_H
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef STANCH_ASAN
#define UNDER(name) __interceptor_##name
#else
#define UNDER(name) __libc_##name
#endif
extern void *UNDER(malloc)(size_t bytes);
extern void *UNDER(calloc)(size_t count, size_t bytes);
extern void *UNDER(realloc)(void *ptr, size_t bytes);

static struct {
    bool counts;   /* false: nothing fails, nothing is counted */
    int at, count; /* the Nth allocation from now fails, and so many in a row; at 0: they are only counted */
    int *calls;    /* allocations so far */
    void (*on_fault)(void);
    struct {
        uintptr_t from, to;
    } skipped[4]; /* what code of there asks for is not counted, and does not fail */
} malloc_fault;

static bool malloc_is_skipped(uintptr_t asks)
{
    for (size_t i = 0; i < sizeof malloc_fault.skipped / sizeof *malloc_fault.skipped; i++)
        if (asks >= malloc_fault.skipped[i].from && asks < malloc_fault.skipped[i].to)
            return true;
    return false;
}

static bool malloc_is_due(const void *asks)
{
    if (!malloc_fault.counts || malloc_is_skipped((uintptr_t)asks))
        return false;
    int n = __atomic_add_fetch(malloc_fault.calls, 1, __ATOMIC_SEQ_CST);
    bool due = malloc_fault.at > 0 && n >= malloc_fault.at && n - malloc_fault.at < malloc_fault.count;
    if (due && malloc_fault.on_fault)
        malloc_fault.on_fault();
    if (due)
        errno = ENOMEM;
    return due;
}

__attribute__((visibility("default"))) void *malloc(size_t bytes)
{
    return malloc_is_due(__builtin_return_address(0)) ? NULL : UNDER(malloc)(bytes);
}

__attribute__((visibility("default"))) void *calloc(size_t count, size_t bytes)
{
    return malloc_is_due(__builtin_return_address(0)) ? NULL : UNDER(calloc)(count, bytes);
}

__attribute__((visibility("default"))) void *realloc(void *ptr, size_t bytes)
{
    return malloc_is_due(__builtin_return_address(0)) ? NULL : UNDER(realloc)(ptr, bytes);
}

#endif
