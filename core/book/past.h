/* past.h: the files of a commit that the clone has, whether or not it was ever in use. Inside of a process `stanch book` only,
 * like all that reads git; the clone is only read, so that a daemon may go on with it.
 *
 *   stanch book files CLONE COMMIT FOLDER   a line {"t":"candidate",...} (book_main.c) and the bytes, on stdout
 */
#ifndef STANCH_BOOK_PAST_H
#define STANCH_BOOK_PAST_H
#include "base/buf.h"
#include "base/err.h"

/** commit: its id in hex, or the first 7 digits and more. folder: as configured, "" or "a/b". ret: appended to. Blocking.
 *  returns 0 | STANCH_E_NOT_FOUND no such clone, commit or folder | STANCH_E_CONFLICT more than one begins so |
 *  STANCH_E_INVALID no commit's name | STANCH_E_REFUSED a rule (tree.h) | STANCH_E_CORRUPT */
int stanch_past_read(const char *clone_dir, const char *commit, const char *folder, struct stanch_buf *ret,
                     struct stanch_err *err);

#endif
