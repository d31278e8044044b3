/* scan.c: the lines and components of a feed. libical parses the values; this finds the lines that matter, counts, and
 * knows where it is: libical's parser has no line numbers, goes as deep as it is led, and takes a feed that breaks off for
 * a whole one.
 *
 *   bytes -> unfolded line -> BEGIN: one deeper | END: it is ended | in VEVENT, STANDARD, DAYLIGHT: event.c, zone.c
 */
#include "ical.h"
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 64

enum kind { OTHER, CALENDAR, EVENT, ZONE, OBSERVANCE };

struct open { /* a component that is not ended yet */
    char name[MAX_NAME];
    enum kind kind;
    size_t line;
};

struct scan {
    const char *at, *end;
    size_t number; /* of the physical line that `at` begins */
    const struct ical_limits *limits;
    struct ical_calendar *calendar;
    struct open stack[ICAL_MAX_DEPTH];
    size_t depth, components;
    struct ical_event event;            /* in VEVENT: the one that is read */
    struct ical_zone zone;              /* in VTIMEZONE */
    struct ical_observance *observance; /* in STANDARD or DAYLIGHT: of `zone` */
    char *text;                         /* the unfolded line: ICAL_MAX_LINE + 1 */
    size_t len;
    bool is_long; /* there was more of it */
    char name[MAX_NAME];
    struct ical_why *why;
};

/* ---- lines ---- */

static void append(struct scan *scan, const char *bytes, size_t len)
{
    size_t room = ICAL_MAX_LINE - scan->len;
    scan->is_long = scan->is_long || len > room;
    memcpy(scan->text + scan->len, bytes, len > room ? room : len);
    scan->len += len > room ? room : len;
}

/* The next line, without its folds. returns false: there is none */
static bool next_line(struct scan *scan, size_t *ret_number)
{
    bool is_folded = true;
    scan->len = 0;
    scan->is_long = false;
    *ret_number = scan->number;
    if (scan->at >= scan->end)
        return false;
    while (is_folded) {
        const char *stop = memchr(scan->at, '\n', (size_t)(scan->end - scan->at));
        const char *next = stop ? stop + 1 : scan->end, *behind = stop ? stop : scan->end;
        while (behind > scan->at && behind[-1] == '\r')
            behind--;
        append(scan, scan->at, (size_t)(behind - scan->at));
        scan->number++;
        is_folded = next < scan->end && (*next == ' ' || *next == '\t');
        scan->at = is_folded ? next + 1 : next;
    }
    scan->text[scan->len] = '\0';
    return true;
}

