/* folder.h: all files of a kind in a folder and the folders below it, each whole.
 *
 * What somebody put there is read and nothing else: a name that begins with a dot is passed over, a symbolic link is not
 * followed, and what is neither a folder nor a file is not opened. The order is that of the paths' bytes, whatever the disk's is.
 * Thread: any; it blocks.
 */
#ifndef STANCH_BASE_FOLDER_H
#define STANCH_BASE_FOLDER_H
#include "base/buf.h"
#include "base/err.h"

struct stanch_folder_rules {
    const char *ending;    /* of a file's name, which is longer: ".lua" */
    int max_depth;         /* how many folders below each other are looked into; what is deeper is passed over */
    int max_files;         /* 0: any number */
    size_t max_file_bytes; /* 0: any number */
};

/** One file. name: below the folder, "drills/checkout.lua", UTF-8, borrowed; text: its bytes, borrowed; may be taken
 *  (stanch_buf_take). Other than 0 ends the reading. */
typedef int (*stanch_folder_file)(void *ctx, const char *name, struct stanch_buf *text, struct stanch_err *err);

/** Each file below `folder`, in order. on_file is called from inside this call; not at all when a folder cannot be looked into, a
 *  name is wrong or there are too many.
 *  returns 0 | what on_file returned | STANCH_E_NOT_FOUND a folder could not be read | STANCH_E_SYSTEM a file could not be read |
 *  STANCH_E_TOO_LARGE a file, or their number | STANCH_E_INVALID a name is not UTF-8 */
int stanch_folder_read(const char *folder, const struct stanch_folder_rules *rules, stanch_folder_file on_file,
                       void *ctx, struct stanch_err *err);

#endif
