/* core_frame.c: frames between the processes: both ends. The first byte says in which pieces the bytes arrive; frames that
 * came in one piece are those that come in many. */
#include "wire/frame.h"
#include "base/json.h"
#include "fuzz.h"
#include <string.h>

/* The frames again, each encoded: what was understood. returns 0 | the error that ended it */
static int read_all(const uint8_t *bytes, size_t len, size_t piece, struct stanch_buf *ret)
{
    struct stanch_frame_reader reader = {0};
    int rc = 0;
    for (size_t at = 0; at < len && rc >= 0; at += piece) {
        struct stanch_frame frame;
        struct stanch_err err = {0};
        stanch_frame_reader_feed(&reader, bytes + at, len - at < piece ? len - at : piece);
        while ((rc = stanch_frame_reader_next(&reader, &frame, &err)) == 1) {
            FUZZ_EXPECT(json_is_string(json_object_get(frame.head, "t")));
            FUZZ_EXPECT(stanch_frame_encode(frame.head, frame.attachment, frame.attachment_len, ret, &err) == 0);
            stanch_frame_done(&frame);
        }
        FUZZ_EXPECT(rc == 0 || (rc == STANCH_E_PROTOCOL && err.text[0]));
    }
    stanch_frame_reader_done(&reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    STANCH_AUTO_BUF struct stanch_buf whole = {0}, pieces = {0}, again = {0};
    struct fuzz_bytes input = {data, size};
    size_t piece = (size_t)fuzz_byte(&input) + 1;
    int rc = read_all(input.at, input.left, input.left ? input.left : 1, &whole);
    FUZZ_EXPECT(read_all(input.at, input.left, piece, &pieces) == rc);
    FUZZ_EXPECT(whole.len == pieces.len && (whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0));
    FUZZ_EXPECT(read_all((const uint8_t *)whole.data, whole.len, whole.len ? whole.len : 1, &again) == 0);
    FUZZ_EXPECT(again.len == whole.len);
    return 0;
}