static char capital(char c)
{
    return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* "ATTENDEE;CN=x:mailto:y": its name in capitals, and where its value begins. */
static struct ical_line line_of(struct scan *scan, size_t number)
{
    size_t len = strcspn(scan->text, ":;"), i = 0;
    const char *value = scan->text + len;
    bool is_quoted = false;
    for (; i < len && i < MAX_NAME - 1; i++)
        scan->name[i] = capital(scan->text[i]);
    scan->name[i] = '\0';
    while (*value && (is_quoted || *value != ':')) {
        is_quoted = is_quoted != (*value == '"');
        value++;
    }
    return (struct ical_line){scan->text, scan->len, number, scan->name, *value ? value + 1 : value};
}

/* Text for people. Blanks for what would upset a terminal. */
static bool is_clean(struct scan *scan)
{
    for (size_t i = 0; i < scan->len; i++)
        if ((unsigned char)scan->text[i] < ' ' || scan->text[i] == 0x7f)
            scan->text[i] = ' ';
    json_t *probe = json_stringn(scan->text, scan->len); /* UTF-8, or nothing */
    json_decref(probe);
    return probe != NULL;
}

/* ---- components ---- */

static enum kind kind_of(const char *name, enum kind around, size_t depth)
{
    if (depth == 0)
        return strcmp(name, "VCALENDAR") == 0 ? CALENDAR : OTHER;
    if (around == CALENDAR && strcmp(name, "VEVENT") == 0)
        return EVENT;
    if (around == CALENDAR && strcmp(name, "VTIMEZONE") == 0)
        return ZONE;
    bool is_observance = strcmp(name, "STANDARD") == 0 || strcmp(name, "DAYLIGHT") == 0;
    return around == ZONE && is_observance ? OBSERVANCE : OTHER;
}

static enum kind kind_now(const struct scan *scan)
{
    return scan->depth ? scan->stack[scan->depth - 1].kind : OTHER;
}

/* Letters, digits and dashes in capitals; "?" for anything else, as it is said to people. */
static void name_component(char ret[MAX_NAME], const char *value)
{
    size_t len = strcspn(value, " \t"), i = 0;
    for (; i < len && i < MAX_NAME - 1; i++) {
        const char c = capital(value[i]);
        ret[i] = (char)((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ? c : '?');
    }
    ret[i] = '\0';
}

static bool begin(struct scan *scan, const struct ical_line *line)
{
    struct open next = {.line = line->number};
    name_component(next.name, line->value);
    next.kind = kind_of(next.name, kind_now(scan), scan->depth);
    if (scan->depth == 0 && next.kind != CALENDAR)
        return ical_wrong(scan->why, "protocol", "line %zu: BEGIN:%s, where BEGIN:VCALENDAR was expected", line->number,
                          next.name);
    if (scan->depth >= ICAL_MAX_DEPTH)
        return ical_wrong(scan->why, "protocol", "line %zu: %s: components in each other, over %d deep", line->number,
                          next.name, ICAL_MAX_DEPTH);
    if ((int64_t)++scan->components > scan->limits->max_components)
        return ical_wrong(scan->why, "too-large", "line %zu: %s: over %lld components (the setting max_components)",
                          line->number, next.name, (long long)scan->limits->max_components);
    if (next.kind == CALENDAR) {
        *(int *)ical_add(&scan->calendar->defaults, &scan->calendar->calendar_count, sizeof(int)) = ICAL_FLOATING;
    } else if (next.kind == EVENT) {
        scan->event = (struct ical_event){.line = line->number, .calendar = scan->calendar->calendar_count};
    } else if (next.kind == ZONE) {
        scan->zone = (struct ical_zone){.line = line->number};
    } else if (next.kind == OBSERVANCE) {
        scan->observance =
            ical_add(&scan->zone.observances, &scan->zone.observance_count, sizeof(struct ical_observance));
        scan->observance->line = line->number;
    }
    scan->stack[scan->depth++] = next;
    return true;
}

/* What makes an event unreadable stays with it: whether it matters is decided when it is asked for. */
static void spoil(char **why, const struct ical_why *now)
{
    if (!*why)
        *why = ical_copy(now->text, strlen(now->text));
}

static void end_event(struct scan *scan)
{
    struct ical_calendar *calendar = scan->calendar;
    struct ical_why why;
    if (!scan->event.why && !ical_event_finish(&scan->event, &why))
        spoil(&scan->event.why, &why);
    calendar->recurring_count += scan->event.rule || scan->event.added_count > 0;
    calendar->cancelled_count += scan->event.is_cancelled;
    *(struct ical_event *)ical_add(&calendar->events, &calendar->event_count, sizeof scan->event) = scan->event;
    memset(&scan->event, 0, sizeof scan->event);
}

static bool end_zone(struct scan *scan)
{
    /* the zone that events name already, or will */
    int index = scan->zone.id ? ical_calendar_zone(scan->calendar, scan->zone.id, scan->why) : -1;
    if (!scan->zone.id)
        return ical_wrong(scan->why, "protocol", "line %zu: VTIMEZONE: TZID is missing", scan->zone.line);
    if (index < 0)
        return false;
    struct ical_zone *zone = &scan->calendar->zones[index];
    scan->zone.calendar = zone->calendar;
    if (zone->line == 0) {
        ical_zone_done(zone);
        *zone = scan->zone;
    } else {
        ical_zone_done(&scan->zone); /* the first one holds */
    }
    memset(&scan->zone, 0, sizeof scan->zone);
    return true;
}

static bool end(struct scan *scan, const struct ical_line *line)
{
    char name[MAX_NAME];
    name_component(name, line->value);
    struct open *open = scan->depth ? &scan->stack[scan->depth - 1] : NULL;
    if (!open || strcmp(open->name, name) != 0)
        return ical_wrong(scan->why, "protocol", "line %zu: END:%s, but %s%s%s", line->number, name,
                          open ? "BEGIN:" : "nothing", open ? open->name : " has begun",
                          open ? " comes before it" : "");
    scan->depth--;
    if (open->kind == EVENT)
        end_event(scan);
    if (open->kind == OBSERVANCE)
        scan->observance = NULL;
    return open->kind != ZONE || end_zone(scan);
}

/* ---- properties ---- */

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

static bool does_matter(enum kind kind, const char *name)
{
    static const char *const of_calendar[] = {"X-WR-TIMEZONE", NULL}, *const of_zone[] = {"TZID", NULL};
    static const char *const of_observance[] = {"DTSTART", "TZOFFSETFROM", "TZOFFSETTO", "RRULE", "RDATE", NULL};
    static const char *const of_event[] = {"UID",           "DTSTART",  "DTEND",    "DURATION",  "RRULE",   "RDATE",
                                           "EXDATE",        "STATUS",   "ATTENDEE", "ORGANIZER", "SUMMARY", "TRANSP",
                                           "RECURRENCE-ID", "SEQUENCE", "EXRULE",   NULL};
    return kind == EVENT        ? is_one_of(name, of_event)
           : kind == OBSERVANCE ? is_one_of(name, of_observance)
           : kind == ZONE       ? is_one_of(name, of_zone)
                                : kind == CALENDAR && is_one_of(name, of_calendar);
}

static bool set_default_zone(struct scan *scan, const struct ical_line *line)
{
    int *zone = &scan->calendar->defaults[scan->calendar->calendar_count - 1];
    if (*line->value == '\0')
        return true;
    *zone = ical_calendar_zone(scan->calendar, line->value, scan->why);
    return *zone >= 0;
}

static bool take_line(struct scan *scan, const struct ical_line *line)
{
    enum kind kind = kind_now(scan);
    struct ical_why why = {.text = ""};
    bool ok = true;
    if (!does_matter(kind, line->name))
        return true;
    if (scan->is_long)
        ok = ical_wrong(&why, "too-large", "line %zu: %s: over %d bytes", line->number, line->name, ICAL_MAX_LINE);
    else if (!is_clean(scan))
        ok = ical_wrong(&why, "protocol", "line %zu: %s: this is not UTF-8", line->number, line->name);
    else if (kind == CALENDAR)
        return set_default_zone(scan, line);
    else if (kind == ZONE && !scan->zone.id)
        scan->zone.id = ical_copy(line->value, strlen(line->value));
    else if (kind == OBSERVANCE)
        ok = ical_zone_take(scan->observance, line, &why);
    else if (kind == EVENT)
        ok = ical_event_take(scan->calendar, &scan->event, line, &why);
    if (!ok && kind == CALENDAR)
        *scan->why = why;
    if (!ok && kind == EVENT)
        spoil(&scan->event.why, &why);
    if (!ok && (kind == OBSERVANCE || kind == ZONE))
        spoil(&scan->zone.why, &why);
    return ok || kind != CALENDAR;
}

static bool take(struct scan *scan, const struct ical_line *line)
{
    if (strcmp(line->name, "BEGIN") == 0)
        return begin(scan, line);
    if (strcmp(line->name, "END") == 0)
        return end(scan, line);
    if (scan->depth > 0 || scan->len == 0)
        return take_line(scan, line);
    (void)is_clean(scan);
    return ical_wrong(scan->why, "protocol", "line %zu: this is no iCalendar: BEGIN:VCALENDAR was expected%s",
                      line->number,
                      strchr(scan->text, '<') ? "; it looks like a page for people: check the address" : "");
}

static bool scan_all(struct scan *scan)
{
    size_t number = 0;
    if (scan->end - scan->at >= 3 && memcmp(scan->at, "\xef\xbb\xbf", 3) == 0)
        scan->at += 3; /* a byte order mark */
    const char *nul = memchr(scan->at, '\0', (size_t)(scan->end - scan->at));
    if (nul)
        return ical_wrong(scan->why, "protocol", "byte %zu is NUL: this is no text", (size_t)(nul - scan->at) + 1);
    while (next_line(scan, &number)) {
        const struct ical_line line = line_of(scan, number);
        if (!take(scan, &line))
            return false;
    }
    if (scan->depth > 0)
        return ical_wrong(scan->why, "protocol", "the feed breaks off: %s of line %zu is not ended",
                          scan->stack[scan->depth - 1].name, scan->stack[scan->depth - 1].line);
    if (scan->calendar->calendar_count == 0)
        return ical_wrong(scan->why, "protocol", "the feed is empty: BEGIN:VCALENDAR was expected");
    return true;
}

/* ---- the calendar ---- */

struct ical_calendar *ical_scan(const char *bytes, size_t len, const struct ical_limits *limits,
                                const struct ical_zone *floating, struct ical_why *why)
{
    struct ical_calendar *calendar = ical_room(sizeof *calendar);
    struct scan scan = {
        .at = bytes, .end = bytes + len, .number = 1, .limits = limits, .calendar = calendar, .why = why};
    calendar->floating = floating;
    if ((int64_t)len > limits->max_bytes) {
        (void)ical_wrong(why, "too-large", "the feed has %zu bytes, over %lld (the setting max_bytes)", len,
                         (long long)limits->max_bytes);
        ical_calendar_free(calendar);
        return NULL;
    }
    scan.text = ical_room(ICAL_MAX_LINE + 1);
    bool ok = scan_all(&scan);
    ical_event_done(&scan.event);
    ical_zone_done(&scan.zone);
    free(scan.text);
    if (ok) {
        ical_calendar_finish(calendar);
        return calendar;
    }
    ical_calendar_free(calendar);
    return NULL;
}
