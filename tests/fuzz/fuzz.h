/* fuzz.h: what every target of this folder is: one function that takes any bytes and comes back.
 * README.md says how they are built, run, and what a corpus is.
 */
#ifndef STANCH_TESTS_FUZZ_H
#define STANCH_TESTS_FUZZ_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** Called by libFuzzer, and by corpus.c with every file of the corpus. returns 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** What must hold, in every build. */
#define FUZZ_EXPECT(what)                                                                                              \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);                                         \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* Takes an input apart, from its beginning. What it gives is a copy of just that size, so that a sanitizer sees a read
 * behind its end. */
struct fuzz_bytes {
    const uint8_t *at;
    size_t left;
};
static inline uint8_t fuzz_byte(struct fuzz_bytes *bytes)
{
    if (bytes->left == 0)
        return 0;
    bytes->left--;
    return *bytes->at++;
}
/** Up to `mark` (which is taken away too) or the end. new, with a NUL behind it; ret_len: may be NULL. */
static inline char *fuzz_until(struct fuzz_bytes *bytes, char mark, size_t *ret_len)
{
    size_t len = 0;
    while (len < bytes->left && bytes->at[len] != (uint8_t)mark)
        len++;
    char *text = malloc(len + 1);
    FUZZ_EXPECT(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)bytes->at[i];
    text[len] = '\0';
    size_t taken = len < bytes->left ? len + 1 : len;
    bytes->at += taken;
    bytes->left -= taken;
    if (ret_len)
        *ret_len = len;
    return text;
}
static inline char *fuzz_line(struct fuzz_bytes *bytes)
{
    return fuzz_until(bytes, '\n', NULL);
}
/** All that is left. new, with a NUL behind it. */
static inline char *fuzz_rest(struct fuzz_bytes *bytes, size_t *ret_len)
{
    size_t len = bytes->left;
    char *text = malloc(len + 1);
    FUZZ_EXPECT(text);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)bytes->at[i];
    text[len] = '\0';
    bytes->at += len;
    bytes->left = 0;
    if (ret_len)
        *ret_len = len;
    return text;
}

#endif
