/* encode.c: base64 and times as text. */
#define _XOPEN_SOURCE 700
#include "inside.h"
#include <string.h>
#include <time.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit_of(char c)
{
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

const char *sdk_base64_decode(struct sdk_call *call, const char *text, size_t *ret_len)
{
    size_t len = strlen(text), pad = 0;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    if (len % 4)
        return NULL;
    unsigned char *out = sdk_memory(call, len / 4 * 3 + 1), *to = out;
    uint32_t bits = 0;
    for (size_t i = 0; i < len; i++) {
        int digit = i >= len - pad ? 0 : digit_of(text[i]);
        if (digit < 0)
            return NULL;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 3) {
            *to++ = (unsigned char)(bits >> 16);
            *to++ = (unsigned char)(bits >> 8);
            *to++ = (unsigned char)bits;
        }
    }
    for (size_t i = 0; i < pad; i++)
        if (*--to) /* bits behind the end: another text would decode to the same */
            return NULL;
    *ret_len = (size_t)(to - out);
    return (const char *)out;
}

const char *sdk_base64(struct sdk_call *call, const void *data, size_t len)
{
    const unsigned char *from = data;
    char *out = sdk_memory(call, (len + 2) / 3 * 4 + 1), *to = out;
    for (size_t i = 0; i < len; i += 3) {
        uint32_t bits = (uint32_t)from[i] << 16;
        bits |= i + 1 < len ? (uint32_t)from[i + 1] << 8 : 0;
        bits |= i + 2 < len ? from[i + 2] : 0;
        *to++ = DIGITS[bits >> 18 & 63];
        *to++ = DIGITS[bits >> 12 & 63];
        *to++ = i + 1 < len ? DIGITS[bits >> 6 & 63] : '=';
        *to++ = i + 2 < len ? DIGITS[bits & 63] : '=';
    }
    return out;
}

const char *sdk_time_text(struct sdk_call *call, int64_t ms)
{
    time_t seconds = (time_t)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
    struct tm tm;
    char text[40] = "";
    if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        return "";
    return sdk_text(call, "%s.%03dZ", text, (int)(ms - (int64_t)seconds * 1000));
}
