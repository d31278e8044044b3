/* mem.h: memory that is there or the process ends, and the two attributes that keep ownership visible.
 * Out of memory is not an error value in stanch: SIGKILL is always safe (PROMISES 1.7), so a process that
 * cannot get memory says so on stderr and ends with STANCH_EXIT_NOMEM; the journal holds all that matters.
 * The libraries do the same: a NULL of theirs would be taken for "nothing there", deep inside, where nobody looks.
 * stanch_mem_init gives jansson and libuv this allocator; pattern.c, timeline/, book/, plugin/ and cli/ give it to PCRE2,
 * SQLite, libgit2 and libcurl. Lua has an allocator with a cap (script/vm.c), and libmicrohttpd takes none.
 * Thread: any.
 */
#ifndef STANCH_BASE_MEM_H
#define STANCH_BASE_MEM_H
#include <stddef.h>
#include <stdlib.h>

#define STANCH_EXIT_NOMEM 71

/** Make jansson and libuv end the process too. Call it first in main: no memory of theirs may be out. */
void stanch_mem_init(void);
/** Say that there is no memory, and end. */
_Noreturn void stanch_mem_end(void);
/** For what the C library could not do (opendir, fopen), with the errno that it left: ends likewise when that is ENOMEM.
 *  Else a file would be taken for one that can't be read, and a stop for one that is set. */
void stanch_mem_check(int errnum);

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

/** For the libraries: as the C library's, never NULL (NULL of a NULL text). `free` frees. */
void *stanch_mem_malloc(size_t bytes);
void *stanch_mem_calloc(size_t count, size_t bytes);
void *stanch_mem_realloc(void *ptr, size_t bytes);
char *stanch_mem_strdup(const char *text);

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
