/* sign.c: signatures of webhooks, as the senders make them: HMAC-SHA256 over a text and the body, in a header that may
 * carry several, with or without a time stamp. */
#include "inside.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_WITHIN_S 300
#define MAX_SIGNATURES   16

/* One item of the header after the other; commas part them unless the prefix has one itself. returns its length. */
static size_t next_item(const char **at, bool has_commas)
{
    const char *parts = has_commas ? ", \t" : " \t";
    *at += strspn(*at, parts);
    return strcspn(*at, parts);
}

/* The value behind `prefix` in the header's items, the `nth` of them (from 0). new, or NULL. */
static char *item_behind(const char *header, const char *prefix, bool has_commas, int nth)
{
    const char *at = header;
    size_t len, skip = strlen(prefix);
    for (; (len = next_item(&at, has_commas)) > 0; at += len) {
        if (len <= skip || strncmp(at, prefix, skip) != 0 || nth-- > 0)
            continue;
        char *value = sdk__alloc(len - skip + 1);
        memcpy(value, at + skip, len - skip);
        return value;
    }
    return NULL;
}

/* Seconds since 1970; -1 when it is none. */
static int64_t parse_seconds(const char *text)
{
    size_t len = text ? strspn(text, "0123456789") : 0;
    return len > 0 && len <= 12 && text[len] == '\0' ? strtoll(text, NULL, 10) : -1;
}

struct bytes {
    char *data;
    size_t len;
};

static void add(struct bytes *out, const char *data, size_t len)
{
    char *more = sdk__alloc(out->len + len + 1);
    if (out->len)
        memcpy(more, out->data, out->len);
    if (len)
        memcpy(more + out->len, data, len);
    free(out->data);
    out->data = more;
    out->len += len;
}

/* `before`, with %t and %h{name} filled in. returns false when a header that it names was not sent. */
static bool add_before(const struct sdk_call *call, struct bytes *out, const char *before, const char *stamp)
{
    char name[100];
    while (*before) {
        size_t plain = strcspn(before, "%"), len;
        const char *value = NULL;
        add(out, before, plain);
        before += plain;
        if (strncmp(before, "%t", 2) == 0) {
            value = stamp;
            before += 2;
        } else if (strncmp(before, "%h{", 3) == 0 && (len = strcspn(before + 3, "}")) < sizeof name) {
            memcpy(name, before + 3, len);
            name[len] = '\0';
            value = sdk_header(call, name);
            before += 3 + len + 1;
        } else if (*before) {
            return false;
        } else {
            return true;
        }
        if (!value)
            return false;
        add(out, value, strlen(value));
    }
    return true;
}

/* The signature that the sender must have made, as it stands in the header; NULL: the secret is not set. */
static const char *expected(const struct sdk_call *call, const struct sdk_signature *how, const struct bytes *data)
{
    static const char digits[] = "0123456789abcdef";
    struct sdk_call *own = (struct sdk_call *)(uintptr_t)call; /* its memory only */
    uint8_t raw[32];
    struct stanch_text text = {data->data, data->len};
    if (sdk_host(call)->hmac_sha256(call->instance->handle, sdk_span(how->secret), text, raw) == 0)
        return NULL;
    if (how->is_base64)
        return sdk_base64(own, raw, sizeof raw);
    char *hex = sdk_memory(own, 65);
    for (size_t i = 0; i < sizeof raw; i++) {
        hex[2 * i] = digits[raw[i] >> 4];
        hex[2 * i + 1] = digits[raw[i] & 15];
    }
    return hex;
}

static const char *compare(const struct sdk_call *call, const struct sdk_signature *how, const char *header,
                           const char *want, bool has_commas)
{
    bool is_good = false;
    int n = 0;
    for (char *given; n < MAX_SIGNATURES && (given = item_behind(header, how->prefix, has_commas, n)); n++) {
        for (char *p = given; *p && !how->is_base64; p++)
            *p = (char)tolower((unsigned char)*p);
        is_good = sdk_equal(call, want, given) || is_good;
        free(given);
    }
    return is_good ? NULL : n == 0 ? "the header has no signature of the expected kind" : "the signature is wrong";
}

static const char *judge(const struct sdk_call *call, const struct sdk_signature *how, const char *header,
                         const char *stamp, bool has_commas)
{
    size_t len = 0;
    const char *body = sdk_body(call, &len);
    struct bytes data = {0};
    const char *why = "a header that is signed is missing";
    if (add_before(call, &data, how->before ? how->before : "", stamp)) {
        add(&data, body, len);
        const char *want = expected(call, how, &data);
        why = want ? compare(call, how, header, want, has_commas) : "the secret to check it with is not set";
    }
    free(data.data);
    return why;
}

const char *sdk_signature_why(const struct sdk_call *call, const struct sdk_signature *how)
{
    const char *header = sdk_header(call, how->header), *why = NULL;
    bool has_commas = !how->prefix || !strchr(how->prefix, ',');
    struct sdk_signature filled = *how;
    filled.prefix = how->prefix ? how->prefix : "";
    if (!header)
        return "the signature is missing";
    char *own = how->time_prefix ? item_behind(header, how->time_prefix, has_commas, 0) : NULL;
    const char *stamp = how->time_header ? sdk_header(call, how->time_header) : own;
    if (how->time_header || how->time_prefix) {
        int64_t seconds = parse_seconds(stamp), within = how->within_s ? how->within_s : DEFAULT_WITHIN_S;
        int64_t off = seconds - sdk_now_ms(call) / 1000;
        why = seconds < 0                     ? "the time stamp is missing or none"
              : off > within || off < -within ? "the time stamp is too far from now: a replay, or a clock that is off"
                                              : NULL;
    }
    why = why ? why : judge(call, &filled, header, stamp, has_commas);
    free(own);
    return why;
}
