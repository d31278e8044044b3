/* room.h: what the files of this folder share. Inside gameday/ only.
 * Files    gameday.c (the configuration), calendar.c (a plan's times), feed.c (text/calendar), schedule.c (plans become drills), due.c (drills that are
 *          announced), herald.c (people are told).
 */
#ifndef STANCH_GAMEDAY_ROOM_H
#define STANCH_GAMEDAY_ROOM_H
#include "gameday/schedule.h"
#include <stdbool.h>

#define STANCH_GAMEDAY__DAY_MS 86400000LL

/* The times of one plan, one after the other. */
struct stanch_calendar__walk;
/** plan: borrowed until the walk is freed. ret: new. returns 0 | STANCH_E_INVALID */
int stanch_calendar__walk_new(const json_t *plan, struct stanch_calendar__walk **ret, struct stanch_err *err);
/** The next one, always later than the one before. returns 0 | STANCH_E_NOT_FOUND | STANCH_E_INVALID (it is too often) */
int stanch_calendar__walk_next(struct stanch_calendar__walk *walk, int64_t *ret_ms, struct stanch_err *err);
/** Accepts NULL. */
void stanch_calendar__walk_free(struct stanch_calendar__walk *walk);

/* ---- schedule.c ---- */

struct stanch_schedule__plan {
    const json_t *plan;
    const char *name;
    int64_t since_ms;                   /* what was due before is none of its */
    int64_t done_ms;                    /* up to here all is in the journal */
    struct stanch_calendar__walk *walk; /* NULL: it could not be begun */
    bool has_next;
    int64_t next_ms; /* the first that is not in the journal */
    json_t *missed;  /* times; to be said */
    int64_t unsaid;  /* more of them, before these */
    char why[300];   /* there is no next one */
};

struct stanch_schedule {
    struct stanch_loop *loop;
    struct stanch_journal *journal;
    struct stanch_schedule_port port;
    const json_t *array; /* of plans */
    struct stanch_schedule__plan *plans;
    size_t count;
    json_t *known;   /* "plan/at_ms" -> the drill's id */
    json_t *waiting; /* id of what is announced -> is it in the schedule */
    json_t *begun;   /* id -> true: the port has it, in this life */
    json_t *held;    /* id -> why it cannot begin yet; it is tried again while it is not too late */
    int64_t born_ms; /* wall clock */
    struct stanch_follower *follower;
    struct stanch_timer *timer;
};

/** NULL: there is no such plan. */
struct stanch_schedule__plan *stanch_schedule__find(const struct stanch_schedule *schedule, const char *name);
/** One entry. data: taken. returns whether the journal took it */
bool stanch_schedule__say(struct stanch_schedule *schedule, const char *kind, json_t *data);

/* ---- due.c: what is announced ---- */

/** The data of a drill of that plan and time, for any of its entries. new */
json_t *stanch_schedule__drill(const struct stanch_schedule__plan *plan, const char *id, int64_t at_ms);
/** Announce it. returns whether the journal took it */
bool stanch_schedule__announce(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan, int64_t at_ms);
/** What was announced in an earlier life, and stands otherwise in the schedule now, is announced anew under its id. doc: its document */
void stanch_schedule__renew(struct stanch_schedule *schedule, const json_t *doc);
/** Remind of, begin, or call missed all that waits. now_ms: wall clock, of the whole look */
void stanch_schedule__see_to_waiting(struct stanch_schedule *schedule, int64_t now_ms);
/** When something of what waits is due, later than looked_ms (that is over already, maybe); INT64_MAX: nothing is. */
int64_t stanch_schedule__next_due(const struct stanch_schedule *schedule, int64_t looked_ms);

#endif
