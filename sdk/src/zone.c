/* zone.c: the system's zones, from /usr/share/zoneinfo: TZif, RFC 8536; and what their clocks show.
 *
 * Not by libical: icaltzutil_fetch_timezone of 3.0.16 guesses a rule from each zone's past and is an hour off in places
 * (Jerusalem in 2013 and 2016, Cairo, Santiago; St. John's from 2038 on). Its name of a zone becomes a path as it is, too.
 * Not by libc: its zone is one for the whole process.
 *
 *   name -> is it sound? -> file -> header, old data (passed by), header, times and offsets, the rule for all time after
 */
#include "stanch/zone.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FOLDER    "/usr/share/zoneinfo/"
#define MAX_FILE  65536
#define MAX_RULE  255
#define LONG_AGO  (-4000000000000LL)
#define LAST_YEAR 2199
#define DAY       86400

/* ---- a list of changes ---- */

void sdk_clock_add(struct sdk_clock *clock, int64_t utc, int64_t before_s, int64_t after_s)
{
    if ((clock->count & (clock->count - 1)) == 0) { /* it doubles */
        const size_t room = clock->count ? clock->count * 2 : 1;
        struct sdk_clock_change *grown = reallocarray(clock->changes, room, sizeof *grown);
        if (!grown)
            abort();
        clock->changes = grown;
    }
    clock->changes[clock->count++] = (struct sdk_clock_change){utc, before_s, after_s};
}

static int compare_changes(const void *a, const void *b)
{
    const struct sdk_clock_change *x = a, *y = b;
    return x->utc < y->utc ? -1 : x->utc > y->utc;
}

void sdk_clock_sort(struct sdk_clock *clock)
{
    if (clock->count)
        qsort(clock->changes, clock->count, sizeof *clock->changes, compare_changes);
}

void sdk_clock_done(struct sdk_clock *clock)
{
    free(clock->changes);
    *clock = (struct sdk_clock){0};
}

/* ---- what it shows ---- */

int64_t sdk_civil(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t minute, int64_t second)
{
    struct tm tm = {.tm_year = (int)year - 1900,
                    .tm_mon = (int)month - 1,
                    .tm_mday = (int)day,
                    .tm_hour = (int)hour,
                    .tm_min = (int)minute,
                    .tm_sec = (int)second};
    return timegm(&tm);
}

/* The last change that a clock which shows this has behind it; -1: none. What is skipped, or comes a second time, is still
 * before it. */
static int64_t find_civil(const struct sdk_clock *clock, int64_t civil)
{
    size_t low = 0, high = clock->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct sdk_clock_change *change = &clock->changes[middle];
        int64_t later_s = change->before_s > change->after_s ? change->before_s : change->after_s;
        if (change->utc + later_s <= civil)
            low = middle + 1;
        else
            high = middle;
    }
    return (int64_t)low - 1;
}

int64_t sdk_clock_utc(const struct sdk_clock *clock, int64_t civil)
{
    if (clock->count == 0)
        return civil;
    int64_t found = find_civil(clock, civil);
    return civil - (found < 0 ? clock->changes[0].before_s : clock->changes[found].after_s);
}

