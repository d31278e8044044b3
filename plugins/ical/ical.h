/* ical.h: what the files of this plugin share.
 * Flow   a call -> feed.c: the feed's bytes, new or kept -> scan.c: lines, components -> event.c, zone.c: what they say,
 *        read with libical -> occur.c: when it happens, with rule.c -> answer.c: windows.
 *
 * Two clocks. `civil` is what a clock on the wall shows, as seconds since 1970-01-01T00:00:00 on that clock; `utc` are
 * seconds since 1970. A zone makes one of the other.
 *
 * A feed comes from outside. Nothing of it is trusted: bytes, components, zones, steps of rules and occurrences are
 * counted, and what is too much is an error that names line and UID.
 */
#ifndef ICAL_H
#define ICAL_H
#include "stanch/sdk.h"
#include "stanch/zone.h"
#include <libical/ical.h>

#define ICAL_MAX_LINE    65536      /* bytes, unfolded, of a line that matters */
#define ICAL_MAX_DEPTH   8          /* of components in each other */
#define ICAL_MAX_ZONES   200        /* that a feed defines or names */
#define ICAL_MAX_CHANGES 10000      /* of one zone's clock, until ICAL_LAST */
#define ICAL_MAX_TEXT    1000       /* bytes of a summary, a UID, a name */
#define ICAL_MAX_PEOPLE  50         /* attendees of one event */
#define ICAL_MAX_STEPS   500000u    /* of all rules of a feed, in one call */
#define ICAL_MAX_WALK_MS 4000       /* that these may take */
#define ICAL_LAST        7258118400 /* 2200-01-01: nothing is asked for, and no zone known, from there on */
#define ICAL_DAY         86400
#define ICAL_MAX_LENGTH  (3660LL * ICAL_DAY) /* of one event */

/* ---- What is wrong ---- */

