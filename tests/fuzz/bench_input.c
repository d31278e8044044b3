/* bench_input.c: what comes from outside, out of the input, one thing after the other. */
#include "bench_parts.h"
#include <string.h>

char *bench__next_piece(struct fuzz_bytes *input, size_t *ret_len)
{
    if (input->left == 0)
        return NULL;
    size_t len = 0, gap = 0;
    while (len < input->left && gap == 0) {
        bool is_mark = input->left - len >= 4 && memcmp(input->at + len, "\n%%\n", 4) == 0;
        if (is_mark)
            gap = 4;
        else
            len++;
    }
    struct fuzz_bytes piece = {input->at, len};
    input->at += len + gap;
    input->left -= len + gap;
    return fuzz_rest(&piece, ret_len);
}

json_t *bench__take_headers(char *text, char **ret_at)
{
    json_t *headers = json_object();
    char *at = text;
    while (*at && *at != '\n') {
        char *end = at + strcspn(at, "\n"), *colon = memchr(at, ':', (size_t)(end - at));
        if (colon) {
            char *value = colon + 1 + strspn(colon + 1, " ");
            for (char *c = at; c < colon; c++)
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c - 'A' + 'a' : *c);
            char *name = strndup(at, (size_t)(colon - at));
            json_t *held = value <= end ? json_stringn(value, (size_t)(end - value)) : NULL;
            json_t *probe = json_string(name);
            if (held && probe) /* what is not UTF-8 never comes through core */
                json_object_set(headers, name, held);
            json_decref(probe);
            json_decref(held);
            free(name);
        }
        at = *end ? end + 1 : end;
    }
    *ret_at = *at == '\n' ? at + 1 : at;
    return headers;
}
