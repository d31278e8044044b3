/* scratch.c: a folder for one test. */
#include "base/scratch.h"
#include "base/mem.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

char *folder;

int begin(void **state)
{
    (void)state;
    folder = stanch_strdup("/tmp/stanch-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int drop(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

int end(void **state)
{
    (void)state;
    int rc = nftw(folder, drop, 16, FTW_DEPTH | FTW_PHYS);
    free(STANCH_TAKE(folder));
    return rc;
}
