/* verify.h: is the timeline what was written? (PROMISES.md 1.9, campaign D12)
 * Works on a store directory or on an export, with the daemon dead or alive (read only).
 * By itself the chain finds every change by somebody who did not compute all hashes behind it anew. Who did, or who cut
 * the tail together with the store's own heads, is found against a checkpoint that is kept elsewhere; what was written
 * after the newest such checkpoint is only as good as the store. So export often, and keep it on another machine.
 */
#ifndef STANCH_TIMELINE_VERIFY_H
#define STANCH_TIMELINE_VERIFY_H
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

struct stanch_verify_result {
    int64_t chains, entries; /* what was read */
    int64_t bad_seq;         /* 0: all is well; else the first bad entry's seq, chain and number */
    char bad_chain[64];
    int64_t bad_n;
    char what[256]; /* "altered", "removed", "inserted", "reordered", "tail cut", ... and in which words */
};

/** Check every chain (chain NULL) or one. checkpoint_path: signed heads exported before, or NULL.
 *  path: a store directory, or an export file (JSON lines).
 *  returns 0 also when something is bad (see ret) | STANCH_E_STORE | STANCH_E_NOT_FOUND | STANCH_E_INVALID */
int stanch_timeline_verify(const char *path, const char *chain, const char *checkpoint_path,
                           struct stanch_verify_result *ret, struct stanch_err *err);
/** Write entries as JSON lines, each as stanch_entry_json, the last line a signed checkpoint
 *  {"checkpoint":{"at","store","heads":[...]},"key":hex,"signature":hex} (Ed25519 over the canonical form).
 *  chain NULL: all. */
int stanch_timeline_export(const char *store_dir, const char *chain, FILE *out, struct stanch_err *err);
/** Compute every noun's document again from the entries; write them, or only compare.
 *  ret_differences: how many documents differed. */
int stanch_timeline_rebuild(const char *store_dir, int compare_only, int64_t *ret_differences, struct stanch_err *err);

/** The open documents of a noun (open_only: else all), computed from the entries alone, for a store whose documents
 *  cannot be read. What cannot be read of the entries is skipped. ret: new, an array, newest first.
 *  ret_lost: text of what was skipped, "" when nothing. returns 0 | STANCH_E_CORRUPT not even the tables are there */
int stanch_timeline_salvage(const char *store_dir, const char *noun, int open_only, json_t **ret, char ret_lost[200],
                            struct stanch_err *err);

#endif
