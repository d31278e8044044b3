/* verify_export.c: an export is checked by its own last line: the signed heads must be reached, and the digest of all
 * lines before it must be the signed one, so that also what is only shown (text, level, seq) is as it was written. */
#include "timeline/verify_export.h"
#include "timeline/chain_check.h"
#include "timeline/checkpoint.h"
#include "timeline/sign.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/digest.h"
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    char *text;
    size_t cap;
    ssize_t len;
    json_t *value;
};

static void drop_line(struct line *line)
{
    free(line->text);
    json_decref(line->value);
}

/* Fill a row from a line's value; the data in canonical form goes to `data`. */
static bool read_row(const json_t *value, struct stanch_buf *data, struct stanch_row *ret)
{
    stanch_buf_clear(data);
    if (!json_is_object(json_object_get(value, "data")) ||
        stanch_json_canonical(json_object_get(value, "data"), data, NULL) < 0)
        return false;
    *ret = (struct stanch_row){
        .seq = stanch_json_int(value, "seq", 0),
        .n = stanch_json_int(value, "n", 0),
        .at_ms = stanch_json_int(value, "at_ms", 0),
        .chain = stanch_json_str(value, "chain", ""),
        .kind = stanch_json_str(value, "kind", ""),
        .by = stanch_json_str(value, "by", ""),
        .run = stanch_json_str(value, "run", NULL),
        .data = data->data,
        .data_len = data->len,
        .prev = stanch_json_str(value, "prev", ""),
        .hash = stanch_json_str(value, "hash", ""),
    };
    return true;
}

/* Is the line what an entry of this content looks like? Only asked when the digest of all lines is wrong. */
static bool is_shown_right(const json_t *value, const struct stanch_row *row)
{
    struct stanch_entry entry;
    if (stanch_store_entry(row, &entry, NULL) < 0)
        return false;
    STANCH_AUTO_JSON json_t *shown = stanch_entry_json(&entry);
    json_decref(entry.data);
    STANCH_AUTO_BUF struct stanch_buf a = {0}, b = {0};
    return stanch_json_canonical(shown, &a, NULL) == 0 && stanch_json_canonical(value, &b, NULL) == 0 &&
           strcmp(stanch_buf_str(&a), stanch_buf_str(&b)) == 0;
}

/* Read lines up to the checkpoint's. is_strict: also compare what is shown. ret_digest: of the lines read. */
static void check_lines(FILE *file, struct stanch_chain_check *check, const char *chain, bool is_strict,
                        char ret_digest[65])
{
    STANCH_CLEANUP(drop_line) struct line line = {0};
    STANCH_AUTO_BUF struct stanch_buf data = {0};
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    for (int64_t number = 1; (line.len = getline(&line.text, &line.cap, file)) > 0; number++) {
        struct stanch_row row;
        json_decref(line.value);
        line.value = NULL;
        bool is_json = stanch_json_parse(line.text, (size_t)line.len, &stanch_json_own_limits, &line.value, NULL) == 0;
        if (is_json && json_object_get(line.value, "checkpoint"))
            break;
        crypto_hash_sha256_update(&state, (const unsigned char *)line.text, (unsigned long long)line.len);
        if (!is_json || !read_row(line.value, &data, &row)) {
            stanch_chain_check_name(check, STANCH_CHAIN_ALL, 0, check->last_seq + 1,
                                    "altered: line %" PRId64 " is not an entry", number);
            break;
        }
        if (chain && strcmp(chain, row.chain) != 0)
            continue;
        if (!stanch_chain_check_row(check, &row))
            break;
        if (is_strict && !is_shown_right(line.value, &row)) {
            stanch_chain_check_name(check, row.chain, row.n, row.seq,
                                    "altered: what line %" PRId64 " shows is not what its entry says", number);
            break;
        }
    }
    unsigned char raw[32];
    crypto_hash_sha256_final(&state, raw);
    stanch_hex(raw, sizeof raw, ret_digest);
}

/* The digest is wrong though all chains are right: find the line whose shown text was changed. */
static void find_shown(FILE *file, const char *chain, bool is_whole, struct stanch_chain_check *check)
{
    struct stanch_verify_result result;
    struct stanch_chain_check again;
    char digest[65];
    rewind(file);
    stanch_chain_check_init(&again, is_whole, &result);
    again.cuts = json_incref(check->cuts);
    again.gaps = json_incref(check->gaps);
    check_lines(file, &again, chain, true, digest);
    stanch_chain_check_done(&again);
    if (result.bad_seq)
        stanch_chain_check_name(check, result.bad_chain, result.bad_n, result.bad_seq, "%s", result.what);
    else
        stanch_chain_check_name(check, STANCH_CHAIN_ALL, 0, 1, "altered: the lines are not those that were signed");
}

