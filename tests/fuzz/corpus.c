/* corpus.c: a target's corpus as a plain test, with any compiler: each file of the named folders, whole, and cut at up to
 * 64 places (an answer that broke off). libFuzzer has a main of its own.
 */
#include "fuzz.h"
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#define CUTS 64

static int run_count;

/* An exact copy, so that a sanitizer sees a read behind its end. */
static void run_one(const char *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    FUZZ_EXPECT(copy);
    memcpy(copy, bytes, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    run_count++;
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t len = 0, room = 0, got;
    FUZZ_EXPECT(file);
    do {
        room += 1u << 16;
        char *more = realloc(bytes, room);
        FUZZ_EXPECT(more);
        bytes = more;
        got = fread(bytes + len, 1, room - len, file);
        len += got;
    } while (got > 0);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* when it fails, this is the last line before the reason */
    run_one(bytes, len);
    for (size_t i = 0; i < CUTS && i < len; i++)
        run_one(bytes, len <= CUTS ? i : len * i / CUTS);
    free(bytes);
}

static int run_folder(const char *folder)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, NULL, alphasort), files = 0;
    if (count < 0) {
        fprintf(stderr, "%s: %s\n", folder, strerror(errno));
        return -1;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat about;
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(path, &about) == 0 && S_ISREG(about.st_mode)) {
            run_file(path);
            files++;
        }
        free(names[i]);
    }
    free(names);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        int found = run_folder(argv[i]);
        if (found < 0)
            return 1;
        files += found;
    }
    printf("%d files, %d inputs\n", files, run_count);
    return files > 0 ? 0 : 1; /* a corpus that is empty tests nothing */
}
