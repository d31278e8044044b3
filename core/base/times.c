/* times.c: times and durations as people write them. */
#include "base/times.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_DURATION_MS (3653LL * 86400 * 1000)

static const struct {
    const char *unit;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

int stanch_duration_parse(const char *text, int64_t *ret_ms, struct stanch_err *err)
{
    int64_t total = 0;
    const char *p = text ? text : "";
    if (!*p)
        goto refuse;
    while (*p) {
        if (!isdigit((unsigned char)*p))
            goto refuse;
        char *end;
        long long n = strtoll(p, &end, 10);
        if (n > MAX_DURATION_MS)
            goto refuse;
        size_t len = 0;
        while (isalpha((unsigned char)end[len]))
            len++;
        int64_t unit = 0;
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strlen(units[i].unit) == len && strncmp(units[i].unit, end, len) == 0)
                unit = units[i].ms;
        if (!unit || n > MAX_DURATION_MS / unit)
            goto refuse;
        total += n * unit;
        p = end + len;
    }
    if (total > MAX_DURATION_MS)
        goto refuse;
    *ret_ms = total;
    return 0;
refuse:
    return stanch_err_set(err, STANCH_E_INVALID, "\"%.40s\" is not a duration; write it like 250ms, 15s, 10m, 2h or 7d",
                          text ? text : "");
}

void stanch_duration_text(int64_t ms, char ret[32])
{
    int n = 0;
    ret[0] = 0;
    for (int i = 4; i >= 1 && n < 24; i--) {
        if (ms >= units[i].ms) {
            n += snprintf(ret + n, 32 - (size_t)n, "%lld%s", (long long)(ms / units[i].ms), units[i].unit);
            ms %= units[i].ms;
        }
    }
    if (ms > 0 && n < 24)
        n += snprintf(ret + n, 32 - (size_t)n, "%lldms", (long long)ms);
    if (n == 0)
        (void)snprintf(ret, 32, "0s");
}

/* Days since 1970-01-01 of a proleptic Gregorian date.
 * Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil. */
static int64_t days_from_civil(int64_t y, int m, int d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static int read_digits(const char **p, int count, int *ret)
{
    int v = 0;
    for (int i = 0; i < count; i++) {
        if (!isdigit((unsigned char)(*p)[i]))
            return -1;
        v = v * 10 + ((*p)[i] - '0');
    }
    *p += count;
    *ret = v;
    return 0;
}

static int read_char(const char **p, const char *any_of)
{
    if (!**p || !strchr(any_of, **p))
        return -1;
    (*p)++;
    return 0;
}

int stanch_time_parse(const char *text, int64_t *ret_ms, struct stanch_err *err)
{
    const char *p = text ? text : "";
    int year, month, day, hour, minute, second, off_hour = 0, off_minute = 0, sign = 1;
    int millis = 0;
    if (read_digits(&p, 4, &year) || read_char(&p, "-") || read_digits(&p, 2, &month) || read_char(&p, "-") ||
        read_digits(&p, 2, &day) || read_char(&p, "Tt ") || read_digits(&p, 2, &hour) || read_char(&p, ":") ||
        read_digits(&p, 2, &minute) || read_char(&p, ":") || read_digits(&p, 2, &second))
        goto refuse;
    if (*p == '.') {
        p++;
        if (!isdigit((unsigned char)*p))
            goto refuse;
        for (int scale = 100; isdigit((unsigned char)*p); p++, scale /= 10)
            millis += (*p - '0') * scale;
    }
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else {
        sign = *p == '-' ? -1 : 1;
        if (read_char(&p, "+-") || read_digits(&p, 2, &off_hour) || read_char(&p, ":") ||
            read_digits(&p, 2, &off_minute))
            goto refuse;
    }
    if (*p || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 ||
        off_hour > 23 || off_minute > 59)
        goto refuse;
    int64_t seconds = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second -
                      (int64_t)sign * (off_hour * 3600 + off_minute * 60);
    *ret_ms = seconds * 1000 + millis;
    return 0;
refuse:
    return stanch_err_set(err, STANCH_E_INVALID,
                          "\"%.40s\" is not a time; write it like 2026-11-21T02:02:42Z (RFC 3339)", text ? text : "");
}

int stanch_time_parse_ago(const char *text, int64_t now_ms, int64_t *ret_ms, struct stanch_err *err)
{
    int64_t age_ms;
    if (stanch_duration_parse(text, &age_ms, NULL) < 0)
        return stanch_time_parse(text, ret_ms, err);
    *ret_ms = now_ms - age_ms;
    return 0;
}

void stanch_time_text(int64_t at_ms, char ret[32])
{
    int64_t millis = at_ms % 1000;
    time_t seconds = (time_t)(at_ms / 1000);
    if (millis < 0) {
        millis += 1000;
        seconds--;
    }
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(ret + n, 32 - n, ".%03dZ", (int)millis);
}

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t stanch_wall_now_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t stanch_mono_now_ms(void)
{
    return read_clock(CLOCK_BOOTTIME);
}