static int expect_earlier(const char *path, const json_t *own, const char *chain, struct stanch_chain_check *check,
                          struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *earlier = NULL;
    int rc = stanch_checkpoint_read(path, &earlier, err);
    if (rc < 0)
        return rc;
    const json_t *value = json_object_get(earlier, "checkpoint"), *of_own = json_object_get(own, "checkpoint");
    if (strcmp(stanch_json_str(value, "store", ""), stanch_json_str(of_own, "store", "")) != 0 ||
        strcmp(stanch_json_str(earlier, "key", ""), stanch_json_str(own, "key", "")) != 0)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "the checkpoint %s and the export are of different stores, or signed by different keys",
                              path);
    stanch_chain_check_expect(check, json_object_get(value, "heads"), chain);
    return 0;
}

/* What was pruned, by the key that signed the export. */
static void read_prunes(FILE *file, const json_t *own, struct stanch_chain_check *check)
{
    STANCH_CLEANUP(drop_line) struct line line = {0};
    while ((line.len = getline(&line.text, &line.cap, file)) > 0) {
        if (!strstr(line.text, "\"timeline.pruned\""))
            continue;
        json_decref(line.value);
        line.value = NULL;
        if (stanch_json_parse(line.text, (size_t)line.len, &stanch_json_own_limits, &line.value, NULL) < 0)
            continue;
        const json_t *data = json_object_get(line.value, "data");
        const json_t *prune = json_object_get(data, "prune"), *of_own = json_object_get(own, "checkpoint");
        if (strcmp(stanch_json_str(line.value, "kind", ""), "timeline.pruned") == 0 &&
            strcmp(stanch_json_str(data, "key", ""), stanch_json_str(own, "key", "")) == 0 &&
            strcmp(stanch_json_str(prune, "store", ""), stanch_json_str(of_own, "store", "")) == 0 &&
            stanch_sign_is_good_as(data, "prune"))
            stanch_chain_check_pruned(check, prune);
    }
    rewind(file);
}

static int check_export(FILE *file, const char *chain, const char *checkpoint_path, const json_t *own,
                        struct stanch_chain_check *check, struct stanch_err *err)
{
    const json_t *value = json_object_get(own, "checkpoint");
    if (checkpoint_path) {
        int rc = expect_earlier(checkpoint_path, own, chain, check, err);
        if (rc < 0)
            return rc;
    }
    char digest[65];
    read_prunes(file, own, check);
    check_lines(file, check, chain, false, digest);
    if (chain && json_object_size(check->heads) == 0 && !check->result->bad_seq)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "the export has no entry of %s", chain);
    (void)stanch_chain_check_end(check);
    (void)stanch_chain_check_heads(check, json_object_get(value, "heads"), chain);
    if (!check->result->bad_seq && strcmp(digest, stanch_json_str(value, "digest", "")) != 0)
        find_shown(file, chain, check->is_whole, check);
    return 0;
}

int stanch_verify_export(const char *path, const char *chain, const char *checkpoint_path,
                         struct stanch_verify_result *ret, struct stanch_err *err)
{
    struct stanch_chain_check check;
    STANCH_AUTO_JSON json_t *own = NULL;
    struct stanch_err why = {0};
    int rc = stanch_checkpoint_read(path, &own, &why);
    if (rc < 0 && rc != STANCH_E_INVALID)
        return stanch_err_set(err, rc, "%s", why.text);
    const json_t *value = json_object_get(own, "checkpoint");
    stanch_chain_check_init(&check, !chain && own && !json_object_get(value, "chain"), ret);
    FILE *file = fopen(path, "re");
    char digest[65];
    if (!file)
        rc = stanch_err_errno(err, STANCH_E_STORE, errno, "%s", path);
    else if (own)
        rc = check_export(file, chain, checkpoint_path, own, &check, err);
    else { /* without a good last line: name the first bad entry, or the end */
        check_lines(file, &check, chain, false, digest);
        stanch_chain_check_name(&check, STANCH_CHAIN_ALL, 0, check.last_seq + 1, "tail cut or altered: %.200s",
                                why.text);
        rc = 0;
    }
    ret->chains = (int64_t)json_object_size(check.heads);
    if (file)
        (void)fclose(file);
    stanch_chain_check_done(&check);
    return rc;
}
