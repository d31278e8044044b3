/* lost_writes.c: for LD_PRELOAD: stanch's database and its log lie on a disk that forgets, when the process is killed,
 * all that was written since the last sync. STANCH_TORN=N kills at the Nth sync of the log, with half of it on the disk. */
#include "timeline/vfs_faulty.h"
#include <stdlib.h>

__attribute__((constructor)) static void register_it(void)
{
    const char *torn = getenv("STANCH_TORN");
    vfs_register();
    vfs.torn_at = torn ? (int)strtol(torn, NULL, 10) : 0;
    sqlite3_vfs_register(&vfs.vfs, 1);
}
