/* core_export.c: the reader of an exported timeline, and of a checkpoint, which anybody may hand to `stanch timeline
 * verify`. A file that was changed is never found good by chance: the corpus holds good ones, so that the fuzzer starts
 * there. First line: "checkpoint" puts the rest of the input before both readers. */
#include "timeline/checkpoint.h"
#include "timeline/verify_export.h"
#include "base/digest.h"
#include "base/json.h"
#include "fuzz.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stanch_verify_result result = {0};
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *checkpoint = NULL;
    char path[64];
    stanch_digest_init();
    int fd = memfd_create("export", MFD_CLOEXEC);
    FUZZ_EXPECT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int rc = stanch_verify_export(path, NULL, NULL, &result, &err);
    FUZZ_EXPECT(rc == 0 || err.text[0]);
    FUZZ_EXPECT(rc != 0 || result.bad_seq == 0 || result.what[0]);
    bool is_signed = stanch_checkpoint_read(path, &checkpoint, &err) == 0;
    FUZZ_EXPECT(is_signed == json_is_object(checkpoint));
    if (rc == 0) /* against itself as what was kept elsewhere */
        stanch_verify_export(path, "INC-1", path, &result, &err);
    close(fd);
    return 0;
}
