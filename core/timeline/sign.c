/* sign.c: keys and signatures, on libsodium. Signed is the canonical form of
 * {"domain":"stanch.checkpoint","v":1,"value":checkpoint}, or of what else is signed. Source: RFC 8032. */
#include "timeline/sign.h"
#include "timeline/store_sqlite.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define SEED_HEX (2 * crypto_sign_SEEDBYTES)

struct key {
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES];
    unsigned char secret_key[crypto_sign_SECRETKEYBYTES];
};

static void wipe_key(struct key *key)
{
    sodium_memzero(key, sizeof *key);
}

/* returns 0 | STANCH_E_NOT_FOUND | STANCH_E_STORE | STANCH_E_CORRUPT */
static int read_key(const char *path, struct key *ret, struct stanch_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return stanch_err_errno(err, errno == ENOENT ? STANCH_E_NOT_FOUND : STANCH_E_STORE, errno, "the store's key %s",
                                path);
    char hex[SEED_HEX + 1] = {0};
    ssize_t len = read(fd, hex, SEED_HEX);
    close(fd);
    unsigned char seed[crypto_sign_SEEDBYTES];
    size_t seed_len = 0;
    int rc = 0;
    if (len != SEED_HEX || sodium_hex2bin(seed, sizeof seed, hex, SEED_HEX, NULL, &seed_len, NULL) != 0 ||
        seed_len != sizeof seed)
        rc = stanch_err_set(err, STANCH_E_CORRUPT,
                            "%s is not a key; move it away, and a new one is made at the next start", path);
    else
        crypto_sign_seed_keypair(ret->public_key, ret->secret_key, seed);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(hex, sizeof hex);
    return rc;
}

/* Whole or not at all: a key that a crash cut short would be found as damage at the next start. */
static int write_key(const char *path, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *fresh = stanch_asprintf("%s.new", path);
    unsigned char seed[crypto_sign_SEEDBYTES];
    char hex[SEED_HEX + 2];
    stanch_random_bytes(seed, sizeof seed);
    stanch_hex(seed, sizeof seed, hex);
    hex[SEED_HEX] = '\n';
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written =
        fd >= 0 && write(fd, hex, SEED_HEX + 1) == SEED_HEX + 1 && fsync(fd) == 0 && rename(fresh, path) == 0;
    int errnum = errno;
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(hex, sizeof hex);
    if (fd >= 0)
        close(fd);
    if (written)
        return 0;
    if (fd >= 0)
        (void)unlink(fresh);
    return stanch_err_errno(err, STANCH_E_STORE, errnum, "the store's key %s cannot be written", path);
}

int stanch_sign_prepare(const char *dir, sqlite3 *db, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.key", dir);
    STANCH_CLEANUP(wipe_key) struct key key = {0};
    int rc = read_key(path, &key, err);
    if (rc == STANCH_E_NOT_FOUND) {
        rc = write_key(path, err);
        if (rc == 0)
            rc = read_key(path, &key, err);
    }
    if (rc < 0)
        return rc;
    char hex[2 * sizeof key.public_key + 1];
    stanch_hex(key.public_key, sizeof key.public_key, hex);
    STANCH_AUTO_FREE char *name = stanch_asprintf("key:%s", hex);
    STANCH_AUTO_FREE char *current = NULL;
    rc = stanch_sqlite__meta(db, "public_key", &current, err);
    if (rc < 0)
        return rc;
    if (current && strcmp(current, hex) == 0)
        return 0;
    if (current)
        stanch_log(STANCH_LOG_WARN, "timeline", "the store has a new signing key; checkpoints name key %s", hex);
    rc = stanch_sqlite__set_meta(db, name, "known", err);
    return rc == 0 ? stanch_sqlite__set_meta(db, "public_key", hex, err) : rc;
}

static int write_signed_text(const char *what, const json_t *value, struct stanch_buf *out, struct stanch_err *err)
{
    stanch_buf_printf(out, "{\"domain\":\"stanch.%s\",\"v\":1,\"value\":", what);
    int rc = stanch_json_canonical(value, out, err);
    stanch_buf_char(out, '}');
    return rc;
}

int stanch_sign_checkpoint(const char *dir, json_t *checkpoint, json_t **ret, struct stanch_err *err)
{
    return stanch_sign(dir, "checkpoint", checkpoint, ret, err);
}

int stanch_sign(const char *dir, const char *what, json_t *value, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_FREE char *path = stanch_asprintf("%s/stanch.key", dir);
    STANCH_CLEANUP(wipe_key) struct key key = {0};
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    int rc = read_key(path, &key, err);
    if (rc == 0)
        rc = write_signed_text(what, value, &text, err);
    if (rc < 0)
        return rc;
    unsigned char signature[crypto_sign_BYTES];
    char hex[2 * sizeof signature + 1];
    crypto_sign_detached(signature, NULL, (const unsigned char *)text.data, text.len, key.secret_key);
    json_t *signed_value = json_object();
    json_object_set(signed_value, what, value);
    stanch_hex(key.public_key, sizeof key.public_key, hex);
    json_object_set_new(signed_value, "key", json_string(hex));
    stanch_hex(signature, sizeof signature, hex);
    json_object_set_new(signed_value, "signature", json_string(hex));
    *ret = signed_value;
    return 0;
}

static bool read_hex(const json_t *obj, const char *member, unsigned char *ret, size_t len)
{
    const char *hex = stanch_json_str(obj, member, "");
    size_t got = 0;
    return strlen(hex) == 2 * len && sodium_hex2bin(ret, len, hex, 2 * len, NULL, &got, NULL) == 0 && got == len;
}

bool stanch_sign_is_good(const json_t *signed_checkpoint)
{
    return stanch_sign_is_good_as(signed_checkpoint, "checkpoint");
}

bool stanch_sign_is_good_as(const json_t *signed_value, const char *what)
{
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], signature[crypto_sign_BYTES];
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    if (stanch_is_sabotaged("checkpoint-unsigned"))
        return true;
    if (!read_hex(signed_value, "key", public_key, sizeof public_key) ||
        !read_hex(signed_value, "signature", signature, sizeof signature))
        return false;
    if (write_signed_text(what, json_object_get(signed_value, what), &text, NULL) < 0)
        return false;
    return crypto_sign_verify_detached(signature, (const unsigned char *)text.data, text.len, public_key) == 0;
}
