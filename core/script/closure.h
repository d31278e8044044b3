/* closure.h: which files of a commit a file consists of: itself and all that it requires. Pure; knows no Lua state.
 * Thread: any.
 */
#ifndef STANCH_SCRIPT_CLOSURE_H
#define STANCH_SCRIPT_CLOSURE_H
#include "script/vm.h"

/** SHA-256 of the file at `path` with all that it requires, directly or not, inside of functions too. Where a file does not name
 *  what it requires as a plain text, or is no Lua, it may be any file: then all of them count. A file that requires nothing: the
 *  SHA-256 of its text. ret_hex: "" when there is no such file. */
void stanch_closure_digest(const struct stanch_vm_source *sources, int count, const char *path, char ret_hex[65]);

#endif
