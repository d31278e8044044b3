/* memory.c: libgit2 without memory ends the book process, as everything in stanch does (base/mem.h): core says so and
 * starts another one. What is larger than MUCH is asked for only by what came from outside, an object that says that it
 * is huge: there libgit2 gets its NULL, and the commit is refused with its error. */
#include "book/remote.h"
#include "base/mem.h"
#include <git2.h>
#include <git2/sys/alloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MUCH ((size_t)64 << 20)

static void *resize(void *ptr, size_t bytes, const char *file, int line)
{
    (void)file;
    (void)line;
    if (bytes <= MUCH)
        return stanch_mem_realloc(ptr, bytes);
    void *grown = realloc(ptr, bytes);
    if (!grown)
        git_error_set_oom();
    return grown;
}

static void *resize_array(void *ptr, size_t count, size_t bytes, const char *file, int line)
{
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all)) {
        git_error_set_oom();
        return NULL;
    }
    return resize(ptr, all, file, line);
}

static void *allocate(size_t bytes, const char *file, int line)
{
    return resize(NULL, bytes, file, line);
}

static void *allocate_array(size_t count, size_t bytes, const char *file, int line)
{
    return resize_array(NULL, count, bytes, file, line);
}

static void *allocate_zeroed(size_t count, size_t bytes, const char *file, int line)
{
    void *ptr = resize_array(NULL, count, bytes, file, line);
    return ptr ? memset(ptr, 0, count * bytes) : NULL;
}

static char *copy_bytes(const char *text, size_t len, const char *file, int line)
{
    char *copy = len < SIZE_MAX ? resize(NULL, len + 1, file, line) : NULL;
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

static char *copy_text(const char *text, const char *file, int line)
{
    return copy_bytes(text, strlen(text), file, line);
}

static char *copy_start(const char *text, size_t len, const char *file, int line)
{
    return copy_bytes(text, strnlen(text, len), file, line);
}

static void release(void *ptr)
{
    free(ptr);
}

int stanch_remote__use_memory(void)
{
    static git_allocator memory = {
        .gmalloc = allocate,
        .gcalloc = allocate_zeroed,
        .gstrdup = copy_text,
        .gstrndup = copy_start,
        .gsubstrdup = copy_bytes,
        .grealloc = resize,
        .greallocarray = resize_array,
        .gmallocarray = allocate_array,
        .gfree = release,
    };
    return git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &memory);
}
