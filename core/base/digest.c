/* digest.c: hashes, random numbers and ids. SHA-256 is nettle's: it uses the processor's instructions for it, and is
 * six times as fast as libsodium's; every entry is hashed twice. */
#include "base/digest.h"
#include <nettle/sha2.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stanch_digest_init(void)
{
    if (sodium_init() < 0) {
        (void)fputs("stanch: libsodium found no source of random numbers\n", stderr);
        exit(70);
    }
}

void stanch_digest_raw(const void *bytes, size_t len, unsigned char ret[32])
{
    struct sha256_ctx state;
    sha256_init(&state);
    sha256_update(&state, len, bytes);
    sha256_digest(&state, 32, ret);
}

void stanch_hex(const unsigned char *bytes, size_t len, char *ret_hex)
{
    sodium_bin2hex(ret_hex, len * 2 + 1, bytes, len);
}

void stanch_digest_hex(const void *bytes, size_t len, char ret_hex[65])
{
    unsigned char raw[32];
    stanch_digest_raw(bytes, len, raw);
    stanch_hex(raw, sizeof raw, ret_hex);
}

bool stanch_secret_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && sodium_memcmp(a, b, a_len) == 0;
}

void stanch_random_bytes(void *ret, size_t len)
{
    randombytes_buf(ret, len);
}

uint64_t stanch_random_u64(void)
{
    uint64_t v;
    stanch_random_bytes(&v, sizeof v);
    return v;
}

void stanch_ulid(int64_t at_ms, char ret[27])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t time = (uint64_t)at_ms & 0xFFFFFFFFFFFFu;
    for (int i = 9; i >= 0; i--) {
        ret[i] = alphabet[time & 31];
        time >>= 5;
    }
    unsigned char noise[16];
    stanch_random_bytes(noise, sizeof noise);
    for (int i = 0; i < 16; i++)
        ret[10 + i] = alphabet[noise[i] & 31];
    ret[26] = 0;
}
