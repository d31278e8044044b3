/* mem.h: memory that is there or the process ends, and the two attributes that keep ownership visible.
 * Out of memory is not an error value in stanch: SIGKILL is always safe (PROMISES 1.7), so a process that
 * cannot get memory says so on stderr and ends with STANCH_EXIT_NOMEM; the journal holds all that matters.
 * Thread: any.
 */
#ifndef STANCH_BASE_MEM_H
#define STANCH_BASE_MEM_H
#include <stddef.h>
#include <stdlib.h>

#define STANCH_EXIT_NOMEM 71

/** new; zeroed. Never NULL: the process ends when there is no memory. */
void *stanch_alloc(size_t bytes) __attribute__((malloc, returns_nonnull, warn_unused_result));
/** new; as realloc, never NULL. */
void *stanch_realloc(void *ptr, size_t bytes) __attribute__((returns_nonnull, warn_unused_result));
/** new; a copy of the text. NULL stays NULL. */
char *stanch_strdup(const char *text);
/** new; a copy of the first `len` bytes with a NUL behind. */
char *stanch_strndup(const char *text, size_t len) __attribute__((returns_nonnull));
/** new; formatted. */
char *stanch_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

#define STANCH_NEW(type) ((type *)stanch_alloc(sizeof(type)))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

void stanch_cleanup_free(void *ptr_to_ptr);
/** An owned local: freed when it goes out of scope. `STANCH_AUTO_FREE char *text = ...;` */
#define STANCH_AUTO_FREE     __attribute__((cleanup(stanch_cleanup_free)))
#define STANCH_CLEANUP(func) __attribute__((cleanup(func)))

/** Hand an owned local out: returns the value and leaves NULL behind. */
#define STANCH_TAKE(var)                                                                                               \
    __extension__({                                                                                                    \
        __typeof__(var) taken__ = (var);                                                                               \
        (var) = NULL;                                                                                                  \
        taken__;                                                                                                       \
    })

#endif
