/* digest.h: SHA-256, hex, random and compare in constant time, on nettle and libsodium.
 * Thread: any. stanch_digest_init must have been called once in the process.
 * Source: FIPS 180-4 (SHA-256), RFC 2104 (HMAC).
 */
#ifndef STANCH_BASE_DIGEST_H
#define STANCH_BASE_DIGEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Prepare libsodium; ends the process when it cannot (no source of random numbers). Idempotent. */
void stanch_digest_init(void);
void stanch_digest_raw(const void *bytes, size_t len, unsigned char ret[32]);
/** 64 hex digits and a NUL. */
void stanch_digest_hex(const void *bytes, size_t len, char ret_hex[65]);
void stanch_hex(const unsigned char *bytes, size_t len, char *ret_hex);
/** Compare two secrets; the time tells only whether their lengths agree. */
bool stanch_secret_equal(const void *a, size_t a_len, const void *b, size_t b_len);
uint64_t stanch_random_u64(void);
/** `len` random bytes. */
void stanch_random_bytes(void *ret, size_t len);
/** 26 characters, Crockford base 32: 48 bits of milliseconds, 80 random bits. Sorts by time; never collides
 *  between nodes. ret: 27 bytes. Source: the ULID specification. */
void stanch_ulid(int64_t at_ms, char ret[27]);

#endif