int64_t sdk_clock_civil(const struct sdk_clock *clock, int64_t utc)
{
    if (clock->count == 0)
        return utc;
    size_t low = 0, high = clock->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (clock->changes[middle].utc <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    return utc + (low == 0 ? clock->changes[0].before_s : clock->changes[low - 1].after_s);
}

/* ---- bytes ---- */

struct bytes {
    const unsigned char *at;
    size_t left;
};

/* A piece of `len`; NULL: so much is not there. */
static const unsigned char *piece(struct bytes *bytes, size_t len)
{
    const unsigned char *at = bytes->at;
    if (len > bytes->left)
        return NULL;
    bytes->at += len;
    bytes->left -= len;
    return at;
}

/* Signed, the high byte first. */
static int64_t number(const unsigned char *at, size_t len)
{
    uint64_t value = at[0] & 0x80 ? UINT64_MAX : 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return (int64_t)value;
}

/* ---- times and offsets ---- */

struct header {
    size_t utc, standard, leaps, times, types, letters;
};

static bool take_header(struct bytes *bytes, struct header *ret)
{
    const unsigned char *at = piece(bytes, 44);
    if (!at || memcmp(at, "TZif", 4) != 0 || at[4] < '2')
        return false;
    size_t counts[6];
    for (size_t i = 0; i < 6; i++) {
        counts[i] = (size_t)number(at + 20 + 4 * i, 4);
        if (counts[i] > MAX_FILE)
            return false;
    }
    *ret = (struct header){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
    return true;
}

static size_t rest_of(const struct header *header, size_t time_bytes)
{
    return header->letters + header->leaps * (time_bytes + 4) + header->standard + header->utc;
}

static bool take_changes(struct sdk_clock *clock, struct bytes *bytes)
{
    struct header header;
    if (!take_header(bytes, &header) || !piece(bytes, header.times * 5 + header.types * 6 + rest_of(&header, 4)) ||
        !take_header(bytes, &header) || header.types == 0 || header.leaps != 0)
        return false;
    const unsigned char *times = piece(bytes, header.times * 8), *indexes = piece(bytes, header.times);
    const unsigned char *types = piece(bytes, header.types * 6);
    if (!times || !indexes || !types || !piece(bytes, rest_of(&header, 8)))
        return false;
    int64_t offset = number(types, 4);
    sdk_clock_add(clock, LONG_AGO, offset, offset);
    for (size_t i = 0; i < header.times; i++) {
        const int64_t utc = number(times + 8 * i, 8);
        if (indexes[i] >= header.types)
            return false;
        const int64_t after = number(types + 6 * (size_t)indexes[i], 4);
        if (utc > LONG_AGO)
            sdk_clock_add(clock, utc, offset, after);
        offset = after;
    }
    return true;
}

/* ---- the rule for all time after: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

struct move { /* the weekday `day` of the week `week` (5: the last) of a month, at a time of the clock before */
    int month, week, day;
    int64_t time_s;
};

static bool take_name(const char **at)
{
    const char *from = *at;
    const size_t len =
        *from == '<' ? strcspn(from, ">") + 1 : strspn(from, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    if (len < 3 || len > strlen(from))
        return false;
    *at += len;
    return true;
}

static bool take_time(const char **at, int64_t *ret_s)
{
    const int sign = **at == '-' ? -1 : 1;
    int64_t seconds = 0;
    *at += **at == '-' || **at == '+';
    for (int64_t unit = 3600; unit > 0; unit /= 60) {
        char *end = NULL;
        if (**at < '0' || **at > '9')
            return false;
        const int64_t value = strtol(*at, &end, 10);
        if (value > 167)
            return false;
        seconds += value * unit;
        *at = end;
        if (*end != ':')
            break;
        ++*at;
    }
    *ret_s = sign * seconds;
    return true;
}

static bool take_move(const char **at, struct move *ret)
{
    int len = 0;
    *ret = (struct move){.time_s = 2 * 3600};
    if (sscanf(*at, ",M%2d.%1d.%1d%n", &ret->month, &ret->week, &ret->day, &len) != 3 || ret->month < 1 ||
        ret->month > 12 || ret->week < 1 || ret->week > 5 || ret->day > 6)
        return false;
    *at += len;
    if (**at != '/')
        return true;
    ++*at;
    return take_time(at, &ret->time_s);
}

static int64_t civil_of(const struct move *move, int year)
{
    const int64_t first = sdk_civil(year, move->month, 1, 0, 0, 0);
    const int64_t next = sdk_civil(year, move->month + 1, 1, 0, 0, 0);
    const int64_t weekday = ((first / DAY + 4) % 7 + 7) % 7; /* 1970 began on a Thursday */
    int64_t day = 1 + (move->day - weekday + 7) % 7 + (move->week - 1) * 7;
    while (first + (day - 1) * DAY >= next)
        day -= 7;
    return first + (day - 1) * DAY + move->time_s;
}

static bool take_rule(struct sdk_clock *clock, const char *at)
{
    int64_t standard = 0, summer = 0;
    struct move begins, ends;
    const int64_t last = clock->changes[clock->count - 1].utc;
    if (!take_name(&at) || !take_time(&at, &standard))
        return false;
    if (*at == '\0')
        return true;          /* one offset, which the last change has set already */
    summer = standard - 3600; /* hours behind UTC: the other way round */
    if (!take_name(&at) || (*at != ',' && !take_time(&at, &summer)) || !take_move(&at, &begins) ||
        !take_move(&at, &ends) || *at)
        return false;
    for (int year = 1970; year <= LAST_YEAR; year++) {
        const int64_t on = civil_of(&begins, year) + standard, off = civil_of(&ends, year) + summer;
        if (on > last)
            sdk_clock_add(clock, on, -standard, -summer);
        if (off > last)
            sdk_clock_add(clock, off, -summer, -standard);
    }
    sdk_clock_sort(clock);
    return true;
}

/* ---- the file ---- */

static bool is_sound(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/"; /* no dots: no way up */
    const size_t len = strspn(name, letters);
    return len > 0 && len <= 64 && name[len] == '\0' && *name != '/' && name[len - 1] != '/';
}

static bool read_zone(struct sdk_clock *clock, const unsigned char *data, size_t len)
{
    struct bytes bytes = {data, len};
    if (!take_changes(clock, &bytes) || bytes.left < 2 || bytes.at[0] != '\n' || bytes.at[bytes.left - 1] != '\n')
        return false;
    char rule[MAX_RULE + 1] = "";
    if (bytes.left - 2 > MAX_RULE)
        return false;
    memcpy(rule, bytes.at + 1, bytes.left - 2);
    return *rule == '\0' || take_rule(clock, rule);
}

static bool read_file(struct sdk_clock *clock, int fd)
{
    struct stat about;
    unsigned char data[MAX_FILE];
    if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode) || about.st_size > MAX_FILE)
        return false;
    const ssize_t got = read(fd, data, sizeof data);
    return got == about.st_size && read_zone(clock, data, (size_t)got);
}

bool sdk_clock_of_system(const char *name, struct sdk_clock *ret)
{
    char path[sizeof FOLDER + 64];
    struct sdk_clock clock = {0};
    if (!is_sound(name))
        return false;
    (void)snprintf(path, sizeof path, "%s%s", FOLDER, name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    const bool ok = read_file(&clock, fd);
    (void)close(fd);
    if (ok)
        *ret = clock;
    else
        sdk_clock_done(&clock);
    return ok;
}
