/* user.h: what a user of this machine is called.
 *
 * By the machine's own list alone, not by its name service: that may ask a directory over the network, and who asks waits
 * for it, in an incident of all times; and the C library's (2.36, getpwuid) ends the process when it has no memory.
 */
#ifndef STANCH_BASE_USER_H
#define STANCH_BASE_USER_H
#include <sys/types.h>

#define STANCH_USER_LIST "/etc/passwd" /* passwd(5) */
#define STANCH_USER_NAME 160           /* bytes of a name, with its NUL */

/** "person:NAME"; "uid:NUMBER" for whom `list` does not have, whose name there is not of A-Z a-z 0-9 . _ - alone, or when
 *  it can't be read. Reads the file each time. Thread: any. */
void stanch_user_name(const char *list, uid_t uid, char ret[STANCH_USER_NAME]);

#endif