struct ical_why {
    const char *kind; /* of the failure: "protocol", "too-large", ... */
    char text[600];   /* for people: line, UID, what was expected */
};
/** Say it. returns false */
bool ical_wrong(struct ical_why *why, const char *kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* ---- Memory that outlives a call: there, or the host ends and is started again ---- */

/** Zeroed. */
void *ical_room(size_t bytes);
char *ical_copy(const char *text, size_t len);
/** Room for one more of `size` bytes at the end of an array. returns it, zeroed */
void *ical_add(void *array_ptr, size_t *count, size_t size);

/* ---- moment.c: times, with libical's reading of values ---- */

enum { ICAL_FLOATING = -1, ICAL_UTC = -2 };
struct ical_moment {
    int64_t civil;
    int zone; /* index in the calendar's zones; ICAL_FLOATING, ICAL_UTC */
    bool is_date;
};
/* How long something takes: days on the clock, then seconds. */
struct ical_length {
    int64_t days, seconds;
};
/* Who is invited, or who invites. */
struct ical_person {
    char *mail, *name; /* one of them may be NULL */
};

/** "DTSTART;TZID=Europe/Berlin:20260102T090000": one line, unfolded; number: of its first line in the feed. */
struct ical_line {
    const char *text;
    size_t len, number;
    const char *name;  /* upper case */
    const char *value; /* behind the first colon that is not in quotes; "" when there is none */
};

/** A time of libical's, when there is such a moment: no 30th of February, no hour 25. */
bool ical_time_ok(struct icaltimetype time, int64_t *ret_civil);
struct icaltimetype ical_time_of(int64_t civil, bool is_date);
bool ical_length_ok(struct icaldurationtype duration, struct ical_length *ret);
/** What libical makes of one line: a component with its properties (EXDATE:a,b has two). new, for
 *  icalcomponent_free; NULL: nothing of it can be read, why says so */
icalcomponent *ical_read_line(const struct ical_line *line, struct ical_why *why);
/** The text of a line's value, as people wrote it; NULL: it has none. new */
char *ical_read_text(const struct ical_line *line);

/* ---- zone.c ---- */

struct ical_observance { /* STANDARD or DAYLIGHT, while it is read */
    size_t line;
    bool has_start, has_before, has_after;
    int64_t start; /* civil */
    int64_t before_s, after_s;
    char *rule;
    int64_t *dates; /* civil */
    size_t date_count;
};
struct ical_zone {
    char *id;
    size_t calendar; /* which VCALENDAR of the feed it belongs to */
    size_t line;     /* where it is defined; 0: not in this feed */
    struct ical_observance *observances;
    size_t observance_count;
    struct sdk_clock clock;
    char *why; /* it can't be used; NULL: it can */
};
void ical_zone_done(struct ical_zone *zone);
/** A line of STANDARD or DAYLIGHT. */
bool ical_zone_take(struct ical_observance *observance, const struct ical_line *line, struct ical_why *why);
struct ical_budget;
/** All have been read: make the changes, of what the feed defined or else of the system's zone of that name. What is
 *  wrong is said in zone->why. */
void ical_zone_finish(struct ical_zone *zone, struct ical_budget *budget);
/** The system's zone of that name. new, for ical_zone_done and free; NULL: there is none, why says so */
struct ical_zone *ical_zone_of_system(const char *name, struct ical_why *why);
/** zone NULL: UTC. A clock time that is skipped is taken with the offset before; one that comes twice is the first. */
int64_t ical_zone_utc(const struct ical_zone *zone, int64_t civil);
int64_t ical_zone_civil(const struct ical_zone *zone, int64_t utc);

/* ---- rule.c: recurrence, bounded ---- */

struct ical_budget {
    uint32_t steps;
    int64_t until_mono_ms;
};
struct ical_rule {
    struct icalrecurrencetype libical;
    bool has_until, until_is_utc, until_is_date;
    int64_t until; /* civil, or utc */
};
struct ical_budget ical_budget(uint32_t left_ms);
/** "FREQ=WEEKLY;BYDAY=MO". */
bool ical_rule_read(const char *text, struct ical_rule *ret, struct ical_why *why);
/** Call fn for each time of the rule, from start on, before `end`, none after until; fn returns whether it goes on.
 *  returns false: the budget is used up, or libical does not take the rule (why) */
bool ical_rule_walk(const struct ical_rule *rule, int64_t start, bool is_date, int64_t until, int64_t end,
                    struct ical_budget *budget, bool (*fn)(void *ctx, int64_t civil), void *ctx, struct ical_why *why);

/* ---- event.c ---- */

struct ical_added { /* RDATE */
    struct ical_moment start;
    bool has_length;
    struct ical_length length;
};
struct ical_event {
    size_t line, calendar;
    char *uid, *summary, *rule, *status;
    struct ical_moment start, end, instead_of; /* instead_of: RECURRENCE-ID */
    bool has_start, has_end, has_length, is_instead, is_for_later_too, is_cancelled, is_transparent;
    struct ical_length length;
    int64_t sequence;
    struct ical_person *people, organizer;
    size_t people_count;
    struct ical_moment *left_out; /* EXDATE */
    size_t left_out_count;
    int64_t *left_out_utc, *left_out_days; /* the same, sorted, when all zones are known */
    size_t left_out_utc_count, left_out_day_count;
    struct ical_added *added;
    size_t added_count;
    int64_t instead_utc;                 /* when all zones are known */
    bool is_superseded;                  /* a newer version of it is there */
    const struct ical_event *last_later; /* of its UID: the last one up to here that is for later ones too */
    char *why;                           /* it can't be read; NULL: it can */
};

struct ical_calendar {
    struct ical_zone *zones;
    size_t zone_count;
    int *defaults; /* of each VCALENDAR: the zone of X-WR-TIMEZONE, or ICAL_FLOATING */
    size_t calendar_count;
    struct ical_event *events;
    size_t event_count, recurring_count, cancelled_count;
    struct ical_event *
        *insteads; /* those with RECURRENCE-ID, sorted by calendar, UID and instead_utc; the newest first */
    size_t instead_count;
    const struct ical_zone *floating; /* of the setting `timezone`; NULL: not set; borrowed */
};
void ical_event_done(struct ical_event *event);
/** A line of VEVENT. */
bool ical_event_take(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                     struct ical_why *why);
/** It ends: what must be there is, and fits. */
bool ical_event_finish(struct ical_event *event, struct ical_why *why);

/* ---- calendar.c ---- */

/** All lines are read: zones are made, and what is left out and what stands instead can be found. */
void ical_calendar_finish(struct ical_calendar *calendar);
/** What stands instead of an occurrence of this event at `utc`, or was the last one before; NULL: none. */
const struct ical_event *ical_calendar_instead(const struct ical_calendar *calendar, const struct ical_event *event,
                                               int64_t utc);
/** The index of a zone of that name, of the calendar that is read now. -1 and why: too many of them */
int ical_calendar_zone(struct ical_calendar *calendar, const char *name, struct ical_why *why);
/** returns false: it can't be used, why says it; *ret NULL: UTC */
bool ical_calendar_clock(const struct ical_calendar *calendar, const struct ical_event *event,
                         const struct ical_moment *moment, const struct ical_zone **ret, struct ical_why *why);

void ical_calendar_free(struct ical_calendar *calendar);

/* ---- scan.c ---- */

struct ical_limits {
    int64_t max_bytes, max_components, max_occurrences;
};
/** Read a feed. floating: borrowed, as in the calendar. returns new; NULL: it is none, why says so */
struct ical_calendar *ical_scan(const char *bytes, size_t len, const struct ical_limits *limits,
                                const struct ical_zone *floating, struct ical_why *why);

/* ---- occur.c ---- */

struct ical_occurrence {
    int64_t from, to; /* utc */
    const struct ical_event *event;
    bool is_all_day;
};
struct ical_occurrences {
    struct ical_occurrence *rows; /* sorted by from */
    size_t count;
    json_t *left_out;      /* texts: events that can't be read */
    size_t left_out_count; /* all of them */
};
/** All that overlap [from, to), utc. returns false: why says it; free ret in both cases
 *  skips   an event that can't be read is left out, and said; else it is why */
bool ical_occur(const struct ical_calendar *calendar, int64_t from, int64_t to, const struct ical_limits *limits,
                bool skips, struct ical_budget *budget, struct ical_occurrences *ret, struct ical_why *why);
void ical_occurrences_done(struct ical_occurrences *occurrences);

/* ---- feed.c ---- */

struct ical_state { /* of the instance */
    struct ical_limits limits;
    bool skips;                     /* the setting `unreadable` is "skip" */
    struct ical_zone *floating;     /* NULL: not set */
    const char *file;               /* NULL: by HTTP */
    struct ical_calendar *calendar; /* the last good one; NULL: none yet */
    int64_t fetched_at_ms;          /* when it was known to be what the feed says */
    uint64_t known;                 /* how often that was */
    char *etag, *last_modified;
    int64_t file_id[5]; /* of the file that was read: device, inode, size, time */
};
const char *ical_feed_open(struct sdk_instance *instance, struct ical_state *state);
void ical_feed_close(struct ical_state *state);
/** Have the feed: kept for a minute, or asked for again. fn: with calendar and fetched_at_ms of the state; not when the
 *  call was answered because there is none. */
void ical_feed(struct sdk_call *call, sdk_fn fn);

/* ---- answer.c ---- */

void ical_windows(struct sdk_call *call);
void ical_now(struct sdk_call *call);
void ical_check(struct sdk_call *call);

#endif
