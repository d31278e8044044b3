/* moment.c: times, lengths and lines, in libical's reading and held to be sound: libical takes the 99th of the 13th month
 * as it stands, and lengths that do not fit into what it keeps them in. */
#include "ical.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_VALUES 500

bool ical_wrong(struct ical_why *why, const char *kind, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why->text, sizeof why->text, fmt, args);
    va_end(args);
    why->kind = kind;
    json_t *probe = json_string(why->text);
    for (char *c = why->text; *c && !probe; c++) /* cut in the middle of a character */
        *c = (char)((unsigned char)*c < 0x80 ? *c : '?');
    json_decref(probe);
    return false;
}

/* ---- memory ---- */

void *ical_room(size_t bytes)
{
    void *room = calloc(1, bytes);
    if (!room)
        abort();
    return room;
}

char *ical_copy(const char *text, size_t len)
{
    return memcpy(ical_room(len + 1), text, len);
}

void *ical_add(void *array_ptr, size_t *count, size_t size)
{
    const size_t n = *count;
    void *array = NULL;
    memcpy(&array, array_ptr, sizeof array); /* whatever it points to */
    if ((n & (n - 1)) == 0) {                /* a power of two, or none: it is full */
        array = reallocarray(array, n ? 2 * n : 1, size);
        if (!array)
            abort();
        memcpy(array_ptr, &array, sizeof array);
    }
    *count = n + 1;
    return memset((char *)array + n * size, 0, size);
}

/* ---- times ---- */

bool ical_time_ok(struct icaltimetype time, int64_t *ret_civil)
{
    bool has_date = !icaltime_is_null_time(time) && time.year >= 1 && time.year <= 9999 && time.month >= 1 &&
                    time.month <= 12 && time.day >= 1 && time.day <= icaltime_days_in_month(time.month, time.year);
    bool has_time = time.is_date || (time.hour >= 0 && time.hour <= 23 && time.minute >= 0 && time.minute <= 59 &&
                                     time.second >= 0 && time.second <= 60);
    if (!has_date || !has_time)
        return false;
    *ret_civil = time.is_date ? sdk_civil(time.year, time.month, time.day, 0, 0, 0)
                              : sdk_civil(time.year, time.month, time.day, time.hour, time.minute,
                                          time.second == 60 ? 59 : time.second); /* a leap second */
    return true;
}

struct icaltimetype ical_time_of(int64_t civil, bool is_date)
{
    const time_t seconds = civil;
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm);
    struct icaltimetype time = icaltime_null_time();
    time.year = tm.tm_year + 1900;
    time.month = tm.tm_mon + 1;
    time.day = tm.tm_mday;
    time.is_date = is_date;
    time.hour = is_date ? 0 : tm.tm_hour;
    time.minute = is_date ? 0 : tm.tm_min;
    time.second = is_date ? 0 : tm.tm_sec;
    return time;
}

bool ical_length_ok(struct icaldurationtype duration, struct ical_length *ret)
{
    const int64_t days = (int64_t)duration.weeks * 7 + duration.days;
    const int64_t seconds = (int64_t)duration.hours * 3600 + (int64_t)duration.minutes * 60 + duration.seconds;
    if (duration.is_neg || days > ICAL_MAX_LENGTH / ICAL_DAY || seconds > ICAL_MAX_LENGTH)
        return false;
    *ret = (struct ical_length){days, seconds};
    return true;
}

/* ---- lines ---- */

static const char *error_of(icalcomponent *component)
{
    icalproperty *error = icalcomponent_get_first_property(component, ICAL_XLICERROR_PROPERTY);
    const char *text = error ? icalproperty_get_xlicerror(error) : NULL;
    return text ? text : icalcomponent_count_properties(component, ICAL_ANY_PROPERTY) == 0 ? "there is no value" : NULL;
}

/* libical takes 500 values of a line, and forgets the others without a word. */
static bool has_too_many(const struct ical_line *line)
{
    size_t count = 1;
    for (const char *at = line->value; (at = strchr(at, ',')); at++)
        count++;
    return count > MAX_VALUES && (strcmp(line->name, "EXDATE") == 0 || strcmp(line->name, "RDATE") == 0);
}

icalcomponent *ical_read_line(const struct ical_line *line, struct ical_why *why)
{
    /* the line holds no line end, so that it can't end the component that is put around it */
    static const char before[] = "BEGIN:VEVENT\r\n", behind[] = "\r\nEND:VEVENT\r\n";
    if (has_too_many(line)) {
        (void)ical_wrong(why, "protocol", "line %zu: %s: over %d values; write several lines", line->number, line->name,
                         MAX_VALUES);
        return NULL;
    }
    char *text = ical_room(sizeof before - 1 + line->len + sizeof behind);
    memcpy(text, before, sizeof before - 1);
    memcpy(text + sizeof before - 1, line->text, line->len);
    memcpy(text + sizeof before - 1 + line->len, behind, sizeof behind);
    icalcomponent *component = icalparser_parse_string(text);
    free(text);
    const char *error = component ? error_of(component) : "libical can't read it";
    if (!error)
        return component;
    (void)ical_wrong(why, "protocol", "line %zu: %s: %.300s", line->number, line->name, error);
    if (component)
        icalcomponent_free(component);
    return NULL;
}

char *ical_read_text(const struct ical_line *line)
{
    struct ical_why why;
    icalcomponent *component = *line->value ? ical_read_line(line, &why) : NULL;
    icalproperty *property = component ? icalcomponent_get_first_property(component, ICAL_ANY_PROPERTY) : NULL;
    icalvalue *value = property ? icalproperty_get_value(property) : NULL;
    const char *text = value && icalvalue_isa(value) == ICAL_TEXT_VALUE ? icalvalue_get_text(value) : NULL;
    size_t len = text ? strlen(text) : 0;
    if (len > ICAL_MAX_TEXT) {
        len = ICAL_MAX_TEXT;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--; /* not in the middle of a character */
    }
    char *copy = text ? ical_copy(text, len) : NULL;
    if (component)
        icalcomponent_free(component);
    return copy;
}
