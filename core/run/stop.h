/* stop.h: the one switch and its levels (PROMISES.md 1.15). Each stop is a file in the state directory, so that it can be
 * set by hand with everything else broken:
 *
 *   stop                 everything
 *   stops/LEVEL:NAME     what is about one "instance", "runbook" or "target": stops/instance:edge
 *
 * What is in it is JSON {"reason","by","at"}, and in those of a level also {"level","name","until"?,"until_ms"?}, of one that was
 * released with the daemon dead {"released_by","released_because"?} beside an end that has long been, or anything at all: its being there is the stop. In the name of a file every byte of NAME but A-Z a-z 0-9 . _ - : is written
 * as %XX (a target "web/1" is stops/target:web%2F1); a NAME that is too long for a file name is ~ and its SHA-256, and
 * stands in the file. What cannot be read counts as set: a file whose name says no level stops everything, one whose time
 * cannot be read has no end. A name that begins with a dot is no stop. They are looked at before every effect.
 * Thread: loop thread.
 */
#ifndef STANCH_RUN_STOP_H
#define STANCH_RUN_STOP_H
#include "base/err.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define STANCH_STOP_NAME_MAX   1000  /* bytes of a name */
#define STANCH_STOP_EVERYTHING "all" /* as a level: the switch, or a file that says none */

/* Instead of a state directory: where nobody can stop anything, a rehearsal in virtual time, whose every second would be a look at a disk.
 * A word that is no path, so that a directory that was left out cannot be taken for it. */
#define STANCH_STOP_NOWHERE "\001nowhere"

/** Is the switch for everything set? One stat(2); an error other than "no such file" counts as set. */
bool stanch_stop_is_set(const char *state_dir);
/** What the file says; NULL when it is not set. new: {"reason","by","at"}. */
json_t *stanch_stop_read(const char *state_dir);
/** Write and sync the file and its directory. Idempotent: a switch that is set keeps its first reason.
 *  returns 0 | STANCH_E_SYSTEM */
int stanch_stop_set(const char *state_dir, const char *reason, const char *by, int64_t at_ms, struct stanch_err *err);
/** Remove it and sync the directory. returns 0 (also when it was not set) | STANCH_E_SYSTEM */
int stanch_stop_clear(const char *state_dir, struct stanch_err *err);

/* ---- levels ---- */

/* One stop of a level. */
struct stanch_stop {
    const char *level; /* "instance", "runbook", "target" */
    const char *name;
    const char *reason, *by;
    int64_t at_ms;
    int64_t until_ms; /* wall clock; 0: until it is released */
};
/* What something is about: whatever is NULL it is not about. */
struct stanch_stop_about {
    const char *instance, *runbook;
    const json_t *targets; /* array of text; borrowed */
};

/** Is it one of the three levels, with a name that can be stopped? returns 0 | STANCH_E_INVALID */
int stanch_stop_check(const char *level, const char *name, struct stanch_err *err);
/** Make the folder, so that a file in it can be made by hand; when that fails, it is made with the first stop. */
void stanch_stop_prepare(const char *state_dir);
/** Write and sync the file and its directories. One that is set stays as it is, unless the new one lasts longer: then that
 *  stands in it. returns 0 | STANCH_E_INVALID | STANCH_E_SYSTEM */
int stanch_stop_set_level(const char *state_dir, const struct stanch_stop *stop, struct stanch_err *err);
/** What root made by hand becomes of the daemon's user, who owns the state directory, and must read and remove it. Another
 *  user than root changes nothing. returns 0 | STANCH_E_SYSTEM */
int stanch_stop_give_to_owner(const char *state_dir, struct stanch_err *err);
/** Remove it. returns 0 | STANCH_E_NOT_FOUND it was not set | STANCH_E_SYSTEM */
int stanch_stop_clear_level(const char *state_dir, const char *level, const char *name, struct stanch_err *err);
/** The same with the daemon dead: the file stays, is over from now on, and says who released it, so that the daemon tells of it and
 *  removes it once it is back. stop: level, name, who releases it now (by, at_ms), and why (reason; NULL: not said).
 *  returns 0 | STANCH_E_NOT_FOUND it was not set, or is over | STANCH_E_INVALID | STANCH_E_SYSTEM */
int stanch_stop_release_level(const char *state_dir, const struct stanch_stop *stop, struct stanch_err *err);
/** All files of levels, those that are over too. new: [{"level","name"?,"file","reason","by","at","until"?,"until_ms"?,
 *  "released_by"?,"released_because"?}], by file; one that stops everything has the level "all" and no name. */
json_t *stanch_stop_levels(const char *state_dir);
/** Is the time of one of stanch_stop_levels over? */
bool stanch_stop_is_over(const json_t *stop, int64_t now_ms);
/** Remove the file of one that is over. Says no when it is not over any more, for somebody has set it again: then it stays.
 *  returns 0 | STANCH_E_CONFLICT | STANCH_E_SYSTEM */
int stanch_stop_end(const char *state_dir, const json_t *stop, int64_t now_ms, struct stanch_err *err);

/** All that is stopped now, the switch for everything first: as stanch_stop_levels gives them. new */
json_t *stanch_stop_list(const char *state_dir, int64_t now_ms);
/** The first of `list` that holds back what this is about; NULL: none does. borrowed from list */
const json_t *stanch_stop_find(const json_t *list, const struct stanch_stop_about *about);
/** The first of `list` that holds back the start of a run of this runbook; NULL: none does. borrowed from list */
const json_t *stanch_stop_find_start(const json_t *list, const char *runbook);
/** "the stop switch is set", "instance edge is stopped by person:alice until ...: its reason". new */
char *stanch_stop_why(const json_t *stop);
/** The same at once: why what this is about is held back; NULL: it is not. new */
char *stanch_stop_holds(const char *state_dir, const struct stanch_stop_about *about, int64_t now_ms);

#endif
